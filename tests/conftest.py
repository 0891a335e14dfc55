"""What the larger tests share: the binary, a project, a running server on a free port.

The binary is $NEXUS_BINARY, or build/nexus. Servers are started in a temporary folder on port 0 and ended with
the test, however it ends.
"""
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
NEXUS = os.environ.get("NEXUS_BINARY") or os.environ.get("NEXUS_BIN") or str(ROOT / "build" / "nexus")


START_LIMIT_S = 60  # a server that says nothing for so long hangs


def run_nexus(*arguments, cwd, status=0, timeout=120, environment=None):
    """Run the command to its end; its exit status must be `status` (None: any)."""
    done = subprocess.run([NEXUS, *arguments], cwd=cwd, capture_output=True, text=True, timeout=timeout,
                          env={**os.environ, **(environment or {})})
    if status is not None:
        assert done.returncode == status, f"nexus {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
    return done


class Server:
    """A running `nexus dev` (or start) in a project's folder."""

    def __init__(self, folder, command="dev", *arguments, environment=None):
        self.folder = pathlib.Path(folder)
        self.errors_path = self.folder / "server.log"
        self.errors = open(self.errors_path, "ab")
        self.process = subprocess.Popen([NEXUS, command, "--http", "127.0.0.1:0", *arguments], cwd=folder,
                                        stdout=subprocess.PIPE, stderr=self.errors, text=True,
                                        env={**os.environ, **(environment or {})})
        started = threading.Timer(START_LIMIT_S, self.process.kill)
        started.start()
        first = self.process.stdout.readline().strip()
        started.cancel()
        if not first.startswith("http://"):
            self.process.kill()
            raise AssertionError(f"the first line is no URL: {first!r}\n{self.errors_path.read_text()}")
        self.url = first
        self.port = int(first.rsplit(":", 1)[1])
        self.lines = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def pid(self):
        return self.process.pid

    def request(self, method, path, body=None, headers=None, connection=None):
        """The status, the headers and the body, parsed where it is JSON."""
        own = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        content = json.dumps(body) if isinstance(body, (dict, list)) else body
        sent = {"content-type": "application/json"} if isinstance(body, (dict, list)) else {}
        own.request(method, path, content, {**sent, **(headers or {})})
        answer = own.getresponse()
        received = answer.read()
        if connection is None:
            own.close()
        if received and "json" in (answer.getheader("content-type") or ""):
            received = json.loads(received)
        return answer.status, answer.headers, received

    def get(self, path):
        status, _, body = self.request("GET", path)
        assert status == 200, (path, status, body)
        return body

    def publish(self, event_type, data, headers=None, connection=None):
        status, _, body = self.request("POST", f"/events/{event_type}", data, headers, connection)
        assert status == 202, (status, body)
        return body["event_id"]

    def all_items(self, path, member):
        """Every item of a list, page by page."""
        items, cursor = [], ""
        while True:
            joined = f"{path}{'&' if '?' in path else '?'}limit=500{cursor}"
            page = self.get(joined)
            items += page[member]
            if page["at_end"] or page["cursor"] is None:
                return items
            cursor = f"&cursor={page['cursor']}"

    def wait_until_idle(self, seconds=120):
        """Until every event was looked at and no function has anything left to do."""
        deadline = time.monotonic() + seconds
        while True:
            state = self.get("/functions")  # first: what comes after it is seen to be newer
            newest = self.get("/events?order=desc&limit=1")["events"]
            end = int(newest[0]["reference"].split(":")[1]) if newest else 0
            if state["events_head"] > end and all(f["condition"] == "idle" for f in state["functions"]):
                return
            assert time.monotonic() < deadline, f"still busy: {state}"
            time.sleep(0.02)

    def wait_for_line(self, part, seconds=30):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for line in self.lines:
                if part in line:
                    return line
            time.sleep(0.01)
        raise AssertionError(f"no line with {part!r} in {self.lines}")

    def wait_for_line_on_stderr(self, part, seconds=30):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for line in self.errors_path.read_text().splitlines():
                if part in line:
                    return line
            time.sleep(0.01)
        raise AssertionError(f"no line with {part!r} in {self.errors_path.read_text()}")

    def kill(self):
        """As a power cut would for the process: no handler runs."""
        self.process.send_signal(signal.SIGKILL)
        self._ended()

    def stop(self, seconds=60):
        """End in order; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(seconds)
        self._ended()
        return status

    def _ended(self):
        self.process.wait(30)
        self.reader.join(10)
        self.process.stdout.close()
        self.errors.close()

    def end(self):
        if self.process.poll() is None:
            self.kill()


class Walkthrough:
    """Follows a page as a person would: one shell in which its commands run as they stand, and `nexus dev` beside it.

    What a test must know better than the page is in `means`: words of it (an id that only a run can tell) -> a function of
    all that was printed so far, or text. After each command the server is let finish what it set off.
    """

    def __init__(self, folder, servers, environment=None, means=None):
        self.servers, self.environment, self.means = servers, environment or {}, means or {}
        self.server, self.said = None, ""
        home = folder / "home"
        home.mkdir()
        (home / "nexus").symlink_to(NEXUS)
        path = f"{home}{os.pathsep}{self.environment.get('PATH', os.environ['PATH'])}"
        self.shell = subprocess.Popen(["bash"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True, env={**os.environ, **self.environment, "PATH": path})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.shell.stdin.close()
        self.shell.stdout.close()
        self.shell.wait(30)

    def run(self, block):
        """The commands of a block, one after the other; each must succeed."""
        for line in re.sub(r"\\\n", "", block).splitlines():
            command = re.sub(r"(^|\s+)#( .*|$)", "", line).strip()
            if command.endswith("nexus dev"):
                before, variables = re.fullmatch(r"(.*?)((?:\w+=\S+ )*)nexus dev", command).groups()
                self._run(before.strip().removesuffix("&&") or "true")
                own = dict(word.split("=", 1) for word in variables.split())
                self.server = self.servers(self._run("pwd").strip(), environment={**self.environment, **own})
            elif command:
                self._run(command)
        return self.said

    def _run(self, command):
        for word, meaning in self.means.items():
            command = re.sub(word, lambda _: meaning if isinstance(meaning, str) else meaning(self.said), command)
        if self.server:
            command = command.replace("localhost:8080", f"localhost:{self.server.port}")
        if command.startswith("nexus logs -f"):  # it goes on until somebody ends it
            command = f"timeout 2 {command} || [ $? = 124 ]"
        self.shell.stdin.write(f"{command}\necho; echo \"--- $?\"\n")
        self.shell.stdin.flush()
        printed = []
        for line in self.shell.stdout:
            if line.startswith("--- "):
                break
            printed.append(line)
        text = "".join(printed)
        assert line == "--- 0\n", f"{command}\n{text}"
        self.said += text
        if self.server:
            self.server.wait_until_idle()
        return text


def guest(body):
    """A module whose handle_event is this code, behind its locals' count: the smallest one that loads."""
    code = bytes([len(body) + 1]) + body + b"\x0b"
    return (bytes.fromhex("0061736d01000000" "010401600000" "03020100" "0503010001"
                          "0719020c68616e646c655f6576656e740000066d656d6f72790200")
            + bytes([0x0A, len(code) + 1, 1]) + code)


TRAP = guest(bytes.fromhex("00" "00"))  # no locals; unreachable


def spinning(count):
    """A guest that counts down from `count`, a few nanoseconds each."""
    leb = b""
    left = count
    while left >= 64:
        leb += bytes([left & 127 | 128])
        left >>= 7
    return guest(bytes.fromhex("01017f" "41") + leb + bytes([left])
                 + bytes.fromhex("2100" "0340" "2000" "4101" "6b" "2200" "0d00" "0b"))


@pytest.fixture
def servers():
    """Starts servers, and ends those that still run with the test: servers(folder, "dev", ...)."""
    started = []

    def start(folder, command="dev", *arguments, environment=None):
        server = Server(folder, command, *arguments, environment=environment)
        started.append(server)
        return server

    yield start
    for server in started:
        server.end()


@pytest.fixture(scope="session")
def built_project(tmp_path_factory):
    """The project of `nexus new`, built once."""
    folder = tmp_path_factory.mktemp("built")
    run_nexus("new", "my-app", "--lang=c", cwd=folder)
    run_nexus("build", cwd=folder / "my-app")
    return folder / "my-app"


@pytest.fixture
def project(built_project, tmp_path):
    """A copy of it, without data."""
    shutil.copytree(built_project, tmp_path / "my-app", ignore=shutil.ignore_patterns(".nexus"))
    return tmp_path / "my-app"

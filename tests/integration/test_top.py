"""nexus top, on a terminal that the test holds the other end of, and without one."""
import fcntl
import itertools
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time

import pytest

from conftest import NEXUS, TRAP, run_nexus


class Terminal:
    """A command on a pseudo-terminal, and what its screen shows."""

    def __init__(self, folder, *arguments, width=100, height=12):
        self.master, slave = pty.openpty()
        self.slave = slave  # held, so that its modes can be asked for at the end
        self.modes = termios.tcgetattr(slave)
        self.size(width, height)
        self.output = ""
        self.process = subprocess.Popen([NEXUS, *arguments], cwd=folder, stdin=slave, stdout=slave,
                                        stderr=subprocess.STDOUT, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
                                        env={**os.environ, "TERM": "xterm"})

    def size(self, width, height):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def press(self, keys):
        os.write(self.master, keys.encode())

    def read(self, seconds=0.05):
        while select.select([self.master], [], [], seconds)[0]:
            try:
                self.output += os.read(self.master, 65536).decode()
            except OSError:
                return

    def screen(self):
        """The lines of the last whole drawing."""
        drawings = re.findall(r"\x1b\[H((?:(?!\x1b\[H).)*)\x1b\[J", self.output, re.DOTALL)
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawings[-1]) if drawings else ""
        return re.split(r"\r+\n", plain)

    def wait_for(self, condition, seconds=20):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.read()
            if condition(self.screen()):
                return self.screen()
        raise AssertionError("\n".join(map(repr, self.screen())))

    def has_title(self, title):
        return lambda screen: any(title in line for line in screen)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminals():
    started = []

    def start(*arguments, **size):
        started.append(Terminal(*arguments, **size))
        return started[-1]

    yield start
    for terminal in started:
        terminal.end()


@pytest.fixture
def busy(project, servers):
    """A server with a function that works and one that fails, and events for both all the time."""
    config = (project / "nexus.yaml").read_text()
    (project / "nexus.yaml").write_text(
        config + "  - {name: broken, on: {event: {type: user.welcomed}}, code: broken.wasm,"
                 " retry: {max_attempts: 1}}\n")
    (project / "broken.wasm").write_bytes(TRAP)
    server = servers(project, "start")
    ended = threading.Event()

    def publish():
        for number in itertools.count():
            if ended.is_set():
                return
            try:
                server.publish("user.created", {"user_id": f"u{number}"})
            except (OSError, AssertionError):
                pass
            time.sleep(0.01)

    thread = threading.Thread(target=publish)
    thread.start()
    yield server
    ended.set()
    thread.join()


def row(screen, name):
    return next((line.split() for line in screen if line.startswith(name)), None)


def test_it_shows_what_every_function_does(busy, terminals):
    terminal = terminals(busy.folder, "top", "--interval", "0.3")
    screen = terminal.wait_for(lambda s: row(s, "broken") and row(s, "broken")[2] not in ("-", "0.0"))
    assert screen[0] == f"nexus top  my-app  {busy.url}"
    assert screen[1].startswith("events ") and screen[1].endswith("functions 2")
    assert screen[3].split() == ["FUNCTION", "STATE", "CALLS/S*", "FAIL/S", "P50", "P99", "FUEL", "MEMORY", "QUEUE",
                                 "RETRY", "DEAD"]
    assert float(row(screen, "broken")[3]) > 0 and row(screen, "user-welcome")[3] == "0.0"
    assert re.fullmatch(r"\d+us|[\d.]+ms", row(screen, "user-welcome")[5])
    assert screen[-1] == "q quit  s sort  r reverse  ? help" and len(screen) == 12
    terminal.press("q")
    assert terminal.process.wait(10) == 0
    terminal.read()
    assert terminal.output.startswith("\x1b[?1049h") and terminal.output.endswith("\x1b[?25h\x1b[?1049l")
    assert termios.tcgetattr(terminal.slave) == terminal.modes


def test_keys_sort_reverse_and_explain(busy, terminals):
    terminal = terminals(busy.folder, "top", "--interval", "0.3")
    terminal.wait_for(terminal.has_title("CALLS/S*"))
    terminal.press("n")
    screen = terminal.wait_for(terminal.has_title("FUNCTION*"))
    assert screen[4].startswith("broken") and screen[5].startswith("user-welcome")
    terminal.press("r")
    screen = terminal.wait_for(terminal.has_title("FUNCTION^"))
    assert screen[4].startswith("user-welcome")
    terminal.press("ss")
    terminal.wait_for(terminal.has_title("CALLS/S*"))
    terminal.press("S")
    terminal.wait_for(terminal.has_title("STATE*"))
    terminal.press("?")
    terminal.wait_for(terminal.has_title("sort by the next column"))
    terminal.press("?\x1b[B\x1b[6~")
    terminal.wait_for(terminal.has_title("STATE*"))
    terminal.press("\x03")
    assert terminal.process.wait(10) == 0
    assert termios.tcgetattr(terminal.slave) == terminal.modes


def test_it_fits_whatever_the_terminal_is_made(busy, terminals):
    terminal = terminals(busy.folder, "top", "--interval", "0.3")
    terminal.wait_for(terminal.has_title("CALLS/S*"))
    for width, height in ((45, 8), (20, 5), (200, 50), (1, 1)):
        terminal.size(width, height)
        screen = terminal.wait_for(lambda s, w=width, h=height: len(s) == h and max(map(len, s)) <= w)
        if width == 45:
            assert screen[3].split() == ["FUNCTION", "CALLS/S*", "FAIL/S", "P99", "QUEUE"]
        if width == 200:
            assert "RETRY" in screen[3]


def test_a_server_that_goes_is_waited_for(busy, servers, terminals):
    terminal = terminals(busy.folder, "top", "--interval", "0.3")
    terminal.wait_for(lambda s: row(s, "user-welcome"))
    busy.kill()
    screen = terminal.wait_for(terminal.has_title("waiting for the server: no server runs on .nexus"))
    assert row(screen, "user-welcome")
    again = servers(busy.folder, "start")
    screen = terminal.wait_for(terminal.has_title(again.url))
    terminal.wait_for(terminal.has_title("events "))
    terminal.press("q")
    assert terminal.process.wait(10) == 0


def test_without_a_terminal_it_is_plain_text(busy):
    done = run_nexus("top", "--once", "--interval", "0.5", "--sort", "function", cwd=busy.folder)
    assert "\x1b" not in done.stdout and done.stdout.count("\n") == 6
    assert [line.split()[0] for line in done.stdout.splitlines()[3:]] == ["FUNCTION", "broken", "user-welcome"]
    table = json.loads(run_nexus("top", "--once", "--interval", "0.5", "--output", "json", cwd=busy.folder).stdout)
    broken, = [f for f in table["functions"] if f["function"] == "broken"]
    assert 0.4 < table["seconds"] < 5 and broken["failures_per_s"] == broken["calls_per_s"] > 0
    assert broken["fuel"] >= 1 and broken["memory_bytes"] == 65536 and broken["p50_us"] <= broken["p99_us"]


def test_it_goes_on_until_it_is_ended(busy):
    process = subprocess.Popen([NEXUS, "top", "--output", "json", "--interval", "0.2"], cwd=busy.folder,
                               stdout=subprocess.PIPE, text=True)
    looks = [json.loads(process.stdout.readline()) for _ in range(3)]
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0 and len(looks) == 3


@pytest.mark.parametrize("arguments, status, told", [
    (["--once"], 1, "no server runs on .nexus"),
    (["--interval", "0"], 2, "from 0.1 to 3600"),
    (["--sort", "weight"], 2, "there is no column 'weight'"),
    (["--output", "xml"], 2, "xml"),
])
def test_wrong_use_is_told(project, arguments, status, told):
    assert told in run_nexus("top", *arguments, cwd=project, status=status).stderr

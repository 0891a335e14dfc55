"""How far a replay is: on a terminal as a bar, whoever runs it; for scripts nothing but the result."""
import os
import pty
import subprocess

import pytest

from conftest import NEXUS, run_nexus, spinning

EVENTS = 80


@pytest.fixture
def slow_project(tmp_path):
    """A project whose calls take a few milliseconds each."""
    (tmp_path / "spin.wasm").write_bytes(spinning(3_000_000))
    (tmp_path / "nexus.yaml").write_text(
        "version: v1\nfunctions:\n  - {name: spin, on: {event: {type: spin}}, code: spin.wasm}\n")
    return tmp_path


def on_terminal(*arguments, cwd):
    """What a person sees on standard error; the exit status."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([NEXUS, *arguments], cwd=cwd, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    seen = b""
    while True:
        try:
            seen += os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    return seen.decode(), process.wait(60)


def run_all(server):
    for i in range(EVENTS):
        server.publish("spin", {"n": i})
    server.wait_until_idle()


def test_a_range_shows_how_far_it_is_with_the_server_and_without(slow_project, servers):
    server = servers(slow_project, "start")
    run_all(server)
    assert server.get("/replay") == {"running": False, "done": 0, "total": 0, "waiting": 0}
    seen, status = on_terminal("replay", "--since", "1h", cwd=slow_project)
    assert status == 0 and "replaying [" in seen and f"/{EVENTS}" in seen, seen
    assert seen.endswith("\r\x1b[K")
    quiet = run_nexus("replay", "--since", "1h", cwd=slow_project)
    assert quiet.stderr == "" and quiet.stdout.startswith(f"OK {EVENTS} calls replayed in ")
    server.stop()
    seen, status = on_terminal("replay", "--since", "1h", cwd=slow_project)
    assert status == 0 and "replaying [" in seen, seen


def test_a_range_without_an_end_is_over_what_was_there_when_it_began(slow_project, servers):
    server = servers(slow_project, "start")
    run_all(server)
    # Each live replay writes a record that lies in the range too, if that had no end.
    done = run_nexus("replay", "--since", "1h", "--live", cwd=slow_project)
    assert done.stdout.startswith("OK ") and len(server.get("/invocations?limit=1000")["invocations"]) == 2 * EVENTS

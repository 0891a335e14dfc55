"""A recorded call replays to the same bytes: six guests, through the real server and the real command.

Each event fires all six functions. They are recorded beside a busy machine, in two runs of the server; then the module
cache is thrown away, so that every module is compiled anew, and everything is replayed in a new process, busy too.
NEXUS_FIDELITY_EVENTS sets the number of events: 300 by default, 10,000 at full size.
"""

import json
import os
import shutil
import subprocess
import threading

import conftest
import guests
import pytest

EVENTS = int(os.environ.get("NEXUS_FIDELITY_EVENTS", "300"))
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
    manifest = "version: v1\nfunctions:\n"
    for name, more in FUNCTIONS.items():
        shutil.copy(modules / f"{name}.wasm", tmp_path)
        manifest += f"""  - name: {name}
    on: {{event: {{type: fidelity.input}}}}
    runtime: wasi-preview1
    code: ./{name}.wasm{more}
"""
    (tmp_path / "nexus.yaml").write_text(manifest)
    return tmp_path


def publish(server, first, count):
    """Post `count` numbered events from CLIENTS connections, and wait until every function has handled them."""
    def post(numbers):
        for number in numbers:
            server.publish("fidelity.input", {"number": number, "text": "the quick brown fox" * (number % 7)})
            accepted.append(number)

    accepted = []
    numbers = list(range(first, first + count))
    clients = [threading.Thread(target=post, args=(numbers[i::CLIENTS],)) for i in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert len(accepted) == count
    server.wait_until_idle(600)


def replay(project, status, *arguments):
    done = conftest.run_nexus("replay", "--since", "1d", "--verify", "--output", "json", *arguments, cwd=project,
                              status=status, timeout=1200)
    return json.loads(done.stdout)


def test_every_recorded_call_replays_to_the_same_bytes(project, servers):
    half = EVENTS // 2
    with BusyMachine():
        for first, count in ((0, half), (half, EVENTS - half)):
            server = servers(project, "start")
            publish(server, first, count)
            assert server.stop() == 0
        for cached in (project / ".nexus" / "modules").glob("*.cwasm"):
            cached.unlink()
        report = replay(project, 0)
    expected = EVENTS * len(FUNCTIONS)
    assert report["total"] == expected
    assert report["counts"]["identical"] == expected


def test_outcomes_are_what_the_guests_are_for(project, servers):
    server = servers(project, "start")
    publish(server, 0, 1)
    outcomes = {name: [i["outcome"] for i in server.get(f"/invocations?function={name}")["invocations"]]
                for name in FUNCTIONS}
    assert server.stop() == 0
    assert outcomes.pop("loop") == ["deadline"]
    assert outcomes.pop("bomb") in (["trap"], ["memory-limit"])
    assert all(outcome == ["ok"] for outcome in outcomes.values()), outcomes
    assert replay(project, 1, "--function", "mixed", "--until", "23h")["total"] == 0, "nothing compared is no proof"

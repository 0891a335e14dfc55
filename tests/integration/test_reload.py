"""nexus dev goes on with new code while it runs: soon after a file was written, and without losing anything."""
import http.client
import json
import threading
import time

from conftest import TRAP, guest

GOOD = guest(bytes.fromhex("00"))  # no locals; returns


def project_of(folder, module):
    folder.mkdir()
    (folder / "nexus.yaml").write_text(
        "version: v1\nfunctions:\n"
        "  - {name: worker, on: {event: {type: work}}, code: worker.wasm, retry: {max_attempts: 1}}\n")
    (folder / "worker.wasm").write_bytes(module)
    return folder


def newest_outcome(server):
    server.wait_until_idle()
    return server.get("/invocations?order=desc&limit=1")["invocations"][0]["outcome"]


def test_the_event_after_a_write_runs_the_new_code(tmp_path, servers):
    folder = project_of(tmp_path / "p", GOOD)
    server = servers(folder, "dev")
    server.publish("work", {})
    assert newest_outcome(server) == "ok"
    for module, outcome in ((TRAP, "trap"), (GOOD, "ok"), (TRAP, "trap")):
        (folder / "worker.wasm").write_bytes(module)
        time.sleep(1)  # on a quiet machine a tenth of it is enough: make bench measures that
        server.publish("work", {})
        assert newest_outcome(server) == outcome


def test_a_module_that_is_written_in_pieces_is_taken_when_it_is_whole(tmp_path, servers):
    folder = project_of(tmp_path / "p", GOOD)
    server = servers(folder, "dev")
    with open(folder / "worker.wasm", "wb", buffering=0) as module:
        for at in range(0, len(TRAP), 8):
            module.write(TRAP[at:at + 8])
            time.sleep(0.005)
    server.wait_for_line_on_stderr("changed files are taken")
    server.publish("work", {})
    assert newest_outcome(server) == "trap"
    assert "the change is not taken" not in server.errors_path.read_text()


def test_nothing_is_lost_while_code_changes_under_load(tmp_path, servers):
    """Some 5,000 events a second in batches, and a new module ten times a second."""
    folder = project_of(tmp_path / "p", GOOD)
    server = servers(folder, "dev")
    ended = threading.Event()
    modules = [GOOD, guest(bytes.fromhex("00" "01")), guest(bytes.fromhex("00" "0101"))]  # nop, nop nop: all end well

    def write():
        number = 0
        while not ended.is_set():
            number += 1
            (folder / "new.wasm").write_bytes(modules[number % len(modules)])
            (folder / "new.wasm").rename(folder / "worker.wasm")
            time.sleep(0.1)

    writer = threading.Thread(target=write)
    writer.start()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    begun = time.monotonic()
    count = 0
    while time.monotonic() - begun < 4:
        batch = [{"specversion": "1.0", "id": f"{count + i}", "source": "/load", "type": "work", "data": {}}
                 for i in range(100)]
        connection.request("POST", "/events", json.dumps(batch),
                           {"content-type": "application/cloudevents-batch+json"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 202
        count += len(batch)
        time.sleep(max(0, begun + count / 5000 - time.monotonic()))
    ended.set()
    writer.join()
    server.wait_until_idle()
    function, = server.get("/functions")["functions"]
    assert (function["succeeded"], function["failed"], function["dead_letters"]) == (count, 0, 0)
    taken = server.errors_path.read_text().count("changed files are taken")
    assert taken >= 5 and count > 1000, (taken, count)

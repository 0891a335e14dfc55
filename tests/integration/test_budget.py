"""A disk budget that is full of what a function has still to handle: writing is refused by name, nothing of it is lost,
and once the function is mended it handles all of it and writing goes on."""
import http.client
import os
import time

from conftest import TRAP, spinning

SIZE = 600 * 1000  # bytes of an event, random: neither segments nor runs can make them smaller
EVENTS_MAX = 800  # more than the budget and all that may stand beside it


def manifest(folder, code):
    folder.mkdir(exist_ok=True)
    (folder / "nexus.yaml").write_text(
        "version: v1\ndisk_budget: 64MiB\nfunctions:\n"
        f"  - {{name: f, on: {{event: {{type: load}}}}, code: {code}, order: {{key: type}},"
        " retry: {max_attempts: 64, backoff: 2s, backoff_max: 2s}}\n")
    return folder


def post(server, connection, number):
    body = {"n": number, "filling": os.urandom(SIZE // 2).hex()}
    status, _, answer = server.request("POST", "/events/load", body, connection=connection)
    return status, answer


def fill(server):
    """Post until the function's name is in a refusal; how many were taken, and the last refusal."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    accepted = 0
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and accepted < EVENTS_MAX:
        status, answer = post(server, connection, accepted)
        if status == 202:
            accepted += 1
            continue
        assert status == 507 and answer["kind"] == "disk-budget-full", answer
        if "'f'" in answer["detail"]:
            return accepted, answer
        time.sleep(0.05)
    raise AssertionError(f"not refused in the function's name after {accepted} events")


def test_what_a_function_has_to_handle_fills_the_budget_and_nothing_of_it_is_lost(tmp_path, servers):
    folder = manifest(tmp_path / "p", "trap.wasm")
    (folder / "trap.wasm").write_bytes(TRAP)
    (folder / "good.wasm").write_bytes(spinning(1000))
    server = servers(folder, "start")
    accepted, answer = fill(server)
    assert answer["hint"], answer
    status, _, ready = server.request("GET", "/readyz")
    assert status == 503 and "'f'" in str(ready), ready
    for number in (1, accepted // 2, accepted):
        assert server.request("GET", f"/events/EVENTS:{number}")[0] == 200
    server.stop()

    manifest(folder, "good.wasm")
    server = servers(folder, "start")
    server.wait_until_idle(60)
    state = server.get("/functions")["functions"][0]
    assert state["succeeded"] == accepted and state["dead_letters"] == 0, state
    deadline = time.monotonic() + 60
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    while post(server, connection, 0)[0] != 202:
        assert time.monotonic() < deadline, server.request("GET", "/readyz")
        time.sleep(0.1)
    assert server.request("GET", "/readyz")[0] == 200

"""A disk that fails a sync or a write, and one that is full: what clients are told, and that nothing is lost."""

import concurrent.futures
import os
import subprocess
import threading
import time

import ledger
import pytest


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    return ledger.build_shim(tmp_path_factory.mktemp("shim"))


@pytest.mark.parametrize("fault", ["NX_SHIM_FAIL_SYNC_AT", "NX_SHIM_FAIL_WRITE_AT"])
def test_a_failed_sync_or_write_freezes_the_log_until_a_restart(fault, tmp_path, shim, servers):
    folder = ledger.make_project(tmp_path / "p")
    book = ledger.Ledger(1)
    server = servers(folder, "start", environment={"LD_PRELOAD": str(shim), "NX_SHIM_DIR": ".nexus",
                                                   "NX_SHIM_SEED": "3", fault: "60"})
    book.post_until_it_ends(server, 0, threading.Event())
    assert book.acknowledged, "some were acknowledged before the fault"
    status, headers, refusal = server.request("POST", "/events/ledger.input", {"n": 1})
    assert (status, refusal["kind"]) == (503, "log-frozen")
    assert headers["content-type"] == "application/problem+json" and "retry-after" not in headers, "it does not pass"
    status, _, ready = server.request("GET", "/readyz")
    assert status == 503, ready
    assert server.get(f"/events/{book.acknowledged[0]}")["id"] == book.acknowledged[0], "reads go on"
    assert server.request("GET", "/healthz")[0] == 200
    server.end()
    book.check(servers(folder, "start"))


def test_keys_that_cannot_be_written_stop_only_what_needs_them(tmp_path, shim, servers):
    """The disk refuses a person's key: /readyz and the log say what is refused, all other events are taken."""
    folder = ledger.make_project(tmp_path / "p")
    server = servers(folder, "start", environment={"LD_PRELOAD": str(shim), "NX_SHIM_DIR": ".nexus/keys",
                                                   "NX_SHIM_SEED": "3", "NX_SHIM_FAIL_SYNC_AT": "5"})
    assert server.get("/readyz") == {"status": "ready"}
    accepted = []
    for n in range(10):
        status, _, content = server.request("POST", "/events/a", {"n": n}, {"ce-personkey": f"person-{n}"})
        if status != 202:
            break
        accepted.append((n, content["event_id"]))
    assert accepted and (status, content["kind"]) == (503, "log-frozen")
    status, _, problem = server.request("GET", "/readyz")
    assert (status, problem["kind"]) == (503, "log-frozen")
    assert "a new person, or one whose erasure failed, are refused, and nobody can be forgotten" in problem["detail"]
    assert server.request("POST", "/erase", {"person": "person-0"})[0] == 503
    assert server.request("POST", "/events/a", {"n": 99})[0] == 202, "it names nobody"
    assert server.request("POST", "/events/a", {"n": 0}, {"ce-personkey": "person-0"})[0] == 202, "their key is known"
    server.wait_for_line_on_stderr("keys of people can be neither made nor destroyed")
    assert "nothing can be written" not in server.errors_path.read_text()
    server.end()
    server = servers(folder, "start")
    assert server.get("/readyz") == {"status": "ready"}
    for n, event in accepted:
        assert server.get(f"/events/{event}")["data"] == {"n": n}
    assert server.request("POST", "/erase", {"person": "person-0"})[0] == 200


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 200 MiB; one segment of the log takes 64, and a restart begins another."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", folder], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"cannot mount a small disk: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_refuses_and_recovers_by_itself(small_disk, servers):
    folder = ledger.make_project(small_disk / "p")
    ballast = small_disk / "ballast"
    server = servers(folder, "start")
    first = server.publish("ledger.input", {"n": 0})
    free = os.statvfs(small_disk)
    ballast.write_bytes(b"\0" * max(0, free.f_bavail * free.f_frsize - 4096))
    accepted, status = [first], 202
    while status == 202:
        status, _, content = server.request("POST", "/events/ledger.input", {"fill": "x" * 900_000})
        if status == 202:
            accepted.append(content["event_id"])
    assert (status, content["kind"]) == (507, "disk-full")
    assert "free some space" in content["hint"]
    assert server.request("GET", "/readyz")[0] == 503
    assert server.get(f"/events/{accepted[-1]}")["id"] == accepted[-1], "reads go on"
    ballast.unlink()
    deadline = time.monotonic() + 30
    while server.request("POST", "/events/ledger.input", {"n": 2})[0] != 202:
        assert time.monotonic() < deadline, "there is room again"
        time.sleep(0.1)
    for event in accepted:
        assert server.get(f"/events/{event}")["id"] == event


def post_until_refused(server, size):
    accepted = []
    while True:
        status, _, content = server.request("POST", "/events/ledger.input", {"fill": "x" * size})
        if status != 202:
            assert (status, content["kind"]) == (507, "disk-full")
            return accepted
        accepted.append(content["event_id"])


def fill(server, folder):
    """Leave no room on the disk: what was still accepted. At last by many at once, so that the function is behind."""
    free = os.statvfs(folder)
    (folder / "ballast").write_bytes(b"\0" * max(0, free.f_bavail * free.f_frsize - 4096))
    accepted = []
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for size in (900_000, 20_000, 1_000, 10):
            for part in pool.map(lambda _, size=size: post_until_refused(server, size), range(8)):
                accepted += part
    return accepted


def test_a_full_disk_does_not_keep_a_server_from_ending(small_disk, servers):
    folder = ledger.make_project(small_disk / "p")
    server = servers(folder, "start")
    accepted = fill(server, small_disk)
    begun = time.monotonic()
    status = server.stop(30)
    assert time.monotonic() - begun < 15, "one signal ends it in bounded time"
    said = (folder / "server.log").read_text()
    if status != 0:  # as it is nearly always: the function was behind, and what it did last is not written
        assert status == 1 and "what 1 function did last could not be written ('ledger')" in said, said
        assert "handled at the next start" in said
    (small_disk / "ballast").unlink()
    server = servers(folder, "start")
    server.wait_until_idle()
    entries = [item["event"]["data"]["id"] for item in server.all_items("/events?type=ledger.entry", "events")]
    assert sorted(entries) == sorted(accepted), "every event is handled, once"
    assert server.stop() == 0

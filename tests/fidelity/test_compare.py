"""nexus replay --on: other code on recorded calls. The same code differs nowhere; each of 35 changes of behaviour is
found, and told by its shape.

NEXUS_COMPARE_EVENTS sets the number of events: 200 by default, 100,000 at full size (the same code only).
"""
import concurrent.futures
import json
import os
import pathlib
import subprocess

import pytest

from conftest import ROOT, run_nexus

EVENTS = int(os.environ.get("NEXUS_COMPARE_EVENTS", "200"))
SOURCE = pathlib.Path(__file__).resolve().parent / "guests" / "changes.c"
C = ["clang-19", "--target=wasm32-wasi", "-O2", "-s", "-w", f"-I{ROOT / 'guest' / 'c'}", "-Wl,-z,stack-size=65536"]
MANIFEST = """version: v1
functions:
  - name: changes
    on: {event: {type: change.input}}
    code: change-0.wasm
    memory: 16Mi
    retry: {max_attempts: 1}
    max_concurrency: 1
"""
CHANGES = {  # change: (what it is, the shapes that must be told of it)
    1: ("fails on odd numbers", {"outcome"}),
    2: ("aborts on one", {"outcome"}),
    3: ("exits always", {"outcome"}),
    4: ("refuses no fives", {"outcome", "output"}),
    5: ("another exit code", {"outcome"}),
    6: ("prints its first part earlier: the same output", set()),
    7: ("reads its keys in another order", {"output", "questions"}),
    8: ("reads the clock once more, at first", {"output", "questions"}),
    9: ("does not read the clock", {"output", "questions"}),
    10: ("reads one more key", {"questions"}),
    11: ("does not wait", {"questions"}),
    12: ("waits longer", {"questions"}),
    13: ("waits twice", {"questions"}),
    14: ("takes more random bytes", {"output"}),
    15: ("slower loop", {"fuel"}),
    16: ("faster loop", {"fuel"}),
    17: ("more memory", {"memory"}),
    18: ("drops a log line", {"log"}),
    19: ("logs at another level", {"log"}),
    20: ("logs another text", {"log"}),
    21: ("logs more", {"log"}),
    22: ("logs fields", {"log"}),
    23: ("publishes other data", {"effects"}),
    24: ("does not publish", {"effects"}),
    25: ("publishes another type", {"effects"}),
    26: ("publishes twice", {"effects"}),
    27: ("does not write a key", {"effects"}),
    28: ("writes another value", {"effects"}),
    29: ("writes another key", {"effects"}),
    30: ("deletes a key", {"effects"}),
    31: ("writes one more key", {"effects"}),
    32: ("never ends, once", {"outcome"}),
    33: ("wants too much memory, once", {"outcome"}),
    34: ("prints a space more", {"output"}),
    35: ("prints a member more", {"output"}),
}


def build(folder, change):
    subprocess.run([*C, f"-DCHANGE={change}", str(SOURCE), "-o", str(folder / f"change-{change}.wasm")], check=True,
                   timeout=120)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A project whose function has handled EVENTS events; its server is down."""
    from conftest import Server

    folder = tmp_path_factory.mktemp("compare")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda change: build(folder, change), [0, *CHANGES]))
    (folder / "nexus.yaml").write_text(MANIFEST)
    server = Server(folder, "start")
    try:
        import http.client
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        for number in range(EVENTS):
            server.publish("change.input", {"n": number}, connection=connection)
        server.wait_until_idle(600)
    finally:
        assert server.stop() == 0
    return folder


def compare(folder, *arguments, status):
    done = run_nexus("replay", *arguments, "--output", "json", cwd=folder, status=status, timeout=900)
    return json.loads(done.stdout)


def test_the_same_code_differs_nowhere(recorded):
    for policy in ("stub", "fail", "read-only", "live"):
        report = compare(recorded, "--function", "changes", "--on", "change-0.wasm", "--policy", policy, status=0)
        assert report["counts"]["identical"] == report["total"] == EVENTS
        assert "shapes" not in report


def test_the_recorded_module_can_be_named_by_its_digest(recorded):
    done = run_nexus("journal", "dump", "--stream", "FUNCTIONS", cwd=recorded)
    digest = next(line for line in done.stdout.split('"') if len(line) == 64 and set(line) <= set("0123456789abcdef"))
    report = compare(recorded, "EVENTS:1", "--on", digest, status=0)
    assert report["counts"]["identical"] == 1


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: f"{change}-{CHANGES[change][0]}")
def test_each_change_is_found(recorded, change):
    shapes = CHANGES[change][1]
    report = compare(recorded, "--function", "changes", "--since", "1h", "--on", f"change-{change}.wasm",
                     status=1 if shapes else 0)
    found = set(report.get("shapes", {}))
    assert shapes <= found, (found, report.get("shapes"))
    if not shapes:
        assert found == set()
    for shape in found:
        assert report["shapes"][shape]["count"] > 0
        assert report["shapes"][shape]["difference"]["what"]


def test_fail_ends_a_call_where_the_record_has_no_answer(recorded):
    report = compare(recorded, "--function", "changes", "--on", "change-10.wasm", "--policy", "fail", status=1)
    assert "outcome" in report["shapes"]
    assert "reads a key that was not read" in json.dumps(report["shapes"]["outcome"])


def test_one_call_shows_what_the_other_code_says(recorded):
    done = run_nexus("replay", "EVENTS:1", "--on", "change-35.wasm", cwd=recorded, status=1)
    assert '"new":true' in done.stdout
    assert "output     1 call differs, first INVOCATIONS:1 of EVENTS:1: output, byte " in done.stdout
    assert done.stdout.splitlines()[-1].startswith("FAIL 1 call compared with change-35.wasm in ")


@pytest.mark.parametrize("arguments, message", [
    (["--since", "1h", "--on", "change-1.wasm"], "which function is that code of?"),
    (["EVENTS:1", "--policy", "fail"], "--policy says how to compare"),
    (["EVENTS:1", "--on", "x.wasm", "--live"], "--on has no effects"),
    (["EVENTS:1", "--on", "x.wasm", "--policy", "real"], "--policy is stub, fail, read-only or live, not 'real'"),
    (["EVENTS:1", "--against", "x.wasm"], "--against says what --on MODULE is compared with"),
])
def test_wrong_use_is_told(recorded, arguments, message):
    done = run_nexus("replay", *arguments, cwd=recorded, status=2)
    assert message in done.stderr


def test_code_that_is_not_there_is_told(recorded):
    done = run_nexus("replay", "EVENTS:1", "--on", "missing.wasm", cwd=recorded, status=1)
    assert "there is no missing.wasm, and no module of this digest ran here" in done.stderr


def test_it_works_beside_the_running_server(recorded, servers):
    server = servers(recorded, "start")
    report = compare(recorded, "--function", "changes", "--on", "change-35.wasm", status=1)
    assert report["shapes"]["output"]["count"] > 0
    assert server.stop() == 0

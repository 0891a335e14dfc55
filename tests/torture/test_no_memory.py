"""No allocation that fails may crash anything: each unit test program is run with its Nth allocation failing, for every N.

A unit test may then fail (it asserted success): it ends the process there and then, since cmocka would otherwise jump
out of it and leave half of its world behind. But nothing may read or write where it must not, and no assertion of ours
may fail, those of the simulated world aside, which is a test's own machinery. NEXUS_TORTURE_LIMIT
is the number of N tried for a program, spread evenly (0: every one); NEXUS_JOBS of them run beside each other.
"""

import concurrent.futures
import os
import pathlib
import re
import resource
import signal
import subprocess

import pytest

BUILD = pathlib.Path(os.environ.get("NEXUS_BUILD", "build/release"))
LIMIT = int(os.environ.get("NEXUS_TORTURE_LIMIT", "40"))
JOBS = int(os.environ.get("NEXUS_JOBS", os.cpu_count() or 1))
CRASH = re.compile(r"Segmentation fault|Bus error|Illegal instruction|free\(\)|corrupt|"
                   r"this must hold and does not: (?!.*/io/sim).*")
TEST_FAILED = re.compile(r"error: Failure!|this must hold and does not: .*/io/sim")
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # aborting is ordinary here
PROGRAMS = [p for p in sorted((BUILD / "src").glob("**/*_test")) if p.is_file() and not p.name.startswith("sandbox_")]
ENDLESS_S = 60


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    library = tmp_path_factory.mktemp("torture") / "failing_malloc.so"
    source = pathlib.Path(__file__).with_name("failing_malloc.c")
    subprocess.run(["gcc", "-D_GNU_SOURCE", "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


def run(program, shim, at):
    """(what it printed, how often it allocated or None when it did not end by itself)"""
    env = {**os.environ, "LD_PRELOAD": str(shim), "NX_FAIL_ALLOCATION": str(at), "CMOCKA_TEST_ABORT": "1",
           "NEXUS_SCHEMA": str(pathlib.Path("spec/nexus.schema.json").resolve())}
    done = subprocess.run([program], env=env, capture_output=True, text=True, errors="replace", timeout=ENDLESS_S)
    counted = re.search(r"^allocations: (\d+)$", done.stderr, re.MULTILINE)
    output = done.stdout + done.stderr
    found = CRASH.search(output)
    assert found is None, f"allocation {at}: {found.group(0)}\n{output[-3000:]}"
    ended = done.returncode >= 0 or (done.returncode == -signal.SIGABRT and TEST_FAILED.search(output))
    assert ended, f"allocation {at}: ended by signal {-done.returncode}\n{output[-3000:]}"
    return int(counted.group(1)) if counted else None


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)
def test_survives_each_allocation_failing(program, shim):
    total = run(program, shim, 0)
    assert total is not None
    step = 1 if LIMIT == 0 else max(1, total // LIMIT)
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        list(pool.map(lambda at: run(program, shim, at), range(1, total + 1, step)))

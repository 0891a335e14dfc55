"""The tests of nats.py, the official Python client of NATS, pass against `nexus nats-server` as they do against the real
nats-server. `tools/setup conformance` fetches both.

The tests are those of nats.py's source distribution; the servers and certificates that they ask for come from
nats_py/utils.py. ../expected.txt names what does not pass on Nexus, and why.
"""
import concurrent.futures
import contextlib
import functools
import os
import pathlib
import re
import shutil
import signal
import subprocess
import xml.etree.ElementTree

import pytest

from conftest import NEXUS, ROOT
from certificates import make_certificates

HERE = pathlib.Path(__file__).resolve().parent
DEPS = ROOT / "build" / "deps" / "nats"
SOURCE = DEPS / "nats-py"
WITHOUT_A_SERVER = {"test_nuid.py"}  # only the client's own arithmetic, much of it
COUNT = 224  # tests that there are: one that is not collected is not one that passes
SHARES = 3  # of them, run beside each other: they wait more than they work
AGAIN_MAX = 10  # of them that are tried again
TRIES = 3
LIMIT_S = 20 * 60


def expected():
    """{beginning of a test's id: the feature that it needs, or "passes"} of expected.txt."""
    lines = [line for line in (HERE.parent / "expected.txt").read_text().splitlines() if line and not line.startswith("#")]
    return dict(re.fullmatch(r"(\S+): (.+)", line).groups() for line in lines)


def reason(test, exceptions):
    """The feature that keeps a test from passing: of the longest line that it begins with; None if it must pass."""
    parts = test.split("::")
    for count in range(len(parts), 0, -1):
        feature = exceptions.get("::".join(parts[:count]))
        if feature:
            return None if feature == "passes" else feature
    return None


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


class Suite:
    """The tests in a folder, to be run against one program."""

    def __init__(self, folder, program, certificates):
        self.folder = folder
        tests = folder / "tests"
        tests.mkdir(parents=True)
        for file in [*(SOURCE / "tests").glob("test_*.py"), HERE / "nats_py" / "utils.py"]:
            if file.name not in WITHOUT_A_SERVER:
                shutil.copy(file, tests)
        (tests / "__init__.py").touch()
        for file in ("README.md", "pyproject.toml"):  # which tests store
            shutil.copy(SOURCE / file, folder)
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60, check=True).stdout
        self.environment = {**os.environ, "NATS_SERVER": str(program), "CERTIFICATES": str(certificates),
                            "NATS_SERVER_VERSION": re.search(r"v\d+\.\d+\.\d+", said)[0],
                            "PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": "1"}

    def pytest(self, *arguments):
        """What pytest printed. Whatever it started has ended."""
        command = ["/usr/bin/python3", "-m", "pytest", "-q", "--tb=native", "-p", "no:cacheprovider", *arguments]
        with subprocess.Popen(command, cwd=self.folder, env=self.environment, start_new_session=True, text=True,
                              errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            try:
                return process.communicate(timeout=LIMIT_S)[0]
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def collect(self):
        return re.findall(r"^tests/(\S+::\S+)$", self.pytest("--collect-only", "tests"), re.M)

    def run(self, name, tests):
        """{test: "passed" or what else it came to}."""
        report = self.folder / f"{name}.xml"
        output = self.pytest(f"--junitxml={report}", *(f"tests/{test}" for test in tests))
        (self.folder / f"{name}.txt").write_text(output)
        results = {}
        for case in xml.etree.ElementTree.parse(report).iter("testcase"):
            module, _, group = case.get("classname").removeprefix("tests.").partition(".")
            test = "::".join(part for part in (f"{module}.py", group, case.get("name")) if part)
            results[test] = "passed" if len(case) == 0 else " ".join(
                (case[0].get("message") or case[0].tag).split())[:200]
        return results

    def start(self, pool, tests):
        """Run these tests; the results when they are called for."""
        runs = [pool.submit(self.run, f"share-{share}", tests[share::SHARES]) for share in range(SHARES)]
        return lambda: functools.reduce(lambda found, run: {**found, **run.result()}, runs, {})

    def try_again(self, results, tests):
        """These tests wait for fixed times, one of them for 10 ms, too short on a machine that is busy: each alone."""
        for test in tests[:AGAIN_MAX]:
            for _ in range(TRIES):
                if results.get(test) != "passed":
                    results.update(self.run("again", [test]))


@pytest.fixture(scope="module")
def results(tmp_path_factory, certificates):
    """({test: result} on Nexus, of all; {test: result} on the real server, of those that are no exceptions)."""
    folder = tmp_path_factory.mktemp("nats-py")
    link = folder / "nats-server"
    link.symlink_to(pathlib.Path(NEXUS).resolve())
    nexus = Suite(folder / "nexus", link, certificates)
    real = Suite(folder / "real", DEPS / "nats-server", certificates)
    exceptions = expected()
    tests = nexus.collect()
    passing = [test for test in tests if not reason(test, exceptions)]
    with concurrent.futures.ThreadPoolExecutor(2 * SHARES) as pool:
        on_nexus, on_real = nexus.start(pool, tests), real.start(pool, passing)
        on_nexus, on_real = on_nexus(), on_real()
    for suite, found in ((nexus, on_nexus), (real, on_real)):
        suite.try_again(found, [test for test in passing if found.get(test) != "passed"])
    return on_nexus, on_real


def test_all_of_them_are_run(results):
    assert len(results[0]) == COUNT


def test_each_passes_or_is_an_exception(results):
    on_nexus, on_real = results
    exceptions = expected()
    failed = {test: f"{result} (nats-server: {on_real.get(test)})" for test, result in on_nexus.items()
              if result != "passed" and not reason(test, exceptions)}
    assert failed == {}


def test_no_exception_passes(results):
    exceptions = expected()
    assert [test for test, result in results[0].items() if result == "passed" and reason(test, exceptions)] == []


def test_every_line_of_the_list_is_about_a_test(results):
    assert [line for line in expected() if not any(f"{test}::".startswith(f"{line}::") for test in results[0])] == []


def test_what_passes_here_passes_on_the_real_server(results):
    """Else it says nothing about Nexus."""
    on_nexus, on_real = results
    exceptions = expected()
    assert {test: on_real.get(test) for test, result in on_nexus.items()
            if not reason(test, exceptions) and on_real.get(test) != "passed"} == {}

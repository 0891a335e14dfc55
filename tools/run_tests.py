#!/usr/bin/env python3
"""Run the tests and sum them up: the last line is "N passed, N failed, N skipped", alone.

    tools/run_tests.py [--quick] [--binary PATH] [--jobs CORES] [PART ...]

Parts, in the order they run:
  checkers     tools/*_test.py: each checker catches what it is there for
  unit         Meson's tests under the address and undefined sanitizers, fuzz corpora replayed among them
  slow         Meson's tests of suite "slow", in the release build
  integration, conformance, crash, simulation, ...
               the pytest suites in tests/<part>, against --binary (default: the release build); the files of a
               suite run beside each other. <part>/<file> without its ending is one file of a suite
  conformance/nats
               part of make conformance, and not run where no part is named: it needs more of tools/setup

--quick is for the pre-commit hook: checkers and unit tests of a developer build, without sanitizers.
Results are read from JUnit files, never from printed text. Every skip is listed by name; with CI=true in the
environment a skip is a failure unless tests/skips.txt names it and gives the reason.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = pathlib.Path(os.environ.get("NEXUS_RESULTS", ROOT / "build" / "results"))
PYTEST_FIRST = ["integration", "conformance", "crash", "simulation"]
NOT_SUITES = {"load", "torture"}  # part of make bench, of make nightly
PART_LIMIT_S = int(os.environ.get("NEXUS_PART_LIMIT_S", 25 * 60))
TEST_LIMIT_S = PART_LIMIT_S - 60


class Tally:
    """What was passed, failed and skipped, each by name."""

    def __init__(self):
        self.passed, self.failed, self.skipped = [], [], []

    def add_junit(self, part, path):
        """Add the results of one JUnit file; False when there is none that can be read."""
        try:
            tree = xml.etree.ElementTree.parse(path)
        except (OSError, xml.etree.ElementTree.ParseError):
            return False
        for case in tree.iter("testcase"):
            group = (case.get("classname") or "").removeprefix("nexus.").removeprefix(f"tests.{part.replace('/', '.')}.")
            title = re.sub(r"^\d+ - ", "", case.get("name") or "")  # TAP numbers its tests
            name = "/".join(x for x in [part, group, title] if x)
            skip = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None:
                self.failed.append(name)
            elif skip is not None:
                self.skipped.append((name, skip.get("message") or (skip.text or "").strip()))
            else:
                self.passed.append(name)
        return True

    def count(self):
        return len(self.passed), len(self.failed), len(self.skipped)


def allowed_skips(path):
    """{name: reason} of tests/skips.txt."""
    allowed = {}
    if path.exists():
        for line in path.read_text().splitlines():
            name, separator, reason = line.partition(": ")
            if separator and not line.startswith("#") and reason.strip():
                allowed[name.strip()] = reason.strip()
    return allowed


def environment(binary):
    env = dict(os.environ)
    env["NEXUS_BINARY"] = str(binary)
    env["NEXUS_BUILD"] = str(binary.parent.parent.parent)
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    env["PATH"] = f"{ROOT / 'build/deps/tools'}:{env.get('PATH', '')}:/usr/sbin"
    env.setdefault("ASAN_OPTIONS", "detect_stack_use_after_return=1:strict_string_checks=1")
    env.setdefault("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1")
    env.setdefault("TSAN_OPTIONS", "halt_on_error=1:second_deadlock_stack=1:report_signal_unsafe=0:"
                   f"suppressions={ROOT / 'tools/tsan.supp'}")
    return env


def run(command, env):
    """The exit status; 124 when it ran past its limit."""
    try:
        return subprocess.run(command, cwd=ROOT, env=env, timeout=PART_LIMIT_S, check=False).returncode
    except subprocess.TimeoutExpired:
        print(f"  stopped after {PART_LIMIT_S} s")
        return 124


def run_meson(part, folder, selection, env, tally):
    """Meson's tests in a build folder."""
    if not (ROOT / folder / "build.ninja").exists():
        print(f"  {folder} is not there; run: make test")
        tally.failed.append(f"{part}/build")
        return
    report = ROOT / folder / "meson-logs" / "testlog.junit.xml"
    report.unlink(missing_ok=True)
    status = run(["meson", "test", "-C", folder, "--print-errorlogs", *selection], env)
    before = len(tally.failed)
    # Nothing to run is no failure: Meson then writes no report.
    if not tally.add_junit(part, report) and status != 0:
        tally.failed.append(f"{part}/meson (status {status})")
    elif status != 0 and len(tally.failed) == before:
        tally.failed.append(f"{part}/meson (status {status})")


def test_files(path):
    """The test files of a folder, the largest first: the longest should not begin last. A file is itself."""
    found = path.glob("test_*.py") if path.is_dir() else [path]
    return sorted(found, key=lambda file: (-file.stat().st_size, file))


def run_pytest_file(part, path, env):
    """Run one file: (status, where its report is, what it printed)."""
    report = RESULTS / f"{part.replace('/', '-')}-{path.stem}.xml"
    report.unlink(missing_ok=True)
    folder = tempfile.mkdtemp(prefix="nexus-test-")  # data directories, gigabytes of them at full size
    command = ["/usr/bin/python3", "-m", "pytest", "-q", "-ra", "--color=no", "-p", "no:cacheprovider",
               f"--timeout={TEST_LIMIT_S}", f"--junitxml={report}", f"--basetemp={folder}/pytest", str(path)]
    try:
        done = subprocess.run(command, cwd=ROOT, env=env, timeout=PART_LIMIT_S, check=False, text=True,
                              errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except subprocess.TimeoutExpired:
        return 124, report, f"  stopped after {PART_LIMIT_S} s\n"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return done.returncode, report, done.stdout


def run_pytest(part, paths, env, tally, jobs):
    """A pytest suite, `jobs` files at a time. Status 5 is pytest's for "there is no test"."""
    files = [file for path in paths for file in test_files(path)]
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for file, (status, report, output) in zip(files, pool.map(lambda f: run_pytest_file(part, f, env), files)):
            print(output, end="", flush=True)
            before = len(tally.failed)
            read = tally.add_junit(part, report)
            if status not in (0, 5) and (not read or len(tally.failed) == before):
                tally.failed.append(f"{part}/{file.stem}/pytest (status {status})")


def all_parts():
    suites = [p.name for p in (ROOT / "tests").iterdir() if p.is_dir() and any(p.glob("test_*.py"))]
    suites = [s for s in suites if s not in NOT_SUITES]
    ordered = [s for s in PYTEST_FIRST if s in suites] + sorted(set(suites) - set(PYTEST_FIRST))
    return ["checkers", "unit", "slow", *ordered]


def run_part(part, arguments, tally):
    env = environment(ROOT / arguments.binary)
    folder = ROOT / "tests" / part
    if part == "checkers":
        run_pytest(part, sorted((ROOT / "tools").glob("*_test.py")), env, tally, arguments.jobs)
    elif part == "unit" and arguments.quick:
        run_meson(part, "build/dev", ["--no-suite", "slow", "--quiet"], env, tally)
    elif part == "unit":
        run_meson(part, arguments.unit_build, ["--no-suite", "slow"], env, tally)
    elif part == "slow":
        run_meson(part, "build/release", ["--suite", "slow"], env, tally)
    elif folder.is_dir():
        run_pytest(part, [folder], env, tally, arguments.jobs)
    elif folder.with_suffix(".py").is_file():
        run_pytest(folder.parent.name, [folder.with_suffix(".py")], env, tally, arguments.jobs)
    else:
        print("  no such part")
        tally.failed.append(f"{part}/no such part")


def summary(tally, strict):
    """Print every failure and skip by name, then the counts; the exit status."""
    allowed = allowed_skips(ROOT / "tests" / "skips.txt")
    for name, reason in tally.skipped:
        known = name in allowed
        print(f"skipped: {name}: {reason}{'' if known else ' [not in tests/skips.txt]'}")
        if strict and not known:
            tally.failed.append(f"{name} (skipped without leave)")
    for name in tally.failed:
        print(f"FAILED: {name}")
    passed, failed, skipped = tally.count()
    if passed == 0 and failed == 0:
        print("FAILED: no test was run")
        failed = 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="checkers and unit tests, without sanitizers")
    parser.add_argument("--binary", default="build/release/src/app/nexus", help="what the pytest suites drive")
    parser.add_argument("--unit-build", default="build/asan", help="the build folder of the unit tests")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="test files beside each other")
    parser.add_argument("parts", nargs="*", metavar="PART")
    arguments = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    tally = Tally()
    for part in arguments.parts or (["checkers", "unit"] if arguments.quick else all_parts()):
        started, before = time.monotonic(), tally.count()
        print(f"== {part}", flush=True)
        run_part(part, arguments, tally)
        passed, failed, skipped = (b - a for a, b in zip(before, tally.count()))
        took = time.monotonic() - started
        print(f"== {part}: {passed} passed, {failed} failed, {skipped} skipped in {took:.1f} s", flush=True)
    sys.exit(summary(tally, os.environ.get("CI") == "true"))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""The long tests, at full size, within a number of hours; what finished on this very code is kept.

    tools/nightly.py [--hours 8] [--only PART,...] [--list]

Results are in build/nightly/<part>.json: the tree they belong to, the time, the counts, the last lines. A part that has
already passed on the same tree is not run again; one that failed or was cut off is. The summary at the end lists every
part and is all that is printed last; exit status 0 only when each chosen part has passed.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
STATE = ROOT / "build" / "nightly"
TEST = ["/usr/bin/python3", "tools/run_tests.py"]
TAIL_LINES = 15


class Part:
    """A command, its environment, and what must be built before it (targets of the Makefile)."""

    def __init__(self, name, about, command, needs=("release",), **env):
        self.name, self.about, self.command, self.needs, self.env = name, about, command, needs, env


def meson_test(folder, *arguments):
    return ["meson", "test", "-C", f"build/{folder}", "--print-errorlogs", "--timeout-multiplier", "10", *arguments]


PARTS = [
    Part("tests", "everything of make test", TEST, needs=("release", "asan")),
    Part("tsan", "unit tests under the thread sanitizer", meson_test("tsan"), needs=("tsan",),
         TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1"),
    Part("crash", "kill and power-cut loops, 1,000 seeds", TEST + ["crash"], NEXUS_CRASH_SEEDS="1000",
         NEXUS_KILL_ROUNDS="200"),
    Part("simulation", "the simulated world, 1,000 seeds",
         ["/bin/sh", "-ec", "for world in build/release/tests/simulation/*_sim; do $world --seed 1 --count 1000; done"]),
    Part("fidelity", "10,000 calls of each guest recorded and replayed", TEST + ["fidelity"],
         NEXUS_FIDELITY_EVENTS="10000"),
    Part("torture", "every allocation of every unit test made to fail", TEST + ["torture"],
         NEXUS_TORTURE_LIMIT="0"),
    Part("fuzz", "each fuzzer for ten minutes", ["/usr/bin/python3", "tools/fuzz.py", "--seconds", "600"],
         needs=("fuzz-build",)),
    Part("analyzer", "gcc -fanalyzer over every source", ["/usr/bin/python3", "tools/analyze.py", "gcc"]),
    Part("cppcheck", "cppcheck over every source", ["/usr/bin/python3", "tools/analyze.py", "cppcheck"]),
    Part("clang-tidy", "clang-tidy over every source", ["/usr/bin/python3", "tools/analyze.py", "clang-tidy"]),
    Part("coverage", "floors of branch coverage by layer", ["/usr/bin/python3", "tools/analyze.py", "coverage"],
         needs=("coverage",)),
]


def tree_id():
    """A digest of the working tree as it is, new files and changes included."""
    env = {**os.environ, "GIT_INDEX_FILE": str(STATE / "index")}
    subprocess.run(["git", "read-tree", "HEAD"], cwd=ROOT, env=env, check=True)
    subprocess.run(["git", "add", "--all"], cwd=ROOT, env=env, check=True)
    return subprocess.run(["git", "write-tree"], cwd=ROOT, env=env, check=True, capture_output=True,
                          text=True).stdout.strip()


def load(name):
    try:
        return json.loads((STATE / f"{name}.json").read_text())
    except (OSError, ValueError):
        return None


def save(name, result):
    beside = STATE / f"{name}.json.new"
    beside.write_text(json.dumps(result, indent=1))
    beside.replace(STATE / f"{name}.json")


def run_part(part, tree, limit_s):
    """Run one part and keep its result; True when it passed."""
    started = time.time()
    log = STATE / f"{part.name}.log"
    print(f"== {part.name}: {part.about}", flush=True)
    with open(log, "wb") as output:
        try:
            subprocess.run(["make", "--no-print-directory", *part.needs], cwd=ROOT, stdout=output, stderr=output,
                           check=True, timeout=limit_s)
            status = subprocess.run(part.command, cwd=ROOT, env={**os.environ, "NEXUS_PART_LIMIT_S": str(int(limit_s)), **part.env}, stdout=output,
                                    stderr=output, check=False, timeout=limit_s).returncode
        except subprocess.TimeoutExpired:
            status = "cut off"
        except subprocess.CalledProcessError:
            status = "not built"
    text = log.read_text(errors="replace")
    counts = re.findall(r"^\d+ passed, \d+ failed, \d+ skipped$", text, re.MULTILINE)
    result = {"tree": tree, "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
              "seconds": round(time.time() - started), "status": status, "counts": counts[-1] if counts else "",
              "seeds": part.env, "tail": text.splitlines()[-TAIL_LINES:]}
    save(part.name, result)
    return status == 0


def line(part, result, tree):
    if result is None:
        return f"{part.name:<12} not run"
    verdict = "passed" if result["status"] == 0 else f"FAILED ({result['status']})"
    stale = "" if result["tree"] == tree else ", on other code"
    return f"{part.name:<12} {verdict}{stale}  {result['seconds']} s  {result['when']}  {result['counts']}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=8)
    parser.add_argument("--only", default="", help="parts, separated by commas")
    parser.add_argument("--list", action="store_true", help="print the parts and what is known of them")
    arguments = parser.parse_args()
    names = [name for name in arguments.only.split(",") if name]
    unknown = set(names) - {part.name for part in PARTS}
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are: {', '.join(p.name for p in PARTS)}")
    chosen = [part for part in PARTS if not names or part.name in names]
    STATE.mkdir(parents=True, exist_ok=True)
    tree = tree_id()
    ends = time.monotonic() + arguments.hours * 3600
    for part in [] if arguments.list else chosen:
        known = load(part.name)
        left = ends - time.monotonic()
        if left <= 0:
            break
        if known is None or known["tree"] != tree or known["status"] != 0:
            run_part(part, tree, left)
    results = [(part, load(part.name)) for part in chosen]
    for part, result in results:
        print(line(part, result, tree))
    good = all(r is not None and r["status"] == 0 and r["tree"] == tree for _, r in results)
    sys.exit(0 if good or arguments.list else 1)


if __name__ == "__main__":
    main()

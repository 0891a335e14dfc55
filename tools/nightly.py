#!/usr/bin/env python3
"""The long tests, at full size, within a number of hours; what finished on this very code is kept.

    tools/nightly.py [--hours 8] [--only PART,...] [--scale 1] [--jobs CORES] [--record] [--list]

A part is one or several commands, which run beside each other, as many as there are cores (--jobs): seeds are dealt out
evenly. Its result is build/nightly/<part>.json: the code it belongs to, when, how long, the counts, the last lines; what
its commands printed is beside it. A part that has passed on the same code at the same size or a larger one is not run
again; one that failed or was cut off is. "The same code" leaves out docs/ and the Markdown files.

--scale 0.01 runs everything at a hundredth of its size, to see that it works. --record writes the results at full size
into docs/measurements/nightly.md. The summary at the end has a line for each part and is all that is printed last; the
exit status is 0 only when each chosen part has passed.
"""

import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
STATE = ROOT / "build" / "nightly"
TABLE = ROOT / "docs" / "measurements" / "nightly.md"
PYTHON = "/usr/bin/python3"
TAIL_LINES = 15
COUNTS = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.MULTILINE)
SEEDS = re.compile(r"^\w+_sim: (\d+) seeds from \d+ passed$", re.MULTILINE)
PRINTED_SEED = re.compile(r"^(NEXUS_\w*SEED=\d+)", re.MULTILINE)
FUZZ_S = 600
TORTURE_ALLOCATIONS = 2000  # of a program; every one of those with hundreds of thousands would take days
TABLE_HEAD = """# The long tests

`make nightly`, each part at its full size; `tools/nightly.py --record` writes this page. A part belongs to the commit in
its row; later commits that changed only documents do not count as other code.
"""


class Part:
    """`commands(scale, jobs)` gives [(command, environment)]; `needs` are targets of the Makefile; `size` is for people."""

    def __init__(self, name, about, size, commands, needs=("release",)):
        self.name, self.about, self.size, self.commands, self.needs = name, about, size, commands, needs


def scaled(full, scale, least=1):
    return max(least, round(full * scale))


def tests(*arguments, **env):
    """tools/run_tests.py, once; `env` values that are (size, least) are scaled."""
    def commands(scale, jobs):
        chosen = {k: str(scaled(v[0], scale, v[1])) if isinstance(v, tuple) else v for k, v in env.items()}
        return [([PYTHON, "tools/run_tests.py", "--jobs", str(jobs), *arguments], chosen)]
    return commands


def dealt(count, jobs):
    """(first seed, count) for each of `jobs` processes, from 1 on."""
    share, more = divmod(count, jobs)
    first = 1
    for i in range(min(jobs, count)):
        size = share + (i < more)
        yield first, size
        first += size


def power_cuts(scale, jobs):
    return [([PYTHON, "tools/run_tests.py", "crash/test_power_cut"],
             {"NEXUS_CUT_FIRST_SEED": str(first), "NEXUS_CUT_SEEDS": str(count)})
            for first, count in dealt(scaled(1000, scale, jobs), jobs)]


def simulation(name):
    def commands(scale, jobs):
        return [([f"build/release/tests/simulation/{name}", "--seed", str(first), "--count", str(count)], {})
                for first, count in dealt(scaled(1000, scale, jobs), jobs)]
    return commands


def fuzzers(scale, jobs):
    return [([PYTHON, "tools/fuzz.py", "--seconds", str(scaled(FUZZ_S, scale, 3)), "--jobs", str(jobs)], {})]


def analyze(kind):
    return lambda scale, jobs: [([PYTHON, "tools/analyze.py", kind], {})]


def torture(scale, jobs):
    return [([PYTHON, "tools/run_tests.py", "torture"],
             {"NEXUS_TORTURE_LIMIT": str(scaled(TORTURE_ALLOCATIONS, scale, 2)), "NEXUS_JOBS": str(jobs)})]


TSAN_BINARY = "build/tsan/src/app/nexus"
PARTS = [
    Part("tests", "everything of make test", "all", tests(), needs=("release", "asan")),
    Part("tsan", "thread sanitizer: unit tests, simulations, the story", "all",
         tests("--unit-build", "build/tsan", "--binary", TSAN_BINARY, "unit", "integration/test_story"),
         needs=("tsan",)),
    Part("asan", "address and undefined sanitizers: every language and example", "all",
         tests("--binary", "build/asan/src/app/nexus", "languages"), needs=("asan",)),
    Part("kill", "kill -9 in a loop under load", "300 kills",
         tests("crash/test_kill_loop", NEXUS_KILL_ROUNDS=(300, 2))),
    Part("power-cut", "unsynced writes dropped, torn, reordered; writes and syncs that fail", "1,000 seeds", power_cuts),
    Part("refusing-disk", "a disk that fails, and one that is full", "all", tests("crash/test_refusing_disk")),
    Part("log-sim", "the log in the simulated world", "1,000 seeds", simulation("log_sim")),
    Part("dispatch-sim", "dispatch and consumers in the simulated world", "1,000 seeds", simulation("dispatch_sim")),
    Part("fidelity", "calls of each guest recorded and replayed", "10,000 of each guest",
         tests("fidelity", NEXUS_FIDELITY_EVENTS=(10000, 20))),
    Part("torture", "allocations of the unit tests made to fail, one a run", f"up to {TORTURE_ALLOCATIONS} of each program",
         torture),
    Part("fuzz", "each fuzzer", f"{FUZZ_S} s each", fuzzers, needs=("fuzz-build",)),
    Part("gcc-analyzer", "gcc -fanalyzer over every source", "all", analyze("gcc")),
    Part("cppcheck", "cppcheck over every source", "all", analyze("cppcheck")),
    Part("clang-tidy", "clang-tidy and the clang analyzer over every source", "all", analyze("clang-tidy")),
    Part("coverage", "floors of branch coverage by layer", "all", analyze("coverage"), needs=("coverage",)),
]


def git(*arguments, **env):
    return subprocess.run(["git", *arguments], cwd=ROOT, env={**os.environ, **env}, check=True, capture_output=True,
                          text=True).stdout.strip()


def tree_id():
    """A digest of the working tree as it is, new files and changes included, documents left out."""
    index = {"GIT_INDEX_FILE": str(STATE / "index")}
    git("read-tree", "HEAD", **index)
    git("add", "--all", **index)
    git("rm", "-r", "-q", "--cached", "--ignore-unmatch", "--", "docs", "*.md", **index)
    return git("write-tree", **index)


def commit_name():
    """The commit, with a mark when the working tree differs from it in more than documents."""
    changed = git("status", "--porcelain", "--", ".", ":!docs", ":!*.md")
    return git("rev-parse", "--short=10", "HEAD") + (" and changes" if changed else "")


def load(name):
    try:
        return json.loads((STATE / f"{name}.json").read_text())
    except (OSError, ValueError):
        return None


def save(name, result):
    beside = STATE / f"{name}.json.new"
    beside.write_text(json.dumps(result, indent=1))
    beside.replace(STATE / f"{name}.json")


def run_beside(part, commands, limit_s):
    """Run the commands at the same time, each with a log of its own; the worst status: 0, a number, or "cut off"."""
    ends = time.monotonic() + limit_s
    processes, logs = [], []
    for number, (command, env) in enumerate(commands):
        logs.append(STATE / f"{part.name}.{number}.log")
        more = {"NEXUS_PART_LIMIT_S": str(int(limit_s)), "NEXUS_RESULTS": str(STATE / f"{part.name}.{number}"), **env}
        with open(logs[-1], "wb") as output:
            processes.append(subprocess.Popen(command, cwd=ROOT, env={**os.environ, **more}, stdout=output,
                                              stderr=subprocess.STDOUT, start_new_session=True))
    status = 0
    for process in processes:
        try:
            status = process.wait(max(0.1, ends - time.monotonic())) or status
        except subprocess.TimeoutExpired:
            status = "cut off"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    return status, "\n".join(log.read_text(errors="replace") for log in logs)


def counts_of(text):
    """What the commands say of themselves, summed; and the seeds that they chose."""
    said = []
    found = [tuple(map(int, m.groups())) for m in COUNTS.finditer(text)]
    if found:
        said.append("{} passed, {} failed, {} skipped".format(*map(sum, zip(*found))))
    seeds = [int(m.group(1)) for m in SEEDS.finditer(text)]
    if seeds:
        said.append(f"{sum(seeds)} seeds passed")
    return "; ".join(said + sorted(set(PRINTED_SEED.findall(text))))


def run_part(part, tree, limit_s, options):
    """Run one part and keep its result."""
    started = time.time()
    print(f"== {part.name}: {part.about}", flush=True)
    with open(STATE / f"{part.name}.build.log", "wb") as output:
        built = subprocess.run(["make", "--no-print-directory", *part.needs], cwd=ROOT, stdout=output, stderr=output,
                               check=False).returncode
    commands = part.commands(options.scale, options.jobs)
    begun = time.monotonic()
    status, text = run_beside(part, commands, limit_s) if built == 0 else ("not built", "")
    save(part.name, {
        "tree": tree, "commit": commit_name(), "scale": options.scale, "status": status,
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)), "seconds": round(time.monotonic() - begun),
        "counts": counts_of(text), "commands": [[" ".join(map(str, c)), env] for c, env in commands],
        "tail": text.splitlines()[-TAIL_LINES:]})


def verdict(result):
    return "passed" if result["status"] == 0 else f"FAILED ({result['status']})"


def line(part, result, tree):
    if result is None:
        return f"{part.name:<14} not run"
    stale = "" if result["tree"] == tree else ", on other code"
    size = part.size if result["scale"] >= 1 else f"scale {result['scale']:g}"
    return (f"{part.name:<14} {verdict(result)}{stale}  {size}  {result['seconds']} s  {result['when']}  "
            f"{result['counts']}")


def record():
    """Write docs/measurements/nightly.md from the results at full size."""
    rows = ["| part | what | size | result | duration | commit, date |", "|---|---|---|---|---|---|"]
    for part in PARTS:
        result = load(part.name)
        if result is not None and result["scale"] >= 1:
            rows.append(f"| {part.name} | {part.about} | {part.size} | {verdict(result)}: "
                        f"{result['counts'] or 'no complaint'} | {result['seconds']} s | {result['commit']}, "
                        f"{result['when'][:10]} |")
    machine = f"\n{os.cpu_count()} cores, kernel {os.uname().release}. Seeds begin at 1 where none is named.\n\n"
    TABLE.write_text(TABLE_HEAD + machine + "\n".join(rows) + "\n")


def is_done(known, tree, scale):
    return known is not None and known["tree"] == tree and known["status"] == 0 and known["scale"] >= scale


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=8)
    parser.add_argument("--only", default="", help="parts, separated by commas")
    parser.add_argument("--scale", type=float, default=1, help="of the full size")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes beside each other")
    parser.add_argument("--record", action="store_true", help="write docs/measurements/nightly.md at the end")
    parser.add_argument("--list", action="store_true", help="print the parts and what is known of them")
    options = parser.parse_args()
    names = [name for name in options.only.split(",") if name]
    unknown = set(names) - {part.name for part in PARTS}
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are: {', '.join(p.name for p in PARTS)}")
    return options, [part for part in PARTS if not names or part.name in names]


def main():
    options, chosen = read_arguments()
    STATE.mkdir(parents=True, exist_ok=True)
    tree = tree_id()
    ends = time.monotonic() + options.hours * 3600
    for part in [] if options.list else chosen:
        left = ends - time.monotonic()
        if left > 0 and not is_done(load(part.name), tree, options.scale):
            run_part(part, tree, left, options)
    if options.record:
        record()
    results = [(part, load(part.name)) for part in chosen]
    for part, result in results:
        print(line(part, result, tree))
    good = all(is_done(result, tree, options.scale) for _, result in results)
    sys.exit(0 if good or options.list else 1)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""The long tests, at full size, within a number of hours; what finished on this very code is kept.

    tools/nightly.py [--hours 8] [--only PART,...] [--scale 1] [--jobs CORES] [--record] [--list]

A part is one or several commands, which run beside each other, as many as there are cores (--jobs): seeds are dealt out
evenly. Its result is build/nightly/<part>.json: the code it belongs to, when, how long, the counts, the last lines; what
its commands printed is beside it. A part that has passed on the same code at the same size or a larger one is not run
again; one that failed or was cut off is. "The same code" is what the part is built from and runs: its `inputs`, the build
flags and its commands. So a change of src/app leaves the simulated log and the decoders' fuzzers as they were. Code that
changes while a part runs makes its result nobody's.

Each fuzzer is a part, fuzz-<name>; `--only fuzz` means all of them.

--scale 0.01 runs everything at a hundredth of its size, to see that it works. --record writes the results at full size
into docs/measurements/nightly.md. The summary at the end has a line for each part and is all that is printed last; the
exit status is 0 only when each chosen part has passed.
"""

import argparse
import concurrent.futures
import hashlib
import itertools
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

import layers

ROOT = pathlib.Path(__file__).resolve().parent.parent
STATE = ROOT / "build" / "nightly"
TABLE = ROOT / "docs" / "measurements" / "nightly.md"
PYTHON = "/usr/bin/python3"
TAIL_LINES = 15
COUNTS = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.MULTILINE)
SEEDS = re.compile(r"^\w+_sim: (\d+) seeds from \d+ passed$", re.MULTILINE)
PRINTED_SEED = re.compile(r"^(NEXUS_\w*SEED=\d+)", re.MULTILINE)
FUZZ_S = 600
TORTURE_ALLOCATIONS = 100  # of a program, spread evenly; some have hundreds of thousands and take seconds a run
TABLE_HEAD = """# The long tests

`make nightly`, each part at its full size; `tools/nightly.py --record` writes this page. A part belongs to the commit in
its row, and to later ones that changed nothing of what it is built from and runs.
"""


class Part:
    """`commands(scale, jobs)` gives [(command, environment)]; `needs` are targets of the Makefile; `size` is for people;
    `inputs` are the files and folders that it is built from and runs, src/**/*_test.c only with `unit_tests`. Parts of the
    same `group`, which stand together, run beside each other, one command each."""

    def __init__(self, name, about, size, commands, inputs, needs=("release",), unit_tests=False, group=None):
        self.name, self.about, self.size, self.commands, self.needs = name, about, size, commands, needs
        self.inputs, self.unit_tests, self.group = {*inputs, *BUILD}, unit_tests, group or name

    def uses(self, path):
        if path.startswith("src/") and path.endswith(layers.TESTS) and not self.unit_tests:
            return False
        return any(str(folder) in self.inputs for folder in [path, *pathlib.PurePath(path).parents])


BUILD = ["meson.build", "meson_options.txt", "src/meson.build", "third_party.lock"]
PROGRAM = ["src", "guest", "tools/wasmtime", "tools/quickjs"]
HARNESS = ["tools/run_tests.py", "tests/conftest.py"]
TOOLCHAINS = ["tools/setup", "tools/node", "tools/rust"]


def layer(name):
    """The folders of a layer and of all that is linked with it."""
    table = layers.read_table((ROOT / "ARCHITECTURE.md").read_text())
    if table[name].free:
        return PROGRAM
    linked, left = set(), {name}
    while left:
        linked |= left
        left = set().union(*(table[one].uses for one in left)) - linked
    return [f"src/{one}" for one in linked] + (PROGRAM[1:] if "sandbox" in linked else [])


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


def fuzzer(name):
    return lambda scale, jobs: [
        ([PYTHON, "tools/fuzz.py", "--seconds", str(scaled(FUZZ_S, scale, 3)), name], {})]


def fuzzers():
    """A part for each one that fuzz/meson.build names, with the layer that it is linked with."""
    text = (ROOT / "fuzz" / "meson.build").read_text()
    for name, linked in re.findall(r"^  '(\w+)': .*?(\w+)_dep\b", text, re.MULTILINE):
        yield Part(f"fuzz-{name}", f"fuzzer of {name}", f"{FUZZ_S} s", fuzzer(name),
                   [*layer(linked), f"fuzz/{name}_fuzz.c", f"fuzz/corpus/{name}", "tools/fuzz.py"],
                   needs=("fuzz-build",), group="fuzz")


def analyze(kind):
    return lambda scale, jobs: [([PYTHON, "tools/analyze.py", kind], {})]


def torture(scale, jobs):
    return [([PYTHON, "tools/run_tests.py", "torture"],
             {"NEXUS_TORTURE_LIMIT": str(scaled(TORTURE_ALLOCATIONS, scale, 2)), "NEXUS_JOBS": str(jobs)})]


EVERYTHING = [*PROGRAM, *TOOLCHAINS, "tests", "examples", "fuzz", "bench", "spec", "packaging", "tools", "docs/guides"]
CRASH = [*PROGRAM, *HARNESS, "tests/crash"]
ANALYZED = [*PROGRAM, "tools/analyze.py"]
TSAN_BINARY = "build/tsan/src/app/nexus"
PARTS = [
    Part("tests", "everything of make test", "all", tests(), EVERYTHING, needs=("release", "asan"), unit_tests=True),
    Part("tsan", "thread sanitizer: unit tests, simulations, the story", "all",
         tests("--unit-build", "build/tsan", "--binary", TSAN_BINARY, "unit", "integration/test_story"),
         [*PROGRAM, *HARNESS, "fuzz", "tests/simulation", "tests/integration/test_story.py", "tools/tsan.supp"],
         needs=("tsan",), unit_tests=True),
    Part("asan", "address and undefined sanitizers: every language and example, a full disk budget", "all",
         tests("--binary", "build/asan/src/app/nexus", "languages", "soak"),
         [*PROGRAM, *HARNESS, *TOOLCHAINS, "tests/languages", "tests/soak", "examples"], needs=("asan",)),
    Part("api", "the HTTP API fuzzed by its description, under the sanitizers", "1,000 cases of each operation",
         tests("--binary", "build/asan/src/app/nexus", "conformance/test_api", NEXUS_API_EXAMPLES=(1000, 10)),
         [*PROGRAM, *HARNESS, "tests/conformance/test_api.py", "tools/python", "spec"], needs=("asan",)),
    Part("nats", "official clients of NATS and the tests of one, on Nexus and on nats-server", "all",
         tests("conformance/nats"), [*PROGRAM, *HARNESS, "tools/setup", "tests/conformance/nats", "tests/conformance/expected.txt"],
         needs=("setup-conformance", "release")),
    Part("kill", "kill -9 in a loop under load", "300 kills",
         tests("crash/test_kill_loop", NEXUS_KILL_ROUNDS=(300, 2)), CRASH),
    Part("power-cut", "unsynced writes dropped, torn, reordered; writes and syncs that fail", "1,000 seeds", power_cuts,
         CRASH),
    Part("refusing-disk", "a disk that fails, and one that is full", "all", tests("crash/test_refusing_disk"), CRASH),
    Part("log-sim", "the log in the simulated world", "1,000 seeds", simulation("log_sim"),
         [*layer("fabric"), "tests/simulation/log_sim.c", "tests/simulation/log_model.h", "tests/simulation/seeds.h"]),
    Part("dispatch-sim", "dispatch and consumers in the simulated world", "1,000 seeds", simulation("dispatch_sim"),
         [*layer("platform"), "tests/simulation/dispatch_sim.c", "tests/simulation/seeds.h"]),
    Part("fidelity", "calls of each guest recorded and replayed", "10,000 of each guest",
         tests("fidelity", NEXUS_FIDELITY_EVENTS=(10000, 20)), [*PROGRAM, *HARNESS, *TOOLCHAINS, "tests/fidelity"]),
    Part("compare", "the same code compared with its records, and each change of it found", "100,000 events",
         tests("fidelity/test_compare", NEXUS_COMPARE_EVENTS=(100000, 200)), [*PROGRAM, *HARNESS, "tests/fidelity"]),
    Part("torture", "allocations of the unit tests made to fail, one a run", f"up to {TORTURE_ALLOCATIONS} of each program",
         torture, [*PROGRAM, *HARNESS, "tests/torture"], unit_tests=True),
    *fuzzers(),
    Part("gcc-analyzer", "gcc -fanalyzer over every source", "all", analyze("gcc"), ANALYZED),
    Part("cppcheck", "cppcheck over every source", "all", analyze("cppcheck"), ANALYZED),
    Part("clang-tidy", "clang-tidy and the clang analyzer over every source", "all", analyze("clang-tidy"), ANALYZED),
    Part("coverage", "floors of branch coverage by layer", "all", analyze("coverage"), [*ANALYZED, "fuzz", "tests/simulation"],
         needs=("coverage",), unit_tests=True),
]


def git(*arguments, **env):
    return subprocess.run(["git", *arguments], cwd=ROOT, env={**os.environ, **env}, check=True, capture_output=True,
                          text=True).stdout.strip()


def working_tree():
    """[(path, mode and blob)] of the tree as it is, new files and changes included."""
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": f"{folder}/index"}
        git("read-tree", "HEAD", **index)
        git("add", "--all", **index)
        listed = git("ls-files", "--stage", "-z", **index)
    return [entry.split("\t", 1)[::-1] for entry in listed.split("\0") if entry]


def code_of(part, tree):
    """A digest of what this part is built from and runs."""
    flags = re.findall(r"^SETUP_.*$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    files = [entry for entry in tree if part.uses(entry[0])]
    return hashlib.sha256(json.dumps([files, flags, part.commands(1, 1)], default=str).encode()).hexdigest()


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


def build(part):
    with open(STATE / f"{part.name}.build.log", "wb") as output:
        return subprocess.run(["make", "--no-print-directory", *part.needs], cwd=ROOT, stdout=output, stderr=output,
                              check=False).returncode == 0


def run_part(part, code, built, limit_s, options):
    """Run one part and keep its result."""
    started = time.time()
    print(f"== {part.name}: {part.about}", flush=True)
    commands = part.commands(options.scale, options.jobs)
    begun = time.monotonic()
    status, text = run_beside(part, commands, limit_s) if built else ("not built", "")
    if code_of(part, working_tree()) != code:
        status = "the code changed meanwhile"
    save(part.name, {
        "code": code, "commit": commit_name(), "scale": options.scale, "status": status,
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)), "seconds": round(time.monotonic() - begun),
        "counts": counts_of(text), "commands": [[" ".join(map(str, c)), env] for c, env in commands],
        "tail": text.splitlines()[-TAIL_LINES:]})


def verdict(result):
    return "passed" if result["status"] == 0 else f"FAILED ({result['status']})"


def run_group(parts, ends, options):
    """Build once, then run the parts that are not done: one, or as many beside each other as there are cores."""
    tree = working_tree()
    codes = {part: code_of(part, tree) for part in parts}
    parts = [part for part in parts if not is_done(load(part.name), codes[part], options.scale)]
    if not parts or time.monotonic() >= ends:
        return
    built = build(parts[0])
    with concurrent.futures.ThreadPoolExecutor(options.jobs if len(parts) > 1 else 1) as pool:
        def run(part):
            left = ends - time.monotonic()
            if left > 0:
                run_part(part, codes[part], built, left, options)
        list(pool.map(run, parts))


def line(part, result, code):
    if result is None:
        return f"{part.name:<16} not run"
    stale = "" if result.get("code") == code else ", on other code"
    size = part.size if result["scale"] >= 1 else f"scale {result['scale']:g}"
    return (f"{part.name:<16} {verdict(result)}{stale}  {size}  {result['seconds']} s  {result['when']}  "
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


def is_done(known, code, scale):
    return known is not None and known.get("code") == code and known["status"] == 0 and known["scale"] >= scale


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
    unknown = set(names) - {name for part in PARTS for name in (part.name, part.group)}
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are: {', '.join(p.name for p in PARTS)}")
    return options, [part for part in PARTS if not names or part.name in names or part.group in names]


def main():
    options, chosen = read_arguments()
    STATE.mkdir(parents=True, exist_ok=True)
    ends = time.monotonic() + options.hours * 3600
    for _, group in itertools.groupby([] if options.list else chosen, lambda part: part.group):
        run_group(list(group), ends, options)
    if options.record:
        record()
    tree = working_tree()
    results = [(part, load(part.name), code_of(part, tree)) for part in chosen]
    for part, result, code in results:
        print(line(part, result, code))
    good = all(is_done(result, code, options.scale) for _, result, code in results)
    sys.exit(0 if good or options.list else 1)


if __name__ == "__main__":
    main()

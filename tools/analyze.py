#!/usr/bin/env python3
"""Static analysis and coverage, for the nightly run.

    tools/analyze.py gcc | cppcheck | clang-tidy | coverage

Three checks are off because they cry leak at `cleanup` variables and at what a list holds, which LeakSanitizer watches:
clang-analyzer-unix.Malloc of clang-tidy 14, memleak of cppcheck 2.10, malloc-leak of gcc 12. The last one's
use-after-free takes the element that a list gave away for the one behind it. Of clang-tidy's bugprone checks four are
off that find fault with what is meant: sizeof of an array's pointers, an X-macro's arguments as designators, two
branches that do the same for different reasons, assignments in conditions. That cppcheck also cannot read `x ? (struct y){ 0 } : z` and takes
hexadecimal floats for integers; it warns of a NULL behind the last argument (ours is a pointer) and of negative numbers
shifted to the right (ours keep their sign), and takes a member's address for one that NULL was compared with
(nullPointerRedundantCheck). Counts that threads have spoilt, which are negative, are left out. Coverage runs the unit tests of build/coverage and compares the branches
reached with a floor for each layer that has one.
"""

import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATABASE = ROOT / "build" / "release" / "compile_commands.json"
GCC_OFF = ["-Wno-analyzer-malloc-leak", "-Wno-analyzer-use-after-free"]
BRANCH_FLOORS = {"base": 90, "codec": 90, "storage": 90}  # per cent
TIDY_CHECKS = ("-*,bugprone-*,clang-analyzer-*,cert-err34-c,misc-redundant-expression,"
               "-clang-analyzer-unix.Malloc,-bugprone-easily-swappable-parameters,"
               "-bugprone-reserved-identifier,-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling,"
               "-bugprone-branch-clone,-bugprone-macro-parentheses,-bugprone-sizeof-expression,"
               "-bugprone-assignment-in-if-condition,-bugprone-narrowing-conversions,-bugprone-implicit-widening-of-*")


def sources():
    """(path, arguments) of each of our own sources, tests left out."""
    for entry in json.loads(DATABASE.read_text()):
        path = (pathlib.Path(entry["directory"]) / entry["file"]).resolve()
        if path.is_relative_to(ROOT / "src") and not path.name.endswith("_test.c"):
            yield path, shlex.split(entry["command"])


def failures_of(commands):
    """Run the commands, one a core; how many failed."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return sum(pool.map(lambda c: subprocess.run(c, cwd=DATABASE.parent, check=False).returncode != 0, commands))


def gcc():
    commands = []
    for _, arguments in sources():
        kept = [a for a in arguments if not re.match(r"-M|-o$|.*\.o(\.d)?$", a)]
        commands.append([*kept, "-fanalyzer", *GCC_OFF, "-Werror", "-o", "/dev/null"])
    return failures_of(commands)


def cppcheck():
    return subprocess.run(
        ["cppcheck", f"-j{os.cpu_count() or 1}", f"--project={DATABASE}", "--quiet", "--inline-suppr", "--enable=warning,portability",
         "--suppress=memleak", "--suppress=internalAstError", "--suppress=varFuncNullUB",
         "--suppress=shiftNegativeLHS", "--suppress=nullPointerRedundantCheck", "--suppress=incorrectLogicOperator",
         "--suppress=*:*/build/*", "--suppress=normalCheckLevelMaxBranches",
         "-i", str(ROOT / "build"), "--error-exitcode=1"], cwd=ROOT, check=False).returncode


def clang_tidy():
    paths = sorted({str(path) for path, _ in sources()})
    return failures_of([["clang-tidy-14", "-p", str(DATABASE.parent), f"--checks={TIDY_CHECKS}",
                         "--warnings-as-errors=*", "--quiet", path] for path in paths])


def coverage():
    folder = ROOT / "build" / "coverage"
    for counts in folder.rglob("*.gcda"):  # of earlier runs, and of those that were killed
        counts.unlink()
    subprocess.run(["meson", "test", "-C", str(folder), "--no-suite", "slow"], check=True)
    report = folder / "coverage.json"
    subprocess.run(["gcovr", "-r", str(ROOT), str(folder), "--filter", "src/", "--exclude", r".*_test\.c",
                    "--exclude-throw-branches", "--gcov-ignore-parse-errors", "--json-summary", str(report)], cwd=ROOT, check=True)
    totals = {}
    for entry in json.loads(report.read_text())["files"]:
        layer = entry["filename"].split("/")[1]
        covered, total = totals.get(layer, (0, 0))
        totals[layer] = covered + entry["branch_covered"], total + entry["branch_total"]
    failed = 0
    for layer, (covered, total) in sorted(totals.items()):
        percent = 100 * covered / total if total else 100
        floor = BRANCH_FLOORS.get(layer, 0)
        low = percent < floor
        failed += low
        print(f"{layer:<10} {percent:5.1f} % of {total} branches{f', the floor is {floor} %' if low else ''}")
    return failed


def main():
    kinds = {"gcc": gcc, "cppcheck": cppcheck, "clang-tidy": clang_tidy, "coverage": coverage}
    if len(sys.argv) != 2 or sys.argv[1] not in kinds:
        sys.exit(__doc__)
    sys.exit(1 if kinds[sys.argv[1]]() else 0)


if __name__ == "__main__":
    main()

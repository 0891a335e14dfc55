#!/usr/bin/env python3
"""Run the fuzzers of build/fuzz (make fuzz), each for a while, from its corpus.

    tools/fuzz.py [--seconds 60] [--jobs 1] [--keep] [NAME ...]

New inputs go to build/fuzz-corpus/<name>; --keep merges those that reach new code into fuzz/corpus/<name>. An input
that breaks something is left in build/fuzz-findings/ and named; put it into the corpus together with the fix.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
INPUT_SIZE_MAX = 64 * 1024
MEMORY_MB_MAX = 4096


def name_of(program):
    return program.name.removesuffix("_libfuzzer")


def fuzz(program, seconds):
    """The exit status of one fuzzer's run, and a line about it; all that it printed is in build/fuzz-findings."""
    name = name_of(program)
    found = ROOT / "build" / "fuzz-findings"
    grown = ROOT / "build" / "fuzz-corpus" / name
    found.mkdir(parents=True, exist_ok=True)
    grown.mkdir(parents=True, exist_ok=True)
    log = found / f"{name}.log"
    with open(log, "wb") as output:
        status = subprocess.run(
            [program, f"-max_total_time={seconds}", f"-max_len={INPUT_SIZE_MAX}", f"-rss_limit_mb={MEMORY_MB_MAX}",
             "-timeout=10", "-print_final_stats=1", "-verbosity=1", f"-artifact_prefix={found}/{name}-",
             grown, ROOT / "fuzz" / "corpus" / name],
            cwd=ROOT, env={"UBSAN_OPTIONS": "halt_on_error=1", **os.environ}, stdout=output, stderr=output,
            check=False).returncode
    text = log.read_text(errors="replace")
    runs = re.search(r"stat::number_of_executed_units: (\d+)", text)
    reached = re.findall(r"cov: (\d+) ft: (\d+)", text)
    line = (f"{name:<12} {int(runs.group(1)) if runs else 0:>10} inputs in {seconds} s, "
            f"{reached[-1][0] if reached else 0} edges reached")
    return status, line if status == 0 else f"{line}\n" + "\n".join(text.splitlines()[-40:])


def keep(program):
    name = name_of(program)
    subprocess.run([program, "-merge=1", ROOT / "fuzz" / "corpus" / name, ROOT / "build" / "fuzz-corpus" / name],
                   cwd=ROOT, check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=1, help="fuzzers beside each other")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    programs = sorted((ROOT / "build" / "fuzz" / "fuzz").glob("*_libfuzzer"))
    chosen = [p for p in programs if not arguments.names or name_of(p) in arguments.names]
    if not chosen:
        sys.exit(f"no such fuzzer; there are: {', '.join(map(name_of, programs))}")
    failed = []
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for program, (status, line) in zip(chosen, pool.map(lambda p: fuzz(p, arguments.seconds), chosen)):
            print(line, flush=True)
            if status != 0:
                failed.append(program.name)
    if arguments.keep:
        for program in chosen:
            keep(program)
    for name in failed:
        print(f"FAILED: {name} (see build/fuzz-findings)")
    print(f"{len(chosen) - len(failed)} passed, {len(failed)} failed, 0 skipped")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

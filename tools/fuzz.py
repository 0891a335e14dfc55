#!/usr/bin/env python3
"""Run the fuzzers of build/fuzz (make fuzz), each for a while, from its corpus.

    tools/fuzz.py [--seconds 60] [--keep] [NAME ...]

New inputs go to build/fuzz-corpus/<name>; --keep merges those that reach new code into fuzz/corpus/<name>. An input
that breaks something is left in build/fuzz-findings/ and named; put it into the corpus together with the fix.
"""

import argparse
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
INPUT_SIZE_MAX = 64 * 1024
MEMORY_MB_MAX = 4096


def fuzz(program, seconds):
    """The exit status of one fuzzer's run."""
    name = program.name.removesuffix("_libfuzzer")
    found = ROOT / "build" / "fuzz-findings"
    grown = ROOT / "build" / "fuzz-corpus" / name
    found.mkdir(parents=True, exist_ok=True)
    grown.mkdir(parents=True, exist_ok=True)
    print(f"== {name}: {seconds} s", flush=True)
    return subprocess.run(
        [program, f"-max_total_time={seconds}", f"-max_len={INPUT_SIZE_MAX}", f"-rss_limit_mb={MEMORY_MB_MAX}",
         "-timeout=10", "-print_final_stats=1", "-verbosity=0", f"-artifact_prefix={found}/{name}-",
         grown, ROOT / "fuzz" / "corpus" / name],
        cwd=ROOT, env={"UBSAN_OPTIONS": "halt_on_error=1", **os.environ}, check=False).returncode


def keep(program):
    name = program.name.removesuffix("_libfuzzer")
    subprocess.run([program, "-merge=1", ROOT / "fuzz" / "corpus" / name, ROOT / "build" / "fuzz-corpus" / name],
                   cwd=ROOT, check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    programs = sorted((ROOT / "build" / "fuzz" / "fuzz").glob("*_libfuzzer"))
    chosen = [p for p in programs if not arguments.names or p.name.removesuffix("_libfuzzer") in arguments.names]
    if not chosen:
        sys.exit(f"no such fuzzer; there are: {', '.join(p.name.removesuffix('_libfuzzer') for p in programs)}")
    failed = [p.name for p in chosen if fuzz(p, arguments.seconds) != 0]
    if arguments.keep:
        for program in chosen:
            keep(program)
    for name in failed:
        print(f"FAILED: {name} (see build/fuzz-findings)")
    print(f"{len(chosen) - len(failed)} passed, {len(failed)} failed, 0 skipped")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

"""tools/nightly.py deals out every seed once, and believes only what the commands counted."""

import nightly


def test_every_seed_is_dealt_once():
    for count, jobs in ((1000, 2), (10, 3), (1, 4)):
        seeds = [seed for first, size in nightly.dealt(count, jobs) for seed in range(first, first + size)]
        assert seeds == list(range(1, count + 1))


def test_counts_are_summed_over_the_commands():
    text = "3 passed, 0 failed, 1 skipped\nlog\n2 passed, 1 failed, 0 skipped\nNEXUS_KILL_SEED=7\n"
    assert nightly.counts_of(text) == "5 passed, 1 failed, 1 skipped; NEXUS_KILL_SEED=7"
    assert nightly.counts_of("log_sim: 5 seeds from 1 passed\nlog_sim: 5 seeds from 6 passed\n") == "10 seeds passed"


def part(name):
    return next(part for part in nightly.PARTS if part.name == name)


def test_a_part_belongs_to_what_it_is_made_of():
    for name, path, counts in [
            ("log-sim", "src/fabric/library.c", True), ("log-sim", "src/base/str.c", True),
            ("log-sim", "src/app/cmd_dev.c", False), ("log-sim", "src/platform/function/dispatch.c", False),
            ("log-sim", "tests/simulation/log_sim.c", True), ("log-sim", "tests/simulation/dispatch_sim.c", False),
            ("log-sim", "src/fabric/fabric_test.c", False), ("tsan", "src/fabric/fabric_test.c", True),
            ("log-sim", "docs/decisions/0004-log-format.md", False), ("log-sim", "third_party.lock", True),
            ("dispatch-sim", "tools/wasmtime/Cargo.lock", True), ("log-sim", "tools/wasmtime/Cargo.lock", False),
            ("fuzz-json", "src/codec/json/json.c", True), ("fuzz-json", "src/storage/wal.c", False),
            ("fuzz-json", "fuzz/corpus/json/a", True), ("fuzz-json", "fuzz/corpus/yaml/a", False),
            ("fuzz-config", "src/app/config.c", True), ("fuzz-wasi", "guest/c/nexus.h", True),
            ("fuzz-http", "src/sandbox/host/wasi.c", True), ("fuzz-http", "src/app/main.c", False),
            ("kill", "src/app/cmd_dev.c", True), ("kill", "tests/crash/ledger.py", True), ("kill", "tests/fidelity/x.py", False),
            ("tests", "docs/guides/REPLAY.md", True), ("tests", "docs/measurements/log.md", False)]:
        assert part(name).uses(path) is counts, (name, path)


def test_the_digest_changes_with_what_counts():
    log_sim, tree = part("log-sim"), [["src/fabric/a.c", "1"], ["src/app/b.c", "2"]]
    code = nightly.code_of(log_sim, tree)
    assert nightly.code_of(log_sim, [tree[0], ["src/app/b.c", "3"]]) == code
    assert nightly.code_of(log_sim, [["src/fabric/a.c", "3"], tree[1]]) != code
    assert nightly.code_of(part("dispatch-sim"), tree) != code


def test_every_input_is_there():
    for one in nightly.PARTS:
        for path in one.inputs:
            assert (nightly.ROOT / path).exists() or path == "src/reactor", (one.name, path)  # a layer to come


def test_each_fuzzer_is_a_part():
    fuzzers = {path.stem.removesuffix("_fuzz") for path in (nightly.ROOT / "fuzz").glob("*_fuzz.c")}
    assert {one.name.removeprefix("fuzz-") for one in nightly.PARTS if one.group == "fuzz"} == fuzzers


def test_a_smaller_size_is_not_the_full_one():
    result = {"code": "t", "status": 0, "scale": 0.01}
    assert nightly.is_done(result, "t", 0.01)
    assert not nightly.is_done(result, "t", 1)
    assert not nightly.is_done({**result, "scale": 1, "code": "u"}, "t", 1)
    assert not nightly.is_done({**result, "scale": 1, "status": "cut off"}, "t", 1)
    assert not nightly.is_done({"tree": "t", "status": 0, "scale": 1}, "t", 1)  # as older versions wrote it


def test_sizes_have_a_least():
    assert nightly.scaled(1000, 1) == 1000
    assert nightly.scaled(300, 0.0001, 2) == 2
    assert all(part.commands(0.001, 2) for part in nightly.PARTS)

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


def test_a_smaller_size_is_not_the_full_one():
    result = {"tree": "t", "status": 0, "scale": 0.01}
    assert nightly.is_done(result, "t", 0.01)
    assert not nightly.is_done(result, "t", 1)
    assert not nightly.is_done({**result, "scale": 1, "tree": "u"}, "t", 1)
    assert not nightly.is_done({**result, "scale": 1, "status": "cut off"}, "t", 1)


def test_sizes_have_a_least():
    assert nightly.scaled(1000, 1) == 1000
    assert nightly.scaled(300, 0.0001, 2) == 2
    assert all(part.commands(0.001, 2) for part in nightly.PARTS)

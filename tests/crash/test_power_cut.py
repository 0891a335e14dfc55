"""Power cuts, failed writes and failed syncs under the unmodified server.

power_cut_shim.c stands between the server and its data directory: at a random operation everything that was not synced
is dropped, torn or reordered and the process ends. One seed is a chain of such cuts on one directory. NEXUS_CUT_SEEDS
sets how many seeds run (50; 1,000 at full size), NEXUS_CUT_FIRST_SEED where they begin.
"""

import os
import random
import threading

import ledger
import pytest

SEEDS = int(os.environ.get("NEXUS_CUT_SEEDS", "50"))
FIRST_SEED = int(os.environ.get("NEXUS_CUT_FIRST_SEED", "1"))
CUTS = 2  # in one chain
BATCH = 10  # seeds in one test, so that a report names a range


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    return ledger.build_shim(tmp_path_factory.mktemp("shim"))


@pytest.fixture(scope="module")
def wasm(tmp_path_factory):
    return ledger.make_project(tmp_path_factory.mktemp("ledger")) / "ledger.wasm"


def one_seed(seed, folder, shim, wasm, servers):
    folder.mkdir()
    (folder / "nexus.yaml").write_text(ledger.MANIFEST)
    (folder / "ledger.wasm").write_bytes(wasm.read_bytes())
    chance = random.Random(seed)
    book = ledger.Ledger(seed)
    for run in range(CUTS):
        (folder / "boot_id").write_text(f"00000000-0000-4000-8000-{seed:06d}{run:06d}\n")
        environment = {"LD_PRELOAD": str(shim), "NX_SHIM_DIR": ".nexus",
                       "NX_SHIM_SEED": str(seed * 100 + run), "NX_SHIM_BOOT_ID": str(folder / "boot_id"),
                       "NX_SHIM_CUT_AT": str(int(10 ** chance.uniform(1.3, 2.8)))}
        if chance.random() < 0.25:
            fault = chance.choice(["NX_SHIM_FAIL_SYNC_AT", "NX_SHIM_FAIL_WRITE_AT"])
            environment[fault] = str(int(10 ** chance.uniform(0.5, 2.5)))
        try:
            server = servers(folder, "start", environment=environment)
        except AssertionError:
            continue  # the cut came before it was ready: nothing was acknowledged
        book.post_until_it_ends(server, run, threading.Event())
        server.end()
    (folder / "boot_id").unlink()
    server = servers(folder, "start")
    book.check(server)
    assert server.stop() == 0
    return len(book.acknowledged)


@pytest.mark.parametrize("first", range(FIRST_SEED, FIRST_SEED + SEEDS, BATCH))
def test_acknowledged_events_survive_power_cuts(first, tmp_path, shim, wasm, servers):
    acknowledged = 0
    for seed in range(first, min(first + BATCH, FIRST_SEED + SEEDS)):
        try:
            acknowledged += one_seed(seed, tmp_path / str(seed), shim, wasm, servers)
        except AssertionError as failure:
            raise AssertionError(f"seed {seed}: {failure}") from failure
    assert acknowledged > 0, "the clients got something acknowledged before the cuts"


def test_a_disk_that_lies_about_syncs_is_noticed(tmp_path, shim, wasm, servers):
    """The check can fail: what such a disk loses was acknowledged."""
    folder = ledger.make_project(tmp_path / "p")
    (folder / "boot_id").write_text("00000000-0000-4000-8000-000000000000\n")
    book = ledger.Ledger(0)
    server = servers(folder, "start", environment={
        "LD_PRELOAD": str(shim), "NX_SHIM_DIR": ".nexus", "NX_SHIM_SEED": "7", "NX_SHIM_LIE": "1",
        "NX_SHIM_BOOT_ID": str(folder / "boot_id"), "NX_SHIM_CUT_AT": "300"})
    book.post_until_it_ends(server, 0, threading.Event())
    server.end()
    assert book.acknowledged
    with pytest.raises(AssertionError):
        server = servers(folder, "start")
        book.check(server)

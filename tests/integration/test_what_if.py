"""nexus replay --set, --list-calls, --policy read-only and live, --on against another module: other answers and
other code on recorded calls."""
import json
import re
import subprocess

import pytest

from conftest import ROOT, Server, run_nexus

C = ["clang-19", "--target=wasm32-wasi", "-O2", "-s", "-w", f"-I{ROOT / 'guest' / 'c'}", "-Wl,-z,stack-size=65536"]
MANIFEST = """version: v1
functions:
  - name: shop
    on: {event: {type: order}}
    code: shop.wasm
    max_concurrency: 1
  - name: other
    on: {event: {type: order}}
    code: other.wasm
"""
# Asks for a key, the clock, and the other clock; writes what it saw.
SHOP = """
#include <stdio.h>
#include <time.h>
#include "nexus.h"
int main(void) {
    char stock[64] = "", more[64] = "none";
    size_t len = 0;
    struct timespec wall, since;
    if (nexus_kv_get("stock", stock, sizeof stock, &len) != NEXUS_OK) { stock[0] = '0'; }
    clock_gettime(CLOCK_REALTIME, &wall);
    clock_gettime(CLOCK_MONOTONIC, &since);
#ifdef NEW
    size_t more_len = 0;
    if (nexus_kv_get(NEW, more, sizeof more - 1, &more_len) == NEXUS_OK) { more[more_len] = 0; }
    struct timespec late;
    clock_gettime(CLOCK_REALTIME, &late);
    printf("%s %s %s\\n", stock, more, late.tv_sec - wall.tv_sec > 3600 ? "later" : "then");
#else
    printf("%s at %lld\\n", stock, (long long)wall.tv_sec);
#endif
    int left = stock[0] - '0';
    stock[0] = (char)(left == 0 ? '9' : stock[0] - 1);
    nexus_kv_set("stock", stock, 1);
    nexus_kv_set(PRICE, "12", 2);
    if (left == 0) { nexus_publish("sold.out", "{\\"left\\":0}", 10); }
    return 0;
}
"""


def build(folder, name, *defines):
    """`other.wasm` does nothing."""
    source = SHOP.replace("PRICE", '"price"') if name != "other.wasm" else "int main(void) { return 0; }\n"
    (folder / "shop.c").write_text(source)
    subprocess.run([*C, *defines, str(folder / "shop.c"), "-o", str(folder / name)], check=True, timeout=120)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Three orders were handled; the server is down."""
    folder = tmp_path_factory.mktemp("shop")
    build(folder, "shop.wasm")
    build(folder, "other.wasm")
    build(folder, "price.wasm", '-DNEW="price"')
    build(folder, "never.wasm", '-DNEW="never"')
    (folder / "nexus.yaml").write_text(MANIFEST)
    server = Server(folder, "start")
    try:
        for number in range(3):
            server.publish("order", {"n": number})
            server.wait_until_idle()
    finally:
        assert server.stop() == 0
    return folder


def replay(folder, *arguments, status=0):
    return run_nexus("replay", "--function", "shop", *arguments, cwd=folder, status=status).stdout


def test_the_calls_of_a_call_are_listed_by_their_numbers(shop):
    out = replay(shop, "EVENTS:1", "--list-calls")
    assert re.fullmatch(r"INVOCATIONS:\d+ of shop asked 3 questions:\n"
                        r"  call\[1\]  key stock = null\n"
                        r"  call\[2\]  clock = 20\d\d-\S+Z\n"
                        r"  call\[3\]  monotonic clock = \S+\n", out), out
    calls = json.loads(replay(shop, "EVENTS:3", "--list-calls", "--output", "json"))["invocations"][0]["calls"]
    assert calls[0] == {"call": 1, "kind": "key", "key": "stock", "result": "9"}


def test_another_answer_shows_what_would_have_been_done(shop):
    out = replay(shop, "EVENTS:3", "--set", "call[1].result=0")
    assert "[REPLAY] shop printed 0 at " in out
    assert '[REPLAY] shop would publish sold.out: {"left":0}' in out
    assert "[REPLAY] shop would set key stock = 9" in out
    assert re.search(r"output     1 call differs, first INVOCATIONS:\d+ of EVENTS:3: output: recorded \"9 at", out), out
    assert out.splitlines()[-1].startswith("OK 1 call with other answers compared with its record in ")


def test_several_answers_and_times_can_be_set(shop):
    out = replay(shop, "EVENTS:3", "--set", "call[1].result=5", "--set=call[2].result=2001-02-03T04:05:06Z")
    assert "[REPLAY] shop printed 5 at 981173106" in out
    assert "[REPLAY] shop printed 0 at " in replay(shop, "EVENTS:3", "--set", "call[1].result=null")


def test_the_recorded_answer_changes_nothing(shop):
    out = replay(shop, "EVENTS:3", "--set", "call[1].result=9", "--verify")
    assert "1 identical" in out
    replay(shop, "EVENTS:3", "--set", "call[1].result=8", "--verify", status=1)


@pytest.mark.parametrize("change, status, message", [
    ("call[9].result=1", 1, "there is no call[9]: this one asked 3 questions, counted from 1"),
    ("call[0].result=1", 1, "there is no call[0]"),
    ("call[2].result=noon", 1, "call[2] is a reading of the clock: a time such as 2025-11-26T10:23:45.123Z, not 'noon'"),
    ("call[3].result=noon", 1, "call[3] is a reading of the monotonic clock: a time since the start such as 12ms"),
    ("stock=1", 2, "--set is call[NUMBER].result=VALUE, not 'stock=1'"),
])
def test_an_answer_that_cannot_be_is_explained(shop, change, status, message):
    done = run_nexus("replay", "EVENTS:3", "--function", "shop", "--set", change, cwd=shop, status=status)
    assert message in done.stderr
    assert "--list-calls" in done.stderr


def test_set_wants_one_call(shop):
    done = run_nexus("replay", "EVENTS:3", "--set", "call[1].result=1", cwd=shop, status=1)
    assert "ran more than one function" in done.stderr
    done = run_nexus("replay", "--since", "1h", "--function", "shop", "--set", "call[1].result=1", cwd=shop, status=2)
    assert "--set is about one call" in done.stderr


def test_each_policy_answers_a_new_question_in_its_way(shop):
    """The last call is the last to have written `price`: what the key was before is not kept."""
    assert "[REPLAY] shop printed 8 none then" in replay(shop, "EVENTS:4", "--on", "price.wasm", status=1)
    out = replay(shop, "EVENTS:4", "--on", "price.wasm", "--policy", "fail", status=1)
    assert "reads a key that was not read when it was recorded" in out
    out = replay(shop, "EVENTS:4", "--on", "price.wasm", "--policy", "read-only", status=1)
    assert "'price' was changed since, and what it was at the time is not kept" in out
    out = replay(shop, "EVENTS:4", "--on", "never.wasm", "--policy", "read-only", status=1)
    assert "[REPLAY] shop printed 8 none then" in out
    out = replay(shop, "EVENTS:4", "--on", "price.wasm", "--policy", "live", status=1)
    assert "[REPLAY] shop printed 8 12 then" in out


def test_read_only_sees_a_key_as_it_was_at_the_time(tmp_path_factory, servers):
    folder = tmp_path_factory.mktemp("before")
    build(folder, "other.wasm")
    build(folder, "shop.wasm")
    build(folder, "price.wasm", '-DNEW="price"')
    (folder / "nexus.yaml").write_text(MANIFEST)
    server = servers(folder, "start")
    server.publish("order", {"n": 1})
    server.wait_until_idle()
    assert server.stop() == 0
    (folder / "nexus.yaml").write_text(MANIFEST.replace("code: shop.wasm", "code: other.wasm"))
    server = servers(folder, "start")
    server.publish("order", {"n": 2})
    server.wait_until_idle()
    for policy in ("read-only", "live"):  # the second while a server runs
        out = replay(folder, "EVENTS:3", "--on", "price.wasm", "--policy", policy, status=1)
        assert "12 then" in out
    assert server.stop() == 0


def test_a_range_is_of_the_function_whose_code_the_file_is(shop):
    found = run_nexus("replay", "--since", "1h", "--on", "./other.wasm", cwd=shop).stdout
    assert "OK 3 calls compared with ./other.wasm" in found and "3 identical" in found
    nobodys = run_nexus("replay", "--since", "1h", "--on", "price.wasm", cwd=shop, status=2).stderr
    assert "which function is that code of? --function NAME" in nobodys


def test_two_modules_are_compared_with_one_another(shop):
    out = replay(shop, "--on", "never.wasm", "--against", "price.wasm", status=1)
    assert "3 calls by never.wasm compared with price.wasm in " in out
    assert "questions  3 calls differ" in out
    report = json.loads(replay(shop, "--on", "price.wasm", "--against", "price.wasm", "--output", "json"))
    assert report["counts"]["identical"] == report["total"] == 3
    out = replay(shop, "EVENTS:3", "--on", "price.wasm", "--against", "shop.wasm", status=1)
    assert 'shop.wasm " at ' in out or 'shop.wasm "at ' in out
    assert "price.wasm " in out

"""nexus bisect: which version of a function's code began to do something else with an event."""
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
  - name: other
    on: {event: {type: order}}
    code: other.wasm
"""
# What prints, logs and publishes; all but the first line of it changes from version to version.
VERSIONS = [
    ("one", "first", "made"),
    ("one", "quieter", "made"),      # logs something else: its output is the same
    ("two", "quieter", "made"),      # this one prints something else
    ("two", "quieter", "finished"),  # publishes something else
    ("one", "first", "made"),        # the first one again
]


def build(folder, name, text, log, published):
    (folder / "shop.c").write_text(f"""
    #include <stdio.h>
    #include "nexus.h"
    int main(void) {{
        nexus_log(NEXUS_INFO, "{log}");
        nexus_publish("{published}", "1", 1);
        printf("{text}\\n");
        return 0;
    }}""")
    subprocess.run([*C, str(folder / "shop.c"), "-o", str(folder / name)], check=True, timeout=120)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A function with five registrations; an order was handled by the second."""
    folder = tmp_path_factory.mktemp("shop")
    build(folder, "other.wasm", "other", "x", "x")
    (folder / "nexus.yaml").write_text(MANIFEST)
    for number, version in enumerate(VERSIONS):
        build(folder, "shop.wasm", *version)
        server = Server(folder, "start")
        try:
            if number == 1:
                server.publish("order", {"n": 1})
            server.wait_until_idle()
        finally:
            assert server.stop() == 0
    return folder


def bisect(folder, *arguments):
    return run_nexus("bisect", *arguments, "--function", "shop", cwd=folder).stdout


def test_the_first_module_whose_output_differs_is_named(shop):
    report = json.loads(bisect(shop, "EVENTS:1", "--output", "json"))
    modules = report["modules"]
    assert [m["differs"] for m in modules] == [False, False, True, True, True]
    assert [m["recorded"] for m in modules] == [False, True, False, False, False]
    assert modules[0]["module"] == modules[4]["module"] and modules[0]["output"] == "one\n"
    assert report["first"] == modules[2]["module"]
    assert modules[2]["difference"] == {"what": "output", "offset": 0, "before": "one\n", "after": "two\n"}
    assert modules[3]["difference"]["what"] == "effect 1"
    assert modules[3]["difference"]["after"] == "finished"
    assert [m["registered"] for m in modules] == sorted(m["registered"] for m in modules)


def test_it_is_said_in_words(shop):
    lines = bisect(shop, "EVENTS:1").splitlines()
    assert re.fullmatch(r"INVOCATIONS:\d+ of EVENTS:1; shop has had 5 modules:", lines[0])
    assert re.fullmatch(r"  [0-9a-f]{12}  20\S+Z  printed one", lines[1])
    assert re.fullmatch(r"  [0-9a-f]{12}  20\S+Z  the same \(the recorded call\)", lines[2])
    assert re.fullmatch(r'\* [0-9a-f]{12}  20\S+Z  output: "one\\x0a" became "two\\x0a"', lines[3])
    named = re.match(r"OK The first that differs is module ([0-9a-f]{64}), registered 20\S+Z: output: ", lines[6])
    assert named
    shown = run_nexus("replay", "EVENTS:1", "--function", "shop", "--on", named[1], cwd=shop, status=1).stdout
    assert "printed two" in shown


def test_it_works_beside_the_running_server(shop, servers):
    server = servers(shop, "start")
    assert "OK The first that differs is module " in bisect(shop, "EVENTS:1")
    assert server.stop() == 0


def test_modules_that_do_the_same_are_said_to(shop):
    out = run_nexus("bisect", "EVENTS:1", "--function", "other", cwd=shop).stdout
    assert "other has had 1 module:" in out and out.endswith("OK They all do the same with this event\n")


@pytest.mark.parametrize("arguments, status, message", [
    (["EVENTS:1"], 1, "ran more than one function"),
    (["EVENTS:99"], 1, "EVENTS:99"),
    ([], 2, "nexus bisect needs more"),
    (["EVENTS:1", "--output", "xml"], 2, "--output is text or json"),
])
def test_what_cannot_be_is_told(shop, arguments, status, message):
    assert message in run_nexus("bisect", *arguments, cwd=shop, status=status).stderr

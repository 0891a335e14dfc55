"""Modules, large outputs and large tapes are objects in the log, found by every replay."""
import json
import re
import shutil
import subprocess

from conftest import run_nexus

# Prints 300 KB, and looks at the clock so often that its tape does not fit into a record either.
LARGE = """
#include <stdio.h>
#include <time.h>
int main(void) {
    struct timespec now;
    for (int i = 0; i < 100000; i++) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        clock_gettime(CLOCK_REALTIME, &now);
        putchar('a');
        putchar('b');
        putchar('c');
    }
    return 0;
}
"""


def build_large(project):
    (project / "large.c").write_text(LARGE)
    subprocess.run(["clang-19", "--target=wasm32-wasi", "-O2", "-Wl,-z,stack-size=65536,--stack-first", "large.c", "-o",
                    "large.wasm"], cwd=project, check=True, capture_output=True)
    config = (project / "nexus.yaml").read_text()
    config = re.sub(r"    code: .*\n", "    code: ./large.wasm\n", config)
    (project / "nexus.yaml").write_text(config)


def records_of_objects(project):
    return [line for line in run_nexus("journal", "dump", cwd=project).stdout.splitlines() if "OBJ_" in line]


def test_large_outputs_and_tapes_replay_without_the_module_folder(project, servers):
    build_large(project)
    server = servers(project)
    events = [server.publish("user.created", {"user_id": "u1"}) for _ in range(3)]
    server.wait_until_idle()
    calls = server.all_items("/invocations", "invocations")
    assert [c["outcome"] for c in calls] == ["ok"] * 3
    assert "identical output" in run_nexus("replay", events[0], cwd=project).stdout
    shutil.rmtree(project / ".nexus" / "modules")
    assert "identical output" in run_nexus("replay", events[1], cwd=project).stdout
    assert server.stop() == 0
    shutil.rmtree(project / ".nexus" / "modules", ignore_errors=True)
    report = json.loads(run_nexus("replay", events[2], "--output", "json", cwd=project).stdout)
    assert report["identical"] is True
    run_nexus("replay", "--since", "1h", "--verify", cwd=project)
    # The module is stored once and for good; each call's output and tape are its own.
    objects = records_of_objects(project)
    assert len([line for line in objects if "$O.nexus.M." in line]) == 1
    assert len([line for line in objects if "$O.calls.M." in line]) == 3 + 3
    told = run_nexus("journal", "verify", cwd=project).stdout
    assert "7 objects of " in told and "; 0 of 0 bytes are named by no record any more" in told


def test_a_module_is_stored_once(project, servers):
    for _ in range(2):
        server = servers(project)
        server.publish("user.created", {"user_id": "u1"})
        server.wait_until_idle()
        assert server.stop() == 0
    assert len([line for line in records_of_objects(project) if "$O.nexus.M." in line]) == 1

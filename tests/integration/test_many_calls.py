"""As many calls at once as the workers take: none fails for want of room."""
import re
import subprocess

SLEEPER = """
#include <unistd.h>
int main(void) {
    usleep(800 * 1000);
    return 0;
}
"""
COUNT = 320  # more than the sandbox holds when nobody tells it how many


def test_every_worker_s_calls_have_room(project, servers):
    (project / "sleeper.c").write_text(SLEEPER)
    subprocess.run(["clang-19", "--target=wasm32-wasi", "-O2", "-Wl,-z,stack-size=65536", "sleeper.c", "-o",
                    "sleeper.wasm"], cwd=project, check=True, capture_output=True)
    config = (project / "nexus.yaml").read_text()
    config = re.sub(r"    code: .*\n", "    code: ./sleeper.wasm\n    max_concurrency: 1000\n", config)
    config = re.sub(r"    order: .*\n", "", config)
    (project / "nexus.yaml").write_text(config)
    server = servers(project, "dev", "--workers", "6")
    for number in range(COUNT):
        server.publish("user.created", {"user_id": f"u{number}"})
    server.wait_until_idle()
    calls = server.all_items("/invocations", "invocations")
    assert [c for c in calls if c["outcome"] != "ok"] == []
    assert len(calls) == COUNT

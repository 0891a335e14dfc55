"""`make demo` keeps its promise: the whole story holds, and a step that does not is told by the exit status."""
import subprocess
import sys

from conftest import NEXUS, ROOT


def run_demo(binary):
    return subprocess.run([sys.executable, str(ROOT / "tools" / "demo"), "--binary", binary], capture_output=True,
                          text=True, timeout=300)


def test_the_demo_walks_through_the_whole_story():
    done = run_demo(NEXUS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The whole story held" in done.stdout
    assert done.stdout.count("   ok ") >= 9


def test_the_demo_fails_loudly(tmp_path):
    fake = tmp_path / "nexus"
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    done = run_demo(str(fake))
    assert done.returncode == 1
    assert "FAILED in step 1" in done.stdout

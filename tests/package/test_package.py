"""The Debian package: what is in it works from where it is put. In continuous integration, as root, it is also
installed, run as the service would run it, and removed again."""
import os
import shutil
import socket
import subprocess

import pytest

from conftest import ROOT, Server


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, **more)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def deb():
    run(str(ROOT / "tools" / "package"))
    found = list((ROOT / "build").glob("nexus_*.deb"))
    assert len(found) == 1
    return found[0]


@pytest.fixture(scope="module")
def root(deb, tmp_path_factory):
    folder = tmp_path_factory.mktemp("root")
    run("dpkg-deb", "-x", str(deb), str(folder))
    return folder


def test_the_package_names_what_it_needs_and_keeps_the_owners_configuration(deb):
    fields = run("dpkg-deb", "-f", str(deb), "Package", "Depends", "Architecture")
    assert "Package: nexus" in fields
    for library in ("libc6", "libuv1", "libfyaml0", "libssl3", "liblz4-1", "zlib1g"):
        assert library in fields
    assert run("dpkg-deb", "-I", str(deb), "conffiles").strip() == "/etc/nexus/nexus.yaml"


def test_the_packaged_program_explains_the_packaged_configuration(root):
    program = root / "usr" / "bin" / "nexus"
    shown = run(str(program), "config", "--config", str(root / "etc" / "nexus" / "nexus.yaml"))
    assert "has no mistakes" in shown and "/var/lib/nexus" in shown
    assert program.stat().st_size < 20_000_000


def test_the_manual_is_one_that_man_reads_without_complaint(root):
    page = root / "usr" / "share" / "man" / "man1" / "nexus.1.gz"
    lint = subprocess.run(["sh", "-c", f"gzip -dc '{page}' | mandoc -Tlint -Wwarning"], capture_output=True,
                          text=True, timeout=60, check=False).stdout
    assert [line for line in lint.splitlines() if "missing date" not in line] == []
    shown = run("sh", "-c", f"gzip -dc '{page}' | mandoc -Tascii | col -b")
    assert "nexus replay [ID]" in shown and "--verify" in shown


def test_bash_completes_commands_flags_and_choices(root):
    script = root / "usr" / "share" / "bash-completion" / "completions" / "nexus"

    def complete(*words):
        listed = " ".join(f"'{word}'" for word in words)
        return run("bash", "-c", f"source '{script}'; COMP_WORDS=({listed}); COMP_CWORD={len(words) - 1}; _nexus; "
                                 "printf '%s\\n' \"${COMPREPLY[@]}\"").split()

    assert complete("nexus", "re") == ["replay"]
    assert complete("nexus", "replay", "--ver") == ["--verify"]
    assert complete("nexus", "logs", "--level", "") == ["debug", "info", "warn", "error"]
    assert complete("nexus", "journal", "d") == ["dump"]


def test_fish_completes_with_explanations(root):
    script = root / "usr" / "share" / "fish" / "vendor_completions.d" / "nexus.fish"

    def complete(line):
        return run("fish", "--no-config", "-c", f"source '{script}'; complete -C '{line}'",
                   env={**os.environ, "HOME": str(root)})

    assert "replay\trun a recorded call again" in complete("nexus re")
    assert "--verify\tonly compare" in complete("nexus replay --ver")
    assert complete("nexus journal d").startswith("dump")


def test_zsh_completes_commands(root, tmp_path):
    shutil.copy(root / "usr" / "share" / "zsh" / "vendor-completions" / "_nexus", tmp_path / "_nexus")
    (tmp_path / "ask").write_text(
        "zmodload zsh/zpty\n"
        "zpty shell zsh -f -i\n"
        f"zpty -w shell $'PS1=; fpath=({tmp_path} $fpath); autoload -Uz compinit; compinit -u -D; "
        "zstyle \":completion:*\" format \"\"; unsetopt zle_bracketed_paste; print rea\"\"dy\\n'\n"
        "zpty -r -m shell seen '*ready*'\n"
        "zpty -w -n shell $'nexus replay --ver\\t'\n"
        "zpty -r -m shell seen '*--verify*' && print found\n"
        "zpty -d shell\n")
    assert "found" in run("zsh", "-f", str(tmp_path / "ask"), env={**os.environ, "HOME": str(tmp_path)})


def test_the_unit_is_one_that_systemd_reads(root):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not on this machine")
    unit = root / "nexus.service"
    text = (root / "lib" / "systemd" / "system" / "nexus.service").read_text()
    unit.write_text(text.replace("/usr/bin/nexus", str(root / "usr" / "bin" / "nexus")))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True,
                          timeout=60, check=False)
    assert [line for line in done.stderr.splitlines() if "nexus" in line] == []


def test_start_tells_the_service_manager_when_it_is_ready_and_when_it_stops(tmp_path):
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    manager.settimeout(60)
    (tmp_path / "nexus.yaml").write_text("version: v1\nfunctions: []\n")
    server = Server(tmp_path, "start", environment={"NOTIFY_SOCKET": str(tmp_path / "notify")})
    try:
        assert manager.recv(100) == b"READY=1"
        assert server.get("/readyz")
        assert server.stop() == 0
        assert manager.recv(100) == b"STOPPING=1"
    finally:
        server.end()
        manager.close()


def test_it_installs_and_is_removed_again(deb):
    if os.environ.get("CI") != "true" or os.geteuid() != 0:
        pytest.skip("installs a package: only in continuous integration, as root")
    try:
        run("dpkg", "-i", str(deb))
        assert run("/usr/bin/nexus", "--version").startswith("nexus ")
        assert "has no mistakes" in run("/usr/bin/nexus", "config", "--config", "/etc/nexus/nexus.yaml")
        assert os.path.exists("/lib/systemd/system/nexus.service")
    finally:
        run("dpkg", "--purge", "nexus")
    assert not os.path.exists("/usr/bin/nexus") and not os.path.exists("/etc/nexus/nexus.yaml")

"""The same story in each language, with stock toolchains: new, build, dev, publish, its effects, replay.

The toolchains are those of tools/setup in build/deps; a test without its toolchain is skipped, by name."""
import json
import os
import pathlib
import shutil
import subprocess

import pytest

from conftest import ROOT, run_nexus

DEPS = ROOT / "build" / "deps"


def run(command, folder, environment):
    done = subprocess.run(command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def with_path(*folders, **environment):
    return {"PATH": os.pathsep.join([*map(str, folders), os.environ["PATH"]]), **environment}


def rust():
    return with_path(DEPS / "rust" / "bin", CARGO_NET_OFFLINE="true"), DEPS / "rust" / "bin" / "cargo"


def go():
    cache = ROOT / "build" / "go-cache"
    return (with_path(DEPS / "go" / "bin", GOTOOLCHAIN="local", GOFLAGS="-mod=mod -buildvcs=false", GOCACHE=str(cache),
                      GOPATH=str(ROOT / "build" / "go"), CGO_ENABLED="0", GOROOT=str(DEPS / "go")), DEPS / "go" / "bin" / "go")


def c():
    return {}, pathlib.Path(shutil.which("clang-19") or "/nowhere")


LANGUAGES = {
    # language: its environment and a file that must be there, the module, the project's own tests
    "c": (c, "build/welcome.wasm", None),
    "rust": (rust, "target/wasm32-wasip1/release/welcome.wasm", ["cargo", "test", "--quiet", "--bins"]),
    "go": (go, "build/welcome.wasm", ["go", "test", "./..."]),
}


def prepare(language, folder):
    """A project in this language; the environment of its toolchain."""
    environment, needed = LANGUAGES[language][0]()
    if not needed.exists():
        pytest.skip(f"no toolchain for {language}: {needed}")
    run_nexus("new", "my-app", f"--lang={language}", cwd=folder)
    return folder / "my-app", environment


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_whole_story(language, tmp_path, servers):
    project, environment = prepare(language, tmp_path)
    manifest = project / "nexus.yaml"
    manifest.write_text(manifest.read_text() + "    retry: {max_attempts: 1}\n")
    built = run_nexus("build", cwd=project, environment=environment, timeout=300)
    assert f"OK user-welcome: {LANGUAGES[language][1]}" in built.stdout
    server = servers(project)
    fixture = json.loads((project / "events" / "user.created.json").read_text())
    events = []
    for data in (fixture, fixture, {"email": "nobody@example.com"}):
        events.append(server.publish("user.created", data))
        server.wait_until_idle()

    calls = [server.get(f"/invocations/{c['id']}") for c in server.all_items("/invocations", "invocations")]
    assert [call["outcome"] for call in calls] == ["ok", "ok", "exit"]
    outputs = [call["output"] for call in calls[:2]]
    outputs = [json.loads(o) if isinstance(o, str) else o for o in outputs]
    assert outputs == [{"user_id": "u42", "visits": 1}, {"user_id": "u42", "visits": 2}]  # what was stored is read
    welcomed = [e["event"]["data"] for e in server.all_items("/events", "events") if e["event"]["type"] == "user.welcomed"]
    assert welcomed == [{"user_id": "u42", "text": "Welcome!"}]
    said = [json.loads(line) for line in run_nexus("logs", "--output", "json", cwd=project).stdout.splitlines()]
    assert [(line["level"], line["text"]) for line in said[:2]] == [("INFO", "Processing user event")] * 2
    assert said[2]["level"] == "ERROR" and "The event has no user_id" in said[2]["text"]
    assert "identical output" in run_nexus("replay", events[0], cwd=project).stdout
    report = json.loads(run_nexus("replay", "--since", "1h", "--verify", "--output", "json", cwd=project).stdout)
    assert report["total"] == report["counts"]["identical"] == 3


@pytest.mark.parametrize("language", [name for name, (_, _, tests) in LANGUAGES.items() if tests])
def test_the_template_comes_with_tests_that_need_no_server(language, tmp_path):
    project, environment = prepare(language, tmp_path)
    run(LANGUAGES[language][2], project, environment)


@pytest.mark.parametrize("language, tool", [
    ("rust", "needs Rust (cargo), which is not here"),
    ("go", "needs Go, which is not here"),
])
def test_build_names_what_is_missing(language, tool, tmp_path):
    run_nexus("new", "my-app", f"--lang={language}", cwd=tmp_path)
    done = run_nexus("build", cwd=tmp_path / "my-app", status=1, environment={"PATH": str(tmp_path)})
    assert tool in done.stderr and "hint: " in done.stderr


def test_the_rust_helper_keeps_its_promises(tmp_path):
    environment, needed = rust()
    if not needed.exists():
        pytest.skip(f"no toolchain for rust: {needed}")
    said = run(["cargo", "test", "--tests", "--quiet"], ROOT / "guest" / "rust", {**environment, "CARGO_TARGET_DIR": str(tmp_path)})
    assert "test result: ok. 8 passed" in said


def test_the_go_helper_keeps_its_promises():
    environment, needed = go()
    if not needed.exists():
        pytest.skip(f"no toolchain for go: {needed}")
    assert "ok" in run(["go", "test", "-count=1", "./..."], ROOT / "guest" / "go", environment)
    run(["go", "vet", "./..."], ROOT / "guest" / "go", environment)
    run(["go", "vet", "-unsafeptr=false", "./..."], ROOT / "guest" / "go", {**environment, "GOOS": "wasip1", "GOARCH": "wasm"})

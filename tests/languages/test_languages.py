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


def node():
    return {}, DEPS / "node" / "node_modules" / ".bin" / "esbuild"


def c():
    return {}, pathlib.Path(shutil.which("clang-19") or "/nowhere")


LANGUAGES = {
    # language: its environment and a file that must be there, the module, the project's own tests
    "c": (c, "build/welcome.wasm", None),
    "rust": (rust, "target/wasm32-wasip1/release/welcome.wasm", ["cargo", "test", "--quiet", "--bins"]),
    "go": (go, "build/welcome.wasm", ["go", "test", "./..."]),
    "javascript": (node, "build/welcome.wasm", ["node", "--test", "test/"]),
    "assemblyscript": (node, "build/welcome.wasm", ["npm", "test", "--silent"]),
    "typescript": (node, "build/welcome.wasm", ["npm", "test", "--silent"]),
}


def prepare(language, folder):
    """A project in this language; the environment of its toolchain."""
    environment, needed = LANGUAGES[language][0]()
    if not needed.exists():
        pytest.skip(f"no toolchain for {language}: {needed}")
    run_nexus("new", "my-app", f"--lang={language}", cwd=folder)
    if LANGUAGES[language][0] is node:
        install_packages(folder / "my-app")
    return folder / "my-app", environment


def install_packages(project):
    """As `npm install` would, from what tools/setup fetched."""
    (project / "node_modules").mkdir()
    for package in (DEPS / "node" / "node_modules").iterdir():
        (project / "node_modules" / package.name).symlink_to(package)
    (project / "node_modules" / "nexus").symlink_to(project / "nexus")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_whole_story(language, tmp_path, servers):
    project, environment = prepare(language, tmp_path)
    manifest = project / "nexus.yaml"
    manifest.write_text(manifest.read_text() + "    retry: {max_attempts: 1}\n")
    built = run_nexus("build", cwd=project, environment=environment, timeout=300)
    assert f"OK user-welcome: {LANGUAGES[language][1]}" in built.stdout
    assert run_nexus("test", cwd=project).stdout.startswith("OK fixtures/first-visit.json\n")
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
    for number, event in enumerate(events):
        run_nexus("test", "--from", event, "--name", f"visit-{number}", cwd=project)
    assert "\nOK 4 fixtures in " in run_nexus("test", cwd=project).stdout


@pytest.mark.parametrize("language", [name for name, (_, _, tests) in LANGUAGES.items() if tests])
def test_the_template_comes_with_tests_that_need_no_server(language, tmp_path):
    project, environment = prepare(language, tmp_path)
    run(LANGUAGES[language][2], project, environment)


@pytest.mark.parametrize("language, tool", [
    ("rust", "needs Rust (cargo), which is not here"),
    ("go", "needs Go, which is not here"),
    ("assemblyscript", "needs Node.js (npm), which is not here"),
    ("typescript", "needs Node.js (npm), which is not here"),
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
    assert "test result: ok. 9 passed" in said


def test_the_go_helper_keeps_its_promises():
    environment, needed = go()
    if not needed.exists():
        pytest.skip(f"no toolchain for go: {needed}")
    assert "ok" in run(["go", "test", "-count=1", "./..."], ROOT / "guest" / "go", environment)
    run(["go", "vet", "./..."], ROOT / "guest" / "go", environment)
    run(["go", "vet", "-unsafeptr=false", "./..."], ROOT / "guest" / "go", {**environment, "GOOS": "wasip1", "GOARCH": "wasm"})


def test_the_javascript_helper_keeps_its_promises():
    run(["node", "--test", "test/"], ROOT / "guest" / "javascript", {})


def project_of_script(folder, script, *flags):
    """A project whose one function is a script of tests/languages/javascript."""
    shutil.copy(ROOT / "tests" / "languages" / "javascript" / script, folder / "script.js")
    (folder / "nexus.yaml").write_text(
        "version: v1\nfunctions:\n  - name: script\n    on: {http: {method: POST, path: /events/try}}\n    code: ./script.wasm\n"
        f"    build: nexus javascript script.js --out script.wasm {' '.join(flags)}\n    retry: {{max_attempts: 1}}\n")
    packages = DEPS / "node" / "node_modules"
    if not packages.exists():
        pytest.skip(f"no packages of npm: {packages}")
    (folder / "node_modules").symlink_to(packages)
    (folder / "package.json").write_text('{"type": "module"}')
    run_nexus("build", cwd=folder)
    return folder


@pytest.mark.parametrize("script, flags", [("apis.js", []), ("packages.js", ["--bundle"])])
def test_a_script_gets_from_nexus_what_node_gives_it(script, flags, tmp_path, servers):
    project = project_of_script(tmp_path, script, *flags)
    server = servers(project)
    server.publish("try", {"n": 1}, headers={"ce-id": "e1", "ce-source": "/test"})
    server.wait_until_idle()
    call, = server.all_items("/invocations", "invocations")
    call = server.get(f"/invocations/{call['id']}")
    assert call["outcome"] == "ok", run_nexus("logs", cwd=project).stdout
    output = json.loads(call["output"]) if isinstance(call["output"], str) else call["output"]
    event = server.get("/events?limit=1")["events"][0]["event"]
    by_node = run(["node", "--input-type=module", "-e",
                   "const { default: handler } = await import(process.cwd() + '/script.js'); console.log = () => {};"
                   f"process.stdout.write(JSON.stringify(await handler({json.dumps(event)})));"], project, {})
    assert output == json.loads(by_node)
    report = json.loads(run_nexus("replay", "--since", "1h", "--verify", "--output", "json", cwd=project).stdout)
    assert report["total"] == report["counts"]["identical"] == 1


@pytest.mark.parametrize("script, said", [
    ("export default function () { return 1 }}", "SyntaxError"),
    ("import x from 'left-pad'; export default x", "cannot import 'left-pad'"),
    ("import { log } from 'nexus'; log.info('x'); export default () => 1", "only inside of the handler"),
    ("export const handler = 1", "the script has no handler"),
    ("await new Promise(() => {}); export default () => 1", "top level waits"),
    ("throw new TypeError('mine'); export default () => 1", "TypeError: mine"),
])
def test_a_script_that_cannot_be_loaded_says_why(script, said, tmp_path):
    (tmp_path / "script.js").write_text(script)
    done = run_nexus("javascript", "script.js", cwd=tmp_path, status=1)
    assert said in done.stderr and "script.js" in done.stderr
    assert not (tmp_path / "build" / "script.wasm").exists()


def test_a_script_that_fails_fails_alone(tmp_path, servers):
    bodies = [
        ("throw new RangeError('mine')", "exit", "RangeError: mine"),
        ("await null; throw new RangeError('later')", "exit", "RangeError: later"),
        ("await new Promise(() => {})", "exit", "never settled"),
        ("for (;;) {}", "deadline", ""),
        ("const all = []; for (;;) all.push(new Uint8Array(1 << 20))", "memory-limit", ""),
        ("const deep = () => deep() + 1; deep()", "stack-overflow", ""),
    ]
    cases = "".join(f"case {i}: {{ {body} }} break;" for i, (body, _, _) in enumerate(bodies))
    (tmp_path / "script.js").write_text(f"export default async function (event) {{ switch (event.data) {{ {cases} }} }}")
    run_nexus("javascript", "script.js", cwd=tmp_path)
    (tmp_path / "nexus.yaml").write_text(
        "version: v1\nfunctions:\n  - name: script\n    on: {http: {method: POST, path: /events/try}}\n"
        "    code: ./build/script.wasm\n    timeout: 300ms\n    memory: 16Mi\n    retry: {max_attempts: 1}\n")
    server = servers(tmp_path)
    for i, (_, outcome, said) in enumerate(bodies):
        server.publish("try", str(i), headers={"content-type": "application/json"})
        server.wait_until_idle()
        call = server.all_items("/invocations", "invocations")[-1]
        assert call["outcome"] == outcome, (bodies[i], call)
        assert said in run_nexus("logs", cwd=tmp_path).stdout
    report = json.loads(run_nexus("replay", "--since", "1h", "--verify", "--output", "json", cwd=tmp_path).stdout)
    assert report["total"] == report["counts"]["identical"] == len(bodies)


def test_the_assemblyscript_helper_keeps_its_promises(tmp_path):
    compiler = DEPS / "node" / "node_modules" / ".bin" / "asc"
    if not compiler.exists():
        pytest.skip(f"no toolchain for assemblyscript: {compiler}")
    module = tmp_path / "all.wasm"
    folder = ROOT / "guest" / "assemblyscript"
    run([compiler, "test/all.ts", "--outFile", module, "-O", "--runtime", "stub", "--use", "abort=assembly/index/abort"], folder, {})
    run(["node", "--test", "test/"], folder, {"NEXUS_TEST_MODULE": str(module)})

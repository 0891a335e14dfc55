"""The guides say what is so: commands in them run, and what they list is complete."""
import json
import re
import shutil
import subprocess
import textwrap

from conftest import NEXUS, ROOT, Walkthrough, run_nexus

GUIDES = ROOT / "docs" / "guides"


def test_getting_started_runs_as_written(tmp_path, servers):
    text = (GUIDES / "GETTING_STARTED.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    assert len(blocks) >= 4
    folder, server, said = tmp_path, None, []
    environment = {"PATH": f"{tmp_path}:/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path)}
    (tmp_path / "nexus").symlink_to(NEXUS)
    for block in blocks:
        if block.strip() == "nexus dev":
            folder = tmp_path / "my-app"
            server = servers(folder)
            continue
        if server:
            block = block.replace("localhost:8080", f"localhost:{server.port}")
            server.wait_until_idle()
        done = subprocess.run(["bash", "-ec", block], cwd=folder, env=environment, capture_output=True, text=True,
                              timeout=120, check=False)
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        said.append(done.stdout)
    assert "1 identical" in said[-2]
    assert "OK fixtures/from-life.json\nOK 2 fixtures in " in said[-1]


def run_as_written(page, server, home):
    """Each block of commands in the server's project; what it printed."""
    (home / "nexus").symlink_to(NEXUS)
    environment = {"PATH": f"{home}:/usr/local/bin:/usr/bin:/bin", "HOME": str(home)}
    said = []
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.S):
        done = subprocess.run(["bash", "-ec", "set -o pipefail\n" + block.replace("localhost:8080", f"localhost:{server.port}")],
                              cwd=server.folder, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        said.append(done.stdout)
        server.wait_until_idle()
    return said


def test_events_guide_runs_as_written(project, servers, tmp_path):
    said = run_as_written(GUIDES / "EVENTS.md", servers(project), tmp_path)
    assert len(said) >= 6
    assert said[0].count("published") == 1 and said[1].count("published") == 2 and said[2].count("published") == 2
    assert said[3].count("published") == 1 and said[3].count("duplicate") == 1
    assert said[5].count("data: ") == 5 + 5  # the orders; then what came behind the second event


def test_privacy_guide_runs_as_written(project, servers, tmp_path):
    said = run_as_written(GUIDES / "PRIVACY.md", servers(project), tmp_path)
    assert len(said) == 4
    assert "Alice" in said[1] and "identical" in said[1]
    assert "Alice" not in said[3] and '"withheld":"erased ' in said[3] and "as it should be" in said[3]


def test_readme_runs_as_written(tmp_path, servers):
    by_hand = (ROOT / "README.md").read_text().split("## By hand")[1].split("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", by_hand, re.S)
    assert len(blocks) == 2
    means = {"01J…": lambda said: re.findall(r'"event_id":"(\w+)"', said)[-1]}
    with Walkthrough(tmp_path, servers, means=means) as walk:
        for block in blocks:
            walk.run(block)
        for promised in ("Processing user event", "user.created", "user.welcomed", "because user-welcome published it",
                         "identical output"):
            assert promised in walk.said


def test_replay_guide_runs_as_written(project, servers, tmp_path):
    blocks = re.findall(r"```sh\n(.*?)```", (GUIDES / "REPLAY.md").read_text(), re.S)
    assert len(blocks) >= 3
    shutil.copy(project / "build" / "welcome.wasm", project / "build" / "welcome-old.wasm")
    server = servers(project)
    for number in range(17):  # its examples ask for EVENTS:17
        server.publish("user.created", {"user_id": f"u{number}"})
    server.wait_until_idle()
    with Walkthrough(tmp_path, servers) as walk:
        walk.run(f"cd {project}")
        for block in blocks:
            walk.run(block)


def test_api_reference_runs_as_written_and_has_every_route(project, servers, tmp_path):
    page = GUIDES / "API_REFERENCE.md"
    server = servers(project)
    parts = re.split(r"^### (.*)$", page.read_text(), flags=re.M)[1:]
    described = {f"{method.upper()} {path}" for path, methods in server.get("/openapi.json")["paths"].items()
                 for method in methods}
    assert described == set(parts[::2])
    assert all("```sh\ncurl " in text or "\n    curl " in text or "$(curl " in text for text in parts[1::2])
    said = "\n".join(run_as_written(page, server, tmp_path))
    assert said.count('"status":"published"') == 7 and said.count('"status":"duplicate"') == 1
    assert '"identical": true' in said and "INVOCATIONS:" in said and "data: " in said and '"requeued":0' in said
    assert "nexus_events_total" in said and "/openapi.json" in said


def manifest_of(block):
    """A whole nexus.yaml around what a guide shows of one."""
    text = textwrap.dedent(block)
    if re.match(r"(on|cors|retry|order|env):", text):
        function = "" if text.startswith("on:") else "    on: {http: {path: /f}}\n"
        text = f"functions:\n  - name: f\n    code: f.wasm\n{function}" + textwrap.indent(text, "    ")
    return text if "version:" in text else f"version: v1\n{text}"


def test_every_configuration_in_a_guide_is_taken(tmp_path):
    blocks = [(page.name, block) for page in sorted(GUIDES.glob("*.md"))
              for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.S)]
    assert {"CONFIGURATION.md", "HTTP_FUNCTIONS.md", "NATS.md"} <= {name for name, _ in blocks}
    for name, block in blocks:
        (tmp_path / "nexus.yaml").write_text(manifest_of(block))
        done = run_nexus("config", cwd=tmp_path, status=None, environment={"ORDERS_PASSWORD": "a secret"})
        assert done.returncode == 0, f"{name}\n{block}\n{done.stderr}"


def test_configuration_names_every_key_of_the_schema():
    schema = json.loads((ROOT / "spec" / "nexus.schema.json").read_text())
    text = (GUIDES / "CONFIGURATION.md").read_text()
    keys = set(schema["properties"]) | set(schema["$defs"]["function"]["properties"])
    for name in ("stream", "retry", "order"):
        keys |= set(schema["$defs"][name]["properties"])
    for dialect in schema["$defs"]["filter"]["properties"]:
        assert f"`{{{dialect}: " in text
    assert {key for key in keys if f"`{key}`" not in text} == set()


def test_troubleshooting_names_every_kind_and_every_outcome():
    text = (GUIDES / "TROUBLESHOOTING.md").read_text()
    kinds = re.findall(r"^\| `([a-z-]+)` \|", (ROOT / "spec" / "errors.md").read_text(), re.M)
    outcomes = re.findall(r'X\(NX_OUTCOME_\w+, "([a-z-]+)"\)', (ROOT / "src" / "codec" / "outcome.h").read_text())
    assert len(kinds) > 15 and len(outcomes) > 10
    assert {name for name in kinds + outcomes if name != "ok" and f"`{name}`" not in text} == set()


def test_replay_names_every_shape_of_difference():
    text = (GUIDES / "REPLAY.md").read_text()
    shapes = re.findall(r'X\(NX_REPLAY_SHAPE_\w+, "([a-z]+)"\)',
                        (ROOT / "src" / "platform" / "function" / "replay.h").read_text())
    assert len(shapes) == 7
    assert {shape for shape in shapes if f"`{shape}`" not in text} == set()


def test_links_between_pages_lead_somewhere():
    pages = [ROOT / name for name in ("README.md", "GUARANTEES.md", "ARCHITECTURE.md", "CONTRIBUTING.md")]
    for page in [*pages, *sorted((ROOT / "docs").rglob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"

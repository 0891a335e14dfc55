"""The READMEs of the examples and of the templates: their commands run as they stand, and what they promise is seen.

Packages of npm are those of tools/setup instead of `npm install`."""
import re
import shutil

import pytest

from conftest import ROOT, Walkthrough
from test_languages import LANGUAGES, c, go, install_packages, node, prepare, rust


def commands(readme):
    """The block of commands: the lines that are indented."""
    return "\n".join(re.findall(r"^    (.*)$", readme.read_text(), re.M))


def first(pattern):
    """What the pattern finds first in all that was printed so far."""
    return lambda said: re.search(pattern, said)[1]


@pytest.mark.parametrize("name, toolchain, promised", [
    ("welcome-mail", c, "mail.requested"),
    ("csv", rust, "line 5: the price is no amount"),
    ("webhook", go, "payment.received"),
    ("chain", node, "invoice.issued"),
    ("notes", node, "set key "),
])
def test_the_readme_of_an_example_runs_as_written(name, toolchain, promised, tmp_path, servers):
    environment, needed = toolchain()
    if not needed.exists():
        pytest.skip(f"no toolchain for {name}: {needed}")
    (tmp_path / "guest").symlink_to(ROOT / "guest")
    project = tmp_path / "examples" / name
    shutil.copytree(ROOT / "examples" / name, project, ignore=shutil.ignore_patterns("build", "target", ".nexus", "node_modules"))
    if toolchain is node:
        install_packages(project)
    means = {r"\bID\b": first(r'"id":\s*"([^"]+)"'), r"\bEVENT\b": first(r"(?i)nexus-event: (\S+)")}
    with Walkthrough(tmp_path, servers, environment, means) as walk:
        walk.run(f"cd examples/{name}")
        assert promised in walk.run(commands(project / "README.md"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_readme_of_a_template_runs_as_written(language, tmp_path, servers):
    project, environment = prepare(language, tmp_path)
    means = {r"npm install && ": "", r"\bID\b": first(r'"event_id":"([^"]+)"')}
    with Walkthrough(tmp_path, servers, environment, means) as walk:
        walk.run("cd my-app")
        assert "Processing user event" in walk.run(commands(project / "README.md"))

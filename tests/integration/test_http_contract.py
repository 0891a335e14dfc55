"""What spec/ says of the HTTP server is what its code says: needs no server."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
ERRORS = (ROOT / "spec" / "errors.md").read_text()
ERROR_H = (ROOT / "src" / "base" / "error.h").read_text()
ROUTES_C = (ROOT / "src" / "server" / "http" / "routes.c").read_text()
OPENAPI = (ROOT / "spec" / "openapi.yaml").read_text()


def test_errors_page_lists_every_status():
    defined = re.findall(r'X\((?:NX_)(\w+), "(\w+)", (\d+)\)', ERROR_H)
    listed = re.findall(r"^\| `(\w+)` \| (\d+) \| \S", ERRORS, re.M)
    assert listed == [(name, http) for _, name, http in defined]


def test_errors_page_lists_every_kind():
    defined = re.findall(r'X\(NX_KIND_\w+, "([\w-]+)", NX_(\w+), (\d+)\)', ERROR_H)
    listed = re.findall(r"^\| `([\w-]+)` \| `(\w+)` \| (\d+) \| \S", ERRORS, re.M)
    assert len(defined) > 15
    assert listed == defined


def described_operations():
    """The method and path of each operation, parameters as {}."""
    operations = set()
    path = None
    for line in OPENAPI.split("\npaths:\n")[1].split("\ncomponents:\n")[0].split("\n"):
        if match := re.match(r"  (/\S*):$", line):
            path = re.sub(r"\{\w+\}", "{}", match[1])
        elif match := re.match(r"    (get|post|put|delete|patch):$", line):
            operations.add((match[1].upper(), path))
    return operations


def test_openapi_describes_every_route_and_no_other():
    routes = re.findall(r'\{ PATH\("([^"]+)"\), NX_HTTP_(\w+), nx_http_\w+ \}', ROUTES_C)
    assert len(routes) > 10
    assert described_operations() == {
        (method, path + "{}" if path.endswith("/") else path) for path, method in routes}


def test_openapi_knows_every_outcome():
    outcomes = re.findall(r'X\(NX_OUTCOME_\w+, "([\w-]+)"\)', (ROOT / "src" / "codec" / "outcome.h").read_text())
    listed = re.search(r"Outcome:\n\s+type: string\n\s+enum: \[([^\]]+)\]", OPENAPI)[1].split(", ")
    assert listed == outcomes


def test_openapi_knows_every_verdict_of_a_replay():
    verdicts = re.findall(r'\[NX_REPLAY_\w+\] = "([\w-]+)"', (ROOT / "src/platform/function/replay.c").read_text())
    assert len(verdicts) > 5
    assert re.search(r"Verdict:\n\s+type: string\n\s+enum: \[([^\]]+)\]", OPENAPI)[1].split(", ") == verdicts

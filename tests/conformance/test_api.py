"""The HTTP API is what spec/openapi.yaml says, asked of a running node.

schemathesis makes requests of the description, right and wrong ones: every answer must be one that it names, of its schema
and with no member that it does not name, and none a failure of the server. NEXUS_API_EXAMPLES requests of each operation,
fewer in make test than in make nightly; NEXUS_API_SEED repeats a run.
"""
import json
import os
import random
import re
import subprocess

import pytest

from conftest import ROOT, TRAP

CHECKS = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
          "response_schema_conformance", "allow_header_conformance"]
EXAMPLES = os.environ.get("NEXUS_API_EXAMPLES", "20")
SEED = os.environ.get("NEXUS_API_SEED") or str(random.randrange(1 << 30))
SOMETHING = 17  # the number in the description's examples: EVENTS:17, INVOCATIONS:17, DLQ:17


@pytest.fixture
def server(project, servers):
    """A node with a function that works and one that gives up, and records of every kind."""
    manifest = project / "nexus.yaml"
    manifest.write_text(manifest.read_text() +
                        "  - {name: broken, on: {event: {type: broken}}, code: broken.wasm, retry: {max_attempts: 1}}\n")
    (project / "broken.wasm").write_bytes(TRAP)
    server = servers(project, "start")
    server.publish("user.created", {"user_id": "u42"})
    for number in range(SOMETHING):
        server.publish("broken", {"number": number})
    server.wait_until_idle()
    return server


def strict(description):
    """The description, with answers that may have no member beyond those named."""

    def close(schema):
        if isinstance(schema, list):
            for one in schema:
                close(one)
            return
        if not isinstance(schema, dict):
            return
        for word in ("properties", "items", "additionalProperties"):
            inner = schema.get(word)
            for one in inner.values() if word == "properties" and inner else [inner]:
                close(one)
        for word in ("allOf", "anyOf"):
            for branch in schema.get(word, []):  # what a branch may have is said where it is used
                close({key: value for key, value in branch.items() if key != "$ref"})
        if {"properties", "$ref", "allOf", "anyOf"} & set(schema):
            schema["unevaluatedProperties"] = False

    def open_top(schema):
        schema.pop("unevaluatedProperties", None)

    for schema in description["components"]["schemas"].values():
        close(schema)
        open_top(schema)
    for answer in answers(description):
        for content in answer.get("content", {}).values():
            close(content["schema"])
    return description


def answers(description):
    yield from description["components"]["responses"].values()
    for _, _, operation in operations(description):
        yield from (answer for answer in operation["responses"].values() if "$ref" not in answer)


def operations(description):
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def test_every_answer_is_one_that_the_description_names(server, tmp_path):
    (tmp_path / "strict.json").write_text(json.dumps(strict(server.get("/openapi.json"))))
    print(f"NEXUS_API_SEED={SEED}")
    done = subprocess.run(
        ["/usr/bin/python3", "-m", "schemathesis.cli", "run", "strict.json", "--url", server.url, "--checks", ",".join(CHECKS),
         "--max-examples", EXAMPLES, "--seed", SEED, "--phases", "examples,coverage,fuzzing", "--no-shrink",
         "--request-timeout", "300", "--suppress-health-check", "all", "--continue-on-failure", "--no-color"],
        cwd=tmp_path, capture_output=True, text=True, timeout=3000, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "build" / "deps" / "python"), "PYTHONDONTWRITEBYTECODE": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert server.get("/healthz")["status"]


def test_the_description_names_every_query_parameter_and_no_other(server):
    description = server.get("/openapi.json")
    common = description["components"]["parameters"]
    named = {name for path in (ROOT / "src" / "server" / "http").glob("*.[ch]")
             for array in re.findall(r"char \*const names\[\] = \{(.*?)\}|define NX_HTTP_PAGE_PARAMETERS (.*)",
                                     path.read_text(), re.S if path.suffix == ".c" else 0)
             for name in re.findall(r'"(\w+)"', "".join(array))}
    assert len(named) > 10
    for path, method, operation in operations(description):
        parameters = [common[p["$ref"].rsplit("/", 1)[1]] if "$ref" in p else p for p in operation.get("parameters", [])]
        listed = {p["name"] for p in parameters if p["in"] == "query"}
        assert listed <= named, operation["operationId"]

        def is_refused(name):
            _, _, body = server.request(method, re.sub(r"{\w+}", "EVENTS:1", path) + f"?{name}=%20")
            return f"there is no parameter '{name}' here" in str(body)

        others = named - listed if is_refused("other") else set()  # what takes none looks at none
        assert {name for name in named if is_refused(name)} == others, operation["operationId"]
        assert others or not listed, operation["operationId"]

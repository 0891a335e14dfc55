"""The official SDKs of CloudEvents send events in every mode and read back what they sent.

Each SDK has a small program in clients/; all of them are given the same events in the same file and print what their
SDK read. The SDKs are those of tools/setup, in build/deps.
"""
import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPS = ROOT / "build" / "deps"
CLIENTS = pathlib.Path(__file__).parent / "clients"
MODES = ["binary", "structured", "batch"]

KINDS = {
    "json": ({"subject": "42", "datacontenttype": "application/json",
              "dataschema": "https://example.com/schema", "tenant": "t 1"},
             {"json": {"total": 1.5, "text": "Gr\u00fc\u00dfe \U0001f600", "items": [1, None, True]}}),
    "text": ({"datacontenttype": "text/plain"}, {"text": "hello, w\u00f6rld"}),
    "bytes": ({"datacontenttype": "application/octet-stream"}, {"base64": "AP8AgH8="}),
    "nothing": ({"datacontenttype": "application/json"}, {}),  # some SDKs say JSON where nothing was said
}


UMLAUT, PERCENT = "Gr\u00fc\u00dfe", "50 %"
ODD = "\"Gr\u00fc\u00dfe\" 50 % \U0001f600"

# SDKs that put attributes into headers as they are, and what stops such an event: the server, or their own HTTP.
SENDS_RAW = {"python": {ODD: "UnicodeEncodeError", UMLAUT: "400", PERCENT: "400"},
             "javascript": {ODD: "ByteString", UMLAUT: "400", PERCENT: "400"},
             "go": {ODD: "400", PERCENT: "400"}}


@pytest.fixture
def server(tmp_path, servers):
    """A node without functions."""
    (tmp_path / "nexus.yaml").write_text("version: v1\n")
    return servers(tmp_path)


def python(url, events):
    return (["/usr/bin/python3", CLIENTS / "client.py", url, events],
            {"PYTHONPATH": str(DEPS / "python"), "PYTHONDONTWRITEBYTECODE": "1"})


def javascript(url, events):
    return ["node", CLIENTS / "client.mjs", url, events, DEPS / "node"], {}


def go(url, events):
    return [DEPS / "conformance" / "client", url, events], {}


SDKS = {"python": python, "javascript": javascript, "go": go}


def run(sdk, server, folder, items):
    """Let the SDK send these: what its program printed, what it said went wrong (empty: nothing)."""
    path = folder / "events.json"
    path.write_text(json.dumps(items))
    command, environment = SDKS[sdk](server.url, path)
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, timeout=120, text=True)
    return done.stdout, "" if done.returncode == 0 else done.stderr or f"status {done.returncode}"


def event(name, mode, kind):
    attributes, data = KINDS[kind]
    return {"mode": mode, "data": data,
            "attributes": {"specversion": "1.0", "id": name, "source": "/shop/~1", "type": "order.paid",
                           "time": "2026-01-02T03:04:05.678Z", **attributes}}


def assert_kept(sent, printed):
    """What the SDK read is what was sent, but for the trace that the server began."""
    for item, got in zip(sent, json.loads(printed), strict=True):
        assert got["attributes"].pop("traceparent").startswith("00-"), item
        assert got == {"attributes": item["attributes"], "data": item["data"]}


@pytest.mark.parametrize("sdk", SDKS)
def test_an_sdk_reads_back_what_it_sent(sdk, server, tmp_path):
    sent = [event(f"{mode}-{kind}", mode, kind) for mode in MODES for kind in KINDS]
    printed, problem = run(sdk, server, tmp_path, sent)
    assert problem == ""
    assert_kept(sent, printed)
    stored = server.all_items("/events", "events")
    assert sorted(item["event"]["id"] for item in stored) == sorted(item["attributes"]["id"] for item in sent)


@pytest.mark.parametrize("sdk", SDKS)
def test_attributes_may_be_any_text_in_json(sdk, server, tmp_path):
    sent = [event(mode, mode, "json") for mode in ("structured", "batch")]
    for item in sent:
        item["attributes"]["subject"] = ODD
    printed, problem = run(sdk, server, tmp_path, sent)
    assert problem == ""
    assert_kept(sent, printed)


@pytest.mark.parametrize("text", [ODD, UMLAUT, PERCENT])
@pytest.mark.parametrize("sdk", SDKS)
def test_attributes_in_headers_are_escaped_or_refused(sdk, text, server, tmp_path):
    """The binding wants such text percent-encoded. Of what an SDK sends raw, what cannot be meant so is not stored."""
    sent = [event("odd", "binary", "json")]
    sent[0]["attributes"]["subject"] = text
    printed, problem = run(sdk, server, tmp_path, sent)
    if text in SENDS_RAW.get(sdk, {}):
        assert SENDS_RAW[sdk][text] in problem
        assert server.get("/events")["events"] == []
    else:
        assert problem == ""
        assert_kept(sent, printed)

"""The official conformance tool of CloudEvents (github.com/cloudevents/conformance) sends its events to a server, and
the scenarios of its HTTP features hold here. tools/setup builds the tool, and keeps its features and its events.
"""
import json
import pathlib
import re
import socket
import subprocess
import textwrap

import pytest

TOOL = pathlib.Path(__file__).resolve().parents[2] / "build" / "deps" / "conformance"


@pytest.fixture
def server(tmp_path, servers):
    """A node without functions."""
    (tmp_path / "nexus.yaml").write_text("version: v1\n")
    return servers(tmp_path)


def cloudevents(*arguments):
    done = subprocess.run([TOOL / "cloudevents", *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def scenarios():
    """(name, request, attributes, data) of each example of the HTTP features."""
    text = (TOOL / "features" / "http-protocol-binding.feature").read_text()
    for outline in re.split(r"Scenario Outline: ", text)[1:]:
        name = outline.split(" (", 1)[0]
        request, data = [textwrap.dedent(part).strip("\n") for part in re.findall(r'"""\n(.*?)\n\s*"""', outline, re.S)]
        table, examples = outline.split("Examples:")
        attributes = dict(re.findall(r"\|\s*(\w+)\s*\|\s*(.+?)\s*\|", table.split("the attributes are:")[1]))
        del attributes["key"]
        for kind in re.findall(r"\|\s*(\S.*?)\s*\|", examples)[1:]:
            yield pytest.param(request.replace("<contentType>", kind),
                               {key: value.replace("<contentType>", kind) for key, value in attributes.items()},
                               json.loads(data), id=f"{name} {kind}")


def test_the_features_are_there():
    assert len(list(scenarios())) == 4


@pytest.mark.parametrize("request_text, attributes, data", scenarios())
def test_a_feature_holds(server, request_text, attributes, data):
    request = request_text.replace("/someresource", "/events").replace("example.com", f"127.0.0.1:{server.port}")
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        head, body = request.split("\n\n", 1)
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body.encode())
        assert b" 202 " in connection.recv(4096).split(b"\r\n")[0]
    kept = server.get(f"/events/{attributes['id']}")
    assert kept.pop("data") == data
    assert kept.pop("traceparent")
    assert kept == attributes


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_the_tool_sends_an_event(server, mode):
    cloudevents("send", server.url + "/events", "--mode", mode, "--id", mode, "--source", "conformance.tool",
                "--type", "foo.bar", "--subject", "s", "--time", "2026-01-02T03:04:05Z", "--extension", "tenant=t1",
                "--datacontenttype", "application/json", "--data", '{"a": 1}')
    kept = server.get(f"/events/{mode}")
    assert kept.pop("traceparent")
    assert kept == {"specversion": "1.0", "id": mode, "source": "conformance.tool", "type": "foo.bar", "subject": "s",
                    "time": "2026-01-02T03:04:05Z", "tenant": "t1", "datacontenttype": "application/json",
                    "data": {"a": 1}}


def test_the_tools_own_events_are_taken(server):
    cloudevents("invoke", server.url + "/events", "-f", str(TOOL / "yaml" / "v1.yaml"))
    cloudevents("invoke", server.url + "/events", "-f", str(TOOL / "yaml" / "v1.0" / "v1_minimum.yaml"))
    stored = {item["event"]["id"]: item["event"] for item in server.all_items("/events", "events")}
    assert sorted(stored) == ["4321-4321-4321"] + [f"conformance-000{n}" for n in range(1, 7)]
    assert stored["4321-4321-4321"]["data"] == {"world": "hello"}
    assert stored["conformance-0002"]["data"] == "Hello, \U0001f30e!\n"
    assert stored["conformance-0005"]["data"] == ["Hello", "\U0001f30e!"]

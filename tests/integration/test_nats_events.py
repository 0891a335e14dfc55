"""Events that NATS clients publish: on disk before they are acknowledged, handled once, the same as those that come over
HTTP; whatever is none is refused with the reason."""
import json

import pytest

from conftest import spinning
from test_nats import Client
from test_nats_jetstream import Js

MANIFEST = """version: v1
listen: {nats: 127.0.0.1:0}
functions:
  - {name: welcome, on: {event: {type: user.created}}, code: f.wasm, order: {key: data.user_id}}
"""


@pytest.fixture
def start(tmp_path, servers):
    """start() gives a client of a server on the same data, which is start.server then."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "f.wasm").write_bytes(spinning(1000))

    def one(more="", speak=Js):
        (folder / "nexus.yaml").write_text(MANIFEST + more)
        one.server = servers(folder, "start")
        one.port = json.loads((folder / ".nexus" / "ports.json").read_text())["nats"]["port"]
        return speak(one.port)

    return one


def refusal(js, subject, payload="", headers=""):
    answer = js.publish(subject, payload, headers)
    assert answer["stream"] == "EVENTS" and answer["seq"] == 0 and answer["error"]["err_code"] == 10077, answer
    return answer["error"]["description"]


def test_a_published_message_is_an_event_and_runs_the_function(start):
    js = start()
    assert js.client.info["jetstream"] is False  # events need no JetStream
    assert js.publish("events.user.created", '{"user_id": "u42"}') == {"stream": "EVENTS", "seq": 1}
    js.client.say('PUB events.user.created 19\r\n{"user_id": "u43"} \r\n')  # nobody waits for an answer
    js.client.settled()
    event = start.server.get("/events/EVENTS:1")
    assert event["type"] == "user.created" and event["source"] == "/nats/shop" and event["data"] == {"user_id": "u42"}
    assert event["datacontenttype"] == "application/json" and len(event["id"]) == 26 and event["traceparent"]
    start.server.wait_until_idle()
    assert start.server.get("/functions")["functions"][0]["succeeded"] == 2
    calls = start.server.all_items("/invocations", "invocations")
    assert sorted(call["event"] for call in calls) == ["EVENTS:1", "EVENTS:2"]
    metrics = start.server.request("GET", "/metrics")[2]
    assert 'nexus_nats_events_total{status="published"} 2' in (metrics if isinstance(metrics, str) else metrics.decode())


def test_what_was_acknowledged_is_there_after_a_kill_and_known_again(start):
    js = start()
    for i in range(40):
        assert js.publish("events.user.created", json.dumps({"user_id": i}), f"Nats-Msg-Id: m{i}\r\n")["seq"] == i + 1
    start.server.kill()
    js = start()
    for i in range(40):
        assert js.publish("events.user.created", "{}", f"Nats-Msg-Id: m{i}\r\n") == {
            "stream": "EVENTS", "seq": i + 1, "duplicate": True}
    start.server.wait_until_idle()
    handled = [call["event"] for call in start.server.all_items("/invocations", "invocations")]
    assert sorted(handled) == sorted(f"EVENTS:{i + 1}" for i in range(40))
    assert start.server.get("/events/m7")["data"] == {"user_id": 7}


def test_events_of_every_form_are_those_of_http(start):
    js = start()
    body = {"specversion": "1.0", "id": "s1", "source": "/s", "type": "a.b", "data": {"x": 1}, "comexample": "e"}
    binary = "ce-specversion: 1.0\r\nce-id: b%C3%A9\r\nce-source: /s\r\nce-type: a.b\r\nContent-Type: text/plain\r\n"
    trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
    assert js.publish("events.a.b", json.dumps(body))["seq"] == 1
    assert js.publish("events.a.b", json.dumps(body), "content-type: application/cloudevents+json\r\n") == {
        "stream": "EVENTS", "seq": 1, "duplicate": True}
    assert js.publish("events.a.b", "hello", binary + trace)["seq"] == 2
    assert js.publish("events.a.b", "hello", binary + "Nats-Expected-Stream: EVENTS\r\n")["duplicate"] is True
    status, _, told = start.server.request("POST", "/events", body, {"content-type": "application/cloudevents+json"})
    assert status == 202 and told["status"] == "duplicate"
    first, second = start.server.get("/events/s1"), start.server.get("/events/EVENTS:2")
    assert first["data"] == {"x": 1} and first["comexample"] == "e"
    assert second["id"] == "b\u00e9" and second["data"] == "hello"
    assert second["traceparent"].split("-")[1] == "0af7651916cd43dd8448eb211c80319c"
    assert js.publish("events.odd%20type%2F", b"\xff\x00".decode("latin-1"))["seq"] == 3
    assert start.server.get("/events/EVENTS:3")["type"] == "odd type/"


def test_what_is_no_event_is_refused_with_the_reason(start):
    js = start()
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "a.b"}
    assert "an event of the type 'a.b' is published to events.a.b" in refusal(js, "events.x", json.dumps(event))
    assert "Nats-Msg-Id is not the event's id" in refusal(
        js, "events.a.b", "", "ce-specversion: 1.0\r\nce-id: 1\r\nce-source: /s\r\nce-type: a.b\r\nNats-Msg-Id: 2\r\n")
    assert "attribute 'source' is missing" in refusal(
        js, "events.a.b", "", "ce-specversion: 1.0\r\nce-id: 1\r\nce-type: a.b\r\n")
    assert "not the JSON that its content type promises" in refusal(
        js, "events.a", "{", "content-type: application/json\r\n")
    assert "'application/cloudevents+avro' is not taken" in refusal(
        js, "events.a", "{}", "content-type: application/cloudevents+avro\r\n")
    assert "published to events.%24" in refusal(js, "events.$", "")
    assert refusal(js, "events.a%zz", "")
    answer = js.publish("events.a", "", "Nats-Expected-Stream: OTHER\r\n")
    assert answer["error"]["err_code"] == 10060, answer
    js.client.say("PUB events.$ 0\r\n\r\n")
    js.client.settled()
    line = start.server.wait_for_line_on_stderr("waits for no answer")
    assert "events.$" in line and "events.%24" in line
    assert start.server.get("/events")["events"] == []


def test_an_event_may_depend_on_the_last_one_of_its_subject(start):
    js = start()
    expect = "Nats-Expected-Last-Subject-Sequence: {}\r\n"
    assert js.publish("events.a", "1", expect.format(0))["seq"] == 1
    answer = js.publish("events.a", "2", expect.format(0))
    assert answer["error"]["err_code"] == 10071 and answer["error"]["description"].endswith(": 1"), answer
    assert js.publish("events.a", "2", expect.format(1))["seq"] == 2
    assert js.publish("events.b", "3", expect.format(0))["seq"] == 3


def test_an_event_about_a_person_is_sealed(start):
    js = start("people: {user.created: data.user_id}\n")
    assert js.publish("events.user.created", '{"user_id": "zoe", "name": "SECRET-NAME"}')["seq"] == 1
    assert js.publish("events.other", '{"name": "SECRET-NAME"}', "ce-personkey: zoe\r\n")["seq"] == 2
    assert start.server.get("/events/EVENTS:1")["data"]["name"] == "SECRET-NAME"
    assert start.server.get("/events/EVENTS:2")["personkey"] == "zoe"
    start.server.stop()
    stored = b"".join(path.read_bytes() for path in (start.server.folder / ".nexus").rglob("*") if path.is_file())
    assert b"SECRET-NAME" not in stored


def test_only_the_projects_own_account_has_events(start):
    start("nats:\n  users:\n  - {user: ann, password: a, account: A}\n  - {user: bob, password: b}\n", lambda port: None)
    clients = {}
    for name, password in ("ann", "a"), ("bob", "b"):
        options = {"verbose": False, "headers": True, "no_responders": True, "user": name, "pass": password}
        clients[name] = Client(start.port, json.dumps(options))
        clients[name].say("SUB _I.> 1\r\nPUB events.x _I.1 2\r\n{}\r\n")
    assert clients["ann"].message()[1].startswith(b"NATS/1.0 503")
    assert json.loads(clients["bob"].message()[1]) == {"stream": "EVENTS", "seq": 1}


def test_no_stream_takes_what_is_the_projects(start):
    js = start("nats: {jetstream: true}\n")
    assert js.api("STREAM.CREATE.A", {"name": "A", "subjects": ["a", "events.>"]})["error"]["err_code"] == 10065
    assert js.api("STREAM.CREATE.A", {"name": "A", "subjects": ["events.user.*"]})["error"]["err_code"] == 10065
    assert js.api("STREAM.CREATE.EVENTS", {"name": "EVENTS", "subjects": ["a"]})["error"]["err_code"] == 10058
    assert "error" not in js.api("STREAM.CREATE.A", {"name": "A", "subjects": ["event.>"]})
    assert js.publish("events.user.created", "{}") == {"stream": "EVENTS", "seq": 1}

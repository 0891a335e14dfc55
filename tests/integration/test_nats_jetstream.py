"""JetStream as far as it is built: streams made at run time, acknowledged messages, single messages; all of it over kills.
What is answered is what nats-server 2.15.2 answers, but for what only it has."""
import base64
import json
import threading
import time

import pytest

from test_nats import Client

CODES = {
    "STREAM.CREATE.C": ({"name": "D"}, 400, 10056, "stream name in subject does not match request"),
    "STREAM.CREATE.B": ({"name": "B", "subjects": ["a.b"]}, 400, 10065, "subjects overlap with an existing stream"),
    "STREAM.CREATE.A": ({"name": "A", "subjects": ["x"]}, 400, 10058, "stream name already in use with a different configuration"),
    "STREAM.CREATE.E": ({"name": "E", "bogus": 1}, 400, 10025, 'invalid JSON: json: unknown field "bogus"'),
    "STREAM.CREATE.F": ({"name": "F", "num_replicas": 3}, 500, 10074, "replicas > 1 not supported in non-clustered mode"),
    "STREAM.CREATE.G": ({"name": "G", "first_seq": 5}, 500, 10052, "first_seq is not supported by this server"),
    "STREAM.INFO.Z": (None, 404, 10059, "stream not found"),
    "STREAM.DELETE.A": ({"x": 1}, 400, 10038, "expected an empty request payload"),
    "STREAM.MSG.GET.A": ({"seq": 9}, 404, 10037, "no message found"),
    "STREAM.MSG.GET.Z": ({"seq": 9}, 404, 10059, "stream not found"),
    "STREAM.SNAPSHOT.A": (None, 500, 10051, "not supported by this server"),
    "STREAM.MSG.DELETE.A": ({"seq": 9}, 500, 10057, "stream store EOF"),
    "STREAM.PURGE.Z": (None, 404, 10059, "stream not found"),
    "STREAM.UPDATE.Z": ({"name": "Z"}, 404, 10059, "stream not found"),
    "STREAM.PEER.REMOVE.A": ({"peer": "x"}, 503, 10010, "JetStream clustering support required"),
    "CONSUMER.INFO.A.x": (None, 404, 10014, "consumer not found"),
}


class Js:
    """Requests, as they are typed."""

    def __init__(self, port):
        self.client = Client(port)
        self.client.port = port
        self.client.say("SUB _I.> 1\r\n")
        self.client.settled()

    def request(self, subject, payload="", headers=""):
        payload, block = payload.encode(), f"NATS/1.0\r\n{headers}\r\n".encode() if headers else b""
        verb, sizes = ("HPUB", f"{len(block)} {len(block) + len(payload)}") if headers else ("PUB", len(payload))
        self.client.say(f"{verb} {subject} _I.1 {sizes}\r\n".encode() + block + payload + b"\r\n")
        return self.client.message()[1].decode()

    def api(self, subject, said=None):
        return json.loads(self.request(f"$JS.API.{subject}", "" if said is None else json.dumps(said)))

    def publish(self, subject, payload="x", headers=""):
        return json.loads(self.request(subject, payload, headers))


@pytest.fixture
def start(tmp_path, servers):
    """start() gives a client of a server on the same data; start.kill() kills that one."""
    (tmp_path / "nexus.yaml").write_text("version: v1\nlisten: {nats: 127.0.0.1:0}\nnats: {jetstream: true}\n")

    def one():
        one.server = servers(tmp_path, "start")
        return Js(json.loads((tmp_path / ".nexus" / "ports.json").read_text())["nats"]["port"])

    return one


def test_it_is_off_unless_switched_on(tmp_path, servers):
    (tmp_path / "nexus.yaml").write_text("version: v1\nlisten: {nats: 127.0.0.1:0}\n")
    servers(tmp_path, "start")
    js = Js(json.loads((tmp_path / ".nexus" / "ports.json").read_text())["nats"]["port"])
    assert js.client.info["jetstream"] is False
    assert js.request("$JS.API.INFO").startswith("NATS/1.0 503")


def test_what_was_acknowledged_is_there_after_a_kill_and_is_a_duplicate_then(start):
    js = start()
    assert js.client.info["jetstream"] is True
    made = js.api("STREAM.CREATE.A", {"name": "A", "subjects": ["a.>"], "allow_direct": True})
    assert made["did_create"] and made["config"]["max_msgs"] == -1 and made["config"]["duplicate_window"] == 120_000_000_000
    for i in range(50):
        assert js.publish(f"a.{i % 3}", f"p{i}", f"Nats-Msg-Id: m{i}\r\nX: y\r\n") == {"stream": "A", "seq": i + 1}
    start.server.kill()
    js = start()
    info = js.api("STREAM.INFO.A")
    assert info["created"] == made["created"] and info["config"] == made["config"]
    assert (info["state"]["messages"], info["state"]["first_seq"], info["state"]["last_seq"]) == (50, 1, 50)
    assert js.publish("a.0", "again", "Nats-Msg-Id: m7\r\n") == {"stream": "A", "seq": 8, "duplicate": True}
    got = js.api("STREAM.MSG.GET.A", {"seq": 8})["message"]
    assert (got["subject"], base64.b64decode(got["data"])) == ("a.1", b"p7")
    assert base64.b64decode(got["hdrs"]) == b"NATS/1.0\r\nNats-Msg-Id: m7\r\nX: y\r\n\r\n"
    assert js.api("STREAM.MSG.GET.A", {"last_by_subj": "a.*"})["message"]["seq"] == 50
    assert js.api("STREAM.MSG.GET.A", {"next_by_subj": "a.2", "seq": 4})["message"]["seq"] == 6
    direct = js.request("$JS.API.DIRECT.GET.A.a.1")
    assert direct.startswith("NATS/1.0\r\nNats-Msg-Id: m49\r\nX: y\r\nNats-Stream: A\r\nNats-Subject: a.1\r\nNats-Sequence: 50\r\n")
    assert direct.endswith("\r\n\r\np49")
    assert js.request("$JS.API.DIRECT.GET.A", '{"seq":99}') == "NATS/1.0 404 Message Not Found\r\n\r\n"


def test_conditions_are_held_and_tell_what_was_found(start):
    js = start()
    js.api("STREAM.CREATE.A", {"name": "A", "subjects": ["a.>"]})
    assert js.publish("a.1", headers="Nats-Expected-Last-Sequence: 0\r\n")["seq"] == 1
    for headers, code, text in [
        ("Nats-Expected-Stream: B\r\n", 10060, "expected stream does not match"),
        ("Nats-Expected-Last-Sequence: 7\r\n", 10071, "wrong last sequence: 1"),
        ("Nats-Expected-Last-Sequence: x\r\n", 10071, "wrong last sequence: 1"),
        ("Nats-Expected-Last-Subject-Sequence: 7\r\n", 10071, "wrong last sequence: 0"),
        ("Nats-Rollup: sub\r\n", 10111, "rollup not permitted"),
        ("Nats-TTL: 1s\r\n", 10166, "per-message TTL is disabled"),
    ]:
        refused = js.publish("a.2", headers=headers)
        assert refused["seq"] == 0 and (refused["error"]["err_code"], refused["error"]["description"]) == (code, text)
    assert js.publish("a.2", headers="Nats-Expected-Last-Subject-Sequence: 0\r\n")["seq"] == 2


def test_a_stream_that_comes_again_begins_anew_also_after_a_kill(start):
    js = start()
    js.api("STREAM.CREATE.A", {"name": "A", "subjects": ["a"]})
    assert js.publish("a")["seq"] == 1
    assert js.api("STREAM.DELETE.A") == {"type": "io.nats.jetstream.api.v1.stream_delete_response", "success": True}
    assert js.request("a").startswith("NATS/1.0 503")
    js.api("STREAM.CREATE.A", {"name": "A", "subjects": ["a"]})
    assert js.publish("a", "new")["seq"] == 1
    start.server.kill()
    js = start()
    assert base64.b64decode(js.api("STREAM.MSG.GET.A", {"seq": 1})["message"]["data"]) == b"new"
    assert js.api("STREAM.NAMES")["streams"] == ["A"]


def test_a_request_sees_what_its_connection_published_before_it(start):
    js = start()
    js.api("STREAM.CREATE.A", {"name": "A", "subjects": ["a"]})
    js.client.say("PUB a 1\r\nx\r\n" * 500)
    assert js.api("STREAM.INFO.A")["state"]["messages"] == 500


def test_errors_are_those_of_nats(start):
    js = start()
    js.api("STREAM.CREATE.A", {"name": "A", "subjects": ["a.>"]})
    for subject, (said, code, err_code, text) in CODES.items():
        assert js.api(subject, said)["error"] == {"code": code, "err_code": err_code, "description": text}, subject


def test_a_flood_is_slowed_and_nothing_of_it_is_dropped(start):
    js = start()
    js.api("STREAM.CREATE.A", {"name": "A", "subjects": ["a.>"]})
    each = 6_000
    clients = [Client(js.client.port) for _ in range(4)]
    for number, client in enumerate(clients):
        client.say(f"SUB _J.{number} 1\r\n")
        flood = f"PUB a.{number} _J.{number} 64\r\n{'x' * 64}\r\n" * each
        threading.Thread(target=client.socket.sendall, args=(flood.encode(),), daemon=True).start()
    seen = set()
    for client in clients:
        for _ in range(each):
            answer = json.loads(client.message()[1])
            assert "error" not in answer, answer
            seen.add(answer["seq"])
    assert seen == set(range(1, 4 * each + 1))
    assert js.api("STREAM.INFO.A")["state"]["messages"] == 4 * each


def test_the_largest_message_is_taken_and_a_newer_api_is_refused(start):
    js = start()
    js.api("STREAM.CREATE.A", {"name": "A", "subjects": ["a.>"]})
    headers = "X: " + "y" * 60_000 + "\r\n"
    block = len(f"NATS/1.0\r\n{headers}\r\n")
    assert js.publish("a." + "s" * 1000, "p" * (1024 * 1024 - block), headers)["seq"] == 1
    assert js.publish("a.b", "p" * 1024 * 1024)["seq"] == 2
    refused = json.loads(js.request("$JS.API.STREAM.INFO.A", "", "Nats-Required-Api-Level: 1\r\n"))
    assert refused["error"] == {"code": 412, "err_code": 10185, "description": "JetStream minimum api level required"}


def shown(js, name):
    state = js.api(f"STREAM.INFO.{name}", {"deleted_details": True, "subjects_filter": ">"})["state"]
    return {key: state.get(key) for key in ("messages", "bytes", "first_seq", "last_seq", "deleted", "subjects")}


def test_limits_deletions_and_rollups_are_exact_also_after_kills(start):
    js = start()
    for name, limits in {
        "OLD": {"max_msgs": 5, "allow_rollup_hdrs": True},
        "BYTES": {"max_bytes": 200},
        "NEW": {"max_msgs": 3, "discard": "new"},
        "KEYS": {"max_msgs_per_subject": 2, "allow_rollup_hdrs": True},
        "PER": {"max_msgs_per_subject": 1, "discard": "new", "discard_new_per_subject": True},
        "MEM": {"storage": "memory"},
    }.items():
        made = js.api(f"STREAM.CREATE.{name}", {"name": name, "subjects": [f"{name}.>"], **limits})
        assert "error" not in made, made
    for name in ("OLD", "BYTES", "KEYS", "MEM"):
        for i in range(8):
            assert "error" not in js.publish(f"{name}.{i % 2}", "payload")
    refusals = [js.publish(f"NEW.{i}").get("error", {}).get("description") for i in range(4)]
    assert refusals == [None, None, None, "maximum messages exceeded"]
    assert [js.publish("PER.1").get("error", {}).get("description") for _ in range(2)] == [None, "maximum messages per subject exceeded"]
    assert js.api("STREAM.MSG.DELETE.OLD", {"seq": 6})["success"]
    assert js.api("STREAM.MSG.DELETE.KEYS", {"seq": 8})["success"]
    assert js.publish("OLD.1", "rolled", "Nats-Rollup: sub\r\n")["seq"] == 9
    assert js.publish("KEYS.0", "rolled", "Nats-Rollup: sub\r\n")["seq"] == 9
    assert js.api("STREAM.UPDATE.BYTES", {"name": "BYTES", "subjects": ["BYTES.>"], "max_bytes": 1000})["config"]["max_bytes"] == 1000
    before = {name: shown(js, name) for name in ("OLD", "BYTES", "NEW", "KEYS", "PER")}
    assert before["OLD"] == {"messages": 3, "bytes": 42 * 2 + 75, "first_seq": 5, "last_seq": 9, "deleted": [6, 8], "subjects": {"OLD.0": 2, "OLD.1": 1}}
    assert before["BYTES"]["messages"] == 4 and before["BYTES"]["first_seq"] == 5
    assert before["KEYS"]["subjects"] == {"KEYS.0": 1, "KEYS.1": 1} and before["KEYS"]["first_seq"] == 6
    for _ in range(2):
        start.server.kill()
        js = start()
        assert {name: shown(js, name) for name in before} == before
    assert js.api("STREAM.INFO.MEM")["error"]["err_code"] == 10059
    assert js.publish("NEW.9")["error"]["description"] == "maximum messages exceeded"
    assert js.api("STREAM.PURGE.NEW", {"filter": "NEW.1"})["purged"] == 1
    assert js.publish("NEW.9")["seq"] == 4
    assert js.api("STREAM.PURGE.OLD", {"keep": 1})["purged"] == 2
    start.server.kill()
    js = start()
    assert shown(js, "OLD")["first_seq"] == 9 and shown(js, "NEW")["subjects"] == {"NEW.0": 1, "NEW.2": 1, "NEW.9": 1}


def test_what_is_too_old_is_gone_and_its_key_can_be_made_again(start):
    js = start()
    js.api("STREAM.CREATE.A", {"name": "A", "subjects": ["a.>"], "max_age": 300_000_000, "duplicate_window": 100_000_000})
    new = "Nats-Expected-Last-Subject-Sequence: 0\r\n"
    assert js.publish("a.lock", headers=new)["seq"] == 1
    assert js.publish("a.lock", headers=new)["error"]["err_code"] == 10071
    deadline = time.monotonic() + 10
    while js.api("STREAM.INFO.A")["state"]["messages"] > 0:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert js.publish("a.lock", headers=new)["seq"] == 2

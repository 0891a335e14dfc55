"""Idempotency-Key: a request that is sent again is done once, whatever happened in between."""
import json
import threading

import pytest

BATCH = {"content-type": "application/cloudevents-batch+json"}


@pytest.fixture
def server(tmp_path, servers):
    """A node without functions."""
    (tmp_path / "nexus.yaml").write_text("version: v1\n")
    return servers(tmp_path)


def post(server, body, key, path="/events/x", headers=None):
    return server.request("POST", path, body, {"idempotency-key": key, **(headers or {})})


def count(server):
    return len(server.get("/events?limit=1000")["events"])


def test_a_repeat_is_answered_as_the_first_and_done_once(server):
    status, headers, first = post(server, {"n": 1}, '"k1"')
    assert (status, first["status"]) == (202, "published")
    status, again_headers, again = post(server, {"n": 1}, "k1")
    assert (status, again) == (202, {"event_id": first["event_id"], "status": "duplicate"})
    assert again_headers["location"] == headers["location"]
    assert post(server, {"n": 1}, "k2")[2]["event_id"] != first["event_id"]
    assert count(server) == 2


@pytest.mark.parametrize("body, path, headers", [
    ({"n": 2}, "/events/x", {}),
    ({"n": 1}, "/events/y", {}),
    ({"n": 1}, "/events/x", {"content-type": "application/x+json"}),
])
def test_another_request_with_the_key_is_refused(server, body, path, headers):
    post(server, {"n": 1}, "k")
    status, answer_headers, problem = post(server, body, "k", path, headers)
    assert status == 422 and answer_headers["content-type"] == "application/problem+json"
    assert problem["kind"] == "idempotency-key-reused" and problem["hint"]
    assert count(server) == 1


def test_a_wrong_key_is_refused(server):
    for key in ("", '""', "k" * 256, "a\tb"):
        status, _, problem = post(server, {"n": 1}, key)
        assert status == 400 and "Idempotency-Key" in problem["detail"]
    assert count(server) == 0


def test_a_repeat_after_a_kill_is_a_repeat(server, servers):
    _, _, first = post(server, {"n": 1}, "k")
    server.kill()
    again = servers(server.folder)
    assert post(again, {"n": 1}, "k")[2] == {"event_id": first["event_id"], "status": "duplicate"}
    assert post(again, {"n": 2}, "k")[0] == 422
    assert count(again) == 1


def test_a_batch_is_answered_again_as_a_batch(server):
    events = [{"specversion": "1.0", "id": f"e{n}", "source": "/s", "type": "t"} for n in range(3)]
    first = post(server, json.dumps(events), "k", "/events", BATCH)
    assert [item["status"] for item in first[2]["items"]] == ["published"] * 3
    again = post(server, json.dumps(events), "k", "/events", BATCH)
    assert again[0] == 202
    assert again[2] == {"items": [{"event_id": f"e{n}", "status": "duplicate"} for n in range(3)]}
    assert post(server, json.dumps(events[:2]), "k", "/events", BATCH)[0] == 422
    assert count(server) == 3


def test_the_key_goes_before_the_event_s_own_id(server):
    headers = {"ce-specversion": "1.0", "ce-source": "/s", "ce-type": "x"}
    assert post(server, b"1", "k1", headers={**headers, "ce-id": "a"})[2]["status"] == "published"
    assert post(server, b"1", "k1", headers={**headers, "ce-id": "b"})[0] == 422
    assert post(server, b"1", "k2", headers={**headers, "ce-id": "a"})[2] == {"event_id": "a", "status": "duplicate"}
    assert count(server) == 1


def test_what_was_refused_is_not_remembered(server):
    assert post(server, b"{", "k", headers={"content-type": "application/json"})[0] == 400
    assert post(server, {"n": 1}, "k")[2]["status"] == "published"


def test_of_many_at_once_one_is_done(server):
    answers = []
    senders = [threading.Thread(target=lambda: answers.append(post(server, {"n": 1}, "k")), daemon=True)
               for _ in range(16)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join(30)
    assert sorted(answer[2]["status"] for answer in answers) == ["duplicate"] * 15 + ["published"]
    assert len({answer[2]["event_id"] for answer in answers}) == 1
    assert count(server) == 1

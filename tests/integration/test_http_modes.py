"""CloudEvents in structured and batch mode: what is kept, what is refused and where, and that a batch is one."""
import http.client
import json
import threading
import time

import pytest

EVENT = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


@pytest.fixture
def server(tmp_path, servers):
    """A node without functions."""
    (tmp_path / "nexus.yaml").write_text("version: v1\n")
    return servers(tmp_path)


def event(number, **more):
    return {"specversion": "1.0", "id": f"e{number}", "source": "/shop", "type": "order.paid", **more}


def post(server, body, content_type, path="/events"):
    text = body if isinstance(body, (str, bytes)) else json.dumps(body)
    return server.request("POST", path, text, {"content-type": content_type})


# One event


@pytest.mark.parametrize("path", ["/events", "/events/order.paid"])
def test_a_structured_event_is_read_back_as_it_was_sent(server, path):
    sent = event(1, subject="Grüße", time="2026-01-02T03:04:05.678Z", datacontenttype="application/json",
                 dataschema="https://example.com/s", tenant="t1", retries=3, urgent=True,
                 data={"n": 1.50, "text": "ä"})
    status, headers, answer = post(server, sent, EVENT + "; charset=utf-8", path)
    assert (status, answer) == (202, {"event_id": "e1", "status": "published"})
    status, got_headers, kept = server.request("GET", headers["location"], None, {"accept": EVENT})
    assert status == 200 and got_headers["content-type"] == EVENT
    assert kept.pop("traceparent") == headers["traceparent"]
    # Extensions are text in a record: CloudEvents' canonical form of numbers and booleans.
    assert kept == {**sent, "retries": "3", "urgent": "true"}


def test_data_base64_is_kept_as_bytes(server):
    post(server, event(1, data_base64="/wD+"), EVENT)
    assert server.get("/events/e1")["data_base64"] == "/wD+"


def test_binary_mode_needs_no_type_in_the_path(server):
    status, _, answer = server.request("POST", "/events", b"hello", {
        "ce-specversion": "1.0", "ce-id": "b1", "ce-source": "/s", "ce-type": "t", "content-type": "text/plain"})
    assert (status, answer["event_id"]) == (202, "b1")
    assert server.get("/events/b1")["data"] == "hello"


def test_an_event_without_data_may_name_a_type_of_data(server):
    """The JavaScript SDK says JSON of every event that it sends in binary mode."""
    status, _, answer = server.request("POST", "/events", b"", {
        "ce-specversion": "1.0", "ce-id": "b1", "ce-source": "/s", "ce-type": "t", "content-type": "application/json"})
    assert (status, answer["event_id"]) == (202, "b1")
    kept = server.get("/events/b1")
    assert kept["datacontenttype"] == "application/json" and "data" not in kept and "data_base64" not in kept


def test_a_body_without_a_type_is_told_where_to_go(server):
    status, _, problem = server.request("POST", "/events", {"a": 1})
    assert status == 400 and "/events/{type}" in problem["hint"]


@pytest.mark.parametrize("text, field, line, column, byte", [
    ('{"specversion": "1.0",\n "id": 7}', "id", 2, 8, 30),
    ('{"specversion": "1.0",\n "ä": x}', None, 2, 7, 30),
    ('{"id": "a"}', "specversion", 1, 1, 0),
    ('{"specversion":"1.0","id":"a","source":"/","type":"t","data":1,"data_base64":""}', "data_base64", 1, 78, 77),
    (json.dumps(event(1, time="noon")), "time", 1, 85, 84),
])
def test_a_wrong_structured_event_is_refused_with_its_place(server, text, field, line, column, byte):
    status, headers, problem = post(server, text.encode(), EVENT)
    assert status == 400 and headers["content-type"] == "application/problem+json"
    assert (problem.get("field"), problem["line"], problem["column"], problem["byte"]) == (field, line, column, byte)
    assert server.get("/events")["events"] == []


@pytest.mark.parametrize("content_type", [EVENT, BATCH])
def test_the_type_must_be_the_one_of_the_path(server, content_type):
    body = event(1) if content_type == EVENT else [event(1)]
    status, _, problem = post(server, body, content_type, "/events/order.sent")
    assert status == 400 and "not the one of the path" in problem["detail"]
    assert (problem["items"][0] if content_type == BATCH else problem)["field"] == "type"


def test_other_formats_are_refused(server):
    status, _, problem = post(server, b"<event/>", "application/cloudevents+xml")
    assert status == 415 and problem["kind"] == "unsupported-media-type"


# Batches


@pytest.mark.parametrize("path", ["/events", "/events/order.paid"])
def test_a_batch_is_answered_item_by_item(server, path):
    post(server, event(2), EVENT)
    batch = [event(1, data=1), event(2), event(3, data_base64="/wA=", tenant="t"), event(1, data="again")]
    status, _, answer = post(server, batch, BATCH, path)
    assert status == 202
    assert answer == {"items": [{"event_id": "e1", "status": "published"}, {"event_id": "e2", "status": "duplicate"},
                                {"event_id": "e3", "status": "published"}, {"event_id": "e1", "status": "duplicate"}]}
    assert [item["event"]["id"] for item in server.get("/events")["events"]] == ["e2", "e1", "e3"]
    assert server.get("/events/e3")["tenant"] == "t" and server.get("/events/e1")["data"] == 1
    assert [item["status"] for item in post(server, batch, BATCH)[2]["items"]] == ["duplicate"] * 4
    metrics = server.get("/metrics").decode()
    assert 'nexus_http_events_total{status="published"} 3' in metrics
    assert 'nexus_http_events_total{status="duplicate"} 6' in metrics


def test_an_empty_batch_is_a_batch(server):
    assert post(server, [], BATCH)[::2] == (202, {"items": []})


def test_each_event_of_a_batch_has_a_trace(server):
    own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    server.request("POST", "/events", json.dumps([event(1), event(2, traceparent=own)]),
                   {"content-type": BATCH, "traceparent": "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
    assert server.get("/events/e1")["traceparent"].startswith("00-1af7651916cd43dd8448eb211c80319c-")
    assert server.get("/events/e2")["traceparent"] == own


def test_one_wrong_event_refuses_the_batch_and_is_named(server):
    text = "[\n" + ",\n".join([json.dumps(event(1)), json.dumps(event(2, source="a b")), "[]", json.dumps(event(4))]) + "\n]"
    status, headers, problem = post(server, text.encode(), BATCH)
    assert status == 400 and headers["content-type"] == "application/problem+json"
    assert "event 1 of the batch" in problem["detail"] and "source" in problem["detail"]
    items = problem["items"]
    assert [item["status"] for item in items] == ["not-stored", "invalid", "invalid", "not-stored"]
    assert [item.get("event_id") for item in items] == ["e1", None, None, "e4"]
    assert items[1]["field"] == "source" and items[1]["line"] == 3
    assert text.encode()[items[1]["byte"]:].startswith(b'"a b"')
    assert (items[2]["line"], items[2]["column"]) == (4, 1)
    assert server.get("/events")["events"] == []


@pytest.mark.parametrize("text, status, words", [
    (b"{}", 400, "array"),
    (b'[{"a":1},', 400, "line 1, column 10"),
    (b"[" + b"{}," * 1000 + b"{}]", 413, "1000 events"),
    (1024 * 1024 + 1, 413, "bytes"),
], ids=["object", "unfinished", "too many", "too long"])
def test_what_is_no_batch_is_refused(server, text, status, words):
    got, _, problem = post(server, b" " * text if isinstance(text, int) else text, BATCH)
    assert got == status and words in problem["detail"]
    assert server.get("/events")["events"] == []


def test_the_largest_batch_is_taken(server):
    batch = [event(n, data="x" * 700) for n in range(1000)]
    status, _, answer = post(server, batch, BATCH)
    assert status == 202 and all(item["status"] == "published" for item in answer["items"])
    assert len(server.all_items("/events", "events")) == 1000


def test_a_batch_is_whole_or_not_there_after_a_kill(server, servers):
    """Batches in flight while the process dies: of each, all events are there or none, and all that were answered."""
    answered = []

    def send(worker):
        number = 0
        try:
            while True:
                name = f"w{worker}-{number}-"
                batch = [{**event(n), "id": f"{name}{n}"} for n in range(50)]
                if post(server, batch, BATCH)[0] == 202:
                    answered.append(name)
                number += 1
        except (OSError, http.client.HTTPException):  # the server is gone
            return

    workers = [threading.Thread(target=send, args=(n,), daemon=True) for n in range(4)]
    for worker in workers:
        worker.start()
    while len(answered) < 20:
        time.sleep(0.01)
    server.kill()
    for worker in workers:
        worker.join(30)
    again = servers(server.folder)
    found = {}
    order = []
    for item in again.all_items("/events", "events"):
        name, number = item["event"]["id"].rsplit("-", 1)
        found.setdefault(name + "-", []).append(int(number))
        order.append(name)
    assert set(answered) <= set(found)
    assert all(numbers == list(range(50)) for numbers in found.values())
    assert all(order[n] == order[n - 1] for n in range(1, len(order)) if n % 50)

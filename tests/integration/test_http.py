"""The HTTP server through its socket: what is published, what can be read, and every way to be a bad client."""
import http.client
import json
import re
import socket
import threading
import time

import pytest

ULID = re.compile(r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$")
TRACEPARENT = re.compile(r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")
CE = {"ce-specversion": "1.0", "ce-id": "a-1", "ce-source": "/shop", "ce-type": "order.paid"}


@pytest.fixture
def server(tmp_path, servers):
    """A node without functions."""
    (tmp_path / "nexus.yaml").write_text("version: v1\n")
    return servers(tmp_path)


class Raw:
    """A connection on which anything can be said."""

    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        self.received = b""

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())
        return self

    def answer(self):
        """The next answer: status, headers (names in lower case), body."""
        while b"\r\n\r\n" not in self.received:
            self._more()
        head, self.received = self.received.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
        length = int(headers.get("content-length", 0))
        while len(self.received) < length:
            self._more()
        body, self.received = self.received[:length], self.received[length:]
        return int(lines[0].split(" ")[1]), headers, body

    def _more(self):
        data = self.socket.recv(65536)
        assert data, f"closed after {self.received!r}"
        self.received += data

    def is_closed(self):
        """True when the server ends the connection without another byte."""
        return self.received == b"" and self.socket.recv(1) == b""


@pytest.fixture
def raw(server):
    opened = []

    def connect():
        opened.append(Raw(server))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.socket.close()


def get(path, more=""):
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n"


def post(path, body, more=""):
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n{more}\r\n{body}"


# Publishing


def test_a_plain_json_body_becomes_an_event(server):
    status, headers, answer = server.request("POST", "/events/user.created", {"user_id": "u42"})
    assert status == 202 and answer["status"] == "published"
    assert ULID.match(answer["event_id"])
    assert headers["location"] == f"/events/{answer['event_id']}"
    assert TRACEPARENT.match(headers["traceparent"])

    status, headers, event = server.request("GET", headers["location"])
    assert status == 200 and headers["content-type"] == "application/cloudevents+json"
    assert re.match(r"^EVENTS:\d+$", headers["nexus-record"])
    assert event["specversion"] == "1.0" and event["type"] == "user.created"
    assert event["source"].startswith("/http/")
    assert event["datacontenttype"] == "application/json" and event["data"] == {"user_id": "u42"}
    assert server.get(f"/events/{headers['nexus-record']}") == event


@pytest.mark.parametrize("content_type, body, member, value", [
    ("text/plain; charset=utf-8", "grüße".encode(), "data", "grüße"),
    ("application/x-www-form-urlencoded", b"a=b", "data", "a=b"),
    ("application/octet-stream", b"\xff\x00", "data_base64", "/wA="),
    ("application/vnd.x+json", b'{"n": 1.50}', "data", {"n": 1.5}),
])
def test_a_body_is_kept_as_what_it_is(server, content_type, body, member, value):
    status, _, answer = server.request("POST", "/events/x", body, {"content-type": content_type})
    assert status == 202
    event = server.get(f"/events/{answer['event_id']}")
    assert event[member] == value and event["datacontenttype"] == content_type


def test_an_empty_body_is_an_event_without_data(server):
    event = server.get(f"/events/{server.publish('x', b'')}")
    assert "data" not in event and "data_base64" not in event


def test_the_type_in_the_path_is_percent_decoded(server):
    event_id = server.publish("com.example%2Fa%20b%C3%BC", {})
    assert server.get(f"/events/{event_id}")["type"] == "com.example/a bü"
    assert len(server.get("/events?type=com.example%2Fa+b%C3%BC")["events"]) == 1


@pytest.mark.parametrize("path", ["/events/%zz", "/events/%ff", "/events/a%00b", "/events/" + "x" * 5000])
def test_a_type_that_cannot_be_one_is_refused(server, path):
    status, _, problem = server.request("POST", path, {})
    assert status in (400, 413, 431) and problem["detail"]


def test_invalid_json_is_refused_with_its_place(server):
    status, headers, problem = server.request("POST", "/events/x", b'{"a": 1,\n "b": }',
                                              {"content-type": "application/json"})
    assert status == 400 and headers["content-type"] == "application/problem+json"
    assert "line 2, column 7" in problem["detail"]
    assert problem["kind"] == "invalid-argument" and problem["code"] == "INVALID_ARGUMENT"
    assert server.get("/events")["events"] == []


def test_a_cloudevent_in_binary_mode_keeps_its_attributes(server):
    headers = {**CE, "ce-subject": "Gr%C3%BC%C3%9Fe", "ce-tenant": "t1", "content-type": "application/json"}
    status, answer_headers, answer = server.request("POST", "/events/order.paid", b'{"n":1}', headers)
    assert (status, answer) == (202, {"event_id": "a-1", "status": "published"})
    event = server.get(answer_headers["location"])
    assert (event["id"], event["source"], event["subject"], event["tenant"]) == ("a-1", "/shop", "Grüße", "t1")
    assert event["data"] == {"n": 1}


def test_a_cloudevent_in_structured_mode_keeps_its_attributes(server):
    event = {"specversion": "1.0", "id": "s-1", "source": "/shop", "type": "order.paid", "data": [1, 2]}
    status, _, answer = server.request("POST", "/events/order.paid", json.dumps(event).encode(),
                                       {"content-type": "application/cloudevents+json"})
    assert (status, answer["event_id"]) == (202, "s-1")
    kept = server.get("/events/s-1")
    assert (kept["source"], kept["data"]) == ("/shop", [1, 2])


@pytest.mark.parametrize("change, status, words", [
    ({"ce-type": "order.sent"}, 400, "not the one of the path"),
    ({"ce-source": ""}, 400, "source"),
    ({"ce-id": ""}, 400, "id"),
    ({"ce-specversion": "9.9"}, 400, "specversion"),
    ({"content-type": "application/cloudevents+xml"}, 415, "cloudevents+xml"),
])
def test_a_wrong_cloudevent_is_refused(server, change, status, words):
    got, _, problem = server.request("POST", "/events/order.paid", b"[]", {**CE, **change})
    assert got == status and words in problem["detail"]


def test_a_repeated_id_of_one_source_is_a_duplicate(server):
    first = server.request("POST", "/events/order.paid", b"1", CE)
    again = server.request("POST", "/events/order.paid", b"2", CE)
    assert first[2] == {"event_id": "a-1", "status": "published"}
    assert again[0] == 202 and again[2] == {"event_id": "a-1", "status": "duplicate"}
    assert again[1]["location"] == first[1]["location"]
    assert server.request("POST", "/events/order.paid", b"3", {**CE, "ce-source": "/other"})[2]["status"] == \
        "published"
    status, _, problem = server.request("GET", "/events/a-1")
    assert status == 409 and problem["kind"] == "ambiguous-id"
    assert [match["source"] for match in problem["matches"]] == ["/shop", "/other"]
    assert [server.get(f"/events/{match['reference']}")["source"] for match in problem["matches"]] == \
        ["/shop", "/other"]


def test_a_trace_is_continued_and_kept(server):
    trace = "0af7651916cd43dd8448eb211c80319c"
    _, headers, answer = server.request("POST", "/events/x", {}, {"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    assert headers["traceparent"].startswith(f"00-{trace}-") and "b7ad6b7169203331" not in headers["traceparent"]
    assert server.get(f"/events/{answer['event_id']}")["traceparent"] == headers["traceparent"]
    _, headers, _ = server.request("POST", "/events/x", {}, {"traceparent": "garbage"})
    assert TRACEPARENT.match(headers["traceparent"])


def test_an_acknowledged_event_survives_a_kill(server, servers):
    ids = [server.publish("x", {"n": n}) for n in range(20)]
    server.kill()
    again = servers(server.folder)
    for n, event_id in enumerate(ids):
        assert again.get(f"/events/{event_id}")["data"] == {"n": n}


# Reading


def test_lists_go_page_by_page_both_ways(server):
    ids = [server.publish("a.b" if n % 2 else "c", {"n": n}) for n in range(25)]
    forward = server.get("/events?limit=10")
    assert [item["event"]["id"] for item in forward["events"]] == ids[:10] and not forward["at_end"]
    rest = server.get(f"/events?limit=100&cursor={forward['cursor']}")
    assert [item["event"]["id"] for item in rest["events"]] == ids[10:]
    backward = server.get("/events?order=desc&limit=10")
    assert [item["event"]["id"] for item in backward["events"]] == ids[:14:-1]
    older = server.get(f"/events?limit=100&cursor={backward['cursor']}")
    assert [item["event"]["id"] for item in older["events"]] == ids[14::-1]
    assert [item["event"]["id"] for item in server.get("/events?type=a.b")["events"]] == ids[1::2]
    assert len(server.get("/events?type=a.*")["events"]) == 12
    assert server.get("/events?type=nothing")["events"] == []


def test_lists_keep_to_a_range_of_time(server):
    server.publish("x", {"n": 1})
    time.sleep(0.05)
    middle = server.get(f"/events/{server.publish('x', {'n': 2})}")["time"]
    assert [item["event"]["data"]["n"] for item in server.get(f"/events?since={middle}")["events"]] == [2]
    assert [item["event"]["data"]["n"] for item in server.get(f"/events?until={middle}")["events"]] == [1]
    assert len(server.get("/events?since=10m")["events"]) == 2


def test_a_long_poll_is_answered_when_something_arrives(server):
    cursor = server.get("/events")["cursor"]
    answers = []
    poll = threading.Thread(
        target=lambda: answers.append(server.get(f"/events?cursor={cursor}&wait=20s")), daemon=True)
    begun = time.monotonic()
    poll.start()
    time.sleep(0.2)
    assert not answers
    event_id = server.publish("x", {})
    poll.join(10)
    assert [item["event"]["id"] for item in answers[0]["events"]] == [event_id]
    assert time.monotonic() - begun < 10
    assert server.get("/events?cursor=" + answers[0]["cursor"] + "&wait=50ms")["events"] == []


@pytest.mark.parametrize("path, words", [
    ("/events?tipe=x", "tipe"),
    ("/events?limit=0", "limit"),
    ("/events?limit=x", "limit"),
    ("/events?since=yesterday", "since"),
    ("/events?cursor=17", "cursor"),
    ("/events?order=up", "order"),
    ("/events?wait=soon", "wait"),
    ("/events?limit=1&limit=2", "limit"),
    ("/invocations?outcome=fine", "outcome"),
    ("/invocations?function=A", "function"),
    ("/invocations/17", "17"),
    ("/dlq?x=1", "x"),
])
def test_a_wrong_parameter_is_refused_by_name(server, path, words):
    status, _, problem = server.request("GET", path)
    assert status == 400 and words in problem["detail"]


def test_what_is_not_there_is_404(server):
    for path in ("/events/nothing", "/events/EVENTS:99", "/invocations/INVOCATIONS:1", "/nowhere", "/events/a/b",
                 "/", "/invocations?event=nothing"):
        status, headers, problem = server.request("GET", path)
        assert status == 404 and headers["content-type"] == "application/problem+json", path
        assert problem["kind"] == "not-found" and problem["status"] == 404


def test_other_methods_are_405_with_what_is_allowed(server):
    for method, path, allow in (("DELETE", "/events/x", "GET, HEAD, POST"), ("POST", "/healthz", "GET, HEAD"),
                                ("PUT", "/replay/x", "POST")):
        status, headers, problem = server.request(method, path)
        assert (status, headers["allow"], problem["kind"]) == (405, allow, "method-not-allowed")
    status, headers, _ = server.request("OPTIONS", "/events/x")
    assert (status, headers["allow"]) == (200, "GET, HEAD, POST")


def test_health_readiness_metrics_and_description(server):
    assert server.get("/healthz") == {"status": "ok"}
    assert server.get("/readyz") == {"status": "ready"}
    server.publish("x", {})
    metrics = server.get("/metrics").decode()
    assert 'nexus_http_events_total{status="published"} 1' in metrics
    families = re.findall(r"^# TYPE (\S+)", metrics, re.M)
    assert len(families) == len(set(families))
    description = server.get("/openapi.json")
    assert "/events/{name}" in description["paths"]
    assert description["openapi"] == "3.1.0"
    for path in description["paths"]:
        if "{" not in path and "get" in description["paths"][path]:
            assert server.request("GET", path)[0] in (200, 503), path


# The protocol


def test_head_is_get_without_the_body(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", "/healthz")
    full = connection.getresponse()
    body = full.read()
    connection.request("HEAD", "/healthz")
    head = connection.getresponse()
    assert head.status == 200 and head.read() == b""
    assert head.getheader("content-length") == str(len(body))
    assert head.getheader("date")
    connection.close()


def test_pipelined_requests_are_answered_in_order(raw):
    connection = raw()
    connection.send("".join(post(f"/events/p{n}", str(n)) + get("/healthz") for n in range(100)))
    for n in range(100):
        status, headers, _ = connection.answer()
        assert status == 202, n
        assert connection.answer()[2] == b'{"status":"ok"}\n'
    events = raw().send(get("/events?limit=200")).answer()[2]
    assert [item["event"]["type"] for item in json.loads(events)["events"]] == [f"p{n}" for n in range(100)]


def test_requests_may_come_byte_by_byte(raw):
    connection = raw()
    connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in post("/events/x", "hello") + get("/healthz"):
        connection.send(byte)
    assert connection.answer()[0] == 202
    assert connection.answer()[0] == 200


def test_chunked_bodies_are_put_together(server, raw):
    connection = raw().send("POST /events/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                            "Transfer-Encoding: chunked\r\n\r\n4\r\n{\"a\"\r\n3;x=y\r\n:1}\r\n0\r\nT: x\r\n\r\n")
    answer = json.loads(connection.answer()[2])
    assert server.get(f"/events/{answer['event_id']}")["data"] == {"a": 1}


def test_a_client_that_expects_to_be_asked_is_asked(raw):
    connection = raw().send("POST /events/x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
                            "Content-Length: 5\r\n\r\n")
    assert connection.answer()[0] == 100
    assert connection.send("hello").answer()[0] == 202
    refused = raw().send("POST /events/x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
                         "Content-Length: 2000000\r\n\r\n")
    assert refused.answer()[0] == 413
    assert refused.is_closed()


def test_http_1_0_is_answered_and_closed(raw):
    connection = raw().send("GET /healthz HTTP/1.0\r\n\r\n")
    status, headers, _ = connection.answer()
    assert (status, headers["connection"]) == (200, "close") and connection.is_closed()
    kept = raw().send("GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert kept.answer()[1]["connection"] == "keep-alive"
    assert kept.send(get("/healthz")).answer()[0] == 200


def test_close_is_honoured(raw):
    connection = raw().send(get("/healthz", "Connection: close\r\n") + get("/healthz"))
    assert connection.answer()[1]["connection"] == "close"
    assert connection.is_closed()


def test_a_client_that_ends_its_side_still_gets_its_answer(raw):
    connection = raw().send(post("/events/x", "hello"))
    connection.socket.shutdown(socket.SHUT_WR)
    assert connection.answer()[0] == 202
    assert connection.is_closed()


@pytest.mark.parametrize("request_text, status", [
    ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
    ("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
    ("GET / HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: localhost\r\nX : a\r\n\r\n", 400),
    ("GET / HTTP/1.1\nHost: localhost\n\n", 400),
    ("GET / HTTP/1.1\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
    ("GET / HTTP/3.0\r\nHost: localhost\r\n\r\n", 505),
    ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ("GET /" + "a" * 40000 + " HTTP/1.1\r\nHost: localhost\r\n\r\n", 431),
    ("GET / HTTP/1.1\r\nHost: localhost\r\n" + "X: y\r\n" * 200 + "\r\n", 431),
    ("POST /events/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048577\r\n\r\n", 413),
    ("GET / HTTP/1.1\r\nHost: localhost\r\nExpect: tea\r\n\r\n", 417),
])
def test_what_could_be_read_in_two_ways_is_refused_and_the_connection_closed(raw, request_text, status):
    connection = raw().send(request_text.encode("latin-1"))
    got, headers, body = connection.answer()
    assert got == status and headers["connection"] == "close"
    assert json.loads(body)["status"] == status
    assert connection.is_closed()


def test_a_body_of_a_whole_record_is_taken_and_more_is_not(server):
    assert server.request("POST", "/events/x", b"x" * 1_040_000, {"content-type": "text/plain"})[0] == 202
    status, _, problem = server.request("POST", "/events/x", b"x" * 1_048_576, {"content-type": "text/plain"})
    assert status == 413 and problem["kind"] == "too-large"


@pytest.mark.parametrize("headers, status", [
    ({"Host": "localhost"}, 200),
    ({"Host": "127.0.0.1:1"}, 200),
    ({"Host": "[::1]:8080"}, 200),
    ({"Host": "evil.example"}, 403),
    ({"Host": "localhost.evil.example"}, 403),
    ({"Host": "127.0.0.1.nip.io"}, 403),
])
def test_only_names_of_loopback_are_answered(server, headers, status):
    assert server.request("GET", "/healthz", headers=headers)[0] == status


def test_no_web_page_can_post(server):
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        status, _, problem = server.request("POST", "/events/x", {}, headers)
        assert status == 403 and problem["kind"] == "wrong-origin"
    assert server.request("POST", "/events/x", {}, {"Origin": f"http://127.0.0.1:{server.port}"})[0] == 202
    assert len(server.get("/events")["events"]) == 1


def test_a_slow_client_is_answered_408(raw):
    connection = raw().send("GET /healthz HTTP/1.1\r\nHost: loc")
    begun = time.monotonic()
    status, headers, _ = connection.answer()
    assert status == 408 and headers["connection"] == "close"
    assert time.monotonic() - begun < 15


def test_clients_that_leave_at_any_moment_disturb_nobody(server):
    for cut in range(1, 200, 7):
        connection = Raw(server)
        connection.send((post("/events/x", "hello") * 5).encode()[:cut * 2])
        connection.socket.close()
    assert server.get("/healthz") == {"status": "ok"}
    assert server.publish("x", {})


def test_a_client_that_does_not_read_does_not_stop_others(server):
    for n in range(30):
        server.publish("x", b"y" * 100_000, {"content-type": "text/plain"})
    lazy = Raw(server)
    for _ in range(50):
        lazy.send(get("/events?limit=1000"))
    for _ in range(20):
        assert server.get("/healthz") == {"status": "ok"}
    assert lazy.answer()[0] == 200
    lazy.socket.close()


def test_many_connections_at_once(server):
    connections = [Raw(server) for _ in range(300)]
    for n, connection in enumerate(connections):
        connection.send(post(f"/events/many{n}", "x"))
    for connection in connections:
        assert connection.answer()[0] == 202
        connection.socket.close()
    assert len(server.get("/events?limit=1000")["events"]) == 300


def test_a_stop_answers_what_is_under_way(server):
    quiet, polling, busy = Raw(server), Raw(server), Raw(server)
    quiet.send(get("/healthz")).answer()
    polling.send(get("/events?wait=30s&cursor=a1"))
    busy.send("POST /events/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhel")
    time.sleep(0.2)
    stopper = threading.Thread(target=server.stop, daemon=True)
    stopper.start()
    status, headers, _ = polling.answer()
    assert status == 503 and headers["connection"] == "close"
    assert quiet.is_closed()
    status, headers, _ = busy.send("lo").answer()
    assert status == 202 and headers["connection"] == "close"
    stopper.join(20)
    assert server.process.returncode == 0


def test_other_addresses_than_loopback_are_refused(tmp_path):
    from conftest import run_nexus
    (tmp_path / "nexus.yaml").write_text("version: v1\n")
    done = run_nexus("dev", "--http", "0.0.0.0:0", cwd=tmp_path, status=None, timeout=20)
    assert done.returncode in (1, 2) and "loopback" in done.stderr

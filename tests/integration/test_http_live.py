"""The log as a stream of server-sent events: nothing lost, nothing twice, over restarts; slow readers hurt nobody."""
import http.client
import json
import re
import socket
import subprocess
import threading
import time

import pytest


@pytest.fixture
def server(tmp_path, servers):
    """A node without functions."""
    (tmp_path / "nexus.yaml").write_text("version: v1\n")
    return servers(tmp_path)


class Stream:
    """A reader of server-sent events, as a browser is one: keeps the last id, gives message after message."""

    def __init__(self, server, path="/events", last_id=None, timeout=20):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)
        headers = {"accept": "text/event-stream", **({"last-event-id": last_id} if last_id else {})}
        self.connection.request("GET", path, headers=headers)
        self.answer = self.connection.getresponse()
        self.last_id = last_id
        self.comments = []

    def message(self):
        """The next one: its kind and its data; None at the end of the stream."""
        kind, data = "message", []
        while True:
            line = self.answer.readline()
            if not line.endswith(b"\n"):
                return None
            line = line.decode().rstrip("\n")
            if line == "":
                if data:
                    return kind, json.loads("\n".join(data))
                kind = "message"
                continue
            name, _, value = line.partition(": ")
            if name == "data":
                data.append(value)
            elif name == "event":
                kind = value
            elif name == "id":
                self.last_id = value
            elif name in ("", ":"):
                self.comments.append(value)

    def ids(self, count):
        """The ids of the next so many events."""
        return [self.message()[1]["event"]["id"] for _ in range(count)]

    def close(self):
        self.connection.close()


def begun(stream):
    """The stream, once its first id is there: what is published now is on it."""
    while stream.last_id is None:
        line = stream.answer.readline().decode()
        if line.startswith("id: "):
            stream.last_id = line[4:].strip()
    return stream


def publish(server, first, count, **more):
    batch = [{"specversion": "1.0", "id": f"e{n}", "source": "/s", "type": "b" if n % 2 else "a", **more}
             for n in range(first, first + count)]
    status, _, _ = server.request("POST", "/events", json.dumps(batch),
                                  {"content-type": "application/cloudevents-batch+json"})
    assert status == 202


def names(first, count, step=1):
    return [f"e{n}" for n in range(first, first + count * step, step)]


def test_what_arrives_is_told_at_once(server):
    publish(server, 0, 3)
    stream = begun(Stream(server))
    assert stream.answer.status == 200 and stream.answer.headers["content-type"] == "text/event-stream"
    assert stream.last_id == "EVENTS:3"
    event_id = server.publish("x", {"text": "two\nlines", "list": [1]})
    kind, item = stream.message()
    assert kind == "message" and item["reference"] == "EVENTS:4" and item["event"]["id"] == event_id
    assert item == server.get("/events?cursor=a4")["events"][0]
    assert stream.last_id == "EVENTS:4"
    stream.close()


def test_data_that_has_lines_comes_whole(server):
    stream = begun(Stream(server))
    server.request("POST", "/events/x", b'{\r\n "a":\n1}', {"content-type": "application/json"})
    assert stream.message()[1]["event"]["data"] == {"a": 1}
    stream.close()


def test_curl_shows_it(server):
    process = subprocess.Popen(["curl", "-sN", "-H", "Accept: text/event-stream", f"{server.url}/events"],
                               stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "retry: 1000\n"
        assert process.stdout.readline() == "id: EVENTS:0\n"
        assert process.stdout.readline() == "\n"
        server.publish("x", {"n": 1})
        assert process.stdout.readline() == "id: EVENTS:1\n"
        assert json.loads(process.stdout.readline().removeprefix("data: "))["event"]["data"] == {"n": 1}
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("path, expected", [
    ("/events?cursor=a1&type=b", names(1, 5, 2)),
    ("/events?cursor=a1&subject=s", []),
    ("/events?since=10m", names(0, 10)),
    ("/events?cursor=a4", names(3, 7)),
])
def test_a_stream_begins_where_it_is_asked_to_and_filters(server, path, expected):
    publish(server, 0, 10)
    stream = Stream(server, path)
    assert stream.ids(len(expected)) == expected
    publish(server, 11, 1, subject="s")  # fits all of them
    assert stream.ids(1) == ["e11"]
    stream.close()


@pytest.mark.parametrize("path, last_id, words", [
    ("/events?limit=3", None, "limit"),
    ("/events?order=desc", None, "order"),
    ("/events?cursor=d4", None, "cursor"),
    ("/events?outcome=ok", None, "outcome"),
    ("/events", "EVENTS:x", "Last-Event-ID"),
    ("/events", "INVOCATIONS:1", "Last-Event-ID"),
    ("/events", "EVENTS:99", "EVENTS:0"),
    ("/invocations?function=A", None, "function"),
])
def test_what_no_stream_can_be_is_refused(server, path, last_id, words):
    stream = Stream(server, path, last_id)
    assert stream.answer.status == 400
    assert words in json.loads(stream.answer.read())["detail"]


def test_over_kills_a_reader_gets_each_event_once(server, servers):
    """The server is killed again and again while events arrive; the reader comes back with its last id."""
    publish(server, 0, 1)
    seen, published = [], 1
    stream = Stream(server, "/events?cursor=a1")
    for life in range(4):
        publish(server, published, 40)
        published += 40
        seen += stream.ids(20)  # part of what is there: the rest is for the next life
        server.kill()
        stream.close()
        server = servers(server.folder)
        stream = Stream(server, "/events?cursor=a1", stream.last_id)
    seen += stream.ids(published - len(seen))
    assert seen == names(0, published)
    publish(server, published, 1)
    assert stream.ids(1) == [f"e{published}"]
    stream.close()


def test_a_reader_that_is_slow_hurts_nobody_and_misses_nothing(server):
    """One reader takes nothing while megabytes arrive: publishing and the others go on, and it gets all in the end:
    on the same connection, or behind its last id where it was cut off."""
    slow = socket.socket()
    slow.settimeout(30)
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    slow.connect(("127.0.0.1", server.port))
    slow.sendall(b"GET /events?cursor=a1 HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
    quick = begun(Stream(server))
    count = 0
    for _ in range(8):
        publish(server, count, 1000, data="x" * 850)
        assert quick.ids(1000) == names(count, 1000)
        count += 1000
    memory_kb = int([line for line in open(f"/proc/{server.pid}/status") if line.startswith("VmRSS")][0].split()[1])
    assert memory_kb < 400_000
    quick.close()
    received = []
    while sum(map(len, received[-2:])) == 0 or f'"id":"e{count - 1}"'.encode() not in b"".join(received[-2:]):
        data = slow.recv(1 << 20)
        if not data:
            break
        received.append(data)
    slow.close()
    got = [int(sequence) for sequence in re.findall(rb"id: EVENTS:(\d+)\ndata", b"".join(received))]
    assert got == list(range(1, len(got) + 1)) and len(got) > 10
    last = min(got[-1], count) - 1 if len(got) < count else count
    rest = Stream(server, "/events", f"EVENTS:{last}")
    assert rest.ids(count - last) == names(last, count - last)
    rest.close()


def test_many_readers_get_the_same(server):
    streams = [begun(Stream(server)) for _ in range(50)]
    publish(server, 0, 100)
    for stream in streams:
        assert stream.ids(100) == names(0, 100)
        stream.close()
    assert server.get("/healthz") == {"status": "ok"}


def test_a_stop_ends_streams_in_order(server):
    stream = begun(Stream(server))
    publish(server, 0, 1)
    assert stream.ids(1) == ["e0"]
    stopper = threading.Thread(target=server.stop, daemon=True)
    began = time.monotonic()
    stopper.start()
    assert stream.message() is None
    stopper.join(20)
    assert server.process.returncode == 0 and time.monotonic() - began < 10


def test_http_1_0_gets_the_bytes_alone(server):
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    connection.sendall(b"GET /events?cursor=a1 HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n")
    publish(server, 0, 1)
    received = b""
    while b'"id":"e0"' not in received:
        received += connection.recv(65536)
    head, body = received.split(b"\r\n\r\n", 1)
    assert b"chunked" not in head and b"Connection: close" in head
    assert body.startswith(b"retry: 1000\nid: EVENTS:0\n\n")
    connection.close()


def test_invocations_are_a_stream_too(project, servers):
    server = servers(project)
    stream = begun(Stream(server, "/invocations?function=user-welcome&outcome=ok"))
    server.publish("user.created", {"user_id": "u1"})
    kind, item = stream.message()
    assert kind == "message" and (item["function"], item["outcome"]) == ("user-welcome", "ok")
    assert stream.last_id == item["id"]
    stream.close()

"""NATS over real sockets: what one client publishes another one gets; a client that misbehaves is cut off alone."""
import json
import re
import socket

import pytest

from conftest import ROOT, run_nexus

PENDING_SIZE_MAX = 64 * 1024 * 1024
PAYLOAD_SIZE_MAX = 1024 * 1024


class Client:
    """The protocol as it is typed."""

    def __init__(self, port, options='{"verbose":false,"pedantic":false,"headers":true,"no_responders":true}'):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.file = self.socket.makefile("rb")
        self.info = json.loads(self.line().removeprefix("INFO "))
        self.say(f"CONNECT {options}\r\nPING\r\n")
        assert self.line() == "PONG"

    def say(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else text.encode())

    def line(self):
        return self.file.readline().decode().rstrip("\r\n")

    def settled(self):
        """Everything said so far was handled."""
        self.say("PING\r\n")
        assert self.line() == "PONG"

    def message(self):
        """The control line and what follows it."""
        line = self.line()
        size = int(line.rsplit(" ", 1)[1])
        body = self.file.read(size + 2)
        assert body.endswith(b"\r\n")
        return line, body[:-2]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "nexus.yaml").write_text("version: v1\nlisten: {nats: 127.0.0.1:0}\n")
    return tmp_path


@pytest.fixture
def connect(folder, servers):
    """connect() gives a client of one running server, `connect.server`."""
    server = servers(folder, "start")
    port = json.loads((folder / ".nexus" / "ports.json").read_text())["nats"]["port"]
    clients = []

    def one(*arguments):
        clients.append(Client(port, *arguments))
        return clients[-1]

    one.server = server
    one.port = port
    yield one
    for client in clients:
        client.socket.close()


def test_the_server_introduces_itself(connect):
    info = connect().info
    assert info["headers"] is True and info["max_payload"] == PAYLOAD_SIZE_MAX and info["proto"] == 1
    assert info["client_ip"] == "127.0.0.1" and info["port"] == connect.port
    assert info["jetstream"] is False  # what is not spoken is not claimed


def test_a_message_reaches_another_client_whole(connect):
    subscriber, publisher = connect(), connect()
    subscriber.say("SUB orders.> 1\r\n")
    subscriber.settled()
    large = bytes(range(256)) * (PAYLOAD_SIZE_MAX // 256)
    publisher.say(b"PUB orders.new.17 reply.to 5\r\nhe\r\no\r\n")
    publisher.say(f"PUB orders.large {len(large)}\r\n".encode() + large + b"\r\n")
    assert subscriber.message() == ("MSG orders.new.17 1 reply.to 5", b"he\r\no")
    assert subscriber.message() == (f"MSG orders.large 1 {len(large)}", large)


def test_a_request_goes_to_one_of_a_queue_and_comes_back(connect):
    workers, asker = [connect() for _ in range(3)], connect()
    for worker in workers:
        worker.say("SUB work crew 1\r\n")
        worker.settled()
    asker.say("SUB _INBOX.a.* 9\r\n" + "".join(f"PUB work _INBOX.a.{i} 1\r\n{i}\r\n" for i in range(9)))
    for worker in workers:
        for _ in range(3):
            line, body = worker.message()
            worker.say(b"PUB " + line.split(" ")[3].encode() + b" 2\r\n=" + body + b"\r\n")
    assert sorted(asker.message()[1] for _ in range(9)) == [b"=%d" % i for i in range(9)]


def test_nobody_listening_is_told_at_once(connect):
    asker = connect()
    asker.say("SUB _INBOX.b.* 1\r\nPUB nobody _INBOX.b.1 0\r\n\r\n")
    assert asker.message() == ("HMSG _INBOX.b.1 1 38 38", b"NATS/1.0 503\r\nNats-Subject: nobody\r\n\r\n")


def test_who_does_not_read_is_cut_off_and_the_others_go_on(connect):
    stuck, good, publisher = connect(), connect(), connect()
    for client in (stuck, good):
        client.say("SUB flood 1\r\n")
        client.settled()
    payload = b"x" * PAYLOAD_SIZE_MAX
    message = f"PUB flood {len(payload)}\r\n".encode() + payload + b"\r\n"
    count = PENDING_SIZE_MAX // len(payload) + 16  # what the kernel's buffers hold, too
    for _ in range(count):
        publisher.say(message)
        assert good.message()[1] == payload
    publisher.settled()
    left = stuck.file.read()  # to the end: it was closed
    assert len(left) < count * len(message)
    _, _, text = connect.server.request("GET", "/metrics")
    assert b"nexus_nats_slow_consumers_total 1\n" in text


@pytest.mark.parametrize("said, error", [
    ("HELLO\r\n", "Unknown Protocol Operation"),
    ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "Unknown Protocol Operation"),
    ("PUB a many\r\n", "Parser Error"),
    ("SUB " + "a" * 4097, "maximum control line exceeded"),
    (f"PUB a {PAYLOAD_SIZE_MAX + 1}\r\n", "Maximum Payload Violation"),
])
def test_what_cannot_be_understood_is_named_and_ends_only_that_connection(connect, said, error):
    bad, good = connect(), connect()
    bad.say(said)
    assert bad.line() == f"-ERR '{error}'"
    assert bad.file.read() == b""
    good.settled()


def test_a_stop_is_told_to_the_clients(connect):
    client = connect()
    assert connect.server.stop() == 0
    assert json.loads(client.line().removeprefix("INFO "))["ldm"] is True
    assert client.file.read() == b""


def test_its_figures_are_those_that_the_page_lists(connect):
    subscriber, publisher = connect(), connect()
    subscriber.say("SUB a 1\r\n")
    subscriber.settled()
    publisher.say("PUB a 5\r\nhello\r\n")
    assert subscriber.message()[1] == b"hello"
    _, _, text = connect.server.request("GET", "/metrics")
    served = dict(re.findall(r"^(nexus_nats_\w+)(?:{.*})? (\S+)$", text.decode(), re.MULTILINE))
    assert served == {"nexus_nats_connections": "2", "nexus_nats_messages_in_total": "1", "nexus_nats_bytes_in_total": "5",
                      "nexus_nats_messages_out_total": "1", "nexus_nats_bytes_out_total": "5",
                      "nexus_nats_slow_consumers_total": "0", "nexus_nats_refused_total": "0", "nexus_nats_violations_total": "0",
                      "nexus_nats_handshakes_broken_total": "0", "nexus_nats_events_total": "0"}
    page = (ROOT / "spec" / "metrics.md").read_text()
    assert set(served) == set(re.findall(r"^\| `(nexus_nats_\w+)`", page, re.MULTILINE))


def test_a_port_in_use_is_named_with_what_to_do(connect, folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "nexus.yaml").write_text("version: v1\n")
    done = run_nexus("start", "--http", "127.0.0.1:0", "--nats", f"127.0.0.1:{connect.port}", cwd=other, status=1)
    assert f"NATS on 127.0.0.1:{connect.port}: another program has this port" in done.stderr
    assert "--nats 127.0.0.1:0 takes a free one" in done.stderr

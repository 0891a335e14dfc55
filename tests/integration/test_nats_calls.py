"""Functions called by NATS messages: each call is an event of the log, and what the function prints is the reply."""
import json
import subprocess
import threading
import time

import pytest

from conftest import ROOT, run_nexus
from test_nats import Client

GUEST = r"""
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "nexus.h"
static char input[1 << 20];
int main(void) {
    size_t len = fread(input, 1, sizeof input - 1, stdin);
    input[len] = 0;
    if (strstr(input, "#fail")) return 3;
    if (strstr(input, "#slow")) usleep(3000 * 1000);
    if (strstr(input, "#pause")) usleep(20 * 1000 * 1000);
    if (strstr(input, "#large")) for (int i = 0; i < 20000; i++) printf("line %d of many\n", i);
    if (strstr(input, "#refuse")) nexus_respond(409, "X-Why: taken\n");
    printf("{\"random\": %u, \"input\": %s}", (unsigned)(nexus_now() % 1000000007), input);
    return 0;
}
"""
CONFIG = """version: v1
listen: {nats: 127.0.0.1:0}
functions:
  - {name: price, on: {nats: {subject: price.*, queue: crew, respond: result}}, code: f.wasm, input: data, timeout: 25s}
  - {name: quick, on: {nats: {subject: quick, respond: result, wait: 100ms}}, code: f.wasm, input: data}
  - {name: note, on: {nats: {subject: note.>}}, code: f.wasm, input: data}
"""


@pytest.fixture(scope="session")
def module(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calls")
    (folder / "f.c").write_text(GUEST)
    subprocess.run(["clang-19", "--target=wasm32-wasi", "-O2", f"-I{ROOT}/guest/c", "-Wl,--stack-first", "f.c", "-o",
                    "f.wasm"], cwd=folder, check=True, capture_output=True)
    return (folder / "f.wasm").read_bytes()


class Caller:
    def __init__(self, port):
        self.client = Client(port)
        self.inbox = f"_I.{id(self)}"
        self.client.say(f"SUB {self.inbox} 1\r\n")
        self.client.settled()

    def ask(self, subject, payload="", headers=""):
        payload, block = payload.encode(), f"NATS/1.0\r\n{headers}\r\n".encode() if headers else b""
        verb, sizes = ("HPUB", f"{len(block)} {len(block) + len(payload)}") if headers else ("PUB", len(payload))
        self.client.say(f"{verb} {subject} {self.inbox} {sizes}\r\n".encode() + block + payload + b"\r\n")

    def reply(self):
        """Headers by name, and the payload."""
        line, body = self.client.message()
        if line.startswith("MSG "):
            return {}, body.decode()
        size = int(line.rsplit(" ", 2)[1])
        lines = body[:size].decode().split("\r\n")
        return {"status": lines[0], **dict(item.split(": ", 1) for item in lines[1:] if item)}, body[size:].decode()

    def call(self, *arguments, **more):
        self.ask(*arguments, **more)
        return self.reply()


@pytest.fixture
def start(tmp_path, servers, module):
    """start() gives a caller of a server on the same data, which is start.server then."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "f.wasm").write_bytes(module)
    (folder / "nexus.yaml").write_text(CONFIG)

    def one(command="start"):
        one.server = servers(folder, command)
        one.port = json.loads((folder / ".nexus" / "ports.json").read_text())["nats"]["port"]
        return Caller(one.port)

    one.folder = folder
    return one


def test_a_request_is_answered_by_the_function_and_replays(start):
    caller = start()
    headers, body = caller.call("price.apple", '{"kg": 2}', "X-Till: 7\r\nAuthorization: secret\r\n")
    assert headers["Nexus-Event"] == "EVENTS:1" and headers["Nexus-Invocation"] == "INVOCATIONS:1"
    assert json.loads(body)["input"] == {"subject": "price.apple", "headers": {"X-Till": "7"}, "body": {"kg": 2}}
    event = start.server.get("/events/EVENTS:1")
    assert event["type"] == "nats.price" and event["source"] == "/nats/shop" and event["subject"] == "price.apple"
    assert "identical output" in run_nexus("replay", "EVENTS:1", cwd=start.folder).stdout
    assert json.loads(caller.call("price.pear", "text")[1])["input"]["body"] == "text"
    large = caller.call("price.x", '"#large"')[1]
    assert large.count("\n") == 20000 and json.loads(large.rsplit("\n", 1)[1])


def test_a_failure_is_told_as_services_tell_it(start):
    caller = start()
    headers, body = caller.call("price.x", '"#fail"')
    assert headers["Nats-Service-Error-Code"] == "500" and "'price' failed: exit status 3" in headers["Nats-Service-Error"]
    assert body == "" and headers["Nexus-Event"] == "EVENTS:1"
    headers, body = caller.call("price.x", '"#refuse"')
    assert headers["Nats-Service-Error-Code"] == "409" and headers["X-Why"] == "taken" and "#refuse" in body
    headers, _ = caller.call("quick", '"#slow"')
    assert headers["Nats-Service-Error-Code"] == "504" and "has not answered in time" in headers["Nats-Service-Error"]
    start.server.wait_until_idle()
    states = {state["name"]: state for state in start.server.get("/functions")["functions"]}
    assert states["quick"]["succeeded"] == 1  # nobody waited any more, and it was done all the same


def test_without_respond_the_reply_says_that_it_is_stored(start):
    caller = start()
    assert json.loads(caller.call("note.a.b", "x")[1]) == {"stream": "EVENTS", "seq": 1}
    caller.client.say("PUB note.c 1\r\ny\r\n")
    caller.client.settled()
    start.server.wait_until_idle()
    assert [start.server.get(f"/events/EVENTS:{i}")["subject"] for i in (1, 2)] == ["note.a.b", "note.c"]
    assert caller.call("nobody.there")[0]["status"] == "NATS/1.0 503"


def test_a_request_that_comes_again_is_answered_alike_also_after_a_kill(start):
    caller = start()
    answers = {i: caller.call("price.x", f'"{i}"', f"Nats-Msg-Id: m{i}\r\n")[1] for i in range(20)}
    assert all(caller.call("price.x", '"other"', f"Nats-Msg-Id: m{i}\r\n")[1] == answers[i] for i in range(20))
    start.server.kill()
    caller = start()
    for i in range(20):
        headers, body = caller.call("price.x", '"other"', f"Nats-Msg-Id: m{i}\r\n")
        assert body == answers[i] and headers["Nexus-Event"] == f"EVENTS:{i + 1}"
    assert len(start.server.all_items("/invocations", "invocations")) == 20


def test_a_function_is_one_member_of_its_queue(start):
    caller = start()
    worker = Client(start.port)
    worker.say("SUB price.* crew 1\r\n")
    worker.settled()
    for _ in range(100):
        caller.client.say("PUB price.x 2\r\n{}\r\n")
    caller.client.settled()
    worker.say("PING\r\n")
    heard = 0
    while worker.line() != "PONG":
        worker.line()
        heard += 1
    called, deadline = 0, time.monotonic() + 30
    while heard + called < 100:
        assert time.monotonic() < deadline, (heard, called)
        called = len(start.server.all_items("/invocations", "invocations"))
    assert heard + called == 100 and heard > 0 and called > 0, (heard, called)


def test_many_at_once_are_all_answered(start):
    start()
    count, results = 400, []

    def run(number):
        caller = Caller(start.port)
        for i in range(count):
            caller.ask("price.x", str(number * count + i))
        results.extend(caller.reply() for _ in range(count))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not [headers for headers, body in results if not body]
    assert sorted(json.loads(body)["input"]["body"] for _, body in results) == list(range(4 * count))


def test_a_changed_subject_counts_at_once(start):
    caller = start("dev")
    assert caller.call("price.x")[0]["Nexus-Event"] == "EVENTS:1"
    (start.folder / "nexus.yaml").write_text(CONFIG.replace("price.*", "cost.*"))
    deadline = time.monotonic() + 30
    while caller.call("cost.x")[0].get("status") == "NATS/1.0 503":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert caller.call("price.x")[0]["status"] == "NATS/1.0 503"


def test_whoever_waits_when_the_server_stops_is_told(start):
    caller = start()
    caller.ask("price.x", '"#pause"')
    deadline = time.monotonic() + 30
    while start.server.get("/functions")["functions"][0]["running"] == 0:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    stopped = threading.Thread(target=start.server.stop, args=(90,))
    stopped.start()
    lines = b""
    while b"Nats-Service-Error-Code: 503" not in lines:
        piece = caller.client.socket.recv(65536)
        assert piece, lines
        lines += piece
    assert b"the server stops" in lines
    stopped.join()


@pytest.mark.parametrize("on, told", [
    ("{subject: 'a b'}", "'a b' is no subject"), ("{subject: events.x}", "take them by on.event"),
    ("{subject: $JS.x}", "not for functions"), ("{queue: q}", "subject"), ("{subject: a, queue: 'x y'}", "name of a queue"),
    ("{subject: a, repond: result}", "did you mean 'respond'")])
def test_what_cannot_be_is_named(tmp_path, on, told):
    (tmp_path / "nexus.yaml").write_text(f"version: v1\nfunctions:\n  - {{name: f, on: {{nats: {on}}}, code: f.wasm}}\n")
    answer = run_nexus("config", cwd=tmp_path, status=1)
    assert told in answer.stderr and "nexus.yaml:3:" in answer.stderr, answer.stderr

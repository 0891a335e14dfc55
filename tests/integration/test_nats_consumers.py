"""JetStream's consumers over the wire: what nats-server answers is answered, and over kills what was acknowledged with an
answer never comes again, what was published with an acknowledgement is there, in its order."""
import json
import random
import re
import threading
import time

import pytest

from test_nats import Client
from test_nats_jetstream import Js

SECOND = 1_000_000_000


@pytest.fixture
def start(tmp_path, servers):
    (tmp_path / "nexus.yaml").write_text("version: v1\nlisten: {nats: 127.0.0.1:0}\nnats: {jetstream: true}\n")

    def one():
        one.server = servers(tmp_path, "start")
        return Js(json.loads((tmp_path / ".nexus" / "ports.json").read_text())["nats"]["port"])

    return one


def create(js, name, **config):
    made = js.api(f"CONSUMER.CREATE.A.{name}", {"stream_name": "A", "config": {"durable_name": name, "ack_policy": "explicit", **config}})
    assert "error" not in made, made
    return made


def pull(js, name, request, count):
    """`count` messages: (subject, where acknowledgements go, text)."""
    js.client.say(f"PUB $JS.API.CONSUMER.MSG.NEXT.A.{name} _I.1 {len(request)}\r\n{request}\r\n")
    return [message(js.client) for _ in range(count)]


def message(client):
    line, body = client.message()
    words = line.split(" ")
    return words[1], next((word for word in words if word.startswith("$JS.")), None), body.decode()


def sequences(got):
    return [int(ack.split(".")[5]) for _, ack, _ in got]


def test_a_pull_gets_what_it_asks_for_and_is_told_when_there_is_no_more(start):
    js = start()
    js.api("STREAM.CREATE.A", {"name": "A", "subjects": ["a.>"]})
    for i in range(6):
        js.publish(f"a.{i % 2}", f"p{i}")
    assert create(js, "d")["num_pending"] == 6
    got = pull(js, "d", '{"batch":2}', 2)
    assert [(subject, text) for subject, _, text in got] == [("a.0", "p0"), ("a.1", "p1")]
    assert re.fullmatch(r"\$JS\.ACK\.A\.d\.1\.1\.1\.\d+\.5", got[0][1])
    assert [text for *_, text in pull(js, "d", '{"batch":9,"no_wait":true}', 5)] == ["p2", "p3", "p4", "p5", "NATS/1.0 404 No Messages\r\n\r\n"]
    timeout = "NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 3\r\nNats-Pending-Bytes: 0\r\n\r\n"
    assert [text for *_, text in pull(js, "d", '{"batch":3,"expires":100000000}', 1)] == [timeout]
    heartbeat = "NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 6\r\nNats-Last-Stream: 6\r\n\r\n"
    assert pull(js, "d", '{"batch":3,"expires":500000000,"idle_heartbeat":200000000}', 1)[0][2] == heartbeat
    info = js.api("CONSUMER.INFO.A.nobody")
    assert info["error"]["err_code"] == 10014


def test_filters_choose_and_policies_say_where_it_begins(start):
    js = start()
    js.api("STREAM.CREATE.A", {"name": "A", "subjects": ["a.>"]})
    for i in range(9):
        js.publish(f"a.{i % 3}", f"p{i}")
    for name, config, expected in [
        ("one", {"filter_subject": "a.1"}, [2, 5, 8]),
        ("two", {"filter_subjects": ["a.1", "a.2"]}, [2, 3, 5, 6, 8, 9]),
        ("last", {"deliver_policy": "last", "filter_subject": "a.1"}, [8]),
        ("lasts", {"deliver_policy": "last_per_subject", "filter_subject": "a.*"}, [7, 8, 9]),
        ("from", {"deliver_policy": "by_start_sequence", "opt_start_seq": 8}, [8, 9]),
    ]:
        assert create(js, name, **config)["num_pending"] == len(expected), name
        assert js.api(f"CONSUMER.INFO.A.{name}")["num_pending"] == len(expected), name
        assert sequences(pull(js, name, str(len(expected)), len(expected))) == expected, name
    create(js, "new", deliver_policy="new")
    js.publish("a.1", "new")
    assert sequences(pull(js, "new", "1", 1)) == [10]


def test_what_is_not_acknowledged_comes_again_until_it_was_given_often_enough(start):
    js = start()
    js.api("STREAM.CREATE.A", {"name": "A", "subjects": ["a.>"]})
    js.client.say("SUB $JS.EVENT.ADVISORY.CONSUMER.> 2\r\n")
    js.publish("a.1")
    create(js, "d", ack_wait=SECOND // 5, max_deliver=2)
    assert [pull(js, "d", "1", 1)[0][1].split(".")[4] for _ in range(2)] == ["1", "2"]
    js.client.say("PUB $JS.API.CONSUMER.MSG.NEXT.A.d _I.1 1\r\n1\r\n")
    subject, _, text = message(js.client)
    assert subject == "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.A.d" and json.loads(text)["deliveries"] == 2
    create(js, "e")
    ack = pull(js, "e", "1", 1)[0][1]
    js.client.say(f"PUB {ack} 20\r\n" + '-NAK {"delay": 3e8}x\r\n')  # not JSON: at once
    assert message(js.client)[0].startswith("$JS.EVENT.ADVISORY.CONSUMER.MSG_NAKED")
    js.client.settled()


def test_a_push_consumer_gives_to_whoever_listens_and_asks_how_far_it_is(start):
    js = start()
    js.api("STREAM.CREATE.A", {"name": "A", "subjects": ["a.>"]})
    client = Client(js.client.port)
    client.say("SUB to.me 7\r\n")
    client.settled()
    create(js, "p", deliver_subject="to.me", ack_policy="none", flow_control=True, idle_heartbeat=SECOND // 5)
    big = "x" * 200_000
    for _ in range(12):
        js.publish("a.1", big)
    got = 0
    asked = 0
    while got < 12 or asked == 0:
        line, body = client.message()
        if body.startswith(b"NATS/1.0 100 FlowControl"):
            client.say(f"PUB {line.split(' ')[3]} 0\r\n\r\n")
            asked += 1
        elif not body.startswith(b"NATS/1.0 100 Idle"):
            got += 1
    assert client.message()[1].startswith(b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 12\r\n")
    assert js.api("CONSUMER.INFO.A.p")["push_bound"] is True


def test_a_consumer_that_nobody_uses_ends(start):
    js = start()
    js.api("STREAM.CREATE.A", {"name": "A", "subjects": ["a.>"]})
    name = js.api("CONSUMER.CREATE.A", {"stream_name": "A", "config": {"ack_policy": "explicit", "inactive_threshold": SECOND // 5}})["name"]
    deadline = time.monotonic() + 10
    while "error" not in js.api(f"CONSUMER.INFO.A.{name}"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert js.api("CONSUMER.NAMES.A")["consumers"] == []


def test_what_was_acknowledged_with_an_answer_never_comes_again(start):
    js = start()
    js.api("STREAM.CREATE.A", {"name": "A", "subjects": ["a.>"]})
    for i in range(60):
        js.publish("a.1", str(i))
    create(js, "d", ack_wait=SECOND // 5)
    done = set()
    for turn in range(3):
        got = [entry for entry in pull(js, "d", "10", 10)]
        assert not done & set(sequences(got))
        for _, ack, _ in got[:7]:
            js.client.say(f"PUB {ack} _I.2 4\r\n+ACK\r\n")
        for _, ack, _ in got[:7]:
            assert js.client.message()[1] == b""
        done |= set(sequences(got[:7]))
        before = js.api("CONSUMER.INFO.A.d")
        start.server.kill()
        js = start()
        after = js.api("CONSUMER.INFO.A.d")
        assert after["config"] == before["config"] and after["created"] == before["created"]
        assert after["ack_floor"]["stream_seq"] <= min(set(range(1, 62)) - done), turn
    rest = []
    while len(done) + len(rest) < 60:
        got = pull(js, "d", "5", 5) if len(done) + len(rest) <= 55 else pull(js, "d", "1", 1)
        for _, ack, _ in got:
            js.client.say(f"PUB {ack} _I.2 4\r\n+ACK\r\n")
            assert js.client.message()[1] == b""
        rest += sequences(got)
    assert not done & set(rest) and done | set(rest) == set(range(1, 61))


def publisher(port, number, acknowledged, stop):
    """Unique numbers, one after another, until the server is killed."""
    try:
        client = Client(port)
        client.say(f"SUB _P.{number} 1\r\n")
        while not stop.is_set():
            text = f"{number}-{len(acknowledged)}"
            client.say(f"PUB a.{number} _P.{number} {len(text)}\r\n{text}\r\n")
            answer = json.loads(client.message()[1])
            if "error" not in answer:
                acknowledged.append((answer["seq"], text))
    except (OSError, ValueError, IndexError):
        pass  # it was killed


@pytest.mark.parametrize("seed", range(2))
def test_several_publish_and_the_server_is_killed(start, seed):
    """What was acknowledged is stored under its sequence, the messages of each publisher in their order, each once."""
    chance = random.Random(seed)
    js = start()
    js.api("STREAM.CREATE.A", {"name": "A", "subjects": ["a.>"]})
    acknowledged = [[] for _ in range(4)]
    for _ in range(3):
        stop = threading.Event()
        threads = [threading.Thread(target=publisher, args=(js.client.port, i, acknowledged[i], stop)) for i in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(chance.uniform(0.1, 0.5))
        start.server.kill()
        stop.set()
        for thread in threads:
            thread.join()
        js = start()
    last = js.api("STREAM.INFO.A")["state"]["last_seq"]
    create(js, f"all{seed}", ack_policy="none")
    stored = {}
    while len(stored) < last:
        for _, ack, text in pull(js, f"all{seed}", str(min(100, last - len(stored))), min(100, last - len(stored))):
            stored[int(ack.split(".")[5])] = text
    assert sorted(stored) == list(range(1, last + 1))
    assert all(stored[sequence] == text for each in acknowledged for sequence, text in each)
    assert any(acknowledged)
    for number in range(4):
        order = [text for _, text in sorted(stored.items()) if text.startswith(f"{number}-")]
        numbers = [int(text.split("-")[1]) for text in order]
        assert numbers == sorted(numbers)  # one that was stored and not acknowledged was sent again under its number

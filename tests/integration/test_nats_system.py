"""The system account hears who comes and goes, and is answered about the server; others only about themselves."""
import json

import pytest

from test_nats import Client
from test_nats_server import nats_server  # noqa: F401, a fixture

CONFIG = """port: -1
server_name: here
system_account: SYS
accounts {
  SYS { users: [{user: sys, password: s}] }
  A { users: [{user: ann, password: a, permissions: {publish: {deny: "secret"}, subscribe: ["_INBOX.>", "work crew"]}}] }
  B { users: [{user: bob, password: b}] }
}
"""


@pytest.fixture
def server(nats_server, tmp_path):  # noqa: F811
    (tmp_path / "s.conf").write_text(CONFIG)
    return nats_server("-c", "s.conf")


def connect(server, user, **more):
    return Client(server.port, json.dumps({"verbose": False, "pedantic": False, "headers": True, "no_responders": True,
                                           "user": user, "pass": user[0], **more}))


def ask(client, subject, options=None):
    """The answer; None where nobody gives one."""
    body = json.dumps(options) if options else ""
    client.say(f"SUB _INBOX.1 9\r\nUNSUB 9 1\r\nPUB {subject} _INBOX.1 {len(body)}\r\n{body}\r\n")
    line = client.line()
    size = int(line.rsplit(" ", 1)[1])
    text = client.file.read(size + 2)[:-2]
    return None if line.startswith("HMSG") else json.loads(text)


def events(client, count):
    found = [client.message() for _ in range(count)]
    return [(line.split(" ")[1], json.loads(body)) for line, body in found]


def test_who_comes_and_goes_is_told(server):
    sys = connect(server, "sys")
    sys.say("SUB $SYS.ACCOUNT.> 1\r\nSUB $SYS.SERVER.*.CLIENT.AUTH.ERR 2\r\n")
    sys.settled()
    ann = connect(server, "ann", name="the till")
    [(first, conns), (second, connected)] = events(sys, 2)
    assert (first, conns["conns"], conns["acc"]) == ("$SYS.ACCOUNT.A.SERVER.CONNS", 1, "A")
    assert second == "$SYS.ACCOUNT.A.CONNECT"
    assert connected["type"] == "io.nats.server.advisory.v1.client_connect" and connected["server"]["name"] == "here"
    assert {k: connected["client"][k] for k in ("acc", "user", "name", "host")} == {
        "acc": "A", "user": "ann", "name": "the till", "host": "127.0.0.1"}
    ann.say("PUB x 3\r\nabc\r\n")
    ann.settled()
    ann.socket.close()
    ann.file.close()
    [(_, conns), (subject, gone)] = events(sys, 2)
    assert (conns["conns"], subject, gone["reason"]) == (0, "$SYS.ACCOUNT.A.DISCONNECT", "Client Closed")
    assert gone["sent"] == {"msgs": 1, "bytes": 3} and gone["client"]["stop"]
    with pytest.raises((AssertionError, OSError)):
        Client(server.port, '{"user":"ann","pass":"wrong"}')
    [(subject, refused)] = events(sys, 1)
    assert subject == f"$SYS.SERVER.{sys.info['server_id']}.CLIENT.AUTH.ERR"
    assert (refused["client"]["user"], refused["reason"]) == ("ann", "Authentication Failure")


def test_the_system_account_is_answered_about_the_server_and_its_accounts(server):
    sys, ann, bob = connect(server, "sys"), connect(server, "ann"), connect(server, "bob")
    ann.say("SUB work crew 1\r\n")
    ann.settled()
    stats = ask(sys, "$SYS.REQ.SERVER.PING")
    assert (stats["server"]["id"], stats["statsz"]["connections"]) == (sys.info["server_id"], 3)
    assert ask(sys, "$SYS.REQ.SERVER.PING.IDZ")["name"] == "here"
    assert ask(sys, f"$SYS.REQ.SERVER.{sys.info['server_id']}.VARZ")["data"]["connections"] == 3
    assert ask(sys, "$SYS.REQ.SERVER.PING.HEALTHZ")["data"]["status"] == "ok"
    page = ask(sys, "$SYS.REQ.SERVER.PING.CONNZ", {"acc": "A", "auth": True, "subscriptions_detail": True})["data"]
    [shown] = page["connections"]
    assert shown["authorized_user"] == "ann" and shown["subscriptions_list_detail"][0]["qgroup"] == "crew"
    assert len(ask(sys, "$SYS.REQ.ACCOUNT.B.CONNZ")["data"]["connections"]) == 1
    assert sorted(ask(sys, "$SYS.REQ.SERVER.PING.ACCOUNTZ")["data"]["accounts"]) == ["A", "B", "SYS"]
    assert ask(sys, "$SYS.REQ.ACCOUNT.A.INFO")["data"]["client_connections"] == 1
    assert [one["acc"] for one in ask(sys, "$SYS.REQ.ACCOUNT.A.STATZ")["data"]["account_statz"]] == ["A"]
    assert ask(sys, "$SYS.REQ.ACCOUNT.NO.INFO")["error"]["description"] == "Account NO does not exist"
    assert ask(sys, "$SYS.REQ.SERVER.PING.CONNZ", {"sort": "zz"})["error"]["code"] == 500
    assert ask(sys, "$SYS.REQ.SERVER.PING.RAFTZ") is None  # what is not served has no responders
    bob.settled()


def test_others_are_answered_only_about_themselves(server):
    ann, bob = connect(server, "ann"), connect(server, "bob")
    user = ask(ann, "$SYS.REQ.USER.INFO")["data"]
    assert user == {"user": "ann", "account": "A", "permissions": {
        "publish": {"deny": ["secret"]}, "subscribe": {"allow": ["_INBOX.>", "work crew"]}}}
    assert ask(bob, "$SYS.REQ.USER.INFO")["data"] == {"user": "bob", "account": "B"}
    own = ask(bob, "$SYS.REQ.ACCOUNT.PING.CONNZ", {"acc": "A", "auth": True})["data"]["connections"]
    assert [one["authorized_user"] for one in own] == ["bob"]
    assert [one["acc"] for one in ask(bob, "$SYS.REQ.ACCOUNT.PING.STATZ")["data"]["account_statz"]] == ["B"]
    for subject in ("SERVER.PING", "SERVER.PING.VARZ", "ACCOUNT.A.CONNZ", f"SERVER.{bob.info['server_id']}.KICK"):
        assert ask(bob, f"$SYS.REQ.{subject}") is None


def test_requests_for_other_servers_are_not_answered_and_damaged_ones_are_told(server):
    sys = connect(server, "sys")
    sys.say('SUB _INBOX.1 9\r\nPUB $SYS.REQ.SERVER.PING.IDZ _INBOX.1 23\r\n{"server_name":"there"}\r\n'
            'PUB $SYS.REQ.SERVER.PING.IDZ _INBOX.1 22\r\n{"server_name":"here"}\r\n')
    assert json.loads(sys.message()[1])["name"] == "here"
    sys.say("PUB $SYS.REQ.SERVER.PING.VARZ _INBOX.1 1\r\n{\r\n")
    assert json.loads(sys.message()[1])["error"]["code"] == 400
    sys.settled()


def test_a_client_is_sent_away_on_request(server):
    sys, bob = connect(server, "sys"), connect(server, "bob")
    subject = f"$SYS.REQ.SERVER.{sys.info['server_id']}.KICK"
    assert ask(sys, subject, {"cid": 4711})["error"]["description"] == "no such client or leafnode id"
    assert "error" not in ask(sys, subject, {"cid": bob.info["client_id"]})
    assert bob.file.read() == b""


def test_the_end_of_the_server_is_told(server):
    sys = connect(server, "sys")
    sys.say("SUB $SYS.SERVER.*.SHUTDOWN 1\r\n")
    sys.settled()
    assert server.stop() == 0
    [(_, told)] = events(sys, 1)
    assert told["name"] == "here"

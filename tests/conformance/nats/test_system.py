"""What the system account hears and is answered has the form of the real nats-server's: each member of ours is one of
theirs, and of the same kind."""
import asyncio
import json
import pathlib
import sys

import pytest

from conftest import NEXUS, ROOT
from nats_server import NatsServer

BUILT = ROOT / "build" / "deps" / "nats"
sys.path.insert(0, str(BUILT / "nats-py"))
import nats  # noqa: E402

CONFIG = """system_account: SYS
accounts {
    SYS { users: [{user: sys, password: s}] }
    A { users: [{user: ann, password: a, permissions: {publish: {allow: [">"], deny: "no"}, subscribe: [">"], allow_responses: true}}
                {user: bob, password: b}] }
}
"""
SERVER_PAGES = ["STATSZ", "IDZ", "VARZ", "CONNZ", "SUBSZ", "JSZ", "HEALTHZ", "ACCOUNTZ"]
ACCOUNT_PAGES = ["CONNZ", "SUBSZ", "INFO", "CONNS", "STATZ"]
REFUSED = [("bob", "$SYS.REQ.SERVER.PING"), ("bob", "$SYS.REQ.ACCOUNT.A.CONNZ"), ("sys", "$SYS.REQ.SERVER.PING.NONE")]
REQUESTS = [
    *[("sys", f"$SYS.REQ.SERVER.PING.{page}", None) for page in SERVER_PAGES],
    *[("sys", f"$SYS.REQ.ACCOUNT.A.{page}", None) for page in ACCOUNT_PAGES],
    ("sys", "$SYS.REQ.SERVER.PING", None),
    ("sys", "$SYS.REQ.SERVER.PING.CONNZ", {"auth": True, "subscriptions_detail": True, "sort": "subs", "limit": 2}),
    ("sys", "$SYS.REQ.SERVER.PING.CONNZ", {"sort": "wrong"}),
    ("sys", "$SYS.REQ.SERVER.PING.SUBSZ", {"subscriptions": True, "account": "A"}),
    ("sys", "$SYS.REQ.SERVER.PING.ACCOUNTZ", {"account": "A"}),
    ("sys", "$SYS.REQ.ACCOUNT.NONE.INFO", None),
    ("sys", "$SYS.REQ.ACCOUNT.PING.STATZ", None),
    *[(user, "$SYS.REQ.USER.INFO", None) for user in ("sys", "ann", "bob")],
    ("bob", "$SYS.REQ.ACCOUNT.PING.CONNZ", {"acc": "SYS"}),
    ("bob", "$SYS.REQ.ACCOUNT.PING.STATZ", {}),
]
EVENTS = ["$SYS.ACCOUNT.*.CONNECT", "$SYS.ACCOUNT.A.DISCONNECT", "$SYS.ACCOUNT.A.SERVER.CONNS", "$SYS.SERVER.*.CLIENT.AUTH.ERR",
          "$SYS.SERVER.*.STATSZ"]
LIMIT_S = 30


def kinds(value, path="", found=None):
    """{path of a member: its kind}; those of a list's elements are one."""
    found = {} if found is None else found
    if isinstance(value, dict):
        for name, inner in value.items():
            kinds(inner, f"{path}.{name}", found)
    elif isinstance(value, list):
        for inner in value:
            kinds(inner, f"{path}[]", found)
    else:
        found[path] = "number" if type(value) in (int, float) else type(value).__name__
    return found


async def gather(server):
    """What this server says to each request, and of each kind of event."""
    clients, said = {}, {}
    heard = {event: asyncio.Event() for event in EVENTS}

    def listen(event):
        async def take(message):
            said[event] = json.loads(message.data)
            heard[event].set()
        return take

    async def connect(user, password):
        return await nats.connect(server.url, user=user, password=password, name=user,
                                  allow_reconnect=False)

    clients["sys"] = await connect("sys", "s")
    for event in EVENTS:
        await clients["sys"].subscribe(event, cb=listen(event))
    await clients["sys"].flush()
    clients["ann"], clients["bob"] = await connect("ann", "a"), await connect("bob", "b")
    await clients["bob"].subscribe("orders", queue="crew")
    await clients["bob"].flush()
    for user, subject, options in REQUESTS:
        answer = await clients[user].request(subject, json.dumps(options).encode() if options is not None else b"", LIMIT_S)
        said[user, subject, json.dumps(options)] = json.loads(answer.data)
    for user, subject in REFUSED:
        with pytest.raises(nats.errors.NoRespondersError):
            await clients[user].request(subject, b"", LIMIT_S)
    with pytest.raises(nats.errors.Error):
        await connect("ann", "wrong")
    await clients["ann"].close()
    await asyncio.wait_for(asyncio.gather(*(event.wait() for event in heard.values())), LIMIT_S)
    for client in clients.values():
        await client.close()
    return said


def test_what_is_said_has_the_real_servers_form(tmp_path):
    program = tmp_path / "nats-server"
    program.symlink_to(pathlib.Path(NEXUS).resolve())
    said = []
    for name, path in (("nexus", program), ("real", BUILT / "nats-server")):
        folder = tmp_path / name
        folder.mkdir()
        server = NatsServer(path, folder, CONFIG)
        try:
            said.append(asyncio.run(gather(server)))
        finally:
            server.kill()
    ours, theirs = said
    assert ours.keys() == theirs.keys()
    wrong = {}
    for what in ours:
        known = kinds(theirs[what])
        odd = {path: kind for path, kind in kinds(ours[what]).items() if known.get(path) != kind}
        if odd:
            wrong[what] = odd
    assert wrong == {}

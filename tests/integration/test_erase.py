"""nexus erase: what is about a person is sealed in the log, and closed for good when their key is destroyed."""
import json
import os
import subprocess

import pytest

from conftest import ROOT, run_nexus

PERSON = "person-4711"
SECRET = "Alice Pleasance Liddell"
MARK = "ffc0ffee"  # of the trace: not about anybody


def data_of(user="u42", name=SECRET):
    return {"user_id": user, "name": name}


def post_about(server, person=PERSON, user="u42", name=SECRET, event_type="user.created", headers=None):
    return server.publish(event_type, data_of(user, name), {"ce-personkey": person, **(headers or {})})


def files_of(folder):
    return [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names]


def is_on_disk(server, text):
    """True when any file of the data directory has these bytes in it."""
    wanted = text if isinstance(text, bytes) else text.encode()
    return any(wanted in open(path, "rb").read() for path in files_of(server.folder / ".nexus"))


def calls_of(server, event):
    return server.get(f"/invocations?event={event}&details=true")["invocations"]


def key_bytes(server):
    """The keys in keys/persons: slots of 128 bytes, of which 40 to 72 are the key."""
    content = (server.folder / ".nexus" / "keys" / "persons").read_bytes()
    return [content[at + 40:at + 72] for at in range(128, len(content), 128)]


def test_a_person_is_served_sealed_and_forgotten(project, servers):
    server = servers(project, "start")
    alices = post_about(server)
    bobs = post_about(server, "person-bob", "u43", "Bob Dodgson")
    nobodys = server.publish("user.created", data_of("u44", "Nobody"))
    server.wait_until_idle()

    # The function saw all of it, and readers do.
    call = calls_of(server, alices)[0]
    assert call["outcome"] == "ok" and "u42" in call["output"] and call["log_lines"]
    event = server.get(f"/events/{alices}")
    assert event["data"]["name"] == SECRET and event["personkey"] == PERSON
    assert server.get(f"/events?type=user.welcomed")["events"][0]["event"]["data"]["user_id"] == "u42"
    assert json.loads(run_nexus("replay", alices, "--output", "json", cwd=project).stdout)["counts"]["identical"] == 1

    # The disk has nothing of it in clear; of nobody's event it does.
    for text in (SECRET, PERSON, "person-bob", "Bob Dodgson", '{"user_id":"u42"'):
        assert not is_on_disk(server, text), text
    assert is_on_disk(server, "Nobody")
    key = key_bytes(server)[0]
    assert is_on_disk(server, key)

    done = run_nexus("erase", "--person", PERSON, cwd=project)
    assert done.stdout.startswith("OK forgotten: key ")
    assert not is_on_disk(server, key)
    check_forgotten(server, alices)
    check_others(server, bobs, nobodys)
    server.stop()
    server = servers(project, "start")
    check_forgotten(server, alices)
    check_others(server, bobs, nobodys)
    audit = run_nexus("journal", "dump", cwd=project, status=None).stdout
    assert PERSON not in audit and SECRET not in audit


def check_forgotten(server, event_id):
    item = next(i for i in server.all_items("/events", "events") if i["event"]["id"] == event_id)
    assert item["withheld"]["reason"] == "erased" and item["withheld"]["time"].startswith("20")
    for event in (item["event"], server.request("GET", f"/events/{event_id}")[2]):
        assert "data" not in event and "personkey" not in event and event["withheld"].startswith("erased 20")
        assert event["id"] == event_id and event["type"] == "user.created"
    call = calls_of(server, event_id)[0]
    assert call["withheld"]["reason"] == "erased" and call["outcome"] == "ok"
    assert not call.get("output") and not call.get("log_lines") and not call.get("effects")
    replay = run_nexus("replay", event_id, "--output", "json", cwd=server.folder, status=None)
    report = json.loads(replay.stdout)
    assert report["counts"]["erased"] == 1 and "forgotten" in report["replays"][0]["error"]
    shown = run_nexus("replay", event_id, cwd=server.folder, status=None)
    assert "forgotten" in shown.stdout + shown.stderr


def check_others(server, *events):
    for event in events:
        assert calls_of(server, event)[0]["output"]
        report = json.loads(run_nexus("replay", event, "--output", "json", cwd=server.folder).stdout)
        assert report["counts"]["identical"] == 1

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


def is_on_disk(server, *texts):
    """True when any file of the data directory has one of these in it."""
    wanted = [text if isinstance(text, bytes) else text.encode() for text in texts]
    for path in files_of(server.folder / ".nexus"):
        content = open(path, "rb").read()
        if any(text in content for text in wanted):
            return True
    return False


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
    welcomed = server.get("/events?type=user.welcomed")["events"]
    assert {i["event"]["data"]["user_id"] for i in welcomed} == {"u42", "u43", "u44"}
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
    live = run_nexus("replay", "--live", alices, cwd=project, status=1)
    assert "FAIL" in live.stdout and "forgotten" in live.stdout and "OK Replay completed" not in live.stdout
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
    tree = run_nexus("trace", event_id, cwd=server.folder).stdout.splitlines()
    assert ", withheld: erased 20" in tree[0] and "user-welcome, attempt 1: ok in" in tree[1]
    assert tree[2].startswith("   └─ what it did is withheld: erased 20") and len(tree) == 3
    # From what it published, the way back is still there.
    published = next(i for i in server.all_items("/events", "events")
                     if i.get("cause", "").startswith(item["reference"] + "/"))
    chain = run_nexus("why", published["reference"], cwd=server.folder).stdout
    assert f"user-welcome published it in attempt 1, {call['id']}" in chain and f"of {item['reference']} " in chain


def check_others(server, *events):
    for event in events:
        assert calls_of(server, event)[0]["output"]
        report = json.loads(run_nexus("replay", event, "--output", "json", cwd=server.folder).stdout)
        assert report["counts"]["identical"] == 1


RULED = """version: v1
people: {"order.>": data.customer.id, user.welcomed: data.user_id, user.created: data.user_id}
functions:
"""


def test_a_rule_says_whom_events_are_about(project, servers):
    config = (project / "nexus.yaml").read_text()
    (project / "nexus.yaml").write_text(RULED + config.split("functions:\n")[1])
    server = servers(project, "start")
    server.publish("order.paid.late", {"customer": {"id": 4711}, "note": "by rule"})
    server.publish("order.paid", {"customer": "nobody", "note": "names nobody"})
    server.publish("order.sent", {"customer": {"id": 4711}, "note": "by name"}, {"ce-personkey": PERSON})
    server.publish("user.created", data_of("u77"))
    server.wait_until_idle()
    assert is_on_disk(server, "names nobody") and not is_on_disk(server, "by rule") and not is_on_disk(server, SECRET)
    run_nexus("erase", "--person", "4711", cwd=project)
    run_nexus("erase", "--person", "u77", cwd=project)
    shown = {i["event"]["type"]: "withheld" in i for i in server.all_items("/events", "events")}
    assert shown == {"order.paid.late": True, "order.paid": False, "order.sent": False,
                     "user.created": True, "user.welcomed": True}
    status, _, problem = server.request("POST", "/events/order.paid", {"customer": {"id": "x" * 256}})
    assert status == 400 and "data.customer.id" in problem["detail"]
    status, _, problem = server.request("POST", "/events/a", {}, {"ce-personkey": "x" * 256})
    assert status == 400 and "personkey" in problem["detail"]
    # One person, however they are named.
    binary = {"ce-specversion": "1.0", "ce-id": "z", "ce-source": "/z", "ce-type": "z"}
    for path, more in (("/events/z", {}), ("/events", binary)):
        assert server.request("POST", path, {"a": 1}, {"ce-personkey": "Zo%C3%AB%20Z", **more})[0] == 202
    run_nexus("erase", "--person", "Zoë Z", cwd=project)
    assert ["withheld" in i for i in server.all_items("/events?type=z", "events")] == [True, True]
    for wrong in ("%", "", "x" * 256):
        assert server.request("POST", "/events/z", {}, {"ce-personkey": wrong})[0] == 400
    # A batch names several.
    batch = [{"specversion": "1.0", "id": f"b{i}", "source": "/b", "type": "b", "personkey": f"batch-{i}",
              "data": f"secret-{i}"} for i in range(5)]
    status, _, _ = server.request("POST", "/events", json.dumps(batch),
                                  {"content-type": "application/cloudevents-batch+json"})
    assert status == 202 and not is_on_disk(server, "secret-") and not is_on_disk(server, "batch-")
    run_nexus("erase", "--person", "batch-3", cwd=project)
    withheld = [i["event"]["id"] for i in server.all_items("/events?source=/b", "events") if "withheld" in i]
    assert withheld == ["b3"]


def test_the_directory_forgets_and_tells_while_no_server_runs(project, servers):
    server = servers(project, "start")
    alices = post_about(server)
    bobs = post_about(server, "person-bob", "u43", "Bob Dodgson")
    server.wait_until_idle()
    key = key_bytes(server)[0]
    assert run_nexus("replay", alices, cwd=project).returncode == 0
    server.stop()
    assert run_nexus("replay", alices, cwd=project).returncode == 0
    assert SECRET in run_nexus("export", cwd=project).stdout
    assert "OK forgotten" in run_nexus("erase", "--person", PERSON, cwd=project).stdout
    assert not is_on_disk(server, key) and not is_on_disk(server, SECRET)
    again = run_nexus("erase", "--person", PERSON, cwd=project, status=1)
    assert "no key is kept" in again.stderr and "forgotten before" in again.stderr
    exported = [json.loads(line) for line in run_nexus("export", cwd=project).stdout.splitlines()]
    assert len(exported) == 4
    gone = [e for e in exported if "withheld" in e]
    assert len(gone) == 2 and all(e["withheld"].startswith("erased ") and "data" not in e for e in gone)
    for command in (["events"], ["logs"], ["trace", alices], ["why", alices], ["events", "--output", "json"],
                    ["journal", "dump"], ["replay", alices], ["replay", "--since", "1h"], ["journal", "verify"]):
        done = run_nexus(*command, cwd=project, status=None)
        assert done.returncode in (0, 1), (command, done.stderr)
        assert SECRET not in done.stdout and '"user_id":"u42"' not in done.stdout.replace("\\", ""), (command, done.stdout)
    assert "1 erased" in run_nexus("replay", "--since", "1h", cwd=project).stdout
    for command in ("events", "logs", f"trace {alices}", "events --output json"):
        assert "withheld" in run_nexus(*command.split(), cwd=project).stdout, command
    assert run_nexus("replay", bobs, cwd=project).returncode == 0
    audit = run_nexus("journal", "dump", "--stream", "AUDIT", cwd=project).stdout
    assert '\\"erase\\"' in audit and PERSON not in audit


def test_a_kill_between_key_and_event_loses_nothing(project, servers):
    """Killed at any moment: what was acknowledged is readable, and nobody has two keys for it."""
    acknowledged = {}
    for round_number in range(4):
        server = servers(project, "start")
        for i in range(10):
            person = f"person-{round_number}-{i % 3}"
            acknowledged[post_about(server, person, "u1", f"{SECRET} {person}")] = person
        server.kill()
    server = servers(project, "start")
    items = {i["event"]["id"]: i["event"] for i in server.all_items("/events?type=user.created", "events")}
    assert all(items[event]["personkey"] == person and items[event]["data"]["name"] == f"{SECRET} {person}"
               for event, person in acknowledged.items())
    server.wait_until_idle()
    assert not is_on_disk(server, SECRET)
    report = json.loads(run_nexus("replay", "--since", "1h", "--output", "json", cwd=project).stdout)
    assert set(report["counts"]) - {"identical"} <= {k for k, v in report["counts"].items() if v == 0}
    keys = set(key_bytes(server))
    for person in set(acknowledged.values()):
        assert server.request("POST", "/erase", {"person": person})[0] == 200
    assert not is_on_disk(server, *keys)
    assert all("data" not in i["event"] for i in server.all_items("/events?type=user.created", "events"))


def test_what_is_left_of_forgotten_events_is_not_imported(project, servers, tmp_path):
    server = servers(project, "start")
    post_about(server)
    server.publish("user.created", data_of("u44", "Nobody"))
    server.wait_until_idle()
    run_nexus("erase", "--person", PERSON, cwd=project)
    (tmp_path / "lines").write_text(run_nexus("export", "--outside", cwd=project).stdout)
    (tmp_path / "batch").write_text(run_nexus("export", "--outside", "--format", "batch", cwd=project).stdout)
    before = len(server.all_items("/events?type=user.created", "events"))
    for form, told in (("lines", "1 event stored"), ("batch", "0 events stored, 1 were there already")):
        done = run_nexus("import", tmp_path / form, cwd=project).stdout
        assert done == f"OK {told}, 1 left out: whom they are about was forgotten\n"
    assert len(server.all_items("/events?type=user.created", "events")) == before + 1


def test_erased_before_it_ran(project, servers):
    """An event that waits for its next attempt when its person is forgotten ends as event-erased."""
    config = (project / "nexus.yaml").read_text().replace("    order:", "    retry: {max_attempts: 3, backoff: 2s}\n    order:")
    (project / "nexus.yaml").write_text(config)
    server = servers(project, "start")
    event = server.publish("user.created", {"name": SECRET}, {"ce-personkey": PERSON})  # no user_id: it fails
    while not calls_of(server, event):
        pass
    run_nexus("erase", "--person", PERSON, cwd=project)
    server.wait_until_idle()
    outcomes = [c["outcome"] for c in calls_of(server, event)]
    assert outcomes == ["exit", "event-erased"]
    assert not is_on_disk(server, SECRET)
    dead = server.get("/dlq")["dead_letters"]
    assert len(dead) == 1 and "name" not in json.dumps(dead[0]["cause"])


def test_a_repeated_request_is_answered_and_then_forgotten(project, servers):
    server = servers(project, "start")
    headers = {"ce-personkey": PERSON, "Idempotency-Key": "once"}
    first = server.request("POST", "/events/user.created", data_of(), headers)
    again = server.request("POST", "/events/user.created", data_of(), headers)
    assert (first[0], again[0]) == (202, 202) and again[2]["event_id"] == first[2]["event_id"]
    assert again[2]["status"] == "duplicate"
    run_nexus("erase", "--person", PERSON, cwd=project)
    status, _, problem = server.request("POST", "/events/user.created", data_of(), headers)
    assert status == 410 and problem["kind"] == "erased"


def test_what_post_erase_refuses(project, servers):
    server = servers(project, "start")
    assert server.request("POST", "/erase", {"person": "nobody"})[0] == 404
    for body in ({}, {"person": 3}, {"person": ""}, {"person": "x" * 256}, [], "no JSON"):
        assert server.request("POST", "/erase", body)[0] == 400, body
    assert server.request("GET", "/erase")[0] == 405
    assert not (server.folder / ".nexus" / "keys").exists()


def test_lost_keys_are_said_and_can_be_put_back(project, servers):
    server = servers(project, "start")
    event = post_about(server)
    server.wait_until_idle()
    server.stop()
    keys = server.folder / ".nexus" / "keys"
    keys.rename(server.folder / "keys-aside")
    server = servers(project, "start")
    assert server.get(f"/events/{event}")["withheld"] == "key-missing"
    failed = run_nexus("replay", event, cwd=project, status=1)
    assert "key-missing" in failed.stdout + failed.stderr
    server.stop()
    (server.folder / "keys-aside").rename(keys)
    server = servers(project, "start")
    assert server.get(f"/events/{event}")["data"]["name"] == SECRET
    assert run_nexus("replay", event, cwd=project).returncode == 0


LARGE_C = """
#include <stdio.h>
#include <string.h>
static char event[700 * 1024];
int main(void) {
    size_t len = fread(event, 1, sizeof event - 1, stdin);
    for (int i = 0; i < 5; i++) {
        fwrite(event, 1, len, stdout);
    }
    return 0;
}
"""


def test_large_outputs_are_sealed_as_objects(project, servers):
    """An output of 400 KiB is an object of its own: sealed, replayed, and gone with the key."""
    (project / "src" / "welcome.c").write_text(LARGE_C)
    run_nexus("build", cwd=project)
    server = servers(project, "start")
    event = post_about(server, name=SECRET + " " + "x" * 80_000)
    same = server.publish("user.created", data_of("u42", "y" * 80_000))
    server.wait_until_idle()
    call = calls_of(server, event)[0]
    assert call["outcome"] == "ok" and call["output_stored"]["size"] > 400_000
    assert calls_of(server, same)[0]["outcome"] == "ok"
    assert not is_on_disk(server, SECRET) and is_on_disk(server, "y" * 80_000)
    for known in (event, same):
        assert run_nexus("replay", known, cwd=project).returncode == 0
    server.stop()
    assert run_nexus("replay", event, cwd=project).returncode == 0
    run_nexus("erase", "--person", PERSON, cwd=project)
    report = json.loads(run_nexus("replay", event, "--output", "json", cwd=project, status=1).stdout)
    assert report["counts"]["erased"] == 1
    assert run_nexus("replay", same, cwd=project).returncode == 0
    assert run_nexus("journal", "verify", cwd=project).returncode == 0


def test_values_about_a_person_go_with_them(project, servers):
    """values: person: what a call stores is sealed; afterwards the key is not there, and counting begins anew."""
    config = (project / "nexus.yaml").read_text()
    (project / "nexus.yaml").write_text(config + "    values: person\n")
    server = servers(project, "start")

    def visits(event):
        server.wait_until_idle()
        return json.loads(calls_of(server, event)[0]["output"])["visits"]

    assert [visits(post_about(server)) for _ in range(3)] == [1, 2, 3]
    server.stop()
    server = servers(project, "start")
    last = post_about(server)
    assert visits(last) == 4 and run_nexus("replay", last, cwd=project).returncode == 0
    run_nexus("erase", "--person", PERSON, cwd=project)
    assert [visits(post_about(server)) for _ in range(2)] == [1, 2]
    assert visits(server.publish("user.created", data_of())) == 3  # nobody's: in clear from now on
    run_nexus("erase", "--person", PERSON, cwd=project)
    assert visits(server.publish("user.created", data_of())) == 4

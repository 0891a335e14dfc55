"""nexus trace, from an event to all that came of it, and nexus why, back to what caused it: with the server and
from its data directory alike."""
import json

import pytest

from conftest import TRAP, run_nexus


@pytest.fixture
def story(project, servers):
    """user.created runs user-welcome, which publishes user.welcomed, on which `broken` gives up."""
    config = (project / "nexus.yaml").read_text()
    (project / "nexus.yaml").write_text(
        config + "  - {name: broken, on: {event: {type: user.welcomed}}, code: broken.wasm,"
                 " retry: {max_attempts: 2, backoff: 0s}}\n")
    (project / "broken.wasm").write_bytes(TRAP)
    server = servers(project, "start")
    event_id = server.publish("user.created", {"user_id": "u42"})
    server.wait_until_idle()
    return server, event_id


def both(server, *arguments):
    """The same command with the server and without; what it printed must be the same."""
    online = run_nexus(*arguments, cwd=server.folder)
    server.stop()
    offline = run_nexus(*arguments, cwd=server.folder)
    assert offline.stdout == online.stdout
    assert "reading .nexus directly" in offline.stderr and online.stderr == ""
    return online.stdout


def test_a_trace_is_a_tree_of_what_an_event_caused(story):
    server, event_id = story
    lines = both(server, "trace", event_id).splitlines()
    assert lines[0].startswith(f"EVENTS:1 user.created {event_id} from /http/my-app, stored 2")
    assert lines[1].startswith("└─ user-welcome, attempt 1: ok in ") and "  INVOCATIONS:1  +" in lines[1]
    assert lines[2].startswith("   ├─ published EVENTS:2 user.welcomed ")
    assert lines[3].startswith("   │  ├─ broken, attempt 1: trap in ")
    assert lines[4].startswith("   │  └─ broken, attempt 2: trap in ")
    assert lines[4].endswith("; given up, now a dead letter")
    assert lines[5] == "   └─ set key visits.u42" and len(lines) == 6


def test_a_trace_as_json_holds_the_same_tree(story):
    server, event_id = story
    tree = json.loads(both(server, "trace", "EVENTS:1", "--output", "json"))
    assert tree["id"] == event_id
    call, = tree["calls"]
    published, key = call["effects"]
    assert (call["function"], key["key"]) == ("user-welcome", "visits.u42")
    assert published["caused"]["cause"] == "EVENTS:1/user-welcome/0/1"
    assert [c["outcome"] for c in published["caused"]["calls"]] == ["trap", "trap"]


def test_a_call_and_a_dead_letter_stand_for_their_event(story):
    server, event_id = story
    whole = run_nexus("trace", event_id, cwd=server.folder).stdout
    assert run_nexus("trace", "INVOCATIONS:1", cwd=server.folder).stdout == whole
    assert run_nexus("trace", "DLQ:1", cwd=server.folder).stdout.startswith("EVENTS:2 user.welcomed ")


def test_why_goes_back_from_a_dead_letter_to_the_request(story):
    server, event_id = story
    lines = both(server, "why", "DLQ:1").splitlines()
    assert lines[0].startswith("DLQ:1: broken gave up on EVENTS:2, stored 2")
    assert lines[1].startswith("└─ because broken ended as trap (")
    assert "in attempt 2, INVOCATIONS:3, by module " in lines[1]
    assert lines[2].startswith("   └─ because of EVENTS:2 user.welcomed ")
    assert lines[3].startswith("      └─ because user-welcome published it in attempt 1, INVOCATIONS:1, by module ")
    assert lines[4].startswith(f"         └─ because of EVENTS:1 user.created {event_id}, stored 2")
    assert lines[5].startswith("            └─ because it was sent from outside, source /http/my-app, trace ")
    assert len(lines) == 6


def test_why_as_json_names_the_whole_module(story):
    server, _ = story
    chain = json.loads(both(server, "why", "EVENTS:2", "--output", "json"))["chain"]
    assert [step["step"] for step in chain] == ["event", "call", "event", "outside"]
    assert len(chain[1]["module"]) == 64 and chain[3]["source"] == "/http/my-app"


def test_why_names_the_request_of_a_function_s_own_path(project, servers):
    config = (project / "nexus.yaml").read_text()
    (project / "nexus.yaml").write_text(
        config.replace("{http: {method: POST, path: /events/user.created}}", "{http: {path: /hooks/welcome}}")
        + "    retry: {max_attempts: 1}\n")  # of {} it makes an error
    server = servers(project, "start")
    _, _, answer = server.request("POST", "/hooks/welcome", b"{}", {"content-type": "application/json"})
    server.wait_until_idle()
    last = both(server, "why", answer["event_id"]).splitlines()[-1]
    assert last.startswith("└─ because it was sent as POST /hooks/welcome from outside, source /http/my-app, trace ")


def test_what_is_not_there_is_named(story):
    server, _ = story
    for stopped in (False, True):
        if stopped:
            server.stop()
        for name in ("nothing", "EVENTS:99", "INVOCATIONS:99", "DLQ:99"):
            for command in ("trace", "why"):
                done = run_nexus(command, name, cwd=server.folder, status=1)
                assert "nexus: there is no " in done.stderr and name in done.stderr and "hint: " in done.stderr


def test_an_id_that_two_sources_used_is_not_guessed(story):
    server, _ = story
    for source in ("/a", "/b"):
        server.publish("x", {}, {"ce-specversion": "1.0", "ce-id": "same", "ce-source": source, "ce-type": "x"})
    for stopped in (False, True):
        if stopped:
            server.stop()
        done = run_nexus("trace", "same", cwd=server.folder, status=1)
        assert "2 events of different sources have this id" in done.stderr and "EVENTS:17" in done.stderr


def test_a_trace_and_the_ids_of_its_events_stand_for_each_other(story):
    server, event_id = story
    tree = json.loads(run_nexus("trace", event_id, "--output", "json", cwd=server.folder).stdout)
    trace = tree["calls"][0]["trace_id"]
    said = both(server, "logs", "--trace", event_id)
    assert trace in said and "broken" in said
    for same in [trace, trace.upper(), "EVENTS:1", "EVENTS:2", "DLQ:1", "INVOCATIONS:2"]:
        assert run_nexus("logs", "--trace", same, cwd=server.folder).stdout == said
    assert json.loads(run_nexus("trace", trace, "--output", "json", cwd=server.folder).stdout) == tree
    done = run_nexus("trace", "0af7651916cd43dd8448eb211c80319c", cwd=server.folder, status=1)
    assert "no event has this id, and none is of this trace [NOT_FOUND]" in done.stderr
    assert "[NOT_FOUND]" in run_nexus("logs", "--trace", "nothing", cwd=server.folder, status=1).stderr

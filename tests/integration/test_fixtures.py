"""nexus test: a call as a file of the project, made of a recorded one or by hand, run without a server."""
import json
import os
import pty
import shutil
import subprocess

import pytest

from conftest import NEXUS, run_nexus

FIRST = "fixtures/first-visit.json"


def read(project, name="first-visit"):
    return json.loads((project / "fixtures" / f"{name}.json").read_text())


def write(project, fixture, name="first-visit"):
    (project / "fixtures" / f"{name}.json").write_text(json.dumps(fixture))


def test(project, *arguments, status=0):
    return run_nexus("test", *arguments, cwd=project, status=status).stdout


test.__test__ = False


@pytest.fixture
def lived(project, servers):
    """Two visits were recorded; the server is down."""
    server = servers(project, "start")
    for _ in range(2):
        server.publish("user.created", {"user_id": "u42", "email": "a@example.com"})
        server.wait_until_idle()
    assert server.stop() == 0
    return project


def test_the_template_has_a_fixture_that_passes(project):
    assert test(project).splitlines()[0] == f"OK {FIRST}"


def test_a_fixture_that_does_not_come_out_shows_what_is_different(project):
    fixture = read(project)
    fixture["expect"]["output"]["visits"] = 7
    fixture["expect"]["published"][0]["data"]["text"] = "Hello!"
    fixture["world"]["answers"] = []
    write(project, fixture)
    out = test(project, status=1)
    assert f"FAIL {FIRST}: user-welcome does something else\n" in out
    assert '    -   "visits": 7\n    +   "visits": 1\n' in out
    assert '    - user.welcomed: {"text":"Hello!","user_id":"u42"}\n' in out
    assert "it read the key 'visits.u42', which the fixture does not know" in out
    assert out.splitlines()[-1].startswith("FAIL 1 of 1 fixture in ")
    report = json.loads(test(project, "--output", "json", status=1))
    assert report["failed"] == 1
    assert [d["part"] for d in report["fixtures"][0]["differences"]] == ["output", "published"]
    assert report["fixtures"][0]["unknown_keys"] == ["visits.u42"]


def test_spaces_and_the_order_of_members_do_not_count(project):
    fixture = read(project)
    fixture["expect"]["output"] = '{ "visits":1, "user_id":"u42" }'
    fixture["expect"]["published"][0]["data"] = {"text": "Welcome!", "user_id": "u42"}
    write(project, fixture)
    test(project)


def test_what_is_done_now_can_become_what_is_expected(project):
    fixture = read(project)
    fixture["expect"] = {"output": "nothing"}
    write(project, fixture)
    assert "updated" in test(project, "--update")
    assert test(project).startswith("OK")
    assert read(project)["event"] == fixture["event"]
    assert read(project)["expect"]["output"] == {"user_id": "u42", "visits": 1}


def test_a_recorded_call_becomes_a_fixture(lived):
    """EVENTS:2 is what the first visit published."""
    out = test(lived, "--from", "EVENTS:3", "--name", "second visit")
    assert out == "OK fixtures/second-visit.json: the call as it was recorded; nexus test runs it\n"
    fixture = read(lived, "second-visit")
    assert fixture["function"] == "user-welcome"
    assert fixture["event"]["data"] == {"user_id": "u42", "email": "a@example.com"}
    assert fixture["world"]["answers"] == [{"key": "visits.u42", "value": "\x01\0\0\0"}]
    assert fixture["expect"]["output"] == {"user_id": "u42", "visits": 2}
    assert fixture["expect"]["published"] == []
    assert test(lived, "second-visit").startswith("OK fixtures/second-visit.json\nOK 1 fixture in ")
    assert test(lived, "--from", "EVENTS:1").startswith("OK fixtures/user-welcome-EVENTS-1.json")
    assert "OK 3 fixtures in " in test(lived)


def test_it_is_made_beside_the_running_server_too(lived, servers):
    server = servers(lived, "start")
    test(lived, "--from", "EVENTS:1", "--name", "live")
    assert server.stop() == 0
    shutil.rmtree(lived / ".nexus")  # a fixture needs no data
    assert "OK 2 fixtures in " in test(lived)


def test_a_fixture_about_a_person_says_so(project, servers):
    server = servers(project, "start")
    server.publish("user.created", {"user_id": "u42"}, {"ce-personkey": "customer-1"})
    server.wait_until_idle()
    assert server.stop() == 0
    done = run_nexus("test", "--from", "EVENTS:1", "--name", "person", cwd=project)
    assert "fixtures/person.json holds what the event and the call say of a person, in clear" in done.stderr
    assert read(project, "person")["event"]["personkey"] == "customer-1"
    test(project, "person")
    run_nexus("bisect", "EVENTS:1", cwd=project)
    run_nexus("replay", "EVENTS:1", "--list-calls", cwd=project)
    assert "1 identical" in run_nexus("replay", "EVENTS:1", "--on", "build/welcome.wasm", cwd=project).stdout
    run_nexus("erase", "--person", "customer-1", cwd=project)
    for command in (["test", "--from", "EVENTS:1"], ["bisect", "EVENTS:1"], ["replay", "EVENTS:1", "--list-calls"]):
        assert "forgotten" in run_nexus(*command, cwd=project, status=1).stderr


@pytest.mark.parametrize("arguments, status, message", [
    (["--from", "EVENTS:1", "--name", "first-visit"], 1, "there is fixtures/first-visit.json already"),
    (["--from", "EVENTS:99"], 1, "EVENTS:99"),
    (["--from", "EVENTS:2"], 1, "'EVENTS:2' has no recorded call"),
    (["--name", "x"], 2, "--name is the name of what --from makes"),
    (["--from", "EVENTS:1", "x"], 2, "--from makes a fixture and runs none"),
    (["--output", "xml"], 2, "--output is text or json"),
    (["unknown"], 1, "Nothing to test"),
])
def test_what_cannot_be_is_told(lived, arguments, status, message):
    done = run_nexus("test", *arguments, cwd=lived, status=status)
    assert message in done.stdout + done.stderr


@pytest.mark.parametrize("change, message", [
    (lambda f: f.pop("expect"), "there is no 'expect'"),
    (lambda f: f.pop("event"), "there is no 'event'"),
    (lambda f: f.pop("function"), "there is no 'function'"),
    (lambda f: f.update(fixture=2), 'it begins with "fixture": 1'),
    (lambda f: f.update(functoin="x"), "did you mean 'function'?"),
    (lambda f: f.update(function="nobody"), "nexus.yaml has no function 'nobody'"),
    (lambda f: f["event"].pop("type"), "event: "),
    (lambda f: f["world"].update(start="noon"), "world.start is a time such as"),
    (lambda f: f["world"].update(seed="1"), "world.seed is 64 hexadecimal digits"),
    (lambda f: f["world"]["answers"].append({"clock": "noon"}), "world.answers[1]: 'clock' is a time"),
    (lambda f: f["world"]["answers"].append({}), "world.answers[1] answers nothing"),
    (lambda f: f["expect"].update(outcome="fine"), "there is no outcome 'fine'"),
    (lambda f: f["expect"].update(log={}), "expect.log is an object, not an array"),
    (lambda f: f["expect"]["log"].append({"level": "LOUD"}), "expect.log[1]: 'level' is DEBUG"),
])
def test_a_fixture_that_is_wrong_says_where(project, change, message):
    fixture = read(project)
    change(fixture)
    write(project, fixture)
    out = test(project, status=1)
    assert message in out and out.startswith(f"FAIL {FIRST}: "), out
    assert "--update" not in out  # nothing ran that could be as it should be


def test_a_file_that_is_no_json_says_where(project):
    (project / FIRST).write_text('{"fixture": 1,\n oops}')
    assert "line 2" in test(project, status=1)


def test_a_failing_call_can_be_what_is_expected(project):
    fixture = read(project)
    fixture["event"]["data"] = {}
    fixture["expect"] = {"outcome": "exit 1", "log": [{"level": "ERROR", "text": "The event has no user_id"}]}
    write(project, fixture)
    test(project)
    fixture["expect"]["outcome"] = "ok"
    write(project, fixture)
    out = test(project, status=1)
    assert "    - ok\n    + exit 1\n" in out
    assert "it ended as exit: " in out


def test_clocks_and_waits_and_randomness_are_part_of_it(tmp_path, servers):
    """A guest that asks for everything: the fixture answers as the world did."""
    source = """
    #include <stdio.h>
    #include <time.h>
    #include "nexus.h"
    int main(void) {
        unsigned char bytes[4];
        struct timespec wall, since, nap = {0, 2000000};
        clock_gettime(CLOCK_REALTIME, &wall);
        nanosleep(&nap, NULL);
        clock_gettime(CLOCK_MONOTONIC, &since);
        nexus_random(bytes, sizeof bytes);
        printf("%lld.%09ld %ld %02x%02x%02x%02x\\n", (long long)wall.tv_sec, wall.tv_nsec, since.tv_nsec, bytes[0],
               bytes[1], bytes[2], bytes[3]);
        return 0;
    }
    """
    run_nexus("new", "app", "--lang=c", cwd=tmp_path)
    project = tmp_path / "app"
    (project / "src" / "welcome.c").write_text(source)
    run_nexus("build", cwd=project)
    server = servers(project, "start")
    server.publish("user.created", {"user_id": "u1"})
    server.wait_until_idle()
    assert server.stop() == 0
    test(project, "--from", "EVENTS:1", "--name", "all")
    kinds = [next(iter(answer)) for answer in read(project, "all")["world"]["answers"]]
    assert "clock" in kinds and "monotonic" in kinds and "wait" in kinds
    test(project, "all")


def test_what_an_http_function_answers_is_part_of_it(tmp_path, servers):
    run_nexus("new", "app", "--lang=c", cwd=tmp_path)
    project = tmp_path / "app"
    (project / "src" / "welcome.c").write_text(
        '#include <stdio.h>\n#include "nexus.h"\nint main(void) {\n'
        '    nexus_respond(201, "Location: /users/1\\nX-Kind: new");\n    puts("made");\n    return 0;\n}\n')
    run_nexus("build", cwd=project)
    server = servers(project, "start")
    server.publish("user.created", {"user_id": "u1"})
    server.wait_until_idle()
    assert server.stop() == 0
    test(project, "--from", "EVENTS:1", "--name", "made")
    fixture = read(project, "made")
    assert fixture["expect"]["response"]["status"] == 201
    assert "Location: /users/1" in "".join(fixture["expect"]["response"]["headers"]).replace("location", "Location")
    test(project, "made")
    fixture["expect"]["response"]["status"] = 200
    write(project, fixture, "made")
    assert "    - 200\n    + 201\n" in test(project, "made", status=1)
    fixture["expect"]["response"] = None
    write(project, fixture, "made")
    test(project, "made", status=1)
    module = "build/welcome.wasm"
    assert "1 identical" in run_nexus("replay", "EVENTS:1", "--on", module, "--against", module, cwd=project).stdout


def test_colours_are_for_terminals_only(project):
    fixture = read(project)
    fixture["expect"]["output"] = "x"
    write(project, fixture)
    assert "\x1b[" not in test(project, status=1)
    main, side = pty.openpty()
    process = subprocess.Popen([NEXUS, "test"], cwd=project, stdout=side, stderr=side,
                               env={**os.environ, "TERM": "xterm"})
    assert process.wait(60) == 1
    os.close(side)
    assert b"\x1b[" in os.read(main, 65536)
    os.close(main)

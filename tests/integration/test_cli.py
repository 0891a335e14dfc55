"""What the command line promises: help with examples, exit statuses, messages that say what to do."""
import json
import os
import subprocess

import pytest

from conftest import NEXUS, ROOT, run_nexus

COMMANDS = ["new", "build", "check", "javascript", "dev", "start", "logs", "events", "trace", "why", "export", "import", "replay",
            "bisect", "test", "config", "journal", "completion", "manual", "nats-server",
            "version"]


def test_help_lists_every_command(tmp_path):
    text = run_nexus("--help", cwd=tmp_path).stdout
    for command in COMMANDS:
        assert f"\n  {command} " in text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command, tmp_path):
    text = run_nexus(command, "--help", cwd=tmp_path).stdout
    assert text.startswith(f"nexus {command}: ")
    assert "\nExample:\n  nexus " in text
    assert all(len(line) <= 120 for line in text.splitlines())


@pytest.mark.parametrize("arguments, hint", [
    (["relpay"], "did you mean: nexus replay?"),
    (["replay", "--dlq", "f", "--live"], "see: nexus replay --help"),
    (["replay", "--dlq", "f", "--function", "g"], "see: nexus replay --help"),
    (["logs", "-f", "--until", "1h"], "see: nexus logs --help"),
    (["replay", "--verfy"], "did you mean --verify?"),
    (["events", "--output", "yaml"], "see: nexus events --help"),
    (["new"], "see: nexus new --help"),
    (["new", "a", "--lang=cobol"], "anything that compiles to WASI preview 1 runs"),
    (["replay"], "see: nexus replay --help"),
    (["replay", "x", "--since", "yesterday"], "see: nexus replay --help"),
    (["dev", "--http", "0.0.0.0:80"], None),
])
def test_wrong_use_ends_with_2_and_says_what_is_right(arguments, hint, tmp_path):
    (tmp_path / "nexus.yaml").write_text("version: v1\n")
    done = run_nexus(*arguments, cwd=tmp_path, status=2)
    assert done.stdout == ""
    assert done.stderr.startswith("nexus: ")
    if hint:
        assert f"hint: {hint}" in done.stderr


def test_errors_are_plain_where_no_terminal_is(tmp_path):
    done = run_nexus("build", cwd=tmp_path, status=1, environment={"TERM": "xterm"})
    assert done.stderr == ("nexus: there is no nexus.yaml here [NOT_FOUND]\n"
                           "hint: go to the project's folder, name the file by --config, or start one: nexus new "
                           "my-app\n")


def test_new_leaves_a_folder_with_files_alone(tmp_path):
    (tmp_path / "my-app").mkdir()
    (tmp_path / "my-app" / "kept.txt").write_text("mine")
    done = run_nexus("new", "my-app", cwd=tmp_path, status=1)
    assert "is not empty; nothing was written" in done.stderr
    assert os.listdir(tmp_path / "my-app") == ["kept.txt"]


def test_every_mistake_of_the_file_is_told_at_once(tmp_path):
    (tmp_path / "nexus.yaml").write_text("version: v2\n"
                                         "functions:\n"
                                         "  - name: a\n"
                                         "    rutime: wasi-preview1\n"
                                         "    on: {http: {path: /metrics}}\n"
                                         "    code: a.wasm\n")
    done = run_nexus("config", cwd=tmp_path, status=1)
    lines = done.stderr.splitlines()
    assert lines[0].startswith("nexus.yaml:1:10: ")
    assert lines[1] == "nexus.yaml:4:5: a function has no key 'rutime': did you mean 'runtime'?"
    assert lines[2].startswith("nexus.yaml:5:23: '/metrics' collides with")
    assert lines[3] == "nexus: nexus.yaml has 3 mistakes [INVALID_ARGUMENT]"


def test_config_shows_what_the_file_comes_to(built_project):
    shown = json.loads(run_nexus("config", "--output", "json", cwd=built_project).stdout)
    assert shown["functions"][0]["name"] == "user-welcome"
    assert shown["functions"][0]["on"] == [{"method": "POST", "path": "/events/user.created",
                                            "type": "user.created"}]


def test_missing_code_is_said_with_what_to_do(tmp_path):
    run_nexus("new", "my-app", cwd=tmp_path)
    done = run_nexus("dev", "--http", "127.0.0.1:0", cwd=tmp_path / "my-app", status=1)
    assert "there is no build/welcome.wasm" in done.stderr
    assert "hint: build it by: nexus build" in done.stderr


def test_build_shows_what_the_compiler_says(project):
    (project / "src" / "welcome.c").write_text("int main(void) { return missing; }\n")
    done = run_nexus("build", cwd=project, status=1)
    assert "missing" in done.stderr and "'make' ended with status 2" in done.stderr


def test_build_refuses_what_cannot_run(project):
    (project / "nexus.yaml").write_text("version: v1\nfunctions:\n- {name: a, code: a.wasm, on: {event: {type: x}}}\n")
    (project / "a.wasm").write_bytes(b"this is no module")
    done = run_nexus("build", cwd=project, status=1)
    assert "function a: a.wasm" in done.stderr


def test_says_kindly_that_nothing_is_here_yet(tmp_path):
    done = run_nexus("logs", cwd=tmp_path, status=1)
    assert "no server runs here, and .nexus holds no data" in done.stderr


def test_an_unknown_event_is_not_found(project, servers):
    servers(project)
    done = run_nexus("replay", "01JDN4ZQ8R7V5T3K2M1N0P9Q8R", cwd=project, status=1)
    assert "[NOT_FOUND]" in done.stderr


def test_verify_of_nothing_is_no_proof(project, servers):
    server = servers(project)
    assert server.stop() == 0
    done = run_nexus("replay", "--since", "1h", "--verify", cwd=project, status=1)
    assert "Nothing to compare" in done.stdout


def test_the_binary_is_one_file_that_starts_at_once():
    assert os.access(NEXUS, os.X_OK)


@pytest.mark.parametrize("language", ["c", "rust", "go", "javascript", "typescript", "assemblyscript"])
def test_a_new_project_has_the_schema_that_editors_look_for(language, tmp_path):
    run_nexus("new", "p", f"--lang={language}", cwd=tmp_path)
    first = (tmp_path / "p" / "nexus.yaml").read_text().split("\n")[0]
    named = first.removeprefix("# yaml-language-server: $schema=")
    schema = (tmp_path / "p" / named).read_bytes()
    assert schema == (ROOT / "spec" / "nexus.schema.json").read_bytes()
    assert run_nexus("config", "--schema", cwd=tmp_path).stdout.encode() == schema


def test_new_writes_files_that_others_may_read_as_the_umask_says(tmp_path):
    before = os.umask(0o027)
    try:
        run_nexus("new", "app", cwd=tmp_path)
    finally:
        os.umask(before)
    assert (tmp_path / "app" / "src").stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "app" / "nexus.yaml").stat().st_mode & 0o777 == 0o640


def test_new_takes_the_folder_one_is_in(tmp_path):
    (tmp_path / "here").mkdir()
    done = run_nexus("new", ".", cwd=tmp_path / "here")
    assert done.stdout.endswith("Next: nexus build && nexus dev\n")
    assert (tmp_path / "here" / "README.md").read_text().startswith("# here\n")


@pytest.mark.parametrize("name", ["../up/..", ".hidden", "two words", "", "a" * 65])
def test_new_says_what_may_be_a_name(name, tmp_path):
    done = run_nexus("new", name, cwd=tmp_path, status=2)
    assert "cannot name a project: letters, digits" in done.stderr
    assert os.listdir(tmp_path) == []


def test_new_does_not_touch_a_file(tmp_path):
    (tmp_path / "file").write_text("mine")
    assert "'file' is a file; nothing was written" in run_nexus("new", "file", cwd=tmp_path, status=1).stderr


def test_mistakes_name_functions_by_their_wrong_names_too(tmp_path):
    (tmp_path / "nexus.yaml").write_text("version: v1\n"
                                         "functions:\n"
                                         "  - {name: Bad Name, on: {http: {path: /dup}}, code: a.wasm}\n"
                                         "  - {name: b, on: {http: {path: /dup}}, code: b.wasm}\n"
                                         "  -\n")
    lines = run_nexus("config", cwd=tmp_path, status=1).stderr.splitlines()
    assert lines[0].startswith("nexus.yaml:3:12: 'Bad Name' cannot name a function")
    assert lines[1].endswith("POST /dup belongs to 'Bad Name' already")
    assert lines[2] == "nexus.yaml:4:5: expected a mapping, found nothing"


def test_another_server_on_the_old_port_is_not_taken_for_ours(project, servers, tmp_path):
    ours = servers(project)
    ours.publish("user.created", {"user_id": "ours"})
    ours.wait_until_idle()
    ours.kill()
    other_folder = tmp_path / "other"
    other_folder.mkdir()
    (other_folder / "nexus.yaml").write_text("version: v1\n")
    other = servers(other_folder)
    ports = json.loads((project / ".nexus" / "ports.json").read_text())
    ports["http"]["port"] = other.port
    (project / ".nexus" / "ports.json").write_text(json.dumps(ports))

    done = run_nexus("events", cwd=project)
    assert '"user_id":"ours"' in done.stdout
    assert "server is not running: reading .nexus directly" in done.stderr
    assert "there are no events" in run_nexus("events", cwd=other_folder).stderr


def test_events_stand_in_columns(project, servers):
    server = servers(project)
    for number in range(12):
        server.publish("a.type" if number % 2 else "another", str(number))
    lines = run_nexus("events", cwd=project).stdout.splitlines()
    assert len(lines) == 12
    assert {line.index("EVENTS:") for line in lines} == {26}
    assert len({line.rindex("  ") for line in lines if "a.type" in line}) == 1


def test_an_unknown_id_is_answered_with_what_ids_look_like(project, servers):
    server = servers(project)
    server.publish("nobody.listens", "x")
    done = run_nexus("replay", "EVENTS:99", cwd=project, status=1)
    assert done.stderr == ("nexus: there is no record EVENTS:99 [NOT_FOUND]\nhint: ids look like "
                           "01JDN4ZQ8R7V5T3K2M1N0P9Q8R, EVENTS:17 or INVOCATIONS:17; nexus events lists what there is\n")
    done = run_nexus("replay", "EVENTS:1", "--function", "user-welcome", cwd=project, status=1)
    assert "'EVENTS:1' has no recorded call of 'user-welcome' [NOT_FOUND]" in done.stderr


def test_a_live_replay_that_fails_says_so(project, servers):
    server = servers(project)
    server.publish("user.created", {"name": "no user_id"})
    server.wait_for_line("attempt 1 failed")
    done = run_nexus("replay", "EVENTS:1", "--live", cwd=project, status=1)
    assert "user-welcome ended as exit: exit status 1" in done.stdout
    assert "FAIL Replay completed in " in done.stdout and "1 of 1 failed, without effects" in done.stdout


def test_dead_letters_are_listed_with_their_cause(project, servers):
    text = (project / "nexus.yaml").read_text()
    (project / "nexus.yaml").write_text(text.replace("    timeout: 5s\n", "    retry: {max_attempts: 1}\n"))
    server = servers(project)
    server.publish("user.created", {"name": "no user_id"})
    server.wait_until_idle()
    line = run_nexus("events", "--dlq", cwd=project).stdout
    assert line.endswith("EVENTS:1     user-welcome      exit: exit status 1 (1 attempt)\n")
    server.wait_for_line("attempt 1 failed (exit): exit status 1; it was the last one")
    assert "dead letters" not in server.errors_path.read_text(), "the console has told it already"
    assert server.stop() == 0
    server = servers(project, "start")
    server.publish("user.created", {"name": "no user_id"})
    told = server.wait_for_line_on_stderr("event given up: it is in the dead letters")
    assert "function=user-welcome event=EVENTS:2 outcome=exit" in told


def test_check_says_whether_a_project_can_run(project):
    done = run_nexus("check", cwd=project)
    assert done.stdout.startswith("OK nexus.yaml has no mistakes\nOK user-welcome: build/welcome.wasm, ")
    config = (project / "nexus.yaml").read_text()
    (project / "nexus.yaml").write_text(config + "  - {name: gone, on: {event: {type: x}}, code: gone.wasm}\n")
    done = run_nexus("check", cwd=project, status=1)
    assert "FAIL function gone: there is no gone.wasm; compile it first" in done.stdout
    assert "nexus: 1 of 2 functions cannot run [FAILED_PRECONDITION]" in done.stderr
    told = json.loads(run_nexus("check", "--output", "json", cwd=project, status=1).stdout)
    assert (told["ok"], told["mistakes"]) == (False, [])
    assert [(f["name"], f["ok"]) for f in told["functions"]] == [("user-welcome", True), ("gone", False)]
    assert not (project / ".nexus").exists()


def test_check_names_every_mistake_of_the_file(project):
    (project / "nexus.yaml").write_text("versoin: v1\nlisten: {htpt: x}\n")
    done = run_nexus("check", cwd=project, status=1)
    assert "nexus.yaml:1:1: nexus.yaml has no key 'versoin': did you mean 'version'?" in done.stdout
    assert "nexus: nexus.yaml has 3 mistakes" in done.stderr
    told = json.loads(run_nexus("check", "--output", "json", cwd=project, status=1).stdout)
    assert told["ok"] is False and len(told["mistakes"]) == 3 and told["functions"] == []
    assert "there is no nexus.yaml here" in run_nexus("check", cwd=project.parent, status=1).stderr


def test_logs_are_filtered_by_trace_level_and_time(project, servers):
    server = servers(project, "start")
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    server.publish("user.created", {"user_id": "one"}, {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    server.publish("user.created", {"user_id": "two"})
    server.wait_until_idle()
    for stopped in (False, True):
        if stopped:
            server.stop()

        def lines(*filters):
            done = run_nexus("logs", "--output", "json", *filters, cwd=project)
            return sorted(json.loads(line)["user_id"] for line in done.stdout.splitlines())

        assert lines() == ["one", "two"]
        assert lines("--trace", trace) == lines("--trace", trace.upper()) == ["one"]
        assert lines("--trace", "0" * 32) == lines("--level", "warn") == lines("--until", "1h") == []
        assert lines("--since", "1h", "--function", "user-welcome", "--level", "info") == ["one", "two"]


def test_logs_that_are_empty_say_so(project, servers):
    servers(project)
    assert run_nexus("logs", cwd=project).stderr == "no function has said anything yet\n"
    assert run_nexus("logs", "--function", "user-welcome", cwd=project).stderr == "there are no such lines\n"


DEEP = """
#include <stdio.h>
#include <string.h>
static char data[131072];
__attribute__((noinline)) static int down(int depth, char *above) {
    char local[8192];
    memset(local, depth, sizeof local);
    __asm__ volatile("" : : "r"(local), "r"(above) : "memory");
    return (depth == 0 ? 0 : down(depth - 1, local)) + local[7];
}
int main(void) { int sum = down(9, data); printf("%d %d\\n", sum, data[0]); return 0; }
"""


def test_too_deep_a_call_ends_instead_of_overwriting_data(project, servers):
    (project / "src" / "welcome.c").write_text(DEEP)
    run_nexus("build", cwd=project)
    server = servers(project)
    server.publish("user.created", {"user_id": "u"})
    server.wait_for_line("attempt 1 failed (stack-overflow)")


def test_what_only_a_restart_can_change_is_said(project, servers):
    server = servers(project)
    with open(project / "nexus.yaml", "a") as file:
        file.write("disk_budget: 5GiB\n")
    server.wait_for_line_on_stderr("disk_budget and streams are taken at the next start only")


def test_a_change_that_cannot_run_is_told_in_one_line(project, servers):
    server = servers(project)
    (project / "build" / "welcome.wasm").write_text("junk")
    line = server.wait_for_line_on_stderr("the change is not taken")
    assert "magic header" in line


def test_repair_of_no_data_directory_creates_none(tmp_path):
    done = run_nexus("journal", "repair", "--data", "typo", cwd=tmp_path, status=1)
    assert "typo holds no data [NOT_FOUND]" in done.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("command", [["events"], ["replay"], ["journal", "dump"]])
def test_a_range_that_ends_before_it_begins_is_wrong_use(command, tmp_path):
    done = run_nexus(*command, "--since", "5m", "--until", "10m", cwd=tmp_path, status=2)
    assert "--since 5m is not before --until 10m" in done.stderr


def test_whoever_follows_learns_that_the_server_is_gone(project, servers):
    server = servers(project)
    server.publish("user.created", {"user_id": "u"})
    follower = subprocess.Popen([NEXUS, "logs", "-f"], cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True)
    assert "Processing user event" in follower.stdout.readline()
    server.kill()
    _, errors = follower.communicate(timeout=30)
    assert follower.returncode == 1
    assert "hint: it was stopped or killed; start it again by: nexus dev" in errors


def test_a_name_that_is_not_there_is_answered_with_those_that_are(project, servers):
    server = servers(project)
    server.publish("user.created", {"user_id": "u1"})
    server.wait_until_idle()
    done = run_nexus("replay", "--dlq", "nobody", cwd=project, status=1)
    assert "[NOT_FOUND]\nhint: there are: user-welcome\n" in done.stderr
    nearest = "nexus: there is no function 'user-welcom' [NOT_FOUND]\nhint: did you mean: --function user-welcome?\n"
    asks = [("logs",), ("logs", "--follow"), ("events", "--dlq"), ("replay", "EVENTS:1"), ("replay", "--since", "1h"),
            ("replay", "EVENTS:1", "--on", "build/welcome.wasm"), ("replay", "EVENTS:1", "--list-calls"), ("bisect", "EVENTS:1"),
            ("build",), ("test",), ("test", "--from", "EVENTS:1")]
    for ask in asks:
        done = run_nexus(*ask, "--function", "user-welcom", cwd=project, status=1)
        assert done.stderr == nearest and done.stdout == "", ask
    assert "--dlq user-welcome?" in run_nexus("replay", "--dlq", "User-Welcome", cwd=project, status=1).stderr
    assert run_nexus("logs", "--function", "user-welcome", cwd=project).stdout.count("user-welcome") == 1
    # What nexus.yaml does not name any more is still in the log, as is what somebody else's directory has.
    data = project / ".nexus"
    elsewhere = project / "elsewhere"
    elsewhere.mkdir()
    for _ in range(2):
        done = run_nexus("logs", "--data", data, "--function", "user-welcom", cwd=elsewhere, status=1)
        assert done.stderr.endswith(nearest)
        assert "user-welcome" in run_nexus("logs", "--data", data, "--function", "user-welcome", cwd=elsewhere).stdout
        server.stop()
    (project / "nexus.yaml").write_text("version: v1\nfunctions: []\n")
    assert "user-welcome" in run_nexus("logs", "--function", "user-welcome", cwd=project).stdout
    done = run_nexus("journal", "dump", "--stream", "NOPE", cwd=project, status=1)
    assert done.stderr.startswith("nexus: there is no stream 'NOPE' in this log [NOT_FOUND]\nhint: it has: ")
    assert "EVENTS" in done.stderr and "INVOCATIONS" in done.stderr

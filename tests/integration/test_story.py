"""The story of the README, with nothing taken on trust: new, build, dev, publish, logs, kill -9, dev, replay."""
import json
import re
import subprocess
import time
import threading

from conftest import NEXUS, run_nexus


def publish_from(server, thread, accepted, failed):
    """Publish until the server is gone; what was acknowledged is kept."""
    number = 0
    try:
        while number < 5000:
            user = f"u{thread}-{number}"
            accepted.append((server.publish("user.created", {"user_id": user}), user))
            number += 1
        failed.append("the server was never killed")
    except OSError:
        pass
    except Exception as error:  # noqa: BLE001 a broken answer, cut by the kill
        if server.process.poll() is None:
            failed.append(repr(error))


def test_the_whole_story(tmp_path, servers):
    made = run_nexus("new", "my-app", "--lang=c", cwd=tmp_path)
    project = tmp_path / "my-app"
    assert "nexus build" in made.stdout
    assert (project / "nexus.yaml").exists()

    built = run_nexus("build", cwd=project)
    assert "OK user-welcome: build/welcome.wasm" in built.stdout

    server = servers(project)
    assert json.loads((project / ".nexus" / "ports.json").read_text())["http"]["url"] == server.url
    assert "user-welcome: POST /events/user.created" in server.wait_for_line("function")

    event = server.publish("user.created", {"user_id": "u42", "email": "alice@example.com"})
    line = server.wait_for_line("Processing user event")
    assert re.match(r"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ INFO user-welcome\] \[trace=[0-9a-f]{32}\] Processing", line)
    stored = server.get(f"/events/{event}")
    assert stored["id"] == event and stored["data"] == {"user_id": "u42", "email": "alice@example.com"}

    logs = run_nexus("logs", cwd=project)
    assert "Processing user event" in logs.stdout and logs.stderr == ""
    replayed = run_nexus("replay", event, cwd=project)
    assert f"OK Replaying event {event}" in replayed.stdout
    assert "[REPLAY]" in replayed.stdout and "identical output" in replayed.stdout

    accepted, failed = [], []
    clients = [threading.Thread(target=publish_from, args=(server, n, accepted, failed)) for n in range(4)]
    for client in clients:
        client.start()
    while len(accepted) < 200:
        assert not failed, failed
        assert server.process.poll() is None, server.errors_path.read_text()
        time.sleep(0.001)
    server.kill()
    for client in clients:
        client.join()
    assert not failed, failed

    server = servers(project)
    server.wait_until_idle()
    for accepted_id, user in accepted:
        assert server.get(f"/events/{accepted_id}")["data"] == {"user_id": user}
    calls = server.all_items("/invocations", "invocations")
    events = {e["reference"]: e["event"] for e in server.all_items("/events", "events")}
    handled = [events[c["event"]]["id"] for c in calls if c["outcome"] == "ok"]
    assert len(handled) == len(set(handled)), "an event was handled twice"
    assert {e for e, _ in accepted} <= set(handled), "an acknowledged event was not handled"
    welcomed = [e["data"]["user_id"] for e in events.values() if e["type"] == "user.welcomed"]
    assert len(welcomed) == len(set(welcomed)), "an effect happened twice"
    assert {u for _, u in accepted} <= set(welcomed), "an effect is missing"

    assert "identical output" in run_nexus("replay", event, cwd=project).stdout
    assert server.stop() == 0
    assert not (project / ".nexus" / "ports.json").exists()

    offline = run_nexus("replay", event, cwd=project)
    assert "identical output" in offline.stdout
    assert "server is not running: reading .nexus directly; nothing is written" in offline.stderr
    verified = run_nexus("replay", "--since", "1d", "--verify", "--output", "json", cwd=project)
    report = json.loads(verified.stdout)
    assert report["total"] >= len(accepted) + 1
    assert report["counts"]["identical"] == report["total"]


def test_logs_follow_while_things_happen(project, servers):
    server = servers(project)
    follower = subprocess.Popen([NEXUS, "logs", "-f"], cwd=project, stdout=subprocess.PIPE, text=True)
    try:
        for user in ("first", "second"):
            server.publish("user.created", {"user_id": user})
            line = follower.stdout.readline()
            assert "Processing user event" in line and f"user_id={user}" in line
    finally:
        follower.kill()
        follower.wait()


def test_a_second_server_names_the_first(project, servers):
    server = servers(project)
    second = run_nexus("dev", "--http", "127.0.0.1:0", cwd=project, status=1)
    assert str(server.pid) in second.stderr


def test_new_code_is_taken_while_it_runs(project, servers):
    server = servers(project)
    source = project / "src" / "welcome.c"
    source.write_text(source.read_text().replace("Processing user event", "Processing with new code"))
    run_nexus("build", cwd=project)
    deadline = time.monotonic() + 60
    while not any("Processing with new code" in line for line in server.lines):
        assert time.monotonic() < deadline, server.lines
        server.publish("user.created", {"user_id": "u1"})
        server.wait_until_idle()


def test_dead_letters_are_listed_and_put_back(project, servers):
    manifest = project / "nexus.yaml"
    manifest.write_text(manifest.read_text() + "    retry: {max_attempts: 2, backoff: 10ms, backoff_max: 10ms}\n")
    server = servers(project)
    event = server.publish("user.created", {"email": "nobody@example.com"})
    server.wait_until_idle()
    listed = run_nexus("events", "--dlq", "--output", "json", cwd=project).stdout.splitlines()
    assert len(listed) == 1
    letter = json.loads(listed[0])
    assert letter["function"] == "user-welcome" and letter["put_back"] is False
    assert server.get(f"/invocations?event={event}")["invocations"][-1]["attempt"] == 2
    back = run_nexus("replay", "--dlq", "user-welcome", cwd=project)
    assert "1 dead letter of user-welcome goes back" in back.stdout
    server.wait_until_idle()
    assert len(server.get(f"/invocations?event={event}")["invocations"]) == 4
    assert [i["put_back"] for i in server.get("/dlq")["dead_letters"]] == [True, False], "it was given up again"
    shown = run_nexus("events", "--dlq", cwd=project).stdout
    first, second = shown.splitlines()
    assert first.endswith("(2 attempts); put back") and second.endswith("(2 attempts)")
    server.stop()
    assert run_nexus("events", "--dlq", cwd=project).stdout == shown


def test_unmatched_events_are_found(project, servers):
    server = servers(project)
    server.publish("user.created", {"user_id": "u1"})
    server.publish("user.deleted", {"user_id": "u1"})
    server.wait_until_idle()
    listed = run_nexus("events", "--unmatched", "--output", "json", cwd=project).stdout.splitlines()
    types = [json.loads(line)["event"]["type"] for line in listed]
    assert types == ["user.deleted", "user.welcomed"] or types == ["user.welcomed", "user.deleted"]

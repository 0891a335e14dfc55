"""A server's life: it ends in order, a killed one misleads nobody, and looking on changes nothing."""
import hashlib
import http.client
import json
import signal
import subprocess
import threading
import time

from conftest import NEXUS, TRAP, run_nexus


def contents(folder):
    """Every file below, with what it holds and when it was changed."""
    return {str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
            for path in sorted(folder.rglob("*")) if path.is_file()}


def publish_until_refused(server, name, accepted):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    number = 0
    while True:
        try:
            accepted.append(server.publish("user.created", {"user_id": f"{name}-{number}"}, connection=connection))
        except (OSError, http.client.HTTPException, AssertionError, ValueError):
            return
        number += 1


def test_ends_in_order_and_loses_nothing_under_way(project, servers):
    server = servers(project)
    accepted = []
    clients = [threading.Thread(target=publish_until_refused, args=(server, f"u{n}", accepted)) for n in range(4)]
    for client in clients:
        client.start()
    while len(accepted) < 100:
        time.sleep(0.001)
    assert server.stop() == 0
    for client in clients:
        client.join()
    server = servers(project)
    server.wait_until_idle()
    events = {e["reference"]: e["event"]["id"] for e in server.all_items("/events", "events")}
    calls = server.all_items("/invocations", "invocations")
    handled = [events[c["event"]] for c in calls if c["outcome"] == "ok"]
    assert len(handled) == len(set(handled))
    assert set(accepted) <= set(handled)
    assert all(c["outcome"] == "ok" for c in calls), "a call was cut by the shutdown"


def test_a_killed_server_misleads_nobody(project, servers):
    server = servers(project)
    event = server.publish("user.created", {"user_id": "u1"})
    server.wait_until_idle()
    server.kill()
    assert (project / ".nexus" / "ports.json").exists()
    done = run_nexus("logs", cwd=project)
    assert "Processing user event" in done.stdout
    assert "server is not running: reading .nexus directly; nothing is written" in done.stderr
    assert event in run_nexus("events", cwd=project).stdout
    assert servers(project).get(f"/events/{event}")["id"] == event


def test_looking_without_a_server_writes_nothing(project, servers):
    server = servers(project)
    event = server.publish("user.created", {"user_id": "u1"})
    server.publish("user.created", {"email": "x"})
    time.sleep(0.3)
    server.kill()
    for cached in (project / ".nexus" / "modules").glob("*.cwasm"):
        cached.unlink()
    before = contents(project / ".nexus")
    for arguments in (["logs"], ["events"], ["events", "--dlq"], ["events", "--unmatched"], ["replay", event],
                      ["replay", "--since", "1h", "--verify"], ["journal", "verify"], ["journal", "dump"]):
        run_nexus(*arguments, cwd=project)
    assert contents(project / ".nexus") == before


def test_online_and_offline_say_the_same(project, servers):
    server = servers(project)
    event = server.publish("user.created", {"user_id": "u1"})
    server.publish("other", {"n": 1})
    server.wait_until_idle()
    commands = (["logs"], ["logs", "--log-format", "json"], ["events"], ["events", "--output", "json"],
                ["events", "--type", "user.*"], ["events", "--unmatched"])
    online = [run_nexus(*arguments, cwd=project).stdout for arguments in commands]
    replayed = json.loads(run_nexus("replay", event, "--output", "json", cwd=project).stdout)
    assert server.stop() == 0
    offline = [run_nexus(*arguments, cwd=project).stdout for arguments in commands]
    assert online == offline
    again = json.loads(run_nexus("replay", event, "--output", "json", cwd=project).stdout)
    for report in (replayed, again):
        del report["elapsed_ns"]
        for item in report["replays"]:
            del item["duration_ns"]
    assert replayed == again
    assert replayed["identical"] is True


def test_json_lines_are_json(project, servers):
    server = servers(project, "dev", "--log-format", "json")
    event = server.publish("user.created", {"user_id": "u1"})
    line = json.loads(server.wait_for_line("Processing user event"))
    assert line["level"] == "INFO" and line["component"] == "user-welcome"
    assert line["text"] == "Processing user event" and line["user_id"] == "u1"
    assert len(line["trace"]) == 32
    place = line["event"]
    assert server.get(f"/events/{place}")["id"] == event
    assert server.stop() == 0
    for written in server.errors_path.read_text().splitlines():
        json.loads(written)


def test_a_second_signal_ends_it_at_once(project, servers):
    server = servers(project)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.putrequest("POST", "/events/user.created")
    connection.putheader("content-length", "1000")
    connection.endheaders()  # half a request: the server waits for the rest
    time.sleep(0.1)
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    if server.process.poll() is None:
        server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(5) in (0, -signal.SIGTERM)


def test_start_serves_the_same_file(project, servers):
    server = servers(project, "start")
    event = server.publish("user.created", {"user_id": "u1"})
    server.wait_until_idle()
    assert server.get(f"/invocations?event={event}")["invocations"][0]["outcome"] == "ok"
    assert server.stop() == 0


def test_the_address_in_use_is_named(project, tmp_path, servers):
    server = servers(project)
    done = subprocess.run([NEXUS, "dev", "--http", f"127.0.0.1:{server.port}", "--data", str(tmp_path / "other")],
                          cwd=project, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert f"127.0.0.1:{server.port}: another program has this port" in done.stderr
    assert "--http 127.0.0.1:0 takes a free one" in done.stderr


def test_live_replay_runs_anew_and_is_marked(project, servers):
    server = servers(project)
    event = server.publish("user.created", {"user_id": "u1"})
    server.wait_until_idle()
    done = run_nexus("replay", event, "--live", cwd=project)
    assert "run anew, with its effects" in done.stdout
    server.wait_until_idle()
    calls = server.get(f"/invocations?event={event}&details=true")["invocations"]
    assert [json.loads(c["output"])["visits"] for c in calls] == [1, 2]
    assert calls[1]["live_replay"] is True and calls[1]["trace_id"] != calls[0]["trace_id"]
    assert server.stop() == 0
    offline = run_nexus("replay", event, "--live", cwd=project, status=1)
    assert "--live needs the server" in offline.stderr


def test_a_live_replay_is_not_called_identical(project, servers):
    """It was compared with nothing: its report, the counter and the audit record call it ran."""
    server = servers(project)
    event = server.publish("user.created", {"user_id": "u1"})
    server.wait_until_idle()
    report = json.loads(run_nexus("replay", event, "--live", "--output", "json", cwd=project).stdout)
    assert report["identical"] is False and [item["verdict"] for item in report["replays"]] == ["ran"]
    report = json.loads(run_nexus("replay", "--since", "1h", "--live", "--output", "json", cwd=project).stdout)
    assert (report["counts"]["ran"], report["counts"]["identical"], report["replays"]) == (report["total"], 0, [])
    _, _, metrics = server.request("GET", "/metrics")
    metrics = metrics if isinstance(metrics, str) else metrics.decode()
    assert 'nexus_replay_count{mode="live",verdict="ran"}' in metrics and 'verdict="identical"' not in metrics
    assert server.stop() == 0
    audit = [json.loads(json.loads(line)["payload"]) for line in
             run_nexus("journal", "dump", "--stream", "AUDIT", cwd=project).stdout.splitlines()]
    counts = [record["counts"] for record in audit if record["action"] == "replay"]
    assert counts[0]["ran"] == 1 and counts[0]["identical"] == 0


def test_a_live_replay_of_a_range_tells_what_failed_again(project, servers):
    (project / "nexus.yaml").write_text(
        "version: v1\nfunctions:\n  - {name: broken, on: {event: {type: x}}, code: broken.wasm, retry: {max_attempts: 1}}\n")
    (project / "broken.wasm").write_bytes(TRAP)
    server = servers(project)
    events = [server.publish("x", {"n": n}) for n in range(3)]
    server.wait_until_idle()
    report = json.loads(run_nexus("replay", "--since", "1h", "--live", "--output", "json", cwd=project, status=1).stdout)
    replays = {(item["event_id"], item["function"], item["verdict"]) for item in report["replays"]}  # as they ended
    assert replays == {(event, "broken", "failed") for event in events} and len(report["replays"]) == 3
    assert all("unreachable" in item["error"] for item in report["replays"])


def test_repair_cuts_an_unfinished_end_and_uses_no_sequence_again(project, servers):
    server = servers(project)
    for n in range(3):
        server.publish("nobody.listens", {"mark": f"number-{n}"})
    server.kill()
    segment = sorted((project / ".nexus" / "journal").glob("wal-*"))[-1]
    content = bytearray(segment.read_bytes())
    at = content.rindex(b"number-2")
    content[at] ^= 1  # as a write that was under way when the power went
    segment.write_bytes(content)
    done = run_nexus("journal", "repair", cwd=project)
    assert "cut off: stream" in done.stdout and "records 3 to 3" in done.stdout
    assert run_nexus("journal", "repair", cwd=project).stdout.startswith("OK nothing to repair")
    done = run_nexus("journal", "verify", cwd=project)
    assert done.stdout.startswith("OK "), "nothing to tell any more"
    server = servers(project)
    assert "recovery" not in server.errors_path.read_text()
    assert server.request("GET", "/events/EVENTS:3")[0] == 404
    server.publish("nobody.listens", {"mark": "after"})
    newest = server.get("/events?order=desc&limit=1")["events"][0]
    assert (newest["reference"], newest["event"]["data"]) == ("EVENTS:4", {"mark": "after"})


def test_repair_puts_a_file_aside_that_cannot_be_read(project, servers):
    server = servers(project)
    server.publish("nobody.listens", {"n": 1})
    server.stop()
    server = servers(project)
    server.publish("nobody.listens", {"n": 2})
    server.stop()
    segment = sorted((project / ".nexus" / "journal").glob("wal-*"))[0]
    content = bytearray(segment.read_bytes())
    content[0:65536] = b"\xff" * 65536  # its headers and, from which they could be told, its frames
    segment.write_bytes(content)
    done = run_nexus("journal", "repair", cwd=project)
    assert f"{segment.name}: put aside: it cannot be read" in done.stdout and "OK repaired" in done.stdout
    server = servers(project)
    server.publish("nobody.listens", {"n": 3})
    assert server.get("/events?order=desc&limit=1")["events"][0]["reference"] == "EVENTS:3"


def test_a_range_names_a_hundred_failures_and_counts_the_rest(project, servers):
    server = servers(project)
    batch = [{"specversion": "1.0", "id": f"e{n}", "source": "/many", "type": "user.created", "data": {"user_id": f"user-{n}"}}
             for n in range(103)]
    status, _, _ = server.request("POST", "/events", json.dumps(batch), {"content-type": "application/cloudevents-batch+json"})
    assert status == 202
    server.wait_until_idle()
    server.kill()
    segment = next((project / ".nexus" / "journal").glob("wal-*"))
    whole = segment.read_bytes()
    segment.write_bytes(whole.replace(b'"user-', b'?user-', 103))  # the events came first
    lines = run_nexus("replay", "--since", "1h", cwd=project, status=1).stdout.splitlines()
    assert sum(" is destroyed" in line for line in lines) == 100 and "… and 3 more" in lines and "103 failed" in lines[-1]


def test_destroyed_records_are_named_and_no_proof(project, servers):
    """Damage is not taken for what has expired: verify names it, and a replay of the range fails."""
    server = servers(project)
    for number in range(5):
        server.publish("user.created", {"user_id": f"user-{number}-{'x' * 50}"})
    server.wait_until_idle()
    server.kill()
    segment = next((project / ".nexus" / "journal").glob("wal-*"))
    data = bytearray(segment.read_bytes())
    events = [json.loads(line) for line in run_nexus("events", "--output", "json", cwd=project).stdout.splitlines()]
    damaged = [event["reference"] for event in events if event["event"]["type"] == "user.created"][1:4:2]
    for number in (1, 3):
        data[data.index(f'{{"user_id": "user-{number}-'.encode()) + 15] ^= 1
    segment.write_bytes(data)

    told = run_nexus("journal", "verify", cwd=project, status=1).stdout
    assert all(f"  {reference} is destroyed\n" in told for reference in damaged), told
    assert "; 2 are destroyed" in told
    replayed = run_nexus("replay", "--since", "1h", "--verify", cwd=project, status=1).stdout
    assert "FAIL 5 calls replayed" in replayed and "3 identical, 2 failed" in replayed
    for reference in damaged:
        assert f"(event {reference}, attempt 1): failed: event {reference} is destroyed" in replayed

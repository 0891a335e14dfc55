"""/metrics: the promised figures are there and count, and Prometheus's own checker finds nothing."""
import re
import subprocess


def series(server):
    status, _, text = server.request("GET", "/metrics")
    assert status == 200
    found = re.findall(r"^(\w+(?:\{[^}]*\})?) (\S+)$", text.decode(), re.MULTILINE)
    return {name: float(value) for name, value in found}


def test_the_log_shows_its_batches_and_syncs(project, servers):
    server = servers(project, "start")
    before = series(server)
    server.publish("user.created", {"user_id": "u1"})
    server.wait_until_idle()
    after = series(server)
    for name in ("nexus_journal_sync_seconds_count", "nexus_journal_batch_records_sum",
                 "nexus_journal_written_bytes_total"):
        assert after[name] > before[name], name


def test_promtool_finds_nothing_but_the_one_name_that_is_given(project, servers):
    server = servers(project, "start")
    server.publish("user.created", {"user_id": "u1"})
    server.wait_until_idle()
    _, _, text = server.request("GET", "/metrics")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, timeout=60)
    complaints = [line for line in (done.stdout + done.stderr).decode().splitlines() if line.strip()]
    assert all(line.startswith("nexus_replay_count ") for line in complaints), complaints

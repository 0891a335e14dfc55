"""/metrics: the promised figures are there and count, and Prometheus's own checker finds nothing."""
import re
import subprocess

import pytest

from conftest import ROOT, TRAP


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


@pytest.fixture
def with_a_broken_function(project):
    config = (project / "nexus.yaml").read_text()
    broken = "{name: broken, on: {event: {type: broken}}, code: broken.wasm, retry: {max_attempts: 2, backoff: 0s}}"
    (project / "nexus.yaml").write_text(f"{config}  - {broken}\n")
    (project / "broken.wasm").write_bytes(TRAP)
    return project


def test_events_are_counted_as_they_arrive_and_attempts_by_themselves(with_a_broken_function, servers):
    server = servers(with_a_broken_function, "start")
    for event_type in ("user.created", "broken", "nobody.takes.it", "nor.that"):
        server.publish(event_type, {"user_id": "u1"})
    server.wait_until_idle()
    counted = series(server)
    assert counted['nexus_events_total{type="user.created"}'] == 1
    assert counted['nexus_events_total{type="broken"}'] == 1
    assert counted['nexus_events_total{type="other"}'] == 3  # with the one that user-welcome published
    assert counted['nexus_function_attempts_total{function="user-welcome",status="ok"}'] == 1
    assert counted['nexus_function_attempts_total{function="broken",status="failed"}'] == 2


def test_events_from_before_a_restart_are_not_counted_again(project, servers):
    server = servers(project, "start")
    server.publish("user.created", {"user_id": "u1"})
    server.wait_until_idle()
    server.kill()
    server = servers(project, "start")
    server.publish("user.created", {"user_id": "u2"})
    server.wait_until_idle()
    assert series(server)['nexus_events_total{type="user.created"}'] == 1


def test_every_metric_is_documented(with_a_broken_function, servers):
    server = servers(with_a_broken_function, "start", "--nats", "127.0.0.1:0",
                     environment={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"})
    event_id = server.publish("user.created", {"user_id": "u1"})
    server.publish("broken", {})
    server.wait_until_idle()
    assert server.request("POST", f"/replay/{event_id}")[0] == 200
    _, _, text = server.request("GET", "/metrics")
    shown = set(re.findall(r"^# TYPE (\S+) (\S+)$", text.decode(), re.MULTILINE))
    page = (ROOT / "spec" / "metrics.md").read_text()
    assert shown == set(re.findall(r"^\| `(\w+)` \| (\w+) \|", page, re.MULTILINE))


def test_promtool_finds_nothing_but_the_one_name_that_is_given(project, servers):
    server = servers(project, "start")
    server.publish("user.created", {"user_id": "u1"})
    server.wait_until_idle()
    _, _, text = server.request("GET", "/metrics")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, timeout=60)
    complaints = [line for line in (done.stdout + done.stderr).decode().splitlines() if line.strip()]
    assert all(line.startswith("nexus_replay_count ") for line in complaints), complaints

"""What the HTTP server tells of functions, and how it hands them requests."""
import json
import re

import pytest

from conftest import run_nexus

HOOK = ("    on: [{http: {method: POST, path: /events/user.created}},"
        " {http: {method: POST, path: /hooks/welcome}}, {http: {method: PUT, path: /hooks/welcome}}]\n")


@pytest.fixture
def server(project, servers):
    """The project of `nexus new`, whose function has a path of its own besides."""
    config = (project / "nexus.yaml").read_text()
    (project / "nexus.yaml").write_text(re.sub(r"    on: .*\n", HOOK, config))
    return servers(project)


def invocation_of(server, event_id, more=""):
    server.wait_until_idle()
    found = server.get(f"/invocations?event={event_id}{more}")["invocations"]
    assert len(found) == 1, found
    return found[0]


def test_a_function_says_what_it_did(server):
    event_id = server.publish("user.created", {"user_id": "u42", "email": "alice@example.com"})
    summary = invocation_of(server, event_id)
    assert (summary["function"], summary["outcome"], summary["attempt"]) == ("user-welcome", "ok", 1)
    assert server.get(f"/events/{summary['event']}")["id"] == event_id
    assert "log_lines" not in summary

    whole = server.get(f"/invocations/{summary['id']}")
    assert any("Processing user event" in line["text"] for line in whole["log_lines"])
    assert whole["tape"]["entries"] >= 0 and whole["tape"]["size"] > 0
    assert whole["fuel"] > 0 and whole["duration_ns"] > 0 and whole["memory_peak"] >= 65536
    assert re.match(r"^[0-9a-f]{64}$", whole["module"])
    assert whole == invocation_of(server, event_id, "&details=true")
    assert {name: whole[name] for name in summary} == summary


def test_what_a_function_published_names_its_cause(server):
    event_id = server.publish("user.created", {"user_id": "u42"})
    server.wait_until_idle()
    first, second = server.get("/events")["events"]
    assert first["event"]["id"] == event_id and "cause" not in first
    assert second["cause"] == f"{first['reference']}/user-welcome/0/1"
    server.stop()
    offline = run_nexus("events", "--output", "json", cwd=server.folder).stdout.splitlines()
    assert [json.loads(line) for line in offline] == [first, second]


def test_invocations_are_filtered(server):
    event_id = server.publish("user.created", {"user_id": "u1"})
    server.publish("user.created", {"user_id": "u2"})
    server.wait_until_idle()
    assert len(server.get("/invocations")["invocations"]) == 2
    assert len(server.get("/invocations?function=user-welcome&outcome=ok")["invocations"]) == 2
    assert server.get("/invocations?outcome=trap")["invocations"] == []
    assert server.get("/invocations?function=another")["invocations"] == []
    assert server.get("/invocations?until=1h")["invocations"] == []
    assert server.get(f"/invocations?event={event_id}&outcome=trap")["invocations"] == []
    assert server.get("/dlq")["dead_letters"] == []


def test_a_function_is_described(server):
    server.publish("user.created", {"user_id": "u1"})
    server.wait_until_idle()
    function, = server.get("/functions")["functions"]
    assert (function["name"], function["condition"], function["succeeded"]) == ("user-welcome", "idle", 1)
    assert {"method": "POST", "path": "/hooks/welcome", "type": "http.user-welcome"} in function["on"]
    assert {"method": "POST", "path": "/events/user.created", "type": "user.created"} in function["on"]


def test_a_request_on_a_function_s_path_becomes_an_event(server):
    status, headers, answer = server.request(
        "POST", "/hooks/welcome?a=1&b=%20", b'{"user_id":"u7"}',
        {"content-type": "application/json", "X-Custom": "one", "Authorization": "Bearer secret",
         "Cookie": "session=secret"})
    assert status == 202 and answer["status"] == "published"
    event = server.get(headers["location"])
    assert event["type"] == "http.user-welcome"
    data = event["data"]
    assert (data["method"], data["path"], data["query"]) == ("POST", "/hooks/welcome", "a=1&b=%20")
    assert data["body"] == {"user_id": "u7"} and data["headers"]["x-custom"] == "one"
    assert "secret" not in json.dumps(event)
    invocation_of(server, answer["event_id"])


def test_credentials_stay_out_of_the_log_unless_the_project_keeps_them(project, servers):
    config = (project / "nexus.yaml").read_text()
    kept = "{path: /hooks/kept, keep_headers: [Authorization, cookie]}"
    (project / "nexus.yaml").write_text(re.sub(r"    on: .*\n", f"    on: {{http: {kept}}}\n", config))
    server = servers(project)
    status, headers, _ = server.request("POST", "/hooks/kept", b"x", {
        "Authorization": "Bearer one", "Cookie": "session=two", "Proxy-Authorization": "Basic three"})
    assert status == 202
    stored = server.get(headers["location"])["data"]["headers"]
    assert (stored["authorization"], stored["cookie"]) == ("Bearer one", "session=two")
    assert "proxy-authorization" not in stored


def test_a_body_on_a_function_s_path_is_kept_as_what_it_is(server):
    for body, content_type, name, value in ((b"text", "text/plain", "body", "text"), (b"", "text/plain", "body", None),
                                            (b"\xff", "image/png", "body_base64", "/w==")):
        _, headers, _ = server.request("PUT", "/hooks/welcome", body, {"content-type": content_type})
        assert server.get(headers["location"])["data"][name] == value
    status, _, problem = server.request("POST", "/hooks/welcome", b"{", {"content-type": "application/json"})
    assert status == 400 and "JSON" in problem["detail"]


def test_other_methods_on_a_function_s_path_are_405(server):
    status, headers, _ = server.request("GET", "/hooks/welcome")
    assert (status, headers["allow"]) == (405, "POST, PUT")
    assert server.request("POST", "/hooks/other")[0] == 404


def test_an_event_is_replayed_over_http(server):
    event_id = server.publish("user.created", {"user_id": "u42"})
    server.wait_until_idle()
    status, _, report = server.request("POST", f"/replay/{event_id}")
    assert status == 200 and report["identical"] is True and report["total"] == 1
    replay, = report["replays"]
    assert (replay["verdict"], replay["is_replay"], replay["event_id"]) == ("identical", True, event_id)
    status, _, report = server.request("POST", "/replay?since=1h&function=user-welcome")
    assert status == 200 and report["identical"] is True
    assert len(server.get("/invocations")["invocations"]) == 1


def test_a_wrong_replay_is_refused(server):
    assert server.request("POST", "/replay/nothing")[0] == 404
    assert server.request("POST", "/replay")[0] == 400
    assert server.request("POST", "/replay/x?mode=maybe")[0] == 400
    assert server.request("POST", "/dlq/nothing")[0] == 404


def test_metrics_are_clean(server):
    server.publish("user.created", {"user_id": "u1"})
    server.wait_until_idle()
    metrics = server.get("/metrics").decode()
    assert re.search(r'^nexus_function_attempts_total\{function="user-welcome",status="ok"\} 1$', metrics, re.M)
    families = re.findall(r"^# TYPE (\S+)", metrics, re.M)
    assert len(families) == len(set(families))


def test_a_port_that_is_taken_is_named(server, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "nexus.yaml").write_text("version: v1\n")
    done = run_nexus("dev", "--http", f"127.0.0.1:{server.port}", cwd=tmp_path / "other", status=1, timeout=20)
    assert str(server.port) in done.stderr and "another program has this port" in done.stderr

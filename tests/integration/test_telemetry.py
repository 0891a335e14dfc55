"""Spans, as a real OpenTelemetry Collector receives them: one trace from the request to what it caused, and a
server that does not care whether the collector is there.

The collector is that of tools/setup, in build/deps."""
import http.server
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from conftest import ROOT, TRAP, run_nexus

COLLECTOR = pathlib.Path(os.environ.get("NEXUS_COLLECTOR") or ROOT / "build" / "deps" / "tools" / "otelcol")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"
SERVER, PRODUCER, CONSUMER, INTERNAL = 2, 4, 5, 1


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def values(attributes):
    """{key: value} of OTLP's attributes; numbers are text in OTLP's JSON."""
    return {a["key"]: int(a["value"]["intValue"]) if "intValue" in a["value"] else a["value"].get("stringValue", "")
            for a in attributes}


class Collector:
    """A running collector that writes what it receives to a file."""

    def __init__(self, folder, port=None, tls=None):
        assert COLLECTOR.exists(), f"no {COLLECTOR}: run tools/setup"
        self.port = port or free_port()
        self.out = folder / "spans.jsonl"
        config = folder / "collector.yaml"
        config.write_text(json.dumps({
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{self.port}",
                                                          **({"tls": tls} if tls else {})}}}},
            "exporters": {"file": {"path": str(self.out), "flush_interval": "50ms"}},
            "service": {"pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["file"]}},
                        "telemetry": {"metrics": {"level": "none"}, "logs": {"level": "error"}}},
        }))
        self.process = subprocess.Popen([str(COLLECTOR), "--config", str(config)],
                                        stdout=open(folder / "collector.log", "ab"), stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError((folder / "collector.log").read_text())

    def spans(self):
        """Every span so far, with its attributes and its resource's as dictionaries."""
        found = []
        for line in self.out.read_text().splitlines() if self.out.exists() else []:
            for of_resource in json.loads(line)["resourceSpans"]:
                for of_scope in of_resource["scopeSpans"]:
                    for span in of_scope["spans"]:
                        found.append({**span, "attributes": values(span.get("attributes", [])),
                                      "resource": values(of_resource["resource"]["attributes"]),
                                      "scope": of_scope["scope"]["name"]})
        return found

    def wait_for(self, condition, seconds=30):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            spans = self.spans()
            if condition(spans):
                return spans
            time.sleep(0.1)
        raise AssertionError([span["name"] for span in self.spans()])

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)


@pytest.fixture
def collector(tmp_path):
    running = Collector(tmp_path)
    yield running
    running.end()


def environment(port, **more):
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", "OTEL_BSP_SCHEDULE_DELAY": "100", **more}


def metric(server, name):
    text = server.request("GET", "/metrics")[2].decode()
    found = [line.rsplit(" ", 1)[1] for line in text.splitlines() if line.rsplit(" ", 1)[0] == name]
    return float(found[0]) if found else None


def one(spans, name, **attributes):
    found = [s for s in spans if s["name"] == name and attributes.items() <= s["attributes"].items()]
    assert len(found) == 1, (name, [s["name"] for s in spans])
    return found[0]


def with_chain(project):
    """What user-welcome publishes fires `broken`, which fails twice."""
    config = (project / "nexus.yaml").read_text()
    (project / "nexus.yaml").write_text(
        config + "  - {name: broken, on: {event: {type: user.welcomed}}, code: broken.wasm,"
                 " retry: {max_attempts: 2, backoff: 0s}}\n")
    (project / "broken.wasm").write_bytes(TRAP)


def test_a_request_and_all_that_it_causes_are_one_trace(project, servers, collector):
    with_chain(project)
    server = servers(project, "start", environment=environment(
        collector.port, OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test%20bed"))
    event_id = server.publish("user.created", {"user_id": "u42"}, headers={"traceparent": TRACEPARENT})
    spans = collector.wait_for(lambda s: [x["name"] for x in s].count("run broken") == 2)
    assert {s["traceId"] for s in spans} == {TRACE}

    request = one(spans, "POST /events/{type}")
    assert (request["kind"], request["parentSpanId"]) == (SERVER, CALLER)
    assert request["attributes"].items() >= {
        "http.request.method": "POST", "http.route": "/events/{type}", "url.path": "/events/user.created",
        "http.response.status_code": 202, "url.scheme": "http"}.items()
    append = one(spans, "append events.user.created")
    assert (append["kind"], append["parentSpanId"]) == (PRODUCER, request["spanId"])
    assert append["attributes"].items() >= {
        "messaging.system": "nexus", "messaging.operation.type": "send", "messaging.message.id": event_id,
        "messaging.destination.name": "events.user.created", "nexus.event": "EVENTS:1"}.items()
    dispatch = one(spans, "dispatch user-welcome")
    run = one(spans, "run user-welcome")
    assert (run["kind"], run["parentSpanId"]) == (CONSUMER, append["spanId"])
    assert (dispatch["kind"], dispatch["parentSpanId"]) == (INTERNAL, append["spanId"])
    assert run["attributes"].items() >= {
        "messaging.operation.type": "process", "messaging.consumer.group.name": "user-welcome",
        "messaging.message.id": event_id, "cloudevents.event_type": "user.created", "faas.trigger": "pubsub",
        "faas.invocation_id": "INVOCATIONS:1", "nexus.outcome": "ok", "nexus.attempt": 1}.items()
    assert run["attributes"]["nexus.fuel"] > 0 and run["attributes"]["nexus.memory_peak"] > 0
    for name in "nexus.kv_get", "nexus.kv_set", "nexus.publish", "append INVOCATIONS":
        assert [s for s in spans if s["name"] == name and s["parentSpanId"] == run["spanId"]], name
    # what the run published is its child, and so on
    failed = [s for s in spans if s["name"] == "run broken"]
    assert {s["parentSpanId"] for s in failed} == {run["spanId"]}
    assert sorted(s["attributes"]["nexus.attempt"] for s in failed) == [1, 2]
    for span in failed:
        assert span["status"]["code"] == 2 and span["status"]["message"]
        assert span["attributes"]["error.type"] == span["attributes"]["nexus.outcome"] == "trap"
    for span in spans:
        assert int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])
        assert span["scope"] == "nexus"
    resource = request["resource"]
    assert resource.items() >= {"service.name": "nexus", "telemetry.sdk.name": "nexus",
                                "deployment.environment.name": "test bed"}.items()
    assert resource["service.version"] and resource["service.instance.id"]


def test_the_guest_is_told_the_span_of_its_run(project, servers, collector):
    server = servers(project, "start", environment=environment(collector.port, OTEL_SERVICE_NAME="shop"))
    server.publish("user.created", {"user_id": "u42"}, headers={"traceparent": TRACEPARENT})
    server.wait_until_idle()
    run = one(collector.wait_for(lambda s: any(x["name"] == "run user-welcome" for x in s)), "run user-welcome")
    invocation = server.get("/invocations/INVOCATIONS:1")
    assert (invocation["trace_id"], run["resource"]["service.name"]) == (TRACE, "shop")
    published = server.get("/events?type=user.welcomed")["events"][0]["event"]
    assert published["traceparent"] == f"00-{TRACE}-{run['spanId']}-01"


def test_a_live_replay_is_a_new_trace_that_links_to_the_first(project, servers, collector):
    server = servers(project, "start", environment=environment(collector.port))
    event_id = server.publish("user.created", {"user_id": "u42"}, headers={"traceparent": TRACEPARENT})
    server.wait_until_idle()
    run_nexus("replay", event_id, "--live", cwd=project)
    spans = collector.wait_for(lambda s: [x["name"] for x in s].count("run user-welcome") == 2)
    first, = [s for s in spans if s["name"] == "run user-welcome" and s["traceId"] == TRACE]
    second, = [s for s in spans if s["name"] == "run user-welcome" and s["traceId"] != TRACE]
    assert second.get("parentSpanId", "") == ""
    link, = second["links"]
    assert (link["traceId"], link["spanId"]) == (TRACE, first["spanId"])


def test_a_refused_request_is_a_span_with_the_error_by_name(project, servers, collector):
    server = servers(project, "start", environment=environment(collector.port))
    status, _, _ = server.request("POST", "/events/user.created", b"{no json", {"content-type": "application/json"})
    assert status == 400
    span = collector.wait_for(lambda s: len(s) == 1)[0]
    assert span["name"] == "POST /events/{type}" and "parentSpanId" not in {k for k, v in span.items() if v}
    assert span["attributes"]["http.response.status_code"] == 400 and span["attributes"]["error.type"]
    assert span.get("status", {}).get("code", 0) == 0  # a client's fault is none of the server's


def test_a_batch_is_one_span_for_all_its_events(project, servers, collector):
    server = servers(project, "start", environment=environment(collector.port))
    batch = [{"specversion": "1.0", "id": f"b{i}", "source": "/test", "type": "user.created",
              "data": {"user_id": f"u{i}"}} for i in range(3)]
    status, _, _ = server.request("POST", "/events", json.dumps(batch).encode(),
                                  {"content-type": "application/cloudevents-batch+json", "traceparent": TRACEPARENT})
    assert status == 202
    spans = collector.wait_for(lambda s: [x["name"] for x in s].count("run user-welcome") == 3)
    append = one(spans, "append EVENTS")
    assert append["attributes"]["messaging.batch.message_count"] == 3
    assert {s["parentSpanId"] for s in spans if s["name"] == "run user-welcome"} == {append["spanId"]}


def test_what_the_caller_does_not_record_is_not_recorded(project, servers, collector):
    server = servers(project, "start", environment=environment(collector.port))
    server.publish("user.created", {"user_id": "no"}, headers={"traceparent": TRACEPARENT[:-2] + "00"})
    server.publish("user.created", {"user_id": "yes"}, headers={"traceparent": f"00-{'a' * 32}-{CALLER}-01"})
    server.wait_until_idle()
    server.stop()  # sends what is left
    assert {s["traceId"] for s in collector.spans()} == {"a" * 32}


def test_a_sampler_records_its_part_of_the_traces(project, servers, collector):
    server = servers(project, "start", environment=environment(
        collector.port, OTEL_TRACES_SAMPLER="parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG="0.25"))
    for i in range(200):
        server.publish("user.created", {"user_id": f"u{i}"})
    server.wait_until_idle()
    server.stop()
    spans = collector.spans()
    roots = [s for s in spans if s["name"] == "POST /events/{type}"]
    assert 20 <= len(roots) <= 90  # 50 expected
    assert {s["traceId"] for s in spans if s["name"] == "run user-welcome"} == {s["traceId"] for s in roots}


def test_spans_wait_for_a_collector_that_comes_later(project, servers, tmp_path):
    port = free_port()
    server = servers(project, "start", environment=environment(port))
    server.publish("user.created", {"user_id": "u42"})
    server.wait_until_idle()
    deadline = time.monotonic() + 10
    while not metric(server, "nexus_span_export_failures_total") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert metric(server, "nexus_spans_waiting") >= 4
    running = Collector(tmp_path, port)
    try:
        running.wait_for(lambda s: any(x["name"] == "run user-welcome" for x in s))
        deadline = time.monotonic() + 10
        while metric(server, "nexus_spans_waiting") and time.monotonic() < deadline:
            time.sleep(0.05)
        assert metric(server, "nexus_spans_exported_total") == len(running.spans())
        assert metric(server, 'nexus_spans_dropped_total{reason="queue-full"}') == 0
    finally:
        running.end()
    log = server.errors_path.read_text()
    assert "spans wait: the collector does not take them" in log and "takes spans again" in log


def test_without_its_collector_the_server_works_and_counts_what_is_lost(project, servers):
    server = servers(project, "start", environment=environment(free_port(), OTEL_BSP_MAX_QUEUE_SIZE="20"))
    for i in range(50):
        server.publish("user.created", {"user_id": f"u{i}"})
    server.wait_until_idle()
    assert len(server.all_items("/invocations", "invocations")) == 50
    dropped = metric(server, 'nexus_spans_dropped_total{reason="queue-full"}')
    assert dropped > 300 and metric(server, "nexus_spans_waiting") <= 20
    begun = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begun < 5


class Answering(http.server.ThreadingHTTPServer):
    """An HTTP server that answers requests as told, and keeps what it was sent."""
    daemon_threads = True

    def __init__(self, answers):
        self.answers = list(answers)
        self.requests = []
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.requests.append((time.monotonic(), self.path, dict(self.headers), body))
        status, headers, answer, delay = self.server.answers.pop(0) if self.server.answers else (200, {}, b"", 0)
        time.sleep(delay)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture
def answering():
    running = []

    def start(*answers):
        running.append(Answering(answers))
        return running[-1]

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def publish_and_wait(server, condition, seconds=30):
    server.publish("user.created", {"user_id": "u42"})
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition()


def test_a_busy_collector_is_asked_again_when_it_says(project, servers, answering):
    busy = answering((503, {"retry-after": "2"}, b"", 0), (429, {}, b"", 0))
    server = servers(project, "start", environment=environment(
        busy.server_port, OTEL_EXPORTER_OTLP_HEADERS="x-key=a%20secret, x-other=2"))
    publish_and_wait(server, lambda: metric(server, "nexus_spans_exported_total"))
    first, second, third = busy.requests[:3]
    assert first[3] == second[3] == third[3]  # the same spans
    assert second[0] - first[0] >= 1.9 and third[0] - second[0] >= 0.4
    assert first[1] == "/v1/traces"
    assert (first[2]["x-key"], first[2]["x-other"]) == ("a secret", "2")
    assert first[2]["Content-Type"] == "application/x-protobuf"
    assert metric(server, "nexus_span_export_failures_total") == 2


def test_refused_spans_are_dropped_counted_and_told(project, servers, answering):
    refusing = answering((400, {}, b"wrong form", 0))
    server = servers(project, "start", environment=environment(refusing.server_port))
    publish_and_wait(server, lambda: metric(server, 'nexus_spans_dropped_total{reason="refused"}'))
    assert re.search(r"refuses spans.*400.*wrong form", server.errors_path.read_text())


def test_spans_that_a_collector_refuses_one_by_one_are_counted(project, servers, answering):
    # ExportTraceServiceResponse{partial_success{rejected_spans: 2, error_message: "no"}}
    partial = answering((200, {"content-type": "application/x-protobuf"}, bytes.fromhex("0a06080212026e6f"), 0))
    server = servers(project, "start", environment=environment(partial.server_port))
    publish_and_wait(server, lambda: metric(server, 'nexus_spans_dropped_total{reason="refused"}') == 2)


def test_a_slow_collector_slows_nobody(project, servers, answering):
    slow = answering(*[(200, {}, b"", 3)] * 20)
    server = servers(project, "start", environment=environment(slow.server_port))
    begun = time.monotonic()
    for i in range(20):
        server.publish("user.created", {"user_id": f"u{i}"})
    server.wait_until_idle()
    assert time.monotonic() - begun < 2.5
    begun = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begun < 6  # it waits two seconds for the last spans, and no longer


@pytest.mark.parametrize("variables, told", [
    ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:1", "OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere/ca.pem"},
     "/nowhere/ca.pem"),
    ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:1", "OTEL_EXPORTER_OTLP_CERTIFICATE": "nexus.yaml"},
     "there is no certificate in it"),
    ({"OTEL_EXPORTER_OTLP_ENDPOINT": "127.0.0.1:4318"}, "is no URL"),
    ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "only http/protobuf"),
    ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"}, None),
    ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"}, None),
    ({}, None),
])
def test_what_cannot_be_exported_is_told_and_the_server_runs(project, servers, variables, told):
    server = servers(project, "start", environment=variables)
    server.publish("user.created", {"user_id": "u42"})
    assert metric(server, "nexus_spans_exported_total") is None
    log = server.errors_path.read_text()
    assert told in log if told else "OpenTelemetry" not in log


def test_a_function_that_answers_is_within_its_request(project, servers, collector):
    config = (project / "nexus.yaml").read_text()
    (project / "nexus.yaml").write_text(
        config + "  - {name: broken, on: {http: {path: /broken, method: GET, respond: result}}, code: broken.wasm}\n")
    (project / "broken.wasm").write_bytes(TRAP)
    server = servers(project, "start", environment=environment(collector.port))
    status, _, _ = server.request("GET", "/broken", headers={"traceparent": TRACEPARENT})
    assert status >= 500
    spans = collector.wait_for(lambda s: {"GET /broken", "run broken"} <= {x["name"] for x in s})
    request, run = one(spans, "GET /broken"), one(spans, "run broken")
    assert request["status"]["code"] == 2 and request["attributes"]["http.response.status_code"] == status
    assert int(request["endTimeUnixNano"]) >= int(run["startTimeUnixNano"])
    assert run["parentSpanId"] == one(spans, "append events.http.broken")["spanId"]


# https

def openssl(folder, *arguments):
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """An authority, the collector's certificate and a client's, and another authority that knows neither."""
    folder = tmp_path_factory.mktemp("certificates")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for authority in ("ca", "foreign"):
        openssl(folder, "req", "-x509", *key, "-keyout", f"{authority}.key", "-out", f"{authority}.pem",
                "-subj", f"/CN={authority}", "-days", "30")
    for name, alternatives in (("collector", "DNS:localhost"), ("client", "DNS:nexus")):
        (folder / f"{name}.ext").write_text(f"subjectAltName={alternatives}\n")
        openssl(folder, "req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "30", "-extfile", f"{name}.ext", "-out", f"{name}.pem")
    return folder


@pytest.fixture
def secure_collector(tmp_path, certificates):
    running = []

    def start(**tls):
        running.append(Collector(tmp_path, tls={"cert_file": f"{certificates}/collector.pem",
                                                "key_file": f"{certificates}/collector.key", **tls}))
        return running[-1]

    yield start
    for collector in running:
        collector.end()


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_CERTIFICATE", "SSL_CERT_FILE"])
def test_a_collector_is_reached_by_https(project, servers, secure_collector, certificates, variable):
    collector = secure_collector()
    server = servers(project, "start", environment=environment(
        collector.port, OTEL_EXPORTER_OTLP_ENDPOINT=f"https://localhost:{collector.port}",
        **{variable: str(certificates / "ca.pem")}))
    for i in range(3):  # the connection is kept
        server.publish("user.created", {"user_id": f"u{i}", "fill": "x" * 100_000})
        server.wait_until_idle()
        collector.wait_for(lambda s: [x["name"] for x in s].count("run user-welcome") == i + 1)
    assert metric(server, "nexus_spans_exported_total") >= 3 * 4
    assert server.stop() == 0


def test_a_collector_may_ask_for_our_certificate(project, servers, secure_collector, certificates):
    collector = secure_collector(client_ca_file=f"{certificates}/ca.pem")
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"https://localhost:{collector.port}",
                 "OTEL_EXPORTER_OTLP_CERTIFICATE": str(certificates / "ca.pem")}
    server = servers(project, "start", environment=environment(collector.port, **variables))
    server.publish("user.created", {"user_id": "u1"})
    server.wait_for_line_on_stderr("spans wait: the collector does not take them")
    assert server.stop() == 0 and not collector.spans()
    server = servers(project, "start", environment=environment(
        collector.port, **variables, OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=str(certificates / "client.pem"),
        OTEL_EXPORTER_OTLP_CLIENT_KEY=str(certificates / "client.key")))
    server.publish("user.created", {"user_id": "u2"})
    collector.wait_for(lambda s: "run user-welcome" in [x["name"] for x in s])


@pytest.mark.parametrize("host, trusted, told", [
    ("127.0.0.1", "ca", "the server's certificate: IP address mismatch"),
    ("localhost", "foreign", "the server's certificate: unable to get local issuer certificate"),
    ("localhost", None, "the server's certificate: unable to get local issuer certificate"),
])
def test_spans_go_to_no_collector_that_is_not_the_one_meant(project, servers, secure_collector, certificates, host,
                                                            trusted, told):
    collector = secure_collector()
    trust = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(certificates / f"{trusted}.pem")} if trusted else {}
    server = servers(project, "start", environment=environment(
        collector.port, OTEL_EXPORTER_OTLP_ENDPOINT=f"https://{host}:{collector.port}", **trust))
    server.publish("user.created", {"user_id": "u1"})
    line = server.wait_for_line_on_stderr("spans wait: the collector does not take them")
    assert told in line
    assert server.stop() == 0 and not collector.spans()


def test_a_collector_without_tls_is_told_from_one_with(project, servers, collector):
    server = servers(project, "start", environment=environment(
        collector.port, OTEL_EXPORTER_OTLP_ENDPOINT=f"https://127.0.0.1:{collector.port}"))
    server.publish("user.created", {"user_id": "u1"})
    assert "TLS: " in server.wait_for_line_on_stderr("spans wait: the collector does not take them")

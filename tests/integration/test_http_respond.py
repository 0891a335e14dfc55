"""HTTP functions: what a function prints is the answer."""
import gzip
import http.client
import json
import subprocess
import threading
import time

import pytest

from conftest import ROOT, run_nexus

GUEST = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "nexus.h"
static char input[1 << 20];
int main(void) {
    size_t len = fread(input, 1, sizeof input - 1, stdin);
    input[len] = 0;
    if (strstr(input, "#fail")) { nexus_respond(201, ""); return 3; }
    if (strstr(input, "#spin")) { for (volatile unsigned i = 0;; i++) {} }
    if (strstr(input, "#slow")) usleep(400 * 1000);
    if (strstr(input, "#pause")) usleep(8000 * 1000);
    if (strstr(input, "#large")) for (int i = 0; i < 20000; i++) printf("line %d of many\n", i);
    if (strstr(input, "#empty")) { nexus_respond(204, ""); return 0; }
    if (strstr(input, "#made")) {
        nexus_respond(500, "X-Dropped: 1");
        nexus_respond(201, "Location: /things/1\nContent-Type: text/html\r\nSet-Cookie: a=1\nSet-Cookie: b=2\n");
    }
    printf("{\"random\": %u}", (unsigned)(nexus_now() % 1000000007));
    return 0;
}
"""
CONFIG = """version: v1
functions:
  - name: api
    on: [{http: {path: /api, respond: result, wait: 5s}}, {http: {path: /quick, respond: result, wait: 100ms}}]
    code: ./api.wasm
    timeout: 1s
  - name: soon
    on: {http: {path: /soon, respond: early}}
    code: ./api.wasm
  - name: stubborn
    on: {http: {path: /stubborn, respond: result}}
    code: ./api.wasm
    retry: {max_attempts: 3, backoff: 10ms}
"""


@pytest.fixture(scope="session")
def api_module(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    (folder / "api.c").write_text(GUEST)
    subprocess.run(["clang-19", "--target=wasm32-wasi", "-O2", f"-I{ROOT}/guest/c", "-Wl,--stack-first", "api.c", "-o",
                    "api.wasm"], cwd=folder, check=True, capture_output=True)
    return (folder / "api.wasm").read_bytes()


@pytest.fixture
def api(api_module, tmp_path):
    """A project whose functions answer."""
    (tmp_path / "api.wasm").write_bytes(api_module)
    (tmp_path / "nexus.yaml").write_text(CONFIG)
    return tmp_path


def test_what_it_prints_is_the_answer(api, servers):
    server = servers(api)
    status, headers, body = server.request("POST", "/api", "x")
    assert (status, headers["content-type"]) == (200, "application/json") and body["random"] >= 0
    event_id, call = headers["nexus-event"], headers["nexus-invocation"]
    assert server.get(f"/events/{event_id}")["type"] == "http.api"
    assert json.loads(server.get(f"/invocations/{call}")["output"]) == body
    assert server.get(f"/invocations/{call}")["trace_id"] == headers["traceparent"].split("-")[1]


def test_it_sets_status_and_headers(api, servers):
    server = servers(api)
    status, headers, _ = server.request("POST", "/api", "#made")
    assert (status, headers["location"], headers["content-type"]) == (201, "/things/1", "text/html")
    assert headers.get_all("set-cookie") == ["a=1", "b=2"] and "x-dropped" not in headers
    effect, = server.get(f"/invocations/{headers['nexus-invocation']}")["effects"]
    assert (effect["kind"], effect["status"], effect["headers"][0]) == ("respond", 201, "Location: /things/1")
    assert "answered 201" in run_nexus("trace", headers["nexus-event"], cwd=api).stdout
    assert server.request("POST", f"/replay/{headers['nexus-event']}")[2]["identical"] is True
    status, headers, body = server.request("POST", "/api", "#empty")
    assert (status, body) == (204, b"") and "content-length" not in headers
    server.stop()
    assert "2 identical" in run_nexus("replay", "--since", "1h", "--verify", cwd=api).stdout


def test_a_failure_is_a_problem_that_names_the_call(api, servers):
    server = servers(api)
    status, headers, problem = server.request("POST", "/api", "#fail")
    assert (status, problem["kind"], problem["outcome"], problem["attempts"]) == (502, "function-failed", "exit", 1)
    assert problem["will_run"] is False and problem["invocation"] == headers["nexus-invocation"]
    assert server.get(f"/invocations/{problem['invocation']}")["dead_letter"] is True
    status, _, problem = server.request("POST", "/api", "#spin")
    assert (status, problem["kind"], problem["outcome"]) == (504, "function-timeout", "deadline")
    status, _, problem = server.request("POST", "/stubborn", "#fail")
    assert (status, problem["attempts"]) == (502, 3), "with `retry` the answer is that of the last attempt"


def test_a_late_answer_is_told_and_loses_nothing(api, servers):
    server = servers(api)
    status, _, problem = server.request("POST", "/quick", "#slow", {"Idempotency-Key": "late"})
    assert (status, problem["kind"], problem["will_run"]) == (504, "answer-late", True)
    server.wait_until_idle()
    call, = server.get(f"/invocations?event={problem['event_id']}")["invocations"]
    assert call["outcome"] == "ok"
    status, headers, _ = server.request("POST", "/quick", "#slow", {"Idempotency-Key": "late"})
    assert (status, headers["nexus-invocation"]) == (200, call["id"])


def test_who_still_waits_when_the_server_ends_is_told(api, servers):
    config = (api / "nexus.yaml").read_text().replace("    timeout: 1s\n", "    timeout: 60s\n").replace("wait: 5s", "wait: 60s")
    (api / "nexus.yaml").write_text(config)
    server = servers(api)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(server.request("POST", "/api", "#pause")))
    thread.start()
    time.sleep(0.3)
    assert server.stop() == 0
    thread.join()
    status, headers, problem = answers[0]
    assert (status, headers["connection"]) == (503, "close") and "next start" in problem["hint"]
    server = servers(api)
    server.wait_until_idle()
    call, = server.get(f"/invocations?event={headers['nexus-event']}")["invocations"]
    assert call["outcome"] == "ok"


@pytest.mark.parametrize("word", ["#made", "#large", "#fail"])
def test_a_repeat_is_answered_from_the_stored_result(api, servers, word):
    server = servers(api)
    key = {"Idempotency-Key": "k1"}
    first = server.request("POST", "/api", word, key)
    answers = [server.request("POST", "/api", word, key)]
    server.kill()
    server = servers(api)
    answers.append(server.request("POST", "/api", word, key))
    assert "idempotent-replayed" not in first[1]
    for status, headers, body in answers:
        assert (status, body, headers["idempotent-replayed"]) == (first[0], first[2], "true")
        differing = ("date", "traceparent", "idempotent-replayed")
        assert [h for h in headers.items() if h[0].lower() not in differing] == \
            [h for h in first[1].items() if h[0].lower() not in differing]
    assert len(server.get("/events")["events"]) == 1
    assert server.request("POST", "/api", "another", key)[0] == 422


def test_a_repeat_waits_for_the_first_that_is_still_running(api, servers):
    server = servers(api)
    answers = []

    def post():
        answers.append(server.request("POST", "/api", "#slow", {"Idempotency-Key": "k1"}))

    threads = [threading.Thread(target=post) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [status for status, _, _ in answers] == [200] * 4
    assert len({body["random"] for _, _, body in answers}) == 1
    assert len({headers["nexus-invocation"] for _, headers, _ in answers}) == 1
    assert sum("idempotent-replayed" in headers for _, headers, _ in answers) == 3


def test_an_early_answer_comes_before_its_record(api, servers):
    server = servers(api)
    status, headers, body = server.request("POST", "/soon", "#made")
    assert (status, headers["location"]) == (201, "/things/1")
    server.wait_until_idle()
    call, = server.get(f"/invocations?event={headers['nexus-event']}&details=true")["invocations"]
    assert call["output"].encode() == body
    assert server.request("POST", "/soon", "#fail")[0] == 502


def test_a_client_that_goes_away_loses_nothing(api, servers):
    server = servers(api)
    gone = http.client.HTTPConnection("127.0.0.1", server.port)
    gone.request("POST", "/api", "#slow")
    time.sleep(0.1)
    gone.close()
    server.wait_until_idle()
    call, = server.get("/invocations")["invocations"]
    assert call["outcome"] == "ok"


def test_requests_that_wait_are_answered_before_the_server_ends(api, servers):
    server = servers(api)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(server.request("POST", "/api", "#slow")))
    thread.start()
    time.sleep(0.15)
    assert server.stop() == 0
    thread.join()
    assert answers[0][0] == 200


ROUTES = """version: v1
functions:
  - name: items
    on:
      - {http: {method: [GET, PUT], path: "/items/{id}/parts/{part}", respond: result}}
      - {http: {method: GET, path: /items/all, respond: result}}
      - {http: {method: [GET, DELETE], path: "/items/{id}", respond: result}}
    code: ./echo.wasm
    input: data
    cors: {origins: ["https://app.example.com"], headers: [X-Token], expose: [X-Total], max_age: 2m, credentials: true}
  - name: open
    on: {http: {method: POST, path: /open}}
    code: ./echo.wasm
    cors: {origins: ["*"]}
"""
PAGE = "https://app.example.com"


@pytest.fixture
def routes(tmp_path):
    (tmp_path / "echo.c").write_text("""
#include <unistd.h>
static char bytes[4096];
int main(void) {
    long n;
    while ((n = read(0, bytes, sizeof bytes)) > 0) { (void)!write(1, bytes, n); }
    return 0;
}
""")
    subprocess.run(["clang-19", "--target=wasm32-wasi", "-O2", "-Wl,--stack-first", "echo.c", "-o", "echo.wasm"],
                   cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "nexus.yaml").write_text(ROUTES)
    return tmp_path


def test_parameters_of_the_path_are_told(routes, servers):
    server = servers(routes)
    body = server.get("/items/a%20b/parts/%C3%A9?x=1")
    assert (body["path"], body["params"]) == ("/items/a%20b/parts/%C3%A9", {"id": "a b", "part": "\u00e9"})
    assert "params" not in server.get("/items/all")
    assert server.get("/items/7")["params"] == {"id": "7"}
    assert server.request("DELETE", "/items/all")[2]["params"] == {"id": "all"}, "GET is the literal path's, DELETE is not"
    assert server.request("GET", "/items/%ff")[0] == 400
    assert server.request("GET", "/items/")[0] == 404 and server.request("GET", "/items/7/")[0] == 404


def test_methods_of_a_path(routes, servers):
    server = servers(routes)
    status, headers, _ = server.request("POST", "/items/7")
    assert (status, headers["allow"]) == (405, "GET, HEAD, DELETE")
    status, headers, body = server.request("HEAD", "/items/7")
    assert (status, body) == (200, b"") and int(headers["content-length"]) > 0
    assert server.get(f"/events/{headers['nexus-event']}")["data"]["method"] == "HEAD"
    status, headers, _ = server.request("OPTIONS", "/items/7/parts/8")
    assert (status, headers["allow"]) == (200, "GET, HEAD, PUT")
    assert len(server.get("/events")["events"]) == 1, "neither OPTIONS nor 405 is an event"


def test_pages_of_named_origins_may(routes, servers):
    server = servers(routes)
    question = {"Origin": PAGE, "Access-Control-Request-Method": "PUT", "Sec-Fetch-Site": "cross-site",
                "Access-Control-Request-Headers": "x-token"}
    status, headers, _ = server.request("OPTIONS", "/items/7/parts/8", headers=question)
    assert status == 204 and headers["access-control-allow-origin"] == PAGE
    assert headers["access-control-allow-methods"] == "GET, HEAD, PUT"
    assert (headers["access-control-allow-headers"], headers["access-control-max-age"]) == ("X-Token", "120")
    assert headers["access-control-allow-credentials"] == "true" and "origin" in headers["vary"].lower()
    status, headers, _ = server.request("PUT", "/items/7/parts/8", "x", {"Origin": PAGE, "Sec-Fetch-Site": "cross-site"})
    assert (status, headers["access-control-allow-origin"], headers["vary"]) == (200, PAGE, "Origin")
    assert "X-Total" in headers["access-control-expose-headers"]

    other = {"Origin": "https://evil.example.com"}
    assert server.request("OPTIONS", "/items/7", headers={**question, **other})[0] == 403
    assert server.request("PUT", "/items/7/parts/8", "x", other)[0] == 403
    status, headers, _ = server.request("GET", "/items/7", headers=other)
    assert status == 200 and "access-control-allow-origin" not in headers
    assert server.request("PUT", "/items/7/parts/8", "x", {"Origin": PAGE, "Host": "evil.example.com"})[0] == 403


def test_any_page_may_where_the_project_says_so_and_nowhere_else(routes, servers):
    server = servers(routes)
    other = {"Origin": "https://any.example.com"}
    status, headers, _ = server.request("POST", "/open", "x", other)
    assert (status, headers["access-control-allow-origin"]) == (202, "*") and "vary" not in headers
    assert server.request("POST", "/events/x", "x", other)[0] == 403


def test_large_answers_are_packed_for_those_who_take_it(api, servers):
    server = servers(api)
    plain = server.request("POST", "/api", "#large")
    assert plain[1]["vary"] == "Accept-Encoding" and "content-encoding" not in plain[1]
    for accepted in ("gzip", "br;q=1.0, gzip;q=0.8, *;q=0.1", "*"):
        status, headers, body = server.request("POST", "/api", "#large", {"Accept-Encoding": accepted})
        assert (status, headers["content-encoding"], headers["vary"]) == (200, "gzip", "Accept-Encoding")
        assert len(body) == int(headers["content-length"]) < len(plain[2]) / 4 \
            and gzip.decompress(body).splitlines()[:-1] == plain[2].splitlines()[:-1]
    for refused in ("identity", "gzip;q=0", "br"):
        assert "content-encoding" not in server.request("POST", "/api", "#large", {"Accept-Encoding": refused})[1]
    _, headers, _ = server.request("POST", "/api", "x", {"Accept-Encoding": "gzip"})
    assert "content-encoding" not in headers and "vary" not in headers, "too small to be worth it"


def test_a_body_may_come_packed(routes, servers):
    server = servers(routes)
    packed = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    status, _, seen = server.request("PUT", "/items/1/parts/2", gzip.compress(b'{"a": [1, 2]}'), packed)
    assert (status, seen["body"]) == (200, {"a": [1, 2]}) and "content-encoding" not in seen["headers"]
    status, headers, _ = server.request("POST", "/events/x", gzip.compress(b'{"b": 1}'), packed)
    assert status == 202 and server.get(headers["location"])["data"] == {"b": 1}
    assert server.request("POST", "/events/x", b"{}", packed)[0] == 400
    status, _, problem = server.request("POST", "/events/x", gzip.compress(bytes(2 << 20)), packed)
    assert (status, problem["kind"]) == (413, "too-large")
    status, headers, problem = server.request("POST", "/events/x", b"x", {"Content-Encoding": "br"})
    assert (status, problem["kind"], headers["accept-encoding"]) == (415, "unsupported-media-type", "gzip")


def test_a_value_comes_from_the_environment_of_the_server(project, servers):
    config = (project / "nexus.yaml").read_text()
    assert "    env:" in config
    lines = ["    env: {LOG_LEVEL: {from_env: TEST_SECRET}}" if "    env:" in line else line for line in config.splitlines()]
    (project / "nexus.yaml").write_text("\n".join(lines) + "\n")
    refused = run_nexus("start", "--http", "127.0.0.1:0", cwd=project, status=1)
    assert "TEST_SECRET is not set" in refused.stderr and "hint: " in refused.stderr
    server = servers(project, environment={"TEST_SECRET": "s3cret"})
    server.publish("user.created", {"user_id": "u1"})
    server.wait_until_idle()
    assert "s3cret" not in json.dumps(server.get("/functions")) + run_nexus("config", "--output", "json", cwd=project).stdout
    server.stop()
    # Who only reads needs no secret.
    assert "1 identical" in run_nexus("replay", "--since", "1h", "--verify", cwd=project).stdout

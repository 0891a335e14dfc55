"""Each project of examples/ does what its README says: built, started, given events, its effects seen, replayed.

The toolchains are those of test_languages.py; an example without its toolchain is skipped, by name."""
import concurrent.futures
import hashlib
import hmac
import json
import shutil

import pytest

from conftest import ROOT, run_nexus
from test_languages import c, go, install_packages, node, run, rust


@pytest.fixture
def example(tmp_path, servers):
    """example(name, toolchain): the project, copied, built and served; everything in it is still new."""

    def start(name, toolchain, packages=False, variables=None):
        environment, needed = toolchain()
        if not needed.exists():
            pytest.skip(f"no toolchain for {name}: {needed}")
        (tmp_path / "guest").symlink_to(ROOT / "guest")
        project = tmp_path / "examples" / name
        shutil.copytree(ROOT / "examples" / name, project, ignore=shutil.ignore_patterns("build", "target", ".nexus", "node_modules"))
        if packages:
            install_packages(project)
        run_nexus("build", cwd=project, environment=environment, timeout=300)
        return servers(project, environment=variables)

    return start


def fixture(server, name):
    return (server.folder / "events" / name).read_bytes()


def published(server, event_type):
    server.wait_until_idle()
    return [e["event"]["data"] for e in server.all_items("/events", "events") if e["event"]["type"] == event_type]


def outputs(server, function):
    """What each call of this function put out, in order."""
    server.wait_until_idle()
    calls = [server.get(f"/invocations/{c['id']}") for c in server.all_items(f"/invocations?function={function}", "invocations")]
    return [json.loads(o) if isinstance(o, str) else o for o in (call["output"] for call in calls if call["outcome"] == "ok")]


def replays_identically(server, count):
    done = run_nexus("replay", "--since", "1h", "--verify", "--output", "json", cwd=server.folder)
    report = json.loads(done.stdout)
    assert report["total"] == report["counts"]["identical"] == count, report


def test_welcome_mail_is_asked_for_once_per_address(example):
    server = example("welcome-mail", c)
    alice = fixture(server, "user.created.json")
    told = [alice] * 6 + [b'{"kind":"email","email":"bob@example.com"}', b'{"user_id":"nobody"}']
    with concurrent.futures.ThreadPoolExecutor(4) as clients:
        list(clients.map(lambda data: server.publish("user.created", data, {"content-type": "application/json"}), told))
    asked = published(server, "mail.requested")
    assert sorted(mail["to"] for mail in asked) == ["alice@example.com", "bob@example.com"]
    assert sorted(output["mail"] for output in outputs(server, "welcome-mail")) == ["asked"] * 2 + ["asked before"] * 5
    assert len(server.get("/dlq")["dead_letters"]) == 1  # the one without an address
    replays_identically(server, 8)


def test_the_webhook_lets_only_signed_bodies_through(example):
    server = example("webhook", go, variables={"WEBHOOK_SECRET": "change-me"})

    def post(body, signature):
        headers = {"content-type": "application/json", **({"x-signature-256": signature} if signature else {})}
        status, _, answer = server.request("POST", "/hooks/payments", body, headers)
        assert status == 202, answer
        server.wait_until_idle()

    body = fixture(server, "payment.json").strip()
    right = "sha256=" + hmac.new(b"change-me", body, hashlib.sha256).hexdigest()
    wrong = "sha256=" + hmac.new(b"another", body, hashlib.sha256).hexdigest()
    for sent, signature in [(body, right), (body, wrong), (body.replace(b"12.50", b"99.50"), right), (body, right[:-2]),
                            (body, "sha256="), (body, right.removeprefix("sha256=")), (body, None)]:
        post(sent, signature)
    assert published(server, "payment.received") == [json.loads(body)]
    assert [o["accepted"] for o in outputs(server, "payment-webhook")] == [True] + [False] * 6
    said = [json.loads(line) for line in run_nexus("logs", "--output", "json", cwd=server.folder).stdout.splitlines()]
    assert [line["level"] for line in said] == ["WARN"] * 6
    replays_identically(server, 7)


def test_csv_is_summed_and_each_wrong_line_named(example):
    server = example("csv", rust)
    server.publish("sales.uploaded", fixture(server, "sales.csv"), {"content-type": "text/csv"})
    summed = {"sales": 3, "wrong": 2, "cents": {"north": 200030, "south": 24990}}
    assert published(server, "sales.summed") == outputs(server, "sales-sum") == [summed]
    said = [json.loads(line) for line in run_nexus("logs", "--output", "json", cwd=server.folder).stdout.splitlines()]
    assert [line["text"] for line in said if line["level"] == "WARN"] == [
        "line 4: the quantity is no number", "line 5: the price is no amount"]
    replays_identically(server, 1)
    run(["cargo", "test", "--quiet"], server.folder, rust()[0])


def test_the_chain_goes_from_order_to_invoice(example):
    server = example("chain", node, packages=True)
    order = json.loads(fixture(server, "order.placed.json"))
    server.publish("order.placed", order)
    assert published(server, "invoice.issued") == [{"number": 1, "order": "o1", "total": "129.48"}]
    with concurrent.futures.ThreadPoolExecutor(4) as clients:
        list(clients.map(lambda n: server.publish("order.placed", {**order, "order": f"o{n}"}), range(2, 12)))
    server.publish("order.placed", {"order": "empty", "items": []})
    invoices = published(server, "invoice.issued")
    assert [invoice["number"] for invoice in invoices] == list(range(1, 12))  # in order, without gaps
    assert sorted(invoice["order"] for invoice in invoices) == sorted(f"o{n}" for n in range(1, 12))
    tree = run_nexus("trace", "EVENTS:1", cwd=server.folder).stdout
    assert tree.index("order.placed") < tree.index("order.priced") < tree.index("invoice.issued")
    assert "order.placed" in run_nexus("why", "EVENTS:3", cwd=server.folder).stdout
    replays_identically(server, 11 + 11 + 1)


def test_notes_are_made_read_changed_and_deleted_over_http(example):
    server = example("notes", c)
    text = fixture(server, "note.json")
    as_json = {"content-type": "application/json"}
    made = [server.request("POST", "/notes", text, {**as_json, "idempotency-key": "1"}) for _ in range(2)]
    status, headers, note = made[0]
    assert (status, headers["location"], note["text"]) == (201, f"/notes/{note['id']}", json.loads(text)["text"])
    assert (made[1][0], made[1][2], made[1][1]["idempotent-replayed"]) == (201, note, "true")
    path = headers["location"]
    assert server.get(path) == note
    assert server.request("PUT", path, {"text": "Milk"})[2] == {**note, "text": "Milk"}
    assert server.request("HEAD", path)[0] == 200
    assert server.request("DELETE", path)[0] == 204
    status, _, problem = server.request("GET", path)
    assert (status, problem["title"]) == (404, "there is no such note")
    assert server.request("POST", "/notes", {"text": ""})[0] == 422
    assert server.request("PATCH", path, {})[0] == 405
    status, headers, _ = server.request("OPTIONS", path, headers={
        "origin": "http://localhost:3000", "access-control-request-method": "PUT"})
    assert (status, headers["access-control-allow-methods"]) == (204, "GET, HEAD, PUT, DELETE")
    assert published(server, "note.made") == [{"id": note["id"]}]
    replays_identically(server, 7)

"""GET /events by source, subject and outcome: what is shown, page by page, with bounded work for each."""
import json
import threading

import pytest

from conftest import run_nexus


@pytest.fixture
def server(tmp_path, servers):
    """A node without functions."""
    (tmp_path / "nexus.yaml").write_text("version: v1\n")
    return servers(tmp_path)


def fill(server, count, first=0):
    """Events e0, e1, …: every 10th of /ten, every 7th about seven; the types take turns."""
    for start in range(first, first + count, 500):
        batch = [{"specversion": "1.0", "id": f"e{n}", "source": "/zehn/%C3%BC" if n % 10 == 0 else "/s",
                  "type": "a" if n % 2 else "b", **({"subject": "sieben ü"} if n % 7 == 0 else {})}
                 for n in range(start, min(start + 500, first + count))]
        status, _, _ = server.request("POST", "/events", json.dumps(batch),
                                      {"content-type": "application/cloudevents-batch+json"})
        assert status == 202


def ids(items):
    return [int(item["event"]["id"][1:]) for item in items]


def test_events_are_found_by_source_and_subject(server):
    fill(server, 300)
    source = "source=/zehn/%25C3%25BC"
    assert ids(server.get(f"/events?{source}")["events"]) == list(range(0, 300, 10))
    assert ids(server.get("/events?subject=sieben+%C3%BC")["events"]) == list(range(0, 300, 7))
    assert ids(server.get(f"/events?{source}&subject=sieben+%C3%BC&type=b")["events"]) == [0, 70, 140, 210, 280]
    assert ids(server.get(f"/events?{source}&type=a")["events"]) == []
    assert server.get("/events?source=/nobody")["at_end"]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_filtered_lists_go_page_by_page(server, order):
    fill(server, 300)
    expected = list(range(0, 300, 7))[::1 if order == "asc" else -1]
    found, cursor = [], ""
    for _ in range(100):
        page = server.get(f"/events?subject=sieben+%C3%BC&order={order}&limit=4{cursor}")
        assert len(page["events"]) <= 4
        found += ids(page["events"])
        if page["at_end"]:
            break
        cursor = f"&cursor={page['cursor']}"
    assert found == expected


def test_a_page_that_finds_nothing_ends_after_bounded_work(server):
    """More than a page may look through: it is answered with a cursor, and the cursor leads to the end."""
    fill(server, 150_000)
    fill(server, 1, 150_000 + 3)
    page = server.get("/events?subject=nothing&limit=10")
    assert page["events"] == [] and not page["at_end"]
    rounds = 0
    while not page["at_end"]:
        page = server.get(f"/events?subject=nothing&limit=10&cursor={page['cursor']}")
        rounds += 1
    assert 1 <= rounds <= 10


def test_a_long_poll_waits_for_what_fits(server):
    fill(server, 20)
    cursor = server.get("/events")["cursor"]
    answers = []
    poll = threading.Thread(target=lambda: answers.append(
        server.get(f"/events?cursor={cursor}&wait=20s&subject=sieben+%C3%BC")), daemon=True)
    poll.start()
    fill(server, 1, 20)  # does not fit
    fill(server, 1, 21)
    poll.join(15)
    assert ids(answers[0]["events"]) == [21]
    assert server.get(f"/events?cursor={answers[0]['cursor']}&wait=100ms&subject=x")["events"] == []


@pytest.mark.parametrize("path", ["/events", "/invocations"])
def test_a_wrong_outcome_is_answered_with_the_nearest(server, path):
    assert server.request("GET", f"{path}?outcome=trapp")[2]["hint"] == "did you mean 'trap'?"
    assert server.request("GET", f"{path}?outcome=failed")[2]["hint"].startswith("calls end as ok, exit, trap, ")


@pytest.mark.parametrize("path", ["/events?outcome=fine", "/events?type=%3E.x", "/events?sauce=x"])
def test_a_wrong_filter_is_refused(server, path):
    status, _, problem = server.request("GET", path)
    assert status == 400 and problem["detail"]


def test_events_are_found_by_what_became_of_them(project, servers):
    server = servers(project)
    good = [server.publish("user.created", {"user_id": f"u{n}"}) for n in range(5)]
    other = server.publish("nobody.listens", {})
    server.wait_until_idle()
    found = server.get("/events?outcome=ok")["events"]
    ran = [item["event"]["id"] for item in found]  # in the order in which the calls ended
    assert sorted(ran) == sorted(good)
    assert [item["event"]["id"] for item in server.get("/events?outcome=ok&order=desc")["events"]] == ran[::-1]
    assert server.get("/events?outcome=trap")["events"] == []
    assert server.get("/events?outcome=ok&type=nobody.listens")["events"] == []
    assert len(server.get("/events?outcome=ok&type=user.*")["events"]) == 5
    first = server.get("/events?outcome=ok&limit=2")
    rest = server.get(f"/events?outcome=ok&cursor={first['cursor']}")
    assert [item["event"]["id"] for item in first["events"] + rest["events"]] == ran
    assert other not in [item["event"]["id"] for item in found]


def up_and_down(server, *flags):
    """What nexus events prints: the server is asked, and once it is down the directory is read."""
    def listed():
        return [json.loads(line) for command in flags
                for line in run_nexus("events", *command, "--output", "json", cwd=server.folder).stdout.splitlines()]
    asked = listed()
    text = [run_nexus("events", *command, cwd=server.folder).stdout for command in flags]
    assert server.stop() == 0
    assert listed() == asked
    assert [run_nexus("events", *command, cwd=server.folder).stdout for command in flags] == text
    return asked


def test_the_command_finds_by_source_and_subject_with_the_server_up_and_down(server):
    fill(server, 1300)
    source, subject = ["--source", "/zehn/%C3%BC"], ["--subject", "sieben ü"]
    found = up_and_down(server, source, subject, [*source, *subject, "--type", "b"], [*source, "--type", "a"])
    assert ids(found) == [*range(0, 1300, 10), *range(0, 1300, 7), *range(0, 1300, 70)]
    done = run_nexus("events", "--source", "/nobody", cwd=server.folder)
    assert done.stdout == "" and "there are no such events" in done.stderr


def test_the_command_finds_by_outcome_with_the_server_up_and_down(project, servers):
    """Each event once, also where several calls of it ended so."""
    config = (project / "nexus.yaml").read_text()
    (project / "nexus.yaml").write_text(config.replace("    timeout: 5s\n", "    retry: {max_attempts: 1}\n"))
    server = servers(project)
    good = [server.publish("user.created", {"user_id": f"u{n}"}) for n in range(5)]
    bad = server.publish("user.created", {"name": "no user_id"})
    server.publish("nobody.listens", {})
    server.wait_until_idle()
    run_nexus("replay", good[0], "--live", cwd=project)
    found = [item["event"]["id"] for item in
             up_and_down(server, ["--outcome", "ok"], ["--outcome", "exit"], ["--outcome", "trap"],
                         ["--outcome", "ok", "--type", "nobody.*"])]
    assert sorted(found[:5]) == sorted(good) and found[5:] == [bad]


@pytest.mark.parametrize("flags, told", [
    (["--outcome", "trapp"], "no call ends as 'trapp' [INVALID_ARGUMENT]\nhint: did you mean: --outcome trap?\n"),
    (["--outcome", "fine"], "hint: calls end as ok, exit, trap, "),
    (["--dlq", "--subject", "x"], "--dlq lists dead letters: --type, --source, --subject, --outcome"),
])
def test_the_command_refuses_a_wrong_filter(tmp_path, flags, told):
    assert told in run_nexus("events", *flags, cwd=tmp_path, status=2).stderr


@pytest.mark.parametrize("filters", ["outcome=deadline", "type=nobody", "source=nobody"])
def test_nobody_waits_for_what_can_no_longer_come(filters, project, servers):
    server = servers(project)
    server.publish("user.created", {"user_id": "u1"})
    server.wait_until_idle()
    page = server.get(f"/events?{filters}&until=1h&wait=20s")
    assert page["events"] == [] and page["at_end"]

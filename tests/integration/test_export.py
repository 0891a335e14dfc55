"""nexus export and nexus import: events leave one log and enter another as they were."""
import json
import subprocess

import pytest

from conftest import NEXUS, run_nexus


@pytest.fixture
def source(project, servers):
    """A log with events of three kinds of data, one of them published by the function."""
    server = servers(project, "start")
    server.publish("user.created", {"user_id": "u42", "name": "Zoë"})
    server.request("POST", "/events/note", "grüße\n".encode(), {"content-type": "text/plain"})
    server.request("POST", "/events/blob", b"\xff\x00", {"content-type": "application/octet-stream"})
    server.wait_until_idle()
    return server


@pytest.fixture
def target(tmp_path, servers):
    """An empty log without functions."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "nexus.yaml").write_text("version: v1\n")
    return servers(tmp_path / "other", "start")


def events_of(server):
    return [item["event"] for item in server.all_items("/events", "events")]


def without_trace(events):
    return sorted(({k: v for k, v in e.items() if k != "traceparent"} for e in events), key=lambda e: e["id"])


def test_lines_and_batch_hold_the_same_events_online_and_offline(source):
    stored = events_of(source)
    lines = run_nexus("export", cwd=source.folder).stdout
    batch = run_nexus("export", "--format", "batch", cwd=source.folder).stdout
    assert len(stored) == 4 and [json.loads(line) for line in lines.splitlines()] == stored == json.loads(batch)
    source.stop()
    assert run_nexus("export", cwd=source.folder).stdout == lines
    assert run_nexus("export", "--format", "batch", cwd=source.folder).stdout == batch


def test_export_is_filtered(source):
    def types(*filters):
        return [json.loads(line)["type"] for line in run_nexus("export", *filters, cwd=source.folder).stdout.splitlines()]

    assert types("--type", "user.*") == ["user.created", "user.welcomed"]
    assert sorted(types("--outside")) == ["blob", "note", "user.created"]
    assert types("--until", "1h") == []
    assert json.loads(run_nexus("export", "--until", "1h", "--format", "batch", cwd=source.folder).stdout) == []


@pytest.mark.parametrize("export", [["export"], ["export", "--format", "batch"], ["events", "--output", "json"]])
def test_what_was_exported_is_imported_as_it_was(source, target, export):
    (target.folder / "events").write_text(run_nexus(*export, cwd=source.folder).stdout)
    assert run_nexus("import", "events", cwd=target.folder).stdout == "OK 4 events stored\n"
    assert without_trace(events_of(target)) == without_trace(events_of(source))
    again = run_nexus("import", "events", cwd=target.folder)
    assert again.stdout == "OK 0 events stored, 4 were there already\n"


def test_a_file_larger_than_one_batch_is_imported_in_order(target):
    lines = [json.dumps({"specversion": "1.0", "id": str(i), "source": "/s", "type": "n", "data": i})
             for i in range(1203)]
    (target.folder / "events").write_text("\n".join(lines) + "\n\n")
    assert run_nexus("import", "events", cwd=target.folder).stdout == "OK 1203 events stored\n"
    assert [event["data"] for event in events_of(target)] == list(range(1203))


def test_what_is_wrong_with_a_file_is_said_with_its_place(target):
    good = json.dumps({"specversion": "1.0", "id": "a", "source": "/s", "type": "n"})
    (target.folder / "events").write_text(f"{good}\n{{nonsense\n")
    done = run_nexus("import", "events", cwd=target.folder, status=1)
    assert "nexus: events:2: line 1, column 2 (byte 1): " in done.stderr
    (target.folder / "events").write_text(f"{good}\n{good.replace('/s', '')}\n")
    done = run_nexus("import", "events", cwd=target.folder, status=1)
    assert "events 1 to 2 (0 before them are stored)" in done.stderr and "source" in done.stderr
    assert events_of(target) == []
    assert "nothing.jsonl" in run_nexus("import", "nothing.jsonl", cwd=target.folder, status=1).stderr
    target.stop()
    done = run_nexus("import", "events", cwd=target.folder, status=1)
    assert "no server runs on" in done.stderr and "hint: events are stored by the server" in done.stderr


def test_standard_input_is_imported(source, target):
    def imported(text, status=0):
        done = subprocess.run([NEXUS, "import", "-"], cwd=target.folder, input=text, capture_output=True, text=True,
                              timeout=60)
        assert done.returncode == status, done.stderr
        return done
    lines = run_nexus("export", cwd=source.folder).stdout
    assert imported(lines).stdout == "OK 4 events stored\n"
    assert without_trace(events_of(target)) == without_trace(events_of(source))
    assert imported("").stdout == "OK 0 events stored\n"
    assert "nexus: standard input:1: line 1, column 2 (byte 1): " in imported("{nonsense\n", status=1).stderr

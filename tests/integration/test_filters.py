"""Filters on events: a function runs for those it asks for, before and after a restart, and for no other."""
import shutil

from conftest import run_nexus

MANIFEST = """version: v1
functions:
  - name: french
    code: build/welcome.wasm
    from: all
    on:
      event:
        type: user.created
        filters:
          - exact: {data.country: FR}
          - not: {prefix: {source: /test}}
"""


def publish(server, number, country, source):
    status, _, body = server.request("POST", "/events/user.created",
                                     {"user_id": f"u{number}", "country": country},
                                     {"ce-specversion": "1.0", "ce-id": str(number), "ce-source": source,
                                      "ce-type": "user.created"})
    assert status == 202, body


def users_handled(server):
    calls = server.all_items("/invocations", "invocations")
    events = {item["reference"]: item["event"] for item in server.all_items("/events", "events")}
    return [events[call["event"]]["data"]["user_id"] for call in calls]


def test_only_what_passes_the_filters_runs(built_project, tmp_path, servers):
    folder = tmp_path / "app"
    shutil.copytree(built_project, folder, ignore=shutil.ignore_patterns(".nexus"))
    (folder / "nexus.yaml").write_text(MANIFEST)
    server = servers(folder)
    publish(server, 1, "FR", "/shop")
    publish(server, 2, "DE", "/shop")
    publish(server, 3, "FR", "/test/a")
    publish(server, 4, "FR", "/shop")
    server.wait_until_idle()
    assert sorted(users_handled(server)) == ["u1", "u4"]
    assert server.get("/functions")["functions"][0]["on"][0]["filter"] == {
        "all": [{"exact": {"data.country": "FR"}}, {"not": {"prefix": {"source": "/test"}}}]}

    server.kill()
    server = servers(folder)
    publish(server, 5, "DE", "/shop")
    publish(server, 6, "FR", "/shop")
    server.wait_until_idle()
    assert sorted(users_handled(server)) == ["u1", "u4", "u6"]
    unmatched = run_nexus("events", "--unmatched", "--type", "user.created", cwd=folder).stdout
    assert [line.split()[2] for line in unmatched.splitlines()] == ["2", "3", "5"]


def test_a_function_that_comes_later_reads_back_through_its_filter(built_project, tmp_path, servers):
    folder = tmp_path / "app"
    shutil.copytree(built_project, folder, ignore=shutil.ignore_patterns(".nexus"))
    (folder / "nexus.yaml").write_text("version: v1\nfunctions: []\n")
    server = servers(folder)
    for number in range(40):
        publish(server, number, "FR" if number % 10 == 0 else "DE", "/shop")
    assert server.stop() == 0
    (folder / "nexus.yaml").write_text(MANIFEST)
    server = servers(folder)
    server.wait_until_idle()
    assert sorted(users_handled(server)) == ["u0", "u10", "u20", "u30"]

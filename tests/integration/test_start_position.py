"""Where a function begins in the events that were there before it: from new, all, a sequence, a time."""
import time

FUNCTION = """  - name: {name}
    on: {{event: {{type: ticket.sold}}}}
    code: ./build/welcome.wasm
    from: {start}
"""


def handled(server, name):
    """Whose tickets the function has seen, in the order of the log."""
    server.wait_until_idle()
    user_of = {item["reference"]: item["event"]["data"]["user_id"] for item in server.all_items("/events", "events")}
    calls = server.all_items(f"/invocations?function={name}", "invocations")
    return [user_of[reference] for reference in sorted({call["event"] for call in calls}, key=lambda r: int(r.split(":")[1]))]


def test_a_function_begins_where_its_manifest_says(project, servers):
    (project / "nexus.yaml").write_text("version: v1\n")
    server = servers(project, "start")
    for user in ("a", "b", "c"):
        time.sleep(0.01)  # a time in the manifest is one of milliseconds
        last = server.publish("ticket.sold", {"user_id": user})
    sold_at = server.get(f"/events/{last}")["time"]
    assert server.stop() == 0

    starts = {"fresh": "new", "whole": "all", "second": "2", "late": f'"{sold_at}"'}
    functions = "".join(FUNCTION.format(name=name, start=start) for name, start in starts.items())
    (project / "nexus.yaml").write_text(f"version: v1\nfunctions:\n{functions}")
    server = servers(project, "start")
    assert handled(server, "fresh") == []
    server.publish("ticket.sold", {"user_id": "d"})
    expected = {"fresh": ["d"], "whole": ["a", "b", "c", "d"], "second": ["b", "c", "d"], "late": ["c", "d"]}
    assert {name: handled(server, name) for name in starts} == expected
    server.kill()

    server = servers(project, "start")
    again = {name: handled(server, name) for name in starts}
    assert again == expected, "the start is chosen once, when the function is new"

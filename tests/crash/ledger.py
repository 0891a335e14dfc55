"""What the crash tests share: a function whose effects can be counted, clients, and the check after the last start."""

import http.client
import json
import random
import subprocess
import threading

import conftest

FOLDER = conftest.ROOT / "tests" / "crash"
CLIENTS = 6
MANIFEST = """version: v1
functions:
  - name: ledger
    on: {event: {type: ledger.input}}
    runtime: wasi-preview1
    code: ./ledger.wasm
    max_concurrency: 1
"""


def make_project(folder):
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["clang-19", "--target=wasm32-wasi", "-O2", "-s", f"-I{conftest.ROOT / 'guest' / 'c'}",
                    "-Wl,-z,stack-size=65536", FOLDER / "ledger.c", "-o", folder / "ledger.wasm"], check=True)
    (folder / "nexus.yaml").write_text(MANIFEST)
    return folder


def build_shim(folder):
    """power_cut_shim.c as a library that LD_PRELOAD takes."""
    library = folder / "power_cut_shim.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, FOLDER / "power_cut_shim.c", "-ldl", "-lpthread"],
                   check=True)
    return library


class Ledger:
    """What was sent and what was acknowledged, over all runs of the server."""

    def __init__(self, seed):
        self.seed = seed
        self.sent = {}  # id: data
        self.acknowledged = []
        self.lock = threading.Lock()

    def post_until_it_ends(self, server, run, until):
        """Clients post one event after the other until the server ends or `until` is set."""
        threads = [threading.Thread(target=self._client, args=(server.port, run, client, until))
                   for client in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _client(self, port, run, client, until):
        chance = random.Random(f"{self.seed}-{run}-{client}")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for n in range(100000):
            if until.is_set():
                break
            event = f"e-{self.seed}-{run}-{client}-{n:06d}"
            data = {"n": n, "fill": "x" * chance.randrange(0, 2000)}
            with self.lock:
                self.sent[event] = data
            try:
                connection.request("POST", "/events/ledger.input", json.dumps(data), {
                    "content-type": "application/json", "ce-specversion": "1.0", "ce-id": event,
                    "ce-source": "/crash", "ce-type": "ledger.input"})
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                break
            if answer.status == 202:
                with self.lock:
                    self.acknowledged.append(event)
            elif answer.status in (503, 507):
                break  # the log says that it takes no more
            else:
                raise AssertionError(f"{event}: {answer.status}")
        connection.close()

    def check(self, server):
        """Acknowledged = readable, in order, unchanged, nothing invented; each effect once."""
        server.wait_until_idle()
        events = self._events(server, "ledger.input")
        stored = {}
        for event in events:
            assert event["id"] not in stored, f"{event['id']} is there twice"
            stored[event["id"]] = event["data"]
        missing = [event for event in self.acknowledged if event not in stored]
        assert not missing, f"{len(missing)} acknowledged events are gone, the first: {missing[0]}"
        for event, data in stored.items():
            assert self.sent.get(event) == data, f"{event} is not what was sent"
        self._check_order([event["id"] for event in events])
        entries = [event["data"] for event in self._events(server, "ledger.entry")]
        seen = sorted(entry["id"] for entry in entries)
        assert seen == sorted(stored), "each stored event has exactly one entry"
        assert sorted(entry["count"] for entry in entries) == list(range(1, len(entries) + 1))

    @staticmethod
    def _events(server, event_type):
        return [item["event"] for item in server.all_items(f"/events?type={event_type}", "events")]

    @staticmethod
    def _check_order(ids):
        """A client sends one after the other, so its events stand in the log in that order."""
        of_client = {}
        for event in ids:
            client, _, number = event.rpartition("-")
            of_client.setdefault(client, []).append(int(number))
        for client, numbers in of_client.items():
            assert numbers in (sorted(numbers), sorted(numbers, reverse=True)), f"{client} is out of order"

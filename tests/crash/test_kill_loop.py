"""kill -9 in a loop under load: what was acknowledged is there, in order, unchanged, and handled exactly once.

Clients publish numbered events while the server is killed at a random moment, again and again on the same data.
After each restart every event acknowledged before the kill must be readable and unchanged; and after each of a few
rounds, or every twentieth of many, all events of all rounds: a client's stand in the log in the order in which it sent
them, each was handled by exactly one successful call, and each call left its effects once: a counter raised and an
event published.

NEXUS_KILL_ROUNDS: how often it is killed (5). NEXUS_KILL_SEED: repeats the moments of one run.
"""
import http.client
import json
import os
import random
import threading
import time

from conftest import run_nexus

ROUNDS = int(os.environ.get("NEXUS_KILL_ROUNDS", "5"))
SEED = int(os.environ.get("NEXUS_KILL_SEED", str(random.SystemRandom().randrange(1 << 32))))
CLIENTS = 6
FEW_ROUNDS = 20  # all is looked at after each of so few, and after each so many of more


class Client(threading.Thread):
    """Publishes numbered events over one connection until the server is gone."""

    def __init__(self, server, name, first):
        super().__init__(daemon=True)
        self.server, self.name_of_client, self.number = server, name, first
        self.acknowledged = []  # (id, number), in the order of sending
        self.trouble = None

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        while True:
            number, self.number = self.number, self.number + 1
            event = f"{self.name_of_client}-{number}"
            headers = {"ce-id": event, "ce-source": "/crash", "ce-type": "user.created", "ce-specversion": "1.0"}
            body = json.dumps({"user_id": f"{self.name_of_client}-{number % 7}", "number": number})
            try:
                connection.request("POST", "/events/user.created", body,
                                   {**headers, "content-type": "application/json"})
                answer = connection.getresponse()
                content = json.loads(answer.read())
            except (OSError, http.client.HTTPException, ValueError):
                return  # killed meanwhile: nothing is known of this event
            if answer.status == 202:
                self.acknowledged.append((content["event_id"], number))
                if content["event_id"] != event or content["status"] != "published":
                    self.trouble = f"{event} was answered {content}"
                    return
            elif answer.status != 503:
                self.trouble = f"{event} was answered {answer.status}: {content}"
                return


def check_newest(server, clients):
    """What was acknowledged in this round is there."""
    for client in clients:
        for event, number in client.acknowledged:
            data = server.get(f"/events/{event}")["data"]
            assert data == {"user_id": f"{client.name_of_client}-{number % 7}", "number": number}


def check(server, acknowledged):
    """`acknowledged`: client's name -> [(event id, number)] of all rounds."""
    server.wait_until_idle()
    listed = server.all_items("/events", "events")
    places = [int(item["reference"].split(":")[1]) for item in listed]
    assert places == sorted(set(places)), "the log is not in order"
    place_of = {item["event"]["id"]: place for item, place in zip(listed, places)}
    event_of = {item["reference"]: item["event"] for item in listed}
    data_of = {item["event"]["id"]: item["event"]["data"] for item in listed}

    for client, events in acknowledged.items():
        for event, number in events:
            assert event in place_of, f"the acknowledged {event} is gone"
            assert data_of[event] == {"user_id": f"{client}-{number % 7}", "number": number}
        order = [place_of[event] for event, _ in events]
        assert order == sorted(order), f"the events of {client} are out of order"

    created = {e["id"] for e in event_of.values() if e["type"] == "user.created"}
    calls = server.all_items("/invocations?details=true", "invocations")
    successful = [call for call in calls if call["outcome"] == "ok"]
    handled = [event_of[call["event"]]["id"] for call in successful]
    assert len(handled) == len(set(handled)), "an event was handled twice"
    assert set(handled) == created, "an event was not handled"
    check_effects(event_of, successful)
    return len(created)


def check_effects(event_of, successful):
    """Each user's counter went 1, 2, 3 … over its calls, and the first of them published the welcome."""
    visits, welcomes = {}, 0
    for call in successful:
        output = json.loads(call["output"])
        visits.setdefault(output["user_id"], []).append(output["visits"])
        welcomes += any(effect["kind"] == "publish" for effect in call["effects"])
    for user, seen in visits.items():
        assert sorted(seen) == list(range(1, len(seen) + 1)), f"the counter of {user} went {sorted(seen)}"
        assert seen == sorted(seen), f"the calls of {user} were out of order: {seen}"
    welcomed = [e["data"]["user_id"] for e in event_of.values() if e["type"] == "user.welcomed"]
    assert sorted(welcomed) == sorted(visits), "an effect is missing, or happened twice"
    assert welcomes == len(welcomed)


def test_acknowledged_events_survive_being_killed_again_and_again(project, servers):
    chance = random.Random(SEED)
    print(f"NEXUS_KILL_SEED={SEED}")
    acknowledged = {f"client{n}": [] for n in range(CLIENTS)}
    next_number = dict.fromkeys(acknowledged, 0)
    handled = 0
    for number in range(1, ROUNDS + 1):
        server = servers(project)
        clients = [Client(server, name, next_number[name]) for name in acknowledged]
        for client in clients:
            client.start()
        time.sleep(chance.uniform(0.05, 0.8))
        server.kill()
        for client in clients:
            client.join(60)
            assert client.trouble is None, client.trouble
            acknowledged[client.name_of_client] += client.acknowledged
            next_number[client.name_of_client] = client.number
        if chance.random() < 0.5:
            # Killed in the middle of recovery, or of catching up with what was left.
            server = servers(project)
            time.sleep(chance.uniform(0, 0.05))
            server.kill()
        server = servers(project)
        check_newest(server, clients)
        if ROUNDS <= FEW_ROUNDS or number % FEW_ROUNDS == 0 or number == ROUNDS:
            handled = check(server, acknowledged)
        server.kill() if chance.random() < 0.7 else server.stop()
    assert handled >= sum(len(events) for events in acknowledged.values()) > 0

    verified = run_nexus("replay", "--since", "1d", "--verify", "--output", "json", cwd=project, timeout=600)
    assert json.loads(verified.stdout)["identical"] is True

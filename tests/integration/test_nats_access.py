"""Who may connect to the NATS face and do what, over real sockets: users, permissions, accounts, reload."""
import base64
import binascii
import json
import re
import signal
import socket
import subprocess
import time

import pytest

from conftest import run_nexus

HASH = "$2b$04$U50vEK1GlQPhlauQ6InGkOwAst1vbPQCle/n2IhytU97dXNR5/GR."  # of "s3cret", at the lowest cost
SLOW_HASH = "$2b$13$fdoBDk2HGNaIf7gYGG9qAOZTknBwPJgJd7vpanCHO5HOOwsBmv.2a"  # of "slow", at a high cost
NKEY = "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK"

USERS = f"""version: v1
listen: {{nats: 127.0.0.1:0}}
nats:
  auth_timeout: 1s
  users:
  - {{user: ann, password: {{from_env: ANN_PASSWORD}}, account: A}}
  - user: bob
    password: '{HASH}'
    permissions:
      publish: {{allow: [foo.*], deny: foo.bad}}
      subscribe: [foo.*, "jobs workers"]
  - user: carl
    password: c
    permissions: {{subscribe: requests.>, allow_responses: true}}
  - {{nkey: {NKEY}}}
  - {{user: slow, password: '{SLOW_HASH}'}}
"""


class Client:
    """The protocol as it is typed."""

    def __init__(self, port, **options):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.file = self.socket.makefile("rb")
        self.info = json.loads(self.line().removeprefix("INFO "))
        if options:
            self.say("CONNECT " + json.dumps({"verbose": False, "pedantic": False, **options}) + "\r\nPING\r\n")

    def say(self, text):
        self.socket.sendall(text.encode())
        return self

    def line(self):
        return self.file.readline().decode().rstrip("\r\n")

    def lines(self, count):
        return [self.line() for _ in range(count)]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "nexus.yaml").write_text(USERS)
    return tmp_path


@pytest.fixture
def connect(folder, servers, monkeypatch):
    monkeypatch.setenv("ANN_PASSWORD", "from the environment")
    server = servers(folder, "dev")
    port = json.loads((folder / ".nexus" / "ports.json").read_text())["nats"]["port"]
    clients = []

    def one(**options):
        clients.append(Client(port, **options))
        return clients[-1]

    one.server = server
    yield one
    for client in clients:
        client.socket.close()


def test_only_who_has_the_credentials_is_let_in(connect):
    assert connect().info["auth_required"] is True
    assert connect(user="ann", **{"pass": "from the environment"}).line() == "PONG"
    assert connect(user="bob", **{"pass": "s3cret"}).line() == "PONG"
    for wrong in ({"user": "ann", "pass": "x"}, {"user": "bob", "pass": HASH}, {"user": "nobody", "pass": ""},
                  {"auth_token": "c"}, {"nkey": NKEY, "sig": "AAAA"}, {"nkey": NKEY}, {"name": "no credentials"}):
        client = connect(**wrong)
        assert client.lines(2) == ["-ERR 'Authorization Violation'", ""], wrong
    client = connect().say("PING\r\n")
    assert client.lines(2) == ["-ERR 'Authorization Violation'", ""]


def test_an_nkey_signs_the_nonce(tmp_path, servers):
    def openssl(*arguments):
        done = subprocess.run(["openssl", *arguments], cwd=tmp_path, capture_output=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    openssl("genpkey", "-algorithm", "ed25519", "-out", "seed.pem")
    raw = bytes([20 << 3]) + openssl("pkey", "-in", "seed.pem", "-pubout", "-outform", "DER")[-32:]
    nkey = base64.b32encode(raw + binascii.crc_hqx(raw, 0).to_bytes(2, "little")).decode()
    (tmp_path / "nexus.yaml").write_text(f"version: v1\nlisten: {{nats: 127.0.0.1:0}}\nnats: {{users: [{{nkey: {nkey}}}]}}\n")
    servers(tmp_path, "start")
    port = json.loads((tmp_path / ".nexus" / "ports.json").read_text())["nats"]["port"]

    def sign(nonce):
        (tmp_path / "nonce").write_text(nonce)
        return openssl("pkeyutl", "-sign", "-rawin", "-inkey", "seed.pem", "-in", "nonce")

    nonces = set()
    for encode in (lambda s: base64.urlsafe_b64encode(s).rstrip(b"="), base64.b64encode):
        client = Client(port)
        nonces.add(client.info["nonce"])
        client.say("CONNECT " + json.dumps({"verbose": False, "nkey": nkey,
                                            "sig": encode(sign(client.info["nonce"])).decode()}) + "\r\nPING\r\n")
        assert client.line() == "PONG"
    assert len(nonces) == 2
    client = Client(port)  # what was signed for another connection is worth nothing here
    client.say("CONNECT " + json.dumps({"nkey": nkey, "sig": base64.b64encode(sign(nonces.pop())).decode()}) + "\r\n")
    assert client.lines(2) == ["-ERR 'Authorization Violation'", ""]


def test_who_says_nothing_is_sent_away(connect):
    client = connect()
    start = time.monotonic()
    assert client.lines(2) == ["-ERR 'Authentication Timeout'", ""]
    assert time.monotonic() - start < 10


def test_permissions_hold_in_natss_own_words(connect):
    bob = connect(user="bob", **{"pass": "s3cret"})
    bob.say("PUB foo.bad 1\r\nx\r\nPUB bar 1\r\nx\r\nSUB bar 1\r\nSUB jobs 2\r\nSUB jobs others 3\r\nSUB jobs workers 4\r\n"
            "SUB foo.> 5\r\nSUB foo.* 6\r\nPUB foo.a 2\r\nhi\r\n")
    assert bob.lines(9) == [
        "PONG",
        """-ERR 'Permissions Violation for Publish to "foo.bad"'""",
        """-ERR 'Permissions Violation for Publish to "bar"'""",
        """-ERR 'Permissions Violation for Subscription to "bar"'""",
        """-ERR 'Permissions Violation for Subscription to "jobs"'""",
        """-ERR 'Permissions Violation for Subscription to "jobs" using queue "others"'""",
        """-ERR 'Permissions Violation for Subscription to "foo.>"'""",
        "MSG foo.a 6 2",
        "hi",
    ]


def test_a_service_answers_only_what_it_was_asked(connect):
    key_user = connect(user="bob", **{"pass": "s3cret"})
    service = connect(user="carl", **{"pass": "c"}).say("SUB requests.> 1\r\nPUB foo.reply 1\r\nx\r\nPING\r\n")
    assert service.lines(3) == ["PONG", """-ERR 'Permissions Violation for Publish to "foo.reply"'""", "PONG"]
    assert key_user.line() == "PONG"


def test_passwords_of_strangers_stop_nobody(connect):
    ann = connect(user="ann", **{"pass": "from the environment"})
    assert ann.line() == "PONG"
    strangers = [connect(user="slow", **{"pass": "wrong"}) for _ in range(4)]  # half a second each
    assert ann.say("PING\r\n").line() == "PONG"
    for stranger in strangers[1:]:
        stranger.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            stranger.socket.recv(1)
        stranger.socket.setblocking(True)
    assert [s.line() for s in strangers] == ["-ERR 'Authorization Violation'"] * 4
    assert connect(user="slow", **{"pass": "slow"}).line() == "PONG"
    start = time.monotonic()
    assert [connect(user="slow", **{"pass": "slow"}).line() for _ in range(40)] == ["PONG"] * 40
    assert time.monotonic() - start < 10  # who was known once is known: 40 comparisons take 20 s and more


def test_accounts_hear_nothing_of_each_other(connect):
    ann = connect(user="ann", **{"pass": "from the environment"}).say("SUB > 1\r\nPING\r\n")
    assert ann.lines(2) == ["PONG", "PONG"]
    bob = connect(user="bob", **{"pass": "s3cret"}).say("SUB foo.* 1\r\nPUB foo.a 1\r\nb\r\n")
    assert bob.lines(3) == ["PONG", "MSG foo.a 1 1", "b"]
    ann.say("PUB foo.a 1\r\na\r\n")
    assert ann.lines(2) == ["MSG foo.a 1 1", "a"]
    assert bob.say("PING\r\n").line() == "PONG"


def test_a_changed_file_is_taken_by_running_connections(connect, folder):
    ann = connect(user="ann", **{"pass": "from the environment"})
    bob = connect(user="bob", **{"pass": "s3cret"}).say("SUB foo.* 1\r\n")
    assert [ann.line(), bob.line()] == ["PONG", "PONG"]
    text = re.sub(r"  - \{user: ann.*\n", "", USERS).replace('subscribe: [foo.*, ', "subscribe: [bar, ")
    (folder / "nexus.yaml").write_text(text)
    assert ann.lines(2) == ["-ERR 'Authorization Violation'", ""]
    assert bob.line() == """-ERR 'Permissions Violation for Subscription to "foo.*" (sid "1")'"""
    assert bob.say("SUB bar 2\r\nPING\r\n").line() == "PONG"


def test_a_hangup_signal_takes_the_changed_file(folder, servers, monkeypatch):
    monkeypatch.setenv("ANN_PASSWORD", "a")
    server = servers(folder, "start")
    port = json.loads((folder / ".nexus" / "ports.json").read_text())["nats"]["port"]
    ann = Client(port, user="ann", **{"pass": "a"})
    assert ann.line() == "PONG"
    (folder / "nexus.yaml").write_text(USERS.replace("{from_env: ANN_PASSWORD}", "changed"))
    server.process.send_signal(signal.SIGHUP)
    assert ann.lines(2) == ["-ERR 'Authorization Violation'", ""]
    assert Client(port, user="ann", **{"pass": "changed"}).line() == "PONG"


def test_a_lame_duck_sends_its_clients_away_and_ends(folder, servers, monkeypatch):
    monkeypatch.setenv("ANN_PASSWORD", "a")
    server = servers(folder, "start")
    port = json.loads((folder / ".nexus" / "ports.json").read_text())["nats"]["port"]
    ann = Client(port, user="ann", **{"pass": "a"})
    assert ann.line() == "PONG"
    server.process.send_signal(signal.SIGUSR2)
    assert json.loads(ann.line().removeprefix("INFO "))["ldm"] is True
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    assert ann.say("SUB a 1\r\nPUB a 1\r\nx\r\n").lines(2) == ["MSG a 1 1", "x"]  # it is served until it goes
    ann.file.close()
    ann.socket.close()
    assert server.process.wait(20) == 0


def test_a_missing_secret_is_told_and_no_secret_is_shown(folder, monkeypatch):
    monkeypatch.delenv("ANN_PASSWORD", raising=False)
    done = run_nexus("start", "--http", "127.0.0.1:0", cwd=folder, status=1)
    assert "ANN_PASSWORD is not set" in done.stderr
    for form, told in ("text", "nats://127.0.0.1:0, for 5 users\n"), ("json", '"nats_users":5'):
        shown = run_nexus("config", "--output", form, cwd=folder)
        assert told in shown.stdout
        assert HASH not in shown.stdout + shown.stderr and "password" not in shown.stdout


def test_others_reach_nats_only_with_credentials(tmp_path):
    (tmp_path / "nexus.yaml").write_text("version: v1\nlisten: {nats: '0.0.0.0:0'}\n")
    done = run_nexus("start", "--http", "127.0.0.1:0", cwd=tmp_path, status=1)
    assert "listen.nats needs users or a token" in done.stderr
    (tmp_path / "nexus.yaml").write_text("version: v1\n")
    done = run_nexus("start", "--http", "127.0.0.1:0", "--nats", "0.0.0.0:0", cwd=tmp_path, status=1)
    assert "without credentials the server listens on loopback only" in done.stderr

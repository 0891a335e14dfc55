"""nexus nats-server: a server started as people's scripts and clients' tests start nats-server."""
import hashlib
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time

import pytest

from conftest import NEXUS, ROOT, run_nexus
from test_nats import Client

LINE = re.compile(r"^\[(\d+)\] \d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{6} \[(INF|WRN|ERR|FTL)\] (.*)$")
START_LIMIT_S = 60


class NatsServer:
    def __init__(self, folder, *arguments, program=(NEXUS, "nats-server"), environment=None):
        self.folder = folder
        self.process = subprocess.Popen([*program, *arguments], cwd=folder, stderr=subprocess.PIPE, text=True,
                                        env={**os.environ, **(environment or {})})
        self.lines = []
        while not self.lines or self.lines[-1][1] != "Server is ready":
            self.lines.append(self.next_line())

    def next_line(self):
        """(level, text) of the next line, which has nats-server's form and names our process."""
        line = self.process.stderr.readline()
        match = LINE.match(line)
        assert match, (line, self.lines)
        assert int(match[1]) == self.process.pid
        return match[2], match[3]

    def line_with(self, part):
        return next(text for _, text in self.lines if part in text)

    @property
    def port(self):
        return int(self.line_with("Listening for client connections on ").rsplit(":", 1)[1])

    def ports(self):
        return json.loads((self.folder / f"nats-server_{self.process.pid}.ports").read_text())

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        status = self.process.wait(30)
        self.lines += [LINE.match(line).group(2, 3) for line in self.process.stderr]
        return status


@pytest.fixture
def nats_server(tmp_path):
    running = []

    def start(*arguments, **options):
        running.append(NatsServer(tmp_path, *arguments, **options))
        return running[-1]

    yield start
    for server in running:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
        server.process.stderr.close()


def test_it_says_what_clients_tests_wait_for(nats_server):
    server = nats_server("-p", "-1", "-n", "mine")
    texts = [text for _, text in server.lines]
    assert texts[0] == "Starting nats-server"
    assert re.fullmatch(r"  Version:  2\.\d+\.\d+", texts[1])
    assert "  Name:     mine" in texts
    assert server.line_with("Listening for") == f"Listening for client connections on 127.0.0.1:{server.port}"
    client = Client(server.port)
    assert client.info["server_name"] == "mine"
    client.settled()
    client.socket.close()
    assert server.stop() == 0
    assert [text for _, text in server.lines[-3:]] == ['Trapped "terminated" signal', "Initiating Shutdown...",
                                                       "Server Exiting.."]


def test_by_the_name_nats_server_it_is_this_command(nats_server, tmp_path):
    (tmp_path / "nats-server").symlink_to(NEXUS)
    server = nats_server("--port=-1", "--ports_file_dir", ".", "-P", "pid", program=(str(tmp_path / "nats-server"),))
    assert server.ports() == {"nats": [f"nats://127.0.0.1:{server.port}"]}
    assert (tmp_path / "pid").read_text() == str(server.process.pid)
    assert (tmp_path / "pid").stat().st_mode & 0o777 == 0o644  # for whoever looks for the server
    assert server.stop() == 0
    assert not list(tmp_path.glob("*.ports"))
    done = subprocess.run([str(tmp_path / "nats-server"), "--version"], capture_output=True, text=True, check=True)
    assert re.match(r"nats-server: v2\.\d+\.\d+ \(nexus ", done.stdout)
    assert run_nexus("nats-server", "version", cwd=tmp_path).stdout == done.stdout
    assert run_nexus("nats-server", "help", cwd=tmp_path).stdout.startswith("nexus nats-server: ")
    assert "does not expect 'start'" in run_nexus("nats-server", "start", cwd=tmp_path, status=2).stderr


def test_the_file_is_read_and_the_command_line_counts_more(nats_server, tmp_path):
    (tmp_path / "names.conf").write_text("server_name: $NAME\n")
    (tmp_path / "s.conf").write_text("# ours\nlisten: 127.0.0.1:4222\ninclude names.conf\nlog_file: server.log\n")
    server = subprocess.Popen([NEXUS, "nats-server", "-c", "s.conf", "-p", "-1", "-ports_file_dir=."], cwd=tmp_path,
                              env={**os.environ, "NAME": "from-environment"}, stderr=subprocess.PIPE, text=True)
    try:
        path, deadline = tmp_path / f"nats-server_{server.pid}.ports", time.monotonic() + START_LIMIT_S
        while not path.exists():
            assert server.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        port = int(json.loads(path.read_text())["nats"][0].rsplit(":", 1)[1])
        client = Client(port)
        assert client.info["server_name"] == "from-environment" and port != 4222
        client.socket.close()
    finally:
        server.terminate()
        assert server.wait(30) == 0
    log = (tmp_path / "server.log").read_text()
    assert "[INF] Using configuration file: s.conf\n" in log and "[INF] Server is ready\n" in log
    assert server.stderr.read() == ""
    server.stderr.close()


def test_a_file_is_tested_without_starting(tmp_path):
    (tmp_path / "good.conf").write_text("port: 4222\n")
    (tmp_path / "bad.conf").write_text("port: 4222\nmax_paylod: 1k\n")
    (tmp_path / "cluster.conf").write_text("cluster { port: 6222 }\n")
    done = run_nexus("nats-server", "-c", "good.conf", "-t", cwd=tmp_path)
    assert done.stderr == "nats-server: configuration file good.conf is valid\n"
    done = run_nexus("nats-server", "-t", "-config=bad.conf", cwd=tmp_path, status=1)
    assert "bad.conf:2:1: there is no key 'max_paylod' here" in done.stderr
    assert "did you mean max_payload?" in done.stderr
    done = run_nexus("nats-server", "-t", "-c", "cluster.conf", cwd=tmp_path, status=1)
    assert "cluster.conf:1:1: 'cluster' is not built here" in done.stderr
    (tmp_path / "nkey.conf").write_text("authorization { users: [{nkey: UX}] }\n")
    run_nexus("nats-server", "-t", "-c", "nkey.conf", cwd=tmp_path, status=1)
    done = run_nexus("nats-server", "-t", "-c", "absent.conf", cwd=tmp_path, status=1)
    assert "absent.conf" in done.stderr


def test_wrong_flags_are_named_with_status_2(tmp_path):
    done = run_nexus("nats-server", "--prot", "1", cwd=tmp_path, status=2)
    assert "did you mean --port?" in done.stderr
    done = run_nexus("nats-server", "--cluster", "nats://x", cwd=tmp_path, status=2)
    assert "--cluster is not built here" in done.stderr
    done = run_nexus("nats-server", "-ms", "8443", cwd=tmp_path, status=2)
    assert "--ms is not built here" in done.stderr
    done = run_nexus("nats-server", "-p", "x", cwd=tmp_path, status=2)
    assert "--port is a port, or -1 for any free one, not 'x'" in done.stderr
    done = run_nexus("nats-server", "-t", cwd=tmp_path, status=2)
    assert "--config" in done.stderr


def test_without_credentials_only_loopback_is_bound(tmp_path):
    done = run_nexus("nats-server", "-a", "0.0.0.0", "-p", "-1", cwd=tmp_path, status=1)
    assert "[FTL]" in done.stderr and "listens on loopback only" in done.stderr


def test_a_log_file_that_was_moved_away_is_begun_again(tmp_path):
    server = subprocess.Popen([NEXUS, "nats-server", "-p", "-1", "-l", "log", "-P", "pid"], cwd=tmp_path)
    log, deadline = tmp_path / "log", time.monotonic() + START_LIMIT_S

    def wait_for(text):
        while not log.exists() or text not in log.read_text():
            assert server.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)

    try:
        wait_for("Server is ready")
        log.rename(tmp_path / "log.1")
        run_nexus("nats-server", "--signal", "reopen=pid", cwd=tmp_path)
        wait_for("[INF] File log re-opened")
        assert "Server is ready" not in log.read_text() and "re-opened" not in (tmp_path / "log.1").read_text()
    finally:
        server.terminate()
        assert server.wait(30) == 0
    assert "Server Exiting.." in log.read_text()


def test_what_is_not_served_is_said_and_not_pretended(nats_server, tmp_path):
    server = nats_server("-js", "-sd", "store", "-DV", "-p", "-1")
    warnings = [text for level, text in server.lines if level == "WRN"]
    assert any("JetStream is not served yet" in text for text in warnings)
    assert any("the protocol is not logged" in text for text in warnings)
    client = Client(server.port)
    assert client.info["jetstream"] is False
    client.say("SUB _INBOX.a 1\r\nPUB $JS.API.INFO _INBOX.a 0\r\n\r\n")
    assert client.message()[1].startswith(b"NATS/1.0 503\r\n")
    client.socket.close()
    assert not (tmp_path / "store").exists()


def connected(port, options):
    """The client; None when it was refused."""
    try:
        return Client(port, json.dumps({"verbose": False, "pedantic": False, **options}))
    except (AssertionError, OSError):
        return None


def test_users_of_the_file_are_asked_for_and_a_signal_reloads_them(nats_server, tmp_path):
    config = tmp_path / "s.conf"
    config.write_text("port: -1\nauthorization { users: [{user: ann, password: $PASS}] }\n")
    server = nats_server("-c", "s.conf", environment={"PASS": "one"})
    ann = connected(server.port, {"user": "ann", "pass": "one"})
    assert ann and ann.info["auth_required"] is True
    assert connected(server.port, {"user": "ann", "pass": "two"}) is None
    config.write_text("port: -1\nauthorization { users: [{user: ben, password: two}] }\nmax_payload: 1k\n")
    server.process.send_signal(signal.SIGHUP)
    level, text = server.next_line()
    assert level == "WRN" and "only users, accounts, permissions and certificates are taken" in text
    assert server.next_line() == ("INF", "Reloaded server configuration")
    assert "-ERR" in ann.line()  # she is gone
    ben = connected(server.port, {"user": "ben", "pass": "two"})
    assert ben and connected(server.port, {"user": "ann", "pass": "one"}) is None
    config.write_text("port: -1\nauthorization { usres: [] }\n")
    server.process.send_signal(signal.SIGHUP)
    level, text = server.next_line()
    assert level == "ERR" and "s.conf:2:17: there is no key 'usres' here" in text
    ben.settled()
    for client in (ann, ben):
        client.socket.close()
    assert server.stop() == 0


@pytest.mark.parametrize("flags, options", [(["--user", "u", "--pass", "p"], {"user": "u", "pass": "p"}),
                                            (["-auth=t0k"], {"auth_token": "t0k"})])
def test_credentials_of_the_command_line_are_asked_for(nats_server, flags, options):
    server = nats_server("-p", "-1", "-a", "0.0.0.0", *flags)
    assert connected(server.port, {}) is None
    client = connected(server.port, options)
    client.settled()
    client.socket.close()
    assert server.stop() == 0


def test_a_lame_duck_sends_its_clients_away_and_ends(nats_server, tmp_path):
    (tmp_path / "s.conf").write_text('port: -1\nlame_duck_duration: "200ms"\nlame_duck_grace_period: "100ms"\n')
    server = nats_server("-c", "s.conf")
    client = Client(server.port)
    run_nexus("nats-server", "--signal", f"ldm={server.process.pid}", cwd=tmp_path)
    assert server.next_line() == ("INF", "Entering lame duck mode, stop accepting new clients")
    assert json.loads(client.line().removeprefix("INFO "))["ldm"] is True
    assert client.file.read() == b""
    client.socket.close()
    assert server.process.wait(30) == 0


def get(port, path, status=200, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status == status, body
    return json.loads(body) if "json" in answer.getheader("content-type") else body.decode()


def test_monitoring_shows_the_server_and_who_is_connected(nats_server):
    server = nats_server("-p", "-1", "-m", "-1", "--ports_file_dir", ".", "-n", "watched")
    url = server.ports()["monitoring"][0]
    assert server.line_with("Starting http monitor on ") == f"Starting http monitor on {url.removeprefix('http://')}"
    port = int(url.rsplit(":", 1)[1])
    client = connected(server.port, {"name": "ours", "lang": "python", "version": "3"})
    client.say("SUB a.> 1\r\nPUB a.b 5\r\nhello\r\n")
    assert client.message()[1] == b"hello"
    varz = get(port, "/varz")
    assert varz["server_name"] == "watched" and varz["port"] == server.port and varz["http_port"] == port
    assert varz["server_id"] == client.info["server_id"] and varz["version"] == client.info["version"]
    assert (varz["connections"], varz["in_msgs"], varz["out_bytes"], varz["subscriptions"]) == (1, 1, 5, 1)
    assert varz["mem"] > 1_000_000 and varz["cores"] >= 1 and varz["cpu"] >= 0
    (shown,) = get(port, "/connz?subs=1")["connections"]
    assert (shown["name"], shown["lang"], shown["subscriptions_list"]) == ("ours", "python", ["a.>"])
    assert shown["port"] == client.socket.getsockname()[1] and shown["pending_bytes"] == 0
    assert get(port, "/subsz?subs=1")["subscriptions_list"][0]["subject"] == "a.>"
    assert get(port, "/healthz") == {"status": "ok"}
    assert get(port, "/jsz")["disabled"] is True
    assert 'href="./varz"' in get(port, "/")
    client.file.close()
    client.socket.close()
    deadline = time.monotonic() + 30
    while not get(port, "/connz?state=closed")["connections"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    (was,) = get(port, "/connz?state=closed")["connections"]
    assert was["reason"] == "Client Closed" and was["in_msgs"] == 1
    assert "invalid sorting option: x" in get(port, "/connz?sort=x", status=400)["detail"]
    get(port, "/nothing", status=404)
    get(port, "/varz", status=403, Host="evil.example")
    assert server.stop() == 0


def test_who_takes_nothing_of_what_waits_is_cut_off_and_who_is_slow_is_not(nats_server, tmp_path):
    (tmp_path / "s.conf").write_text('port: -1\nhttp: -1\nwrite_deadline: "2s"\nports_file_dir: .\n')
    server = nats_server("-c", "s.conf")
    port = int(server.ports()["monitoring"][0].rsplit(":", 1)[1])
    assert get(port, "/varz")["write_deadline"] == 2_000_000_000
    stuck, slow, publisher = (connected(server.port, {"name": name}) for name in ("stuck", "slow", "publisher"))
    for client in (stuck, slow):
        client.say("SUB flood 1\r\n")
        client.settled()
    payload = b"x" * 500_000
    for _ in range(32):  # more than the kernel's buffers hold, less than max_pending
        publisher.say(b"PUB flood 500000\r\n" + payload + b"\r\n")
    publisher.settled()
    deadline = time.monotonic() + 60
    while not get(port, "/connz?state=closed")["connections"]:
        assert time.monotonic() < deadline
        slow.socket.recv(400_000)  # always some, never all
        time.sleep(0.1)
    (was,) = get(port, "/connz?state=closed")["connections"]
    assert (was["name"], was["reason"]) == ("stuck", "Slow Consumer (Write Deadline)")
    assert get(port, "/varz")["slow_consumers"] == 1
    for client in (stuck, slow, publisher):
        client.socket.close()


def test_monitoring_asks_for_no_credentials_so_it_stays_on_loopback(nats_server, tmp_path):
    (tmp_path / "s.conf").write_text("port: -1\nhttp: 0.0.0.0:-1\n")
    done = run_nexus("nats-server", "-c", "s.conf", cwd=tmp_path, status=1)
    assert "monitoring on '0.0.0.0': it asks for no credentials, so it listens on loopback only" in done.stderr
    server = nats_server("-a", "0.0.0.0", "-p", "-1", "-m", "-1", "--user", "u", "--pass", "p")
    assert server.line_with("Starting http monitor on ").startswith("Starting http monitor on 127.0.0.1:")
    assert server.stop() == 0


def make_certificate(folder):
    openssl = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "k.pem",
               "-out", "c.pem", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "30"]
    assert subprocess.run(openssl, cwd=folder, capture_output=True).returncode == 0


def test_monitoring_shows_how_tls_is_spoken_and_with_what_certificates(nats_server, tmp_path):
    make_certificate(tmp_path)
    (tmp_path / "s.conf").write_text("port: -1, http: -1\ntls { cert_file: c.pem, key_file: k.pem, ca_file: c.pem\n"
                                     "verify: true, handshake_first: true }\n")
    server = nats_server("-c", "s.conf", "--ports_file_dir", ".")
    monitoring = int(server.ports()["monitoring"][0].rsplit(":", 1)[1])
    context = ssl.create_default_context(cafile=tmp_path / "c.pem")
    context.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert((tmp_path / "c.pem").read_text())).hexdigest()
    plain = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    with context.wrap_socket(plain, server_hostname="localhost") as secured:
        secured.sendall(b'CONNECT {"verbose":false}\r\nPING\r\n')
        said = b""
        while not said.endswith(b"PONG\r\n"):
            said += secured.recv(4096)
        [shown] = get(monitoring, "/connz?auth=1")["connections"]
        assert (shown["tls_version"], shown["tls_cipher_suite"]) == ("1.3", secured.cipher()[0])
        assert shown["tls_first"] and shown["rtt"]
        assert [(one["subject"], one["cert_sha256"]) for one in shown["tls_peer_certs"]] == [("CN=localhost", digest)]
        assert "tls_peer_certs" not in get(monitoring, "/connz")["connections"][0]
    assert get(monitoring, "/varz")["tls_verify"] is True


def test_tls_is_served_as_the_file_and_the_flags_say(nats_server, tmp_path):
    make_certificate(tmp_path)
    (tmp_path / "s.conf").write_text("port: -1\ntls { cert_file: c.pem, key_file: k.pem }\n")
    context = ssl.create_default_context(cafile=tmp_path / "c.pem")
    for arguments in (("-c", "s.conf"), ("-p", "-1", "--tls", "--tlscert", "c.pem", "--tlskey", "k.pem")):
        server = nats_server(*arguments)
        plain = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        text = b""
        while not text.endswith(b"\r\n"):
            text += plain.recv(1)
        assert json.loads(text.decode().removeprefix("INFO "))["tls_required"] is True
        with context.wrap_socket(plain, server_hostname="localhost") as secured:
            secured.sendall(b'CONNECT {"verbose":false}\r\nPING\r\n')
            assert secured.recv(100) == b"PONG\r\n"
        assert server.stop() == 0
    (tmp_path / "k.pem").write_text("nothing\n")
    done = run_nexus("nats-server", "-c", "s.conf", cwd=tmp_path, status=1)
    assert "there is no key in it" in done.stderr


def test_another_one_is_told_by_a_signal(nats_server, tmp_path):
    server = nats_server("-p", "-1", "-P", "pid")
    run_nexus("nats-server", "-sl", "quit=pid", cwd=tmp_path)
    assert server.process.wait(30) == 0
    assert 'Trapped "interrupt" signal' in server.process.stderr.read()
    other = nats_server("-p", "-1")
    run_nexus("nats-server", "--signal", f"stop={other.process.pid}", cwd=tmp_path)
    assert other.process.wait(30) == -signal.SIGKILL
    done = run_nexus("nats-server", "--signal=shout=1", cwd=tmp_path, status=2)
    assert "--signal is reload, reopen, ldm, quit, term or stop, not 'shout'" in done.stderr
    run_nexus("nats-server", "--signal=reload", cwd=tmp_path, status=2)


def test_a_port_in_use_is_named_with_what_to_do(nats_server, tmp_path):
    server = nats_server("-p", "-1")
    done = run_nexus("nats-server", "-p", str(server.port), cwd=tmp_path, status=1)
    assert "another program has this port" in done.stderr and "-p -1 takes a free one" in done.stderr


def test_the_guide_runs_as_written_and_lists_what_is_taken(tmp_path):
    text = (ROOT / "docs" / "guides" / "NATS_SERVER.md").read_text()
    (tmp_path / "nexus").symlink_to(NEXUS)
    for block in re.findall(r"```sh\n(.*?)```", text, re.S):
        subprocess.run(["bash", "-ec", block], cwd=tmp_path, check=True, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, timeout=60)
    taken, refused = text.split("| refused | instead |")
    source = "".join((ROOT / "src" / "app" / name).read_text() for name in ("nats_settings.c", "nats_settings_users.c"))
    for row in re.findall(r"^\| [\w ]+ \| (.*) \|$", taken.split("## Keys")[1], re.M):
        for key in re.findall(r"`([a-z_]+)`", row):
            assert f'"{key}"' in source, key
    for key in re.findall(r"`([a-z_]+)`", "".join(line.split(" | ")[0] for line in refused.splitlines() if line.startswith("|"))):
        assert re.search(rf'"{key}"[^;]*?(NX_NATS_KEY_REFUSED|no_|")', source), key

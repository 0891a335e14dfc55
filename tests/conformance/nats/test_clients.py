"""Official clients of NATS use every feature of core NATS that is claimed, each in one program. The same holds for the
real nats-server, else it would say nothing. `tools/setup conformance` builds them.
"""
import pathlib
import signal
import subprocess
import threading

import pytest

from conftest import NEXUS, ROOT
from certificates import make_certificates
from nats_server import NatsServer

BUILT = ROOT / "build" / "deps" / "nats"
FEATURES = ["publish and subscribe", "unsubscribe", "no echo", "queue group", "request and reply", "no responders", "headers",
            "max payload", "drain", "users", "permissions", "answers", "accounts", "token", "nkey", "TLS", "handshake first",
            "certificate", "reconnect", "lame duck"]
LACKS = {"c": ["handshake first", "lame duck"]}  # what a client does not know
PASSWORD = "secret"
HASH = "$2a$04$Cqt4T2RIBWYJMkmkfKp1t.HadVuaNE3dkwEwtWTDP0EGbD6kn9sFW"  # of it
SEED = "SUAMLK2ZNL35WSMW37E7UD4VZ7ELPKW7DHC3BWBSD2GCZ7IUQQXZIORRBU"
NKEY = "UCK5N7N66OBOINFXAYC2ACJQYFSOD4VYNU6APEJTAVFZB2SVHLKGEW7L"
TOKEN = "t0ken"
LIMIT_S = 600
PATIENCE_S = 30  # of the server with a client that gets little of a busy machine
CLIENTS = {
    "go": [BUILT / "client-go"],
    "c": [BUILT / "client-c"],
    "rust": [BUILT / "client-rust"],
    "javascript": ["node", BUILT / "javascript" / "client.js"],
    "java": ["java", "-cp", f"{BUILT}/java:{BUILT}/java/*", "Client"],
}


def tls(folder, more):
    return (f'tls {{ cert_file: "{folder}/server.pem", key_file: "{folder}/server.key", timeout: {PATIENCE_S}, {more} }}\n'
            f"authorization {{ timeout: {PATIENCE_S} }}\n")


def users_config(folder):
    """Users with different permissions in two accounts, an nkey."""
    return tls(folder, "") + f"""accounts {{
        A {{ users: [
            {{user: ann, password: {PASSWORD}}}
            {{user: bob, password: "{HASH}", permissions: {{publish: {{deny: "bob.denied"}}, subscribe: {{deny: "secret"}}}}}}
            {{user: sue, password: {PASSWORD}, permissions: {{subscribe: "limited", allow_responses: true}}}}
            {{nkey: {NKEY}}}
        ]}}
        B {{ users: [{{user: eve, password: {PASSWORD}}}] }}
    }}"""


def token_config(folder):
    """The handshake is first, but for who waits for INFO; a client on a busy machine takes long to begin one."""
    return tls(folder, 'handshake_first: "3s"') + f"authorization {{ token: {TOKEN}, timeout: {PATIENCE_S} }}\n"


def certificate_config(folder):
    return tls(folder, f'ca_file: "{folder}/ca.pem", verify_and_map: true') + (
        f'authorization {{ timeout: {PATIENCE_S}, users: [{{user: "CN=client"}}] }}\n')


@pytest.fixture(params=["nexus", "nats-server"])
def servers(request, tmp_path):
    """Three of one kind: of users, of a token, of certificates."""
    program = BUILT / "nats-server"
    if request.param == "nexus":
        program = tmp_path / "nats-server"
        program.symlink_to(pathlib.Path(NEXUS).resolve())
    make_certificates(tmp_path)
    running = []
    for config in (users_config, token_config, certificate_config):
        folder = tmp_path / config.__name__
        folder.mkdir()
        running.append(NatsServer(program, folder, config(tmp_path)))
    yield running
    for server in running:
        server.kill()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_uses_every_feature(servers, client, tmp_path):
    users, token, certificate = servers
    arguments = [users.url, tmp_path / "ca.pem", PASSWORD, SEED, NKEY, token.url, TOKEN, certificate.url,
                 tmp_path / "client.pem", tmp_path / "client.key"]
    with subprocess.Popen([*CLIENTS[client], *arguments], stdout=subprocess.PIPE, text=True) as process:
        ended = threading.Timer(LIMIT_S, process.kill)
        ended.start()
        lines = []
        for line in map(str.strip, process.stdout):
            if line == "restart":
                users.kill()
                users.start()
            elif line == "lame duck":
                users.process.send_signal(signal.SIGUSR2)
            else:
                lines.append(line)
        ended.cancel()
    assert lines == [f"ok {feature}" for feature in FEATURES if feature not in LACKS.get(client, [])]
    assert process.returncode == 0

"""Official clients of NATS use every feature of core NATS that is claimed, each in one program. The same holds for the
real nats-server, else it would say nothing. `tools/setup conformance` builds them.
"""
import pathlib
import subprocess
import threading

import pytest

from conftest import NEXUS, ROOT
from certificates import make_certificates
from nats_server import NatsServer

BUILT = ROOT / "build" / "deps" / "nats"
FEATURES = ["publish and subscribe", "unsubscribe", "no echo", "queue group", "request and reply", "no responders", "headers",
            "max payload", "drain", "users", "permissions", "nkey", "TLS", "reconnect"]
PASSWORD = "secret"
HASH = "$2a$04$Cqt4T2RIBWYJMkmkfKp1t.HadVuaNE3dkwEwtWTDP0EGbD6kn9sFW"  # of it
SEED = "SUAMLK2ZNL35WSMW37E7UD4VZ7ELPKW7DHC3BWBSD2GCZ7IUQQXZIORRBU"
NKEY = "UCK5N7N66OBOINFXAYC2ACJQYFSOD4VYNU6APEJTAVFZB2SVHLKGEW7L"
LIMIT_S = 300
PATIENCE_S = 30  # of the server with a client that gets little of a busy machine
CLIENTS = {
    "go": [BUILT / "client-go"],
    "c": [BUILT / "client-c"],
    "rust": [BUILT / "client-rust"],
    "javascript": ["node", BUILT / "javascript" / "client.js"],
    "java": ["java", "-cp", f"{BUILT}/java:{BUILT}/java/*", "Client"],
}


def config(folder):
    """Of a server with users ann and bob, an nkey, and TLS."""
    make_certificates(folder)
    return f"""
        authorization {{ timeout: {PATIENCE_S}, users: [
            {{user: ann, password: {PASSWORD}}}
            {{user: bob, password: "{HASH}", permissions: {{publish: {{deny: "bob.denied"}}, subscribe: {{deny: "secret"}}}}}}
            {{nkey: {NKEY}}}
        ]}}
        tls {{ cert_file: "{folder}/server.pem", key_file: "{folder}/server.key", timeout: {PATIENCE_S} }}
        """


@pytest.fixture(params=["nexus", "nats-server"])
def server(request, tmp_path):
    program = BUILT / "nats-server"
    if request.param == "nexus":
        program = tmp_path / "nats-server"
        program.symlink_to(pathlib.Path(NEXUS).resolve())
    server = NatsServer(program, tmp_path, config(tmp_path))
    yield server
    server.kill()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_uses_every_feature(server, client):
    arguments = [f"nats://127.0.0.1:{server.port}", server.folder / "ca.pem", PASSWORD, SEED, NKEY]
    with subprocess.Popen([*CLIENTS[client], *arguments], stdout=subprocess.PIPE, text=True) as process:
        ended = threading.Timer(LIMIT_S, process.kill)
        ended.start()
        lines = []
        for line in process.stdout:
            lines.append(line.strip())
            if lines[-1] == "restart":
                server.kill()
                server.start()
        ended.cancel()
    assert [line for line in lines if line != "restart"] == [f"ok {feature}" for feature in FEATURES]
    assert process.returncode == 0

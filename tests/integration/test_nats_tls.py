"""TLS of the NATS face over real sockets: after INFO, before it, by choice; certificates that name users; bad ones."""
import json
import signal
import socket
import ssl
import subprocess
import time

import pytest

from conftest import run_nexus


def openssl(folder, *arguments):
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def sign(folder, name, subject, alternatives, authority="ca"):
    (folder / f"{name}.ext").write_text(f"subjectAltName={alternatives}\n")
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key",
            "-out", f"{name}.csr", "-subj", subject)
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key",
            "-CAcreateserial", "-days", "30", "-extfile", f"{name}.ext", "-out", f"{name}.pem")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    for authority in ("ca", "foreign"):
        openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                f"{authority}.key", "-out", f"{authority}.pem", "-subj", f"/O=Example/CN={authority}", "-days", "30")
    sign(folder, "server", "/O=Example/CN=localhost", "DNS:localhost,IP:127.0.0.1")
    sign(folder, "next", "/O=Example/CN=next", "DNS:localhost")
    sign(folder, "ann", "/O=Example/CN=ann", "email:ann@example.com")
    sign(folder, "bob", "/C=DE/O=Example/CN=bob", "DNS:elsewhere")
    sign(folder, "zoe", "/O=Example/CN=zoe", "DNS:zoe")
    sign(folder, "stranger", "/O=Example/CN=ann", "email:ann@example.com", "foreign")
    return folder


@pytest.fixture
def serve(tmp_path, servers, certificates):
    """serve("verify: true", users) gives the port of a server with these settings."""
    def start(settings="", more="", command="start"):
        (tmp_path / "nexus.yaml").write_text(
            "version: v1\nlisten: {nats: 127.0.0.1:0}\nnats:\n"
            f"  tls: {{cert_file: {certificates}/server.pem, key_file: {certificates}/server.key, "
            f"ca_file: {certificates}/ca.pem, {settings}}}\n{more}")
        start.server = servers(tmp_path, command)
        start.folder = tmp_path
        return json.loads((tmp_path / ".nexus" / "ports.json").read_text())["nats"]["port"]

    return start


class Client:
    def __init__(self, port, certificates, name=None, first=False, version=None):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        if not first:
            self.info = self.plain_info()
        context = ssl.create_default_context(cafile=certificates / "ca.pem")
        if version is not None:
            context.maximum_version = version
        if name is not None:
            context.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key")
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.file = self.socket.makefile("rb")
        if first:
            self.info = json.loads(self.line().removeprefix("INFO "))

    def plain_info(self):
        text = b""
        while not text.endswith(b"\r\n"):
            text += self.socket.recv(1)
        return json.loads(text.decode().removeprefix("INFO "))

    def say(self, text):
        self.socket.sendall(text.encode())
        return self

    def connect(self, **options):
        return self.say("CONNECT " + json.dumps({"verbose": False, "pedantic": False, **options}) + "\r\nPING\r\n")

    def line(self):
        return self.file.readline().decode().rstrip("\r\n")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_messages_go_through_tls_after_info(serve, certificates, version):
    port = serve()
    one = Client(port, certificates, version=version).connect()
    other = Client(port, certificates, version=version).connect()
    assert one.info["tls_required"] is True and "tls_verify" not in one.info
    assert one.line() == "PONG" and other.line() == "PONG"
    one.say("SUB a 1\r\nPING\r\n")
    assert one.line() == "PONG"
    large = "x" * 1_000_000
    other.say(f"PUB a {len(large)}\r\n{large}\r\n")
    assert one.line() == f"MSG a 1 {len(large)}" and one.line() == large


def test_who_speaks_no_tls_gets_nothing_but_info(serve):
    port = serve("timeout: 500ms")
    for words in (b"CONNECT {}\r\nPING\r\n", b""):  # what is no handshake, and no word at all
        plain = socket.create_connection(("127.0.0.1", port), timeout=30)
        plain.sendall(words)
        plain.settimeout(30)
        text = b""
        try:
            while chunk := plain.recv(4096):
                text += chunk
        except ConnectionResetError:
            pass
        assert text.startswith(b"INFO ") and b"PONG" not in text and b"-ERR" not in text


def test_handshake_first_says_info_only_inside(serve, certificates):
    port = serve("handshake_first: true")
    assert Client(port, certificates, first=True).connect().line() == "PONG"
    plain = socket.create_connection(("127.0.0.1", port), timeout=0.3)
    with pytest.raises(TimeoutError):
        plain.recv(1)


def test_handshake_first_falls_back_for_who_waits(serve, certificates):
    port = serve("handshake_first: 300ms")
    assert Client(port, certificates, first=True).connect().line() == "PONG"
    assert Client(port, certificates).connect().line() == "PONG"


def test_clients_may_choose_where_that_is_allowed(serve, certificates):
    port = serve("allow_non_tls: true")
    secured = Client(port, certificates)
    assert secured.info["tls_available"] is True and "tls_required" not in secured.info
    assert secured.connect().line() == "PONG"
    plain = socket.create_connection(("127.0.0.1", port), timeout=30)
    plain.sendall(b'CONNECT {"verbose":false}\r\nPING\r\n')
    file = plain.makefile("rb")
    assert file.readline().startswith(b"INFO ") and file.readline() == b"PONG\r\n"


def test_only_trusted_certificates_come_in(serve, certificates):
    port = serve("verify: true")
    assert Client(port, certificates, "ann").connect().line() == "PONG"
    for name in (None, "stranger"):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            client = Client(port, certificates, name)
            client.connect()
            if client.line() == "":
                raise ConnectionError


def test_certificates_name_users(serve, certificates):
    port = serve("verify_and_map: true",
                 "  users:\n  - {user: ann@example.com, permissions: {publish: a}}\n"
                 "  - {user: 'C=DE, O=Example, CN=bob', account: B}\n  - {user: zoe, password: z}\n")
    ann = Client(port, certificates, "ann")
    assert ann.info["tls_verify"] is True and ann.info["auth_required"] is True
    ann.connect().say("PUB b 1\r\nx\r\n")
    assert [ann.line(), ann.line()] == ["PONG", """-ERR 'Permissions Violation for Publish to "b"'"""]
    assert Client(port, certificates, "bob").connect().line() == "PONG"
    assert Client(port, certificates, "zoe").connect().line() == "-ERR 'Authorization Violation'"
    assert Client(port, certificates, "zoe").connect(**{"pass": "z"}).line() == "PONG"
    assert Client(port, certificates, "server").connect().line() == "-ERR 'Authorization Violation'"


def test_bad_certificates_are_told_at_the_start(serve, certificates, tmp_path):
    (tmp_path / "empty.pem").write_text("nothing\n")
    for files, told in ((("server.pem", "ann.key"), "it is not the certificate's"),
                        (("server.key", "server.key"), "there is no certificate in it"),
                        (("server.pem", "server.pem"), "there is no key in it"),
                        (("absent.pem", "server.key"), "absent.pem")):
        (tmp_path / "nexus.yaml").write_text(
            "version: v1\nlisten: {nats: 127.0.0.1:0}\nnats:\n"
            f"  tls: {{cert_file: {certificates}/{files[0]}, key_file: {certificates}/{files[1]}}}\n")
        done = run_nexus("start", "--http", "127.0.0.1:0", cwd=tmp_path, status=1)
        assert told in done.stderr and "PRIVATE" not in done.stderr


def test_a_hangup_signal_takes_new_certificates(serve, certificates):
    port = serve()
    before = Client(port, certificates).connect()
    assert before.line() == "PONG"
    path = serve.folder / "nexus.yaml"
    path.write_text(path.read_text().replace("server.", "next."))
    serve.server.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 20
    name = None
    while name != "next" and time.monotonic() < deadline:
        client = Client(port, certificates)
        name = dict(pair[0] for pair in client.socket.getpeercert()["subject"])["commonName"]
        client.socket.close()
    assert name == "next"
    assert before.say("PING\r\n").line() == "PONG"

"""What the tests of nats.py take from `tests.utils`: the servers that they connect to. tests/conformance/nats/test_nats_py.py puts
this file into its copy of them.

NATS_SERVER is the program to start; CERTIFICATES holds ca.pem, and <name>.pem with <name>.key of server and client.
The tests name ports, 4222 for one. Here those are only names: every server listens on a free port, and connections to
the port's name are led there, so that these tests can run beside each other, and beside a server of the machine.
"""
import asyncio
import functools
import http.client
import json
import os
import pathlib
import ssl
import subprocess
import tempfile
import time
import unittest.mock  # which some tests use and do not ask for

PROGRAM = os.environ["NATS_SERVER"]
CERTIFICATES = pathlib.Path(os.environ["CERTIFICATES"])
CREDENTIALS = pathlib.Path(__file__).parent
NOBODY = 1  # a port on which nothing listens
START_LIMIT_S = 30
TEST_LIMIT_S = 20  # of one test; the longest sleeps for 6 s

NKEY = "UCK5N7N66OBOINFXAYC2ACJQYFSOD4VYNU6APEJTAVFZB2SVHLKGEW7L"  # of the seed that a test has in its text
SEED = "SUAMLK2ZNL35WSMW37E7UD4VZ7ELPKW7DHC3BWBSD2GCZ7IUQQXZIORRBU"
TLS = (f"cert_file: '{CERTIFICATES}/server.pem', key_file: '{CERTIFICATES}/server.key', ca_file: '{CERTIFICATES}/ca.pem', "
       "verify: true")
ONLY_FOO = '{allow: ["foo", "_INBOX.>"]}'

listening = {}  # the port that a test names: the one that stands for it
open_connection, start_server = asyncio.open_connection, asyncio.start_server


def connect(host=None, port=None, **options):
    return open_connection(host, listening.get(port, NOBODY), **options)


async def listen(handler, host=None, port=None, **options):
    """For the servers that a test is itself."""
    server = await start_server(handler, host, 0, **options)
    listening[port] = server.sockets[0].getsockname()[1]
    return server


asyncio.open_connection, asyncio.start_server = connect, listen


def async_test(test, limit_s=TEST_LIMIT_S):
    @functools.wraps(test)
    def run(case, *arguments):
        asyncio.set_event_loop(case.loop)
        return case.loop.run_until_complete(asyncio.wait_for(test(case, *arguments), limit_s))

    return run


def async_long_test(test):
    return async_test(test, 2 * TEST_LIMIT_S)


async_debug_test = async_test


def get_config_file(name):
    """The path of a file with credentials."""
    path = CREDENTIALS / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(SEED if name.endswith(".nk") else f"no credentials: {name}\n")
    return str(path)


class NATSD:
    """A server that can be started again, with what it stored. `http_port` is where its monitoring really is."""

    def __init__(self, port, *flags, user="", password="", config=""):
        self.port, self.flags, self.user, self.password, self.config = port, flags, user, password, config
        self.folder = self.process = self.http_port = None

    def command(self):
        yield from (PROGRAM, "-a", "127.0.0.1", "-p", "-1", "-m", "-1", "--ports_file_dir", self.folder.name, *self.flags)
        if self.user:
            yield from ("--user", self.user, "--pass", self.password)
        if self.config:
            path = pathlib.Path(self.folder.name) / "server.conf"
            path.write_text(self.config)
            yield from ("-c", path)

    def start(self):
        self.folder = self.folder or tempfile.TemporaryDirectory()
        log = open(pathlib.Path(self.folder.name) / "log", "w+")
        with log:
            self.process = subprocess.Popen(list(self.command()), stdout=log, stderr=log, cwd=self.folder.name)
        ports = pathlib.Path(self.folder.name) / f"nats-server_{self.process.pid}.ports"
        deadline = time.monotonic() + START_LIMIT_S
        while not ports.exists() or not ports.read_text().endswith("}"):
            ended = self.process.poll() is not None
            if ended or time.monotonic() > deadline:
                said = (pathlib.Path(self.folder.name) / "log").read_text()
                self.end()
                raise AssertionError(f"the server {'ended' if ended else 'is not ready'}:\n{said}")
            time.sleep(0.01)
        where = json.loads(ports.read_text())
        listening[self.port] = int(where["nats"][0].rsplit(":", 1)[1])
        self.http_port = int(where["monitoring"][0].rsplit(":", 1)[1])
        monitor = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=START_LIMIT_S)
        monitor.request("GET", "/varz")
        assert monitor.getresponse().status == 200
        monitor.close()

    def stop(self):
        self.process.terminate()
        self.process.wait(START_LIMIT_S)

    def end(self):
        """At once, whatever the test left behind: clients that are connected and whose loop does not run."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        if self.folder is not None:
            self.folder.cleanup()
            self.folder = None


class ServerTestCase(unittest.TestCase):
    """Starts what servers() names, the first `started` of them, and a loop."""
    started = None

    def servers(self):
        raise NotImplementedError

    def setUp(self):
        self.loop = asyncio.new_event_loop()
        self.addCleanup(self.loop.close)
        self.server_pool = self.servers()
        for server in self.server_pool:
            self.addCleanup(server.end)
        self.addCleanup(listening.clear)
        for server in self.server_pool[:self.started]:
            server.start()


class SingleServerTestCase(ServerTestCase):
    def servers(self):
        return [NATSD(4222)]


class MultiServerAuthTestCase(ServerTestCase):
    def servers(self):
        return [NATSD(4223, user="foo", password="bar"), NATSD(4224, user="hoge", password="fuga")]


class MultiServerAuthTokenTestCase(ServerTestCase):
    def servers(self):
        return [NATSD(4223, "--auth", "token"), NATSD(4224, "--auth", "token"), NATSD(4225, "--auth", "deadbeef")]


class NoAuthUserServerTestCase(ServerTestCase):
    def servers(self):
        return [NATSD(4555, config=f"""no_auth_user: foo
            accounts {{ A {{ users: [
                {{user: foo, password: bar, permissions: {{publish: {ONLY_FOO}, subscribe: {ONLY_FOO}}}}}
                {{user: bar, password: bar, permissions: {{subscribe: {{deny: "foo"}}}}}}
            ]}}}}""")]


class NkeysServerTestCase(ServerTestCase):
    def servers(self):
        return [NATSD(4222, config=f"""authorization {{ users: [
            {{nkey: {NKEY}, permissions: {{subscribe: {{deny: "bar"}}}}}}
        ]}}""")]


class TrustedServerTestCase(ServerTestCase):
    """Needs an operator's JWT; there is none here of the operator who signed what stands in the tests."""

    def servers(self):
        return [NATSD(4222, config="operator: operator.jwt\nresolver: MEMORY\n")]


class TLSTestCase(ServerTestCase):
    flags = ("--tls", "--tlscert", CERTIFICATES / "server.pem", "--tlskey", CERTIFICATES / "server.key",
             "--tlscacert", CERTIFICATES / "ca.pem", "--tlsverify")

    def setUp(self):
        super().setUp()
        self.ssl_ctx = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=CERTIFICATES / "ca.pem")
        self.ssl_ctx.load_cert_chain(CERTIFICATES / "client.pem", CERTIFICATES / "client.key")


class TLSServerTestCase(TLSTestCase):
    def servers(self):
        return [NATSD(4224, *self.flags)]


class TLSServerHandshakeFirstTestCase(TLSTestCase):
    def servers(self):
        return [NATSD(4224, config=f"tls {{ {TLS}, handshake_first: true }}\n")]


class MultiTLSServerAuthTestCase(TLSTestCase):
    def servers(self):
        return [NATSD(4223, *self.flags, user="foo", password="bar"),
                NATSD(4224, *self.flags, user="hoge", password="fuga")]


class ClusteringTestCase(ServerTestCase):
    started = 1
    more = ""

    def servers(self):
        return [NATSD(port, config="cluster { name: c, port: -1 }\n" + self.more) for port in (4223, 4224, 4225)]


class ClusteringDiscoveryAuthTestCase(ClusteringTestCase):
    more = "authorization { user: foo, password: bar }\n"


class SingleWebSocketServerTestCase(ServerTestCase):
    def servers(self):
        return [NATSD(4222, config="websocket { port: -1, no_tls: true }\n")]


class SingleWebSocketTLSServerTestCase(TLSTestCase):
    def servers(self):
        return [NATSD(4222, config=f"websocket {{ port: -1, tls {{ {TLS} }} }}\n")]


class SingleJetStreamServerTestCase(ServerTestCase):
    def servers(self):
        return [NATSD(4222, "-js", "-sd", "store")]


class SingleJetStreamServerLimitsTestCase(ServerTestCase):
    """What an account may use is limited; a test compares it with what the server says."""

    def servers(self):
        return [NATSD(4222, config="""jetstream { store_dir: store, domain: test-domain }
            no_auth_user: u
            accounts { A { users: [{user: u, password: p}]
                jetstream: {max_mem: 64MB, max_file: 32MB, max_streams: 10, max_consumers: 20, max_ack_pending: 100,
                            max_bytes_required: true, memory_max_stream_bytes: 2048, store_max_stream_bytes: 4096} } }""")]

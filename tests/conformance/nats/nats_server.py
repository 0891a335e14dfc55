"""A NATS server that conformance tests connect to: `nexus nats-server`, or the real one."""
import json
import subprocess
import time

LIMIT_S = 120


class NatsServer:
    """Started again it listens where it did."""

    def __init__(self, program, folder, config):
        self.program, self.folder, self.port = program, folder, -1
        (folder / "server.conf").write_text(config)
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [self.program, "-c", "server.conf", "-a", "127.0.0.1", "-p", str(self.port), "--ports_file_dir", "."],
            cwd=self.folder, stderr=(self.folder / "log").open("ab"))
        ports = self.folder / f"nats-server_{self.process.pid}.ports"
        deadline = time.monotonic() + LIMIT_S
        while not (ports.exists() and ports.read_text().endswith("}")):
            assert self.process.poll() is None and time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.01)
        self.port = int(json.loads(ports.read_text())["nats"][0].rsplit(":", 1)[1])

    @property
    def url(self):
        return f"nats://127.0.0.1:{self.port}"

    def kill(self):
        self.process.kill()
        self.process.wait()

"""Real servers for tests: Mosquitto, InfluxDB 1.6 and VictoriaMetrics, each on a loopback port.

Each is a context manager: `with Mosquitto(tmp_path) as broker:` starts it, waits until it
answers, and ends it by its process id.  Between, `kill()`, `stop()` and `start()` take it away and
bring it back on the same port with the same data.  `tests/conftest.py` has the fixtures.
"""

import contextlib
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import time
import urllib.parse
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Self

import trustme

from tests.support.debian import Tool, tool

HOST = "127.0.0.1"
START_TIMEOUT = 60.0  # seconds; a loaded machine of two cores needs some
STOP_TIMEOUT = 30.0  # seconds before a server that does not end is killed

# Below the range from which the kernel gives ports to outgoing connections, so that nobody takes
# the port of a server that is away for a moment; each test process begins at another place, and
# the workers of one run have ports of their own.
_WORKERS = 8
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
_OURS = range(20_000 + _WORKER, 32_000, _WORKERS)
_PORTS = iter(random.Random(os.getpid()).sample(_OURS, len(_OURS)))  # noqa: S311 - no secret


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on; never given twice to one process."""
    for port in _PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return port
    raise RuntimeError("no free port left on the loopback")


class Server(ABC):
    """A real server as a process of its own, with its data and log in one folder."""

    TAKES_ORDERS = False
    """Whether its standard input and output are pipes to us."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.log = folder / f"{type(self).__name__.lower()}-{self.port}.log"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def pid(self) -> int | None:
        """Of its process, while that runs."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    @abstractmethod
    def command(self) -> tuple[Tool, list[str]]:
        """The program and its arguments."""

    def answers(self) -> bool:
        """Whether it is ready: unless overridden, whether it takes connections."""
        with socket.create_connection((HOST, self.port), timeout=1):
            return True

    def start(self) -> None:
        """Start it and return when it answers; raises RuntimeError with its log if it does not."""
        program, arguments = self.command()
        told = subprocess.PIPE if self.TAKES_ORDERS else None
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [program.path, *arguments],
                cwd=self.folder,
                env=program.environment,
                stdin=told or subprocess.DEVNULL,
                stdout=told or log,
                stderr=log,
            )
        try:
            self._wait(self._process)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End it in good order (SIGTERM)."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL): nothing is flushed or said to clients."""
        self._end(signal.SIGKILL)

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError, HTTPException):
                if self.answers():
                    return
            time.sleep(0.01)
        raise RuntimeError(
            f"{process.args!r} does not answer on port {self.port}; its log:\n"
            + self.log.read_text(errors="replace")[-4000:]
        )

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Mosquitto(Server):
    """A broker that lets anyone do anything and forgets everything."""

    def settings(self) -> str:
        """The whole configuration file."""
        return f"listener {self.port} {HOST}\nallow_anonymous true\n"

    def command(self) -> tuple[Tool, list[str]]:
        file = self.folder / f"mosquitto-{self.port}.conf"
        as_root = "user root\n" if os.geteuid() == 0 else ""  # Else it wants a user of its own.
        file.write_text(f"{as_root}log_dest stdout\nlog_type all\n{self.settings()}")
        return tool("mosquitto"), ["-c", str(file)]


# What each user may do; `%u` is the user's own name.
_ACL = """\
user gateway
topic readwrite cytowatch/v1/+/gateway/#
topic readwrite cytowatch/v1/+/equipment/#
topic read cytowatch/v1/+/cmd/#
topic write cytowatch/v1/+/reply/#

user reader
topic read cytowatch/v1/#

user anna
topic read cytowatch/v1/+/equipment/#
topic read cytowatch/v1/+/gateway/#

user ben
topic read cytowatch/v1/+/equipment/#
topic read cytowatch/v1/+/gateway/#

pattern write cytowatch/v1/+/cmd/%u/#
pattern read cytowatch/v1/+/reply/%u/#
"""


class SecureMosquitto(Mosquitto):
    """A broker as a plant should run it: TLS, passwords, topics by user, nothing lost by a kill.

    The daemon is `gateway`, consumers are `reader`, operators are `anna` and `ben`, who read the
    alarms too, write only their own command topics and read only the replies to themselves.
    """

    passwords: Mapping[str, str] = {
        "gateway": "gateway-secret",
        "reader": "reader-secret",
        "anna": "anna-secret",
        "ben": "ben-secret",
    }

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.ca_file = folder / "ca.pem"
        self._write_certificates()
        self._write_users()

    def settings(self) -> str:
        return f"""\
listener {self.port} {HOST}
certfile {self.folder}/broker.pem
keyfile {self.folder}/broker.key
allow_anonymous false
password_file {self.folder}/passwords
acl_file {self.folder}/acl
persistence true
persistence_location {self.folder}/
autosave_interval 1
autosave_on_changes true
"""

    def client_context(self) -> ssl.SSLContext:
        """What a client needs to trust this broker."""
        return ssl.create_default_context(cafile=str(self.ca_file))

    def saved(self) -> bytes:
        """The broker's file of retained and queued messages: all that a kill leaves of them.

        Mosquitto acknowledges a message before it saves it, by up to some tenths of a second.
        """
        file = self.folder / "mosquitto.db"
        return file.read_bytes() if file.exists() else b""

    def _write_certificates(self) -> None:
        ca = trustme.CA()
        self._vouch_for_clients(ca)
        broker = ca.issue_cert("localhost", HOST)
        ca.cert_pem.write_to_path(self.ca_file)
        broker.private_key_pem.write_to_path(self.folder / "broker.key")
        for certificate in broker.cert_chain_pems:
            certificate.write_to_path(self.folder / "broker.pem", append=True)

    def _vouch_for_clients(self, ca: trustme.CA) -> None:
        """Issue certificates to clients; this one asks for passwords instead."""

    def _write_users(self) -> None:
        (self.folder / "acl").write_text(_ACL)
        passwords = self.folder / "passwords"
        passwords.write_text("".join(f"{who}:{word}\n" for who, word in self.passwords.items()))
        passwords.chmod(0o600)
        hasher = tool("mosquitto_passwd")
        subprocess.run([hasher.path, "-U", passwords], env=hasher.environment, check=True)


class MutualMosquitto(SecureMosquitto):
    """The same, but who a client is is what its certificate says; passwords are for nothing."""

    def __init__(self, folder: Path) -> None:
        self.stranger = trustme.CA()
        """Whom the broker does not trust."""
        super().__init__(folder)

    def settings(self) -> str:
        lines = super().settings().splitlines()
        kept = [line for line in lines if not line.startswith("password_file")]
        wanted = f"cafile {self.ca_file}\nrequire_certificate true\nuse_identity_as_username true"
        return "\n".join([*kept[:3], wanted, *kept[3:], ""])

    def certificate(self, user: str) -> tuple[Path, Path]:
        """Certificate and key of a user: ``gateway``, ``reader``, ``stranger``."""
        return self.folder / f"{user}.pem", self.folder / f"{user}.key"

    def _vouch_for_clients(self, ca: trustme.CA) -> None:
        for user, by in (("gateway", ca), ("reader", ca), ("stranger", self.stranger)):
            own, key = self.certificate(user)
            issued = by.issue_cert(f"{user}.example", common_name=user)
            issued.private_key_pem.write_to_path(key)
            for each in issued.cert_chain_pems:
                each.write_to_path(own, append=True)


class InfluxDB(Server):
    """InfluxDB 1.6: keeps nanoseconds, types and strings; a point written twice is one point."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._rpc_port = free_port()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def command(self) -> tuple[Tool, list[str]]:
        data = self.folder / "data"
        file = self.folder / "influxdb.conf"
        file.write_text(f"""\
reporting-disabled = true
bind-address = "{HOST}:{self._rpc_port}"
[meta]
  dir = "{data}/meta"
[data]
  dir = "{data}/data"
  wal-dir = "{data}/wal"
  query-log-enabled = false
[http]
  bind-address = "{HOST}:{self.port}"
  log-enabled = false
[monitor]
  store-enabled = false
[subscriber]
  enabled = false
""")
        return tool("influxd"), ["-config", str(file)]

    def answers(self) -> bool:
        return _request(f"{self.url}/ping")[0] == 204

    def create(self, database: str) -> None:
        """Make a database, or leave it as it is if it is there."""
        self.query(f'CREATE DATABASE "{database}"')

    def write(self, database: str, lines: str, precision: str = "ns") -> None:
        """Write line protocol; raises RuntimeError with the server's word if it refuses."""
        address = f"{self.url}/write?" + urllib.parse.urlencode(
            {"db": database, "precision": precision}
        )
        _demand(204, _request(address, lines.encode()))

    def query(self, influxql: str, database: str = "") -> list[dict[str, object]]:
        """The rows of all series, tags included; `time` is in integer nanoseconds."""
        form = urllib.parse.urlencode({"db": database, "epoch": "ns", "q": influxql})
        result = json.loads(_demand(200, _request(f"{self.url}/query", form.encode())))
        rows: list[dict[str, object]] = []
        for statement in result["results"]:
            if "error" in statement:
                raise RuntimeError(f"InfluxDB: {statement['error']}: {influxql}")
            for series in statement.get("series", ()):
                tags = series.get("tags", {})
                rows += [
                    tags | dict(zip(series["columns"], row, strict=True))
                    for row in series["values"]
                ]
        return rows


class VictoriaMetrics(Server):
    """VictoriaMetrics: speaks the v2 write API; milliseconds, floats only, no token, no bucket."""

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def command(self) -> tuple[Tool, list[str]]:
        return tool("victoria-metrics"), [
            f"-httpListenAddr={HOST}:{self.port}",
            f"-storageDataPath={self.folder}/data",
            "-retentionPeriod=100y",
            "-dedup.minScrapeInterval=1ms",  # A batch sent twice is one batch.
            "-search.latencyOffset=0s",
        ]

    def answers(self) -> bool:
        return _request(f"{self.url}/health")[0] == 200

    def write(self, lines: str, precision: str = "ms") -> None:
        """Write line protocol through `/api/v2/write`."""
        address = f"{self.url}/api/v2/write?bucket=b&org=o&precision={precision}"
        _demand(204, _request(address, lines.encode()))

    def export(self, match: str) -> list[tuple[dict[str, str], list[tuple[int, float]]]]:
        """The series that match (`incubator_co2{site="s"}`): labels and (milliseconds, value).

        A metric's name is `measurement_field`, its label `__name__`.
        """
        _demand(200, _request(f"{self.url}/internal/force_flush"))
        address = f"{self.url}/api/v1/export?" + urllib.parse.urlencode({"match[]": match})
        series = map(json.loads, _demand(200, _request(address)).splitlines())
        return [
            (one["metric"], list(zip(one["timestamps"], one["values"], strict=True)))
            for one in series
        ]


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _request(url: str, body: bytes | None = None) -> tuple[int, bytes]:
    """Status and body of a GET, or a POST where there is a body; straight, through no proxy."""
    try:
        with _opener.open(url, data=body, timeout=10) as response:
            return response.status, response.read()
    except urllib.request.HTTPError as error:
        with error:
            return error.code, error.read()


def _demand(status: int, answer: tuple[int, bytes]) -> bytes:
    if answer[0] != status:
        raise RuntimeError(f"answered {answer[0]}: {answer[1].decode(errors='replace')}")
    return answer[1]

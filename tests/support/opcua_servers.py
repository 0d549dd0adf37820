"""Real OPC UA servers of two makes, asyncua and node-opcua, with one face for the tests.

``with OpcUaServer(folder, make, nodes) as server:`` starts a process of its own.  Whatever the test
then has it do, ``served`` remembers every value that the server has had, with its source time: so a
test can hold what was recorded against it.  ``kill``, ``stop``, ``freeze`` and ``thaw`` take the
server away and bring it back, and ``start`` lets it come back otherwise than it was.
"""

import contextlib
import json
import select
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Literal, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from config.units import UNITS
from drivers.reading import Value
from tests.support.debian import Tool
from tests.support.node import LISTS, node
from tests.support.servers import HOST, START_TIMEOUT, STOP_TIMEOUT, Server

Make = Literal["asyncua", "node-opcua"]
MAKES: tuple[Make, ...] = ("asyncua", "node-opcua")

MOST_SESSIONS = 10
STEP = 60_000
"""Milliseconds by which a clock that is put back goes back at least."""

VENDOR = "http://vendor.example/"
OTHER = "http://other.example/"
APPLICATION = "urn:cytowatch:tests:server"
# What OPC 10000-6 (6.2.2) wants of an application's certificate.
_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=True,
    key_encipherment=True,
    data_encipherment=True,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True)
class Node:
    """A variable as a test lays it out, and as it stands when the server starts."""

    identifier: str
    """As OPC 10000-6 writes it: ``s=R3.pH``."""
    value: Value = 0.0
    type: str = "Double"
    """A built-in type of OPC UA: Double, Float, Int32, Boolean, String."""
    unit: str = ""
    """A symbol of ``config.units``."""
    namespace: str = VENDOR

    @property
    def id(self) -> str:
        """As a site writes it."""
        return f"nsu={self.namespace};{self.identifier}"


class Told(NamedTuple):
    """A value that a server has had."""

    value: Value
    status: str
    at: int
    """Its source time: milliseconds, UTC."""


class Change(NamedTuple):
    """A value that a server is to have from now on."""

    node: str
    value: Value
    status: str = "Good"
    """The name of a status code."""


class Counts(NamedTuple):
    """What a server has open."""

    sessions: int
    sessions_ever: int
    """Since this process of it started."""
    subscriptions: int
    items: int
    """Monitored items of all subscriptions."""


@dataclass(frozen=True)
class Identity:
    """A certificate, signed by its own key, as OPC UA servers have one."""

    certificate: Path
    key: Path
    fingerprint: str
    """SHA-256 of the certificate, in hex."""


@dataclass
class Manner:
    """How a server goes about it; a test changes what it is about and starts the server."""

    namespaces: Sequence[str] = (VENDOR, OTHER)
    """In the order in which they are registered."""
    users: Mapping[str, str] = field(default_factory=dict)
    """Who is let in, with which password; nobody named: everybody, without a name."""
    identity: Identity | None = None
    """With it the server speaks Basic256Sha256 SignAndEncrypt and nothing else."""
    subscriptions: bool = True
    """Whether it subscribes at all."""
    keep_alives: int = 0
    """The most publishing intervals that it is silent (asyncua); 0: as the client wishes."""
    publishing: int = 0
    """Milliseconds of the shortest publishing interval (node-opcua); 0: its own 50."""
    items: int = 0
    """The most monitored items (node-opcua); 0: its own limit."""
    items_per_call: int = 0
    """The same of one request."""
    reads: int = 0
    """The most nodes of one read (node-opcua); 0: its own limit."""
    connections: int = 0
    """The most connections at a time (node-opcua); 0: its own limit."""
    channel: int = 0
    """Milliseconds after which the keys of a channel are too old (node-opcua); 0: ten minutes."""


class OpcUaServer(Server):
    """A server of either make in a process of its own."""

    TAKES_ORDERS = True

    def __init__(
        self, folder: Path, make: Make, nodes: Sequence[Node], manner: Manner | None = None
    ) -> None:
        super().__init__(folder)
        self.make = make
        self.log = folder / f"{make}-{self.port}.log"
        self.nodes = {node.id: node for node in nodes}
        """As they stand; what they stand at when the server starts anew."""
        self.manner = manner or Manner()
        self.served: dict[str, list[Told]] = defaultdict(list)
        self._skew = 0

    @property
    def endpoint(self) -> str:
        return f"opc.tcp://{HOST}:{self.port}"

    @property
    def runs(self) -> bool:
        return self._process is not None

    def command(self) -> tuple[Tool, list[str]]:
        file = self.folder / f"served-{self.port}.json"
        file.write_text(json.dumps(self._layout()), encoding="utf-8")
        match self.make:
            case "asyncua":
                program = Path(__file__).with_name("opcua_asyncua.py")
                return Tool(Path(sys.executable)), [str(program), str(file)]
            case "node-opcua":
                return node(), [str(LISTS / "server.js"), str(file)]

    def set(self, *changes: Change) -> None:
        """Give nodes other values, all at once; returns when the server has them all.

        Two changes of one node bear source times that differ by a millisecond at least.
        """
        stamped = [(change, self._remember(change)) for change in changes]
        self._order("set", changes=[[*change, at] for change, at in stamped])

    def remove(self, node: str) -> None:
        """Take a node out of the address space."""
        self._order("remove", node=node)

    def restore(self, node: str) -> None:
        """Bring it back with the value that it had last."""
        self._order("restore", node=self._laid_out(self.nodes[node]))

    def drop_subscriptions(self) -> None:
        """Delete every subscription, as a server does that thinks them dead; sessions stay."""
        self._order("drop_subscriptions")

    def mute_subscriptions(self) -> None:
        """Let every subscription that there is publish nothing any more, not even that it lives.

        It is still there, the session too, and everything else is answered.
        """
        self._order("mute_subscriptions")

    def retype(self, node: str, type_: str, value: Value) -> None:
        """Have it be of another type, as after a download to the controller."""
        self.remove(node)
        self.nodes[node] = replace(self.nodes[node], type=type_, value=value)
        self.restore(node)

    def close_sessions(self, most: int = MOST_SESSIONS) -> None:
        """Forget every session (node-opcua), and have no more than that from now on."""
        self._order("close_sessions", most=most)

    def set_clock(self, skew: int) -> None:
        """Have its clock be that many milliseconds fast, from now on.

        That is the time of the whole process of node-opcua, and of the values of either make.
        """
        self._skew = skew
        self._order("clock", skew=skew)

    def say_state(self, state: int) -> None:
        """Say of itself that it is in this state (ServerState: 0 running, 1 failed, …)."""
        self._order("state", state=state)

    def counts(self) -> Counts:
        answered = self._order("counts")
        assert isinstance(answered, dict)
        return Counts(**answered)

    def freeze(self) -> None:
        """Stop it where it stands (SIGSTOP): connections stay, nothing is answered."""
        self._running().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._running().send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it in good order: it says goodbye."""
        if self._process is None or self._process.stdin is None:
            return
        self.thaw()
        self._process.stdin.close()  # It ends by itself when its input does.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_TIMEOUT)
        self.kill()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        try:
            self._answer(process)
        except RuntimeError as error:
            words = self.log.read_text(errors="replace")[-4000:]
            raise RuntimeError(f"{self.make} does not start: {error}; its log:\n{words}") from None

    def _end(self, how: signal.Signals) -> None:
        process = self._process
        super()._end(how)
        for pipe in (process.stdin, process.stdout) if process is not None else ():
            if pipe is not None:
                pipe.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"the {self.make} server is not running")
        return self._process

    def _order(self, what: str, **how: object) -> object:
        """Have it do something and return its answer; raises RuntimeError when there is none."""
        process = self._running()
        assert process.stdin is not None
        process.stdin.write(json.dumps({"do": what, **how}).encode() + b"\n")
        process.stdin.flush()
        return self._answer(process)

    @staticmethod
    def _answer(process: subprocess.Popen[bytes]) -> object:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], START_TIMEOUT)
        line = process.stdout.readline() if ready else b""
        if not line:
            raise RuntimeError(f"no answer in {START_TIMEOUT:g} s" if not ready else "it has ended")
        return json.loads(line)

    def _layout(self) -> Mapping[str, object]:
        manner, identity = self.manner, self.manner.identity
        return asdict(manner) | {
            "port": self.port,
            "folder": str(self.folder / f"pki-{self.port}"),
            "application": APPLICATION,
            "certificate": str(identity.certificate) if identity else None,
            "key": str(identity.key) if identity else None,
            "identity": None,
            "nodes": [self._laid_out(node) for node in self.nodes.values()],
        }

    def _laid_out(self, node: Node) -> Mapping[str, object]:
        at = self._remember(Change(node.id, node.value))
        unece = UNITS[node.unit].unece if node.unit else ""
        return asdict(node) | {"node": node.id, "unece": unece, "at": at}

    def _remember(self, change: Change) -> int:
        """Add to what was served; returns the source time."""
        told = self.served[change.node]
        at = time.time_ns() // 10**6 + self._skew
        if told and 0 <= told[-1].at - at < STEP:
            at = told[-1].at + 1
        told.append(Told(change.value, change.status, at))
        self.nodes[change.node] = replace(self.nodes[change.node], value=change.value)
        return at


def identity(folder: Path, hours: int = 1) -> Identity:
    """Make a certificate and its key, valid for some hours from now."""
    folder.mkdir(parents=True, exist_ok=True)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a server of the tests")])
    now = datetime.now(UTC)
    names: list[x509.GeneralName] = [
        x509.UniformResourceIdentifier(APPLICATION),
        x509.IPAddress(IPv4Address(HOST)),
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=hours))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_USAGE, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file, key_file = folder / "server.pem", folder / "server-key.pem"
    file.write_bytes(certificate.public_bytes(Encoding.PEM))
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    key_file.chmod(0o600)
    fingerprint = certificate.fingerprint(hashes.SHA256()).hex()
    return Identity(file, key_file, fingerprint)

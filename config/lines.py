"""The lines: one connection each, and its limits. A union; a new wire is a new member."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from config.model import Duration, Flag, Id, Model, Whole, between
from config.rules import RuleSetting
from config.site import Secret

MILLISECOND = 10**6
SECOND = 10**9


class Modbus(Model):
    """How to reach a Modbus server, and what it can bear."""

    host: Annotated[str, Field(min_length=1)]
    port: Annotated[Whole, Field(ge=1, le=65535)] = 502
    framing: Literal["tcp", "rtu-over-tcp"] = "tcp"
    connect_timeout: Duration = 5_000 * MILLISECOND
    timeout: Duration = 1_000 * MILLISECOND
    """From the request's first byte to the reply's last (ns)."""
    pause: Duration = 0
    """Silence that the server wants between a reply and the next request (ns)."""


class ModbusLine(Model):
    """A Modbus TCP host; the units behind it share its one connection."""

    name: Id
    modbus: Modbus
    on: tuple[Id, ...] = ()
    """The gateways that may own the line; empty: every gateway that reads the file."""
    silent: RuleSetting = RuleSetting()
    """How the alarm of a lost line differs from the default."""


Security = Literal[
    "None",
    "Basic256Sha256/Sign",
    "Basic256Sha256/SignAndEncrypt",
    "Aes128_Sha256_RsaOaep/Sign",
    "Aes128_Sha256_RsaOaep/SignAndEncrypt",
    "Aes256_Sha256_RsaPss/Sign",
    "Aes256_Sha256_RsaPss/SignAndEncrypt",
]
"""Policy and mode; those that OPC 10000-7 has deprecated (SHA-1) are not among them."""


class OpcUa(Model):
    """How to reach an OPC UA server, and how to know that it is the right one."""

    endpoint: Annotated[str, Field(pattern=r"^opc\.tcp://[^/\s:]+(:\d+)?(/\S*)?$")]
    """``opc.tcp://host:port/path``; the port is 4840 when not given."""
    security: Security = "None"
    user: str | Secret | None = None
    """A name, with ``password`` beside it; or a secret that holds ``name:password``.
    Nobody (anonymous) when not given."""
    password: Secret | None = None
    password_in_clear: Flag = False
    """Let the password cross a channel that is not encrypted (None, or Sign alone)."""
    certificate: Path | None = None
    """Our own (DER or PEM); when not given one is made, and kept beside the store."""
    key: Path | None = None
    server_certificate: Path | None = None
    """The one certificate that the server may show (DER or PEM)."""
    server_fingerprint: Annotated[str, Field(pattern=r"^([0-9a-fA-F]{2}:?){32}$")] | None = None
    """Or its SHA-256, as the message about a server that nobody vouched for prints it."""
    reading: Literal["subscribe", "poll"] = "subscribe"
    """``poll``: read at each grid point, for a server whose subscriptions cannot be trusted. A
    server that refuses to subscribe is polled without being told to."""
    publishing: Annotated[Duration, between(50 * MILLISECOND, 60 * SECOND)] = 500 * MILLISECOND
    """How often the server collects and sends changes (ns)."""
    keep_alive: Annotated[Duration, between(SECOND, 300 * SECOND)] = 5 * SECOND
    """How long a server with nothing to say may be silent (ns): half of the time after which held
    values are no longer good."""
    queue: Annotated[Whole, Field(ge=1, le=10_000)] = 50
    """Changes of one node that the server keeps between two publishings."""
    timeout: Annotated[Duration, between(100 * MILLISECOND, 120 * SECOND)] = 4 * SECOND
    """From a request to its answer (ns)."""
    connect_timeout: Annotated[Duration, between(SECOND, 300 * SECOND)] = 15 * SECOND
    """From the first packet to a session (ns)."""


class OpcUaLine(Model):
    """An OPC UA endpoint; the sources behind it share its one session."""

    name: Id
    opcua: OpcUa
    on: tuple[Id, ...] = ()
    """The gateways that may own the line; empty: every gateway that reads the file."""
    silent: RuleSetting = RuleSetting()
    """How the alarm of a lost line differs from the default."""


Line = ModbusLine | OpcUaLine

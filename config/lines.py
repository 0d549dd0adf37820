"""The lines: one connection each, and its limits. A union; a new wire is a new member."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, WithJsonSchema

from config.model import Duration, Flag, Id, Model, Whole, between
from config.rules import RuleSetting
from config.site import Secret

MILLISECOND = 10**6
SECOND = 10**9
MINUTE = 60 * SECOND
YEAR = 365 * 24 * 60 * MINUTE


class Modbus(Model):
    """How to reach a Modbus server, and what it can bear."""

    host: Annotated[str, Field(min_length=1)]
    port: Annotated[Whole, Field(ge=1, le=65535)] = 502
    framing: Literal["tcp", "rtu-over-tcp"] = "tcp"
    connect_timeout: Annotated[Duration, between(100 * MILLISECOND, MINUTE)] = 5 * SECOND
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

OPC_UA_PORT = 4840
_ENDPOINT = "should be opc.tcp://host:port/path, such as opc.tcp://192.0.2.31:4840"
_FINGERPRINT = re.compile(r"([0-9a-fA-F]{2}:?){32}")


def _endpoint(text: str) -> str:
    """``text``, where it is the address of a server and of nobody's account."""
    try:
        parts = urlsplit(text)
        good = bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", text)
    except ValueError as error:
        raise ValueError(_ENDPOINT) from error
    if parts.username is not None or parts.password is not None:
        raise ValueError("no names and passwords here: give user and password beside it")
    if parts.scheme != "opc.tcp" or not good or parts.query or parts.fragment:
        raise ValueError(_ENDPOINT)
    return text


def _fingerprint(text: str) -> str:
    """The one form of a SHA-256, as certificates are shown: ``AB:CD:…``, in capitals."""
    if not _FINGERPRINT.fullmatch(text):
        raise ValueError("should be a SHA-256: 64 hexadecimal digits, with or without colons")
    return bytes.fromhex(text.replace(":", "")).hex(":").upper()


def _not_withdrawn(value: Any) -> Any:  # noqa: ANN401 - pydantic hands over whatever the file holds
    policy = value.partition("/")[0] if isinstance(value, str) else ""
    best = "Basic256Sha256/SignAndEncrypt"
    if policy in {"Basic128Rsa15", "Basic256"}:
        raise ValueError(f"{policy} is withdrawn, since SHA-1 is broken; write {best}")
    if value == policy and any(known.startswith(f"{policy}/") for known in get_args(Security)):
        raise ValueError(f"should be policy and mode: {policy}/SignAndEncrypt, or {policy}/Sign")
    return value


def _account(value: Any) -> Any:  # noqa: ANN401 - as above
    if isinstance(value, str | Mapping | Secret):
        return value
    raise ValueError("should be a name, or where a secret is: {credential: reactor-3}")


def _name_or_secret(value: Any) -> str:  # noqa: ANN401 - as above
    return "a name" if isinstance(value, str) else "a secret"


Fingerprint = Annotated[
    str,
    AfterValidator(_fingerprint),
    WithJsonSchema({"type": "string", "pattern": r"^([0-9a-fA-F]{2}:?){32}$"}),
]
"""Of a certificate; ``AB:CD:…`` in capitals, whatever the file wrote."""

User = Annotated[
    Annotated[str, Field(min_length=1), Tag("a name")] | Annotated[Secret, Tag("a secret")],
    Discriminator(_name_or_secret),
    BeforeValidator(_account),
]


class OpcUa(Model):
    """How to reach an OPC UA server, and how to know that it is the right one."""

    endpoint: Annotated[
        str,
        AfterValidator(_endpoint),
        WithJsonSchema({"type": "string", "pattern": r"^opc\.tcp://\S+$"}),
    ]
    """``opc.tcp://host:port/path``; the port is 4840 when not given."""
    security: Annotated[Security, BeforeValidator(_not_withdrawn)] = "None"
    user: User | None = None
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
    server_fingerprint: Fingerprint | None = None
    """Or its SHA-256, as the message about a server that nobody vouched for prints it."""
    reading: Literal["subscribe", "poll"] = "subscribe"
    """``poll``: read at each grid point, for a server whose subscriptions cannot be trusted. A
    server that refuses to subscribe is polled without being told to."""
    publishing: Annotated[Duration, between(50 * MILLISECOND, 60 * SECOND)] = 500 * MILLISECOND
    """How often the server collects and sends changes (ns)."""
    sampling: Annotated[Duration, between(0, 60 * SECOND)] = 100 * MILLISECOND
    """How often the server looks whether a node has changed (ns): what comes and goes in between is
    not seen. 0: each change, where the server can."""
    keep_alive: Annotated[Duration, between(SECOND, 300 * SECOND)] = 5 * SECOND
    """How long a server with nothing to say may be silent (ns), at least two publishings: half of
    the time after which held values are no longer good."""
    queue: Annotated[Whole, Field(ge=1, le=10_000)] = 50
    """Changes of one node that the server keeps between two publishings."""
    timeout: Annotated[Duration, between(100 * MILLISECOND, 120 * SECOND)] = 4 * SECOND
    """From a request to its answer (ns)."""
    connect_timeout: Annotated[Duration, between(SECOND, MINUTE)] = 15 * SECOND
    """From the first packet to a session (ns)."""
    clock_tolerance: Annotated[Duration, between(SECOND, 10 * YEAR)] = 30 * SECOND
    """By how much (ns) the times of its values may be off ours before that is an alarm."""


class OpcUaLine(Model):
    """An OPC UA endpoint; the sources behind it share its one session."""

    name: Id
    opcua: OpcUa
    on: tuple[Id, ...] = ()
    """The gateways that may own the line; empty: every gateway that reads the file."""
    silent: RuleSetting = RuleSetting()
    """How the alarm of a lost line differs from the default."""


Line = ModbusLine | OpcUaLine

WIRES = {"modbus": "modbus: {host: 192.0.2.20}", "opcua": 'opcua: {endpoint: "opc.tcp://…"}'}
"""The key of each kind of line, and how such a line is written."""


def _wire(value: Any) -> str | None:  # noqa: ANN401 - as above
    """The member that ``value`` is, or by its nearest key seems to be; None for two or none."""
    if isinstance(value, ModbusLine | OpcUaLine):
        return "a Modbus line" if isinstance(value, ModbusLine) else "an OPC UA line"
    keys = [str(key) for key in value] if isinstance(value, Mapping) else []
    meant = {near for key in keys for near in get_close_matches(key, WIRES, n=1)}
    named = WIRES.keys() & set(keys) or meant
    members = {"modbus": "a Modbus line", "opcua": "an OPC UA line"}
    return members[next(iter(named))] if len(named) == 1 else None


WrittenLine = Annotated[
    Annotated[ModbusLine, Tag("a Modbus line")] | Annotated[OpcUaLine, Tag("an OPC UA line")],
    Discriminator(_wire),
]
"""A line in a file: what has the key of a wire is that and no other."""

"""Whether lines can be opened as they are written, and whether secrets can be found.

What is said of a line is said only where nothing in it had to be left out: a misspelt ``security``
would else be taken for none.
"""

from collections.abc import Iterator, Mapping
from typing import assert_never
from urllib.parse import urlsplit

from config.lines import OPC_UA_PORT, Line, ModbusLine, OpcUa, OpcUaLine
from config.model import spell
from config.problems import Finding, Path
from config.site import Secret

KEEP_ALIVE_PUBLISHINGS = 2
"""A keep-alive is counted in publishings, and one alone would take any delay for death."""
BEST = "Basic256Sha256/SignAndEncrypt"


def secret_findings(secrets: Mapping[str, Secret | None]) -> Iterator[Finding]:
    """What is wrong with where secrets are, by the key that each stands under."""
    for key, secret in secrets.items():
        if secret is None:
            continue
        places = [secret.credential, secret.file, secret.env]
        if sum(place is not None for place in places) != 1:
            yield Finding((key,), "say one place where the secret is: credential, file or env")
        if secret.credential is not None and "/" in secret.credential:
            yield Finding((key, "credential"), "a credential is a name, not a path; that is file")


def line_findings(lines: Mapping[int, Line]) -> Iterator[Finding]:
    """What is wrong with lines, by their index in the file."""
    for index, line in lines.items():
        if isinstance(line, OpcUaLine):
            found = _opcua(line.opcua)
            yield from (each.under(("lines", index, "opcua")) for each in found)
    yield from _met_twice(lines)


def _met_twice(lines: Mapping[int, Line]) -> Iterator[Finding]:
    """Two lines to one device, where one gateway would hold both."""
    seen: dict[tuple[str, int], list[Line]] = {}
    for index, line in lines.items():
        host, port, key = _place(line)
        others = seen.setdefault((host.lower(), port), [])
        for other in others:
            shared = not line.on or not other.on or set(line.on) & set(other.on)
            if shared and other.name != line.name:
                text = f"line {other.name!r} is to {host}:{port} already; give its sources one line"
                yield Finding(("lines", index, *key), text)
                break
        others.append(line)


def _place(line: Line) -> tuple[str, int, Path]:
    """Host and port of a line, and the key that says the host."""
    match line:
        case ModbusLine():
            return line.modbus.host, line.modbus.port, ("modbus", "host")
        case OpcUaLine():
            parts = urlsplit(line.opcua.endpoint)
            return parts.hostname or "", parts.port or OPC_UA_PORT, ("opcua", "endpoint")
        case _:
            assert_never(line)


def _opcua(line: OpcUa) -> Iterator[Finding]:
    yield from _user(line)
    yield from _clear_text(line)
    yield from _certificates(line)
    least = KEEP_ALIVE_PUBLISHINGS * line.publishing
    if line.keep_alive < least:
        key = "keep_alive" if "keep_alive" in line.model_fields_set else "publishing"
        text = f"keep_alive is {spell(line.keep_alive)}, and has to be two publishings at least"
        yield Finding((key,), f"{text}: {spell(least)}")


def _user(line: OpcUa) -> Iterator[Finding]:
    secret = line.user if isinstance(line.user, Secret) else None
    yield from secret_findings({"user": secret, "password": line.password})
    if line.user is None and line.password:
        yield Finding(("password",), "a password without a user")
    elif secret and line.password:
        text = "the secret of user holds name:password; leave password out, or give user a name"
        yield Finding(("password",), text)
    elif isinstance(line.user, str) and ":" in line.user:
        text = "no password here: give user a secret that holds name:password"
        yield Finding(("user",), text)
    elif isinstance(line.user, str) and not line.password:
        text = "a user needs a password beside it; or user is a secret that holds name:password"
        yield Finding(("user",), text)


def _clear_text(line: OpcUa) -> Iterator[Finding]:
    """A password that anybody on the network could read, unless the file says so in words."""
    encrypted = line.security.endswith("/SignAndEncrypt")
    if line.user is None:
        if line.password_in_clear:
            yield Finding(("password_in_clear",), "is not needed: there is no user; leave it out")
    elif encrypted and line.password_in_clear:
        text = f"is not needed: {line.security} encrypts the password; leave it out"
        yield Finding(("password_in_clear",), text)
    elif not encrypted and not line.password_in_clear:
        text = f"security {line.security} does not encrypt, and the network could read the password"
        advice = f"use security: {BEST}, or say password_in_clear: true"
        yield Finding(("user",), f"{text}; {advice}")


def _certificates(line: OpcUa) -> Iterator[Finding]:
    written = {
        "certificate": line.certificate,
        "key": line.key,
        "server_certificate": line.server_certificate,
        "server_fingerprint": line.server_fingerprint,
    }
    given = [key for key, value in written.items() if value is not None]
    if line.security == "None":
        text = "security None uses no certificates; leave it out, or choose a security"
        yield from (Finding((key,), f"{text} such as {BEST}") for key in given)
        return
    if len({"certificate", "key"} & set(given)) == 1:
        alone = "certificate" if line.certificate else "key"
        text = "certificate and key go together; without both, cytowatch makes its own"
        yield Finding((alone,), text)
    if line.server_certificate and line.server_fingerprint:
        text = "server_certificate says already which server it is; give one of the two"
        yield Finding(("server_fingerprint",), text)

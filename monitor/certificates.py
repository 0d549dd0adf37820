"""The certificates that this gateway's own connections hang on, and when they expire.

A device's certificate is its own affair, and shows when it is connected to; what is watched here is
what lies on this gateway and only its people can renew. A file that cannot be read is left out: who
needs it says so by himself.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from config.lines import OpcUaLine
from config.plant import Plant

EVERY = 3600.0
"""Seconds between two looks at the files."""
_DAY = 86_400
SOON = 30 * _DAY
"""Seconds before its end in which a certificate is to be renewed."""


class Certificate(NamedTuple):
    """A file that is looked at."""

    name: str
    """Of its alarm: ``certificate-{name}``."""
    path: Path
    trusts: bool = False
    """Whether it is whom we trust, of whom there may be several; else it is who we are."""


class Certificates:
    """What is known of when they expire, while it is held."""

    def __init__(self, certificates: Sequence[Certificate]) -> None:
        self._certificates = certificates
        self.expiries: Mapping[str, int] = {}
        """By name: when (s, UTC) it expires; without those that cannot be read."""
        self.names = tuple(dict.fromkeys(each.name for each in certificates))

    def ends_soon(self, name: str, now: int) -> bool:
        """Whether it expires within ``SOON`` of ``now`` (ns, UTC), or has."""
        at = self.expiries.get(name)
        return at is not None and at - now // 10**9 < SOON

    def days_left(self, now: int) -> int | None:
        """Return for how many whole days from ``now`` (ns, UTC) all are valid; None without any."""
        left = [at - now // 10**9 for at in self.expiries.values()]
        return min(left) // _DAY if left else None

    async def hold(self, held: Callable[[], None]) -> None:
        """Look at the files again and again; ends only by being cancelled."""
        while True:
            self.expiries = await asyncio.to_thread(expiries, self._certificates)
            held()
            await asyncio.sleep(EVERY)


def used(plant: Plant, directory: Path = Path()) -> tuple[Certificate, ...]:
    """Return those that the plant's file names, and the one of ours that lies in ``directory``."""
    return tuple(dict.fromkeys(_used(plant, directory)))


def expiries(certificates: Iterable[Certificate]) -> Mapping[str, int]:
    """Return, by name, when (s, UTC) each expires; blocks, since it reads files.

    Where several of a name are there, the one that expires first counts.
    """
    found: dict[str, int] = {}
    for each in certificates:
        if (at := _expiry(each)) is not None:
            found[each.name] = min(at, found.get(each.name, at))
    return found


def _used(plant: Plant, directory: Path) -> Iterator[Certificate]:
    for line in plant.lines.values():
        if isinstance(line, OpcUaLine) and line.opcua.security != "None":
            kept = directory / "pki" / "certificate.der"
            yield Certificate("opcua", line.opcua.certificate or kept)
    if plant.mqtt is not None and plant.mqtt.tls is not None:
        if plant.mqtt.tls.cert_file is not None:
            yield Certificate("mqtt", plant.mqtt.tls.cert_file)
        if plant.mqtt.tls.ca_file is not None:
            yield Certificate("mqtt-ca", plant.mqtt.tls.ca_file, trusts=True)
    for database in plant.databases:
        if database.ca_file is not None:
            yield Certificate(f"{database.name}-ca", database.ca_file, trusts=True)


def _expiry(of: Certificate) -> int | None:
    """Return when it expires: of a chain its first, of those that we trust the last to go."""
    # It takes 11 MB: only a gateway that has certificates pays for it.
    from cryptography import x509  # noqa: PLC0415 - see above

    try:
        data = of.path.read_bytes()
        if data.lstrip().startswith(b"-----BEGIN"):
            found = x509.load_pem_x509_certificates(data)
        else:
            found = [x509.load_der_x509_certificate(data)]
    except (OSError, ValueError):
        return None
    ends = [int(each.not_valid_after_utc.timestamp()) for each in found]
    return max(ends) if of.trusts else ends[0]

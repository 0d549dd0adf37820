"""The parts of the file that belong to the gateway as a whole: store, InfluxDB, MQTT."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from config.model import Duration, Flag, Id, Model, Whole, between
from config.rules import Priority

SECOND = 10**9
HOUR = 3600 * SECOND
CENTURY = 100 * 365 * 24 * HOUR

Patience = Annotated[Duration, between(10**6, 600 * SECOND)]
"""How long an answer is waited for (ns)."""


class Secret(Model):
    """Where a secret is; never the secret itself. Exactly one of the three is given."""

    credential: str | None = None
    """A systemd credential: a file of that name in ``$CREDENTIALS_DIRECTORY``."""
    file: Path | None = None
    env: str | None = None


class StoreSettings(Model):
    """The durable record on this gateway."""

    directory: Path | None = None
    """Where it lies; ``$STATE_DIRECTORY`` (systemd), else ``./state``, when not given."""
    tick: Annotated[Duration, between(SECOND // 10, 60 * SECOND)] = SECOND
    """How often readings are committed (ns): the loss window of a crash."""
    quota: Annotated[Whole, Field(ge=2**20)] | None = None
    """Bytes of readings kept; the oldest delivered ones go first. 8 GiB when not given, or a fifth
    of the disk where that is less."""


class InfluxDb(Model):
    """A database that readings and events are delivered to."""

    name: Id = "influxdb"
    """What its place in the record, its alarm and its figures are called."""
    url: str
    api: Literal["v1", "v2", "v3"] | None = None
    """How it is written to; None: as the server says that it is."""
    org: str = ""
    """v2: the organisation."""
    bucket: str = ""
    """v2: the bucket."""
    database: str = ""
    """v1 and v3: the database. Bucket and database stand for each other where one is given."""
    retention_policy: str = ""
    """v1; the database's own where none is given."""
    keeps: Annotated[Duration, between(HOUR, CENTURY)] | None = None
    """For how long it keeps points (ns); None: as it says when it is asked."""
    token: Secret | None = None
    user: str = ""
    password: Secret | None = None
    ca_file: Path | None = None
    timeout: Patience = 10 * SECOND


def _one_or_several(written: object) -> str:
    return "databases" if isinstance(written, list | tuple) else "a database"


Databases = tuple[InfluxDb, ...]
"""Several at once, each with its own name and its own place in the record."""
WrittenDatabases = Annotated[
    Annotated[InfluxDb, Tag("a database")]
    | Annotated[Databases, Field(min_length=1), Tag("databases")],
    Discriminator(_one_or_several),
]
"""One, or a list of several."""


def databases(written: InfluxDb | Databases | None) -> tuple[InfluxDb, ...]:
    """Return the databases of a file that names none, one or several."""
    if written is None:
        return ()
    return (written,) if isinstance(written, InfluxDb) else written


class Tls(Model):
    """Encryption of a connection."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


class Receipts(Model):
    """Who says back which alarm events are durable with them: ``{from: [scada], within: 1m}``."""

    consumers: Annotated[tuple[Id, ...], Field(alias="from", min_length=1)]
    """By their users at the broker."""
    within: Annotated[Duration, between(10**7, 24 * 3600 * SECOND)] = 60 * SECOND
    """How long that may take (ns) before an event is published again, and an alarm says so."""


class Mqtt(Model):
    """The broker that alarms go to."""

    host: Annotated[str, Field(min_length=1)]
    port: Annotated[Whole, Field(ge=1, le=65535)] = 1883
    protocol: Literal["5", "3.1.1"] = "5"
    user: str = ""
    password: Secret | None = None
    tls: Tls | None = None
    commands: Flag = False
    """Whether acknowledgements and shelving are taken over MQTT."""
    receipts: Receipts | None = None
    """Whose receipts are asked for; None: what the broker has accepted counts as told."""
    digest: Annotated[Duration, between(10**7, 3600 * SECOND)] = 30 * SECOND
    """How often the digest and the heartbeat go out (ns)."""
    keepalive: Annotated[Duration, between(SECOND, 65_535 * SECOND)] = 10 * SECOND
    """MQTT has sixteen bits for its seconds."""
    will_delay: Annotated[Duration, between(0, 3600 * SECOND)] = 0
    """How long the broker keeps to itself that we are gone (ns), in case that we are back by then.
    MQTT 5 alone; whole seconds."""
    timeout: Patience = 5 * SECOND


def consumers(settings: Mqtt | None) -> tuple[str, ...]:
    """Return the names of those whose receipts a site asks for."""
    return settings.receipts.consumers if settings and settings.receipts else ()


def _by_path(command: tuple[str, ...]) -> tuple[str, ...]:
    if not command[0].startswith("/"):
        raise ValueError("the program is named by its whole path, such as /usr/local/bin/siren")
    return command


class Notify(Model):
    """A command for alarms that reach nobody over MQTT: ``{command: [/usr/local/bin/siren]}``."""

    command: Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_by_path)]
    """The program and its arguments; there is no shell."""
    after: Annotated[Duration, between(10**7, 24 * 3600 * SECOND)] = 60 * SECOND
    """For how long (ns) an alarm may be on its way to somebody."""
    priority: Priority = Priority.CRITICAL
    """Of which alarms: this one and worse."""
    timeout: Patience = 30 * SECOND
    """How long the command may take (ns) before it is ended."""


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError("should be an IP address, such as 192.0.2.10") from None


class Http(Model):
    """Where ``/metrics`` and ``/health`` are served; nobody who asks there is asked who he is."""

    port: Annotated[Whole, Field(ge=1, le=65535)]
    address: Annotated[str, AfterValidator(_address)] | None = None
    """Where to listen; the loopback alone (127.0.0.1 and ::1) when not given."""


class ExcursionSettings(Model):
    """What makes one excursion."""

    rejoin: Annotated[Duration, between(0, 24 * 3600 * SECOND)] = 60 * SECOND
    """Two that lie no further apart than this are one (ns): a value that swings about its limit is
    one excursion and not a hundred. A minute is the usual delay of a temperature alarm."""

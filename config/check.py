"""Everything about a site that no single model can see: names, references, channels, rules.

Each check yields findings and goes on; nothing here raises for what a site wrote.
"""

from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from config import shipped
from config.belonging import belonging_findings
from config.catalogue import (
    CATALOGUE,
    RESERVED_EQUIPMENT,
    RESERVED_KINDS,
    Entry,
    reserved,
)
from config.escalating import escalation_findings
from config.model import NANOSECONDS
from config.nodes import NodeSpec
from config.plant import ChannelType
from config.problems import Finding, Path, did_you_mean
from config.reaching import line_findings, secret_findings
from config.registers import RegisterSpec
from config.resolve import kinds_of
from config.rulebook import calibration_name, expired_name, silent_name
from config.salvage import Draft
from config.site import Databases, InfluxDb, Mqtt, Receipts
from config.sources import EquipmentSpec, SourceSpec
from config.units import UnitError, symbol
from config.using import use_findings
from config.watching import set_findings, watch_findings
from config.wiring import Wiring, grouping_findings

SHORTEST_PERIOD = 20 * NANOSECONDS["ms"]
"""A slot of the grid."""
LONGEST_NAME = 63
LONGEST_CONSUMER = LONGEST_NAME - len("receipts-")
_TAKEN = {"mqtt": "the broker's", "notify": "the command's that is run"}
"""Names that no database may have: who has the place of that name in the record."""


def check(draft: Draft) -> list[Finding]:
    """Everything that is wrong across ``draft``, each once."""
    found = [
        *_kinds(draft),
        *_lines(draft),
        *_equipment(draft),
        *_profiles(draft),
        *_limit_sets(draft),
        *belonging_findings(draft),
        *escalation_findings(draft),
        *_databases(draft.influxdb),
        *_mqtt(draft.mqtt),
    ]
    return list(dict.fromkeys(found))


def _doubled(names: Iterable[tuple[Path, str]], what: str) -> Iterator[Finding]:
    """A finding for each name that stood before; where nobody gave it, with what to do."""
    seen: set[str] = set()
    for path, name in names:
        if name in seen:
            advice = "" if path[-1] == "name" else "; give this one a name"
            yield Finding(path, f"{what} {name!r} is there twice{advice}")
        seen.add(name)


def _kinds(draft: Draft) -> Iterator[Finding]:
    for kind, saved in draft.kinds.items():
        if kind in RESERVED_KINDS:
            yield Finding(("kinds", kind), f"{kind!r} is a name of cytowatch's own", at_key=True)
        for name, entry in saved.value.items():
            path = ("kinds", kind, name)
            yield from (each.under(path) for each in _entry(kind, name, entry))


def _entry(kind: str, name: str, entry: Entry) -> Iterator[Finding]:
    known = CATALOGUE.get(kind, {}).get(name)
    if reserved(name):
        yield Finding((), f"{name!r} is a name of cytowatch's own", at_key=True)
    if known is not None and not known.is_like(entry):
        said = f"{known.type} in {known.unit!r}" if known.unit else str(known.type)
        yield Finding((), f"the catalogue has {kind}/{name} already, as {said}", at_key=True)
    if entry.unit:
        try:
            canonical = symbol(entry.unit)
        except UnitError as error:
            yield Finding(("unit",), f"{error}; leave it empty for a bare number")
        else:
            if canonical != entry.unit:
                yield Finding(("unit",), f"is written {canonical!r} in the record")
    if entry.names and (entry.type is not ChannelType.STATE or set(entry.names) != {0, 1}):
        yield Finding(("names",), "names of 0 and of 1 belong to a channel of type state")
    if entry.noisy and entry.type is not ChannelType.ANALOG:
        yield Finding(("noisy",), f"only a measured value is noisy; this is {entry.type}")


def _lines(draft: Draft) -> Iterator[Finding]:
    names = [(("lines", index, "name"), each.value.name) for index, each in draft.lines.items()]
    yield from _doubled(names, "line")
    yield from line_findings(
        {index: each.value for index, each in draft.lines.items() if each.clean}
    )
    owners = [each.value.on for each in draft.lines.values()]
    if draft.gateway and owners and all(on and draft.gateway not in on for on in owners):
        others = sorted({gateway for on in owners for gateway in on})
        hint = did_you_mean(draft.gateway, others)
        yield Finding(("gateway",), f"no line is on gateway {draft.gateway!r}{hint}")


def _equipment(draft: Draft) -> Iterator[Finding]:
    names = [
        (("equipment", index, "name"), each.value.name) for index, each in draft.equipment.items()
    ]
    yield from _doubled(names, "equipment")
    lines = {each.value.name for each in draft.lines.values()} | draft.lost_lines
    wiring = Wiring(draft, kinds_of({name: each.value for name, each in draft.kinds.items()}))
    for index, saved in draft.equipment.items():
        path = ("equipment", index)
        each = saved.value
        yield from (found.under(path) for found in _of_one(draft, each, lines, wiring))
        yield from (found.under(path) for found in wiring.findings(saved))
        if saved.clean:
            yield from (found.under(path) for found in _labels(each))
    yield from wiring.shared
    yield from watch_findings(draft, wiring)
    yield from use_findings(draft, wiring)


def _of_one(
    draft: Draft, each: EquipmentSpec, lines: set[str], wiring: Wiring
) -> Iterator[Finding]:
    if each.name in RESERVED_EQUIPMENT:
        yield Finding(("name",), f"{each.name!r} is a name of cytowatch's own")
    if each.kind not in wiring.kinds and ("kinds", each.kind) not in draft.lost:
        hint = did_you_mean(each.kind, wiring.kinds)
        yield Finding(("kind",), f"there is no kind {each.kind!r}{hint}")
    if each.kind in RESERVED_KINDS:
        yield Finding(("kind",), f"{each.kind!r} is a name of cytowatch's own")
    if (
        each.limits
        and each.limits not in draft.limits
        and ("limits", each.limits) not in draft.lost
    ):
        hint = did_you_mean(each.limits, draft.limits)
        yield Finding(("limits",), f"there is no limit set {each.limits!r}{hint}")
    for index, source in enumerate(each.sources):
        path = ("sources", index)
        yield from (found.under(path) for found in _source(draft, source, lines))


def _labels(each: EquipmentSpec) -> Iterator[Finding]:
    labels = [(_named_at(index, source), source.label) for index, source in enumerate(each.sources)]
    yield from _doubled(labels, "source")
    expired = {expired_name(label) for _, label in labels}
    for path, label in labels:
        if calibration_name(label) in expired:
            yield Finding(path, f"{label!r} would share an alarm with another source here")


def _named_at(index: int, source: SourceSpec) -> Path:
    return ("sources", index, "name") if source.name else ("sources", index)


def _source(draft: Draft, source: SourceSpec, lines: set[str]) -> Iterator[Finding]:
    if lines and source.line not in lines:  # without any, that is what is said
        hint = did_you_mean(source.line, lines)
        yield Finding(("line",), f"there is no line {source.line!r}{hint}")
    profiles = draft.profiles.keys() | shipped.names()
    lost = ("profiles", source.profile) in draft.lost
    if source.profile and source.profile not in profiles and not lost:
        hint = did_you_mean(source.profile, profiles)
        yield Finding(("profile",), f"there is no profile {source.profile!r}{hint}")
    if source.every < SHORTEST_PERIOD:
        yield Finding(("every",), "is too short: 20ms is the shortest period")
    if source.timeout == 0:
        yield Finding(("timeout",), "no device answers in no time")
    longest = expired_name if source.calibration_due else silent_name
    if len(longest(source.label)) > LONGEST_NAME:
        yield Finding(("name",) if source.name else (), f"the name {source.label!r} is too long")
    if source.grouping:
        found = grouping_findings(source.grouping)
        yield from (each.under(("grouping",)) for each in found)


def _profiles(draft: Draft) -> Iterator[Finding]:
    for name, saved in draft.profiles.items():
        if name in shipped.names():
            text = f"profile {name!r} comes with cytowatch; choose another name"
            yield Finding(("profiles", name), text, at_key=True)
        path = ("profiles", name, "grouping")
        yield from (each.under(path) for each in grouping_findings(saved.value.grouping))
        specs = saved.value.channels.values()
        if "grouping" in saved.value.model_fields_set and not any(
            isinstance(each, RegisterSpec) for each in specs
        ):
            yield Finding(path, "is for Modbus registers, and this profile has none; leave it out")
        if saved.value.namespace is not None and not any(
            isinstance(each, NodeSpec) for each in specs
        ):
            path = ("profiles", name, "namespace")
            yield Finding(path, "is for OPC UA nodes, and this profile has none; leave it out")


def _limit_sets(draft: Draft) -> Iterator[Finding]:
    for name, saved in draft.limits.items():
        for channel, rules in saved.value.items():
            path = ("limits", name, channel)
            found = set_findings(rules, whole=saved.whole)
            yield from (each.under(path) for each in found)


def _databases(written: InfluxDb | Databases | None) -> Iterator[Finding]:
    if written is None or isinstance(written, InfluxDb):
        found = _influxdb(written) if written else ()
        yield from (each.under(("influxdb",)) for each in found)
        return
    named: list[tuple[Path, str]] = [
        (("influxdb", index, *(("name",) if "name" in each.model_fields_set else ())), each.name)
        for index, each in enumerate(written)
    ]
    yield from _doubled(named, "database")
    for index, settings in enumerate(written):
        yield from (each.under(("influxdb", index)) for each in _influxdb(settings))


def _influxdb(settings: InfluxDb) -> Iterator[Finding]:
    if owner := _TAKEN.get(settings.name):
        yield Finding(("name",), f"{settings.name} is {owner}; give the database another")
    found = [
        *secret_findings({"token": settings.token, "password": settings.password}),
        *_url(settings.url),
    ]
    if not settings.bucket and not settings.database:
        found.append(Finding((), "needs a bucket (and an org) for v2, a database for v1 and v3"))
    if settings.password and not settings.user:
        found.append(Finding(("password",), "a password without a user"))
    yield from found


def _url(url: str) -> Iterator[Finding]:
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        yield Finding(("url",), "should be http://host:port or https://host:port")
        return
    if not good:
        yield Finding(("url",), "should be http://host:port or https://host:port")
    elif parts.username is not None or parts.password is not None:
        yield Finding(("url",), "no names and passwords here: give user and password or token")


def _mqtt(settings: Mqtt | None) -> Iterator[Finding]:
    if settings is None:
        return
    found = [*secret_findings({"password": settings.password})]
    if settings.password and not settings.user:
        found.append(Finding(("password",), "a password without a user"))
    if settings.tls and (settings.tls.cert_file is None) != (settings.tls.key_file is None):
        found.append(Finding(("tls",), "cert_file and key_file go together"))
    if settings.will_delay and settings.protocol != "5":
        found.append(Finding(("will_delay",), "only MQTT 5 knows it"))
    if settings.receipts:
        found += _receipts(settings.receipts, settings.user)
    yield from (each.under(("mqtt",)) for each in found)


def _receipts(settings: Receipts, own: str) -> Iterator[Finding]:
    path = ("receipts", "from")
    for index, name in enumerate(settings.consumers):
        if name in settings.consumers[:index]:
            yield Finding((*path, index), f"consumer {name!r} is there twice")
        if name == own:
            yield Finding((*path, index), f"{name!r} is the gateway itself; name who listens to it")
        if len(name) > LONGEST_CONSUMER:
            text = f"the name {name!r} is too long: its alarm could not be named receipts-{name}"
            yield Finding((*path, index), text)

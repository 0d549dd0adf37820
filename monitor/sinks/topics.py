"""Which message goes to which topic. Pure.

Topics are made of ids and of nothing else: what a device or a person typed never gets into one.
"""

import json
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from monitor.alarms.facts import State
from monitor.messages import VERSION, AlarmMessage
from monitor.store.events import Event

OWN = "gateway"
"""The equipment under which the alarms of the gateway itself go."""
RECEIPT = "receipt"
"""What stands in place of an act where a consumer says what it has."""
PROBE = "probe"
"""What stands there in place of an act where a gateway tries whether it hears what is for it."""
_LEVEL = re.compile(r"_|[a-z0-9][a-z0-9_-]{0,62}")
_STATE_KEYS = [field.alias or name for name, field in AlarmMessage.model_fields.items()]
_STATE_SCHEMA = AlarmMessage.model_fields["schema_"].default


class Publication(NamedTuple):
    """One message for the broker; always QoS 1."""

    topic: str
    payload: bytes
    retain: bool = False


class Request(NamedTuple):
    """What the topic of an operator's request says."""

    user: str
    act: str


def topic(*levels: str) -> str:
    """Return the topic with these levels; raises ValueError where one is no id."""
    for level in levels:
        if not _LEVEL.fullmatch(level):
            raise ValueError(f"{level!r} is no id, so it cannot be part of a topic")
    return "/".join((VERSION, *levels))


def status(site: str, gateway: str) -> str:
    """Where a gateway says that it is connected."""
    return topic(site, "gateway", gateway, "status")


def digest(site: str, gateway: str) -> str:
    """Where a gateway says what it has told."""
    return topic(site, "gateway", gateway, "digest")


def reply(site: str, user: str) -> str:
    """Where the answers to a user's requests go."""
    return topic(site, "reply", user)


def commands(site: str) -> str:
    """The filter that all requests to a site's gateways fit."""
    return topic(site, "cmd") + "/+/+"


def receipts(site: str, consumer: str) -> str:
    """Where a consumer says what it has made durable."""
    return topic(site, "cmd", consumer, RECEIPT)


def probe(site: str, gateway: str, user: str) -> str:
    """Where a gateway tries whether requests reach it: as a request of its own user would come.

    Where that is no id, the gateway's name stands for it.
    """
    return topic(site, "cmd", user if _LEVEL.fullmatch(user) else gateway, PROBE)


def own_events(site: str, gateway: str) -> tuple[str, str]:
    """The filters that all alarm events of a gateway fit (and, on equipment, those of others)."""
    return topic(site, "equipment") + "/+/+/+/event", topic(
        site, "gateway", gateway, "alarm"
    ) + "/+/event"


def alarm(site: str, gateway: str, name: str) -> str:
    """Return the topic above ``state`` and ``event`` of the alarm ``equipment/channel/rule``.

    An alarm of the gateway itself has one level for its name: the rule, with what it is about
    before it where it is about something (``gateway/bus-a/silent`` is ``bus-a-silent``).
    """
    equipment, channel, rule = name.split("/")
    if equipment != OWN:
        return topic(site, "equipment", equipment, channel, rule)
    own = rule if channel == "_" else f"{channel}-{rule}"
    return topic(site, "gateway", gateway, "alarm", own)


def request(site: str, heard: str) -> Request | None:
    """Read user and act off the topic of a request; None where it is not one or they are no ids."""
    above, _, rest = heard.partition(f"{VERSION}/{site}/cmd/")
    levels = rest.split("/")
    if above or len(levels) != 2 or not all(_LEVEL.fullmatch(level) for level in levels):  # noqa: PLR2004 - user and act
        return None
    return Request(*levels)


def event(told: Event) -> Publication:
    """Return the publication of an alarm event: the text on the record, as it is."""
    body = told.body.encode()
    known = json.loads(told.body)
    return Publication(alarm(known["site"], known["gateway"], known["alarm"]) + "/event", body)


def state(of: Event | AlarmMessage) -> Publication:
    """Return the retained state of an alarm: as it stands, or as an event left it.

    An alarm that ended leaves nothing: its retained state is cleared.
    """
    if isinstance(of, AlarmMessage):
        where = alarm(of.site, of.gateway, of.alarm)
        return Publication(
            f"{where}/state", of.model_dump_json(by_alias=True).encode(), retain=True
        )
    known = json.loads(of.body)
    where = alarm(known["site"], known["gateway"], known["alarm"])
    if known["state"] == State.ENDED:
        return Publication(f"{where}/state", b"", retain=True)
    standing = {key: known[key] for key in _STATE_KEYS} | {"schema": _STATE_SCHEMA}
    text = json.dumps(standing, separators=(",", ":"), ensure_ascii=False)
    return Publication(f"{where}/state", text.encode(), retain=True)


def window(events: Sequence[Event], most: int) -> Sequence[Event]:
    """Return the events that may be in flight together: ``most`` alarms at once, each only once.

    So a version of an alarm is sent only when the one before it was accepted.
    """
    seen: set[str] = set()
    for index, told in enumerate(events):
        if told.kind == "alarm" and (told.subject in seen or len(seen) == most):
            return events[:index]
        seen |= {told.subject} if told.kind == "alarm" else set()
    return events


def owed(
    recent: Iterable[Event], standing: Iterable[AlarmMessage]
) -> dict[str, Event | AlarmMessage]:
    """Return, by alarm, what tells the states that a forgetful broker may hold wrongly or not.

    That is every alarm that is not normal, and those that lately became so: a broker that came
    back with an old file would hold them as active for ever.
    """
    lately = {told.subject: told for told in recent if told.kind == "alarm"}
    return {**lately, **{message.alarm: message for message in standing}}

"""From facts to words: the message that tells of an alarm, made from what is known. Pure."""

from dataclasses import dataclass
from typing import assert_never

from config.plant import Place, Plant
from config.units import sign
from drivers.reading import Moment
from monitor.alarms.board import Board
from monitor.alarms.conditions import condition_of
from monitor.alarms.facts import Alarm, AlarmEvent, State
from monitor.alarms.usage import (
    Load,
    Occupancy,
    Override,
    SetState,
    Unload,
    Usage,
    UsageAct,
    UsageEvent,
)
from monitor.alarms.watch import Watched
from monitor.excursions.case import Setting
from monitor.excursions.record import ExcursionAlarm
from monitor.messages import Actor, AlarmEventMessage, AlarmMessage, rfc3339


@dataclass(frozen=True, slots=True)
class Told:
    """What an event has from the recorder, and not from the alarm."""

    seq: int
    scan: int = 0
    actor: Actor | None = None
    comment: str = ""
    usage: Usage | None = None
    """How its equipment is used; None for the gateway itself."""
    clock_synchronised: bool | None = None
    """None where nobody can say."""


@dataclass(frozen=True, slots=True)
class Describer:
    """Knows who we are; turns events into messages."""

    plant: Plant
    store_id: str

    def event(self, watched: Watched, event: AlarmEvent, told: Told) -> AlarmEventMessage:
        """Return the message of one transition."""
        standing = self._standing(watched, event.name, event.alarm, told.seq, event.now)
        standing |= {"state": event.after, "annunciated": event.annunciated}
        return AlarmEventMessage.model_validate(
            standing
            | {
                "change": event.change,
                "before": event.before,
                "after": event.after,
                "scan": told.scan,
                "actor": told.actor.user if told.actor else "",
                "claimed": told.actor.claimed if told.actor else "",
                "role": told.actor.role if told.actor else "",
                "via": told.actor.via if told.actor else "",
                "comment": told.comment,
                "clock_synchronised": told.clock_synchronised,
                **_used(told.usage),
            }
        )

    def occurrence(self, name: str, number: int) -> str:
        """Return the id of an occurrence on the wire; empty where there was none yet."""
        return f"{self.store_id}/{name}/{number}" if number else ""

    def setting(
        self,
        place: Place,
        board: Board,
        usage: Usage,
        synchronised: bool | None,  # noqa: FBT001 - a fact, not an option
    ) -> Setting:
        """Return how things stand around a channel that passes a limit, or is back."""
        source = self.plant.sources[place[0]]
        channel = source.channels[place[1]]
        names = [f"{source.equipment}/{channel.name}/{rule.name}" for rule in channel.rules]
        active = [(name, alarm) for name in names if (alarm := board.alarm(name)).active]
        alarms = [
            ExcursionAlarm(
                alarm=name,
                occurrence=self.occurrence(name, alarm.occurrence),
                raised=rfc3339(alarm.alarm_time.at) if alarm.alarm_time else None,
                annunciated=alarm.annunciated,
            )
            for name, alarm in active
        ]
        return Setting(usage.state, usage.phase, usage.batches, synchronised, tuple(alarms))

    def _standing(
        self, watched: Watched, name: str, alarm: Alarm, seq: int, now: Moment
    ) -> dict[str, object]:
        rule = watched.rule
        state, priority = alarm.state, rule.priority_after(alarm.escalations)
        suppressed = bool(alarm.suppressed_by or alarm.superseded_by)
        return {
            "site": self.plant.site,
            "gateway": self.plant.gateway,
            "area": watched.area,
            "equipment": watched.equipment,
            "kind": watched.kind,
            "channel": watched.channel,
            "rule": watched.rule_name,
            "alarm": name,
            "event_id": f"{self.store_id}-{seq}",
            "seq": seq,
            "store_id": self.store_id,
            "version": alarm.version,
            "occurrence": self.occurrence(name, alarm.occurrence),
            "state": state,
            "active_state": alarm.active,
            "acked_state": alarm.acknowledged,
            "confirmed_state": alarm.confirmed,
            "latched_state": alarm.latched,
            "shelving_state": _shelving(alarm),
            "suppressed_state": suppressed,
            "out_of_service_state": alarm.out_of_service_until is not None,
            "suppressed_or_shelved": suppressed or alarm.silenced,
            "retain": state not in {State.NORMAL, State.ENDED},
            "suppressed_by": alarm.suppressed_by,
            "superseded_by": alarm.superseded_by,
            "shelved_until": _until(alarm.shelved_until, now),
            "out_of_service_until": _until(alarm.out_of_service_until, now),
            "re_alarms": alarm.re_alarms,
            "escalations": alarm.escalations,
            "priority": priority.value,
            "severity": priority.severity,
            "configured_priority": rule.priority.value,
            "alarm_class": rule.alarm_class or "",
            "value": watched.told(alarm.value),
            "unit": watched.unit,
            "limit": watched.limit_at(alarm.peak),
            "reference": alarm.other,
            "rule_kind": rule.kind,
            "condition": condition_of(watched, sign(watched.unit)),
            "peak": alarm.peak,
            "peak_time": _time(alarm.peak_at),
            "condition_start": _time(alarm.condition_start and alarm.condition_start.at),
            "alarm_time": _time(alarm.alarm_time and alarm.alarm_time.at),
            "time": rfc3339(now.at),
            "response": rule.response,
            "consequence": rule.consequence,
            "time_to_respond": _seconds(rule.time_to_respond),
            "test": watched.test,
            "config": self.plant.digest[:8],
        }


def standing_part(event: AlarmEventMessage) -> AlarmMessage:
    """Return the alarm as it stands after ``event``: what is retained at the broker."""
    known = event.model_dump(include=set(AlarmMessage.model_fields) - {"schema_"})
    return AlarmMessage.model_validate(known)


def _shelving(alarm: Alarm) -> str:
    """Return the state as OPC UA Part 9 calls it (5.8.17)."""
    if alarm.shelved_until is None:
        return "Unshelved"
    return "OneShotShelved" if alarm.one_shot else "TimedShelved"


def _seconds(duration: int | None) -> float | None:
    return None if duration is None else duration / 10**9


def equipment_state(
    event: UsageEvent, suppressing_until: int | None, actor: Actor | None, reason: str
) -> dict[str, object]:
    """Return what the record says of another state or phase; all of it is as it is after.

    ``suppressing_until`` is the elapsed time at which the state suppresses no longer, None where it
    does not. Where nobody acted just now, who and why are those of the act that stands.
    """
    before, after, now = event.before, event.after, event.now
    override = after.override
    return {
        "change": event.change.value,
        "state": after.state.value,
        "before": before.state.value,
        "phase": after.phase,
        "phase_before": before.phase,
        "cause": after.cause.value,
        "told": after.told,
        "until": _until(override.until if override else None, now),
        "suppresses": suppressing_until is not None,
        "suppressing_until": _until(suppressing_until, now),
        "bridged": before.bridged,
        **_who(actor, reason, override),
    }


def occupancy(event: Occupancy, actor: Actor | None, reason: str) -> dict[str, object]:
    """Return what the record says of a batch that came or left."""
    return {
        "act": "load" if event.came else "unload",
        "batch": event.loaded.batch,
        "position": event.loaded.position,
        "since": rfc3339(event.loaded.since),
        **_who(actor, reason),
    }


def used_now(act: UsageAct, usage: Usage, suppressing_until: int | None, now: Moment) -> str:
    """Return what is so of an equipment after an act, to whoever did it."""
    match act:
        case Load(batch, position):
            return f"{batch} loaded{_at(position)}"
        case Unload(batch, position):
            return f"{batch} unloaded{_at(position)}"
        case SetState():
            end = usage.override.until if usage.override else None
            until = f" until {_until(end, now)}" if end is not None else ""
            return usage.state.value + until + _silent(end, suppressing_until, now)
        case _:
            assert_never(act)


def _silent(end: int | None, suppressing_until: int | None, now: Moment) -> str:
    """Return until when alarms are suppressed, where that is not simply as long as the state."""
    if suppressing_until is None or (end is not None and end <= suppressing_until):
        return ""
    return f"; alarms are suppressed until {_until(suppressing_until, now)}"


def _at(position: str) -> str:
    return f" at {position}" if position else ""


def _who(actor: Actor | None, reason: str, override: Override | None = None) -> dict[str, object]:
    if actor is None:
        user, why = (override.user, override.reason) if override else ("", "")
        return {"user": user, "reason": why}
    return {
        "user": actor.user,
        "claimed": actor.claimed,
        "role": actor.role,
        "via": actor.via,
        "reason": reason,
    }


def _used(usage: Usage | None) -> dict[str, object]:
    """Return how the equipment of an alarm is used; nothing for the gateway itself."""
    if usage is None:
        return {}
    return {"equipment_state": usage.state, "phase": usage.phase, "batches": usage.batches}


def _until(boot: int | None, now: Moment) -> str | None:
    return None if boot is None else rfc3339(now.at + boot - now.boot)


def _time(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)

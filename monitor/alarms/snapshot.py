"""The facts of one alarm as one JSON object, and back, over restarts and reboots.

Within one boot, elapsed time goes on counting while the daemon is away, so what was saved is what
is loaded. After a reboot it began anew at nothing: every instant is moved so that the elapsed part
up to the saving is kept and record time bridges what lies between, and ``Alarm.bridged`` says so.
"""

import json

from drivers.reading import Moment
from monitor.alarms.facts import Alarm, Pending, Sample

VERSION = 3
"""Version 1 did not say when an alarm was acknowledged, and version 2 not since when it asks."""
_MOMENTS = ("condition_start", "inside_since", "alarm_time")
_PLAIN = tuple(n for n in Alarm._fields if n not in {*_MOMENTS, "pending", "samples"})
_USUAL = Alarm()


class SnapshotError(Exception):
    """What was saved is not the facts of an alarm that this release can read."""


def dump(alarm: Alarm, boot_id: str, now: Moment) -> str:
    """Return ``alarm`` as JSON; facts that are as in an alarm at rest are left out."""
    saved: dict[str, object] = {"v": VERSION, "boot_id": boot_id, "saved": now}
    for name in (*_PLAIN, *_MOMENTS, "pending", "samples"):
        value = getattr(alarm, name)
        if value != getattr(_USUAL, name):
            saved[name] = value
    return json.dumps(saved, separators=(",", ":"), ensure_ascii=False)


def load(text: str, boot_id: str, now: Moment) -> Alarm:
    """Return the facts that ``dump`` saved, as they mean under ``boot_id`` at ``now``.

    Raises ``SnapshotError`` when ``text`` is not what a release up to this one has saved.
    """
    try:
        saved = json.loads(text)
        if not 1 <= saved["v"] <= VERSION:
            raise SnapshotError(
                f"alarm facts of version {saved['v']} were saved by a later release"
            )
        alarm = _alarm(saved)
        if saved["v"] < VERSION:
            alarm = _dated(alarm, Moment(*saved["saved"]).boot, saved["v"])
        if saved["boot_id"] == boot_id:
            return alarm
        return _bridged(alarm, Moment(*saved["saved"]), now)
    except (ValueError, KeyError, TypeError) as error:
        raise SnapshotError(f"the saved facts of an alarm cannot be read: {error}") from error


def _alarm(saved: dict[str, object]) -> Alarm:
    known: dict[str, object] = {name: saved[name] for name in _PLAIN if name in saved}
    known |= {name: _moment(saved[name]) for name in _MOMENTS if name in saved}
    if "pending" in saved:
        known["pending"] = _pending(saved["pending"])
    if "samples" in saved:
        known["samples"] = _samples(saved["samples"])
    return Alarm(**known)  # type: ignore[arg-type]  # the types are those that dump was given


def _dated(alarm: Alarm, saved: int, version: int) -> Alarm:
    """Say when somebody acknowledged it, or since when it asks: at the latest when it was saved.

    Active and acknowledged without that it would be one that nobody was ever told of, and would
    not latch. Before version 2 such there were none: a raise asked for an acknowledgement under a
    silence, too.
    """
    if version == 1 and alarm.active and alarm.acknowledged:
        alarm = alarm._replace(acknowledged_at=saved)
    return alarm._replace(unacknowledged_since=saved) if alarm.asks else alarm


def _moment(pair: object) -> Moment:
    if not isinstance(pair, list):
        raise TypeError("an instant is a pair of times")
    return Moment(*pair)


def _pending(saved: object) -> Pending:
    if not isinstance(saved, list):
        raise TypeError("a pending condition is a list")
    since, *rest = saved
    return Pending(_moment(since), *rest)


def _samples(saved: object) -> tuple[Sample, ...]:
    if not isinstance(saved, list):
        raise TypeError("samples are a list")
    return tuple(Sample(*sample) for sample in saved)


def _bridged(alarm: Alarm, saved: Moment, now: Moment) -> Alarm:
    away = max(0, now.at - saved.at)
    shift = now.boot - away - saved.boot
    pending = alarm.pending
    return alarm._replace(
        pending=pending and pending._replace(since=_shifted(pending.since, shift)),
        condition_start=alarm.condition_start and _shifted(alarm.condition_start, shift),
        inside_since=alarm.inside_since and _shifted(alarm.inside_since, shift),
        alarm_time=alarm.alarm_time and _shifted(alarm.alarm_time, shift),
        acknowledged_at=_moved(alarm.acknowledged_at, shift),
        unacknowledged_since=_moved(alarm.unacknowledged_since, shift),
        shelved_until=_moved(alarm.shelved_until, shift),
        out_of_service_until=_moved(alarm.out_of_service_until, shift),
        samples=tuple(one._replace(boot=one.boot + shift) for one in alarm.samples),
        bridged=alarm.bridged or _runs(alarm),
    )


def _shifted(moment: Moment, shift: int) -> Moment:
    return moment._replace(boot=moment.boot + shift)


def _moved(boot: int | None, shift: int) -> int | None:
    return None if boot is None else boot + shift


def _runs(alarm: Alarm) -> bool:
    """Whether any duration is under way."""
    return (
        alarm.pending is not None
        or alarm.active
        or alarm.inside_since is not None
        or alarm.shelved_until is not None
        or alarm.out_of_service_until is not None
        or alarm.unacknowledged_since is not None
    )

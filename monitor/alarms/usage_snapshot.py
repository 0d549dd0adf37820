"""The use of one equipment as one JSON object, and back, over restarts and reboots.

Elapsed times are bridged over a reboot as those of alarms are (``snapshot``).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from config.rules import EquipmentState
from drivers.reading import Moment
from monitor.alarms.snapshot import SnapshotError
from monitor.alarms.usage import UNUSED, Loaded, Override, ToldBy, Usage, Word

VERSION = 1


def dump(usage: Usage, boot_id: str, now: Moment) -> str:
    """Return ``usage`` as JSON; what is as in an unused equipment is left out."""
    saved: dict[str, object] = {"v": VERSION, "boot_id": boot_id, "saved": now}
    given = {name: value for name, value in usage._asdict().items() if value != _USUAL[name]}
    return json.dumps(saved | given, separators=(",", ":"), ensure_ascii=False)


def load(text: str, boot_id: str, now: Moment) -> Usage:
    """Return the usage that ``dump`` saved, as it means under ``boot_id`` at ``now``.

    Raises ``SnapshotError`` when ``text`` is not what a release up to this one has saved.
    """
    try:
        saved = json.loads(text)
        if saved["v"] != VERSION:
            raise SnapshotError(
                f"the use of an equipment, version {saved['v']}, was saved by a later release"
            )
        usage = _usage(saved)
        if saved["boot_id"] == boot_id:
            return usage
        away = max(0, now.at - saved["saved"][0])
        return _shifted(usage, now.boot - away - saved["saved"][1])
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise SnapshotError(f"the saved use of an equipment cannot be read: {error}") from error


_USUAL = UNUSED._asdict()


def _usage(saved: Mapping[str, Any]) -> Usage:
    """Read what was said; what is left out is as in an unused equipment."""
    known = {name: saved[name] for name in Usage._fields if name in saved}
    usage = UNUSED._replace(**known)
    return usage._replace(
        state=EquipmentState(usage.state),
        cause=ToldBy(usage.cause),
        since=_moment(usage.since),
        phase_since=_moment(usage.phase_since),
        override=None if usage.override is None else _override(usage.override),
        words=tuple(Word(channel, said, _moment(lost)) for channel, said, lost in usage.words),
        loaded=tuple(Loaded(*each) for each in usage.loaded),
    )


def _override(saved: Sequence[Any]) -> Override:
    state, user, reason, since, until = saved
    return Override(EquipmentState(state), user, reason, Moment(*since), until)


def _moment(saved: Sequence[int] | None) -> Moment | None:
    return None if saved is None else Moment(*saved)


def _shifted(usage: Usage, shift: int) -> Usage:
    """Move every instant by ``shift`` of elapsed time."""
    override = usage.override
    if override is not None:
        until = None if override.until is None else override.until + shift
        override = override._replace(since=_moved(override.since, shift), until=until)
    words = (word._replace(lost=word.lost and _moved(word.lost, shift)) for word in usage.words)
    return usage._replace(
        since=usage.since and _moved(usage.since, shift),
        phase_since=usage.phase_since and _moved(usage.phase_since, shift),
        override=override,
        words=tuple(words),
        bridged=usage.bridged or usage.since is not None,
    )


def _moved(moment: Moment, shift: int) -> Moment:
    return moment._replace(boot=moment.boot + shift)

"""All that is kept of one excursion while it goes on, as it is saved beside the alarms' facts.

Within one boot elapsed time goes on counting while the daemon is away. After a reboot every instant
is moved so that the elapsed part up to the saving is kept and record time bridges the rest, as with
alarms (``alarms.snapshot``).
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

from pydantic import ConfigDict, TypeAdapter, ValidationError

from drivers.reading import Moment
from monitor.alarms.snapshot import SnapshotError
from monitor.excursions.record import ExcursionAct, ExcursionAlarm, Place
from monitor.excursions.track import Back, Opening, Track

VERSION = 1
PREFIX = "excursion/"
"""Of the names under which they are saved; the alarm's name follows."""


class Setting(NamedTuple):
    """How things stand around a channel at one time."""

    state: str = ""
    phase: str = ""
    batches: tuple[str, ...] = ()
    synchronised: bool | None = None
    """Whether the wall clock is; None: nobody knows."""
    alarms: tuple[ExcursionAlarm, ...] = ()
    """Those of the channel that are active."""


@dataclass(frozen=True, slots=True)
class Case:
    """One excursion that goes on."""

    excursion: str
    """Its id."""
    place: Place
    track: Track
    worse: tuple[str, ...]
    """Names of the alarms of worse limits of the same side."""
    config: str
    setting: Setting
    """At its start; batches and alarms are added as they come."""
    acts: tuple[ExcursionAct, ...] = ()
    clock_steps: int = 0
    bridged: bool = False

    @property
    def speakers(self) -> frozenset[str]:
        """Names of the alarms that tell of it: its own, and those of worse limits."""
        return frozenset({self.place.name, *self.worse})


class _Saved(NamedTuple):
    v: int
    boot_id: str
    saved: Moment
    case: Case


_SAVED = TypeAdapter(_Saved, config=ConfigDict(hide_input_in_errors=True))
"""What it cannot read it does not quote: a log would have the ids of batches."""


def dump(case: Case, boot_id: str, now: Moment) -> str:
    """Return ``case`` as JSON."""
    return _SAVED.dump_json(_Saved(VERSION, boot_id, now, case)).decode()


def load(text: str, boot_id: str, now: Moment) -> Case:
    """Return what ``dump`` saved, as it means under ``boot_id`` at ``now``.

    Raises ``SnapshotError`` when ``text`` is not what this release has saved.
    """
    try:
        saved = _SAVED.validate_json(text)
    except ValidationError as error:
        raise SnapshotError(f"a saved excursion cannot be read: {error}") from error
    if saved.v != VERSION:
        raise SnapshotError(f"an excursion of version {saved.v} was saved by a later release")
    if saved.boot_id == boot_id:
        return saved.case
    away = max(0, now.at - saved.saved.at)
    shift = now.boot - away - saved.saved.boot
    return replace(saved.case, track=_shifted(saved.case.track, shift), bridged=True)


def _shifted(track: Track, shift: int) -> Track:
    def moved(moment: Moment) -> Moment:
        return moment._replace(boot=moment.boot + shift)

    return replace(
        track,
        first=moved(track.first),
        last=moved(track.last),
        start=moved(track.start),
        seen=track.seen._replace(moment=moved(track.seen.moment)),
        back=track.back and Back(moved(track.back.end), *track.back[1:]),
        openings=tuple(
            Opening(one.start + shift, None if one.end is None else one.end + shift)
            for one in track.openings
        ),
    )

"""One excursion as it goes on: what a reading, a bad reading, a gap, a door change of it.

It begins with the first usable reading beyond the limit, or where the line from the reading before
crossed it. It is back inside where the line crosses again, or with the first usable reading inside
after missing data, which ends nothing by itself. What follows counts apart (``Back``), until it is
clear whether the excursion goes on: if it is beyond again within the rejoin time, it is the same.
Durations run on ``Moment.boot``, in nanoseconds; areas are the channel's unit times that.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

from drivers.reading import Moment
from monitor.excursions.segment import Limit, Part, beyond


class Tally(NamedTuple):
    """What was counted over a stretch of time."""

    outside: float = 0.0
    """Time measured beyond the limit."""
    area: float = 0.0
    inside: float = 0.0
    """Time measured inside, between two parts that were rejoined."""
    gap: int = 0
    """Time between two readings that were too far apart, or with a bad one between them."""
    samples: int = 0
    """Usable readings."""
    bad: int = 0
    """Readings that could not be used."""

    def plus(self, other: "Tally") -> "Tally":
        """Return both counted together."""
        return Tally(
            self.outside + other.outside,
            self.area + other.area,
            self.inside + other.inside,
            self.gap + other.gap,
            self.samples + other.samples,
            self.bad + other.bad,
        )


class Seen(NamedTuple):
    """The newest usable reading."""

    moment: Moment
    depth: float


class Back(NamedTuple):
    """It is inside again: since when, and what was counted there."""

    end: Moment
    crossed: bool
    """Whether ``end`` is where the line crosses; else it is the first usable reading inside."""
    tally: Tally


class Opening(NamedTuple):
    """Something stood open for a while (elapsed time); still does where there is no end."""

    start: int
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Track:
    """What was measured of one excursion."""

    limit: Limit
    first: Moment
    """The first reading beyond."""
    last: Moment
    """The newest reading beyond."""
    start: Moment
    """Where the line crossed the limit, or the first reading beyond."""
    crossed: bool
    """Which of the two ``start`` is."""
    extreme: float
    extreme_at: int
    """Record time (ns, UTC)."""
    beyond: int
    """Readings beyond."""
    depths: float
    """The sum of their depths."""
    tally: Tally
    seen: Seen
    broken: bool = False
    """Since ``seen`` a reading was bad, or nobody watched."""
    back: Back | None = None
    door: int = 0
    """Time that a door stood open, of openings that are over."""
    openings: tuple[Opening, ...] = ()
    """Those that may still be outside of what the excursion turns out to be."""

    @property
    def end(self) -> Moment:
        """Where it is inside again; the newest reading beyond while it is not."""
        return self.back.end if self.back else self.last

    @property
    def mean(self) -> float:
        """The mean value, weighted by time where any time was measured; else of the readings."""
        tally = self.tally
        depth = tally.area / tally.outside if tally.outside else self.depths / self.beyond
        return self.limit.at(depth)

    @property
    def door_open(self) -> int:
        """Time (ns) that a door stood open between its start and its end."""
        return self.door + sum(self._overlap(opening) for opening in self.openings)

    def _overlap(self, opening: Opening) -> int:
        end = self.end.boot if opening.end is None else min(opening.end, self.end.boot)
        return max(0, end - max(opening.start, self.start.boot))


def begin(limit: Limit, before: Seen | None, now: Moment, depth: float) -> Track:
    """Begin with a reading beyond; ``before`` is the usable one right before it, if there was."""
    outside = _part(before, now, depth) if before is not None and before.depth <= 0 else None
    start = _earlier(now, outside.time) if outside else now
    return Track(
        limit=limit,
        first=now,
        last=now,
        start=start,
        crossed=outside is not None,
        extreme=limit.at(depth),
        extreme_at=now.at,
        beyond=1,
        depths=depth,
        tally=Tally(*(outside or (0.0, 0.0)), samples=1),
        seen=Seen(now, depth),
    )


def follow(track: Track, now: Moment, depth: float | None, longest: int) -> Track:
    """Take one reading further; None is one that cannot be used, ``longest`` (ns) begins a gap."""
    if depth is None:
        return _bad(track)
    stretch = _stretch(track, now, depth, longest)
    if depth > 0:
        return _outside(track, now, depth, stretch)
    if track.back is None:
        return _returned(track, now, depth, stretch)
    back = track.back._replace(tally=track.back.tally.plus(stretch))
    return replace(track, back=back, seen=Seen(now, depth), broken=False)


def onset(track: Track, now: Moment, depth: float, longest: int) -> int:
    """Return when (elapsed time) a reading beyond says that the limit was passed again."""
    if _is_gap(track, now, longest):
        return now.boot
    return now.boot - round(_part(track.seen, now, depth).time)


def before(track: Track, now: Moment, longest: int) -> Seen | None:
    """Return the reading from which a line can be drawn to one of ``now``."""
    return None if _is_gap(track, now, longest) else track.seen


def over(track: Track, boot: int, rejoin: int) -> bool:
    """Whether it has been inside for longer than ``rejoin`` (ns); for 0, whether it is inside."""
    return track.back is not None and (not rejoin or boot - track.back.end.boot > rejoin)


def door(track: Track, boot: int, *, opened: bool) -> Track:
    """Take note that a door stands open, or that none does."""
    stands = bool(track.openings) and track.openings[-1].end is None
    if opened is stands:
        return track
    if opened:
        return replace(track, openings=(*track.openings, Opening(boot)))
    *others, newest = track.openings
    return _settled(replace(track, openings=(*others, newest._replace(end=boot))))


def _bad(track: Track) -> Track:
    one = Tally(bad=1)
    if track.back is None:
        return replace(track, tally=track.tally.plus(one), broken=True)
    back = track.back._replace(tally=track.back.tally.plus(one))
    return replace(track, back=back, broken=True)


def _stretch(track: Track, now: Moment, depth: float, longest: int) -> Tally:
    """What lies between the newest usable reading and this one, this one included."""
    span = now.boot - track.seen.moment.boot
    if _is_gap(track, now, longest):
        return Tally(gap=span, samples=1)
    part = _part(track.seen, now, depth)
    return Tally(part.time, part.area, span - part.time, samples=1)


def _outside(track: Track, now: Moment, depth: float, stretch: Tally) -> Track:
    tally = track.tally.plus(track.back.tally) if track.back else track.tally
    value = track.limit.at(depth)
    worse = track.limit.depth(track.extreme) < depth
    return _settled(
        replace(
            track,
            last=now,
            extreme=value if worse else track.extreme,
            extreme_at=now.at if worse else track.extreme_at,
            beyond=track.beyond + 1,
            depths=track.depths + depth,
            tally=tally.plus(stretch),
            seen=Seen(now, depth),
            broken=False,
            back=None,
        )
    )


def _returned(track: Track, now: Moment, depth: float, stretch: Tally) -> Track:
    """The part up to the crossing is the excursion's, the rest is of the time after it."""
    crossed = stretch.gap == 0
    end = _earlier(now, stretch.inside) if crossed else now
    mine = stretch._replace(inside=0.0, samples=0)
    after = Tally(inside=stretch.inside, samples=1)
    return replace(
        track,
        tally=track.tally.plus(mine),
        seen=Seen(now, depth),
        broken=False,
        back=Back(end, crossed, after),
    )


def _settled(track: Track) -> Track:
    """Count openings that are over for good; beyond its newest reading nothing is for good."""
    done = [o for o in track.openings if o.end is not None and o.end <= track.last.boot]
    if not done:
        return track
    left = tuple(o for o in track.openings if o not in done)
    counted = sum(track._overlap(o) for o in done)  # noqa: SLF001 - of its own class
    return replace(track, door=track.door + counted, openings=left)


def _is_gap(track: Track, now: Moment, longest: int) -> bool:
    return track.broken or now.boot - track.seen.moment.boot > longest


def _part(seen: Seen, now: Moment, depth: float) -> Part:
    return beyond(seen.depth, depth, now.boot - seen.moment.boot)


def _earlier(moment: Moment, by: float) -> Moment:
    return Moment(moment.at - round(by), moment.boot - round(by))

"""What one source's scans are held against, and whether a scan is steady: nothing of it changes.

All of it is derived from the facts and kept beside them to be quick: the flat lists of the bands,
the words that a rule asks for, and what a scan has to be held against of those before it. Pure.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter

from config.plant import ChannelType, Source
from config.rules import Flatline, OffNormal, Rule, Stale
from drivers.reading import Moment, Quality, Scan, Value
from monitor.alarms.bands import ANYTHING, Words
from monitor.alarms.facts import Elapsed, Observation
from monitor.alarms.inputs import STILL, Reference, Unchanged, patience
from monitor.alarms.watch import Watched, line_alarm, source_alarm

LINE, SOURCE, OUTAGE = -1, -2, -3
CAUSES = frozenset({LINE, SOURCE, OUTAGE})
"""Stand in ``Bounds.restless`` for what is no channel: the line's alarm, the source's, a gate."""


class Bounds:
    """What one source's scans are held against."""

    __slots__ = (
        "active", "at_ease", "awake", "channels", "gate", "highest", "index", "levels", "line",
        "looked_at", "lowest", "of_file", "patience", "pick", "places", "references", "remembers",
        "restless", "silent", "still", "timed", "times", "unchanged", "words",
    )  # fmt: skip

    def __init__(self, source: Source, watched: Mapping[str, Watched]) -> None:
        self.index = source.index
        self.line = watched[line_alarm(source.line)]
        self.silent = watched[source_alarm(source)]
        self.of_file: list[tuple[Watched, ...]] = [() for _ in source.channels]
        """The alarms of each channel, as the file has their rules."""
        self.channels: list[tuple[Watched, ...]] = [() for _ in source.channels]
        """The same as they are watched just now."""
        self.levels = _levels(source)
        """Indices of the channels that have a band, in the order of ``lowest`` and ``highest``."""
        self.places = {channel: place for place, channel in enumerate(self.levels)}
        self.pick = None if len(self.levels) == len(source.channels) else _pick(self.levels)
        self.lowest = [0.0] * len(self.levels)
        self.highest = [0.0] * len(self.levels)
        self.words: dict[int, Words] = {
            i: ANYTHING
            for i, c in enumerate(source.channels)
            if c.type is ChannelType.TEXT and any(isinstance(r, OffNormal) for r in c.rules)
        }
        """Where nothing changes of a text that a rule asks for, by the index of its channel."""
        self.timed = tuple(i for i, c in enumerate(source.channels) if _has_stale(c.rules))
        """Indices of the channels whose source time is watched."""
        self.times: list[int | None] = [None] * len(source.channels)
        self.still: list[Moment | None] = [None] * len(source.channels)
        """Since when a source time stands still; None while it moves."""
        self.patience = [_patience(source.period, channel.rules) for channel in source.channels]
        """How long (ns) it may do so before a rule is asked."""
        self.unchanged = _unchanged(source)
        """By channel: what has to change, where a rule asks for it."""
        self.references: list[Reference] = []
        """What others compare themselves with."""
        self.remembers = bool(self.timed or self.unchanged)
        """Whether a scan has to be held against those before it."""
        self.restless: set[int] = set()
        """Channels (and ``CAUSES``) to be looked at on every scan."""
        self.awake: set[int] = set()
        """Channels of which some alarm is not at peace."""
        self.active: set[int] = set()
        """Channels of which some alarm is active: what lies inside its band is beyond its limit."""
        self.looked_at = False
        """Whether the last scan was looked at closely."""
        self.at_ease = not (self.words or self.remembers)
        """Whether its bands are all there is to a steady scan: no words, nothing to remember, and
        the last scan was steady too."""
        self.gate = ""
        """Name of the alarm that speaks for this source's channels."""


def _levels(source: Source) -> tuple[int, ...]:
    """Every channel that is no text may have a band; all of them when none is text: no picking."""
    return tuple(i for i, c in enumerate(source.channels) if c.type is not ChannelType.TEXT)


def _pick(places: Sequence[int]) -> Callable[[Sequence[Value | None]], Sequence[Value | None]]:
    match places:
        case []:
            return lambda _: ()
        case [only]:
            return lambda values: (values[only],)
        case _:
            return itemgetter(*places)


def _has_stale(rules: Sequence[Rule]) -> bool:
    return any(isinstance(rule, Stale) for rule in rules)


def _unchanged(source: Source) -> dict[int, Unchanged]:
    return {
        index: Unchanged(index, min(patience(source.period, rule) for rule in channel.rules))
        for index, channel in enumerate(source.channels)
        if any(isinstance(rule, Flatline) for rule in channel.rules)
    }


def mark(marks: set[int], one: int, *, on: bool) -> None:
    """Put ``one`` among the marks, or take it off."""
    if on:
        marks.add(one)
    else:
        marks.discard(one)


def _patience(period: int, rules: Sequence[Rule]) -> int:
    """A rule that is itself less patient is asked as soon as it may raise."""
    delays = [rule.on_delay for rule in rules if isinstance(rule, Stale)]
    return min([STILL * period, *delays])


def inside(source: Bounds, scan: Scan) -> bool:
    """Whether every value of a whole scan without a fault lies in its band."""
    values = scan.values if source.pick is None else source.pick(scan.values)
    for value, lowest, highest in zip(values, source.lowest, source.highest, strict=False):
        if not lowest <= value <= highest:  # type: ignore[operator]  # without a fault each is a number
            return False
    return True


def part_inside(source: Bounds, scan: Scan) -> bool:
    """Whether every value that a scan without a fault brings lies in its band."""
    values, places, lowest, highest = scan.values, source.places, source.lowest, source.highest
    for channel in scan.spoke or ():
        place = places.get(channel)
        if place is not None and not lowest[place] <= values[channel] <= highest[place]:  # type: ignore[operator]  # no text has a place
            return False
    return True


def touched(source: Bounds, scan: Scan) -> set[int]:
    """The channels of which something may change: all others are steady."""
    found = source.restless - CAUSES
    found.update(scan.faults)
    values = scan.values if source.pick is None else source.pick(scan.values)
    place = 0
    for value, lowest, highest in zip(values, source.lowest, source.highest, strict=True):
        if value is not None and not lowest <= value <= highest:  # type: ignore[operator]  # no text is picked
            found.add(source.levels[place])
        place += 1  # noqa: SIM113 - enumerate would make a tuple for each of all channels
    found.update(c for c in source.words if _stirs(source, scan, c))
    if source.remembers:
        found.update(c for c in source.timed if _stands_still(source, scan, c))
        found.update(c for c, one in source.unchanged.items() if one.lasting(scan))
    return found


def is_steady(source: Bounds, scan: Scan) -> bool:
    """Whether no word says anything new, and nothing has stood still for too long."""
    return not (
        (source.words and _any_word_stirs(source, scan))
        or (source.remembers and _any_stands_still(source, scan))
    )


def _any_word_stirs(source: Bounds, scan: Scan) -> bool:
    return any(_stirs(source, scan, channel) for channel in source.words)


def _stirs(source: Bounds, scan: Scan, channel: int) -> bool:
    """Whether a text says what changes something."""
    word = scan.values[channel]
    return word is not None and not source.words[channel].has(word)


def _any_stands_still(source: Bounds, scan: Scan) -> bool:
    return any(_stands_still(source, scan, channel) for channel in source.timed) or any(
        one.lasting(scan) for one in source.unchanged.values()
    )


def _stands_still(source: Bounds, scan: Scan, channel: int) -> bool:
    """Whether the channel's source time has been the same for so long that a rule is asked."""
    time = scan.source_times.get(channel)
    if time is None or time != source.times[channel]:
        return False
    since = source.still[channel]
    return scan.boot - (scan.boot if since is None else since.boot) >= source.patience[channel]


def remember(source: Bounds, scan: Scan) -> None:
    """Keep what the next scan is held against."""
    for one in source.unchanged.values():
        one.remember(scan)
    if source.timed:
        _remember_times(source, scan)


def _remember_times(source: Bounds, scan: Scan) -> None:
    """Keep the source times of good readings, to see with the next whether they moved."""
    for channel in source.timed:
        time = scan.source_times.get(channel)
        fault = scan.faults.get(channel)
        if time is None or (fault is not None and fault.quality is Quality.BAD):
            continue
        if time != source.times[channel]:
            source.times[channel], source.still[channel] = time, None
        elif source.still[channel] is None:
            source.still[channel] = scan.moment


def said_of(source: Bounds, scan: Scan, channel: int) -> Observation | Elapsed:
    """Return what ``scan`` says to the rules of a channel, beside what was said before."""
    if scan.spoke is not None and channel not in scan.spoke:
        return Elapsed()
    fault = scan.faults.get(channel)
    time, previous, still = scan.source_times.get(channel), source.times[channel], None
    if time is not None and time == previous:
        still = source.still[channel]
        previous = time if _stands_still(source, scan, channel) else None
    quality, reason = (Quality.GOOD, None) if fault is None else fault
    unchanged = source.unchanged.get(channel)
    return Observation(
        value=scan.values[channel],
        quality=quality,
        reason=reason,
        source_time=time,
        previous_time=previous,
        still_since=still,
        unchanged_since=unchanged.lasting(scan) if unchanged else None,
    )

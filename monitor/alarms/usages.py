"""The use of every equipment of the gateway: takes scans, acts and time in, gives events out.

Most sources tell nothing of a state or a phase; the index of those that do is in ``sources``, so
that for all others there is nothing to do. Pure.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

from config.plant import Plant
from drivers.reading import Moment, Origin, Scan, Value
from monitor.alarms import usage as one
from monitor.alarms.facts import Circumstances, Refusal
from monitor.alarms.usage import UNUSED, Manner, Occupancy, Usage, UsageAct, UsageEvent

NOTHING: tuple[UsageEvent, ...] = ()
Event = UsageEvent | Occupancy


class _Listening(NamedTuple):
    """Which channels of a source tell something of an equipment."""

    equipment: str
    channels: tuple[tuple[int, str], ...]
    """Index and name."""


class Usages:
    """How every equipment is used."""

    def __init__(self, plant: Plant, saved: Mapping[str, Usage], now: Moment) -> None:
        self._manners = {each.name: one.manner(plant, each.name) for each in plant.equipment}
        self._usages = dict(saved)
        """By equipment; of one that is no longer in the file, what was saved is kept."""
        self._changed: set[str] = set()
        self._due: dict[str, int] = {}
        self._listening = _listening(self._manners)
        self.sources = frozenset(self._listening)
        """Indices of the sources that tell a state or a phase."""
        self._picks = {source: _pick(each) for source, each in self._listening.items()}
        self._steady: dict[int, object] = {}
        """What they said last, where all of it was good: nothing comes of the same again."""
        for name, manner in self._manners.items():
            self._keep(name, one.begin(self[name], manner, now), now)

    def __getitem__(self, equipment: str) -> Usage:
        """Return how ``equipment`` is used."""
        return self._usages.get(equipment, UNUSED)

    def circumstances(self) -> Mapping[str, Circumstances]:
        """Return what the alarms of each equipment depend on."""
        return {name: self[name].circumstances for name in self._manners}

    def suppressing_until(self, equipment: str) -> int | None:
        """Return the elapsed time at which its state suppresses no longer; None: it does not."""
        return self._manners[equipment].ends_suppressing(self[equipment])

    def observe(self, scan: Scan) -> Sequence[UsageEvent]:
        """Hear what a scan says of states and phases; what is late or a test says nothing."""
        source = scan.source
        if source not in self.sources or scan.origin is not Origin.LIVE:
            return NOTHING
        said = self._picks[source](scan.values)
        whole = scan.spoke is None and not scan.faults
        if whole and said == self._steady.get(source):
            return NOTHING
        self._steady[source] = said if whole else None
        events: list[UsageEvent] = []
        for listening in self._listening[source]:
            events += self._hear(listening, scan)
        return events or NOTHING

    def look(self, now: Moment) -> Sequence[UsageEvent]:
        """Let fall due what is; called once a second, and once before the first scan."""
        late = [name for name, time in self._due.items() if time <= now.boot]
        return [event for name in late for event in self._settle(name, self[name], now)]

    def reconcile(self, now: Moment) -> Sequence[UsageEvent]:
        """Weigh what was saved by today's file; called once, before the first scan."""
        return [event for name in self._manners for event in self._settle(name, self[name], now)]

    def act(self, equipment: str, act: UsageAct, now: Moment) -> Sequence[Event] | Refusal:
        """Do what an operator asks; what fell due before it is told by ``look``, not by the act."""
        before = self[equipment]
        after = one.do(before, act, self._manners[equipment], now)
        if isinstance(after, Refusal):
            return after
        moves = one.moves(equipment, before, after, now)
        return [*moves, *self._settle(equipment, after, now)]

    def take_changed(self) -> dict[str, Usage]:
        """Return what changed since the last call, by equipment."""
        changed, self._changed = self._changed, set()
        return {name: self[name] for name in sorted(changed)}

    def retake(self) -> None:
        """Have everything saved anew: after a step of the clock by which a reboot is bridged."""
        self._changed.update(self._usages)

    def _hear(self, listening: _Listening, scan: Scan) -> Iterable[UsageEvent]:
        name = listening.equipment
        before = heard = self[name]
        for index, channel in listening.channels:
            if scan.spoke is None or index in scan.spoke:
                heard = one.hear(heard, channel, _usable(scan, index), scan.moment)
        return NOTHING if heard is before else self._settle(name, heard, scan.moment)

    def _settle(self, name: str, usage: Usage, now: Moment) -> Sequence[UsageEvent]:
        before = self[name]
        after = one.settle(usage, self._manners[name], now)
        self._keep(name, after, now)
        return tuple(one.differences(name, before, after, now))

    def _keep(self, name: str, usage: Usage, now: Moment) -> None:
        if usage != self[name]:
            self._usages[name] = usage
            self._changed.add(name)
        due = one.due(usage, self._manners[name], now)
        if due is None:
            self._due.pop(name, None)
        else:
            self._due[name] = due


def _pick(listening: Sequence[_Listening]) -> Callable[[Sequence[Value | None]], object]:
    """Return what takes all that is listened to out of a scan's values."""
    return itemgetter(*dict.fromkeys(index for each in listening for index, _ in each.channels))


def _usable(scan: Scan, index: int) -> Value | None:
    """Only a good reading tells: a doubtful one might let an alarm be suppressed."""
    return None if index in scan.faults else scan.values[index]


def _listening(manners: Mapping[str, Manner]) -> Mapping[int, Sequence[_Listening]]:
    found: dict[int, dict[str, dict[int, str]]] = {}
    for name, manner in manners.items():
        for teller in manner.tellers:
            source, index = teller.place
            found.setdefault(source, {}).setdefault(name, {})[index] = teller.channel
    return {
        source: [_Listening(name, tuple(channels.items())) for name, channels in of.items()]
        for source, of in found.items()
    }

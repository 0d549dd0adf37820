"""What the record says of the time before this run: who ran, what stood, what was said last."""

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from config.plant import Plant
from drivers.reading import Moment, Scan
from monitor.excursions import budget
from monitor.excursions.ledger import PERIODS
from monitor.messages import AlarmEventMessage
from monitor.store import Store, recent

RECALLED = 120 * 10**9
"""How far back (ns), at most, it is looked at the start for what sources said last."""
EXCURSIONS = 500
"""Records that are read at once."""


class Before(NamedTuple):
    """What the record says of the run before this one."""

    boot_id: str
    """Empty when there was none."""
    clock_epoch: int
    config: str
    stopped: bool
    """It ended because it was told to."""
    known: Moment = Moment(0, 0)
    """An instant of it, by both clocks: the last at which it is known that they went together."""

    @classmethod
    async def read(cls, store: Store) -> "Before":
        """Read it off the record."""
        start, stop = await store.newest("start"), await store.newest("stop")
        step = await store.newest("clock_step")
        if start is None:
            return cls("", 1, "", stopped=False)
        said = json.loads(start.body)
        stepped = json.loads(step.body)["clock_epoch"] if step else 1
        stopped = stop is not None and stop.number > start.number
        epoch = max(said["clock_epoch"], stepped)
        newest = step if step is not None and step.number > start.number else start
        known = Moment(newest.at, newest.boot)
        return cls(said["boot_id"], epoch, said["config"], stopped, known)

    def known_in(self, boot_id: str) -> Moment | None:
        """Return ``known``, where it was in this boot: elapsed times compare only within one."""
        return self.known if self.boot_id == boot_id else None

    def why_away(self, boot_id: str) -> str:
        """Return the cause of the time since: what the unmonitored intervals are put down to."""
        if not self.boot_id:
            return "first start"
        if self.stopped:
            return "stopped"
        return "killed" if self.boot_id == boot_id else "host restarted"


async def stood(store: Store, names: Iterable[str]) -> dict[str, AlarmEventMessage]:
    """Return what was last told of each alarm of ``names``."""
    told = {}
    for name in names:
        if event := await store.newest("alarm", name):
            told[name] = AlarmEventMessage.model_validate_json(event.body)
    return told


async def recalled(plant: Plant, store: Store, now: Moment) -> Mapping[int, Scan]:
    """Return what sources said last, where a line may be drawn from it to the next."""
    longest = PERIODS * max((source.period for source in plant.sources), default=0)
    start = now.at - min(longest, RECALLED)
    if store.last.at < start:
        return {}
    return recent.scans(plant, await store.newest_readings(start, now.at), now)


async def spent(store: Store, now: Moment) -> list[budget.Spent]:
    """Return what the excursions of late add to budgets, oldest first."""
    found: list[budget.Spent] = []
    below = store.last.event + 1
    while events := await store.earlier("excursion", below, EXCURSIONS):
        known = [e for e in events if e.at > now.at - budget.KEPT]
        found += filter(None, (budget.spent_by(event.body, event.at) for event in known))
        if len(known) < len(events):
            break
        below = events[-1].number
    return found[::-1]

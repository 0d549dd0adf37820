"""How many alarms people were told of lately, followed on the record itself.

What counts is committed, so a restart takes up where the last run was: the last day is read back,
from its end, and from then on what is new, a few events at a time.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence

from monitor.alarms.performance import DAY, WHOLE, Transition, transition
from monitor.alarms.rates import NO_RATE, Rate, Rates
from monitor.alarms.targets import Now, Suppressed
from monitor.messages import AlarmMessage
from monitor.store import Event, Store
from monitor.store.line_protocol import Figure

SLICE = 200
"""Events that are read at once: a few milliseconds of work."""


class Follower:
    """Reads the alarms off the record as they come; ``await Follower.begin(...)`` makes one."""

    def __init__(self, store: Store, upto: int) -> None:
        self._store = store
        self._upto = upto
        self._rates = Rates()

    @classmethod
    async def begin(cls, store: Store, now: int) -> "Follower":
        """Read back the day before ``now`` (ns, UTC). Raises StoreError."""
        upto = store.last.event
        follower = cls(store, upto)
        for told in reversed([each async for each in _lately(store, upto, now - DAY)]):
            follower._rates.take(told)
        return follower

    async def rates(self, now: int) -> Mapping[str, Rate]:
        """Return how it is at ``now`` by area; ``WHOLE`` is the gateway. Raises StoreError."""
        while events := await self._store.events(self._upto, SLICE):
            self._upto = events[-1].number
            for told in filter(None, map(_told, events)):
                self._rates.take(told)
        return self._rates.now(now)


async def _lately(store: Store, upto: int, since: int) -> AsyncIterator[Transition]:
    """Alarms that people were told of, up to the event ``upto``, the newest first."""
    below = upto + 1
    while events := await store.earlier("alarm", below, SLICE):
        for event in events:
            if event.at < since:
                return
            if (told := _told(event)) and told.rings:
                yield told
        below = events[-1].number


def _told(event: Event) -> Transition | None:
    return transition(json.loads(event.body)) if event.kind == "alarm" else None


def standing(alarms: Sequence[AlarmMessage]) -> Now:
    """Count what stands, and what of it nobody is told: of several whys the strongest counts."""
    aside = [alarm for alarm in alarms if not alarm.annunciated]
    out = sum(alarm.out_of_service_state for alarm in aside)
    shelved = sum(
        alarm.shelving_state != "Unshelved" and not alarm.out_of_service_state for alarm in aside
    )
    active = sum(alarm.active_state and alarm.annunciated for alarm in alarms)
    return Now(active, Suppressed(shelved, len(aside) - shelved - out, out))


def figures(rate: Rate, alarms: Sequence[AlarmMessage]) -> Mapping[str, Figure]:
    """Return the fields of a point: of the gateway or an area, with those of its alarms that stand.

    Rehearsals are no alarms.
    """
    real = [alarm for alarm in alarms if not alarm.test]
    now = standing(real)
    return {
        **rate._asdict(),
        "standing": now.standing,
        "unacknowledged": sum(not alarm.acked_state for alarm in real if alarm.annunciated),
        "shelved": now.suppressed.shelved,
        "suppressed": now.suppressed.by_design,
        "out_of_service": now.suppressed.out_of_service,
    }


def by_area(
    rates: Mapping[str, Rate], areas: Sequence[str], alarms: Sequence[AlarmMessage]
) -> Mapping[str, Mapping[str, Figure]]:
    """Return the fields of the gateway's point (``WHOLE``) and of each area's."""
    return {
        area: figures(rates.get(area, NO_RATE), [a for a in alarms if area in {WHOLE, a.area}])
        for area in (WHOLE, *areas)
    }

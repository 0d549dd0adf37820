"""A door that is left open, whole: one excursion for each limit that it crosses, with the figures
that a plain integration of the exported readings gives, and no more alarms than limits.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from drivers.simulated.equipment import Chamber
from drivers.simulated.plant import SimulatedPlant
from drivers.simulated.scenario import CALM
from monitor.excursions.record import ExcursionRecord
from monitor.operators.protocol import ExcursionsRequest, ReadingMessage
from tests.support.waiting import eventually
from tests.whole.daemon import GENEROUS, Daemon

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

NAME = "incubator-01"
BATCH = "BX-24-0117"
LIMITS = {
    ("co2", "low"): 4.5,
    ("co2", "low-low"): 2.0,
    ("temperature", "low"): 36.0,
    ("humidity", "low"): 75.0,
}
"""What the door of the demo crosses; each is a limit from below."""
INSTRUMENTS = {"unreadable", "stale", "frozen"}
FACTOR = 240.0
"""Times as fast as a real plant: a second is four minutes."""
PERIOD = 0.2
"""Seconds between two readings."""
CUTS = 2000
"""Into how many pieces the time between two readings is cut, to be added up one by one."""
EVER = 2**63 - 1


class Reading(NamedTuple):
    """One reading, as it was exported."""

    time: float
    """Seconds, UTC."""
    value: float | None
    """None: it cannot be used."""


class Plainly(NamedTuple):
    """What the readings come to, by nothing but adding up."""

    start: float
    end: float
    outside: float
    area: float
    """Unit times minutes."""
    extreme: float
    samples: int
    bad: int


def integrated(readings: Sequence[Reading], limit: float, longest: float) -> Plainly:
    """Cut the line between each two readings into pieces, and add up those below ``limit``.

    No line is drawn over more than ``longest`` seconds, nor over what cannot be used.
    """
    below = [n for n, each in enumerate(readings) if each.value is not None and each.value < limit]
    first, last = below[0], below[-1]
    pieces = pieces_below(readings, limit, longest)
    start = readings[first].time
    end = next(each.time for each in readings[last + 1 :] if each.value is not None)
    if joined(readings[first - 1], readings[first], longest):
        start = min(time for time, _, _ in pieces)
    if joined(readings[last], readings[last + 1], longest):
        end = max(time for time, _, _ in pieces)
    during = [each.value for each in readings[first : last + 1]]
    values = [value for value in during if value is not None]
    return Plainly(
        start=start,
        end=end,
        outside=sum(span for _, _, span in pieces),
        area=sum(depth * span for _, depth, span in pieces) / 60,
        extreme=min(values),
        samples=len(values),
        bad=len(during) - len(values),
    )


def pieces_below(
    readings: Sequence[Reading], limit: float, longest: float
) -> Sequence[tuple[float, float, float]]:
    """Time, depth and length of each piece below the limit."""
    found = []
    for one, other in pairwise(readings):
        if one.value is None or other.value is None or not joined(one, other, longest):
            continue
        span = (other.time - one.time) / CUTS
        for number in range(CUTS):
            part = (number + 0.5) / CUTS
            depth = limit - (one.value + part * (other.value - one.value))
            if depth > 0:
                found.append((one.time + part * (other.time - one.time), depth, span))
    return found


def joined(one: Reading, other: Reading, longest: float) -> bool:
    """Whether a line can be drawn from one to the next: both usable, and no gap between them."""
    usable = one.value is not None and other.value is not None
    return usable and other.time - one.time <= longest


def opened(doors: Sequence[Reading], start: float, end: float) -> float:
    """For how many seconds between ``start`` and ``end`` the door was told to be open."""
    return sum(
        max(0.0, min(other.time, end) - max(one.time, start))
        for one, other in pairwise(doors)
        if one.value
    )


@asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[tuple[Chamber, Daemon]]:
    """One incubator of the simulated plant and its daemon, with the demo's limits, but faster."""
    async with SimulatedPlant(1, 0, scenario=CALM, time_factor=FACTOR) as plant:
        site = plant.config_yaml(folder / "state")
        limits, defaults = site.split("\ndefaults:")
        limits = re.sub(r"on_delay: \d+s", "on_delay: 600ms", limits)
        site = f"{limits}\ndefaults:{defaults}"
        site = site.replace("timeout: 500ms", "timeout: 30s")
        site = site.replace("profile: vaisala-", "every: 200ms, profile: vaisala-")
        site = site.replace("- name: io\n", "- name: io\n        every: 200ms\n")
        with Daemon(folder, site) as daemon:
            await daemon.ready()
            yield plant.simulation.chambers[NAME], daemon


async def records(daemon: Daemon) -> Mapping[tuple[str, str], ExcursionRecord]:
    """Those that ended and those that go on; no limit has two."""
    found = await daemon.ask(ExcursionsRequest(), ExcursionRecord)
    assert len({(each.channel, each.rule) for each in found}) == len(found), found
    return {(each.channel, each.rule): each for each in found}


def raised(daemon: Daemon) -> Counter[str]:
    """How often each alarm was raised; those about instruments are not what this is about."""
    with daemon.reader() as reader:
        events = [json.loads(e.body) for e in reader.events(0, EVER) if e.kind == "alarm"]
    raised = [e for e in events if e["change"] in {"raised", "raised_again"}]
    about = [e for e in raised if e["channel"] != "_" and e["rule"] not in INSTRUMENTS]
    return Counter(e["alarm"] for e in about)


async def exported(daemon: Daemon) -> Mapping[str, Sequence[Reading]]:
    """Every reading of the incubator, by channel."""
    ran = await daemon.run("export", "--from", "1h", "--equipment", NAME, "--json")
    assert ran.code == 0, ran
    found: dict[str, list[Reading]] = {}
    for line in ran.lines:
        row = ReadingMessage.model_validate_json(line)
        time = datetime.fromisoformat(row.time).timestamp()
        value = None if row.value is None or isinstance(row.value, str) else float(row.value)
        found.setdefault(row.channel, []).append(Reading(time, value))
    return found


async def until_over(daemon: Daemon) -> Mapping[tuple[str, str], ExcursionRecord]:
    """Return the excursions as soon as none of them goes on."""
    found: Mapping[tuple[str, str], ExcursionRecord] = {}
    try:
        async with asyncio.timeout(2 * GENEROUS):
            while not found or any(each.open for each in found.values()):
                await asyncio.sleep(0.2)
                found = await records(daemon)
    except TimeoutError:
        raise AssertionError(f"{found}\n{daemon.words()}") from None
    return found


def standing(chamber: Chamber, *, door_open: bool) -> None:
    """Open the door, or close it."""
    chamber.inputs = replace(chamber.inputs, door_open=door_open)


async def test_a_door_left_open_is_one_excursion_for_each_limit_it_crosses(
    tmp_path: Path,
) -> None:
    names = {f"{NAME}/{channel}/{rule}" for channel, rule in LIMITS}
    door = f"{NAME}/door/open"
    async with watched(tmp_path / "daemon") as (chamber, daemon):
        await eventually(lambda: bool(chamber.shown))
        loaded = await daemon.run("load", NAME, BATCH, "--reason", "start of expansion")
        assert loaded.code == 0, loaded
        standing(chamber, door_open=True)
        await eventually(lambda: raised(daemon).keys() >= {*names, door}, 2 * GENEROUS)
        standing(chamber, door_open=False)
        found = await until_over(daemon)
        told, readings = raised(daemon), await exported(daemon)
        assert await daemon.stop() == 0
    assert found.keys() == LIMITS.keys()
    # One alarm for each limit, and one for the door itself: no flood.
    assert told == dict.fromkeys({*names, door}, 1)
    for (channel, rule), record in found.items():
        agrees(record, held_against(record, readings[channel]), readings["door"])
        assert [each.alarm for each in record.alarms if each.alarm.endswith(f"/{rule}")] == [
            f"{NAME}/{channel}/{rule}"
        ]


def held_against(record: ExcursionRecord, readings: Sequence[Reading]) -> Plainly:
    """Integrate with three periods as the longest that a line is drawn over.

    Two readings that are just three periods apart (somebody was held up) are joined or not by what
    the milliseconds do not show; then the record's word counts.
    """
    limit = LIMITS[record.channel, record.rule]
    both = [integrated(readings, limit, periods * PERIOD) for periods in (2.9, 3.1)]
    return min(both, key=lambda plain: abs(plain.outside - record.outside_seconds))


def agrees(record: ExcursionRecord, plain: Plainly, doors: Sequence[Reading]) -> None:
    """Hold a record against what the readings plainly say; they are told to the millisecond."""
    start, end = (datetime.fromisoformat(t).timestamp() for t in (record.start, record.end or ""))
    assert (record.limit, record.direction) == (LIMITS[record.channel, record.rule], "low")
    assert (record.ended_by, record.minor) == ("returned", False)
    assert record.extreme == pytest.approx(plain.extreme, rel=1e-6)
    assert (record.samples, record.bad_samples) == (plain.samples, plain.bad)
    assert start == pytest.approx(plain.start, abs=0.005)
    assert end == pytest.approx(plain.end, abs=0.005)
    assert record.duration_seconds == pytest.approx(plain.end - plain.start, abs=0.01)
    assert record.outside_seconds == pytest.approx(plain.outside, abs=0.05)
    assert record.unit_minutes == pytest.approx(plain.area, rel=5e-3)
    mean = record.limit - plain.area * 60 / plain.outside
    assert record.mean == pytest.approx(mean, rel=5e-3)
    # The door is read beside the probe, not with it: each end may be off by a reading.
    assert record.door_open_seconds == pytest.approx(
        opened(doors, plain.start, plain.end), abs=2 * PERIOD
    )
    assert 0 < (record.door_open_seconds or 0) < record.duration_seconds
    assert record.batches == (BATCH,)
    assert record.equipment_state == "in_use"

"""``kill -9`` in the middle of the main job, again and again: what was committed stays."""

import asyncio
import json
import os
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import groupby, pairwise, product
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from monitor.cli.exits import Failure
from monitor.messages import ActReply, rfc3339
from monitor.operators.protocol import Ask, StatusMessage
from monitor.store.verify import verify
from tests.support.servers import InfluxDB, SecureMosquitto
from tests.whole.ears import Payload
from tests.whole.rig import EQUIPMENT, MILLISECOND, Rig, Row, Timing, rig

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]

KILLS = 10
EARLY = 0.3
"""How often it is killed once more, while it starts."""
SECOND = 10**9
TIMING = Timing(every="300ms", tick="500ms", on_delay="300ms")
TICK = SECOND // 2
SLACK = SECOND // 5
"""How much more than a tick may be lost: it is judged, written and synchronised meanwhile."""
NOTICED = 2 * 300 * MILLISECOND + TICK
"""A gap longer than two periods and a tick is one."""


class Kill(NamedTuple):
    """What was so when the daemon was killed."""

    at: int
    """UTC nanoseconds."""
    stalled: int
    """The longest that the machine let this process wait, in the time before (ns)."""
    witnessed: StatusMessage
    """The last that the daemon itself said."""
    digests: int
    """How many of them had been told."""
    recorded: Mapping[int, Row]
    events: int


@dataclass
class Stalls:
    """How late a task is woken that only sleeps: what everybody on this machine has to bear."""

    worst: int = 0

    async def watch(self) -> None:
        while True:
            before = time.monotonic_ns()
            await asyncio.sleep(0.01)
            self.worst = max(self.worst, time.monotonic_ns() - before - 10 * MILLISECOND)


@dataclass
class Troubles:
    """The plant that does not stand still, and an operator who acknowledges what he sees."""

    rig: Rig
    chance: random.Random
    witnessed: StatusMessage | None = None
    acknowledged: list[str] = field(default_factory=list)
    """The ids of the events by which an operator was told that it is done."""

    async def come_and_go(self) -> None:
        while True:
            probe = self.rig.probes[self.chance.choice(EQUIPMENT)]
            probe.co2 = self.chance.choice((3.5, 5.0, 5.0, 6.5, 7.0))
            await asyncio.sleep(self.chance.uniform(0.1, 0.5))

    async def be_looked_at(self) -> None:
        """Ask for the status and acknowledge, as often as there is an answer."""
        while True:
            with suppress(Failure):  # The daemon is killed at any moment, that is what this is for.
                self.witnessed = await self.rig.daemon.status()
                await self._acknowledge()
            await asyncio.sleep(0.02)

    async def _acknowledge(self) -> None:
        standing = [a for a in (await self.rig.daemon.alarms()).values() if not a.acked_state]
        if standing and self.chance.random() < 0.2:
            alarm = self.chance.choice(standing)
            asked = Ask(
                act="acknowledge",
                alarm=alarm.alarm,
                reason="seen",
                version=alarm.version,
                request_id=alarm.event_id,
            )
            [reply] = await self.rig.daemon.ask(asked, ActReply)
            if reply.event_id:
                self.acknowledged.append(reply.event_id)


@asynccontextmanager
async def going_on(*things: Any) -> AsyncIterator[None]:  # noqa: ANN401 - coroutines of any kind
    tasks = [asyncio.create_task(thing) for thing in things]
    try:
        yield
        for task in tasks:
            assert not task.done(), task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_killed_daemon_goes_on_where_it_was(
    tmp_path: Path, secure_mosquitto: SecureMosquitto, influxdb16: InfluxDB
) -> None:
    seed = int(os.environ.get("KILL_SEED", random.SystemRandom().randrange(10**6)))
    print(f"KILL_SEED={seed}")
    chance = random.Random(seed)  # noqa: S311 - no secret
    async with rig(tmp_path, secure_mosquitto, influxdb16, TIMING) as plant:
        troubles, stalls, kills = Troubles(plant, chance), Stalls(), []
        async with going_on(troubles.come_and_go(), stalls.watch()):
            for _ in range(KILLS):
                kills.append(await one_kill(plant, troubles, stalls))
                plant.daemon.start()
                if chance.random() < EARLY:
                    await asyncio.sleep(chance.uniform(0, 1))
                    kills.append(left(plant, troubles, stalls))
                    plant.daemon.start()
                await plant.daemon.ready()
                await the_alarms_stand_as_they_were_told(plant)
        await plant.scan_later()
        await plant.daemon.until_delivered()
        assert await plant.daemon.stop() == 0
        recorded = plant.recorded()
        for kill in kills:
            what_was_committed_is_there(kill, plant, recorded)
        only_the_last_moment_is_missing(kills, plant, recorded)
        what_was_not_watched_is_told(kills, plant, recorded)
        no_event_is_missing_or_changed(plant, troubles)
        # What was committed with the end is delivered after the next start.
        plant.daemon.start()
        await plant.daemon.ready()
        await plant.daemon.until_delivered()
        plant.daemon.kill()
        the_database_has_it_all(plant, last_scan=len(recorded))
        for kill in kills:
            verdict = verify(plant.daemon.store, kill.witnessed.store.chain_head)
            assert verdict.whole, verdict.problems
        assert "Traceback" not in plant.daemon.words()


async def one_kill(plant: Rig, troubles: Troubles, stalls: Stalls) -> Kill:
    """Kill the daemon some time after it began, and look at what it left."""
    async with going_on(troubles.be_looked_at()):
        await asyncio.sleep(troubles.chance.uniform(0.2, 2.5))
        stalls.worst = 0
        await asyncio.sleep(0.7)
        return left(plant, troubles, stalls)


def left(plant: Rig, troubles: Troubles, stalls: Stalls) -> Kill:
    """Kill the daemon now; return what it leaves."""
    at, digests = time.time_ns(), len(plant.ears.of("digest"))
    plant.daemon.kill()
    assert troubles.witnessed is not None
    recorded, events = plant.recorded(), len(plant.events())
    return Kill(at, stalls.worst, troubles.witnessed, digests, recorded, events)


async def the_alarms_stand_as_they_were_told(plant: Rig) -> None:
    """What the daemon says stands is what its transitions amount to, from its first moment on."""
    while True:
        before = await plant.daemon.status()
        standing = await plant.daemon.alarms()
        if (await plant.daemon.status()).last_seq == before.last_seq:
            break
    told = {e.subject: e for e in plant.events() if e.seq and e.seq <= before.last_seq}
    bodies = {name: json.loads(event.body) for name, event in told.items()}
    assert {name: (a.event_id, str(a.state)) for name, a in standing.items()} == {
        name: (body["event_id"], body["state"]) for name, body in bodies.items() if body["retain"]
    }


def what_was_committed_is_there(kill: Kill, plant: Rig, recorded: Mapping[int, Row]) -> None:
    digests = plant.ears.of("digest")[: kill.digests]
    last_scan, last_event = max(kill.recorded, default=0), kill.events
    assert kill.witnessed.last_scan <= last_scan
    assert kill.witnessed.store.last_event <= last_event
    assert all(digest["last_scan"] <= last_scan for digest in digests)
    assert all(digest["last_event"] <= last_event for digest in digests)
    assert {number: recorded.get(number) for number in kill.recorded} == kill.recorded


def only_the_last_moment_is_missing(
    kills: list[Kill], plant: Rig, recorded: Mapping[int, Row]
) -> None:
    assert list(recorded) == list(range(1, len(recorded) + 1))
    for equipment in EQUIPMENT:
        there = {row.reads for row in recorded.values() if row.equipment == equipment}
        missing = [s for s in plant.probes[equipment].served[:-1] if s.number not in there]
        for served in missing:
            assert any(
                kill.at - TICK - SLACK - kill.stalled <= served.at <= kill.at + MILLISECOND
                for kill in kills
            ), (equipment, served, kills)
        assert not [r for r in recorded.values() if r.bad and r.reads is not None]


def what_was_not_watched_is_told(
    kills: list[Kill], plant: Rig, recorded: Mapping[int, Row]
) -> None:
    events = [event for event in plant.events() if event.kind == "unmonitored"]
    bodies = [(event.subject, json.loads(event.body)) for event in events]
    told = [(equipment, body["from"], body["to"]) for equipment, body in bodies]
    # The record has milliseconds, so of a gap of just that length it does not tell.
    assert gaps(kills, recorded, NOTICED) <= set(told) <= gaps(kills, recorded, NOTICED - 1)
    assert len(set(told)) == len(told)
    assert {body["cause"] for _, body in bodies} <= {"killed"}


def gaps(kills: list[Kill], recorded: Mapping[int, Row], longer: int) -> set[tuple[str, str, str]]:
    """Equipment, last scan before a kill and first after it, where these are so far apart (ns)."""
    found = set()
    for kill, equipment in product(kills, EQUIPMENT):
        times = [
            (n, row.at * MILLISECOND) for n, row in recorded.items() if row.equipment == equipment
        ]
        last = max(at for number, at in times if number in kill.recorded)
        first = min((at for number, at in times if number not in kill.recorded), default=last)
        if first - last > longer:
            found.add((equipment, rfc3339(last), rfc3339(first)))
    return found


def no_event_is_missing_or_changed(plant: Rig, troubles: Troubles) -> None:
    events = plant.events()
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    alarms = [event for event in events if event.kind == "alarm"]
    assert [event.seq for event in alarms] == list(range(1, len(alarms) + 1))
    bodies = [json.loads(event.body) for event in alarms]
    told = plant.ears.of("alarm_event")
    assert plant.ears.events() == bodies, "each at least once"
    by_id = {body["event_id"]: body for body in bodies}
    assert len(by_id) == len(bodies)
    assert all(by_id[event["event_id"]] == event for event in told), "and never otherwise"
    assert set(troubles.acknowledged) <= by_id.keys()
    for _, life in groupby(sorted(bodies, key=lambda b: (b["alarm"], b["seq"])), _name):
        steps = list(life)
        assert [step["version"] for step in steps] == list(range(1, len(steps) + 1))
        assert steps[0]["before"] == "normal"
        assert all(one["after"] == two["before"] for one, two in pairwise(steps))


def _name(body: Payload) -> str:
    return str(body["alarm"])


def the_database_has_it_all(plant: Rig, last_scan: int) -> None:
    """Up to that scan, and the transitions before the last start; of what came since, some."""
    stored, recorded = plant.stored(), plant.recorded()
    assert len(stored) >= last_scan
    assert len(stored) == len(dict(stored)), "no point more than scans"
    assert dict(stored) == {n: row for n, row in recorded.items() if n <= len(stored)}
    events = plant.events()
    stop = max(event.number for event in events if event.kind == "stop")
    ids = {int(row["seq"]): row["event_id"] for row in plant.query("SELECT * FROM alarm_event")}
    alarms = {e.seq: json.loads(e.body)["event_id"] for e in events if e.seq and e.number < stop}
    assert {seq: ids.get(seq) for seq in alarms} == alarms

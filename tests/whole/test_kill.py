"""``kill -9`` in the middle of the main job, again and again: what was committed stays."""

import asyncio
import json
import os
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise, product
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from monitor.cli.exits import Failure
from monitor.messages import ActReply, rfc3339
from monitor.operators.protocol import Ask, StatusMessage
from monitor.store.verify import verify
from tests.ledger.judge import alarm_bodies, missing_points, out_of_step, untold
from tests.support.servers import InfluxDB, SecureMosquitto
from tests.support.waiting import eventually
from tests.whole.devices import single
from tests.whole.ears import PATIENCE
from tests.whole.rig import EQUIPMENT, MILLISECOND, Rig, Row, Timing, rig

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]

KILLS = 6
EARLY = 0.3
"""How often it is killed once more, while it starts."""
CALM = 3
"""How often in a row all that was served is waited for on the disk, while nothing happens."""
SECOND = 10**9
TIMING = Timing(every="300ms", tick="500ms", on_delay="300ms")
NOTICED = 2 * 300 * MILLISECOND + SECOND // 2
"""A gap longer than two periods and a tick is one."""


class Kill(NamedTuple):
    """What was so when the daemon was killed."""

    witnessed: StatusMessage
    """The last that the daemon itself said."""
    digests: int
    """How many of them had been told."""
    recorded: Mapping[int, Row]
    events: int


@dataclass
class Troubles:
    """The plant that does not stand still, and an operator who acknowledges what he sees."""

    rig: Rig
    chance: random.Random
    witnessed: StatusMessage | None = None
    calm: bool = False
    """While it is, the plant stands still and nobody acknowledges."""
    acknowledged: list[str] = field(default_factory=list)
    """The ids of the events by which an operator was told that it is done."""

    async def come_and_go(self) -> None:
        while True:
            probe = self.rig.probes[self.chance.choice(EQUIPMENT)]
            if not self.calm:
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
        if standing and not self.calm and self.chance.random() < 0.2:
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
        troubles, kills = Troubles(plant, chance), list[Kill]()
        async with going_on(troubles.come_and_go()):
            for number in range(KILLS):
                kills.append(await one_kill(plant, troubles, after_a_calm=number % 3 == 0))
                plant.daemon.start()
                if chance.random() < EARLY:
                    await asyncio.sleep(chance.uniform(0, 1))
                    kills.append(left(plant, troubles))
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


async def one_kill(plant: Rig, troubles: Troubles, *, after_a_calm: bool) -> Kill:
    """Kill the daemon some time after it began, and look at what it left."""
    async with going_on(troubles.be_looked_at()):
        if after_a_calm:
            await a_calm_is_committed_too(plant, troubles)
        await asyncio.sleep(troubles.chance.uniform(0.2, 3.0))
        await eventually(lambda: troubles.witnessed is not None, PATIENCE)
        return left(plant, troubles)


async def a_calm_is_committed_too(plant: Rig, troubles: Troubles) -> None:
    """What is served comes on the disk while the daemon lives, with nothing to tell as well.

    How soon is the machine's matter; that it comes at all, again and again, is ours.
    """
    troubles.calm = True
    for _ in range(CALM):
        await plant.scan_later()
        newest = {name: probe.served[-1].number for name, probe in plant.probes.items()}
        await eventually(lambda wanted=newest: has_come(plant, wanted), PATIENCE)  # type: ignore[misc]
    troubles.calm = False


def has_come(plant: Rig, wanted: Mapping[str, int]) -> bool:
    """Whether each equipment has that read, or one after it, on the disk."""
    reads = reads_of(plant.recorded())
    return all(
        bool(reads[name]) and number <= reads[name][-1].read for name, number in wanted.items()
    )


def left(plant: Rig, troubles: Troubles) -> Kill:
    """Kill the daemon now; return what it leaves."""
    digests = len(plant.ears.of("digest"))
    plant.daemon.kill()
    assert troubles.witnessed is not None
    recorded, events = plant.recorded(), len(plant.events())
    return Kill(troubles.witnessed, digests, recorded, events)


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
    last_scan, last_event = last(kill), kill.events
    assert kill.witnessed.last_scan <= last_scan
    assert kill.witnessed.store.last_event <= last_event
    assert all(digest["last_scan"] <= last_scan for digest in digests)
    assert all(digest["last_event"] <= last_event for digest in digests)
    assert {number: recorded.get(number) for number in kill.recorded} == kill.recorded


class Read(NamedTuple):
    """A value on the record."""

    scan: int
    read: int
    co2: float | None


def reads_of(recorded: Mapping[int, Row]) -> Mapping[str, list[Read]]:
    """What is recorded of each equipment, in the order of the scans."""
    found: dict[str, list[Read]] = {name: [] for name in EQUIPMENT}
    for scan, row in sorted(recorded.items()):
        if row.reads is not None:
            found[row.equipment].append(Read(scan, row.reads, row.co2))
    return found


def only_the_last_moment_is_missing(
    kills: list[Kill], plant: Rig, recorded: Mapping[int, Row]
) -> None:
    """What is missing was served last in its life: after it there is nothing but another life.

    By the order alone, since how much a commit in time could have saved is up to the machine.
    """
    assert list(recorded) == list(range(1, len(recorded) + 1))
    assert not [row for row in recorded.values() if row.bad and row.reads is not None]
    for equipment, reads in reads_of(recorded).items():
        served = plant.probes[equipment].served
        for read in reads:
            assert read.co2 is not None, read
            assert single(read.co2) == served[read.read - 1].co2, read
        for one, two in pairwise([Read(0, 0, None), *reads]):
            assert one.read < two.read, f"{equipment}: {one} {two}"
            between = any(one.scan <= last(kill) < two.scan for kill in kills)
            assert between or one.read + 1 == two.read, f"{equipment}: a hole from {one} to {two}"
        # What it was asked as it was stopped, the last time in good order, nobody heard.
        assert len(served) - reads[-1].read <= 1, equipment


def last(kill: Kill) -> int:
    """The last scan that it left."""
    return max(kill.recorded, default=0)


def what_was_not_watched_is_told(
    kills: list[Kill], plant: Rig, recorded: Mapping[int, Row]
) -> None:
    """Each time between two lives; a stall in a life is told otherwise, by the points missed."""
    events = [event for event in plant.events() if event.kind == "unmonitored"]
    bodies = [(event.subject, json.loads(event.body)) for event in events]
    told = [(name, body["from"], body["to"]) for name, body in bodies if body["cause"] == "killed"]
    # The record has milliseconds, so of a gap of just that length it does not tell.
    assert gaps(kills, recorded, NOTICED) <= set(told) <= gaps(kills, recorded, NOTICED - 1)
    assert len(set(told)) == len(told)
    stalls = {body["cause"] for _, body in bodies} - {"killed"}
    assert all(cause.endswith(" grid points missed") for cause in stalls), stalls


def gaps(kills: list[Kill], recorded: Mapping[int, Row], longer: int) -> set[tuple[str, str, str]]:
    """Equipment, last scan before a kill and first after it, where these are so far apart (ns)."""
    found = set()
    for kill, equipment in product(kills, EQUIPMENT):
        times = [
            (n, row.at * MILLISECOND) for n, row in recorded.items() if row.equipment == equipment
        ]
        before = max((at for number, at in times if number in kill.recorded), default=None)
        if before is None:  # Killed before it was ever seen: it is new, and was not unwatched.
            continue
        first = min((at for number, at in times if number not in kill.recorded), default=before)
        if first - before > longer:
            found.add((equipment, rfc3339(before), rfc3339(first)))
    return found


def no_event_is_missing_or_changed(plant: Rig, troubles: Troubles) -> None:
    events = plant.events()
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    alarms = alarm_bodies(events)
    assert [*untold(alarms, plant.ears.of("alarm_event")), *out_of_step(alarms)] == []
    assert set(troubles.acknowledged) <= {alarm["event_id"] for alarm in alarms}


def the_database_has_it_all(plant: Rig, last_scan: int) -> None:
    """Up to that scan, and the transitions before the last start; of what came since, some."""
    stored, recorded = plant.stored(), plant.recorded()
    assert len(stored) >= last_scan
    assert len(stored) == len(dict(stored)), "no point more than scans"
    assert dict(stored) == {n: row for n, row in recorded.items() if n <= len(stored)}
    events = plant.events()
    stop = max(event.number for event in events if event.kind == "stop")
    ids = {int(row["seq"]): row["event_id"] for row in plant.query("SELECT * FROM alarm_event")}
    alarms = alarm_bodies(event for event in events if event.number < stop)
    assert list(missing_points(alarms, ids)) == []

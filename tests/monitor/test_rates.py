"""The alarm rates are followed on the record, over restarts too, and are points of their own."""

import gzip
from collections.abc import Sequence
from pathlib import Path

import pytest

from drivers.grid import Grid
from monitor.alarms.performance import WHOLE
from monitor.alarms.rates import NO_RATE, Rate
from monitor.desk import Desk
from monitor.health import Health
from monitor.rates import SLICE, Follower, figures, standing
from monitor.recorder import Recorder
from tests.monitor.hand import HandTime, recording, scan
from tests.monitor.store.influx_parser import ParsedLine, parse
from tests.support.desk import alarm_event
from tests.support.desk import standing as stands


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> HandTime:
    return HandTime(monkeypatch)


async def alarms(recorder: Recorder, hand: HandTime, count: int, *, every: float = 1.0) -> None:
    """Raise and return so many alarms, every so many seconds."""
    for _ in range(count):
        recorder.accept(scan(hand.now, 7.0))
        recorder.accept(scan(hand.now, 5.0))
        hand.pass_(every)
    await recorder.commit()


async def test_what_is_told_is_counted_as_it_comes(tmp_path: Path, hand: HandTime) -> None:
    async with recording(tmp_path) as recorder:
        follower = await Follower.begin(recorder.store, hand.wall)
        assert await follower.rates(hand.wall) == {WHOLE: NO_RATE}
        await alarms(recorder, hand, 3)
        rates = await follower.rates(hand.wall)
        assert (
            rates[WHOLE]
            == rates["suite-a"]
            == Rate(3, 3, 3, flood=False, floods=0, flood_seconds=0.0)
        )
        hand.pass_(3600)
        assert (await follower.rates(hand.wall))[WHOLE] == Rate(
            0, 0, 3, flood=False, floods=0, flood_seconds=0.0
        )


async def test_a_restart_makes_nothing_zero(tmp_path: Path, hand: HandTime) -> None:
    async with recording(tmp_path) as recorder:
        await alarms(recorder, hand, 2)
        hand.pass_(25 * 3600)
        await alarms(recorder, hand, SLICE)
        hand.pass_(3600)
        await alarms(recorder, hand, 12)
        before = await (await Follower.begin(recorder.store, hand.wall)).rates(hand.wall)
    async with recording(tmp_path) as recorder:
        after = await (await Follower.begin(recorder.store, hand.wall)).rates(hand.wall)
    assert after == before
    assert after[WHOLE][:5] == (12, 12, SLICE + 12, True, 2)


def test_what_is_kept_from_people_is_counted_by_why() -> None:
    told = [
        alarm_event(1),
        alarm_event(2, test=True),
        alarm_event(3, annunciated=False, shelving_state="TimedShelved"),
        alarm_event(4, annunciated=False, suppressed_by="state:cleaning"),
        alarm_event(5, annunciated=False, superseded_by="x"),
        alarm_event(6, annunciated=False, out_of_service_state=True, shelving_state="TimedShelved"),
        alarm_event(7, active_state=False),
        alarm_event(8, acked_state=True),
    ]
    now = figures(NO_RATE, [stands(each) for each in told])
    assert (now["standing"], now["unacknowledged"], now["shelved"]) == (2, 2, 1)
    assert (now["suppressed"], now["out_of_service"]) == (2, 1)
    assert standing([]) == (0, (0, 0, 0))


async def points(recorder: Recorder) -> Sequence[ParsedLine]:
    blobs = await recorder.store.telemetry(0, 10**6)
    lines = [line for blob in blobs for line in gzip.decompress(blob.body).splitlines()]
    return [parse(line) for line in lines if line.startswith(b"alarm_performance,")]


async def test_a_point_for_the_gateway_and_each_area(tmp_path: Path, hand: HandTime) -> None:
    async with recording(tmp_path) as recorder:
        health = Health(recorder, Desk(recorder, Grid(recorder.clock), [], []), [], [])
        follower = await Follower.begin(recorder.store, hand.wall)
        for always in (True, False, False):
            await health.tell_rates(follower, always=always)
            await recorder.commit()
        assert [point.tags["area"] for point in await points(recorder)] == ["_", "suite-a"]
        await alarms(recorder, hand, 10)
        await health.tell_rates(follower, always=False)
        await recorder.commit()
        whole, area = (await points(recorder))[2:]
        assert whole.fields == area.fields
        assert (whole.fields["last_10_min"], whole.fields["flood"]) == (10, True)
        assert whole.tags == {"area": "_", "gateway": "gw-1", "site": "les-ulis"}
        assert whole.time == area.time

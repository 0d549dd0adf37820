import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import PIPE, Process, create_subprocess_exec
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from monitor.store import Event, Store, StoreError, Tick
from monitor.store import store as store_module
from monitor.store.reader import Reader
from monitor.store.verify import verify
from tests.monitor.store.support import NOON, QUOTA, SECOND, event, tick_of
from tests.support.waiting import eventually

CHILD = Path(__file__).with_name("committing.py")
ROOT = Path(__file__).parents[3]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "cytowatch.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    async with Store.open(path, quota=QUOTA) as store:
        yield store


async def test_what_is_committed_is_there_after_opening_again(path: Path) -> None:
    async with Store.open(path, quota=QUOTA) as store:
        groups = await store.groups([("incubator-0",), ("incubator-1",)])
        tick = tick_of(groups, 1)
        tick.events = [event(1), event(2, seq=1)]
        tick.facts = {"a/co2/high": '{"v":1}', "a/co2/low": '{"v":2}'}
        tick.replies = {"r-1": "{}"}
        await store.commit(tick)
        store_id, last = store.store_id, store.last

    async with Store.open(path, quota=QUOTA) as store:
        assert (store.store_id, store.last) == (store_id, last)
        assert (last.scan, last.event, last.seq) == (4, 2, 1)
        assert last.at == NOON + 4 * SECOND // 10
        assert store.facts == {"a/co2/high": '{"v":1}', "a/co2/low": '{"v":2}'}
        assert store.last_seen == {
            "incubator-0": NOON + 4 * SECOND // 10,
            "incubator-1": NOON + 3 * SECOND // 10,
        }
        assert await store.reply_to("r-1") == "{}"
        assert await store.reply_to("r-2") is None
        assert [e.number for e in await store.events(0, 10)] == [1, 2]
        assert await store.groups([("incubator-1",), ("incubator-2",)]) == [groups[1], 3]


async def test_the_newest_time_is_that_of_the_newest_entry_of_either_kind(path: Path) -> None:
    """After a step back of the clock, what comes last counts, and not what is largest."""
    readings, events = tick_of([1], 1), Tick(events=[event(1, at=NOON - SECOND)])
    for ticks, newest in [((readings, events), NOON - SECOND), ((readings,), readings.last_at)]:
        async with Store.open(path, quota=QUOTA) as store:
            await store.groups([("incubator-0",)])
            for tick in ticks:
                await store.commit(tick)
            assert store.last.at == newest
        async with Store.open(path, quota=QUOTA) as store:
            assert store.last.at == newest


async def test_a_file_is_for_its_user_only(store: Store) -> None:
    assert store.path.stat().st_mode & 0o777 == 0o600
    assert store.path.parent.stat().st_mode & 0o777 == 0o700
    assert store.path.with_name("cytowatch.db-wal").stat().st_mode & 0o777 == 0o600


async def test_the_same_lines_make_the_same_bytes(store: Store) -> None:
    groups = await store.groups([("incubator-0",)])
    await store.commit(tick_of(groups, 1))
    await store.commit(tick_of(groups, 1))
    one, two = await store.telemetry(0, 2**20)
    assert one.body == two.body
    assert (one.id, two.id, one.lines) == (1, 2, 4)


async def test_readings_are_handed_out_in_parts_and_at_least_one_at_a_time(store: Store) -> None:
    groups = await store.groups([("incubator-0",)])
    for number in range(5):
        await store.commit(tick_of(groups, 1 + 4 * number))
    assert [blob.id for blob in await store.telemetry(0, 0)] == [1]
    two = sum(len(blob.body) for blob in await store.telemetry(1, 2**20) if blob.id <= 3)
    assert [blob.id for blob in await store.telemetry(1, two)] == [2, 3]
    assert await store.telemetry(5, 2**20) == []


async def test_events_are_found_by_number_by_seq_and_by_kind(store: Store) -> None:
    told = [event(1), event(2, 1), event(3, kind="act"), event(4, 2), event(5)]
    await store.commit(Tick(events=told))
    assert [e._replace(ms=0) for e in await store.events(1, 3)] == told[1:4]
    assert [e.number for e in await store.events_by_seq(1, 2)] == [2, 4]
    assert (await store.newest("start") or told[0]).number == 5
    assert (await store.newest("alarm", "a/co2/high") or told[0]).number == 4
    assert await store.newest("alarm", "b/co2/high") is None
    assert await store.newest("stop") is None


async def test_events_of_one_millisecond_are_delivered_under_different_ones(store: Store) -> None:
    await store.commit(Tick(events=[event(1), event(2), event(3, at=NOON + 2 * 10**6)]))
    await store.commit(Tick(events=[event(4), event(5, at=NOON - SECOND)]))
    milliseconds = [e.ms - NOON // 10**6 for e in await store.events(0, 10)]
    assert milliseconds == [0, 1, 2, 3, -1000]


@pytest.mark.parametrize(
    "events", [[event(2)], [event(1), event(3)], [event(1, seq=2)], [event(1, 1), event(2, 1)]]
)
async def test_events_that_leave_a_hole_are_refused_and_nothing_is_written(
    store: Store, events: list[Event]
) -> None:
    groups = await store.groups([("incubator-0",)])
    tick = tick_of(groups, 1)
    tick.events = events
    with pytest.raises(ValueError, match="do not follow"):
        await store.commit(tick)
    assert await store.telemetry(0, 1000) == []
    await store.commit(Tick(events=[event(1)]))
    assert store.last.event == 1


async def test_an_empty_snapshot_forgets_an_alarm(path: Path) -> None:
    async with Store.open(path, quota=QUOTA) as store:
        await store.commit(Tick(facts={"a": "{}", "b": "{}"}))
        await store.commit(Tick(facts={"a": ""}))
    async with Store.open(path, quota=QUOTA) as store:
        assert store.facts == {"b": "{}"}


async def test_waiting_ends_with_the_commit_of_something_newer(store: Store) -> None:
    groups = await store.groups([("incubator-0",)])
    for_events = asyncio.create_task(store.wait("events", 0))
    for_readings = asyncio.create_task(store.wait("telemetry", 0))
    await store.commit(tick_of(groups, 1))
    await for_readings
    assert not for_events.done()
    await store.commit(Tick(events=[event(1)]))
    await for_events
    await store.wait("events", 0)


async def test_a_commit_that_nobody_waits_for_any_more_is_done_all_the_same(store: Store) -> None:
    commit = asyncio.create_task(store.commit(Tick(events=[event(1)])))
    await asyncio.sleep(0)
    commit.cancel()
    with pytest.raises(asyncio.CancelledError):
        await commit
    await store.wait("events", 0)
    assert store.last.event == 1
    await store.commit(Tick(events=[event(2)]))


async def test_a_cancelled_opening_gives_the_directory_back(path: Path) -> None:
    async def hold() -> None:
        async with Store.open(path, quota=QUOTA):
            await asyncio.Event().wait()

    for waits in range(8):
        task = asyncio.create_task(hold())
        for _ in range(waits):
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with Store.open(path, quota=QUOTA):
        pass


async def test_cursors_are_kept_per_sink_and_lane(path: Path) -> None:
    async with Store.open(path, quota=QUOTA) as store:
        groups = await store.groups([("incubator-0",)])
        tick = tick_of(groups, 1)
        tick.events = [event(1), event(2)]
        await store.commit(tick)
        store.confirm("influx", "telemetry", 1)
        store.confirm("influx", "events", 2)
        store.confirm("mqtt", "events", 1)
        store.confirm("mqtt", "events", 0)  # Late news take nothing back.
        assert store.cursor("mqtt", "events") == 1
    async with Store.open(path, quota=QUOTA) as store:
        assert store.cursor("influx", "telemetry") == 1
        assert store.cursor("influx", "events") == 2
        assert store.cursor("mqtt", "events") == 1
        assert store.cursor("mqtt", "telemetry") == 0


async def test_how_far_a_sink_is_behind_is_known_without_its_beginning_to_wait(
    path: Path,
) -> None:
    async with Store.open(path, quota=QUOTA, sinks=["influxdb"]) as store:
        groups = await store.groups([("incubator-0",)])
        ticked = tick_of(groups, 1)
        ticked.events += [event(1), event(2)]
        await store.commit(ticked)
        store.confirm("mqtt", "events", 1)
        assert store.lags("influxdb") == {"events": (0, 2), "telemetry": (0, 1)}
        assert store.lags("mqtt") == {"events": (1, 2)}
        assert store.lags("mqtt")["events"].behind == 1
        assert ("mqtt", "telemetry") not in store._followed


async def test_what_is_not_committed_cannot_be_confirmed(store: Store) -> None:
    await store.commit(Tick(events=[event(1)]))
    with pytest.raises(ValueError, match="does not exist"):
        store.confirm("mqtt", "events", 2)
    with pytest.raises(ValueError, match="does not exist"):
        store.confirm("influx", "telemetry", 1)


def cursors_on_disk(path: Path) -> list[tuple[str, str, int]]:
    with Reader(path) as reader:
        return reader._db.execute("SELECT sink, lane, upto FROM cursor").fetchall()


async def test_a_confirmation_goes_with_the_next_tick(store: Store) -> None:
    await store.commit(Tick(events=[event(1)]))
    store.confirm("mqtt", "events", 1)
    assert cursors_on_disk(store.path) == []
    await store.commit(Tick(events=[event(2)]))
    assert cursors_on_disk(store.path) == [("mqtt", "events", 1)]


async def test_a_confirmation_is_written_when_no_tick_comes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "IDLE", 0.001)
    await store.commit(Tick(events=[event(1)]))
    store.confirm("mqtt", "events", 1)
    await eventually(lambda: cursors_on_disk(store.path) == [("mqtt", "events", 1)])


async def test_a_confirmation_is_written_though_the_daemon_fails(path: Path) -> None:
    async def fail() -> None:
        async with Store.open(path, quota=QUOTA) as store:
            await store.commit(Tick(events=[event(1)]))
            store.confirm("mqtt", "events", 1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert cursors_on_disk(path) == [("mqtt", "events", 1)]


async def fill(store: Store, ticks: int) -> int:
    """Commit so many ticks of one blob each; return the bytes of the last."""
    groups = await store.groups([("incubator-0",)])
    for number in range(ticks):
        await store.commit(tick_of(groups, store.last.scan + 1, at=NOON + number * SECOND))
    return len((await store.telemetry(ticks - 1, 0))[0].body)


async def test_the_oldest_readings_leave_when_the_quota_is_reached(path: Path) -> None:
    async with Store.open(path, quota=1000) as store:
        size = await fill(store, 20)
        kept = await store.telemetry(0, 2**20)
        status = await store.status()
    assert [blob.id for blob in kept] == list(range(21 - len(kept), 21))
    assert 1000 - 2 * size < status.telemetry_bytes <= 1000
    assert status.telemetry_bytes == sum(len(blob.body) for blob in kept)
    assert (status.blobs, status.oldest_at) == (len(kept), kept[0].first_at)
    assert status.lost_lines == 0  # There is no sink: they were local history.
    assert verify(path).whole
    assert verify(path).gone == 20 - len(kept)
    async with Store.open(path, quota=1000) as store:
        assert [blob.id for blob in await store.telemetry(0, 2**20)] == [b.id for b in kept]


async def test_readings_that_leave_undelivered_are_counted(path: Path) -> None:
    async with Store.open(path, quota=1000, sinks=("influx",)) as store:
        await fill(store, 4)
        store.confirm("influx", "telemetry", 3)
        await fill(store, 16)
        gone = (await store.telemetry(0, 0))[0].id - 1
        assert gone > 3
        assert store.lost_lines == 4 * (gone - 3)
    async with Store.open(path, quota=1000) as store:
        assert store.lost_lines == 4 * (gone - 3)
        assert (await store.status()).lost_lines == 4 * (gone - 3)


async def test_a_tick_larger_than_the_quota_is_kept(path: Path) -> None:
    async with Store.open(path, quota=10) as store:
        await fill(store, 3)
        assert [blob.id for blob in await store.telemetry(0, 2**20)] == [3]


async def test_events_never_leave(path: Path) -> None:
    async with Store.open(path, quota=10) as store:
        await store.commit(Tick(events=[event(1)]))
        await fill(store, 5)
        assert [e.number for e in await store.events(0, 10)] == [1]


async def test_status_says_how_far_each_sink_is(store: Store) -> None:
    groups = await store.groups([("incubator-0",)])
    for number in range(3):
        tick = tick_of(groups, 1 + 4 * number)
        tick.events = [event(number + 1, at=NOON + number)]
        await store.commit(tick)
    store.cursor("influx", "telemetry")
    store.confirm("influx", "telemetry", 1)
    store.confirm("mqtt", "events", 3)
    store.begin("scada", "receipts")
    await store.commit(Tick(events=[event(4, seq=1, at=NOON + 7)]))
    store.confirm("mqtt", "events", 4)
    status = await store.status()
    blobs = await store.telemetry(0, 2**20)
    influx, mqtt, scada = status.lanes
    assert influx == (
        "influx",
        "telemetry",
        1,
        2,
        len(blobs[1].body) + len(blobs[2].body),
        blobs[1].first_at,
    )
    assert mqtt == ("mqtt", "events", 4, 0, 0, None)
    assert scada == ("scada", "receipts", 0, 1, 0, NOON + 7)
    assert status.last == store.last
    assert status.file_bytes > 0


async def test_dead_letters_are_kept_and_counted(store: Store) -> None:
    await store.dead_letter("influx", b"bad line", "field type conflict")
    assert (await store.status()).dead_letters == {"influx": 1}
    with Reader(store.path) as reader:
        assert list(reader.dead_letters()) == [(1, "influx", b"bad line", "field type conflict")]


async def test_a_second_daemon_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match=f"another cytowatch .process {os.getpid()}. runs"):
        async with Store.open(store.path, quota=QUOTA):
            pass
    await store.commit(Tick(events=[event(1)]))


async def test_a_log_that_grows_is_carried_over(store: Store) -> None:
    await fill(store, 200)
    log = store.path.with_name("cytowatch.db-wal").stat().st_size
    assert log < 100 * 2 * 4096 * 4
    assert (await store.status()).blobs == 200


async def spawn(path: Path, mode: str) -> Process:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return await create_subprocess_exec(
        sys.executable, str(CHILD), str(path), mode, stdout=PIPE, stderr=PIPE, env=environment
    )


async def test_a_disk_that_takes_no_more_ends_the_store_and_leaves_nothing_half(
    path: Path,
) -> None:
    child = await spawn(path, "limited")
    out, err = await child.communicate()
    *acknowledged, last = out.decode().splitlines()
    assert err == b""
    assert child.returncode == 0
    assert last.startswith("refused for good: ")
    assert "look at the disk" in last
    check_nothing_lost(path, int(acknowledged[-1]))
    async with Store.open(path, quota=QUOTA) as store:
        await store.commit(Tick(events=[event(store.last.event + 1)]))


@pytest.mark.real
async def test_kill_9_in_the_middle_of_commits_loses_nothing_and_doubles_nothing(
    path: Path,
) -> None:
    chance = random.Random(5)  # noqa: S311 - when to strike is no secret
    for _ in range(12):
        child = await spawn(path, "endless")
        assert child.stdout is not None
        first = await child.stdout.readline()
        for _ in range(chance.randrange(30)):
            first = await child.stdout.readline()
        await asyncio.sleep(chance.random() / 100)
        child.send_signal(signal.SIGKILL)
        out, _ = await child.communicate()
        whole_lines = [first, *out.split(b"\n")[:-1]]
        check_nothing_lost(path, int(whole_lines[-1]))


@pytest.mark.real
async def test_kill_9_while_the_store_is_made_leaves_one_that_opens(tmp_path: Path) -> None:
    chance = random.Random(7)  # noqa: S311 - when to strike is no secret
    for round_ in range(12):
        path = tmp_path / str(round_) / "cytowatch.db"
        child = await spawn(path, "opening")
        assert child.stdout is not None
        assert await child.stdout.readline() == b"opening\n"
        await asyncio.sleep(chance.random() / 50)
        child.send_signal(signal.SIGKILL)
        await child.communicate()
        async with Store.open(path, quota=QUOTA) as store:
            assert store.moved_aside is None
            await store.commit(Tick(events=[event(store.last.event + 1)]))


def check_nothing_lost(path: Path, acknowledged: int) -> None:
    """The child's tick n holds event n and scans 4n-3 to 4n, and a cursor on event n-1."""
    verdict = verify(path)
    assert verdict.problems == ()
    assert acknowledged <= verdict.events <= acknowledged + 1
    with Reader(path) as reader:
        numbers = [event.number for event in reader.events(0, 2**62)]
        scans = [point.scan for point in reader.readings(0, 2**62)]
        cursors = reader._db.execute("SELECT upto FROM cursor").fetchall()
    assert numbers == list(range(1, verdict.events + 1))
    assert scans == list(range(1, 4 * verdict.events + 1))
    assert cursors == ([(verdict.events - 1,)] if verdict.events > 1 else [])


async def test_a_letter_that_left_lends_its_number_to_none(store: Store) -> None:
    for line in (b"one", b"two"):
        await store.dead_letter("influx", line, "w")
    await store.end_dead_letter(2)
    assert await store.find_dead_letter(2) is None
    await store.dead_letter("influx", b"three", "w")
    assert await store.find_dead_letter(3) == (3, "influx", b"three", "w")
    with Reader(store.path) as reader:
        assert [letter.id for letter in reader.dead_letters()] == [1, 3]


async def test_of_too_many_dead_letters_the_oldest_go_and_are_counted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.store.database.MOST_LETTERS", 3)
    for number in range(5):
        await store.dead_letter("influx", b"%d" % number, "w")
    status = await store.status()
    assert (status.dead_letters, status.dead_letters_gone) == ({"influx": 3}, 2)
    with Reader(store.path) as reader:
        assert [letter.id for letter in reader.dead_letters()] == [3, 4, 5]

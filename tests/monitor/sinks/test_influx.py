"""The InfluxDB sink against a database that answers everything, and against two real ones."""

import asyncio
import json
import logging
import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
import trustme
from aiohttp import web

from config.site import InfluxDb, Secret
from monitor.alarms.facts import State
from monitor.sinks.addresses import where
from monitor.sinks.answers import PartlyWritten, Poison, TooLarge
from monitor.sinks.base import Gateway, SinkLost
from monitor.sinks.batches import compress, culprits, split
from monitor.sinks.influx import InfluxSink
from monitor.store import Event, Tick
from tests.monitor.sinks.database import Answer, Database, Write, database, saying, written
from tests.monitor.sinks.scene import HIGH, NOON, Scene, holding, loss, opened
from tests.support.servers import InfluxDB, VictoriaMetrics, free_port
from tests.support.waiting import eventually

MS = 10**6
NOON_MS = NOON // MS


@pytest_asyncio.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with opened(tmp_path) as scene:
        yield scene


@pytest_asyncio.fixture
async def fake() -> AsyncIterator[Database]:
    async with database() as fake:
        yield fake


def sink_to(url: str, scene: Scene, **settings: object) -> InfluxSink:
    target = {"url": url, "org": "cells", "bucket": "equipment", "database": "plant"}
    made = InfluxDb.model_validate(target | settings)
    return InfluxSink(made, Gateway("les-ulis", "gw-1"), scene.store)


def reading(scan: int, **tags: str) -> bytes:
    more = "".join(f",{name}={value}" for name, value in tags.items())
    return b"incubator,equipment=incubator-0%b co2=%.3f,scan=%di %d" % (
        more.encode(),
        5 + scan / 1000,
        scan,
        NOON_MS + scan,
    )


def readings(first: int, last: int) -> list[bytes]:
    return [reading(scan) for scan in range(first, last + 1)]


async def read(scene: Scene, lines: list[bytes], ticks: int = 1) -> None:
    """Put the lines on the record in so many ticks, of two groups each."""
    one, two = await scene.store.groups([("incubator-0",), ("incubator-1",)])
    size = -(-len(lines) // (2 * ticks))
    for start in range(0, len(lines), size):
        await scene.read(one if start // size % 2 else two, lines[start : start + size])


def delivered(scene: Scene) -> bool:
    blobs, events = (scene.store.cursor("influxdb", lane) for lane in ("telemetry", "events"))
    return (blobs, events) == (scene.store._newest("telemetry"), scene.store.last.event)


async def dead_letters(scene: Scene) -> int:
    return (await scene.store.status()).dead_letters.get("influxdb", 0)


async def until_delivered(sink: InfluxSink, scene: Scene) -> None:
    async with holding(sink):
        await eventually(lambda: delivered(scene))


async def test_readings_go_out_in_order_and_as_they_are_kept(fake: Database, scene: Scene) -> None:
    await read(scene, readings(1, 100), ticks=5)
    kept = await scene.store.telemetry(0, 2**20)
    await until_delivered(sink_to(fake.url, scene), scene)
    assert [write.raw for write in fake.writes] == [b"".join(blob.body for blob in kept)]
    assert fake.accepted == readings(1, 100)
    request = fake.writes[0].request
    assert request.path_qs == "/api/v2/write?org=cells&bucket=equipment&precision=ms"
    assert request.headers["Content-Encoding"] == "gzip"


async def test_v1_has_its_own_address(fake: Database, scene: Scene) -> None:
    await read(scene, readings(1, 2))
    await until_delivered(
        sink_to(f"{fake.url}/influx/", scene, api="v1", retention_policy="year"), scene
    )
    assert fake.writes[0].request.path_qs == "/influx/write?db=plant&rp=year&precision=ms"


async def test_v3_has_its_own_address_and_its_own_word_for_a_token(
    fake: Database, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", CANARY)
    await read(scene, readings(1, 2))
    sink = sink_to(fake.url, scene, api="v3", token=Secret(env="CANARY"))
    await until_delivered(sink, scene)
    request = fake.writes[0].request
    assert request.path == "/api/v3/write_lp"
    assert dict(request.query) == {
        "db": "plant",
        "precision": "millisecond",
        "accept_partial": "true",
        "no_sync": "false",
    }
    assert request.headers["Authorization"] == f"Bearer {CANARY}"


@pytest.mark.parametrize(
    ("version", "path"),
    [
        ("1.8.10", "/write"),
        ("v2.7.1", "/api/v2/write"),
        ("Cloud", "/api/v2/write"),
        ("3.0.1", "/api/v3/write_lp"),
        ("", "/api/v2/write"),
        ("0.9", "/api/v2/write"),
    ],
)
async def test_a_database_is_written_to_as_it_says_that_it_is(
    fake: Database, scene: Scene, version: str, path: str
) -> None:
    fake.version = version
    await read(scene, readings(1, 2))
    await until_delivered(sink_to(fake.url, scene), scene)
    assert fake.asked[0].path == "/ping"
    assert fake.writes[0].request.path == path


async def test_without_a_word_the_file_hints_at_the_address(fake: Database, scene: Scene) -> None:
    await read(scene, readings(1, 2))
    await until_delivered(sink_to(fake.url, scene, bucket=""), scene)
    assert fake.writes[0].request.path_qs == "/write?db=plant&precision=ms"


async def test_a_database_that_is_another_than_the_file_says_is_named(
    fake: Database, scene: Scene
) -> None:
    fake.version = "1.6.7"
    await read(scene, readings(1, 2))
    fake.otherwise = saying(404, "404 page not found")
    text = await loss(sink_to(fake.url, scene, api="v2"))
    assert "this is InfluxDB 1.6.7, and the file says api: v2" in text


async def test_a_database_that_was_replaced_by_another_is_told_and_written_to_as_it_is_now(
    fake: Database, scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    fake.version = "1.8.10"
    sink = sink_to(fake.url, scene)
    await read(scene, readings(1, 10))
    await until_delivered(sink, scene)
    fake.version = "3.0.1"
    fake.answers = [saying(404, "", **{"X-Influxdb-Version": "3.0.1"})]
    await read(scene, readings(11, 20))
    await loss(sink)
    await until_delivered(sink, scene)
    assert [write.request.path for write in fake.writes][0::2] == ["/write", "/api/v3/write_lp"]
    assert fake.accepted == readings(1, 20)
    told = [r.message for r in caplog.records if "is InfluxDB 3.0.1 now" in r.message]
    assert told == ["influxdb was InfluxDB 1.8.10 and is InfluxDB 3.0.1 now"]


async def test_what_is_committed_later_follows_and_events_go_before_readings(
    fake: Database, scene: Scene
) -> None:
    async with holding(sink_to(fake.url, scene)):
        await read(scene, readings(1, 10))
        await eventually(lambda: delivered(scene))
    await read(scene, readings(11, 20))
    await scene.note("start")
    await scene.happen((HIGH, State.UNACKNOWLEDGED))
    await until_delivered(sink_to(fake.url, scene), scene)
    kinds = [line.partition(b",")[0] for line in fake.accepted]
    assert kinds == [b"incubator"] * 10 + [b"event", b"alarm_event"] + [b"incubator"] * 10


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request takes no more than one tick of readings, and four events."""
    monkeypatch.setattr("monitor.sinks.influx.MOST_BYTES", 1)
    monkeypatch.setattr("monitor.sinks.influx.MOST_EVENTS", 4)


@pytest.mark.usefixtures("tiny")
async def test_after_an_outage_what_is_read_now_goes_before_the_rest_of_the_backlog(
    fake: Database, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.sinks.influx.DRAINING", 1.0)  # So that no rest gives it its turn.
    await read(scene, readings(1, 100), ticks=5)

    async def meanwhile(_: Write) -> web.StreamResponse:
        await read(scene, readings(101, 110), ticks=1)
        return web.Response(status=204)

    fake.answers = [written, meanwhile]
    await until_delivered(sink_to(fake.url, scene), scene)
    assert fake.accepted == readings(1, 20) + readings(101, 110) + readings(21, 100)


@pytest.mark.usefixtures("tiny")
async def test_after_each_request_of_a_backlog_others_have_their_turn(
    fake: Database, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest is by how long the request took; here it is made to last for hours."""
    monkeypatch.setattr("monitor.sinks.influx.DRAINING", 1e-9)
    await read(scene, readings(1, 100), ticks=5)
    async with holding(sink_to(fake.url, scene)):
        await eventually(lambda: bool(fake.accepted))
        await read(scene, readings(101, 110), ticks=1)
        await eventually(lambda: reading(110) in fake.accepted)
        await read(scene, readings(111, 120), ticks=1)
        await eventually(lambda: reading(120) in fake.accepted)
    assert fake.accepted == readings(1, 10) + readings(101, 120)


@pytest.mark.usefixtures("tiny")
async def test_a_backlog_that_is_cut_off_goes_on_where_it_was(fake: Database, scene: Scene) -> None:
    await read(scene, readings(1, 100), ticks=5)

    async def meanwhile(_: Write) -> web.StreamResponse:
        await read(scene, readings(101, 110), ticks=1)
        return web.Response(status=204)

    sink = sink_to(fake.url, scene)
    fake.answers = [written, meanwhile, saying(500)]
    await loss(sink)
    fake.answers = [written, saying(500)]
    await loss(sink)
    await until_delivered(sink, scene)
    assert sorted(fake.accepted) == sorted(readings(1, 110)), "each exactly once"


@pytest.mark.usefixtures("tiny")
async def test_a_restart_in_a_backlog_repeats_at_most_what_went_before_it(
    fake: Database, scene: Scene
) -> None:
    await read(scene, readings(1, 100), ticks=5)

    async def meanwhile(_: Write) -> web.StreamResponse:
        await read(scene, readings(101, 110), ticks=1)
        return web.Response(status=204)

    fake.answers = [meanwhile, written, written, saying(500)]
    await loss(sink_to(fake.url, scene))
    await until_delivered(sink_to(fake.url, scene), scene)
    old = [line for line in fake.accepted if line not in set(readings(101, 110))]
    assert old == readings(1, 100), "in order, each once"
    assert set(fake.accepted) == set(readings(1, 110))


@pytest.mark.usefixtures("tiny")
async def test_after_an_outage_the_newest_alarms_go_first(fake: Database, scene: Scene) -> None:
    for _ in range(5):
        await scene.happen((HIGH, State.UNACKNOWLEDGED), (HIGH, State.NORMAL))
    await until_delivered(sink_to(fake.url, scene), scene)
    told = [re.search(rb",seq=(\d+)i", line) for line in fake.accepted]
    seqs = [int(found[1]) for found in told if found]
    assert seqs == [7, 8, 9, 10, *range(1, 11)]
    assert fake.accepted[:4] == fake.accepted[-4:]


@pytest.mark.usefixtures("tiny")
async def test_what_is_refused_of_the_newest_alarms_is_seen_to_in_its_turn(
    fake: Database, scene: Scene
) -> None:
    for _ in range(5):
        await scene.happen((HIGH, State.UNACKNOWLEDGED))
    fake.answers = [saying(400, '{"message":"unable to parse"}')]
    await until_delivered(sink_to(fake.url, scene), scene)
    assert await dead_letters(scene) == 0
    assert len(fake.accepted) == 5


HOUR = 3600 * 10**9
BUCKETS = {"buckets": [{"name": "equipment", "retentionRules": [{"everySeconds": 7200}]}]}
DATABASES = [{"iox::database": "plant", "name": "autogen", "duration": "2h0m0s"}]
POLICIES = {"q": "SHOW RETENTION POLICIES", "db": "plant"}


@pytest.mark.parametrize(
    ("version", "answer", "asked"),
    [
        ("v2.7.1", BUCKETS, ("/api/v2/buckets", {"org": "cells", "name": "equipment"})),
        ("3.9.0", DATABASES, ("/api/v3/query_influxql", {**POLICIES, "format": "json"})),
    ],
)
async def test_what_waits_nearly_as_long_as_it_is_kept_is_ageing(
    fake: Database, scene: Scene, version: str, answer: object, asked: tuple[str, dict[str, str]]
) -> None:
    fake.version, fake.kept = version, answer
    sink = sink_to(fake.url, scene)
    fake.otherwise = saying(500)
    await read(scene, readings(1, 10))
    assert not sink.ageing(NOON + 99 * HOUR), "nobody knows"
    await loss(sink)
    assert [(r.path, dict(r.query)) for r in fake.asked[1:]] == [asked]
    assert not sink.ageing(NOON + HOUR)
    assert sink.ageing(NOON + 2 * HOUR)
    fake.otherwise = written
    await until_delivered(sink, scene)
    assert not sink.ageing(NOON + 2 * HOUR), "nothing waits"


async def test_while_it_is_away_it_keeps_points_for_as_long_as_it_said_last(scene: Scene) -> None:
    async with database() as fake:
        fake.version, fake.kept, fake.otherwise = "v2.7.1", BUCKETS, saying(500)
        sink = sink_to(fake.url, scene)
        await read(scene, readings(1, 10))
        await loss(sink)
    await loss(sink)
    assert sink.ageing(NOON + 2 * HOUR)


async def test_how_long_it_keeps_points_may_stand_in_the_file(fake: Database, scene: Scene) -> None:
    fake.version, fake.kept = "v2.7.1", BUCKETS
    sink = sink_to(fake.url, scene, keeps="30d")
    fake.otherwise = saying(500)
    await read(scene, readings(1, 10))
    await loss(sink)
    assert [request.path for request in fake.asked] == ["/ping"]
    assert not sink.ageing(NOON + 22 * 24 * HOUR)
    assert sink.ageing(NOON + 23 * 24 * HOUR)


async def test_what_waits_is_ageing_also_where_a_flood_of_events_was_never_taken(
    fake: Database, scene: Scene
) -> None:
    """After a restart in a long outage: the newest are tried first, and that is all that is."""
    sink = sink_to(fake.url, scene, keeps="30d")
    fake.otherwise = saying(500)
    await scene.happen(*[(HIGH, State.UNACKNOWLEDGED), (HIGH, State.NORMAL)] * 51)
    await loss(sink)
    assert not sink.ageing(NOON + 22 * 24 * HOUR)
    assert sink.ageing(NOON + 23 * 24 * HOUR)
    fake.otherwise = written
    await until_delivered(sink, scene)
    assert not sink.ageing(NOON + 23 * 24 * HOUR)


async def test_it_says_that_it_holds_when_something_was_taken(fake: Database, scene: Scene) -> None:
    held = asyncio.Event()
    task = asyncio.create_task(sink_to(fake.url, scene).hold(held.set))
    await asyncio.wait({task}, timeout=0.05)
    assert not held.is_set()
    await read(scene, readings(1, 1))
    await held.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


LOSSES: list[tuple[Answer, str]] = [
    (saying(200, "<html>Please log in</html>"), "answered 200"),
    (saying(302, Location="http://127.0.0.1:9/login"), "http://127.0.0.1:9/login"),
    (saying(307, Location="/api/v2/write"), "put the right url in the file"),
    (saying(400, "<html>Bad Request</html>"), "400"),
    (saying(400, '{"code":"invalid","message":"organization x not found"}'), "organization x"),
    (saying(401, '{"code":"unauthorized","message":"unauthorized access"}'), "token"),
    (saying(403, "{}"), "may not write"),
    (saying(404, '{"code":"not found","message":"bucket not found"}'), "no such bucket"),
    (saying(429, "limit"), "429"),
    (saying(500, "oops"), "500: oops"),
    (saying(502, "<html>Bad Gateway</html>"), "502"),
    (saying(503, "busy"), "503: busy"),
]


@pytest.mark.parametrize(("answer", "words"), LOSSES)
@pytest.mark.parametrize("api", ["v2", "v1"])
async def test_what_is_not_written_is_kept_and_sent_anew_the_same(
    fake: Database, scene: Scene, answer: Answer, words: str, api: str
) -> None:
    await read(scene, readings(1, 10))
    sink = sink_to(fake.url, scene, api=api)
    fake.otherwise = answer
    assert words in await loss(sink)
    await read(scene, readings(11, 20))
    await loss(sink)
    assert scene.store.cursor("influxdb", "telemetry") == 0
    fake.otherwise = written
    await until_delivered(sink, scene)
    assert fake.accepted == readings(1, 20)
    assert {write.raw for write in fake.writes[:3]} == {fake.writes[0].raw}
    assert len(fake.writes) == 4
    assert await dead_letters(scene) == 0


async def test_patience_is_given_as_asked_for(
    fake: Database, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        assert sink.patience > seconds, "so long it is not stuck"

    monkeypatch.setattr("monitor.sinks.influx._patience", sleep)
    sink = sink_to(fake.url, scene)
    await read(scene, readings(1, 10))
    fake.answers = [
        saying(429, **{"Retry-After": "7"}),
        saying(503, **{"Retry-After": "99999999"}),
    ]
    await until_delivered(sink, scene)
    assert waits == [7, 300]
    assert sink.patience < waits[-1]
    assert len({write.raw for write in fake.writes}) == 1
    assert len(fake.writes) == 3


async def test_a_request_has_the_time_that_a_slow_link_takes(fake: Database, scene: Scene) -> None:
    sink = sink_to(fake.url, scene, timeout="10s")
    assert sink.patience == 30, "two waits, and twice 5 s in which it may say who it is"
    await read(scene, readings(1, 10))
    fake.otherwise = saying(500)
    await loss(sink)
    assert 30 < sink.patience < 31
    sink._sent["telemetry"] = sink._sent["telemetry"]._replace(body=bytes(512 * 1024))
    assert sink.patience == 30 + 128


def up_to(most: int) -> Answer:
    async def answer(write: Write) -> web.StreamResponse:
        return web.Response(status=413 if len(write.lines) > most else 204)

    return answer


@pytest.mark.parametrize("most", [1, 7, 40])
async def test_what_is_too_large_is_halved(fake: Database, scene: Scene, most: int) -> None:
    await read(scene, readings(1, 60), ticks=3)
    fake.otherwise = up_to(most)
    await until_delivered(sink_to(fake.url, scene), scene)
    assert fake.accepted == readings(1, 60)


async def test_a_line_that_is_too_large_alone_is_a_dead_letter(
    fake: Database, scene: Scene
) -> None:
    huge = b'incubator,equipment=incubator-0 mode="%b" %d' % (b"x" * 5000, NOON_MS)
    await read(scene, [reading(1), huge, reading(2)])

    async def picky(write: Write) -> web.StreamResponse:
        return web.Response(status=413 if huge in write.lines else 204)

    fake.otherwise = picky
    await until_delivered(sink_to(fake.url, scene), scene)
    assert fake.accepted == readings(1, 2)
    assert await dead_letters(scene) == 1


async def test_who_takes_not_even_one_line_is_not_set_up_and_no_line_is_to_blame(
    fake: Database, scene: Scene
) -> None:
    await read(scene, readings(1, 3))
    fake.otherwise = up_to(0)
    sink = sink_to(fake.url, scene)
    assert "let it take more than one line at a time" in await loss(sink)
    fake.otherwise = written
    await until_delivered(sink, scene)
    assert set(fake.accepted) == set(readings(1, 3))
    assert await dead_letters(scene) == 0


POISON = b"incubator,equipment=incubator-0 co2= 5"


async def v2_oss(write: Write) -> web.StreamResponse:
    """Nothing is written if one line is malformed; what conflicts is dropped."""
    if POISON in write.lines:
        words = f"unable to parse '{POISON.decode()}': missing field value"
        return web.json_response({"code": "invalid", "message": words}, status=400)
    if any(b"conflict=" in line for line in write.lines):
        dropped = sum(b"conflict=" in line for line in write.lines)
        words = f"partial write: field type conflict dropped={dropped}"
        return web.json_response({"code": "unprocessable entity", "message": words}, status=422)
    return web.Response(status=204)


async def v1_x(write: Write) -> web.StreamResponse:
    """What is malformed is named, and the rest is written."""
    if POISON in write.lines:
        words = f"partial write: unable to parse '{POISON.decode()}': missing field value dropped=0"
        return web.json_response({"error": words}, status=400)
    return web.Response(status=204)


async def test_one_poison_line_among_a_thousand_becomes_a_dead_letter(
    fake: Database, scene: Scene
) -> None:
    lines = readings(1, 999)
    await read(scene, [*lines[:333], POISON, *lines[333:]], ticks=4)
    fake.otherwise = v2_oss
    sink = sink_to(fake.url, scene)
    await until_delivered(sink, scene)
    assert fake.accepted == lines
    assert await dead_letters(scene) == 1
    assert sink.tally.dead == 1
    assert len(fake.writes) < 25


async def test_v1_names_its_poison_and_is_not_asked_twice(fake: Database, scene: Scene) -> None:
    lines = readings(1, 999)
    await read(scene, [*lines[:333], POISON, *lines[333:]], ticks=4)
    fake.otherwise = v1_x
    await until_delivered(sink_to(fake.url, scene, api="v1"), scene)
    assert len(fake.writes) == 1
    assert await dead_letters(scene) == 1


async def test_no_batch_comes_into_the_log_by_a_database_that_quotes_it(
    fake: Database, scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    body = '{"act":"load","batch":"BX-24-0117"}'
    event = Event(scene.store.last.event + 1, None, "occupancy", NOON, 1, "incubator-0", body)
    await scene.store.commit(Tick(events=[event]))

    async def quoting(write: Write) -> web.StreamResponse:
        words = f"unable to parse '{write.lines[0].decode()}': missing field value"
        return web.json_response({"code": "invalid", "message": words}, status=400)

    fake.otherwise = quoting
    await until_delivered(sink_to(fake.url, scene), scene)
    assert await dead_letters(scene) == 1
    assert "refuses a line for good, it is now a dead letter: cytowatch store" in caplog.text
    assert "BX-24-0117" not in caplog.text


async def v3(write: Write) -> web.StreamResponse:
    """What is refused is named, a hundred of it at most, and the rest is written."""
    bad = [line for line in write.lines if b"conflict=" in line]
    if not bad:
        return web.Response(status=204)
    data = [
        {"original_line": line.decode(), "line_number": number, "error_message": "invalid"}
        for number, line in enumerate(bad[:100], start=1)
    ]
    told = {"error": "partial write of line protocol occurred", "data": data}
    return web.json_response(told, status=400)


async def test_v3_names_what_it_refuses_and_is_not_asked_twice(
    fake: Database, scene: Scene
) -> None:
    bad = [reading(scan, conflict="a") for scan in range(201, 231)]
    await read(scene, [*readings(1, 200), *bad])
    fake.version, fake.otherwise = "3.0.1", v3
    await until_delivered(sink_to(fake.url, scene), scene)
    assert len(fake.writes) == 1
    assert await dead_letters(scene) == 30


async def test_what_v3_refuses_beyond_what_it_names_is_found(fake: Database, scene: Scene) -> None:
    bad = [reading(scan, conflict="a") for scan in range(201, 321)]
    await read(scene, [*readings(1, 200), *bad])
    fake.version, fake.otherwise = "3.0.1", v3
    await until_delivered(sink_to(fake.url, scene), scene)
    assert await dead_letters(scene) == 120


async def test_an_unknown_database_that_names_a_line_is_not_believed_about_the_others(
    fake: Database, scene: Scene
) -> None:
    """A 400 of v2 names the line as v1 does, but nothing is written."""
    await read(scene, [*readings(1, 20), POISON])
    fake.otherwise = v2_oss
    await until_delivered(sink_to(fake.url, scene, api="v1"), scene)
    assert fake.accepted == readings(1, 20)
    assert await dead_letters(scene) == 1


async def test_points_that_conflict_are_found_among_those_that_do_not(
    fake: Database, scene: Scene
) -> None:
    bad = [reading(40, conflict="a"), reading(90, conflict="b")]
    await read(scene, [*readings(1, 39), bad[0], *readings(41, 89), bad[1]])
    fake.otherwise = v2_oss
    await until_delivered(sink_to(fake.url, scene), scene)
    assert not set(bad) & set(fake.accepted)
    assert await dead_letters(scene) == 2


async def test_many_points_dropped_at_once_are_one_dead_letter_and_no_search(
    fake: Database, scene: Scene
) -> None:
    await read(scene, readings(1, 1000))
    words = "partial write: points beyond retention policy dropped=900"
    fake.answers = [saying(422, json.dumps({"message": words}))]
    await until_delivered(sink_to(fake.url, scene), scene)
    assert len(fake.writes) == 1
    assert await dead_letters(scene) == 1


async def test_a_letter_for_many_points_offers_them_all_again(fake: Database, scene: Scene) -> None:
    await read(scene, readings(1, 1000), ticks=4)
    words = "partial write: points beyond retention policy dropped=900"
    fake.answers = [saying(422, json.dumps({"message": words}))]
    sink = sink_to(fake.url, scene)
    await until_delivered(sink, scene)
    letter = await scene.store.find_dead_letter(1)
    assert letter is not None
    fake.answers = [saying(422, json.dumps({"message": words}))]
    assert "beyond retention" in await sink.offer(letter.line)
    assert await sink.offer(letter.line) == ""
    assert fake.accepted == readings(1, 1000)


async def test_a_letter_is_offered_alone_and_what_is_no_answer_is_a_loss(
    fake: Database, scene: Scene
) -> None:
    sink = sink_to(fake.url, scene)
    assert await sink.offer(reading(1)) == ""
    assert fake.accepted == [reading(1)]
    fake.answers = [
        saying(400, '{"message":"unable to parse"}'),
        saying(503, "busy", **{"Retry-After": "1"}),
        saying(401),
    ]
    assert "unable to parse" in await sink.offer(POISON)
    for words in ("busy", "401"):
        with pytest.raises(SinkLost, match=words):
            await sink.offer(POISON)
    gone = b"# 9 of 9 points dropped, of telemetry 900 to 901; the first line was: x"
    assert "on the record no more" in await sink.offer(gone)


async def test_poison_does_not_outlive_a_loss_in_the_middle_of_the_search(
    fake: Database, scene: Scene
) -> None:
    await read(scene, [*readings(1, 50), POISON, *readings(51, 99)])
    sink = sink_to(fake.url, scene)
    fake.answers = [v2_oss, v2_oss, saying(500)]
    await loss(sink)
    assert scene.store.cursor("influxdb", "telemetry") == 0
    fake.otherwise = v2_oss
    await until_delivered(sink, scene)
    assert set(fake.accepted) == set(readings(1, 99))
    assert await dead_letters(scene) == 1


async def test_a_slow_database_is_left_in_time(fake: Database, scene: Scene) -> None:
    async def slow(_: Write) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response(status=204)

    await read(scene, readings(1, 10))
    fake.answers = [slow]
    sink = sink_to(fake.url, scene, timeout=100 * MS)
    assert "no answer within 0.1 s" in await loss(sink)
    await until_delivered(sink, scene)
    assert fake.accepted == readings(1, 10)


async def test_a_connection_that_breaks_off_is_a_loss_and_the_batch_comes_again(
    fake: Database, scene: Scene
) -> None:
    async def reset(write: Write) -> web.StreamResponse:
        transport = write.request.transport
        assert transport is not None
        transport.abort()
        return web.Response(status=204)

    await read(scene, readings(1, 10))
    fake.answers = [reset]
    sink = sink_to(fake.url, scene)
    assert await loss(sink) == f"InfluxDB at {fake.url}: the server hung up before it had answered"
    assert scene.store.cursor("influxdb", "telemetry") == 0
    await until_delivered(sink, scene)
    assert fake.writes[0].raw == fake.writes[1].raw


async def test_nobody_there_is_a_loss(scene: Scene) -> None:
    await read(scene, readings(1, 1))
    url = f"http://127.0.0.1:{free_port()}"
    text = await loss(sink_to(url, scene))
    assert text == f"InfluxDB at {url}: no connection: Connection refused"


CANARY = "canary-7f3a"


@pytest.mark.parametrize(
    ("settings", "header"),
    [
        ({"token": Secret(env="CANARY")}, f"Token {CANARY}"),
        (
            {"api": "v1", "user": "gateway", "password": Secret(env="CANARY")},
            "Basic Z2F0ZXdheTpjYW5hcnktN2YzYQ==",
        ),
    ],
)
async def test_the_secret_goes_to_the_database_and_nowhere_else(
    fake: Database,
    scene: Scene,
    settings: dict[str, object],
    header: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("CANARY", CANARY)
    await read(scene, readings(1, 10))
    sink = sink_to(fake.url, scene, **settings)
    fake.answers = [saying(401), saying(500), saying(200), v2_oss]
    said = [await loss(sink) for _ in range(3)]
    await until_delivered(sink, scene)
    assert fake.writes[0].request.headers["Authorization"] == header
    everything = f"{said} {caplog.text} {sink!r} {vars(sink)}"
    assert CANARY not in everything
    assert header not in everything


async def test_a_secret_that_is_not_there_is_a_loss_that_says_where(scene: Scene) -> None:
    text = await loss(sink_to("http://127.0.0.1:9", scene, token=Secret(env="NO_SUCH_VARIABLE")))
    assert "NO_SUCH_VARIABLE" in text


async def test_tls_is_checked_against_the_given_ca(scene: Scene, tmp_path: Path) -> None:
    ca = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    await read(scene, readings(1, 10))
    async with database(context) as fake:
        assert "certificate" in (await loss(sink_to(fake.url, scene))).lower()
        assert not fake.writes
        await until_delivered(sink_to(fake.url, scene, ca_file=tmp_path / "ca.pem"), scene)
        assert fake.accepted == readings(1, 10)
    assert "no.pem" in await loss(sink_to(fake.url, scene, ca_file=tmp_path / "no.pem"))


@pytest.mark.parametrize(
    ("host", "ends", "words"),
    [
        ("db.example", timedelta(days=1), "127.0.0.1"),
        ("127.0.0.1", timedelta(days=-1), "expired"),
    ],
)
async def test_a_certificate_of_another_host_or_of_yesterday_is_refused_and_all_is_kept(
    scene: Scene, tmp_path: Path, host: str, ends: timedelta, words: str
) -> None:
    ca = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert(host, not_after=datetime.now(UTC) + ends).configure_cert(context)
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    await read(scene, readings(1, 10))
    async with database(context) as fake:
        said = await loss(sink_to(fake.url, scene, ca_file=tmp_path / "ca.pem"))
        assert "certificate verify failed" in said
        assert words in said
        assert (fake.writes, fake.asked) == ([], [])
    assert scene.store.cursor("influxdb", "telemetry") == 0


@dataclass
class Named:
    refused: TooLarge | Poison | PartlyWritten
    dead: list[bytes] | None


@pytest.mark.parametrize(
    "case",
    [
        Named(Poison("w"), None),
        Named(TooLarge("w"), None),
        Named(PartlyWritten("w", 1), None),
        Named(PartlyWritten("w", 0, (b"b",)), [b"b"]),
        Named(PartlyWritten("w", None, (b"a", b"c")), [b"a", b"c"]),
        Named(PartlyWritten("w", 2, (b"b",)), None),
        Named(PartlyWritten("w", 1, (b"x",)), None),
    ],
)
def test_who_is_to_blame_is_known_only_when_all_are_named(case: Named) -> None:
    found = culprits([b"a", b"b", b"c"], case.refused)
    assert (None if found is None else list(found)) == case.dead
    assert culprits([b"a"], case.refused) == [b"a"]


def test_lines_come_out_of_joined_members_as_they_went_in() -> None:
    assert split(compress([b"a", b"b"]) + compress([b"c"])) == [b"a", b"b", b"c"]


def test_a_url_is_shown_without_what_may_be_secret_in_it() -> None:
    assert where("https://me:word@db.example:8086/x?token=y") == "https://db.example:8086"


@pytest.mark.real
async def test_influxdb_keeps_every_value_and_millisecond(
    influxdb16: InfluxDB, scene: Scene
) -> None:
    influxdb16.create("delivery")
    lines = [*readings(1, 500), POISON, *readings(501, 1000)]
    await read(scene, lines, ticks=10)
    await scene.happen((HIGH, State.UNACKNOWLEDGED), (HIGH, State.NORMAL))
    sink = sink_to(influxdb16.url, scene, api="v1", database="delivery")
    await until_delivered(sink, scene)
    rows = influxdb16.query("SELECT co2, scan FROM incubator", "delivery")
    assert [(row["time"], row["co2"], row["scan"]) for row in rows] == [
        ((NOON_MS + scan) * MS, round(5 + scan / 1000, 3), scan) for scan in range(1, 1001)
    ]
    events = influxdb16.query('SELECT seq, "to" FROM alarm_event', "delivery")
    assert [(row["seq"], row["to"]) for row in events] == [(1, "unacknowledged"), (2, "normal")]
    assert await dead_letters(scene) == 1


@pytest.mark.real
async def test_influxdb_drops_a_point_that_conflicts_and_we_know_which(
    influxdb16: InfluxDB, scene: Scene
) -> None:
    influxdb16.create("conflicts")
    conflict = b'incubator,equipment=incubator-0 co2="high" %d' % (NOON_MS + 700)
    await read(scene, [*readings(1, 60), conflict, *readings(61, 100)])
    sink = sink_to(influxdb16.url, scene, api="v1", database="conflicts")
    await until_delivered(sink, scene)
    rows = influxdb16.query("SELECT co2 FROM incubator", "conflicts")
    assert len(rows) == 100
    assert await dead_letters(scene) == 1


@pytest.mark.real
async def test_influxdb_takes_a_dead_letter_once_it_is_mended(
    influxdb16: InfluxDB, scene: Scene
) -> None:
    influxdb16.create("mended")
    conflict = b'incubator,equipment=incubator-0 co2="high" %d' % (NOON_MS + 700)
    await read(scene, [*readings(1, 20), conflict])
    sink = sink_to(influxdb16.url, scene, api="v1", database="mended")
    await until_delivered(sink, scene)
    letter = await scene.store.find_dead_letter(1)
    assert letter is not None
    assert letter.line == conflict
    assert "conflict" in await sink.offer(letter.line)
    assert await sink.offer(reading(700)) == ""
    rows = influxdb16.query("SELECT co2, scan FROM incubator WHERE scan = 700", "mended")
    assert [row["time"] for row in rows] == [(NOON_MS + 700) * MS]


def knows(sink: InfluxSink) -> bool:
    return sink._kept > 0


@pytest.mark.real
async def test_influxdb_says_for_how_long_it_keeps_points(
    influxdb16: InfluxDB, scene: Scene
) -> None:
    influxdb16.query('CREATE DATABASE "brief" WITH DURATION 2h')
    influxdb16.query('CREATE RETENTION POLICY "longer" ON "brief" DURATION 9h REPLICATION 1')
    # The points of this record are older than either, and the server refuses them.
    await read(scene, readings(1, 10))
    for policy, hours in (("", 2), ("longer", 9)):
        sink = sink_to(influxdb16.url, scene, database="brief", retention_policy=policy)
        async with holding(sink):
            await eventually(partial(knows, sink))
        assert sink._kept == hours * 3600 * 10**9


@pytest.mark.real
async def test_two_databases_are_served_each_for_itself(
    influxdb16: InfluxDB, scene: Scene, tmp_path: Path
) -> None:
    """One that is away and comes back has everything, and the other one never waited."""
    influxdb16.create("near")
    with InfluxDB(tmp_path / "far") as far:
        far.create("plant")
        far.kill()
        near = sink_to(influxdb16.url, scene, database="near", bucket="")
        other = sink_to(far.url, scene, name="archive", bucket="")
        await read(scene, readings(1, 100), ticks=3)
        assert "no connection" in await loss(other)
        await until_delivered(near, scene)
        assert scene.store.cursor("archive", "telemetry") == 0
        assert len(influxdb16.query("SELECT co2 FROM incubator", "near")) == 100
        far.start()
        async with holding(other):
            newest = scene.store.cursor("influxdb", "telemetry")
            await eventually(lambda: scene.store.cursor("archive", "telemetry") == newest)
        assert len(far.query("SELECT co2 FROM incubator", "plant")) == 100


@pytest.mark.real
async def test_a_missing_database_keeps_everything(influxdb16: InfluxDB, scene: Scene) -> None:
    await read(scene, readings(1, 10))
    sink = sink_to(influxdb16.url, scene, api="v1", database="later")
    assert "database not found" in await loss(sink)
    influxdb16.create("later")
    await until_delivered(sink, scene)
    assert len(influxdb16.query("SELECT co2 FROM incubator", "later")) == 10


@pytest.mark.real
async def test_the_v2_address_is_understood(
    victoria_metrics: VictoriaMetrics, scene: Scene
) -> None:
    await read(scene, [reading(scan, site="v2-delivery") for scan in range(1, 101)], ticks=3)
    await until_delivered(sink_to(victoria_metrics.url, scene), scene)
    ((_, points),) = victoria_metrics.export('incubator_co2{site="v2-delivery"}')
    assert sorted(points) == [(NOON_MS + scan, 5 + scan / 1000) for scan in range(1, 101)]

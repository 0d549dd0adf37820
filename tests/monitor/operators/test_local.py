# ruff: noqa: ASYNC240 - files of a test are small and near
import asyncio
import json
import os
import pwd
import socket
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from config.rules import EquipmentState, Suppression
from drivers.reading import Fault, Origin, Quality, Reason, Scan
from monitor.alarms.usage import ToldBy, Usage
from monitor.messages import Actor
from monitor.operators.address import SocketError
from monitor.operators.local import (
    LONGEST_REQUEST,
    TURN,
    Office,
    Visitor,
    open_office,
    serve,
)
from monitor.store.points import Point
from tests.support.desk import (
    NOON,
    PLANT,
    SECOND,
    START,
    FakeDesk,
    alarm_event,
    noted,
    recorded,
    standing,
)
from tests.support.waiting import eventually

Json = dict[str, object]

CLEANING = Suppression(suppress=("co2",), longest="1m")


@pytest.fixture
def desk(tmp_path: Path) -> FakeDesk:
    return FakeDesk(tmp_path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cytowatch.sock"


@pytest.fixture
async def office(desk: FakeDesk, path: Path) -> AsyncIterator[Office]:
    async with open_office(path, Office(desk, pause=0.01)) as office:
        yield office


@pytest.fixture
def served(office: Office, path: Path) -> Path:
    """The path of a socket that is open."""
    assert not office.tasks
    return path


class Client:
    """One connection to the socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def ask(cls, path: Path, text: str) -> "Client":
        client = cls(*await asyncio.open_unix_connection(path))
        client.writer.write(text.encode() + b"\n")
        return client

    async def line(self) -> Json:
        async with asyncio.timeout(60):
            answer: Json = json.loads(await self.reader.readline())
        return answer

    async def rest(self) -> list[Json]:
        async with asyncio.timeout(60):
            return [json.loads(line) for line in (await self.reader.read()).splitlines()]

    async def abort(self) -> None:
        self.writer.transport.abort()
        await asyncio.sleep(0)  # The transport closes in the loop's next turn.

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


async def ask(path: Path, **request: object) -> list[Json]:
    client = await Client.ask(path, json.dumps(request))
    answers = await client.rest()
    await client.close()
    return answers


def end(word: str = "done", text: str = "") -> Json:
    result = "done" if word == "done" else "failed"
    return {"schema": "cytowatch.end.v1", "result": result, "word": word, "text": text}


async def test_the_last_line_marks_the_end(served: Path) -> None:
    status, last = await ask(served, request="status")
    assert (status["schema"], status["last_scan"]) == ("cytowatch.gateway_status.v1", 17)
    assert last == end()


async def test_the_store_is_told_alone_too(served: Path) -> None:
    store, last = await ask(served, request="store-status")
    assert (store["schema"], store["store_id"], last) == ("cytowatch.store_status.v1", "s1", end())


async def test_alarms_that_stand(desk: FakeDesk, served: Path) -> None:
    low = standing(alarm_event(1))
    other = standing(alarm_event(2, "incubator-08/co2/low"))
    desk.alarms = {low.alarm: low, other.alarm: other}
    assert [a["alarm"] for a in await ask(served, request="alarms") if "alarm" in a] == [
        low.alarm,
        other.alarm,
    ]
    only = await ask(served, request="alarms", equipment=["incubator-08"])
    assert [a.get("alarm") for a in only] == [other.alarm, None]
    named = await ask(served, request="alarms", names=["incubator-07/co2/high"])
    assert named == [end()]


async def test_a_name_that_is_not_there_is_answered_with_those_that_are_near(served: Path) -> None:
    [last] = await ask(served, request="alarms", names=["incubator-7/co2/low"])
    assert last["word"] == "unknown_alarm"
    assert "did you mean incubator-07/co2/low" in str(last["text"])


async def test_the_kernel_says_who_acts(desk: FakeDesk, served: Path) -> None:
    reply, last = await ask(
        served,
        request="act",
        act="shelve",
        alarm="incubator-07/co2/low",
        claimed="Ada",
        reason="filter",
        duration=60 * SECOND,
        occurrence="s1/x/1",
        version=3,
        request_id="r1",
    )
    me = pwd.getpwuid(os.getuid()).pw_name
    [request] = desk.acted
    assert (request.actor.user, request.actor.uid) == (me, os.getuid())
    assert (request.actor.claimed, request.actor.via) == ("Ada", "socket")
    assert (request.act, request.duration, request.version) == ("shelve", 60 * SECOND, 3)
    assert request.request_id == f"socket/{me}/r1"
    assert (reply["result"], last) == ("done", end())


@pytest.mark.parametrize(
    "act",
    [
        *("acknowledge", "confirm", "reset", "shelve", "unshelve"),
        *("remove_from_service", "return_to_service", "comment"),
    ],
)
async def test_each_act_on_an_alarm_is_asked_for_here(
    desk: FakeDesk, served: Path, act: str
) -> None:
    said = {"role": "lead", "one_shot": True, "reason": "", "request_id": "r1"}
    reply, _ = await ask(served, request="act", act=act, alarm="incubator-07/co2/low", **said)
    [request] = desk.acted
    assert (request.act, request.actor.role, request.one_shot) == (act, "lead", True)
    assert reply["result"] == "done"


@pytest.mark.parametrize("act", ["set_state", "load", "unload", "comment"])
async def test_each_act_on_an_equipment_is_asked_for_here(
    desk: FakeDesk, served: Path, act: str
) -> None:
    said = {"state": "cleaning", "seen": "idle", "batch": "COI-1", "position": "shelf 1"}
    who = {"claimed": "Ada", "role": "lead", "request_id": "r1", "reason": "x", "duration": SECOND}
    reply, last = await ask(served, request="use", act=act, equipment="incubator-07", **said, **who)
    [request] = desk.used
    assert (request.act, request.equipment) == (act, "incubator-07")
    assert {name: getattr(request, name) for name in said} == said
    me = pwd.getpwuid(os.getuid()).pw_name
    assert request.request_id == f"socket/{me}/r1"
    assert request.actor == Actor(
        user=me, claimed="Ada", role="lead", via="socket", uid=os.getuid()
    )
    assert (request.reason, request.duration) == ("x", SECOND)
    assert (reply["result"], last) == ("done", end())


@pytest.mark.parametrize(
    "wrong",
    [
        {"act": "resend"},
        {"act": "acknowledge", "role": "x" * 65},
        {"act": "acknowledge", "alarm": "x" * 201},
        {"act": "acknowledge", "occurrence": "s/a/b/c/" + "9" * 5000},
        {"act": "acknowledge", "user": "kim"},
        {"act": "acknowledge", "actor": {"user": "kim", "via": "socket"}},
        {"act": "shelve", "duration": 0},
        {"request": "use", "act": "acknowledge", "equipment": "incubator-07"},
        {"request": "use", "act": "set_state", "equipment": "incubator-07", "state": "on fire"},
        {"request": "use", "act": "load", "equipment": "incubator-07", "batch": "x" * 65},
        {"request": "names", "fit": ["*"] * 101},
        {"request": "usage", "fit": "incubator-07"},
    ],
)
async def test_what_is_no_request_is_not_taken_for_one(
    desk: FakeDesk, served: Path, wrong: dict[str, object]
) -> None:
    whole = {"request": "act", "alarm": "incubator-07/co2/low", "reason": "x", "request_id": "r"}
    own = wrong if wrong.get("request") else {**whole, **wrong}
    [last] = await ask(served, **own)
    assert (last["result"], last["word"]) == ("failed", "invalid")
    assert (desk.acted, desk.used) == ([], [])


async def test_names_that_fit_a_pattern(desk: FakeDesk, served: Path) -> None:
    *found, last = await ask(served, request="names", fit=["*/co2", "gateway"])
    assert [each["alarm"] for each in found] == list(desk.watched)
    assert last == end()
    [refused] = await ask(served, request="names", fit=["*/co2", "incubator-9"])
    assert refused["word"] == "unknown_alarm"
    assert "incubator-08" in str(refused["text"])
    assert await ask(served, request="names", fit=[]) == [end()]


async def test_alarms_that_fit_a_pattern(desk: FakeDesk, served: Path) -> None:
    low = standing(alarm_event(1))
    desk.alarms = {low.alarm: low}
    *found, _ = await ask(served, request="alarms", fit=["incubator-*"])
    assert [each["alarm"] for each in found] == [low.alarm]
    assert await ask(served, request="alarms", fit=["incubator-08"]) == [end()]


async def test_how_equipment_is_used(desk: FakeDesk, served: Path) -> None:
    plant = replace(PLANT, suppression={EquipmentState.CLEANING: CLEANING})
    desk.plant = plant
    desk.usages = {"incubator-08": Usage(EquipmentState.CLEANING, START, ToldBy.CHANNEL, "run: on")}
    desk.suppressed = {"incubator-08": ["incubator-08/co2/low", "incubator-08/co2/high"]}
    seven, eight, last = await ask(served, request="usage")
    assert (seven["state"], seven["since"], seven["suppressing_until"]) == ("in_use", None, None)
    assert (eight["state"], eight["cause"], eight["told"]) == ("cleaning", "channel", "run: on")
    assert eight["suppressing_until"] == "2026-01-31T12:01:00.000Z"
    assert eight["suppressed"] == ["incubator-08/co2/high", "incubator-08/co2/low"]
    assert seven["suppressed"] == []
    assert last == end()
    [one, _] = await ask(served, request="usage", fit=["*-07"])
    assert one == seven
    [refused] = await ask(served, request="usage", fit=["incubator-7"])
    assert refused["word"] == "unknown_equipment"


async def test_a_comment_is_told_without_being_asked_for(desk: FakeDesk, served: Path) -> None:
    desk.store.add(
        noted(1, "act", "incubator-07/co2/low", act="acknowledge"),
        noted(2, "act", "incubator-07/co2/low", act="comment"),
        noted(3, "refusal", "incubator-07/co2/low", act="comment"),
    )
    told = await ask(served, request="tail", last=9, follow=False)
    assert [each["number"] for each in told[:-1]] == [2]
    told = await ask(served, request="tail", last=9, follow=False, acts=True)
    assert [each["number"] for each in told[:-1]] == [1, 2, 3]


async def test_values_with_quality_and_age(desk: FakeDesk, served: Path) -> None:
    fault = {0: Fault(Quality.BAD, Reason.TIMED_OUT)}
    desk.latest[0] = Scan(0, NOON, 998 * SECOND, (None, True), faults=fault)
    co2, door, other, last = await ask(served, request="values")
    assert (co2["value"], co2["quality"], co2["reason"]) == (None, "bad", "timed_out")
    assert (co2["age"], co2["time"]) == (2.0, "2026-01-31T12:00:00.000Z")
    assert (door["value"], door["quality"], door["reason"]) == ("open", "good", "")
    assert (other["quality"], other["reason"], other["age"]) == ("bad", "not_read_yet", None)
    assert last == end()


@pytest.mark.parametrize(
    ("of", "channels"),
    [
        (["incubator-08"], ["incubator-08/co2"]),
        (["incubator-07/door"], ["incubator-07/door"]),
        (["incubator-08", "incubator-07/co2"], ["incubator-07/co2", "incubator-08/co2"]),
    ],
)
async def test_values_of_some(served: Path, of: list[str], channels: list[str]) -> None:
    answers = await ask(served, request="values", of=of)
    assert [f"{a['equipment']}/{a['channel']}" for a in answers[:-1]] == channels


@pytest.mark.parametrize(
    ("name", "word"),
    [("incubator-7", "unknown_equipment"), ("incubator-07/doors", "unknown_channel")],
)
async def test_values_of_nothing_there(served: Path, name: str, word: str) -> None:
    [last] = await ask(served, request="values", of=[name])
    assert last["word"] == word


async def test_values_are_followed_until_the_client_closes(
    office: Office, desk: FakeDesk, path: Path
) -> None:
    client = await Client.ask(path, '{"request": "values", "of": ["incubator-08"], "follow": true}')
    assert (await client.line())["value"] is None
    desk.latest[1] = Scan(1, NOON, 999 * SECOND, (5.0,))
    assert (await client.line())["value"] == 5.0
    await client.close()
    await eventually(lambda: not office.tasks)


async def test_a_tail_tells_the_past_and_then_what_comes(
    office: Office, desk: FakeDesk, path: Path
) -> None:
    desk.store.add(*(recorded(alarm_event(n)) for n in range(1, 6)))
    client = await Client.ask(path, '{"request": "tail", "last": 2}')
    assert [(await client.line())["number"] for _ in range(2)] == [4, 5]
    desk.store.add(recorded(alarm_event(6)))
    told = await client.line()
    assert (told["number"], told["store_id"], told["kind"]) == (6, "s1", "alarm")
    await client.close()
    await eventually(lambda: not office.tasks)


@pytest.mark.parametrize(
    ("request_", "numbers"),
    [
        ({"last": 1000}, [1, 2, 3, 5]),
        ({"last": 1000, "acts": True}, [1, 2, 3, 4, 5]),
        ({"last": 1000, "equipment": ["incubator-08"]}, [2]),
        ({"last": 1000, "priority": "high"}, [1, 3]),
        ({"last": 1000, "states": ["returned"]}, [3]),
        ({"last": 1, "priority": "low"}, [3]),
        ({"since": NOON + 3 * SECOND}, [3, 5]),
        ({"after": 2, "store_id": "s1"}, [3, 5]),
        ({"after": 4, "store_id": "another"}, [1, 2, 3, 5]),
        ({}, []),
    ],
)
async def test_what_a_tail_begins_with(
    desk: FakeDesk, served: Path, request_: Json, numbers: list[int]
) -> None:
    desk.store.add(
        recorded(alarm_event(1)),
        recorded(alarm_event(2, "incubator-08/co2/low", priority="medium")),
        recorded(alarm_event(3, state="returned", after="returned")),
        noted(4, "act", "incubator-07/co2/low", user="ada"),
        noted(5, "start", "", version="1"),
    )
    answers = await ask(served, request="tail", follow=False, **request_)
    assert [a.get("number") for a in answers] == [*numbers, None]


async def test_a_long_tail_is_told_in_order_and_whole(desk: FakeDesk, served: Path) -> None:
    desk.store.add(*(noted(n, "line", "bus") for n in range(1, 1001)))
    answers = await ask(served, request="tail", follow=False, after=0, store_id="s1")
    assert [a["number"] for a in answers[:-1]] == list(range(1, 1001))
    answers = await ask(served, request="tail", follow=False, last=555)
    assert [a["number"] for a in answers[:-1]] == list(range(446, 1001))


def reading(n: int, equipment: str = "incubator-07") -> Point:
    place = ("les-ulis", "suite-a", equipment, "incubator", "probe", "gw-1", "co2")
    good = (5.0, Quality.GOOD, None, None)
    return Point(NOON + n * SECOND // 100, *place, *good, n, Origin.LIVE)


async def test_an_export_is_drawn_in_slices(desk: FakeDesk, served: Path) -> None:
    desk.rows = [reading(n) for n in range(1000)] + [reading(1, "incubator-08")]
    span = {"start": NOON, "end": NOON + 60 * SECOND}
    answers = await ask(served, request="export", what="readings", equipment="incubator-07", **span)
    assert [a.get("scan") for a in answers] == [*range(1000), None]


async def test_events_are_exported_as_they_are_told(desk: FakeDesk, served: Path) -> None:
    desk.store.add(recorded(alarm_event(1)), noted(2, "start", ""))
    span = {"start": NOON, "end": NOON + 60 * SECOND}
    answers = await ask(served, request="export", what="events", **span)
    assert [a.get("kind") for a in answers] == ["alarm", "start", None]
    answers = await ask(served, request="export", what="events", equipment="incubator-07", **span)
    assert [a.get("kind") for a in answers] == ["alarm", None]


async def test_a_backup_is_named_and_never_overwrites(served: Path) -> None:
    made, last = await ask(served, request="backup", name="copy.db")
    assert (made["bytes"], last) == (4, end())
    [last] = await ask(served, request="backup", name="copy.db")
    assert (last["word"], "there already" in str(last["text"])) == ("store", True)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "invalid"),
        ("hello", "invalid"),
        ("[]", "invalid"),
        ('{"request": "destroy"}', "invalid"),
        ('{"request": "status", "more": 1}', "invalid"),
        ('{"request": "backup", "name": "../store.db"}', "invalid"),
        (
            '{"request": "act", "act": "erase", "alarm": "a", "reason": "", "request_id": "1"}',
            "invalid",
        ),
        ("[" * 60_000, "invalid"),
        ("x" * (2 * LONGEST_REQUEST), "too_large"),
    ],
)
async def test_what_cannot_be_answered_is_refused_in_words(
    served: Path, text: str, word: str
) -> None:
    client = await Client.ask(served, text)
    last = await client.line()
    assert (last["result"], last["word"]) == ("failed", word)
    assert last["text"]
    await client.abort()


async def test_who_says_nothing_is_let_go(desk: FakeDesk, path: Path) -> None:
    async with open_office(path, Office(desk, asking=0.01)):
        client = await Client.ask(path, "{")
        client.writer.write(b"")
        [last] = await client.rest()
        await client.close()
    assert last["word"] in {"timeout", "invalid"}


async def test_connections_are_counted(desk: FakeDesk, path: Path) -> None:
    async with open_office(path, Office(desk, connections=1)) as office:
        first = await Client.ask(path, '{"request": "tail"}')
        await eventually(lambda: len(office.tasks) == 1)
        [last] = await ask(path, request="status")
        assert last["word"] == "too_many"
        await first.close()
        await eventually(lambda: not office.tasks)
        assert (await ask(path, request="status"))[-1] == end()


async def test_a_reader_that_takes_nothing_is_dropped_and_told_so(
    desk: FakeDesk, path: Path
) -> None:
    desk.store.add(*(noted(n, "line", "bus", text="x" * 5000) for n in range(1, 1001)))
    async with open_office(path, Office(desk, patience=0.05)) as office:
        slow = await Client.ask(path, '{"request": "tail", "after": 0, "store_id": "s1"}')
        slow.reader._transport.pause_reading()  # type: ignore[attr-defined]  # stands for a stopped terminal
        assert (await ask(path, request="status"))[-1] == end()
        await eventually(lambda: not office.tasks)
        await slow.abort()


async def test_a_slow_reader_that_comes_back_reads_why(desk: FakeDesk, path: Path) -> None:
    desk.store.add(*(noted(n, "line", "bus", text="x" * 5000) for n in range(1, 1001)))
    async with open_office(path, Office(desk, patience=0.01)):
        slow = await Client.ask(path, '{"request": "tail", "after": 0, "store_id": "s1"}')
        slow.reader._transport.pause_reading()  # type: ignore[attr-defined]  # stands for a stopped terminal
        await asyncio.sleep(0.1)
        slow.reader._transport.resume_reading()  # type: ignore[attr-defined]
        answers = await slow.rest()
        await slow.close()
    assert answers[-1]["word"] == "too_slow"
    assert [answer["number"] for answer in answers[:-1]] == list(range(1, len(answers)))


async def test_a_long_answer_leaves_others_their_turn(
    served: Path, desk: FakeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.alarms = {str(n): standing(alarm_event(1)) for n in range(3 * TURN)}
    turns: list[int] = []
    sent = 0
    send = Visitor._send

    async def counted(visitor: Visitor, data: bytes) -> None:
        nonlocal sent
        sent += 1
        await send(visitor, data)
        if sent % TURN == 1:
            asyncio.get_running_loop().call_soon(lambda: turns.append(sent))

    monkeypatch.setattr(Visitor, "_send", counted)
    assert len(await ask(served, request="alarms")) == 3 * TURN + 1
    # What was due at the first line of each turn came before the next turn began.
    assert turns[:3] == [TURN, 2 * TURN, 3 * TURN]


async def test_a_fault_of_ours_is_told_and_logged_and_ends_nothing(
    desk: FakeDesk,
    served: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(desk, "active", lambda: 1 // 0)
        [last] = await ask(served, request="alarms")
    assert last["word"] == "internal"
    assert "could not be answered" in caplog.text
    assert (await ask(served, request="status"))[-1] == end()


async def test_the_socket_is_for_owner_and_group_and_goes_with_the_daemon(
    desk: FakeDesk, path: Path
) -> None:
    old = os.umask(0o077)
    try:
        async with serve(path, desk):
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            assert stat.S_ISSOCK(path.stat().st_mode)
    finally:
        os.umask(old)
    assert not path.exists()


async def test_the_socket_of_a_dead_daemon_is_replaced(desk: FakeDesk, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(os.fspath(path))
    async with serve(path, desk):
        assert (await ask(path, request="status"))[-1] == end()


async def test_the_socket_of_a_living_daemon_is_not(desk: FakeDesk, served: Path) -> None:
    with pytest.raises(SocketError, match="another daemon answers"):
        async with serve(served, desk):
            pass
    assert (await ask(served, request="status"))[-1] == end()


async def test_a_file_is_never_removed(desk: FakeDesk, path: Path) -> None:
    path.write_text("precious")
    with pytest.raises(SocketError, match="no socket"):
        async with serve(path, desk):
            pass
    assert path.read_text() == "precious"


async def test_a_link_is_neither_followed_nor_removed(
    desk: FakeDesk, path: Path, tmp_path: Path
) -> None:
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SocketError, match="no socket"):
        async with serve(path, desk):
            pass
    assert path.is_symlink()
    assert not (tmp_path / "elsewhere").exists()


async def test_a_folder_that_is_not_there_is_told(desk: FakeDesk, tmp_path: Path) -> None:
    with pytest.raises(SocketError, match="cannot be opened"):
        async with serve(tmp_path / "no" / "such.sock", desk):
            pass


async def test_a_daemon_that_stops_says_so(desk: FakeDesk, path: Path) -> None:
    async with serve(path, desk) as office:
        client = await Client.ask(path, '{"request": "tail"}')
        await eventually(lambda: len(office.tasks) == 1)
        await asyncio.sleep(0)
    assert [answer["word"] for answer in await client.rest()] == ["stopping"]
    await client.close()

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from drivers.grid import Grid
from monitor.alarms.facts import State
from monitor.desk import Desk
from monitor.messages import Actor, ActReply, ActRequest, Resend
from monitor.recorder import Recorder
from monitor.store import StoreError
from monitor.store.verify import verify
from monitor.supervise import Outage
from tests.monitor.alarms.small_plant import SECOND
from tests.monitor.hand import (
    FILE,
    HIGH,
    LOW,
    HandTime,
    bodies,
    committing,
    events,
    recording,
    scan,
)

ANNA = Actor(user="anna", claimed="Anna B.", role="operator", via="socket", uid=1000)


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> HandTime:
    return HandTime(monkeypatch)


def desk_of(recorder: Recorder, *, lines: tuple[Outage, ...] = ()) -> Desk:
    return Desk(recorder, Grid(recorder.clock), lines, ())


@asynccontextmanager
async def standing(folder: Path, hand: HandTime) -> AsyncIterator[Desk]:
    """A desk whose one alarm stands."""
    async with recording(folder) as recorder, committing(recorder):
        recorder.accept(scan(hand.now, 6.5))
        await recorder.committed()
        hand.pass_(1)
        yield desk_of(recorder)


def request(id_: str = "r-1", **changed: object) -> ActRequest:
    fields = {
        "act": "acknowledge",
        "alarm": HIGH,
        "actor": ANNA,
        "reason": "the valve sticks",
        "request_id": id_,
    }
    return ActRequest.model_validate(fields | changed)


async def test_an_act_is_on_the_record_when_it_is_answered(tmp_path: Path, hand: HandTime) -> None:
    async with standing(tmp_path, hand) as desk:
        reply = await desk.act(request())
        assert (reply.result, reply.word, reply.state) == ("done", "done", State.ACKNOWLEDGED)
        assert reply.event_id == f"{desk.store.store_id}-2"
        assert desk.store.last.seq == 2
        alarm = desk.standing(HIGH)
        assert alarm is not None
        assert (alarm.state, alarm.event_id) == (State.ACKNOWLEDGED, reply.event_id)
    [act] = bodies(tmp_path, "act")
    assert act == {
        "act": "acknowledge",
        "result": "done",
        "word": "done",
        "text": "acknowledged",
        "user": "anna",
        "claimed": "Anna B.",
        "role": "operator",
        "uid": 1000,
        "via": "socket",
        "reason": "the valve sticks",
        "duration_s": None,
        "one_shot": False,
        "occurrence": None,
        "version": None,
        "request_id": "r-1",
    }
    transition = bodies(tmp_path, "alarm")[-1]
    told = {key: transition[key] for key in ("change", "actor", "claimed", "via", "comment")}
    assert told == {
        "change": "acknowledged",
        "actor": "anna",
        "claimed": "Anna B.",
        "via": "socket",
        "comment": "the valve sticks",
    }
    assert [event.kind for event in events(tmp_path)][-2:] == ["act", "alarm"]
    assert verify(tmp_path / FILE).whole


async def test_an_act_is_not_answered_before_it_is_committed(
    tmp_path: Path, hand: HandTime
) -> None:
    async with recording(tmp_path) as recorder:
        recorder.accept(scan(hand.now, 6.5))
        await recorder.commit()
        desk = desk_of(recorder)
        task = asyncio.ensure_future(desk.act(request()))
        await asyncio.sleep(0.05)
        assert not task.done()
        assert (recorder.active()[0].state, recorder.store.last.seq) == (State.UNACKNOWLEDGED, 1)
        await recorder.commit()
        assert (await task).state is State.ACKNOWLEDGED
        assert recorder.active()[0].state is State.ACKNOWLEDGED


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"alarm": "incubator-7/co2/no-such-rule"}, "unknown_alarm"),
        ({"alarm": LOW}, "illegal_transition"),
        ({"act": "reset"}, "illegal_transition"),
        ({"act": "unshelve"}, "already_done"),
        ({"act": "shelve"}, "illegal_transition"),
        ({"act": "shelve", "duration": 400 * 24 * 3600 * SECOND}, "too_long"),
        ({"reason": "  "}, "reason_required"),
        ({"version": 0}, "stale"),
        ({"version": 2}, "stale"),
        ({"occurrence": "another-store/" + HIGH + "/1"}, "stale"),
        ({"occurrence": "{store}/" + LOW + "/1"}, "stale"),
        ({"occurrence": "{store}/" + HIGH + "/2"}, "stale"),
        ({"occurrence": "{store}/" + HIGH + "/one"}, "stale"),
        ({"occurrence": ""}, "stale"),
    ],
)
async def test_what_is_refused_changes_nothing_and_is_on_the_record(
    tmp_path: Path, hand: HandTime, changed: dict[str, object], word: str
) -> None:
    async with standing(tmp_path, hand) as desk:
        if "occurrence" in changed:
            changed = {"occurrence": str(changed["occurrence"]).format(store=desk.store.store_id)}
        before = desk.active()
        reply = await desk.act(request("r-1", **changed))
        assert (reply.result, reply.word) == ("refused", word)
        assert reply.text
        assert (reply.state, reply.event_id) == (None, None)
        assert desk.active() == before
    [refusal] = bodies(tmp_path, "refusal")
    assert (refusal["result"], refusal["word"], refusal["user"]) == ("refused", word, "anna")
    assert bodies(tmp_path, "act") == []
    assert len(bodies(tmp_path, "alarm")) == 1


async def test_an_act_bound_to_what_stands_is_done(tmp_path: Path, hand: HandTime) -> None:
    async with standing(tmp_path, hand) as desk:
        [seen] = desk.active()
        asked = request(occurrence=seen.occurrence, version=seen.version)
        assert (await desk.act(asked)).result == "done"
        assert (await desk.act(request("r-2", version=seen.version))).word == "stale"


async def test_a_request_that_is_repeated_is_done_once_and_answered_the_same(
    tmp_path: Path, hand: HandTime
) -> None:
    async with standing(tmp_path, hand) as desk:
        first = await desk.act(request())
        again = await desk.act(request())
        other = await desk.act(request("r-2"))
        assert again == first
        assert (other.result, other.word) == ("refused", "already_done")
        assert await desk.act(request("r-2")) == other
        assert await desk.answered("r-1") == first
        assert await desk.answered("r-3") is None
    async with recording(tmp_path) as recorder:
        assert await desk_of(recorder).act(request()) == first, "also after a restart"
    assert len(bodies(tmp_path, "act")) == len(bodies(tmp_path, "refusal")) == 1


async def test_requests_at_once_with_one_id_are_one_act(tmp_path: Path, hand: HandTime) -> None:
    async with standing(tmp_path, hand) as desk:
        replies = await asyncio.gather(*(desk.act(request()) for _ in range(20)))
        assert replies == [replies[0]] * 20
        assert replies[0].result == "done"
    assert len(bodies(tmp_path, "act")) == 1
    assert len(bodies(tmp_path, "alarm")) == 2


async def test_of_people_who_do_the_same_at_once_one_has_done_it(
    tmp_path: Path, hand: HandTime
) -> None:
    async with standing(tmp_path, hand) as desk:
        replies = await asyncio.gather(*(desk.act(request(f"r-{n}")) for n in range(20)))
        assert [reply.result for reply in replies].count("done") == 1
        assert {reply.word for reply in replies} == {"done", "already_done"}
    assert len(bodies(tmp_path, "refusal")) == 19
    assert len(bodies(tmp_path, "alarm")) == 2


async def test_an_act_is_done_though_whoever_asked_went_away(
    tmp_path: Path, hand: HandTime
) -> None:
    async with standing(tmp_path, hand) as desk:
        asking = asyncio.ensure_future(desk.act(request()))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        reply = await desk.act(request())
        assert reply.result == "done"
    assert len(bodies(tmp_path, "act")) == 1


async def test_a_shelf_silences_and_ends(tmp_path: Path, hand: HandTime) -> None:
    async with standing(tmp_path, hand) as desk:
        reply = await desk.act(request(act="shelve", duration=60 * SECOND))
        assert reply.state is State.SHELVED
        [alarm] = desk.active()
        assert (alarm.shelving_state, alarm.annunciated) == ("TimedShelved", False)
        assert (await desk.act(request("r-2", act="unshelve"))).state is State.UNACKNOWLEDGED
    [shelved, unshelved] = bodies(tmp_path, "act")
    assert (shelved["duration_s"], unshelved["duration_s"]) == (60.0, None)


async def test_what_came_over_mqtt_is_checked_and_answered(tmp_path: Path, hand: HandTime) -> None:
    async with standing(tmp_path, hand) as desk:
        answer = await desk.command("anna", "ack", b"{", retained=False)
        assert isinstance(answer, bytes)
        reply = ActReply.model_validate_json(answer)
        assert (reply.result, reply.word) == ("refused", "invalid")
        resend = (
            b'{"request_id": "q", "user": "anna", "role": "", "reason": "a hole", "first": 1,'
            b' "last": 1, "gateway": "gw-1", "nonce": "0123456789abcdef", "expiry": "%s"}'
            % b"2026-02-02T02:45:00Z"
        )
        wanted = await desk.command("anna", "resend", resend, retained=False)
        assert isinstance(wanted, Resend), wanted
        assert (wanted.first, wanted.last) == (1, 1)
    [refusal] = bodies(tmp_path, "refusal")
    assert (refusal["word"], refusal["user"], refusal["via"]) == ("invalid", "anna", "mqtt")
    [act] = bodies(tmp_path, "act")
    assert (act["act"], act["reason"]) == ("resend", "a hole")


async def test_a_broker_that_was_never_reached_is_behind_by_every_event(
    tmp_path: Path, hand: HandTime
) -> None:
    async with recording(tmp_path) as recorder, committing(recorder):
        mqtt = Outage("mqtt", lambda _phase, _text: None, lambda: recorder.clock().at)
        recorder.accept(scan(hand.now, 6.5))
        await recorder.committed()
        [sink] = (await Desk(recorder, Grid(recorder.clock), (), (mqtt,)).status()).sinks
        assert sink.events_behind == recorder.store.last.event > 0


async def test_the_status_tells_what_is_committed(tmp_path: Path, hand: HandTime) -> None:
    async with recording(tmp_path) as recorder, committing(recorder):
        bus = Outage("bus", lambda _phase, _text: None, lambda: recorder.clock().at)
        desk = desk_of(recorder, lines=(bus,))
        before = await desk.status()
        assert [(line.state, line.since) for line in before.lines] == [("starting", None)]
        bus.lost("no route to host")
        recorder.accept(scan(hand.now, 6.5))
        assert (await desk.status()).last_scan == 0
        await recorder.committed()
        status = await desk.status()
        assert (status.last_scan, status.last_seq) == (1, 1)
        assert (status.alarms_standing, status.alarms_unacknowledged) == (1, 1)
        assert (status.equipment, status.channels) == (2, 2)
        [line] = status.lines
        assert (line.name, line.state, line.text) == ("bus", "down", "no route to host")
        assert status.store.chain_head == recorder.store.last.head
        await desk.act(request())
        assert (await desk.status()).alarms_unacknowledged == 0


async def test_a_backup_is_a_whole_record_of_its_own(tmp_path: Path, hand: HandTime) -> None:
    async with standing(tmp_path, hand) as desk:
        path = await desk.backup("copy.db", ANNA)
        assert path == tmp_path / "backups" / "copy.db"
        with pytest.raises(StoreError, match=r"copy\.db"):
            await desk.backup("copy.db", ANNA)
        with desk.history() as history:
            *earlier, copied = history.events(0, 2**63 - 1)
            assert [event.kind for event in earlier] == ["start", "config", "alarm"]
        told = json.loads(copied.body)
        assert (copied.kind, told["act"], told["what"]) == ("act", "backup", str(path))
        assert told["user"] == "anna"
    assert verify(path).whole


async def test_what_stands_in_a_backup_that_was_put_back_can_be_acknowledged(
    tmp_path: Path, hand: HandTime
) -> None:
    async with standing(tmp_path, hand) as desk:
        [seen] = desk.active()
        copy = await desk.backup("monday.db", ANNA)
        before = desk.store.store_id
    back = tmp_path / "back"
    back.mkdir()
    copy.rename(back / FILE)
    async with recording(back) as recorder, committing(recorder):
        assert recorder.store.store_id != before
        asked = request(occurrence=seen.occurrence, version=seen.version)
        assert (await desk_of(recorder).act(asked)).result == "done"

"""What operators ask for, on a real record: each act, who may, why, and what was seen."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.plant import Operators, Plant
from config.rules import EquipmentState, High, Low
from drivers.grid import Grid
from monitor.alarms.facts import State
from monitor.desk import Desk
from monitor.messages import (
    Actor,
    ActReply,
    ActRequest,
    AlarmAct,
    EquipmentAct,
    EquipmentRequest,
    Resend,
)
from monitor.operators.roles import EMERGENCY
from monitor.store.verify import verify
from tests.monitor.alarms.small_plant import SECOND, channel, plant, source
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
    small_plant,
)

EQUIPMENT = "incubator-7"
OPERATORS = Operators(
    roles={
        "operator": frozenset({"acknowledge", "shelve", "comment", "load", "unload"}),
        "supervisor": frozenset({"acknowledge", "confirm", "reset", "set_state", "comment"}),
        "consumer": frozenset({"resend"}),
    },
    users={"anna": ("operator",), "kim": ("supervisor", "operator"), "hmi": ("consumer",)},
)


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> HandTime:
    return HandTime(monkeypatch)


def actor(user: str = "anna", role: str = "", uid: int = 1000) -> Actor:
    return Actor(user=user, role=role, via="socket", uid=uid)


def staffed(of: Plant | None = None) -> Plant:
    """The small plant, with people in roles."""
    return replace(of or small_plant(), operators=OPERATORS)


def managed(**of_high: object) -> Plant:
    """The small plant whose high alarm is of a class."""
    high = High.model_validate({"high": 6.0, "deadband": 0.1, "latching": True, **of_high})
    return replace(
        plant(
            source(0, EQUIPMENT, "probe", "bus", [channel("co2", high, Low(limit=4.0))]),
            source(1, "incubator-8", "probe", "bus", [channel("co2")]),
        ),
        store=small_plant().store,
        digest=small_plant().digest,
    )


@asynccontextmanager
async def standing(folder: Path, hand: HandTime, of: Plant | None = None) -> AsyncIterator[Desk]:
    """A desk whose one alarm stands."""
    async with recording(folder, of) as recorder, committing(recorder):
        recorder.accept(scan(hand.now, 6.5))
        await recorder.committed()
        hand.pass_(1)
        yield Desk(recorder, Grid(recorder.clock), (), ())


def request(act: str = "acknowledge", **changed: object) -> ActRequest:
    fields = {
        "act": act,
        "alarm": HIGH,
        "actor": actor(),
        "reason": "the valve sticks",
        "request_id": f"r-{act}",
    }
    return ActRequest.model_validate(fields | changed)


def use(act: str, **changed: object) -> EquipmentRequest:
    fields = {
        "act": act,
        "equipment": EQUIPMENT,
        "actor": actor(),
        "reason": "work order 4711",
        "request_id": f"u-{act}",
    }
    return EquipmentRequest.model_validate(fields | changed)


def acts(folder: Path) -> list[Mapping[str, Any]]:
    return bodies(folder, "act")


async def test_an_alarm_lives_through_every_act(tmp_path: Path, hand: HandTime) -> None:
    async with standing(tmp_path, hand, managed(confirm=True)) as desk:
        done: list[ActReply] = []
        for act, more in (
            ("shelve", {"duration": 60 * SECOND}),
            ("unshelve", {}),
            ("remove_from_service", {"duration": 3600 * SECOND}),
            ("return_to_service", {}),
            ("acknowledge", {}),
            ("confirm", {}),
        ):
            done.append(await desk.act(request(act, **more)))
        desk._recorder.accept(scan(hand.now, 5.0))
        done.append(await desk.act(request("reset")))
        assert [reply.word for reply in done] == ["done"] * 7
        assert [reply.state for reply in done] == [
            State.SHELVED,
            State.UNACKNOWLEDGED,
            State.OUT_OF_SERVICE,
            State.UNACKNOWLEDGED,
            State.ACKNOWLEDGED,
            State.ACKNOWLEDGED,
            State.NORMAL,
        ]
        assert desk.active() == []
    assert [act["act"] for act in acts(tmp_path)] == [
        *("shelve", "unshelve", "remove_from_service", "return_to_service"),
        *("acknowledge", "confirm", "reset"),
    ]
    assert verify(tmp_path / FILE).whole


async def test_a_comment_changes_nothing_and_stands_on_the_record(
    tmp_path: Path, hand: HandTime
) -> None:
    async with standing(tmp_path, hand) as desk:
        [seen] = desk.active()
        reply = await desk.act(request("comment", occurrence=seen.occurrence, version=99))
        assert (reply.result, reply.text, reply.state, reply.event_id) == (
            *("done", "noted", None, None),
        )
        assert desk.active() == [seen]
        silent = await desk.act(request("comment", reason=" ", request_id="r-2"))
        assert silent.word == "reason_required"
        other = f"another/{HIGH}/1"
        stale = await desk.act(request("comment", occurrence=other, request_id="r-3"))
        assert stale.word == "stale"
        on_equipment = await desk.act(use("comment"))
        assert on_equipment.result == "done"
    assert [(act["act"], act["reason"]) for act in acts(tmp_path)] == [
        ("comment", "the valve sticks"),
        ("comment", "work order 4711"),
    ]
    assert [e.subject for e in events(tmp_path, "act")] == [HIGH, EQUIPMENT]
    assert len(bodies(tmp_path, "alarm")) == 1


@pytest.mark.parametrize(
    ("act", "excursion", "word"),
    [
        ("comment", f"s1/{HIGH}/x17", "done"),
        ("comment", "s1/incubator-8/co2/high/x17", "invalid"),
        ("comment", f"s1/{HIGH}/17", "invalid"),
        ("comment", f"s1/{HIGH}/xy", "invalid"),
        ("comment", "x17", "invalid"),
        ("acknowledge", f"s1/{HIGH}/x17", "invalid"),
    ],
)
async def test_a_comment_may_name_an_excursion_of_its_alarm(
    tmp_path: Path, hand: HandTime, act: str, excursion: str, word: str
) -> None:
    async with standing(tmp_path, hand) as desk:
        assert (await desk.act(request(act, excursion=excursion))).word == word
    [told] = bodies(tmp_path, "act" if word == "done" else "refusal")
    assert told["excursion"] == excursion


@pytest.mark.parametrize(
    ("who", "act", "role", "word"),
    [
        (actor("anna"), "acknowledge", "operator", "done"),
        (actor("kim"), "acknowledge", "supervisor", "done"),
        (actor("kim", "operator"), "acknowledge", "operator", "done"),
        (actor("anna"), "confirm", "", "forbidden"),
        (actor("anna", "supervisor"), "acknowledge", "supervisor", "forbidden"),
        (actor("stranger"), "acknowledge", "", "forbidden"),
        (actor("root", uid=0), "acknowledge", EMERGENCY, "done"),
        (actor("root", "supervisor", uid=0), "acknowledge", "supervisor", "forbidden"),
    ],
)
async def test_roles_decide_and_stand_on_the_record(
    tmp_path: Path, hand: HandTime, who: Actor, act: str, role: str, word: str
) -> None:
    async with standing(tmp_path, hand, staffed()) as desk:
        reply = await desk.act(request(act, actor=who))
        assert reply.word == word
    done = word == "done"
    [told] = bodies(tmp_path, "act" if done else "refusal")
    assert (told["user"], told["role"], told["word"]) == (who.user, role, word)
    transition = bodies(tmp_path, "alarm")[-1]
    assert (transition["actor"], transition["role"]) == ((who.user, role) if done else ("", ""))


async def test_an_emergency_is_in_the_log(
    tmp_path: Path, hand: HandTime, caplog: pytest.LogCaptureFixture
) -> None:
    async with standing(tmp_path, hand, staffed()) as desk:
        await desk.act(request(actor=actor("root", uid=0)))
    assert "root acts without a role that may acknowledge: EMERGENCY" in caplog.text


async def test_a_class_may_be_for_some_roles_alone(tmp_path: Path, hand: HandTime) -> None:
    async with standing(tmp_path, hand, staffed(managed(roles=("supervisor",)))) as desk:
        refused = await desk.act(request(actor=actor("anna")))
        assert (refused.word, "supervisor may acknowledge" in refused.text) == ("forbidden", True)
        named = await desk.act(request(actor=actor("kim", "operator"), request_id="r-2"))
        assert named.word == "forbidden"
        done = await desk.act(request(actor=actor("kim"), request_id="r-3"))
        assert done.word == "done"


async def test_a_forbidden_request_learns_nothing_else(tmp_path: Path, hand: HandTime) -> None:
    async with standing(tmp_path, hand, staffed()) as desk:
        nobody = actor("stranger")
        asked = request(actor=nobody, reason="", occurrence="nonsense", version=99)
        assert (await desk.act(asked)).word == "forbidden"
        load = use("load", actor=nobody, batch="")
        assert (await desk.act(load)).word == "forbidden"


async def test_a_reason_is_asked_for_where_the_class_says_so(
    tmp_path: Path, hand: HandTime
) -> None:
    async with standing(tmp_path, hand, managed(reason_required=False)) as desk:
        assert (await desk.act(request(reason=""))).word == "done"
        assert (await desk.act(request("comment", reason=""))).word == "reason_required"


async def test_a_one_shot_shelf_needs_no_end(tmp_path: Path, hand: HandTime) -> None:
    async with standing(tmp_path, hand, managed(longest_shelf=7200 * SECOND)) as desk:
        assert (await desk.act(request("shelve"))).word == "illegal_transition"
        asked = request("shelve", one_shot=True, request_id="r-2")
        assert (await desk.act(asked)).state is State.SHELVED
        [alarm] = desk.active()
        assert (alarm.shelving_state, alarm.shelved_by) == ("OneShotShelved", "anna")
        assert alarm.shelved_until is not None
        unfit = await desk.act(request("remove_from_service", request_id="r-3"))
        assert unfit.word == "illegal_transition"


async def test_what_is_put_aside_before_it_was_ever_raised_can_be_taken_back_as_it_was_seen(
    tmp_path: Path, hand: HandTime
) -> None:
    async with standing(tmp_path, hand) as desk:
        for number, (away, back) in enumerate(
            (("shelve", "unshelve"), ("remove_from_service", "return_to_service"))
        ):
            aside = request(away, alarm=LOW, duration=60 * SECOND)
            assert (await desk.act(aside)).word == "done"
            seen = desk.standing(LOW)
            assert seen is not None
            assert seen.occurrence == ""
            bound = {"alarm": LOW, "occurrence": seen.occurrence}
            stale = request(back, **bound, version=seen.version - 1, request_id=f"s-{number}")
            assert (await desk.act(stale)).word == "stale"
            assert (await desk.act(request(back, **bound, version=seen.version))).word == "done"
        raised = await desk.act(request(occurrence="", request_id="raised"))
        assert raised.word == "stale", "it has an occurrence by now"


async def test_who_put_an_alarm_aside_is_known_after_a_restart(
    tmp_path: Path, hand: HandTime
) -> None:
    async with standing(tmp_path, hand) as desk:
        await desk.act(request("remove_from_service", duration=3600 * SECOND, reason="WO-1"))
    async with recording(tmp_path) as recorder, committing(recorder):
        desk = Desk(recorder, Grid(recorder.clock), (), ())
        await desk.act(request("acknowledge", reason="seen"))
        [alarm] = desk.active()
        assert (alarm.out_of_service_by, alarm.out_of_service_reason) == ("anna", "WO-1")


async def test_an_equipment_is_used(tmp_path: Path, hand: HandTime) -> None:
    async with standing(tmp_path, hand) as desk:
        cleaning = use("set_state", state=EquipmentState.CLEANING, seen=EquipmentState.IN_USE)
        reply = await desk.act(cleaning)
        assert (reply.result, reply.alarm, reply.state) == ("done", EQUIPMENT, None)
        assert desk.usage(EQUIPMENT).state is EquipmentState.CLEANING
        load = use("load", batch="COI-1", position="shelf 2", reason="")
        assert (await desk.act(load)).result == "done"
        assert desk.usage(EQUIPMENT).batches == ("COI-1",)
        assert await desk.act(load) == await desk.act(load), "answered the same"
        again = await desk.act(load.model_copy(update={"request_id": "u-2"}))
        assert again.word == "already_done"
        assert (await desk.act(use("unload", batch="COI-1"))).result == "done"
        assert desk.usage(EQUIPMENT).batches == ()
    [state, loaded, unloaded] = acts(tmp_path)
    assert (state["act"], state["state"], state["seen"]) == ("set_state", "cleaning", "in_use")
    assert (state["user"], state["reason"]) == ("anna", "work order 4711")
    assert (loaded["batch"], loaded["position"]) == ("COI-1", "shelf 2")
    assert unloaded["act"] == "unload"
    assert len(events(tmp_path, "occupancy")) == 2
    assert verify(tmp_path / FILE).whole


@pytest.mark.parametrize(
    ("act", "changed", "word"),
    [
        ("set_state", {"equipment": "incubator-9"}, "unknown_equipment"),
        ("set_state", {"equipment": "gateway"}, "unknown_equipment"),
        ("set_state", {"state": "cleaning", "seen": "idle"}, "stale"),
        ("set_state", {"state": "cleaning", "reason": ""}, "reason_required"),
        ("set_state", {"state": None}, "already_done"),
        ("load", {"batch": ""}, "invalid"),
        ("load", {"batch": "a\nb"}, "invalid"),
        ("unload", {"batch": "COI-9"}, "not_there"),
        ("comment", {"reason": "  "}, "reason_required"),
    ],
)
async def test_what_cannot_be_of_an_equipment_is_refused_on_the_record(
    tmp_path: Path, hand: HandTime, act: str, changed: dict[str, object], word: str
) -> None:
    async with standing(tmp_path, hand) as desk:
        before = desk.usage(EQUIPMENT)
        reply = await desk.act(use(act, **changed))
        assert (reply.result, reply.word) == ("refused", word)
        assert reply.text
        assert desk.usage(EQUIPMENT) == before
    [refusal] = bodies(tmp_path, "refusal")
    assert (refusal["act"], refusal["word"], refusal["user"]) == (act, word, "anna")
    assert acts(tmp_path) == []


async def test_roles_hold_for_equipment_too(tmp_path: Path, hand: HandTime) -> None:
    async with standing(tmp_path, hand, staffed()) as desk:
        cleaning = {"state": EquipmentState.CLEANING}
        refused = await desk.act(use("set_state", **cleaning))
        assert refused.word == "forbidden"
        done = await desk.act(use("set_state", actor=actor("kim"), request_id="2", **cleaning))
        assert done.word == "done"
    [act] = acts(tmp_path)
    assert (act["user"], act["role"]) == ("kim", "supervisor")


def over_mqtt(**changed: object) -> bytes:
    envelope = {
        "request_id": "q-1",
        "user": "anna",
        "role": "",
        "reason": "calibration",
        "expiry": "2026-02-02T02:45:00Z",
        "nonce": "0123456789abcdef",
        "equipment": EQUIPMENT,
        "batch": "COI-1",
    }
    return json.dumps(envelope | changed).encode()


async def command(desk: Desk, user: str, act: str, payload: bytes) -> ActReply:
    answer = await desk.command(user, act, payload, False)
    assert isinstance(answer, bytes)
    return ActReply.model_validate_json(answer)


async def test_no_replay_does_anything_after_a_restart_either(
    tmp_path: Path, hand: HandTime
) -> None:
    async with standing(tmp_path, hand) as desk:
        first = await command(desk, "anna", "load", over_mqtt())
        assert first.result == "done"
        await desk.act(use("unload", batch="COI-1"))
    async with recording(tmp_path) as recorder, committing(recorder):
        restarted = Desk(recorder, Grid(recorder.clock), (), ())
        assert await command(restarted, "anna", "load", over_mqtt()) == first
        other = await command(restarted, "anna", "load", over_mqtt(request_id="q-2"))
        assert other.word == "replayed"
        assert restarted.usage(EQUIPMENT).batches == ()
    assert [act["act"] for act in acts(tmp_path)] == ["load", "unload"]


@pytest.mark.parametrize("alarm", [f"{EQUIPMENT}/co2/nope", f"{EQUIPMENT}/nope/high", EQUIPMENT])
async def test_an_alarm_that_our_equipment_does_not_have_is_refused_and_no_other(
    tmp_path: Path, hand: HandTime, alarm: str
) -> None:
    asked = json.loads(over_mqtt(alarm=alarm, occurrence="", version=0))
    asked = {key: asked[key] for key in asked.keys() - {"equipment", "batch"}}
    elsewhere = {**asked, "alarm": "freezer-9/temperature/high"}
    async with standing(tmp_path, hand) as desk:
        refused = await command(desk, "anna", "ack", json.dumps(asked).encode())
        assert (refused.word, refused.alarm) == ("unknown_alarm", alarm)
        theirs = await desk.command("anna", "ack", json.dumps(elsewhere).encode(), False)
        assert theirs is None
    assert [body["word"] for body in bodies(tmp_path, "refusal")] == ["unknown_alarm"]


async def test_resending_is_for_who_may(tmp_path: Path, hand: HandTime) -> None:
    asked = {"gateway": "gw-1", "first": 1, "last": 1}
    async with standing(tmp_path, hand, staffed()) as desk:
        payload = over_mqtt(**asked)
        payload = payload.replace(b'"equipment": "incubator-7", "batch": "COI-1", ', b"")
        refused = await command(desk, "anna", "resend", payload)
        assert (refused.word, "consumer may resend" in refused.text) == ("forbidden", True)
        of_hmi = payload.replace(b'"anna"', b'"hmi"')
        assert isinstance(await desk.command("hmi", "resend", of_hmi, False), Resend)
    [act] = acts(tmp_path)
    assert (act["act"], act["user"], act["role"]) == ("resend", "hmi", "consumer")
    [refusal] = bodies(tmp_path, "refusal")
    assert (refusal["user"], refusal["word"]) == ("anna", "forbidden")


TEXTS = st.text(max_size=12) | st.sampled_from([HIGH, EQUIPMENT, "incubator-8", "gateway", "anna"])
ON_ALARM = st.fixed_dictionaries(
    {
        "act": st.sampled_from(get_args(AlarmAct)),
        "alarm": TEXTS,
        "actor": st.builds(actor, TEXTS, TEXTS | st.just(""), st.integers(0, 2000)),
        "reason": TEXTS,
    },
    optional={
        "duration": st.integers(-1, 2**70),
        "one_shot": st.booleans(),
        "occurrence": TEXTS | st.just(f"s/{HIGH}/9{'9' * 30}"),
        "version": st.integers(-1, 3),
    },
).map(lambda fields: ActRequest.model_validate(fields | {"request_id": "r"}))
ON_EQUIPMENT = st.fixed_dictionaries(
    {
        "act": st.sampled_from(get_args(EquipmentAct)),
        "equipment": TEXTS,
        "actor": st.builds(actor, TEXTS, TEXTS | st.just(""), st.integers(0, 2000)),
        "reason": TEXTS,
    },
    optional={
        "state": st.none() | st.sampled_from(EquipmentState),
        "seen": st.none() | st.sampled_from(EquipmentState),
        "duration": st.integers(-1, 2**70),
        "batch": TEXTS,
        "position": TEXTS,
    },
).map(lambda fields: EquipmentRequest.model_validate(fields | {"request_id": "r"}))


@settings(max_examples=30, deadline=None)
@given(st.lists(ON_ALARM | ON_EQUIPMENT, min_size=1, max_size=20), st.booleans())
async def test_whatever_is_asked_is_answered_and_stands_on_the_record_once(
    asked: list[ActRequest | EquipmentRequest], roles: bool
) -> None:
    plant = staffed() if roles else small_plant()
    with TemporaryDirectory() as folder:
        async with recording(Path(folder), plant) as recorder, committing(recorder):
            recorder.accept(scan(recorder.clock(), 6.5))
            desk = Desk(recorder, Grid(recorder.clock), (), ())
            for number, each in enumerate(asked):
                own = each.model_copy(update={"request_id": f"r-{number}"})
                reply = await desk.act(own)
                assert reply.request_id == own.request_id
                assert (reply.result == "done") == (reply.word == "done")
                assert await desk.act(own) == reply
        told = [*bodies(Path(folder), "act"), *bodies(Path(folder), "refusal")]
    assert sorted(each["request_id"] for each in told) == sorted(
        f"r-{number}" for number in range(len(asked))
    )

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.rules import EquipmentState
from monitor.alarms.facts import Refusal, State
from monitor.messages import Actor, ActReply, ActRequest, EquipmentRequest, Resend
from monitor.operators.commands import BURST, MOST_NONCES, Commands
from monitor.operators.envelopes import ACTS, LARGEST, Refused, check, read
from tests.support.desk import NOON, SECOND

ALARM = "incubator-07/co2/low"
GOOD: dict[str, object] = {
    "request_id": "r-1",
    "user": "ada",
    "role": "operator",
    "reason": "gas bottle changed",
    "expiry": "2026-01-31T12:01:00Z",
    "nonce": "0123456789abcdef",
    "alarm": ALARM,
    "occurrence": f"s1/{ALARM}/1",
    "version": 3,
}
ENVELOPE: dict[str, object] = {
    key: value for key, value in GOOD.items() if key not in {"alarm", "occurrence", "version"}
}
RESEND = ENVELOPE | {"gateway": "gw-1", "first": 5, "last": 9}
EQUIPMENT = "incubator-07"
STATE = ENVELOPE | {"equipment": EQUIPMENT, "state": "cleaning", "seen": "in_use"}
BATCH = ENVELOPE | {"equipment": EQUIPMENT, "batch": "COI 4711/é", "position": "shelf 2"}
ON_ALARM = ENVELOPE | {"alarm": ALARM, "occurrence": f"s1/{ALARM}/1"}
ON_EQUIPMENT = ENVELOPE | {"equipment": EQUIPMENT}
WHOLE: dict[str, dict[str, object]] = {
    "ack": GOOD,
    "confirm": GOOD,
    "reset": GOOD,
    "shelve": GOOD | {"duration": "30m", "one_shot": True},
    "unshelve": GOOD,
    "out-of-service": GOOD | {"duration": "8h"},
    "in-service": GOOD,
    "set-state": STATE,
    "load": BATCH,
    "unload": BATCH,
    "comment": ON_ALARM,
    "resend": RESEND,
}
"""By act: a request that is in order."""


@dataclass
class Desk:
    """Takes what is in order."""

    gateway: str = "gw-1"
    acted: list[ActRequest] = field(default_factory=list)
    used: list[EquipmentRequest] = field(default_factory=list)
    nonces: dict[tuple[str, str], str] = field(default_factory=dict)
    forbids: str = ""
    """Why nobody may ask for events."""
    resent: list[tuple[int, int, str]] = field(default_factory=list)
    refused: list[tuple[str, Mapping[str, object]]] = field(default_factory=list)
    replies: dict[str, ActReply] = field(default_factory=dict)

    def owns(self, subject: str) -> bool:
        return subject in {ALARM, EQUIPMENT}

    async def answered(self, request_id: str) -> ActReply | None:
        return self.replies.get(request_id)

    async def act(self, request: ActRequest | EquipmentRequest) -> ActReply:
        if isinstance(request, EquipmentRequest):
            self.used.append(request)
        else:
            self.acted.append(request)
        alarm = isinstance(request, ActRequest)
        reply = ActReply(
            request_id=request.request_id,
            result="done",
            word="done",
            text="",
            alarm=request.alarm if isinstance(request, ActRequest) else request.equipment,
            state=State.ACKNOWLEDGED if alarm else None,
            event_id=f"s1-{len(self.acted)}" if alarm else None,
        )
        self.replies[request.request_id] = reply
        return reply

    async def resending(self, first: int, last: int, actor: Actor, reason: str) -> Refusal | None:
        assert reason
        if self.forbids:
            return Refusal("forbidden", self.forbids)
        self.resent.append((first, last, actor.user))
        return None

    async def used_nonce(self, user: str, nonce: str) -> str | None:
        return self.nonces.get((user, nonce))

    def use_nonce(self, user: str, nonce: str, request_id: str) -> None:
        self.nonces[user, nonce] = request_id

    async def refuse(self, subject: str, body: Mapping[str, object]) -> None:
        self.refused.append((subject, body))


async def ask(
    commands: Commands,
    act: str,
    request: Mapping[str, object] | bytes,
    *,
    user: str = "ada",
    retained: bool = False,
    now: int = NOON,
) -> dict[str, object] | None:
    payload = request if isinstance(request, bytes) else json.dumps(request).encode()
    reply = await commands.handle(user, act, payload, retained=retained, now=now)
    if isinstance(reply, Resend):
        reply = reply.reply(reply.last - reply.first + 1).decode()
    return None if reply is None else json.loads(reply)


@pytest.mark.parametrize(
    ("act", "more", "done", "duration"),
    [
        ("ack", {}, "acknowledge", None),
        ("acknowledge", {}, "acknowledge", None),
        ("reset", {}, "reset", None),
        ("unshelve", {}, "unshelve", None),
        ("confirm", {}, "confirm", None),
        ("shelve", {"duration": "30m"}, "shelve", 1800 * SECOND),
        ("shelve", {"one_shot": True}, "shelve", None),
        ("out-of-service", {"duration": "8h"}, "remove_from_service", 8 * 3600 * SECOND),
        ("in-service", {}, "return_to_service", None),
    ],
)
async def test_what_is_in_order_is_done(
    act: str, more: dict[str, object], done: str, duration: int | None
) -> None:
    desk = Desk()
    reply = await ask(Commands(desk), act, GOOD | more)
    assert reply is not None
    assert (reply["result"], reply["request_id"], reply["event_id"]) == ("done", "r-1", "s1-1")
    [request] = desk.acted
    assert (request.act, request.alarm, request.duration) == (done, ALARM, duration)
    assert request.one_shot is more.get("one_shot", False)
    assert (request.occurrence, request.version) == (f"s1/{ALARM}/1", 3)
    assert request.actor == Actor(user="ada", role="operator", via="mqtt")
    assert request.reason == "gas bottle changed"
    assert desk.refused == []


@pytest.mark.parametrize(
    ("act", "changed", "word"),
    [
        ("erase", {}, "unknown_act"),
        ("ack", {"user": "bob"}, "forbidden"),
        ("ack", {"expiry": "2026-01-31T12:00:00Z"}, "expired"),
        ("ack", {"expiry": "2026-01-31T13:00:00+01:00"}, "expired"),
        ("ack", {"expiry": "2026-01-31T12:10:01Z"}, "expiry_too_far"),
        ("ack", {"expiry": "2026-01-31T12:01:00"}, "invalid"),
        ("ack", {"expiry": "soon"}, "invalid"),
        ("ack", {"expiry": "0001-01-01T00:00:00Z"}, "invalid"),
        ("resend", {"reason": "  "}, "reason_required"),
        ("ack", {"nonce": "short"}, "invalid"),
        ("ack", {"request_id": ""}, "invalid"),
        ("ack", {"request_id": "a\x1b[2J"}, "invalid"),
        ("ack", {"version": "three"}, "invalid"),
        ("ack", {"version": -1}, "invalid"),
        ("ack", {"more": 1}, "invalid"),
        ("ack", {"duration": "30m"}, "invalid"),
        ("shelve", {"duration": None, "one_shot": False}, "invalid"),
        ("shelve", {"one_shot": "very"}, "invalid"),
        ("out-of-service", {"duration": None}, "invalid"),
        ("out-of-service", {"one_shot": True}, "invalid"),
        ("set-state", {"state": "on fire"}, "invalid"),
        ("set-state", {"seen": None}, "invalid"),
        ("set-state", {"seen": ""}, "invalid"),
        ("set-state", {"equipment": "incubator-07/co2"}, "invalid"),
        ("set-state", {"batch": "b-1"}, "invalid"),
        ("load", {"batch": ""}, "invalid"),
        ("load", {"batch": "x" * 65}, "invalid"),
        ("unload", {"position": 3}, "invalid"),
        ("comment", {"equipment": EQUIPMENT}, "invalid"),
        ("comment", {"alarm": None}, "invalid"),
        (
            "comment",
            {"alarm": None, "equipment": EQUIPMENT, "excursion": f"s1/{ALARM}/x17"},
            "invalid",
        ),
        ("confirm", {"alarm": ""}, "invalid"),
        ("in-service", {"duration": "8h"}, "invalid"),
        ("shelve", {"duration": 30}, "invalid"),
        ("shelve", {"duration": "0s"}, "invalid"),
        ("shelve", {"duration": "-1h"}, "invalid"),
        ("ack", {"reason": "x" * LARGEST}, "too_large"),
        ("ack", {"reason": {"a": {"b": {"c": [1]}}}}, "too_deep"),
    ],
)
async def test_what_is_not_is_refused_in_words_and_on_the_record(
    act: str, changed: dict[str, object], word: str
) -> None:
    desk = Desk()
    reply = await ask(Commands(desk), act, WHOLE.get(act, GOOD) | changed)
    assert reply is not None
    assert (reply["result"], reply["word"]) == ("refused", word)
    assert reply["text"]
    [(_, body)] = desk.refused
    assert (body["word"], body["user"], body["via"]) == (word, "ada", "mqtt")
    assert (desk.acted, desk.used, desk.resent) == ([], [], [])


@pytest.mark.parametrize(
    ("act", "request_", "done", "expected"),
    [
        (
            "set-state",
            STATE | {"duration": "2h"},
            "set_state",
            {
                "state": EquipmentState.CLEANING,
                "seen": EquipmentState.IN_USE,
                "duration": 7200 * SECOND,
            },
        ),
        ("set-state", STATE | {"state": None}, "set_state", {"state": None, "duration": None}),
        ("load", BATCH, "load", {"batch": "COI 4711/é", "position": "shelf 2"}),
        ("load", BATCH | {"reason": ""}, "load", {"reason": ""}),
        ("unload", BATCH, "unload", {"batch": "COI 4711/é", "position": "shelf 2"}),
        ("comment", ON_EQUIPMENT, "comment", {"reason": "gas bottle changed"}),
    ],
)
async def test_what_is_asked_of_an_equipment_is_done(
    act: str, request_: dict[str, object], done: str, expected: dict[str, object]
) -> None:
    desk = Desk()
    reply = await ask(Commands(desk), act, request_)
    assert reply is not None
    assert (reply["result"], reply["request_id"], reply["alarm"]) == ("done", "r-1", EQUIPMENT)
    [request] = desk.used
    assert (request.act, request.equipment) == (done, EQUIPMENT)
    assert request.actor == Actor(user="ada", role="operator", via="mqtt")
    assert {name: getattr(request, name) for name in expected} == expected
    assert (desk.refused, desk.acted) == ([], [])


async def test_a_comment_on_an_alarm_may_name_its_occurrence() -> None:
    desk = Desk()
    await ask(Commands(desk), "comment", ON_ALARM)
    without = ENVELOPE | {"alarm": ALARM, "request_id": "r-2", "nonce": "another-nonce-42"}
    await ask(Commands(desk), "comment", without)
    of_excursion = without | {"excursion": f"s1/{ALARM}/x17", "request_id": "r-3"}
    await ask(Commands(desk), "comment", of_excursion | {"nonce": "another-nonce-43"})
    assert desk.acted.pop().excursion == f"s1/{ALARM}/x17"
    assert [(r.act, r.alarm, r.occurrence, r.version) for r in desk.acted] == [
        ("comment", ALARM, f"s1/{ALARM}/1", None),
        ("comment", ALARM, None, None),
    ]


OPTIONAL = {"duration", "one_shot", "position", "occurrence"}
"""What may be left out, beside: of a shelf one of the two, of a comment the occurrence."""


@pytest.mark.parametrize(
    ("act", "missing"),
    [(act, key) for act, whole in WHOLE.items() for key in sorted(whole)],
)
async def test_the_envelope_is_whole(act: str, missing: str) -> None:
    if missing in OPTIONAL and (act, missing) not in {
        ("out-of-service", "duration"),
        *((act, "occurrence") for act in WHOLE if act != "comment"),
    }:
        return
    desk = Desk()
    part = {key: value for key, value in WHOLE[act].items() if key != missing}
    reply = await ask(Commands(desk), act, part)
    assert reply is not None
    about = "about" if (act, missing) == ("comment", "alarm") else missing
    assert (reply["word"], about in str(reply["text"])) == ("invalid", True)
    assert reply["request_id"] == ("" if missing == "request_id" else "r-1")
    assert (desk.acted, desk.used, desk.resent) == ([], [], [])


@pytest.mark.parametrize("act", WHOLE)
async def test_a_retained_request_is_refused(act: str) -> None:
    desk = Desk()
    reply = await ask(Commands(desk), act, WHOLE[act], retained=True)
    assert reply is not None
    assert reply["word"] == "retained"
    assert (desk.acted, desk.used, desk.resent) == ([], [], [])
    assert len(desk.refused) == 1


@pytest.mark.parametrize("act", WHOLE)
async def test_under_the_topic_of_another_nothing_is_done(act: str) -> None:
    desk = Desk()
    reply = await ask(Commands(desk), act, WHOLE[act], user="bob")
    assert reply is not None
    assert reply["word"] == "forbidden"
    assert (desk.acted, desk.used, desk.resent) == ([], [], [])
    assert desk.nonces == {}


@pytest.mark.parametrize("act", WHOLE)
async def test_each_act_is_done_once_and_no_other_request_may_use_its_nonce(act: str) -> None:
    desk = Desk()
    first = await ask(Commands(desk), act, WHOLE[act])
    assert first is not None
    assert first["result"] == "done"
    desk.replies.clear()
    restarted = Commands(desk)
    again = await ask(restarted, act, WHOLE[act] | {"request_id": "r-2"}, now=NOON + SECOND)
    assert again is not None
    assert again["word"] == "replayed"
    assert len(desk.acted) + len(desk.used) + len(desk.resent) == 1


def test_every_act_of_a_topic_is_tried() -> None:
    assert set(ACTS) == set(WHOLE)


async def test_the_alarm_of_another_gateway_is_left_to_it() -> None:
    desk = Desk()
    assert await ask(Commands(desk), "ack", GOOD | {"alarm": "freezer-1/temperature/high"}) is None
    assert await ask(Commands(desk), "resend", RESEND | {"gateway": "gw-2"}) is None
    assert await ask(Commands(desk), "load", BATCH | {"equipment": "freezer-1"}) is None
    assert await ask(Commands(desk), "comment", ON_EQUIPMENT | {"equipment": "freezer-1"}) is None
    assert (desk.acted, desk.resent, desk.refused) == ([], [], [])


async def test_a_repeated_request_is_answered_the_same_even_when_it_has_expired() -> None:
    desk = Desk()
    commands = Commands(desk)
    first = await ask(commands, "ack", GOOD)
    again = await ask(commands, "ack", GOOD, now=NOON + 3600 * SECOND)
    assert first == again
    assert len(desk.acted) == 1


async def test_one_users_request_id_is_not_anothers() -> None:
    desk = Desk()
    commands = Commands(desk)
    await ask(commands, "ack", GOOD)
    await ask(commands, "ack", GOOD | {"user": "bob"}, user="bob")
    assert [request.actor.user for request in desk.acted] == ["ada", "bob"]


async def test_a_nonce_serves_one_request() -> None:
    desk = Desk()
    commands = Commands(desk)
    await ask(commands, "ack", GOOD)
    reply = await ask(commands, "ack", GOOD | {"request_id": "r-2"})
    assert reply is not None
    assert reply["word"] == "replayed"


async def test_a_nonce_is_forgotten_in_memory_but_not_on_the_record() -> None:
    desk = Desk()
    commands = Commands(desk)
    await ask(commands, "ack", GOOD)
    for number in range(MOST_NONCES):
        later = NOON + number * SECOND // 10
        commands._forget_nonces(later)
        commands._nonces["ada", f"n-{number}"] = ("r", later)
    assert len(commands._nonces) <= MOST_NONCES
    reply = await ask(commands, "ack", GOOD | {"request_id": "r-2"}, now=NOON + SECOND)
    assert reply is not None
    assert reply["word"] == "replayed"


async def test_of_requests_at_once_with_one_nonce_one_is_done() -> None:
    desk = Desk()
    commands = Commands(desk)
    asked = [GOOD | {"request_id": f"r-{number}"} for number in range(20)]
    replies = await asyncio.gather(*(ask(commands, "ack", request) for request in asked))
    assert sorted(str(reply["word"]) for reply in replies if reply) == ["done", *["replayed"] * 19]
    assert len(desk.acted) == 1


async def test_who_may_not_ask_for_events_is_refused_on_the_record() -> None:
    desk = Desk(forbids="engineer may resend here, ada is operator")
    reply = await ask(Commands(desk), "resend", RESEND)
    assert reply is not None
    assert (reply["result"], reply["word"]) == ("refused", "forbidden")
    [(_, body)] = desk.refused
    assert (body["word"], body["act"]) == ("forbidden", "resend")


async def test_a_flood_is_stopped_and_stands_on_the_record_once() -> None:
    desk = Desk()
    commands = Commands(desk)
    for _ in range(BURST):
        await ask(commands, "erase", b"")
    words = [await ask(commands, "ack", GOOD) for _ in range(50)]
    assert {word["word"] for word in words if word} == {"too_many"}
    assert len(desk.refused) == BURST + 1
    assert await ask(commands, "ack", GOOD | {"user": "bob"}, user="bob")  # Others go on.
    later = await ask(commands, "ack", GOOD, now=NOON + SECOND)
    assert later is not None
    assert later["result"] == "done"
    assert desk.refused[-1] == ("ada", {"word": "too_many", "count": 50, "via": "mqtt"})


async def test_events_are_asked_for_again() -> None:
    desk = Desk()
    reply = await ask(Commands(desk), "resend", RESEND)
    assert reply is not None
    assert (reply["result"], reply["text"]) == ("done", "5 events are published again")
    assert desk.resent == [(5, 9, "ada")]


@pytest.mark.parametrize(("first", "last"), [(9, 5), (0, 5), (1, 10_001)])
async def test_a_range_is_a_range(first: int, last: int) -> None:
    desk = Desk()
    reply = await ask(Commands(desk), "resend", RESEND | {"first": first, "last": last})
    assert reply is not None
    assert reply["word"] == "invalid"
    assert desk.resent == []


SOME_ACT = st.sampled_from([*ACTS, "acknowledge"]) | st.text(max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
KEYS = sorted({key for whole in WHOLE.values() for key in whole})
CHANGED = st.tuples(
    st.sampled_from(sorted(WHOLE)), st.dictionaries(st.sampled_from(KEYS), JSON, max_size=4)
).map(lambda drawn: json.dumps(WHOLE[drawn[0]] | drawn[1]).encode())


@given(act=SOME_ACT, payload=st.binary() | JSON.map(lambda j: json.dumps(j).encode()) | CHANGED)
def test_no_payload_raises(act: str, payload: bytes) -> None:
    asked = read(act, payload, retained=False)
    if not isinstance(asked, Refused):
        check(asked.body, NOON)


@given(act=SOME_ACT, payload=st.binary() | JSON.map(lambda j: json.dumps(j).encode()) | CHANGED)
async def test_whatever_comes_in_is_answered_or_left_to_another(act: str, payload: bytes) -> None:
    desk = Desk()
    answer = await Commands(desk).handle("ada", act, payload, retained=False, now=NOON)
    if isinstance(answer, str):
        ActReply.model_validate_json(answer)
    assert len(desk.refused) + len(desk.acted) + len(desk.used) + len(desk.resent) <= 1


@given(st.sampled_from([b"[", b'{"a":', b"]", b'["']), st.integers(1, LARGEST))
def test_no_depth_is_reached(bracket: bytes, times: int) -> None:
    assert isinstance(read("ack", bracket * times, retained=False), Refused)

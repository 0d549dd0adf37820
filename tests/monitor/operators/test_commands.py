import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.alarms.facts import State
from monitor.messages import Actor, ActReply, ActRequest, Resend
from monitor.operators.commands import (
    BURST,
    LARGEST,
    Commands,
    Refused,
    check,
    read,
)
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
RESEND: dict[str, object] = {
    key: value for key, value in GOOD.items() if key not in {"alarm", "occurrence", "version"}
} | {"gateway": "gw-1", "first": 5, "last": 9}


@dataclass
class Desk:
    """Takes what is in order."""

    gateway: str = "gw-1"
    acted: list[ActRequest] = field(default_factory=list)
    resent: list[tuple[int, int, str]] = field(default_factory=list)
    refused: list[tuple[str, Mapping[str, object]]] = field(default_factory=list)
    replies: dict[str, ActReply] = field(default_factory=dict)

    def owns(self, alarm: str) -> bool:
        return alarm == ALARM

    async def answered(self, request_id: str) -> ActReply | None:
        return self.replies.get(request_id)

    async def act(self, request: ActRequest) -> ActReply:
        self.acted.append(request)
        reply = ActReply(
            request_id=request.request_id,
            result="done",
            word="done",
            text="",
            alarm=request.alarm,
            state=State.ACKNOWLEDGED,
            event_id=f"s1-{len(self.acted)}",
        )
        self.replies[request.request_id] = reply
        return reply

    async def resending(self, first: int, last: int, actor: Actor, reason: str) -> None:
        assert reason
        self.resent.append((first, last, actor.user))

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
        ("shelve", {"duration": "30m"}, "shelve", 1800 * SECOND),
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
        ("ack", {"reason": "  "}, "reason_required"),
        ("ack", {"nonce": "short"}, "invalid"),
        ("ack", {"request_id": ""}, "invalid"),
        ("ack", {"request_id": "a\x1b[2J"}, "invalid"),
        ("ack", {"version": "three"}, "invalid"),
        ("ack", {"version": -1}, "invalid"),
        ("ack", {"more": 1}, "invalid"),
        ("ack", {"duration": "30m"}, "invalid"),
        ("shelve", {}, "invalid"),
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
    reply = await ask(Commands(desk), act, GOOD | changed)
    assert reply is not None
    assert (reply["result"], reply["word"]) == ("refused", word)
    assert reply["text"]
    [(_, body)] = desk.refused
    assert (body["word"], body["user"], body["via"]) == (word, "ada", "mqtt")
    assert desk.acted == []


@pytest.mark.parametrize("missing", sorted(GOOD))
async def test_the_envelope_is_whole(missing: str) -> None:
    desk = Desk()
    part = {key: value for key, value in GOOD.items() if key != missing}
    reply = await ask(Commands(desk), "ack", part)
    assert reply is not None
    assert (reply["word"], missing in str(reply["text"])) == ("invalid", True)
    assert reply["request_id"] == ("" if missing == "request_id" else "r-1")


async def test_a_retained_request_is_refused() -> None:
    desk = Desk()
    reply = await ask(Commands(desk), "ack", GOOD, retained=True)
    assert reply is not None
    assert reply["word"] == "retained"
    assert desk.acted == []


async def test_the_alarm_of_another_gateway_is_left_to_it() -> None:
    desk = Desk()
    assert await ask(Commands(desk), "ack", GOOD | {"alarm": "freezer-1/temperature/high"}) is None
    assert await ask(Commands(desk), "resend", RESEND | {"gateway": "gw-2"}) is None
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


ACTS = st.sampled_from(["ack", "shelve", "reset", "resend", "unshelve"]) | st.text(max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
CHANGED = st.dictionaries(st.sampled_from([*GOOD, "duration", "gateway"]), JSON, max_size=4).map(
    lambda changed: json.dumps(GOOD | changed).encode()
)


@given(act=ACTS, payload=st.binary() | JSON.map(lambda j: json.dumps(j).encode()) | CHANGED)
def test_no_payload_raises(act: str, payload: bytes) -> None:
    asked = read(act, payload, retained=False)
    if not isinstance(asked, Refused):
        check(asked.body, NOON)


@given(st.sampled_from([b"[", b'{"a":', b"]", b'["']), st.integers(1, LARGEST))
def test_no_depth_is_reached(bracket: bytes, times: int) -> None:
    assert isinstance(read("ack", bracket * times, retained=False), Refused)

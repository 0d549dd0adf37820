"""Topics are made of ids; what is published together keeps the order of each alarm."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.alarms.facts import State
from monitor.describe import standing_part
from monitor.messages import AlarmMessage
from monitor.sinks import topics
from monitor.store import Event
from tests.monitor.sinks.scene import HIGH, NOON, transition


def told(seq: int, name: str = HIGH, state: State = State.UNACKNOWLEDGED) -> Event:
    body = transition("s1", seq, name, state).model_dump_json(by_alias=True)
    return Event(seq, seq, "alarm", NOON, 1, name, body)


def other(number: int) -> Event:
    return Event(number, None, "start", NOON, 1, "", "{}")


@pytest.mark.parametrize(
    ("name", "where"),
    [
        (HIGH, "cytowatch/v1/les-ulis/equipment/incubator-0/co2/high"),
        ("incubator-0/_/silent", "cytowatch/v1/les-ulis/equipment/incubator-0/_/silent"),
        ("gateway/_/sink-mqtt", "cytowatch/v1/les-ulis/gateway/gw-1/alarm/sink-mqtt"),
        ("gateway/bus-a/silent", "cytowatch/v1/les-ulis/gateway/gw-1/alarm/bus-a-silent"),
    ],
)
def test_each_alarm_has_its_topic(name: str, where: str) -> None:
    assert topics.alarm("les-ulis", "gw-1", name) == where


@given(st.text(max_size=70))
def test_nothing_but_an_id_gets_into_a_topic(text: str) -> None:
    try:
        made = topics.reply("s", text)
    except ValueError:
        return
    assert made == f"cytowatch/v1/s/reply/{text}"
    assert not set(text) & set("/+#\0$ ")
    assert 0 < len(text) <= 63


@pytest.mark.parametrize(
    ("heard", "request_"),
    [
        ("cytowatch/v1/s/cmd/anna/acknowledge", topics.Request("anna", "acknowledge")),
        ("cytowatch/v1/s/cmd/anna/acknowledge/now", None),
        ("cytowatch/v1/s/cmd/anna", None),
        ("cytowatch/v1/s/cmd/Anna B/acknowledge", None),
        ("cytowatch/v1/t/cmd/anna/acknowledge", None),
        ("x/cytowatch/v1/s/cmd/anna/acknowledge", None),
        ("cytowatch/v1/s/equipment/a/b/c/event", None),
    ],
)
def test_a_request_is_read_off_its_topic(heard: str, request_: topics.Request | None) -> None:
    assert topics.request("s", heard) == request_


def test_an_event_is_published_as_it_stands_on_the_record() -> None:
    event = told(7)
    published = topics.event(event)
    assert published.payload == event.body.encode()
    assert published.topic.endswith("/high/event")
    assert not published.retain


def test_the_state_after_an_event_is_the_same_text_as_that_of_the_standing_alarm() -> None:
    message = transition("s1", 7)
    after = topics.state(told(7))
    assert after == topics.state(standing_part(message))
    assert after.retain
    assert after.topic.endswith("/high/state")
    AlarmMessage.model_validate_json(after.payload)
    assert json.loads(after.payload)["schema"] == "cytowatch.alarm.v1"


def test_an_alarm_that_ended_leaves_nothing_retained() -> None:
    assert topics.state(told(7, state=State.ENDED)).payload == b""
    assert topics.state(told(7, state=State.NORMAL)).payload != b""


@given(st.lists(st.sampled_from(["a/b/c", "d/e/f", "g/h/i", ""]), max_size=30), st.integers(1, 4))
def test_what_is_in_flight_together_holds_each_alarm_once(names: list[str], most: int) -> None:
    events = [told(n, name) if name else other(n) for n, name in enumerate(names, start=1)]
    part = topics.window(events, most)
    alarms = [event.subject for event in part if event.kind == "alarm"]
    assert list(part) == events[: len(part)]
    assert len(alarms) == len(set(alarms)) <= most
    assert bool(part) == bool(events)
    if len(part) < len(events):
        following = events[len(part)]
        assert following.kind == "alarm"
        assert following.subject in alarms or len(alarms) == most


def test_what_a_forgetful_broker_is_owed_is_what_stands_and_what_lately_ceased_to() -> None:
    recent = [told(1), told(2, state=State.NORMAL), other(3), told(4, "a/b/c", State.ENDED)]
    standing = standing_part(transition("s1", 1, "d/e/f"))
    owed = topics.owed(recent, [standing])
    assert owed == {HIGH: recent[1], "a/b/c": recent[3], "d/e/f": standing}

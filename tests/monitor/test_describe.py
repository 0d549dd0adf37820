from dataclasses import replace
from typing import Any

import pytest

from config.rules import Escalation, High, OffNormal, Priority, Silent, Unreadable
from drivers.reading import Moment
from monitor.alarms.facts import Alarm, AlarmEvent, Change, State
from monitor.alarms.watch import watch
from monitor.describe import Describer, Told, standing_part
from monitor.messages import Actor, AlarmEventMessage, AlarmMessage
from tests.monitor.alarms.small_plant import SECOND, channel, door, moment, plant, source

RULE = High(
    name="high-high",
    limit=6.0,
    alarm_class="gmp-critical",
    priority=Priority.CRITICAL,
    response="Move the culture",
    consequence="The batch is lost",
    time_to_respond=90 * SECOND,
)
PLANT = replace(
    plant(source(0, "incubator-7", "probe", "bus", [channel("co2", RULE)])), digest="0123456789ab"
)
NAME = "incubator-7/co2/high-high"
WATCHED = watch(PLANT, {"sink-mqtt": Silent(name="sink-mqtt", response="Wait")})
RAISED = Alarm(
    condition=True,
    condition_start=moment(-120),
    active=True,
    alarm_time=moment(0),
    acknowledged=False,
    occurrence=3,
    peak=6.8,
    peak_at=moment(-1).at,
    value=6.5,
    version=7,
)


def told(
    alarm: Alarm, change: Change = Change.RAISED, name: str = NAME, **given: object
) -> AlarmEventMessage:
    now = moment(0)
    event = AlarmEvent(name, change, State.NORMAL, alarm.state, now, alarm)
    fields: dict[str, object] = {"seq": 12, "scan": 99} | given
    return Describer(PLANT, "s1").event(WATCHED[name], event, Told(**fields))  # type: ignore[arg-type]  # its own fields


def test_an_event_tells_all_that_is_known() -> None:
    message = told(RAISED).model_dump(by_alias=True, mode="json")
    expected = {
        "schema": "cytowatch.alarm_event.v1",
        "site": "les-ulis",
        "gateway": "gw-1",
        "area": "suite-a",
        "equipment": "incubator-7",
        "kind": "incubator",
        "channel": "co2",
        "rule": "high-high",
        "alarm": NAME,
        "event_id": "s1-12",
        "seq": 12,
        "store_id": "s1",
        "owner_epoch": 1,
        "version": 7,
        "occurrence": f"s1/{NAME}/3",
        "state": "unacknowledged",
        "active_state": True,
        "acked_state": False,
        "latched_state": False,
        "shelving_state": "Unshelved",
        "suppressed_state": False,
        "suppressed_or_shelved": False,
        "retain": True,
        "annunciated": True,
        "suppressed_by": "",
        "superseded_by": "",
        "shelved_until": None,
        "priority": "critical",
        "severity": 950,
        "value": 6.5,
        "unit": "%",
        "limit": 6.0,
        "reference": None,
        "rule_kind": "high",
        "condition": "above 6 %",
        "peak": 6.8,
        "peak_time": "2026-02-02T02:39:59.000Z",
        "condition_start": "2026-02-02T02:38:00.000Z",
        "alarm_time": "2026-02-02T02:40:00.000Z",
        "time": "2026-02-02T02:40:00.000Z",
        "response": "Move the culture",
        "config": "01234567",
        "change": "raised",
        "before": "normal",
        "after": "unacknowledged",
        "scan": 99,
        "actor": "",
        "claimed": "",
        "via": "",
        "comment": "",
        "alarm_class": "gmp-critical",
        "consequence": "The batch is lost",
        "time_to_respond": 90.0,
        "confirmed_state": True,
        "re_alarms": 0,
        "escalations": 0,
        "configured_priority": "critical",
        "out_of_service_state": False,
        "out_of_service_until": None,
    }
    assert {name: message[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("escalations", "priority", "severity"),
    [(0, "medium", 500), (1, "high", 800), (2, "critical", 950)],
)
def test_the_priority_is_what_it_has_escalated_to_and_that_of_the_file_stands_beside(
    escalations: int, priority: str, severity: int
) -> None:
    steps = Escalation(after=SECOND), Escalation(after=2 * SECOND)
    rule = RULE.model_copy(update={"priority": Priority.MEDIUM, "escalate": steps})
    alarm = RAISED._replace(escalations=escalations)
    event = AlarmEvent(NAME, Change.ESCALATED, State.NORMAL, alarm.state, moment(0), alarm)
    message = Describer(PLANT, "s1").event(WATCHED[NAME]._replace(rule=rule), event, Told(12))
    assert (message.priority, message.severity) == (priority, severity)
    assert (message.configured_priority, message.escalations) == ("medium", escalations)
    assert standing_part(message).priority == priority


def test_an_act_tells_who_and_why() -> None:
    anna = Actor(user="anna", claimed="Anna B.", role="nurse", via="mqtt")
    message = told(RAISED, Change.ACKNOWLEDGED, actor=anna, comment="seen", scan=0)
    assert (message.actor, message.claimed, message.via) == ("anna", "Anna B.", "mqtt")
    assert (message.comment, message.scan) == ("seen", 0)


def changed(**facts: Any) -> Alarm:  # noqa: ANN401 - its own fields
    return RAISED._replace(**facts)


SHELF = moment(1800).boot


@pytest.mark.parametrize(
    ("alarm", "expected"),
    [
        (
            changed(shelved_until=SHELF),
            {
                "state": State.SHELVED,
                "shelving_state": "TimedShelved",
                "shelved_until": "2026-02-02T03:10:00.000Z",
                "suppressed_state": False,
                "suppressed_or_shelved": True,
                "annunciated": False,
                "retain": True,
            },
        ),
        (
            changed(shelved_until=SHELF, one_shot=True, superseded_by="incubator-7/co2/worse"),
            {"shelving_state": "OneShotShelved", "suppressed_state": True},
        ),
        (
            changed(
                out_of_service_until=SHELF, shelved_until=SHELF, suppressed_by="state:cleaning"
            ),
            {
                "state": State.OUT_OF_SERVICE,
                "out_of_service_state": True,
                "out_of_service_until": "2026-02-02T03:10:00.000Z",
                "shelving_state": "TimedShelved",
                "suppressed_state": True,
                "suppressed_by": "state:cleaning",
                "suppressed_or_shelved": True,
                "annunciated": False,
                "retain": True,
            },
        ),
        (
            Alarm(version=1, out_of_service_until=SHELF),
            {"suppressed_or_shelved": True, "active_state": False, "retain": True},
        ),
        (
            changed(active=False, acknowledged=True, confirmed=False, re_alarms=2),
            {
                "state": State.UNCONFIRMED,
                "confirmed_state": False,
                "acked_state": True,
                "re_alarms": 2,
                "retain": True,
            },
        ),
        (
            changed(suppressed_by="gateway/_/line-bus"),
            {
                "state": State.SUPPRESSED,
                "suppressed_by": "gateway/_/line-bus",
                "suppressed_state": True,
                "suppressed_or_shelved": True,
                "annunciated": False,
                "retain": True,
            },
        ),
        (
            changed(superseded_by="incubator-7/co2/worse"),
            {"superseded_by": "incubator-7/co2/worse", "suppressed_state": True},
        ),
        (
            changed(active=False, latched=True),
            {"state": State.LATCHED_UNACKNOWLEDGED, "latched_state": True, "retain": True},
        ),
        (changed(active=False), {"state": State.RETURNED, "retain": True}),
        (
            changed(active=False, acknowledged=True),
            {"state": State.NORMAL, "retain": False, "acked_state": True},
        ),
        (
            Alarm(),
            {"occurrence": "", "peak_time": None, "condition_start": None, "alarm_time": None},
        ),
    ],
)
def test_facts_become_words(alarm: Alarm, expected: dict[str, object]) -> None:
    message = told(alarm)
    assert {name: getattr(message, name) for name in expected} == expected


def test_an_alarm_that_ended_is_of_no_interest_any_more() -> None:
    event = AlarmEvent(NAME, Change.ENDED, State.RETURNED, State.ENDED, moment(0), Alarm(version=8))
    message = Describer(PLANT, "s1").event(WATCHED[NAME], event, Told(1))
    assert (message.state, message.after, message.retain) == (State.ENDED, State.ENDED, False)


def test_an_alarm_of_the_gateway_is_of_no_area() -> None:
    message = told(RAISED, name="gateway/_/sink-mqtt")
    said = (message.equipment, message.channel, message.rule, message.area, message.limit)
    assert said == ("gateway", "_", "sink-mqtt", "", None)
    assert message.response == "Wait"


@pytest.mark.parametrize(
    ("value", "said"), [(True, "open"), (False, "closed"), ("held", "held"), (None, None)]
)
@pytest.mark.parametrize("rule", [OffNormal(off_normal=(True,)), Unreadable()])
def test_a_state_is_told_by_its_name(
    rule: OffNormal | Unreadable, value: bool | str | None, said: str | None
) -> None:
    doors = plant(source(0, "incubator-7", "probe", "bus", [door(rule)]))
    name = f"incubator-7/door/{rule.name}"
    event = AlarmEvent(
        name, Change.RAISED, State.NORMAL, State.UNACKNOWLEDGED, moment(0), Alarm(value=value)
    )
    message = Describer(doors, "s1").event(watch(doors, {})[name], event, Told(1))
    assert (message.value, message.limit, message.peak) == (said, None, None)


def test_what_stands_is_the_event_without_what_happened() -> None:
    event = told(RAISED)
    standing = standing_part(event)
    assert type(standing) is AlarmMessage
    assert standing.schema_ == "cytowatch.alarm.v1"
    whole = event.model_dump(by_alias=True) | {"schema": "cytowatch.alarm.v1"}
    said = standing.model_dump(by_alias=True)
    assert said.items() <= whole.items()
    assert whole.keys() - said.keys() >= {
        *("change", "before", "after", "scan", "actor", "claimed", "via", "comment"),
    }


def test_a_shelf_is_told_in_record_time() -> None:
    """It is kept in elapsed time; whoever reads has a wall clock."""
    now = Moment(moment(0).at + 3600 * SECOND, moment(0).boot)  # The wall clock was put forward.
    alarm = changed(shelved_until=now.boot + 60 * SECOND)
    event = AlarmEvent(NAME, Change.SHELVED, State.NORMAL, alarm.state, now, alarm)
    message = Describer(PLANT, "s1").event(WATCHED[NAME], event, Told(1))
    assert message.shelved_until == "2026-02-02T03:41:00.000Z"

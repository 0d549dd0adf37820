"""Every row of the table of transitions (ISA-18.2 figure 3, OPC UA Part 9), as this project has it.

A step comes a minute after the one before: a reading in percent, an act, or what becomes of the
equipment.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from typing import NamedTuple

import pytest

from config.rules import EquipmentState, Escalation, High, Priority, Suppression
from drivers.reading import Moment
from monitor.alarms.board import Board
from monitor.alarms.facts import (
    Acknowledge,
    Act,
    Alarm,
    AlarmEvent,
    Circumstances,
    Confirm,
    Refusal,
    RemoveFromService,
    Reset,
    ReturnToService,
    Shelve,
    Unshelve,
)
from tests.monitor.alarms.small_plant import MINUTE, channel, minute, plant, scan, source

Step = float | Act | Circumstances

HIGH = High(name="high", limit=6.0, deadband=0.5)
WORSE = High(name="high-high", limit=8.0)
SLOW = HIGH.model_copy(update={"on_delay": MINUTE, "off_delay": MINUTE})
LATCHING = HIGH.model_copy(update={"latching": True})
CONFIRMED = HIGH.model_copy(update={"confirm": True})
BOTH = LATCHING.model_copy(update={"confirm": True})
AGAIN = HIGH.model_copy(update={"re_alarm": 3 * MINUTE})
STEPS = (
    Escalation(after=3 * MINUTE),
    Escalation(after=6 * MINUTE, to=Priority.CRITICAL),
)
URGENT = HIGH.model_copy(update={"escalate": STEPS, "re_alarm": MINUTE})
HELD = URGENT.model_copy(update={"latching": True})
NAME, OTHER = "inc/co2/high", "inc/co2/high-high"

FINE, HOT, HOTTER = 5.0, 7.0, 9.0
ACK, CONFIRM, RESET = Acknowledge(), Confirm(), Reset()
SHELVE, UNSHELVE = Shelve(60 * MINUTE), Unshelve()
BRIEFLY, ONCE = Shelve(MINUTE), Shelve(60 * MINUTE, one_shot=True)
REMOVE, BRIEFLY_OUT, RETURN = (
    RemoveFromService(60 * MINUTE),
    RemoveFromService(MINUTE),
    ReturnToService(),
)
IN_USE = Circumstances()
CLEANING = Circumstances(EquipmentState.CLEANING)
TOO_LONG = CLEANING._replace(suppresses=False)

A, B, C, D = "normal", "unacknowledged", "acknowledged", "returned"
E, F, U = "latched_unacknowledged", "latched_acknowledged", "unconfirmed"
G, H, I = "shelved", "suppressed", "out_of_service"  # noqa: E741 - the letter of ISA-18.2

PATHS: dict[str, tuple[High, Sequence[Step]]] = {
    A: (HIGH, [FINE]),
    B: (HIGH, [HOT]),
    C: (HIGH, [HOT, ACK]),
    D: (HIGH, [HOT, FINE]),
    E: (LATCHING, [HOT, FINE]),
    F: (LATCHING, [HOT, ACK, FINE]),
    U: (CONFIRMED, [HOT, ACK, FINE]),
}
"""How to come to a state."""


class Stage:
    """One channel of one incubator, and its time."""

    def __init__(self, rule: High) -> None:
        small = plant(source(0, "inc", "probe", "bus", [channel("co2", rule, WORSE)]))
        cleaning = Suppression(suppress=("co2",), longest=60 * MINUTE)
        self.board = Board(replace(small, suppression={EquipmentState.CLEANING: cleaning}), {})
        self.minutes = 0

    @property
    def alarm(self) -> Alarm:
        return self.board.alarm(NAME)

    @property
    def now(self) -> Moment:
        return minute(self.minutes)

    def do(self, step: Step) -> Sequence[AlarmEvent] | Refusal:
        self.minutes += 1
        match step:
            case float():
                return self.board.observe(scan(60 * self.minutes, step))
            case Circumstances():
                return self.board.place("inc", step, self.now)
            case _:
                return self.board.act(NAME, step, self.now)

    def told(self, step: Step) -> Sequence[AlarmEvent]:
        events = self.do(step)
        assert not isinstance(events, Refusal), events.text
        return events

    def walk(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self.told(step)


class Row(NamedTuple):
    """One row of the table: from a state, by a step, to a state, and what is told of it."""

    rule: High
    path: Sequence[Step]
    start: str
    step: Step
    end: str
    told: Sequence[str]


def row(start: str, step: Step, end: str, *told: str) -> Row:
    rule, path = PATHS[start]
    return Row(rule, path, start, step, end, told)


PUT_ASIDE: Sequence[tuple[str, Step, str, str]] = [
    ("shelved for a time", SHELVE, G, "shelved"),
    ("shelved for one occurrence", ONCE, G, "shelved"),
    ("removed from service", REMOVE, I, "removed_from_service"),
]

ROWS: dict[str, Row] = {
    "A: the condition holds": row(A, HOT, B, "raised"),
    "A: the condition holds, its on-delay runs": Row(SLOW, [FINE], A, HOT, A, []),
    "A: the condition holds and its on-delay is over": Row(SLOW, [HOT], A, HOT, B, ["raised"]),
    "B: acknowledged": row(B, ACK, C, "acknowledged"),
    "B: returns": row(B, FINE, D, "returned"),
    "B: returns, its off-delay runs": Row(SLOW, [HOT, HOT], B, FINE, B, []),
    "B: returns and its off-delay is over": Row(SLOW, [HOT, HOT, FINE], B, FINE, D, ["returned"]),
    "B: returns, latching": Row(LATCHING, [HOT], B, FINE, E, ["returned"]),
    "C: returns": row(C, FINE, A, "cleared"),
    "C: returns, latching": Row(LATCHING, [HOT, ACK], C, FINE, F, ["returned"]),
    "C: returns, unconfirmed": Row(CONFIRMED, [HOT, ACK], C, FINE, U, ["returned"]),
    "C: returns, confirmed": Row(CONFIRMED, [HOT, ACK, CONFIRM], C, FINE, A, ["cleared"]),
    "C: confirmed while active": Row(CONFIRMED, [HOT, ACK], C, CONFIRM, C, ["confirmed"]),
    "D: acknowledged": row(D, ACK, A, "acknowledged"),
    "D: acknowledged, unconfirmed": Row(CONFIRMED, [HOT, FINE], D, ACK, U, ["acknowledged"]),
    "D: the condition holds again": row(D, HOT, B, "raised_again"),
    "U: confirmed": row(U, CONFIRM, A, "confirmed"),
    "U: the condition holds again": row(U, HOT, B, "raised_again"),
    "E: acknowledged": row(E, ACK, F, "acknowledged"),
    "E: reset before it is acknowledged": row(E, RESET, E, "illegal_transition"),
    "E: the condition holds again": row(E, HOT, B, "raised_again"),
    "F: the condition holds again": row(F, HOT, B, "raised_again"),
    "F: reset": row(F, RESET, A, "reset"),
    "F: reset, unconfirmed": Row(BOTH, [HOT, ACK, FINE], F, RESET, U, ["reset"]),
    "F: confirmed, not reset": Row(BOTH, [HOT, ACK, FINE], F, CONFIRM, F, ["confirmed"]),
    "C: re-alarm time not yet over": Row(AGAIN, [HOT, ACK, HOT], C, HOT, C, []),
    "C: re-alarm time is over": Row(AGAIN, [HOT, ACK, HOT, HOT], C, HOT, B, ["re_alarmed"]),
    "C: returns as the re-alarm time is over": Row(
        AGAIN, [HOT, ACK, HOT, HOT], C, FINE, A, ["cleared"]
    ),
    "B: escalation time not yet over": Row(URGENT, [HOT, HOT], B, HOT, B, []),
    "B: escalation time is over": Row(URGENT, [HOT, HOT, HOT], B, HOT, B, ["escalated"]),
    "B: returns as the escalation time is over": Row(
        URGENT, [HOT, HOT, HOT], B, FINE, D, ["returned"]
    ),
    "B: acknowledged as the escalation time is over": Row(
        URGENT, [HOT, HOT, HOT], B, ACK, C, ["acknowledged"]
    ),
    "D: escalation time is over": Row(URGENT, [HOT, HOT, FINE], D, FINE, D, []),
    "D: raised as the escalation time is over": Row(
        URGENT, [HOT, HOT, FINE], D, HOT, B, ["raised_again"]
    ),
    "E: escalation time is over": Row(HELD, [HOT, HOT, FINE], E, FINE, E, ["escalated"]),
    "B: a worse level": row(B, HOTTER, H, "raised", "suppressed"),
    "C: a worse level": row(C, HOTTER, H, "raised", "suppressed"),
    "B: the worse level is gone": Row(HIGH, [HOTTER], H, HOT, B, ["returned", "unsuppressed"]),
    "C: the worse level is gone": Row(
        HIGH, [HOT, ACK, HOTTER], H, HOT, C, ["returned", "unsuppressed"]
    ),
} | {
    f"{start}: {what}": row(start, step, end, told)
    for start in PATHS
    for what, step, end, told in PUT_ASIDE
}


@pytest.mark.parametrize("one", ROWS.values(), ids=ROWS)
def test_each_row_of_the_table(one: Row) -> None:
    stage = Stage(one.rule)
    stage.walk(one.path)
    before = stage.alarm
    assert before.state == one.start
    answer = stage.do(one.step)
    assert stage.alarm.state == one.end
    if isinstance(answer, Refusal):
        assert [answer.word] == list(one.told)
        assert stage.alarm is before
    else:
        assert [event.change for event in answer] == list(one.told)
        of_it = [event for event in answer if event.name == NAME]
        assert [event.before for event in of_it] == [one.start][: len(of_it)]
        assert [event.after for event in of_it] == [one.end][: len(of_it)]


STARTS = pytest.mark.parametrize("start", PATHS)
DEBTS: dict[str, tuple[str, ...]] = {
    A: (),
    B: ("acknowledge",),
    C: (),
    D: ("acknowledge",),
    E: ("acknowledge", "reset"),
    F: ("reset",),
    U: ("confirm",),
}


@STARTS
def test_a_state_of_the_equipment_begins_to_suppress(start: str) -> None:
    """What is normal has nothing to tell of it, and is among those that are suppressed."""
    stage = Stage(PATHS[start][0])
    stage.walk(PATHS[start][1])
    events = stage.told(CLEANING)
    assert stage.alarm.state == (A if start == A else H)
    assert [event.change for event in events] == ([] if start == A else ["suppressed"])
    assert stage.board.by_design("inc") == {NAME: "state:cleaning", OTHER: "state:cleaning"}


SILENCES: dict[str, tuple[Step, Step, str]] = {
    "a shelf that is taken away": (SHELVE, UNSHELVE, "unshelved"),
    "a shelf whose time is over": (BRIEFLY, FINE, "unshelved"),
    "a state of the equipment that is left": (CLEANING, IN_USE, "unsuppressed"),
    "a state whose longest time is over": (CLEANING, TOO_LONG, "unsuppressed"),
    "a return to service": (REMOVE, RETURN, "returned_to_service"),
    "a removal whose time is over": (BRIEFLY_OUT, FINE, "returned_to_service"),
}
SILENT = pytest.mark.parametrize(("begin", "end", "told"), SILENCES.values(), ids=SILENCES)


@SILENT
@STARTS
def test_the_end_of_a_silence_annunciates_anew_what_is_active_and_forgives_no_debt(
    start: str, begin: Step, end: Step, told: str
) -> None:
    stage = Stage(PATHS[start][0])
    stage.walk([*PATHS[start][1], begin])
    if end == FINE and stage.alarm.active:
        end = HOT
    events = stage.told(end)
    assert stage.alarm.state == {C: B}.get(start, start)
    assert [event.change for event in events] == (
        [] if told == "unsuppressed" and start == A else [told]
    )
    assert stage.alarm.annunciated


LASTING = {how: (begin, end) for how, (begin, end, _) in SILENCES.items() if end != FINE}


@pytest.mark.parametrize(("begin", "end"), LASTING.values(), ids=LASTING)
def test_what_comes_and_goes_in_a_silence_leaves_nothing_to_do(begin: Step, end: Step) -> None:
    """A sterilisation asks nobody for an acknowledgement, whatever the class of its alarms."""
    stage = Stage(BOTH.model_copy(update={"re_alarm": MINUTE}))
    stage.walk([FINE, begin])
    for reading, change in ((HOT, "raised"), (FINE, "cleared"), (HOT, "raised"), (FINE, "cleared")):
        [event] = stage.told(reading)
        assert event.change == change
        assert not event.annunciated
    stage.walk([end])
    assert stage.alarm.state == A
    assert stage.alarm.occurrence == 2


@SILENT
@pytest.mark.parametrize("rule", [HIGH, LATCHING, BOTH], ids=["plain", "latching", "confirmed"])
def test_what_came_in_a_silence_and_still_holds_is_new_when_it_ends(
    rule: High, begin: Step, end: Step, told: str
) -> None:
    stage = Stage(rule)
    stage.walk([FINE, begin])
    first = stage.told(HOT)
    last = first if end == FINE else stage.told(end)
    assert (last[-1].change, last[-1].after) == (told, B)
    assert (stage.alarm.acknowledged, stage.alarm.confirmed) == (False, not rule.confirm)
    assert stage.alarm.occurrence == 1


def test_nobody_is_asked_for_what_came_in_a_silence() -> None:
    stage = Stage(CONFIRMED)
    stage.walk([SHELVE, HOT])
    for act in (ACK, CONFIRM):
        refusal = stage.do(act)
        assert isinstance(refusal, Refusal)
        assert refusal.word == "illegal_transition"


@STARTS
def test_a_one_shot_shelf_ends_with_the_return_of_the_condition(start: str) -> None:
    stage = Stage(PATHS[start][0])
    stage.walk([*PATHS[start][1], ONCE])
    stage.walk([HOT])
    assert stage.alarm.state == G
    events = stage.told(FINE)
    gone, off = events
    assert (gone.change in {"returned", "cleared"}, off.change) == (True, "unshelved")
    owed = {B: D, C: A}.get(start, start)
    assert stage.alarm.state == owed
    assert not stage.alarm.one_shot


def test_a_one_shot_shelf_ends_after_its_time_at_the_latest() -> None:
    stage = Stage(HIGH)
    stage.walk([HOT, ACK, Shelve(2 * MINUTE, one_shot=True), HOT])
    assert stage.alarm.state == G
    events = stage.told(HOT)
    assert [(event.change, event.after) for event in events] == [("unshelved", B)]


def test_a_timed_shelf_outlives_the_return_of_the_condition() -> None:
    stage = Stage(HIGH)
    stage.walk([HOT, ACK, SHELVE, FINE])
    assert stage.alarm.state == G


def test_a_re_alarm_is_counted_in_the_same_occurrence_and_comes_again() -> None:
    stage = Stage(AGAIN)
    stage.walk([HOT, ACK, HOT, HOT, HOT])
    assert (stage.alarm.re_alarms, stage.alarm.occurrence) == (1, 1)
    stage.walk([HOT, HOT, HOT, HOT, ACK, HOT, HOT, HOT])
    assert (stage.alarm.re_alarms, stage.alarm.occurrence) == (2, 1)
    stage.walk([FINE, ACK, HOT])
    assert (stage.alarm.re_alarms, stage.alarm.occurrence) == (0, 2)


@pytest.mark.parametrize("silence", [SHELVE, REMOVE, CLEANING, HOTTER], ids=[G, I, H, "superseded"])
def test_what_is_silenced_does_not_re_alarm(silence: Step) -> None:
    stage = Stage(AGAIN)
    stage.walk([HOT, ACK, silence])
    after = HOTTER if silence == HOTTER else HOT
    stage.walk([after] * 9)
    assert stage.alarm.re_alarms == 0


def test_what_was_superseded_re_alarms_when_its_time_is_over() -> None:
    stage = Stage(AGAIN)
    stage.walk([HOT, ACK, HOTTER, HOTTER, HOTTER, HOT])
    assert stage.alarm.state == C
    events = stage.told(HOT)
    assert [event.change for event in events] == ["re_alarmed"]


def test_each_step_of_an_escalation_is_told_once_and_an_acknowledgement_takes_all_back() -> None:
    stage = Stage(URGENT)
    told = [event.change for _ in range(20) for event in stage.told(HOT)]
    assert told == ["raised", "escalated", "escalated"]
    assert stage.alarm.escalations == 2
    assert URGENT.priority_after(stage.alarm.escalations) == "critical"
    stage.walk([ACK])
    assert stage.alarm.escalations == 0


def test_a_re_alarm_begins_again_from_the_rules_own_priority() -> None:
    stage = Stage(URGENT)
    stage.walk([HOT, HOT, HOT, HOT, ACK])
    told = [event.change for _ in range(5) for event in stage.told(HOT)]
    assert told == ["re_alarmed", "escalated"]
    assert stage.alarm.escalations == 1


def test_an_alarm_that_comes_and_goes_escalates_as_one_that_stays() -> None:
    """A raise while an acknowledgement is owed is another of what nobody has answered."""
    stage = Stage(URGENT)
    told = [
        event.change for value in (HOT, FINE, HOT, HOT, FINE, HOT) for event in stage.told(value)
    ]
    assert told == ["raised", "returned", "raised_again", "escalated", "returned", "raised_again"]
    assert (stage.alarm.occurrence, stage.alarm.escalations) == (3, 1)


def test_what_it_escalated_to_outlives_its_return_and_every_silence() -> None:
    stage = Stage(URGENT)
    stage.walk([HOT, HOT, HOT, HOT, SHELVE, FINE, UNSHELVE, REMOVE, RETURN, FINE])
    assert (stage.alarm.state, stage.alarm.escalations) == (D, 1)
    stage.walk([HOT])
    assert (stage.alarm.state, stage.alarm.escalations) == (B, 1)
    stage.walk([ACK])
    assert stage.alarm.escalations == 0


@SILENT
def test_the_end_of_a_silence_begins_the_time_anew(begin: Step, end: Step, told: str) -> None:
    stage = Stage(URGENT)
    stage.walk([HOT, HOT, begin])
    first = stage.told(HOT if end == FINE else end)
    assert [event.change for event in first] == [told]
    then = [[event.change for event in stage.told(HOT)] for _ in range(3)]
    assert then == [[], [], ["escalated"]]


@pytest.mark.parametrize("silence", [SHELVE, REMOVE, CLEANING, HOTTER], ids=[G, I, H, "superseded"])
def test_what_is_silenced_does_not_escalate(silence: Step) -> None:
    stage = Stage(URGENT)
    stage.walk([HOT, silence])
    stage.walk([HOTTER if silence == HOTTER else HOT] * 9)
    assert (stage.alarm.escalations, stage.alarm.unacknowledged_since) == (0, None)


def test_what_was_raised_underneath_a_worse_level_escalates_once_it_was_heard_for_so_long() -> None:
    stage = Stage(URGENT)
    stage.walk([HOTTER] * 9)
    told = [[event.change for event in stage.told(HOT)] for _ in range(4)]
    assert told == [["returned", "unsuppressed"], [], [], ["escalated"]]


OF_THREE: dict[str, tuple[Step, Step]] = {
    I: (REMOVE, RETURN),
    G: (SHELVE, UNSHELVE),
    H: (CLEANING, IN_USE),
}
WEIGHT = (I, G, H)


@pytest.mark.parametrize("begun", list(permutations(OF_THREE)), ids="-".join)
@pytest.mark.parametrize("ended", list(permutations(OF_THREE)), ids="-".join)
def test_the_three_stand_by_themselves_in_whatever_order(
    begun: Sequence[str], ended: Sequence[str]
) -> None:
    stage = Stage(HIGH)
    stage.walk([HOT, ACK])
    stand: set[str] = set()
    changes = [(each, True) for each in begun] + [(each, False) for each in ended]
    for each, begins in changes:
        version = stage.alarm.version
        stage.walk([OF_THREE[each][0 if begins else 1]])
        stand ^= {each}
        heaviest = next((state for state in WEIGHT if state in stand), B)
        assert stage.alarm.state == heaviest
        assert stage.alarm.version == version + 1
        assert stage.alarm.acknowledged is bool(stand)
        assert stage.alarm.annunciated is not bool(stand)
        stage.walk([HOT])
        assert stage.alarm.version == version + 1

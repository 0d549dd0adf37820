"""What an alarm tells, as stories: minute, what came in, what was told of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.rules import Escalation, High, Low, OffNormal, Rule, Silent, Stale, Unreadable
from drivers.reading import Quality, Reason
from monitor.alarms import engine
from monitor.alarms.facts import (
    NORMAL,
    Acknowledge,
    Act,
    Alarm,
    AlarmEvent,
    Condition,
    Confirm,
    Elapsed,
    Observation,
    RemoveFromService,
    Reset,
    ReturnToService,
    Shelve,
    State,
    Stimulus,
    Unshelve,
)
from tests.monitor.alarms.small_plant import MINUTE, minute

HIGH = High(name="high", limit=6.0, deadband=0.5)
SLOW = HIGH.model_copy(update={"on_delay": 5 * MINUTE, "off_delay": 3 * MINUTE})
LATCHING = HIGH.model_copy(update={"latching": True})
LOW = Low(name="low", limit=4.5, deadband=0.2)
UNREADABLE = Unreadable(on_delay=3 * MINUTE)
STALE = Stale(on_delay=3 * MINUTE)
SILENT = Silent(name="silent", on_delay=3 * MINUTE)
DOOR = OffNormal(name="open", off_normal=(True,))
HELD = OffNormal(off_normal=("held", "aborted"), on_delay=5 * MINUTE, off_delay=3 * MINUTE)
RUNNING = OffNormal(normal=("running", "ready"))

ACK, CONFIRM, RESET = Acknowledge(), Confirm(), Reset()
UNSHELVE, RETURN = Unshelve(), ReturnToService()
TIME = Elapsed()


def shelve(minutes: int) -> Shelve:
    return Shelve(minutes * MINUTE)


def once(minutes: int) -> Shelve:
    """A shelf until the return of the condition, at the latest after so many minutes."""
    return Shelve(minutes * MINUTE, one_shot=True)


def remove(minutes: int) -> RemoveFromService:
    return RemoveFromService(minutes * MINUTE)


def says(state: bool | str | None, quality: Quality = Quality.GOOD) -> Observation:
    """A state; None is one that could not be had."""
    return Observation(state, quality if state is not None else Quality.BAD)


def co2(value: float | None) -> Observation:
    """A reading in percent; None is one that could not be had."""
    if value is None:
        return Observation(None, Quality.BAD, Reason.REFUSED)
    return Observation(value, Quality.GOOD)


def doubtful(value: float) -> Observation:
    return Observation(value, Quality.UNCERTAIN, Reason.DEVICE_STATUS)


def repeated(value: float, quality: Quality = Quality.UNCERTAIN) -> Observation:
    return Observation(value, quality, Reason.LAST_USABLE)


def unproven(value: float) -> Observation:
    return Observation(value, Quality.UNCERTAIN, Reason.NOT_PROVEN)


def at(time: int, before: int, value: float | None = 5.0) -> Observation:
    """A reading with its source time and that of the one before."""
    quality = Quality.GOOD if value is not None else Quality.BAD
    return Observation(value, quality, None, time, before)


Story = list[tuple[float, Stimulus, str | None]]

STORIES: dict[str, tuple[Rule, Story]] = {
    "raised, seen, cleared": (
        HIGH,
        [(0, co2(7), "raised"), (1, ACK, "acknowledged"), (2, co2(5), "cleared")],
    ),
    "raised, gone by itself, seen afterwards": (
        HIGH,
        [(0, co2(7), "raised"), (1, co2(5), "returned"), (2, ACK, "acknowledged")],
    ),
    "the limit itself is not above the limit": (
        HIGH,
        [(0, co2(6.0), None), (1, co2(6.001), "raised")],
    ),
    "back at the edge of the deadband is not yet back": (
        HIGH,
        [
            (0, co2(7), "raised"),
            (1, co2(5.9), None),
            (2, co2(5.5), None),
            (3, co2(5.49), "returned"),
        ],
    ),
    "low is high in a mirror": (
        LOW,
        [
            (0, co2(4.5), None),
            (1, co2(4.4), "raised"),
            (2, co2(4.7), None),
            (3, co2(4.71), "returned"),
        ],
    ),
    "a blip shorter than the delay is not told": (
        SLOW,
        [(0, co2(7), None), (3, co2(5), None), (4, co2(7), None), (8, co2(7), None)],
    ),
    "a delay is over at the first scan at which it has elapsed": (
        SLOW,
        [(0, co2(7), None), (4.99, co2(7), None), (5, co2(7), "raised")],
    ),
    "a reading between deadband and limit restarts an on-delay": (
        SLOW,
        [
            (0, co2(7), None),
            (4, co2(5.9), None),
            (5, co2(7), None),
            (9, co2(7), None),
            (10, co2(7), "raised"),
        ],
    ),
    "an on-delay counts on while nothing can be read": (
        SLOW,
        [(0, co2(7), None), (1, co2(None), None), (6, co2(None), None), (7, co2(7), "raised")],
    ),
    "bad readings never raise, however long": (
        SLOW,
        [
            (0, co2(7), None),
            (1, co2(None), None),
            (60, co2(None), None),
            (61, TIME, None),
            (62, co2(5), None),
        ],
    ),
    "bad readings never clear, however long": (
        HIGH,
        [(0, co2(7), "raised"), (1, co2(None), None), (999, co2(None), None), (1000, TIME, None)],
    ),
    "a dead sensor keeps an alarm as it was until it speaks again": (
        HIGH,
        [(0, co2(7), "raised"), (1, co2(None), None), (2, co2(5), "returned")],
    ),
    "an off-delay is over at the first scan at which it has elapsed": (
        SLOW,
        [
            (0, co2(7), None),
            (5, co2(7), "raised"),
            (6, co2(5), None),
            (8.9, co2(5), None),
            (9, co2(5), "returned"),
        ],
    ),
    "a bad reading restarts an off-delay": (
        SLOW,
        [
            (0, co2(7), None),
            (5, co2(7), "raised"),
            (6, co2(5), None),
            (8, co2(None), None),
            (9, co2(5), None),
            (11, co2(5), None),
            (12, co2(5), "returned"),
        ],
    ),
    "a reading inside the deadband restarts an off-delay": (
        SLOW,
        [
            (0, co2(7), None),
            (5, co2(7), "raised"),
            (6, co2(5), None),
            (8, co2(5.8), None),
            (9, co2(5), None),
            (11, co2(5), None),
            (12, co2(5), "returned"),
        ],
    ),
    "an uncertain reading may raise": (HIGH, [(0, doubtful(7), "raised")]),
    "an uncertain reading never clears": (
        HIGH,
        [(0, co2(7), "raised"), (1, doubtful(5), None), (2, co2(5), "returned")],
    ),
    "an uncertain reading inside does not reset an on-delay": (
        SLOW,
        [(0, co2(7), None), (1, doubtful(5), None), (5, doubtful(7), "raised")],
    ),
    "a repeated old value is no value, whatever it is called": (
        HIGH,
        [
            (0, repeated(7), None),
            (1, repeated(7, Quality.GOOD), None),
            (2, co2(7), "raised"),
            (3, repeated(5, Quality.GOOD), None),
        ],
    ),
    "a value that is not proven to be of now is no value": (
        HIGH,
        [(0, unproven(7), None), (1, co2(7), "raised"), (2, unproven(5), None)],
    ),
    "a door opens and is closed": (
        DOOR,
        [
            (0, says(False), None),
            (1, says(True), "raised"),
            (2, ACK, "acknowledged"),
            (3, says(True), None),
            (4, says(False), "cleared"),
        ],
    ),
    "one off-normal state after another is one occurrence": (
        HELD,
        [
            (0, says("held"), None),
            (4, says("aborted"), None),
            (5, says("held"), "raised"),
            (6, says("aborted"), None),
            (7, says("running"), None),
            (9, says("held"), None),
            (10, says("running"), None),
            (13, says("running"), "returned"),
        ],
    ),
    "a normal state resets the on-delay of an off-normal one": (
        HELD,
        [(0, says("held"), None), (4, says("idle"), None), (5, says("held"), None)],
    ),
    "an on-delay of a state counts on while nothing can be read": (
        HELD,
        [(0, says("held"), None), (1, says(None), None), (6, says("held"), "raised")],
    ),
    "a state that cannot be read restarts an off-delay and clears nothing": (
        HELD,
        [
            (0, says("held"), None),
            (5, says("held"), "raised"),
            (6, says("running"), None),
            (8, says(None), None),
            (99, says(None), None),
            (100, says("running"), None),
            (103, says("running"), "returned"),
        ],
    ),
    "everything but what is normal is off-normal": (
        RUNNING,
        [
            (0, says("ready"), None),
            (1, says("a word of tomorrow"), "raised"),
            (2, says("running"), "returned"),
            (3, says(""), "raised_again"),
        ],
    ),
    "an uncertain state may raise and never clears": (
        DOOR,
        [
            (0, says(True, Quality.UNCERTAIN), "raised"),
            (1, says(False, Quality.UNCERTAIN), None),
            (2, says(False), "returned"),
        ],
    ),
    "a repeated old state is no state": (
        DOOR,
        [
            (0, Observation(True, Quality.GOOD, Reason.LAST_USABLE), None),
            (1, Observation(True, Quality.UNCERTAIN, Reason.NOT_PROVEN), None),
            (2, says(True), "raised"),
        ],
    ),
    "a latching door waits for its reset": (
        DOOR.model_copy(update={"latching": True}),
        [
            (0, says(True), "raised"),
            (1, says(False), "returned"),
            (2, ACK, "acknowledged"),
            (3, RESET, "reset"),
        ],
    ),
    "not a number is no value": (
        HIGH,
        [(0, co2(float("nan")), None), (1, co2(7), "raised"), (2, co2(float("nan")), None)],
    ),
    "time alone makes a delay due after a good reading": (
        SLOW,
        [
            (0, co2(7), None),
            (4, TIME, None),
            (5, TIME, "raised"),
            (6, co2(5), None),
            (9, TIME, "returned"),
        ],
    ),
    "another occurrence while the first is not acknowledged": (
        HIGH,
        [
            (0, co2(7), "raised"),
            (1, co2(5), "returned"),
            (2, co2(7), "raised_again"),
            (3, co2(5), "returned"),
            (4, ACK, "acknowledged"),
            (5, co2(7), "raised"),
        ],
    ),
    "a latched alarm waits for acknowledgement and reset": (
        LATCHING,
        [
            (0, co2(7), "raised"),
            (1, co2(5), "returned"),
            (2, RESET, None),
            (3, ACK, "acknowledged"),
            (4, RESET, "reset"),
        ],
    ),
    "a latched alarm that was acknowledged before waits for reset alone": (
        LATCHING,
        [
            (0, co2(7), "raised"),
            (1, ACK, "acknowledged"),
            (2, co2(5), "returned"),
            (3, ACK, None),
            (4, RESET, "reset"),
        ],
    ),
    "a latched alarm comes again": (
        LATCHING,
        [
            (0, co2(7), "raised"),
            (1, ACK, "acknowledged"),
            (2, co2(5), "returned"),
            (3, co2(7), "raised_again"),
        ],
    ),
    "a shelf ends by itself and the alarm is told anew": (
        HIGH,
        [
            (0, co2(7), "raised"),
            (1, ACK, "acknowledged"),
            (2, shelve(10), "shelved"),
            (11.9, co2(7), None),
            (12, co2(7), "unshelved"),
        ],
    ),
    "a shelf ends on its hour though nothing can be read": (
        HIGH,
        [(0, shelve(10), "shelved"), (9, co2(None), None), (10, co2(None), "unshelved")],
    ),
    "under a shelf the alarm goes on, and says so": (
        HIGH,
        [
            (0, shelve(10), "shelved"),
            (1, co2(7), "raised"),
            (2, ACK, None),
            (3, co2(5), "cleared"),
            (4, UNSHELVE, "unshelved"),
        ],
    ),
    "shelving again sets a new end": (
        HIGH,
        [
            (0, shelve(10), "shelved"),
            (5, shelve(10), "shelved"),
            (10, co2(5), None),
            (15, co2(5), "unshelved"),
        ],
    ),
    "unreadable after its delay, and readable again": (
        UNREADABLE,
        [
            (0, co2(None), None),
            (2, co2(None), None),
            (3, co2(None), "raised"),
            (4, co2(5), "returned"),
        ],
    ),
    "one reading in between begins the count of unreadable anew": (
        UNREADABLE,
        [
            (0, co2(None), None),
            (2, co2(5), None),
            (3, co2(None), None),
            (5, co2(None), None),
            (6, co2(None), "raised"),
        ],
    ),
    "a reading lost to the line begins no unreadable condition": (
        UNREADABLE,
        [
            (0, Condition(None), None),
            (9, Condition(None), None),
            (10, co2(None), None),
            (12, co2(None), None),
            (13, co2(None), "raised"),
        ],
    ),
    "an unreadable condition goes on while the line is lost": (
        UNREADABLE,
        [
            (0, co2(None), None),
            (1, Condition(None), None),
            (9, Condition(None), None),
            (10, co2(None), "raised"),
            (11, Condition(None), None),
        ],
    ),
    "a repeated old value is unreadable": (
        UNREADABLE,
        [(0, repeated(5), None), (3, repeated(5), "raised"), (4, doubtful(5), "returned")],
    ),
    "stale when the source time stands still": (
        STALE,
        [
            (0, at(2, 1), None),
            (1, at(2, 2), None),
            (3, at(2, 2), None),
            (4, at(2, 2), "raised"),
            (5, at(3, 2), "returned"),
        ],
    ),
    "a bad reading says nothing of staleness": (
        STALE,
        [
            (0, at(2, 2), None),
            (1, at(3, 2, None), None),
            (3, at(2, 2), "raised"),
            (4, at(3, 2, None), None),
        ],
    ),
    "a reading without a source time says nothing of staleness": (
        STALE,
        [(0, co2(5), None), (9, co2(5), None)],
    ),
    "a silent unit": (
        SILENT,
        [
            (0, Condition(holds=True), None),
            (2, Condition(None), None),
            (3, Condition(None), None),
            (4, Condition(holds=True), "raised"),
            (5, Condition(None), None),
            (6, Condition(holds=False), "returned"),
        ],
    ),
    "a level says nothing of text": (HIGH, [(0, Observation("open", Quality.GOOD), None)]),
    "a value says nothing of silence": (SILENT, [(0, co2(7), None), (9, co2(7), None)]),
}


def tell(
    rule: Rule, alarm: Alarm, stimulus: Stimulus, minutes: float
) -> tuple[Alarm, list[AlarmEvent]]:
    """One grid point, as the board does it: the stimulus, then what is over."""
    judged = engine.step(rule, alarm, stimulus, minute(minutes))
    lapsed = engine.lapse(rule, judged, minute(minutes))
    after = engine.lapse(rule, lapsed, minute(minutes))
    pairs = ((alarm, judged), (judged, lapsed), (lapsed, after))
    events = (engine.transition("a/b/c", one, two, minute(minutes)) for one, two in pairs)
    return after, [event for event in events if event]


@pytest.mark.parametrize(("rule", "story"), STORIES.values(), ids=STORIES)
def test_story(rule: Rule, story: Story) -> None:
    alarm = NORMAL
    for minutes, stimulus, told in story:
        alarm, events = tell(rule, alarm, stimulus, minutes)
        assert [event.change.value for event in events] == ([told] if told else []), minutes


A, B, C, D = "normal", "unacknowledged", "acknowledged", "returned"
E, F, G = "latched_unacknowledged", "latched_acknowledged", "shelved"

PATHS: dict[str, list[Stimulus]] = {
    A: [],
    B: [co2(7)],
    C: [co2(7), ACK],
    D: [co2(7), co2(5)],
    E: [co2(7), co2(5)],
    F: [co2(7), ACK, co2(5)],
}
"""How to come to a state."""

TRANSITIONS: list[tuple[str, Stimulus, str, str | None]] = [
    # from, what, to, told
    (A, co2(7), B, "raised"),
    (A, co2(5), A, None),
    (A, co2(None), A, None),
    (A, ACK, A, None),
    (A, RESET, A, None),
    (A, shelve(9), G, "shelved"),
    (A, UNSHELVE, A, None),
    (B, ACK, C, "acknowledged"),
    (B, co2(7), B, None),
    (B, co2(5), D, "returned"),
    (B, co2(None), B, None),
    (B, RESET, B, None),
    (B, shelve(9), G, "shelved"),
    (C, co2(5), A, "cleared"),
    (C, co2(None), C, None),
    (C, ACK, C, None),
    (C, RESET, C, None),
    (C, shelve(9), G, "shelved"),
    (D, ACK, A, "acknowledged"),
    (D, co2(7), B, "raised_again"),
    (D, co2(5), D, None),
    (D, RESET, D, None),
    (D, shelve(9), G, "shelved"),
    (E, ACK, F, "acknowledged"),
    (E, RESET, E, None),
    (E, co2(7), B, "raised_again"),
    (E, co2(5), E, None),
    (E, shelve(9), G, "shelved"),
    (F, RESET, A, "reset"),
    (F, ACK, F, None),
    (F, co2(7), B, "raised_again"),
    (F, shelve(9), G, "shelved"),
]


@pytest.mark.parametrize(("start", "stimulus", "end", "told"), TRANSITIONS)
def test_each_transition_of_the_state_diagram(
    start: str, stimulus: Stimulus, end: str, told: str | None
) -> None:
    rule = LATCHING if start in {E, F} else HIGH
    alarm = NORMAL
    for minutes, step in enumerate(PATHS[start]):
        alarm, _ = tell(rule, alarm, step, minutes)
    assert alarm.state == start
    after, events = tell(rule, alarm, stimulus, 10)
    assert after.state == end
    assert [(e.change, e.before, e.after) for e in events] == ([(told, start, end)] if told else [])


@pytest.mark.parametrize("start", [A, B, C, D, E, F])
def test_leaving_a_shelf_tells_anew_only_what_still_holds(start: str) -> None:
    rule = LATCHING if start in {E, F} else HIGH
    alarm = NORMAL
    for minutes, step in enumerate([*PATHS[start], shelve(5), UNSHELVE]):
        alarm, _ = tell(rule, alarm, step, minutes)
    assert alarm.state == {C: B}.get(start, start)


REFUSALS: list[tuple[str, Act, str]] = [
    (A, ACK, "illegal_transition"),
    (C, ACK, "already_done"),
    (F, ACK, "already_done"),
    (A, RESET, "illegal_transition"),
    (B, RESET, "illegal_transition"),
    (D, RESET, "illegal_transition"),
    (E, RESET, "illegal_transition"),
    (A, UNSHELVE, "already_done"),
    (A, shelve(0), "illegal_transition"),
    (B, shelve(24 * 60 + 1), "too_long"),
    (B, once(24 * 60 + 1), "too_long"),
    (A, CONFIRM, "illegal_transition"),
    (B, CONFIRM, "illegal_transition"),
    (C, CONFIRM, "illegal_transition"),
    (A, RETURN, "already_done"),
    (A, remove(0), "illegal_transition"),
    (B, remove(30 * 24 * 60 + 1), "too_long"),
]


@pytest.mark.parametrize(("start", "act", "word"), REFUSALS)
def test_an_act_that_makes_no_sense_is_refused_and_changes_nothing(
    start: str, act: Act, word: str
) -> None:
    rule = LATCHING if start in {E, F} else HIGH
    alarm = NORMAL
    for minutes, step in enumerate(PATHS[start]):
        alarm, _ = tell(rule, alarm, step, minutes)
    refusal = engine.refuse(rule, alarm, act)
    assert refusal is not None
    assert refusal.word == word
    assert engine.step(rule, alarm, act, minute(10)) is alarm


def test_a_day_is_the_longest_shelf_where_the_rule_says_nothing_else() -> None:
    assert engine.refuse(HIGH, NORMAL, shelve(24 * 60)) is None
    critical = HIGH.model_copy(
        update={"longest_shelf": 120 * MINUTE, "alarm_class": "gmp-critical"}
    )
    assert engine.refuse(critical, NORMAL, once(120)) is None
    refusal = engine.refuse(critical, NORMAL, shelve(121))
    assert refusal == ("too_long", "shelve an alarm of class gmp-critical for 2h at most")


def test_what_may_not_be_shelved_says_so() -> None:
    never = HIGH.model_copy(update={"shelvable": False})
    refusal = engine.refuse(never, NORMAL, shelve(1))
    assert refusal == ("not_shelvable", "an alarm by the rule high may not be shelved")
    assert engine.refuse(never, NORMAL, remove(1)) is None


def test_a_month_is_the_longest_removal_from_service() -> None:
    assert engine.refuse(HIGH, NORMAL, remove(30 * 24 * 60)) is None
    refusal = engine.refuse(HIGH, NORMAL, remove(30 * 24 * 60 + 1))
    assert refusal == ("too_long", "remove an alarm from service for 30d at most")


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ([], "illegal_transition"),
        ([co2(7)], "illegal_transition"),
        ([co2(7), co2(5)], "illegal_transition"),
        ([co2(7), ACK], None),
        ([co2(7), co2(5), ACK], None),
        ([co2(7), ACK, CONFIRM], "already_done"),
        ([co2(7), ACK, CONFIRM, co2(5)], "illegal_transition"),
    ],
)
def test_an_alarm_is_confirmed_once_and_after_its_acknowledgement(
    path: list[Stimulus], word: str | None
) -> None:
    rule, alarm = HIGH.model_copy(update={"confirm": True}), NORMAL
    for minutes, stimulus in enumerate(path):
        alarm, _ = tell(rule, alarm, stimulus, minutes)
    refusal = engine.refuse(rule, alarm, CONFIRM)
    assert (refusal.word if refusal else None) == word


def test_the_condition_is_older_than_the_scan_that_decided() -> None:
    alarm = NORMAL
    for minutes, stimulus in [(0, co2(5)), (1, co2(6.5)), (2, co2(None)), (3, co2(8)), (6, co2(7))]:
        alarm, _ = tell(SLOW, alarm, stimulus, minutes)
    assert (alarm.condition_start, alarm.alarm_time) == (minute(1), minute(6))
    assert (alarm.value, alarm.peak, alarm.peak_at) == (7, 8, minute(3).at)


def test_the_value_of_an_off_normal_alarm_is_the_state_that_raised_it_and_no_peak() -> None:
    alarm = NORMAL
    for minutes, state in [(0, "held"), (4, "aborted"), (5, "held"), (6, "aborted")]:
        alarm, _ = tell(HELD, alarm, says(state), minutes)
    assert (alarm.value, alarm.peak, alarm.peak_at) == ("held", None, None)
    assert (alarm.condition_start, alarm.alarm_time) == (minute(0), minute(5))


@pytest.mark.parametrize(("rule", "state"), [(HELD, "aborted"), (DOOR, True)])
def test_a_state_that_falls_due_on_anothers_word_is_still_told(
    rule: OffNormal, state: bool | str
) -> None:
    slow = rule.model_copy(update={"on_delay": 5 * MINUTE})
    pending, _ = tell(slow, NORMAL, says(state), 0)
    raised, events = tell(slow, pending, TIME, 5)
    assert [event.change.value for event in events] == ["raised"]
    assert raised.value == state


def test_what_is_pending_leaves_the_last_occurrence_as_it_was() -> None:
    alarm = NORMAL
    story = [(0, co2(8)), (5, co2(8)), (6, co2(5)), (9, co2(5)), (10, co2(7)), (11, co2(5))]
    for minutes, stimulus in story:
        alarm, _ = tell(SLOW, alarm, stimulus, minutes)
    assert (alarm.condition_start, alarm.peak) == (minute(0), 8)
    assert alarm.pending is None


def test_each_raise_is_an_occurrence_of_its_own() -> None:
    alarm = NORMAL
    story: list[Stimulus] = [co2(7), co2(5), co2(7), ACK, co2(5), co2(7)]
    for minutes, stimulus in enumerate(story):
        alarm, _ = tell(HIGH, alarm, stimulus, minutes)
    assert alarm.occurrence == 3


def test_an_alarm_is_raised_underneath_a_worse_one_without_being_annunciated() -> None:
    gated = engine.gate(HIGH, NORMAL, "", "a/b/high-high", minute(0))
    after = engine.step(HIGH, gated, co2(7), minute(0))
    event = engine.transition("a/b/high", gated, after, minute(0))
    assert event is not None
    assert (event.before, event.after) == (State.NORMAL, State.SUPPRESSED)
    assert not event.alarm.annunciated
    assert engine.gate(HIGH, after, "", "", minute(2)).state is State.UNACKNOWLEDGED


def test_leaving_supersession_keeps_an_acknowledgement_and_leaving_suppression_does_not() -> None:
    seen = engine.step(HIGH, engine.step(HIGH, NORMAL, co2(7), minute(0)), ACK, minute(1))
    superseded = engine.gate(HIGH, seen, "", "worse", minute(2))
    suppressed = engine.gate(HIGH, seen, "cause", "", minute(2))
    assert engine.gate(HIGH, superseded, "", "", minute(3)).state is State.ACKNOWLEDGED
    assert engine.gate(HIGH, suppressed, "", "", minute(3)).state is State.UNACKNOWLEDGED
    assert engine.gate(HIGH, suppressed, "another cause", "", minute(3)).state is State.SUPPRESSED


VALUES = st.sampled_from([4.0, 5.49, 5.5, 5.9, 6.0, 6.1, 8.0])
STIMULI: st.SearchStrategy[Stimulus] = st.one_of(
    VALUES.map(co2),
    VALUES.map(doubtful),
    VALUES.map(repeated),
    st.just(co2(None)),
    st.sampled_from([ACK, CONFIRM, RESET, UNSHELVE, shelve(4), once(4), TIME, Condition(None)]),
    st.sampled_from([remove(3), RETURN]),
)
RULES = st.builds(
    lambda **how: HIGH.model_copy(update=how),  # noqa: PLW0108 - model_copy takes no fields by name
    deadband=st.sampled_from([0.0, 0.5]),
    on_delay=st.sampled_from([0, 2 * MINUTE, 5 * MINUTE]),
    off_delay=st.sampled_from([0, 3 * MINUTE]),
    latching=st.booleans(),
    confirm=st.booleans(),
    re_alarm=st.sampled_from([None, 3 * MINUTE]),
    escalate=st.sampled_from([(), Escalation(after=4 * MINUTE)]),
)


@given(RULES, st.lists(STIMULI, max_size=40))
def test_events_form_an_unbroken_chain_and_are_counted(rule: High, story: list[Stimulus]) -> None:
    """Whoever follows the events knows the state: nothing is told twice or left out."""
    alarm, known, count = NORMAL, State.NORMAL, 0
    for minutes, stimulus in enumerate(story):
        alarm, events = tell(rule, alarm, stimulus, minutes)
        for event in events:
            assert event.before is known
            known, count = event.after, count + 1
            assert event.alarm.version == count
        assert known is alarm.state
    assert alarm.version == count


@given(RULES, st.lists(STIMULI, max_size=40))
def test_only_a_good_reading_ends_an_occurrence_and_only_a_usable_one_begins_it(
    rule: High, story: list[Stimulus]
) -> None:
    alarm, good = NORMAL, False
    for minutes, stimulus in enumerate(story):
        after, _ = tell(rule, alarm, stimulus, minutes)
        match stimulus:
            case Observation():
                good = stimulus.quality is Quality.GOOD
                usable = good or (
                    stimulus.quality is Quality.UNCERTAIN
                    and stimulus.reason is Reason.DEVICE_STATUS
                )
            case Condition():
                good = usable = False
            case Elapsed():
                usable = True
            case _:
                usable = good = False
        if alarm.active and not after.active:
            assert good or isinstance(stimulus, Elapsed)
        if after.occurrence > alarm.occurrence:
            assert usable
        alarm = after


@given(st.integers(0, 20), st.lists(st.booleans(), min_size=1, max_size=30))
def test_an_alarm_is_raised_exactly_at_the_first_scan_at_which_it_is_due(
    delay: int, readable: list[bool]
) -> None:
    rule = HIGH.model_copy(update={"on_delay": delay * MINUTE})
    alarm = NORMAL
    first = next((m for m, good in enumerate(readable) if good), None)
    due = (
        m for m, good in enumerate(readable) if good and first is not None and m - first >= delay
    )
    expected = next(due, None)
    for minutes, good in enumerate(readable):
        alarm, events = tell(rule, alarm, co2(7 if good else None), minutes)
        assert [e.change.value for e in events] == (["raised"] if minutes == expected else [])

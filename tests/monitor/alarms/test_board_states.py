"""Acts, states and phases as stories, and that no restart, reboot or clock step changes them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import pytest

from config.rules import (
    EquipmentState,
    Escalation,
    High,
    Low,
    Priority,
    Silent,
    Suppression,
    Unreadable,
    When,
)
from drivers.reading import Cause, Moment, Scan
from monitor.alarms import snapshot
from monitor.alarms.board import NOTHING, Board
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
from tests.monitor.alarms.small_plant import SECOND, channel, lost, moment, plant, scan, source

IN_USE = Circumstances()
CLEANING = Circumstances(EquipmentState.CLEANING)
TOO_LONG = CLEANING._replace(suppresses=False)
WARMING_UP = Circumstances(EquipmentState.WARMING_UP)
MAINTENANCE = Circumstances(EquipmentState.MAINTENANCE)
TRANSDUCTION = Circumstances(phase="transduction")

HIGH = High(
    limit=37.5,
    deadband=0.1,
    confirm=True,
    re_alarm=10 * SECOND,
    escalate=Escalation(after=200 * SECOND),
    when=(
        When(phases=("transduction",), limit=34.5),
        When(states=(EquipmentState.WARMING_UP,), off=True),
    ),
)
WORSE = High(
    name="high-high",
    limit=39.0,
    latching=True,
    escalate=(
        Escalation(after=300 * SECOND),
        Escalation(after=600 * SECOND, to=Priority.CRITICAL),
    ),
    when=(When(phases=("rinse",), off=True), When(phases=("soak",), limit=37.0)),
)
LOW = Low(
    limit=30.0,
    escalate=Escalation(after=300 * SECOND),
    when=(When(states=(EquipmentState.CLEANING,), limit=10.0, on_delay=0),),
)
UNREADABLE = Unreadable(on_delay=5 * SECOND)
PLANT = replace(
    plant(
        source(
            0,
            "inc",
            "probe",
            "bus",
            [channel("temp", HIGH, WORSE, UNREADABLE), channel("co2", LOW)],
            Silent(
                name="silent-probe",
                on_delay=3 * SECOND,
                re_alarm=4 * SECOND,
                escalate=Escalation(after=100 * SECOND),
            ),
        )
    ),
    suppression={
        EquipmentState.CLEANING: Suppression(suppress=("temp",), longest=3600 * SECOND),
        EquipmentState.MAINTENANCE: Suppression(suppress=("*",), longest=3600 * SECOND),
    },
)
H, HH, L, UNREAD = "inc/temp/high", "inc/temp/high-high", "inc/co2/low", "inc/temp/unreadable"
LINE, PROBE = "gateway/_/line-bus", "inc/_/silent-probe"

Step = Scan | tuple[float, str, Act] | tuple[float, Circumstances]
Story = Sequence[tuple[Step, Sequence[str]]]


def temp(seconds: float, value: float | None) -> Scan:
    return scan(seconds, value, 35.0)


def co2(seconds: float, value: float) -> Scan:
    return scan(seconds, 30.0, value)


def off(seconds: float) -> Scan:
    return lost(seconds, Cause.LINE, 2)


def mute(seconds: float) -> Scan:
    return lost(seconds, Cause.SOURCE, 2)


def ack(seconds: float, name: str) -> Step:
    return seconds, name, Acknowledge()


def shelve(seconds: float, name: str, duration: int, *, one_shot: bool = False) -> Step:
    return seconds, name, Shelve(duration * SECOND, one_shot)


def remove(seconds: float, name: str, duration: int) -> Step:
    return seconds, name, RemoveFromService(duration * SECOND)


STORIES: dict[str, Story] = {
    "acknowledged, confirmed and gone": [
        (temp(0, 38.0), [f"{H} raised -> unacknowledged"]),
        (ack(1, H), [f"{H} acknowledged -> acknowledged"]),
        ((2, H, Confirm()), [f"{H} confirmed -> acknowledged"]),
        (temp(3, 37.0), [f"{H} cleared -> normal"]),
    ],
    "gone, and confirmed afterwards": [
        (temp(0, 38.0), [f"{H} raised -> unacknowledged"]),
        (temp(1, 37.0), [f"{H} returned -> returned"]),
        (ack(2, H), [f"{H} acknowledged -> unconfirmed"]),
        (temp(3, 37.0), []),
        ((4, H, Confirm()), [f"{H} confirmed -> normal"]),
    ],
    "it asks anew through readings that cannot be used": [
        (temp(0, 38.0), [f"{H} raised -> unacknowledged"]),
        (ack(1, H), [f"{H} acknowledged -> acknowledged"]),
        (temp(2, None), []),
        (temp(7, None), [f"{UNREAD} raised -> unacknowledged"]),
        (temp(10, None), []),
        (temp(11, None), [f"{H} re_alarmed -> unacknowledged"]),
        (temp(30, None), []),
        (ack(31, H), [f"{H} acknowledged -> acknowledged"]),
        (temp(41, 38.0), [f"{H} re_alarmed -> unacknowledged", f"{UNREAD} returned -> returned"]),
    ],
    "it asks anew while the line is lost, until the line speaks for it": [
        (temp(0, 38.0), [f"{H} raised -> unacknowledged"]),
        (ack(1, H), [f"{H} acknowledged -> acknowledged"]),
        (off(10), []),
        (off(11), [f"{H} re_alarmed -> unacknowledged"]),
        (ack(11.5, H), [f"{H} acknowledged -> acknowledged"]),
        (off(12), [f"{LINE} raised -> unacknowledged", f"{H} suppressed -> suppressed"]),
        (off(30), []),
        (temp(31, 38.0), [f"{LINE} returned -> returned", f"{H} unsuppressed -> unacknowledged"]),
    ],
    "a silent unit asks anew": [
        (mute(0), []),
        (mute(3), [f"{PROBE} raised -> unacknowledged"]),
        (ack(4, PROBE), [f"{PROBE} acknowledged -> acknowledged"]),
        (mute(7), []),
        (mute(8), [f"{PROBE} re_alarmed -> unacknowledged"]),
    ],
    "nobody acknowledges it": [
        (temp(0, 39.5), [f"{HH} raised -> unacknowledged", f"{H} raised -> suppressed"]),
        (temp(299, 39.5), []),
        (temp(300, None), [f"{HH} escalated -> unacknowledged"]),
        (temp(310, 39.5), []),
        (temp(599, 39.5), []),
        (temp(601, 39.5), [f"{HH} escalated -> unacknowledged"]),
        (temp(9999, 39.5), []),
        (ack(10_000, HH), [f"{HH} acknowledged -> acknowledged"]),
        (temp(20_000, 39.5), []),
    ],
    "it comes and goes, and nobody acknowledges it": [
        (co2(0, 20.0), [f"{L} raised -> unacknowledged"]),
        (co2(100, 35.0), [f"{L} returned -> returned"]),
        (co2(200, 20.0), [f"{L} raised_again -> unacknowledged"]),
        (co2(250, 35.0), [f"{L} returned -> returned"]),
        (co2(300, 35.0), []),
        (co2(350, 20.0), [f"{L} raised_again -> unacknowledged"]),
        (co2(351, 20.0), [f"{L} escalated -> unacknowledged"]),
        (co2(352, 35.0), [f"{L} returned -> returned"]),
        (co2(353, 20.0), [f"{L} raised_again -> unacknowledged"]),
        (co2(1000, 20.0), []),
    ],
    "what is latched escalates though it is gone": [
        (temp(0, 39.5), [f"{HH} raised -> unacknowledged", f"{H} raised -> suppressed"]),
        (ack(1, H), [f"{H} acknowledged -> suppressed"]),
        (
            temp(2, 30.0),
            [
                f"{HH} returned -> latched_unacknowledged",
                f"{H} returned -> suppressed",
                f"{H} unsuppressed -> unconfirmed",
            ],
        ),
        (temp(300, 30.0), [f"{HH} escalated -> latched_unacknowledged"]),
        (ack(301, HH), [f"{HH} acknowledged -> latched_acknowledged"]),
        (temp(2000, 30.0), []),
    ],
    "steps that fell due while nothing was heard are one": [
        (temp(0, 39.5), [f"{HH} raised -> unacknowledged", f"{H} raised -> suppressed"]),
        (temp(5000, 39.5), [f"{HH} escalated -> unacknowledged"]),
        (temp(5001, 39.5), []),
    ],
    "who silences it lets its time begin anew": [
        (co2(0, 20.0), [f"{L} raised -> unacknowledged"]),
        (shelve(200, L, 50), [f"{L} shelved -> shelved"]),
        (co2(250, 20.0), [f"{L} unshelved -> unacknowledged"]),
        (co2(549, 20.0), []),
        (co2(550, 20.0), [f"{L} escalated -> unacknowledged"]),
        (remove(551, L, 600), [f"{L} removed_from_service -> out_of_service"]),
        (co2(1151, 20.0), [f"{L} returned_to_service -> unacknowledged"]),
        (co2(9999, 20.0), []),
    ],
    "the worse level speaks for it, and then no longer": [
        (temp(0, 38.0), [f"{H} raised -> unacknowledged"]),
        (temp(100, 39.5), [f"{HH} raised -> unacknowledged", f"{H} suppressed -> suppressed"]),
        (ack(101, HH), [f"{HH} acknowledged -> acknowledged"]),
        (temp(250, 39.5), []),
        (
            temp(260, 38.0),
            [f"{HH} returned -> latched_acknowledged", f"{H} unsuppressed -> unacknowledged"],
        ),
        (temp(459, 38.0), []),
        (temp(460, 38.0), [f"{H} escalated -> unacknowledged"]),
    ],
    "a silent unit escalates, and so does what re-alarms": [
        (mute(0), []),
        (mute(3), [f"{PROBE} raised -> unacknowledged"]),
        (mute(103), [f"{PROBE} escalated -> unacknowledged"]),
        (ack(104, PROBE), [f"{PROBE} acknowledged -> acknowledged"]),
        (mute(108), [f"{PROBE} re_alarmed -> unacknowledged"]),
        (mute(207), []),
        (mute(208), [f"{PROBE} escalated -> unacknowledged"]),
    ],
    "a one-shot shelf ends with the occurrence": [
        (temp(0, 38.0), [f"{H} raised -> unacknowledged"]),
        (shelve(1, H, 60, one_shot=True), [f"{H} shelved -> shelved"]),
        (temp(2, 38.0), []),
        (temp(3, 37.0), [f"{H} returned -> shelved", f"{H} unshelved -> returned"]),
        (temp(4, 38.0), [f"{H} raised_again -> unacknowledged"]),
    ],
    "a one-shot shelf before its occurrence, and one whose time is over": [
        (shelve(0, H, 60, one_shot=True), [f"{H} shelved -> shelved"]),
        (temp(1, 38.0), [f"{H} raised -> shelved"]),
        (temp(2, 37.0), [f"{H} cleared -> shelved", f"{H} unshelved -> normal"]),
        (shelve(3, H, 5, one_shot=True), [f"{H} shelved -> shelved"]),
        (temp(7, 37.0), []),
        (temp(8, 37.0), [f"{H} unshelved -> normal"]),
    ],
    "a shelf of a kind becomes one of the other kind": [
        (shelve(0, H, 60), [f"{H} shelved -> shelved"]),
        (shelve(0, H, 60, one_shot=True), [f"{H} shelved -> shelved"]),
    ],
    "out of service, and back after its time": [
        (temp(0, 38.0), [f"{H} raised -> unacknowledged"]),
        (remove(1, H, 10), [f"{H} removed_from_service -> out_of_service"]),
        (temp(2, 37.0), [f"{H} returned -> out_of_service"]),
        (temp(3, 38.0), [f"{H} raised_again -> out_of_service"]),
        (off(10), []),
        (temp(11, 38.0), [f"{H} returned_to_service -> unacknowledged"]),
    ],
    "a shelf and a removal that end at the same instant": [
        (temp(0, 38.0), [f"{H} raised -> unacknowledged"]),
        (ack(1, H), [f"{H} acknowledged -> acknowledged"]),
        (remove(2, H, 10), [f"{H} removed_from_service -> out_of_service"]),
        (shelve(2, H, 10), [f"{H} shelved -> out_of_service"]),
        (
            temp(12, 38.0),
            [
                f"{H} unshelved -> out_of_service",
                f"{H} returned_to_service -> unacknowledged",
            ],
        ),
    ],
    "a level that is out of service speaks for nobody": [
        (temp(0, 39.5), [f"{HH} raised -> unacknowledged", f"{H} raised -> suppressed"]),
        (
            remove(1, HH, 60),
            [f"{HH} removed_from_service -> out_of_service", f"{H} unsuppressed -> unacknowledged"],
        ),
        (
            (2, HH, ReturnToService()),
            [f"{HH} returned_to_service -> unacknowledged", f"{H} suppressed -> suppressed"],
        ),
    ],
    "a sterilisation raises nothing that is heard, and leaves nothing to do": [
        ((0, CLEANING), []),
        (temp(1, 90.0), [f"{HH} raised -> suppressed", f"{H} raised -> suppressed"]),
        (temp(2, 90.0), []),
        (temp(3, 30.0), [f"{HH} cleared -> normal", f"{H} cleared -> normal"]),
        ((4, IN_USE), []),
        (temp(5, 30.0), []),
    ],
    "a state that is left while the condition holds": [
        ((0, CLEANING), []),
        (temp(1, 38.0), [f"{H} raised -> suppressed"]),
        ((2, IN_USE), [f"{H} unsuppressed -> unacknowledged"]),
    ],
    "a state that has lasted too long": [
        (temp(0, 38.0), [f"{H} raised -> unacknowledged"]),
        (ack(1, H), [f"{H} acknowledged -> acknowledged"]),
        ((2, CLEANING), [f"{H} suppressed -> suppressed"]),
        (temp(30, 38.0), []),
        ((31, TOO_LONG), [f"{H} unsuppressed -> unacknowledged"]),
        ((32, IN_USE), []),
    ],
    "from one state to another nothing is annunciated": [
        (temp(0, 38.0), [f"{H} raised -> unacknowledged"]),
        ((1, CLEANING), [f"{H} suppressed -> suppressed"]),
        ((2, MAINTENANCE), [f"{H} suppressed -> suppressed"]),
        ((3, IN_USE), [f"{H} unsuppressed -> unacknowledged"]),
    ],
    "a cause speaks first, and then the state again": [
        ((0, CLEANING), []),
        (temp(1, 38.0), [f"{H} raised -> suppressed"]),
        (off(2), []),
        (off(4), [f"{LINE} raised -> unacknowledged", f"{H} suppressed -> suppressed"]),
        (temp(5, 38.0), [f"{LINE} returned -> returned", f"{H} suppressed -> suppressed"]),
        ((6, IN_USE), [f"{H} unsuppressed -> unacknowledged"]),
    ],
    "a state that is left while the line is lost": [
        ((0, CLEANING), []),
        (temp(1, 38.0), [f"{H} raised -> suppressed"]),
        (off(2), []),
        (off(4), [f"{LINE} raised -> unacknowledged", f"{H} suppressed -> suppressed"]),
        ((5, IN_USE), []),
        (temp(6, 38.0), [f"{LINE} returned -> returned", f"{H} unsuppressed -> unacknowledged"]),
    ],
    "the silent unit of an equipment in maintenance": [
        (mute(0), []),
        (mute(3), [f"{PROBE} raised -> unacknowledged"]),
        ((4, MAINTENANCE), [f"{PROBE} suppressed -> suppressed"]),
        (temp(5, 37.0), [f"{PROBE} returned -> suppressed"]),
        (mute(6), []),
        (mute(9), [f"{PROBE} raised_again -> suppressed"]),
        ((10, IN_USE), [f"{PROBE} unsuppressed -> unacknowledged"]),
    ],
    "a limit that becomes another one decides with the next reading": [
        (temp(0, 36.0), []),
        ((1, TRANSDUCTION), []),
        (temp(2, 36.0), [f"{H} raised -> unacknowledged"]),
        ((3, IN_USE), []),
        (temp(4, 36.0), [f"{H} returned -> returned"]),
        ((5, TRANSDUCTION), []),
        (temp(6, 36.0), [f"{H} raised_again -> unacknowledged"]),
    ],
    "a limit that is switched off, and on again": [
        (temp(0, 38.0), [f"{H} raised -> unacknowledged"]),
        (ack(1, H), [f"{H} acknowledged -> acknowledged"]),
        ((2, WARMING_UP), [f"{H} suppressed -> suppressed"]),
        (temp(3, 37.0), [f"{H} returned -> suppressed"]),
        (temp(4, 38.0), [f"{H} raised_again -> suppressed"]),
        ((5, IN_USE), [f"{H} unsuppressed -> unacknowledged"]),
    ],
    "a level that is off does not supersede": [
        (temp(0, 39.5), [f"{HH} raised -> unacknowledged", f"{H} raised -> suppressed"]),
        (
            (1, Circumstances(phase="rinse")),
            [f"{HH} suppressed -> suppressed", f"{H} unsuppressed -> unacknowledged"],
        ),
        (
            (2, IN_USE),
            [f"{HH} unsuppressed -> unacknowledged", f"{H} suppressed -> suppressed"],
        ),
    ],
    "which level is the worse one follows the limits": [
        ((0, Circumstances(phase="soak")), []),
        (temp(1, 37.2), [f"{HH} raised -> unacknowledged"]),
        (temp(2, 38.0), [f"{H} raised -> unacknowledged", f"{HH} suppressed -> suppressed"]),
        ((3, IN_USE), [f"{HH} unsuppressed -> unacknowledged", f"{H} suppressed -> suppressed"]),
        (
            temp(4, 38.0),
            [f"{HH} returned -> latched_unacknowledged", f"{H} unsuppressed -> unacknowledged"],
        ),
    ],
    "another channel of the equipment has a limit of its own in the state": [
        (co2(0, 20.0), [f"{L} raised -> unacknowledged"]),
        ((1, CLEANING), []),
        (co2(2, 20.0), [f"{L} returned -> returned"]),
        (co2(3, 9.0), [f"{L} raised_again -> unacknowledged"]),
    ],
    "all three at once, and what is left when they end": [
        (temp(0, 39.5), [f"{HH} raised -> unacknowledged", f"{H} raised -> suppressed"]),
        (ack(1, HH), [f"{HH} acknowledged -> acknowledged"]),
        (
            (2, CLEANING),
            [f"{HH} suppressed -> suppressed", f"{H} suppressed -> suppressed"],
        ),
        (shelve(3, HH, 60), [f"{HH} shelved -> shelved"]),
        (remove(4, HH, 60), [f"{HH} removed_from_service -> out_of_service"]),
        (temp(5, 30.0), [f"{HH} returned -> out_of_service", f"{H} returned -> suppressed"]),
        ((6, HH, Unshelve()), [f"{HH} unshelved -> out_of_service"]),
        ((7, HH, ReturnToService()), [f"{HH} returned_to_service -> suppressed"]),
        (
            (8, IN_USE),
            [f"{HH} unsuppressed -> latched_acknowledged", f"{H} unsuppressed -> returned"],
        ),
        ((9, HH, Reset()), [f"{HH} reset -> normal"]),
    ],
}
EVERY = pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)


def do(board: Board, step: Step, shift: Moment) -> Sequence[AlarmEvent]:
    """Do a step at its time on clocks that are off by ``shift``."""
    if isinstance(step, Scan):
        now = _shifted(step.moment, shift)
        return board.observe(step._replace(at=now.at, boot=now.boot))
    now = _shifted(moment(step[0]), shift)
    if len(step) == 2:
        return board.place("inc", step[1], now)
    answer = board.act(step[1], step[2], now)
    assert not isinstance(answer, Refusal), answer.text
    return answer


def _shifted(instant: Moment, shift: Moment) -> Moment:
    return Moment(instant.at + shift.at, instant.boot + shift.boot)


def time_of(step: Step) -> Moment:
    return step.moment if isinstance(step, Scan) else moment(step[0])


def short(events: Sequence[AlarmEvent]) -> list[str]:
    return [f"{event.name} {event.change} -> {event.after}" for event in events]


@EVERY
def test_story(story: Story) -> None:
    board, known = Board(PLANT, {}), dict[str, str]()
    for step, told in story:
        events = do(board, step, Moment(0, 0))
        assert short(events) == list(told), step
        for event in events:
            assert event.before == known.get(event.name, "normal")
            known[event.name] = event.after


Saved = Mapping[str, str]
Disturbance = Callable[[int, Moment, Moment], tuple[Moment, str]]
"""From the number of the step, its time and the clocks so far: the clocks, and the boot id."""


def restart(number: int, now: Moment, clocks: Moment) -> tuple[Moment, str]:
    del number, now
    return clocks, "boot"


def reboot(number: int, now: Moment, clocks: Moment) -> tuple[Moment, str]:
    """The machine has just been started: it has been up for so many seconds."""
    return clocks._replace(boot=number * SECOND - now.boot), f"boot-{number}"


def step_of_the_clock(number: int, now: Moment, clocks: Moment) -> tuple[Moment, str]:
    """By an hour, forward and back again, and further each time; nothing is started anew."""
    del now
    return clocks._replace(at=clocks.at + (-1) ** number * number * 3600 * SECOND), "boot"


def disturbed(story: Story, by: Disturbance) -> Iterator[tuple[Step, list[str], Sequence[str]]]:
    """Yield each step, what was told of it though all was begun anew before, and what should be."""
    facts, saved, circumstances = dict[str, Alarm](), dict[str, str](), IN_USE
    clocks, boot_id = Moment(0, 0), "boot"
    for number, (step, told) in enumerate(story):
        clocks, boot_id = by(number, time_of(step), clocks)
        now = _shifted(time_of(step), clocks)
        facts = {name: snapshot.load(text, boot_id, now) for name, text in saved.items()}
        board = Board(PLANT, facts, circumstances={"inc": circumstances})
        assert board.reconcile(now) == ()
        events = do(board, step, clocks)
        yield step, short(events), told
        if not isinstance(step, Scan) and len(step) == 2:
            circumstances = step[1]
        board.retake()
        changed = board.take_changed()
        saved |= {name: snapshot.dump(alarm, boot_id, now) for name, alarm in changed.items()}


@EVERY
@pytest.mark.parametrize("by", [restart, reboot])
def test_a_restart_at_any_step_changes_nothing_that_is_told(story: Story, by: Disturbance) -> None:
    for step, told, should in disturbed(story, by):
        assert told == list(should), step


@EVERY
def test_a_step_of_the_clock_changes_nothing_that_is_told(story: Story) -> None:
    board, clocks = Board(PLANT, {}), Moment(0, 0)
    for number, (step, told) in enumerate(story):
        clocks, _ = step_of_the_clock(number, time_of(step), clocks)
        assert short(do(board, step, clocks)) == list(told), step


# --- what is in effect


def test_the_limit_that_is_told_is_the_one_in_effect() -> None:
    board = Board(PLANT, {}, circumstances={"inc": TRANSDUCTION})
    assert board.watched[H].limit == 34.5
    board.place("inc", IN_USE, moment(0))
    assert board.watched[H].limit == 37.5


def test_what_is_suppressed_by_design_can_be_listed_though_it_is_normal() -> None:
    board = Board(PLANT, {}, circumstances={"inc": CLEANING})
    assert board.by_design("inc") == {H: "state:cleaning", HH: "state:cleaning"}
    assert board.standing() == []
    board.place("inc", WARMING_UP, moment(0))
    assert board.by_design("inc") == {H: "state:warming_up"}


def test_the_same_circumstances_again_are_no_news() -> None:
    board = Board(PLANT, {})
    board.observe(temp(0, 38.0))
    board.place("inc", CLEANING, moment(1))
    board.take_changed()
    assert board.place("inc", CLEANING, moment(2)) == ()
    assert board.take_changed() == {}


def test_a_restart_in_another_state_than_before_says_so() -> None:
    before = Board(PLANT, {}, circumstances={"inc": CLEANING})
    before.observe(temp(0, 38.0))
    after = Board(PLANT, before.take_changed())
    assert short(after.reconcile(moment(9))) == [f"{H} unsuppressed -> unacknowledged"]


def test_a_variant_of_a_limit_is_no_changed_rule() -> None:
    before = Board(PLANT, {}, circumstances={"inc": TRANSDUCTION})
    before.observe(temp(0, 36.0))
    after = Board(PLANT, before.take_changed(), circumstances={"inc": TRANSDUCTION})
    assert after.reconcile(moment(9)) == ()
    assert after.take_changed() == {}


def test_a_limit_that_becomes_another_one_restarts_no_delay() -> None:
    slow = HIGH.model_copy(update={"on_delay": 5 * SECOND})
    site = plant(source(0, "inc", "probe", "bus", [channel("temp", slow)]))
    board = Board(site, {})
    board.observe(scan(0, 38.0))
    board.place("inc", TRANSDUCTION, moment(2))
    [raised] = board.observe(scan(5, 38.0))
    assert raised.alarm.condition_start == moment(0)


# --- who asks for attention


def test_a_source_asks_for_attention_while_something_of_it_is_active() -> None:
    board = Board(PLANT, {})
    told = []
    for seconds, value in enumerate([37.0, 37.0, 38.0, 38.0, 37.0, 37.0, 37.0]):
        board.observe(temp(seconds, value))
        if seconds == 3:
            board.act(H, Acknowledge(), moment(3))
            board.act(H, Confirm(), moment(3))
        told.append(board.attentive == {0})
    assert told == [False, False, True, True, True, False, False]


def test_what_is_gone_and_only_owes_its_acknowledgement_asks_for_no_attention() -> None:
    board = Board(PLANT, {})
    told = []
    for seconds, value in enumerate([37.0, 38.0, 38.0, 37.0, 37.0, 38.0]):
        board.observe(temp(seconds, value))
        told.append(board.attentive == {0})
    assert told == [False, True, True, True, False, True]


def test_a_board_that_takes_up_what_stands_is_attentive() -> None:
    before = Board(PLANT, {})
    before.observe(temp(0, 38.0))
    assert Board(PLANT, before.take_changed()).attentive == {0}
    assert Board(PLANT, {}).attentive == set()


def test_an_act_asks_for_attention() -> None:
    board = Board(PLANT, {})
    board.act(H, Shelve(SECOND), moment(0))
    assert board.attentive == {0}


def test_a_steady_scan_costs_no_look_in_any_state(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board(PLANT, {}, circumstances={"inc": TRANSDUCTION})
    monkeypatch.setattr(Board, "_judge", None)  # Whoever is looked at now fails.
    assert board.observe(temp(0, 34.0)) is NOTHING
    board.place("inc", CLEANING, moment(1))
    assert board.observe(temp(2, 37.0)) is NOTHING

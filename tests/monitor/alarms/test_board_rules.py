"""Each rule at work on a board, in stories: with the daemon running on, and restarted at each step.

What is told must be the same both ways.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.plant import ChannelType, Plant
from config.rules import (
    CalibrationDue,
    ChannelRule,
    Deviation,
    Discrepancy,
    EquipmentState,
    Escalation,
    Flatline,
    Priority,
    Rate,
    Repeated,
    StatusBits,
    Suppression,
)
from drivers.reading import Cause, Fault, Origin, Quality, Reason, Scan
from monitor.alarms import snapshot
from monitor.alarms.board import NOTHING, Board
from monitor.alarms.facts import Acknowledge, AlarmEvent, Circumstances, Refusal, Shelve
from tests.monitor.alarms.small_plant import (
    DOUBTFUL,
    NOON,
    SECOND,
    channel,
    lost,
    moment,
    plant,
    scan,
    source,
)
from tests.monitor.alarms.test_board_model import without_bands

Story = Sequence[tuple[Scan, Sequence[str]]]
"""Scans, and what each of them has told: ``rule change -> state``."""


def told(events: Sequence[AlarmEvent]) -> list[str]:
    return [f"{e.name.rpartition('/')[2]} {e.change} -> {e.after}" for e in events]


class Saved:
    """The facts as the record keeps them."""

    def __init__(self, watched: Plant) -> None:
        self.plant = watched
        self.texts: dict[str, str] = {}

    def keep(self, board: Board, now: Scan) -> None:
        for name, alarm in board.take_changed().items():
            self.texts[name] = snapshot.dump(alarm, "boot-1", now.moment)
            if alarm.at_rest:
                del self.texts[name]

    def board(self, now: Scan) -> Board:
        facts = {n: snapshot.load(t, "boot-1", now.moment) for n, t in self.texts.items()}
        board = Board(self.plant, facts)
        assert board.reconcile(now.moment) == ()
        return board


def play(watched: Plant, story: Story) -> Board:
    board = Board(watched, {})
    for step, expected in story:
        assert told(board.observe(step)) == list(expected), step
    return board


def play_restarted(watched: Plant, story: Story, *, after: int = 0) -> None:
    """Play ``story`` with a restart before each step from number ``after`` on."""
    saved = Saved(watched)
    board = Board(watched, {})
    for number, (step, expected) in enumerate(story):
        board = saved.board(step) if number >= after else board
        assert told(board.observe(step)) == list(expected), step
        saved.keep(board, step)


# --- status bits


STATUS = plant(
    source(
        0,
        "inc",
        "probe",
        "bus",
        [channel("status", StatusBits(bits=(3, 7), on_delay=SECOND), kind=ChannelType.COUNTER)],
    )
)
STATUS_STORY: Story = [
    (scan(0, 0b0111), []),
    (scan(1, 0b1000), []),
    (scan(2, 0b1001), ["status raised -> unacknowledged"]),
    (scan(3, 0b1000_0000), []),
    (scan(4, None), []),
    (scan(5, 0, faults={0: DOUBTFUL}), []),
    (scan(6, 0b1_0000), ["status returned -> returned"]),
]


def test_a_bit_of_a_status_word() -> None:
    play(STATUS, STATUS_STORY)
    play_restarted(STATUS, STATUS_STORY)


def test_a_status_word_is_told_as_the_number_it_is() -> None:
    board = Board(STATUS, {})
    board.observe(scan(0, 0b1000))
    (raised,) = board.observe(scan(1, None, spoke=frozenset()))
    assert (raised.alarm.value, raised.alarm.peak) == (0b1000, None)


def test_below_the_lowest_bit_nothing_is_looked_at() -> None:
    board = Board(STATUS, {})
    assert board.observe(scan(0, 0b111)) is NOTHING
    assert board.take_changed() == {}


# --- flatline


FROZEN = plant(source(0, "inc", "probe", "bus", [channel("t", Flatline(flatline=10 * SECOND))]))
RAISED, RETURNED = ["flatline raised -> unacknowledged"], ["flatline returned -> returned"]


def same(first: int, last: int, value: float | None = 37.0) -> Story:
    """Return that ``value`` is read from one second to another, and nothing is told of it."""
    return [(scan(seconds, value), []) for seconds in range(first, last + 1)]


FLAT: dict[str, Story] = {
    "frozen, and alive again": [
        *same(0, 9),
        (scan(10, 37.0), RAISED),
        *same(11, 15),
        (scan(16, 37.1), RETURNED),
        *same(17, 26),
        (scan(27, 37.0), ["flatline raised_again -> unacknowledged"]),
    ],
    "a change in time": [*same(0, 9), (scan(10, 37.1), []), *same(11, 19), *same(20, 20, 37.1)],
    "bad readings are no change": [
        *same(0, 5),
        *same(6, 12, None),
        (scan(13, 37.0), RAISED),
        *same(14, 14, None),
        (scan(15, 36.9, faults={0: DOUBTFUL}), []),
        (scan(16, 37.0), []),
        (scan(17, 36.9), RETURNED),
    ],
    "frozen, though its device's clock goes on": [
        *[(scan(seconds, 37.0, times={0: seconds * SECOND}), []) for seconds in range(10)],
        (scan(10, 37.0, times={0: 10 * SECOND}), RAISED),
    ],
    "a doubtful reading may raise": [
        *same(0, 9),
        (scan(10, 37.0, faults={0: DOUBTFUL}), RAISED),
    ],
    "nothing is raised on a bad reading": [
        *same(0, 9),
        *same(10, 30, None),
        (scan(31, 37.1), []),
    ],
    "an outage is missing data": [
        *same(0, 5),
        *[(lost(seconds, Cause.UNKNOWN, 1), []) for seconds in range(6, 30)],
        (scan(30, 37.0), RAISED),
    ],
}


@pytest.mark.parametrize("story", FLAT.values(), ids=FLAT)
def test_a_value_that_does_not_change(story: Story) -> None:
    play(FROZEN, story)
    play_restarted(FROZEN, story[:12], after=4)


def test_a_restart_forgets_three_periods_at_most() -> None:
    saved = Saved(FROZEN)
    for step, _ in same(0, 2):
        saved.board(step).observe(step)
    board = saved.board(scan(3, 37.0))
    late: Story = [*same(3, 12), (scan(13, 37.0), RAISED)]
    for step, expected in late:
        assert told(board.observe(step)) == expected


def test_an_uncertain_reading_is_no_change_after_a_restart_either() -> None:
    """The value at which it stands is kept; another one counts from its first good reading."""
    story = [
        *same(0, 5),
        (scan(6, 38.0, faults={0: DOUBTFUL}), []),
        *same(7, 16, 38.0),
        (scan(17, 38.0), RAISED),
    ]
    play(FROZEN, story)
    saved = Saved(FROZEN)
    board = Board(FROZEN, {})
    for number, (step, expected) in enumerate(story):
        board = saved.board(step) if number == 6 else board
        assert told(board.observe(step)) == expected, step
        saved.keep(board, step)


def test_a_frozen_value_is_told_with_when_it_began() -> None:
    board = play(FROZEN, [*same(0, 2, 36.0), *same(3, 12)])
    (raised,) = board.observe(scan(13, None, spoke=frozenset()))
    assert raised.alarm.value == 37.0
    assert raised.alarm.condition_start == moment(3)


def test_a_value_that_moves_costs_a_comparison() -> None:
    board = Board(FROZEN, {})
    assert all(board.observe(scan(s, 37.0 + s)) is NOTHING for s in range(9))
    assert board.take_changed() == {}


@pytest.mark.parametrize("fault", [Reason.LAST_USABLE, Reason.NOT_PROVEN])
def test_what_is_not_of_now_is_no_value_to_stand_at(fault: Reason) -> None:
    board = Board(FROZEN, {})
    for seconds in range(30):
        old = Fault(Quality.UNCERTAIN, fault)
        assert board.observe(scan(seconds, 37.0, faults={0: old})) == ()
    assert board.take_changed() == {}


def test_a_flatline_shorter_than_three_periods_is_asked_in_time() -> None:
    quick = plant(source(0, "inc", "probe", "bus", [channel("t", Flatline(flatline=SECOND))]))
    play(quick, [(scan(0, 37.0), []), (scan(1, 37.0), RAISED), (scan(2, 37.1), RETURNED)])


def test_the_delay_of_a_flatline_is_added_to_it() -> None:
    slow = Flatline(flatline=5 * SECOND, on_delay=5 * SECOND)
    watched = plant(source(0, "inc", "probe", "bus", [channel("t", slow)]))
    play(watched, [*same(0, 9), (scan(10, 37.0), RAISED)])


PATIENT = Flatline(flatline=10 * SECOND, off_delay=12 * SECOND)
THAWING = plant(source(0, "inc", "probe", "bus", [channel("t", PATIENT)]))
NOT_YET = [*same(0, 9), (scan(10, 37.0), RAISED), *same(11, 20)]


@pytest.mark.parametrize("every", [1, 2, 3, 4, 5, 7, 9])
def test_a_flatline_returns_after_its_off_delay_however_slowly_it_moves(every: int) -> None:
    moving: Story = [(scan(s, 40.0 + (s - 21) // every), []) for s in range(21, 33)]
    story = [*NOT_YET, *moving, (scan(33, 99.0), RETURNED)]
    play(THAWING, story)
    for after in (15, 24, 28):
        play_restarted(THAWING, story, after=after)


def test_a_flatline_that_stands_for_as_long_again_was_not_over() -> None:
    """It holds from 31 s on; what was read after that begins the off-delay anew."""
    story = [
        *NOT_YET,
        *same(21, 40, 38.0),
        *same(41, 50, 39.0),
        *same(51, 52, 40.0),
        (scan(53, 41.0), RETURNED),
    ]
    play(THAWING, story)
    for after in (26, 30, 33):
        play_restarted(THAWING, story, after=after)


def test_a_flatline_that_returned_while_its_value_stood_counts_on() -> None:
    brief = Flatline(flatline=10 * SECOND, off_delay=5 * SECOND)
    story = [
        *NOT_YET,
        *same(21, 25, 38.0),
        (scan(26, 38.0), RETURNED),
        *same(27, 30, 38.0),
        (scan(31, 38.0), ["flatline raised_again -> unacknowledged"]),
    ]
    watched = plant(source(0, "inc", "probe", "bus", [channel("t", brief)]))
    play(watched, story)
    for after in (25, 27):
        play_restarted(watched, story, after=after)


# --- deviation


DEVIATION = Deviation(setpoint="sp", above=0.5, below=1.0, deadband=0.25, on_delay=2 * SECOND)
WIDE = Deviation(name="far-off", setpoint="sp", above=2.0, below=2.0)
CONTROLLER = plant(
    source(0, "inc", "controller", "bus", [channel("t", DEVIATION, WIDE), channel("sp")])
)
APART = plant(
    source(0, "inc", "probe", "bus", [channel("t", DEVIATION, WIDE)]),
    source(1, "inc", "controller", "bus", [channel("sp")]),
)
D, FAR = "deviation", "far-off"
SETPOINT: dict[str, Story] = {
    "beyond, back past the deadband": [
        (scan(0, 37.5, 37.0), []),
        (scan(1, 37.75, 37.0), []),
        (scan(3, 37.75, 37.0), [f"{D} raised -> unacknowledged"]),
        (scan(4, 37.25, 37.0), []),
        (scan(5, 37.0, 37.0), [f"{D} returned -> returned"]),
    ],
    "a set-point that moves": [
        (scan(0, 37.0, 37.0), []),
        (scan(1, 37.0, 35.5), []),
        (scan(3, 37.0, 35.5), [f"{D} raised -> unacknowledged"]),
        (scan(4, 37.0, 37.0), [f"{D} returned -> returned"]),
    ],
    "the wider one speaks for the narrower": [
        (scan(0, 37.75, 37.0), []),
        (scan(2, 37.75, 37.0), [f"{D} raised -> unacknowledged"]),
        (
            scan(3, 40.0, 37.0),
            [f"{FAR} raised -> unacknowledged", f"{D} suppressed -> suppressed"],
        ),
        (
            scan(4, 37.75, 37.0),
            [f"{FAR} returned -> returned", f"{D} unsuppressed -> unacknowledged"],
        ),
    ],
    "without a set-point nothing can be said": [
        (scan(0, 40.0, None), []),
        (scan(1, 40.0, 37.0), [f"{FAR} raised -> unacknowledged"]),
        (scan(2, 37.0, None), []),
        (scan(3, 40.0, None), []),
        (scan(9, 40.0, 37.0), [f"{D} raised -> suppressed"]),
        (scan(10, 37.0, None), []),
        (
            scan(11, 37.0, 37.0),
            [
                f"{FAR} returned -> returned",
                f"{D} returned -> suppressed",
                f"{D} unsuppressed -> returned",
            ],
        ),
    ],
    "a doubtful set-point may raise and does not clear": [
        (scan(0, 40.0, 37.0, faults={1: DOUBTFUL}), [f"{FAR} raised -> unacknowledged"]),
        (scan(1, 37.0, 37.0, faults={1: DOUBTFUL}), []),
        (scan(2, 37.0, 37.0), [f"{FAR} returned -> returned"]),
    ],
}


@pytest.mark.parametrize("story", SETPOINT.values(), ids=SETPOINT)
def test_a_set_point_in_the_same_scan(story: Story) -> None:
    play(CONTROLLER, story)
    play_restarted(CONTROLLER, story)


@pytest.mark.parametrize("story", SETPOINT.values(), ids=SETPOINT)
def test_a_set_point_from_another_source(story: Story) -> None:
    board = Board(APART, {})
    for step, expected in story:
        value, setpoint = step.values
        fault = step.faults.get(1)
        spoken = scan(0, setpoint, source=1, faults={0: fault} if fault else None)
        assert board.observe(spoken._replace(at=step.at, boot=step.boot)) == ()
        own = scan(0, value)._replace(at=step.at, boot=step.boot)
        assert told(board.observe(own)) == list(expected)


def test_a_set_point_is_of_now_for_three_periods() -> None:
    board = Board(APART, {})
    board.observe(scan(0, 37.0, source=1))
    assert told(board.observe(scan(3, 40.0))) == [f"{FAR} raised -> unacknowledged"]
    assert board.observe(scan(3.5, 37.0)) == ()
    assert board.observe(scan(4, 37.0, source=1)) == ()
    assert len(board.observe(scan(4, 37.0))) == 1


def test_a_source_that_is_lost_takes_its_set_point_with_it() -> None:
    board = Board(APART, {})
    board.observe(scan(0, 37.0, source=1))
    board.observe(lost(1, Cause.SOURCE, 1, source=1))
    assert board.observe(scan(1, 40.0)) == ()


def test_history_is_no_set_point() -> None:
    board = Board(APART, {})
    board.observe(scan(0, 37.0, source=1)._replace(origin=Origin.LATE))
    assert board.observe(scan(0, 40.0)) == ()


def test_a_set_point_that_was_said_once_holds_while_only_the_value_is_heard() -> None:
    board = Board(CONTROLLER, {})
    board.observe(scan(0, 37.0, 37.0))
    assert len(board.observe(scan(1, 40.0, None, spoke=frozenset({0})))) == 1
    board = Board(CONTROLLER, {})
    board.observe(scan(0, 37.0, 37.0))
    assert board.observe(scan(1, None, 30.0, spoke=frozenset({1}))) == ()
    assert len(board.observe(scan(1, 37.0, None, spoke=frozenset({0})))) == 1


def test_a_deviation_is_told_with_the_worst_difference_and_both_values() -> None:
    board = Board(CONTROLLER, {})
    board.observe(scan(0, 37.75, 37.0))
    board.observe(scan(1, 38.0, 37.0))
    (raised,) = board.observe(scan(2, None, 37.0, spoke=frozenset({1})))
    assert (raised.alarm.value, raised.alarm.peak, raised.alarm.other) == (38.0, 1.0, 37.0)
    assert raised.alarm.condition_start == moment(0)
    board.observe(scan(3, 35.5, 37.0))
    assert board.alarm("inc/t/deviation").peak == -1.5


# --- discrepancy


PROBES = plant(
    source(
        0,
        "inc",
        "probe",
        "bus",
        [
            channel("t", Discrepancy(name="differ", against="t2", tolerance=0.5, deadband=0.125)),
            channel("t2"),
        ],
    )
)
DIFFER: Story = [
    (scan(0, 37.5, 37.0), []),
    (scan(1, 37.0, 37.75), ["differ raised -> unacknowledged"]),
    (scan(2, None, 37.0), []),
    (scan(3, 37.0, None), []),
    (scan(4, 37.0, 36.5), []),
    (scan(5, 37.0, 36.75), ["differ returned -> returned"]),
    (scan(6, 37.0, 36.0), ["differ raised_again -> unacknowledged"]),
]


def test_two_probes_that_differ() -> None:
    board = play(PROBES, DIFFER)
    play_restarted(PROBES, DIFFER)
    alarm = board.alarm("inc/t/differ")
    assert (alarm.value, alarm.other, alarm.peak) == (37.0, 36.0, 1.0)


# --- rate


PACE = Rate(name="falling", falling=0.5, per=60 * SECOND, window=60 * SECOND)
FALLING = plant(source(0, "inc", "probe", "bus", [channel("t", PACE)]))
FALLS, SLOWS = ["falling raised -> unacknowledged"], ["falling returned -> returned"]


def line(first: int, last: int, value: float, per_minute: float) -> Story:
    """Return readings on a line that begins at ``value``, of which nothing is told."""
    return [
        (scan(seconds, value + (seconds - first) * per_minute / 60), [])
        for seconds in range(first, last + 1)
    ]


PACES: dict[str, Story] = {
    "nothing is said until 80 % of the window are there": [
        *line(0, 47, 37.0, -1.0),
        (scan(48, 36.2), FALLS),
        *line(49, 60, 36.2, -1.0),
    ],
    "slow enough": line(0, 200, 37.0, -0.49),
    "the other side has no limit": line(0, 200, 37.0, 5.0),
    "bad readings are left out, and what is there of the window is enough": [
        *line(0, 30, 37.0, -1.0),
        *[(scan(seconds, None), []) for seconds in range(31, 40)],
        *line(40, 47, 37.0 - 40 / 60, -1.0),
        (scan(48, 36.2), FALLS),
    ],
    "a gap of over a quarter of the window: nothing is said until it has passed": [
        *line(0, 30, 37.0, -1.0),
        *[(scan(seconds, None), []) for seconds in range(31, 46)],
        *line(46, 93, 37.0 - 46 / 60, -1.0),
        (scan(94, 37.0 - 94 / 60), FALLS),
    ],
}


@pytest.mark.parametrize("story", PACES.values(), ids=PACES)
def test_a_value_that_falls_too_fast(story: Story) -> None:
    play(FALLING, story)
    play_restarted(FALLING, story)


def test_a_fall_that_slows_down_is_told_as_back() -> None:
    board = play(FALLING, [*line(0, 47, 37.0, -1.0), (scan(48, 36.2), FALLS)])
    assert board.alarm("inc/t/falling").peak == pytest.approx(-1.0)
    back = [s for s in range(49, 120) if told(board.observe(scan(s, 36.2))) == SLOWS]
    assert len(back) == 1
    assert 60 < back[0] < 110


def test_a_doubtful_reading_keeps_a_rate_doubtful_until_it_leaves_the_window() -> None:
    board = play(FALLING, [*line(0, 47, 37.0, -1.0), (scan(48, 36.2), FALLS)])
    for seconds in range(49, 160):
        fault = {0: DOUBTFUL} if seconds < 70 else None
        if board.observe(scan(seconds, 36.2, faults=fault)):
            break
    else:
        pytest.fail("it never returned")
    assert seconds == 129  # The last doubtful one that was kept was that of second 68.


def test_of_a_window_thirty_two_readings_are_kept_and_seldom_saved() -> None:
    board = Board(FALLING, {})
    saved = 0
    for seconds in range(600):
        board.observe(scan(seconds, 37.0))
        saved += bool(board.take_changed())
    assert saved == 300
    assert len(board.alarm("inc/t/falling").samples) == 31


def test_of_a_rule_that_vanished_no_reading_is_kept() -> None:
    facts = play(FALLING, line(0, 9, 37.0, 0.0)).take_changed()
    board = Board(plant(source(0, "inc", "probe", "bus", [channel("t")])), facts)
    assert board.reconcile(moment(10)) == ()
    assert [alarm.at_rest for alarm in board.take_changed().values()] == [True]


# --- x of the last y


TREND = plant(
    source(
        0,
        "room",
        "counter",
        "bus",
        [channel("particles", Repeated(name="trend", x=3, of=5, high=20.0))],
    )
)
OFTEN, AGAIN = ["trend raised -> unacknowledged"], ["trend raised_again -> unacknowledged"]
REPEATED: dict[str, Story] = {
    "three of five": [
        (scan(0, 21.0), []),
        (scan(1, 20.0), []),
        (scan(2, 30.0), []),
        (scan(3, 10.0), []),
        (scan(4, 25.0), OFTEN),
        (scan(5, 10.0), ["trend returned -> returned"]),
        (scan(6, 22.0), AGAIN),
    ],
    "two of five, again and again": [
        (scan(s, 21.0 if s % 5 in {0, 1} else 20.0), []) for s in range(50)
    ],
    "bad readings do not count, doubtful ones only when past the limit": [
        (scan(0, 21.0), []),
        (scan(1, None), []),
        (scan(2, 21.0, faults={0: DOUBTFUL}), []),
        (scan(3, 5.0, faults={0: DOUBTFUL}), []),
        (scan(4, 5.0), []),
        (scan(5, 5.0), []),
        (scan(6, 21.0), OFTEN),
        (scan(7, 5.0, faults={0: DOUBTFUL}), []),
        (scan(8, 5.0), ["trend returned -> returned"]),
    ],
}


@pytest.mark.parametrize("story", REPEATED.values(), ids=REPEATED)
def test_so_many_of_the_last_readings(story: Story) -> None:
    play(TREND, story)
    play_restarted(TREND, story)


def test_a_trend_is_told_with_the_worst_of_the_readings_that_made_it() -> None:
    board = play(TREND, REPEATED["three of five"][:5])
    alarm = board.alarm("room/particles/trend")
    assert (alarm.value, alarm.peak, alarm.peak_at) == (25.0, 30.0, moment(2).at)


def test_while_no_reading_is_past_the_limit_nothing_is_kept_of_them() -> None:
    board = Board(TREND, {})
    assert all(board.observe(scan(seconds, 20.0)) is NOTHING for seconds in range(9))
    assert board.take_changed() == {}
    board.observe(scan(9, 21.0))
    for seconds in range(10, 14):
        board.observe(scan(seconds, 20.0))
    assert not board.alarm("room/particles/trend").at_rest
    board.observe(scan(14, 20.0))
    assert board.alarm("room/particles/trend").at_rest
    assert board.observe(scan(15, 20.0)) is NOTHING


# --- calibration


DAY = 86_400
NOON_DAY = datetime.fromtimestamp(NOON / SECOND, UTC).date()
AHEAD, EXPIRED = "calibration-probe", "calibration-expired-probe"
AHEAD_NAME, EXPIRED_NAME = f"inc/_/{AHEAD}", f"inc/_/{EXPIRED}"


def calibrated(due: date) -> Plant:
    rules = (
        CalibrationDue(name=AHEAD, ahead=30 * DAY * SECOND),
        CalibrationDue(name=EXPIRED, ahead=0, priority=Priority.MEDIUM),
    )
    probe = source(0, "inc", "probe", "bus", [channel("t")])
    return plant(replace(probe, calibration_due=due, calibration=rules))


DUE = calibrated(NOON_DAY + timedelta(days=31))
CALENDAR: Sequence[tuple[float, Sequence[str]]] = [
    (0, []),
    (DAY - 12 * 3600 - 300, []),
    (DAY, [f"{AHEAD} raised -> unacknowledged"]),
    (DAY + 61, []),
    (
        31 * DAY,
        [f"{EXPIRED} raised -> unacknowledged", f"{AHEAD} suppressed -> suppressed"],
    ),
    (32 * DAY, []),
]


def test_a_calibration_that_comes_due_is_two_alarms_of_which_one_speaks() -> None:
    board, saved = Board(DUE, {}), Saved(DUE)
    for days, expected in CALENDAR:
        assert told(board.look(moment(days))) == list(expected)
        again = saved.board(scan(days))
        assert told(again.look(moment(days))) == list(expected)
        saved.keep(again, scan(days))


def test_a_calibration_that_nobody_acknowledges_escalates() -> None:
    daily = Escalation(after=DAY * SECOND)
    probe = DUE.sources[0]
    rules = tuple(one.model_copy(update={"escalate": daily}) for one in probe.calibration)
    board = Board(replace(DUE, sources=(replace(probe, calibration=rules),)), {})
    raised = (board.look(moment(days)) for days in (DAY, 2 * DAY - 1, 2 * DAY + 61, 9 * DAY))
    assert [told(events) for events in raised] == [
        [f"{AHEAD} raised -> unacknowledged"],
        [],
        [f"{AHEAD} escalated -> unacknowledged"],
        [],
    ]


def test_the_calendar_is_looked_at_once_a_minute() -> None:
    board = Board(calibrated(NOON_DAY), {})
    assert len(board.look(moment(0))) == 2
    assert board.act(EXPIRED_NAME, Shelve(SECOND), moment(1))
    assert [board.look(moment(s)) for s in (2, 30, 59)] == [NOTHING] * 3
    assert told(board.look(moment(60)))[0] == f"{EXPIRED} unshelved -> unacknowledged"


def test_a_new_certificate_ends_it() -> None:
    board, saved = Board(calibrated(NOON_DAY), {}), Saved(calibrated(NOON_DAY + timedelta(days=99)))
    board.look(moment(0))
    saved.keep(board, scan(0))
    renewed = saved.board(scan(1))
    assert told(renewed.look(moment(1))) == [
        f"{EXPIRED} returned -> returned",
        f"{AHEAD} returned -> suppressed",
        f"{AHEAD} unsuppressed -> returned",
    ]


def test_what_a_wrong_clock_raised_is_over_when_the_clock_is_right() -> None:
    board = Board(DUE, {})
    wrong = moment(0)._replace(at=moment(400 * DAY).at)
    assert len(board.look(wrong)) == 2
    assert told(board.look(moment(60)))[0] == f"{EXPIRED} returned -> returned"


def test_a_shelf_of_the_later_one_lets_the_earlier_speak() -> None:
    board = Board(calibrated(NOON_DAY), {})
    board.look(moment(0))
    events = board.act(EXPIRED_NAME, Shelve(3600 * SECOND), moment(1))
    assert not isinstance(events, Refusal)
    assert told(events) == [
        f"{EXPIRED} shelved -> shelved",
        f"{AHEAD} unsuppressed -> unacknowledged",
    ]


def test_a_calibration_has_nothing_to_do_with_what_the_source_says() -> None:
    board = Board(calibrated(NOON_DAY), {})
    board.look(moment(0))
    assert board.observe(scan(1, 37.0)) is NOTHING
    for seconds in (2, 5):
        board.observe(lost(seconds, Cause.SOURCE, 1))
    assert board.alarm("inc/_/silent-probe").active
    assert board.alarm(EXPIRED_NAME).annunciated
    events = board.act(AHEAD_NAME, Acknowledge(), moment(6))
    assert not isinstance(events, Refusal)
    assert told(events) == [f"{AHEAD} acknowledged -> suppressed"]


# --- any story


def every_rule(*more: ChannelRule) -> Plant:
    """Return a source with each of the rules, on channels of small numbers."""
    slow = {"on_delay": 2 * SECOND, "off_delay": 3 * SECOND}
    rules: list[ChannelRule] = [
        Deviation(setpoint="sp", above=1.0, below=1.0, deadband=0.5, **slow),
        Deviation(name="far", setpoint="sp", above=2.0, below=2.0),
        Discrepancy(against="other", tolerance=1.0, on_delay=SECOND),
        Rate(rising=0.25, falling=0.3, per=SECOND, window=8 * SECOND, off_delay=SECOND),
        Repeated(name="often", x=2, of=4, high=3.0),
        Repeated(name="seldom", x=2, of=3, low=2.0, **slow),
    ]
    bits = channel("bits", StatusBits(bits=(1,), off_delay=SECOND), kind=ChannelType.COUNTER)
    channels = [channel("t", *rules, *more), channel("sp"), channel("other"), bits]
    return plant(source(0, "inc", "probe", "bus", channels))


Row = tuple[
    tuple[float, float, float, int], frozenset[int], frozenset[int], frozenset[int] | None, int
]
SMALL = st.sampled_from([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
SCAN = st.tuples(
    st.tuples(SMALL, SMALL, SMALL, st.integers(0, 5)),
    st.frozensets(st.integers(0, 3), max_size=1),
    st.frozensets(st.integers(0, 3), max_size=1),
    st.sampled_from([None, None, None, frozenset({0}), frozenset({1, 3})]),
    st.sampled_from([1, 1, 1, 2, 4]),
)
STEADY: st.SearchStrategy[Row] = st.just(((2.0, 2.0, 2.0, 0), frozenset(), frozenset(), None, 1))


def scans(rows: Sequence[Row]) -> list[Scan]:
    """Return the scans of ``rows``: values, the bad and the doubtful, who spoke, and the pause."""
    seconds, made = 0, []
    for values, bad, doubtful, spoke, pause in rows:
        seconds += pause
        spoken = spoke or frozenset(range(4))
        said = [None if i in bad or i not in spoken else v for i, v in enumerate(values)]
        faults = dict.fromkeys((doubtful - bad) & spoken, DOUBTFUL)
        made.append(scan(seconds, *said, faults=faults, spoke=spoke))
    return made


@given(st.lists(SCAN | STEADY, max_size=40))
def test_a_restart_before_any_scan_changes_nothing_that_is_told(rows: list[Row]) -> None:
    watched = every_rule()
    board, saved = Board(watched, {}), Saved(watched)
    for one in scans(rows):
        if one.spoke is not None and 1 not in one.spoke:
            continue  # What another scan said of the set-point is in memory only.
        restarted = saved.board(one)
        assert told(restarted.observe(one)) == told(board.observe(one))
        saved.keep(restarted, one)


@given(st.lists(SCAN | STEADY, max_size=40))
def test_what_bands_pass_over_would_have_changed_nothing(rows: list[Row]) -> None:
    watched = every_rule(Flatline(flatline=4 * SECOND), Flatline(name="long", flatline=9 * SECOND))
    fast, slow = Board(watched, {}), Board(watched, {})
    for one in scans(rows):
        assert fast.observe(one) == without_bands(slow).observe(one)
        assert [fast.alarm(n) for n in fast.watched] == [slow.alarm(n) for n in slow.watched]


def test_around_a_set_point_nothing_is_looked_at_until_it_moves() -> None:
    board = Board(APART, {})
    board.observe(scan(0, 37.0, source=1))
    assert board.observe(scan(0, 37.25)) is NOTHING
    assert board.attentive == set()
    board.observe(scan(1, 36.0, source=1))
    assert board.observe(scan(1, 37.25)) == ()
    assert board.alarm("inc/t/deviation").pending is not None


SAID = st.tuples(
    st.integers(0, 1),
    st.none() | SMALL,
    st.booleans(),
    st.sampled_from([0, 1, 1, 3]),
    st.booleans(),
)


@given(st.lists(SAID, max_size=40))
def test_a_set_point_of_another_source_moves_the_band_in_time(
    said: list[tuple[int, float | None, bool, int, bool]],
) -> None:
    fast, slow, seconds = Board(APART, {}), Board(APART, {}), 0
    for unit, value, doubtful, pause, is_lost in said:
        seconds += pause
        faults = {0: DOUBTFUL} if doubtful and value is not None else None
        one = scan(seconds, value, source=unit, faults=faults)
        if is_lost and value is None:
            one = lost(seconds, Cause.SOURCE, 1, source=unit)
        assert fast.observe(one) == without_bands(slow).observe(one)
        assert [fast.alarm(n) for n in fast.watched] == [slow.alarm(n) for n in slow.watched]


def test_a_state_may_suppress_what_is_due_and_annunciates_it_after() -> None:
    file = calibrated(NOON_DAY)
    maintained = Suppression(suppress=("_/calibration_due",), longest=3600 * SECOND)
    board = Board(replace(file, suppression={EquipmentState.MAINTENANCE: maintained}), {})
    assert board.place("inc", Circumstances(EquipmentState.MAINTENANCE), moment(0)) == ()
    assert told(board.look(moment(1))) == [
        f"{EXPIRED} raised -> suppressed",
        f"{AHEAD} raised -> suppressed",
    ]
    assert told(board.place("inc", Circumstances(), moment(2))) == [
        f"{EXPIRED} unsuppressed -> unacknowledged",
        f"{AHEAD} suppressed -> suppressed",
    ]
    assert board.alarm(AHEAD_NAME).superseded_by == EXPIRED_NAME

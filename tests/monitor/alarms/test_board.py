"""The board as a whole: one cause is one alarm, worse speaks for milder, and every scan counts."""

from collections.abc import Iterable, Sequence

import pytest

from config.plant import ChannelType, Plant
from config.rules import Escalation, High, Low, OffNormal, Silent, Stale, Unreadable
from drivers.reading import Cause, Origin, Scan
from drivers.settle import unsettled
from monitor.alarms.board import NOTHING, Board
from monitor.alarms.facts import (
    Acknowledge,
    Act,
    Alarm,
    AlarmEvent,
    Change,
    Circumstances,
    Refusal,
    Reset,
    Shelve,
    State,
    Unshelve,
)
from tests.monitor.alarms.small_plant import (
    DOUBTFUL,
    SECOND,
    channel,
    door,
    lost,
    moment,
    plant,
    scan,
    source,
)

HIGH = High(name="high", limit=37.5, deadband=0.1)
WORSE = High(name="high-high", limit=39.0, deadband=0.2)
WORST = High(name="high-high-high", limit=41.0)
LOW = Low(name="low", limit=4.5, deadband=0.1)
UNREADABLE = Unreadable(on_delay=3 * SECOND)
STALE, SLOW = Stale(on_delay=3 * SECOND), Stale(on_delay=10 * SECOND)

H, HH, HHH = "inc/temp/high", "inc/temp/high-high", "inc/temp/high-high-high"
UNREAD = "inc/temp/unreadable"
LINE, PROBE = "gateway/_/line-bus", "inc/_/silent-probe"

ONE = plant(source(0, "inc", "probe", "bus", [channel("temp", HIGH, WORSE, UNREADABLE)]))

Step = Scan | tuple[float, str, Act]
Story = Sequence[tuple[Step, Sequence[str]]]


def play(board: Board, story: Story) -> None:
    """Do each step; what is told must be what stands beside it: ``alarm change -> state``."""
    for step, told in story:
        assert short(do(board, step)) == list(told), step


def do(board: Board, step: Step) -> Sequence[AlarmEvent]:
    if isinstance(step, Scan):
        return board.observe(step)
    seconds, name, act = step
    answer = board.act(name, act, moment(seconds))
    assert not isinstance(answer, Refusal), answer.text
    return answer


def short(events: Sequence[AlarmEvent]) -> list[str]:
    return [f"{event.name} {event.change} -> {event.after}" for event in events]


def temp(seconds: float, value: float | None) -> Scan:
    return scan(seconds, value)


def off(seconds: float) -> Scan:
    return lost(seconds, Cause.LINE, 1)


def starting(seconds: float) -> Scan:
    return lost(seconds, Cause.UNKNOWN, 1)


def mute(seconds: float) -> Scan:
    return lost(seconds, Cause.SOURCE, 1)


def settling(seconds: float, value: float) -> Scan:
    return unsettled(temp(seconds, value))


def ack(seconds: float, name: str) -> Step:
    return seconds, name, Acknowledge()


def shelve(seconds: float, name: str, duration: float) -> Step:
    return seconds, name, Shelve(round(duration * SECOND))


STORIES: dict[str, Story] = {
    "a steady value tells nothing": [(temp(0, 37.0), []), (temp(1, 37.1), []), (temp(2, 37.5), [])],
    "the worse level speaks for the milder, and leaves it as it was": [
        (temp(0, 38.0), [f"{H} raised -> unacknowledged"]),
        (ack(1, H), [f"{H} acknowledged -> acknowledged"]),
        (temp(2, 39.5), [f"{HH} raised -> unacknowledged", f"{H} suppressed -> suppressed"]),
        (
            temp(3, 38.0),
            [f"{HH} returned -> returned", f"{H} unsuppressed -> acknowledged"],
        ),
        (temp(4, 37.0), [f"{H} cleared -> normal"]),
    ],
    "both levels in one scan: the milder is raised underneath and told when its turn comes": [
        (temp(0, 39.5), [f"{HH} raised -> unacknowledged", f"{H} raised -> suppressed"]),
        (ack(1, HH), [f"{HH} acknowledged -> acknowledged"]),
        (temp(2, 38.0), [f"{HH} cleared -> normal", f"{H} unsuppressed -> unacknowledged"]),
        (temp(3, 37.0), [f"{H} returned -> returned"]),
    ],
    "both gone in one scan: what was never heard is left to acknowledge": [
        (temp(0, 39.5), [f"{HH} raised -> unacknowledged", f"{H} raised -> suppressed"]),
        (
            temp(1, 37.0),
            [
                f"{HH} returned -> returned",
                f"{H} returned -> suppressed",
                f"{H} unsuppressed -> returned",
            ],
        ),
    ],
    "a shelved worse level speaks for nobody": [
        (temp(0, 39.5), [f"{HH} raised -> unacknowledged", f"{H} raised -> suppressed"]),
        (
            shelve(1, HH, 60),
            [f"{HH} shelved -> shelved", f"{H} unsuppressed -> unacknowledged"],
        ),
        (
            temp(61, 39.5),
            [f"{HH} unshelved -> unacknowledged", f"{H} suppressed -> suppressed"],
        ),
    ],
    "a bad reading neither raises nor clears, and becomes an alarm of its own": [
        (temp(0, 38.0), [f"{H} raised -> unacknowledged"]),
        (temp(1, None), []),
        (temp(3, None), []),
        (temp(4, None), [f"{UNREAD} raised -> unacknowledged"]),
        (temp(5, 38.0), [f"{UNREAD} returned -> returned"]),
    ],
    "a lost line is one alarm": [
        (temp(0, 37.0), []),
        (off(1), []),
        (off(2), []),
        (off(3), [f"{LINE} raised -> unacknowledged"]),
        (off(60), []),
        (temp(61, 37.0), [f"{LINE} returned -> returned"]),
    ],
    "a silent unit is one alarm": [
        (mute(1), []),
        (mute(4), [f"{PROBE} raised -> unacknowledged"]),
        (mute(60), []),
        (temp(61, 37.0), [f"{PROBE} returned -> returned"]),
    ],
    "the line speaks for a unit that was silent already": [
        (mute(1), []),
        (mute(4), [f"{PROBE} raised -> unacknowledged"]),
        (off(5), []),
        (off(7), [f"{LINE} raised -> unacknowledged", f"{PROBE} suppressed -> suppressed"]),
        (mute(8), [f"{LINE} returned -> returned", f"{PROBE} unsuppressed -> unacknowledged"]),
    ],
    "a short loss of the line disturbs nothing": [
        (temp(0, 38.0), [f"{H} raised -> unacknowledged"]),
        (ack(1, H), [f"{H} acknowledged -> acknowledged"]),
        (off(2), []),
        (off(3), []),
        (temp(4, 38.0), []),
    ],
    "while the line is lost it speaks for what stood, which is told anew after": [
        (temp(0, 38.0), [f"{H} raised -> unacknowledged"]),
        (ack(1, H), [f"{H} acknowledged -> acknowledged"]),
        (off(2), []),
        (off(4), [f"{LINE} raised -> unacknowledged", f"{H} suppressed -> suppressed"]),
        (
            temp(60, 38.0),
            [f"{LINE} returned -> returned", f"{H} unsuppressed -> unacknowledged"],
        ),
    ],
    "what ended while the line was lost is not told once more": [
        (temp(0, 38.0), [f"{H} raised -> unacknowledged"]),
        (ack(1, H), [f"{H} acknowledged -> acknowledged"]),
        (off(2), []),
        (off(4), [f"{LINE} raised -> unacknowledged", f"{H} suppressed -> suppressed"]),
        (temp(60, 37.0), [f"{LINE} returned -> returned", f"{H} cleared -> normal"]),
        (temp(61, 38.0), [f"{H} raised -> unacknowledged"]),
    ],
    "the line is back and the unit is not: nothing is unsuppressed before it has spoken": [
        (temp(0, 38.0), [f"{H} raised -> unacknowledged"]),
        (off(1), []),
        (off(3), [f"{LINE} raised -> unacknowledged", f"{H} suppressed -> suppressed"]),
        (mute(4), [f"{LINE} returned -> returned"]),
        (mute(7), [f"{PROBE} raised -> unacknowledged", f"{H} suppressed -> suppressed"]),
        (
            temp(8, 38.0),
            [f"{PROBE} returned -> returned", f"{H} unsuppressed -> unacknowledged"],
        ),
    ],
    "what settles clears nothing and raises nothing, and the silence before it goes on": [
        (temp(0, 38.0), [f"{H} raised -> unacknowledged"]),
        (off(1), []),
        (off(3), [f"{LINE} raised -> unacknowledged", f"{H} suppressed -> suppressed"]),
        (settling(4, 0.0), [f"{LINE} returned -> returned"]),
        (settling(5, 99.0), []),
        (temp(6, 38.0), [f"{H} unsuppressed -> unacknowledged"]),
    ],
    "what settles for too long is as good as silent": [
        (off(1), []),
        (settling(2, 0.0), []),
        (settling(5, 0.0), [f"{PROBE} raised -> unacknowledged"]),
        (temp(6, 37.0), [f"{PROBE} returned -> returned"]),
    ],
    "a shelf ends while nothing can be read": [
        (shelve(0, H, 5), [f"{H} shelved -> shelved"]),
        (off(4), []),
        (off(5), [f"{H} unshelved -> normal"]),
    ],
    "a start is no outage: a condition that waits is not raised before the line had its chance": [
        (off(0), []),
        (starting(300), []),
        (temp(301, 37.0), []),
        (off(302), []),
        (starting(600), []),
        (off(601), [f"{LINE} raised -> unacknowledged"]),
    ],
    "an alarm shelved in an outage is gated twice and told anew after both": [
        (temp(0, 38.0), [f"{H} raised -> unacknowledged"]),
        (off(1), []),
        (off(3), [f"{LINE} raised -> unacknowledged", f"{H} suppressed -> suppressed"]),
        (shelve(4, H, 10), [f"{H} shelved -> shelved"]),
        (off(14), [f"{H} unshelved -> suppressed"]),
        (
            temp(15, 38.0),
            [f"{LINE} returned -> returned", f"{H} unsuppressed -> unacknowledged"],
        ),
    ],
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_story(story: Story) -> None:
    play(Board(ONE, {}), story)


def test_an_outage_is_named_by_those_it_suppresses() -> None:
    board = Board(ONE, {})
    play(
        board,
        STORIES["while the line is lost it speaks for what stood, which is told anew after"][:4],
    )
    assert board.alarm(H).suppressed_by == LINE
    assert board.alarm(HH).at_rest


def test_the_nearest_active_worse_level_speaks() -> None:
    watched = plant(source(0, "inc", "probe", "bus", [channel("temp", WORST, HIGH, WORSE)]))
    board = Board(watched, {})
    board.observe(temp(0, 42.0))
    assert [board.alarm(name).superseded_by for name in (H, HH, HHH)] == [HH, HHH, ""]


def test_the_sides_do_not_supersede_each_other() -> None:
    board = Board(plant(source(0, "inc", "probe", "bus", [channel("co2", LOW, HIGH)])), {})
    board.observe(temp(0, 4.0))
    assert short(board.observe(temp(1, 38.0))) == [
        "inc/co2/high raised -> unacknowledged",
        "inc/co2/low returned -> returned",
    ]


TWO = plant(
    source(0, "inc", "probe", "bus", [channel("temp", HIGH)]),
    source(1, "rea", "probe", "bus", [channel("temp", HIGH)]),
)


def test_units_behind_one_line_are_one_alarm_and_each_waits_for_its_own_word() -> None:
    board = Board(TWO, {})
    board.observe(scan(0, 38.0, source=0))
    board.observe(scan(0, 38.0, source=1))
    for seconds in (1, 3):
        for unit in (0, 1):
            board.observe(lost(seconds, Cause.LINE, 1, unit))
    assert [name for name, alarm in board.standing() if alarm.state is not State.SUPPRESSED] == [
        LINE
    ]
    assert short(board.observe(scan(4, 38.0, source=0))) == [
        f"{LINE} returned -> returned",
        "inc/temp/high unsuppressed -> unacknowledged",
    ]
    assert board.alarm("rea/temp/high").state is State.SUPPRESSED
    assert short(board.observe(scan(4, 38.0, source=1))) == [
        "rea/temp/high unsuppressed -> unacknowledged"
    ]


def test_what_is_raised_after_a_quiet_outage_is_annunciated() -> None:
    """The other unit ended the line's alarm; this one's first good scan lies in its band."""
    board = Board(TWO, {})
    for seconds in (1, 3):
        for unit in (0, 1):
            board.observe(lost(seconds, Cause.LINE, 1, unit))
    board.observe(scan(4, 37.0, source=0))
    board.observe(scan(4, 37.0, source=1))
    (event,) = board.observe(scan(5, 38.0, source=1))
    assert event.alarm.annunciated


MIXED = plant(
    source(
        0,
        "inc",
        "probe",
        "bus",
        [
            channel("mode", UNREADABLE, kind=ChannelType.TEXT),
            channel("temp", HIGH, UNREADABLE),
            channel("door", kind=ChannelType.STATE),
            channel("hours", UNREADABLE, kind=ChannelType.COUNTER),
        ],
    )
)


def test_text_states_and_counters_pass_beside_levels() -> None:
    board = Board(MIXED, {})
    assert board.observe(scan(0, "heating", 37.0, False, 12)) is NOTHING
    assert short(board.observe(scan(1, "idle", 38.0, True, 13))) == [
        f"{H} raised -> unacknowledged"
    ]
    assert board.observe(scan(2, None, 38.0, None, 13)) == ()
    assert short(board.observe(scan(5, None, 38.0, None, 13))) == [
        "inc/mode/unreadable raised -> unacknowledged"
    ]


@pytest.mark.parametrize("kinds", [[], ["temp"], ["mode"], ["mode", "temp"], ["temp", "co2"]])
def test_any_mix_of_channels_has_a_fast_path(kinds: list[str]) -> None:
    channels = [
        channel(k, kind=ChannelType.TEXT if k == "mode" else ChannelType.ANALOG) for k in kinds
    ]
    board = Board(plant(source(0, "inc", "probe", "bus", channels)), {})
    values = ["on" if kind == "mode" else 1.0 for kind in kinds]
    assert board.observe(scan(0, *values)) is NOTHING


PAIR = plant(
    source(
        0,
        "inc",
        "probe",
        "bus",
        [
            channel("temp", HIGH.model_copy(update={"on_delay": 5 * SECOND})),
            channel("co2", LOW),
        ],
    )
)


def spoke(seconds: float, channel: int, value: float | None) -> Scan:
    values = (value, None) if channel == 0 else (None, value)
    return scan(seconds, *values, spoke=frozenset({channel}))


def test_a_change_of_one_channel_leaves_the_other_but_looks_at_its_delay() -> None:
    play(
        Board(PAIR, {}),
        [
            (spoke(0, 0, 38.0), []),
            (spoke(4, 1, 5.0), []),
            (spoke(5, 1, 5.0), [f"{H} raised -> unacknowledged"]),
        ],
    )


def test_a_delay_does_not_fall_due_on_anothers_word_after_a_bad_reading() -> None:
    play(
        Board(PAIR, {}),
        [
            (spoke(0, 0, 38.0), []),
            (spoke(1, 0, None), []),
            (spoke(9, 1, 5.0), []),
            (spoke(10, 0, 38.0), [f"{H} raised -> unacknowledged"]),
        ],
    )


def test_an_uncertain_reading_may_raise_and_never_clears() -> None:
    board = Board(ONE, {})
    assert short(board.observe(scan(0, 38.0, faults={0: DOUBTFUL}))) == [
        f"{H} raised -> unacknowledged"
    ]
    assert board.observe(scan(1, 37.0, faults={0: DOUBTFUL})) == ()


def test_late_readings_are_history() -> None:
    board = Board(ONE, {})
    assert board.observe(temp(0, 38.0)._replace(origin=Origin.LATE)) is NOTHING


def test_the_peak_goes_on_while_the_alarm_is_active() -> None:
    board = Board(ONE, {})
    for seconds, value in enumerate([37.9, 38.4, 38.1, 38.8, 37.45]):
        board.observe(temp(seconds, value))
    assert (board.alarm(H).peak, board.alarm(H).peak_at) == (38.8, moment(3).at)


TIMED = plant(source(0, "inc", "probe", "bus", [channel("temp", HIGH, STALE, timed=True)]))


def test_a_link_that_comes_and_goes_each_second_is_one_alarm_when_it_stays_away() -> None:
    minute = 60 * SECOND
    bus = Silent(name="line-bus", on_delay=minute)
    probe = source(
        0,
        "inc",
        "probe",
        "bus",
        [channel("temp", HIGH, Unreadable(on_delay=minute))],
        Silent(name="silent-probe", on_delay=minute),
    )
    board = Board(plant(probe, line_silent={"bus": bus}), {})

    def told(link: Iterable[tuple[int, bool]]) -> list[str]:
        return short([e for at, up in link for e in do(board, temp(at, 37.0) if up else off(at))])

    flapping = [(second, second % 2 == 0) for second in range(600)]
    assert told(flapping) == []
    assert told((second, False) for second in range(600, 700)) == [
        f"{LINE} raised -> unacknowledged"
    ]
    assert told((second + 700, up) for second, up in flapping) == [f"{LINE} returned -> returned"]


def test_a_source_time_that_stands_still_is_stale() -> None:
    def timed(seconds: float, time: int) -> Scan:
        return scan(seconds, 37.0, times={0: time})

    play(
        Board(TIMED, {}),
        [
            (timed(0, 1), []),
            (timed(1, 2), []),
            (timed(2, 2), []),
            (timed(3, 3), []),
            (timed(4, 3), []),
            (timed(6, 3), []),
            (timed(7, 3), ["inc/temp/stale raised -> unacknowledged"]),
            (timed(8, 4), ["inc/temp/stale returned -> returned"]),
            (timed(9, 5), []),
        ],
    )


def test_a_held_value_bears_its_source_time_without_touching_any_fact() -> None:
    board = Board(TIMED, {})
    for seconds, time in enumerate([1, 1, 1, 2, 2, 2, 3]):
        assert board.observe(scan(seconds, 37.0, times={0: time})) == ()
    assert board.take_changed() == {}


def test_a_standstill_counts_from_its_first_moment() -> None:
    board = Board(plant(source(0, "i", "p", "bus", [channel("t", SLOW, timed=True)])), {})
    for seconds in range(11):
        board.observe(scan(seconds, 37.0, times={0: 1}))
    assert board.alarm("i/t/stale").condition_start is None
    [raised] = board.observe(scan(11, 37.0, times={0: 1}))
    assert raised.alarm.condition_start == moment(1)


@pytest.mark.parametrize(
    ("spoke", "values", "told"),
    [
        pytest.param({0}, (37.0, None), [], id="inside its band"),
        pytest.param({0}, (38.0, None), ["inc/temp/high raised -> unacknowledged"], id="beyond"),
        pytest.param({1}, (None, "heat"), [], id="a text has no band"),
        pytest.param(set(), (None, None), [], id="none spoke"),
    ],
)
def test_a_part_of_the_channels_is_judged_by_what_spoke(
    spoke: set[int], values: tuple[float | str | None, ...], told: list[str]
) -> None:
    channels = [channel("temp", HIGH), channel("mode", kind=ChannelType.TEXT)]
    board = Board(plant(source(0, "inc", "probe", "bus", channels)), {})
    play(board, [(scan(0, *values, spoke=frozenset(spoke)), told)])


# --- states

AJAR = OffNormal(name="ajar", off_normal=(True,), on_delay=5 * SECOND)
OPEN = OffNormal(name="open", off_normal=(True,))
HELD = OffNormal(name="held", off_normal=("held", "aborted"))
WRONG = OffNormal(normal=("running",), off_delay=3 * SECOND)
STATES = plant(
    source(
        0,
        "inc",
        "probe",
        "bus",
        [channel("temp", HIGH), door(AJAR, OPEN), channel("mode", HELD, kind=ChannelType.TEXT)],
    )
)
D, A, M = "inc/door/open", "inc/door/ajar", "inc/mode/held"


def states(seconds: float, door: bool | None, mode: str | None) -> Scan:
    return scan(seconds, 37.0, door, mode)


def part(seconds: float, **said: float | str | None) -> Scan:
    """Return a scan of those channels only that are named."""
    names = ("temp", "door", "mode")
    spoke = frozenset(names.index(name) for name in said)
    return scan(seconds, *(said.get(name) for name in names), spoke=spoke)


BOTH = [f"{D} raised -> unacknowledged", f"{M} raised -> unacknowledged"]

STATE_STORIES: dict[str, Story] = {
    "a door opens, stays so, and is closed": [
        (states(0, False, "running"), []),
        (states(1, True, "running"), [f"{D} raised -> unacknowledged"]),
        (states(5, True, "running"), []),
        (states(6, True, "running"), [f"{A} raised -> unacknowledged"]),
        (ack(7, D), [f"{D} acknowledged -> acknowledged"]),
        (states(8, False, "running"), [f"{A} returned -> returned", f"{D} cleared -> normal"]),
        (states(9, False, "running"), []),
    ],
    "a word comes, another, and a normal one": [
        (states(0, False, "running"), []),
        (states(1, False, "held"), [f"{M} raised -> unacknowledged"]),
        (states(2, False, "aborted"), []),
        (states(3, False, "idle"), [f"{M} returned -> returned"]),
        (states(4, False, "aborted"), [f"{M} raised_again -> unacknowledged"]),
    ],
    "no alarm speaks for the other of a channel": [
        (
            states(0, True, "held"),
            [f"{D} raised -> unacknowledged", f"{M} raised -> unacknowledged"],
        ),
        (states(5, True, "held"), [f"{A} raised -> unacknowledged"]),
    ],
    "what cannot be read neither raises nor clears": [
        (states(0, None, None), []),
        (
            states(1, True, "held"),
            [f"{D} raised -> unacknowledged", f"{M} raised -> unacknowledged"],
        ),
        (states(2, None, None), []),
        (states(9, True, "held"), [f"{A} raised -> unacknowledged"]),
        (
            states(10, False, "idle"),
            [
                f"{A} returned -> returned",
                f"{D} returned -> returned",
                f"{M} returned -> returned",
            ],
        ),
    ],
    "single channels speak, and a delay falls due on anothers word": [
        (part(0, mode="running", door=False), []),
        (part(1, door=True), [f"{D} raised -> unacknowledged"]),
        (part(2, mode="running"), []),
        (part(6, temp=37.0), [f"{A} raised -> unacknowledged"]),
        (part(7, mode="held"), [f"{M} raised -> unacknowledged"]),
        (part(8, mode="held", temp=37.1), []),
        (part(9, mode="running"), [f"{M} returned -> returned"]),
        (part(10, door=False), [f"{A} returned -> returned", f"{D} returned -> returned"]),
    ],
    "while the line is lost it speaks for a door that stood open": [
        (states(0, True, "running"), [f"{D} raised -> unacknowledged"]),
        (lost(1, Cause.LINE, 3), []),
        (
            lost(3, Cause.LINE, 3),
            [f"{LINE} raised -> unacknowledged", f"{D} suppressed -> suppressed"],
        ),
        (
            states(4, True, "running"),
            [f"{LINE} returned -> returned", f"{D} unsuppressed -> unacknowledged"],
        ),
    ],
    "a shelved door is told when its shelf is over and it still is open": [
        (shelve(0, D, 5), [f"{D} shelved -> shelved"]),
        (states(1, True, "running"), [f"{D} raised -> shelved"]),
        (states(5, True, "running"), [f"{D} unshelved -> unacknowledged"]),
    ],
}


@pytest.mark.parametrize("story", STATE_STORIES.values(), ids=STATE_STORIES)
def test_states(story: Story) -> None:
    play(Board(STATES, {}), story)


@pytest.mark.parametrize("story", STATE_STORIES.values(), ids=STATE_STORIES)
def test_a_restart_at_any_step_tells_nothing_and_changes_nothing(story: Story) -> None:
    facts: dict[str, Alarm] = {}
    for step, told in story:
        board = Board(STATES, facts)
        assert board.reconcile(moment(0)) == ()
        assert short(do(board, step)) == list(told), step
        facts |= board.take_changed()


def test_steady_states_cost_no_look(monkeypatch: pytest.MonkeyPatch) -> None:
    normal, raised = Board(STATES, {}), Board(STATES, {})
    raised.observe(states(0, True, "held"))
    raised.observe(states(9, True, "held"))
    monkeypatch.setattr(Board, "_judge", None)  # Whoever is looked at now fails.
    assert normal.observe(states(10, False, "running")) is NOTHING
    assert normal.observe(states(11, False, "idle")) is NOTHING
    assert normal.observe(part(12, mode="running")) is NOTHING
    assert raised.observe(states(10, True, "aborted")) is NOTHING
    assert raised.observe(part(11, mode="held")) is NOTHING


def test_time_in_which_nobody_looked_restarts_the_off_delay_of_a_text() -> None:
    """The word is the same before and after, and yet it has to be heard."""
    board = Board(
        plant(source(0, "inc", "probe", "bus", [channel("mode", WRONG, kind=ChannelType.TEXT)])), {}
    )
    play(board, [(scan(0, "held"), ["inc/mode/off-normal raised -> unacknowledged"])])
    play(board, [(scan(1, "running"), [])])
    assert board.missed("inc", moment(60)) == ()
    play(
        board,
        [
            (scan(61, "running"), []),
            (scan(63, "running"), []),
            (scan(64, "running"), ["inc/mode/off-normal returned -> returned"]),
        ],
    )


def test_a_door_goes_on_under_a_rule_that_became_its_contrary() -> None:
    was = Board(plant(source(0, "inc", "probe", "bus", [door(OPEN)])), {})
    was.observe(scan(0, True))
    contrary = OPEN.model_copy(update={"off_normal": (False,)})
    board = Board(plant(source(0, "inc", "probe", "bus", [door(contrary)])), was.take_changed())
    assert short(board.reconcile(moment(9))) == [f"{D} changed -> unacknowledged"]
    assert short(board.observe(scan(10, True))) == [f"{D} returned -> returned"]


# --- acts


def test_an_unknown_alarm_is_refused() -> None:
    answer = Board(ONE, {}).act("inc/temp/nonsense", Acknowledge(), moment(0))
    assert isinstance(answer, Refusal)
    assert answer.word == "unknown_alarm"


@pytest.mark.parametrize(
    ("occurrence", "version", "word"),
    [(1, 1, None), (None, None, None), (2, None, "stale"), (0, None, "stale"), (1, 0, "stale")],
)
def test_an_act_is_bound_to_the_alarm_as_it_was_seen(
    occurrence: int | None, version: int | None, word: str | None
) -> None:
    board = Board(ONE, {})
    board.observe(temp(0, 38.0))
    answer = board.act(
        H, Acknowledge(), moment(1), expect_occurrence=occurrence, expect_version=version
    )
    assert (answer.word if isinstance(answer, Refusal) else None) == word


@pytest.mark.parametrize("act", [Acknowledge(), Reset(), Unshelve()])
def test_a_normal_alarm_has_nothing_to_act_on_but_a_shelf(act: Act) -> None:
    board = Board(ONE, {})
    assert isinstance(board.act(H, act, moment(0)), Refusal)
    assert board.take_changed() == {}


def test_an_act_does_not_raise_what_only_a_scan_may() -> None:
    board = Board(PAIR, {})
    board.observe(scan(0, 38.0, 5.0))
    assert short(do(board, shelve(9, H, 60))) == [f"{H} shelved -> shelved"]
    assert not board.alarm(H).active


# --- the gateway's own


def test_the_gateways_own_troubles_are_alarms_like_any_other() -> None:
    rules = {"sink-mqtt": Silent(name="sink-mqtt", on_delay=10 * SECOND)}
    board, name = Board(ONE, {}, rules), "gateway/_/sink-mqtt"
    assert short(board.report("sink-mqtt", True, moment(0))) == []
    assert short(board.report("sink-mqtt", True, moment(10))) == [
        f"{name} raised -> unacknowledged"
    ]
    assert short(board.report("sink-mqtt", None, moment(11))) == []
    assert short(do(board, ack(12, name))) == [f"{name} acknowledged -> acknowledged"]
    assert short(board.report("sink-mqtt", False, moment(13))) == [f"{name} cleared -> normal"]


def test_every_alarm_says_where_it_belongs() -> None:
    watched = Board(ONE, {}).watched
    assert set(watched) == {LINE, PROBE, H, HH, UNREAD}
    high = watched[H]
    assert (high.equipment, high.area, high.kind, high.channel) == (
        "inc",
        "suite-a",
        "incubator",
        "temp",
    )
    assert (high.unit, high.limit, high.source, high.channel_index) == ("%", 37.5, 0, 0)
    assert (watched[LINE].equipment, watched[LINE].rule_name, watched[LINE].line) == (
        "gateway",
        "line-bus",
        "bus",
    )
    assert (watched[PROBE].channel, watched[PROBE].rule_name, watched[PROBE].limit) == (
        "_",
        "silent-probe",
        None,
    )


# --- facts, restart, reload


def test_facts_are_given_out_when_they_change_and_once() -> None:
    board = Board(PAIR, {})
    board.observe(scan(0, 38.0, 5.0))
    (alarm,) = board.take_changed().values()
    assert alarm.pending is not None
    board.observe(scan(1, 38.0, 5.0))
    assert board.take_changed() == {}
    board.observe(scan(2, 37.0, 5.0))
    (alarm,) = board.take_changed().values()
    assert alarm.at_rest
    assert board.standing() == []


def test_all_facts_are_given_out_again_on_demand() -> None:
    board = Board(ONE, {})
    board.observe(temp(0, 38.0))
    board.take_changed()
    board.retake()
    assert set(board.take_changed()) == {H}


def changed_plant(*rules: High | Low | Unreadable) -> Plant:
    return plant(source(0, "inc", "probe", "bus", [channel("temp", *rules)]))


def facts_after(story: Story) -> dict[str, Alarm]:
    board = Board(ONE, {})
    for step, _ in story:
        do(board, step)
    return board.take_changed()


HOT: Story = [(temp(0, 39.5), [])]


def test_an_unchanged_file_has_nothing_to_reconcile() -> None:
    board = Board(ONE, facts_after(HOT))
    assert board.reconcile(moment(9)) == ()
    assert board.take_changed() == {}


def test_a_standing_alarm_whose_rule_vanished_ends_and_the_milder_speaks() -> None:
    board = Board(changed_plant(HIGH, UNREADABLE), facts_after(HOT))
    events = board.reconcile(moment(9))
    assert short(events) == [f"{HH} ended -> ended", f"{H} unsuppressed -> unacknowledged"]
    assert board.watched[HH].limit == 39.0
    assert board.watched[HH].area == "suite-a"
    assert HH not in dict(board.standing())


def test_the_counts_of_an_ended_alarm_outlive_it() -> None:
    board = Board(changed_plant(HIGH, UNREADABLE), facts_after(HOT))
    board.reconcile(moment(9))
    again = Board(ONE, board.take_changed())
    assert again.reconcile(moment(10)) == ()
    (raised, _) = again.observe(temp(11, 39.5))
    assert (raised.name, raised.alarm.occurrence) == (HH, 2)


def test_a_pending_condition_whose_rule_vanished_is_dropped_in_silence() -> None:
    facts = facts_after([(temp(0, None), [])])
    assert set(facts) == {UNREAD}
    board = Board(changed_plant(HIGH, WORSE), facts)
    assert board.reconcile(moment(9)) == ()
    assert board.take_changed()[UNREAD].at_rest


def test_a_standing_alarm_goes_on_under_a_changed_rule() -> None:
    milder = HIGH.model_copy(update={"limit": 38.5})
    board = Board(changed_plant(milder, WORSE, UNREADABLE), facts_after([(temp(0, 38.0), [])]))
    assert short(board.reconcile(moment(9))) == [f"{H} changed -> unacknowledged"]
    assert board.reconcile(moment(9)) == ()
    assert short(board.observe(temp(10, 38.0))) == [f"{H} returned -> returned"]


def test_what_stands_escalates_by_the_steps_that_a_reload_gives_it() -> None:
    urgent = HIGH.model_copy(update={"escalate": Escalation(after=60 * SECOND)})
    board = Board(changed_plant(urgent, WORSE, UNREADABLE), facts_after([(temp(0, 38.0), [])]))
    assert short(board.reconcile(moment(9))) == [f"{H} changed -> unacknowledged"]
    assert short(board.observe(temp(59, 38.0))) == []
    assert short(board.observe(temp(60, 38.0))) == [f"{H} escalated -> unacknowledged"]
    back = Board(changed_plant(HIGH, WORSE, UNREADABLE), board.take_changed())
    assert short(back.reconcile(moment(61))) == [f"{H} changed -> unacknowledged"]
    assert HIGH.priority_after(back.alarm(H).escalations) is HIGH.priority
    assert short(back.observe(temp(9999, 38.0))) == []


def test_a_normal_alarm_takes_a_changed_rule_in_silence() -> None:
    facts = facts_after([(temp(0, 38.0), []), (ack(1, H), []), (temp(2, 37.0), [])])
    board = Board(changed_plant(HIGH.model_copy(update={"limit": 38.5}), WORSE, UNREADABLE), facts)
    assert board.reconcile(moment(9)) == ()
    assert set(board.take_changed()) == {H}


def test_facts_of_a_rule_that_no_release_can_read_still_end_with_an_event() -> None:
    facts = {name: alarm._replace(rule="{}") for name, alarm in facts_after(HOT).items()}
    board = Board(changed_plant(UNREADABLE), facts)
    assert short(board.reconcile(moment(9))) == [f"{H} ended -> ended", f"{HH} ended -> ended"]


OVER: Story = [
    (temp(0, 38.0), [f"{H} raised -> unacknowledged"]),
    (mute(1), []),
    (mute(4), [f"{PROBE} raised -> unacknowledged", f"{H} suppressed -> suppressed"]),
    (temp(5, 38.0), [f"{PROBE} returned -> returned", f"{H} unsuppressed -> unacknowledged"]),
    (off(6), []),
    (
        off(8),
        [
            f"{LINE} raised -> unacknowledged",
            f"{PROBE} suppressed -> suppressed",
            f"{H} suppressed -> suppressed",
        ],
    ),
    (mute(9), [f"{LINE} returned -> returned", f"{PROBE} unsuppressed -> returned"]),
    (mute(10), []),
    (off(11), []),
    (mute(12), [f"{PROBE} raised_again -> unacknowledged", f"{H} suppressed -> suppressed"]),
]
"""The line is over as soon as the unit is silent; its channels wait for the unit."""


def test_a_line_that_is_over_does_not_speak_again() -> None:
    """Neither when a line that was lost anew waits for its delay, nor after a restart."""
    play(Board(ONE, {}), OVER)
    facts: dict[str, Alarm] = {}
    for step, told in OVER:
        assert isinstance(step, Scan)
        board = Board(ONE, facts)
        assert board.reconcile(step.moment) == ()
        assert board.place("inc", Circumstances(), step.moment) == ()
        assert short(board.observe(step)) == list(told), step
        facts |= board.take_changed()


def test_time_in_which_nobody_looked_is_missing_data() -> None:
    """It restarts an off-delay and lets an on-delay count on, as a bad reading does."""
    slow = HIGH.model_copy(update={"off_delay": 10 * SECOND})
    board = Board(changed_plant(slow), {})
    for seconds, value in [(0, 38.0), (1, 37.0)]:
        board.observe(temp(seconds, value))
    assert board.missed("inc", moment(60)) == ()
    assert short(board.observe(temp(61, 37.0))) == []
    assert short(board.observe(temp(71, 37.0))) == [f"{H} returned -> returned"]


def test_time_in_which_nobody_looked_is_missing_data_of_a_unit_too() -> None:
    slow = Silent(name="silent-probe", off_delay=5 * SECOND)
    board = Board(plant(source(0, "inc", "probe", "bus", [channel("temp", HIGH)], slow)), {})
    play(board, [(mute(1), [f"{PROBE} raised -> unacknowledged"]), (temp(2, 37.0), [])])
    assert board.missed("inc", moment(600)) == ()
    play(board, [(temp(600, 37.0), []), (temp(605, 37.0), [f"{PROBE} returned -> returned"])])


def test_a_unit_that_is_silent_asks_again_after_time_in_which_nobody_looked() -> None:
    slow = Silent(name="silent-probe", re_alarm=300 * SECOND)
    board = Board(plant(source(0, "inc", "probe", "bus", [channel("temp", HIGH)], slow)), {})
    board.observe(mute(1))
    do(board, ack(2, PROBE))
    asked = board.missed("inc", moment(600))
    assert short(asked) == [f"{PROBE} re_alarmed -> unacknowledged"]


def test_no_event_without_its_words() -> None:
    """The table above names every change but those of one's own making."""
    told = {row.split()[1] for story in STORIES.values() for _, rows in story for row in rows}
    apart = {
        Change.RAISED_AGAIN,
        Change.RE_ALARMED,
        Change.ESCALATED,
        Change.CONFIRMED,
        Change.RESET,
        Change.REMOVED_FROM_SERVICE,
        Change.RETURNED_TO_SERVICE,
        Change.CHANGED,
        Change.ENDED,
    }
    assert told == {change.value for change in set(Change) - apart}

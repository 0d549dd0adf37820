"""What is made up for a shadow: each kind of rule is raised by it, in its time, and returns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.plant import ChannelType, Plant
from config.rules import (
    CalibrationDue,
    ChannelRule,
    Deviation,
    Discrepancy,
    Escalation,
    Flatline,
    High,
    Low,
    OffNormal,
    Rate,
    Repeated,
    Rule,
    Silent,
    Stale,
    StatusBits,
    Unreadable,
)
from drivers.reading import Value
from monitor.alarms.board import Board
from monitor.alarms.facts import (
    Acknowledge,
    Alarm,
    AlarmEvent,
    Change,
    Condition,
    Confirm,
    Observation,
    Refusal,
    Reset,
    Shelve,
    State,
)
from monitor.alarms.rehearsal import (
    Known,
    Script,
    is_shadow,
    real_name,
    shadow,
    shadow_name,
    write,
)
from monitor.alarms.watch import Watched
from tests.monitor.alarms.small_plant import (
    MINUTE,
    SECOND,
    channel,
    door,
    moment,
    plant,
    scan,
    source,
)

DELAYS = {"on_delay": 2 * SECOND, "off_delay": SECOND}
ANALOG = Known(ChannelType.ANALOG, value=5.0)
COUNTER = Known(ChannelType.COUNTER, value=3)
DOOR = Known(ChannelType.STATE, {0: "closed", 1: "open"}, value=False)
MODE = Known(ChannelType.TEXT, {1: "run", 2: "hold"}, value="run")
BESIDE = ANALOG._replace(other=37.0)

RULES: list[tuple[ChannelRule, Known]] = [
    (High(limit=6.0, deadband=0.1, **DELAYS), ANALOG),
    (High(limit=0.0), ANALOG),
    (High(limit=-80.0, deadband=2.0), ANALOG),
    (High(limit=20, deadband=1), COUNTER),
    (Low(limit=4.0, deadband=0.1, **DELAYS), ANALOG),
    (Low(limit=-190.0), ANALOG),
    (Low(limit=2.5), COUNTER),
    (OffNormal(off_normal=(True,), **DELAYS), DOOR),
    (OffNormal(normal=(False,)), DOOR),
    (OffNormal(off_normal=("hold",)), MODE),
    (OffNormal(normal=("run",), **DELAYS), MODE),
    (OffNormal(normal=("run",)), Known(ChannelType.TEXT)),
    (OffNormal(off_normal=("hold",)), Known(ChannelType.TEXT)),
    (Deviation(setpoint="sp", above=0.5, below=1.0, deadband=0.1, **DELAYS), BESIDE),
    (Deviation(setpoint="sp", below=1.0), BESIDE),
    (Discrepancy(against="other", tolerance=0.5, deadband=0.1, **DELAYS), BESIDE),
    (Rate(rising=0.5, window=5 * MINUTE, on_delay=2 * SECOND), ANALOG),
    (Rate(falling=0.5, window=10 * SECOND), ANALOG),
    (Rate(rising=5, falling=5, window=20 * SECOND), COUNTER),
    (Rate(rising=1, window=SECOND // 2), Known(ChannelType.ANALOG, period=SECOND // 10)),
    (Flatline(flatline=20 * SECOND, **DELAYS), ANALOG),
    (Flatline(flatline=5 * SECOND), DOOR),
    (Flatline(flatline=5 * SECOND), MODE),
    (Repeated(x=3, of=5, high=20.0), COUNTER),
    (Repeated(x=1, of=2, low=1.0, on_delay=2 * SECOND), ANALOG),
    (StatusBits(bits=(62, 3), **DELAYS), COUNTER),
    (Unreadable(**DELAYS), ANALOG),
    (Unreadable(), Known(ChannelType.TEXT)),
    (Stale(**DELAYS), ANALOG),
    (Stale(), Known(ChannelType.STATE)),
]

VALUES: Mapping[ChannelType | None, type[Value]] = {
    ChannelType.ANALOG: float,
    ChannelType.COUNTER: int,
    ChannelType.STATE: bool,
    ChannelType.TEXT: str,
}


def watching(*rules: ChannelRule) -> Plant:
    return plant(source(0, "incubator-7", "probe", "bus", [channel("co2", *rules)]))


@dataclass
class Walk:
    """A shadow, walked by the script that was written for it."""

    board: Board
    watched: Watched
    script: Script
    seconds: float = 0.0
    turned: float | None = None
    told: list[tuple[float, AlarmEvent]] = field(default_factory=list)

    def on(self, until: Change, most: float = 4000) -> float:
        """Go on until that is told; return after how many seconds of this leg."""
        began = self.seconds
        while not self.told or self.told[-1][1].change is not until:
            now = moment(self.seconds)
            back = None if self.turned is None else moment(self.turned)
            events = self.board.say(self.watched.name, self.script.say(now, back), now)
            self.told += [(self.seconds, event) for event in events]
            self.seconds += self.script.pace / SECOND
            assert self.seconds - began < most, f"never {until}"
        return self.told[-1][0] - began

    @property
    def changes(self) -> list[str]:
        return [event.change.value for _, event in self.told]


def walking(rule: ChannelRule, known: Known = ANALOG) -> Walk:
    board = Board(watching(rule), {})
    name = f"incubator-7/co2/{rule.name}"
    script = write(board.watched[name], known, moment(0))
    assert isinstance(script, Script), script
    return Walk(board, board.rehearse(name), script)


@pytest.mark.parametrize(("rule", "known"), RULES, ids=lambda each: getattr(each, "kind", ""))
def test_each_rule_is_raised_in_its_time_and_returns(rule: ChannelRule, known: Known) -> None:
    walk = walking(rule, known)
    earliest, latest = (each / SECOND for each in walk.script.raised_within)
    assert earliest <= walk.on(Change.RAISED) <= latest + walk.script.pace / SECOND
    assert earliest >= rule.on_delay / SECOND
    walk.board.act(walk.watched.name, Acknowledge(), moment(walk.seconds))
    walk.turned = walk.seconds
    earliest, latest = (each / SECOND for each in walk.script.returned_within)
    assert earliest <= walk.on(Change.CLEARED) <= latest + walk.script.pace / SECOND
    assert walk.changes == ["raised", "cleared"]


@pytest.mark.parametrize(("rule", "known"), RULES, ids=lambda each: getattr(each, "kind", ""))
def test_what_is_made_up_is_what_the_channel_could_say(rule: ChannelRule, known: Known) -> None:
    script = walking(rule, known).script
    for turned in (None, moment(100)):
        for seconds in (100, 101, 157.3):
            said = script.say(moment(seconds), turned)
            assert isinstance(said, Observation)
            if said.value is not None:
                assert type(said.value) is VALUES[known.type]


@pytest.mark.parametrize("rule", [Silent(name="silent-probe"), CalibrationDue(name="due")])
def test_what_is_so_or_not_so_is_said_to_be_so(rule: Rule) -> None:
    script = write(_alone(rule), Known(), moment(0))
    assert isinstance(script, Script)
    assert script.say(moment(1), None) == Condition(holds=True)
    assert script.say(moment(1), moment(1)) == Condition(holds=False)


@given(
    st.floats(-1e9, 1e9, allow_subnormal=False),
    st.floats(0, 100),
    st.sampled_from([High, Low]),
    st.sampled_from([ANALOG, COUNTER]),
)
def test_any_limit_has_values_on_both_of_its_sides(
    limit: float, deadband: float, kind: type[High | Low], known: Known
) -> None:
    side = {"high": limit} if kind is High else {"low": limit}
    walk = walking(kind.model_validate({**side, "deadband": deadband}), known)
    assert walk.on(Change.RAISED) == 0
    walk.turned = walk.seconds
    assert walk.on(Change.RETURNED) == 0


def _alone(rule: Rule, name: str = "") -> Watched:
    board = Board(watching(High(limit=6.0)), {})
    usual = board.watched["incubator-7/co2/high"]
    return usual._replace(rule=rule, rule_name=name or rule.name)


@pytest.mark.parametrize(
    ("watched", "known", "word"),
    [
        (_alone(Deviation(setpoint="sp", above=1.0)), ANALOG, "cannot be read just now"),
        (_alone(Discrepancy(against="other", tolerance=1.0)), ANALOG, "cannot be read just now"),
        (_alone(OffNormal(off_normal=(True, False))), DOOR, "no value that the channel can have"),
        (_alone(OffNormal(normal=("run", "hold"))), MODE, "no value that the channel can have"),
        (_alone(High(limit=1.7e308, deadband=1e308)), ANALOG, "no value that the channel can have"),
        (_alone(High(limit=6.0), "h" * 59), ANALOG, "a name of 58 letters"),
    ],
)
def test_where_nothing_honest_can_be_made_up_it_says_so(
    watched: Watched, known: Known, word: str
) -> None:
    refusal = write(watched, known, moment(0))
    assert isinstance(refusal, Refusal)
    assert refusal.word == "not_testable"
    assert word in refusal.text


def test_a_test_that_nobody_acknowledges_escalates_to_nobody() -> None:
    walk = walking(High(limit=6.0, escalate=Escalation(after=SECOND)))
    walk.on(Change.RAISED)
    walk.turned = 60.0
    walk.on(Change.RETURNED)
    assert walk.changes == ["raised", "returned"]


def test_confirm_and_reset_are_asked_for_where_the_rule_does() -> None:
    walk = walking(High(limit=6.0, confirm=True, latching=True, re_alarm=SECOND))
    walk.on(Change.RAISED)
    name = walk.watched.name
    for act in (Acknowledge(), Confirm()):
        assert not isinstance(walk.board.act(name, act, moment(walk.seconds)), Refusal)
    walk.seconds = walk.turned = 10.0
    walk.on(Change.RETURNED)
    assert walk.board.alarm(name).state is State.LATCHED_ACKNOWLEDGED
    assert not isinstance(walk.board.act(name, Reset(), moment(11)), Refusal)
    assert walk.board.alarm(name).state is State.NORMAL
    assert walk.changes == ["raised", "returned"], "it asks for no second acknowledgement"


def test_a_shadow_cannot_be_shelved() -> None:
    walk = walking(High(limit=6.0))
    refusal = walk.board.act(walk.watched.name, Shelve(SECOND), moment(0))
    assert isinstance(refusal, Refusal)
    assert refusal.word == "not_shelvable"


def test_neither_speaks_for_the_other_and_both_for_nobody() -> None:
    """With three levels, the worst of them under test: the real ones do as they do without it."""
    rules = High(limit=6.0), High(name="high-high", limit=8.0), Low(limit=4.0)
    tested, plain = Board(watching(*rules), {}), Board(watching(*rules), {})
    name = "incubator-7/co2/high-high"
    script = write(tested.watched[name], ANALOG, moment(0))
    assert isinstance(script, Script)
    one = tested.rehearse(name)
    for seconds, value in enumerate([5.0, 7.0, 9.0, 7.0, 5.0, 3.0, 5.0]):
        now = moment(seconds)
        tested.say(one.name, script.say(now, None), now)
        assert tested.observe(scan(seconds, value)) == plain.observe(scan(seconds, value))
        assert tested.alarm(one.name).state is State.UNACKNOWLEDGED
    tested.end_rehearsal(one.name, moment(9))
    tested.forget(one.name)
    assert tested.watched.keys() == plain.watched.keys()
    for name in plain.watched:
        assert tested.alarm(name) == plain.alarm(name)


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 4])
def test_wherever_it_is_cut_off_the_next_start_ends_it(steps: int) -> None:
    rule = High(limit=6.0, on_delay=2 * SECOND)
    walk = walking(rule)
    name = walk.watched.name
    kept: dict[str, Alarm] = {}
    legs: list[Callable[[], object]] = [
        lambda: walk.board.say(name, walk.script.say(moment(0), None), moment(0)),
        lambda: walk.board.say(name, walk.script.say(moment(2), None), moment(2)),
        lambda: walk.board.act(name, Acknowledge(), moment(3)),
        lambda: walk.board.say(name, walk.script.say(moment(4), moment(4)), moment(4)),
        lambda: walk.board.end_rehearsal(name, moment(5)),
    ]
    for leg in legs[: steps + 1]:
        assert not isinstance(leg(), Refusal)
        kept |= walk.board.take_changed()
    again = Board(watching(rule), kept)
    told = again.reconcile(moment(10))
    whole = steps == len(legs) - 1
    assert [(e.name, e.change) for e in told] == ([] if whole else [(name, Change.ENDED)])
    assert again.reconcile(moment(11)) == ()
    occurrences = again.alarm(name).occurrence
    assert occurrences == (0 if steps == 0 else 1)
    another = again.rehearse("incubator-7/co2/high")
    again.say(another.name, walk.script.say(moment(12), None), moment(12))
    [raised] = again.say(another.name, walk.script.say(moment(14), None), moment(14))
    assert (raised.change, raised.alarm.occurrence) == (Change.RAISED, occurrences + 1)
    [ended] = again.end_rehearsal(another.name, moment(15))
    assert ended.change is Change.ENDED


def test_it_has_a_name_of_its_own() -> None:
    watched = _alone(High(limit=6.0), "high")
    one = shadow(watched)
    assert one.name == "incubator-7/co2/test-high"
    assert (one.rule_name, one.test) == ("test-high", True)
    assert is_shadow(one.name)
    assert not is_shadow("test-bench/co2/high")
    assert real_name(shadow_name("gateway/_/line-bus")) == "gateway/_/line-bus"


def test_the_day_of_a_calibration_and_a_silent_unit_are_left_alone() -> None:
    """Their shadows are told what is so; the calendar and the wire tell the real ones only."""
    due = CalibrationDue(name="calibration-probe", ahead=0)
    of = watching(High(limit=6.0))
    of = replace(
        of,
        sources=(replace(of.sources[0], calibration=(due,), calibration_due=date(2030, 1, 1)),),
    )
    board = Board(of, {})
    for name in ("incubator-7/_/calibration-probe", "incubator-7/_/silent-probe"):
        script = write(board.watched[name], Known(), moment(0))
        assert isinstance(script, Script)
        one = board.rehearse(name)
        board.say(one.name, script.say(moment(0), None), moment(0))
        board.say(one.name, script.say(moment(3), None), moment(3))
        assert board.alarm(one.name).active
        assert board.observe(scan(4, 5.0)) == ()
        assert board.look(moment(5)) == ()
        assert not board.alarm(name).active
        assert board.alarm(one.name).active
        assert not isinstance(board.act(one.name, Acknowledge(), moment(6)), Refusal)


def test_a_door_is_told_by_the_name_of_its_state() -> None:
    rule = OffNormal(name="open", off_normal=(True,))
    board = Board(plant(source(0, "incubator-7", "probe", "bus", [door(rule)])), {})
    script = write(board.watched["incubator-7/door/open"], DOOR, moment(0))
    assert isinstance(script, Script)
    one = board.rehearse("incubator-7/door/open")
    assert one.told(script.beyond) == "open"

"""Stories of how an equipment is used; any restart, reboot or clock step on the way tells no more.

A story is a list of steps: when, what happens, and what it is told to come to.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, assert_never

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.rules import EquipmentState, High, When
from drivers.reading import Moment, Origin, Scan
from monitor.alarms import usage_snapshot
from monitor.alarms.facts import Circumstances, Refusal
from monitor.alarms.usage import (
    GRACE,
    LONGEST_OVERRIDE,
    MOST_LOADED,
    UNUSED,
    Load,
    Occupancy,
    SetState,
    ToldBy,
    Unload,
    UsageAct,
    UsageChange,
    UsageEvent,
)
from monitor.alarms.usages import Event, Usages
from tests.monitor.alarms.small_plant import MINUTE, SECOND, minute, moment
from tests.monitor.alarms.small_plant import scan as scan_of
from tests.monitor.alarms.used_plant import (
    CLEANING,
    DOUBTFUL,
    IDLE,
    IN_USE,
    LONGEST,
    LOST,
    MAINTENANCE,
    SILENT,
    USED,
    panel,
    used_plant,
)

PLANT = used_plant()
HOUR = 3600.0
Told = tuple[UsageChange, EquipmentState, ToldBy, str]


def fresh(seconds: float = 0) -> Usages:
    usages = Usages(PLANT, {}, moment(seconds))
    assert usages.reconcile(moment(seconds)) == []
    return usages


def told(events: Sequence[Event]) -> list[Told]:
    changes = [event for event in events if isinstance(event, UsageEvent)]
    return [(e.change, e.after.state, e.after.cause, e.after.phase) for e in changes]


def by(state: EquipmentState | None, duration: float | None = None) -> SetState:
    lasts = None if duration is None else round(duration * SECOND)
    return SetState(state, "kim", "said by hand", lasts)


class Step(NamedTuple):
    """One thing that happens, and all that is told of it."""

    at: float
    what: Scan | UsageAct | None
    """None: only time has passed."""
    told: Sequence[Told] = ()


def says(at: float, *said: object, told: Sequence[Told] = ()) -> Step:
    return Step(at, panel(at, *said), told)


def state(new: EquipmentState, cause: ToldBy = ToldBy.CHANNEL, phase: str = "") -> Told:
    return UsageChange.STATE, new, cause, phase


def phase(word: str, of: EquipmentState = IN_USE, cause: ToldBy = ToldBy.CHANNEL) -> Told:
    return UsageChange.PHASE, of, cause, word


ENDED = UsageChange.SUPPRESSION_ENDED
UNKNOWN = state(IN_USE, ToldBy.UNKNOWN)
STORIES: Mapping[str, Sequence[Step]] = {
    "nothing is told of what is as it was": [says(0), says(1), Step(2, None)],
    "a channel tells cleaning, and its end": [
        says(0),
        says(1, True, told=[state(CLEANING)]),
        says(2, True),
        says(3, False, told=[state(IN_USE)]),
    ],
    "the first channel that tells a state decides": [
        says(0, False, "standby", told=[state(IDLE)]),
        says(1, True, "standby", told=[state(CLEANING)]),
        says(2, True, "culture"),
        says(3, False, "service", told=[state(MAINTENANCE)]),
        says(4, False, "no word of ours", told=[state(IN_USE, ToldBy.NOBODY)]),
    ],
    "the last word counts for a minute": [
        says(0, True, told=[state(CLEANING)]),
        says(10, LOST),
        says(69.9, LOST),
        Step(69.9, None),
        Step(70, None, [UNKNOWN]),
        says(80, LOST),
        says(90, True, told=[state(CLEANING)]),
    ],
    "a good reading ends the minute": [
        says(0, True, told=[state(CLEANING)]),
        says(10, LOST),
        says(60, True),
        says(61, LOST),
        Step(120, None),
        Step(121, None, [UNKNOWN]),
    ],
    "that a channel is not known is told where it is in use, too, and its end": [
        says(0),
        says(1, LOST),
        Step(61, None, [UNKNOWN]),
        says(62, False, told=[state(IN_USE)]),
    ],
    "a later channel does not speak for one that is not known": [
        says(0, False, "standby", told=[state(IDLE)]),
        says(1, LOST, "standby"),
        Step(61, None, [UNKNOWN]),
    ],
    "a channel behind the one that decides may be lost": [
        says(0, True, "standby", told=[state(CLEANING)]),
        says(1, True, LOST),
        Step(62, None),
    ],
    "one that never speaks is not known after a minute": [
        Step(59.9, None),
        Step(60, None, [UNKNOWN]),
    ],
    "a phase, and its loss": [
        says(0, False, "culture", "expansion", told=[phase("expansion")]),
        says(1, False, "culture", "transduction", told=[phase("transduction")]),
        says(2, False, "culture", LOST),
        Step(61.9, None),
        Step(62, None, [phase("")]),
    ],
    "a state and a phase at once": [
        says(
            0,
            True,
            "culture",
            "harvest",
            told=[state(CLEANING, phase="harvest"), phase("harvest", CLEANING)],
        ),
    ],
    "suppression ends, the state goes on": [
        says(0, True, told=[state(CLEANING)]),
        Step(2 * HOUR - 0.1, None),
        Step(2 * HOUR, None, [(ENDED, CLEANING, ToldBy.CHANNEL, "")]),
        says(3 * HOUR, True),
        Step(9 * HOUR, None),
        says(9 * HOUR, False, told=[state(IN_USE)]),
    ],
    "a state that suppresses nothing ends nothing": [
        says(0, False, "standby", told=[state(IDLE)]),
        Step(9 * HOUR, None),
    ],
    "an operator's word goes before the channels'": [
        says(0),
        Step(1, by(CLEANING), [state(CLEANING, ToldBy.ACT)]),
        says(2, False, "service"),
        Step(3, by(None), [state(MAINTENANCE)]),
    ],
    "it ends after its time": [
        says(0),
        Step(1, by(CLEANING, 600), [state(CLEANING, ToldBy.ACT)]),
        Step(600.9, None),
        Step(601, None, [state(IN_USE)]),
    ],
    "without a time it ends when the state may suppress no longer": [
        says(0),
        Step(1, by(CLEANING), [state(CLEANING, ToldBy.ACT)]),
        Step(2 * HOUR, None),
        Step(2 * HOUR + 1, None, [state(IN_USE)]),
    ],
    "without a time, where it suppresses nothing, it stands": [
        says(0),
        Step(1, by(IDLE), [state(IDLE, ToldBy.ACT)]),
        Step(900 * HOUR, None),
        says(900 * HOUR, True),
        Step(901 * HOUR, by(None), [state(CLEANING)]),
    ],
    "a longer time does not make the suppression longer": [
        says(0),
        Step(0, by(CLEANING, 4 * HOUR), [state(CLEANING, ToldBy.ACT)]),
        Step(2 * HOUR, None, [(ENDED, CLEANING, ToldBy.ACT, "")]),
        Step(4 * HOUR, None, [state(IN_USE)]),
    ],
    "nor does saying it again": [
        says(0, True, told=[state(CLEANING)]),
        Step(1 * HOUR, by(CLEANING, 4 * HOUR), [state(CLEANING, ToldBy.ACT)]),
        Step(2 * HOUR, None, [(ENDED, CLEANING, ToldBy.ACT, "")]),
        Step(3 * HOUR, by(CLEANING), [state(CLEANING, ToldBy.ACT)]),
        Step(5 * HOUR, None, [state(CLEANING)]),
        says(6 * HOUR, False, told=[state(IN_USE)]),
    ],
    "the state begins anew after another, and so does what it may suppress": [
        says(0, True, told=[state(CLEANING)]),
        Step(2 * HOUR, None, [(ENDED, CLEANING, ToldBy.CHANNEL, "")]),
        says(3 * HOUR, False, told=[state(IN_USE)]),
        says(4 * HOUR, True, told=[state(CLEANING)]),
        Step(6 * HOUR - 1, None),
        Step(6 * HOUR, None, [(ENDED, CLEANING, ToldBy.CHANNEL, "")]),
    ],
}


def restarted(usages: Usages, before: Moment, after: Moment | None = None) -> Usages:
    """Save everything, and take it up again; ``after``: by the clock of another boot."""
    usages.retake()
    saved = {
        name: usage_snapshot.dump(usage, "a", before)
        for name, usage in usages.take_changed().items()
        if usage != UNUSED
    }
    now, boot = (before, "a") if after is None else (after, "b")
    loaded = {name: usage_snapshot.load(text, boot, now) for name, text in saved.items()}
    again = Usages(PLANT, loaded, now)
    assert again.reconcile(now) == [], "nothing is told that was not told before"
    return again


def play(usages: Usages, step: Step) -> Sequence[Event]:
    match step.what:
        case Scan():
            return usages.observe(step.what)
        case None:
            return usages.look(moment(step.at))
        case _:
            return done(usages, USED, step.what, moment(step.at))


def done(usages: Usages, where: str, act: UsageAct, now: Moment) -> Sequence[Event]:
    """What is told of an act that is done."""
    told = usages.act(where, act, now)
    assert not isinstance(told, Refusal), told
    return told


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_a_story(story: Sequence[Step]) -> None:
    usages = fresh()
    for step in story:
        assert told(play(usages, step)) == list(step.told), step.at


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_a_restart_after_any_step_changes_nothing(story: Sequence[Step]) -> None:
    """Every step is followed by one, so every duration runs over several."""
    usages = fresh()
    for step in story:
        assert told(play(usages, step)) == list(step.told), step.at
        usages = restarted(usages, moment(step.at))


STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.5, 20.0, 45.0, 60.0, 3600.0, 7200.0]),
        st.sampled_from([False, True, LOST])
        | st.sampled_from(
            [by(CLEANING), by(MAINTENANCE, 90), by(IDLE), by(None), Load("B-1", "a"), Unload("B-1")]
        ),
        st.sampled_from(["culture", "standby", "service", LOST]),
        st.sampled_from(["", "expansion", LOST]),
    ),
    max_size=12,
)


class Passing:
    """A clock for a run, which may be stepped, and may begin anew with another boot."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._stepped = self._booted = 0

    def now(self) -> Moment:
        true = moment(self.seconds)
        return Moment(true.at + self._stepped, true.boot - self._booted)

    def step(self) -> None:
        self._stepped += 40 * 24 * 3600 * SECOND

    def reboot(self) -> None:
        self._booted = moment(self.seconds).boot - 30 * SECOND


Disturbance = Literal["", "restart", "reboot", "step"]


def run(
    steps: Sequence[tuple[float, object, object, object]], disturbance: Disturbance = ""
) -> list[object]:
    """What is told in the end; time is looked at as the daemon looks at it."""
    usages, clock, heard = fresh(), Passing(), list[object]()
    for passed, what, mode, word in steps:
        clock.seconds += passed
        now = clock.now()
        heard += map(essence, usages.look(now))
        if isinstance(what, SetState | Load | Unload):
            done = usages.act(USED, what, now)
            heard += [done] if isinstance(done, Refusal) else map(essence, done)
        else:
            scan = panel(0, what, mode, word)._replace(at=now.at, boot=now.boot)
            heard += map(essence, usages.observe(scan))
        match disturbance:
            case "restart":
                usages = restarted(usages, now)
            case "reboot":
                clock.reboot()
                usages = restarted(usages, now, clock.now())
            case "step":
                clock.step()
            case "":
                pass
            case _:
                assert_never(disturbance)
    return heard


def essence(event: Event) -> object:
    """What is told of an event, but for the time."""
    match event:
        case UsageEvent():
            before, after = event.before, event.after
            return event.change, before.state, after.state, after.cause, after.phase, after.told
        case Occupancy():
            return event.came, event.loaded.batch, event.loaded.position
        case _:
            assert_never(event)


@pytest.mark.parametrize("disturbance", ["restart", "reboot", "step"])
@given(steps=STEPS)
def test_no_restart_and_no_clock_is_ever_seen(
    disturbance: Disturbance, steps: Sequence[tuple[float, object, object, object]]
) -> None:
    assert run(steps, disturbance) == run(steps)


@given(STEPS)
def test_nothing_suppresses_for_longer_than_it_may(
    steps: Sequence[tuple[float, object, object, object]],
) -> None:
    usages, at = fresh(), 0.0
    for passed, what, mode, word in steps:
        at += passed
        usages.look(moment(at))
        if isinstance(what, SetState | Load | Unload):
            usages.act(USED, what, moment(at))
        else:
            usages.observe(panel(at, what, mode, word))
        usages.look(moment(at))
        usage, until = usages[USED], usages.suppressing_until(USED)
        suppresses = usage.state in {CLEANING, MAINTENANCE} and usage.circumstances.suppresses
        assert suppresses == (until is not None)
        if until is not None:
            assert usage.since is not None
            assert until == usage.since.boot + LONGEST > moment(at).boot


@pytest.mark.parametrize("away", [0.0, 30.0])
def test_over_a_reboot_the_wall_clock_bridges(away: float) -> None:
    usages = fresh()
    usages.observe(panel(0))
    usages.act(USED, by(CLEANING, 600), moment(60))
    usages.retake()
    saved = usage_snapshot.dump(usages[USED], "a", moment(120))
    up = moment(120 + away)._replace(boot=20 * SECOND)
    usage = usage_snapshot.load(saved, "b", up)
    again = Usages(PLANT, {USED: usage}, up)
    assert again.reconcile(up) == []
    left = (600 - 60 - away) * SECOND
    almost = up._replace(boot=up.boot + round(left) - 1)
    assert again.look(almost) == []
    [event] = again.look(almost._replace(boot=almost.boot + 1))
    assert (event.after.state, event.before.bridged) == (IN_USE, True)


def test_a_step_of_the_clock_is_not_seen() -> None:
    usages = fresh()
    usages.observe(panel(0, True))
    stepped = moment(7199)._replace(at=moment(999_999).at)
    assert usages.look(stepped) == []
    assert told(usages.look(moment(7200))) == [(ENDED, CLEANING, ToldBy.CHANNEL, "")]


def test_only_good_readings_of_the_present_tell() -> None:
    usages = fresh()
    usages.observe(panel(0))
    for origin in (Origin.LATE, Origin.TEST):
        assert usages.observe(panel(1, True)._replace(origin=origin)) == ()
    assert usages.observe(panel(1, True)._replace(faults={0: DOUBTFUL})) == ()
    assert usages[USED].state is IN_USE
    assert usages[USED].word("decontamination").lost == moment(1)


def test_what_did_not_speak_is_as_it_was() -> None:
    usages = fresh()
    usages.observe(panel(0, True))
    partial = panel(1, None, "standby", None)._replace(spoke=frozenset({1}))
    assert usages.observe(partial) == ()
    assert (usages[USED].state, usages[USED].word("mode").said) == (CLEANING, "standby")


def test_sources_that_tell_nothing_are_not_looked_at() -> None:
    usages = fresh()
    assert usages.sources == {0}
    assert usages.observe(scan_of(0, 37.0, source=1)) == ()
    assert usages.observe(scan_of(0, 37.0, source=2)) == ()


@pytest.mark.parametrize(
    ("when", "ends"),
    [
        pytest.param(When(states=(IDLE,), off=True), True, id="a limit is off in it"),
        pytest.param(When(states=(IDLE,), limit=40.0), False, id="a limit is another in it"),
        pytest.param(When(states=(CLEANING,), off=True), False, id="off in another"),
        pytest.param(When(states=(IDLE,), phases=("cip",), off=True), False, id="off in a phase"),
    ],
)
def test_a_limit_that_is_off_in_a_state_is_so_for_no_longer_than_it_may(
    when: When, ends: bool
) -> None:
    usages = Usages(used_plant(High(limit=38.0, when=(when,))), {}, moment(0))
    usages.observe(panel(0, False, "standby"))
    assert usages[USED].state is IDLE
    told_of = told(usages.look(moment(2 * HOUR)))
    assert told_of == ([(ENDED, IDLE, ToldBy.CHANNEL, "")] if ends else [])


def test_circumstances_are_what_alarms_depend_on() -> None:
    usages = fresh()
    usages.observe(panel(0, True, "culture", "harvest"))
    usages.look(moment(2 * HOUR))
    assert usages.circumstances() == {
        USED: Circumstances(CLEANING, "harvest", suppresses=False),
        SILENT: Circumstances(),
    }


def test_what_tells_is_told() -> None:
    usages = fresh()
    usages.observe(panel(0, True))
    assert usages[USED].told == "decontamination: running"
    usages.observe(panel(1, False, "service"))
    assert usages[USED].told == "mode: service"
    usages.observe(panel(2, False, LOST))
    usages.look(moment(62))
    assert usages[USED].told == "mode"


def test_a_file_that_asks_other_channels_is_weighed_at_the_start() -> None:
    usages = fresh()
    usages.observe(panel(0, True))
    saved = usages.take_changed()
    other = used_plant()
    [first, second] = other.equipment
    object.__setattr__(first, "state_from", ())
    object.__setattr__(first, "phase_from", None)
    again = Usages(other, saved, moment(1))
    assert told(again.reconcile(moment(1))) == [state(IN_USE, ToldBy.NOBODY)]
    assert again[USED].words == ()
    assert again[second.name] == UNUSED


def test_what_stands_of_an_equipment_that_left_the_file_is_kept() -> None:
    usages = fresh()
    usages.act(USED, Load("B-1"), moment(0))
    gone = {"freezer-1": usages[USED]}
    again = Usages(PLANT, gone, moment(1))
    again.retake()
    assert again.take_changed()["freezer-1"].batches == ("B-1",)


def test_batches_are_many_to_many() -> None:
    usages = fresh()
    for where, batch, position in [
        (USED, "B-1", "shelf 1"),
        (USED, "B-2", "shelf 1"),
        (USED, "B-1", "shelf 2"),
        (SILENT, "B-1", ""),
    ]:
        [came] = done(usages, where, Load(batch, position), minute(0.5))
        assert isinstance(came, Occupancy)
        assert (came.equipment, came.came, came.loaded.batch) == (where, True, batch)
    assert usages[USED].batches == ("B-1", "B-2")
    assert usages[SILENT].batches == ("B-1",)
    left = done(usages, USED, Unload("B-1"), minute(0.9))
    assert [(e.came, e.loaded.position) for e in left if isinstance(e, Occupancy)] == [
        (False, "shelf 1"),
        (False, "shelf 2"),
    ]
    assert usages[USED].batches == ("B-2",)
    assert usages[SILENT].batches == ("B-1",)


def test_one_place_of_several_is_left() -> None:
    usages = fresh()
    for position in ("a", "b"):
        usages.act(USED, Load("B-1", position), minute(0.1))
    [left] = done(usages, USED, Unload("B-1", "a"), minute(0.2))
    assert isinstance(left, Occupancy)
    assert left.loaded.since == minute(0.1).at
    assert [one.position for one in usages[USED].loaded] == ["b"]


def test_a_load_leaves_the_state_alone() -> None:
    usages = fresh()
    usages.act(USED, by(IDLE), moment(0))
    usages.act(USED, Load("B-1"), moment(1))
    assert usages[USED].state is IDLE


@pytest.mark.parametrize(
    ("act", "word"),
    [
        pytest.param(SetState(CLEANING, "kim", " "), "reason_required", id="no reason"),
        pytest.param(by(None), "already_done", id="nothing was set by hand"),
        pytest.param(by(CLEANING, 0), "illegal_transition", id="no time"),
        pytest.param(by(IDLE, LONGEST_OVERRIDE / SECOND + 1), "too_long", id="over a year"),
        pytest.param(Load("B-1", "a"), "already_done", id="loaded twice"),
        pytest.param(Load(""), "invalid", id="no batch"),
        pytest.param(Load("   "), "invalid", id="blank"),
        pytest.param(Load("B" * 65), "invalid", id="too long"),
        pytest.param(Load("B-1\n"), "invalid", id="a line break"),
        pytest.param(Load("B\x1b[31m"), "invalid", id="a terminal's code"),
        pytest.param(Load("B\u202e1"), "invalid", id="what turns the reading round"),
        pytest.param(Load("B\u200b1"), "invalid", id="what has no width"),
        pytest.param(Load(" B-1"), "invalid", id="a space before"),
        pytest.param(Load("B-1", "a\tb"), "invalid", id="a tab in the position"),
        pytest.param(Load("B-1", "a" * 65), "invalid", id="a long position"),
        pytest.param(Unload("B-2"), "not_there", id="not inside"),
        pytest.param(Unload("B-1", "b"), "not_there", id="not in that place"),
    ],
)
def test_what_is_refused_changes_nothing(act: UsageAct, word: str) -> None:
    usages = fresh()
    usages.act(USED, Load("B-1", "a"), moment(0))
    before = usages[USED]
    usages.take_changed()
    refusal = usages.act(USED, act, moment(1))
    assert isinstance(refusal, Refusal)
    assert refusal.word == word
    assert usages[USED] is before
    assert usages.take_changed() == {}


def test_an_equipment_holds_so_many_at_most() -> None:
    usages = fresh()
    for number in range(MOST_LOADED):
        usages.act(USED, Load(f"B-{number}"), moment(0))
    refusal = usages.act(USED, Load("one more"), moment(0))
    assert isinstance(refusal, Refusal)
    assert refusal.word == "too_many"


def test_a_batch_of_64_letters_of_any_script_is_taken() -> None:
    usages = fresh()
    for batch in ("é" * 64, "G1517 24 654321 5", "患者-7"):
        assert not isinstance(usages.act(USED, Load(batch), moment(0)), Refusal)


def test_what_changed_is_given_once() -> None:
    usages = fresh()
    assert list(usages.take_changed()) == [USED], "the minute of its channels has begun"
    usages.observe(panel(0))
    assert list(usages.take_changed()) == [USED]
    usages.observe(panel(1))
    assert usages.take_changed() == {}
    usages.observe(panel(2, LOST))
    assert list(usages.take_changed()) == [USED]
    usages.observe(panel(3, LOST))
    assert usages.take_changed() == {}


def test_the_minute_is_one() -> None:
    assert GRACE == MINUTE


RINSED = used_plant(
    High(
        limit=37.5,
        when=(
            When(phases=("rinse", "harvest"), off=True, longest=10 * MINUTE),
            When(phases=("seeding",), limit=40.0),
        ),
    ),
    High(name="high-high", limit=39.0, when=(When(phases=("rinse",), off=True),)),
)


def test_what_a_phase_switches_off_is_on_again_after_its_longest() -> None:
    usages = Usages(RINSED, {}, moment(0))
    assert told(usages.observe(panel(0, phase="rinse"))) == [
        (UsageChange.PHASE, IN_USE, ToldBy.CHANNEL, "rinse")
    ]
    assert usages[USED].circumstances == Circumstances(IN_USE, "rinse")
    assert usages.look(moment(599)) == []
    ended = UsageChange.PHASE_SUPPRESSION_ENDED
    assert told(usages.look(moment(600))) == [(ended, IN_USE, ToldBy.CHANNEL, "rinse")]
    assert usages[USED].circumstances == Circumstances(IN_USE, "rinse", phase_suppresses=False)
    assert usages.look(moment(99_999)) == []
    usages.observe(panel(99_999, phase="harvest"))
    assert usages[USED].circumstances == Circumstances(IN_USE, "harvest")


def test_a_phase_that_switches_nothing_off_has_no_end() -> None:
    usages = Usages(RINSED, {}, moment(0))
    usages.observe(panel(0, phase="seeding"))
    assert usages.look(moment(99_999)) == []
    assert usages[USED].circumstances == Circumstances(IN_USE, "seeding")


@pytest.mark.parametrize("boot", ["boot-1", "boot-2"])
def test_the_longest_of_a_phase_goes_on_over_restart_and_reboot(boot: str) -> None:
    usages = Usages(RINSED, {}, moment(0))
    usages.observe(panel(0, phase="rinse"))
    text = usage_snapshot.dump(usages[USED], "boot-1", moment(300))
    again = usage_snapshot.load(text, boot, moment(300))
    assert again.phase_since == moment(0)
    restarted = Usages(RINSED, {USED: again}, moment(300))
    restarted.observe(panel(300, phase="rinse"))
    assert restarted.look(moment(599)) == []
    assert [event.change for event in restarted.look(moment(600))] == [
        UsageChange.PHASE_SUPPRESSION_ENDED
    ]

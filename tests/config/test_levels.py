"""Levels of one channel in order, in every state and phase: one fault, and what is said of it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.levels import in_effect, level_findings
from config.rules import Deviation, EquipmentState, High, Low, When
from tests.config.site_text import problems, spoilt

HIGH = "{name: high, high: 37.5, deadband: 0.1}"
LOW = "{name: low, low: 36, deadband: 0.1}"
WORSE = "{name: high-high, high: 39, deadband: 0.1}"
PHASE = "phase: {input: 9, type: uint16, names: {0: growth, 1: transduction}}"
AT = "limits.warm.temperature"


def high(when: str) -> str:
    return f"{{name: high, high: 37.5, deadband: 0.1, when: [{when}]}}"


def worse(when: str) -> str:
    return f"{HIGH}\n      - {{name: high-high, high: 39, deadband: 0.1, when: [{when}]}}"


FAULTS = {
    "a variant below the low limit": (
        HIGH,
        high("{states: [idle], limit: 35}"),
        [(f"8:80: {AT}.0.when.0.limit: 35 is not above the low limit 36 (while idle)")],
    ),
    "a low limit's variant above the high one": (
        LOW,
        "{name: low, low: 36, deadband: 0.1, when: [{states: [idle], limit: 38}]}",
        [(f"9:76: {AT}.1.when.0.limit: 38 is not below the high limit 37.5 (while idle)")],
    ),
    "a variant's deadband": (
        HIGH,
        high("{states: [idle], deadband: 2}"),
        [
            (
                f"8:83: {AT}.0.when.0.deadband: "
                "can never clear: the deadband reaches the low limit 36 (while idle)"
            )
        ],
    ),
    "a variant that comes too near": (
        HIGH,
        high("{states: [idle], limit: 36.05}"),
        [
            (
                f"8:80: {AT}.0.when.0.limit: "
                "can never clear: the deadband reaches the low limit 36 (while idle)"
            )
        ],
    ),
    "a low limit's variant that comes too near": (
        LOW,
        "{name: low, low: 36, deadband: 0.1, when: [{states: [idle], limit: 37.45}]}",
        [
            (
                f"9:76: {AT}.1.when.0.limit: "
                "rule 'high' can never clear: the deadband reaches the low limit 37.45 (while idle)"
            ),
        ],
    ),
    "a milder level overtakes a worse one": (
        HIGH,
        high("{states: [idle], limit: 40}") + f"\n      - {WORSE}",
        [
            (
                f"8:80: {AT}.0.when.0.limit: "
                "40 no longer is in order with 39 of 'high-high' (while idle)"
            )
        ],
    ),
    "a worse level falls behind": (
        HIGH,
        worse("{states: [cleaning, idle], limit: 37.2}"),
        [
            (
                f"9:93: {AT}.1.when.0.limit: "
                "37.2 no longer is in order with 37.5 of 'high' (while idle)"
            )
        ],
    ),
    "a variant for always": (
        HIGH,
        high("{limit: 38}"),
        [f"8:56: {AT}.0.when.0: holds always: say in which states or phases"],
    ),
    "a variant that says nothing": (
        HIGH,
        high("{states: [idle]}"),
        [(f"8:56: {AT}.0.when.0: changes nothing: give it a limit, deadband, on_delay or off")],
    ),
    "off where it counts": (
        HIGH,
        high("{states: [in_use, idle], off: true}"),
        [f"8:86: {AT}.0.when.0.off: what is in use is watched whole: no limit is off in it"],
    ),
    "off and a limit": (
        HIGH,
        high("{states: [idle], limit: 38, off: true}"),
        [f"8:89: {AT}.0.when.0.off: off leaves no limit, deadband or delay to change"],
    ),
    "a time after which a state switches on again": (
        HIGH,
        high("{states: [idle], off: true, longest: 3h}"),
        [f"8:93: {AT}.0.when.0.longest: ends what a phase switches off: give phases and off"],
    ),
    "a variant that an earlier one covers": (
        HIGH,
        high("{states: [idle, cleaning], off: true}, {states: [cleaning], limit: 38}"),
        [f"8:95: {AT}.0.when.1: never holds: wherever it would, an earlier one does"],
    ),
    "a variant that two earlier ones cover": (
        HIGH,
        high(
            "{states: [idle], off: true}, {states: [cleaning], off: true}, "
            "{states: [cleaning, idle], limit: 38}"
        ),
        [f"8:118: {AT}.0.when.2: never holds: wherever it would, an earlier one does"],
    ),
    "no state": (
        HIGH,
        high("{states: [cleanin], limit: 38}"),
        [
            (
                f"8:66: {AT}.0.when.0.states.0: should be 'in_use', 'idle', 'cleaning', "
                "'warming_up', 'maintenance', 'out_of_service' or 'quarantined'; "
                "did you mean 'cleaning'?"
            )
        ],
    ),
    "a phase that nobody has": (
        HIGH,
        high("{phases: [growth], limit: 38}"),
        [(f"8:66: {AT}.0.when.0.phases.0: no equipment with this limit set has a phase 'growth'")],
    ),
    "a variant that no reading reaches": (
        HIGH,
        high("{states: [idle], limit: 150}"),
        [
            (
                f"8:80: {AT}.0.when.0.limit: "
                "can never be raised: readings outside -50 to 150 Cel are bad"
            )
        ],
    ),
    "a state has no variants": (
        "    co2: [{low",
        "    door: [{off_normal: [open], when: [{states: [idle], off: true}]}]\n    co2: [{low",
        ["10:33: limits.warm.door.0.when: 'when' does not go with the other keys here"],
    ),
}


@pytest.mark.parametrize(("old", "new", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_each_fault_is_said_where_it_is_and_alone(
    tmp_path: Path, old: str, new: str, said: list[str]
) -> None:
    assert problems(tmp_path, spoilt(old, new)) == said


def with_phase(limits: str, channel: str = PHASE) -> str:
    text = spoilt("profiles:", "kinds: {incubator: {phase: {type: text}}}\nprofiles:")
    text = spoilt("channels: {door", f"channels: {{{channel}, door", text)
    return spoilt(HIGH, limits, text)


def test_phases_are_words_of_the_phase_channel_where_they_are_known(tmp_path: Path) -> None:
    good = with_phase(high("{phases: [transduction], limit: 38}"))
    assert problems(tmp_path, good) == []
    assert problems(tmp_path, good.replace("[transduction]", "[trasduction]")) == [
        (
            f"8:66: {AT}.0.when.0.phases.0: no equipment with this limit set has a phase "
            "'trasduction'; did you mean 'transduction'?"
        )
    ]
    any_word = with_phase(
        high("{phases: [whatever], limit: 38}"), "phase: {input: 9, type: string, length: 4}"
    )
    assert problems(tmp_path, any_word) == []
    none = any_word.replace("limits: warm", "limits: warm\n    phase: off")
    assert [each.split(": ")[2] for each in problems(tmp_path, none)] == [
        "no equipment with this limit set has a phase 'whatever'"
    ]


def test_levels_are_in_order_in_each_state_of_each_phase(tmp_path: Path) -> None:
    """Either variant alone would do; where both hold, the limits meet."""
    text = with_phase(high("{phases: [growth], limit: 36.5, on_delay: 5m}"))
    assert problems(tmp_path, text) == []
    low = "{name: low, low: 36, deadband: 0.1, when: [{states: [warming_up], limit: 36.8}]}"
    assert problems(tmp_path, spoilt(LOW, low, text)) == [
        (
            f"8:82: {AT}.0.when.0.limit: "
            "36.5 is not above the low limit 36.8 (while warming_up, in phase growth)"
        )
    ]


def test_a_limit_that_is_off_stands_in_nobody_s_way(tmp_path: Path) -> None:
    text = spoilt(HIGH, high("{states: [idle], off: true}"))
    low = "{name: low, low: 36, deadband: 0.1, when: [{states: [idle], limit: 38}]}"
    assert problems(tmp_path, spoilt(LOW, low, text)) == []


def deviation(name: str, above: float | None, below: float | None) -> Deviation:
    return Deviation(name=name, setpoint="sp", above=above, below=below)


def test_levels_about_a_set_point_lie_inside_each_other() -> None:
    mild, bad = deviation("mild", 0.5, 0.5), deviation("bad", 1, 1)
    assert list(level_findings([mild, bad, deviation("low", None, 0.7)])) == []
    assert [each.text for each in level_findings([mild, deviation("odd", 1, 0.3)])] == [
        "is wider than 'mild' on one side and narrower on the other"
    ]
    elsewhere = Deviation(name="odd", setpoint="other", above=1, below=0.3)
    assert list(level_findings([mild, elsewhere])) == []


STATES = st.lists(st.sampled_from(EquipmentState), max_size=3, unique=True)
PHASES = st.lists(st.sampled_from(["a", "b"]), max_size=2, unique=True)
VARIANTS = st.lists(
    st.builds(When, states=STATES, phases=PHASES, limit=st.floats(30, 45)), max_size=3
)


@given(VARIANTS, VARIANTS, st.sampled_from(EquipmentState), st.sampled_from([None, "a", "b", "c"]))
def test_what_is_found_in_order_is_so_in_every_situation(
    of_high: list[When], of_low: list[When], state: EquipmentState, phase: str | None
) -> None:
    top = High(limit=40, deadband=1, when=tuple(of_high))
    bottom = Low(limit=35, deadband=1, when=tuple(of_low))
    limits = [
        rule.limit if held is None else rule.when[held].limit or 0.0
        for rule in (top, bottom)
        for held in [in_effect(rule, (state, phase))]
    ]
    if not list(level_findings([top, bottom])):
        assert limits[0] - 1 > limits[1]
        assert limits[1] + 1 < limits[0]

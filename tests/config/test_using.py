"""What the file says of how an equipment is used: what comes of it, and what cannot hold."""

from pathlib import Path

import pytest

from config.plant import Equipment, StateFrom, Storage
from config.rules import EquipmentState
from tests.config.site_text import GOOD, loaded, problems, spoilt

LIMITS = "    limits: warm\n"
CHANNELS = """\
          decontamination: {discrete: 7}
          mode: {input: 20, type: uint16, names: {0: standby, 1: culture}}
          device_status: {input: 21, type: uint16}
          inner_door: {discrete: 8}
          contact: {discrete: 9}
          phase: {input: 22, type: uint16, names: {0: growth, 1: rest}}
"""
USED = (
    GOOD.replace("        channels: {door: {", "        channels:\n          door: {").replace(
        "open}}}", "open}}"
    )
    + CHANNELS
    + "kinds: {incubator: {phase: {type: text}, contact: {type: state, "
    + "names: {0: open, 1: closed}}}}\n"
)
"""The good site with channels that tell what the incubator is doing."""


def used(keys: str, text: str = USED) -> str:
    return spoilt(LIMITS, f"{LIMITS}    {keys}\n", text)


def only(folder: Path, text: str) -> Equipment:
    (equipment,) = loaded(folder, text).equipment
    return equipment


def test_an_equipment_has_its_doors_and_its_phase_by_the_names_of_the_channels(
    tmp_path: Path,
) -> None:
    equipment = only(tmp_path, USED)
    assert equipment.doors == ((1, 0), (1, 4))
    assert equipment.phase_from == (1, 6)
    assert equipment.state_from == ()
    assert equipment.storage is None
    assert only(tmp_path, GOOD).phase_from is None


def test_a_site_says_otherwise(tmp_path: Path) -> None:
    equipment = only(tmp_path, used("doors: [inner_door]\n    phase: mode\n    storage: 15-25C"))
    assert equipment.doors == ((1, 4),)
    assert equipment.phase_from == (1, 2)
    assert equipment.storage is Storage.ROOM
    nothing = only(tmp_path, used("doors: []\n    phase: off"))
    assert (nothing.doors, nothing.phase_from) == ((), None)


def test_states_are_told_in_what_the_channels_give(tmp_path: Path) -> None:
    state = (
        "state: [{channel: decontamination, states: {running: cleaning}}, "
        "{channel: mode, states: {culture: in_use, standby: idle}}, "
        "{channel: device_status, states: {3: maintenance}}]"
    )
    assert only(tmp_path, used(state)).state_from == (
        StateFrom((1, 1), {True: EquipmentState.CLEANING}),
        StateFrom((1, 2), {"culture": EquipmentState.IN_USE, "standby": EquipmentState.IDLE}),
        StateFrom((1, 3), {3: EquipmentState.MAINTENANCE}),
    )


def test_what_another_gateway_reads_tells_nothing_here(tmp_path: Path) -> None:
    text = used("state: [{channel: mode, states: {standby: idle}}]").replace(
        "lines:\n", "lines:\n  - {name: bus-2, on: [gw-2], modbus: {host: 192.0.2.2}}\n"
    )
    text = spoilt("line: bus-1\n        unit: 2", "line: bus-2\n        unit: 2", text)
    here = only(tmp_path, text)
    assert (here.state_from, here.doors, here.phase_from) == ((), (), None)
    there = only(tmp_path, text.replace("gateway: gw-1", "gateway: gw-2"))
    assert [each.place for each in there.state_from] == [(1, 2)]


def test_excursions_rejoin_after_a_minute_or_as_the_site_says(tmp_path: Path) -> None:
    assert loaded(tmp_path, GOOD).rejoin == 60 * 10**9
    assert loaded(tmp_path, GOOD + "excursions: {rejoin: 0s}\n").rejoin == 0
    assert problems(tmp_path, GOOD + "excursions: {rejoin: 2d}\n") == [
        "28:22: excursions.rejoin: should be from 0ms to 1d"
    ]


FAULTS = {
    "a channel that is not there": (
        "state: [{channel: modes, states: {standby: idle}}]",
        [
            (
                "23:23: equipment.0.state.0.channel: "
                "no source here gives a channel 'modes'; did you mean 'mode'?"
            )
        ],
    ),
    "a word that it does not say": (
        "state: [{channel: mode, states: {standy: idle}}]",
        [
            (
                "23:38: equipment.0.state.0.states.standy: "
                "mode never says 'standy'; did you mean 'standby'?"
            )
        ],
    ),
    "a word that is like no other": (
        "state: [{channel: decontamination, states: {x: idle}}]",
        [
            (
                "23:49: equipment.0.state.0.states.x: "
                "decontamination never says 'x'; there are off, running"
            )
        ],
    ),
    "a state that there is not": (
        "state: [{channel: mode, states: {standby: idel}}]",
        [
            (
                "23:47: equipment.0.state.0.states.standby: should be 'in_use', 'idle', "
                "'cleaning', 'warming_up', 'maintenance', 'out_of_service' or 'quarantined'; "
                "did you mean 'idle'?"
            )
        ],
    ),
    "a word for a counter": (
        "state: [{channel: device_status, states: {standby: idle}}]",
        [
            (
                "23:47: equipment.0.state.0.states.standby: "
                "it counts, and 'standby' is no whole number"
            )
        ],
    ),
    "a measured value": (
        "state: [{channel: temperature, states: {standby: idle}}]",
        ["23:23: equipment.0.state.0.channel: a measured value tells no state"],
    ),
    "no words": (
        "state: [{channel: mode, states: {}}]",
        ["23:37: equipment.0.state.0.states: should have at least 1 item in it, not none"],
    ),
    "a phase that is not there": (
        "phase: phse",
        [
            (
                "23:12: equipment.0.phase: "
                "no source here gives a channel 'phse'; did you mean 'phase'?"
            )
        ],
    ),
    "a phase in numbers": (
        "phase: temperature",
        ["23:12: equipment.0.phase: a phase has a name, and 'temperature' gives numbers"],
    ),
    "a door that is not there": (
        "doors: [door, inner_dor]",
        [
            (
                "23:19: equipment.0.doors.1: "
                "no source here gives a channel 'inner_dor'; did you mean 'inner_door'?"
            )
        ],
    ),
    "a door that is none": (
        "doors: [mode]",
        ["23:13: equipment.0.doors.0: a door is open or closed, and 'mode' is of type text"],
    ),
    "a door the wrong way round": (
        "doors: [contact]",
        [
            (
                "23:13: equipment.0.doors.0: 'contact' is true while 'closed', and a door while "
                "it is open; give the contact to a channel such as door"
            )
        ],
    ),
    "an unknown storage": (
        "storage: 2-9C",
        ["23:14: equipment.0.storage: should be '2-8C' or '15-25C'; did you mean '2-8C'?"],
    ),
}


@pytest.mark.parametrize(("keys", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_each_fault_is_said_where_it_is_and_alone(
    tmp_path: Path, keys: str, said: list[str]
) -> None:
    assert problems(tmp_path, used(keys)) == said


def test_storage_needs_a_temperature(tmp_path: Path) -> None:
    text = spoilt(
        "      - {line: bus-1, unit: 1, profile: own, every: 1s}\n", "", used("storage: 2-8C")
    )
    assert [each for each in problems(tmp_path, text) if "storage" in each] == [
        (
            "23:14: equipment.0.storage: "
            "mean kinetic temperature needs a temperature, and no source here gives one"
        )
    ]


def test_what_is_missing_from_a_broken_equipment_is_not_called_missing(tmp_path: Path) -> None:
    text = used("doors: [door]").replace("door: {discrete: 6", "door: {discrete: x")
    assert [each.split(": ")[1] for each in problems(tmp_path, text)] == [
        "equipment.0.sources.1.channels.door.discrete"
    ]


STATES = {
    "in use is watched": (
        "in_use: {suppress: [co2]}",
        ["35:10: states.in_use: what is in use is watched whole: nothing of it is ever suppressed"],
    ),
    "a state that there is not": (
        "cleanin: {longest: 1h}",
        [
            (
                "35:10: states.cleanin: should be 'in_use', 'idle', 'cleaning', 'warming_up', "
                "'maintenance', 'out_of_service' or 'quarantined'; did you mean 'cleaning'?"
            )
        ],
    ),
    "a channel that nobody has": (
        "cleaning: {suppress: [temprature]}",
        [
            (
                "35:32: states.cleaning.suppress.0: "
                "means no alarm of any equipment; did you mean 'temperature'?"
            )
        ],
    ),
    "a rule that nobody has": (
        'cleaning: {suppress: ["temperature*", temperature/hihg]}',
        ["35:48: states.cleaning.suppress.1: means no alarm of any equipment"],
    ),
    "no pattern": (
        "cleaning: {suppress: [a/b/c]}",
        [
            (
                "35:32: states.cleaning.suppress.0: "
                "should be a channel, or channel/rule, with * and ? where any will do"
            )
        ],
    ),
    "for ever": (
        "cleaning: {longest: 1000d}",
        ["35:30: states.cleaning.longest: should be from 1m to 366d"],
    ),
    "good ones": (
        'cleaning: {suppress: ["*/low", co2/unreadable, door, "_/silent"]}',
        [],
    ),
}


@pytest.mark.parametrize(("states", "said"), STATES.values(), ids=STATES.keys())
def test_each_fault_of_a_state_is_said_where_it_is_and_alone(
    tmp_path: Path, states: str, said: list[str]
) -> None:
    head, _, kinds = USED.rpartition("kinds:")
    assert problems(tmp_path, f"{head}states: {{{states}}}\nkinds:{kinds}") == said


def test_what_the_states_suppress_comes_to_the_plant(tmp_path: Path) -> None:
    plant = loaded(tmp_path, GOOD + "states: {warming_up: {suppress: [co2], longest: 2h}}\n")
    assert plant.suppression[EquipmentState.WARMING_UP].suppress == ("co2",)
    assert plant.suppression[EquipmentState.WARMING_UP].longest == 7200 * 10**9
    assert EquipmentState.CLEANING in plant.suppression

"""Rules on channels that they cannot watch, and rules that make no sense wherever they are."""

from pathlib import Path

import pytest

from tests.config.site_text import GOOD, problems, spoilt

HIGH = "{name: high, high: 37.5, deadband: 0.1}"
CO2 = "    co2: [{low"
AT = "limits.warm.temperature.0"
MORE = GOOD.replace(
    "channels: {door",
    "channels: {temperature_setpoint: {holding: 1, type: int16, scale: 0.1},"
    " co2_probe_temperature: {holding: 2, type: int16},"
    " device_status: {holding: 3, type: uint16}, mode: {holding: 4, type: string, length: 2}, door",
)
"""The good site with more channels, on one line as before."""


DEVIATION = "{setpoint: temperature_setpoint, above: 0.5, below: 1}"


def on(channel: str, rule: str) -> str:
    """A rule on another channel, on line 10 at column 8 + the channel's name."""
    return f"    {channel}: [{rule}]\n{CO2}"


GOOD_ONES = {
    "status bits": (CO2, on("device_status", "{name: fault, bits: [0, 62], priority: high}")),
    "flatline": (HIGH, "{name: frozen, flatline: 30m}"),
    "flatline of a counter": (CO2, on("device_status", "{flatline: 3s}")),
    "deviation": (HIGH, "{setpoint: temperature_setpoint, above: 0.5, deadband: 0.1}"),
    "deviations": (
        HIGH,
        f"{DEVIATION}\n      - {{name: worse, setpoint: temperature_setpoint, above: 1, below: 1}}",
    ),
    "rates": (
        HIGH,
        "{name: falling, falling: 0.5, per: 1h, window: 5m}\n      - {rising: 1, window: 5s}",
    ),
    "trends": (
        HIGH,
        "{name: up, x: 3, of: 5, high: 38}\n      - {name: down, x: 5, of: 5, low: 36}",
    ),
    "discrepancy": (HIGH, "{against: co2_probe_temperature, tolerance: 1, deadband: 0.5}"),
}


@pytest.mark.parametrize(("old", "new"), GOOD_ONES.values(), ids=GOOD_ONES.keys())
def test_what_makes_sense_is_no_problem(tmp_path: Path, old: str, new: str) -> None:
    assert problems(tmp_path, spoilt(old, new, MORE)) == []


FAULTS = {
    "a trend of nothing": (
        HIGH,
        "{x: 3, of: 5}",
        [f"8:13: {AT}.x: beyond what limit: give high or low"],
    ),
    "two trends": (
        HIGH,
        "{x: 3, of: 5, high: 38, low: 35}",
        [f"8:38: {AT}.low: high and low are two trends: give each a rule of its own"],
    ),
    "more than all": (
        HIGH,
        "{x: 6, of: 5, high: 38}",
        [f"8:13: {AT}.x: 6 of the last 5 readings there never are"],
    ),
    "of how many": (
        HIGH,
        "{x: 6, high: 38}",
        [f"8:9: {AT}.of: is missing"],
    ),
    "a trend that is none": (
        HIGH,
        "{x: 1, of: 1, high: 38}",
        [f"8:20: {AT}.of: should be greater than or equal to 2 (got 1)"],
    ),
    "a trend beyond all readings": (
        HIGH,
        "{x: 3, of: 5, low: -60}",
        [(f"8:28: {AT}.low: can never be raised: readings outside -50 to 150 Cel are bad")],
    ),
    "a trend of doors": (
        CO2,
        on("door", "{x: 3, of: 5, high: 1}"),
        ["10:32: limits.warm.door.0.high: is for numbers, and this is a state"],
    ),
    "of without x": (
        HIGH,
        "{of: 5, high: 38}",
        [f"8:10: {AT}.of: 'of' does not go with the other keys here"],
    ),
    "a window of four readings": (
        HIGH,
        "{falling: 0.5, window: 4s}",
        [(f"8:32: {AT}.window: is too short: with a reading every 1s it should be 5s at least")],
    ),
    "no window": (
        HIGH,
        "{rising: 0.5}",
        [f"8:9: {AT}.window: is missing"],
    ),
    "a rate in no time": (
        HIGH,
        "{rising: 0.5, per: 0s, window: 5m}",
        [f"8:28: {AT}.per: should be from 1s to 366d"],
    ),
    "a rate of nothing": (
        HIGH,
        "{rising: 0, window: 5m}",
        [f"8:18: {AT}.rising: should be greater than 0 (got 0)"],
    ),
    "a door that falls": (
        CO2,
        on("door", "{falling: 1, window: 5m}"),
        ["10:22: limits.warm.door.0.falling: is for numbers, and this is a state"],
    ),
    "bits of a measured value": (
        HIGH,
        "{bits: [3]}",
        [f"8:16: {AT}.bits: only a counter has bits, and this is an analog"],
    ),
    "no bits": (
        CO2,
        on("device_status", "{bits: []}"),
        [("10:28: limits.warm.device_status.0.bits: should have at least 1 item in it, not none")],
    ),
    "a bit that is not there": (
        CO2,
        on("device_status", "{bits: [63]}"),
        [
            (
                "10:29: limits.warm.device_status.0.bits.0: "
                "should be less than or equal to 62 (got 63)"
            )
        ],
    ),
    "a still door": (
        CO2,
        on("door", "{flatline: 30m}"),
        ["10:23: limits.warm.door.0.flatline: is for numbers, and this is a state"],
    ),
    "a still text": (
        CO2,
        on("mode", "{flatline: 30m}"),
        ["10:23: limits.warm.mode.0.flatline: is for numbers, and this is a text"],
    ),
    "still for too short": (
        HIGH,
        "{flatline: 2s}",
        [(f"8:20: {AT}.flatline: is too short: with a reading every 1s it should be 3s at least")],
    ),
    "how far is too far": (
        HIGH,
        "{setpoint: temperature_setpoint}",
        [f"8:20: {AT}.setpoint: how far is too far: give above, below or both"],
    ),
    "a deadband past the set-point": (
        HIGH,
        "{setpoint: temperature_setpoint, above: 2, below: 0.5, deadband: 0.5}",
        [
            (
                f"8:74: {AT}.deadband: "
                "would not clear at the set-point itself: it is not less than 0.5"
            )
        ],
    ),
    "nothing above": (
        HIGH,
        "{setpoint: temperature_setpoint, above: 0}",
        [f"8:49: {AT}.above: should be greater than 0 (got 0)"],
    ),
    "a set-point that no source gives": (
        HIGH,
        "{setpoint: co2_setpoint, above: 2}",
        [
            f"8:20: {AT}.setpoint: 'co2_setpoint' is in '%', and 'temperature' in 'Cel'",
            (
                "22:13: equipment.0.limits: limit set 'warm' holds 'temperature' against "
                "'co2_setpoint', which no source here gives"
            ),
        ],
    ),
    "a set-point that no kind has": (
        HIGH,
        "{setpoint: temprature_setpoint, above: 2}",
        [
            (
                f"8:20: {AT}.setpoint: there is no channel 'temprature_setpoint' in the catalogue; "
                "did you mean 'temperature_setpoint'?"
            )
        ],
    ),
    "a set-point that is no value": (
        HIGH,
        "{setpoint: mode, above: 2}",
        [f"8:20: {AT}.setpoint: 'mode' is no measured value, but a text"],
    ),
    "a set-point in another unit": (
        HIGH,
        "{setpoint: co2, above: 2}",
        [f"8:20: {AT}.setpoint: 'co2' is in '%', and 'temperature' in 'Cel'"],
    ),
    "a set-point of a state": (
        CO2,
        on("door", "{setpoint: co2, above: 2}"),
        ["10:23: limits.warm.door.0.setpoint: is for measured values, and this is a state"],
    ),
    "its own set-point": (
        HIGH,
        "{setpoint: temperature, above: 2}",
        [f"8:20: {AT}.setpoint: a value does not differ from itself: name another channel"],
    ),
    "levels about a set-point": (
        HIGH,
        f"{DEVIATION}\n      - {{name: odd, setpoint: temperature_setpoint, above: 1, below: 0.5}}",
        [
            (
                "9:9: limits.warm.temperature.1: "
                "is wider than 'deviation' on one side and narrower on the other"
            )
        ],
    ),
    "a tolerance within its deadband": (
        HIGH,
        "{against: co2_probe_temperature, tolerance: 0.5, deadband: 0.5}",
        [(f"8:68: {AT}.deadband: can never clear: it is not less than the tolerance 0.5")],
    ),
    "against nothing": (
        HIGH,
        "{against: co2_probe_temperature}",
        [f"8:9: {AT}.tolerance: is missing"],
    ),
    "a limit and a set-point": (
        HIGH,
        "{high: 38, setpoint: temperature_setpoint}",
        [f"8:20: {AT}.setpoint: 'setpoint' does not go with the other keys here"],
    ),
}


@pytest.mark.parametrize(("old", "new", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_each_fault_is_said_where_it_is_and_alone(
    tmp_path: Path, old: str, new: str, said: list[str]
) -> None:
    assert problems(tmp_path, spoilt(old, new, MORE)) == said


def test_a_set_point_that_only_another_equipment_gives_is_missing(tmp_path: Path) -> None:
    rule = "{setpoint: temperature_setpoint, above: 0.5}"
    text = spoilt(HIGH, rule)
    assert problems(tmp_path, text) == [
        (
            "22:13: equipment.0.limits: limit set 'warm' holds 'temperature' against "
            "'temperature_setpoint', which no source here gives; did you mean 'temperature'?"
        )
    ]


def test_the_pace_is_that_of_each_source(tmp_path: Path) -> None:
    text = spoilt(HIGH, "{flatline: 1m}")
    assert problems(tmp_path, text) == []
    assert problems(tmp_path, spoilt("every: 1s", "every: 30s", text)) == [
        (f"8:20: {AT}.flatline: is too short: with a reading every 30s it should be 90s at least")
    ]


def test_a_set_point_is_read_by_the_same_gateway(tmp_path: Path) -> None:
    text = spoilt(HIGH, "{against: co2_probe_temperature, tolerance: 0.5}", MORE)
    text = spoilt(
        "lines:\n", "lines:\n  - {name: bus-2, on: ON, modbus: {host: 192.0.2.2}}\n", text
    )
    text = spoilt("line: bus-1\n        unit: 2", "line: bus-2\n        unit: 2", text)
    assert problems(tmp_path, text.replace("ON", "[gw-2]")) == [
        (
            "23:13: equipment.0.limits: limit set 'warm' holds 'temperature' against "
            "'co2_probe_temperature', which nobody but gw-2 reads"
        )
    ]
    both = spoilt("{name: bus-1, modbus", "{name: bus-1, on: [gw-1], modbus", text)
    assert problems(tmp_path, both.replace("ON", "[gw-2, gw-1]")) == []

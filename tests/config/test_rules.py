"""Which alarms a state's patterns mean."""

import pytest

from config.rules import (
    CalibrationDue,
    Deviation,
    Flatline,
    High,
    Low,
    OffNormal,
    Repeated,
    Rule,
    Silent,
    Stale,
    StatusBits,
    Suppression,
    Unreadable,
)

HIGH = High(limit=38)
ALERT = Low(name="alert", limit=36)
LOW_LOW = Low(name="low-low", limit=35)
OPEN = OffNormal(name="open", off_normal=(True,))
BELOW = Deviation(setpoint="temperature_setpoint", below=0.5)
BOTH = Deviation(setpoint="temperature_setpoint", above=0.5, below=0.5)
TREND = Repeated(name="trend", x=3, of=5, low=4)
FROZEN = Flatline(name="frozen", flatline=10**9)
SILENT = Silent(name="silent-probe")
DUE = CalibrationDue(name="calibration-probe")

COVERED: list[tuple[str, str, Rule, bool]] = [
    ("*", "temperature", HIGH, True),
    ("*", "temperature", Unreadable(), True),
    ("*", "_", SILENT, True),
    ("*", "_", DUE, True),
    ("temperature", "temperature", HIGH, True),
    ("temperature", "temperature_top", HIGH, False),
    ("temperature*", "temperature_top", HIGH, True),
    ("temperature", "temperature", Unreadable(), False),
    ("temperature", "temperature", Stale(), False),
    ("temperature", "temperature", FROZEN, False),
    ("temperature/*", "temperature", Unreadable(), False),
    ("*/*", "_", SILENT, False),
    ("temperature/unreadable", "temperature", Unreadable(), True),
    ("*/unreadable", "co2", Unreadable(), True),
    ("*/frozen", "co2", FROZEN, True),
    ("*/flatline", "co2", FROZEN, True),
    ("_/silent-*", "_", SILENT, False),
    ("_/silent-probe", "_", SILENT, True),
    ("_/silent", "_", SILENT, True),
    ("*/calibration_due", "_", DUE, True),
    ("*/low", "temperature", ALERT, True),
    ("*/low", "temperature", LOW_LOW, True),
    ("*/low", "temperature", HIGH, False),
    ("*/low-low", "temperature", LOW_LOW, True),
    ("*/low-low", "temperature", ALERT, False),
    ("*/low*", "temperature", LOW_LOW, True),
    ("*/low", "temperature", BELOW, True),
    ("*/low", "temperature", BOTH, False),
    ("*/high", "temperature", BOTH, False),
    ("*/deviation", "temperature", BOTH, True),
    ("*/low", "co2", TREND, True),
    ("*/low", "door", OPEN, False),
    ("door/open", "door", OPEN, True),
    ("door/o?en", "door", OPEN, True),
    ("*/off_normal", "door", OPEN, True),
    ("device_status", "device_status", StatusBits(bits=(3,)), True),
]


@pytest.mark.parametrize(("pattern", "channel", "rule", "covered"), COVERED)
def test_a_pattern_means_these_alarms(
    pattern: str, channel: str, rule: Rule, covered: bool
) -> None:
    suppression = Suppression(suppress=("never/met", pattern), longest=10**9)
    assert suppression.covers(channel, rule) is covered


def test_no_pattern_covers_nothing() -> None:
    assert not Suppression(longest=10**9).covers("temperature", HIGH)

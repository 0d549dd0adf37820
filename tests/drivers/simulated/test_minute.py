"""The demo's scenario under the demo's limits: what a person sees in 80 seconds.

A plain judge, second by second, stands in for the daemon: this is about whether script, physics
and limits fit each other, not about the alarm engine.
"""

from pathlib import Path

import pytest

from config.load import load
from config.rules import SECOND, High, Low
from drivers.simulated.instruments import Mode
from drivers.simulated.plant import TIME_FACTOR
from drivers.simulated.scenario import minute
from drivers.simulated.sensors import Quantity
from drivers.simulated.simulation import Simulation
from drivers.simulated.site import IO_LINE, probes_line, site_file

NAMES = [f"incubator-{number:02}" for number in range(1, 7)]
TANKS = ["bioreactor-01", "bioreactor-02"]
CLEANED = "incubator-04"
"""Its cleaning suppresses what it is beyond of."""
CHANNELS = {
    "co2_supply_pressure": Quantity.GAS_PRESSURE,
    **{quantity.value: quantity for quantity in Quantity},
}


class Judge:
    """One limit: raised after its on-delay, back past its deadband."""

    def __init__(self, rule: High | Low) -> None:
        self.rule = rule
        self.since: int | None = None
        self.raised: int | None = None
        self.cleared: int | None = None

    def look(self, value: float, second: int) -> None:
        if beyond(self.rule, value):
            self.since = second if self.since is None else self.since
            if self.raised is None and (second - self.since) * SECOND >= self.rule.on_delay:
                self.raised = second
        elif back(self.rule, value):
            self.since = None
            if self.raised is not None and self.cleared is None:
                self.cleared = second


def beyond(rule: High | Low, value: float) -> bool:
    return value > rule.limit if isinstance(rule, High) else value < rule.limit


def back(rule: High | Low, value: float) -> bool:
    if isinstance(rule, High):
        return value < rule.limit - rule.deadband
    return value > rule.limit + rule.deadband


@pytest.fixture
def judges(tmp_path: Path) -> dict[tuple[str, Quantity, str], Judge]:
    """A judge for each limit of the site file."""
    lines = [*map(probes_line, NAMES), IO_LINE, *TANKS]
    ports = {line: 20_000 + n for n, line in enumerate(lines)}
    path = tmp_path / "demo.yaml"
    path.write_text(site_file((NAMES, TANKS), ports, tmp_path), encoding="utf-8")
    return {
        (source.equipment, CHANNELS[channel.name], rule.name): Judge(rule)
        for source in load(path, environ={}).sources
        for channel in source.channels
        for rule in channel.rules
        if isinstance(rule, High | Low)
    }


@pytest.fixture
def played(
    judges: dict[tuple[str, Quantity, str], Judge],
) -> dict[tuple[str, Quantity, str], Judge]:
    """The judges that raised something in the first 80 seconds."""
    plant = Simulation(NAMES, TANKS, minute(), time_factor=TIME_FACTOR)
    for second in range(81):
        plant.advance(second * SECOND)
        for (name, quantity, _), judge in judges.items():
            value = (plant.chambers if name in NAMES else plant.tanks)[name].shown[quantity]
            if value is not None:
                judge.look(value, second)
        if plant.chambers[CLEANED].signals.mode is Mode.CULTURE:
            for (name, *_), judge in judges.items():
                assert name != CLEANED or judge.since is None, "in use, and beyond a limit"
    return {key: judge for key, judge in judges.items() if judge.raised is not None}


def test_each_trouble_is_alarmed_and_all_return_within_the_script(
    played: dict[tuple[str, Quantity, str], Judge],
) -> None:
    assert set(played) == {
        ("bioreactor-02", Quantity.DISSOLVED_OXYGEN, "low"),
        ("bioreactor-02", Quantity.DISSOLVED_OXYGEN, "low-low"),
        ("incubator-03", Quantity.CO2, "low"),
        ("incubator-03", Quantity.CO2, "low-low"),
        ("incubator-03", Quantity.HUMIDITY, "low"),
        ("incubator-03", Quantity.TEMPERATURE, "low"),
        (CLEANED, Quantity.CO2, "low"),
        (CLEANED, Quantity.TEMPERATURE, "high"),
        (CLEANED, Quantity.TEMPERATURE, "high-high"),
        ("incubator-05", Quantity.CO2, "low"),
        ("incubator-05", Quantity.GAS_PRESSURE, "low"),
        ("incubator-06", Quantity.CO2, "low"),
        ("incubator-06", Quantity.GAS_PRESSURE, "low"),
        ("incubator-06", Quantity.TEMPERATURE, "high"),
    }
    assert all(judge.cleared is not None for judge in played.values())


def test_the_first_alarm_comes_within_twenty_seconds(
    played: dict[tuple[str, Quantity, str], Judge],
) -> None:
    low = played["incubator-03", Quantity.CO2, "low"]
    assert low.raised is not None
    assert low.raised <= 20

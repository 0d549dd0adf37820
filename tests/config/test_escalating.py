"""How an escalation is written, what of it cannot be meant, and what it comes to."""

from pathlib import Path

import pytest

from config.rules import Escalation, High, Priority, Rule
from tests.config.site_text import loaded, problems, spoilt

MINUTE = 60 * 10**9
HIGH = "{name: high, high: 37.5, deadband: 0.1}"
CLASSES = """\
classes:
  gmp: {priority: high, escalate: {after: 10m}}
  open: {escalate: [{after: 5m, to: medium}, {after: 15m, to: critical}]}
  urgent: {priority: critical}
"""


def rules(folder: Path, high: str, more: str = "") -> dict[str, Rule]:
    """All rules of a small site with ``high`` as its rule, by name."""
    plant = loaded(folder, spoilt(HIGH, high) + CLASSES + more)
    of_channels = [r for s in plant.sources for c in s.channels for r in c.rules]
    return {r.name: r for r in (*of_channels, *(s.silent for s in plant.sources))}


@pytest.mark.parametrize(
    ("high", "steps"),
    [
        ("{high: 37.5}", []),
        ("{high: 37.5, escalate: {after: 10m}}", [Escalation(after=10 * MINUTE)]),
        (
            "{high: 37.5, escalate: [{after: 10m}, {after: 1h, to: critical}]}",
            [Escalation(after=10 * MINUTE), Escalation(after=60 * MINUTE, to=Priority.CRITICAL)],
        ),
        ("{high: 37.5, class: gmp}", [Escalation(after=10 * MINUTE)]),
        ("{high: 37.5, class: gmp, escalate: []}", []),
        ("{high: 37.5, class: gmp, escalate: {after: 1m}}", [Escalation(after=MINUTE)]),
    ],
    ids=["never", "a step", "steps", "as its class", "not as its class", "in its own way"],
)
def test_a_rule_escalates_by_one_step_or_by_several(
    tmp_path: Path, high: str, steps: list[Escalation]
) -> None:
    assert list(rules(tmp_path, high)["high"].steps) == steps


def test_what_is_on_by_default_escalates_as_the_defaults_or_the_place_say(tmp_path: Path) -> None:
    more = "defaults: {silent: {escalate: {after: 20m}}, unreadable: {class: gmp}}\n"
    found = rules(tmp_path, HIGH, more)
    after = {n: [s.after // MINUTE for s in r.steps] for n, r in found.items()}
    assert after["unreadable"] == [10]
    assert {tuple(steps) for name, steps in after.items() if name.startswith("silent")} == {(20,)}


@pytest.mark.parametrize(
    ("priority", "to", "reached"),
    [
        ("low", [None, None, None, None], ["low", "medium", "high", "critical", "critical"]),
        ("medium", ["critical"], ["medium", "critical"]),
        ("high", ["high", None], ["high", "high", "critical"]),
        ("critical", [None], ["critical", "critical"]),
        ("critical", ["medium"], ["critical", "critical"]),
    ],
)
def test_a_priority_after_so_many_steps(
    priority: str, to: list[str | None], reached: list[str]
) -> None:
    steps = [{"after": (i + 1) * MINUTE, "to": each} for i, each in enumerate(to)]
    rule = High.model_validate({"high": 1.0, "priority": priority, "escalate": steps})
    assert [rule.priority_after(n) for n in range(len(reached))] == reached
    assert rule.priority_after(99) == reached[-1]
    assert High.model_validate_json(rule.model_dump_json()) == rule


HERE = "limits.warm.temperature.0.escalate"
EXPIRED = "defaults.calibration.expired.escalate"
LATER = "is no later than the step before it, 10m: each step waits longer"
HIGHER = "has: name one that is not, or leave it out"
FAULTS: dict[str, tuple[str, str, str]] = {
    "two steps at once": (
        "{high: 37.5, escalate: [{after: 10m}, {after: 10m}]}",
        "",
        f"{HERE}.1.after: {LATER}",
    ),
    "down from its own priority": (
        "{high: 37.5, priority: high, escalate: {after: 10m, to: medium}}",
        "",
        f"{HERE}.to: is below high, which the alarm itself {HIGHER}",
    ),
    "down from the usual priority": (
        "{high: 37.5, escalate: [{after: 10m, to: low}]}",
        "",
        f"{HERE}.0.to: is below medium, which the alarm itself {HIGHER}",
    ),
    "down from the priority of its class": (
        "{high: 37.5, class: urgent, escalate: {after: 10m, to: high}}",
        "",
        f"{HERE}.to: is below critical, which the alarm itself {HIGHER}",
    ),
    "down from the step before": (
        "{high: 37.5, escalate: [{after: 10m}, {after: 11m, to: medium}]}",
        "",
        f"{HERE}.1.to: is below high, which the step before it {HIGHER}",
    ),
    "a class that goes down, said of the class and not of each rule": (
        "{high: 37.5, class: gmp}",
        "  down: {priority: high, escalate: [{after: 10m, to: low}]}\n",
        f"classes.down.escalate.0.to: is below high, which the alarm itself {HIGHER}",
    ),
    "a default": (
        HIGH,
        "defaults: {silent: {escalate: {after: 10m, to: low}}}\n",
        f"defaults.silent.escalate.to: is below high, which the alarm itself {HIGHER}",
    ),
    "a default of a class": (
        HIGH,
        "defaults: {unreadable: {class: urgent, escalate: {after: 10m, to: low}}}\n",
        f"defaults.unreadable.escalate.to: is below critical, which the alarm itself {HIGHER}",
    ),
    "a calibration": (
        HIGH,
        "defaults: {calibration: {expired: {escalate: {after: 10m, to: low}}}}\n",
        f"{EXPIRED}.to: is below medium, which the alarm itself {HIGHER}",
    ),
    "no time at all": (
        "{high: 37.5, escalate: {after: 0s}}",
        "",
        f"{HERE}.after: should be from 1s to 366d",
    ),
    "a time by itself": (
        "{high: 37.5, escalate: 10m}",
        "",
        f"{HERE}: should be keys and values",
    ),
    "no such priority": (
        "{high: 37.5, escalate: [{after: 10m, to: hihg}]}",
        "",
        f"{HERE}.0.to: should be 'low', 'medium', 'high' or 'critical'; did you mean 'high'?",
    ),
    "no such key": (
        "{high: 37.5, escalate: {afer: 10m, after: 10m}}",
        "",
        f"{HERE}.afer: unknown key 'afer'; did you mean 'after'?",
    ),
}


@pytest.mark.parametrize(("high", "more", "said"), FAULTS.values(), ids=FAULTS)
def test_what_does_not_go_up_is_said_where_it_is_and_alone(
    tmp_path: Path, high: str, more: str, said: str
) -> None:
    found = problems(tmp_path, spoilt(HIGH, high) + CLASSES + more)
    assert [each.partition(": ")[2] for each in found] == [said]


def test_a_class_may_go_to_a_priority_that_one_of_its_rules_has_already(tmp_path: Path) -> None:
    high = rules(tmp_path, "{high: 37.5, class: open, priority: high}")["high"]
    assert [high.priority_after(n) for n in (0, 1, 2)] == ["high", "high", "critical"]

"""One rule set otherwise: found by its name, checked as a file is, told where it names nothing."""

from pathlib import Path

import pytest

from config.load import load
from config.problems import ConfigError
from config.rules import ChannelRule, High, Unreadable
from config.trial import overrides
from tests.config.site_text import GOOD

MINUTE = 60 * 10**9


def rules(path: Path, *settings: str) -> list[ChannelRule]:
    plant = load(path, overrides=overrides(path, settings), environ={})
    [temperature, *_] = plant.sources[0].channels
    return list(temperature.rules)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(
        GOOD.replace("    co2: [{low", "      - unreadable: {on_delay: 5m}\n    co2: [{low")
    )
    return path


def test_nothing_set_changes_nothing(path: Path) -> None:
    assert overrides(path, []) == {}


def test_a_rule_is_found_by_its_name_and_the_others_stay(path: Path) -> None:
    before = rules(path)
    after = rules(path, "warm.temperature.high.on_delay=10m", "warm.temperature.high.limit=38")
    [high] = [rule for rule in after if isinstance(rule, High)]
    assert (high.limit, high.on_delay, high.deadband) == (38, 10 * MINUTE, 0.1)
    assert [r for r in before if not isinstance(r, High)] == [
        r for r in after if not isinstance(r, High)
    ]


def test_a_rule_without_a_name_has_its_usual_one(path: Path) -> None:
    laid = overrides(path, ["warm.co2.low.limit=4"])
    assert laid == {"limits.warm.co2": '[{"low": 4, "deadband": 0.1}]'}


def test_a_default_is_set_a_level_deeper(path: Path) -> None:
    after = rules(path, "warm.temperature.unreadable.on_delay=7m")
    [rule] = [rule for rule in after if isinstance(rule, Unreadable)]
    assert rule.on_delay == 7 * MINUTE


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("warm.temperature.high=1", "SET.CHANNEL.RULE.KEY=VALUE"),
        ("warm.temperature.high.on_delay=", "SET.CHANNEL.RULE.KEY=VALUE"),
        ("wram.temperature.high.on_delay=1m", "'warm'"),
        ("warm.temprature.high.on_delay=1m", "'temperature'"),
        ("warm.temperature.hihg.on_delay=1m", "'high'"),
        ("warm.temperature.high.on_dealy=1m", "on_dealy"),
        ("warm.temperature.high.on_delay=soon", "a duration is a number with a unit"),
    ],
)
def test_what_cannot_be_set_is_told(path: Path, setting: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(path, overrides=overrides(path, [setting]), environ={})
    assert any(words in str(problem) for problem in caught.value.problems)

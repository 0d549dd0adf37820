"""One rule set otherwise for a trial: ``incubator-37c.temperature.high.on_delay=10m``.

Limits stand in the file as lists; here a rule is named and not counted. What comes out is an
override for ``config.load``, so that a trial is checked as any file is.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from config import yaml
from config.problems import ConfigError, Problem, did_you_mean

OPTION = "--set"
_NAMES = {
    "high": "high",
    "low": "low",
    "off_normal": "off-normal",
    "normal": "off-normal",
    "setpoint": "deviation",
    "against": "discrepancy",
    "rising": "rate",
    "falling": "rate",
    "flatline": "flatline",
    "x": "repeated",
    "bits": "status",
    "unreadable": "unreadable",
    "stale": "stale",
}
"""What a rule that the file does not name is called, by a key that it has."""
_DEFAULTS = ("unreadable", "stale")
"""Rules whose settings stand one level deeper."""


def overrides(path: Path, settings: Iterable[str]) -> Mapping[str, str]:
    """Return what to lay over the file at ``path``, by the dotted path of a list of rules.

    Each setting is ``SET.CHANNEL.RULE.KEY=VALUE``; ``limit`` stands for the limit of a high or low.
    Raises ``ConfigError`` where it names nothing that is in the file.
    """
    limits = _limits(path)
    changed: dict[str, list[dict[str, Any]]] = {}
    for setting in settings:
        where, _, text = setting.partition("=")
        parts = where.split(".")
        if len(parts) != 4 or not text:  # noqa: PLR2004 - as the message says
            raise _problem(setting, "should be SET.CHANNEL.RULE.KEY=VALUE")
        name, channel, rule, key = parts
        rules = _rules(limits, name, channel, where)
        _change(_rule(rules, rule, where), rule, key, yaml.read(text).data)
        changed[f"limits.{name}.{channel}"] = rules
    return {dotted: json.dumps(rules) for dotted, rules in changed.items()}


def _limits(path: Path) -> Mapping[str, Any]:
    """The limit sets of the file; whatever is wrong with it is told when it is loaded."""
    try:
        data = yaml.read(path.read_text(encoding="utf-8-sig")).data
    except (OSError, UnicodeDecodeError):
        return {}
    limits = data.get("limits") if isinstance(data, dict) else None
    return limits if isinstance(limits, dict) else {}


def _rules(limits: Mapping[str, Any], name: str, channel: str, where: str) -> list[dict[str, Any]]:
    known = limits.get(name)
    if not isinstance(known, dict):
        raise _problem(where, f"there is no limit set {name}{did_you_mean(name, limits)}")
    rules = known.get(channel)
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        text = f"{name} has no rules for {channel}{did_you_mean(channel, known)}"
        raise _problem(where, text)
    return rules


def _rule(rules: list[dict[str, Any]], name: str, where: str) -> dict[str, Any]:
    named = {_name(rule): rule for rule in rules}
    if name not in named:
        raise _problem(where, f"there is no rule {name}{did_you_mean(name, named)}")
    return named[name]


def _name(rule: Mapping[str, Any]) -> str:
    usual = next((usual for key, usual in _NAMES.items() if key in rule), "")
    return str(rule.get("name", usual))


def _change(rule: dict[str, Any], name: str, key: str, value: object) -> None:
    if name in _DEFAULTS and name in rule:
        settings = rule[name]
        rule[name] = {**(settings if isinstance(settings, dict) else {}), key: value}
    elif key == "limit":
        rule["high" if "high" in rule else "low"] = value
    else:
        rule[key] = value


def _problem(where: str, text: str) -> ConfigError:
    return ConfigError([Problem(OPTION, 0, 0, where, text)])

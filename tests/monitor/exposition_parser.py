"""A strict reader of Prometheus' text format 0.0.4: whatever breaks its rules is an AssertionError.

Written from the specification, so that what we write is not read by its own mirror image.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_SAMPLE = re.compile(rf"({_NAME})(?:\{{(.*)\}})? (\S+)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
_ESCAPES = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}
Labels = frozenset[tuple[str, str]]


@dataclass
class Parsed:
    """One family."""

    kind: str
    help: str
    samples: dict[tuple[str, Labels], float] = field(default_factory=dict)


def parse(text: str) -> Mapping[str, Parsed]:
    """Return the families by name."""
    assert text.endswith("\n"), "the last line ends like all others"
    families: dict[str, Parsed] = {}
    helps: dict[str, str] = {}
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            _, _, name, told = line.split(" ", 3)
            assert name not in helps, f"{name} is explained twice"
            helps[name] = told
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert kind in {"gauge", "counter", "summary"}, line
            assert name not in families, f"{name} is there twice, or in two places"
            families[name] = Parsed(kind, helps[name])
        else:
            _take(line, families)
    return families


def _take(line: str, families: dict[str, Parsed]) -> None:
    found = _SAMPLE.fullmatch(line)
    assert found, f"no sample: {line!r}"
    name, inside, number = found.groups()
    family = list(families)[-1]
    allowed = {family}
    if families[family].kind == "summary":
        allowed |= {f"{family}_sum", f"{family}_count"}
    assert name in allowed, f"{name} stands among the samples of {family}"
    key = name, frozenset(_labels(inside or ""))
    assert key not in families[family].samples, f"{line!r} is there twice"
    families[family].samples[key] = float(number)


def _labels(inside: str) -> list[tuple[str, str]]:
    labels, at = [], 0
    while at < len(inside):
        found = _LABEL.match(inside, at)
        assert found, f"no label: {inside[at:]!r}"
        text = re.sub(r"\\.", lambda escape: _ESCAPES[escape[0]], found[2])
        labels.append((found[1], text))
        at = found.end()
    names = [name for name, _ in labels]
    assert len(names) == len(set(names)), f"a label twice: {names}"
    return labels

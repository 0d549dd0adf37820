"""Figures as text that Prometheus reads (exposition format 0.0.4). Pure.

Names end in their unit, and counters in ``_total``; labels come from the site's file and from our
own words, never from a device, so that there are no more series than the file has names.
The format: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPED = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_ESCAPED_IN_HELP = str.maketrans({"\\": r"\\", "\n": r"\n"})


class Sample(NamedTuple):
    """One figure of a family."""

    value: float
    labels: Mapping[str, str] = {}
    suffix: str = ""
    """Of the name: ``_sum`` and ``_count`` of a summary."""


class Family(NamedTuple):
    """Figures of one name, told apart by their labels."""

    name: str
    kind: Literal["gauge", "counter", "summary"]
    help: str
    samples: tuple[Sample, ...]


def exposition(families: Iterable[Family]) -> str:
    """Return the text; a family without a sample is left out: what is not known is not said."""
    return "".join(f"{line}\n" for family in families if family.samples for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.help.translate(_ESCAPED_IN_HELP)}"
    yield f"# TYPE {family.name} {family.kind}"
    for sample in family.samples:
        yield f"{family.name}{sample.suffix}{_labels(sample.labels)} {_number(sample.value)}"


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return (
        "{" + ",".join(f'{key}="{text.translate(_ESCAPED)}"' for key, text in labels.items()) + "}"
    )


def _number(value: float) -> str:
    return repr(int(value)) if value == int(value) else repr(float(value))

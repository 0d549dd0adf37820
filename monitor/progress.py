"""Whether what runs gets on: the judgement of the watchdog, over plain figures.

A thing gets on when its figure of progress is another than at the look before. One that has had
something to do for longer than its patience without getting on is stuck. To be down is not to be
stuck: a line that is tried again and again, or a database that refuses, gets on.
"""

from collections.abc import Hashable, Iterable, Mapping
from typing import NamedTuple


class Mark(NamedTuple):
    """How far one thing has come, at one look."""

    name: str
    """``line suite-a-bus``."""
    trouble: str
    """What there is to say of it if it is stuck: ``has given no scan``."""
    progress: Hashable
    """Differs whenever the thing has got on."""
    patience: float
    """Seconds that it may take to get on, however slow it is."""
    idle: bool = False
    """It has nothing to do just now."""
    part_of: str = ""
    """The name of the thing whose being stuck explains that of this one."""


class Since(NamedTuple):
    """When a thing was last seen to get on."""

    progress: Hashable
    time: float


class Stuck(NamedTuple):
    """A thing that does not get on."""

    name: str
    trouble: str
    seconds: float

    def __str__(self) -> str:
        """For the log: ``line suite-a-bus has given no scan for 41 s``."""
        return f"{self.name} {self.trouble} for {self.seconds:.0f} s"


Memory = Mapping[tuple[str, str], Since]
"""By name and trouble: what was seen at the looks before."""


def judge(before: Memory, marks: Iterable[Mark], now: float) -> tuple[Memory, list[Stuck]]:
    """Return what to remember, and what is stuck at ``now`` (seconds of a clock that never jumps).

    What is seen for the first time, or is idle, has got on just now.
    """
    after: dict[tuple[str, str], Since] = {}
    stuck: list[tuple[str, Stuck]] = []
    for mark in marks:
        key = mark.name, mark.trouble
        last = before.get(key)
        if last is None or mark.idle or last.progress != mark.progress:
            last = Since(mark.progress, now)
        after[key] = last
        if now - last.time > mark.patience:
            stuck.append((mark.part_of, Stuck(mark.name, mark.trouble, now - last.time)))
    names = {each.name for _, each in stuck}
    return after, [each for whole, each in stuck if whole not in names]


def in_words(stuck: Iterable[object], most: int = 4) -> str:
    """Return what is stuck in one line, at most so many of them by name."""
    named = list(stuck)
    more = [f"and {len(named) - most} more"] if len(named) > most else []
    return "; ".join([str(each) for each in named[:most]] + more)

"""The judgement: what gets on, what has nothing to do, and what is stuck."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.progress import Mark, Memory, Stuck, in_words, judge

PATIENCE = 10.0


def mark(progress: int, *, name: str = "line a", idle: bool = False, part_of: str = "") -> Mark:
    return Mark(name, "has given no scan", progress, PATIENCE, idle=idle, part_of=part_of)


def looks(*seen: tuple[float, Sequence[Mark]]) -> list[Stuck]:
    """What is stuck at the last of several looks."""
    memory: Memory = {}
    stuck: list[Stuck] = []
    for now, marks in seen:
        memory, stuck = judge(memory, marks, now)
    return stuck


@pytest.mark.parametrize(
    ("what", "seen", "stuck"),
    [
        ("seen for the first time", [(100, mark(1))], None),
        ("gets on", [(0, mark(1)), (9, mark(2)), (18, mark(3)), (27, mark(4))], None),
        ("within its patience", [(0, mark(1)), (10, mark(1))], None),
        ("beyond it", [(0, mark(1)), (5, mark(1)), (11, mark(1))], 11.0),
        ("stuck for long", [(0, mark(1)), (11, mark(1)), (60, mark(1))], 60.0),
        ("got on after it was stuck", [(0, mark(1)), (11, mark(1)), (12, mark(2))], None),
        ("stuck once more", [(0, mark(1)), (11, mark(2)), (20, mark(2)), (22, mark(2))], 11.0),
        ("a figure that falls is another", [(0, mark(5)), (8, mark(1)), (16, mark(1))], None),
        ("nothing to do", [(0, mark(1, idle=True)), (60, mark(1, idle=True))], None),
        (
            "has just got something",
            [(0, mark(1, idle=True)), (60, mark(1, idle=True)), (65, mark(1))],
            None,
        ),
        (
            "from when it had nothing to do",
            [(0, mark(1, idle=True)), (60, mark(1, idle=True)), (75, mark(1))],
            15.0,
        ),
    ],
)
def test_one_thing(what: str, seen: list[tuple[float, Mark]], stuck: float | None) -> None:
    found = looks(*((now, [each]) for now, each in seen))
    assert [each.seconds for each in found] == ([] if stuck is None else [stuck]), what


def test_a_thing_that_is_stuck_does_not_hide_that_another_is_well() -> None:
    well = [mark(n, name="line b") for n in (1, 2)]
    assert looks((0, [mark(1), well[0]]), (11, [mark(1), well[1]])) == [
        Stuck("line a", "has given no scan", 11.0)
    ]


def test_two_troubles_of_one_thing_are_told_apart() -> None:
    scans = mark(1)
    hold = Mark("line a", "is neither connected nor lost", 1, PATIENCE)
    assert [str(each) for each in looks((0, [scans, hold]), (12, [scans, hold]))] == [
        "line a has given no scan for 12 s",
        "line a is neither connected nor lost for 12 s",
    ]


def test_what_a_stuck_thing_explains_is_not_named_beside_it() -> None:
    part = mark(1, name="source incubator-7/probe", part_of="line a")
    assert [each.name for each in looks((0, [mark(1), part]), (11, [mark(1), part]))] == ["line a"]
    alone = looks((0, [mark(1), part]), (11, [mark(2), part]))
    assert [each.name for each in alone] == ["source incubator-7/probe"]


def test_what_is_no_longer_there_is_forgotten() -> None:
    memory, _ = judge({}, [mark(1)], 0)
    memory, _ = judge(memory, [], 5)
    assert memory == {}


@given(st.lists(st.tuples(st.floats(0.1, 9.0), st.integers(0, 3)), max_size=40))
def test_whatever_gets_on_within_its_patience_is_never_stuck(
    steps: list[tuple[float, int]],
) -> None:
    memory: Memory = {}
    now, progress = 0.0, 0
    for wait, more in steps:
        now += wait
        progress += 1 + more
        memory, stuck = judge(memory, [mark(progress)], now)
        assert stuck == []


def test_a_long_list_is_cut() -> None:
    assert in_words(["a", "b"]) == "a; b"
    assert in_words("abcdef") == "a; b; c; d; and 2 more"

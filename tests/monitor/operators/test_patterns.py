import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.operators.patterns import fitting, is_pattern

NAME = "incubator-07/co2/low"


@pytest.mark.parametrize(
    "pattern",
    [
        NAME,
        "incubator-07",
        "incubator-07/co2",
        "incubator-*",
        "incubator-*/co2/*",
        "*/co2",
        "*/*/low",
        "incubator-0?/co2/l*",
        "*",
    ],
)
def test_what_fits(pattern: str) -> None:
    assert fitting([NAME], [pattern]) == ([NAME], None)


@pytest.mark.parametrize(
    "pattern",
    [
        *("incubator-7", "incubator", "co2", "incubator-07/co", "*/low", f"{NAME}/more", ""),
        *("*/", "/", "incubator-[0-9]7", "incubator.07", "(", "\\", "incubator-07/co2/low\n"),
    ],
)
def test_what_does_not(pattern: str) -> None:
    assert fitting([NAME], [pattern]) == ([], pattern)


def test_each_name_comes_once_in_its_order() -> None:
    names = ["b/x/y", "a/x/y", "a/z/y"]
    assert fitting(names, ["a", "*/x", "a/x/y"]) == (names, None)
    assert fitting(names, []) == ([], None)
    assert fitting(names, ["a/z", "c", "d"]) == (["a/z/y"], "c")


def test_a_whole_name_is_one_alarm() -> None:
    assert [is_pattern(each) for each in (NAME, "incubator-07", "a/b", "a/*/c", "a/b/c?")] == [
        *(False, True, True, True, True)
    ]


PART = st.text(st.sampled_from("ab0-_.["), min_size=1, max_size=4)


@given(st.lists(PART, min_size=1, max_size=3), st.integers(1, 3))
def test_a_name_fits_itself_and_what_it_begins_with(parts: list[str], length: int) -> None:
    name = "/".join(parts)
    assert fitting([name], ["/".join(parts[:length])]) == ([name], None)

"""``docs/faults.md`` says of each fault what shows it; here that is held against what there is."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ledger.chaos import chosen

TESTS = Path(__file__).parent
TEXT = (TESTS.parent / "docs/faults.md").read_text(encoding="utf-8")
HOW_MANY = {"D": 31, "N": 10, "I": 14, "M": 14, "H": 27, "C": 10, "S": 19}
ROW = re.compile(r"^\| ([A-Z]\d+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
SHOWN = re.compile(r"`([^`]+)`")
NOT_YET = re.compile(r"not shown yet(: .+)?")
NEVER = re.compile(r"cannot be tested here: .+")
ROWS = ROW.findall(TEXT)
SOAK = "./cyto soak --faults "


def shown() -> Iterator[tuple[str, str]]:
    """Each fault that is shown, with each thing that shows it."""
    for fault, _, by in ROWS:
        if not NOT_YET.fullmatch(by) and not NEVER.fullmatch(by):
            yield from ((fault, each) for each in by.split(", "))


def test_each_fault_stands_there_once() -> None:
    ids = [f"{kind}{n + 1}" for kind, many in HOW_MANY.items() for n in range(many)]
    assert [row[0] for row in ROWS] == ids


@pytest.mark.parametrize(("fault", "by"), [*shown()], ids=lambda each: each.rpartition("::")[2])
def test_what_shows_a_fault_is_there(fault: str, by: str) -> None:
    named = SHOWN.fullmatch(by)
    assert named, f"{fault}: {by}"
    if named[1].startswith(SOAK):
        assert chosen(named[1].removeprefix(SOAK))
    else:
        file, test = named[1].split("::")
        body = ast.parse((TESTS / file).read_text(encoding="utf-8")).body
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        assert test in {each.name for each in body if isinstance(each, functions)}


def test_what_is_not_shown_is_counted_honestly() -> None:
    not_yet = sum(bool(NOT_YET.fullmatch(by)) for _, _, by in ROWS)
    never = sum(bool(NEVER.fullmatch(by)) for _, _, by in ROWS)
    are_shown = len(ROWS) - not_yet - never
    told = f"{are_shown} are shown, {not_yet} are not shown yet, {never} cannot be tested here."
    assert told in TEXT.splitlines()

"""What a terminal is told is seen, and not obeyed."""

import json

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.cli.terminal import shown

ESCAPED = {
    "\r": r"\r",
    "\x1b[2J": r"\u001b[2J",
    "\x9b2J": r"\u009b2J",
    "\x1b]0;title\x07": r"\u001b]0;title\u0007",
    "\u202egnihton": r"\u202egnihton",
    "\u2066": r"\u2066",
    "\u2028": r"\u2028",
    "\x7f": r"\u007f",
    "\U000e0041": r"\udb40\udc41",
    "\udcff": r"\udcff",
}
LEFT = [
    "",
    "37.2 °C",
    "two\nlines",
    "Zählerstand 37 µS",
    "培养箱",
    click.style("red", fg="red", bold=True),
]


@pytest.mark.parametrize(("said", "seen"), ESCAPED.items(), ids=map(ascii, ESCAPED))
def test_what_a_terminal_would_obey_is_escaped(said: str, seen: str) -> None:
    assert shown(f"a{said}b") == f"a{seen}b"


@pytest.mark.parametrize("text", LEFT, ids=map(ascii, LEFT))
def test_what_is_to_be_seen_is_left_as_it_is(text: str) -> None:
    assert shown(text) == text


@given(st.text())
def test_whatever_is_said_nothing_is_obeyed(text: str) -> None:
    assert shown(text.replace("\x1b", "")).replace("\n", "").isprintable()


@given(st.recursive(st.text(), lambda inner: st.dictionaries(st.text(), inner, max_size=3)))
def test_json_means_the_same_after_it(value: object) -> None:
    assert json.loads(shown(json.dumps(value, ensure_ascii=False))) == value

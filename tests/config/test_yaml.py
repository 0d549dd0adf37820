"""YAML without its traps: what words mean, where things stand, and what is refused."""

import pytest

from config import yaml
from config.yaml import Place, read

WORDS = {
    "true": True,
    "False": False,
    "no": "no",
    "on": "on",
    "off": "off",
    "Y": "Y",
    "~": None,
    "": None,
    "010": "010",
    "0x0100": 256,
    "1:30": "1:30",
    "1_000": "1_000",
    "-3": -3,
    "0.1": 0.1,
    "1e3": 1000.0,
    "2027-03-01": "2027-03-01",
    "'7'": "7",
    "=": "=",
}

REFUSED = {
    "[" * 10_000: (1, 41, "nested more than 40 levels deep"),
    "- " * 10_000: (1, 81, "nested more than 40 levels deep"),
    "a: [1": (2, 1, "not YAML: did not find expected ',' or ']' while parsing a flow sequence"),
    "a: &x [*x]": (1, 8, "alias *x names nothing that is complete above it"),
    "a: *x": (1, 4, "alias *x names nothing that is complete above it"),
    "a: 1\n---\nb: 2": (2, 1, "a second document begins here; a site is one"),
    "? [a]\n: b": (1, 3, "a key is a word, not a list or mapping"),
    "? {a: 1}\n: b": (1, 3, "a key is a word, not a list or mapping"),
    "? &x 1\n: 2\n? *x\n: 3": (3, 3, "key 1 is given twice (first at line 1)"),
    "a: !!python/object:os.system x": (
        1,
        4,
        "tag tag:yaml.org,2002:python/object:os.system is not understood",
    ),
    "b: {x: 1,\n  x: 2}": (2, 3, "key 'x' is given twice (first at line 1)"),
}


@pytest.mark.parametrize(("word", "meaning"), WORDS.items())
def test_words_mean_what_they_look_like(word: str, meaning: object) -> None:
    value = read(f"a: {word}").data["a"]
    assert value == meaning
    assert isinstance(value, bool) is isinstance(meaning, bool)


@pytest.mark.parametrize(("text", "flaw"), REFUSED.items(), ids=range(len(REFUSED)))
def test_what_is_refused_is_said_with_its_place(text: str, flaw: tuple[int, int, str]) -> None:
    flaws = read(text).flaws
    assert [(*each.place, each.text) for each in flaws] == [flaw]


def test_aliases_cannot_multiply_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml, "LARGEST", 10_000)
    rows = ["- &a [1, 1]"] + [
        f"- &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in ("ab", "bc", "cd", "de")
    ]
    assert read("\n".join(rows[:3])).flaws == ()
    assert [each.text for each in read("\n".join(rows)).flaws] == [
        "more than 10000 values, aliases followed"
    ]


def test_every_key_and_value_has_its_place() -> None:
    document = read("a: 1\nb:\n  - {c: x}\n  - y\n")
    assert document.data == {"a": 1, "b": [{"c": "x"}, "y"]}
    assert document.place(("b",), at_key=True) == Place(2, 1)
    assert document.place(("b", 0, "c")) == Place(3, 9)
    assert document.place(("b", 1)) == Place(4, 5)
    assert document.place(("b", 0, "missing", "deeper")) == Place(3, 5)
    assert document.place(()) == Place(1, 1)


def test_an_alias_is_the_same_data_where_it_is_used() -> None:
    document = read("a: &x {k: 1}\nb: *x\nc: &y 5\nd: *y")
    assert document.data == {"a": {"k": 1}, "b": {"k": 1}, "c": 5, "d": 5}
    assert document.place(("b",)) == Place(2, 4)

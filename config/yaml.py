"""YAML as plain data with the place of every key and value, read by events and never recursively.

Only ``true`` and ``false`` are booleans, only decimal and ``0x`` numbers are integers; ``no``,
``on``, ``010``, ``1:30`` and dates stay text (YAML 1.1 made something else of each). Every
duplicate key is found. Tags, merge keys, several documents and aliases that multiply are refused.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import yaml
from yaml import events

from config.model import Bare
from config.problems import Path

DEEPEST = 40
"""Levels of nesting; a site's file has about eight."""
LARGEST = 2_000_000
"""Values after aliases are followed."""

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,30})")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,16}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    ".nan": float("nan"),
    ".inf": float("inf"),
    "-.inf": float("-inf"),
}


class Place(NamedTuple):
    """A position in the file, both from 1."""

    line: int
    column: int


Places = dict[Any, tuple[Place, Place]]
"""Of each key or index of a mapping or list the place of the key and of the value."""


class Flaw(NamedTuple):
    """Something wrong with the YAML itself."""

    place: Place
    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """A file's data, and where each piece of it stands."""

    data: Any
    flaws: tuple[Flaw, ...]
    places: dict[int, Places] = field(repr=False)
    """By the id of a mapping or list."""

    def place(self, path: Path, *, at_key: bool = False) -> Place:
        """Where ``path`` stands; where it leads nowhere, the nearest thing above it that exists."""
        here, place = self.data, Place(1, 1)
        for step in path:
            places = self.places.get(id(here), {})
            if step not in places:
                break
            key, value = places[step]
            place = key if at_key else value
            here = here[step]
        return place

    def value(self, path: Path) -> Any:  # noqa: ANN401 - a value of any plain type
        """What stands at ``path``; None where it leads nowhere."""
        here = self.data
        for step in path:
            if step not in self.places.get(id(here), {}):
                return None
            here = here[step]
        return here


def _at(event: yaml.Event) -> Place:
    mark = event.start_mark
    return Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)


@lru_cache(maxsize=4096)
def scalar(text: str) -> Any:  # noqa: ANN401 - a value of any plain type
    """What an unquoted word of a file means."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return Bare(text)
    if _HEX.fullmatch(text):
        return Bare(text, 16)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


@dataclass(slots=True)
class _Open:
    """A mapping or list that has begun and not yet ended."""

    value: dict[Any, Any] | list[Any]
    places: Places
    anchor: str | None
    key: Any = None
    key_place: Place | None = None
    """None while a mapping waits for a key."""
    size: int = 1


class _Stop(Exception):  # noqa: N818 - the end of reading, with the flaw that ended it
    """Nothing after this can be read."""

    def __init__(self, place: Place, text: str) -> None:
        super().__init__(text)
        self.place = place
        self.text = text


_Tagged = events.ScalarEvent | events.CollectionStartEvent


class _Reader:
    """Builds the data of one document from the events of the parser."""

    def __init__(self) -> None:
        self.root: Any = None
        self.flaws: list[Flaw] = []
        self.places: dict[int, Places] = {}
        self.open: list[_Open] = []
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.documents = 0

    def take(self, event: yaml.Event) -> None:
        match event:
            case events.ScalarEvent():
                self._refuse_tag(event)
                self._put(self._scalar(event), event, 1)
            case events.MappingStartEvent():
                self._refuse_tag(event)
                self._begin({}, event)
            case events.SequenceStartEvent():
                self._refuse_tag(event)
                self._begin([], event)
            case events.MappingEndEvent() | events.SequenceEndEvent():
                self._end()
            case events.AliasEvent():
                self._alias(event)
            case events.DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    raise _Stop(_at(event), "a second document begins here; a site is one")
            case _:
                pass

    @staticmethod
    def _scalar(event: events.ScalarEvent) -> Any:  # noqa: ANN401 - a value of any plain type
        return scalar(event.value) if event.implicit[0] else event.value

    def _refuse_tag(self, event: _Tagged) -> None:
        if event.tag not in {None, "!", "tag:yaml.org,2002:str"}:
            self.flaws.append(Flaw(_at(event), self._path(), f"tag {event.tag} is not understood"))

    def _path(self) -> Path:
        """To the innermost mapping or list that is open."""
        return tuple(
            len(each.value) - 1 if isinstance(each.value, list) else each.key
            for each in self.open[:-1]
        )

    def _begin(self, value: dict[Any, Any] | list[Any], event: events.CollectionStartEvent) -> None:
        if len(self.open) >= DEEPEST:
            raise _Stop(_at(event), f"nested more than {DEEPEST} levels deep")
        if self.open and isinstance(self.open[-1].value, dict) and not self.open[-1].key_place:
            raise _Stop(_at(event), "a key is a word, not a list or mapping")
        places: Places = {}
        self._put(value, event, 0)
        self.places[id(value)] = places
        self.open.append(_Open(value, places, event.anchor))

    def _end(self) -> None:
        done = self.open.pop()
        if done.anchor:
            self.anchors[done.anchor] = done.value, done.size
        self._grow(done.size)

    def _grow(self, size: int) -> None:
        if self.open:
            self.open[-1].size += size
            if self.open[-1].size > LARGEST:
                raise _Stop(
                    self.open[-1].key_place or Place(1, 1),
                    f"more than {LARGEST} values, aliases followed",
                )

    def _alias(self, event: events.AliasEvent) -> None:
        if event.anchor not in self.anchors:
            raise _Stop(
                _at(event), f"alias *{event.anchor} names nothing that is complete above it"
            )
        value, size = self.anchors[event.anchor]
        self._put(value, event, size, alias=True)

    def _put(self, value: Any, event: events.NodeEvent, size: int, *, alias: bool = False) -> None:  # noqa: ANN401 - as above
        """Set ``value`` where the reader stands: as root, item, key or value."""
        if size == 1 and event.anchor and not alias:
            self.anchors[event.anchor] = value, 1
        self._grow(size)
        if not self.open:
            self.root = value
            return
        into = self.open[-1]
        if isinstance(into.value, list):
            into.places[len(into.value)] = _at(event), _at(event)
            into.value.append(value)
        elif into.key_place is None:
            self._key(into, value, event)
        else:
            into.places[into.key] = into.key_place, _at(event)
            into.value[into.key] = value
            into.key_place = None

    def _key(self, into: _Open, key: Any, event: events.NodeEvent) -> None:  # noqa: ANN401 - as above
        if isinstance(key, dict | list):
            raise _Stop(_at(event), "a key is a word, not a list or mapping")
        if isinstance(key, Bare):
            key = int(key)
        if key in into.places:
            first = into.places[key][0].line
            path = (*self._path(), key)
            text = f"key {key!r} is given twice (first at line {first})"
            self.flaws.append(Flaw(_at(event), path, text))
        into.key, into.key_place = key, _at(event)


def _events(text: str) -> Iterator[yaml.Event]:
    try:
        yield from yaml.parse(text, yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise _stopped(error) from error


def _stopped(error: yaml.YAMLError) -> _Stop:
    """Where the parser gave up, in one line."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return _Stop(Place(1, 1), f"not YAML: {' '.join(str(error).split())}")
    mark = error.problem_mark or error.context_mark
    said = " ".join(part for part in (error.problem, error.context) if part)
    return _Stop(
        Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1), f"not YAML: {said}"
    )


def read(text: str) -> Document:
    """Read one YAML document; what is wrong with it is in ``flaws``. Raises nothing."""
    reader = _Reader()
    try:
        for event in _events(text):
            reader.take(event)
    except _Stop as stop:
        reader.flaws.append(Flaw(stop.place, (), stop.text))
        return Document(None, tuple(reader.flaws), reader.places)
    return Document(reader.root, tuple(reader.flaws), reader.places)

"""What is wrong with a configuration, in words for people: where, what, and what was meant."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import NamedTuple

Path = tuple[str | int, ...]
"""Keys and indices from the top of the file: ``("lines", 0, "modbus", "port")``."""


class Finding(NamedTuple):
    """Something wrong at a place in the configuration, before it is known on which line that is."""

    path: Path
    text: str
    at_key: bool = False
    """Whether the key itself is wrong, and not what stands under it."""

    def under(self, path: Path) -> "Finding":
        """The same, where ``path`` leads to what was looked at."""
        return self._replace(path=(*path, *self.path))


class Problem(NamedTuple):
    """Something wrong, with the place to go to."""

    file: str
    """The file; or the environment variable or override that said it."""
    line: int
    """From 1; 0 when there is no line to point at."""
    column: int
    path: str
    text: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return plain(": ".join(part for part in (place, self.path, self.text) if part))


class ConfigError(Exception):
    """The configuration cannot be used; ``problems`` says everything that is wrong with it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'scale'?`` when something known is near, else nothing."""
    near = get_close_matches(word, sorted(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def spell_path(path: Path) -> str:
    """Write ``path`` as people do: ``lines.0.modbus.port``."""
    return ".".join(map(str, path))


def plain(text: str) -> str:
    """Return the text without anything that a terminal obeys: controls, escapes, bidi marks.

    For words that a person or a device has put in: they may not forge a line of a log either.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)

"""A second reading of line protocol, from its specification, one character after the other.

It knows nothing of how ours is written, and refuses what a server would refuse.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

FieldValue = float | int | bool | str


class ParsedLine(NamedTuple):
    measurement: str
    tags: dict[str, str]
    fields: dict[str, FieldValue]
    time: int


@dataclass
class Scanner:
    text: str
    at: int = 0

    def until(self, ends: str) -> str:
        """Read up to one of ``ends`` that no backslash stands before."""
        read = ""
        while self.at < len(self.text) and self.text[self.at] not in ends:
            if self.text[self.at] == "\\" and self.text[self.at + 1 : self.at + 2] in {*", ="}:
                self.at += 1
            read += self.text[self.at]
            self.at += 1
        return read

    def quoted(self) -> str:
        read = ""
        self.at += 1
        while self.text[self.at] != '"':
            if self.text[self.at] == "\\" and self.text[self.at + 1] in {*'"\\'}:
                self.at += 1
            read += self.text[self.at]
            self.at += 1
        self.at += 1
        return read

    def expect(self, char: str) -> None:
        assert self.text[self.at] == char, f"{char!r} expected at {self.at} of {self.text!r}"
        self.at += 1

    def comes(self, char: str) -> bool:
        return self.text[self.at : self.at + 1] == char


def pairs(scanner: Scanner, value: Callable[[], FieldValue]) -> dict[str, FieldValue]:
    found: dict[str, FieldValue] = {}
    while True:
        name = scanner.until("=, ")
        assert name
        assert name not in found
        scanner.expect("=")
        found[name] = value()
        if not scanner.comes(","):
            return found
        scanner.expect(",")


def parse(line: bytes) -> ParsedLine:
    scanner = Scanner(line.decode())
    assert "\n" not in scanner.text
    measurement = scanner.until(", ")
    assert measurement
    tags: dict[str, FieldValue] = {}
    if scanner.comes(","):
        scanner.expect(",")
        tags = pairs(scanner, lambda: scanner.until(", "))
    scanner.expect(" ")

    def field_value() -> FieldValue:
        return scanner.quoted() if scanner.comes('"') else number(scanner.until(", "))

    fields = pairs(scanner, field_value)
    scanner.expect(" ")
    assert all(tags.values())
    assert list(tags) == sorted(tags)
    return ParsedLine(
        measurement, {k: str(v) for k, v in tags.items()}, fields, int(scanner.text[scanner.at :])
    )


def number(text: str) -> FieldValue:
    if text in {"true", "false"}:
        return text == "true"
    if text.endswith("i"):
        value = int(text[:-1])
        assert -(2**63) <= value < 2**63
        return value
    assert set(text) <= set("0123456789+-.e"), text  # No nan, no inf.
    return float(text)

"""The rows of the table: what was measured, and what it may be at most."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

CPU_RATIO = 0.42
"""Of the Modbus script's: 5 µs where that takes 12."""
OPCUA_RATIO = 25 / 12
"""Of the same script's, on OPC UA: 25 µs where that takes 12."""
STEP_MS = 10.0
MEMORY_MB = 120.0
LATENCY_MS = 50.0
DEVIATION_MS = 20.0
START_S = 3.0
CHECK_S = 2.0
EXIT_S = 1.0
CLI_MS = 150.0
NONE = 0.0


class Row(NamedTuple):
    """One line of the table."""

    key: str
    what: str
    value: float | None
    """None where there was nothing to measure."""
    unit: str
    at_most: float | None = None
    """None: no budget, told for what it is worth."""
    note: str = ""

    @property
    def kept(self) -> bool | None:
        """Whether it is within its budget; None where it has none."""
        if self.at_most is None:
            return None
        return self.value is not None and self.value <= self.at_most

    def as_json(self) -> dict[str, object]:
        """The row as an object of the report."""
        return {
            "what": self.what,
            "value": None if self.value is None else round(self.value, 4),
            "unit": self.unit,
            "at_most": self.at_most,
            "kept": self.kept,
            "note": self.note,
        }


def missed(rows: Iterable[Row]) -> Sequence[Row]:
    """Return those over their budget."""
    return [row for row in rows if row.kept is False]


def table(rows: Sequence[Row]) -> str:
    """Return the rows as text, in columns."""
    cells = [("", "measured", "", "at most", ""), *[_cells(row) for row in rows]]
    what, value, unit, most = (max(len(cell[n]) for cell in cells) for n in range(4))
    lines = [
        f"{c[0]:<{what}}  {c[1]:>{value}} {c[2]:<{unit}} {c[3]:>{most}}  {c[4]}" for c in cells
    ]
    return "\n".join(line.rstrip() for line in lines)


def _cells(row: Row) -> tuple[str, str, str, str, str]:
    most = "" if row.at_most is None else f"{row.at_most:g}"
    verdict = {True: "kept", False: "MISSED", None: ""}[row.kept]
    said = "  ".join(part for part in (verdict, row.note) if part)
    return row.what, _number(row.value), row.unit, most, said


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    decimals = 0 if value == int(value) or abs(value) >= 1000 else 3 if abs(value) < 1 else 2
    return f"{value:.{decimals}f}"

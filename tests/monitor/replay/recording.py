"""Scans as they stand on a record, and as an export tells them."""

import csv
import io
from collections.abc import Iterable, Sequence

from config.plant import Plant
from drivers.reading import Scan
from monitor.cli.export import write_csv
from monitor.operators.answers import as_reading, line
from monitor.operators.protocol import ExportRequest
from monitor.store.line_protocol import Template
from monitor.store.points import MILLISECOND, Point, read_line

REQUEST = ExportRequest(what="readings", start=0, end=1)


def points(plant: Plant, scans: Iterable[Scan]) -> list[Point]:
    """What the record holds of scans, which are numbered as they come."""
    templates = [Template(plant, source) for source in plant.sources]
    return [
        point
        for number, scan in enumerate(scans, 1)
        for point in read_line(templates[scan.source].encode(scan, number, scan.at // MILLISECOND))
    ]


def json_lines(points: Sequence[Point]) -> list[str]:
    return [line(as_reading(point)) + "\n" for point in points]


def csv_lines(points: Sequence[Point]) -> list[str]:
    out = io.StringIO(newline="")
    write_csv(REQUEST, (line(as_reading(point)) for point in points), out)
    return out.getvalue().splitlines(keepends=True)


def header(text: Sequence[str]) -> list[str]:
    return next(csv.reader(text))

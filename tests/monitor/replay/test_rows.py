"""What an export holds is read back, whichever form it has."""

import pytest

from config.plant import ChannelType
from drivers.reading import Origin, Reason, Scan
from monitor.replay.rows import (
    RowError,
    recorded,
    rows_of_csv,
    rows_of_json,
    rows_of_points,
    rows_of_text,
)
from monitor.replay.scans import typed
from tests.monitor.alarms.small_plant import channel, door, moment, plant, scan, source
from tests.monitor.replay.recording import csv_lines, json_lines, points

PLANT = plant(
    source(0, "incubator-7", "probe", "bus", [channel("co2"), door()]),
    source(1, "incubator-8", "probe", "bus", [channel("mode", kind=ChannelType.TEXT)]),
)
SCANS = [
    scan(0, 5.1, False),
    scan(0.001, 'run, "fast"\n', source=1),
    scan(1, None, True, times={1: moment(0.5).at}),
    Scan(1, *moment(1), ("",), origin=Origin.LATE),
]
TYPES = {each.name: each.type for s in PLANT.sources for each in s.channels}


def test_all_forms_say_the_same() -> None:
    of = points(PLANT, SCANS)
    rows = list(rows_of_points(of))
    assert list(rows_of_json(json_lines(of))) == rows
    told = list(rows_of_text(iter(csv_lines(of))))
    assert [
        row._replace(value=None if row.value is None else typed(row.value, TYPES[row.channel]))
        for row in told
    ] == rows


def test_readings_of_one_scan_are_put_together() -> None:
    together = list(recorded(rows_of_points(points(PLANT, SCANS))))
    assert [(each.scan, each.equipment, len(each.rows)) for each in together] == [
        (1, "incubator-7", 2),
        (2, "incubator-8", 1),
        (3, "incubator-7", 2),
        (4, "incubator-8", 1),
    ]
    [bad, _] = together[2].rows
    assert bad.value is None
    assert bad.fault is not None
    assert bad.fault.reason is Reason.SENTINEL
    assert together[3].origin is Origin.LATE


def test_an_export_of_an_earlier_release_has_no_state() -> None:
    texts = [text.replace(',"state":"in_use"', "") for text in json_lines(points(PLANT, SCANS))]
    assert {row.state for row in rows_of_json(texts)} == {""}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["{}"], "line 1: .*has no 'source_time'"),
        (["{"], "line 1"),
        (['{"source_time": null, "time": "noon"}'], "line 1"),
        (["time,value\n"], "there is no column equipment"),
        ([], "there is no column time"),
    ],
)
def test_what_is_no_export_is_told_by_its_line(lines: list[str], words: str) -> None:
    with pytest.raises(RowError, match=words):
        list(rows_of_text(iter(lines)))


def test_a_spoilt_line_is_named() -> None:
    good = json_lines(points(PLANT, SCANS))
    with pytest.raises(RowError, match="line 3"):
        list(rows_of_json([*good[:2], good[2][:40]]))
    good = csv_lines(points(PLANT, SCANS))
    with pytest.raises(RowError, match="line 3"):
        list(rows_of_csv([*good[:2], "half,a,row\n"]))

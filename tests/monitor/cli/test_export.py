import csv
from pathlib import Path

from drivers.reading import Origin, Quality
from monitor.store.points import Point
from tests.monitor.cli.conftest import Gateway, lines
from tests.support.desk import NOON, SECOND, alarm_event, noted, recorded


def point(scan: int, equipment: str = "incubator-07", value: float = 5.0) -> Point:
    place = ("les-ulis", "suite-a", equipment, "incubator", "probe", "gw-1", "co2")
    good = (value, Quality.GOOD, None, None)
    return Point(NOON + scan * SECOND, *place, *good, scan, Origin.LIVE)


SPAN = ("--from", "2026-01-31T12:00:00Z", "--to", "2026-01-31T12:01:00Z")


def test_readings_are_exported_as_csv(gateway: Gateway) -> None:
    gateway.desk.rows = [point(1, value=0.1), point(2, "incubator-08"), point(61)]
    result = gateway.ask("export", *SPAN)
    first, second = csv.DictReader(result.stdout.splitlines())
    assert (first["time"], first["value"]) == ("2026-01-31T12:00:01.000Z", "0.1")
    assert (first["channel"], first["quality"], first["reason"]) == ("co2", "good", "")
    assert second["equipment"] == "incubator-08"


def test_events_are_exported_as_json_lines(gateway: Gateway) -> None:
    gateway.add(recorded(alarm_event(1)), noted(2, "start", "gw-1"))
    result = gateway.ask("export", *SPAN, "--what", "events", "--json")
    assert [line["kind"] for line in lines(result.stdout)] == ["alarm", "start"]


def test_an_export_gets_its_name_when_it_is_whole(gateway: Gateway, tmp_path: Path) -> None:
    gateway.desk.rows = [point(1)]
    output = tmp_path / "out.csv"
    result = gateway.ask("export", *SPAN, "-o", str(output))
    assert (result.exit_code, result.stdout) == (0, "")
    assert len(output.read_text().splitlines()) == 2
    gateway.stop()
    other = tmp_path / "other.csv"
    assert gateway.ask("export", *SPAN, "-o", str(other)).exit_code == 69
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".csv"]

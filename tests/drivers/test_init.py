from pathlib import Path

from config.lines import Modbus, ModbusLine
from config.plant import Plant, Source
from config.rules import Silent
from config.site import StoreSettings
from drivers import open_lines
from drivers.reading import Cause, Moment, Reason, Scan
from tests.drivers.modbus.harness import source


def plant(sources: tuple[Source, ...], *lines: str) -> Plant:
    modbus = Modbus(host="127.0.0.1")
    settings = {name: ModbusLine(name=name, modbus=modbus) for name in lines}
    silent = {name: Silent(name="silent") for name in lines}
    return Plant("site", "gw-1", settings, silent, (), sources, StoreSettings(), None, None, "", "")


def test_each_line_gets_its_sources_and_answers_before_it_is_held(tmp_path: Path) -> None:
    sources = (source(0, line="a"), source(1, line="b"), source(2, line="a"))
    scans: list[Scan] = []
    there = plant(sources, "a", "b", "idle")
    lines = open_lines(there, lambda: Moment(7, 8), scans.append, tmp_path)

    assert [line.name for line in lines] == ["a", "b"]
    lines[0].visit(2)
    (scan,) = scans
    assert (scan.source, scan.at, scan.boot, scan.cause) == (2, 7, 8, Cause.UNKNOWN)
    assert {fault.reason for fault in scan.faults.values()} == {Reason.LINE_DOWN}

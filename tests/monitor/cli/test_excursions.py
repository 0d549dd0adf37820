import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from config.plant import Storage
from drivers.reading import Origin, Quality, Reason
from monitor.excursions.kinetic import mean_kinetic_temperature
from monitor.excursions.record import ExcursionRecord
from monitor.store.events import Event
from monitor.store.points import Point
from tests.monitor.alarms.small_plant import moment
from tests.monitor.cli.conftest import Gateway, lines
from tests.monitor.pages import scene
from tests.support.desk import PLANT

NAME = "incubator-07/temperature/high"
DAY = 86_400 * 10**9


@pytest.fixture(scope="module")
def told() -> ExcursionRecord:
    """The record of the scene, as of the incubator that the gateway of these tests has."""
    return as_of_07(scene.recorded())


def as_of_07(record: ExcursionRecord) -> ExcursionRecord:
    text = record.model_dump_json(by_alias=True).replace("incubator-7", "incubator-07")
    return ExcursionRecord.model_validate_json(text)


def event(number: int, record: ExcursionRecord) -> Event:
    at = moment(3000 + number).at
    body = record.model_dump_json(by_alias=True)
    return Event(
        number, None, "excursion", at, 0, f"{record.equipment}/{record.channel}/high", body
    )


def points() -> list[Point]:
    place = ("les-ulis", "suite-a", "incubator-07", "incubator")
    found = []
    for number, scan in enumerate(scene.scans()):
        [value] = scan.values
        quality = (Quality.GOOD, None) if value is not None else (Quality.BAD, Reason.SENTINEL)
        source, channel = ("contact", "door") if scan.source else ("probe", "temperature")
        what = (source, "gw-1", channel, value, *quality, None, number, Origin.LIVE)
        found.append(Point(scan.at, *place, *what))
    return found


@pytest.fixture
def other(told: ExcursionRecord) -> ExcursionRecord:
    """A later one, without the first batch."""
    return told.model_copy(
        update={
            "excursion": told.excursion.replace("x902", "x1902"),
            "batches": ("B-17",),
            "minor": True,
            "start": scene.at_text(2000),
            "end": scene.at_text(2100),
        }
    )


@pytest.fixture
def asked(gateway: Gateway, told: ExcursionRecord, other: ExcursionRecord) -> Gateway:
    gateway.desk.plant = replace(PLANT)
    gateway.add(event(1, told), event(2, other))
    gateway.desk.rows = points()
    return gateway


def test_they_are_listed_oldest_first(asked: Gateway) -> None:
    result = asked.ask("excursions", "list")
    first, second = result.stdout.splitlines()
    assert (NAME in first, "10 min 39 s" in first, "38.29 °C (limit 37.5)" in first) == (True,) * 3
    assert ("alarm" in first, "minor" in second, first.endswith("x902")) == (True, True, True)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ([], ["x902", "x1902"]),
        (["--batch", scene.BATCH], ["x902"]),
        (["--batch", "B-17"], ["x902", "x1902"]),
        (["--equipment", "incubator-07"], ["x902", "x1902"]),
        (["--equipment", "incubator-08"], []),
        (["--since", scene.at_text(1900)], ["x1902"]),
        (["--until", scene.at_text(1900)], ["x902"]),
        (["--since", scene.at_text(1000), "--until", scene.at_text(1001)], ["x902"]),
        (["--open"], []),
    ],
)
def test_what_is_asked_for(asked: Gateway, options: list[str], found: list[str]) -> None:
    result = asked.ask("excursions", "list", *options, "--json")
    ids = [str(line["excursion"]).rpartition("/")[2] for line in lines(result.stdout)]
    assert (result.exit_code, ids) == (0, found)


def test_those_that_go_on_come_last(asked: Gateway, told: ExcursionRecord) -> None:
    another = {"excursion": told.excursion.replace("/x902", "/x7")}
    still = {"open": True, "end": None, "ended_by": ""}
    asked.desk.going_on = [told.model_copy(update=another | still)]
    assert "goes on" in asked.ask("excursions", "list").stdout.splitlines()[-1]
    result = asked.ask("excursions", "list", "--open")
    assert len(result.stdout.splitlines()) == 1


def test_an_equipment_that_is_not_there_is_named(asked: Gateway) -> None:
    result = asked.ask("excursions", "list", "-e", "incubator-7")
    assert result.exit_code == 1
    assert "did you mean" in result.stderr


def test_one_is_shown_whole_by_the_end_of_its_id(asked: Gateway) -> None:
    result = asked.ask("excursions", "show", "high/x902")
    assert result.exit_code == 0
    for said in ("Area beyond the limit", "4.109 °C·min", "T1234567", "temperature/high by anna"):
        assert said in result.stdout
    assert json.loads(asked.ask("excursions", "show", "x902", "--json").stdout)["samples"] == 608


def test_one_that_is_not_there_is_no_excursion(asked: Gateway) -> None:
    result = asked.ask("excursions", "show", "x2")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "there is no excursion x2" in result.stderr


def test_an_end_of_several_ids_is_not_enough(asked: Gateway, told: ExcursionRecord) -> None:
    twin = told.model_copy(update={"excursion": told.excursion.replace("high/", "high-high/")})
    asked.add(event(3, twin))
    result = asked.ask("excursions", "show", "x902")
    assert result.exit_code == 1
    assert "say more of it" in result.stderr


def test_they_are_exported_whole(asked: Gateway, tmp_path: Path, told: ExcursionRecord) -> None:
    output = tmp_path / "out.csv"
    assert asked.ask("excursions", "export", "-o", str(output)).exit_code == 0
    first, _ = csv.DictReader(output.read_text().splitlines())
    assert float(first["unit_minutes"]) == told.unit_minutes
    assert json.loads(first["batches"]) == [scene.BATCH, "B-17"]
    rows = asked.ask("excursions", "export", "--format", "jsonl", "--batch", scene.BATCH).stdout
    assert ExcursionRecord.model_validate_json(rows) == told


def test_a_page_is_written_with_its_readings(asked: Gateway, tmp_path: Path) -> None:
    output = tmp_path / "page.html"
    result = asked.ask("excursions", "page", "x902", "-o", str(output))
    assert (result.exit_code, result.stdout) == (0, "")
    text = output.read_text(encoding="utf-8")
    assert text.count('class="door"') == 1
    assert text.count('class="gap"') == 1
    assert "<script" not in text


def test_what_they_add_up_to_for_a_batch(asked: Gateway, told: ExcursionRecord) -> None:
    result = asked.ask("excursions", "budget", "--batch", "B-17", "--json")
    [budget] = lines(result.stdout)
    assert (budget["excursions"], budget["batch"], budget["rule"]) == (2, "B-17", "high")
    assert budget["unit_minutes"] == pytest.approx(2 * told.unit_minutes)
    assert "wherever it was" in asked.ask("excursions", "budget", "-b", "B-17").stdout


def test_what_they_add_up_to_today(
    asked: Gateway, told: ExcursionRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    del told
    monkeypatch.setattr("time.time_ns", lambda: moment(1600).at + DAY)
    [budget] = lines(asked.ask("excursions", "budget", "--json").stdout)
    assert (budget["excursions"], budget["window"]) == (1, "24h")
    monkeypatch.setattr("time.time_ns", lambda: moment(1600).at + 10 * DAY)
    result = asked.ask("excursions", "budget")
    assert (result.stdout, result.stderr) == ("", "No excursion.\n")


def test_mean_kinetic_temperature_is_shown_where_product_is_stored(asked: Gateway) -> None:
    """Of the recorded readings of 24 hours to its end; here of the half hour that there is."""
    stored = as_of_07(scene.recorded(scene.site(Storage.COLD)))
    asked.add(event(3, stored.model_copy(update={"excursion": "s1/a/b/c/x3"})))
    shown = asked.ask("excursions", "show", "x3").stdout
    found = re.search(
        r"Mean kinetic temperature, 24 hours to its end \(2-8C\) +([0-9.]+) °C", shown
    )
    assert found is not None
    usable = [value for at in range(1389) if (value := scene.temperature(at)) is not None]
    plain = mean_kinetic_temperature((value, 1.0) for value in usable)
    assert float(found[1]) == pytest.approx(plain, abs=0.02)
    assert "Mean kinetic" not in asked.ask("excursions", "show", "x902").stdout


def test_tail_tells_of_one_in_a_sentence(asked: Gateway) -> None:
    result = asked.ask("tail", "--no-follow")
    said = "temperature was above 37.5 °C for 10 min 39 s, by at most 0.79 °C; an alarm was raised."
    assert said in result.stdout.splitlines()[0]

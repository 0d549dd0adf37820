"""``replay`` of whatever an export or a store holds, or the daemon gives."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from drivers.reading import Origin, Quality, Reason, Value
from monitor.cli import cli
from monitor.operators.answers import as_reading, line
from monitor.store.points import Point
from monitor.store.reader import Reader
from tests.monitor.cli.conftest import Gateway, lines
from tests.monitor.hand import HandTime, committing, recording
from tests.monitor.hand import scan as hand_scan
from tests.monitor.replay.recording import csv_lines, json_lines
from tests.support.desk import NOON, SECOND, noted

SITE = """\
site: les-ulis
gateway: gw-1
limits:
  warm:
    co2: [{name: high, high: 6.0, deadband: 0.1, on_delay: 3s, response: "Look at the valve"}]
lines:
  - {name: bus, modbus: {host: 192.0.2.1}}
equipment:
  - name: incubator-07
    kind: incubator
    area: suite-a
    limits: warm
    sources:
      - line: bus
        name: probe
        unit: 1
        channels: {co2: {input: 0, type: float32, order: ABCD, unit: "%"}}
"""
ALARM = "incubator-07/co2/high"


def point(second: int, value: Value | None, equipment: str = "incubator-07") -> Point:
    place = ("les-ulis", "suite-a", equipment, "incubator", "probe", "gw-1", "co2")
    reason = None if value is not None else Reason.SENTINEL
    quality = Quality.GOOD if value is not None else Quality.BAD
    reading = (value, quality, reason, None, second + 1, Origin.LIVE, "in_use")
    return Point(NOON + second * SECOND, *place, *reading)


VALUES = [5.0, 7.0, 5.0, 7.0, 7.0, None, 7.0, 7.0, 5.0, 5.0]
"""A second beyond the limit, and five with a bad reading among them: told at the fourth."""
POINTS = [point(second, value) for second, value in enumerate(VALUES)]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    return path


def replay(*arguments: object, text: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["replay", *map(str, arguments)], input=text)


def exported(folder: Path, form: str) -> Path:
    path = folder / f"readings.{form}"
    texts = json_lines(POINTS) if form == "jsonl" else csv_lines(POINTS)
    path.write_bytes("".join(texts).encode())
    return path


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_an_export_is_judged_by_the_file(site: Path, tmp_path: Path, form: str) -> None:
    result = replay(exported(tmp_path, form), "--config", site)
    assert result.exit_code == 0, result.output
    raised, cleared, _, head, row = result.stdout.splitlines()
    assert raised == (
        "2026-01-31T12:00:06.000Z  M medium    RAISED        incubator-07/co2/high"
        "  7 % (limit 6)  [unacknowledged]  Look at the valve"
    )
    assert cleared.startswith("2026-01-31T12:00:08.000Z  M medium    RETURNED")
    words = "alarm  raised  told  standing  shortest  longest  too brief  outside"
    assert re.split("  +", head) == re.split("  +", words)
    assert re.split("  +", row) == [ALARM, "1", "1", "2 s", "2 s", "2 s", "1 (to 1 s)", "4 s in 1"]
    assert "10 readings in 10 scans" in result.stderr


def test_json_is_the_messages_and_then_what_it_comes_to(site: Path, tmp_path: Path) -> None:
    result = replay(exported(tmp_path, "jsonl"), "--config", site, "--json")
    raised, returned, told = lines(result.stdout)
    assert (raised["alarm"], raised["change"], returned["change"]) == (ALARM, "raised", "returned")
    assert told["rules"] == [
        {
            "alarm": ALARM,
            "raised": 1,
            "annunciated": 1,
            "standing": 2,
            "shortest": 2,
            "longest": 2,
            "stands": False,
            "brief": 1,
            "longest_brief": 1,
            "excursions": 1,
            "outside": 4,
            "longest_excursion": 7,
        }
    ]
    assert (told["readings"], told["start"]) == (10, "2026-01-31T12:00:00.000Z")


def test_standard_input_is_read_too(site: Path) -> None:
    result = replay("-", "--config", site, "--json", text="".join(csv_lines(POINTS)))
    assert [each.get("change") for each in lines(result.stdout)] == ["raised", "returned", None]


def test_a_rule_is_tried_with_another_delay(site: Path, tmp_path: Path) -> None:
    longer = replay(
        exported(tmp_path, "csv"), "-c", site, "--summary", "--json",
        "--set", "warm.co2.high.on_delay=10s",
    )  # fmt: skip
    [told] = lines(longer.stdout)
    assert isinstance(told["rules"], list)
    [rule] = told["rules"]
    assert (rule["raised"], rule["brief"], rule["longest_brief"]) == (0, 2, 5)


def test_two_files_stand_side_by_side(site: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(SITE.replace("on_delay: 3s", "on_delay: 0s"))
    result = replay(exported(tmp_path, "csv"), "-c", site, "--compare", other)
    *told, empty, head, row = result.stdout.splitlines()
    assert [text[:1] for text in told] == ["2", "2", "2", "1", "="]
    assert (empty, head.count("raised"), row.count(ALARM)) == ("", 2, 1)
    assert head.split()[1:3] == ["raised", "1"]
    marked = lines(
        replay(exported(tmp_path, "csv"), "-c", site, "--compare", other, "--json").stdout
    )
    assert [each.get("by") for each in marked] == ["2", "2", "2", "1", "=", None, None]
    assert {each["schema"] for each in marked} == {"cytowatch.replayed.v1", "cytowatch.replay.v1"}


def test_an_excursion_is_told_when_it_is_over(site: Path, tmp_path: Path) -> None:
    site.write_text(SITE + "excursions: {rejoin: 0s}\n")
    told = replay(exported(tmp_path, "csv"), "-c", site).stdout.splitlines()
    first, second = [line for line in told if "EXCURSION" in line]
    assert first.startswith("2026-01-31T12:00:01.500Z  - -         EXCURSION     In incubator-07, ")
    assert first.endswith("no alarm was raised.")
    assert second.endswith("an alarm was raised.")
    texts = lines(replay(exported(tmp_path, "csv"), "-c", site, "--json").stdout)
    assert [each["schema"] for each in texts].count("cytowatch.excursion.v1") == 2


def test_only_a_span_or_one_equipment(site: Path, tmp_path: Path) -> None:
    file = exported(tmp_path, "csv")
    late = replay(file, "-c", site, "--json", "--since", "2026-01-31T12:00:07Z")
    [told] = lines(late.stdout)
    assert told["readings"] == 3
    none = replay(file, "-c", site, "--json", "--equipment", "incubator-08")
    assert [each["readings"] for each in lines(none.stdout)] == [0]


def test_the_daemon_is_asked_where_no_file_is_named(site: Path, gateway: Gateway) -> None:
    gateway.desk.rows = POINTS
    result = gateway.ask("replay", "--config", str(site), "--since", "2026-01-31", "--json")
    assert [each.get("change") for each in lines(result.stdout)] == ["raised", "returned", None]


def test_steps_of_the_clock_come_with_the_record(site: Path, gateway: Gateway) -> None:
    """An hour forward is no hour beyond the limit."""
    gateway.desk.rows = [point(0, 5.0), point(1, 7.0), point(3602, 7.0), point(3603, 5.0)]
    since = ("--since", "2026-01-31", "--json")
    assert len(lines(gateway.ask("replay", "--config", str(site), *since).stdout)) == 3
    step = {
        "kind": "forward",
        "before": "2026-01-31T12:00:01.500Z",
        "after": "2026-01-31T13:00:01.500Z",
    }
    gateway.add(noted(1, "clock_step", "", **step))
    [told] = lines(gateway.ask("replay", "--config", str(site), *since).stdout)
    assert isinstance(told["rules"], list)
    assert [(rule["raised"], rule["brief"]) for rule in told["rules"]] == [(0, 1)]


async def test_a_store_is_read_as_it_lies_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand = HandTime(monkeypatch)
    async with recording(tmp_path) as recorder, committing(recorder):
        for value in (5.0, 7.0, 5.0):
            recorder.accept(hand_scan(hand.now, value))
            hand.pass_(1)
        await recorder.committed()
    site = tmp_path / "site.yaml"
    site.write_text(
        SITE.replace("incubator-07", "incubator-7").replace("on_delay: 3s", "on_delay: 0s")
    )
    told = lines(replay(tmp_path / "cytowatch.db", "-c", site, "--json").stdout)
    assert [each.get("change") for each in told] == ["raised", "returned", None]
    with Reader(tmp_path / "cytowatch.db") as reader:
        live = [json.loads(event.body) for event in reader.events(0, 2**63 - 1) if event.seq]
    assert [(each["change"], each["time"]) for each in live] == [
        (each["change"], each["time"]) for each in told[:-1]
    ]


def test_what_the_file_does_not_have_is_told(site: Path, tmp_path: Path) -> None:
    file = tmp_path / "readings.jsonl"
    file.write_text("".join(json_lines([*POINTS, point(10, 5.0, "incubator-08")])))
    result = replay(file, "-c", site, "--json")
    assert lines(result.stdout)[-1]["unknown"] == {"incubator-08/probe/co2": 1}
    assert "1 readings of channels that the file does not have" in result.stderr


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("hello\n", 74, "there is no column time"),
        ("{}\n", 74, "line 1: this is no reading of cytowatch export"),
        ("\x00\xff", 74, "neither an export nor a store"),
    ],
)
def test_what_is_no_recording_is_told(
    site: Path, tmp_path: Path, text: str, code: int, words: str
) -> None:
    file = tmp_path / "file"
    file.write_bytes(text.encode("latin-1"))
    result = replay(file, "-c", site)
    assert result.exit_code == code
    assert words in result.stderr


def test_without_a_file_the_span_must_be_said(site: Path) -> None:
    assert replay("-c", site).exit_code == 2


def test_a_setting_that_names_nothing_is_told(site: Path, tmp_path: Path) -> None:
    result = replay(exported(tmp_path, "csv"), "-c", site, "--set", "warm.co2.hgih.limit=1")
    assert result.exit_code == 78
    assert "there is no rule hgih; did you mean 'high'?" in result.stderr


def test_an_export_line_is_what_the_daemon_sends() -> None:
    assert json_lines(POINTS[:1]) == [line(as_reading(POINTS[0])) + "\n"]

"""Dead letters on the command line: listed, exported, mended, replayed and dropped."""

import asyncio
import json
from pathlib import Path

import pytest

from monitor.store import Store
from monitor.store.reader import DeadLetter
from tests.monitor.cli.conftest import Gateway, lines

LETTERS = [
    DeadLetter(1, "influxdb", b"incubator co2= 7", "missing field value"),
    DeadLetter(2, "archive", b'incubator co2="\x1b[2J" 8', "field type conflict"),
    DeadLetter(4, "influxdb", b"incubator co2=5.1 9", "beyond retention policy"),
]


async def refusing(path: Path) -> None:
    async with Store.open(path, quota=2**20) as store:
        await store.dead_letter("influxdb", b'incubator co2="\x1b[2J" 7', "field type conflict")


@pytest.fixture
def full(gateway: Gateway) -> Gateway:
    gateway.desk.letters.extend(LETTERS)
    return gateway


def test_what_a_database_refused_for_good_is_listed_of_a_file(
    gateway: Gateway, tmp_path: Path
) -> None:
    file = tmp_path / "cytowatch.db"
    asyncio.run(refusing(file))
    [letter] = lines(gateway.ask("store", "dead-letters", "list", str(file), "--json").stdout)
    assert letter == {
        "schema": "cytowatch.dead_letter.v1",
        "id": 1,
        "sink": "influxdb",
        "line": 'incubator co2="\x1b[2J" 7',
        "words": "field type conflict",
    }
    said = gateway.ask("store", "dead-letters", "list", str(file)).stdout
    assert said.startswith("1 influxdb: field type conflict\n  incubator co2=")
    assert "\x1b" not in said
    none = gateway.ask("store", "dead-letters", "list", str(tmp_path / "no.db"))
    assert (none.exit_code, "cannot be read" in none.stderr) == (74, True)


def test_the_daemon_s_own_are_listed_also_of_one_database(full: Gateway) -> None:
    every = lines(full.ask("store", "dead-letters", "list", "--json").stdout)
    assert [letter["id"] for letter in every] == [1, 2, 4]
    one = full.ask("store", "dead-letters", "list", "--sink", "archive").stdout
    assert one.startswith("2 archive: field type conflict\n")
    assert "\x1b" not in one


def test_an_export_is_mended_and_taken_back(full: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "letters.jsonl"
    assert full.ask("store", "dead-letters", "export", str(file)).exit_code == 0
    said = [json.loads(text) for text in file.read_text().splitlines()]
    said[0]["line"] = "incubator co2=5.0 7"
    file.write_text("".join(json.dumps(each) + "\n" for each in said[::2]))
    done = full.ask("store", "dead-letters", "replay", "--from", str(file), "-r", "mended")
    assert (done.exit_code, done.stdout) == (0, "1 taken\n4 taken\n")
    assert [(ask.id, ask.line) for ask, _ in full.desk.settled] == [
        (1, "incubator co2=5.0 7"),
        (4, None),
    ]
    assert full.desk.letters == [LETTERS[1]]


def test_those_named_or_all_are_replayed(full: Gateway) -> None:
    assert full.ask("store", "dead-letters", "replay", "4", "--json").exit_code == 0
    every = full.ask("store", "dead-letters", "replay", "--all", "--sink", "influxdb")
    assert every.stdout == "1 taken\n"
    assert full.desk.letters == [LETTERS[1]]


def test_what_stays_is_said_by_the_exit_code(full: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "letters.jsonl"
    file.write_text('{"id": 1, "sink": "influxdb", "line": "poison", "words": ""}\n')
    done = full.ask("store", "dead-letters", "replay", "--from", str(file), "--json")
    [reply] = lines(done.stdout)
    assert (done.exit_code, reply["result"]) == (1, "refused")
    assert full.ask("store", "dead-letters", "replay", "99").exit_code == 1


def test_one_is_dropped_for_a_reason(full: Gateway) -> None:
    assert full.ask("store", "dead-letters", "drop", "2").exit_code == 2
    done = full.ask("store", "dead-letters", "drop", "2", "-r", "a test", "--as", "Anna")
    assert (done.exit_code, done.stdout) == (0, "2 dropped\n")
    [(ask, actor)] = full.desk.settled
    assert (ask.reason, actor.claimed, actor.via) == ("a test", "Anna", "socket")


@pytest.mark.parametrize("which", [[], ["1", "--all"], ["--all", "--from", "-"]])
def test_it_must_be_clear_which_are_meant(full: Gateway, which: list[str]) -> None:
    assert full.ask("store", "dead-letters", "replay", *which).exit_code == 2
    assert not full.desk.settled


def test_a_file_that_is_no_export_is_named_by_its_line(full: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "letters.jsonl"
    file.write_text("\nincubator co2=5 7\n")
    done = full.ask("store", "dead-letters", "replay", "--from", str(file))
    assert done.exit_code != 0
    assert f"{file}:2: no line of an export" in done.stderr
    assert not full.desk.settled

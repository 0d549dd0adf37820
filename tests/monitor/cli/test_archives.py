"""Archives as people make and check them: of a daemon, of a file, one after the other."""

import asyncio
import json
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from monitor.cli import cli
from monitor.store import schema
from tests.monitor.cli.conftest import Gateway, lines
from tests.monitor.store.archives import members, record, write


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Where the gateway of ``conftest`` has its record, too."""
    asyncio.run(record(tmp_path / "store.db"))
    return tmp_path / "store.db"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["store", *map(str, arguments)])


def verdicts(*arguments: object) -> list[dict[str, object]]:
    return [json.loads(line) for line in run("verify", "--json", *arguments).stdout.splitlines()]


def test_the_daemon_gives_an_archive_and_notes_for_whom(
    gateway: Gateway, store: Path, tmp_path: Path
) -> None:
    target = tmp_path / "a.zip"
    [manifest] = lines(gateway.ask("store", "export", str(target), "--json").stdout)
    assert (manifest["schema"], manifest["gateway"]) == ("cytowatch.archive.v1", "gw-1")
    assert manifest["events"] == {"first": 1, "last": 12}
    [(user, copy)] = gateway.desk.copies
    assert (copy.act, copy.what) == ("archive", "the record from its beginning to now")
    assert manifest["made_by"] == user
    again = gateway.ask("store", "export", str(target))
    assert (again.exit_code, "exists already" in again.stderr) == (74, True)
    assert len(gateway.desk.copies) == 1, "nothing was given away"
    assert run("verify", target, "--head", manifest["after"]).exit_code == 0
    assert run("verify", target, store).exit_code == 0


def test_a_span_of_a_file_is_said_in_words(store: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.zip"
    said = run("export", target, "--file", store, "--events", "5-8")
    assert said.exit_code == 0
    told, before, head = said.stdout.splitlines()
    assert "gw-1 at les-ulis, events 5 to 8, blobs 5 to 8, made 20" in told
    verified = run("verify", target)
    assert "whole: gw-1 at les-ulis, events 5 to 8, blobs 5 to 8" in verified.stdout
    assert verified.stdout.splitlines()[1:] == [before, head]


def test_archives_are_checked_one_after_the_other(store: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.zip" for number in range(3)]
    for file, span in zip(files, ("-4", "5-8", "9-"), strict=True):
        assert run("export", file, "--file", store, "--events", span).exit_code == 0
    heads = [str(verdict["head"]) for verdict in verdicts(*files)]
    assert run("verify", *files, "--head", heads[1]).exit_code == 0
    first, last = verdicts(files[0], files[2])
    assert (first["problems"], last["before"]) == ([], heads[1])
    assert "record: links 3 to 4 are in neither" in str(last["problems"])
    assert run("verify", files[0], files[2]).exit_code == 1
    beyond = run("verify", files[0], files[1], "--head", heads[2])
    assert (beyond.exit_code, "nothing of that head" in beyond.stdout) == (1, True)


def test_what_was_changed_is_said_with_exit_1(store: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.zip"
    run("export", target, "--file", store)
    write(target, members(target) | {"more": b""})
    said = run("verify", target)
    assert (said.exit_code, "more: is not of this archive" in said.stdout) == (1, True)
    assert f"{target}: NOT as it was written" in said.stdout
    target.write_bytes(b"PK")
    unreadable = run("verify", target)
    assert (unreadable.exit_code, "cannot be read" in unreadable.stderr) == (74, True)


def test_one_that_cannot_be_read_does_not_hide_what_the_others_are(
    store: Path, tmp_path: Path
) -> None:
    whole, part, changed = (tmp_path / f"{name}.zip" for name in ("whole", "part", "changed"))
    run("export", whole, "--file", store)
    part.write_bytes(whole.read_bytes()[:-100])
    write(changed, members(whole) | {"more": b""})
    said = run("verify", part, whole)
    assert (said.exit_code, said.stdout.splitlines()[0][: len(str(whole)) + 7]) == (
        74,
        f"{whole}: whole",
    )
    assert f"cytowatch: {part}: cannot be read: it is no whole ZIP file" in said.stderr
    assert run("verify", part, changed).exit_code == 1, "that is the worse of the two"


def test_one_that_does_not_follow_is_not_said_to_be_changed(store: Path, tmp_path: Path) -> None:
    for name, span in (("a", "1-4"), ("b", "9-")):
        run("export", tmp_path / name, "--file", store, "--events", span)
    said = run("verify", tmp_path / "a", tmp_path / "b").stdout
    assert f"{tmp_path / 'b'}: whole, and does NOT follow the one before: gw-1" in said


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file or directory"),
        (b"", "it is no store of cytowatch"),
        (b"site: les-ulis\n" * 100, "it is no store of cytowatch"),
    ],
)
def test_what_is_no_store_is_said_to_be_none(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "a.db"
    if content is not None:
        path.write_bytes(content)
    said = run("verify", path)
    assert (said.exit_code, said.stderr) == (74, f"cytowatch: {path}: cannot be read: {words}\n")


def test_what_sqlite_can_open_only_beside_what_it_writes_is_said_so(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a disk that is read-only; root, who runs the tests, may write everywhere else."""
    refused = sqlite3.OperationalError("attempt to write a readonly database")
    refused.sqlite_errorcode = sqlite3.SQLITE_READONLY_DIRECTORY

    def refuse(_: Path) -> None:
        raise refused

    monkeypatch.setattr(schema, "connect_readonly", refuse)
    said = run("verify", store)
    assert (said.exit_code, "a copy in a folder of your own" in said.stderr) == (74, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("export", "a.zip", "--events", "5"),
        ("export", "a.zip", "--events", "5-8", "--from", "2h"),
        ("export", ""),
        ("export", "-"),
        ("verify", "--head", "12", "a.db"),
    ],
)
def test_what_is_asked_wrongly_is_an_error_of_usage(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2

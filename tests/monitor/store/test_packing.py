"""An archive is there whole or not at all, overwrites nothing, and says how it is checked."""

import os
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.store import StoreError, room
from monitor.store.archive import Manifest, Piece, Plan, Range, Taken, Wanted
from monitor.store.own import new_own
from monitor.store.packing import pack
from monitor.store.room import Disk
from monitor.store.unpacking import verify_archive
from tests.monitor.store.archives import archived, manifest_of, members, record, write

NONE = Range(first=1, last=0)
EMPTY = manifest_of(Taken("", NONE, NONE, NONE, "", "", 0, ("", "")))


@pytest.fixture
async def store(tmp_path: Path) -> Path:
    path = tmp_path / "state" / "cytowatch.db"
    await record(path)
    return path


def test_it_is_for_its_owner_and_has_every_member_in_its_manifest(
    store: Path, tmp_path: Path
) -> None:
    manifest = archived(store, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").stat().st_mode & 0o777 == 0o600
    named = [member.name for member in manifest.members]
    assert [*named, "manifest.json"] == list(members(tmp_path / "a.zip"))


def test_nothing_is_ever_overwritten(store: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.zip"
    target.write_text("precious")
    with pytest.raises(StoreError, match="exists already"):
        archived(store, target)
    assert target.read_text() == "precious"
    target.unlink()
    target.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="exists already"):
        archived(store, target)
    assert not (tmp_path / "elsewhere").exists()


def test_what_lies_where_the_draft_is_written_is_not_written_through(
    store: Path, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / ".a.zip.part").symlink_to(precious)
    archived(store, tmp_path / "a.zip")
    os.link(precious, tmp_path / ".b.zip.part")
    archived(store, tmp_path / "b.zip")
    assert precious.read_text() == "precious"
    assert {file.name for file in tmp_path.iterdir()} == {"state", "precious", "a.zip", "b.zip"}


def broken_off(error: Exception | None) -> Iterator[Plan | Piece | Manifest]:
    yield Plan(100, Path("cytowatch.db"))
    yield Piece("links.jsonl", b"half of it")
    if error is not None:
        raise error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (None, "broken off"),
        (OSError(28, "No space left on device"), "No space left"),
        (StoreError("the store failed"), "the store failed"),
    ],
)
def test_what_is_broken_off_leaves_nothing(
    tmp_path: Path, error: Exception | None, words: str
) -> None:
    with pytest.raises(StoreError, match=words):
        pack(tmp_path / "a.zip", broken_off(error))
    assert list(tmp_path.iterdir()) == []


def test_of_two_that_write_the_same_archive_neither_takes_what_is_not_its_own(
    tmp_path: Path,
) -> None:
    """The one that began first finds that its draft is another's by then."""

    def told() -> Iterator[Plan | Piece | Manifest]:
        yield Piece("links.jsonl", b"")
        os.close(new_own(tmp_path / ".a.zip.part"))
        yield EMPTY

    with pytest.raises(StoreError, match="somebody else writes it"):
        pack(tmp_path / "a.zip", told())
    assert [file.name for file in tmp_path.iterdir()] == [".a.zip.part"]
    pack(tmp_path / "a.zip", iter([EMPTY]))
    assert [file.name for file in tmp_path.iterdir()] == ["a.zip"]


def test_where_it_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"a\.zip: cannot be written"):
        pack(tmp_path / "none" / "a.zip", broken_off(None))


@pytest.mark.parametrize(
    ("disk", "words"),
    [
        (Disk(2 * 2**20, 2**30), "there is no room for it: about 3 MiB are needed, 2 are free"),
        (Disk(50 * 2**20, 2**30), "write the archive to another one"),
    ],
)
def test_no_room_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: Disk, words: str
) -> None:
    monkeypatch.setattr(room, "look", lambda _: disk)
    plan = Plan(2**20 + 1, tmp_path / "cytowatch.db")
    with pytest.raises(StoreError, match=words):
        pack(tmp_path / "a.zip", iter([plan]))
    assert list(tmp_path.iterdir()) == []


def test_the_program_in_its_readme_checks_it_without_cytowatch(store: Path, tmp_path: Path) -> None:
    archived(store, tmp_path / "a.zip", Wanted(first=3))
    _, verdict = verify_archive(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as file:
        file.extractall(tmp_path / "a")
    readme = (tmp_path / "a" / "README.txt").read_text()
    _, program = readme.split("computes both:\n\n")
    (tmp_path / "a" / "check.py").write_text(textwrap.dedent(program.split("\n\nIt ends")[0]))
    said = checked(tmp_path / "a")
    assert (said.stdout.strip(), said.stderr) == (verdict.head, "")
    events = tmp_path / "a" / "events.jsonl"
    events.write_text(events.read_text().replace('number\\":7', 'number\\":8'))
    assert "AssertionError" in checked(tmp_path / "a").stderr


def checked(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "check.py"]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


def test_an_archive_that_another_tool_has_packed_anew_is_the_same(
    store: Path, tmp_path: Path
) -> None:
    archived(store, tmp_path / "a.zip")
    write(tmp_path / "b.zip", members(tmp_path / "a.zip"))
    assert verify_archive(tmp_path / "b.zip") == verify_archive(tmp_path / "a.zip")

"""Whatever lies where a store writes, nobody else's file is changed by it."""

import os
from pathlib import Path

import pytest

from monitor.store import StoreError, Tick, backup, opening
from monitor.store.compact import compact
from monitor.store.database import Database
from monitor.store.own import new_own, open_own, refuse_links
from tests.monitor.store.support import QUOTA, event

NAMES = (
    "cytowatch.lock",
    "cytowatch.db",
    "cytowatch.db-wal",
    "cytowatch.db-shm",
    "cytowatch.db-journal",
)
PUT_AWAY = (
    "cytowatch.ballast",
    "cytowatch.ballast-1",
    "cytowatch.db.suspect",
    "cytowatch.db.salvage.new",
    "cytowatch.db.new",
    "cytowatch.db.compact",
    "backups/.copy.db.part",
)
PRECIOUS = "somebody else's"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    file = tmp_path / "elsewhere"
    file.write_text(PRECIOUS)
    return file


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "state" / "cytowatch.db"
    (path.parent / "backups").mkdir(parents=True)
    return path


def a_whole_life(path: Path) -> None:
    """Everything that makes a file: a run, a backup, damage, a salvage and a compaction."""
    database = Database(path, QUOTA)
    database.look_at_disk()
    number = database.ends.event + 1
    database.commit(Tick(events=[event(number)]), {}, None)
    backup.copy(path, path.parent / "backups" / "copy.db")
    database.close()
    opening.mark_suspect(path)
    path.write_bytes(b"no store at all" * 1000)
    database = Database(path, QUOTA)
    assert database.moved_aside
    database.close()
    compact(path)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_in_place_of_what_sqlite_opens_is_refused(
    store: Path, elsewhere: Path, name: str, *, dangling: bool
) -> None:
    target = elsewhere.with_name("nowhere") if dangling else elsewhere
    (store.parent / name).symlink_to(target)
    with pytest.raises(StoreError, match=rf"{name}: is a link to {target}, and is not followed"):
        Database(store, QUOTA)
    assert elsewhere.read_text() == PRECIOUS
    assert not elsewhere.with_name("nowhere").exists()


def test_links_in_place_of_what_is_made_anew_are_put_away(store: Path, elsewhere: Path) -> None:
    for name in PUT_AWAY:
        (store.parent / name).symlink_to(elsewhere)
    a_whole_life(store)
    assert elsewhere.read_text() == PRECIOUS
    assert not [name for name in PUT_AWAY if (store.parent / name).is_symlink()]


def test_second_names_of_a_file_are_not_written_through(store: Path, elsewhere: Path) -> None:
    for name in ("cytowatch.lock", *PUT_AWAY):
        os.link(elsewhere, store.parent / name)
    a_whole_life(store)
    assert elsewhere.read_text() == PRECIOUS


def test_a_store_of_which_somebody_has_a_second_name_goes_on(store: Path) -> None:
    """As tools for backups make them: that is no reason not to start."""
    Database(store, QUOTA).close()
    for file in list(store.parent.glob("cytowatch.*")):
        os.link(file, store.parent / "backups" / file.name)
    a_whole_life(store)


def test_what_is_no_file_is_left_alone_in_words(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StoreError, match="pipe: is no file; move it away"):
        open_own(tmp_path / "pipe")
    with pytest.raises(StoreError, match="is no file"):
        refuse_links(tmp_path / "nothing there", tmp_path)


def test_a_file_of_ours_is_for_us_alone(tmp_path: Path) -> None:
    for make in (open_own, new_own):
        os.close(make(tmp_path / "file"))
        assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600

import asyncio
from pathlib import Path

import pytest

from monitor.store import Store, StoreError, Tick, backup, room
from monitor.store.database import Database
from monitor.store.room import Disk
from monitor.store.verify import verify
from tests.monitor.store.support import QUOTA, event, tick_of


async def test_a_copy_made_while_commits_go_on_is_a_store(tmp_path: Path) -> None:
    copy = tmp_path / "backups" / "copy.db"
    async with Store.open(tmp_path / "state" / "cytowatch.db", quota=QUOTA) as store:
        groups = await store.groups([("incubator-0",)])
        for number in range(20):
            tick = tick_of(groups, 1 + 4 * number, width=200)
            tick.events = [event(number + 1)]
            await store.commit(tick)
        copying = asyncio.create_task(store.backup(copy))
        while not copying.done():
            await store.commit(Tick(events=[event(store.last.event + 1)]))
        await copying
        head, store_id = store.last.head, store.store_id
    verdict = verify(copy)
    assert verdict.whole
    assert verdict.events >= 20
    assert copy.stat().st_mode & 0o777 == 0o600
    assert {file.name for file in copy.parent.iterdir()} == {"copy.db"}
    assert verify(tmp_path / "state" / "cytowatch.db", verdict.head).whole
    assert verify(tmp_path / "state" / "cytowatch.db", head).whole
    assert verdict.store_id == store_id


async def test_a_copy_that_is_put_to_work_goes_on_under_a_name_of_its_own(tmp_path: Path) -> None:
    """The original may have gone on: its event ids must not be given to other events."""
    path, copy = tmp_path / "state" / "cytowatch.db", tmp_path / "copy" / "cytowatch.db"
    async with Store.open(path, quota=QUOTA) as store:
        await store.commit(Tick(events=[event(1, seq=1)], facts={"a": "{}"}))
        await store.backup(copy)
        original, head = store.store_id, store.last.head
    names = []
    for _ in range(2):
        async with Store.open(copy, quota=QUOTA) as store:
            names.append(store.store_id)
            assert (store.last.head, store.last.seq, store.facts) == (head, 1, {"a": "{}"})
    assert names[0] == names[1] != original
    async with Store.open(path, quota=QUOTA) as store:
        assert store.store_id == original


async def test_a_backup_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("precious")
    async with Store.open(tmp_path / "state" / "cytowatch.db", quota=QUOTA) as store:
        with pytest.raises(StoreError, match="exists already"):
            await store.backup(tmp_path / "copy.db")
        await store.commit(Tick(events=[event(1)]))
    assert (tmp_path / "copy.db").read_text() == "precious"


async def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    async with Store.open(tmp_path / "state" / "cytowatch.db", quota=QUOTA) as store:
        with pytest.raises(StoreError, match="cannot be written"):
            await store.backup(tmp_path / "file" / "copy.db")


async def test_what_was_cut_off_before_is_no_backup_and_in_no_way(tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    copy.with_name(".copy.db.part").write_text("half a store")
    async with Store.open(tmp_path / "state" / "cytowatch.db", quota=QUOTA) as store:
        await store.commit(Tick(events=[event(1)]))
        await store.backup(copy)
    assert verify(copy).events == 1
    assert not copy.with_name(".copy.db.part").exists()


@pytest.mark.parametrize(
    ("disk", "words"),
    [
        (Disk(0, 2**30), "there is no room for it: about 1 MiB are needed, 0 are free"),
        (Disk(50 * 2**20, 2**30), "cytowatch needs what would be left of this disk; make room"),
    ],
)
def test_a_copy_takes_no_room_that_the_daemon_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: Disk, words: str
) -> None:
    path, copy = tmp_path / "cytowatch.db", tmp_path / "backups" / "copy.db"
    Database(path, QUOTA).close()
    monkeypatch.setattr(room, "look", lambda _: disk)
    with pytest.raises(StoreError, match=words):
        backup.copy(path, copy)
    assert list(copy.parent.iterdir()) == []


def test_what_a_killed_daemon_left_half_goes_at_the_next_start(tmp_path: Path) -> None:
    path, folder = tmp_path / "cytowatch.db", tmp_path / "backups"
    folder.mkdir()
    for name in (".copy.db.part", "copy.db", "copy.db.part"):
        (folder / name).touch()
    Database(path, QUOTA).close()
    assert {each.name for each in folder.iterdir()} == {"copy.db", "copy.db.part"}


def test_nothing_is_removed_from_a_folder_that_may_be_anothers(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ".copy.db.part").touch()
    (tmp_path / "backups").symlink_to(elsewhere)
    Database(tmp_path / "cytowatch.db", QUOTA).close()
    assert (elsewhere / ".copy.db.part").exists()

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from monitor.store import Store, StoreError, Tick, opening
from tests.monitor.store.support import QUOTA, event, tick_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cytowatch.db"


async def make(path: Path, *, ticks: int = 3, wide: int = 1) -> str:
    """A closed store; return its id."""
    async with Store.open(path, quota=QUOTA) as store:
        groups = await store.groups([("incubator-0",)])
        for number in range(ticks):
            tick = tick_of(groups, 1 + 4 * number, width=wide)
            tick.events = [event(number + 1)]
            await store.commit(tick)
        return store.store_id


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


def read(path: Path) -> bytes:
    return path.read_bytes()


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def overwrite(path: Path) -> None:
    path.write_bytes(b"this is no database. " * 1000)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20000])


def spoil_pages(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[3 * 4096 :] = b"\xff" * (len(content) - 3 * 4096)
    path.write_bytes(content)


def drop_table(path: Path) -> None:
    execute(path, "DROP TABLE facts")


def replace_by_a_foreign_one(path: Path) -> None:
    path.unlink()
    execute(path, "CREATE TABLE recipes (name TEXT)", "INSERT INTO recipes VALUES ('soup')")


@pytest.mark.parametrize(
    "spoil", [overwrite, cut_short, spoil_pages, drop_table, replace_by_a_foreign_one]
)
async def test_a_file_that_cannot_be_used_is_moved_aside_and_the_daemon_starts(
    path: Path, spoil: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    before = await make(path)
    spoil(path)
    content = read(path)
    async with Store.open(path, quota=QUOTA) as store:
        assert store.store_id != before
        assert store.moved_aside is not None
        assert store.moved_aside.name.startswith("cytowatch.db.corrupt-20")
        assert read(store.moved_aside)[:20000] == content[:20000]
        assert f"{path} was damaged: it is {store.moved_aside.name} now" in caplog.text
        assert (await store.status()).moved_aside == store.moved_aside
        last = store.last.event + 1
        await store.commit(Tick(events=[event(last, kind="store")]))
    async with Store.open(path, quota=QUOTA) as store:
        assert store.moved_aside is None
        assert store.last.event == last


async def test_two_damaged_files_of_one_second_both_stay(path: Path) -> None:
    kept = set()
    for content in (b"one", b"two"):
        write(path, content * 10_000)
        async with Store.open(path, quota=QUOTA) as store:
            assert store.moved_aside
            kept.add(read(store.moved_aside))
        write(path, b"")
    assert kept == {b"one" * 10_000, b"two" * 10_000}


async def test_an_empty_file_becomes_a_store(path: Path) -> None:
    write(path, b"")
    async with Store.open(path, quota=QUOTA) as store:
        assert store.moved_aside is None
        assert len(store.store_id) == 8


async def test_a_newer_store_is_refused_and_left_as_it_is(path: Path) -> None:
    await make(path)
    execute(path, "UPDATE meta SET value = '99' WHERE key = 'schema'", "DROP TABLE facts")
    before = read(path)
    with pytest.raises(StoreError, match="newer cytowatch"):
        async with Store.open(path, quota=QUOTA):
            pass
    assert read(path) == before


async def test_damage_among_many_readings_ends_the_daemon_once_and_not_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large store is not looked through at each start, but it is after damage was met."""
    monkeypatch.setattr(opening, "WHOLE_CHECK", 0)
    before = await make(path, ticks=60, wide=400)
    spoil_readings(path)
    async with Store.open(path, quota=QUOTA) as store:
        assert store.store_id == before
        with pytest.raises(StoreError, match="start cytowatch again"):
            await store.telemetry(0, 2**30)
        with pytest.raises(StoreError):
            await store.commit(Tick(events=[event(61)]))
    async with Store.open(path, quota=QUOTA) as store:
        assert store.store_id != before
        assert store.moved_aside is not None
    assert not path.with_name("cytowatch.db.suspect").exists()


def spoil_readings(path: Path) -> None:
    """Overwrite a page that holds the rows of old readings, and no other table."""
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT pageno FROM dbstat WHERE name = 'blob' AND pagetype = 'leaf'")
        page = rows.fetchall()[2][0]
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)


async def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot be written.*name another place"):
        async with Store.open(tmp_path / "file" / "cytowatch.db", quota=QUOTA):
            pass


async def test_a_name_that_is_a_directory_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is no file; move it away"):
        async with Store.open(tmp_path, quota=QUOTA):
            pass


@pytest.mark.parametrize(
    ("disk", "quota"), [(2**40, 8 * 2**30), (40 * 2**30, 8 * 2**30), (10 * 2**30, 2 * 2**30)]
)
def test_readings_take_a_fifth_of_a_small_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: int, quota: int
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(total=disk)
    monkeypatch.setattr(shutil, "disk_usage", {tmp_path: usage}.__getitem__)
    assert opening.usual_quota(tmp_path / "cytowatch.db") == quota

"""A process whose disk has room but no inodes: no file can be made any more.

Run with a directory on such a disk of its own; it asserts what must be so, and says how far it got.
"""

import sys
from contextlib import suppress
from pathlib import Path

import pytest

from monitor.store import StoreError, backup
from monitor.store.database import Database
from monitor.store.room import look
from monitor.store.verify import verify
from tests.monitor.store.archives import archived
from tests.monitor.store.filling import write
from tests.monitor.store.support import QUOTA


def take_all_names(folder: Path) -> None:
    """Somebody else makes files until there can be no more."""
    folder.mkdir(exist_ok=True)
    with suppress(OSError):
        for number in range(1000):
            (folder / str(number)).touch()
    assert look(folder).names == 0


def refused(path: Path) -> None:
    """Copies need files of their own: they are refused in words, and the record goes on."""
    for made in (backup.copy, archived):
        with pytest.raises(StoreError, match="No space left"):
            made(path, path.with_name("copy"))


def main(folder: Path) -> None:
    path, others = folder / "store" / "cytowatch.db", folder / "others"
    database = Database(path, QUOTA)
    assert not database.look_at_disk().full
    write(database, 1, 5)
    take_all_names(others)
    write(database, 6, 10)
    refused(path)
    disk = database.look_at_disk()
    assert (disk.full, disk.fills(None)) == (False, True), "it is told before it does harm"
    database.close()
    print("running")
    for number, words in ((1, "started"), (2, "started again")):
        take_all_names(others)
        database = Database(path, QUOTA)
        assert database.moved_aside is None
        write(database, 5 * number + 6, 5 * number + 10)
        take_all_names(others)
        assert database.look_at_disk().full, "there is no ballast"
        database.close()
        print(words)
    for unneeded in (others / "0", others / "1", *path.parent.glob("cytowatch.db-*")):
        unneeded.unlink()  # As many as a ballast would have given up.
    path.write_bytes(b"no store at all" * 1000)
    database = Database(path, QUOTA)
    assert database.moved_aside
    write(database, 1, 5)
    database.close()
    print("salvaged")
    for name in others.iterdir():
        name.unlink()
    database = Database(path, QUOTA)
    write(database, 6, 10)
    assert not database.look_at_disk().full
    database.close()
    assert verify(path).whole
    print("room again")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

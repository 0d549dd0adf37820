"""A process that opens its store again and again on a disk that others fill while it is down.

Run with a directory on a disk of some MiB of its own; it asserts what must be so, and says how far
it got.
"""

import os
import shutil
import sys
from pathlib import Path

import pytest

from monitor.store import StoreError, Tick
from monitor.store.database import Database
from tests.monitor.store.filling import fill_the_rest, write
from tests.monitor.store.support import QUOTA, event


def goes_on(path: Path, ticks: int) -> Database:
    """Open it on the full disk, and write: not one alarm may be missing."""
    database = Database(path, QUOTA)
    assert database.moved_aside is None
    assert database.ends.event == ticks - 5
    write(database, ticks - 4, ticks)
    assert [each.number for each in database.events(0, 10**6)] == list(range(1, ticks + 1))
    return database


def killed(path: Path, ticks: int) -> None:
    child = os.fork()
    if not child:
        goes_on(path, ticks)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def young(folder: Path, other: Path) -> None:
    """With hardly any readings that could leave, and others who take each byte that is given up."""
    path = folder / "young" / "cytowatch.db"
    database = Database(path, QUOTA)
    assert not database.look_at_disk().full
    fill_the_rest(other)
    for number in range(1, 401):
        database.commit(Tick(events=[event(number)]), {}, None)
        database.tidy()
        fill_the_rest(other)
        if number % 100 == 0:
            database.close()
            fill_the_rest(other)
            database = Database(path, QUOTA)
    assert database.ends.event == 400
    assert database.look_at_disk().full
    database.close()
    shutil.rmtree(path.parent)
    other.unlink()
    print("young: 400 events")


def stopped_with_room(folder: Path, other: Path) -> None:
    """It gave up its ballast at a start, and stops with room left; others take that meanwhile."""
    path = folder / "roomy" / "cytowatch.db"
    database = Database(path, QUOTA)
    assert not database.look_at_disk().full
    database.close()
    fill_the_rest(other)
    database = Database(path, QUOTA)
    disk = database.look_at_disk()
    assert (disk.full, disk.tight) == (True, False)
    database.close()
    fill_the_rest(other)
    database = Database(path, QUOTA)
    database.commit(Tick(events=[event(1)]), {}, None)
    database.close()
    shutil.rmtree(path.parent)
    other.unlink()
    print("stopped with room: 1 event")


def main(folder: Path) -> None:
    path, other = folder / "store" / "cytowatch.db", folder / "other"
    young(folder, other)
    stopped_with_room(folder, other)
    put_here = folder / "put-here" / "cytowatch.db"
    Database(put_here, QUOTA).close()  # With no log or ballast beside it, as a backup.
    database = Database(path, QUOTA)
    assert not database.look_at_disk().full
    write(database, 1, 10)
    fill_the_rest(other)
    write(database, 11, 20)
    assert database.look_at_disk().full, "the ballast was given up"
    database.close()
    fill_the_rest(other)
    goes_on(path, 25).close()
    print("stopped: 25 events")
    fill_the_rest(other)
    killed(path, 30)
    print("killed: 30 events")
    with pytest.raises(StoreError, match="the disk is full: make room on it"):
        Database(put_here, QUOTA)
    print("refused")
    other.unlink()
    Database(put_here, QUOTA).close()
    database = goes_on(path, 35)
    assert not database.look_at_disk().full
    database.close()
    print("made anew")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""A process that writes to a store on a disk of some MiB until it is full, and goes on.

Run with a directory on such a disk; it asserts what must be so, and prints what there was.
"""

import secrets
import sys
from pathlib import Path

from monitor.store.database import Database
from monitor.store.tick import Tick
from monitor.store.verify import verify
from tests.monitor.store.support import NOON, QUOTA, event, line_of

TICKS = 400
LINES = 20
NOBODY_HAS_ANY = 0
"""No sink has confirmed a blob: what leaves is lost."""


def tick_of_noise(group: int, number: int) -> Tick:
    """A tick that does not compress, of some 100 KiB, and an alarm."""
    tick = Tick(events=[event(number, seq=number)], facts={"a/co2/high": f'{{"v":{number}}}'})
    for scan in range(LINES * number - LINES + 1, LINES * number + 1):
        tick.add(group, line_of("incubator-0", scan, NOON) + secrets.token_bytes(5000), scan, NOON)
    return tick


def write(database: Database, first: int, last: int) -> None:
    [group] = database.groups([("incubator-0",)])
    for number in range(first, last + 1):
        database.commit(tick_of_noise(group, number), {("mqtt", "events"): number - 1}, 0)
        database.tidy()


def check(database: Database, ticks: int) -> None:
    ends = database.ends
    kept = database.telemetry(0, 2**30)
    assert [each.number for each in database.events(0, 10**6)] == list(range(1, ticks + 1))
    assert database.facts() == {"a/co2/high": f'{{"v":{ticks}}}'}
    assert database.cursors() == {("mqtt", "events"): ticks - 1}
    assert ends.gone.lost_lines == LINES * ticks - sum(blob.lines for blob in kept)
    print(ticks, "ticks;", len(kept), "with readings;", ends.gone.lost_lines, "lines lost")


def fill_the_rest(path: Path) -> None:
    """Somebody else takes what is left, to the last byte."""
    size = 65536
    with path.open("ab", buffering=0) as file:
        while size:
            try:
                file.write(b"x" * size)
            except OSError:
                size //= 2


def main(folder: Path) -> None:
    path, other = folder / "store" / "cytowatch.db", folder / "other"
    other.write_bytes(bytes(16 * 2**20))
    database = Database(path, QUOTA)
    assert not database.look_at_disk().full
    assert path.with_name("cytowatch.ballast").stat().st_size > 0
    write(database, 1, TICKS)
    check(database, TICKS)
    assert database.telemetry(0, 2**30)[-1].last_scan == LINES * TICKS, "the newest are kept"
    assert database.look_at_disk().full
    fill_the_rest(other)
    write(database, TICKS + 1, TICKS + 50)
    check(database, TICKS + 50)
    database.close()
    database = Database(path, QUOTA)
    assert database.moved_aside is None
    write(database, TICKS + 51, TICKS + 60)
    check(database, TICKS + 60)
    assert database.look_at_disk().full
    other.unlink()
    assert not database.look_at_disk().full, "there is room for a ballast again"
    database.close()
    verdict = verify(path)
    assert verdict.whole, verdict


if __name__ == "__main__":
    main(Path(sys.argv[1]))

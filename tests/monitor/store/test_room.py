"""A disk that fills is told long before; one that is full still takes every alarm."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.store import Store
from monitor.store.room import BALLAST, DAY, EVERY, LEAST, LITTLE, Ballast, Disk, Trend
from tests.monitor.store.support import QUOTA
from tests.support.kernel import skip_where_forbidden

ROOT = Path(__file__).parents[3]
CHILD = Path(__file__).with_name("filling.py")
GIB = 2**30


@pytest.mark.parametrize(
    ("free", "size", "days", "fills"),
    [
        (40 * GIB, 100 * GIB, None, False),
        (40 * GIB, 100 * GIB, 3.5, False),
        (40 * GIB, 100 * GIB, 2.5, True),
        (5 * GIB, 100 * GIB, None, False),
        (LITTLE - 1, 100 * GIB, None, True),
        (2 * GIB, 10 * GIB, None, False),
        (GIB - 1, 10 * GIB, None, True),
    ],
)
def test_a_disk_fills_when_little_is_left_or_it_will_be_soon(
    free: int, size: int, days: float | None, fills: bool
) -> None:
    assert Disk(free, size).fills(days) == fills


def test_how_long_the_room_lasts_is_told_by_the_last_day() -> None:
    trend = Trend()
    assert trend.days_left(0, 100 * GIB) is None
    assert trend.days_left(LEAST - 1, 90 * GIB) is None, "too little is known"
    assert trend.days_left(LEAST, 95 * GIB) == pytest.approx(95 / 5 / 4)
    assert trend.days_left(2 * LEAST, 100 * GIB) is None, "it does not dwindle"
    days = [
        trend.days_left(sample, 100 * GIB - GIB * sample // DAY)
        for sample in range(2 * LEAST, 5 * DAY, EVERY)
    ]
    assert days[-1] == pytest.approx(95, abs=0.1)


def test_a_ballast_takes_room_and_gives_it_back(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path / "cytowatch.db")
    assert not ballast.held
    ballast.make()
    [file] = tmp_path.iterdir()
    assert file.stat().st_blocks * 512 >= file.stat().st_size == BALLAST
    ballast.make()
    assert ballast.give_up()
    assert not ballast.give_up()
    assert list(tmp_path.iterdir()) == []


async def test_a_store_has_a_ballast_as_soon_as_the_disk_was_looked_at(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "cytowatch.db", quota=QUOTA) as store:
        disk = await store.look_at_disk()
        assert not disk.full
        assert 0 < disk.free < disk.size == shutil.disk_usage(tmp_path).total
    assert Ballast(store.path).held


@pytest.mark.real
def test_a_disk_that_is_full_takes_every_alarm_and_the_newest_readings(tmp_path: Path) -> None:
    """On a disk of 48 MiB, in a mount namespace of its own: it takes root, or user namespaces."""
    mount = 'mount -t tmpfs -o size=48m none "$2"'
    apart = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-ec")
    given = ("sh", sys.executable, str(tmp_path), str(CHILD))
    skip_where_forbidden("a mount of one's own", [*apart, mount, *given])
    ran = subprocess.run(
        [*apart, f'{mount} && exec "$1" "$3" "$2"', *given],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    full, others, again = (line.split() for line in ran.stdout.splitlines())
    assert (full[0], others[0], again[0]) == ("400", "450", "460")
    assert int(full[2]) > 200, "most of the disk has readings"
    assert int(others[5]) > int(full[5]) > 0

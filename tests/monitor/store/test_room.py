"""A disk that fills is told long before; one that is full still takes every alarm."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.store import Store
from monitor.store.database import Database
from monitor.store.room import (
    BALLAST,
    DAY,
    EVERY,
    FEW_NAMES,
    LEAST,
    LITTLE,
    SPARE_NAMES,
    Ballast,
    Disk,
    Trend,
)
from tests.monitor.store.support import QUOTA
from tests.support.kernel import skip_where_forbidden

ROOT = Path(__file__).parents[3]
FOLDER = Path(__file__).parent
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


@pytest.mark.parametrize(
    ("names", "all_names", "fills", "tight"),
    [
        (None, 0, False, False),
        (90_000, 6_000_000, False, False),
        (FEW_NAMES - 1, 6_000_000, True, False),
        (4, 40, False, False),
        (3, 40, True, True),
    ],
)
def test_a_disk_fills_with_names_too(
    names: int | None, all_names: int, *, fills: bool, tight: bool
) -> None:
    disk = Disk(40 * GIB, 100 * GIB, names, all_names)
    assert (disk.fills(None), disk.tight) == (fills, tight)


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
    file, *names = sorted(tmp_path.iterdir())
    assert file.stat().st_blocks * 512 >= file.stat().st_size == BALLAST
    assert [name.stat().st_size for name in names] == [0] * SPARE_NAMES
    names[1].unlink()
    ballast.make()
    assert names[1].exists(), "what is missing is made"
    assert ballast.give_up()
    assert not ballast.give_up()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_place_of_the_ballast_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "cytowatch.ballast").mkdir()
    database = Database(tmp_path / "cytowatch.db", QUOTA)
    assert database.look_at_disk().full, "and that is an alarm"
    database.close()
    assert (tmp_path / "cytowatch.ballast").is_dir()


async def test_a_store_has_a_ballast_as_soon_as_the_disk_was_looked_at(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "cytowatch.db", quota=QUOTA) as store:
        disk = await store.look_at_disk()
        assert not disk.full
        assert 0 < disk.free < disk.size == shutil.disk_usage(tmp_path).total
    assert Ballast(store.path).held


def on_a_small_disk(folder: Path, options: str, program: Path) -> str:
    """Run a program with a disk of its own, in a mount namespace, which takes root or a user's."""
    mount = f'mount -t tmpfs -o {options} none "$2"'
    apart = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-ec")
    given = ("sh", sys.executable, str(folder), str(program))
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
    return ran.stdout


@pytest.mark.real
def test_a_disk_that_is_full_takes_every_alarm_and_the_newest_readings(tmp_path: Path) -> None:
    said = on_a_small_disk(tmp_path, "size=48m", FOLDER / "filling.py")
    full, others, again = (line.split() for line in said.splitlines())
    assert (full[0], others[0], again[0]) == ("400", "450", "460")
    assert int(full[2]) > 200, "most of the disk has readings"
    assert int(others[5]) > int(full[5]) > 0


@pytest.mark.real
def test_it_starts_on_a_disk_that_filled_while_it_was_down(tmp_path: Path) -> None:
    said = on_a_small_disk(tmp_path, "size=24m", FOLDER / "refilling.py")
    assert said.splitlines() == [
        "young: 400 events",
        "stopped with room: 1 event",
        "stopped: 25 events",
        "killed: 30 events",
        "refused",
        "made anew",
    ]


@pytest.mark.real
def test_a_disk_without_names_is_one_that_is_full(tmp_path: Path) -> None:
    said = on_a_small_disk(tmp_path, "size=48m,nr_inodes=60", FOLDER / "nameless.py")
    assert said.splitlines() == ["running", "started", "started again", "salvaged", "room again"]

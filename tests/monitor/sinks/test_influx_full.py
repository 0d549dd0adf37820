"""A real InfluxDB whose own disk is full: it says 500, and everything waits for it."""

import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.monitor.sinks.scene import Scene, loss, opened
from tests.monitor.sinks.test_influx import (
    NOON_MS,
    dead_letters,
    delivered,
    read,
    readings,
    sink_to,
    until_delivered,
)
from tests.support.debian import Tool
from tests.support.kernel import skip_where_forbidden
from tests.support.servers import InfluxDB

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

APART = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-ec")
MOUNT = 'mount -t tmpfs -o size=24m none "$0"'
ROOM = 24 * 2**10
"""Bytes left to it: some batches fit in, and not all."""
MS = 10**6


class SmallDisk:
    """A disk of 24 MiB at a folder, for those who come into the mount namespace of ``keeper``."""

    def __init__(self, keeper: int, folder: Path) -> None:
        self.keeper = keeper
        self._filler = Path(f"/proc/{keeper}/root", *folder.parts[1:], "filler")

    def fill(self, room: int) -> None:
        """Take all of it but so many bytes."""
        with self._filler.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(2**12)):
                    pass
            except OSError:
                file.truncate(file.tell() - room)

    def make_room(self) -> None:
        self._filler.unlink()


@contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk]:
    folder.mkdir(parents=True)
    skip_where_forbidden("a mount of one's own", [*APART, MOUNT, str(folder)])
    keep = [*APART, f"{MOUNT} && echo && exec sleep 600", str(folder)]
    with subprocess.Popen(keep, stdout=subprocess.PIPE) as keeper:
        assert keeper.stdout
        keeper.stdout.readline()
        try:
            yield SmallDisk(keeper.pid, folder)
        finally:
            keeper.kill()


class OnASmallDisk(InfluxDB):
    """InfluxDB 1.6 with such a disk for its data."""

    disk: SmallDisk

    def command(self) -> tuple[Tool, list[str]]:
        program, arguments = super().command()
        enter = ["-t", str(self.disk.keeper), "--user", "--preserve-credentials", "--mount"]
        nsenter = Tool(Path("/usr/bin/nsenter"), program.variables)
        return nsenter, [*enter, str(program.path), *arguments]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with opened(tmp_path) as scene:
        yield scene


async def test_a_database_whose_disk_is_full_costs_no_point_and_doubles_none(
    scene: Scene, tmp_path: Path
) -> None:
    """InfluxDB 1.6 keeps refusing when there is room again, until it is started anew."""
    influxdb = OnASmallDisk(tmp_path / "influxdb")
    with small_disk(influxdb.folder / "data") as influxdb.disk, influxdb:
        influxdb.create("small")
        sink = sink_to(influxdb.url, scene, api="v1", database="small")
        await read(scene, readings(1, 100))
        await until_delivered(sink, scene)
        influxdb.disk.fill(ROOM)
        for first in range(101, 4000, 1000):
            await read(scene, readings(first, first + 999), ticks=4)
        assert "500: " in (text := await loss(sink))
        assert "no space left on device" in text
        assert text.endswith("make room on its disk, and restart it if that does not help")
        assert not delivered(scene)
        assert "no space left" in await loss(sink), "it is asked again, and nothing is given up"
        influxdb.disk.make_room()
        influxdb.stop()
        influxdb.start()
        await until_delivered(sink, scene)
        rows = influxdb.query("SELECT scan FROM incubator", "small")
        newest = scene.store.last.scan
    assert [(row["time"], row["scan"]) for row in rows] == [
        ((NOON_MS + scan) * MS, scan) for scan in range(1, newest + 1)
    ]
    assert await dead_letters(scene) == 0

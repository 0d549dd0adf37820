"""The daemon before a device and a database of whose packets every third one is lost, both ways.

Run as ``unshare --user --map-root-user --net python -m tests.whole.lossy FOLDER NFT``: the network
is one of its own, so that nobody else loses any. It ends with 0 when all was as it should be.
"""

import asyncio
import re
import subprocess
import sys
from collections import defaultdict
from functools import partial
from pathlib import Path

from config.load import load
from drivers.reading import Cause, Scan
from monitor import supervise
from monitor.app import running
from monitor.store.reader import Reader
from tests.drivers.modbus.hostile import Hostile
from tests.monitor.sinks.database import Database, database
from tests.support.servers import HOST
from tests.support.waiting import eventually
from tests.whole.test_service import influxdb, site

EVER = 2**63 - 1
ENOUGH = 8
"""Good scans of the line that loses packets."""
LOST = 30
"""Of a hundred packets."""


def nft(program: str, rules: str) -> str:
    ran = subprocess.run(
        [program, "-f", "-"], input=rules, text=True, capture_output=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return subprocess.run(
        [program, "list", "ruleset"], text=True, capture_output=True, check=True
    ).stdout


def lose(*ports: int) -> str:
    """Rules by which packets to and from these ports are lost."""
    drop = f"numgen random mod 100 < {LOST} counter drop"
    each = "\n".join(f"tcp {way} {port} {drop}" for port in ports for way in ("dport", "sport"))
    return f"table inet loss {{ chain in {{ type filter hook input priority 0;\n{each}\n}}\n}}\n"


class Seen:
    """Every scan, by source."""

    def __init__(self) -> None:
        self.scans: dict[int, list[Scan]] = defaultdict(list)

    def __call__(self, scan: Scan) -> None:
        self.scans[scan.source].append(scan)

    def good(self, source: int) -> int:
        return sum(scan.cause is Cause.NONE for scan in self.scans[source])


async def watch(folder: Path, program: str) -> None:
    supervise.Backoff = partial(supervise.Backoff, first=0.1, most=0.5)  # type: ignore[misc,assignment]
    async with Hostile() as lossy, Hostile() as well, database() as influx:
        file = folder / "site.yaml"
        patient = site([lossy.port, well.port], influxdb(influx.url), patience="20s")
        file.write_text(patient.replace("store: {", f"store: {{directory: {folder / 'state'}, "))
        async with running(load(file, environ={})) as daemon:
            seen = Seen()
            with daemon.recorder.watching(seen):
                await eventually(lambda: seen.good(0) > 1 and len(influx.accepted) > 1)
                ports = lossy.port, int(influx.url.rpartition(":")[2])
                nft(program, lose(*ports))
                began = {index: seen.good(index) for index in (0, 1)}
                delivered = len(influx.accepted)
                await eventually(lambda: seen.good(0) > began[0] + ENOUGH, 240)
                await eventually(lambda: len(influx.accepted) > delivered + ENOUGH, 240)
                counted = nft(program, "")
                assert sum(int(n) for n in re.findall(r"packets (\d+)", counted)) > ENOUGH
                nft(program, "flush ruleset")
            newest = daemon.recorder.store.last.scan
            await eventually(lambda: newest in numbers(influx))
    nothing_is_wrong(seen)
    with Reader(folder / "state/cytowatch.db") as reader:
        recorded = {point.scan for point in reader.readings(0, EVER) if point.scan <= newest}
    assert set(range(1, newest + 1)) == recorded <= set(numbers(influx))


def numbers(influx: Database) -> list[int]:
    """The scans that the database has; the same line is the same point, however often it came."""
    lines = {line for line in influx.accepted if line.startswith(b"incubator,")}
    found = [int(re.findall(rb",scan=(\d+)i", line)[0]) for line in lines]
    assert len(found) == len(set(found))
    return found


def nothing_is_wrong(seen: Seen) -> None:
    """No value but the device's own; and the line beside it was always read."""
    values = {value for scans in seen.scans.values() for scan in scans for value in scan.values}
    assert values <= {5.02, None}, values
    assert {scan.cause for scan in seen.scans[1]} == {Cause.NONE}


if __name__ == "__main__":
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    assert HOST == "127.0.0.1"
    asyncio.run(watch(Path(sys.argv[1]), sys.argv[2]))

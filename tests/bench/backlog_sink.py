"""An InfluxDB that checks a backlog: every scan and every alarm event once, and which came first.

It takes writes as ``http_sink.py`` does. Scans and alarm events bear numbers without a gap, so a
bit for each tells which came and which came twice. ``GET /arrived`` gives ``Arrived`` as JSON, and
``GET /equipment`` how many scans of each equipment came with a number up to ``--made``.
With ``--forward`` a real InfluxDB behind it takes each write, and says what is answered.
"""

import argparse
import asyncio
import hashlib
import re
import time
from collections import Counter
from dataclasses import asdict, dataclass

from aiohttp import ClientSession, web

from tests.bench.http_sink import GZIP, gunzip, serve

EQUIPMENT = re.compile(rb",equipment=([^, ]+)")
NUMBER = re.compile(rb"[ ,]seq=(\d+)i")
WRITTEN = 204
NOT_SCANS = (b"gateway,", b"event,", b"alarm_performance,")


@dataclass(frozen=True)
class Arrived:
    """What a database has of a backlog."""

    requests: int
    scans: int
    """Each counted once, however often it came."""
    doubled: int
    """Scans that came again."""
    whole: int
    """Every scan up to this number is there."""
    alarms: int
    """Alarm events, each counted once."""
    alarms_whole: int
    """Every alarm event up to this seq is there."""
    changed: int
    """Alarm events that came again as something else."""
    before_newest: int | None
    """Scans that had come before the alarm event that was the newest when this database began;
    None while it is not there."""
    requests_before: int
    """Requests that came before that event."""
    live_after: float | None
    """Seconds from the start of this database to the first scan that is younger than it."""
    lag: float | None
    """Seconds: how old the newest scan has been at most since the last question; from the first
    young one on."""


class Numbers:
    """Which numbers, from 1 on, came."""

    def __init__(self) -> None:
        self._bits = bytearray()
        self.count = self.again = self._whole = 0

    def add(self, number: int) -> bool:
        """Take note of a number; return whether it is new."""
        place, bit = number >> 3, 1 << (number & 7)
        if place >= len(self._bits):
            self._bits.extend(bytes(place + 1 - len(self._bits)))
        if self._bits[place] & bit:
            self.again += 1
            return False
        self._bits[place] |= bit
        self.count += 1
        return True

    def whole(self) -> int:
        """Return the number up to which all came."""
        while (place := (self._whole + 1) >> 3) < len(self._bits) and (
            self._bits[place] & 1 << ((self._whole + 1) & 7)
        ):
            self._whole += 1
        return self._whole


class Database:
    """What was written."""

    def __init__(self, began: float, made: int, newest: int) -> None:
        self.requests = self.changed = 0
        self.scans, self.alarms = Numbers(), Numbers()
        self._began, self._made, self._newest_alarm = began, made, newest
        self._told: dict[int, bytes] = {}
        """What each alarm event said."""
        self.by_equipment: Counter[str] = Counter()
        """Scans of the outage, each counted once."""
        self._before = None if newest else 0, 0
        self._newest = 0.0
        self._live_after: float | None = None
        self._lag: float | None = None

    def take(self, content: bytes, now: float) -> None:
        """Take note of what one request brought at ``now`` (s, UTC)."""
        newest = self._newest
        for line in content.splitlines():
            if line.startswith(b"alarm_event,"):
                self._take_alarm(line)
            elif not line.startswith(NOT_SCANS):
                newest = max(newest, self._take_scan(line))
        self.requests += 1
        self._look(newest, now)

    def _take_scan(self, line: bytes) -> float:
        """Return its time (s, UTC)."""
        _, _, tail = line.rpartition(b",scan=")
        text, at = tail.split(b"i ", 1)
        number = int(text)
        if self.scans.add(number) and number <= self._made and (found := EQUIPMENT.search(line)):
            self.by_equipment[found[1].decode()] += 1
        return int(at) / 1000

    def _take_alarm(self, line: bytes) -> None:
        found = NUMBER.search(line)
        seq = int(found[1]) if found else 0
        if self.alarms.add(seq) and seq == self._newest_alarm:
            self._before = self.scans.count, self.requests
        digest = hashlib.blake2b(line, digest_size=16).digest()
        self.changed += self._told.setdefault(seq, digest) != digest

    def _look(self, newest: float, now: float) -> None:
        """Note how old the newest scan was when it was the newest no more."""
        if self._live_after is not None:
            self._lag = max(self._lag or 0.0, now - self._newest)
        elif newest > self._began:
            self._live_after = now - self._began
        self._newest = newest

    def arrived(self, now: float) -> Arrived:
        """Say what there is; the lag begins anew."""
        self._look(self._newest, now)
        lag, self._lag = self._lag, None
        return Arrived(
            self.requests,
            self.scans.count,
            self.scans.again,
            self.scans.whole(),
            self.alarms.count,
            self.alarms.whole(),
            self.changed,
            *self._before,
            self._live_after,
            lag,
        )


class Server:
    """The database behind HTTP."""

    def __init__(self, database: Database, session: ClientSession, forward: str) -> None:
        self._database = database
        self._session = session
        self._forward = forward
        """The address that writes go on to; empty where they end here."""

    async def write(self, request: web.Request) -> web.Response:
        """Take one write; only what is answered by 204 has arrived."""
        body = await request.read()
        status = await self._written(body) if self._forward else WRITTEN
        if status == WRITTEN:
            self._database.take(gunzip(body) if body.startswith(GZIP) else body, time.time())
        return web.Response(status=status)

    async def _written(self, body: bytes) -> int:
        """Hand a write on, as it is, and return the answer."""
        headers = {"Content-Encoding": "gzip"} if body.startswith(GZIP) else {}
        async with self._session.post(self._forward, data=body, headers=headers) as answer:
            return answer.status

    async def arrived(self, _: web.Request) -> web.Response:
        """Tell what came so far."""
        return web.json_response(asdict(self._database.arrived(time.time())))

    async def of_equipment(self, _: web.Request) -> web.Response:
        """Tell what came of each equipment."""
        return web.json_response(self._database.by_equipment)


async def main() -> None:
    """Check until terminated."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--made", type=int, default=0, help="the last scan of the outage")
    parser.add_argument("--newest", type=int, default=0, help="the newest alarm event, by its seq")
    parser.add_argument("--forward", default="", help="where a real InfluxDB takes writes")
    given = parser.parse_args()
    database = Database(time.time(), given.made, given.newest)
    async with ClientSession() as session:
        server = Server(database, session, given.forward)
        routes = [
            web.post("/api/v2/write", server.write),
            web.get("/arrived", server.arrived),
            web.get("/equipment", server.of_equipment),
        ]
        await serve(routes, given.port)


if __name__ == "__main__":
    asyncio.run(main())

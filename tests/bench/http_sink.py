"""An InfluxDB that only counts: takes writes, gunzips them, answers 204, and tells what it saw.

``GET /count`` gives the counts as JSON: requests, bytes, bodies that came twice, the lines of each
measurement, and the readings that bear a source time: each once, however often it was sent, by the
second of that time.
"""

import argparse
import asyncio
import hashlib
import re
import zlib
from collections import Counter
from collections.abc import Sequence

from aiohttp import web

GZIP = b"\x1f\x8b"
SOURCE_TIME = re.compile(rb"([a-z0-9_]+)_source=(\d+)i")
"""A channel and the time (ms) that its device gave its value."""


class Database:
    """What was written."""

    def __init__(self) -> None:
        self.requests = self.bytes = self.repeated = 0
        self.lines: Counter[bytes] = Counter()
        self.seen: set[bytes] = set()
        self.changes: Counter[int] = Counter()
        self.changes_seen: set[tuple[bytes, bytes, bytes]] = set()

    async def write(self, request: web.Request) -> web.Response:
        """Take one write."""
        body = await request.read()
        digest = hashlib.blake2b(body, digest_size=16).digest()
        self.repeated += digest in self.seen
        self.seen.add(digest)
        self.requests += 1
        self.bytes += len(body)
        content = gunzip(body) if body.startswith(GZIP) else body
        self.lines.update(line.split(b",", 1)[0] for line in content.splitlines())
        if b"_source=" in content:
            self.take_changes(content)
        return web.Response(status=204)

    def take_changes(self, content: bytes) -> None:
        """Count the readings that have a source time, and were not sent before."""
        for line in content.splitlines():
            series = line.split(b" ", 1)[0]
            for channel, time in SOURCE_TIME.findall(line):
                change = series, channel, time
                if change not in self.changes_seen:
                    self.changes_seen.add(change)
                    self.changes[int(time) // 1000] += 1

    async def count(self, _: web.Request) -> web.Response:
        """Tell what was written so far."""
        return web.json_response(
            {
                "requests": self.requests,
                "bytes": self.bytes,
                "repeated": self.repeated,
                "lines": {measurement.decode(): n for measurement, n in self.lines.items()},
                "changes": self.changes,
            }
        )


def gunzip(body: bytes) -> bytes:
    """Return the content of all gzip members in ``body``."""
    content = []
    while body:
        member = zlib.decompressobj(wbits=31)
        content.append(member.decompress(body) + member.flush())
        body = member.unused_data
    return b"".join(content)


async def serve(routes: Sequence[web.RouteDef], port: int) -> None:
    """Serve on the loopback until terminated; prints the port (0: a free one) when ready."""
    app = web.Application(client_max_size=2**30)
    app.add_routes(routes)
    runner = web.AppRunner(app, handle_signals=True, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


async def main() -> None:
    """Count until terminated."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    database = Database()
    routes = [
        web.post("/api/v2/write", database.write),
        web.post("/write", database.write),
        web.get("/count", database.count),
    ]
    await serve(routes, options.port)


if __name__ == "__main__":
    asyncio.run(main())

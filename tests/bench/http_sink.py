"""An InfluxDB that only counts: takes writes, gunzips them, answers 204, and tells what it saw.

``GET /count`` gives the counts as JSON: requests, bytes, bodies that came twice, and the lines of
each measurement.
"""

import argparse
import asyncio
import hashlib
import zlib
from collections import Counter

from aiohttp import web

GZIP = b"\x1f\x8b"


class Database:
    """What was written."""

    def __init__(self) -> None:
        self.requests = self.bytes = self.repeated = 0
        self.lines: Counter[bytes] = Counter()
        self.seen: set[bytes] = set()

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
        return web.Response(status=204)

    async def count(self, _: web.Request) -> web.Response:
        """Tell what was written so far."""
        return web.json_response(
            {
                "requests": self.requests,
                "bytes": self.bytes,
                "repeated": self.repeated,
                "lines": {measurement.decode(): n for measurement, n in self.lines.items()},
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


async def main() -> None:
    """Serve until terminated; prints the port when ready."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    database = Database()
    app = web.Application(client_max_size=2**30)
    app.add_routes(
        [
            web.post("/api/v2/write", database.write),
            web.post("/write", database.write),
            web.get("/count", database.count),
        ]
    )
    runner = web.AppRunner(app, handle_signals=True, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", options.port).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())

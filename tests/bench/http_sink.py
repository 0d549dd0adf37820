"""An InfluxDB that only counts: takes writes, gunzips them, answers 204, and tells what it saw.

``GET /count`` gives the counts as JSON: requests, lines, bytes, and bodies that came twice.
"""

import argparse
import asyncio
import hashlib
import zlib

from aiohttp import web


class Counter:
    """What was written."""

    def __init__(self) -> None:
        self.requests = self.lines = self.bytes = self.repeated = 0
        self.seen: set[bytes] = set()

    async def write(self, request: web.Request) -> web.Response:
        """Take one write."""
        body = await request.read()
        digest = hashlib.blake2b(body, digest_size=16).digest()
        self.repeated += digest in self.seen
        self.seen.add(digest)
        self.requests += 1
        self.bytes += len(body)
        self.lines += (
            gunzip(body).count(b"\n") if body[:2] == b"\x1f\x8b" else body.count(b"\n") + 1
        )
        return web.Response(status=204)

    async def count(self, _: web.Request) -> web.Response:
        """Tell what was written so far."""
        return web.json_response(
            {
                "requests": self.requests,
                "lines": self.lines,
                "bytes": self.bytes,
                "repeated": self.repeated,
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
    counter = Counter()
    app = web.Application(client_max_size=2**30)
    app.add_routes(
        [
            web.post("/api/v2/write", counter.write),
            web.post("/write", counter.write),
            web.get("/count", counter.count),
        ]
    )
    runner = web.AppRunner(app, handle_signals=True, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", options.port)
    await site.start()
    assert site._server is not None  # aiohttp tells its port nowhere else
    print(site._server.sockets[0].getsockname()[1], flush=True)  # type: ignore[attr-defined]
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())

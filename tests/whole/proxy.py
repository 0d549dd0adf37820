"""A proxy before InfluxDB: counts every batch, and fails in every way that a network can."""

import gzip
import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import ClientSession, web

from tests.support.servers import HOST

_SCAN = re.compile(rb",scan=(\d+)i \d+$")

Mode = Literal["up", "unavailable", "reset", "swallow"]
"""Hands on; says 503; hangs up; hands on and hangs up before the answer is told."""


@dataclass(frozen=True)
class Batch:
    """One write, and what was told of it."""

    digest: str
    lines: Sequence[bytes]
    status: int | None
    """Told to the daemon; None where it was told nothing."""
    written: bool
    """Whether the database took it."""
    mode: Mode

    @property
    def scans(self) -> list[int]:
        """The numbers of the scans in it, as they come; none in a batch of events."""
        found = (_SCAN.search(line) for line in self.lines if not _is_own(line))
        return [int(each[1]) for each in found if each]


def _is_own(line: bytes) -> bool:
    return line.startswith((b"alarm_event,", b"event,", b"gateway,", b"alarm_performance,"))


@dataclass
class CountingProxy:
    """Between the daemon and the database at ``target``."""

    target: str
    mode: Mode = "up"
    batches: list[Batch] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def written(self) -> list[Batch]:
        """What the database took, a repetition counted once, in the order of its coming."""
        first: dict[str, Batch] = {}
        for batch in self.batches:
            if batch.written:
                first.setdefault(batch.digest, batch)
        return list(first.values())

    def repeated(self) -> list[str]:
        """Digests of batches that came more than once."""
        digests = [batch.digest for batch in self.batches]
        return [digest for digest in dict.fromkeys(digests) if digests.count(digest) > 1]

    def failed(self, mode: Mode) -> int:
        """How many batches met that fault."""
        return sum(batch.mode == mode for batch in self.batches)

    async def handle(self, session: ClientSession, request: web.Request) -> web.StreamResponse:
        """Take one write."""
        body = await request.read()
        mode = self.mode
        status, answer = 503, b'{"error":"engine: cache-max-memory-size exceeded"}'
        written = False
        if mode in {"up", "swallow"}:
            headers = {"Content-Encoding": "gzip"}
            async with session.post(
                self.target + request.path_qs, data=body, headers=headers
            ) as answered:
                status, answer = answered.status, await answered.read()
                written = status == 204
        told = None if mode in {"reset", "swallow"} else status
        digest = hashlib.sha256(request.path_qs.encode() + body).hexdigest()
        lines = gzip.decompress(body).splitlines()
        self.batches.append(Batch(digest, lines, told, written, mode))
        if told is None and request.transport is not None:
            request.transport.abort()
        return web.Response(status=status, body=answer)


@asynccontextmanager
async def counting_proxy(target: str) -> AsyncIterator[CountingProxy]:
    """Listen on a free port of the loopback until the block is left."""
    proxy = CountingProxy(target)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(ClientSession())

        async def handle(request: web.Request) -> web.StreamResponse:
            return await proxy.handle(session, request)

        app = web.Application(client_max_size=2**26)
        app.router.add_post("/write", handle)
        # What it was sent compressed it keeps so: the bytes are what is counted.
        runner = web.AppRunner(app, auto_decompress=False, handle_signals=False, access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, HOST, 0)
        await site.start()
        proxy.port = runner.addresses[0][1]
        yield proxy

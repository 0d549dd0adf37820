"""A database that answers as the test wants: any code of any flavour, and any misbehaviour."""

import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

Answer = Callable[["Write"], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Write:
    """One request as it came in."""

    request: web.Request
    raw: bytes

    @property
    def lines(self) -> list[bytes]:
        return gzip.decompress(self.raw).splitlines()


async def written(_: Write) -> web.StreamResponse:
    return web.Response(status=204)


def saying(status: int, text: str = "", **headers: str) -> Answer:
    """Always the same answer."""

    async def answer(_: Write) -> web.StreamResponse:
        return web.Response(status=status, text=text, headers=headers)

    return answer


@dataclass
class Database:
    """Answers each write by the next of ``answers``, and by ``otherwise`` when they are used up."""

    answers: list[Answer] = field(default_factory=list)
    otherwise: Answer = written
    writes: list[Write] = field(default_factory=list)
    accepted: list[bytes] = field(default_factory=list)
    """Lines of all writes that were answered 204, in order."""
    url: str = ""
    version: str = ""
    """What it says that it is, when it is asked; nothing where it does not say."""
    kept: object = None
    """What it says of how long it keeps points."""
    asked: list[web.Request] = field(default_factory=list)
    """Who wanted to know."""

    async def tell(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        if self.kept is not None and not request.path.endswith("/ping"):
            return web.json_response(self.kept)
        if request.path != "/ping" and not request.path.endswith("/ping"):
            return web.Response(status=404)
        return web.Response(
            status=204, headers={"X-Influxdb-Version": self.version} if self.version else {}
        )

    async def take(self, request: web.Request) -> web.StreamResponse:
        write = Write(request, await request.read())
        self.writes.append(write)
        answer = self.answers.pop(0) if self.answers else self.otherwise
        response = await answer(write)
        if response.status == 204:
            self.accepted += write.lines
        return response


@asynccontextmanager
async def database(tls: ssl.SSLContext | None = None) -> AsyncIterator[Database]:
    fake = Database()
    app = web.Application(client_max_size=2**26)
    app.router.add_post("/{path:.*}", fake.take)
    app.router.add_get("/{path:.*}", fake.tell)
    # What is sent compressed is to be seen as it was sent.
    runner = web.AppRunner(
        app, auto_decompress=False, handler_cancellation=True, shutdown_timeout=0.1
    )
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    host, port = runner.addresses[0][:2]
    fake.url = f"{'https' if tls else 'http'}://{host}:{port}"
    try:
        yield fake
    finally:
        await runner.cleanup()

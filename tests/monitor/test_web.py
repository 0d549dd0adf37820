"""The small server, asked by a real client and by people who do not keep to the rules."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from http.client import HTTPConnection

import pytest

from config.site import Http
from monitor import web
from monitor.web import CONNECTIONS, Answer, Web, WebLost
from tests.support.servers import HOST, free_port
from tests.support.waiting import eventually

JSON = Answer(HTTPStatus.OK, "application/json", '{"well": true}\n')


async def well() -> Answer:
    return JSON


async def broken() -> Answer:
    raise ZeroDivisionError


@asynccontextmanager
async def serving(
    pages: Mapping[str, web.Page] | None = None, address: str | None = None
) -> AsyncIterator[int]:
    port = free_port()
    held = asyncio.Event()
    server = Web(Http(port=port, address=address), pages or {"/health": well, "/broken": broken})
    task = asyncio.create_task(server.hold(held.set))
    await asyncio.wait({task, asyncio.create_task(held.wait())}, return_when="FIRST_COMPLETED")
    try:
        yield port
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def ask(port: int, method: str, target: str, body: bytes = b"") -> tuple[int, dict[str, str], str]:
    connection = HTTPConnection(HOST, port, timeout=60)
    connection.request(method, target, body or None)
    answer = connection.getresponse()
    said = answer.status, dict(answer.getheaders()), answer.read().decode()
    connection.close()
    return said


async def raw(port: int, said: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(said)
    try:
        async with asyncio.timeout(60):
            return await reader.read()
    finally:
        writer.close()


async def test_a_page_is_served_to_a_real_client() -> None:
    async with serving() as port:
        status, headers, body = await asyncio.to_thread(ask, port, "GET", "/health?full=1")
    assert (status, json.loads(body)) == (200, {"well": True})
    assert headers["Content-Type"] == "application/json"
    assert int(headers["Content-Length"]) == len(body)
    assert headers["Connection"] == "close"


@pytest.mark.parametrize(
    ("method", "target", "status", "body"),
    [
        ("HEAD", "/health", 200, ""),
        ("GET", "/", 404, "here are /health, /broken\n"),
        ("GET", "/health/../etc/passwd", 404, "here are /health, /broken\n"),
        ("POST", "/health", 405, "Method Not Allowed\n"),
        ("GET", "/broken", 500, "the daemon's log says more\n"),
    ],
)
async def test_what_else_is_asked_gets_an_answer(
    method: str, target: str, status: int, body: str
) -> None:
    async with serving() as port:
        answer = await asyncio.to_thread(ask, port, method, target)
    assert (answer[0], answer[2]) == (status, body)


async def test_who_sends_a_large_body_still_gets_his_answer() -> None:
    async with serving() as port:
        status, headers, _ = await asyncio.to_thread(ask, port, "POST", "/health", b"x" * 2**20)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"hello\r\n\r\n", b"HTTP/1.1 400 Bad Request\r\n"),
        (b"GET  /health HTTP/1.1\r\n\r\n", b"HTTP/1.1 400 Bad Request\r\n"),
        (b"GET /health SMTP/1.1\r\n\r\n", b"HTTP/1.1 400 Bad Request\r\n"),
        (b"GET /health HTTP/1.0\r\n\r\n", b"HTTP/1.1 200 OK\r\n"),
        (b"\xff\xfe \x00 HTTP/1.1\r\n\r\n", b"HTTP/1.1 404 Not Found\r\n"),
        (b"GET /health HTTP/1.1\r\nX: " + b"x" * 10_000 + b"\r\n\r\n", b"HTTP/1.1 431 "),
    ],
)
async def test_garbage_is_answered_and_harms_nobody(said: bytes, answer: bytes) -> None:
    async with serving() as port:
        assert (await raw(port, said)).startswith(answer)
        assert (await asyncio.to_thread(ask, port, "GET", "/health"))[0] == 200


async def test_who_says_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "ASKING", 0.05)
    async with serving() as port:
        assert await raw(port, b"GET /health HT") == b""


async def test_who_comes_in_crowds_does_not_get_more_than_his_share() -> None:
    never = asyncio.Event()

    async def slow() -> Answer:
        await never.wait()
        return JSON

    async with serving({"/slow": slow}) as port:
        asking = b"GET /slow HTTP/1.1\r\n\r\n"
        asked = [asyncio.create_task(raw(port, asking)) for _ in range(CONNECTIONS + 1)]
        await eventually(lambda: any(task.done() for task in asked))
        never.set()
        said = await asyncio.gather(*asked)
    assert sorted(one[:12] for one in said) == [b"HTTP/1.1 200"] * CONNECTIONS + [b"HTTP/1.1 503"]


async def test_it_listens_on_the_loopback_alone_unless_told_otherwise() -> None:
    async with serving() as port:
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with socket.socket(family) as taken:
                taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                with pytest.raises(OSError, match=r"in use|assign"):
                    taken.bind((address, port))
        with socket.socket() as elsewhere:
            elsewhere.bind(("127.0.0.2", port))
    async with serving(address="127.0.0.3") as port:
        with socket.create_connection(("127.0.0.3", port), timeout=60):
            pass
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, port), timeout=60)


async def test_a_port_that_somebody_has_is_said() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(WebLost, match=f"127.0.0.1 port {port}.*change http in the file"):
            await Web(Http(port=port), {}).hold(lambda: None)


async def test_stopping_lets_everyone_go_and_frees_the_port() -> None:
    async with serving() as port:
        waiting = asyncio.create_task(raw(port, b"GET /hea"))
        await asyncio.to_thread(ask, port, "GET", "/health")
    assert await waiting == b""
    with socket.create_server((HOST, port)):
        pass

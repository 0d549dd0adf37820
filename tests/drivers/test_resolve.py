import asyncio
import socket
import threading

import pytest

from drivers.base import LineLost
from drivers.resolve import Resolver


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_an_address_is_itself(host: str) -> None:
    assert await Resolver(host).find(0) == [host]


async def test_a_name_is_looked_up() -> None:
    found = await Resolver("localhost").find(5)
    assert set(found) <= {"127.0.0.1", "::1"}
    assert found


@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 300])
async def test_a_name_that_nobody_knows_is_a_lost_line(host: str) -> None:
    with pytest.raises(LineLost, match=f"the name {host} could not be resolved"):
        await Resolver(host).find(5)


async def test_a_hung_look_up_holds_up_nobody_and_is_not_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = threading.Event()
    asked: list[str] = []
    real = socket.getaddrinfo

    def hung(host: str, *args: object, **more: object) -> object:
        asked.append(host)
        release.wait(10)
        return real("127.0.0.1", *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", hung)
    resolver = Resolver("probe.example")
    for _ in range(3):
        with pytest.raises(LineLost, match="no answer within"):
            await resolver.find(0.005)
    assert asked == ["probe.example"]
    release.set()
    assert await resolver.find(5) == ["127.0.0.1"]


async def test_what_was_known_is_used_while_nobody_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolver = Resolver("localhost")
    known = await resolver.find(5)

    def refuse(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert await resolver.find(5) == known
    await asyncio.sleep(0)


async def test_without_a_thread_what_was_known_is_used_and_it_is_asked_again_when_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolver, stranger = Resolver("localhost"), Resolver("localhost")
    known = await resolver.find(5)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as scarce:
        scarce.setattr(threading.Thread, "start", refuse)
        assert await resolver.find(5) == known
        with pytest.raises(LineLost, match="no more threads"):
            await stranger.find(5)
    assert await stranger.find(5) == known

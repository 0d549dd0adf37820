"""Finding a host's addresses without ever holding up another host.

The event loop's own way shares a handful of threads, which one hung name server fills, and which
the interpreter waits for when it ends. Here every host has at most one thread, and nobody waits
for it longer than he wants to.
"""

import asyncio
import contextlib
import socket
from ipaddress import ip_address
from threading import Thread

from drivers.base import LineLost


class Resolver:
    """Finds one host's addresses, and remembers them for the times when nobody knows."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._known: list[str] = [host] if _is_address(host) else []
        self._literal = bool(self._known)
        self._asking: asyncio.Future[list[str] | OSError] | None = None

    async def find(self, seconds: float) -> list[str]:
        """Return the addresses, at least one; those last known if there is no answer in time.

        Raises LineLost where none were ever known.
        """
        if self._literal:
            return self._known
        if self._asking is None:
            asking: asyncio.Future[list[str] | OSError] = asyncio.get_running_loop().create_future()
            try:
                Thread(target=self._ask, args=(asking,), daemon=True).start()
            except RuntimeError:
                return self._remembered("this process can start no more threads")
            self._asking = asking
        done, _ = await asyncio.wait({self._asking}, timeout=seconds)
        if not done:
            return self._remembered(f"no answer within {seconds:g} s")
        found, self._asking = self._asking.result(), None
        if isinstance(found, OSError):
            return self._remembered(found.strerror or str(found))
        self._known = found
        return found

    def _remembered(self, why: str) -> list[str]:
        if not self._known:
            raise LineLost(f"the name {self._host} could not be resolved: {why}")
        return self._known

    def _ask(self, answer: asyncio.Future[list[str] | OSError]) -> None:
        found: list[str] | OSError
        try:
            infos = socket.getaddrinfo(self._host, None, type=socket.SOCK_STREAM)
            found = list(dict.fromkeys(str(info[4][0]) for info in infos))
        except OSError as error:
            found = error
        except UnicodeError:  # A label longer than 63 characters, among others.
            found = OSError("it is no name of a host")
        with contextlib.suppress(RuntimeError):  # The loop may be gone by now.
            answer.get_loop().call_soon_threadsafe(_give, answer, found)


def _give(answer: asyncio.Future[list[str] | OSError], found: list[str] | OSError) -> None:
    if not answer.done():
        answer.set_result(found)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True

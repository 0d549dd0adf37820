"""Stands in for the service manager: the socket that a service tells how it is."""

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

MOST = 65_536


class Manager:
    """What was said at one address, in order; each time with the seconds since it was made."""

    def __init__(self, address: str, listening: socket.socket) -> None:
        self.address = address
        self._listening = listening

    def heard(self) -> list[str]:
        """What was said since it was asked last, a message each."""
        messages = []
        while True:
            try:
                messages.append(self._listening.recv(MOST).decode())
            except BlockingIOError:
                return messages

    def wait(self, seconds: float, *wanted: str) -> Sequence[str]:
        """Return what was said until the first message that has one of the words in it.

        Raises TimeoutError when there is none within ``seconds``.
        """
        messages: list[str] = []
        end = time.monotonic() + seconds
        try:
            while (left := end - time.monotonic()) > 0:
                self._listening.settimeout(left)
                messages.append(self._listening.recv(MOST).decode())
                if any(word in messages[-1] for word in wanted):
                    return messages
        except TimeoutError:
            pass
        finally:
            self._listening.setblocking(False)
        raise TimeoutError(f"nothing of {wanted} within {seconds:g} s, but {messages[-20:]}")


@contextmanager
def manager(address: str) -> Iterator[Manager]:
    """Listen at a path, or at an abstract name that begins with ``@``."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + address[1:] if address.startswith("@") else address)
        listening.setblocking(False)
        yield Manager(address, listening)

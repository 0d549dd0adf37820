"""Where a simulated host stands on the loopback: a port that is its own for life."""

import asyncio
import socket
import struct

HOST = "127.0.0.1"
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends a reset, as the far end of a pulled cable will at last."""


class HostError(Exception):
    """A simulated host could not be put on the network; the text says why."""


class Place:
    """A port that is bound and does not listen: it is ours, and refuses while nobody serves it."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((HOST, 0))

    @property
    def port(self) -> int:
        """The TCP port on the loopback."""
        port: int = self._socket.getsockname()[1]
        return port

    def taken(self, error: Exception) -> HostError:
        """Return what is to be raised where nobody can serve here."""
        return HostError(f"port {self.port} of the loopback is taken: {error}")

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()


def will_reset(transport: asyncio.BaseTransport) -> None:
    """Have a connection end with a reset when it is closed."""
    there = transport.get_extra_info("socket")
    there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

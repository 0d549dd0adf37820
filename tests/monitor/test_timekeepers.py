"""A real chronyd is asked, and some that lie."""

import getpass
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from monitor import timekeepers
from monitor.timekeepers import chrony, timesyncd
from tests.support.debian import Tool, tool
from tests.support.servers import HOST, Server, free_port


class Chronyd(Server):
    """Debian's chronyd: it answers, and leaves the machine's clock alone."""

    def __init__(self, folder: Path, *, synchronised: bool) -> None:
        super().__init__(folder)
        self._synchronised = synchronised

    def command(self) -> tuple[Tool, list[str]]:
        file = self.folder / "chrony.conf"
        reference = "local stratum 10\n" if self._synchronised else ""
        file.write_text(
            f"port 0\ncmdport {self.port}\nbindcmdaddress {HOST}\nbindcmdaddress /\n"
            f"pidfile {self.folder}/pid\n{reference}"
        )
        return tool("chronyd"), ["-x", "-d", "-U", "-u", getpass.getuser(), "-f", str(file)]

    def answers(self) -> bool:
        return chrony(self.port) is not None


@pytest.mark.real
@pytest.mark.parametrize("synchronised", [True, False])
def test_a_real_chronyd_says_whether_it_keeps_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, synchronised: bool
) -> None:
    monkeypatch.setattr(timekeepers, "PATIENCE", 60.0)
    with Chronyd(tmp_path, synchronised=synchronised) as chronyd:
        assert chrony(chronyd.port) is synchronised
        chronyd.kill()
        assert chrony(chronyd.port) is None


@contextmanager
def answering(reply: Callable[[bytes], bytes]) -> Iterator[int]:
    """The port of a program that answers one datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((HOST, 0))
        server.settimeout(60)

        def serve() -> None:
            asked, who = server.recvfrom(4096)
            server.sendto(reply(asked), who)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def told(leap: int = 0, **changed: int) -> Callable[[bytes], bytes]:
    """An answer to whatever is asked, as chronyd gives it but for what is changed."""
    said = {"version": 6, "kind": 2, "command": 33, "reply": 5, "status": 0, "off": 0, **changed}

    def reply(asked: bytes) -> bytes:
        (sequence,) = struct.unpack_from(">I", asked, 8)
        head = struct.pack(
            ">BBxxHHH6xI8x",
            *(said[key] for key in ("version", "kind", "command", "reply", "status")),
            (sequence + said["off"]) % 2**32,
        )
        return (head + bytes(24) + struct.pack(">HH", 3, leap)).ljust(104, b"\0")

    return reply


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (told(0), True),
        (told(1), True),
        (told(2), True),
        (told(3), False),
        (told(off=1), None),
        (told(version=5), None),
        (told(kind=1), None),
        (told(command=1), None),
        (told(reply=1), None),
        (told(status=2), None),
        (lambda _: b"", None),
        (lambda asked: asked, None),
        (lambda _: b"\xff" * 104, None),
        (lambda _: b"\xff" * 4000, None),
    ],
)
def test_an_answer_that_is_none_says_nothing(
    monkeypatch: pytest.MonkeyPatch, reply: Callable[[bytes], bytes], expected: bool | None
) -> None:
    monkeypatch.setattr(timekeepers, "PATIENCE", 60.0)
    with answering(reply) as port:
        assert chrony(port) is expected


def test_who_does_not_answer_is_not_waited_for() -> None:
    assert chrony(free_port()) is None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((HOST, 0))
        assert chrony(silent.getsockname()[1]) is None


def test_timesyncd_shows_that_it_runs_and_that_it_has_set_the_clock(tmp_path: Path) -> None:
    folder = tmp_path / "timesync"
    assert timesyncd(folder) is None
    folder.mkdir()
    assert timesyncd(folder) is False
    (folder / "synchronized").touch()
    assert timesyncd(folder) is True

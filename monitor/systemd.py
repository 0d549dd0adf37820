"""What is said to the service manager, and how its journal is told how grave a line is.

sd_notify(3) is one datagram to a unix socket; nothing here ever fails the daemon. Without the
variables that systemd sets (a terminal, a container) everything is said to nobody.
"""

import errno
import logging
import os
import socket
import sys
from collections.abc import Mapping, MutableMapping
from types import TracebackType
from weakref import finalize

from config.problems import plain

LONGEST = 500
"""Characters of a status: ``systemctl status`` shows one line."""
MICROSECONDS = 10**6

log = logging.getLogger(__name__)

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class Notifier:
    """The socket of the service manager; an empty address is nobody's."""

    def __init__(self, address: str = "", watchdog: float = 0.0) -> None:
        """Raises OSError where the process has no descriptor left."""
        self.watchdog = watchdog
        """Seconds within which ``alive`` has to be said anew; 0: nobody waits for it."""
        # As in sd_notify(3): a leading @ stands for the zero byte of an abstract address.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._sender = _sender() if address else None
        """Kept open: a service that has no descriptor left must not fall silent, too."""
        if self._sender is not None:
            finalize(self, self._sender.close)
        self._failure = ""
        self._status = ""

    def ready(self) -> bool:
        """Say that the service has started; whether that could be said."""
        return self._say("READY=1")

    def alive(self) -> None:
        """Feed the watchdog."""
        if self.watchdog:
            self._say("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Say in a line how the service is, where that is news."""
        line = plain(" ".join(text.split()))[:LONGEST]
        if line != self._status and self._say(f"STATUS={line}"):
            self._status = line

    def stopping(self) -> None:
        """Say that the service ends: from now on the time for stopping runs."""
        self._say("STOPPING=1\nSTATUS=stopping")

    def _say(self, text: str) -> bool:
        """Send at once or not at all; whether nobody listens or it was sent."""
        if self._sender is None:
            return True
        try:
            self._sender.sendto(text.encode(), self._address)
        except OSError as error:
            self._tell(error)
            return False
        self._failure = ""
        return True

    def _tell(self, error: OSError) -> None:
        """Log a failure when it begins or reads differently; a full queue is none of ours."""
        words = error.strerror or str(error)
        if error.errno == errno.EAGAIN or words == self._failure:
            return
        self._failure = words
        where = self._address.replace("\0", "@")
        log.warning("the service manager at %s cannot be told how we are: %s", where, words)


def _sender() -> socket.socket:
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    return socket.socket(socket.AF_UNIX, kind)


NOBODY = Notifier()
"""For a daemon that no service manager has started."""


def from_environment(environment: MutableMapping[str, str] = os.environ) -> Notifier:
    """Return the manager that started this process; its variables are not left to children."""
    address = environment.pop("NOTIFY_SOCKET", "")
    microseconds = environment.pop("WATCHDOG_USEC", "")
    wanted_of = environment.pop("WATCHDOG_PID", "") or str(os.getpid())
    ours = microseconds.isdecimal() and wanted_of == str(os.getpid())
    return Notifier(address, int(microseconds) / MICROSECONDS if ours else 0.0)


def to_journal(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether what is written to stderr goes straight to the journal (systemd.exec(5))."""
    device, _, inode = environment.get("JOURNAL_STREAM", "").partition(":")
    try:
        ours = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return (device, inode) == (str(ours.st_dev), str(ours.st_ino))


class Formatter(logging.Formatter):
    """One line for each record, whatever was put into its words; a trace has its own lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """Return the line of a record."""
        return plain(super().formatMessage(record))

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802 - as above
        """Return a trace, of which each line may hold anybody's words."""
        return "\n".join(plain(line) for line in super().formatException(ei).split("\n"))


class JournalFormatter(Formatter):
    """Begins every line with its priority (sd-daemon(3)), so that ``journalctl -p err`` finds it.

    The journal takes each line of a trace for an entry of its own, so each has to have it.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record with priorities; the level in words is not said twice."""
        priority = next(number for level, number in _PRIORITIES if record.levelno >= level)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).split("\n"))


_PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
    (logging.NOTSET, 7),
)

"""Where the local socket is: for the daemon that opens it and whoever asks there."""

import os
from collections.abc import Mapping
from pathlib import Path

NAME = "cytowatch.sock"
LONGEST = 107
"""Bytes that the kernel keeps of a unix socket's path (``sun_path`` less its final zero)."""


class SocketError(Exception):
    """The local socket cannot be opened; the text says why and what to do."""


def to_open(state: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """Where the daemon opens its socket.

    That is ``$CYTOWATCH_SOCKET``, else ``$RUNTIME_DIRECTORY`` (systemd), else the ``state`` folder.
    Raises SocketError where the path is too long.
    """
    named = environ.get("CYTOWATCH_SOCKET")
    # systemd joins several runtime directories by colons; ours is the first.
    runtime = environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    path = Path(named) if named else Path(runtime or state) / NAME
    length = len(os.fsencode(path))
    if length > LONGEST:
        raise SocketError(
            f"{path}: {length} bytes are too long for a unix socket, which can have {LONGEST};"
            " name a shorter path in CYTOWATCH_SOCKET"
        )
    return path


def to_ask(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the command line looks for the daemon when it is not told.

    That is ``$CYTOWATCH_SOCKET``, else ``$RUNTIME_DIRECTORY``, else the place of the systemd unit
    if there is one, else the ``state`` folder of a daemon that was started by hand in this folder.
    """
    named = environ.get("CYTOWATCH_SOCKET")
    if named:
        return Path(named)
    runtime = environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    if runtime:
        return Path(runtime) / NAME
    service = Path("/run/cytowatch") / NAME
    return service if _is_there(service) else Path("state") / NAME


def _is_there(path: Path) -> bool:
    """Whether there is such a file; of one that we may not look at, connecting will say why."""
    try:
        path.stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return True

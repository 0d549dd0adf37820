"""Files of our own, where others might have put something in their place.

Whoever can write to a directory of ours could make a link of a name that we are about to write to,
and have us change a file of somebody else's. So no link is followed, and what is made anew is made
anew. What SQLite opens it opens by its name: there the look comes right before.
"""

import os
import stat
from pathlib import Path

from monitor.store.errors import StoreError


def open_own(path: Path) -> int:
    """Open a file of ours to read and write, making it where there is none (mode 0600).

    Returns its descriptor. Raises StoreError when something else lies there, as a link, and OSError
    as the disk has it.
    """
    refuse_links(path)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(path, flags, 0o600)


def new_own(path: Path, mode: int = 0o600) -> int:
    """Make a file of ours anew and open it to read and write: what bore its name does no more.

    ``mode`` says who else may, less what the process keeps from others (umask).
    """
    path.unlink(missing_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(path, flags, mode)


def refuse_links(*paths: Path) -> None:
    """Raise StoreError when one of these is there and is no file of its own, but a link or so."""
    for path in paths:
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            continue
        if stat.S_ISLNK(mode):
            raise StoreError(
                f"{path}: is a link to {path.readlink()}, and is not followed: remove it, and name"
                " the place in store.directory if that is where the record belongs"
            )
        if not stat.S_ISREG(mode):
            raise StoreError(f"{path}: is no file; move it away, cytowatch does not remove it")

"""Files of our own, where others might have put something in their place.

Whoever can write to a directory of ours could make a link of a name that we are about to write to,
and have us change a file of somebody else's. So no link is followed, and nothing is written to a
file that has a second name.
"""

import os
import stat
from pathlib import Path

from monitor.store.errors import StoreError


def open_own(path: Path, flags: int) -> int:
    """Open a file of ours, making it where there is none (mode 0600); return its descriptor.

    ``flags`` are those of ``os.open`` beside the making. Raises StoreError when something else
    lies there, a link or a file that bears a second name, and OSError as the disk has it.
    """
    refuse_links(path)
    safe = os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = os.open(path, flags & ~os.O_TRUNC | safe, 0o600)
    try:
        _refuse(path, os.fstat(descriptor))
        if flags & os.O_TRUNC:
            os.truncate(descriptor, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def new_own(path: Path) -> int:
    """Make a file of ours anew and open it to read and write: what bore its name does no more."""
    path.unlink(missing_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(path, flags, 0o600)


def refuse_links(path: Path) -> None:
    """Raise StoreError when what lies at ``path`` is not a file with this name alone.

    For what a library opens; it must come right before.
    """
    try:
        _refuse(path, path.lstat())
    except FileNotFoundError:
        return


def _refuse(path: Path, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        what = f"is a link to {path.readlink()}"
    elif not stat.S_ISREG(found.st_mode):
        what = "is no file"
    elif found.st_nlink > 1:
        what = "has a second name somewhere (a hard link)"
    else:
        return
    raise StoreError(f"{path}: {what}, and is not written to; find out who put it there, remove it")

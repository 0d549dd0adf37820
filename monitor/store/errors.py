"""What the store raises."""

import os
import sqlite3
from pathlib import Path


class StoreError(Exception):
    """The store cannot be opened, or can no longer be trusted; the text says what to do.

    Once raised by a commit it is raised by every call that follows: after a failed fsync nobody
    knows what is on the disk, and only opening it anew tells. The process is to end.
    """


class DiskFullError(StoreError):
    """There was no room, and nothing of it was written; it may be tried again."""


def unreadable(path: Path, error: sqlite3.Error) -> StoreError:
    """Return what to raise where ``path`` cannot be read as a store."""
    foreign = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB
    if not os.path.exists(path):  # noqa: PTH110 - where nobody may look it is False, and no error
        why = "there is no such file"
    elif foreign or "no such table" in str(error):
        why = "it is no store of cytowatch"
    else:
        why = str(error)
    return StoreError(f"{path}: cannot be read: {why}")

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
    return StoreError(f"{path}: cannot be read: {_why(path, error)}")


def _why(path: Path, error: sqlite3.Error) -> str:
    kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
    try:  # To open it and to close it again would drop the locks that SQLite has on it.
        path.stat()
    except OSError as refused:
        return f"{refused.strerror}"
    if not os.access(path, os.R_OK):
        return "it is not yours to read"
    if kind in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}:
        return (
            f"{error}; the store of a stopped daemon is read only where something can be written"
            " beside it: take a backup of it, or a copy in a folder of your own"
        )
    foreign = kind == sqlite3.SQLITE_NOTADB or "no such table" in str(error)
    return "it is no store of cytowatch" if foreign else str(error)

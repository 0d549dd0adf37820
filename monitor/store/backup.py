"""A consistent copy of the store's file, made while the daemon goes on writing to it."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from monitor.store import schema
from monitor.store.errors import StoreError

SLICE = 256
"""Pages per step; between steps other threads have their turn."""


def copy(source: Path, target: Path) -> None:
    """Copy the store at ``source``, as it is committed at this moment, to a new file ``target``.

    Reads under one snapshot, so nothing that is committed meanwhile starts the copy over; the
    writer does not wait for readers. Returns when the copy is on the disk.
    Raises StoreError when ``target`` exists, or either cannot be read or written.
    """
    if target.exists():
        raise StoreError(f"{target}: exists already; a backup overwrites nothing")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise StoreError(f"{target}: cannot be written: {error.strerror}") from error
    try:
        _copy(source, target)
        _sync(target)
        _sync(target.parent)
    except (sqlite3.Error, OSError) as error:
        target.unlink(missing_ok=True)
        raise StoreError(f"{source}: no backup to {target}: {error}") from error


def _copy(source: Path, target: Path) -> None:
    with closing(schema.connect_readonly(source)) as store, closing(sqlite3.connect(target)) as new:
        store.execute("BEGIN")
        store.execute("SELECT count(*) FROM meta").fetchone()  # From here on the snapshot stands.
        store.backup(new, pages=SLICE)
        new.execute("PRAGMA journal_mode = DELETE")  # One plain file, nothing beside it.


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

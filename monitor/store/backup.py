"""A consistent copy of the store's file, made while the daemon goes on writing to it."""

import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

from monitor.store import room, schema
from monitor.store.errors import StoreError
from monitor.store.own import new_own
from monitor.store.sync import make_folder, sync

FOLDER = "backups"
"""Beside the store."""
ADVICE = "make room on it, or let the folder be a link to another one"
SLICE = 256
"""Pages per step (1 MiB): each is on the disk before the next, so none holds up a commit."""
PAUSE = 0.002
"""Seconds between steps, in which the disk belongs to commits."""


def copy(source: Path, target: Path) -> None:
    """Copy the store at ``source``, as it is committed at this moment, to a new file ``target``.

    Reads under one snapshot, so nothing that is committed meanwhile starts the copy over; the
    writer does not wait for readers. Returns when the copy is on the disk; it bears its name only
    when it is whole.
    The copy is marked as one: put to work, it becomes a store of another name, because the
    original may have gone on, and its numbers would be given twice.
    Raises StoreError when ``target`` exists, it would take room that the daemon needs, or either
    cannot be read or written.
    """
    if os.path.lexists(target):
        raise StoreError(f"{target}: exists already; a backup overwrites nothing")
    draft = target.with_name(f".{target.name}.part")
    try:
        make_folder(target.parent)
        descriptor = new_own(draft)  # One that was cut off goes.
    except OSError as error:
        raise StoreError(f"{target}: cannot be written: {error.strerror}") from error
    try:
        room.leave_room(target, _size(source), source, advice=ADVICE)
        _copy(source, draft, descriptor)
        os.fsync(descriptor)
        draft.rename(target)
        sync(target.parent)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{source}: no backup to {target}: {error}") from error
    finally:
        os.close(descriptor)
        draft.unlink(missing_ok=True)


def forget_drafts(store: Path) -> None:
    """Remove what was cut off in the folder of the backups; who calls has the store.

    One that is a link may be somebody else's, too.
    """
    folder = store.parent / FOLDER
    if folder.is_symlink():
        return
    with suppress(OSError):
        for draft in folder.glob(".*.part"):
            draft.unlink()


def _size(store: Path) -> int:
    """Bytes that a copy will have, or some more."""
    log = store.with_name(f"{store.name}-wal")
    return store.stat().st_size + (log.stat().st_size if log.exists() else 0)


def _copy(source: Path, target: Path, descriptor: int) -> None:
    def pace(*_: int) -> None:
        os.fdatasync(descriptor)
        time.sleep(PAUSE)

    with closing(schema.connect_readonly(source)) as store, closing(sqlite3.connect(target)) as new:
        # A copy that is cut off is thrown away.
        new.execute("PRAGMA synchronous = OFF")
        new.execute("PRAGMA journal_mode = MEMORY")
        store.execute("BEGIN")
        store.execute("SELECT count(*) FROM meta").fetchone()  # From here on the snapshot stands.
        store.backup(new, pages=SLICE, progress=pace)
        new.execute("PRAGMA journal_mode = DELETE")  # One plain file, nothing beside it.
        schema.mark_copy(new)

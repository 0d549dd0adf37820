"""Opening the store's file: one daemon at a time, and whatever lies there, the daemon starts.

A file that is damaged, or is no store of ours, is moved aside with its log and a new store takes
over what can be read of it (``salvage``); only one of a newer cytowatch is refused, since it is
well and somebody wants it.
"""

import fcntl
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from monitor.store import backup, room, salvage, schema
from monitor.store.errors import StoreError
from monitor.store.own import new_own, open_own, refuse_links
from monitor.store.sync import make_folder, sync

WHOLE_CHECK = 32 * 2**20
"""Bytes up to which the whole file is looked through at each start."""
USUAL_QUOTA = 8 * 2**30

_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class _UnusableError(Exception):
    """The file is damaged, or not ours."""


def lock(path: Path) -> int:
    """Take the directory of the store at ``path`` for this process; return the lock's descriptor.

    It holds until the descriptor is closed or the process ends, however it ends. The lock is on
    a file of its own: closing another descriptor of the database would drop SQLite's own locks.
    Raises StoreError when another process has it, or the directory cannot be written.
    """
    file = path.with_name("cytowatch.lock")
    try:
        make_folder(path.parent)
        descriptor = open_own(file)
    except OSError as error:
        advice = (
            "give the directory to the user that the daemon runs as"
            if isinstance(error, PermissionError)
            else "look at the disk, or name another place in store.directory"
        )
        raise StoreError(
            f"{path.parent}: cannot be written ({error.strerror}); {advice}"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise StoreError(
            f"{path.parent}: another cytowatch (process {owner}) runs on this directory;"
            " stop it, or give this one a directory of its own"
        ) from error
    with suppress(OSError):  # Only for people; on a full disk there is no room even for that.
        if os.fstat(descriptor).st_nlink == 1:  # A second name may be that of somebody's file.
            os.truncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode("ascii"))
    return descriptor


def open_file(path: Path) -> sqlite3.Connection:
    """Open the store at ``path``, making it anew where there is none or none that can be used.

    Raises StoreError when it is of a newer schema, or the disk does not let us.
    """
    try:
        salvage.finish(path)
        forget_draft(path)
        backup.forget_drafts(path)
        try:
            return _open(path)
        except _UnusableError:
            salvage.replace(path)
            return _open(path)
    except (sqlite3.Error, OSError) as error:
        full = room.look(path).tight
        advice = "the disk is full: make room on it" if full else "look at the disk"
        raise StoreError(f"{path}: cannot be opened: {error}; {advice}") from error


def draft(path: Path) -> Path:
    """Return where the store at ``path`` is rewritten, beside it."""
    return path.with_name(path.name + ".compact")


def forget_draft(path: Path) -> None:
    """Remove what a rewriting left that was cut off."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        file = draft(path)
        file.with_name(file.name + suffix).unlink(missing_ok=True)


def usual_quota(path: Path) -> int:
    """Return the bytes of readings kept where nobody says: 8 GiB, or a fifth of a small disk."""
    return min(USUAL_QUOTA, shutil.disk_usage(path.parent).total // 5)


def mark_suspect(path: Path) -> None:
    """Leave word that damage was met while running, so that the next start looks everywhere."""
    with suppress(OSError):
        os.close(new_own(_suspect(path)))


def is_full(error: sqlite3.Error) -> bool:
    """Whether SQLite says that there is no room on the disk."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite says that the file itself is damaged."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _CORRUPT


def _open(path: Path) -> sqlite3.Connection:
    refuse_links(*(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm", "-journal")))
    os.close(open_own(path))
    connection = None
    try:
        _look_before_touching(path)
        connection = schema.connect(path)
        _make_or_check(connection, path)
    except sqlite3.Error as error:
        _close(connection)
        if is_damage(error):
            raise _UnusableError from error
        raise
    except (_UnusableError, StoreError):
        _close(connection)
        raise
    _suspect(path).unlink(missing_ok=True)
    _sync_found(path)
    return connection


def _sync_found(path: Path) -> None:
    """Whoever was killed may have written without a sync: what is read now must not go any more."""
    log = path.with_name(path.name + "-wal")
    if log.exists():
        sync(log)
    sync(path.parent)


def _look_before_touching(path: Path) -> None:
    """Find a foreign or newer file by reading only, so that it stays as it is."""
    with closing(schema.connect_readonly(path)) as connection:
        try:
            tables = _tables(connection)
        except sqlite3.OperationalError:
            return  # A journal must be rolled back first, which takes the connection that writes.
        if tables and "meta" not in tables:
            raise _UnusableError
        if tables:
            _check_version(schema.read_meta(connection, "schema"), path)


def _tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}


def _close(connection: sqlite3.Connection | None) -> None:
    if connection is not None:
        connection.close()


def _make_or_check(connection: sqlite3.Connection, path: Path) -> None:
    tables = _tables(connection)
    if not tables:
        schema.create(connection)
        return
    if not tables.issuperset((*schema.SMALL_TABLES, "blob", "dead_letter")):
        raise _UnusableError
    _look_through(connection, everywhere=_suspect(path).exists() or _small(path))
    schema.migrate(connection)
    schema.rename_copy(connection)


def _check_version(version: str | None, path: Path) -> None:
    if version is None or not version.isdigit():
        raise _UnusableError
    if int(version) > schema.VERSION:
        raise StoreError(
            f"{path}: written by a newer cytowatch (schema {version}, this one knows"
            f" {schema.VERSION}); it was left as it is. Run the newer one, or another directory"
        )


def _look_through(connection: sqlite3.Connection, *, everywhere: bool) -> None:
    """Check the structure: of everything, or (readings may be many GiB) of all but the readings."""
    for table in ("",) if everywhere else schema.SMALL_TABLES:
        found = connection.execute(
            f"PRAGMA quick_check({table})" if table else "PRAGMA quick_check"
        )
        if found.fetchone() != ("ok",):
            raise _UnusableError


def _small(path: Path) -> bool:
    return path.stat().st_size <= WHOLE_CHECK


def _suspect(path: Path) -> Path:
    return path.with_name(path.name + ".suspect")

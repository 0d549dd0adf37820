"""Giving room back to the disk: a store's file rewritten without its free pages.

The file does not shrink by itself when readings leave: their pages are kept for those that come.
After the quota was lowered that is room that nobody uses.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from monitor.store import opening, schema
from monitor.store.errors import StoreError
from monitor.store.own import new_own, refuse_links
from monitor.store.sync import sync
from monitor.store.verify import verify


def compact(path: Path) -> tuple[int, int]:
    """Rewrite the store at ``path``, which no daemon may have open; return its bytes, old and new.

    The new file is made beside the old one, gone through, and takes its place in one step: cut off
    anywhere, one of the two is there, whole. It takes as much room as the store will need.
    Raises StoreError when a daemon has it, it is no store, not whole, or there is no room.
    """
    refuse_links(path)
    if not path.is_file():
        raise StoreError(f"{path}: there is no store")
    lock = opening.lock(path)
    new = opening.draft(path)
    try:
        before = path.stat().st_size
        _rewrite(path, new)
        _hold_against(path, new)
        for suffix in ("-wal", "-shm"):  # Empty, and of the old file: nothing of the new one's.
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        sync(path.parent)  # The old log beside the new file would spoil it.
        new.rename(path)
        sync(path.parent)
        return before, path.stat().st_size
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{path}: not compacted: {error}; it is as it was") from error
    finally:
        opening.forget_draft(path)
        os.close(lock)


def _rewrite(path: Path, new: Path) -> None:
    opening.forget_draft(path)
    os.close(new_own(new))
    with closing(schema.connect(path)) as db:  # Closing it carries its log over, and ends it.
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        db.execute("VACUUM INTO ?", (str(new),))
    log = path.with_name(path.name + "-wal")
    if log.exists() and log.stat().st_size:
        raise StoreError(f"{path}: not compacted: somebody reads it; try it again")
    sync(new)


def _hold_against(path: Path, new: Path) -> None:
    old_verdict, verdict = verify(path), verify(new)
    if verdict != old_verdict or not verdict.whole:
        problems = "; ".join(verdict.problems[:3]) or "the new file is another"
        raise StoreError(f"{path}: not compacted: {problems}; see cytowatch store verify")

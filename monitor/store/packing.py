"""Writing an archive: one ZIP file that bears its name only when it is whole and on the disk."""

import errno
import hashlib
import os
import time
import zipfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

from monitor.store import room
from monitor.store.archive import MANIFEST, README, README_TEXT, Manifest, Member, Piece, Plan
from monitor.store.errors import StoreError
from monitor.store.own import new_own
from monitor.store.sync import sync

SPARE = 2**20
"""Bytes that are there beside what is counted: the list of the members."""
ADVICE = "write the archive to another one"


def pack(target: Path, told: Iterator[Plan | Piece | Manifest]) -> Manifest:
    """Write the archive ``target`` of what is told; return its manifest when it is on the disk.

    Raises StoreError when ``target`` exists, there is no room, or it cannot be written;
    then there is no such file, nor a part of it.
    """
    draft = target.with_name(f".{target.name}.part")
    try:
        _refuse_existing(target)
        descriptor = new_own(draft)
    except OSError as error:
        raise StoreError(f"{target}: cannot be written: {error.strerror}") from error
    made = os.fstat(descriptor)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            manifest = _write(file, target, told)
            file.flush()
            os.fsync(file.fileno())
        _refuse_existing(target)
        if not _is(draft, made):
            raise StoreError(f"{target}: not archived: somebody else writes it just now, too")
        draft.rename(target)
        _sync_name(target)
    except OSError as error:
        raise StoreError(f"{target}: not archived: {error.strerror or error}") from error
    finally:
        if _is(draft, made):
            draft.unlink(missing_ok=True)
    return manifest


def _is(draft: Path, made: os.stat_result) -> bool:
    """Whether that is still the file that we made: who begins the same anew takes its name."""
    try:
        return os.path.samestat(draft.lstat(), made)
    except FileNotFoundError:
        return False


def _sync_name(target: Path) -> None:
    try:
        sync(target.parent)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # A share may know no such thing.
            raise


def _refuse_existing(target: Path) -> None:
    if os.path.lexists(target):
        raise StoreError(f"{target}: exists already; an archive overwrites nothing")


def _write(file: BinaryIO, target: Path, told: Iterator[Plan | Piece | Manifest]) -> Manifest:
    manifest = None
    with zipfile.ZipFile(file, "w") as opened:
        archive = _Archive(opened)
        archive.add(README, [README_TEXT.read_bytes()])
        for member, group in groupby(told, _member):
            if member:
                archive.add(member, (each.data for each in group if isinstance(each, Piece)))
                continue
            for each in group:
                if isinstance(each, Plan):
                    needed = each.bytes + SPARE
                    room.leave_room(target, needed, each.store, advice=ADVICE)
                elif isinstance(each, Manifest):
                    manifest = each.model_copy(update={"members": tuple(archive.members)})
        if manifest is None:
            raise StoreError(f"{target}: not archived: it was broken off before its end")
        archive.add(MANIFEST, [manifest.model_dump_json(by_alias=True, indent=1).encode()])
    return manifest


def _member(told: Plan | Piece | Manifest) -> str:
    return told.member if isinstance(told, Piece) else ""


class _Archive:
    """A ZIP file that is written member by member, each hashed as it goes."""

    def __init__(self, opened: zipfile.ZipFile) -> None:
        self._zip = opened
        self._made = time.gmtime()[:6]
        self.members: list[Member] = []

    def add(self, name: str, parts: Iterator[bytes] | list[bytes]) -> None:
        """Add a member; what is compressed already is stored as it is."""
        info = zipfile.ZipInfo(name, self._made)
        stored = name.endswith((".gz", ".bin"))
        info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
        info.external_attr = 0o600 << 16
        sha256, size = hashlib.sha256(), 0
        with self._zip.open(info, "w", force_zip64=True) as member:
            for part in parts:
                member.write(part)
                sha256.update(part)
                size += len(part)
        self.members.append(Member(name=name, bytes=size, sha256=sha256.hexdigest()))

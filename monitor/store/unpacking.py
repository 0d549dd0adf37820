"""Whether archives are as they were made, and adjoin: all that is there held against the chain.

It finds members that were changed, exchanged, added or left out, and, in the record, edits,
deletions, insertions and reorderings. What nobody can tell from an archive alone, that its end or
beginning was cut off with the manifest computed anew, shows by a head that was published, and by
the archives before and after.
"""

import hashlib
import json
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, TypeVar

from pydantic import ValidationError

from monitor.messages import Message
from monitor.store import archive, chain
from monitor.store.archive import BlobLine, EventLine, LinkLine, Manifest
from monitor.store.errors import StoreError
from monitor.store.strands import Place, ToldBlob, ToldLink, blob_problems, link_problems
from monitor.store.verify import MOST_PROBLEMS, Verdict

AT_ONCE = 2**20
LONGEST_LINE = 64 * 2**20
"""Bytes; nothing that is recorded is nearly as long."""
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
Line = TypeVar("Line", bound=Message)


class _BadLine(Exception):  # noqa: N818 - a finding, said in words
    """A member cannot be read to its end."""


def is_archive(path: Path) -> bool:
    """Whether ``path`` is to be looked at as an archive and not as a store."""
    try:
        with path.open("rb") as file:
            begins = file.read(16)
        return begins[:2] == b"PK" or (begins[:6] != b"SQLite" and zipfile.is_zipfile(path))
    except OSError:
        return False


def verify_archive(path: Path, head: str = "") -> tuple[Manifest, Verdict]:
    """Go through the archive ``path``; return what it says of itself, and what was found.

    ``head`` is one that was published; empty when none is known. Raises StoreError when it cannot
    be read as an archive at all, ValueError when ``head`` does not look like one.
    """
    if head:
        chain.read_whole(head)
    with _opening(path) as opened:
        return opened.manifest, opened.verdict(head)


def heads_for(paths: Sequence[Path], known: str) -> list[str]:
    """Return, for each of some archives in their order, the head that it is to be held against.

    That is ``known`` for the first that goes as far, or else the last, and no other. One that
    cannot be read goes nowhere. Raises ValueError as ``verify_archive`` does.
    """
    if not known or not paths:
        return [""] * len(paths)
    link, _, blob, _ = chain.read_whole(known)
    ends = [_end(path) for path in paths]
    far = [index for index, end in enumerate(ends) if end[0] >= link and end[1] >= blob]
    chosen = far[0] if far else len(paths) - 1
    return [known if index == chosen else "" for index in range(len(paths))]


def _end(path: Path) -> tuple[int, int]:
    """The newest link and blob of an archive."""
    try:
        with _opening(path) as opened:
            link, _, blob, _ = chain.read_whole(opened.manifest.after)
    except StoreError:  # It is said when the archive is gone through.
        return -1, -1
    return link, blob


@contextmanager
def _opening(path: Path) -> Iterator["_Opened"]:
    try:
        with zipfile.ZipFile(path) as file:
            yield _Opened(path, file)
    except zipfile.BadZipFile as error:
        why = "it is no whole ZIP file; was it copied to its end?"
        raise StoreError(f"{path}: cannot be read: {why}") from error
    except (*_BROKEN, OSError) as error:
        raise StoreError(f"{path}: cannot be read: {error}") from error


def _read_manifest(path: Path, file: zipfile.ZipFile) -> Manifest:
    try:
        with file.open(archive.MANIFEST) as member:
            text = member.read(LONGEST_LINE)
    except KeyError as error:
        raise StoreError(f"{path}: is no archive of a record: no manifest in it") from error
    try:
        manifest = Manifest.model_validate_json(text)
        chain.read_whole(manifest.before)
        chain.read_whole(manifest.after)
    except ValueError as error:
        raise StoreError(
            f"{path}: its manifest was changed, or is of another release of cytowatch;"
            " README.txt in it says how it is checked without"
        ) from error
    return manifest


def seam_problems(before: Manifest, after: Manifest) -> Iterator[str]:
    """Say why the archive ``after`` does not go on where ``before`` ends."""
    if before.store_id != after.store_id:
        yield f"it is of the store {after.store_id}, and the one before of {before.store_id}"
        return
    link, record, blob, telemetry = chain.read_whole(before.after)
    next_link, next_record, next_blob, next_telemetry = chain.read_whole(after.before)
    yield from _seam("record: links", (link, record), (next_link, next_record))
    yield from _seam("readings: blobs", (blob, telemetry), (next_blob, next_telemetry))


def _seam(what: str, ends: tuple[int, bytes], begins: tuple[int, bytes]) -> Iterator[str]:
    if begins[0] > ends[0]:
        yield f"{what} {ends[0] + 1} to {begins[0]} are in neither this archive nor the one before"
    elif begins[0] < ends[0]:
        yield f"{what} {begins[0] + 1} to {ends[0]} are in the archive before, too"
    elif begins[1] != ends[1]:
        yield f"{what} from {begins[0] + 1} on do not follow those of the archive before"


class _Opened:
    """An archive that is being gone through."""

    def __init__(self, path: Path, file: zipfile.ZipFile) -> None:
        self._file = file
        self.manifest = _read_manifest(path, file)
        self._names = {member.name for member in self.manifest.members}
        self._unread = self._names - {archive.README}
        """Members that nothing has asked for yet."""
        self._last_blob = Place(0, b"")
        self._last_link = Place(0, b"")
        self._last_event = self.manifest.events.first - 1
        self._newest = b""
        """How the newest readings begin."""

    def verdict(self, known: str) -> Verdict:
        """Return what is found."""
        problems = tuple(islice(self._problems(known), MOST_PROBLEMS))
        manifest = self.manifest
        return Verdict(
            store_id=manifest.store_id,
            events=manifest.events.count,
            blobs=manifest.readings.count,
            gone=0,
            before=manifest.before,
            head=manifest.after,
            problems=problems,
        )

    def _problems(self, known: str) -> Iterator[str]:
        yield from self._member_problems()
        try:
            yield from self._spoilt()
            yield from self._telemetry_problems()
            yield from self._record_problems()
            yield from self._configuration_problems()
            yield from (f"{name}: is not of this archive" for name in sorted(self._unread))
            if known:
                yield from self._known_problems(known)
        except _BadLine as error:
            yield str(error)

    def _member_problems(self) -> Iterator[str]:
        there = Counter(self._file.namelist())
        yield from (f"{name}: is there {n} times" for name, n in there.items() if n > 1)
        yield from (f"{name}: is missing" for name in sorted(self._names - there.keys()))
        added = there.keys() - self._names - {archive.MANIFEST}
        yield from (f"{name}: is not of this archive" for name in sorted(added))
        for member in self.manifest.members:
            if member.name in there and self._hash(member.name) != (member.bytes, member.sha256):
                yield f"{member.name}: was changed"

    def _hash(self, name: str) -> tuple[int, str]:
        sha256, size = hashlib.sha256(), 0
        try:
            with self._file.open(name) as member:
                while part := member.read(AT_ONCE):
                    sha256.update(part)
                    size += len(part)
        except (KeyError, *_BROKEN):
            return -1, ""
        return size, sha256.hexdigest()

    def _spoilt(self) -> Iterator[str]:
        number = 0
        for number, text in enumerate(self._texts(archive.SPOILT), 1):
            try:
                told = json.loads(text)
                yield f"{told['what']} {told['name']}: {told['words']}"
            except (ValueError, TypeError, KeyError, RecursionError):
                raise _BadLine(f"{archive.SPOILT}: line {number} cannot be read") from None
        if number != self.manifest.spoilt:
            yield f"{archive.SPOILT}: these are not the {self.manifest.spoilt} of the manifest"

    # --- readings ----------------------------------------------------------------------------

    def _telemetry_problems(self) -> Iterator[str]:
        manifest = self.manifest
        _, _, number, head = chain.read_whole(manifest.before)
        self._last_blob = Place(number, head)
        yield from blob_problems(Place(number, head), self._told_blobs())
        if chain.read_whole(manifest.after)[2:] != self._last_blob:
            yield "readings: the end is not the one that the manifest says"
        said = manifest.readings
        if (said.first, said.last) != (number + 1, self._last_blob.number):
            yield "readings: these are not the ones that the manifest says"
        site, gateway = archive.place_of(self._newest)
        if site and (site, gateway) != (manifest.site, manifest.gateway):
            yield f"the readings are of {gateway} at {site}, which is not what the manifest says"

    def _told_blobs(self) -> Iterator[ToldBlob]:
        for file in self._readings_files():
            self._unread.discard(file)
            try:
                with self._file.open(file) as bodies:
                    for line in self._lines(archive.index_file(file), BlobLine):
                        sha256 = self._sha256_of(bodies, line)
                        self._last_blob = Place(line.blob, bytes.fromhex(line.head))
                        yield ToldBlob(line.entry(), sha256, self._last_blob.head)
                    if bodies.read(1):
                        raise _BadLine(f"{file}: there is more in it than was recorded")
            except (KeyError, *_BROKEN):
                raise _BadLine(f"{file}: cannot be read") from None

    def _sha256_of(self, bodies: IO[bytes], line: BlobLine) -> bytes:
        if line.spoilt:
            self._unread.discard(archive.spoilt_file(line.blob))
            size, sha256 = self._hash(archive.spoilt_file(line.blob))
            return bytes.fromhex(sha256) if size == line.bytes else b""
        begins = part = bodies.read(min(line.bytes, AT_ONCE))
        sha256_, left = hashlib.sha256(part), line.bytes - len(part)
        while part and left:
            part = bodies.read(min(left, AT_ONCE))
            sha256_.update(part)
            left -= len(part)
        self._newest = begins
        return b"" if left else sha256_.digest()

    def _readings_files(self) -> Iterator[str]:
        count = 1
        while archive.readings_file(count) in self._names:
            yield archive.readings_file(count)
            count += 1

    # --- the record --------------------------------------------------------------------------

    def _record_problems(self) -> Iterator[str]:
        manifest = self.manifest
        number, head, *_ = chain.read_whole(manifest.before)
        self._last_link = Place(number, head)
        first_blob = manifest.readings.first - 1
        yield from link_problems(
            self._last_link,
            manifest.events.first - 1,
            self._told_links(),
            _Heads(self).of,
            first_blob,
        )
        ends = (*self._last_link, manifest.links.first, manifest.links.last)
        if ends != (*chain.read_whole(manifest.after)[:2], number + 1, self._last_link.number):
            yield "record: the end is not the one that the manifest says"
        if self._last_event != manifest.events.last:
            yield "events: these are not the ones that the manifest says"

    def _told_links(self) -> Iterator[ToldLink]:
        events = self._lines(archive.EVENTS, EventLine)
        waiting = next(events, None)
        for line in self._lines(archive.LINKS, LinkLine):
            told = []
            while waiting is not None and waiting.number <= line.last_event:
                told.append(waiting.entry())
                waiting = next(events, None)
            self._last_link = Place(line.link, bytes.fromhex(line.head))
            self._last_event = line.last_event
            yield ToldLink(line.entry(), told, line.last_event, self._last_link.head)
        if waiting is not None:
            raise _BadLine(f"events from {waiting.number}: not part of the chain")

    def _configuration_problems(self) -> Iterator[str]:
        named = {line.config for line in self._lines(archive.LINKS, LinkLine) if line.config}
        others = 0
        for digest in sorted(named):
            if archive.configuration_file(digest) not in self._names:
                yield f"configuration {digest[:8]}: its text is missing"
        for name in sorted(name for name in self._names if archive.digest_in(name)):
            digest = archive.digest_in(name)
            if digest in named or not others:
                self._unread.discard(name)
                others += digest not in named  # The one that was in effect at the beginning.
            if self._hash(name)[1] not in {digest, ""}:  # What cannot be read was named before.
                yield f"configuration {digest[:8]}: its text was changed"

    # --- a head that was published -----------------------------------------------------------

    def _known_problems(self, known: str) -> Iterator[str]:
        link, record, blob, telemetry = chain.read_whole(known)
        heads = dict(self._heads(link, blob))
        if not heads:
            yield (
                f"nothing of that head is in this archive: it has links up to"
                f" {self._last_link.number} and readings up to {self._last_blob.number}"
            )
        if heads.get("link", record) != record:
            yield f"record: up to link {link} not what was published"
        if heads.get("blob", telemetry) != telemetry:
            yield f"readings: up to blob {blob} not what was published"

    def _heads(self, link: int, blob: int) -> Iterator[tuple[str, bytes]]:
        first_link, record, first_blob, telemetry = chain.read_whole(self.manifest.before)
        if link == first_link:
            yield "link", record
        if blob == first_blob:
            yield "blob", telemetry
        for line in self._lines(archive.LINKS, LinkLine):
            if line.link == link:
                yield "link", bytes.fromhex(line.head)
        for entry in self.index():
            if entry.blob == blob:
                yield "blob", bytes.fromhex(entry.head)

    # --- reading -----------------------------------------------------------------------------

    def index(self) -> Iterator[BlobLine]:
        """Give what stands beside the readings, without these."""
        for file in self._readings_files():
            yield from self._lines(archive.index_file(file), BlobLine)

    def _lines(self, name: str, model: type[Line]) -> Iterator[Line]:
        for number, text in enumerate(self._texts(name), 1):
            try:
                yield model.model_validate_json(text, strict=True)
            except ValidationError:
                raise _BadLine(f"{name}: line {number} cannot be read") from None

    def _texts(self, name: str) -> Iterator[bytes]:
        self._unread.discard(name)
        try:
            with self._file.open(name) as member:
                while text := member.readline(LONGEST_LINE):
                    yield text
        except (KeyError, *_BROKEN):
            raise _BadLine(f"{name}: cannot be read") from None


class _Heads:
    """The heads of readings, asked for in the order of their numbers."""

    def __init__(self, opened: _Opened) -> None:
        _, _, number, head = chain.read_whole(opened.manifest.before)
        self._here = Place(number, head)
        self._index = opened.index()

    def of(self, blob: int) -> bytes | None:
        """Return the head of a blob; None where it is not here, or was passed already."""
        while self._here.number < blob:
            entry = next(self._index, None)
            if entry is None:
                break
            self._here = Place(entry.blob, bytes.fromhex(entry.head))
        return self._here.head if self._here.number == blob else None

"""What a loss of power may leave of some files: a model of a disk, and of what is done to it.

What was synced is there. Of what was written to a file since, each sector of 512 bytes shows any
state that it went through, and the length any that it had: writes come late, in any order, torn or
never, and where the length came without the data there are zeros or junk. Of names that were made,
changed or removed since their folder was synced, each such step was done or was not, in any order
but for steps on the same name; syncing a file keeps its data, and not its name. POSIX allows all of
that, and it is more than journalled file systems do, which keep the order of names.

Not demanded is what no file system does: a sector is never torn, a rename is never half, bytes that
were cut off do not come back when the file grows again, and what was synced is not changed by a
write to another sector.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import NamedTuple, assert_never

SECTOR = 512


class Create(NamedTuple):
    """A new file, empty, or a new folder."""

    path: str
    """Relative to the folder that is looked at, as in all that follow."""
    inode: int | None
    """None of a folder."""


class Write(NamedTuple):
    inode: int
    offset: int
    data: bytes


class Resize(NamedTuple):
    """The file is cut off, or grows by zeros."""

    inode: int
    size: int


class Reserve(NamedTuple):
    """The file has at least that size."""

    inode: int
    size: int


class Rename(NamedTuple):
    old: str
    new: str


class Unlink(NamedTuple):
    path: str


class Sync(NamedTuple):
    """The data and the length of a file are on the disk."""

    inode: int


class SyncFolder(NamedTuple):
    """The names in a folder are on the disk."""

    path: str


class Told(NamedTuple):
    """Somebody was told that something is done."""

    number: int


Change = Write | Resize | Reserve
Step = Create | Rename | Unlink
Operation = Change | Step | Sync | SyncFolder | Told
Image = Mapping[str, bytes | None]
"""What is there when the power comes back: contents by path, None for a folder."""


class File:
    """What is known to be on the disk of a file, and what was done to it since."""

    def __init__(self, sound: bytes = b"") -> None:
        self.sound = sound
        self.since: list[Change] = []

    def sync(self) -> None:
        self.sound, self.since = self.content(), []

    def content(self) -> bytes:
        """What whoever reads the file sees."""
        return self.left(len(self.since), {})

    def sectors(self) -> dict[int, list[int]]:
        """By sector, which of the changes (from 1) changed it."""
        found: dict[int, list[int]] = {}
        for number, change in enumerate(self.since, 1):
            if isinstance(change, Write) and change.data:
                last = (change.offset + len(change.data) - 1) // SECTOR
                for sector in range(change.offset // SECTOR, last + 1):
                    found.setdefault(sector, []).append(number)
        return found

    def left(self, length: int, shown: Mapping[int, int], junk: bytes | None = None) -> bytes:
        """What is left when the length is as after so many changes, each sector as ``shown`` says.

        A sector that is not in ``shown`` is as after all of them; ``junk`` (one sector) stands
        where the file grew, and the data never came.
        """
        changes = list(self._changes(length))
        whole, size = bytearray(self.sound), self._size(length)
        for change in changes:
            _change(whole, change)
        whole.extend(bytes(max(size - len(whole), 0)))
        for sector, number in shown.items():
            start = sector * SECTOR
            done = max(number, self._cut(length, start + SECTOR))
            piece = self._sector(start, changes[:done])
            if junk and not done and start >= len(self.sound):
                piece = junk
            whole[start : start + SECTOR] = piece[: max(len(whole) - start, 0)]
        return bytes(whole[:size])

    def _changes(self, length: int) -> Iterator[Change]:
        """Those since, without cuts that are not part of the length: what they cut off is there."""
        for number, change in enumerate(self.since, 1):
            undone = isinstance(change, Resize) and number > length
            yield Reserve(change.inode, 0) if undone else change

    def _size(self, changes: int) -> int:
        size = len(self.sound)
        for change in self.since[:changes]:
            size = _size(size, change)
        return size

    def _cut(self, changes: int, end: int) -> int:
        """The last of so many changes by which bytes before ``end`` were cut off; 0: none was."""
        cuts = (
            number
            for number, change in enumerate(self.since[:changes], 1)
            if isinstance(change, Resize) and change.size < min(end, self._size(number - 1))
        )
        return max(cuts, default=0)

    def _sector(self, start: int, changes: Sequence[Change]) -> bytes:
        piece = bytearray(self.sound[start : start + SECTOR].ljust(SECTOR, b"\0"))
        for change in changes:
            if isinstance(change, Write):
                first = max(change.offset, start)
                data = change.data[first - change.offset : max(start + SECTOR - change.offset, 0)]
                piece[first - start : first - start + len(data)] = data
            elif isinstance(change, Resize):
                kept = min(max(change.size - start, 0), SECTOR)
                piece[kept:] = bytes(SECTOR - kept)
        return bytes(piece)


@dataclass
class Disk:
    """Files and their names, as they are known to be on the disk, and what was done since."""

    files: dict[int, File] = field(default_factory=dict)
    names: dict[str, int | None] = field(default_factory=dict)
    since: list[Step] = field(default_factory=list)
    told: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path) -> "Disk":
        """Read what is in a folder; the inodes are those of the file system."""
        disk = cls()
        for path in folder.rglob("*"):
            inode = None if path.is_dir() else path.stat().st_ino
            disk.names[str(path.relative_to(folder))] = inode
            if inode is not None:
                disk.files[inode] = File(path.read_bytes())
        return disk

    def do(self, operation: Operation) -> None:
        match operation:
            case Write() | Resize() | Reserve():
                self.files[operation.inode].since.append(operation)
            case Create(inode=inode):
                self.since.append(operation)
                if inode is not None:
                    self.files[inode] = File()
            case Rename() | Unlink():
                self.since.append(operation)
            case Sync(inode):
                self.files[inode].sync()
            case SyncFolder(path):
                kept = [s for s in self.since if str(Path(_names(s)[-1]).parent) != path]
                self.names = self._named([s for s in self.since if s not in kept])
                self.since = kept
            case Told(number):
                self.told.append(number)
            case _:
                assert_never(operation)

    def image(self, contents: Mapping[int, bytes], steps: Collection[int]) -> Image:
        """What is there with these contents when these ``steps`` (by index) were done.

        One that follows another on the same name is not done without it.
        """
        done: list[Step] = []
        undone: set[str] = set()
        for index, step in enumerate(self.since):
            if index in steps and undone.isdisjoint(_names(step)):
                done.append(step)
            else:
                undone.update(_names(step))
        found = self._named(done)
        return {
            path: None if inode is None else contents[inode]
            for path, inode in sorted(found.items())
            if all(str(each) in found for each in Path(path).parents[:-1])
        }

    def _named(self, steps: Collection[Step]) -> dict[str, int | None]:
        names = dict(self.names)
        for step in steps:
            match step:
                case Create(path, inode):
                    names[path] = inode
                case Rename(old, new):
                    names[new] = names.pop(old)
                case Unlink(path):
                    del names[path]
                case _:
                    assert_never(step)
        return names

    def named(self) -> dict[str, int | None]:
        """The names that whoever looks sees."""
        return self._named(self.since)

    def seen(self) -> Image:
        """What whoever reads the files sees, but for what the store keeps in memory alone."""
        contents = {inode: file.content() for inode, file in self.files.items()}
        found = self.image(contents, range(len(self.since)))
        return {path: each for path, each in found.items() if not path.endswith("-shm")}

    # --- what may be left --------------------------------------------------------------------

    def extremes(self) -> Iterator[tuple[str, Image]]:
        """Everything or nothing of what was not synced, and each single thing of it alone."""
        old = {inode: file.sound for inode, file in self.files.items()}
        new = {inode: file.content() for inode, file in self.files.items()}
        steps = range(len(self.since))
        yield "everything is there", self.image(new, steps)
        yield "nothing is there", self.image(old, ())
        yield "data without names", self.image(new, ())
        yield "names without data", self.image(old, steps)
        for inode, file in self.files.items():
            if file.since and isinstance(file.since[-1], Write):
                last = {inode: file.left(len(file.since), _only_last(file))}
                yield f"of the data the last write to {inode} alone", self.image(old | last, steps)
        for index, step in enumerate(self.since):
            others = [each for each in steps if each != index]
            for words, contents in (("old", old), ("new", new)):
                yield f"with {words} data {step} alone is missing", self.image(contents, others)
                yield f"with {words} data {step} alone is there", self.image(contents, [index])

    def holes(self) -> Iterator[tuple[str, Image]]:
        """Everything but one sector, each in turn."""
        new = {inode: file.content() for inode, file in self.files.items()}
        for inode, file in self.files.items():
            for sector in file.sectors():
                hole = {inode: file.left(len(file.since), {sector: 0})}
                words = f"sector {sector} of {inode} is missing"
                yield words, self.image(new | hole, range(len(self.since)))

    def by_chance(self, chance: Random) -> Image:
        """Any state that each sector, length and name went through."""
        share = chance.choice((0.1, 0.5, 0.9))
        contents = {inode: _by_chance(file, chance, share) for inode, file in self.files.items()}
        steps = [i for i in range(len(self.since)) if chance.random() < chance.choice((share, 0.5))]
        return self.image(contents, steps)


def _by_chance(file: File, chance: Random, share: float) -> bytes:
    """Of each sector the newest state with a chance of ``share``, else any earlier one."""
    if not file.since:
        return file.sound
    shown = {
        sector: numbers[-1] if chance.random() < share else chance.choice([0, *numbers])
        for sector, numbers in file.sectors().items()
    }
    length = chance.choice([len(file.since), chance.randint(0, len(file.since))])
    junk = chance.choice((None, chance.randbytes(SECTOR)))
    return file.left(length, shown, junk)


def _only_last(file: File) -> dict[int, int]:
    last = len(file.since)
    return {sector: 0 for sector, numbers in file.sectors().items() if numbers[-1] != last}


def _names(step: Step) -> tuple[str, ...]:
    match step:
        case Create(path=path) | Unlink(path):
            return (path,)
        case Rename(old, new):
            return old, new
        case _:
            assert_never(step)


def _size(size: int, change: Change) -> int:
    match change:
        case Write(_, offset, data):
            return max(size, offset + len(data)) if data else size
        case Resize(size=new):
            return new
        case Reserve(size=new):
            return max(size, new)
        case _:
            assert_never(change)


def _change(content: bytearray, change: Change) -> None:
    size = _size(len(content), change)
    content.extend(bytes(max(size - len(content), 0)))
    if isinstance(change, Write):
        content[change.offset : change.offset + len(change.data)] = change.data
    del content[size:]

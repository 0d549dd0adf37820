"""What a process did to the files of a folder, read from strace's account of its calls.

``CALLS`` are those to be traced, with ``-xx`` and strings at full length. A call that changes a
file in a way that is not known here is an error, so that nothing is overlooked.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from tests.monitor.store.disk import (
    Create,
    Disk,
    Operation,
    Rename,
    Reserve,
    Resize,
    Sync,
    SyncFolder,
    Told,
    Unlink,
    Write,
)

CALLS = (
    *("open", "openat", "creat", "close", "dup", "dup2", "dup3", "lseek"),
    *("write", "writev", "pwrite64", "pwritev", "ftruncate", "truncate", "fallocate"),
    *("fsync", "fdatasync", "sync_file_range", "sync", "syncfs", "msync"),
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"),
    *("unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "copy_file_range", "sendfile"),
)
STANDARD_OUTPUT = 1
_LINE = re.compile(r"(?:\d+ +)?(?P<call>\w+)\((?P<given>.*)\) += (?P<answer>-?\d+)(?P<error>.*)")
_ARGUMENT = re.compile(r'"(?:\\x[0-9a-f]{2})*"(?:\.\.\.)?|\{.*?\}|[^, ]+')


class UnknownCallError(Exception):
    """A call that changes files, and that is not understood here."""


@dataclass
class Opened:
    """What a descriptor stands for."""

    path: str
    """Relative to the folder."""
    inode: int | None
    """None of a folder."""
    at: int = 0
    """Where the next write goes that does not say where: nobody reads before it without a seek."""


@dataclass
class Process:
    """A process of one thread that writes into a folder."""

    folder: Path
    names: dict[str, int | None]
    """What is in the folder when it begins."""
    opened: dict[int, Opened] = field(default_factory=dict)

    newest: int = 0
    """Inode."""

    def __post_init__(self) -> None:
        self._inodes = count(self.newest + 1)

    def read(self, trace: str) -> Iterator[Operation]:
        """Every operation, in its order; raises UnknownCallError."""
        for line in trace.splitlines():
            told = _LINE.fullmatch(line)
            if told is None:
                if "+++" in line or "---" in line:
                    continue  # It ended, or had a signal.
                raise UnknownCallError(line[:200])
            if int(told["answer"]) >= 0:
                given = _ARGUMENT.findall(told["given"])
                yield from self._called(told["call"], given, int(told["answer"]))

    def _called(self, call: str, given: list[str], answer: int) -> Iterator[Operation]:
        match call:
            case "openat":
                yield from self._open(given[1], given[2], answer)
            case "close":
                self.opened.pop(int(given[0]), None)
            case "mkdir" | "rename" | "unlink":
                yield from self._name(call, given)
            case _ if given[:1] and given[0].isdigit() and not call.endswith("at"):
                yield from self._on_descriptor(call, int(given[0]), given, answer)
            case _:
                raise UnknownCallError(f"{call}({', '.join(given)[:200]})")

    def _open(self, text: str, flags: str, descriptor: int) -> Iterator[Operation]:
        path = self._path(text)
        if path is None:
            return
        if "O_APPEND" in flags:
            raise UnknownCallError(f"{path} is appended to")
        if path not in self.names:
            assert "O_CREAT" in flags, f"{path} is opened, and nobody made it"
            self.names[path] = inode = next(self._inodes)
            yield Create(path, inode)
        elif "O_TRUNC" in flags and (old := self.names[path]) is not None:
            yield Resize(old, 0)
        self.opened[descriptor] = Opened(path, self.names[path])

    def _name(self, call: str, given: list[str]) -> Iterator[Operation]:
        path = self._path(given[0])
        if path is None:
            return
        match call:
            case "mkdir":
                self.names[path] = None
                yield Create(path, None)
            case "unlink":
                del self.names[path]
                yield Unlink(path)
            case _:
                new = self._path(given[1])
                if new is None or self.names[path] is None:
                    raise UnknownCallError(f"rename {path} {new}")
                self.names[new] = self.names.pop(path)
                yield Rename(path, new)

    def _on_descriptor(
        self, call: str, number: int, given: list[str], answer: int
    ) -> Iterator[Operation]:
        if call == "write" and number == STANDARD_OUTPUT:
            yield from (Told(int(line)) for line in _bytes(given[1]).split())
        elif (opened := self.opened.get(number)) is None:
            return  # It is on another file, or a pipe.
        elif call == "lseek":
            opened.at = answer
        else:
            yield self._operation(call, opened, given, answer)

    def _operation(self, call: str, opened: Opened, given: list[str], answer: int) -> Operation:
        inode = opened.inode
        if inode is None and call in {"fsync", "fdatasync"}:
            return SyncFolder(opened.path)
        if inode is None:
            raise UnknownCallError(f"{call} on the folder {opened.path}")
        match call:
            case "pwrite64":
                return Write(inode, int(given[3]), _bytes(given[1])[:answer])
            case "write":
                opened.at += answer
                return Write(inode, opened.at - answer, _bytes(given[1])[:answer])
            case "ftruncate":
                return Resize(inode, int(given[1]))
            case "fallocate" if given[1] == "0":
                return Reserve(inode, int(given[2]) + int(given[3]))
            case "fsync" | "fdatasync":
                return Sync(inode)
            case _:
                raise UnknownCallError(f"{call} on {opened.path}")

    def _path(self, text: str) -> str | None:
        """The path within the folder; None of any other."""
        path = Path(_bytes(text).decode())
        return str(path.relative_to(self.folder)) if path.is_relative_to(self.folder) else None


def operations(folder: Path, before: Disk, trace: str) -> list[Operation]:
    """What was done in ``folder`` since it was as ``before``, and what was told meanwhile."""
    names = {".": None, **before.named()}
    return list(Process(folder, names, newest=max(before.files, default=0)).read(trace))


def _bytes(text: str) -> bytes:
    if not text.endswith('"'):
        raise UnknownCallError(f"{text[-40:]}: cut short")
    return bytes.fromhex(text[1:-1].replace("\\x", ""))

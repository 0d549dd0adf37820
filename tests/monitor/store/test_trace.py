"""What strace tells of calls, as what was done to the files of a folder."""

from pathlib import Path

import pytest

from tests.monitor.store.disk import (
    Create,
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
from tests.monitor.store.trace import Process, UnknownCallError

FOLDER = Path("/run/plant")


def told(text: str) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in text.encode()) + '"'


def opened(name: str, descriptor: int, flags: str = "O_RDWR|O_CREAT|O_CLOEXEC, 0600") -> str:
    return f"openat(AT_FDCWD, {told(f'{FOLDER}/{name}')}, {flags}) = {descriptor}"


def read(*lines: str) -> list[Operation]:
    process = Process(FOLDER, {".": None, "old": 7}, newest=7)
    return list(process.read("\n".join(lines)))


FILE = opened("old", 3)
CASES: list[tuple[list[str], list[Operation]]] = [
    ([opened("new", 3)], [Create("new", 8)]),
    ([FILE], []),
    ([opened("old", 3, "O_WRONLY|O_CREAT|O_TRUNC, 0600")], [Resize(7, 0)]),
    ([FILE, f"pwrite64(3, {told('abc')}, 3, 4096) = 3"], [Write(7, 4096, b"abc")]),
    ([FILE, f"pwrite64(3, {told('abc')}, 3, 4096) = 2"], [Write(7, 4096, b"ab")]),
    (
        [FILE, f"write(3, {told('abc')}, 3)      = 3", f"write(3, {told('d')}, 1) = 1"],
        [Write(7, 0, b"abc"), Write(7, 3, b"d")],
    ),
    (
        [FILE, "lseek(3, 4, SEEK_CUR) = 8", f"write(3, {told('abc')}, 3) = 3"],
        [Write(7, 8, b"abc")],
    ),
    ([FILE, f"pwrite64(3, {told('abc')}, 3, 0) = -1 ENOSPC (No space) (INJECTED)"], []),
    ([FILE, "ftruncate(3, 12) = 0", "fdatasync(3) = 0"], [Resize(7, 12), Sync(7)]),
    ([FILE, "fallocate(3, 0, 0, 65536) = 0"], [Reserve(7, 65536)]),
    ([FILE, "close(3) = 0", "fsync(3) = 0"], []),
    ([opened("", 4, "O_RDONLY|O_CLOEXEC"), "fsync(4) = 0"], [SyncFolder(".")]),
    (
        [f"mkdir({told('/run/plant/in')}, 0700) = 0", opened("in/a", 3)],
        [Create("in", None), Create("in/a", 8)],
    ),
    (
        [f"rename({told('/run/plant/old')}, {told('/run/plant/b')}) = 0", opened("b", 3)],
        [Rename("old", "b")],
    ),
    (
        [f"unlink({told('/run/plant/old')}) = 0", opened("old", 3)],
        [Unlink("old"), Create("old", 8)],
    ),
    ([f"write(1, {told('41' + chr(10) + '42')}, 3) = 3"], [Told(41), Told(42)]),
    ([f"openat(AT_FDCWD, {told('/etc/hosts')}, O_RDWR) = 3", "fsync(3) = 0"], []),
    (["+++ exited with 0 +++", "--- SIGCHLD {si_signo=SIGCHLD} ---"], []),
]


@pytest.mark.parametrize(("lines", "wanted"), CASES)
def test_each_call_is_an_operation(lines: list[str], wanted: list[Operation]) -> None:
    assert read(*lines) == wanted


@pytest.mark.parametrize(
    "line",
    [
        "pwritev(3, [{iov_base=..., iov_len=3}], 1, 0) = 3",
        f'pwrite64(3, {told("abc")[:-1]}"..., 3000, 0) = 3000',
        "fallocate(3, FALLOC_FL_PUNCH_HOLE, 0, 4096) = 0",
        "copy_file_range(3, NULL, 4, NULL, 10, 0) = 10",
        f"link({told('/run/plant/old')}, {told('/run/plant/new')}) = 0",
        f"unlinkat(4, {told('old')}, 0) = 0",
        opened("log", 5, "O_WRONLY|O_APPEND"),
        "something that nobody understands",
    ],
)
def test_a_call_that_is_not_understood_is_not_overlooked(line: str) -> None:
    with pytest.raises(UnknownCallError):
        read(FILE, line)

"""What a container may forbid its tests, though every tool is there.

A tool that is missing fails a test; a kernel that says no is no fault of the tree, so such a test
is skipped, aloud: the closing line counts it and the summary says what was forbidden.
"""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Literal

import pytest


def skip_where_forbidden(
    what: str, command: Sequence[str], environment: Mapping[str, str] | None = None
) -> None:
    """Skip the test that runs where ``command``, which only tries it, does not end well."""
    tried = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    if tried.returncode:
        pytest.skip(f"this machine forbids {what}: {tried.stderr.strip()}")


class Cgroup:
    """A control group of a test's own, under whichever of its two versions the kernel has."""

    def __init__(self, folder: Path, limit: str) -> None:
        self._folder = folder
        self._limit = folder / limit

    @property
    def procs(self) -> Path:
        """Where a process goes in, with all of its threads."""
        return self._folder / "cgroup.procs"

    def limit(self, amount: int) -> None:
        """Allow so many bytes or processes, of which threads are some."""
        self._limit.write_text(str(amount))


_LIMITS = {"memory": ("memory.limit_in_bytes", "memory.max"), "pids": ("pids.max", "pids.max")}


@contextmanager
def cgroup(controller: Literal["memory", "pids"]) -> Iterator[Cgroup]:
    """Make one; the test is skipped where that is forbidden. What runs in it must end before it."""
    old = Path("/sys/fs/cgroup", controller)
    first = old.is_dir()
    folder = (old if first else old.parent) / f"cytowatch-{os.getpid()}-{next(_numbers)}"
    made = Cgroup(folder, _LIMITS[controller][0 if first else 1])
    try:
        if not first:
            (old.parent / "cgroup.subtree_control").write_text(f"+{controller}")
        folder.mkdir()
        made.limit(2**40 if controller == "memory" else 2**20)
    except OSError as error:
        pytest.skip(f"this machine forbids control groups of {controller}: {error}")
    try:
        yield made
    finally:
        # Who was killed is in it until the kernel has seen to it.
        while made.procs.read_text():
            time.sleep(0.01)
        folder.rmdir()


_numbers = count()

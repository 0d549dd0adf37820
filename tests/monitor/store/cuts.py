"""Losses of power at every moment of each phase of a store's life.

    python -m tests.monitor.store.cuts [PHASE...] [--seed N] [--tries N] [--only STEP] [--killed]

A phase is run once, and every call by which it writes is kept with its data. After each of them
the disk may be left in many ways (``disk``): all extremes are tried, each sector alone that is
missing, and some by chance that follow from the seed. Each is laid out in a folder, opened as at a
start, and held against what had been acknowledged by then. With ``--killed`` the process is killed
after each of them first, and the power is lost while a daemon goes on with what it finds: that was
written, and nobody has synced it. The tests take a part; the whole takes some minutes a phase.
"""

import argparse
import hashlib
import logging
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.monitor.store.disk import Disk, Image, Operation, Rename, Sync, SyncFolder, Told, Unlink
from tests.monitor.store.sweep import Call, calls_in, run
from tests.monitor.store.trace import CALLS, operations
from tests.monitor.store.writing import PHASES, RESTARTED

LONGEST = 2**24
"""Bytes of one call that are kept: more than any writes."""
OPTIONS = ("-xx", "-s", str(LONGEST), "-e", f"trace={','.join(CALLS)}")
MEMORY = Path("/dev/shm")
"""Where thousands of small folders are, each for a moment."""
OF_SQLITE = ("-wal", "-shm", "-journal")
TRIES = 4
EVIDENCE = Path(tempfile.gettempdir())
ONLY = "after so many operations, and no others"


Check = Callable[[Path, Sequence[int]], None]


@dataclass(frozen=True)
class Recording:
    """A phase that was run through, as the disk saw it."""

    phase: str
    folder: Path
    """Where it was prepared, and was run."""
    before: Disk
    """With what was done and not synced before it began."""
    operations: Sequence[Operation]
    check: Check
    """What must be so, by what was acknowledged."""
    calls: Sequence[Call]
    """The same as calls at which it can be killed."""

    def left_after(self, step: int) -> Disk:
        """The disk after so many operations."""
        disk = deepcopy(self.before)
        for operation in self.operations[:step]:
            disk.do(operation)
        return disk

    @property
    def grave(self) -> set[int]:
        """After which the power must be lost in every run: a file changed its name, or somebody was
        told."""
        steps = enumerate(self.operations, 1)
        return {step for step, operation in steps if _is_grave(operation)}


class Cut(NamedTuple):
    """A loss of power."""

    step: int
    """So many operations had been done."""
    words: str
    """What was left of them."""
    image: Image
    told: Sequence[int]
    """What had been acknowledged."""


def record(phase: str, folder: Path) -> Recording:
    """Run a phase through and keep what it wrote."""
    PHASES[phase].prepare(folder / "template" / "store" / "cytowatch.db")
    before = Disk.of(folder / "template")
    fault = PHASES[phase].fault
    ran, trace = run(phase, folder, "whole", [*OPTIONS, *(["-e", fault] if fault else [])])
    assert ran.returncode == 0, ran.stderr
    done = operations(folder / "whole", before, trace)
    recording = Recording(phase, folder, before, done, PHASES[phase].check, calls_in(trace))
    return seen_through(recording)


def restart(recording: Recording, step: int) -> Recording:
    """Let a daemon go on where the phase was killed after so many operations, and commit a tick."""
    disk = recording.left_after(step)
    folder = recording.folder / f"killed-{step}"
    lay_out(disk.seen(), folder / "template")
    ran, trace = run(RESTARTED, folder, "whole", OPTIONS)
    assert ran.returncode == 0, ran.stderr
    done = operations(folder / "whole", disk, trace)
    check = PHASES[recording.phase].again
    assert check is not None, f"nothing is known of a daemon that goes on with {recording.phase}"
    return seen_through(Recording(recording.phase, folder, disk, done, check, calls_in(trace)))


def seen_through(recording: Recording) -> Recording:
    """The same, when it accounts for all that is there, and all is there that must be."""
    disk, folder = recording.left_after(len(recording.operations)), recording.folder / "whole"
    assert disk.seen() == Disk.of(folder).seen(), "something was done, and overlooked"
    recording.check(folder / "store" / "cytowatch.db", disk.told)
    return recording


def cuts(
    recording: Recording, seed: int, tries: int = TRIES, only: Collection[int] = ()
) -> Iterator[Cut]:
    """Every loss of power that is tried, in order; the same for the same recording and seed.

    ``only``: after so many operations; after any where it is empty.
    """
    disk = deepcopy(recording.before)
    for step, operation in enumerate(recording.operations, 1):
        disk.do(operation)
        if only and step not in only:
            continue
        yield from _cuts(step, disk, disk.extremes())
        if any(
            isinstance(each, Sync | SyncFolder) for each in recording.operations[step : step + 1]
        ):
            yield from _cuts(step, disk, disk.holes())  # There is most to lose before a sync.
        chance = random.Random(f"{seed} {step}")  # noqa: S311 - no secret
        some = ((f"chance {number}", disk.by_chance(chance)) for number in range(tries))
        yield from _cuts(step, disk, some)


def _cuts(step: int, disk: Disk, images: Iterator[tuple[str, Image]]) -> Iterator[Cut]:
    told = tuple(disk.told)
    for words, image in images:
        yield Cut(step, words, image, told)


def _is_grave(operation: Operation) -> bool:
    removed = isinstance(operation, Unlink) and not operation.path.endswith(OF_SQLITE)
    return removed or isinstance(operation, Rename | Told)


def unlike(found: Iterator[Cut]) -> Iterator[Cut]:
    """Those that differ from all before."""
    seen = set()
    for cut in found:
        digest = hashlib.sha256(repr(cut.told).encode())
        for path, content in cut.image.items():
            digest.update(b"%r%r" % (path.encode(), content and hashlib.sha256(content).digest()))
        if digest.digest() not in seen:
            seen.add(digest.digest())
            yield cut


def hold(cut: Cut, check: Check, evidence: Path) -> None:
    """Lay out what was left, and ``check`` it.

    Raises AssertionError with the words of the cut; what was left is in ``evidence`` then.
    """
    memory = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="cytowatch-", dir=memory) as folder:
        lay_out(cut.image, Path(folder))
        try:
            check(Path(folder) / "store" / "cytowatch.db", cut.told)
        except Exception as error:
            left = Path(tempfile.mkdtemp(prefix=f"cut-{cut.step}-", dir=evidence))
            lay_out(cut.image, left)
            raise AssertionError(
                f"power lost after operation {cut.step}, {cut.words}; told {cut.told[-1:]}:"
                f" {type(error).__name__}: {error}; what was left is in {left}"
            ) from error


def lay_out(image: Image, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in image.items():
        if content is None:
            (folder / path).mkdir()
        else:
            (folder / path).write_bytes(content)


def main() -> None:
    asked = _arguments()
    logging.disable()
    known = [name for name, phase in PHASES.items() if phase.again or not asked.killed]
    for phase in asked.phases or known:
        with tempfile.TemporaryDirectory(prefix="cytowatch-") as folder:
            recording = record(phase, Path(folder))
            held = (hold_again if asked.killed else hold_all)(recording, asked)
        steps = len(recording.operations)
        print(f"{phase}: {held} losses of power in {steps} operations: all is there", flush=True)


def hold_all(recording: Recording, asked: argparse.Namespace) -> int:
    held = 0
    for cut in unlike(cuts(recording, asked.seed, asked.tries, asked.only)):
        hold(cut, recording.check, EVIDENCE)
        held += 1
    return held


def hold_again(recording: Recording, asked: argparse.Namespace) -> int:
    """The same with a kill before it, after each operation; gives how many of both there were."""
    held = 0
    for step in asked.only or range(1, len(recording.operations) + 1):
        again = restart(recording, step)
        for cut in unlike(cuts(again, asked.seed, asked.tries, again.grave)):
            hold(cut._replace(words=f"killed after {step}; {cut.words}"), again.check, EVIDENCE)
            held += 1
        shutil.rmtree(again.folder)
    return held


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.monitor.store.cuts")
    parser.add_argument("phases", nargs="*", metavar="PHASE", help=", ".join(PHASES))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tries", type=int, default=TRIES, help="by chance, after each operation")
    parser.add_argument("--killed", action="store_true", help="killed first, and started again")
    parser.add_argument("--only", type=int, nargs="*", default=(), metavar="STEP", help=ONLY)
    return parser.parse_args()


if __name__ == "__main__":
    main()

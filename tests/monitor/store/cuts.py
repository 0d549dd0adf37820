"""Losses of power at every moment of each phase of a store's life.

    python -m tests.monitor.store.cuts [PHASE...] [--seed N] [--tries N] [--only STEP]

A phase is run once, and every call by which it writes is kept with its data. After each of them
the disk may be left in many ways (``disk``): all extremes are tried, each sector alone that is
missing, and some by chance that follow from the seed. Each is laid out in a folder, opened as at a
start, and held against what had been acknowledged by then. The tests take a part; the whole takes
some minutes a phase.
"""

import argparse
import hashlib
import logging
import random
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.monitor.store.disk import Disk, Image, Operation, Sync, SyncFolder, Told
from tests.monitor.store.sweep import Call, calls_in, run
from tests.monitor.store.trace import CALLS, operations
from tests.monitor.store.writing import PHASES

LONGEST = 2**24
"""Bytes of one call that are kept: more than any writes."""
MEMORY = Path("/dev/shm")
"""Where thousands of small folders are, each for a moment."""
TRIES = 4
ONLY = "after so many operations, and no others"


@dataclass(frozen=True)
class Recording:
    """A phase that was run through, as the disk saw it."""

    phase: str
    folder: Path
    """Where it was prepared, and was run."""
    before: Disk
    operations: Sequence[Operation]
    calls: Sequence[Call]
    """The same as calls at which it can be killed."""


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
    options = ["-xx", "-s", str(LONGEST), "-e", f"trace={','.join(CALLS)}"]
    fault = PHASES[phase].fault
    ran, trace = run(phase, folder, "whole", [*options, *(["-e", fault] if fault else [])])
    assert ran.returncode == 0, ran.stderr
    done = operations(folder / "whole", before, trace)
    disk = deepcopy(before)
    for operation in done:
        disk.do(operation)
    assert disk.seen() == Disk.of(folder / "whole").seen(), "something was done, and overlooked"
    PHASES[phase].check(folder / "whole" / "store" / "cytowatch.db", disk.told)
    return Recording(phase, folder, before, done, calls_in(trace))


def cuts(
    recording: Recording, seed: int, tries: int = TRIES, only: Collection[int] = ()
) -> Iterator[Cut]:
    """Every loss of power that is tried, in order; the same for the same recording and seed.

    ``only``: after so many operations; after any where it is empty.
    """
    disk = deepcopy(recording.before)
    for step, operation in enumerate(recording.operations, 1):
        if not only or step in only:
            if isinstance(operation, Sync | SyncFolder | Told):  # There is most to lose before it.
                yield from _cuts(step - 1, disk, disk.holes())
            disk.do(operation)
            yield from _cuts(step, disk, disk.extremes())
            chance = random.Random(f"{seed} {step}")  # noqa: S311 - no secret
            some = ((f"chance {number}", disk.by_chance(chance)) for number in range(tries))
            yield from _cuts(step, disk, some)
        else:
            disk.do(operation)


def _cuts(step: int, disk: Disk, images: Iterator[tuple[str, Image]]) -> Iterator[Cut]:
    told = tuple(disk.told)
    for words, image in images:
        yield Cut(step, words, image, told)


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


def hold(cut: Cut, check: Callable[[Path, Sequence[int]], None], evidence: Path) -> None:
    """Lay out what was left, and ``check`` it.

    Raises AssertionError with the words of the cut; what was left is in ``evidence`` then.
    """
    memory = MEMORY if MEMORY.is_dir() else None
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
    for path, content in image.items():
        if content is None:
            (folder / path).mkdir()
        else:
            (folder / path).write_bytes(content)


def main() -> None:
    asked = _arguments()
    logging.disable()
    for phase in asked.phases or PHASES:
        with tempfile.TemporaryDirectory(prefix="cytowatch-") as folder:
            recording = record(phase, Path(folder))
        held = 0
        for cut in unlike(cuts(recording, asked.seed, asked.tries, asked.only)):
            hold(cut, PHASES[phase].check, Path(tempfile.gettempdir()))
            held += 1
        steps = len(recording.operations)
        print(f"{phase}: {held} losses of power in {steps} operations: all is there", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.monitor.store.cuts")
    parser.add_argument("phases", nargs="*", metavar="PHASE", help=", ".join(PHASES))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tries", type=int, default=TRIES, help="by chance, after each operation")
    parser.add_argument("--only", type=int, nargs="*", default=(), metavar="STEP", help=ONLY)
    return parser.parse_args()


if __name__ == "__main__":
    main()

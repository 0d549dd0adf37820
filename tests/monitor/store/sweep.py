"""``kill -9`` at every call by which a store writes, in each phase of its life.

    python -m tests.monitor.store.sweep [PHASE...]

runs the whole of it (some hundred runs a phase, about five minutes); the tests take a part. A
phase is run through once, and then once for each call that it made, to be killed at just that one;
what is left is held against what was acknowledged. An error of the disk is tried in the same way.
"""

import logging
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.monitor.store.writing import PHASES
from tests.support.debian import tool

ROOT = Path(__file__).parents[3]
CHILD = Path(__file__).with_name("writing.py")
CALLS = (
    *("pwrite64", "fdatasync", "fsync", "write", "ftruncate", "fallocate"),
    *("unlink", "rename", "mkdir"),
)
"""All that changes a file or its name."""
KILL = "signal=KILL"
PATIENCE = 60.0


class Call(NamedTuple):
    """The how-many-eth call of its kind."""

    name: str
    number: int


def calls_of(phase: str, folder: Path) -> list[Call]:
    """Run the phase through, and return every call that it made, in its order."""
    PHASES[phase].prepare(folder / "template" / "store" / "cytowatch.db")
    fault = PHASES[phase].fault
    options = ["-e", f"trace={','.join(CALLS)}", *(["-e", fault] if fault else [])]
    ran, trace = run(phase, folder, "whole", options)
    assert ran.returncode == 0, ran.stderr
    PHASES[phase].check(folder / "whole" / "store" / "cytowatch.db", told(ran))
    return calls_in(trace)


def calls_in(trace: str) -> list[Call]:
    """Those that change something, of what strace saw."""
    seen: Counter[str] = Counter()
    found = []
    for name in (line.partition("(")[0] for line in trace.splitlines()):
        if name in CALLS:
            seen[name] += 1
            found.append(Call(name, seen[name]))
    return found


def strike(phase: str, call: Call, folder: Path, fault: str = KILL) -> bool:
    """Run the phase with a fault at one call, and check what is left of it.

    Returns whether there was such a call: one run may make a few more than another.
    """
    name, number = call
    options = ["-e", f"trace={name},pwrite64", "-e", f"inject={name}:{fault}:when={number}"]
    if PHASES[phase].fault and name != "pwrite64":  # One call can have one fault.
        options += ["-e", PHASES[phase].fault]
    ran, trace = run(phase, folder, f"{name}-{number}", options)
    place = folder / f"{name}-{number}"
    killed = ran.returncode in {-signal.SIGKILL, 128 + signal.SIGKILL}
    where = f"{phase}: {fault} at {name} {number}"
    try:
        PHASES[phase].check(place / "store" / "cytowatch.db", told(ran))
    except AssertionError as error:
        raise AssertionError(f"{where}: {error}\n{ran.stderr}") from error
    shutil.rmtree(place)
    return killed if fault == KILL else "INJECTED" in trace


def run(
    phase: str, folder: Path, name: str, options: Sequence[str]
) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run the phase on a copy of what was prepared; return how it ended, and what strace saw."""
    shutil.copytree(folder / "template", folder / name)
    strace, trace = tool("strace"), folder / "trace"
    path = folder / name / "store" / "cytowatch.db"
    ran = subprocess.run(
        [
            *(str(strace.path), "-qq", "-o", str(trace), *options),
            *(sys.executable, str(CHILD), phase, str(path)),
        ],
        env={**strace.environment, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return ran, trace.read_text(encoding="utf-8")


def told(ran: subprocess.CompletedProcess[str]) -> list[int]:
    """What a phase said was done."""
    return [int(line) for line in ran.stdout.split("\n")[:-1]]


def main(phases: list[str]) -> None:
    logging.disable()
    for phase in phases or PHASES:
        with tempfile.TemporaryDirectory(prefix="cytowatch-") as folder:
            calls = calls_of(phase, Path(folder))
            killed = sum(strike(phase, call, Path(folder)) for call in calls)
        print(f"{phase}: killed at {killed} of {len(calls)} calls: all is there", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

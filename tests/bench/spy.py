"""Where the CPU goes: py-spy looks at the daemon, and its stacks are added up.

A sample belongs to the event loop when its innermost frame is asyncio's (the system calls that
read and send are in there), else to the innermost of our own files on the stack, else to the
library it is in. Functions written in C count for the Python function that calls them.
"""

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench.scene import BenchError, environment

RATE = 400
"""Samples a second; each stops the daemon for some tenths of a millisecond."""
WAITING = (
    "EpollSelector.select (selectors.py",
    "Worker._work (monitor/store/thread.py",
    "_worker (concurrent/futures/thread.py",
)
"""Where threads wait; py-spy does not always see that they sleep, so these are left out."""
OURS = ("drivers/", "monitor/", "config/")
PARTS: Mapping[str, Sequence[str]] = {
    "event loop": ("asyncio/", "selectors.py"),
    "driver": ("drivers/",),
    "judge": ("monitor/alarms/",),
    "encode": ("monitor/store/line_protocol.py",),
    "record": ("monitor/recorder.py", "monitor/describe.py", "monitor/messages.py"),
    "store": ("monitor/store/",),
    "sinks": ("monitor/sinks/", "aiohttp/", "aiomqtt/", "paho/", "influxdb_client/", "yarl/"),
    "rest of the monitor": ("monitor/",),
}


class Stack(NamedTuple):
    """What one thread was seen at so many times; innermost last."""

    frames: Sequence[str]
    """``function (file:line)``"""
    samples: int


class Profile(NamedTuple):
    """Shares of all samples in which a thread was on a CPU."""

    samples: int
    parts: Mapping[str, float]
    files: Mapping[str, float]
    """By our own innermost file, else the library's."""
    functions: Mapping[str, float]
    """By innermost function."""


def program() -> str:
    """Return where py-spy is: beside this Python, or on the path; raises ``BenchError``."""
    beside = str(Path(sys.executable).parent)
    found = shutil.which("py-spy", path=os.pathsep.join((beside, os.environ.get("PATH", ""))))
    if found is None:
        raise BenchError("py-spy is missing, which --profile needs: pip install py-spy")
    return found


def record(pid: int, seconds: float, file: Path) -> None:
    """Write the stacks of a process to ``file``, folded: as flame graphs are made from."""
    command = [program(), "record", "--pid", str(pid), "--duration", str(round(seconds))]
    command += ["--rate", str(RATE), "--format", "raw", "--threads", "--output", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    if done.returncode != 0:
        raise BenchError(f"py-spy could not look at the daemon: {done.stderr.strip()[-500:]}")


def read(file: Path) -> Profile:
    """Add up what ``record`` wrote."""
    seen = [_stack(line) for line in file.read_text().splitlines() if line]
    stacks = [stack for stack in seen if not _without_line(stack.frames[-1]).startswith(WAITING)]
    total = sum(stack.samples for stack in stacks)
    files, functions, parts = Counter[str](), Counter[str](), Counter[str]()
    for stack in stacks:
        parts[part(deciding(stack.frames))] += stack.samples
        files[place(deciding(stack.frames))] += stack.samples
        functions[_without_line(stack.frames[-1])] += stack.samples
    return Profile(total, *(_shares(counts, total) for counts in (parts, files, functions)))


def deciding(frames: Sequence[str]) -> str:
    """Return the frame that a sample is put down to."""
    innermost = frames[-1]
    if part(innermost) == "event loop":
        return innermost
    ours = (frame for frame in reversed(frames) if place(frame).startswith(OURS))
    return next(ours, innermost)


def part(frame: str) -> str:
    """Return what a frame is a part of."""
    where = place(frame)
    fitting = (name for name, starts in PARTS.items() if where.startswith(tuple(starts)))
    return next(fitting, "other libraries")


def place(frame: str) -> str:
    """Return the file of ``function (file:line)``, as its package has it."""
    file = frame.rpartition("(")[2].rpartition(":")[0] or frame
    for root in ("site-packages/", "python3.11/", "python3.12/", "python3.13/"):
        file = file.rpartition(root)[2]
    return file


def _stack(line: str) -> Stack:
    frames, _, count = line.rpartition(" ")
    known = [frame for frame in frames.split(";") if not frame.startswith(("thread (", "process "))]
    return Stack(known or ["?"], int(count))


def _without_line(frame: str) -> str:
    return f"{frame.partition(' (')[0]} ({place(frame)})"


def _shares(counts: Counter[str], total: int) -> Mapping[str, float]:
    return {name: count / total for name, count in counts.most_common()}

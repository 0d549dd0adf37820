"""What the kernel says of a process and of this machine: CPU, memory, bytes to the disk."""

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

_CPUCLOCK_SCHED = 2
_TICKS = os.sysconf("SC_CLK_TCK")
BUSY = 0.5
"""Load average for each core, before we begin, from which figures are not to be trusted."""


def cpu_ns(pid: int) -> int:
    """Nanoseconds on a CPU of all threads of a process, living and ended, user and system."""
    # What clock_getcpuclockid(3) returns; Python has no name for it.
    return time.clock_gettime_ns((~pid << 3) | _CPUCLOCK_SCHED)


def system_ns(pid: int) -> int:
    """The part of it spent in the kernel, to a hundredth of a second."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(after_name[12]) * 10**9 // _TICKS


@dataclass(frozen=True)
class Memory:
    """Megabytes (10**6 bytes) resident: now, and the most since the start."""

    now: float
    most: float


def memory(pid: int) -> Memory:
    """How much memory a process has."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kibibytes = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Vm")}
    return Memory(
        *(int(kibibytes[name]) * 1024 / 1e6 for name in ("VmRSS", "VmHWM")),
    )


def written_bytes(pid: int) -> int:
    """Bytes that a process caused to be written to disks."""
    for line in Path(f"/proc/{pid}/io").read_text().splitlines():
        name, _, count = line.partition(": ")
        if name == "write_bytes":
            return int(count)
    raise RuntimeError(
        "this kernel does not count what processes write (CONFIG_TASK_IO_ACCOUNTING)"
    )


@dataclass(frozen=True)
class Machine:
    """Where this runs."""

    cores: int
    model: str
    kernel: str
    python: str
    load: float
    """Average over the last minute, before we begin."""
    file_system: str
    """Of the folder where the store lies."""

    @property
    def busy(self) -> bool:
        """Whether others are at work, who spoil the figures."""
        return self.load > BUSY * self.cores


def machine(folder: Path) -> Machine:
    """Look at this machine."""
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        model=_model(),
        kernel=platform.release(),
        python=platform.python_version(),
        load=os.getloadavg()[0],
        file_system=_file_system(folder),
    )


def _model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return platform.machine()


def _file_system(folder: Path) -> str:
    """The type of what is mounted nearest above ``folder``."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    above = {place: kind for place, kind in mounts if folder.is_relative_to(place)}
    return above[max(above, key=len)] if above else "unknown"


def children(pid: int) -> list[int]:
    """Return the children of a process."""
    files = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in files for child in file.read_text().split()]

"""The daemon, where the machine has no more of something: descriptors, threads, memory."""

import asyncio
import os
import re
import resource
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path

import pytest

from monitor.ending import OS_ERROR
from tests.drivers.modbus.hostile import Asked, Hostile
from tests.monitor.sinks.database import Database, database
from tests.support.debian import tool
from tests.support.kernel import cgroup, skip_where_forbidden
from tests.support.manager import manager
from tests.support.servers import HOST, free_port
from tests.support.waiting import eventually
from tests.whole.daemon import GENEROUS, Daemon
from tests.whole.test_service import Service

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

EVER = 2**63 - 1


def site(bus: Hostile, io: Hostile, influx: Database, http: int) -> str:
    """Two incubators, each on a line whose host has a name."""
    text = f"""\
site: les-ulis
gateway: gw-1
store: {{tick: 200ms}}
influxdb: {{url: "{influx.url}", bucket: b, org: o, timeout: 10s}}
http: {{port: {http}}}
limits: {{chamber: {{co2: [{{name: high, high: 6.0, deadband: 0.1, priority: high}}]}}}}
lines:
  - {{name: bus, modbus: {{host: localhost, port: {bus.port}, timeout: 5s}}}}
  - {{name: io, modbus: {{host: localhost, port: {io.port}, timeout: 5s}}}}
equipment:
"""
    for name in ("bus", "io"):
        text += f"""\
  - name: incubator-{name}
    kind: incubator
    area: suite-a
    limits: chamber
    sources:
      - line: {name}
        unit: 1
        every: 200ms
        channels: {{co2: {{holding: 4, type: uint16, scale: 0.005, unit: "%"}}}}
"""
    return text


ALONE = """\
site: lab
gateway: gw-1
lines: [{name: bus, modbus: {host: 127.0.0.1}}]
equipment:
  - name: incubator-1
    kind: incubator
    area: lab
    sources: [{line: bus, unit: 1, channels: {co2: {holding: 4, type: uint16}}}]
"""


def too_much(asked: Asked) -> Sequence[bytes]:
    """Say 10 % of CO2."""
    return [asked.frame(payload=(2000).to_bytes(2, "big") * asked.count)]


class Tight(Service):
    """The daemon, whose threads have no memory of their own in reserve."""

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"MALLOC_ARENA_MAX": "1"}


class Scene:
    """What runs, and what is asked of all of it."""

    def __init__(self, daemon: Service, bus: Hostile, io: Hostile, influx: Database) -> None:
        self.daemon = daemon
        self.bus = bus
        self.io = io
        self.influx = influx

    @property
    def pid(self) -> int:
        assert self.daemon.pid is not None, self.daemon.words()
        return self.daemon.pid

    async def says(self, words: str) -> None:
        try:
            await eventually(lambda: words in self.daemon.words(), GENEROUS)
        except TimeoutError:
            raise AssertionError(self.daemon.words()) from None

    async def raises_an_alarm(self) -> None:
        """Return when the line that nothing was done to has one, and the database knows."""
        self.io.usual = too_much
        await eventually(self._told, GENEROUS)

    def _told(self) -> bool:
        raised = [line for line in self.influx.accepted if line.startswith(b"alarm_event,")]
        return any(b"incubator-io" in line for line in raised)

    async def has_lost_nothing(self) -> None:
        """Every scan on the record is in the database, once, and no number is missing."""
        async with asyncio.timeout(2 * GENEROUS):
            while any(sink.telemetry_behind for sink in (await self.daemon.status()).sinks):  # noqa: ASYNC110 - it is asked
                await asyncio.sleep(0.05)
        lines = {line for line in self.influx.accepted if line.startswith(b"incubator,")}
        numbers = sorted(int(re.findall(rb",scan=(\d+)i", line)[0]) for line in lines)
        with self.daemon.reader() as reader:
            recorded = {point.scan for point in reader.readings(0, EVER)}
        assert set(numbers) <= recorded
        assert numbers == list(range(numbers[0], numbers[-1] + 1))


@asynccontextmanager
async def scene(folder: Path, kind: type[Tight] = Tight) -> AsyncIterator[Scene]:
    """Two devices, a database and the daemon, started by a service manager, at work."""
    async with Hostile() as bus, Hostile() as io, database() as influx:
        with manager(f"@cytowatch-{os.getpid()}-{folder.name}") as told:
            daemon = kind(folder / "d", site(bus, io, influx, free_port()), told)
            with daemon:
                await daemon.hears("2 of 2 lines up")
                yield Scene(daemon, bus, io, influx)


def first_free(pid: int) -> int:
    """The descriptor that the process would be given next."""
    taken = {int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir()}
    return next(number for number in range(len(taken) + 1) if number not in taken)


def threads(pid: int) -> int:
    """How many the process has."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def allow_descriptors(pid: int, below: int) -> None:
    """Let the process have no others than those below this one; what is open stays so."""
    _, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (below, most))


async def test_without_descriptors_it_watches_on_and_connects_when_there_are_some(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as here:
        daemon, pid = here.daemon, here.pid
        usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]
        await here.bus.stop()
        await here.says("line bus: ")
        allow_descriptors(pid, first_free(pid))
        await here.bus.listen()
        await here.says(f"{here.bus.port}: Too many open files")
        port = int(re.findall(r"http: {port: (\d+)}", daemon.file.read_text())[0])
        waiting = HTTPConnection(HOST, port, timeout=GENEROUS)
        waiting.request("GET", "/health")
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(str(daemon.socket))
            await here.says("the local socket: nobody who connects can be let in: Too many open")
        await here.says("http: nobody who connects can be let in: Too many open files")
        await here.raises_an_alarm()
        told = await daemon.fed(12)
        assert "STUCK" not in str(told)
        allow_descriptors(pid, usual)
        await here.says("line bus: well again")
        assert waiting.getresponse().status == 200
        waiting.close()
        said = daemon.words()
        assert said.count("nobody who connects can be let in") == 2, "it is told once for each door"
        assert "Traceback" not in said
        await here.has_lost_nothing()


async def test_without_threads_it_goes_on_with_those_it_has(tmp_path: Path) -> None:
    with cgroup("pids") as few:
        async with scene(tmp_path) as here:
            few.procs.write_text(str(here.pid))
            few.limit(threads(here.pid))
            await here.bus.stop()
            await here.says("line bus: ")
            await here.bus.listen()
            await here.says("line bus: well again")
            await here.raises_an_alarm()
            assert (await here.daemon.run("alarms")).code == 0
            assert "STUCK" not in str(await here.daemon.fed(8))
            await here.has_lost_nothing()
            assert await here.daemon.stop() == 0
            assert "Traceback" not in here.daemon.words()


def test_a_start_that_gets_no_threads_says_so_and_what_to_do(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "d", ALONE)
    with cgroup("pids") as few:
        few.limit(1)
        inside = ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(few.procs)]
        command = [*inside, *daemon.command("run", "--config", str(daemon.file))]
        ran = subprocess.run(
            command, env=daemon.environment, capture_output=True, text=True, check=False
        )
    assert ran.returncode == OS_ERROR
    [said] = ran.stderr.splitlines()
    assert said.startswith("cytowatch: this machine lets cytowatch have no more threads: raise Tas")


@contextmanager
def greedy(socket_path: Path) -> Iterator[None]:
    """Ask the daemon to keep the long request of everyone whom it lets in."""
    with ExitStack() as asking:
        with suppress(OSError):  # It may be gone before all have asked.
            for _ in range(60):
                one = asking.enter_context(socket.socket(socket.AF_UNIX))
                one.connect(str(socket_path))
                one.sendall(b"x" * 60_000)
        yield


async def test_without_memory_for_an_object_it_ends_and_is_whole_when_it_is_started_anew(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as here:
        await eventually(lambda: len(here.influx.accepted) > 4)
        _, most = resource.prlimit(here.pid, resource.RLIMIT_AS)
        resource.prlimit(here.pid, resource.RLIMIT_AS, (2**20, most))
        with greedy(here.daemon.socket):
            assert await here.daemon.ended() == OS_ERROR
        assert "cytowatch: no memory is left for it" in here.daemon.words()
        here.daemon.start()
        await here.daemon.ready()
        await here.has_lost_nothing()


async def test_who_is_killed_for_want_of_memory_is_whole_when_he_is_started_anew(
    tmp_path: Path,
) -> None:
    with cgroup("memory") as little:
        async with scene(tmp_path) as here:
            await eventually(lambda: len(here.influx.accepted) > 4)
            little.procs.write_text(str(here.pid))
            little.limit(2**20)
            with greedy(here.daemon.socket):
                assert await here.daemon.ended() == -signal.SIGKILL
            here.daemon.start()
            await here.daemon.ready()
            await here.has_lost_nothing()


class Traced(Tight):
    """The daemon on a machine that has gathered no randomness yet: who asks for some waits."""

    @property
    def trace(self) -> Path:
        return self.folder / "trace"

    def start(self) -> None:
        """Start it as it is, with a tracer that is none of its ancestors (``-D``)."""
        assert self._process is None
        how = ["-e", "trace=getrandom", "-e", f"inject=getrandom:delay_enter={DELAY}:when=1..20"]
        traced = ["-D", "-f", "-qq", "--seccomp-bpf", "-o", str(self.trace), *how]
        command = [*self.command("run", "--config", str(self.file))]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [tool("strace").path, *traced, *command],
                env={**self.environment, **tool("strace").variables},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )


DELAY = 150_000
"""Microseconds for which each of the first calls hangs."""


async def test_a_start_that_waits_for_randomness_comes_later_and_that_is_all(
    tmp_path: Path,
) -> None:
    """Libraries ask as they are imported, and a new store for its id; later the kernel has some."""
    strace = tool("strace")
    tried = [str(strace.path), "-qq", "-e", "trace=getrandom", "true"]
    skip_where_forbidden("one process to trace another", tried, strace.environment)
    async with scene(tmp_path, Traced) as here:
        assert isinstance(here.daemon, Traced)
        await here.raises_an_alarm()
        assert here.daemon.trace.read_text().count("(DELAYED)") > 3
        assert "STUCK" not in str(here.daemon.told.heard())
        await here.has_lost_nothing()

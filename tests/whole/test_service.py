"""The daemon as a service: what systemd is told of it, and when its watchdog falls silent."""

import asyncio
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.drivers.modbus.hostile import Behaviour, Hostile, Until, silent
from tests.monitor.sinks.database import database, saying, written
from tests.support.manager import Manager, manager
from tests.support.servers import HOST, Mosquitto, free_port
from tests.support.waiting import eventually
from tests.whole.daemon import GENEROUS, Daemon
from tests.whole.stuck import HANGS

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]

WATCHDOG = 0.4
"""Seconds; the daemon looks four times as often."""
LINES = ("bus", "io")


def site(ports: Sequence[int], more: str = "", patience: str = "500ms") -> str:
    """An incubator on each line."""
    text = "site: les-ulis\ngateway: gw-1\nstore: {tick: 200ms}\nlines:\n"
    for name, port in zip(LINES, ports, strict=True):
        text += (
            f"  - {{name: {name}, modbus: {{host: {HOST}, port: {port},"
            f" timeout: {patience}, connect_timeout: {patience}}}}}\n"
        )
    text += "equipment:\n"
    for name in LINES:
        text += f"""\
  - name: incubator-{name}
    kind: incubator
    area: suite-a
    sources:
      - line: {name}
        unit: 1
        every: 200ms
        timeout: {patience}
        channels:
          co2: {{holding: 4, type: uint16, scale: 0.005, unit: "%"}}
"""
    return text + more


def influxdb(url: str) -> str:
    return f'influxdb: {{url: "{url}", bucket: b, org: o, timeout: 1s}}\n'


def mqtt(port: int) -> str:
    return f"mqtt: {{host: {HOST}, port: {port}, timeout: 1s}}\n"


class Service(Daemon):
    """The daemon, started by a manager; ``hangs`` says what ``stuck`` is to let hang."""

    def __init__(self, folder: Path, site: str, told: Manager, hangs: str = "") -> None:
        super().__init__(folder, site)
        self.told = told
        if hangs:
            self.program = ("tests.whole.stuck", hangs)
        self.stuck = folder / "stuck"

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {
            "NOTIFY_SOCKET": self.told.address,
            "WATCHDOG_USEC": str(round(WATCHDOG * 10**6)),
            "STUCK_WHILE": str(self.stuck),
        }

    async def hears(self, wanted: str) -> Sequence[str]:
        """Return what systemd was told until it heard that."""
        try:
            return await asyncio.to_thread(self.told.wait, GENEROUS, wanted)
        except TimeoutError as error:
            raise AssertionError(f"{error}\n{self.words()}") from None

    async def says(self, *wanted: str) -> Sequence[str]:
        """Return what systemd was told until it heard each of that, in whatever order."""
        heard: list[str] = []
        while not all(any(words in each for each in heard) for words in wanted):
            heard += await self.fed(1)
        return heard

    async def fed(self, times: int) -> list[str]:
        """Return what systemd was told until its watchdog was fed so often."""
        return [words for _ in range(times) for words in await self.hears("WATCHDOG=1")]

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Return its exit code, once it has ended by itself."""
        process, self._process = self._process, None
        assert process is not None
        return await asyncio.to_thread(process.wait, GENEROUS)


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Manager]:
    with manager(f"@cytowatch-{os.getpid()}-{tmp_path.name}") as listening:
        yield listening


def waiting_for(event: asyncio.Event) -> Behaviour:
    """Answer, but not before that happens."""
    return lambda asked: [Until(event), asked.frame()]


async def test_it_is_ready_when_every_source_has_given_a_scan(
    tmp_path: Path, told: Manager
) -> None:
    late = asyncio.Event()
    async with Hostile() as quick, Hostile(waiting_for(late)) as slow:
        text = site([quick.port, slow.port], patience="60s")
        with Service(tmp_path / "d", text, told) as daemon:
            heard = await daemon.hears("STATUS=starting: 1 of 2 sources have given a scan")
            heard = [*heard, *await daemon.fed(3)]
            assert not any("READY=1" in each for each in heard)
            late.set()
            await daemon.hears("READY=1")
            async with asyncio.timeout(GENEROUS):
                while (await daemon.status()).last_scan < len(LINES):  # noqa: ASYNC110 - it is asked
                    await asyncio.sleep(0.1)
            await daemon.hears("STATUS=watching 2 equipments, 2 of 2 lines up, 0 alarms standing")
            assert await daemon.stop() == 0


async def test_it_is_ready_and_its_watchdog_fed_though_everything_is_dead(
    tmp_path: Path, told: Manager
) -> None:
    """A device that is away, one that says nothing, no broker, no database."""
    more = influxdb(f"http://{HOST}:{free_port()}") + mqtt(free_port())
    async with Hostile(silent) as hung:
        with Service(tmp_path / "d", site([free_port(), hung.port], more), told) as daemon:
            await daemon.hears("READY=1")
            words = ("0 of 2 lines up", "influxdb away", "mqtt away")
            heard = [*await daemon.fed(30), *await daemon.says(*words)]
            assert not any("STUCK" in each for each in heard)
            assert await daemon.stop() == 0
    assert told.heard()[-1] == "STOPPING=1\nSTATUS=stopping"
    assert "watchdog: " not in daemon.words()


async def test_what_goes_away_and_comes_back_is_never_stuck(
    tmp_path: Path, told: Manager, mosquitto: Mosquitto
) -> None:
    async with Hostile() as bus, Hostile() as io, database() as influx:
        text = site([bus.port, io.port], influxdb(influx.url) + mqtt(mosquitto.port))
        with Service(tmp_path / "d", text, told, hangs="nothing") as daemon:
            await daemon.hears("2 of 2 lines up")
            mosquitto.kill()
            influx.otherwise = saying(503, "busy")
            await bus.stop()
            await daemon.hears("influxdb away")
            heard = await daemon.fed(80)
            assert not any("STUCK" in each for each in heard)
            mosquitto.start()
            await bus.listen()
            influx.otherwise = written
            await daemon.hears("2 of 2 lines up")
            assert await daemon.stop() == 0
        assert "watchdog: " not in daemon.words()


@pytest.mark.parametrize(
    ("hangs", "named"),
    [
        ("hold", "line bus is neither connected nor lost for "),
        ("visit", "line bus has given no scan for "),
        ("store", "store has committed nothing for "),
        ("sink", "sink influxdb has delivered nothing, and got no answer for "),
    ],
)
async def test_the_watchdog_falls_silent_when_something_hangs_and_says_what(
    hangs: str, named: str, tmp_path: Path, told: Manager
) -> None:
    async with Hostile() as bus, Hostile() as io, database() as influx:
        text = site([bus.port, io.port], influxdb(influx.url))
        with Service(tmp_path / "d", text, told, hangs=hangs) as daemon:
            await daemon.hears("READY=1")
            assert not any("STUCK" in each for each in await daemon.fed(10))
            daemon.stuck.touch()
            await bus.stop()  # So that its line has to be held anew.
            await bus.listen()
            kind = named.partition(" ")[0]
            await daemon.hears(f"STATUS=STUCK: {kind}")
            await asyncio.sleep(3 * WATCHDOG)
            assert "WATCHDOG=1" not in told.heard(), "systemd would kill it now"
            # What waits for it may be named in its turn, but is never the first.
            line, *_ = [each for each in daemon.words().splitlines() if "watchdog: " in each]
            assert f"ERROR monitor.watchdog: watchdog: {named}" in line
            daemon.stuck.unlink()
            assert "STATUS=watching" in " ".join(await daemon.fed(3) + await daemon.fed(3))
            assert "got on again" in daemon.words()
            assert await daemon.stop() == 0


async def test_a_loop_that_hangs_feeds_nobody_and_leaves_its_stacks(
    tmp_path: Path, told: Manager
) -> None:
    async with Hostile() as bus, Hostile() as io:
        text = site([bus.port, io.port])
        with Service(tmp_path / "d", text, told, hangs="loop") as daemon:
            await daemon.hears("READY=1")
            await daemon.fed(3)
            daemon.stuck.touch()
            await eventually(lambda: HANGS in daemon.words(), GENEROUS)
            told.heard()
            await asyncio.sleep(2 * WATCHDOG)
            assert told.heard() == []
            daemon.signal(signal.SIGABRT)  # As systemd does.
            assert await daemon.ended() == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in daemon.words()
    assert "in blocked" in daemon.words(), "where the loop was"


async def test_a_process_that_was_stopped_does_not_wake_up_stuck(
    tmp_path: Path, told: Manager
) -> None:
    async with Hostile() as bus, Hostile() as io, database() as influx:
        text = site([bus.port, io.port], influxdb(influx.url))
        with Service(tmp_path / "d", text, told, hangs="nothing") as daemon:
            await daemon.hears("READY=1")
            await daemon.fed(10)
            daemon.signal(signal.SIGSTOP)
            await asyncio.sleep(15)  # Longer than anything there has patience for.
            told.heard()
            daemon.signal(signal.SIGCONT)
            heard = await daemon.fed(20)
            assert not any("STUCK" in each for each in heard)
            assert await daemon.stop() == 0
        assert "watchdog: " not in daemon.words()

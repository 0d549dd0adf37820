"""One bad device, broker or database does not disturb the others; nor the end of the daemon."""

import socket
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from itertools import dropwhile
from pathlib import Path

import pytest

from config.load import load
from config.plant import Plant
from drivers.reading import Reason, Scan
from drivers.simulated.servers import ModbusHost
from monitor import supervise
from monitor.alarms.facts import State
from monitor.alarms.watch import line_alarm, source_alarm
from monitor.app import running
from monitor.recorder import Recorder
from monitor.store.reader import Reader
from monitor.store.verify import verify
from tests.drivers.modbus.hostile import Asked, Hostile, good, silent
from tests.support.servers import HOST, free_port
from tests.support.waiting import eventually
from tests.whole.daemon import GENEROUS, Daemon
from tests.whole.devices import CHANNELS, Probe, SecondMake

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

SCANS = 6
"""Of each source, of which the test wants to see that they came."""
TIMES = 5
"""How often that is looked at, until the machine was not too busy."""
WELL = ("well", "io")
PLAIN = '          co2: {holding: 4, type: uint16, scale: 0.005, unit: "%"}'
"""What reads 5.02 % on a host of ``hostile``."""


def garbage(asked: Asked) -> Sequence[bytes]:
    """Half a good answer with nonsense after it."""
    return [asked.frame()[:8] + b"\xff" * 40]


def site(state: Path, lines: dict[str, int], equipment: dict[str, tuple[str, int, str]]) -> str:
    """Lines by name and port; equipment by name, with its line, its unit and its channels."""
    text = f"site: les-ulis\ngateway: gw-1\nstore: {{directory: {state}, tick: 200ms}}\n"
    text += "kinds:\n  incubator: {reads: {type: counter}}\n"
    text += "defaults:\n  silent: {on_delay: 1500ms}\n"
    text += "lines:\n"
    for name, port in lines.items():
        patience = "5s" if name in WELL else "200ms"
        text += (
            f"  - {{name: {name}, modbus: {{host: {HOST}, port: {port}, timeout: {patience}}}}}\n"
        )
    text += "equipment:\n"
    for name, (line, unit, channels) in equipment.items():
        patience = "200ms" if name == "dumb" else "5s" if line in WELL else "200ms"
        text += f"  - name: {name}\n    kind: incubator\n    area: suite-a\n    sources:\n"
        text += f"      - line: {line}\n        unit: {unit}\n        every: 500ms\n"
        text += f"        timeout: {patience}\n        channels:\n{channels}\n"
    return text


class Seen:
    """Every scan, by equipment."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.scans: dict[str, list[Scan]] = defaultdict(list)

    def __call__(self, scan: Scan) -> None:
        self.scans[self.recorder.plant.sources[scan.source].equipment].append(scan)

    def reasons(self, equipment: str) -> set[Reason | None]:
        return {r.reason for scan in self.scans[equipment] for _, r in scan.readings()}

    async def more(self) -> None:
        """Return when each source has given enough scans from now on."""
        self.scans.clear()
        names = [one.name for one in self.recorder.plant.equipment]
        await eventually(lambda: all(len(self.scans[n]) > SCANS for n in names), 2 * GENEROUS)


def raised(recorder: Recorder) -> set[str]:
    return {alarm.alarm for alarm in recorder.active() if alarm.active_state}


def expected(plant: Plant) -> set[str]:
    """One alarm for each cause."""
    dumb = next(source for source in plant.sources if source.equipment == "dumb")
    return {line_alarm(name) for name in ("hung", "refused", "garbled")} | {source_alarm(dumb)}


async def test_bad_neighbours_disturb_nobody_and_are_told_once_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CYTOWATCH_SOCKET", str(tmp_path / "s"))
    impatient = partial(supervise.Backoff, first=0.1, most=0.5)
    monkeypatch.setattr(supervise, "Backoff", impatient)
    probes = {name: Probe() for name in ("well", "dumb", "io")}
    async with AsyncExitStack() as stack:
        host = ModbusHost({1: probes["well"].blocks, 2: probes["dumb"].blocks})
        stack.push_async_callback(host.close)
        await host.plug()
        host.silent.add(2)
        second = stack.enter_context(SecondMake(probes["io"]))
        hung = await stack.enter_async_context(Hostile(silent))
        garbled = await stack.enter_async_context(Hostile(garbage))
        refused = Hostile(good)
        refused.port = free_port()
        lines = {
            "well": host.port,
            "io": second.port,
            "hung": hung.port,
            "garbled": garbled.port,
            "refused": refused.port,
        }
        equipment = {name: (name, 1, PLAIN) for name in ("hung", "garbled", "refused")}
        equipment |= {name: (name, 1, CHANNELS) for name in WELL}
        equipment |= {"dumb": ("well", 2, CHANNELS)}
        file = tmp_path / "site.yaml"
        file.write_text(site(tmp_path / "state", lines, equipment))
        plant = load(file, environ={})
        daemon = await stack.enter_async_context(running(plant))
        recorder = daemon.recorder
        seen = Seen(recorder)
        stack.enter_context(recorder.watching(seen))

        await eventually(lambda: raised(recorder) == expected(plant), GENEROUS)
        await a_time_is_undisturbed(seen)
        assert raised(recorder) == expected(plant)

        hung.usual = garbled.usual = good
        host.silent.clear()
        await refused.listen()
        stack.push_async_callback(refused.stop)
        await eventually(lambda: not raised(recorder), 2 * GENEROUS)
        await seen.more()
        for name in equipment:
            assert seen.reasons(name) == {None}, name
        assert {alarm.alarm: alarm.state for alarm in recorder.active()} == dict.fromkeys(
            expected(plant), State.RETURNED
        )
        assert dict(recorder.changes) == {"raised": 4, "returned": 4}


async def a_time_is_undisturbed(seen: Seen) -> None:
    """A machine may be busy with other tests; a bad neighbour would be one all the time."""
    for left in reversed(range(TIMES)):
        await seen.more()
        for name in WELL:
            assert seen.reasons(name) == {None}
        try:
            the_well_are_well(seen)
            the_others_say_what_is_wrong(seen)
        except AssertionError:
            if not left:
                raise
        else:
            return


def the_well_are_well(seen: Seen) -> None:
    for name in WELL:
        # A machine that is busy with other tests may cost one; a neighbour would cost many.
        assert sum(scan.missed for scan in seen.scans[name]) <= 1


def the_others_say_what_is_wrong(seen: Seen) -> None:
    telling = {
        "dumb": {Reason.TIMED_OUT, Reason.BACKING_OFF},
        "hung": {Reason.TIMED_OUT, Reason.LINE_DOWN, Reason.BACKING_OFF},
        "garbled": {Reason.MALFORMED, Reason.LINE_DOWN, Reason.BACKING_OFF},
        "refused": {Reason.LINE_DOWN},
    }
    for name, reasons in telling.items():
        assert seen.reasons(name) <= reasons
        assert None not in seen.reasons(name)
        scans = seen.scans[name]
        assert all(value is None for scan in scans for value in scan.values)
        points = len(scans) + sum(scan.missed for scan in scans)
        well = len(seen.scans["well"]) + sum(scan.missed for scan in seen.scans["well"])
        assert abs(points - well) <= 1, "at each point of the grid, as the others"
    assert Reason.BACKING_OFF in seen.reasons("dumb")


@contextmanager
def deaf() -> Iterator[int]:
    """A port on which connections are taken and nothing is ever read or said."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        yield listener.getsockname()[1]


async def test_it_ends_at_once_and_keeps_everything_though_nobody_answers(tmp_path: Path) -> None:
    probe = Probe()
    async with Hostile(silent) as hung, Hostile(garbage) as garbled:
        with SecondMake(probe) as well, deaf() as broker, deaf() as database:
            lines = {
                "io": well.port,
                "hung": hung.port,
                "garbled": garbled.port,
                "refused": free_port(),
            }
            equipment = {name: (name, 1, PLAIN) for name in lines if name != "io"}
            equipment |= {"well": ("io", 1, CHANNELS)}
            text = site(tmp_path / "daemon" / "state", lines, equipment)
            # So that only the end commits it, and to wait for anybody would take long.
            text = text.replace("tick: 200ms", "tick: 1m").replace(
                "on_delay: 1500ms", "on_delay: 1h"
            )
            text += f"mqtt: {{host: {HOST}, port: {broker}, timeout: 60s}}\n"
            text += f'influxdb: {{url: "http://{HOST}:{database}", bucket: b, org: o,'
            text += " timeout: 60s}\n"
            with Daemon(tmp_path / "daemon", text) as daemon:
                before = await daemon.ready()
                assert before.last_scan == 0
                await eventually(lambda: len(probe.served) > 4, GENEROUS)
                assert await daemon.stop(GENEROUS / 2) == 0
            recorded(daemon, probe)


def recorded(daemon: Daemon, probe: Probe) -> None:
    with Reader(daemon.store) as reader:
        points = list(reader.readings(0, 2**63 - 1))
        last = list(reader.events(0, 2**63 - 1))[-1]
    every = [p for p in points if p.channel == "reads" and p.equipment == "well"]
    reads = [p.value for p in dropwhile(lambda p: p.reason is Reason.LINE_DOWN, every)]
    assert reads == list(range(1, len(reads) + 1))
    assert len(probe.served) - len(reads) <= 1, "all but the one that was on its way"
    assert {point.equipment for point in points} == {"well", "hung", "garbled", "refused"}
    assert (last.kind, last.body) == ("stop", '{"reason":"told to"}')
    assert verify(daemon.store).whole
    assert not daemon.socket.exists()
    assert "Traceback" not in daemon.words()

"""Receipts asked of a consumer that was dead: the daemon, a broker that drops, and ``kill -9``."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from drivers.simulated.servers import ModbusHost
from monitor.operators.protocol import ReceiptStatus
from tests.monitor.sinks.consumer import Consumer, Forgetful
from tests.support.servers import HOST
from tests.support.waiting import eventually
from tests.whole.daemon import GENEROUS, Daemon
from tests.whole.devices import CHANNELS, Probe

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]

MANY = 12
OWING = "gateway/_/receipts-scada"


def site(broker: int, device: int) -> str:
    """Incubators that look at one probe, so that all are raised at once."""
    text = f"""\
site: les-ulis
gateway: gw-1
store: {{tick: 200ms}}
mqtt: {{host: {HOST}, port: {broker}, digest: 1s, receipts: {{from: [scada], within: 300ms}}}}
limits: {{chamber: {{co2: [{{name: high, high: 6.0, deadband: 0.1, priority: high}}]}}}}
lines: [{{name: bus, modbus: {{host: {HOST}, port: {device}, timeout: 60s}}}}]
equipment:
"""
    for number in range(MANY):
        text += f"""\
  - name: incubator-{number}
    kind: incubator
    area: suite-a
    limits: chamber
    sources:
      - line: bus
        unit: 1
        every: 200ms
        channels:
{CHANNELS.replace("reads: {holding: 2, type: uint32}", "")}
"""
    return text


async def owed(daemon: Daemon) -> ReceiptStatus:
    [sink] = (await daemon.status()).sinks
    [receipts] = sink.receipts
    return receipts


async def is_alarmed(daemon: Daemon) -> bool:
    """Whether it is an alarm just now that the consumer owes receipts."""
    alarm = (await daemon.alarms()).get(OWING)
    return alarm is not None and alarm.active_state


async def beyond(daemon: Daemon) -> int:
    """How many incubators are beyond their limit."""
    alarms = (await daemon.alarms()).values()
    return sum(alarm.active_state and alarm.rule == "high" for alarm in alarms)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return as soon as it holds."""
    async with asyncio.timeout(GENEROUS):
        while not await condition():  # noqa: ASYNC110 - another process cannot set an event
            await asyncio.sleep(0.05)


async def swing(daemon: Daemon, probe: Probe, *, high: bool) -> None:
    """Let all of them pass their limit, or return."""

    async def all_did() -> bool:
        return await beyond(daemon) == (MANY if high else 0)

    probe.co2 = 7.0 if high else 5.0
    await until(all_did)


async def killed(daemon: Daemon) -> None:
    """End it as a power cut would, and start it anew."""
    daemon.kill()
    daemon.start()
    await daemon.ready()


async def test_a_consumer_that_was_dead_is_alarmed_and_has_all_in_the_end(tmp_path: Path) -> None:
    probe = Probe()
    async with AsyncExitStack() as stack:
        broker = stack.enter_context(Forgetful(tmp_path / "broker"))
        host = ModbusHost({1: probe.blocks})
        stack.push_async_callback(host.close)
        await host.plug()
        daemon = stack.enter_context(Daemon(tmp_path / "daemon", site(broker.port, host.port)))
        await daemon.ready()
        consumer = Consumer(broker.port)
        async with consumer.listening():
            await swing(daemon, probe, high=True)
        await swing(daemon, probe, high=False)
        await daemon.until_delivered()
        await until(lambda: is_alarmed(daemon))
        before = await owed(daemon)
        assert before.behind >= MANY
        await killed(daemon)
        assert (await owed(daemon)).seq == before.seq, "what it had said is not forgotten"
        await until(lambda: is_alarmed(daemon))
        async with consumer.listening(slow=0.005):
            await eventually(lambda: consumer.upto > before.seq)
            await killed(daemon)

            async def has_all() -> bool:
                now = await owed(daemon)
                return now.behind == 0 and not await is_alarmed(daemon)

            await until(has_all)
            last = (await owed(daemon)).seq
        with daemon.reader() as reader:
            told = [event.body for event in reader.of_kind("alarm", 0)]
    assert [consumer.events[seq] for seq in range(1, last + 1)] == told[:last]

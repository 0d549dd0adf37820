"""An alarm that nobody acknowledges, whole: a consumer is told of it again, and more urgently,
once, whenever the daemon is killed.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from drivers.simulated.servers import ModbusHost
from monitor.store.verify import verify
from tests.support.servers import HOST, SecureMosquitto
from tests.whole.daemon import GENEROUS, Daemon
from tests.whole.devices import CHANNELS, Probe
from tests.whole.ears import SITE, Ears, Payload, envelope, listening, operator, retained

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

ALARM = "incubator-1/co2/high"
STATE = f"cytowatch/v1/{SITE}/equipment/{ALARM}/state"


def site(folder: Path, broker: SecureMosquitto, port: int) -> str:
    password = folder / "password"
    password.write_text(broker.passwords["gateway"])
    password.chmod(0o600)
    return f"""\
site: {SITE}
gateway: gw-1
store: {{tick: 100ms}}
mqtt:
  host: {HOST}
  port: {broker.port}
  user: gateway
  password: {{file: {password}}}
  tls: {{ca_file: {broker.ca_file}}}
  commands: true
kinds:
  incubator: {{reads: {{type: counter}}}}
classes:
  attended: {{priority: medium, escalate: [{{after: 1500ms}}, {{after: 1h, to: critical}}]}}
limits:
  chamber: {{co2: [{{name: high, high: 6.0, class: attended}}]}}
lines:
  - {{name: bus, modbus: {{host: {HOST}, port: {port}, timeout: 10s}}}}
equipment:
  - name: incubator-1
    kind: incubator
    area: suite-a
    limits: chamber
    sources:
      - line: bus
        unit: 1
        every: 100ms
        channels:
{CHANNELS}"""


@asynccontextmanager
async def running(folder: Path, broker: SecureMosquitto) -> AsyncIterator[tuple[Daemon, Ears]]:
    """A daemon, of whose one incubator the CO2 is too high, and a consumer."""
    host = ModbusHost({1: Probe(co2=7.0).blocks})
    await host.plug()
    try:
        async with listening(broker, "reader", "cytowatch/v1/#", name="consumer") as ears:
            with Daemon(folder / "daemon", site(folder, broker, host.port)) as daemon:
                yield daemon, ears
    finally:
        await host.close()


def urgency(event: Payload) -> tuple[object, ...]:
    return (
        event["change"],
        event["priority"],
        event["severity"],
        event["configured_priority"],
        event["escalations"],
    )


async def test_an_alarm_that_nobody_acknowledges_is_told_again_more_urgently_and_once(
    tmp_path: Path, secure_mosquitto: SecureMosquitto
) -> None:
    async with running(tmp_path, secure_mosquitto) as (daemon, ears):
        await daemon.ready()
        await ears.until(lambda: ears.changes(ALARM) != [])
        killed_and_begun_anew(daemon)
        await daemon.ready()
        urgent = await ears.until_changed(ALARM, "raised", "escalated")
        assert (await daemon.alarms())[ALARM].priority == "high"
        killed_and_begun_anew(daemon)
        await daemon.ready()
        await some_scans(daemon)
        await daemon.until_delivered()
        kept = (await retained(secure_mosquitto, STATE))[STATE]
        assert (kept["priority"], kept["event_id"]) == ("high", urgent["event_id"])
        async with operator(secure_mosquitto, "anna") as anna:
            assert (await anna("ack", envelope(urgent, "anna")))["word"] == "done"
        await ears.until_changed(ALARM, "raised", "escalated", "acknowledged")
        await daemon.until_delivered()
        kept = (await retained(secure_mosquitto, STATE))[STATE]
        assert (kept["priority"], kept["severity"], kept["escalations"]) == ("medium", 500, 0)
        assert await daemon.stop() == 0
    assert [urgency(event) for event in ears.events(ALARM)] == [
        ("raised", "medium", 500, "medium", 0),
        ("escalated", "high", 800, "medium", 1),
        ("acknowledged", "medium", 500, "medium", 0),
    ]
    assert len({event["occurrence"] for event in ears.events(ALARM)}) == 1
    assert verify(daemon.store).whole


async def some_scans(daemon: Daemon) -> None:
    """Return when the next few scans are on the record."""
    now = last = (await daemon.status()).last_scan
    async with asyncio.timeout(GENEROUS):
        while now < last + 4:
            now = (await daemon.status()).last_scan


def killed_and_begun_anew(daemon: Daemon) -> None:
    daemon.kill()
    daemon.start()

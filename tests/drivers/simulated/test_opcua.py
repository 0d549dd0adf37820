"""A simulated OPC UA server read and subscribed to with asyncua's client."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.node import Node
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.uaerrors import UaStatusCodeError

from drivers.simulated.equipment import Tank
from drivers.simulated.nodes import ANALOGS, NAMESPACE, Shown, Status, shown
from drivers.simulated.opcua import OWN_UNITS, UNECE, OpcUaHost
from drivers.simulated.place import HOST, HostError

pytestmark = pytest.mark.real

AT = datetime(2026, 3, 1, 12, 30, 15, 250_000, UTC)
NS = int(AT.timestamp() * 1000) * 10**6


@pytest_asyncio.fixture
async def host() -> AsyncIterator[OpcUaHost]:
    host = OpcUaHost("bioreactor-01")
    await host.plug()
    await host.show(shown(Tank.settled("bioreactor-01", 1, 0)), NS)
    yield host
    await host.close()


@pytest.fixture
def client(host: OpcUaHost) -> Client:
    # It tells of every connection that it loses, and loses one on purpose below.
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    return Client(f"opc.tcp://{HOST}:{host.port}", timeout=60, watchdog_intervall=60)


async def node(client: Client, name: str) -> Node:
    index = await client.get_namespace_index(NAMESPACE)
    return client.get_node(f"ns={index};s=bioreactor-01.{name}")


async def value(client: Client, name: str) -> ua.DataValue:
    return await (await node(client, name)).read_data_value(raise_on_bad_status=False)


async def test_before_its_first_sample_it_says_that_it_waits() -> None:
    fresh = OpcUaHost("bioreactor-01")
    await fresh.plug()
    try:
        async with Client(f"opc.tcp://{HOST}:{fresh.port}") as other:
            found = await value(other, "Temperature")
        assert found.StatusCode is not None
        assert found.StatusCode.name == "BadWaitingForInitialData"
    finally:
        await fresh.close()


async def test_every_value_comes_with_its_unit_its_range_and_the_time_of_its_sample(
    client: Client,
) -> None:
    async with client:
        for each in ANALOGS:
            found = await value(client, each.node)
            assert found.Value is not None
            assert found.Value.VariantType is ua.VariantType.Double
            assert found.SourceTimestamp == AT
            variable = await node(client, each.node)
            kind = await variable.read_type_definition()
            assert kind == ua.NodeId(ua.Int32(ObjectIds.AnalogUnitRangeType))
            span = await (await variable.get_child("0:EURange")).read_value()
            assert (span.Low, span.High) == (each.low, each.high)
            assert span.Low <= found.Value.Value <= span.High


UNITS = {
    "Temperature": (UNECE, 4408652, "Cel"),
    "PH": (UNECE, 5321520, "pH"),
    "DissolvedOxygen": (UNECE, 20529, "%"),
    "Agitation": (UNECE, 5394509, "rpm"),
    "AirFlow": (UNECE, 13361, "mL/min"),
    "Weight": (UNECE, 4933453, "kg"),
    "CellDensity": (OWN_UNITS, -1, "1/mL"),
}


async def test_units_are_named_by_their_unece_codes(client: Client) -> None:
    found = {}
    async with client:
        for name in UNITS:
            variable = await node(client, name)
            unit = await (await variable.get_child("0:EngineeringUnits")).read_value()
            found[name] = (unit.NamespaceUri, unit.UnitId, unit.DisplayName.Text)
    assert found == UNITS


async def test_the_phase_is_an_enumeration_and_the_state_a_string(client: Client) -> None:
    async with client:
        phase = await node(client, "Phase")
        names = await (await phase.get_child("0:EnumStrings")).read_value()
        assert [each.Text for each in names] == ["inoculation", "growth", "harvest"]
        assert await phase.read_value() == 0
        assert await (await node(client, "OperatingState")).read_value() == "running"


async def test_it_is_browsed_by_names(client: Client) -> None:
    async with client:
        index = await client.get_namespace_index(NAMESPACE)
        path = [f"{index}:bioreactor-01", f"{index}:PH", f"{index}:SetPoint"]
        assert await (await client.nodes.objects.get_child(path)).read_value() == 7.2


async def test_a_failed_sensor_is_a_bad_status_without_a_value_until_it_is_mended(
    host: OpcUaHost, client: Client
) -> None:
    async with client:
        await host.show(
            {"PH": Shown(None, Status.BAD), "Glucose": Shown(2.5, Status.UNCERTAIN)}, NS
        )
        bad, unsure = await value(client, "PH"), await value(client, "Glucose")
        assert bad.StatusCode is not None
        assert unsure.StatusCode is not None
        assert (bad.StatusCode.name, unsure.StatusCode.name) == (
            "BadSensorFailure",
            "UncertainSensorNotAccurate",
        )
        assert bad.Value is None or bad.Value.Value is None
        assert unsure.Value is not None
        assert unsure.Value.Value == 2.5
        await host.show({"PH": Shown(7.1)}, NS)
        assert await (await node(client, "PH")).read_value() == 7.1


async def test_nothing_can_be_written(client: Client) -> None:
    async with client:
        setpoint = await node(client, "PH.SetPoint")
        with pytest.raises(UaStatusCodeError, match=r"BadUserAccessDenied|BadNotWritable"):
            await setpoint.write_value(6.0)


async def test_a_change_reaches_a_subscriber(host: OpcUaHost, client: Client) -> None:
    async with client:
        subscription = await client.create_subscription(50)
        await subscription.subscribe_data_change(await node(client, "Weight"))
        first = await subscription.next_event(5)
        await host.show({"Weight": Shown(3.5)}, NS)
        second = await subscription.next_event(5)
        assert [type(each).__name__ for each in (first, second)] == ["DataChangeEvent"] * 2
        assert second.value == 3.5  # type: ignore[union-attr]  # as just asserted
        await subscription.delete()


async def test_a_pulled_server_resets_refuses_forgets_and_comes_back_on_its_port(
    host: OpcUaHost, client: Client
) -> None:
    port, lost = host.port, asyncio.Event()

    async def on_lost(_: Exception) -> None:
        lost.set()

    client.connection_lost_callback = on_lost
    await client.connect()
    subscription = await client.create_subscription(50)
    await subscription.subscribe_data_change(await node(client, "Weight"))
    await subscription.next_event(5)
    await host.pull()
    await host.pull()
    await asyncio.wait_for(lost.wait(), 2)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(HOST, port)
    inner = host._server.iserver
    assert not inner._external_sessions
    assert not inner.subscription_service.subscriptions
    with suppress(ConnectionError):
        await client.disconnect()
    await host.plug()
    await host.plug()
    assert host.plugged
    assert host.port == port
    async with Client(f"opc.tcp://{HOST}:{port}") as again:
        assert await (await node(again, "PH")).read_value() == pytest.approx(7.2, abs=0.05)


async def test_a_port_that_another_has_is_said(host: OpcUaHost) -> None:
    await host.pull()
    other = await asyncio.start_server(lambda _r, _w: None, HOST, host.port)
    with pytest.raises(HostError, match=f"port {host.port} of the loopback is taken"):
        await host.plug()
    other.close()
    await other.wait_closed()

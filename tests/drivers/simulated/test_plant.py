"""The whole simulated plant on the loopback, as the daemon meets it."""

import asyncio
import struct
from pathlib import Path

import pytest
from asyncua import ua
from asyncua.client.client import Client

from config.lines import Line, ModbusLine, OpcUaLine
from config.load import load
from drivers.simulated.nodes import NAMESPACE
from drivers.simulated.plant import SimulatedPlant
from drivers.simulated.scenario import (
    CALM,
    SECOND,
    DoorLeftOpen,
    GasFails,
    Happening,
    NetworkPulled,
    Scenario,
    ScenarioError,
    SensorFails,
    UnitSilent,
)
from drivers.simulated.sensors import Failure, Quantity
from tests.support.waiting import eventually

READ_TWO = struct.Struct(">HHHBBHH")
PROBES = "incubator-01-probes"


def script(*happenings: Happening) -> Scenario:
    return Scenario(happenings=happenings, goes_on=False)


async def read_float(plant: SimulatedPlant, line: str, unit: int, address: int) -> float:
    """One value over a connection of its own. Raises what the network does."""
    reader, writer = await asyncio.open_connection(*plant.lines[line])
    try:
        writer.write(READ_TWO.pack(1, 0, 6, unit, 3, address, 2))
        reply = await reader.readexactly(13)
        low, high = struct.unpack(">HH", reply[9:])
        value: float = struct.unpack(">f", struct.pack(">HH", high, low))[0]
        return value
    finally:
        writer.close()


@pytest.mark.real
async def test_six_incubators_an_io_module_and_two_bioreactors_are_there() -> None:
    async with SimulatedPlant() as plant:
        assert list(plant.lines) == [
            *(f"incubator-{n:02}-probes" for n in range(1, 7)),
            "suite-a-io",
            "bioreactor-01",
            "bioreactor-02",
        ]
        for name in plant.incubators:
            assert await read_float(plant, f"{name}-probes", 240, 0) == pytest.approx(5e4, rel=0.05)
            assert await read_float(plant, f"{name}-probes", 241, 2) == pytest.approx(37, abs=0.2)


async def test_time_passes_by_itself_and_a_door_shows() -> None:
    door = DoorLeftOpen(at=0, lasts=60 * SECOND, incubator="incubator-01")
    async with SimulatedPlant(1, 0, scenario=script(door), time_factor=600) as plant:
        chamber = plant.simulation.chambers["incubator-01"]
        await eventually(lambda: chamber.state.air_probe < 30)
        assert await read_float(plant, PROBES, 240, 0) < 20_000
        assert await read_float(plant, PROBES, 241, 2) < 31


async def test_the_network_is_pulled_and_comes_back() -> None:
    pulled = NetworkPulled(at=SECOND // 5, lasts=SECOND // 2, line=PROBES)
    async with SimulatedPlant(2, 0, scenario=script(pulled)) as plant:
        host, port = plant.lines[PROBES]
        reader, writer = await asyncio.open_connection(host, port)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(host, port)
        assert await read_float(plant, "incubator-02-probes", 240, 0) > 40_000
        await eventually(lambda: plant.plugged(PROBES))
        assert await read_float(plant, PROBES, 240, 0) > 40_000
        assert plant.lines[PROBES].port == port


async def test_a_unit_falls_silent_while_its_neighbour_answers() -> None:
    silent = UnitSilent(at=0, lasts=60 * SECOND, line=PROBES, unit=240)
    async with SimulatedPlant(1, 0, scenario=script(silent)) as plant:
        await eventually(lambda: 240 in plant.simulation.silent(PROBES))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read_float(plant, PROBES, 240, 0), 0.1)
        assert await read_float(plant, PROBES, 241, 2) == pytest.approx(37, abs=0.2)


async def test_two_plants_do_not_meet() -> None:
    async with (
        SimulatedPlant(1, 0, scenario=CALM) as one,
        SimulatedPlant(1, 0, scenario=CALM) as other,
    ):
        assert set(one.lines.values()).isdisjoint(other.lines.values())


async def test_when_it_is_over_nobody_listens() -> None:
    async with SimulatedPlant(1, 0, scenario=CALM) as plant:
        address = plant.lines[PROBES]
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*address)


@pytest.mark.parametrize("count", [0, 33])
def test_a_plant_of_no_size_is_refused(count: int) -> None:
    with pytest.raises(ScenarioError, match="1 to 32"):
        SimulatedPlant(count)


def test_a_scenario_for_another_plant_is_refused() -> None:
    with pytest.raises(ScenarioError, match="the plant has incubator-01"):
        SimulatedPlant(1, 2)


@pytest.mark.real
async def test_its_site_file_is_one_that_the_daemon_takes(tmp_path: Path) -> None:
    async with SimulatedPlant() as plant:
        path = tmp_path / "demo.yaml"
        text = plant.config_yaml(tmp_path / "state", mqtt_port=1884, commands=True)
        path.write_text(text, encoding="utf-8")
        site = load(path, environ={})
        there = [where(line) for line in site.lines.values()]
        assert there == [f"{host}:{port}" for host, port in plant.lines.values()]
    assert [each.name for each in site.equipment] == [*plant.incubators, *plant.bioreactors]


def where(line: Line) -> str:
    match line:
        case ModbusLine(modbus=modbus):
            return f"{modbus.host}:{modbus.port}"
        case OpcUaLine(opcua=opcua):
            return opcua.endpoint.removeprefix("opc.tcp://")


async def read_node(plant: SimulatedPlant, line: str, node: str) -> ua.DataValue:
    """One value over a session of its own. Raises what the network does."""
    host, port = plant.lines[line]
    async with Client(f"opc.tcp://{host}:{port}") as client:
        index = await client.get_namespace_index(NAMESPACE)
        value = client.get_node(f"ns={index};s={line}.{node}")
        return await value.read_data_value(raise_on_bad_status=False)


@pytest.mark.real
async def test_bioreactors_are_read_over_opc_ua_and_what_befalls_them_shows() -> None:
    no_gas = GasFails(at=0, lasts=60 * SECOND, bioreactor="bioreactor-02")
    broken = SensorFails(
        at=0,
        lasts=60 * SECOND,
        equipment="bioreactor-02",
        quantity=Quantity.PH,
        failure=Failure.BROKEN,
    )
    async with SimulatedPlant(1, 2, scenario=script(no_gas, broken), time_factor=900) as plant:
        tank = plant.simulation.tanks["bioreactor-02"]
        await eventually(lambda: tank.state.oxygen_probe < 5)
        oxygen = await read_node(plant, "bioreactor-02", "DissolvedOxygen")
        while oxygen.Value is None or oxygen.Value.Value > 10:
            oxygen = await read_node(plant, "bioreactor-02", "DissolvedOxygen")
        ph = await read_node(plant, "bioreactor-02", "PH")
        assert ph.StatusCode is not None
        assert ph.StatusCode.name == "BadSensorFailure"
        other = await read_node(plant, "bioreactor-01", "DissolvedOxygen")
        assert other.Value is not None
        assert other.Value.Value == pytest.approx(40, abs=3)


@pytest.mark.real
async def test_an_opc_ua_server_goes_away_alone_and_comes_back_on_its_port() -> None:
    pulled = NetworkPulled(at=SECOND // 5, lasts=3 * SECOND, line="bioreactor-01")
    async with SimulatedPlant(1, 2, scenario=script(pulled)) as plant:
        address = plant.lines["bioreactor-01"]
        await eventually(lambda: not plant.plugged("bioreactor-01"))
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address)
        assert (await read_node(plant, "bioreactor-02", "Weight")).Value is not None
        await eventually(lambda: plant.plugged("bioreactor-01"))
        weight = (await read_node(plant, "bioreactor-01", "Weight")).Value
        assert weight is not None
        assert weight.Value == pytest.approx(9.93, abs=0.05)
        assert plant.lines["bioreactor-01"] == address

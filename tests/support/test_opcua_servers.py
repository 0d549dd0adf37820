import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.uaerrors import UaError, UaStatusCodeError

from tests.support.opcua_servers import (
    MAKES,
    OTHER,
    VENDOR,
    Change,
    Make,
    Manner,
    Node,
    OpcUaServer,
    identity,
)

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

PH = Node("s=R3.pH", 7.0, unit="pH")
PHASE = Node("s=R3.Phase", 1, type="Int32", namespace=OTHER)


@pytest.fixture(scope="module", params=MAKES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OpcUaServer]:
    """One for all tests, since starting it is what costs time."""
    make: Make = request.param
    with OpcUaServer(tmp_path_factory.mktemp(make), make, [PH, PHASE]) as running:
        yield running


@asynccontextmanager
async def connected(server: OpcUaServer) -> AsyncIterator[Client]:
    client = Client(server.endpoint, timeout=20, watchdog_intervall=60)
    async with client:
        yield client


async def read(client: Client, node: Node, *path: str) -> ua.DataValue:
    index = await client.get_namespace_index(node.namespace)
    found = client.get_node(f"ns={index};{node.identifier}")
    for name in path:
        found = await found.get_child(name)
    return await found.read_data_value(raise_on_bad_status=False)


def status(told: ua.DataValue) -> str:
    assert told.StatusCode is not None
    return told.StatusCode.name


def milliseconds(told: ua.DataValue) -> int:
    assert told.SourceTimestamp is not None
    return round(told.SourceTimestamp.timestamp() * 1000)


async def test_it_serves_what_it_remembers(server: OpcUaServer) -> None:
    server.set(Change(PH.id, 6.9), Change(PH.id, 6.8, "UncertainLastUsableValue"))
    async with connected(server) as client:
        ph, phase = await read(client, PH), await read(client, PHASE)
        unit = (await read(client, PH, "0:EngineeringUnits")).Value
    second, last = server.served[PH.id][-2:]
    assert (second.value, last.value) == (6.9, 6.8)
    assert ph.Value is not None
    assert phase.Value is not None
    assert (ph.Value.Value, milliseconds(ph)) == (last.value, last.at)
    assert status(ph) == last.status
    assert (phase.Value.Value, phase.Value.VariantType) == (1, ua.VariantType.Int32)
    assert unit is not None
    assert unit.Value.UnitId == int.from_bytes(b"Q30", "big")


async def test_a_node_goes_and_returns(server: OpcUaServer) -> None:
    async with connected(server) as client:
        server.remove(PH.id)
        assert status(await read(client, PH)) == "BadNodeIdUnknown"
        server.restore(PH.id)
        assert status(await read(client, PH)) == "Good"


async def test_subscriptions_go_and_the_session_stays(server: OpcUaServer) -> None:
    async with connected(server) as client:
        await client.create_subscription(_parameters())
        assert (server.counts().sessions, server.counts().subscriptions) == (1, 1)
        server.drop_subscriptions()
        assert (server.counts().sessions, server.counts().subscriptions) == (1, 0)


async def test_frozen_it_answers_nothing_and_thawed_it_goes_on(server: OpcUaServer) -> None:
    async with connected(server) as client:
        server.freeze()
        reading = asyncio.create_task(read(client, PH))
        done, _ = await asyncio.wait([reading], timeout=0.3)
        assert not done
        server.thaw()
        assert status(await reading) == "Good"


async def test_killed_it_comes_back_on_its_port_with_other_manners(server: OpcUaServer) -> None:
    async with connected(server) as client:
        assert await client.get_namespace_index(VENDOR) == 2
    server.set(Change(PH.id, 7.2))
    server.kill()
    server.manner = Manner(namespaces=(OTHER, VENDOR), subscriptions=False)
    server.start()
    async with connected(server) as client:
        assert await client.get_namespace_index(VENDOR) == 3
        assert (await read(client, PH)).Value == ua.Variant(7.2, ua.VariantType.Double)
        assert server.counts()[:3] == (1, 1, 0)
        with pytest.raises(UaStatusCodeError, match="BadTooManySubscriptions"):
            await client.create_subscription(_parameters())
    server.stop()
    server.manner = Manner()
    server.start()


@pytest.mark.parametrize("make", MAKES)
async def test_secured_it_offers_nothing_else(tmp_path: Path, make: Make) -> None:
    manner = Manner(users={"cytowatch": "right"}, identity=identity(tmp_path / "identity"))
    assert manner.identity is not None
    with OpcUaServer(tmp_path, make, [PH], manner) as server:
        [endpoint] = await Client(server.endpoint).connect_and_get_server_endpoints()
        assert endpoint.SecurityPolicyUri.endswith("#Basic256Sha256")
        assert endpoint.SecurityMode == ua.MessageSecurityMode.SignAndEncrypt
        with pytest.raises(UaError):
            async with connected(server):
                pass


def _parameters() -> ua.CreateSubscriptionParameters:
    return ua.CreateSubscriptionParameters(
        RequestedPublishingInterval=ua.Duration(500),
        RequestedLifetimeCount=ua.Counter(60),
        RequestedMaxKeepAliveCount=ua.Counter(6),
        PublishingEnabled=True,
    )

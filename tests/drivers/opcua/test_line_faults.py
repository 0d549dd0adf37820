"""What can happen to a server and to the wire to it: the same faults that Modbus stands.

No value is ever invented, nothing else than what is concerned turns bad, and values flow again by
themselves when it is over.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from config.lines import OpcUa
from drivers.reading import Cause, Quality, Reason
from tests.drivers.opcua.harness import (
    GOOD,
    NODES,
    PH,
    SOON,
    WEIGHT,
    Held,
    channel,
    held,
    reactor,
    settings,
    source,
)
from tests.support.opcua_servers import MAKES, Change, Identity, Make, Manner, OpcUaServer, identity
from tests.support.servers import HOST
from tests.whole.wire import Manner as Wired
from tests.whole.wire import Wire, wire

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

STATUSES = {
    "UncertainSensorNotAccurate": (Quality.UNCERTAIN, Reason.DEVICE_STATUS),
    "UncertainLastUsableValue": (Quality.BAD, Reason.LAST_USABLE),
    "BadNotConnected": (Quality.BAD, Reason.DEVICE_STATUS),
}
HOUR = 3_600_000
FIFTY_YEARS = 50 * 365 * 24 * HOUR


@pytest.fixture(scope="module", params=MAKES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OpcUaServer]:
    """One for all that leave it as it was, since starting it is what costs time."""
    make: Make = request.param
    with OpcUaServer(tmp_path_factory.mktemp(make), make, NODES) as running:
        yield running


async def test_what_the_device_says_of_a_value_is_its_quality(
    server: OpcUaServer, tmp_path: Path
) -> None:
    async with held(server, tmp_path, reactor(period=100)) as line:
        await line.until_good()
        for status, (quality, reason) in STATUSES.items():
            server.set(Change(PH.id, 6.9, status))
            told = await line.until_reads(reason)
            assert told.reading(0).quality is quality
            assert told.cause is Cause.NONE
            assert {*told.faults} == {0}
            server.set(Change(PH.id, GOOD[0]))
            await line.until_good()


def closed(port: int, shown: Identity, monkeypatch: pytest.MonkeyPatch) -> OpcUa:
    """How to reach a server that lets one user in, and shows that certificate."""
    monkeypatch.setenv("PASSWORD_OF_TEST", "right")
    return settings(
        f"opc.tcp://{HOST}:{port}",
        security="Basic256Sha256/SignAndEncrypt",
        user="operator",
        password={"env": "PASSWORD_OF_TEST"},
        server_fingerprint=shown.fingerprint,
        **SOON,
    )


async def test_whatever_a_wire_does_no_value_is_invented_and_all_flows_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other make's wires are spoilt by the soak, for as long as anybody likes."""
    shown = identity(tmp_path)
    manner = Manner(users={"operator": "right"}, identity=shown)
    with OpcUaServer(tmp_path, "node-opcua", [PH, WEIGHT], manner) as server:
        async with wire(server.port) as between:
            given = closed(between.port, shown, monkeypatch)
            wanted = source([channel(PH), channel(WEIGHT)], period=100)
            async with Held(given, tmp_path, wanted) as line:
                await line.until_good()
                for number, how in enumerate(Wired):
                    await suffers(line, server, between, how, float(number))
                everything_was_served(line, server)


async def test_a_server_that_takes_one_connection_is_held_and_left_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = identity(tmp_path)
    manner = Manner(users={"operator": "right"}, identity=shown, connections=1)
    with OpcUaServer(tmp_path, "node-opcua", [PH], manner) as server:
        given = closed(server.port, shown, monkeypatch)
        for _ in range(2):
            async with Held(given, tmp_path, source([channel(PH)], period=100)) as line:
                await line.until_good()
                assert line.losses == []


async def suffers(line: Held, server: OpcUaServer, between: Wire, how: Wired, value: float) -> None:
    """Let the wire spoil what comes until it is noticed, or comes all the same; then not."""
    losses = len(line.losses)
    between.behave(how)
    server.set(Change(PH.id, value))
    await line.until(lambda: len(line.losses) > losses or line.changes(0)[-1:] == [value])
    between.behave(Wired.WHOLE)
    server.set(Change(PH.id, value + 0.5))
    await line.until(lambda: line.changes(0)[-1:] == [value + 0.5])


def everything_was_served(line: Held, server: OpcUaServer) -> None:
    """Each value is one that the server had, with its time, and none comes after a later one."""
    for number, node in enumerate((PH, WEIGHT)):
        served = [(told.value, told.at) for told in server.served[node.id]]
        scans = [s for s in line.scans if s.spoke is None or number in s.spoke]
        came = [
            served.index((value, scan.source_times[number] // 10**6))
            for scan in scans
            if (value := scan.values[number]) is not None
        ]
        assert came == sorted(came)


async def test_a_node_that_changes_its_type_is_bad_alone_until_it_is_right_again(
    server: OpcUaServer, tmp_path: Path
) -> None:
    async with held(server, tmp_path, reactor(period=100)) as line:
        await line.until_good()
        server.retype(WEIGHT.id, "String", "###")
        bad = await line.until_reads(Reason.MALFORMED, 1)
        assert (bad.values[0], bad.values[2]) == (GOOD[0], GOOD[2])
        assert bad.cause is Cause.NONE
        server.retype(WEIGHT.id, "Float", GOOD[1])
        assert (await line.until_good()).values == GOOD
        assert not line.losses


async def test_a_server_with_a_wrong_clock_spoils_its_times_and_no_value(
    server: OpcUaServer, tmp_path: Path
) -> None:
    async with held(server, tmp_path, reactor(period=100)) as line:
        await line.until_good()
        for value, skew in enumerate((HOUR, -HOUR, FIFTY_YEARS, -FIFTY_YEARS, 0)):
            server.set_clock(skew)
            server.set(Change(PH.id, float(value)))
            await line.until(lambda v=float(value): line.changes(0)[-1:] == [v])  # type: ignore[misc]
        told = {
            scan.values[0]: scan.source_times.get(0)
            for scan in line.scans
            if scan.values[0] is not None
        }
        times = {each.value: each.at * 10**6 for each in server.served[PH.id]}
        possible = [0.0, 1.0, 4.0]  # In fifty years it is 2076, and fifty years ago was no time.
        assert [told[value] for value in possible] == [times[value] for value in possible]
        assert told[3.0] is None
        server.set(Change(PH.id, GOOD[0]))


async def test_a_number_that_is_none_is_no_value(server: OpcUaServer, tmp_path: Path) -> None:
    async with held(server, tmp_path, reactor(period=100)) as line:
        await line.until_good()
        for value in ("NaN", "Infinity", "-Infinity"):
            server.set(Change(PH.id, value))
            bad = await line.until_reads(Reason.NOT_A_NUMBER)
            assert bad.values == (None, *GOOD[1:])
            server.set(Change(PH.id, GOOD[0]))
            await line.until_good()
        assert not line.losses


async def test_a_session_that_the_server_forgot_is_made_anew_when_it_has_one(
    tmp_path: Path,
) -> None:
    """Of asyncua's server one cannot have this; `test_deleted_subscriptions…` is of both."""
    with OpcUaServer(tmp_path, "node-opcua", [PH]) as server:
        async with held(server, tmp_path, source([channel(PH)], period=100)) as line:
            await line.until_good()
            server.close_sessions()
            await line.until(lambda: bool(line.losses))
            server.set(Change(PH.id, 6.5))
            await line.until(lambda: line.changes(0)[-1:] == [6.5])
            losses = len(line.losses)
            server.close_sessions(most=0)
            await line.until(lambda: len(line.losses) > losses + 2)
            assert "(BadTooManySessions)" in line.losses[-1]
            assert line.scans[-1].reading(0).quality is Quality.BAD
            server.close_sessions()
            server.set(Change(PH.id, 6.6))
            await line.until(lambda: line.changes(0)[-1:] == [6.6])
        assert server.counts().sessions == 0

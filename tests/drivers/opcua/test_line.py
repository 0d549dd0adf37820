"""The line before real servers of two makes, each in a process of its own."""

import asyncio
import contextlib
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import pytest

from drivers.reading import Cause, Quality, Reason
from tests.drivers.opcua.harness import (
    GOOD,
    NODES,
    PH,
    PHASE,
    SECOND,
    SOON,
    WEIGHT,
    Held,
    channel,
    held,
    now,
    reactor,
    settings,
    source,
)
from tests.support.opcua_servers import OTHER, VENDOR, Change, Make, Manner, Node, OpcUaServer
from tests.support.servers import HOST, free_port

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

GHOST = Node("s=Nobody")
LOST = Node("s=Lost", namespace="http://nobody.example/")


async def test_changes_come_when_they_happen_and_the_grid_repeats_what_is_held(
    server: OpcUaServer, tmp_path: Path
) -> None:
    async with held(server, tmp_path, reactor()) as line:
        first = await line.until_good()
        assert first.values == GOOD
        assert set(first.source_times) == {0, 1, 2}
        assert line.causes() <= {Cause.UNKNOWN, Cause.NONE}
        assert line.held == 1
        seen = len(line.scans)
        server.set(Change(PH.id, 6.5))
        await line.until(lambda: line.changes(0, since=seen)[-1:] == [6.5])
        partial = next(scan for scan in line.scans[seen:] if scan.spoke is not None)
        assert partial.spoke == frozenset({0})
        assert partial.values == (6.5, None, None)
        assert partial.source_times[0] // 10**6 == server.served[PH.id][-1].at
        assert (await line.until_good()).values == (6.5, *GOOD[1:])
        assert line.line.dropped == 0
        assert not line.losses
    assert server.counts().sessions == 0


async def test_a_server_that_is_absent_at_the_start_is_found_when_it_comes(
    absent: OpcUaServer, tmp_path: Path
) -> None:
    async with held(absent, tmp_path, reactor()) as line:
        await line.until(lambda: bool(line.losses) and Cause.LINE in line.causes())
        assert line.scans[0].cause is Cause.UNKNOWN
        assert {reading.reason for reading in line.told(0)} == {Reason.LINE_DOWN}
        absent.start()
        assert (await line.until_good()).values == GOOD


async def test_a_killed_server_makes_all_bad_at_once_and_its_namespaces_are_looked_up_anew(
    server: OpcUaServer, tmp_path: Path
) -> None:
    async with held(server, tmp_path, reactor(period=60_000)) as line:
        await line.until(lambda: line.changes(2) == ["growth"])
        seen = len(line.scans)
        server.kill()
        await line.until(lambda: len(line.scans) > seen)
        assert line.scans[seen].cause is Cause.LINE
        assert set(line.scans[seen].faults) == {0, 1, 2}
        server.manner = replace(server.manner, namespaces=(OTHER, VENDOR))
        server.nodes[PH.id] = replace(server.nodes[PH.id], value=6.25)
        server.start()
        await line.until(lambda: line.changes(0)[-1:] == [6.25])
        await line.until(lambda: line.changes(1)[-1:] == [3.0])


async def test_a_frozen_server_is_not_believed_for_longer_than_two_keep_alives(
    server: OpcUaServer, tmp_path: Path
) -> None:
    """How long is counted in points of the grid, which a busy machine makes fewer, never more."""
    async with held(server, tmp_path, reactor(period=100), **SOON) as line:
        await line.until_good()
        server.freeze()
        since, losses = now().boot, len(line.losses)
        await line.until(lambda: len(line.losses) > losses)
        after = [scan for scan in line.scans if scan.boot > since and scan.spoke is None]
        believed = list(takewhile(lambda scan: not scan.faults, after))
        assert len(believed) <= 2 * 10 + 3
        doubted = after[len(believed) :]
        assert doubted[0].cause is Cause.LINE
        assert all(scan.faults for scan in doubted)
        server.thaw()
        assert (await line.until_good()).values == GOOD
    assert server.counts().sessions_ever <= 1 + len(line.losses)


async def test_deleted_subscriptions_are_made_anew(server: OpcUaServer, tmp_path: Path) -> None:
    async with held(server, tmp_path, reactor()) as line:
        await line.until_good()
        server.drop_subscriptions()
        await line.until(lambda: bool(line.losses))
        server.set(Change(PH.id, 6.0))
        await line.until(lambda: line.changes(0)[-1:] == [6.0])
        counts = server.counts()
    assert (counts.sessions, counts.subscriptions, counts.items) == (1, 1, 3)


async def test_what_a_server_has_not_is_bad_alone_and_comes_when_it_comes(
    server: OpcUaServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = reactor(0, channel(GHOST), channel(LOST))
    async with held(server, tmp_path, wanted) as line:
        await line.until(lambda: line.changes(2) == ["growth"])
        bad = await line.until_reads(Reason.REFUSED, 3)
        assert bad.values[:3] == GOOD
        assert set(bad.faults) == {3, 4}
        assert bad.cause is Cause.NONE
        assert "the server has no such node (BadNodeIdUnknown): " in caplog.text
        assert GHOST.identifier in caplog.text
        assert f"no namespace {LOST.namespace} (the nearest that it has: {VENDOR}, " in caplog.text
        server.remove(WEIGHT.id)
        gone = await line.until_reads(Reason.REFUSED, 1)
        assert gone.values[0] == 7.0
        server.restore(WEIGHT.id)
        await line.until(lambda: line.told(1)[-1].value == 3.0)
        assert not line.losses


async def test_a_late_word_of_a_node_that_is_gone_does_not_stand(tmp_path: Path) -> None:
    with OpcUaServer(tmp_path, "asyncua", [PH]) as server:
        async with held(server, tmp_path, source([channel(PH)], period=100)) as line:
            await line.until_good()
            server.remove(PH.id)
            await line.until_reads(Reason.REFUSED)
            line.line._publish([(0, 6.0, 0, None)], 0)
            await line.until_reads(Reason.REFUSED)
            assert line.scans[-1].faults


async def test_after_lost_responses_all_is_told_anew(server: OpcUaServer, tmp_path: Path) -> None:
    async with held(server, tmp_path, reactor(0, channel(GHOST), period=100)) as line:
        await line.until(lambda: line.changes(2) == ["growth"])
        line.line._publish([(0, 9.0, 0, None)], 0)
        assert line.scans[-1].values[0] == 9.0
        line.line._publish([], 2)
        await line.until(lambda: line.changes(0)[-1:] == [7.0])
        assert line.line.dropped == 2
        assert server.counts().items == 3
        assert not line.losses


async def test_what_begins_to_be_polled_waits_for_the_next_reading(tmp_path: Path) -> None:
    with OpcUaServer(tmp_path, "asyncua", NODES, Manner(subscriptions=False)) as server:
        async with held(server, tmp_path, reactor(period=100)) as line:
            await line.until_good()
            server.freeze()
            await line.until(lambda: line.line._helds[0].busy)  # Its reading waits for the server.
            line.line._poll_from_now(line.line._items[:1])
            server.thaw()
            assert (await line.until_good()).values == GOOD
            assert not line.losses


def test_only_who_is_silent_is_looked_for_and_each_in_turn(tmp_path: Path) -> None:
    wide = source([channel(Node(f"s={number}")) for number in range(250)])
    line = Held(settings("opc.tcp://127.0.0.1:4840"), tmp_path, wide).line
    items = line._items

    def asked() -> list[int]:
        return [item.handle for item in line._silent(items)]

    assert [len(asked()) for _ in range(3)] == [100, 100, 100]
    assert asked()[:2] == [50, 51], "after two hundred and fifty it begins anew"
    for item in items[150:200]:
        item.say(7.0, 0, None)
    assert asked() == [*range(200, 250), *range(50)], "those have just spoken"
    assert asked()[0] == 50
    assert {*asked(), *asked()} >= {*range(150, 200)}, "and then were silent"


async def test_the_values_of_a_server_that_does_not_run_well_are_uncertain(
    server: OpcUaServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with held(server, tmp_path, reactor(period=100)) as line:
        await line.until_good()
        server.say_state(6)
        doubted = await line.until_reads(Reason.DEVICE_STATUS)
        assert doubted.values[0] == 7.0
        assert {fault.quality for fault in doubted.faults.values()} == {Quality.UNCERTAIN}
        assert "communication fault: its values are uncertain" in caplog.text
        server.say_state(0)
        assert (await line.until_good()).values == GOOD
        assert not line.losses


async def test_who_is_not_let_in_leaves_no_session_behind(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSWORD_OF_TEST", "wrong")
    with OpcUaServer(tmp_path, make, NODES, Manner(users={"operator": "right"})) as server:
        given = settings(
            server.endpoint,
            user="operator",
            password={"env": "PASSWORD_OF_TEST"},
            password_in_clear=True,
        )
        async with Held(given, tmp_path, reactor()) as line:
            await line.until(lambda: len(line.losses) > 2)
        assert "refuses the user operator" in line.losses[0]
        assert server.counts().sessions == 0


async def test_a_burst_arrives_whole(make: Make, tmp_path: Path) -> None:
    nodes = [Node(f"s=N{number}", 0.0) for number in range(1500)]
    channels = [channel(node) for node in nodes]
    sources = [source(channels[50 * i : 50 * i + 50], i, period=60_000) for i in range(30)]
    with OpcUaServer(tmp_path, make, nodes) as server:
        async with held(server, tmp_path, *sources, publishing="500ms") as line:
            await line.until(lambda: all(line.changes(c, s) for s in range(30) for c in range(50)))
            await asyncio.to_thread(server.set, *(Change(node.id, 1.0) for node in nodes))
            await line.until(
                lambda: all(line.changes(c, s) == [0.0, 1.0] for s in range(30) for c in range(50))
            )
            assert line.line.dropped == 0
            assert not line.losses


async def test_changes_that_queue_behind_each_other_come_in_their_order(
    tmp_path: Path,
) -> None:
    nodes = [Node(f"s=N{number}", 0.0) for number in range(30)]
    wanted = source([channel(node) for node in nodes], period=60_000)
    with OpcUaServer(tmp_path, "asyncua", nodes) as server:
        async with held(server, tmp_path, wanted, publishing="1s") as line:
            await line.until(lambda: all(line.changes(c) for c in range(30)))
            deep = [Change(node.id, float(value)) for value in range(1, 46) for node in nodes]
            await asyncio.to_thread(server.set, *deep)
            every = [float(value) for value in range(46)]
            await line.until(lambda: all(line.changes(c) == every for c in range(30)))


async def test_values_that_a_server_had_to_drop_are_counted(tmp_path: Path) -> None:
    with OpcUaServer(tmp_path, "node-opcua", [PH]) as server:
        given = settings(server.endpoint, queue=2, publishing="2s")
        async with Held(given, tmp_path, source([channel(PH)], period=100)) as line:
            await line.until_good()
            value = 0.0
            while not line.line.dropped:  # More than two between two publishings, at some time.
                value += 1
                assert value < 200
                server.set(Change(PH.id, value))
                await asyncio.sleep(0.45)
            await line.until(lambda: line.changes(0)[-1:] == [value])
            assert not line.losses


async def test_a_unit_that_the_file_contradicts_spoils_that_channel_alone(
    server: OpcUaServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = replace(channel(replace(PH, unit="Cel")), name="ph")
    async with held(server, tmp_path, source([wrong, channel(WEIGHT)], period=100)) as line:
        bad = await line.until_reads(Reason.UNIT_MISMATCH)
        assert bad.values == (None, 3.0)
        assert {reading.value for reading in line.told(0)} == {None}
    told = [record.message for record in caplog.records if "ph" in record.message]
    assert len(told) == 1
    assert "Q30" in told[0]
    assert "Cel" in told[0]


async def test_a_server_that_does_not_subscribe_is_polled(make: Make, tmp_path: Path) -> None:
    with OpcUaServer(tmp_path, make, [PH, WEIGHT, PHASE], Manner(subscriptions=False)) as server:
        async with held(server, tmp_path, reactor(0, channel(GHOST), channel(LOST))) as line:
            bad = await line.until_reads(Reason.REFUSED, 3)
            assert bad.values[:3] == GOOD
            assert bad.reading(4).reason is Reason.REFUSED
            server.set(Change(PH.id, 6.5))
            await line.until(lambda: line.changes(0)[-1:] == [6.5])
            assert line.held == 1
            assert not line.losses


async def test_what_a_server_will_not_monitor_is_polled_and_the_rest_is_not(
    tmp_path: Path,
) -> None:
    nodes = [Node(f"s=N{number}", float(number)) for number in range(12)]
    manner = Manner(items=8, items_per_call=3, reads=2)
    wanted = source([channel(node) for node in nodes], period=100)
    with OpcUaServer(tmp_path, "node-opcua", nodes, manner) as server:
        async with held(server, tmp_path, wanted) as line:
            assert (await line.until_good()).values == tuple(map(float, range(12)))
            assert server.counts().items == 8
            server.set(*(Change(node.id, 100.0) for node in nodes))
            await line.until(lambda: line.scans[-1].values == (100.0,) * 12)


async def test_a_line_that_is_to_be_polled_never_subscribes(
    server: OpcUaServer, tmp_path: Path
) -> None:
    async with held(server, tmp_path, reactor(), reading="poll", **SOON) as line:
        assert (await line.until_good()).values == GOOD
        assert server.counts().subscriptions == 0
        server.freeze()
        await line.until(lambda: bool(line.losses))
        await line.until_reads(Reason.LINE_DOWN)
        server.thaw()
        assert (await line.until_good()).values == GOOD


async def test_a_server_that_wants_to_be_silent_for_longer_is_asked_again(
    tmp_path: Path,
) -> None:
    manner = Manner(publishing=400)
    with OpcUaServer(tmp_path, "node-opcua", [PH], manner) as server:
        async with held(server, tmp_path, source([channel(PH)], period=100), **SOON) as line:
            await line.until_good()
            await line.until(lambda: line.line._session is not None)
            session = line.line._session
            assert session is not None
            assert session.keep_alive == pytest.approx(0.8)


async def test_nothing_holds_up_the_end(tmp_path: Path) -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    port = free_port()
    async with await asyncio.start_server(swallow, HOST, port):
        line = Held(settings(f"opc.tcp://{HOST}:{port}", timeout="60s"), tmp_path, reactor())
        async with line:
            await asyncio.sleep(0.3)
            started = now().boot
        assert now().boot - started < 30 * SECOND, "half of what it would wait"
    assert line.causes() == {Cause.UNKNOWN}


@pytest.mark.parametrize(
    "words",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"ACKF\xff\xff\xff\xff" + bytes(2**20),  # A part of 4 GiB.
        b"ACKF\x1c\x00\x00\x00" + b"\xff" * 20,
        b"ERRF\x10\x00\x00\x00\x00\x00\x03\x80\xff\xff\xff\xff",
        b"",
    ],
)
async def test_a_peer_that_says_anything_else_is_a_lost_line(tmp_path: Path, words: bytes) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        with contextlib.suppress(ConnectionError):
            writer.write(words)
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    port = free_port()
    async with (
        await asyncio.start_server(babble, HOST, port),
        Held(settings(f"opc.tcp://{HOST}:{port}"), tmp_path, reactor()) as line,
    ):
        await line.until(lambda: len(line.losses) > 1)


async def test_a_server_whose_keep_alive_is_too_long_is_polled(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.opcua.line.LONGEST_KEEP_ALIVE", 10.0)
    with OpcUaServer(tmp_path, "node-opcua", NODES, Manner(publishing=20_000)) as server:
        async with held(server, tmp_path, reactor()) as line:
            assert (await line.until_good()).values == GOOD
            assert server.counts().subscriptions == 0
    assert "shortest keep-alive is 40 s" in caplog.text

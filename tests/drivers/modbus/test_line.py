import asyncio
import logging
import socket
import struct
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import pytest

from config.plant import Encoding, Grouping, Register, Table
from drivers.base import LineLost
from drivers.grid import Grid
from drivers.modbus import poll
from drivers.reading import Cause, Quality, Reason, Scan
from tests.drivers.modbus.harness import Held, now, source, words
from tests.drivers.modbus.hostile import (
    Action,
    Asked,
    Behaviour,
    Close,
    Hostile,
    Reset,
    Wait,
    good,
    only_units,
    refusing,
    silent,
)
from tests.support.servers import free_port


def reasons(scan: Scan) -> list[Reason | None]:
    return [reading.reason for _, reading in scan.readings()]


async def test_a_source_is_read_in_one_request(hostile: Hostile) -> None:
    async with Held(hostile.port, source()) as held:
        before = now()
        scan = await held.read()
        after = now()

    assert scan.values == (1000.0, 1001.0, 1002.0)
    assert (scan.cause, scan.missed, dict(scan.faults)) == (Cause.NONE, 0, {})
    assert before.at <= scan.at <= after.at
    assert before.boot <= scan.boot <= after.boot
    assert hostile.asked == [Asked(1, unit=1, function=3, address=0, count=3)]
    assert held.held == 1


async def test_all_four_tables_make_one_scan(hostile: Hostile) -> None:
    registers = [
        Register(Table.INPUT, 7, Encoding.UINT16),
        Register(Table.HOLDING, 9, Encoding.UINT16),
    ]
    async with Held(hostile.port, source(0, registers)) as held:
        scan = await held.read()

    assert scan.values == (1007.0, 1009.0)
    assert {(asked.function, asked.address, asked.count) for asked in hostile.asked} == {
        (4, 7, 1),
        (3, 9, 1),
    }


@pytest.mark.parametrize(
    ("fault", "loss"),
    [
        pytest.param(lambda a: [a.frame(protocol=1)], "protocol id 0001", id="protocol id"),
        pytest.param(lambda a: [a.frame(length=2)], "length 2", id="length below all"),
        pytest.param(lambda a: [a.frame(length=255)], "length 255", id="length above all"),
        pytest.param(lambda a: [a.frame(unit=2)], "unit 2 answered", id="unit"),
        pytest.param(lambda a: [a.frame(function=4)], "function 4 in", id="function"),
        pytest.param(lambda a: [a.frame(function=0x84)], "function 132", id="other's refusal"),
        pytest.param(lambda a: [a.frame(count=4)], "6 bytes, said to be 4", id="byte count"),
        pytest.param(lambda a: [a.frame(payload=b"\0\1")], "2 bytes", id="too few registers"),
        pytest.param(lambda a: [a.frame(payload=bytes(8))], "8 bytes", id="too many registers"),
        pytest.param(lambda a: [a.frame(payload=b"")], "0 bytes", id="no registers"),
        pytest.param(lambda a: [a.frame(payload=bytes(5))], "5 bytes", id="half a register"),
        pytest.param(lambda _: [b"HTTP/1.1 400 Bad Request\r\n"], "not Modbus", id="garbage"),
        pytest.param(lambda _: [b"\xff" * 300], "not Modbus", id="noise"),
        pytest.param(lambda a: [b"\x00" + a.frame()], "length 3", id="one byte too many before"),
    ],
)
async def test_what_is_no_reply_is_never_a_value_and_ends_the_connection(
    hostile: Hostile, fault: Behaviour, loss: str
) -> None:
    hostile.script.append(fault)
    async with Held(hostile.port, source()) as held:
        scan = await held.read()
        assert scan.values == (None, None, None)
        assert set(reasons(scan)) <= {Reason.MALFORMED, Reason.TIMED_OUT}
        assert scan.cause is Cause.LINE
        await held.read_good()

    if scan.faults[0].reason is Reason.MALFORMED and loss != "length 3":
        assert loss in held.losses[0]
    assert held.scans[-1].values == (1000.0, 1001.0, 1002.0)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(lambda a: [a.frame(), a.frame()], id="twice"),
        pytest.param(lambda a: [a.frame() + a.frame()], id="twice in one segment"),
        pytest.param(lambda a: [a.frame(tid=a.tid ^ 0x55) + a.frame()], id="a foreign one first"),
        pytest.param(lambda a: [a.frame() + a.frame()[:7]], id="and part of another"),
        pytest.param(
            lambda a: [a.frame()[i : i + 1] for i in range(len(a.frame()))], id="byte by byte"
        ),
        pytest.param(lambda a: [a.frame()[:8], Wait(0.01), a.frame()[8:]], id="in two halves"),
    ],
)
async def test_a_reply_that_comes_in_an_odd_way_is_good(hostile: Hostile, fault: Behaviour) -> None:
    hostile.script.append(fault)
    async with Held(hostile.port, source(), source(1, words(9))) as held:
        first = await held.read()
        assert first.values == (1000.0, 1001.0, 1002.0)
        await held.read_good(1)


async def test_a_late_reply_is_not_the_next_value(hostile: Hostile) -> None:
    def late(asked: Asked) -> Sequence[Action]:
        return [hostile.asked[0].frame(), asked.frame()]

    hostile.script.extend([silent, late])
    async with Held(hostile.port, source(), source(1, words(50), unit=2)) as held:
        held.visit(0)
        second = await held.read(1)
        assert second.values == (2050.0,)
        assert reasons(held.scans[0]) == [Reason.TIMED_OUT] * 3
        await held.read_good(0)

    assert hostile.connections == 1
    assert held.line._framer.late == 1


async def test_drip_does_not_outlast_the_deadline(hostile: Hostile) -> None:
    def drip(asked: Asked) -> Sequence[Action]:
        return [action for byte in asked.frame() for action in (Wait(0.02), bytes((byte,)))]

    hostile.script.append(drip)
    async with Held(hostile.port, source()) as held:
        scan = await held.read()
        assert reasons(scan) == [Reason.TIMED_OUT] * 3


@pytest.mark.parametrize("end", [Close(), Reset()])
@pytest.mark.parametrize("given", [0, 5, 10])
async def test_a_connection_that_breaks_fails_what_waits_at_once_and_comes_back(
    hostile: Hostile, given: int, end: Action
) -> None:
    hostile.script.append(lambda asked: [asked.frame()[:given], end])
    slow = source(timeout=4000)
    async with Held(hostile.port, slow, source(1, unit=2, timeout=4000)) as held:
        held.visit(1)
        scan = await asyncio.wait_for(held.read(0), 1)
        assert reasons(scan) == [Reason.LINE_DOWN] * 3
        assert [scan.cause for scan in held.scans] == [Cause.LINE] * 2
        await held.read_good(0)
        await held.read_good(1)

    assert len(held.losses) == 1
    assert hostile.connections == 2


async def test_a_server_that_closes_after_each_reply_is_read_all_the_same(hostile: Hostile) -> None:
    hostile.usual = lambda asked: [asked.frame(), Close()]
    async with Held(hostile.port, source()) as held:
        for _ in range(3):
            await held.read_good()
            await held.until(lambda: held.line._transport is None)
            await held.until(lambda: held.line._transport is not None)

    assert held.held >= 3


async def test_while_refused_every_grid_point_has_its_bad_scan() -> None:
    async with Hostile() as server:
        port = server.port
    async with Held(port, source(), source(1)) as held:
        for index in (0, 1, 0):
            scan = await held.read(index)
            assert (reasons(scan), scan.cause) == ([Reason.LINE_DOWN] * 3, Cause.LINE)
        assert held.losses[0] == f"no connection to 127.0.0.1:{port}: Connection refused"
        server.port = port
        await server.listen()
        await held.read_good()
    await server.stop()


async def test_a_connection_limit_is_no_held_line(hostile: Hostile) -> None:
    hostile.most = 0
    async with Held(hostile.port, source()) as held:
        await held.until(lambda: len(held.losses) > 2)
        assert held.held == 0
        hostile.most = 1
        await held.read_good()
        assert held.held == 1


async def test_a_server_that_resets_what_it_takes_is_a_lost_line_each_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        reset = struct.pack("ii", 1, 0)

        def take() -> None:
            connection, _ = listener.accept()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            connection.close()

        listener.setblocking(False)
        asyncio.get_running_loop().add_reader(listener, take)
        async with Held(port, source()) as held:
            await held.until(lambda: len(held.losses) > 10)
            assert reasons(await held.read()) == [Reason.LINE_DOWN] * 3
        asyncio.get_running_loop().remove_reader(listener)
    assert held.held == 0


async def test_a_server_that_never_answers_is_a_lost_line(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poll, "LONGEST_REST", 0.02)
    hostile.usual = silent
    async with Held(hostile.port, source(timeout=10)) as held:
        while not held.losses:
            scan = await held.read()
            assert scan.cause is Cause.LINE
            await asyncio.sleep(0.002)
        assert "no answer from any unit" in held.losses[0]
        assert held.held == 0
        hostile.usual = good
        await held.read_good()


async def test_half_open_is_noticed_by_silence(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poll, "LONGEST_REST", 0.02)
    async with Held(hostile.port, source(timeout=10), source(1, unit=2, timeout=10)) as held:
        await held.read_good(0)
        await held.read_good(1)
        hostile.usual = silent
        causes = set()
        while not held.losses:
            causes.add((await held.read(0)).cause)
            causes.add((await held.read(1)).cause)
            await asyncio.sleep(0.002)
        assert Cause.SOURCE in causes
        hostile.usual = good
        await held.read_good(0)
        await held.read_good(1)


async def test_a_silent_unit_backs_off_alone(
    hostile: Hostile, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "drivers.modbus.line")
    hostile.usual = only_units(1)
    well, ill = source(0), source(1, unit=2)
    async with Held(hostile.port, well, ill) as held:
        await held.read_good(0)
        scans = []
        for _ in range(40):
            scans.append(await held.read(1))
            assert not (await held.read(0)).faults
            await asyncio.sleep(0.005)
        probes = [asked for asked in hostile.asked if asked.unit == 2]
        assert 1 < len(probes) < 10
        assert {scan.cause for scan in scans} == {Cause.SOURCE}
        assert {reason for scan in scans for reason in reasons(scan)} == {
            Reason.TIMED_OUT,
            Reason.BACKING_OFF,
        }
        hostile.usual = good
        await held.read_good(1)

    assert hostile.connections == 1
    assert [record.message for record in caplog.records] == [
        "line: unit 2 does not answer (timed_out)",
        "line: unit 2 answers again",
    ]


async def test_a_silent_unit_leaves_the_others_on_their_period(hostile: Hostile) -> None:
    hostile.usual = only_units(1)
    well, ill = source(0, period=40, timeout=40), source(1, unit=2, period=40, timeout=40)
    async with Held(hostile.port, well, ill) as held:
        await held.read_good(0)
        grid = Grid(now, slot=10 * 10**6)
        for given in (well, ill):
            grid.add(given.period, given.key, partial(held.visit, given.index))
        running = asyncio.create_task(grid.run())
        await held.until(lambda: held.visits[0] >= 30)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await held.until(lambda: not any(poll.busy for poll in held.line._polls.values()))

        mine = [scan for scan in held.scans if scan.source == 0]
        assert not any(scan.faults for scan in mine)
        # What the loop itself was too late for is nobody's fault.
        assert sum(scan.missed for scan in mine) - grid.punctuality().skipped <= 10
        assert {scan.cause for scan in held.scans if scan.source == 1} == {Cause.SOURCE}


async def test_a_slow_unit_that_once_was_late_is_given_its_whole_time_again(
    hostile: Hostile,
) -> None:
    def slow(asked: Asked) -> Sequence[Action]:
        return [Wait(0.05), asked.frame()] if asked.unit == 2 else good(asked)

    hostile.usual = slow
    hostile.script.append(lambda asked: [Wait(0.4), asked.frame()])
    quick, late = source(0, period=40), source(1, unit=2, timeout=100, period=40)
    async with Held(hostile.port, quick, late) as held:
        assert reasons(await held.read(1)) == [Reason.TIMED_OUT] * 3
        await held.read_good(0)
        await held.read_good(1)


@pytest.mark.parametrize("code", [1, 2, 3, 4, 7, 99])
async def test_a_refused_register_is_a_bad_reading_of_that_channel_alone(
    hostile: Hostile, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    hostile.usual = refusing(code, 5)
    registers = words(*range(10))
    async with Held(hostile.port, source(0, registers)) as held:
        scan = await held.read()
        assert dict(scan.faults) == {5: (Quality.BAD, Reason.REFUSED)}
        assert scan.cause is Cause.NONE
        first = len(hostile.asked)
        assert first <= 10
        assert dict((await held.read()).faults) == {5: (Quality.BAD, Reason.REFUSED)}
        assert len(hostile.asked) - first <= 4, "what was learned is kept"

    assert len(caplog.records) == 1
    assert f"unit 1 refuses holding 5 (exception {code})" in caplog.text


async def test_a_register_that_is_there_again_is_read_again(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poll, "LONGEST_REST", 0.02)
    monkeypatch.setattr(poll, "REPLAN", 0.02)
    hostile.usual = refusing(2, 1)
    async with Held(hostile.port, source()) as held:
        assert list((await held.read()).faults) == [1]
        hostile.usual = good
        await held.read_good()
        await asyncio.sleep(0.02)
        before = len(hostile.asked)
        await held.read_good()
        assert len(hostile.asked) == before + 1, "in one request again"


async def test_a_unit_that_refuses_everything_is_not_asked_one_by_one_for_ever(
    hostile: Hostile,
) -> None:
    hostile.usual = refusing(2)
    async with Held(hostile.port, source(0, words(*range(16)))) as held:
        scan = await held.read()
        assert reasons(scan) == [Reason.REFUSED] * 16
        assert scan.cause is Cause.NONE
        first = len(hostile.asked)
        for _ in range(5):
            assert reasons(await held.read()) == [Reason.REFUSED] * 16
        assert len(hostile.asked) == first


async def test_a_refusal_is_told_once_however_often_it_is_met(
    hostile: Hostile, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poll, "rest", lambda *_: 0.0)
    hostile.usual = refusing(2)
    with caplog.at_level(logging.WARNING):
        async with Held(hostile.port, source(0, words(0, 1))) as held:
            for _ in range(5):
                assert reasons(await held.read()) == [Reason.REFUSED] * 2
    told = [record.getMessage() for record in caplog.records if "refuses" in record.getMessage()]
    assert len(told) == len(set(told)) > 0


async def test_an_exact_block_is_never_halved(hostile: Hostile) -> None:
    hostile.usual = refusing(2, 1)
    grouping = Grouping(exact=((Table.HOLDING, 0, 3),))
    async with Held(hostile.port, source(grouping=grouping)) as held:
        assert reasons(await held.read()) == [Reason.REFUSED] * 3
    assert {(asked.address, asked.count) for asked in hostile.asked} == {(0, 3)}


@pytest.mark.parametrize("code", [5, 6])
async def test_a_busy_unit_is_busy_and_is_asked_again_next_time(
    hostile: Hostile, code: int
) -> None:
    hostile.script.append(refusing(code))
    async with Held(hostile.port, source()) as held:
        scan = await held.read()
        assert (reasons(scan), scan.cause) == ([Reason.BUSY] * 3, Cause.SOURCE)
        assert not (await held.read()).faults


@pytest.mark.parametrize("code", [10, 11])
async def test_a_gateway_that_finds_nobody_means_a_silent_unit(hostile: Hostile, code: int) -> None:
    hostile.script.append(refusing(code))
    async with Held(hostile.port, source(), source(1, unit=2)) as held:
        scan = await held.read(0)
        assert (reasons(scan), scan.cause) == ([Reason.BUSY] * 3, Cause.SOURCE)
        assert reasons(await held.read(0)) == [Reason.BACKING_OFF] * 3
        assert not (await held.read(1)).faults
        await held.read_good(0)


async def test_what_was_read_before_the_silence_is_good(hostile: Hostile) -> None:
    hostile.script.extend([good, silent])
    registers = words(0, 500)
    async with Held(hostile.port, source(0, registers)) as held:
        scan = await held.read()
        assert scan.values == (1000.0, None)
        assert (dict(scan.faults), scan.cause) == (
            {1: (Quality.BAD, Reason.TIMED_OUT)},
            Cause.NONE,
        )


async def test_a_block_that_is_never_answered_does_not_silence_its_unit(hostile: Hostile) -> None:
    hostile.usual = lambda asked: [] if asked.address == 0 else good(asked)
    registers = words(0, 500)
    async with Held(
        hostile.port, source(0, registers, period=20), source(1, words(9), unit=2)
    ) as held:
        await held.read_good(1)
        scans: list[Scan] = []
        while not any(scan.values == (None, 1500.0) for scan in scans):
            scans.append(await held.read(0))
            await asyncio.sleep(0.005)
        assert (await held.read(0)).values == (None, 1500.0)
    assert hostile.connections == 1


async def test_an_overrun_is_skipped_and_counted(hostile: Hostile) -> None:
    hostile.script.append(lambda asked: [Wait(0.03), asked.frame()])
    async with Held(hostile.port, source(timeout=500)) as held:
        for _ in range(3):
            held.visit()
        await held.until(lambda: bool(held.scans))
        assert [scan.missed for scan in held.scans] == [2]
        assert (await held.read()).missed == 0


async def test_the_pause_is_kept_between_requests(hostile: Hostile) -> None:
    registers = words(0, 500)
    times: list[float] = []

    def note(asked: Asked) -> Sequence[Action]:
        times.append(asyncio.get_running_loop().time())
        return good(asked)

    hostile.usual = note
    async with Held(hostile.port, source(0, registers), source(1), pause=15) as held:
        held.visit(1)
        await held.read_good(0)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert len(gaps) == 2
    assert min(gaps) >= 0.014


@pytest.mark.parametrize("answers", [silent, good])
async def test_cancelled_it_lets_go_at_once(hostile: Hostile, answers: Behaviour) -> None:
    hostile.usual = answers
    held = Held(hostile.port, source(timeout=60_000))
    async with asyncio.timeout(30):
        async with held:
            held.visit()
            if answers is good:
                await held.until(lambda: bool(held.scans))
    assert held.line._transport is None
    assert len(held.scans) == 1


async def test_a_name_that_nobody_knows_is_a_lost_line() -> None:
    held = Held(1, source())
    modbus = held.line._settings.modbus.model_copy(update={"host": "no-such-host.invalid"})
    held.line._resolver._literal = False
    held.line._resolver._known = []
    held.line._resolver._host = modbus.host
    with pytest.raises(LineLost, match=r"no-such-host\.invalid could not be resolved"):
        await held.line.hold(lambda: None)


CHAOS: list[Callable[[Asked], Sequence[Action]]] = [
    good,
    silent,
    lambda a: [a.frame(unit=9)],
    lambda a: [a.frame(tid=a.tid - 1)],
    lambda a: [a.frame(payload=a.payload + b"\0\0")],
    lambda a: [a.frame()[:9], Reset()],
    lambda a: [a.frame(), a.frame()],
    lambda a: [a.exception(2)],
    lambda a: [a.exception(6)],
    lambda a: [a.exception(11)],
    lambda _: [b"garbage everywhere"],
    lambda a: [Wait(0.03), a.frame()],
    lambda a: [a.frame(), Close()],
]


async def test_chaos_on_one_line_leaves_the_next_line_alone(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every fault in turn; each exit of ``Held`` checks one scan per point and no wrong value."""
    monkeypatch.setattr(poll, "LONGEST_REST", 0.02)
    ill = [source(index, words(0, 1, 300), unit=index + 1, timeout=20) for index in range(3)]
    async with (
        Hostile() as calm,
        Held(hostile.port, *ill) as held,
        Held(calm.port, source()) as other,
    ):
        for turn in range(80):
            hostile.script.append(CHAOS[turn % len(CHAOS)])
            for given in ill:
                held.visit(given.index)
            assert not (await other.read()).faults
            await asyncio.sleep(0.004)
        hostile.script.clear()
        for given in ill:
            await held.read_good(given.index)


async def test_before_the_first_try_to_connect_has_ended_nobody_is_to_blame() -> None:
    held = Held(free_port(), source())
    held.visit()
    async with held:
        await held.until(lambda: bool(held.losses))
        held.visit()

    assert [scan.cause for scan in held.scans] == [Cause.UNKNOWN, Cause.LINE]
    assert {reason for scan in held.scans for reason in reasons(scan)} == {Reason.LINE_DOWN}

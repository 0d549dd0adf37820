"""RTU framing over TCP, where nothing in a reply tells which request it answers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from config.plant import Encoding, Register, Table
from drivers.modbus.frame import Malformed, Refused, Request, RtuFramer, crc16
from drivers.reading import Cause, Reason
from tests.drivers.modbus.harness import Held, source, words
from tests.drivers.modbus.hostile import Action, Asked, Behaviour, HostileBus, Wait, silent

GMP252 = Request(0xF0, Table.HOLDING, 0, 2)
REPLY = bytes.fromhex("F0 03 04 D47A 43E8 33AB")


def good(asked: Asked) -> Sequence[Action]:
    return [asked.rtu()]


@pytest_asyncio.fixture
async def bus() -> AsyncIterator[HostileBus]:
    async with HostileBus(good) as server:
        yield server


def asked(request: Request = GMP252) -> RtuFramer:
    framer = RtuFramer()
    framer.ask(framer.prepare(request))
    return framer


@pytest.mark.parametrize(
    ("request_", "sent", "reply", "payload"),
    [
        (GMP252, "F0 03 0000 0002 D12A", "F0 03 04 D47A43E8 33AB", "D47A43E8"),
        (
            Request(2, Table.HOLDING, 1, 2),
            "02 03 0001 0002 95F8",
            "02 03 04 00B200D8 694E",
            "00B200D8",
        ),
    ],
)
def test_frames_of_real_instruments(request_: Request, sent: str, reply: str, payload: str) -> None:
    framer = RtuFramer()
    assert framer.ask(framer.prepare(request_)) == bytes.fromhex(sent)
    assert framer.feed(bytes.fromhex(reply)) == bytes.fromhex(payload)


@given(st.sets(st.integers(0, len(REPLY))))
def test_any_segmentation_gives_the_same_answer(cuts: set[int]) -> None:
    framer = asked()
    edges = sorted({0, len(REPLY)} | cuts)
    answers = [framer.feed(REPLY[a:b]) for a, b in pairwise(edges)]
    assert answers[-1] == REPLY[3:-2]
    assert not any(answers[:-1])


@given(st.integers(0, 8 * len(REPLY) - 1))
def test_no_flipped_bit_becomes_a_value(bit: int) -> None:
    flipped = (int.from_bytes(REPLY, "big") ^ 1 << bit).to_bytes(len(REPLY), "big")
    try:
        assert asked().feed(flipped) is None
    except Malformed:
        return


def test_an_exception_is_a_refusal() -> None:
    body = bytes.fromhex("F0 83 02")
    assert asked().feed(body + crc16(body)) == Refused(2)


@pytest.mark.parametrize("body", ["F1 03 04 D47A43E8", "F0 04 04 D47A43E8", "F0 03 02 D47A"])
def test_what_answers_another_request_is_malformed(body: str) -> None:
    frame = bytes.fromhex(body)
    with pytest.raises(Malformed):
        asked().feed(frame + crc16(frame))


def test_what_comes_unasked_is_discarded() -> None:
    framer = asked()
    framer.give_up()
    assert framer.feed(REPLY) is None
    assert (framer.late, framer.late_unit) == (1, 0xF0)


async def test_a_bus_is_read(bus: HostileBus) -> None:
    registers = [*words(0, 1), Register(Table.INPUT, 7, Encoding.UINT16)]
    async with Held(bus.port, source(0, registers), framing="rtu-over-tcp") as held:
        assert (await held.read()).values == (1000.0, 1001.0, 1007.0)


async def test_a_late_reply_is_not_the_next_value_though_it_looks_like_it(bus: HostileBus) -> None:
    """Same unit, same count, sound CRC: only the silence tells them apart."""
    bus.script.append(lambda asked: [Wait(0.09), asked.rtu()])
    first, second = source(0, words(0), timeout=60), source(1, words(50), timeout=60)
    async with Held(bus.port, first, second, framing="rtu-over-tcp") as held:
        held.visit(0)
        await held.read_good(1)
        await held.read_good(0)
        assert held.line._framer.late == 1
    assert bus.connections == 1


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(lambda a: [a.rtu()[:-1] + b"\x00"], id="CRC"),
        pytest.param(lambda a: [b"\x00" + a.rtu()], id="noise before"),
        pytest.param(lambda a: [a.rtu() + b"\x00"], id="noise after"),
        pytest.param(lambda _: [b"garbage " * 40], id="garbage"),
    ],
)
async def test_noise_is_a_bad_reading_and_no_lost_line(bus: HostileBus, fault: Behaviour) -> None:
    bus.script.append(fault)
    async with Held(bus.port, source(), source(1, unit=2), framing="rtu-over-tcp") as held:
        scan = await held.read()
        assert {reading.reason for _, reading in scan.readings()} <= {
            Reason.MALFORMED,
            Reason.TIMED_OUT,
        }
        assert not (await held.read(1)).faults
        await held.read_good()
    assert bus.connections == 1


async def test_a_silent_unit_leaves_the_bus_to_the_others(bus: HostileBus) -> None:
    bus.usual = lambda asked: silent(asked) if asked.unit == 2 else good(asked)
    async with Held(bus.port, source(), source(1, unit=2), framing="rtu-over-tcp") as held:
        await held.read_good()
        for _ in range(10):
            assert (await held.read(1)).cause is Cause.SOURCE
            assert not (await held.read()).faults
            await asyncio.sleep(0.005)
    assert bus.connections == 1

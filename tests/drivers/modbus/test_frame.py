import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.plant import Table
from drivers.modbus.frame import Malformed, Refused, Request, TcpFramer

REQUEST = Request(1, Table.HOLDING, 0x10, 2)
REPLY = bytes.fromhex("0001 0000 0007 01 03 04 43E8 D47A")


def asked(request: Request = REQUEST) -> TcpFramer:
    framer = TcpFramer()
    framer.ask(framer.prepare(request))
    return framer


@pytest.mark.parametrize(
    ("table", "address", "count", "wire"),
    [
        (Table.COIL, 0x13, 0x25, "0001 0000 0006 11 01 0013 0025"),
        (Table.DISCRETE, 0xC4, 0x16, "0001 0000 0006 11 02 00C4 0016"),
        (Table.HOLDING, 0x6B, 3, "0001 0000 0006 11 03 006B 0003"),
        (Table.INPUT, 8, 1, "0001 0000 0006 11 04 0008 0001"),
        (Table.HOLDING, 0xFFFF, 1, "0001 0000 0006 11 03 FFFF 0001"),
    ],
)
def test_requests_are_those_of_the_specification(
    table: Table, address: int, count: int, wire: str
) -> None:
    framer = TcpFramer()
    prepared = framer.prepare(Request(0x11, table, address, count))
    assert framer.ask(prepared) == bytes.fromhex(wire)


@pytest.mark.parametrize(
    ("table", "count", "body", "payload"),
    [
        (Table.COIL, 0x25, "11 01 05 CD6BB20E1B", "CD6BB20E1B"),
        (Table.DISCRETE, 0x16, "11 02 03 ACDB35", "ACDB35"),
        (Table.HOLDING, 3, "11 03 06 022B00000064", "022B00000064"),
        (Table.INPUT, 1, "11 04 02 000A", "000A"),
    ],
)
def test_replies_are_those_of_the_specification(
    table: Table, count: int, body: str, payload: str
) -> None:
    framer = asked(Request(0x11, table, 0, count))
    frame = bytes.fromhex(body)
    head = bytes((0, 1, 0, 0, 0, len(frame)))
    assert framer.feed(head + frame) == bytes.fromhex(payload)


def test_each_request_has_a_number_of_its_own_and_never_zero() -> None:
    framer = TcpFramer()
    prepared = framer.prepare(REQUEST)
    numbers = [framer.ask(prepared)[:2] for _ in range(0x10000)]
    assert len(set(numbers[:-1])) == 0xFFFF
    assert numbers[0] == numbers[-1] == b"\x00\x01"


@pytest.mark.parametrize("code", [1, 2, 6, 11, 200])
def test_an_exception_is_a_refusal(code: int) -> None:
    frame = bytes.fromhex("0001 0000 0003 01 83") + bytes((code,))
    assert asked().feed(frame) == Refused(code)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ("0001 0001 0007 01 03 04 43E8D47A", "protocol id 0001"),
        ("0001 0100", "protocol id 01"),
        ("0001 0000 0002 01 03", "length 2"),
        ("0001 0000 00FF 01 03", "length 255"),
        ("0001 0000 FFFF", "length 65535"),
        ("0001 0000 0007 02 03 04 43E8D47A", "unit 2 answered a request to unit 1"),
        ("0001 0000 0007 01 04 04 43E8D47A", "function 4 in the reply to function 3"),
        ("0001 0000 0003 01 84 02", "function 132"),
        ("0001 0000 0003 02 83 02", "unit 2"),
        ("0001 0000 0004 01 83 02 00", "function 131"),
        ("0001 0000 0007 01 03 02 43E8D47A", "4 bytes, said to be 2"),
        ("0001 0000 0007 01 03 05 43E8D47A", "4 bytes, said to be 5"),
        ("0001 0000 0005 01 03 02 43E8", "2 bytes"),
        ("0001 0000 0009 01 03 06 43E8D47A0000", "6 bytes"),
        ("0001 0000 0003 01 03 00", "0 bytes"),
    ],
)
@pytest.mark.parametrize("bytewise", [False, True])
def test_what_does_not_fit_its_request_is_malformed(frame: str, words: str, bytewise: bool) -> None:
    framer = asked()
    data = bytes.fromhex(frame)
    pieces = [data[i : i + 1] for i in range(len(data))] if bytewise else [data]
    with pytest.raises(Malformed, match=words):
        assert not any(framer.feed(piece) for piece in pieces)


def test_late_and_foreign_replies_are_skipped_and_counted() -> None:
    framer = asked()
    framer.give_up()
    framer.ask(framer.prepare(Request(1, Table.HOLDING, 0x20, 2)))
    assert framer.feed(REPLY) is None
    assert (framer.late, framer.late_unit) == (1, 1)
    assert framer.feed(b"\x00\x02" + REPLY[2:]) == REPLY[9:]


def test_without_a_question_there_is_no_answer() -> None:
    framer = TcpFramer()
    assert framer.feed(REPLY) is None
    assert framer.feed(b"\x00\x00" + REPLY[2:]) is None
    asking = asked()
    assert asking.feed(REPLY) == REPLY[9:]
    assert asking.feed(REPLY) is None
    assert asking.late == 1


@given(
    requests=st.lists(
        st.tuples(st.sampled_from(Table), st.integers(1, 247), st.integers(1, 125)),
        min_size=1,
        max_size=4,
    ),
    before=st.lists(st.integers(1000, 65535), max_size=3),
    data=st.data(),
)
def test_any_segmentation_gives_the_same_answers(
    requests: list[tuple[Table, int, int]], before: list[int], data: st.DataObject
) -> None:
    framer = TcpFramer()
    for table, unit, count in requests:
        request = Request(unit, table, 0, count)
        sent = framer.ask(framer.prepare(request))
        payload = data.draw(st.binary(min_size=request.payload, max_size=request.payload))
        reply = frame(sent[:2], request, payload)
        foreign = b"".join(frame(tid.to_bytes(2, "big"), request, payload) for tid in before)
        stream = foreign + reply
        cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=6)))
        pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
        answers = [framer.feed(piece) for piece in pieces]
        assert [answer for answer in answers if answer is not None] == [payload]
    assert framer.late == len(before) * len(requests)


@given(st.binary(max_size=300))
def test_noise_is_never_an_answer(noise: bytes) -> None:
    framer = asked()
    try:
        answer = framer.feed(noise)
    except Malformed:
        return
    honest = (b"\x00\x01\x00\x00\x00\x07\x01\x03\x04", b"\x00\x01\x00\x00\x00\x03\x01\x83")
    assert answer is None or noise.startswith(honest) or framer.late


def frame(tid: bytes, request: Request, payload: bytes) -> bytes:
    body = request.reply_head + payload
    return tid + b"\x00\x00" + len(body).to_bytes(2, "big") + body

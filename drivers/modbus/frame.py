"""Modbus frames without I/O: a request to bytes, and bytes to the answer to that request.

One request is under way at a time. A framer is asked for the bytes of a request (``ask``) and is
fed what arrives (``feed``), in any pieces, until it gives the answer. Every field of a reply is
checked against its request, so what does not fit can never become a value: on Modbus TCP a reply
to an earlier request is skipped by its transaction id, all else that is wrong is ``Malformed``.

Sources: MODBUS Application Protocol 1.1b3; MODBUS Messaging on TCP/IP 1.0b, section 3.1.3;
MODBUS over Serial Line 1.02, section 2.5.1.
"""

from dataclasses import dataclass
from typing import NamedTuple

from config.plant import Table

FUNCTIONS = {Table.COIL: 1, Table.DISCRETE: 2, Table.HOLDING: 3, Table.INPUT: 4}
"""The function code that reads each table."""
EXCEPTION = 0x80
PREFIX = 6
"""Bytes of a TCP frame before those that its length field counts."""
SHORTEST, LONGEST = 3, 254
"""What the length field of a reply may say: unit, function, 1 to 252 bytes."""
CRC = 2
REFUSAL_RTU = 5
"""Bytes of an RTU exception: unit, function, code, CRC."""


class Malformed(Exception):  # noqa: N818 - said of a frame, in the words of the specification
    """What arrived is no reply to the request; nothing that follows it can be believed either."""


class Refused(NamedTuple):
    """The server answered with an exception."""

    code: int


Answer = bytes | Refused
"""The registers or bits asked for, exactly as many, as they came; or the refusal."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a unit."""

    unit: int
    table: Table
    address: int
    """On the wire, zero-based."""
    count: int
    """Registers, or bits."""

    @property
    def payload(self) -> int:
        """How many bytes the answer has."""
        if self.table in {Table.COIL, Table.DISCRETE}:
            return (self.count + 7) // 8
        return 2 * self.count

    @property
    def pdu(self) -> bytes:
        """Unit, function, address and count: what both framings send."""
        fields = (self.address.to_bytes(2, "big"), self.count.to_bytes(2, "big"))
        return bytes((self.unit, FUNCTIONS[self.table])) + b"".join(fields)

    @property
    def reply_head(self) -> bytes:
        """What a good reply begins with in both framings: unit, function, byte count."""
        return bytes((self.unit, FUNCTIONS[self.table], self.payload))


class Prepared(NamedTuple):
    """A request with everything made once that is the same at each poll."""

    sent: bytes
    """The frame (TCP: all that follows the transaction id)."""
    head: bytes
    """How the good reply begins (TCP: after the transaction id)."""
    size: int
    """How long the good reply is, all in all."""


class TcpFramer:
    """Frames of Modbus TCP on one connection."""

    __slots__ = ("_awaited", "_buffer", "_head", "_number", "_size", "late", "late_unit")

    numbered = True
    """A reply tells which request it answers, so a late one is known as such."""

    def __init__(self) -> None:
        self._number = 0
        self._awaited: bytes | None = None
        self._head = b""
        self._size = 0
        self._buffer = b""
        self.late = 0
        """Replies skipped because they answered no request that was under way."""
        self.late_unit = 0
        """The unit that sent the last of them."""

    @staticmethod
    def prepare(request: Request) -> Prepared:
        """Return what of the request's frames is the same each time."""
        reply = request.reply_head
        length = len(reply) + request.payload
        head = b"\x00\x00" + length.to_bytes(2, "big") + reply
        return Prepared(b"\x00\x00\x00\x06" + request.pdu, head, PREFIX + length)

    def ask(self, request: Prepared) -> bytes:
        """Return the bytes to send; from now on the answer to this request is awaited."""
        self._number = number = self._number % 0xFFFF + 1
        self._awaited = transaction = number.to_bytes(2, "big")
        self._head = transaction + request.head
        self._size = request.size
        return transaction + request.sent

    def give_up(self) -> None:
        """Await no answer any more: should it come, it is late."""
        self._awaited = None
        self._size = 0

    def feed(self, data: bytes) -> Answer | None:
        """Take bytes; return the answer as soon as it is whole.

        Raises Malformed.
        """
        if len(data) == self._size and data.startswith(self._head) and not self._buffer:
            self._awaited = None
            self._size = 0
            return data[9:]
        self._buffer += data
        while frame := self._take():
            if frame[:2] == self._awaited:
                return self._answer(frame)
            self.late += 1
            self.late_unit = frame[PREFIX]
        return None

    def _take(self) -> bytes:
        """Take one whole frame out of the buffer; empty when there is none yet."""
        buffer = self._buffer
        if buffer[2:4].strip(b"\x00"):
            raise Malformed(f"a frame with protocol id {buffer[2:4].hex()} is not Modbus")
        if len(buffer) < PREFIX:
            return b""
        length = int.from_bytes(buffer[4:PREFIX], "big")
        if not SHORTEST <= length <= LONGEST:
            raise Malformed(f"a frame of length {length}; Modbus allows {SHORTEST} to {LONGEST}")
        end = PREFIX + length
        if len(buffer) < end:
            return b""
        self._buffer = buffer[end:]
        return buffer[:end]

    def _answer(self, frame: bytes) -> Answer:
        head, size = self._head, self._size
        self.give_up()
        return _judge(frame[PREFIX:], head[PREFIX:], size - PREFIX)


class RtuFramer:
    """Frames of Modbus RTU, as some gateways take them over TCP.

    Nothing in a reply tells which request it answers. So whoever uses this must keep silent after
    a time-out or a ``Malformed`` until nothing can be under way any more.
    """

    __slots__ = ("_buffer", "_head", "_size", "late", "late_unit")

    numbered = False
    """A late reply looks like one to the next request."""

    def __init__(self) -> None:
        self._head = b""
        self._size = 0
        self._buffer = b""
        self.late = 0
        """Pieces that arrived while no request was under way."""
        self.late_unit = 0
        """The unit that sent the last of them, if that was the beginning of a reply."""

    @staticmethod
    def prepare(request: Request) -> Prepared:
        """Return what of the request's frames is the same each time: all of it."""
        head = request.reply_head
        pdu = request.pdu
        return Prepared(pdu + crc16(pdu), head, len(head) + request.payload + CRC)

    def ask(self, request: Prepared) -> bytes:
        """Return the bytes to send; from now on the answer to this request is awaited."""
        self._buffer = b""
        self._head = request.head
        self._size = request.size
        return request.sent

    def give_up(self) -> None:
        """Await no answer any more, and forget what came of it."""
        self._buffer = b""
        self._size = 0

    def feed(self, data: bytes) -> Answer | None:
        """Take bytes; return the answer as soon as it is whole.

        Raises Malformed.
        """
        if not self._size:
            self.late += 1
            self.late_unit = data[0] if data else 0
            return None
        self._buffer += data
        frame = self._buffer
        if len(frame) < REFUSAL_RTU:
            return None
        size = REFUSAL_RTU if frame[1] == self._head[1] | EXCEPTION else self._size
        if len(frame) < size and frame.startswith(self._head):
            return None
        return self._answer(frame)

    def _answer(self, frame: bytes) -> Answer:
        head, size = self._head, self._size
        self.give_up()
        if crc16(frame[:-CRC]) != frame[-CRC:]:
            raise Malformed(f"{len(frame)} bytes that are no reply: the CRC is wrong")
        return _judge(frame[:-CRC], head, size - CRC)


Framer = TcpFramer | RtuFramer


def _crc_of(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0xA001 if byte & 1 else 0)
    return byte


_CRC_TABLE = tuple(map(_crc_of, range(256)))


def crc16(data: bytes) -> bytes:
    """Return the check of an RTU frame, as it is sent (low byte first)."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "little")


def _judge(body: bytes, head: bytes, size: int) -> Answer:
    """Return the answer in ``body`` (from the unit on, without CRC); raises Malformed."""
    if len(body) == size and body.startswith(head):
        return body[3:]
    unit, function = head[:2]
    if body[0] != unit:
        raise Malformed(f"unit {body[0]} answered a request to unit {unit}")
    if body[1] == function | EXCEPTION and len(body) == SHORTEST:
        return Refused(body[2])
    if body[1] != function:
        raise Malformed(f"function {body[1]} in the reply to function {function}")
    said = f"{len(body) - 3} bytes, said to be {body[2]}" if len(body) > 2 else "nothing"  # noqa: PLR2004 - as far as the byte count
    raise Malformed(f"the reply holds {said}, asked were {size - 3}")

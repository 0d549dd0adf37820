"""What a data value means: value, StatusCode and time to a reading. Pure.

The two highest bits of a StatusCode are its grade (OPC 10000-4, 7.39): 00 good, 01 uncertain, 10
and 11 bad. Below them lies why, in the upper half; the lower half holds bits about the value.
"""

from datetime import UTC, datetime
from math import isfinite

from config.plant import Channel, ChannelType, Meaning, Node
from drivers.meaning import bad, counted, in_range, named, scaled, single, state
from drivers.reading import Fault, Quality, Reason, Value

GOOD = 0
CODE = 0xFFFF0000
"""The bits of a StatusCode that say what is the matter."""
OVERFLOW = 0x480
"""The info bits (DataValue, Overflow) by which the server says that it dropped values before."""

BAD_NODE_ID_INVALID = 0x80330000
BAD_NODE_ID_UNKNOWN = 0x80340000
BAD_WAITING_FOR_INITIAL_DATA = 0x80320000
BAD_OUT_OF_RANGE = 0x803C0000
GONE = frozenset({BAD_NODE_ID_INVALID, BAD_NODE_ID_UNKNOWN})
"""There is no such node; it may come."""
REFUSED = {
    BAD_NODE_ID_INVALID: "the server takes this for no node (BadNodeIdInvalid)",
    BAD_NODE_ID_UNKNOWN: "the server has no such node (BadNodeIdUnknown)",
    0x801F0000: "the server does not let us read it (BadUserAccessDenied)",
    0x80350000: "the node is no variable, and has no value (BadAttributeIdInvalid)",
    0x80360000: "the server has no such part of it (BadIndexRangeInvalid)",
    0x803A0000: "the server lets nobody read it (BadNotReadable)",
    0x80E60000: "the server does not tell it over this security (BadSecurityModeInsufficient)",
}
"""The server has the value for nobody, or not for us; and what to say of it."""
LAST_USABLE = frozenset({0x408F0000, 0x40900000})
"""UncertainNoCommunicationLastUsableValue and UncertainLastUsableValue."""

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
"""A device's time outside of these is none: 1601 and 9999 are how the wire says "not set"."""

Judged = tuple[Value | None, Fault | None]
"""A reading's value, None exactly when bad, and why it is not good."""

DOUBTFUL = Fault(Quality.UNCERTAIN, Reason.DEVICE_STATUS)
"""A value that may be wrong: it may raise an alarm, and never clears one."""
_UNIT = (None, bad(Reason.UNIT_MISMATCH))
_NOT_REAL = bad(Reason.NOT_A_NUMBER)


class Decoder:
    """Judges the values of one channel."""

    __slots__ = ("_channel", "_node", "_plain", "_sentinels", "mismatch")

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._node = channel.node
        self._sentinels = _sentinels(self._node)
        self._plain = channel.type is ChannelType.ANALOG and _says_it_plainly(self._node)
        self.mismatch = False
        """Whether the server gives another unit than the file: then no value can be used."""

    def decode(self, raw: object, status: int) -> Judged:
        """Return what ``raw`` is under the StatusCode ``status``.

        ``raw`` is a number, bool, str, bytes or datetime; anything else is no value of a channel.
        """
        if self.mismatch:
            return _UNIT
        if status == GOOD and self._plain and type(raw) is float:
            return (raw, None) if isfinite(raw) else (None, _NOT_REAL)
        grade = status >> 30
        if grade > Quality.UNCERTAIN:
            return None, bad(reason_of(status))
        if status & CODE in LAST_USABLE:
            return None, bad(Reason.LAST_USABLE)
        verdict = self._judge(raw)
        if isinstance(verdict, Reason):
            return None, bad(verdict)
        return verdict, DOUBTFUL if grade else None

    def _judge(self, raw: object) -> Value | Reason:
        if isinstance(raw, bool | int | float):
            return self._of_number(raw)
        if self._channel.type is not ChannelType.TEXT:
            return Reason.MALFORMED
        text = _text(raw)
        names = self._channel.names
        if names and not isinstance(text, Reason) and text not in names.values():
            return Reason.UNKNOWN_STATE
        return text

    def _of_number(self, raw: float) -> Value | Reason:
        if not isfinite(raw):
            return Reason.NOT_A_NUMBER
        if self._sentinels and raw in self._sentinels:
            return Reason.SENTINEL
        return self._meaning(raw)

    def _meaning(self, raw: float) -> Value | Reason:
        match self._channel.type:
            case ChannelType.STATE:
                return state(self._node, raw)
            case ChannelType.TEXT:
                return named(self._channel.names, raw)
            case ChannelType.ANALOG | ChannelType.COUNTER if isinstance(raw, bool):
                return Reason.MALFORMED
            case ChannelType.ANALOG:
                return in_range(self._node, scaled(self._node, raw))
            case ChannelType.COUNTER:
                return counted(self._node, raw)


def reason_of(status: int) -> Reason:
    """Return why a reading of a bad StatusCode is bad."""
    code = status & CODE
    if code in REFUSED:
        return Reason.REFUSED
    if code == BAD_WAITING_FOR_INITIAL_DATA:
        return Reason.NOT_PROVEN
    if code == BAD_OUT_OF_RANGE:
        return Reason.OUT_OF_RANGE
    return Reason.DEVICE_STATUS


def has_dropped(status: int) -> bool:
    """Return whether the server says that its queue was too short for what came before."""
    return status & OVERFLOW == OVERFLOW


def instant(time: datetime | None) -> int | None:
    """Return the device's time in UTC nanoseconds; None where it gives none that can be one."""
    if time is None or not EARLIEST <= time <= LATEST:
        return None
    return round(time.timestamp() * 1e6) * 1000


def _says_it_plainly(meaning: Meaning) -> bool:
    """Whether a finite number is the value just as it is."""
    converted = (meaning.scale, meaning.divisor, meaning.offset) != (1, 1, 0)
    limited = meaning.valid_min is not None or meaning.valid_max is not None
    return not (converted or limited or meaning.sentinels)


def _sentinels(node: Node) -> frozenset[float]:
    """Return the sentinels as a double and as a float give them: a node's type is not known."""
    given = [float(sentinel) for sentinel in node.sentinels]
    return frozenset([*given, *map(single, given)])


def _text(raw: object) -> str | Reason:
    if isinstance(raw, datetime):
        return raw.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(raw, bytes):
        try:
            raw = raw.decode()
        except UnicodeDecodeError:
            return Reason.NOT_TEXT
    if not isinstance(raw, str):
        return Reason.MALFORMED
    return raw if raw.isprintable() else Reason.NOT_TEXT

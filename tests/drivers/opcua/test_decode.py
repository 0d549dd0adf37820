from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.plant import Channel, ChannelType, Node
from drivers.opcua.decode import Decoder, has_dropped, instant
from drivers.reading import Fault, Quality, Reason, Value

ANALOG, COUNTER, STATE, TEXT = ChannelType
GOOD, UNCERTAIN, LAST_USABLE, BAD = 0, 0x40930000, 0x40900000, 0x80000000
PHASES = {0: "lag", 1: "growth"}


PLAIN = Node(namespace="urn:x", identifier="s=x")


def decoder(
    kind: ChannelType = ANALOG, names: dict[int, str] | None = None, node: Node = PLAIN
) -> Decoder:
    return Decoder(Channel("x", kind, "", node, names=names or {}))


def bad(reason: Reason) -> tuple[None, Fault]:
    return None, Fault(Quality.BAD, reason)


@pytest.mark.parametrize(
    ("kind", "names", "raw", "value"),
    [
        (ANALOG, {}, 7.25, 7.25),
        (ANALOG, {}, 7, 7.0),
        (COUNTER, {}, 2**62, 2**62),
        (COUNTER, {}, 3.0, 3),
        (STATE, {}, True, True),
        (STATE, {}, 0, False),
        (TEXT, PHASES, 1, "growth"),
        (TEXT, PHASES, "growth", "growth"),
        (TEXT, {}, "Phase 2 — ernte", "Phase 2 — ernte"),
        (TEXT, {}, 5, "5"),
        (TEXT, {}, b"abc", "abc"),
        (TEXT, {}, datetime(2026, 3, 1, 1, tzinfo=timezone(timedelta(hours=1))),
         "2026-03-01T00:00:00.000Z"),
    ],
)  # fmt: skip
def test_a_value_of_the_right_type_is_good(
    kind: ChannelType, names: dict[int, str], raw: object, value: Value
) -> None:
    assert decoder(kind, names).decode(raw, GOOD) == (value, None)
    assert type(decoder(kind, names).decode(raw, GOOD)[0]) is type(value)


@pytest.mark.parametrize(
    ("kind", "names", "raw", "reason"),
    [
        (ANALOG, {}, None, Reason.MALFORMED),
        (ANALOG, {}, "7.0", Reason.MALFORMED),
        (ANALOG, {}, True, Reason.MALFORMED),
        (ANALOG, {}, [7.0], Reason.MALFORMED),
        (ANALOG, {}, float("nan"), Reason.NOT_A_NUMBER),
        (ANALOG, {}, float("inf"), Reason.NOT_A_NUMBER),
        (COUNTER, {}, 2**63, Reason.OUT_OF_RANGE),
        (COUNTER, {}, False, Reason.MALFORMED),
        (STATE, {}, 2, Reason.UNKNOWN_STATE),
        (STATE, {}, "open", Reason.MALFORMED),
        (TEXT, PHASES, 9, Reason.UNKNOWN_STATE),
        (TEXT, PHASES, "harvest", Reason.UNKNOWN_STATE),
        (TEXT, {}, b"\xff\xfe", Reason.NOT_TEXT),
        (TEXT, {}, "a\x1b[2J", Reason.NOT_TEXT),
        (TEXT, {}, None, Reason.MALFORMED),
        (TEXT, {}, object(), Reason.MALFORMED),
    ],
)
def test_what_is_no_value_of_the_channel_is_bad(
    kind: ChannelType, names: dict[int, str], raw: object, reason: Reason
) -> None:
    assert decoder(kind, names).decode(raw, GOOD) == bad(reason)


@pytest.mark.parametrize(
    ("kind", "node", "raw", "judged"),
    [
        (ANALOG, replace(PLAIN, divisor=10.0), 302, (30.2, None)),
        (ANALOG, replace(PLAIN, sentinels=frozenset({-9999.0})), -9999, bad(Reason.SENTINEL)),
        (ANALOG, replace(PLAIN, sentinels=frozenset({0.1})), 0.10000000149011612,
         bad(Reason.SENTINEL)),
        (ANALOG, replace(PLAIN, valid_max=14.0), 14.5, bad(Reason.OUT_OF_RANGE)),
        (STATE, replace(PLAIN, inverted=True), True, (False, None)),
    ],
)  # fmt: skip
def test_a_meaning_is_applied(
    kind: ChannelType, node: Node, raw: object, judged: tuple[Value | None, Fault | None]
) -> None:
    assert decoder(kind, node=node).decode(raw, GOOD) == judged


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (0x80340000, Reason.REFUSED),  # BadNodeIdUnknown
        (0x80350000, Reason.REFUSED),  # BadAttributeIdInvalid
        (0x801F0000, Reason.REFUSED),  # BadUserAccessDenied
        (0x80320000, Reason.NOT_PROVEN),  # BadWaitingForInitialData
        (0x803C0000, Reason.OUT_OF_RANGE),  # BadOutOfRange
        (0x80310000, Reason.DEVICE_STATUS),  # BadNoCommunication
        (0x808A0000, Reason.DEVICE_STATUS),  # BadNotConnected
        (0x80BF0000, Reason.DEVICE_STATUS),  # BadStateNotActive
        (0x80340480, Reason.REFUSED),  # with overflow
        (0xC0000000, Reason.DEVICE_STATUS),  # a grade that is reserved counts as bad
        (0x408F0000, Reason.LAST_USABLE),  # UncertainNoCommunicationLastUsableValue
        (LAST_USABLE, Reason.LAST_USABLE),
    ],
)
def test_a_status_that_is_bad_leaves_no_value(status: int, reason: Reason) -> None:
    assert decoder().decode(7.0, status) == bad(reason)


def test_a_doubtful_value_is_used_as_such() -> None:
    doubtful = Fault(Quality.UNCERTAIN, Reason.DEVICE_STATUS)
    assert decoder().decode(7.0, UNCERTAIN) == (7.0, doubtful)
    assert decoder().decode(float("nan"), UNCERTAIN) == bad(Reason.NOT_A_NUMBER)
    assert decoder().decode(7.0, 0x00960000) == (7.0, None)  # GoodLocalOverride


def test_an_overflow_says_nothing_of_the_value_that_bears_it() -> None:
    assert decoder().decode(7.0, 0x480) == (7.0, None)
    assert has_dropped(0x480)
    assert not has_dropped(0x400)
    assert not has_dropped(0x80)


def test_a_unit_that_the_file_contradicts_leaves_no_value() -> None:
    contradicted = decoder()
    contradicted.mismatch = True
    assert contradicted.decode(7.0, GOOD) == bad(Reason.UNIT_MISMATCH)


@pytest.mark.parametrize(
    ("time", "ns"),
    [
        (datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC), 1772366400123456000),
        (None, None),
        (datetime(1601, 1, 1, tzinfo=UTC), None),
        (datetime(1970, 1, 1, tzinfo=UTC), None),
        (datetime(9999, 12, 31, tzinfo=UTC), None),
    ],
)
def test_a_time_that_cannot_be_one_is_none(time: datetime | None, ns: int | None) -> None:
    assert instant(time) == ns


ANYTHING: st.SearchStrategy[object] = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64), st.floats(), st.text(), st.binary(),
    st.lists(st.floats()),
)  # fmt: skip


@given(st.sampled_from(ChannelType), st.booleans(), ANYTHING, st.integers(0, 2**32 - 1))
def test_a_value_is_absent_exactly_when_it_is_bad(
    kind: ChannelType, named: bool, raw: object, status: int
) -> None:
    value, fault = decoder(kind, PHASES if named else {}).decode(raw, status)
    assert (value is None) == (fault is not None and fault.quality is Quality.BAD)
    expected = {ANALOG: float, COUNTER: int, STATE: bool, TEXT: str}[kind]
    assert value is None or type(value) is expected

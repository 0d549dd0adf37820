"""Scans come back from the record as they were."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.plant import ChannelType, Plant
from drivers.reading import Cause, Fault, Origin, Quality, Reason, Scan, Value
from drivers.settle import unsettled
from monitor.replay.rows import recorded, rows_of_json
from monitor.replay.scans import Scans, Step, typed
from tests.monitor.alarms.small_plant import (
    NOON,
    SECOND,
    channel,
    door,
    lost,
    moment,
    plant,
    scan,
    source,
)
from tests.monitor.replay.recording import json_lines, points

PLANT = plant(
    source(0, "incubator-7", "probe", "bus", [channel("co2"), door(), channel("o2", timed=True)]),
    source(1, "incubator-8", "probe", "bus", [channel("co2")]),
)


def back(scans: Sequence[Scan], steps: Sequence[Step] = (), of: Plant = PLANT) -> list[Scan]:
    builder = Scans(of, steps)
    rows = rows_of_json(json_lines(points(PLANT, scans)))
    made = [builder.scan(each) for each in recorded(rows)]
    return [each for each in made if each is not None]


def unclocked(scan: Scan) -> Scan:
    return scan._replace(boot=0)


faults = st.sampled_from(
    [
        Fault(Quality.UNCERTAIN, Reason.DEVICE_STATUS),
        Fault(Quality.BAD, Reason.SENTINEL),
        Fault(Quality.BAD, Reason.REFUSED),
    ]
)


@st.composite
def readings(draw: st.DrawFn) -> Scan:
    numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)
    said: list[Value] = [draw(numbers), draw(st.booleans()), draw(numbers)]
    spoke = draw(st.none() | st.frozensets(st.integers(0, 2), min_size=1, max_size=2))
    known = range(3) if spoke is None else spoke
    fault = {i: draw(faults) for i in known if draw(st.booleans())}
    values = tuple(
        value if i in known and (i not in fault or fault[i].quality is not Quality.BAD) else None
        for i, value in enumerate(said)
    )
    times = {i: NOON for i in known if draw(st.booleans())}
    return Scan(0, *moment(0), values, fault, times, spoke=spoke)


@given(st.lists(readings(), min_size=1, max_size=5))
def test_any_scan_comes_back_as_it_was(scans: list[Scan]) -> None:
    timed = [each._replace(at=NOON + second * SECOND, boot=0) for second, each in enumerate(scans)]
    assert [unclocked(each) for each in back(timed)] == timed


def test_elapsed_time_is_record_time() -> None:
    first, second = back([scan(0, 5.0, False, 1.0), scan(7.5, 5.0, False, 1.0)])
    assert second.boot - first.boot == 7.5 * SECOND


def test_a_known_step_forward_is_taken_out() -> None:
    scans = [scan(at, 5.0, source=1) for at in (0, 1, 3602, 3603)]
    steps = [Step(NOON + 1 * SECOND, NOON + 3601 * SECOND)]
    boots = [each.boot - NOON for each in back(scans, steps)]
    assert boots == [0, SECOND, 2 * SECOND, 3 * SECOND]
    unknown = [each.boot - NOON for each in back(scans)]
    assert unknown == [0, SECOND, 3602 * SECOND, 3603 * SECOND]


@pytest.mark.parametrize("known", [True, False])
def test_a_step_back_is_taken_out_once_for_all_sources(known: bool) -> None:
    before = [
        scan(at, 5.0, source=s) if s else scan(at, 5.0, False, 1.0)
        for at in (60, 61)
        for s in (0, 1)
    ]
    after = [each._replace(at=each.at - 59 * SECOND) for each in before]
    steps = [Step(NOON + 62 * SECOND, NOON + 1 * SECOND)] if known else []
    boots = [(each.source, each.boot - NOON) for each in back([*before, *after], steps)]
    seconds = [(s, at // SECOND) for s, at in boots]
    assert seconds == [(s, at) for at in (60, 61, 62, 63) for s in (0, 1)]


def test_a_silence_has_its_cause() -> None:
    said = [
        scan(0, 5.0, source=1),
        lost(1, Cause.SOURCE, 1, source=1),
        lost(2, Cause.LINE, 1, source=1),
        lost(3, Cause.LINE, 3),
        scan(4, 5.0, False, 1.0),
        lost(5, Cause.SOURCE, 1, source=1),
    ]
    assert [each.cause for each in back(said)] == [each.cause for each in said]


def test_what_settled_was_the_sources_trouble() -> None:
    settling = unsettled(scan(1, 0.0, source=1))
    assert [each.cause for each in back([settling])] == [Cause.SOURCE]


def test_before_anything_was_said_silence_is_the_lines() -> None:
    [silent] = back([lost(0, Cause.SOURCE, 1, source=1)])
    assert silent.cause is Cause.LINE


def test_a_device_that_refuses_everything_speaks() -> None:
    refused = Fault(Quality.BAD, Reason.REFUSED)
    [said] = back([Scan(1, *moment(0), (None,), {0: refused})])
    assert said.cause is Cause.NONE


@pytest.mark.parametrize(("heard", "cause"), [(True, Cause.LINE), (False, Cause.SOURCE)])
def test_a_subscription_that_is_not_proven(heard: bool, cause: Cause) -> None:
    blank = Scan(1, *moment(1), (None,), {0: Fault(Quality.BAD, Reason.NOT_PROVEN)})
    scans = [scan(0, 5.0, source=1), blank] if heard else [blank]
    assert back(scans)[-1].cause is cause


def test_what_is_late_or_a_test_is_not_judged() -> None:
    one = scan(0, 5.0, source=1)
    assert back([one._replace(origin=Origin.LATE), one._replace(origin=Origin.TEST)]) == []


def test_what_the_file_does_not_have_is_counted_by_name() -> None:
    fewer = plant(source(0, "incubator-7", "probe", "bus", [channel("o2"), channel("door")]))
    builder = Scans(fewer)
    rows = rows_of_json(
        json_lines(points(PLANT, [scan(0, 5.0, False, 1.0), scan(1, 5.0, source=1)]))
    )
    first, second = [builder.scan(each) for each in recorded(rows)]
    assert second is None
    assert first is not None
    assert (first.values, first.spoke) == ((1.0, None), frozenset({0}))
    assert builder.unknown == {
        "incubator-7/probe/co2": 1,
        "incubator-7/probe/door": 1,
        "incubator-8/probe/co2": 1,
    }


@pytest.mark.parametrize(
    ("value", "type_", "as_it_is"),
    [
        ("5.5", ChannelType.ANALOG, 5.5),
        ("7", ChannelType.COUNTER, 7),
        ("true", ChannelType.STATE, True),
        ("false", ChannelType.STATE, False),
        ("7", ChannelType.TEXT, "7"),
        (5, ChannelType.ANALOG, 5),
        ("warm", ChannelType.ANALOG, None),
        ("5.5", ChannelType.COUNTER, None),
        ("on", ChannelType.STATE, None),
        (1.0, ChannelType.STATE, None),
        (True, ChannelType.ANALOG, None),
        (5.0, ChannelType.TEXT, None),
    ],
)
def test_a_value_is_what_its_channel_has(
    value: Value, type_: ChannelType, as_it_is: Value | None
) -> None:
    assert typed(value, type_) == as_it_is

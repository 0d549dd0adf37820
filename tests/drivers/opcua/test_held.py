from collections import defaultdict
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from drivers.opcua.held import Held, Item, items_of, take
from drivers.reading import Cause, Moment, Quality, Reason, Scan, Value
from tests.drivers.opcua.harness import SECOND, channel, source
from tests.support.opcua_servers import Node

NOW = Moment(10**18, 10**12)
TIME = datetime(2026, 3, 1, tzinfo=UTC)
AT = 1772323200 * SECOND
OVERFLOW = 0x480
GONE = 0x80340000


def held(channels: int, index: int = 0) -> Held:
    return Held(source([channel(Node(f"s=N{number}")) for number in range(channels)], index))


def test_a_change_speaks_for_its_channel_alone() -> None:
    one = held(3)
    (scan,) = take(items_of([one]), [(1, 7.5, 0, TIME)], NOW).scans
    assert scan == Scan(0, *NOW, (None, 7.5, None), {}, {1: AT}, spoke=frozenset({1}))
    full = one.full(NOW)
    assert full.values == (None, 7.5, None)
    assert {i: fault.reason for i, fault in full.faults.items()} == dict.fromkeys(
        (0, 2), Reason.NOT_PROVEN
    )


def test_when_every_channel_spoke_the_scan_is_a_whole_one() -> None:
    (scan,) = take(items_of([held(2)]), [(0, 1.0, 0, None), (1, 2.0, 0, None)], NOW).scans
    assert scan.spoke is None
    assert scan.values == (1.0, 2.0)


def test_values_that_queued_are_one_scan_each_in_their_order() -> None:
    changes = [(0, 1.0, 0, None), (0, 2.0, 0, None), (1, 5.0, 0, None), (0, 3.0, 0, None)]
    scans = take(items_of([held(3)]), changes, NOW).scans
    assert [scan.values for scan in scans] == [
        (1.0, 5.0, None), (2.0, None, None), (3.0, None, None),
    ]  # fmt: skip


def test_what_a_server_dropped_and_what_it_has_no_more_is_found() -> None:
    items = items_of([held(2)])
    taken = take(items, [(0, 1.0, OVERFLOW, None), (1, None, GONE, None)], NOW)
    assert taken.dropped == 1
    assert taken.gone == [items[1]]
    assert taken.scans[0].reading(0).quality is Quality.GOOD
    assert taken.scans[0].reading(1).reason is Reason.REFUSED


def test_a_handle_that_was_never_given_is_passed_over() -> None:
    assert not take(items_of([held(1)]), [(7, 1.0, 0, None), (-1, 1.0, 0, None)], NOW).scans


def test_a_value_that_comes_back_has_no_fault_and_no_time_left() -> None:
    one = held(1)
    items = items_of([one])
    take(items, [(0, 1.0, 0, TIME)], NOW)
    take(items, [(0, None, GONE, None)], NOW)
    assert one.full(NOW).reading(0).source_time is None
    take(items, [(0, 2.0, 0, None)], NOW)
    assert one.full(NOW) == Scan(0, *NOW, (2.0,))


def test_a_new_session_believes_nothing() -> None:
    one = held(2)
    take(items_of([one]), [(0, 1.0, 0, TIME)], NOW)
    one.busy = True
    one.forget()
    assert not one.heard
    assert not one.busy
    assert one.full(NOW).values == (None, None)
    assert not one.full(NOW).source_times


def test_grid_points_that_never_came_or_were_skipped_are_counted_once() -> None:
    one = held(1)
    one.points.reach(SECOND)
    one.points.reach(4 * SECOND)
    one.points.skip()
    assert one.blank(NOW, Reason.LINE_DOWN, Cause.LINE).missed == 3
    one.points.reach(5 * SECOND)
    assert one.full(NOW).missed == 0


RAW = st.floats(allow_nan=False, allow_infinity=False)
CHANGES = st.lists(st.lists(st.tuples(st.integers(0, 8), RAW), max_size=30), max_size=6)


@given(CHANGES)
def test_every_change_is_told_once_in_order_and_the_grid_shows_the_newest(
    responses: list[list[tuple[int, float]]],
) -> None:
    helds = [held(2, 0), held(3, 1), held(4, 2)]
    items = items_of(helds)
    told: defaultdict[tuple[int, int], list[Value | None]] = defaultdict(list)
    served: defaultdict[tuple[int, int], list[Value | None]] = defaultdict(list)
    for response in responses:
        for handle, raw in response:
            served[place(items[handle])].append(raw)
        for scan in take(items, [(h, raw, 0, TIME) for h, raw in response], NOW).scans:
            for index, reading in scan.readings():
                assert reading.source_time == AT
                told[scan.source, index].append(reading.value)
        for one in helds:
            for index, value in enumerate(one.full(NOW).values):
                known = served.get((one.source.index, index), [None])
                assert value == known[-1]
    assert told == served


def place(item: Item) -> tuple[int, int]:
    return item.held.source.index, item.channel

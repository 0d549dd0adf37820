import pytest

from monitor.store import Tick
from tests.monitor.store.support import NOON, event


def test_a_tick_knows_its_first_and_last_scan_and_its_span_of_time() -> None:
    tick = Tick()
    for group, scan, at in [(2, 11, NOON), (1, 12, NOON - 5), (2, 13, NOON + 3), (1, 14, NOON + 1)]:
        tick.add(group, b"%d" % scan, scan, at)
    assert tick.lines == {2: [b"11", b"13"], 1: [b"12", b"14"]}
    assert (tick.first_scan, tick.last_scan) == (11, 14)
    assert (tick.first_at, tick.last_at) == (NOON - 5, NOON + 3)


@pytest.mark.parametrize(
    ("tick", "empty"),
    [
        (Tick(), True),
        (Tick(lines={1: [b"x"]}), False),
        (Tick(facts={"a": "{}"}), False),
        (Tick(events=[event(1)]), False),
        (Tick(replies={"r": "{}"}), False),
        (Tick(config=("digest", "")), False),
    ],
)
def test_a_tick_says_whether_there_is_anything_to_commit(tick: Tick, empty: bool) -> None:
    assert tick.empty is empty

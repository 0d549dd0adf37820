import json
from pathlib import Path

import pytest

from tests.bench.latency import (
    Crossing,
    Heard,
    delays,
    heard_crossings,
    percentile,
    sent_crossings,
)

MS = 10**6


def crossing(at: int, *, equipment: str = "load-001", beyond: bool = True) -> Crossing:
    return Crossing(equipment, "c01", beyond, at * MS)


def test_a_crossing_is_met_by_the_first_event_after_it_that_tells_of_it() -> None:
    sent = [crossing(100), crossing(200, beyond=False), crossing(300), crossing(150, equipment="b")]
    heard = [
        crossing(103),
        crossing(209, beyond=False),
        crossing(305),
        crossing(151, equipment="b"),
        crossing(90),
    ]
    assert delays(sent, heard) == ([1.0, 3.0, 5.0, 9.0], 0)


def test_a_crossing_without_event_is_counted() -> None:
    assert delays([crossing(100), crossing(200)], [crossing(101)]) == ([1.0], 1)


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 1.0), (0.25, 1.0), (0.5, 2.0), (0.51, 3.0), (0.99, 4.0), (1.0, 4.0)]
)
def test_percentile_is_the_nearest_rank(share: float, value: float) -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], share) == value


def test_what_the_devices_write_and_the_broker_says_fits(tmp_path: Path) -> None:
    file = tmp_path / "crossings.jsonl"
    told = [
        {"equipment": "load-001", "channel": "c01", "to": to, "sent_ns": 0, "sent_boot_ns": at * MS}
        for to, at in (("beyond", 99), ("beyond", 100), ("within", 200), ("beyond", 201))
    ]
    file.write_text("".join(json.dumps(one) + "\n" for one in told))
    sent = sent_crossings(file, 100 * MS, 200 * MS)
    payload = {"equipment": "load-001", "channel": "c01", "active_state": False}
    heard = heard_crossings([Heard(207 * MS, json.dumps(payload).encode())])
    assert sent == [crossing(100), crossing(200, beyond=False)]
    assert delays(sent, heard) == ([7.0], 1)

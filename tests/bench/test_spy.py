from pathlib import Path

import pytest

from tests.bench.spy import deciding, part, read


@pytest.mark.parametrize(
    ("frames", "whose"),
    [
        (["run (asyncio/runners.py:1)", "visit (drivers/modbus/line.py:2)"], "driver"),
        (
            ["visit (drivers/modbus/line.py:2)", "write (asyncio/selector_events.py:3)"],
            "event loop",
        ),
        (["f (drivers/modbus/line.py:2)", "observe (monitor/alarms/board.py:3)"], "judge"),
        (["f (monitor/recorder.py:2)", "encode (monitor/store/line_protocol.py:3)"], "encode"),
        (["commit (monitor/store/database.py:2)", "iterencode (json/encoder.py:3)"], "store"),
        (["f (monitor/sinks/influx.py:2)", "g (/x/site-packages/aiohttp/client.py:3)"], "sinks"),
        (["f (monitor/app.py:2)"], "rest of the monitor"),
        (["f (/usr/lib/python3.11/threading.py:2)"], "other libraries"),
    ],
)
def test_a_sample_is_put_down_to_the_innermost_that_is_ours(frames: list[str], whose: str) -> None:
    assert part(deciding(frames)) == whose


def test_shares_are_of_what_was_seen_at_work(tmp_path: Path) -> None:
    file = tmp_path / "stacks.txt"
    file.write_text(
        "thread (0x1): MainThread;run (asyncio/runners.py:1);visit (drivers/modbus/line.py:2) 3\n"
        "thread (0x1): MainThread;run (asyncio/runners.py:1);visit (drivers/modbus/line.py:9) 3\n"
        "thread (0x2): store;_work (monitor/store/thread.py:1);commit (monitor/store/x.py:2) 2\n"
        "thread (0x2): store;Worker._work (monitor/store/thread.py:1) 100\n"
    )
    profile = read(file)
    assert profile.samples == 8
    assert profile.parts == {"driver": 0.75, "store": 0.25}
    assert profile.files == {"drivers/modbus/line.py": 0.75, "monitor/store/x.py": 0.25}
    assert list(profile.functions) == [
        "visit (drivers/modbus/line.py)",
        "commit (monitor/store/x.py)",
    ]

"""The bench itself, small: every row is there. What it measures is not for a test to judge."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from tests.bench.gauges import children
from tests.bench.scene import HERE, ROOT, environment

KEYS = {
    "reference_cpu_us",
    "reference_share",
    "reference_memory_mb",
    "reference_published",
    *(
        f"{key}_{loop}"
        for loop in ("asyncio", "uvloop")
        for key in (
            *("cpu_us", "cpu_ratio", "cpu_percent", "cpu_kernel", "share", "memory_mb"),
            *("latency_p50_ms", "latency_p99_ms", "latency_worst_ms", "unheard"),
            *("deviation_p99_ms", "deviation_worst_ms", "skipped"),
        )
    ),
    *("loop_longest_ms", "loop_most_cpu_ms", "loop_longest_turn_ms"),
    *("loop_longest_collection_ms", "loop_slow", "loop_silence_longest_ms"),
    *("start_s", "start_s_uvloop", "check_s", "exit_s", "exit_s_uvloop", "exit_hung_s", "cli_ms"),
    *("stored_bytes", "written_bytes", "commits", "requests", "sent_bytes", "repeated"),
}
OPCUA_KEYS = {
    *KEYS,
    *("bare_cpu_us", "bare_memory_mb", "cpu_ratio_bare_asyncio", "cpu_ratio_bare_uvloop", "lost"),
    *("yardstick_cpu_us", "cpu_ratio_yardstick_asyncio", "cpu_ratio_yardstick_uvloop"),
}
BENCH = [sys.executable, str(HERE / "bench.py"), "--equipments", "8", "--channels", "5"]
GENEROUS = 60.0


@pytest.mark.real
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("wire", "keys"),
    [
        pytest.param(["--warm-up", "1"], KEYS, id="Modbus"),
        pytest.param(["--warm-up", "3", "--opcua", "--lines", "2"], OPCUA_KEYS, id="OPC UA"),
    ],
)
def test_every_row_is_there_and_is_a_number(wire: list[str], keys: set[str]) -> None:
    command = [*BENCH, "--seconds", "3", *wire, "--json"]
    done = subprocess.run(command, env=environment(), cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    told = json.loads(done.stdout)
    assert (told["schema"], set(told["rows"])) == ("cytowatch.bench.v1", keys)
    wrong = {
        key: row for key, row in told["rows"].items() if not isinstance(row["value"], float | int)
    }
    assert wrong == {}
    assert told["rows"]["repeated"]["value"] == 0
    assert told["load"]["equipments"] == 8
    assert set(told["missed"]) == {key for key, row in told["rows"].items() if row["kept"] is False}


@pytest.mark.real
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_all_that_it_started(how: signal.Signals) -> None:
    with subprocess.Popen(BENCH, env=environment(), cwd=ROOT, stderr=subprocess.PIPE) as bench:
        try:
            assert bench.stderr is not None
            until_said(bench.stderr, b"the script beside us")
            started = until_children(bench.pid, 4)  # devices, database, broker and the script
            bench.send_signal(how)
            assert bench.wait(GENEROUS) == 128 + how
        finally:
            bench.kill()
    assert [pid for pid in started if Path(f"/proc/{pid}").exists()] == []


def until_said(stream: IO[bytes], words: bytes) -> None:
    """Read until a line has these words."""
    assert any(words in line for line in stream)


def until_children(pid: int, count: int) -> list[int]:
    """Return the children of a process as soon as there are so many."""
    deadline = time.monotonic() + GENEROUS
    while len(found := children(pid)) < count:
        assert time.monotonic() < deadline, found
        time.sleep(0.01)
    return found

"""The bench itself, small: every row is there. What it measures is not for a test to judge."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from tests.bench.gauges import children, machine
from tests.bench.modbus import Modbus
from tests.bench.opcua import OpcUa
from tests.bench.rows import Beside, Measured, all_rows
from tests.bench.runs import Span, bare_run, commands, daemon_run, reference_run, stepped_run
from tests.bench.scene import HERE, ROOT, Size, environment

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
LATENCY = {
    f"latency_{which}_ms_{loop}"
    for which in ("p50", "p99", "worst")
    for loop in ("asyncio", "uvloop")
}
BENCH = [sys.executable, str(HERE / "bench.py"), "--equipments", "8", "--channels", "5"]
GENEROUS = 60.0


@pytest.mark.real
@pytest.mark.timeout(300)
def test_every_row_is_there_and_is_a_number() -> None:
    command = [*BENCH, "--seconds", "3", "--warm-up", "1", "--json"]
    done = subprocess.run(command, env=environment(), cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    told = json.loads(done.stdout)
    assert (told["schema"], set(told["rows"])) == ("cytowatch.bench.v1", KEYS)
    wrong = {
        key: row for key, row in told["rows"].items() if not isinstance(row["value"], float | int)
    }
    assert wrong == {}
    assert told["rows"]["repeated"]["value"] == 0
    assert told["load"]["equipments"] == 8
    assert set(told["missed"]) == {key for key, row in told["rows"].items() if row["kept"] is False}


@pytest.mark.real
@pytest.mark.timeout(300)
def test_every_change_that_is_served_over_opc_ua_arrives(tmp_path: Path) -> None:
    """Each run once: nine beside it, as the bench has them, would take minutes."""
    wire, span = OpcUa(Size(8, 5), 2), Span(3, 3)
    beside = Beside(
        reference_run(wire, Span(1, 1), tmp_path / "script"),
        bare_run(wire, Span(1, 1), tmp_path / "bare"),
        reference_run(Modbus(Size(8, 5)), Span(1, 1), tmp_path / "yardstick"),
    )
    daemon = daemon_run(wire, span, tmp_path / "daemon", "asyncio")
    steps = stepped_run(wire, Span(1, 1), tmp_path / "steps")
    called = commands(wire, tmp_path / "commands", 1)
    rows = all_rows(Measured(machine(tmp_path), (beside,) * 3, daemon, daemon, steps, called))
    assert {row.key for row in rows} == OPCUA_KEYS
    none = {row.key for row in rows if row.value is None}
    assert none <= LATENCY, "there need not be a crossing in so short a time"
    assert (daemon.lost, daemon.window.repeated, daemon.delays.unheard) == (0, 0, 0)
    assert daemon.window.readings > 0


@pytest.mark.real
def test_a_replay_has_its_rows() -> None:
    command = [*BENCH, "--replay", "2000", "--json"]
    done = subprocess.run(command, env=environment(), cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    rows = json.loads(done.stdout)["rows"]
    whats = ("us", "s", "memory_mb", "raised", "bytes")
    assert set(rows) == {f"replay_{form}_{what}" for form in ("jsonl", "csv") for what in whats}
    assert rows["replay_csv_raised"]["value"] == rows["replay_jsonl_raised"]["value"] > 0


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

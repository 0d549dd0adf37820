"""What was measured, as the rows of the table: in their order, with their budgets."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tests.bench import budget, gauges
from tests.bench.budget import Row
from tests.bench.latency import percentile
from tests.bench.runs import BareRun, Commands, DaemonRun, ReferenceRun, SteppedRun


@dataclass(frozen=True)
class Beside:
    """What was looked at beside the daemon, at one time."""

    script: ReferenceRun
    bare: BareRun | None
    yardstick: ReferenceRun
    """The script on Modbus, by which all budgets for CPU are set."""


class Scale(NamedTuple):
    """What the figures of a run of the daemon are held against (microseconds a reading)."""

    script: float
    bare: float | None
    yardstick: float


@dataclass(frozen=True)
class Measured:
    """All that was measured."""

    machine: gauges.Machine
    beside: tuple[Beside, Beside, Beside]
    """Before, between and after the two runs of the daemon: machines drift."""
    plain: DaemonRun
    fast: DaemonRun
    steps: SteppedRun
    commands: Commands


def all_rows(measured: Measured) -> list[Row]:
    """Every row of the table, in its order."""
    return [
        *reference_rows(measured.beside),
        *bare_rows(measured.beside),
        *cpu_rows("asyncio", measured.plain, scale(measured.beside[:2])),
        *cpu_rows("uvloop", measured.fast, scale(measured.beside[1:])),
        *step_rows(measured.steps),
        *quality_rows("asyncio", measured.plain),
        *quality_rows("uvloop", measured.fast),
        *start_and_end_rows(measured),
        *store_rows(measured),
    ]


def scale(beside: Sequence[Beside]) -> Scale:
    """Return what those before and after a run took on the average."""
    bare = bare_us(beside)
    return Scale(
        statistics.mean(one.script.window.us for one in beside),
        statistics.mean(bare) if bare else None,
        statistics.mean(one.yardstick.window.us for one in beside),
    )


def bare_us(beside: Sequence[Beside]) -> list[float]:
    """Return what each of those took that only get the values."""
    return [one.bare.us for one in beside if one.bare is not None]


def reference_rows(beside: Sequence[Beside]) -> list[Row]:
    """What the script takes."""
    first = beside[0].script
    published = sum(one.script.published for one in beside)
    mean, each = in_turn([one.script.window.us for one in beside])
    return [
        Row("reference_cpu_us", "the script: CPU per reading", mean, "µs", None, each),
        Row("reference_share", "  of the readings due, acknowledged", _share(first), "%"),
        Row("reference_memory_mb", "  memory", first.memory.most, "MB"),
        Row("reference_published", "  crossings told to the broker", published, ""),
    ]


def bare_rows(beside: Sequence[Beside]) -> list[Row]:
    """What it takes to get the values alone; no row where nobody does that."""
    if beside[0].bare is None:
        return []
    mean, each = in_turn(bare_us(beside))
    yardstick, times = in_turn([one.yardstick.window.us for one in beside])
    return [
        Row(
            "yardstick_cpu_us",
            "the script on Modbus, by which budgets are set",
            yardstick,
            "µs",
            None,
            times,
        ),
        Row("bare_cpu_us", "asyncua alone: CPU per reading", mean, "µs", None, each),
        Row("bare_memory_mb", "  memory", beside[0].bare.memory.most, "MB"),
    ]


def in_turn(each: Sequence[float]) -> tuple[float, str]:
    """Return the mean, and all of them in words."""
    return statistics.mean(each), f"{', '.join(f'{one:.2f}' for one in each)} in turn"


def cpu_rows(loop: str, run_: DaemonRun, beside: Scale) -> list[Row]:
    """What the daemon takes."""
    window = run_.window
    kernel = 100 * window.system_ns / window.cpu_ns
    percent = window.cpu_ns / window.seconds / 1e7
    return [
        Row(f"cpu_us_{loop}", f"{loop}: CPU per reading, wire to acknowledged", window.us, "µs"),
        *ratio_rows(loop, window.us, beside),
        Row(f"cpu_percent_{loop}", "  of one core", percent, "%"),
        Row(f"cpu_kernel_{loop}", "  of it in the kernel", kernel, "%", None, "rough: by ticks"),
        Row(f"share_{loop}", "  of the readings due, acknowledged", _share(run_), "%"),
    ]


def ratio_rows(loop: str, us: float, beside: Scale) -> list[Row]:
    """How the daemon compares; its budget is a share of what the Modbus script takes here."""
    ratio = Row(f"cpu_ratio_{loop}", "  ratio to the script", us / beside.script, "")
    if beside.bare is None:
        return [ratio._replace(at_most=budget.CPU_RATIO)]
    here = f"{budget.OPCUA_RATIO * beside.yardstick:.1f} µs here: 25 where that script takes 12"
    return [
        Row(
            f"cpu_ratio_yardstick_{loop}",
            "  ratio to the script on Modbus",
            us / beside.yardstick,
            "",
            budget.OPCUA_RATIO,
            here,
        ),
        ratio,
        Row(f"cpu_ratio_bare_{loop}", "  ratio to asyncua alone", us / beside.bare, ""),
    ]


def step_rows(steps: SteppedRun) -> list[Row]:
    """What the event loop did (asyncio)."""
    seen = steps.load

    def row(key: str, what: str, note: str = "", at_most: float | None = None) -> Row:
        return Row(f"loop_{key}_ms", what, seen[key] / 1e6, "ms", at_most, note)

    cpu = f"{seen['longest_cpu'] / 1e6:.1f} ms of it on a CPU; {seen['longest_is']}"
    return [
        row("longest", "longest step of the event loop", cpu, budget.STEP_MS),
        row("most_cpu", "  most CPU in a step", seen["most_cpu_is"]),
        row("longest_turn", "  longest turn (steps between two looks at sockets)"),
        row("longest_collection", "  longest garbage collection"),
        Row("loop_slow", "  steps of 5 ms and more", seen["slow"], "", None, f"of {seen['steps']}"),
        Row(
            "loop_silence_longest_ms",
            "  longest step when all devices hang at once",
            steps.silence["longest"] / 1e6,
            "ms",
            None,
            steps.silence["longest_is"],
        ),
    ]


def quality_rows(loop: str, run_: DaemonRun) -> list[Row]:
    """How well the daemon did under load."""
    grid, memory, late = run_.grid, run_.memory, run_.delays
    worst = late.ms[-1] if late.ms else None
    events = f"of {len(late.ms)} events"
    return [
        Row(
            f"memory_mb_{loop}",
            f"{loop}: memory, at most",
            memory.most,
            "MB",
            budget.MEMORY_MB,
            f"{memory.now:.0f} at the end",
        ),
        Row(
            f"latency_p50_ms_{loop}",
            "  reply sent to alarm event, p50",
            _percentile(late.ms, 0.5),
            "ms",
        ),
        Row(
            f"latency_p99_ms_{loop}",
            "  the same, p99",
            _percentile(late.ms, 0.99),
            "ms",
            budget.LATENCY_MS,
            events,
        ),
        Row(f"latency_worst_ms_{loop}", "  the same, worst", worst, "ms"),
        Row(f"unheard_{loop}", "  crossings without their event", late.unheard, "", budget.NONE),
        Row(
            f"deviation_p99_ms_{loop}",
            "  a poll's start off its grid, p99",
            grid.deviation_ms_p99,
            "ms",
            budget.DEVIATION_MS,
        ),
        Row(
            f"deviation_worst_ms_{loop}",
            "  the same, worst, start included",
            grid.deviation_ms_worst,
            "ms",
        ),
        Row(
            f"skipped_{loop}", "  polls missed", grid.skipped, "", budget.NONE, f"of {grid.visits}"
        ),
    ]


def start_and_end_rows(measured: Measured) -> list[Row]:
    """What those wait for who start and stop it."""
    plain, fast, called = measured.plain, measured.fast, measured.commands
    first_poll = f"first poll after {plain.start.first_poll:.2f} s"
    return [
        Row(
            "start_s",
            "start to first scan on the disk, asyncio",
            plain.start.first_scan,
            "s",
            budget.START_S,
            first_poll,
        ),
        Row("start_s_uvloop", "  uvloop", fast.start.first_scan, "s", budget.START_S),
        Row("check_s", "check of that file", called.check, "s", budget.CHECK_S),
        Row(
            "exit_s",
            "SIGTERM to exit, devices and broker gone, asyncio",
            plain.exit,
            "s",
            budget.EXIT_S,
        ),
        Row("exit_s_uvloop", "  uvloop", fast.exit, "s", budget.EXIT_S),
        Row(
            "exit_hung_s",
            "  asyncio, devices and broker that hang",
            measured.steps.exit,
            "s",
            budget.EXIT_S,
        ),
        Row("cli_ms", "tail --help", called.tail_help * 1000, "ms", budget.CLI_MS),
    ]


def store_rows(measured: Measured) -> list[Row]:
    """What goes to disk and database."""
    window, seen = measured.plain.window, measured.steps.load
    repeated = measured.plain.window.repeated + measured.fast.window.repeated
    return [
        Row(
            "stored_bytes",
            "store: compressed bytes kept per reading",
            measured.plain.stored_bytes,
            "B",
        ),
        Row(
            "written_bytes",
            "  bytes written to the disk per reading",
            window.written_bytes / window.readings,
            "B",
        ),
        Row(
            "commits", "  commits (one fsync each) a second", seen["commits"] / seen["seconds"], ""
        ),
        *lost_rows(measured),
        Row("requests", "database: requests a second", window.requests / window.seconds, ""),
        Row("sent_bytes", "  bytes sent per reading", window.sent_bytes / window.readings, "B"),
        Row("repeated", "  bodies sent twice", repeated, "", budget.NONE),
    ]


def lost_rows(measured: Measured) -> list[Row]:
    """What was served and is not in the database; of what is polled nothing can be lost so."""
    if measured.beside[0].bare is None:
        return []
    lost = measured.plain.lost + measured.fast.lost
    return [Row("lost", "changes served that did not arrive", lost, "", budget.NONE)]


def _share(run_: ReferenceRun | DaemonRun) -> float:
    return 100 * run_.window.readings / run_.window.due


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    return percentile(ordered, share) if ordered else None

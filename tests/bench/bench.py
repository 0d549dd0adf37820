"""The budgets, measured: ``./cyto bench``.

Runs the daemon under its load (many equipments on Modbus TCP at 1 Hz, a rule on every channel, a
durable store, a real broker, a database that counts), beside it, before and after, the script of
an afternoon that does the same job, and prints every budget with what was measured.
It reports; with ``--check`` a budget that is missed is exit 1.
"""

import argparse
import json
import signal
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench import budget, gauges, spy
from tests.bench.budget import Row
from tests.bench.latency import percentile
from tests.bench.runs import (
    Commands,
    DaemonRun,
    ReferenceRun,
    Span,
    SteppedRun,
    commands,
    daemon_run,
    reference_run,
    spied_run,
    stepped_run,
)
from tests.bench.scene import BenchError, Size
from tests.bench.spy import Profile
from tests.support.debian import UnavailableError, tool

SCHEMA = "cytowatch.bench.v1"
LONGEST_STEPPED = 30.0
CLI_TIMES = 10
TOLD_FUNCTIONS = 30
UNAVAILABLE = 69
MISSED = 1


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    size: Size
    span: Span
    as_json: bool
    check: bool
    profile: Path | None
    folder: Path | None


@dataclass(frozen=True)
class Measured:
    """All that was measured."""

    machine: gauges.Machine
    before: ReferenceRun
    plain: DaemonRun
    after: ReferenceRun
    fast: DaemonRun
    steps: SteppedRun
    commands: Commands

    @property
    def reference_us(self) -> float:
        """Microseconds a reading of the script: machines drift, so before and after."""
        return statistics.mean((self.before.window.us, self.after.window.us))


def main() -> int:
    """Measure and tell; 0, 1 with ``--check`` when a budget is missed, 69 when it cannot."""
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        tool("mosquitto")
        if options.profile is not None:
            spy.program()
        with tempfile.TemporaryDirectory(prefix="cytobench-", dir=options.folder) as folder:
            return run(options, Path(folder))
    except (UnavailableError, BenchError) as error:
        say(str(error))
        return UNAVAILABLE


def run(options: Options, folder: Path) -> int:
    """Measure everything in ``folder``, and tell it."""
    measured = measure(options, folder)
    profile = None if options.profile is None else profiled(options, options.profile, folder)
    rows = all_rows(measured)
    if options.as_json:
        print(json.dumps(report(options, measured, rows, profile)))
    else:
        tell(options, measured.machine, rows, profile)
    return MISSED if options.check and budget.missed(rows) else 0


def measure(options: Options, folder: Path) -> Measured:
    """Run one after the other; the script on both sides of the run it is compared with."""
    size, span = options.size, options.span
    half = Span(span.warm_up, span.seconds / 2)
    short = Span(span.warm_up, min(span.seconds, LONGEST_STEPPED))
    machine = gauges.machine(folder)
    if machine.busy:
        say(f"others are at work here (load average {machine.load:.1f}): figures will be worse")
    say("the script beside us")
    before = reference_run(size, half, folder / "before")
    say("the daemon on asyncio")
    plain = daemon_run(size, span, folder / "asyncio", "asyncio")
    say("the script again")
    after = reference_run(size, half, folder / "after")
    say("the daemon on uvloop")
    fast = daemon_run(size, span, folder / "uvloop", "uvloop")
    say("the daemon with every step of its loop timed")
    steps = stepped_run(size, short, folder / "steps")
    say("the command line")
    called = commands(size, folder / "commands", CLI_TIMES)
    return Measured(machine, before, plain, after, fast, steps, called)


def profiled(options: Options, file: Path, folder: Path) -> Profile:
    """Look at where the CPU goes; the stacks stay in ``file``."""
    say(f"the daemon under py-spy; its stacks go to {file}")
    return spied_run(options.size, options.span, folder / "spied", "asyncio", file)


def all_rows(measured: Measured) -> list[Row]:
    """Every row of the table, in its order."""
    return [
        *reference_rows(measured),
        *cpu_rows("asyncio", measured.plain, measured.reference_us),
        *cpu_rows("uvloop", measured.fast, measured.reference_us),
        *step_rows(measured.steps),
        *quality_rows("asyncio", measured.plain),
        *quality_rows("uvloop", measured.fast),
        *start_and_end_rows(measured),
        *store_rows(measured),
    ]


def reference_rows(measured: Measured) -> list[Row]:
    """What the script takes."""
    before, after = measured.before, measured.after
    spread = f"{before.window.us:.2f} before, {after.window.us:.2f} after"
    return [
        Row(
            "reference_cpu_us",
            "the script: CPU per reading",
            measured.reference_us,
            "µs",
            None,
            spread,
        ),
        Row("reference_share", "  of the readings due, acknowledged", _share(before), "%"),
        Row("reference_memory_mb", "  memory", after.memory.most, "MB"),
        Row("reference_published", "  crossings told to the broker", before.published, ""),
    ]


def cpu_rows(loop: str, run_: DaemonRun, reference_us: float) -> list[Row]:
    """What the daemon takes."""
    window = run_.window
    kernel = 100 * window.system_ns / window.cpu_ns
    percent = window.cpu_ns / window.seconds / 1e7
    return [
        Row(f"cpu_us_{loop}", f"{loop}: CPU per reading, wire to acknowledged", window.us, "µs"),
        Row(
            f"cpu_ratio_{loop}",
            "  ratio to the script",
            window.us / reference_us,
            "",
            budget.CPU_RATIO,
        ),
        Row(f"cpu_percent_{loop}", "  of one core", percent, "%"),
        Row(f"cpu_kernel_{loop}", "  of it in the kernel", kernel, "%"),
        Row(f"share_{loop}", "  of the readings due, acknowledged", _share(run_), "%"),
    ]


def step_rows(steps: SteppedRun) -> list[Row]:
    """What the event loop did (asyncio)."""
    seen = steps.figures

    def row(key: str, what: str, note: str = "", at_most: float | None = None) -> Row:
        return Row(f"loop_{key}_ms", what, seen[key] / 1e6, "ms", at_most, note)

    cpu = f"{seen['longest_cpu'] / 1e6:.1f} ms of it on a CPU; {seen['longest_is']}"
    return [
        row("longest", "longest step of the event loop", cpu, budget.STEP_MS),
        row("most_cpu", "  most CPU in a step", seen["most_cpu_is"]),
        row("longest_turn", "  longest turn (steps between two looks at sockets)"),
        row("longest_collection", "  longest garbage collection"),
        Row("loop_slow", "  steps of 5 ms and more", seen["slow"], "", None, f"of {seen['steps']}"),
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
    window, seen = measured.plain.window, measured.steps.figures
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
        Row("requests", "database: requests a second", window.requests / window.seconds, ""),
        Row("sent_bytes", "  bytes sent per reading", window.sent_bytes / window.readings, "B"),
        Row("repeated", "  bodies sent twice", repeated, "", budget.NONE),
    ]


def report(
    options: Options, measured: Measured, rows: Sequence[Row], profile: Profile | None
) -> dict[str, object]:
    """Everything as one object."""
    told: dict[str, object] = {
        "schema": SCHEMA,
        "machine": {**asdict(measured.machine), "busy": measured.machine.busy},
        "load": {**asdict(options.size), "period_s": 1, **asdict(options.span)},
        "rows": {row.key: row.as_json() for row in rows},
        "missed": [row.key for row in budget.missed(rows)],
    }
    if profile is not None:
        told["profile"] = profile._asdict()
    return told


def tell(
    options: Options, machine: gauges.Machine, rows: Sequence[Row], profile: Profile | None
) -> None:
    """Print it for people."""
    size, span = options.size, options.span
    print(
        f"{size.equipments} equipments of {size.channels} float32 at 1 Hz, looked at for"
        f" {span.seconds:g} s after {span.warm_up:g} s\n"
        f"{machine.cores} cores {machine.model}, Linux {machine.kernel}, Python {machine.python},"
        f" {machine.file_system}, load average {machine.load:.2f} before"
        f"{' (BUSY: others are at work)' if machine.busy else ''}\n"
    )
    print(budget.table(rows))
    if profile is not None:
        print(f"\nwhere the CPU goes ({profile.samples} samples, asyncio)")
        for shares in (profile.parts, profile.files, profile.functions):
            print()
            for name, share in list(shares.items())[:TOLD_FUNCTIONS]:
                print(f"{100 * share:5.1f} %  {name}")


def _share(run_: ReferenceRun | DaemonRun) -> float:
    return 100 * run_.window.readings / run_.window.due


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    return percentile(ordered, share) if ordered else None


def say(what: str) -> None:
    """Say what is going on."""
    print(f"bench: {what}", file=sys.stderr, flush=True)


def parse() -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="./cyto bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="to look at the daemon")
    parser.add_argument("--warm-up", type=float, default=10, help="seconds before that")
    parser.add_argument("--equipments", type=int, default=400)
    parser.add_argument("--channels", type=int, default=25, help="float32 of each")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--check", action="store_true", help="exit 1 when a budget is missed")
    parser.add_argument(
        "--profile",
        type=Path,
        metavar="FILE",
        help="also where the CPU goes; folded stacks to FILE",
    )
    parser.add_argument(
        "--folder", type=Path, help="on the disk to be measured; else a temporary one"
    )
    given = parser.parse_args()
    if min(given.seconds, given.equipments, given.channels) <= 0 or given.warm_up < 0:
        parser.error("seconds, equipments and channels are more than nothing")
    return Options(
        Size(given.equipments, given.channels),
        Span(given.warm_up, given.seconds),
        given.json,
        given.check,
        given.profile and given.profile.resolve(),
        given.folder,
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)

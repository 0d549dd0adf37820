"""The budgets, measured: ``./cyto bench``.

Runs the daemon under its load (many equipments on Modbus TCP at 1 Hz, or with ``--opcua`` nodes
that change at 1 Hz; a rule on every channel, a durable store, a real broker, a database that
counts), beside it, before and after, the script of an afternoon that does the same job, and prints
every budget with what was measured.
With ``--replay`` it measures in place of all that how fast ``cytowatch replay`` goes through
exported readings, with ``--backlog`` how it goes when the database was away for hours.
It reports; with ``--check`` a budget that is missed is exit 1, and what was served or made and did
not arrive is exit 1 always.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from monitor.cli.exits import Failure
from tests.bench import budget, gauges, spy
from tests.bench.backlog import HOUR, USUAL_HOURS, Backlog, backlog_run
from tests.bench.backlog_rows import backlog_rows, wrong
from tests.bench.budget import Row
from tests.bench.modbus import Modbus
from tests.bench.opcua import OpcUa
from tests.bench.opcua_load import CHANNELS
from tests.bench.replay import replay_rows
from tests.bench.rows import Beside, Measured, all_rows
from tests.bench.runs import (
    Span,
    bare_run,
    commands,
    daemon_run,
    reference_run,
    spied_run,
    stepped_run,
)
from tests.bench.scene import BenchError, Size, Wire
from tests.bench.spy import Profile
from tests.support.debian import UnavailableError, tool

SCHEMA = "cytowatch.bench.v1"
LONGEST_STEPPED = 30.0
CLI_TIMES = 10
REPLAYED = 1_000_000
TOLD_FUNCTIONS = 30
MODBUS_EQUIPMENTS = 400
OPCUA_EQUIPMENTS = 40
YARDSTICK = MODBUS_EQUIPMENTS // OPCUA_EQUIPMENTS
UNAVAILABLE = 69
MISSED = 1


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    wire: Wire
    span: Span
    as_json: bool
    check: bool
    profile: Path | None
    folder: Path | None
    replay: int | None = None
    """Readings to be replayed; None: the daemon is measured."""
    backlog: float | None = None
    """Hours for which the database was away; None: it is there."""
    influxdb: bool = False
    """Whether the database that comes back then is a real one."""


def main() -> int:
    """Measure and tell; 0, 1 with ``--check`` when a budget is missed, 69 when it cannot."""
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        if options.replay is None:
            tool("mosquitto")
        if options.influxdb:
            tool("influxd")
        if options.profile is not None:
            spy.program()
        with tempfile.TemporaryDirectory(prefix="cytobench-", dir=options.folder) as folder:
            return run(options, Path(folder))
    except (UnavailableError, BenchError, Failure) as error:
        say(str(error))
        return UNAVAILABLE
    finally:
        # A signal may come when a process is started and nobody is there yet to end it.
        for child in gauges.children(os.getpid()):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def run(options: Options, folder: Path) -> int:
    """Measure everything in ``folder``, and tell it."""
    if options.replay is not None:
        return run_replay(options, options.replay, folder)
    if options.backlog is not None:
        return run_backlog(options, options.backlog, folder)
    measured = measure(options, folder)
    profile = None if options.profile is None else profiled(options, options.profile, folder)
    rows = all_rows(measured)
    if options.as_json:
        print(json.dumps(report(options, measured, rows, profile)))
    else:
        tell(options, measured.machine, rows, profile)
    if lost := measured.plain.lost + measured.fast.lost:
        say(f"{lost} changes were served and did not arrive: that is a defect, whatever the rest")
        return MISSED
    return MISSED if options.check and budget.missed(rows) else 0


def run_replay(options: Options, readings: int, folder: Path) -> int:
    """Measure a replay of so many readings, and tell it."""
    machine = gauges.machine(folder)
    say(f"writing and replaying {readings} readings, twice")
    rows = replay_rows(options.wire.size, readings, folder / "replay")
    print_rows(options, machine, rows)
    return MISSED if options.check and budget.missed(rows) else 0


def run_backlog(options: Options, hours: float, folder: Path) -> int:
    """Measure how it goes after so many hours without a database, and tell it."""
    machine, span = gauges.machine(folder), options.span
    size, seconds = options.wire.size, round(hours * HOUR)
    backlog = Backlog(size, seconds, span.seconds, span.warm_up, options.influxdb)
    rows = backlog_rows(backlog_run(backlog, folder / "backlog", say))
    print_rows(options, machine, rows)
    if lost := wrong(rows):
        say("that is a defect, whatever the rest: " + "; ".join(row.what.strip() for row in lost))
        return MISSED
    return MISSED if options.check and budget.missed(rows) else 0


def print_rows(options: Options, machine: gauges.Machine, rows: Sequence[Row]) -> None:
    """Print what is no whole table."""
    if options.as_json:
        told = {row.key: row.as_json() for row in rows}
        print(json.dumps({"schema": SCHEMA, "machine": asdict(machine), "rows": told}))
    else:
        print(f"{about(machine)}\n\n{budget.table(rows)}")


def measure(options: Options, folder: Path) -> Measured:
    """Run one after the other; the script on both sides of the run it is compared with."""
    wire, span = options.wire, options.span
    third = Span(span.warm_up, span.seconds / 3)
    short = Span(span.warm_up, min(span.seconds, LONGEST_STEPPED))
    machine = gauges.machine(folder)
    if machine.busy:
        say(f"others are at work here (load average {machine.load:.1f}): figures will be worse")
    say("the script beside us")
    before = beside(wire, third, folder / "before")
    say("the daemon on asyncio")
    plain = daemon_run(wire, span, folder / "asyncio", "asyncio")
    say("the script again")
    between = beside(wire, third, folder / "between")
    say("the daemon on uvloop")
    fast = daemon_run(wire, span, folder / "uvloop", "uvloop")
    say("the script once more")
    after = beside(wire, third, folder / "after")
    say("the daemon with every step of its loop timed")
    steps = stepped_run(wire, short, folder / "steps")
    say("the command line")
    called = commands(wire, folder / "commands", CLI_TIMES)
    return Measured(machine, (before, between, after), plain, fast, steps, called)


def beside(wire: Wire, span: Span, folder: Path) -> Beside:
    """Look at the script, at what does even less where there is such, and at the yardstick."""
    script = reference_run(wire, span, folder)
    bare = bare_run(wire, span, folder.with_name(f"{folder.name}-bare"))
    if isinstance(wire, Modbus):
        return Beside(script, bare, script)
    many = Modbus(Size(YARDSTICK * wire.size.equipments))
    yardstick = reference_run(many, span, folder.with_name(f"{folder.name}-yardstick"))
    return Beside(script, bare, yardstick)


def profiled(options: Options, file: Path, folder: Path) -> Profile:
    """Look at where the CPU goes; the stacks stay in ``file``."""
    say(f"the daemon under py-spy; its stacks go to {file}")
    return spied_run(options.wire, options.span, folder / "spied", "asyncio", file)


def report(
    options: Options, measured: Measured, rows: Sequence[Row], profile: Profile | None
) -> dict[str, object]:
    """Everything as one object."""
    told: dict[str, object] = {
        "schema": SCHEMA,
        "machine": {**asdict(measured.machine), "busy": measured.machine.busy},
        "load": {"words": options.wire.words, **asdict(options.wire.size), "period_s": 1}
        | asdict(options.span),
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
    span = options.span
    print(f"{options.wire.words}, looked at for {span.seconds:g} s after {span.warm_up:g} s")
    print(f"{about(machine)}\n")
    print(budget.table(rows))
    if profile is not None:
        print(f"\nwhere the CPU goes ({profile.samples} samples, asyncio)")
        for shares in (profile.parts, profile.files, profile.functions):
            print()
            for name, share in list(shares.items())[:TOLD_FUNCTIONS]:
                print(f"{100 * share:5.1f} %  {name}")


def about(machine: gauges.Machine) -> str:
    """Return what figures of this machine are to be held against."""
    return (
        f"{machine.cores} cores {machine.model}, Linux {machine.kernel}, Python {machine.python},"
        f" {machine.file_system}, load average {machine.load:.2f} before"
        f"{' (BUSY: others are at work)' if machine.busy else ''}"
    )


def say(what: str) -> None:
    """Say what is going on."""
    print(f"bench: {what}", file=sys.stderr, flush=True)


def parse() -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="./cyto bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="to look at the daemon")
    parser.add_argument("--warm-up", type=float, default=10, help="seconds before that")
    parser.add_argument("--opcua", action="store_true", help="OPC UA in place of Modbus TCP")
    parser.add_argument(
        "--replay", type=int, nargs="?", const=REPLAYED, metavar="READINGS",
        help=f"of exported readings, in place of the daemon (default: {REPLAYED})",
    )  # fmt: skip
    parser.add_argument(
        "--backlog", type=float, nargs="?", const=USUAL_HOURS, metavar="HOURS",
        help=f"without a database, in place of all else (default: {USUAL_HOURS})",
    )  # fmt: skip
    parser.add_argument("--influxdb", action="store_true", help="1.6 itself, with --backlog")
    parser.add_argument("--equipments", type=int, help="default: 400, with --opcua 40")
    parser.add_argument("--channels", type=int, default=25, help="of each")
    parser.add_argument("--lines", type=int, default=4, help="servers, with --opcua")
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
    size = Size(
        given.equipments or (OPCUA_EQUIPMENTS if given.opcua else MODBUS_EQUIPMENTS), given.channels
    )
    if min(given.seconds, size.equipments, size.channels, given.lines) <= 0 or given.warm_up < 0:
        parser.error("seconds, equipments, channels and lines are more than nothing")
    if given.replay is not None and given.replay <= 0:
        parser.error("there is nothing to replay")
    if given.backlog is not None and given.backlog * HOUR < 1:
        parser.error("an outage takes a second at least")
    if given.opcua and (size.channels > len(CHANNELS) or given.lines > size.equipments):
        parser.error(f"a bioreactor has {len(CHANNELS)} channels at most, and a line one of them")
    return Options(
        OpcUa(size, given.lines) if given.opcua else Modbus(size),
        Span(given.warm_up, given.seconds),
        given.json,
        given.check,
        given.profile and given.profile.resolve(),
        given.folder,
        given.replay,
        given.backlog,
        given.influxdb,
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)

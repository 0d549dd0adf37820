"""A plant of numbered values under chaos, and the judge over it: ``./cyto soak --for 2h --seed N``.

Runs the daemon between real servers while troubles that follow from the seed strike all of them,
mends everything in the end, lets the daemon deliver what it has, and judges.  Each minute it tells
how far it is; what it saw stays in a folder.  Exit 0: every promise was kept; 1: one was broken,
and the first is named; 69: it could not be run here (where only Node cannot be had,
``--without-node`` leaves it out).
"""

import argparse
import asyncio
import json
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from monitor.store.verify import verify
from tests.ledger.chaos import FAULTS, KINDS, Chaos, chosen
from tests.ledger.judge import Verdict, judge
from tests.ledger.plant import BrokenError, Plant, disk, plant
from tests.support.debian import UnavailableError
from tests.support.opcua_servers import MAKES, Make

Came = TypeVar("Came")
"""What troubles come to."""
FULL = "disk-full"
UNAVAILABLE = 69
BROKEN = 1
LONGEST = 7 * 86_400.0
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_LASTING = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)")
TOLD = 3
"""Of each broken promise, how many cases are shown; the folder has all."""


class Options(NamedTuple):
    """What the command line says."""

    seconds: float
    seed: int
    faults: Sequence[str]
    folder: Path
    makes: Sequence[Make]
    """Of the OPC UA servers."""


class Outcome(NamedTuple):
    """What came of it."""

    verdicts: Sequence[Verdict]
    struck: int
    resent: int

    @property
    def broken(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if verdict.against]


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak, judge and tell; returns the exit code."""
    options = parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if len(options.makes) < len(MAKES):
        say(f"without node-opcua: OPC UA is served by {' and '.join(options.makes)} alone")
    say(f"seed {options.seed}, {len(options.faults)} kinds of faults, evidence: {options.folder}")
    try:
        outcome = asyncio.run(soak(options))
    except UnavailableError as error:
        say(str(error))
        return UNAVAILABLE
    except BrokenError as error:
        say(f"BROKEN: {error}")
        return BROKEN
    tell(outcome, options.seed)
    return BROKEN if outcome.broken else 0


def parse(arguments: Sequence[str] | None) -> Options:
    """Read the command line; what cannot be is exit 2."""
    parser = argparse.ArgumentParser(prog="cyto soak", description=__doc__)
    parser.add_argument("--for", dest="lasting", default="5m", help="such as 90s, 5m or 2h")
    parser.add_argument("--seed", type=int, help="of the troubles; a new one when not given")
    parser.add_argument(
        "--faults", default="all", help=f"all, none, or some of {', '.join((*KINDS, *FAULTS))}"
    )
    parser.add_argument(
        "--without-node",
        action="store_true",
        help="leave out the server of node-opcua and its troubles, where Node cannot be had",
    )
    parser.add_argument("--folder", type=Path, help="for the evidence; one of its own otherwise")
    told = parser.parse_args(arguments)
    lasting = _LASTING.fullmatch(told.lasting)
    seconds = float(lasting[1]) * _UNITS[lasting[2]] if lasting else 0
    if not 1 <= seconds <= LONGEST:
        parser.error(f"--for {told.lasting}: should be 1s to 168h, such as 5m")
    try:
        makes = tuple(m for m in MAKES if m != "node-opcua" or not told.without_node)
        faults = [n for n in chosen(told.faults, makes) if n != FULL or can_mount()]
    except ValueError as error:
        parser.error(str(error))
    seed = random.SystemRandom().randrange(10**6) if told.seed is None else told.seed
    folder = told.folder or Path(tempfile.mkdtemp(prefix=f"cyto-soak-{seed}-"))
    folder.mkdir(parents=True, exist_ok=True)
    return Options(seconds, seed, faults, folder, makes)


async def soak(options: Options) -> Outcome:
    """Run all of it; raises BrokenError where nothing more can be waited for."""
    small = FULL in options.faults
    async with plant(options.folder, options.makes, small_disk=small) as running:
        chaos = Chaos(running, options.seed, options.faults, options.folder / "chaos.jsonl")
        await running.daemon.ready()
        async with AsyncExitStack() as stack:
            for going_on in (
                *published(running, options),
                running.witness(),
                report(running, chaos),
            ):
                stack.push_async_callback(ended, asyncio.create_task(going_on))
            await suffer(running, options.seed, chaos.reign(options.seconds))
            say("all is mended; waiting until everything has arrived")
            await running.settle()
        verdicts = await judged(running)
        (options.folder / "verdict.json").write_text(
            json.dumps([verdict._asdict() for verdict in verdicts], indent=1), encoding="utf-8"
        )
        return Outcome(verdicts, chaos.struck.total(), running.resent)


def published(running: Plant, options: Options) -> list[Coroutine[None, None, None]]:
    """What lets the reactors have new values, each by a chance of its own."""
    return [
        running.publish(reactor, random.Random(f"{options.seed} {make}"))  # noqa: S311 - no secret
        for make, reactor in running.reactors.items()
    ]


async def ended(task: asyncio.Task[None]) -> None:
    """End what goes on for ever; what went wrong in it is not lost."""
    task.cancel()
    [error] = await asyncio.gather(task, return_exceptions=True)
    if isinstance(error, Exception):
        raise error


async def suffer(running: Plant, seed: int, troubles: Coroutine[Any, Any, Came]) -> Came:
    """Let excursions come with the troubles; return what these came to when both are over."""
    done = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as lives:
            for device in running.devices:
                chance = random.Random(f"{seed} {device.equipment}")  # noqa: S311 - no secret
                lives.create_task(running.go_wrong(device, chance, done))
            came_to = await troubles
            done.set()
    except BaseExceptionGroup as group:
        raise first(group) from None
    return came_to


def first(group: BaseExceptionGroup) -> BaseException:
    """The first of what went wrong."""
    one = group.exceptions[0]
    return first(one) if isinstance(one, BaseExceptionGroup) else one


async def judged(running: Plant) -> list[Verdict]:
    """End the daemon in good order, let the next life deliver the rest, and judge."""
    daemon = running.daemon
    if (code := await daemon.stop()) != 0:
        running.strange.append(f"it ended with {code}")
    with daemon.reader() as reader:
        until = max((point.scan for point in reader.readings(0, 2**63 - 1)), default=0)
    daemon.start()
    await running.settle()
    heads = dict.fromkeys(said.head for said in running.witnessed)
    daemon.kill()
    for head in (*heads,)[:: max(1, len(heads) // 20)]:
        running.strange += verify(daemon.store, head).problems
    if "Traceback" in daemon.words():
        running.strange.append("it logged a traceback")
    return judge(running.evidence(until))


async def report(running: Plant, chaos: Chaos) -> None:
    """Say each minute how far it is, for ever."""
    began = time.monotonic()
    while True:
        await asyncio.sleep(60)
        minutes = round((time.monotonic() - began) / 60)
        scans = running.witnessed[-1].last_scan if running.witnessed else 0
        say(
            f"{minutes} min: {chaos.struck.total()} troubles, {scans} scans,"
            f" {running.excursions.total()} excursions,"
            f" {len(running.ears.of('alarm_event'))} alarm events heard"
        )


def tell(outcome: Outcome, seed: int) -> None:
    """Print the table."""
    width = max(len(verdict.promise) for verdict in outcome.verdicts)
    for promise, looked_at, against in outcome.verdicts:
        kept = "kept" if not against else f"BROKEN {len(against)}"
        print(f"{promise:{width}}  {looked_at:>8}  {kept}")
        for words in against[:TOLD]:
            print(f"    {words}")
    print(f"{outcome.struck} troubles struck; {outcome.resent} alarm events were asked for again.")
    if outcome.broken:
        print(f"BROKEN with seed {seed}: {outcome.broken[0].promise}")


def can_mount() -> bool:
    """Whether the daemon can have a disk of its own that may be filled."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with disk(Path(folder) / "disk", Path(folder) / "kept"):
                return True
        except (OSError, subprocess.CalledProcessError):
            say(f"no {FULL}: only root can give the daemon a disk of its own")
            return False


def say(words: str) -> None:
    """Tell people, while it goes on."""
    print(f"soak: {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

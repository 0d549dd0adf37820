"""``kill -9`` at every write of the whole daemon: to files, database, broker and people.

    python -m tests.ledger.kills [--calls pwrite64,sendto] [--only pwrite64-17] [--sample N]

The daemon lives between real servers and devices of numbered values, which have excursions all the
time. It is let live once for some scans, from its start to its end, and its calls are counted;
then as often as it made calls, each life ended at another one. After each, what it had said to be
committed is held against the record; in the end the judge looks at all of it. The tests take a
sample, the whole takes about half an hour. Exit 1: a promise was broken.
"""

import argparse
import asyncio
import random
import re
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

from monitor.store.verify import verify
from tests.ledger.plant import PATIENCE, Plant, plant
from tests.ledger.soak import BROKEN, Outcome, ended, judged, suffer, tell
from tests.support.debian import tool
from tests.support.waiting import eventually

FILES = ("pwrite64", "fdatasync", "fsync", "write", "ftruncate", "fallocate", "unlink", "rename")
SOCKETS = ("sendto", "sendmsg", "sendmmsg", "writev")
CALLS = (*FILES, *SOCKETS, "mkdir")
LENGTH = 18
"""Scans of a life: six a second."""
REPORT = 50
"""Lives after each of which it says how far it is."""
_CALLED = re.compile(r"^(\d+) +(\w+)\(", re.MULTILINE)


class Strike(NamedTuple):
    """The how-many-eth call of its kind that one thread of the daemon makes in its life."""

    call: str
    number: int

    @classmethod
    def read(cls, text: str) -> "Strike":
        """Read ``pwrite64-17``."""
        call, _, number = text.partition("-")
        if call not in CALLS or not number.isdigit():
            raise argparse.ArgumentTypeError(f"{text}: should be such as {CALLS[0]}-17")
        return cls(call, int(number))

    def __str__(self) -> str:
        return f"{self.call}-{self.number}"


class Options(NamedTuple):
    """What the command line says."""

    calls: Sequence[str]
    only: Sequence[Strike]
    sample: int
    """So many strikes by chance; 0: all."""
    seed: int
    folder: Path


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    print(f"seed {options.seed}, evidence: {options.folder}", flush=True)
    outcome = asyncio.run(sweep(options))
    tell(outcome, options.seed)
    return BROKEN if outcome.broken else 0


def parse(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m tests.ledger.kills")
    parser.add_argument("--calls", default=",".join(CALLS), help="those at which it is killed")
    parser.add_argument("--only", type=Strike.read, nargs="*", default=(), metavar="CALL-N")
    parser.add_argument("--sample", type=int, default=0, help="so many by chance; 0: all")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--folder", type=Path, help="for the evidence; one of its own otherwise")
    told = parser.parse_args(arguments)
    folder = told.folder or Path(tempfile.mkdtemp(prefix=f"cyto-kills-{told.seed}-"))
    folder.mkdir(parents=True, exist_ok=True)
    return Options(told.calls.split(","), told.only, told.sample, told.seed, folder)


async def sweep(options: Options) -> Outcome:
    """All of it; raises BrokenError where nothing more can be waited for."""
    async with plant(options.folder, ()) as running, AsyncExitStack() as stack:
        await running.daemon.ready()
        running.daemon.kill()
        stack.push_async_callback(ended, asyncio.create_task(running.witness()))
        struck = await suffer(running, options.seed, strike_and_start(running, options))
        await running.settle()
        await stack.aclose()
        return Outcome(await judged(running), struck, running.resent)


async def strike_and_start(running: Plant, options: Options) -> int:
    """Let all strikes come; return how often it was killed, with the daemon alive."""
    killed = await strike_all(running, options)
    running.daemon.under = ()
    running.daemon.start()
    return killed


async def strike_all(running: Plant, options: Options) -> int:
    """Kill it at each call of which there is one; in no order, so that it also gets on."""
    chance = random.Random(options.seed)  # noqa: S311 - no secret
    strikes = list(options.only) or await calls_of(running, options.calls)
    chance.shuffle(strikes)
    strikes = strikes[: options.sample or None]
    killed = Counter[str]()
    for number, strike in enumerate(strikes, 1):
        killed[strike.call] += await strike_at(running, strike)
        if number % REPORT == 0:
            print(f"{number} of {len(strikes)} lives, killed in {killed.total()}", flush=True)
    for call, many in sorted(Counter(strike.call for strike in strikes).items()):
        print(f"{call}: killed at {killed[call]} of {many} calls", flush=True)
    return killed.total()


async def calls_of(running: Plant, names: Sequence[str]) -> list[Strike]:
    """Let it live, and return every call that it made, as strace counts them: by thread."""
    trace = running.folder / "trace"
    code = await live(running, ["-o", str(trace), "-e", f"trace={','.join(names)}"])
    assert code == 0, running.daemon.words()
    threads = Counter(_CALLED.findall(trace.read_text(encoding="utf-8", errors="replace")))
    most = {
        name: max((n for (_, c), n in threads.items() if c == name), default=0) for name in names
    }
    return [Strike(name, n) for name, many in most.items() for n in range(1, many + 1)]


async def strike_at(running: Plant, strike: Strike) -> bool:
    """Kill it at a call, and hold what it said against what it left; False: it made fewer."""
    call, number = strike
    inject = f"inject={call}:signal=KILL:when={number}"
    code = await live(running, ["-o", "/dev/null", "-e", f"trace={call}", "-e", inject])
    if code not in {0, -signal.SIGKILL}:
        running.strange.append(f"{strike}: it ended with {code}")
    if running.witnessed:
        head = running.witnessed[-1].head
        problems = (await asyncio.to_thread(verify, running.daemon.store, head)).problems
        running.strange += [f"{strike}: {problem}" for problem in problems]
    return code == -signal.SIGKILL


async def live(running: Plant, options: Sequence[str]) -> int:
    """One life under strace, of some scans if it gets so far; return how it ended."""
    daemon, strace = running.daemon, tool("strace")
    variables = [f"{name}={value}" for name, value in strace.variables.items()]
    tracer = [str(strace.path), "-D", "-f", "-qq"]
    daemon.under = ["env", *variables, *tracer, *options]
    enough = max((said.last_scan for said in running.witnessed), default=0) + LENGTH
    daemon.start()
    await eventually(lambda: daemon.has_ended or _is_at(running, enough), PATIENCE)
    return await daemon.stop()


def _is_at(running: Plant, scan: int) -> bool:
    return bool(running.witnessed) and running.witnessed[-1].last_scan >= scan


if __name__ == "__main__":
    sys.exit(main())

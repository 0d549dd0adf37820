"""Chaos by a seed: faults that strike the daemon, its servers and the wires, and are mended again.

Each victim has troubles of its own, one after the other, from a chance of its own: so troubles of
several victims meet, and a seed gives the same troubles in the same order whatever else happens.
"""

import asyncio
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.ledger.judge import Deaf
from tests.ledger.plant import LINES, BrokenError, Plant
from tests.ledger.reactors import FAULT, Reactor
from tests.support.opcua_servers import MAKES, Make
from tests.support.servers import Server
from tests.whole.wire import Manner, Way

Do = Callable[[Plant, random.Random], None]
Deed = Callable[[Reactor, random.Random], None]


class Fault(NamedTuple):
    """Something that happens to a victim for a while."""

    victim: str
    strike: Do
    mend: Do
    longest: float
    """Seconds."""
    deafens: Callable[[Plant], str] = lambda _: ""
    """The line on which nothing is heard while it lasts; empty where something is."""


def _kill_daemon(plant: Plant, chance: random.Random) -> None:
    del chance
    with plant.orders:
        _see_that_it_ran(plant)
        plant.daemon.kill()


def _start_daemon(plant: Plant, chance: random.Random) -> None:
    del chance
    with plant.orders:
        plant.daemon.start()


def _see_that_it_ran(plant: Plant) -> None:
    """Raise BrokenError where the daemon has ended by itself, but for want of any room at all."""
    if plant.daemon.has_ended and not plant.daemon.words().rstrip().endswith(NO_ROOM):
        raise BrokenError(f"the daemon has ended by itself: {plant.daemon.words()[-2000:]}")


def _signal(which: Callable[[Plant], int | None], how: signal.Signals) -> Do:
    def send(plant: Plant, chance: random.Random) -> None:
        del chance
        _see_that_it_ran(plant)
        if (pid := which(plant)) is not None:  # None: no room for it on the disk.
            os.kill(pid, how)

    return send


def _frozen(
    victim: str, which: Callable[[Plant], int | None], longest: float, deaf: str = ""
) -> Fault:
    strike, mend = _signal(which, signal.SIGSTOP), _signal(which, signal.SIGCONT)
    return Fault(victim, strike, mend, longest, lambda _: deaf)


def _away(victim: str, which: Callable[[Plant], Server], longest: float = 15.0) -> Fault:
    return Fault(victim, lambda p, _: which(p).kill(), lambda p, _: which(p).start(), longest)


def _spoil(manner: Manner, name: str, plant: Plant, chance: random.Random) -> None:
    del chance
    plant.wires[name].behave(manner)


def _swallow(name: str, plant: Plant, chance: random.Random) -> None:
    plant.wires[name].cut(chance.choice((Way.BOTH, Way.TO_CLIENT, Way.TO_SERVER)))


def _filler(plant: Plant) -> Path:
    return plant.daemon.state / "somebody-elses.log"


def _fill_disk(plant: Plant, chance: random.Random) -> None:
    """Write until there is no room, as a log does that nobody rotates."""
    del chance
    with suppress(OSError), _filler(plant).open("wb", buffering=0) as file:
        while file.write(bytes(PIECE)):
            pass


def _empty_disk(plant: Plant, chance: random.Random) -> None:
    """Make room; a daemon that had none, not even a ballast, is started again, as systemd does."""
    del chance
    _filler(plant).unlink(missing_ok=True)
    with plant.orders:
        _see_that_it_ran(plant)
        if plant.daemon.has_ended:
            plant.daemon.kill()
            plant.daemon.start()


def _mend_wire(name: str, plant: Plant, chance: random.Random) -> None:
    del chance
    plant.wires[name].mend()
    plant.wires[name].behave(Manner.WHOLE)


NO_ROOM = "make room on the disk"
"""How the last words end of a daemon that ended because nothing at all could be written."""
PROTECTED = (LINES["node-opcua"], "broker")
"""Wires on which a flipped bit cannot pass for something else."""
WIRES = ("bus-a", "io-b", *LINES.values(), "broker", "database")


def _all_faults() -> dict[str, Fault]:
    """Every fault by its name."""
    found = {
        "daemon-kill": Fault("daemon", _kill_daemon, _start_daemon, 4.0),
        "daemon-freeze": _frozen("daemon", lambda p: p.daemon.pid, 8.0),
        "broker-kill": _away("broker", lambda p: p.broker),
        "broker-freeze": _frozen("broker", lambda p: p.broker.pid, 12.0),
        "database-kill": _away("database", lambda p: p.influxdb),
        "database-freeze": _frozen("database", lambda p: p.influxdb.pid, 12.0),
        "disk-full": Fault("disk", _fill_disk, _empty_disk, 20.0),
    }
    for name in WIRES:
        found |= _wire_faults(name)
    for make in MAKES:
        found |= {f"{make}-{what}": fault for what, fault in _server_faults(make)}
    return found


def _wire_faults(name: str) -> Iterator[tuple[str, Fault]]:
    mend, deafens = partial(_mend_wire, name), partial(_is_cut, name)
    yield f"{name}-swallow", Fault(f"wire {name}", partial(_swallow, name), mend, 15.0, deafens)
    for manner in Manner:
        if manner is not Manner.WHOLE and (manner is not Manner.FLIPPED or name in PROTECTED):
            strike = partial(_spoil, manner, name)
            yield f"{name}-{manner.value}", Fault(f"wire {name}", strike, mend, 10.0, deafens)


def _is_cut(name: str, plant: Plant) -> str:
    """The wire, if nothing of what a server says comes through."""
    between = plant.wires[name]
    cut = Way.TO_CLIENT in between.swallows or between.manner is Manner.REFUSED
    return name if cut else ""


def _server_faults(make: Make) -> Iterator[tuple[str, Fault]]:
    """What happens to an OPC UA server; to one of node-opcua, which can be told more, more."""

    def fault(strike: Deed, mend: Deed = _over, longest: float = 10.0, deaf: str = "") -> Fault:
        return Fault(make, _alone(make, strike), _alone(make, mend), longest, lambda _: deaf)

    line = LINES[make]
    yield "kill", fault(lambda r, _: r.server.kill(), lambda r, _: r.server.start(), 15.0, line)
    yield "stop", fault(lambda r, _: r.server.stop(), lambda r, _: r.server.start(), 15.0, line)
    yield "freeze", _frozen(make, lambda p: p.reactors[make].server.pid, 15.0, line)
    yield "unsubscribed", fault(lambda r, _: r.server.drop_subscriptions())
    yield "muted", fault(lambda r, _: r.server.mute_subscriptions())
    yield (
        "doubtful",
        fault(lambda r, _: r.server.say_state(FAULT), lambda r, _: r.server.say_state(0)),
    )
    yield "sensor", fault(lambda r, _: r.fail_sensor(), lambda r, _: r.mend_sensor())
    yield "gone", fault(Reactor.take_node, lambda r, _: r.bring_nodes())
    yield "retyped", fault(Reactor.spoil_node, lambda r, _: r.bring_nodes())
    yield "clock", fault(Reactor.set_clock, lambda r, _: r.server.set_clock(0))
    if make == "node-opcua":
        yield "flood", fault(lambda r, _: r.flood())
        yield "sessionless", fault(lambda r, _: r.server.close_sessions())
        yield (
            "crowded",
            fault(
                lambda r, _: r.server.close_sessions(0),
                lambda r, _: r.server.close_sessions(),
                15.0,
                line,
            ),
        )
        yield "stranger", fault(_change_certificate, _change_certificate, 15.0, line)


def _alone(make: Make, deed: Deed) -> Do:
    def do(plant: Plant, chance: random.Random) -> None:
        reactor = plant.reactors[make]
        reactor.alone(partial(deed, reactor, chance))

    return do


def _change_certificate(reactor: Reactor, chance: random.Random) -> None:
    del chance
    reactor.change_certificate()


def _over(reactor: Reactor, chance: random.Random) -> None:
    """It is over by itself."""


FAULTS: Mapping[str, Fault] = _all_faults()
KINDS = tuple(sorted({name.rsplit("-", 1)[1] for name in FAULTS}))
"""The last words of the names: ``kill`` stands for each fault that ends with it."""
QUIET = (2.0, 12.0)
"""Seconds between two troubles of one victim."""
SHORTEST = 0.2
PIECE = 4096
"""Bytes."""


def chosen(words: str, makes: Sequence[Make] = MAKES) -> Sequence[str]:
    """The faults that ``all``, ``none`` or a list of names and kinds means; raises ValueError.

    Those of servers that are not there are left out.
    """
    away = tuple(f"{name}-" for make in MAKES if make not in makes for name in (make, LINES[make]))
    there = [name for name in FAULTS if not name.startswith(away)]
    match words:
        case "all":
            return there
        case "none":
            return ()
        case _:
            wanted = words.split(",")
            for word in wanted:
                if word not in FAULTS and word not in KINDS:
                    known = ", ".join((*KINDS, *FAULTS))
                    raise ValueError(f"no fault is called {word}; there are {known}")
            return [n for n in there if n in wanted or n.rsplit("-", 1)[1] in wanted]


@dataclass
class Chaos:
    """What strikes, and what has struck."""

    plant: Plant
    seed: int
    names: Sequence[str]
    file: Path
    struck: Counter[str] = field(default_factory=Counter)

    async def reign(self, seconds: float) -> None:
        """Strike for so long; when it returns all is mended."""
        victims: dict[str, list[str]] = {}
        for name in self.names:
            victims.setdefault(FAULTS[name].victim, []).append(name)
        end = time.monotonic() + seconds
        async with asyncio.TaskGroup() as troubles:
            for victim, names in victims.items():
                troubles.create_task(self._trouble(victim, names, end))
            troubles.create_task(asyncio.sleep(seconds))

    async def _trouble(self, victim: str, names: Sequence[str], end: float) -> None:
        chance = random.Random(f"{self.seed} {victim}")  # noqa: S311 - no secret
        while True:
            quiet, name = chance.uniform(*QUIET), chance.choice(names)
            lasting = chance.uniform(SHORTEST, FAULTS[name].longest)
            if time.monotonic() + quiet + lasting > end:
                return
            await asyncio.sleep(quiet)
            await self._strike(name, lasting, chance)

    async def _strike(self, name: str, lasting: float, chance: random.Random) -> None:
        fault = FAULTS[name]
        self.struck[name] += 1
        self._tell(name, "strikes", lasting)
        await asyncio.to_thread(fault.strike, self.plant, chance)
        line, since = fault.deafens(self.plant), _now()
        try:
            await asyncio.sleep(lasting)
        finally:
            self._remember(fault.victim, line, since)
            await asyncio.to_thread(fault.mend, self.plant, chance)
        self._tell(name, "mended", 0.0)

    def _remember(self, victim: str, line: str, since: int) -> None:
        """Have the judge know what cannot have been heard since then."""
        if victim == "daemon":
            self.plant.stopped.append((since, _now()))
        elif line:
            self.plant.deaf.append(Deaf(line, since, _now()))

    def _tell(self, name: str, what: str, seconds: float) -> None:
        line = {"at": time.time_ns(), "fault": name, "what": what, "seconds": round(seconds, 2)}
        with suppress(OSError), self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def _now() -> int:
    """Milliseconds, UTC."""
    return time.time_ns() // 10**6

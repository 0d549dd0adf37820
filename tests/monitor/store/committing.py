"""A process that commits tick after tick and prints the number of each that was acknowledged.

``endless`` goes on until it is killed, and so does ``opening``, which says when it begins;
``limited`` may write files of 300 KiB only, as on a disk that is full, and checks what the store
does then.
"""

import asyncio
import resource
import signal
import sys
from collections.abc import Awaitable
from pathlib import Path

from monitor.store import Store, StoreError, Tick
from tests.monitor.store.support import QUOTA, event, tick_of


async def commit_on(store: Store) -> None:
    groups = await store.groups([("incubator-0",), ("incubator-1",)])
    while True:
        number = store.last.event + 1
        tick = tick_of(groups, 4 * number - 3)
        tick.events = [event(number, seq=number)]
        tick.facts = {"a/co2/high": str(number)}
        if number > 1:
            store.confirm("mqtt", "events", number - 1)
        await store.commit(tick)
        print(number, flush=True)


async def limited(path: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300 * 1024, 300 * 1024))
    async with Store.open(path, quota=QUOTA) as store:
        words = {await failure(commit_on(store))}
        beyond = store.last.event
        words.add(await failure(store.commit(Tick())))
        words.add(await failure(store.events(0, 1)))
        words.add(await failure(store.wait("events", beyond)))
        print("refused for good:", *words)


async def failure(call: Awaitable[object]) -> str:
    try:
        await call
    except StoreError as error:
        return str(error)
    raise AssertionError("it went on")


async def opening(path: Path) -> None:
    print("opening", flush=True)
    await endless(path)


async def endless(path: Path) -> None:
    async with Store.open(path, quota=QUOTA) as store:
        await commit_on(store)


MODES = {"endless": endless, "limited": limited, "opening": opening}

if __name__ == "__main__":
    asyncio.run(MODES[sys.argv[2]](Path(sys.argv[1])))

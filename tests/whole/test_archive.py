"""An archive of a daemon that goes on: who waits for it holds up nobody, and it is whole."""

import asyncio
import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.cli.archives import understood_as
from monitor.cli.client import connect, converse
from monitor.operators.protocol import ArchiveRequest
from monitor.store.database import Database
from monitor.store.packing import pack
from monitor.store.reader import Reader
from monitor.store.tick import Tick
from monitor.store.unpacking import verify_archive
from tests.monitor.store.support import NOON, line_of
from tests.whole.daemon import Daemon
from tests.whole.test_command_line import ALARM, EVER, raised, watched_plant

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

SLOW_READER = 16 * 2**20
"""Bytes that surely do not fit into what lies between the daemon and one who reads nothing."""


def fill(path: Path) -> None:
    """Make a record that has so many readings already."""
    database = Database(path, 2**30)
    [group] = database.groups([("incubator-01",)])
    for number in range(1, 17):
        tick = Tick()
        noise = secrets.token_bytes(SLOW_READER // 16).replace(b"\n", b" ")
        tick.add(group, line_of("incubator-01", number, NOON) + noise, number, NOON)
        database.commit(tick, {}, None)
    database.close()


async def test_alarms_and_acts_go_on_while_an_archive_is_waited_for(tmp_path: Path) -> None:
    async with watched_plant(tmp_path) as daemon:
        fill(daemon.store)
        with daemon:
            await daemon.ready()
            request = ArchiveRequest()
            answer = converse(connect(daemon.socket), request)
            begun = await asyncio.to_thread(next, answer)
            noted = newest_act(daemon)
            assert noted["act"] == "archive"
            told = await raised(daemon)
            assert told["change"] == "raised"
            acked = await daemon.run("ack", ALARM, "--reason", "bottle ordered")
            assert acked.code == 0, acked
            assert newest_act(daemon)["act"] == "acknowledge", "and the archive is not read yet"
            target = tmp_path / "a.zip"
            manifest = await asyncio.to_thread(pack, target, understood_as(rows_of(begun, answer)))
            assert await daemon.stop() == 0
    _, verdict = verify_archive(target)
    assert verdict.problems == ()
    assert manifest.made_by == noted["user"]
    assert acts_upto(daemon, manifest.events.last) == ["archive"]


def rows_of(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def newest_act(daemon: Daemon) -> dict[str, str]:
    with Reader(daemon.store) as reader:
        *_, act = reader.of_kind("act", 0)
    found: dict[str, str] = json.loads(act.body)
    return found


def acts_upto(daemon: Daemon, last: int) -> list[str]:
    """The acts up to the last event of the archive; what came later is on the record as well."""
    with Reader(daemon.store) as reader:
        events = [event for event in reader.events(0, EVER) if event.kind == "act"]
    assert any(event.number > last for event in events)
    return [json.loads(event.body)["act"] for event in events if event.number <= last]

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from monitor.store import Store, chain
from tests.monitor.store.support import QUOTA, event, tick_of


def test_the_head_of_the_whole_is_read_back() -> None:
    parts = (12, bytes(range(32)), 345, bytes(range(32, 64)))
    assert chain.read_whole(chain.whole(*parts)) == parts


@pytest.mark.parametrize("head", ["", "12", "1.ab:2.cd", f"1.{'0' * 64}:2.{'0' * 63}g"])
def test_what_is_no_head_is_refused(head: str) -> None:
    with pytest.raises(ValueError, match="is no head of a record"):
        chain.read_whole(head)


async def test_anybody_can_check_the_chain_with_a_few_lines_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "cytowatch.db"
    async with Store.open(path, quota=QUOTA) as store:
        groups = await store.groups([("incubator-0",), ("incubator-1",)])
        for number in range(3):
            tick = tick_of(groups, 1 + 4 * number)
            tick.events = [event(number + 1, seq=number + 1)]
            await store.commit(tick)
        published = store.last.head

    def after(head: bytes, *content: object) -> bytes:
        return hashlib.sha256(head + json.dumps(content, separators=(",", ":")).encode()).digest()

    telemetry = record = bytes(32)
    with closing(sqlite3.connect(path)) as db:
        for *entry, body in db.execute(
            "SELECT blob.id, names, first_scan, last_scan, first_at, last_at, lines, body"
            " FROM blob JOIN grouping ON grouping.id = blob.grouping ORDER BY blob.id"
        ):
            telemetry = after(telemetry, *entry, hashlib.sha256(body).hexdigest())
        first = 1
        for number, at, blob, head, config, last in db.execute(
            "SELECT id, at, last_blob, telemetry, config, last_event FROM link ORDER BY id"
        ).fetchall():
            events = db.execute(
                "SELECT number, seq, kind, at, boot, subject, body, ms FROM event"
                " WHERE number BETWEEN ? AND ?",
                (first, last),
            ).fetchall()
            record = after(record, number, at, blob, head.hex(), config, events)
            first = last + 1
    assert published == f"3.{record.hex()}:6.{telemetry.hex()}"

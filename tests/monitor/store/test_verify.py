import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from monitor.store import Event, Store, StoreError, chain
from monitor.store.verify import Verdict, verify
from tests.monitor.store.support import QUOTA, event, tick_of

Record = tuple[Path, list[str]]
CONFIG = ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "")


@pytest.fixture
async def record(tmp_path: Path) -> Record:
    """A closed store of six ticks, each of two blobs, two events and one link; and their heads."""
    path, heads = tmp_path / "cytowatch.db", []
    async with Store.open(path, quota=QUOTA) as store:
        groups = await store.groups([("incubator-0",), ("incubator-1",)])
        for number in range(6):
            tick = tick_of(groups, 1 + 4 * number)
            tick.events = [event(2 * number + 1), event(2 * number + 2, seq=number + 1)]
            tick.config = CONFIG if number == 0 else None
            await store.commit(tick)
            heads.append(store.last.head)
    return path, heads


def tamper(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


def test_an_untouched_record_is_whole_by_every_head_it_ever_had(record: Record) -> None:
    path, heads = record
    for head in ["", *heads]:
        verdict = verify(path, head)
        assert verdict.whole
        assert (verdict.events, verdict.blobs, verdict.gone) == (12, 12, 0)
        assert verdict.head == heads[-1]


SWAP_EVENTS = (
    "UPDATE event SET number = 0 WHERE number = 4",
    "UPDATE event SET number = 4 WHERE number = 5",
    "UPDATE event SET number = 5 WHERE number = 0",
)
SWAP_BODIES = (
    "CREATE TEMP TABLE held AS SELECT id, body, sha256 FROM blob",
    """UPDATE blob SET (body, sha256) =
           (SELECT body, sha256 FROM held WHERE held.id = 9 - blob.id) WHERE id IN (4, 5)""",
)


@pytest.mark.parametrize(
    ("statements", "problems"),
    [
        pytest.param(
            ("UPDATE event SET body = '{}' WHERE number = 5",),
            ["events 5 to 6 (link 3): changed or moved"],
            id="an edited event",
        ),
        pytest.param(
            ("UPDATE event SET at = at + 1 WHERE number = 12",),
            ["events 11 to 12 (link 6): changed or moved"],
            id="a moved time",
        ),
        pytest.param(
            ("DELETE FROM event WHERE number = 5",),
            ["events 5 to 6: some are missing"],
            id="a deleted event",
        ),
        pytest.param(
            SWAP_EVENTS,
            [
                "events 3 to 4 (link 2): changed or moved",
                "events 5 to 6 (link 3): changed or moved",
            ],
            id="two events swapped",
        ),
        pytest.param(
            ("INSERT INTO event VALUES (13, 7, 'alarm', 1, 1, 'a', '{}', 1, 1)",),
            ["events from 13: not part of the chain"],
            id="an event slipped in",
        ),
        pytest.param(
            ("DELETE FROM link WHERE id = 3",),
            ["record: links 3 to 3 are missing"],
            id="a deleted link",
        ),
        pytest.param(
            ("UPDATE blob SET body = CAST('other' AS BLOB) WHERE id = 5",),
            ["readings: blob 5 (scans 9 to 12): the lines were changed"],
            id="edited readings",
        ),
        pytest.param(
            ("UPDATE blob SET last_at = last_at + 1 WHERE id = 5",),
            ["readings: blob 5 (scans 9 to 12): it, or the one before, was changed or moved"],
            id="readings of another time",
        ),
        pytest.param(
            ("DELETE FROM blob WHERE id = 5",),
            ["readings: blobs 5 to 5 are missing"],
            id="deleted readings",
        ),
        pytest.param(
            SWAP_BODIES,
            [
                "readings: blob 4 (scans 5 to 8): it, or the one before, was changed or moved",
                "readings: blob 5 (scans 9 to 12): it, or the one before, was changed or moved",
            ],
            id="two blobs swapped",
        ),
        pytest.param(
            ("""UPDATE grouping SET names = '["incubator-2"]' WHERE id = 1""",),
            [
                f"readings: blob {blob} (scans {scan} to {scan + 3}): "
                "it, or the one before, was changed or moved"
                for blob, scan in [(2, 1), (4, 5), (6, 9), (8, 13), (10, 17), (12, 21)]
            ],
            id="another equipment's readings",
        ),
        pytest.param(
            ("DELETE FROM blob WHERE id > 10",),
            ["readings: blob 12, which link 6 speaks of, is missing"],
            id="the newest readings cut off",
        ),
        pytest.param(
            ("UPDATE config SET text = 'other'",),
            ["configuration e3b0c442: its text was changed"],
            id="an edited configuration",
        ),
        pytest.param(
            ("DELETE FROM config",),
            ["configuration e3b0c442: its text is missing"],
            id="a deleted configuration",
        ),
    ],
)
def test_tampering_shows_where_it_was_done(
    record: Record, statements: tuple[str, ...], problems: list[str]
) -> None:
    path, _ = record
    tamper(path, *statements)
    verdict = verify(path)
    assert not verdict.whole
    assert list(verdict.problems) == problems


CUT_OFF = (
    "DELETE FROM event WHERE number > 10",
    "DELETE FROM link WHERE id > 5",
    "DELETE FROM blob WHERE id > 10",
)


def test_a_cut_off_end_shows_to_who_knows_a_later_head_only(record: Record) -> None:
    path, heads = record
    tamper(path, *CUT_OFF)
    assert verify(path).whole  # Nobody can tell from the file alone.
    assert verify(path, heads[4]).whole
    assert list(verify(path, heads[5]).problems) == [
        "record: cut off before link 6, which was published",
        "readings: cut off before blob 12, which was published",
    ]


def computed_anew(path: Path, change: str) -> Verdict:
    """Tamper, then mend the record strand as one would who knows how and can write the file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(change)
        head, last = chain.START, 0
        for *content, last_event in db.execute(
            "SELECT id, at, last_blob, telemetry, config, last_event FROM link ORDER BY id"
        ).fetchall():
            link = chain.LinkEntry(*content)
            rows = db.execute(
                "SELECT number, seq, kind, at, boot, subject, body, ms FROM event"
                " WHERE number > ? AND number <= ? ORDER BY number",
                (last, last_event),
            )
            head, last = (
                chain.link_head(head, link, [Event(*row) for row in rows]),
                last_event,
            )
            db.execute("UPDATE link SET head = ? WHERE id = ?", (head, link.number))
    return verify(path)


def test_a_chain_that_was_computed_anew_shows_to_who_knows_a_head_after_the_change(
    record: Record,
) -> None:
    path, heads = record
    edit = "UPDATE event SET body = '{}' WHERE number = 5"
    assert computed_anew(path, edit).whole
    assert verify(path, heads[1]).whole  # Published before the event that was edited.
    assert list(verify(path, heads[2]).problems) == ["record: up to link 3 not what was published"]


def test_readings_and_record_bind_each_other(record: Record) -> None:
    """The telemetry strand of another store does not pass, though it is whole in itself."""
    path, _ = record
    tamper(path, "UPDATE link SET telemetry = zeroblob(32) WHERE id = 6")
    assert verify(path).problems == (
        "events 11 to 12 (link 6): changed or moved",
        "readings: up to blob 12 not those that link 6 speaks of",
    )


async def test_a_store_in_use_and_a_copy_of_it_are_verified_alike(tmp_path: Path) -> None:
    path = tmp_path / "state" / "cytowatch.db"
    async with Store.open(path, quota=QUOTA) as store:
        groups = await store.groups([("incubator-0",)])
        tick = tick_of(groups, 1)
        tick.events = [event(1)]
        await store.commit(tick)
        await store.backup(tmp_path / "copy.db")
        assert verify(path, store.last.head) == verify(tmp_path / "copy.db", store.last.head)
        assert verify(path).whole


def test_a_head_that_is_none_is_refused(record: Record) -> None:
    with pytest.raises(ValueError, match="is no head of a record"):
        verify(record[0], "12345")


def test_a_file_that_is_no_store_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"something else" * 1000)
    with pytest.raises(StoreError, match=r"a\.db: cannot be read"):
        verify(tmp_path / "a.db")
    with pytest.raises(StoreError, match=r"none\.db: cannot be read"):
        verify(tmp_path / "none.db")

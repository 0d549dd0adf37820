"""What is taken out of a store: any span, whole links, and what is spoilt by its name."""

import json
import sqlite3
import tempfile
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.store import Store, StoreError, Tick, archiving
from monitor.store.archive import Piece, Wanted
from monitor.store.reader import Reader
from monitor.store.unpacking import seam_problems, verify_archive
from tests.monitor.store.archives import archived, members, record
from tests.monitor.store.support import NOON, QUOTA, SECOND, event, line_of, tick_of
from tests.monitor.store.test_schema import make_version_1


@pytest.fixture
async def store(tmp_path: Path) -> Path:
    path = tmp_path / "cytowatch.db"
    await record(path)
    return path


@pytest.mark.parametrize(
    ("wanted", "links", "readings"),
    [
        (Wanted(), (1, 6), (1, 12)),
        (Wanted(end=NOON + 2 * SECOND), (1, 2), (1, 4)),
        (Wanted(start=NOON + 2 * SECOND, end=NOON + 4 * SECOND), (3, 4), (5, 8)),
        (Wanted(start=NOON + 5 * SECOND), (6, 6), (11, 12)),
        (Wanted(first=4, last=7), (2, 4), (3, 8)),
        (Wanted(last=1), (1, 1), (1, 2)),
        (Wanted(first=12, last=10**9), (6, 6), (11, 12)),
    ],
)
def test_a_span_is_of_whole_links_and_what_they_bind(
    store: Path, tmp_path: Path, wanted: Wanted, links: tuple[int, int], readings: tuple[int, int]
) -> None:
    manifest = archived(store, tmp_path / "a.zip", wanted)
    assert (manifest.links.first, manifest.links.last) == links
    assert (manifest.readings.first, manifest.readings.last) == readings
    assert (manifest.events.first, manifest.events.last) == (2 * links[0] - 1, 2 * links[1])
    assert (manifest.site, manifest.gateway, manifest.spoilt) == ("les-ulis", "gw-1", 0)
    told, verdict = verify_archive(tmp_path / "a.zip")
    assert (told, verdict.problems) == (manifest, ())
    assert (verdict.before, verdict.head) == (manifest.before, manifest.after)


@pytest.mark.parametrize(
    "wanted", [Wanted(end=NOON), Wanted(start=NOON + 3600 * SECOND), Wanted(first=13)]
)
def test_a_span_in_which_nothing_was_recorded_is_said_to_be_one(
    store: Path, tmp_path: Path, wanted: Wanted
) -> None:
    with pytest.raises(StoreError, match="nothing was recorded"):
        archived(store, tmp_path / "a.zip", wanted)
    assert not [file for file in tmp_path.iterdir() if not file.name.startswith("cytowatch.")]


async def test_the_configuration_that_was_in_effect_is_there_too(tmp_path: Path) -> None:
    path, wanted = tmp_path / "cytowatch.db", Wanted(first=5)
    await record(path)
    archived(path, tmp_path / "a.zip", wanted)
    assert [name for name in members(tmp_path / "a.zip") if name.startswith("configurations/e3b0")]


@settings(max_examples=25, deadline=None)
@given(
    times=st.lists(st.integers(0, 9), min_size=1, max_size=6),
    without=st.sets(st.integers(0, 5)),
    cuts=st.tuples(st.integers(0, 10), st.integers(0, 10)).map(sorted),
)
async def test_spans_that_meet_adjoin_whatever_the_clock_did(
    times: list[int], without: set[int], cuts: list[int]
) -> None:
    """Some ticks have no events, so that readings go on while the record does not."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "cytowatch.db")
        async with Store.open(path, quota=QUOTA) as store:
            groups = await store.groups([("incubator-0",)])
            for number, second in enumerate(times):
                at = NOON + second * SECOND
                tick = tick_of(groups, 1 + 4 * number, at=at)
                if number not in without:
                    tick.events = [event(store.last.event + 1, at=at)]
                await store.commit(tick)
            events = store.last.event
        low, high = (NOON + second * SECOND for second in cuts)
        found = []
        for index, span in enumerate([Wanted(end=low), Wanted(low, high), Wanted(start=high)]):
            target = Path(folder, f"{index}.zip")
            try:
                found.append(archived(path, target, span))
            except StoreError:
                continue
            assert verify_archive(target)[1].problems == ()
        assert sum(manifest.events.count for manifest in found) == events
        assert sum(manifest.readings.count for manifest in found) == len(times)
        for before, after in pairwise(found):
            assert list(seam_problems(before, after)) == []


async def test_of_readings_that_left_nothing_is_said_and_the_rest_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "cytowatch.db"
    heads = await record(path, quota=1000)
    manifest = archived(path, tmp_path / "a.zip")
    assert manifest.readings.first > 1
    assert manifest.readings.last == 12
    assert verify_archive(tmp_path / "a.zip", heads[-1])[1].problems == ()
    manifest = archived(path, tmp_path / "b.zip", Wanted(last=2))
    assert (manifest.events.count, manifest.readings.count) == (2, 0)
    assert verify_archive(tmp_path / "b.zip", heads[0])[1].problems == ()


async def test_it_is_of_the_place_that_its_newest_readings_name(tmp_path: Path) -> None:
    path = tmp_path / "cytowatch.db"
    await record(path, 1)
    async with Store.open(path, quota=QUOTA) as store:
        groups = await store.groups([("incubator-0",)])
        tick = Tick()
        line = line_of("incubator-0", 5, NOON).replace(b"gateway=gw-1", b"gateway=gw-2")
        tick.add(groups[0], line, 5, NOON)
        await store.commit(tick)
    manifest = archived(path, tmp_path / "a.zip")
    assert (manifest.readings.last, manifest.gateway, manifest.site) == (3, "gw-2", "les-ulis")
    assert verify_archive(tmp_path / "a.zip")[1].problems == ()


def test_a_backup_of_an_earlier_release_is_archived_too(tmp_path: Path) -> None:
    make_version_1(tmp_path / "cytowatch.db")
    manifest = archived(tmp_path / "cytowatch.db", tmp_path / "a.zip")
    assert (manifest.events.count, manifest.readings.count, manifest.spoilt) == (2, 2, 0)
    assert verify_archive(tmp_path / "a.zip")[1].problems == ()


def test_readings_that_leave_while_they_are_waited_for_are_missed(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archiving, "SLICE_BYTES", 1)
    with Reader(store) as reader, closing(sqlite3.connect(store)) as db:
        pieces = (told for told in reader.archive(Wanted()) if isinstance(told, Piece))
        assert next(pieces).member == "telemetry/000001.lp.gz"
        with db:
            db.execute(
                "INSERT INTO meta SELECT 'gone', json_array(5, hex(head), 0) FROM blob WHERE id = 5"
            )
            db.execute("DELETE FROM blob WHERE id <= 5")
        with pytest.raises(StoreError, match="readings left for the quota"):
            list(pieces)


def test_many_readings_are_many_files(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archiving, "SLICE_BYTES", 1)
    monkeypatch.setattr(archiving, "FILE_BLOBS", 5)
    archived(store, tmp_path / "a.zip")
    files = [name for name in members(tmp_path / "a.zip") if name.endswith(".lp.gz")]
    assert files == [f"telemetry/00000{number}.lp.gz" for number in (1, 2, 3)]
    assert verify_archive(tmp_path / "a.zip")[1].problems == ()


def test_what_is_spoilt_is_there_as_it_is_and_by_its_name(store: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(store, isolation_level=None)) as db:
        db.execute("UPDATE event SET body = 'n\u00fcll' WHERE number = 5")
        db.execute("UPDATE blob SET body = CAST('rot' AS BLOB) WHERE id = 7")
        db.execute("UPDATE config SET text = 'other'")
    manifest = archived(store, tmp_path / "a.zip")
    assert manifest.spoilt == 3
    files = members(tmp_path / "a.zip")
    told = [json.loads(line) for line in files["spoilt.jsonl"].splitlines()]
    named = [(each["what"], each["name"][:8]) for each in told]
    assert named == [("readings", "7"), ("event", "5"), ("configuration", "e3b0c442")]
    assert files["spoilt/7.bin"] == b"rot"
    assert json.loads(files["events.jsonl"].splitlines()[4])["body"] == "n\u00fcll"
    problems = verify_archive(tmp_path / "a.zip")[1].problems
    words = "its checksum did not hold when the archive was made"
    assert problems[:3] == tuple(f"{each['what']} {each['name']}: {words}" for each in told)
    assert problems[3:] == (
        "readings: blob 7 (scans 13 to 16): the lines were changed",
        "events 5 to 6 (link 3): changed or moved",
        "configuration e3b0c442: its text was changed",
    )

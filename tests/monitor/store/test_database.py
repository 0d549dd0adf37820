"""The store against a model of what it promises, with crashes at any point between two calls."""

import json
import shutil
import tempfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_bytes

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from monitor.store import database as database_module
from monitor.store.database import MOST_GONE, Database
from monitor.store.errors import StoreError
from monitor.store.events import Event
from monitor.store.reader import Reader
from monitor.store.tick import Counted, Tick
from monitor.store.verify import verify
from tests.monitor.store.support import NOON, QUOTA, event, line_of, tick_of

GROUPS = [("incubator-0", "incubator-1"), ("incubator-2",)]
LANES: list[tuple[str, Counted]] = [
    ("influx", "telemetry"),
    ("influx", "events"),
    ("mqtt", "events"),
    ("scada", "receipts"),
]


@dataclass
class Model:
    """What is committed."""

    lines: list[bytes] = field(default_factory=list)
    blobs: int = 0
    scan: int = 0
    events: list[Event] = field(default_factory=list)
    seq: int = 0
    facts: dict[str, str] = field(default_factory=dict)
    replies: dict[str, str] = field(default_factory=dict)
    cursors: dict[tuple[str, Counted], int] = field(default_factory=dict)
    at: int = 0
    heads: list[str] = field(default_factory=list)


class StoreAndModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="cytowatch-"))
        self.copies = 0
        self.path = self.home / "0" / "cytowatch.db"
        self.model = Model()
        self.database = Database(self.path, QUOTA)
        self.groups = self.database.groups(GROUPS)
        self.confirmed: dict[tuple[str, Counted], int] = {}

    def teardown(self) -> None:
        self.database.close()
        shutil.rmtree(self.home)

    @rule(
        scans=st.lists(st.integers(0, 2), max_size=5),
        kinds=st.lists(st.sampled_from(["alarm", "act", "start"]), max_size=3),
        facts=st.dictionaries(st.sampled_from("abc"), st.sampled_from(["", "{}", '{"v":1}'])),
        request=st.none() | st.sampled_from(["r1", "r2"]),
        later=st.integers(-2, 2),
    )
    def commit(
        self,
        scans: list[int],
        kinds: list[str],
        facts: dict[str, str],
        request: str | None,
        later: int,
    ) -> None:
        model, tick = self.model, Tick(facts=facts)
        told = [self._line(number, equipment) for number, equipment in enumerate(scans, 1)]
        for group in sorted({equipment // 2 for equipment in scans}):
            tick.lines[self.groups[group]] = [text for of, text in told if of == group]
            model.lines += tick.lines[self.groups[group]]
            model.blobs += 1
        tick.first_scan, tick.last_scan = model.scan + 1, model.scan + len(scans)
        tick.first_at, tick.last_at = NOON, NOON + later * 10**9
        model.scan += len(scans)
        for kind in kinds:
            tick.events.append(self._event(kind))
        if request:
            tick.replies[request] = json.dumps(len(model.events))
        self.database.commit(tick, self.confirmed, None)
        model.events += tick.events
        times = [NOON] * bool(kinds) + [tick.last_at] * bool(scans)
        model.at = max(times, default=model.at)
        model.facts = {k: v for k, v in (model.facts | facts).items() if v}
        model.replies |= tick.replies
        self._confirmations_are_written()
        model.heads.append(self.database.ends.last.head)

    def _line(self, number: int, equipment: int) -> tuple[int, bytes]:
        return equipment // 2, line_of(f"incubator-{equipment}", self.model.scan + number, NOON)

    def _event(self, kind: str) -> Event:
        if kind == "alarm":
            self.model.seq += 1
        number = self.database.ends.event + 1 + self._pending
        self._pending += 1
        seq = self.model.seq if kind == "alarm" else None
        return Event(number, seq, kind, NOON, 0, "a/b/c", "{}")

    _pending = 0

    def _confirmations_are_written(self) -> None:
        self.model.cursors |= self.confirmed
        self.confirmed = {}
        self._pending = 0

    @rule(lane=st.sampled_from(LANES), share=st.floats(0, 1))
    def confirm(self, lane: tuple[str, Counted], share: float) -> None:
        ends = {"telemetry": self.model.blobs, "receipts": self.model.seq}
        newest = ends.get(lane[1], len(self.model.events))
        upto = int(newest * share)
        if upto > self.model.cursors.get(lane, 0):
            self.confirmed[lane] = upto

    @precondition(lambda self: self.confirmed)
    @rule()
    def flush(self) -> None:
        self.database.confirm(self.confirmed)
        self._confirmations_are_written()

    @rule()
    def carry_the_log_over(self) -> None:
        self.database._since_checkpoint = 10**6
        self.database.tidy()

    @rule()
    def close_and_open(self) -> None:
        self.database.close()
        self.database = Database(self.path, QUOTA)
        self.confirmed = {}

    @rule()
    def crash(self) -> None:
        """What a killed process leaves is what the files are at that moment."""
        self.copies += 1
        copy = self.home / str(self.copies)
        shutil.copytree(self.path.parent, copy, ignore=shutil.ignore_patterns("*-shm"))
        self.database.close()
        self.path = copy / "cytowatch.db"
        self.database = Database(self.path, QUOTA)
        self.confirmed = {}

    @invariant()
    def nothing_committed_is_missing_and_nothing_doubled(self) -> None:
        model, database = self.model, self.database
        blobs = database.telemetry(0, 2**30)
        assert [blob.id for blob in blobs] == list(range(1, model.blobs + 1))
        lines = [text for blob in blobs for text in zlib.decompress(blob.body, 31).splitlines()]
        assert lines == model.lines
        events = database.events(0, 10**6)
        assert [event._replace(ms=0) for event in events] == model.events
        assert len({event.ms for event in events}) == len(events)
        last = database.ends.last
        assert (last.scan, last.event, last.seq) == (model.scan, len(model.events), model.seq)
        assert last.at == model.at
        assert not model.heads or last.head == model.heads[-1]
        assert database.facts() == model.facts
        assert {key: database.reply_to(key) for key in model.replies} == model.replies

    @invariant()
    def cursors_are_those_committed_and_never_ahead(self) -> None:
        cursors = self.database.cursors()
        assert cursors == self.model.cursors
        for (_, lane), upto in cursors.items():
            assert upto <= (self.model.blobs if lane == "telemetry" else len(self.model.events))

    @invariant()
    def the_chain_is_whole_by_every_head_there_was(self) -> None:
        for head in self.model.heads[-2:] or [""]:
            assert verify(self.path, head).problems == ()


TestStoreAndModel = StoreAndModel.TestCase
TestStoreAndModel.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)


def test_a_lowered_quota_is_reached_in_steps(tmp_path: Path) -> None:
    """However many readings must leave, no single commit is held up by all of them."""
    path = tmp_path / "cytowatch.db"
    database = Database(path, QUOTA)
    groups = database.groups([(f"incubator-{n}",) for n in range(100)])
    for scan in range(1, 7):
        tick = Tick()
        for number, group in enumerate(groups):
            tick.add(group, line_of(f"incubator-{number}", scan, NOON), scan, NOON)
        database.commit(tick, {}, None)
    database.close()
    database = Database(path, 1)
    for expected in (MOST_GONE, 2 * MOST_GONE, 600):
        database.commit(Tick(), {}, 600)
        assert database.ends.gone.id == expected
    assert database.ends.gone.lost_lines == 0
    database.close()
    assert verify(path).problems == ()
    with Reader(path) as reader:
        assert list(reader.readings(0, 2**62)) == []
    database = Database(path, 1)
    assert (database.ends.blob, database.ends.gone.id) == (600, 600)
    database.close()


def test_a_commit_is_on_the_disk_before_it_is_acknowledged(tmp_path: Path) -> None:
    """A killed process cannot show it, a power cut would: NORMAL loses what was acknowledged."""
    database = Database(tmp_path / "cytowatch.db", QUOTA)
    assert database._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert database._db.execute("PRAGMA synchronous").fetchone() == (2,)
    database.close()


def test_where_readings_find_no_room_alarms_do_and_the_readings_are_counted(
    tmp_path: Path,
) -> None:
    """No page can be added: what does not fit into those that are there is as on a full disk."""
    path = tmp_path / "cytowatch.db"
    database = Database(path, QUOTA)
    [group] = database.groups([("incubator-0",)])
    database.commit(Tick(events=[event(1)]), {}, 0)
    database._ballast.give_up()
    [pages] = database._db.execute("PRAGMA page_count").fetchone()
    database._db.execute(f"PRAGMA max_page_count = {pages}")
    tick = Tick(events=[event(2, seq=1)], facts={"a/co2/high": "{}"}, replies={"r1": "{}"})
    for scan in (1, 2, 3):
        tick.add(group, line_of("incubator-0", scan, NOON) + token_bytes(20_000), scan, NOON)
    database.commit(tick, {("mqtt", "events"): 1}, 0)
    told = database.ends, database.facts(), database.cursors(), database.reply_to("r1")
    assert told[1:] == ({"a/co2/high": "{}"}, {("mqtt", "events"): 1}, "{}")
    assert (database.ends.event, database.ends.seq, database.ends.gone.lost_lines) == (2, 1, 3)
    assert database.telemetry(0, QUOTA) == []
    database.close()
    database = Database(path, QUOTA)
    assert (database.ends, database.facts(), database.cursors(), database.reply_to("r1")) == told
    database.close()
    assert verify(path).problems == ()


def test_answers_are_kept_for_the_newest_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "REPLIES", 2)
    database = Database(tmp_path / "cytowatch.db", QUOTA)
    for number in range(4):
        database.commit(Tick(replies={f"r{number}": "{}"}), {}, None)
    assert [database.reply_to(f"r{number}") for number in range(4)] == [None, None, "{}", "{}"]
    database.close()


@pytest.mark.parametrize("table", ["blob", "event", "link", "facts", "reply", "cursor"])
def test_whatever_fails_in_the_middle_of_a_commit_leaves_nothing_half(
    tmp_path: Path, table: str
) -> None:
    """An error that SQLite itself does not undo, at the first row of each table in turn."""
    path = tmp_path / "cytowatch.db"
    database = Database(path, QUOTA)
    groups = database.groups(GROUPS)
    database.commit(tick_of(groups, 1), {}, None)
    before = database.ends
    database._db.execute(
        f"CREATE TEMP TRIGGER fails BEFORE INSERT ON {table}"
        " BEGIN SELECT RAISE(FAIL, 'it fails'); END"
    )
    tick = tick_of(groups, 5)
    tick.events.append(event(1))
    tick.facts["a"] = tick.replies["r1"] = "{}"
    with pytest.raises(StoreError, match="it fails"):
        database.commit(tick, {("influx", "telemetry"): 1}, None)
    database.close()
    database = Database(path, QUOTA)
    assert database.ends == before
    assert (database.facts(), database.cursors(), database.reply_to("r1")) == ({}, {}, None)
    database.close()
    assert verify(path).problems == ()

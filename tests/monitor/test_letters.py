"""Dead letters at a real record: what leaves it, when, and what then stands there instead."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from drivers.grid import Grid
from monitor.desk import Desk
from monitor.messages import Actor
from monitor.operators.protocol import AskLetter
from monitor.sinks.base import SinkLost
from tests.monitor.hand import HandTime, bodies, committing, recording

ANNA = Actor(user="anna", via="socket", uid=1000)
LINE = b"incubator co2= 7"


@dataclass
class Database:
    """Takes every line but those that it does not."""

    name: str = "influxdb"
    refusing: str = ""
    away: bool = False
    taken: list[bytes] = field(default_factory=list)

    async def offer(self, line: bytes) -> str:
        if self.away:
            raise SinkLost("no connection")
        if not self.refusing:
            self.taken.append(line)
        return self.refusing


@dataclass
class Office:
    """A desk with one dead letter, and the database that it is for."""

    desk: Desk
    database: Database
    folder: Path

    async def settle(self, act: str = "replay", **more: object) -> tuple[str, str]:
        ask = AskLetter.model_validate({"act": act, "id": 1, **more})
        reply = await self.desk.settle(ask, ANNA)
        return reply.result, reply.text

    async def letters(self) -> Mapping[str, int]:
        return (await self.desk.store.status()).dead_letters

    def acts(self) -> list[Mapping[str, object]]:
        return bodies(self.folder, "act")


@asynccontextmanager
async def office(folder: Path, **about: object) -> AsyncIterator[Office]:
    database = Database(**about)  # type: ignore[arg-type]
    async with recording(folder) as recorder, committing(recorder):
        await recorder.store.dead_letter("influxdb", LINE, "missing field value")
        yield Office(Desk(recorder, Grid(recorder.clock), (), (), [database]), database, folder)


@pytest.fixture(autouse=True)
def hand(monkeypatch: pytest.MonkeyPatch) -> HandTime:
    return HandTime(monkeypatch)


async def test_a_letter_that_its_database_takes_leaves_and_the_act_is_on_the_record(
    tmp_path: Path,
) -> None:
    async with office(tmp_path) as at:
        assert await at.settle(reason="the column has its type now") == ("taken", "")
        assert at.database.taken == [LINE]
        assert await at.letters() == {}
        assert (await at.settle())[0] == "unknown"
        [act] = at.acts()
        assert act == {
            "act": "replay_dead_letter",
            "letter": 1,
            "sink": "influxdb",
            "line": LINE.decode(),
            "reason": "the column has its type now",
            "user": "anna",
            "claimed": "",
            "role": "",
            "uid": 1000,
            "via": "socket",
        }


async def test_a_mended_letter_needs_a_reason_and_both_lines_are_kept(tmp_path: Path) -> None:
    mended = "incubator co2=5.1 7"
    async with office(tmp_path) as at:
        assert "say why" in (await at.settle(line=mended))[1]
        told = await at.settle(line="incubator co2=oops 7", reason="typo")
        assert (told[0], "no line protocol" in told[1]) == ("refused", True)
        assert at.database.taken == []
        assert await at.settle(line=mended, reason="a value by hand") == ("taken", "")
        assert at.database.taken == [mended.encode()]
        [act] = at.acts()
        assert (act["line"], act["mended"]) == (LINE.decode(), mended)


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ({"refusing": "still a conflict"}, ("refused", "still a conflict")),
        ({"away": True}, ("away", "no connection")),
        ({"name": "another"}, ("refused", "influxdb is in the file no more; it can be dropped")),
    ],
)
async def test_what_is_not_taken_stays(
    tmp_path: Path, about: dict[str, object], told: tuple[str, str]
) -> None:
    async with office(tmp_path, **about) as at:
        assert await at.settle(reason="try") == told
        assert await at.letters() == {"influxdb": 1}
        assert at.acts() == []


async def test_one_is_dropped_only_for_a_reason(tmp_path: Path) -> None:
    async with office(tmp_path) as at:
        assert (await at.settle("drop"))[0] == "refused"
        assert await at.letters() == {"influxdb": 1}
        assert await at.settle("drop", reason="a test of ours") == ("dropped", "")
        assert await at.letters() == {}
        [act] = at.acts()
        assert (act["act"], act["line"]) == ("drop_dead_letter", LINE.decode())

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from monitor.excursions.record import ExcursionRecord
from monitor.messages import Actor
from monitor.operators.answers import answer
from monitor.operators.excursions import is_asked_for, recorded
from monitor.operators.protocol import ExcursionsRequest
from monitor.store.events import Event
from tests.monitor.alarms.small_plant import moment
from tests.monitor.pages import scene
from tests.support.desk import FakeDesk


@pytest.fixture(scope="module")
def record() -> ExcursionRecord:
    return scene.recorded()


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, True),
        ({"excursion": "x902"}, True),
        ({"excursion": "902"}, False),
        ({"excursion": "high/x902"}, True),
        ({"excursion": "s1/incubator-7/temperature/high/x902"}, True),
        ({"batch": "B-17"}, True),
        ({"batch": "B-1"}, False),
        ({"equipment": "incubator-8"}, False),
        ({"until": moment(749).at}, False),
        ({"until": moment(751).at}, True),
        ({"since": moment(1387).at}, True),
        ({"since": moment(1390).at}, False),
    ],
)
def test_what_is_asked_for(record: ExcursionRecord, wanted: dict[str, object], found: bool) -> None:
    request = ExcursionsRequest.model_validate(wanted)
    assert is_asked_for(record.model_dump(), request) is found
    assert is_asked_for(json.loads(record.model_dump_json()), request) is found


def test_one_that_goes_on_is_in_every_time_since(record: ExcursionRecord) -> None:
    going_on = record.model_copy(update={"end": None, "open": True})
    assert is_asked_for(going_on.model_dump(), ExcursionsRequest(since=moment(10**6).at))


@dataclass
class EndingDesk(FakeDesk):
    """One on which the excursion has just ended, and stands on the record a moment later."""

    over: Sequence[ExcursionRecord] = ()

    async def committed(self) -> None:
        for number, each in enumerate(self.over, 1):
            name = f"{each.equipment}/{each.channel}/{each.rule}"
            body = each.model_dump_json(by_alias=True)
            self.store.add(Event(number, None, "excursion", moment(1500).at, 0, name, body))


@pytest.mark.parametrize("seen_open", [False, True])
async def test_one_that_ends_just_now_is_told_once(
    record: ExcursionRecord, tmp_path: Path, *, seen_open: bool
) -> None:
    desk = EndingDesk(tmp_path, over=[record])
    if seen_open:
        desk.going_on = [record.model_copy(update={"end": None, "open": True})]
    actor = Actor(user="anna", via="socket")
    told = [text async for text in answer(ExcursionsRequest(), desk, actor)]
    assert [ExcursionRecord.model_validate_json(text) for text in told] == [record]


def test_they_are_given_as_they_stand_on_the_record(
    record: ExcursionRecord, tmp_path: Path
) -> None:
    """A field of another release stays, too."""
    body = json.dumps({**record.model_dump(by_alias=True), "newer": 1})
    desk = FakeDesk(tmp_path)
    name = "incubator-7/temperature/high"
    desk.store.add(
        Event(1, None, "start", 0, 0, "gw-1", "{}"),
        Event(2, None, "excursion", moment(1500).at, 0, name, body),
    )
    with desk.history() as history:
        assert list(recorded(ExcursionsRequest(), history)) == [body]
        assert list(recorded(ExcursionsRequest(equipment="incubator-8"), history)) == []

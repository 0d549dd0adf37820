from datetime import UTC, timedelta, timezone

import pytest

from config.plant import Storage
from monitor.excursions.record import ExcursionRecord
from monitor.pages.facts import flat, has_kinetic, local, sections, sentence, utc
from tests.monitor.pages import scene

TOKYO = timezone(timedelta(hours=9))


@pytest.fixture(scope="module")
def record() -> ExcursionRecord:
    return scene.recorded()


def said(record: ExcursionRecord, name: str) -> str:
    [text] = [fact.text for fact in flat(sections(record, None, UTC)) if fact.name == name]
    return text


def test_an_excursion_in_one_sentence(record: ExcursionRecord) -> None:
    assert sentence(record) == (
        "In incubator-7, temperature was above 37.5 °C for 10 min 39 s, by at most 0.79 °C;"
        " an alarm was raised."
    )
    low = record.model_copy(update={"direction": "low", "extreme": 36.5, "open": True})
    assert "has been below 37.5 °C" in sentence(low)
    assert "by at most 1 °C" in sentence(low)


@pytest.mark.parametrize(
    ("minor", "alarms", "words"),
    [
        (False, True, "an alarm was raised"),
        (True, True, "its alarm was silenced"),
        (True, False, "no alarm was raised"),
    ],
)
def test_whether_people_were_told(
    record: ExcursionRecord, minor: bool, alarms: bool, words: str
) -> None:
    found = record.model_copy(
        update={"minor": minor, "alarms": record.alarms if alarms else ()},
    )
    assert sentence(found).endswith(f"{words}.")


def test_what_an_end_is(record: ExcursionRecord) -> None:
    assert "line between two readings" in said(record, "End is")
    bare = record.model_copy(update={"end_crossed": False, "start_crossed": False})
    assert "first usable reading inside" in said(bare, "End is")
    assert "first reading beyond" in said(bare, "Start is")
    changed = record.model_copy(update={"ended_by": "limit_changed"})
    assert said(changed, "End is") == "the last reading beyond"
    assert "another limit" in said(changed, "Ended because")


def test_one_that_goes_on_has_no_end(record: ExcursionRecord) -> None:
    going_on = record.model_copy(update={"open": True, "end": None, "ended_by": ""})
    assert said(going_on, "End") == "it goes on"
    assert "End is" not in [fact.name for fact in flat(sections(going_on, None, UTC))]


def test_what_is_not_known_says_so(record: ExcursionRecord) -> None:
    bare = record.model_copy(
        update={"serial": "", "clock_synchronised": None, "door_open_seconds": None, "batches": ()}
    )
    assert said(bare, "Probe serial") == said(bare, "Clock synchronised") == "not known"
    assert said(bare, "Door open during it") == "no door contact"
    assert said(bare, "Batches inside") == "none known"


def test_local_time_names_its_day_where_it_is_another() -> None:
    text = "2026-02-02T23:52:29.250Z"
    assert utc(text) == "2026-02-02 23:52:29.250 UTC"
    assert local(text, TOKYO) == "2026-02-03 08:52:29 UTC+09:00"
    assert local("2026-02-02T02:00:00.000Z", TOKYO) == "11:00:00 UTC+09:00"


def test_kinetic_temperature_has_a_meaning_for_stored_product_alone() -> None:
    assert not has_kinetic(scene.recorded())
    assert has_kinetic(scene.recorded(scene.site(Storage.ROOM)))

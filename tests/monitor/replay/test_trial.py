"""What a replay tells is what the board told; and what it comes to."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.plant import Plant, StateFrom
from config.rules import (
    EquipmentState,
    Escalation,
    High,
    Low,
    OffNormal,
    Silent,
    Suppression,
    Unreadable,
)
from drivers.reading import Cause, Scan
from monitor.alarms.board import Board
from monitor.excursions.record import ExcursionRecord
from monitor.messages import AlarmEventMessage, rfc3339
from monitor.replay import Tally, Trial, recorded, rows_of_json
from tests.monitor.alarms.small_plant import (
    MINUTE,
    NOON,
    SECOND,
    channel,
    door,
    lost,
    plant,
    scan,
    source,
)
from tests.monitor.replay.recording import json_lines, points

HIGH = High(limit=6.0, deadband=0.5, on_delay=2 * SECOND, off_delay=SECOND)
WORSE = High(name="high-high", limit=8.0)
OPEN = OffNormal(off_normal=(True,), on_delay=SECOND)
SILENT = Silent(name="silent-probe", on_delay=3 * SECOND)
UNREADABLE = Unreadable(on_delay=3 * SECOND)
PLANT = plant(
    source(
        0,
        "incubator-7",
        "probe",
        "bus",
        [channel("co2", HIGH, WORSE, Low(limit=4.0), UNREADABLE), door(OPEN)],
        SILENT,
    ),
    source(1, "incubator-8", "probe", "bus", [channel("co2", HIGH)], SILENT),
)
ALARM = "incubator-7/co2/high"


def trial(scans: Sequence[Scan], of: Plant = PLANT) -> tuple[Trial, list[AlarmEventMessage]]:
    tried = Trial(of)
    rows = rows_of_json(json_lines(points(PLANT, scans)))
    told = [message for each in recorded(rows) for message in tried.take(each)]
    return tried, [each for each in told if isinstance(each, AlarmEventMessage)]


def of_board(scans: Sequence[Scan]) -> list[tuple[str, str, str, str]]:
    board = Board(PLANT, {})
    return [
        (event.name, event.change.value, event.after.value, rfc3339(event.now.at))
        for each in scans
        for event in board.observe(each)
    ]


@st.composite
def runs(draw: st.DrawFn) -> list[Scan]:
    """Scans of both sources at 1 Hz: well, beyond, bad, silent, or with the line lost."""
    made: list[Scan] = [scan(0, 5.0, False), scan(0.5, 5.0, source=1)]
    for second in range(1, draw(st.integers(5, 25))):
        for number, channels in ((0, 2), (1, 1)):
            at = second + number / 2
            how = draw(st.sampled_from(["said"] * 8 + ["bad", "silent", "lost"]))
            if how in {"silent", "lost"}:
                cause = Cause.SOURCE if how == "silent" else Cause.LINE
                made.append(lost(at, cause, channels, source=number))
                continue
            value = None if how == "bad" else draw(st.sampled_from([5.0, 5.7, 6.5, 9.0, 3.0]))
            door = (draw(st.booleans()),) if channels == 2 else ()
            made.append(scan(at, value, *door, source=number))
    return made


def proven(scans: Sequence[Scan]) -> list[Scan]:
    """As a line says it: until a lost line has brought an answer again, a silence is its own."""
    made, line = [], False
    for each in scans:
        line = each.cause is Cause.NONE or (line and each.cause is not Cause.LINE)
        silent = each.cause is Cause.SOURCE and not line
        made.append(each._replace(cause=Cause.LINE) if silent else each)
    return made


@settings(max_examples=150)
@given(runs())
def test_a_replay_tells_what_was_told(scans: list[Scan]) -> None:
    scans = proven(scans)
    _, told = trial(scans)
    assert [(m.alarm, m.change.value, m.after.value, m.time) for m in told] == of_board(scans)


def beyond(*spans: tuple[int, int], until: int = 60) -> list[Scan]:
    """A minute at 1 Hz, beyond the limit from and to these seconds."""
    return [
        scan(at, 7.0 if any(a <= at < b for a, b in spans) else 5.0, False) for at in range(until)
    ]


def test_what_it_comes_to() -> None:
    tried, _ = trial(beyond((5, 6), (10, 20), (30, 31), (40, 45)))
    tally = tried.close()[ALARM]
    assert tally == Tally(
        raised=2,
        annunciated=2,
        standing=(9 + 4) * SECOND,
        shortest=4 * SECOND,
        longest=9 * SECOND,
        brief=2,
        longest_brief=SECOND,
        excursions=4,
        outside=tally.outside,
        longest_excursion=tally.longest_excursion,
    )
    assert tally.outside == pytest.approx(17, abs=1.5)
    assert tally.longest_excursion == pytest.approx(10, abs=1)
    assert (tried.judged.readings, tried.judged.scans) == (120, 60)
    assert tried.judged.first == NOON


def test_what_stands_at_the_end_has_stood_until_then() -> None:
    tried, _ = trial(beyond((50, 60)))
    tally = tried.close()[ALARM]
    assert (tally.stands, tally.standing) == (True, 7 * SECOND)


def test_a_longer_delay_tells_less() -> None:
    patient = HIGH.model_copy(update={"on_delay": MINUTE})
    channels = (channel("co2", patient), door())
    other = replace(PLANT, sources=(replace(PLANT.sources[0], channels=channels), PLANT.sources[1]))
    tried, told = trial(beyond((10, 20)), other)
    assert told == []
    tally = tried.close()[ALARM]
    assert (tally.raised, tally.brief, tally.longest_brief) == (0, 1, 10 * SECOND)


def test_nothing_escalates_where_nobody_can_acknowledge() -> None:
    urgent = {"escalate": Escalation(after=SECOND)}
    channels = (channel("co2", HIGH.model_copy(update=urgent)), door())
    eager = replace(PLANT.sources[0], channels=channels, silent=SILENT.model_copy(update=urgent))
    silence = [lost(at, Cause.SOURCE, 2) for at in range(40, 60)]
    scans = [*beyond((10, 30), until=40), *silence]
    _, told = trial(scans, replace(PLANT, sources=(eager, PLANT.sources[1])))
    assert [each.change for each in told] == ["raised", "returned", "raised", "suppressed"]
    assert {each.escalations for each in told} == {0}


def test_excursions_are_those_of_the_daemon() -> None:
    tried = Trial(PLANT)
    rows = rows_of_json(json_lines(points(PLANT, beyond((5, 6), (50, 60)))))
    told = [each for one in recorded(rows) for each in tried.take(one)]
    [brief] = [each for each in told if isinstance(each, ExcursionRecord)]
    assert (brief.rule, brief.first_beyond, brief.extreme, brief.minor) == (
        "high",
        rfc3339(NOON + 5 * SECOND),
        7.0,
        True,
    )
    assert tried.close()[ALARM].excursions == 2, "and the one that goes on"


def test_a_gap_in_the_record_is_missing_data() -> None:
    """The off-delay begins anew after it, as in the daemon."""
    around = [*beyond((0, 10), until=11), *[scan(at, 5.0, False) for at in (100, 101)]]
    _, told = trial(around)
    assert [(m.change, m.time) for m in told if m.alarm == ALARM] == [
        ("raised", rfc3339(NOON + 2 * SECOND)),
        ("returned", rfc3339(NOON + 101 * SECOND)),
    ]


CLEANED = replace(
    PLANT,
    suppression={EquipmentState.CLEANING: Suppression(suppress=("co2",), longest=20 * SECOND)},
)


def test_a_state_that_an_operator_had_set_is_taken_from_the_record() -> None:
    """Cleaning from second 5 to 40, beyond the limit from 10 on: told when it may not suppress."""
    texts = [
        text.replace('"state":"in_use"', '"state":"cleaning"') if 10 <= at < 80 else text
        for at, text in enumerate(json_lines(points(PLANT, beyond((10, 60)))))
    ]
    tried = Trial(CLEANED)
    told = [each for one in recorded(rows_of_json(texts)) for each in tried.take(one)]
    alarms = [each for each in told if isinstance(each, AlarmEventMessage) and each.alarm == ALARM]
    assert [(m.change, m.annunciated, m.suppressed_by, m.time) for m in alarms] == [
        ("raised", False, "state:cleaning", rfc3339(NOON + 12 * SECOND)),
        ("unsuppressed", True, "", rfc3339(NOON + 25 * SECOND)),
    ]
    assert tried.close()[ALARM].annunciated == 0


def test_a_state_that_channels_tell_is_heard_anew() -> None:
    """Here an open door means cleaning; what the record says of the state is not asked."""
    open_ = StateFrom((0, 1), {True: EquipmentState.CLEANING, False: EquipmentState.IN_USE})
    first, second = CLEANED.equipment
    heard = replace(CLEANED, equipment=(replace(first, state_from=(open_,)), second))
    scans = [
        each._replace(values=(each.values[0], 5 <= at < 15))
        for at, each in enumerate(beyond((6, 30)))
    ]
    _, told = trial(scans, heard)
    assert [(m.change, m.suppressed_by, m.equipment_state) for m in told if m.alarm == ALARM][
        :2
    ] == [
        ("raised", "state:cleaning", "cleaning"),
        ("unsuppressed", "", "in_use"),
    ]

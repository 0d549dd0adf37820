"""The judge finds what is wrong: a record without fault is broken in every way there is."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.reading import Quality
from monitor.store.events import Event
from tests.ledger.devices import BIOREACTOR, INCUBATOR, PERIOD, Device
from tests.ledger.judge import Deaf, Evidence, Scan, Told, Witness, judge
from tests.ledger.serials import Number, number_of

SERVED = [False] * 3 + [True] * 3 + [False] * 3
DEVICE = Device("incubator-1", 1, INCUBATOR, "bus-a", served=[SERVED, SERVED])
REACTOR = Device(
    "bioreactor-4", 4, BIOREACTOR, "opc-c", subscribed=True, served=[[False] * 4, [False], [False]]
)
ALARM = "incubator-1/co2/high"
SCAN = PERIOD


@given(
    st.sampled_from([0, 5, 7, 37]), st.integers(1, 99), st.integers(0, 9), st.integers(1, 9_999_999)
)
def test_a_number_says_what_it_is(level: int, device: int, channel: int, serial: int) -> None:
    number = Number(level, device, channel, serial)
    assert number_of(number.value) == number


def scan(serial: int | None, at: int) -> Scan:
    channels = {
        channel.name: Told(
            None if serial is None else DEVICE.value(index, serial),
            int(Quality.BAD if serial is None else Quality.GOOD),
        )
        for index, channel in enumerate(INCUBATOR)
    }
    return Scan("incubator-1", at, channels)


def event(number: int, kind: str, at: int, **body: Any) -> Event:  # noqa: ANN401 - any JSON
    seq = body.get("seq")
    return Event(number, seq, kind, at * 10**6, 0, "", json.dumps(body))


def dropping(phase: str, at: int, line: str = "line/opc-c") -> Event:
    return event(1, "loss", at, phase=phase, values=1)._replace(subject=line)


def outage(line: str) -> Event:
    return event(1, "outage", 2 * SCAN)._replace(subject=line)


def step(seq: int, change: str, before: str, after: str) -> dict[str, Any]:
    return {
        "event_id": f"e-{seq}",
        "seq": seq,
        "alarm": ALARM,
        "change": change,
        "before": before,
        "after": after,
        "version": seq,
        "occurrence": 1,
    }


RAISED = step(1, "raised", "normal", "unacknowledged")
RETURNED = step(2, "returned", "unacknowledged", "returned")
SCANS = {number: scan(number, number * SCAN) for number in range(1, 10)}
WHOLE = Evidence(
    devices=[DEVICE],
    scans=SCANS,
    events=[
        event(1, "start", 0),
        event(2, "alarm", 4 * SCAN, **RAISED),
        event(3, "alarm", 7 * SCAN, **RETURNED),
    ],
    until=9,
    stored=list(SCANS.items()),
    missed={},
    alarm_points=[RAISED, RETURNED],
    heard=[RAISED, RAISED, RETURNED],
    excursions={ALARM: 1},
    witnessed=[Witness("s1", 9, 3, "head")],
)


def with_scans(scans: dict[int, Scan], **more: Any) -> Evidence:  # noqa: ANN401 - fields of it
    return replace(WHOLE, scans=scans, stored=list(scans.items()), **more)


def told(change: dict[int, int | None]) -> dict[int, Scan]:
    """The record, but for some scans that say another serial number, or none."""
    return {n: scan(change.get(n, n), n * SCAN) for n in SCANS}


def without_sixth() -> dict[int, Scan]:
    """Each scan from the sixth on says what the next one should."""
    return {n: scan(n if n < 6 else n + 1, n * SCAN) for n in range(1, 9)}


def broken(evidence: Evidence) -> list[str]:
    return [verdict.promise for verdict in judge(evidence) if verdict.against]


def test_what_is_whole_keeps_every_promise() -> None:
    assert broken(WHOLE) == []


INVENTED, ORDER, HOLE, GRID, HELD, DEAF, STANDS, *OTHERS = (v.promise for v in judge(WHOLE))
RECORD, POINTS, TOLD, STEPS, EXCURSIONS, ELSE = OTHERS
AGAIN = RAISED | {"seq": 3, "event_id": "e-3", "version": 3, "before": "returned"}
STRANGER = scan(3, 3 * SCAN)._replace(channels={"co2": Told(5.25, 0), "temperature": Told(37.0, 0)})


@pytest.mark.parametrize(
    ("promise", "evidence"),
    [
        (INVENTED, with_scans(SCANS | {3: STRANGER})),
        (INVENTED, replace(WHOLE, devices=[replace(DEVICE, served=[SERVED[:8]] * 2)])),
        (INVENTED, replace(WHOLE, devices=[replace(DEVICE, served=[[True] * 9] * 2)])),
        (ORDER, with_scans(told({4: 3}))),
        (ORDER, with_scans(told({4: 5, 5: 4}))),
        (ORDER, with_scans({n: s for n, s in SCANS.items() if n != 5})),
        (HOLE, with_scans(without_sixth(), until=8)),
        (GRID, with_scans({n: scan(n, n * 2 * SCAN) for n in SCANS})),
        (DEAF, replace(WHOLE, deaf=[Deaf("bus-a", 4 * SCAN, 6 * SCAN)])),
        (STANDS, replace(WHOLE, witnessed=[Witness("s1", 10, 3, "head")])),
        (STANDS, replace(WHOLE, witnessed=[Witness("s1", 9, 4, "head")])),
        (STANDS, replace(WHOLE, witnessed=[Witness(s, 1, 1, "") for s in ("s1", "s2")])),
        (RECORD, replace(WHOLE, stored=list(SCANS.items())[:-1])),
        (RECORD, replace(WHOLE, stored=[*SCANS.items(), (9, SCANS[9])])),
        (RECORD, replace(WHOLE, stored=[*SCANS.items(), (10, SCANS[9])])),
        (RECORD, replace(WHOLE, stored=[*list(SCANS.items())[:-1], (9, SCANS[8])])),
        (POINTS, replace(WHOLE, alarm_points=[RAISED])),
        (POINTS, replace(WHOLE, alarm_points=[RAISED, RETURNED | {"event_id": "e-9"}])),
        (TOLD, replace(WHOLE, heard=[RAISED])),
        (TOLD, replace(WHOLE, heard=[RAISED, RETURNED, RETURNED | {"change": "cleared"}])),
        (TOLD, replace(WHOLE, heard=[RAISED, RETURNED, AGAIN])),
        (STEPS, replace(WHOLE, events=[event(1, "alarm", 0, **RETURNED)])),
        (STEPS, replace(WHOLE, events=[event(1, "alarm", 0, **(RAISED | {"version": 2}))])),
        (EXCURSIONS, replace(WHOLE, excursions={ALARM: 2})),
        (EXCURSIONS, replace(WHOLE, events=[*WHOLE.events, event(4, "alarm", 0, **AGAIN)])),
        (ELSE, replace(WHOLE, strange=["it ended"])),
    ],
)
def test_what_is_broken_is_found(promise: str, evidence: Evidence) -> None:
    assert promise in broken(evidence)


@pytest.mark.parametrize(
    "evidence",
    [
        with_scans(without_sixth(), until=8, missed={6: 1}),
        with_scans({**without_sixth(), 6: scan(None, 6 * SCAN)}, until=8),
        with_scans(
            without_sixth(), until=8, events=[*WHOLE.events, event(4, "start", 5 * SCAN + 1)]
        ),
    ],
)
def test_a_hole_that_is_told_of_is_none(evidence: Evidence) -> None:
    assert HOLE not in broken(evidence)


def grid(number: int, ph: int | None) -> tuple[int, Scan]:
    """What is held at a point of the grid: of pH that value, of the rest the first."""
    serials = (ph, 1, 1)
    told = {c.name: word(n, serials[n]) for n, c in enumerate(BIOREACTOR)}
    return number, Scan("bioreactor-4", number * SCAN // 2, told)


def change(number: int, ph: int) -> tuple[int, Scan]:
    """What is told of pH when it changes."""
    return number, Scan("bioreactor-4", number * SCAN // 2, {"ph": word(0, ph)})


def word(channel: int, serial: int | None, late: int = 0) -> Told:
    if serial is None:
        return Told(None, int(Quality.BAD))
    return Told(REACTOR.value(channel, serial), int(Quality.GOOD), serial * SCAN + late)


def subscribed(*scans: tuple[int, Scan], **more: Any) -> Evidence:  # noqa: ANN401 - fields of it
    times = {
        REACTOR.value(channel, serial): [serial * SCAN]
        for channel, served in enumerate(REACTOR.served)
        for serial in range(1, len(served) + 1)
    }
    given = {"until": len(scans), "events": WHOLE.events[:1], "excursions": {}, **more}
    told = {"alarm_points": [], "heard": [], "witnessed": [], "times": times}
    return with_scans(dict(scans), devices=[REACTOR], **told, **given)


STORY = (grid(1, 1), change(2, 2), grid(3, 2), change(4, 3), grid(5, 3), grid(6, 3))
LATE = Scan("bioreactor-4", 2 * SCAN, {"ph": word(0, 3, late=1)})


def test_a_subscription_that_tells_each_change_once_keeps_every_promise() -> None:
    assert broken(subscribed(*STORY)) == []


@pytest.mark.parametrize(
    ("promise", "evidence"),
    [
        (INVENTED, subscribed(*STORY[:3], (4, LATE), *STORY[4:])),
        (ORDER, subscribed(*STORY[:3], change(4, 1), *STORY[4:])),
        (HOLE, subscribed(*STORY[:3], change(4, 4), grid(5, 4))),
        (HOLE, subscribed(*STORY[:3], change(4, 4), grid(5, 4), missed={3: 1, 5: 1})),
        (HELD, subscribed(*STORY[:3], change(4, 2), *STORY[4:])),
        (HELD, subscribed(*STORY[:3], grid(4, 3), *STORY[4:])),
        (HELD, subscribed(*STORY[:3], grid(4, 3), events=[outage("line/bus-a")])),
        (
            HELD,
            subscribed(*STORY[:3], grid(4, 3), events=[dropping("begin", 2 * SCAN, "line/bus-a")]),
        ),
        (
            HOLE,
            subscribed(
                *STORY[:3],
                change(4, 4),
                events=[dropping("begin", -99 * SCAN), dropping("end", -90 * SCAN)],
            ),
        ),
        (HOLE, subscribed(*STORY[:3], change(4, 4), events=[event(1, "start", 4 * SCAN)])),
        (DEAF, subscribed(*STORY, deaf=[Deaf("opc-c", SCAN, 2 * SCAN)])),
    ],
)
def test_what_a_subscription_breaks_is_found(promise: str, evidence: Evidence) -> None:
    assert promise in broken(evidence)


def vanished(number: int, ph: int) -> tuple[int, Scan]:
    """The setpoint's node goes; that may come with a change of pH, or be a point of the grid."""
    _, scan = grid(number, ph)
    return number, scan._replace(channels={**scan.channels, "ph_setpoint": word(2, None)})


@pytest.mark.parametrize(
    "evidence",
    [
        subscribed(*STORY[:3], vanished(4, 3), vanished(5, 3), grid(6, 3), grid(7, 3)),
        subscribed(*STORY[:3], vanished(4, 2), vanished(5, 3), grid(6, 4), grid(7, 4)),
        subscribed(*STORY[:2], grid(3, None), change(4, 4), grid(5, 4)),
        subscribed(*STORY[:3], change(4, 4), grid(5, 4), events=[outage("line/opc-c")]),
        subscribed(*STORY[:3], change(4, 4), grid(5, 4), events=[dropping("begin", 5 * SCAN)]),
        subscribed(
            *STORY[:3],
            grid(4, 4),
            grid(5, 4),
            events=[dropping("begin", -99 * SCAN), dropping("end", 99 * SCAN)],
        ),
        subscribed(
            *STORY[:3],
            grid(4, 4),
            grid(5, 4),
            events=[event(1, "start", 4 * SCAN)],
            floods={"opc-c": [2 * SCAN - 1]},
        ),
    ],
)
def test_what_a_subscription_tells_of_is_no_fault(evidence: Evidence) -> None:
    assert not {HOLE, HELD} & {*broken(evidence)}

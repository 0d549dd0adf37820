"""The main job, whole: the daemon's own process between real devices, broker and database."""

from datetime import datetime
from pathlib import Path

import pytest

from monitor.store.verify import verify
from tests.support.servers import InfluxDB, SecureMosquitto
from tests.support.waiting import eventually
from tests.whole.daemon import GENEROUS
from tests.whole.ears import SITE, Ask, Payload, envelope, operator, retained
from tests.whole.rig import EQUIPMENT, MILLISECOND, Rig, Row, alarm, believable, once_connected, rig

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]

HIGH = alarm("incubator-1")
STATUS = f"cytowatch/v1/{SITE}/gateway/gw-1/status"


async def test_the_main_job(
    tmp_path: Path, secure_mosquitto: SecureMosquitto, influxdb16: InfluxDB
) -> None:
    async with rig(tmp_path, secure_mosquitto, influxdb16) as all_of_it:
        await an_excursion_is_told_acknowledged_and_over(all_of_it)
        assert not all_of_it.proxy.repeated()
        await nothing_is_lost_while_the_broker_is_gone(all_of_it)
        assert not all_of_it.proxy.repeated()
        await nothing_is_lost_while_the_database_is_gone(all_of_it)
        await all_of_it.scan_later()
        await all_of_it.ears.until(lambda: is_summed_up(all_of_it))
        assert await all_of_it.daemon.stop() == 0
        await all_of_it.ears.until(lambda: not online(all_of_it))
        last = all_that_was_served_is_recorded(all_of_it)
        all_that_is_recorded_is_told(all_of_it)
        # What was committed with the end is delivered after the next start.
        all_of_it.daemon.start()
        delivered = (await all_of_it.daemon.ready()).store.last_event
        await all_of_it.daemon.until_delivered()
        assert await all_of_it.daemon.stop() == 0
        all_scans_are_in_the_database(all_of_it, last)
        all_events_are_in_the_database(all_of_it, delivered)
        assert "Traceback" not in all_of_it.daemon.words()


async def an_excursion_is_told_acknowledged_and_over(rig: Rig) -> None:
    await rig.scan_later()
    rig.probes["incubator-1"].co2 = 6.4
    raised = await rig.ears.until_changed(HIGH, "raised")
    assert (raised["priority"], raised["limit"], raised["response"]) == (
        "high",
        6.0,
        "Check the CO2 valve",
    )
    async with operator(rig.broker, "anna") as anna:
        await the_wrong_are_refused(rig, raised)
        request = envelope(raised, "anna", reason="the valve sticks")
        reply = await anna("ack", request)
        assert (reply["result"], reply["word"], reply["state"]) == ("done", "done", "acknowledged")
        assert await anna("ack", request) == reply, "asked again, answered again"
        await what_was_missed_is_told_again(rig, anna)
    acknowledged = await rig.ears.until_changed(HIGH, "raised", "acknowledged")
    assert (acknowledged["actor"], acknowledged["via"], acknowledged["comment"]) == (
        "anna",
        "mqtt",
        "the valve sticks",
    )
    await a_late_subscriber_sees_it_as_it_stands(rig, "acknowledged")
    rig.probes["incubator-1"].co2 = 5.0
    await rig.ears.until_changed(HIGH, "raised", "acknowledged", "cleared")
    await a_late_subscriber_sees_it_as_it_stands(rig, "normal")
    told_at_the_scan_at_which_it_was_due(rig, raised)


async def what_was_missed_is_told_again(rig: Rig, anna: Ask) -> None:
    before = len(rig.ears.of("alarm_event"))
    request = envelope({}, "anna", gateway="gw-1", first=1, last=9)
    reply = await anna("resend", request)
    assert (reply["result"], reply["text"]) == ("done", "2 events are published again")
    await rig.ears.until(lambda: len(rig.ears.of("alarm_event")) == before + 2)
    again = rig.ears.of("alarm_event")[-2:]
    assert again == rig.ears.events()[:2], "just as they were told before"


async def the_wrong_are_refused(rig: Rig, raised: Payload) -> None:
    async with operator(rig.broker, "ben") as ben:
        forged = await ben("ack", envelope(raised, "anna"))
        assert (forged["result"], forged["word"]) == ("refused", "forbidden")
        stale = await ben("ack", envelope(raised, "ben", version=raised["version"] - 1))
        assert (stale["result"], stale["word"]) == ("refused", "stale")
        wordless = await ben("ack", envelope(raised, "ben", reason=" "))
        assert (wordless["result"], wordless["word"]) == ("refused", "reason_required")
    assert rig.ears.changes(HIGH) == ["raised"]


async def a_late_subscriber_sees_it_as_it_stands(rig: Rig, state: str) -> None:
    found = await retained(rig.broker, "cytowatch/v1/#")
    said = found[f"cytowatch/v1/{SITE}/equipment/{HIGH}/state"]
    newest = rig.ears.events(HIGH)[-1]
    assert said["state"] == state
    assert said == {key: newest[key] for key in said} | {"schema": "cytowatch.alarm.v1"}
    assert found[STATUS]["online"] is True


def told_at_the_scan_at_which_it_was_due(rig: Rig, raised: Payload) -> None:
    scans = {n: row for n, row in rig.recorded().items() if row.equipment == "incubator-1"}
    deciding = scans[raised["scan"]]
    if was_held_up(rig, deciding):  # What was not watched proves nothing: the delay began anew.
        return
    began = next(row for row in scans.values() if row.co2 is not None and row.co2 > 6.0)
    before = [row for number, row in scans.items() if number < raised["scan"]][-1]
    assert milliseconds(raised["condition_start"]) == began.at
    assert milliseconds(raised["alarm_time"]) == milliseconds(raised["time"]) == deciding.at
    assert deciding.at - began.at >= 1499, "not before its on-delay"
    assert before.at - began.at <= 1500, "at the first scan after it"


def was_held_up(rig: Rig, deciding: Row) -> bool:
    """Whether the machine made the daemon miss points of its grid until then, as it says itself."""
    events = [e for e in rig.events() if e.kind == "unmonitored" and e.subject == "incubator-1"]
    return any(e.at <= (deciding.at + 100) * MILLISECOND for e in events)


async def nothing_is_lost_while_the_broker_is_gone(rig: Rig) -> None:
    # Of a broker that is killed, what it saved is left: let it have saved the consumer's session.
    await eventually(lambda: b"consumer" in rig.broker.saved(), GENEROUS)
    rig.broker.kill()
    other = alarm("incubator-3")
    rig.probes["incubator-3"].co2 = 6.5
    await until_standing(rig, other)
    rig.probes["incubator-3"].co2 = 3.5
    await until_standing(rig, alarm("incubator-3", "low"))
    assert not rig.ears.changes(other)
    rig.broker.start()
    await rig.ears.until_changed(other, "raised", "returned")
    await rig.ears.until_changed(alarm("incubator-3", "low"), "raised")
    found = await retained(rig.broker, "cytowatch/v1/#")
    assert found[f"cytowatch/v1/{SITE}/equipment/{other}/state"]["state"] == "returned"
    assert found[f"cytowatch/v1/{SITE}/equipment/{HIGH}/state"]["state"] == "normal"


async def nothing_is_lost_while_the_database_is_gone(rig: Rig) -> None:
    proxy = rig.proxy
    for mode in ("unavailable", "reset", "swallow"):
        proxy.mode = mode
        await eventually(lambda mode=mode: proxy.failed(mode) >= 1, 60)  # type: ignore[misc]
    rig.probes["incubator-2"].co2 = 6.2
    await until_standing(rig, alarm("incubator-2"))
    proxy.mode = "up"
    await rig.daemon.until_delivered()
    assert proxy.repeated(), "a batch that had no answer is sent anew"


async def until_standing(rig: Rig, name: str) -> None:
    for _ in range(int(GENEROUS * 10)):
        if name in await rig.daemon.alarms():
            return
        await rig.scan_later()
    raise AssertionError(f"{name} does not stand")


def all_that_was_served_is_recorded(rig: Rig) -> int:
    """Return the number of the last scan."""
    recorded = rig.recorded()
    assert list(recorded) == list(range(1, len(recorded) + 1))
    for equipment in EQUIPMENT:
        rows = once_connected(row for row in recorded.values() if row.equipment == equipment)
        served = rig.probes[equipment].served
        assert not [row for row in rows if row.bad]
        assert [row for row in rows if not believable(row, served)] == []
        # The last answer may have been on its way when the daemon was stopped.
        assert [row.reads for row in rows] == list(range(1, len(rows) + 1))
        assert len(served) - len(rows) in {0, 1}
        times = [row.at for row in rows]
        assert times == sorted(set(times)), "strictly increasing"
    return len(recorded)


def is_summed_up(rig: Rig) -> bool:
    """Whether the newest digest comes after the newest transition."""
    return bool(rig.ears.of("digest")[-1]["last_seq"] == rig.ears.events()[-1]["seq"])


def all_that_is_recorded_is_told(rig: Rig) -> None:
    events = [event for event in rig.events() if event.kind == "alarm"]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    told = rig.ears.events()
    assert [(event["seq"], event["alarm"]) for event in told] == [
        (event.seq, event.subject) for event in events
    ]
    digest = rig.ears.of("digest")[-1]
    # Only a stalled daemon raises another one after the digest that was waited for.
    assert digest["last_seq"] <= len(events)
    last = {event["alarm"]: event for event in told if event["seq"] <= digest["last_seq"]}
    assert sorted(digest["active"]) == sorted(
        [name, event["state"], event["version"], event["event_id"]]
        for name, event in last.items()
        if event["retain"]
    )
    assert verify(rig.daemon.store, digest["head"]).whole
    kinds = {event.kind for event in rig.events()}
    assert {"start", "config", "alarm", "act", "refusal", "outage", "stop"} <= kinds


def all_scans_are_in_the_database(rig: Rig, last: int) -> None:
    """Up to the scan ``last``; of what came after it, the end of the daemon may have kept some."""
    stored = rig.stored()
    recorded = {number: row for number, row in rig.recorded().items() if number <= len(stored)}
    assert len(stored) >= last
    assert len(stored) == len(recorded), "no point more than scans"
    assert dict(stored) == recorded
    for batch in rig.proxy.batches:
        assert batch.status in {204, 503, None}
    numbers = [scan for batch in rig.proxy.written for scan in batch.scans]
    assert numbers == sorted(recorded), "in order, and each once but for repetitions"
    faulty = {b.digest for b in rig.proxy.batches if b.mode != "up"}
    assert set(rig.proxy.repeated()) <= faulty, "repeated only after a fault"


def all_events_are_in_the_database(rig: Rig, delivered: int) -> None:
    """Up to the event ``delivered``; of what came after it, the end may have kept some."""
    events = rig.events()
    assert events[-1].kind == "stop"
    told = rig.query("SELECT seq, event_id, alarm FROM alarm_event")
    seqs = [event.seq for event in events if event.seq is not None]
    assert sorted(int(row["seq"]) for row in told) == seqs[: len(told)]
    others = sorted(int(row["number"]) for row in rig.query("SELECT number FROM event"))
    numbers = [event.number for event in events if event.kind != "alarm"]
    assert others == numbers[: len(others)]
    known = sum(event.number <= delivered for event in events)
    assert len(told) + len(others) >= known


def online(rig: Rig) -> bool:
    said = [each.payload for each in rig.ears.heard if each.topic == STATUS]
    return bool(said and said[-1]["online"])


def milliseconds(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1000)

"""The rehearsal of an alarm, whole: the command line, the daemon's process, broker and database."""

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from drivers.reading import Origin
from tests.support.servers import InfluxDB, SecureMosquitto
from tests.whole.ears import SITE, envelope, operator, retained
from tests.whole.rig import EVER, Rig, Timing, alarm, rig

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

HIGH, SHADOW = alarm("incubator-1"), alarm("incubator-1", "test-high")
TOPIC = f"cytowatch/v1/{SITE}/equipment/incubator-1/co2"
TIMING = Timing(every="200ms", tick="200ms", on_delay="400ms")


async def test_an_alarm_is_tested_while_a_real_one_goes_on(
    tmp_path: Path, secure_mosquitto: SecureMosquitto, influxdb16: InfluxDB
) -> None:
    async with rig(tmp_path, secure_mosquitto, influxdb16, TIMING) as all_of_it:
        await all_of_it.daemon.until_delivered()
        page = tmp_path / "evidence.html"
        told = await drill(all_of_it, page)
        steps_are_as_expected(told)
        await what_was_told_is_flagged(all_of_it)
        await the_real_one_is_told_as_ever(all_of_it)
        the_page_says_it(page, told[-1])
        await the_readings_are_flagged(all_of_it)
        await who_is_killed_in_the_middle_ends_it(all_of_it)


async def drill(rig: Rig, page: Path) -> list[Mapping[str, Any]]:
    """Test an alarm by hand; meanwhile it is raised for real, and an operator acknowledges."""
    command = ("alarm-test", HIGH, "-r", "monthly", "-o", str(page), "--ack-by-hand", "--json")
    running = asyncio.create_task(rig.daemon.run(*command))
    await rig.ears.until(lambda: rig.ears.changes(SHADOW) == ["raised"])
    [line] = [r for r in (await rig.daemon.run("alarms")).lines if "TEST" in r]
    assert f"TEST {SHADOW}" in line
    rig.probes["incubator-1"].co2 = 7.0
    await rig.ears.until_changed(HIGH, "raised")
    async with operator(rig.broker, "anna") as anna:
        seen = rig.ears.events(SHADOW)[-1]
        shelf = await anna("shelve", envelope(seen, "anna", duration="5m"))
        assert (shelf["result"], shelf["word"]) == ("refused", "test")
        assert (await anna("ack", envelope(seen, "anna", reason="a drill")))["word"] == "done"
    ran = await running
    assert ran.code == 0, ran
    return [json.loads(line) for line in ran.lines]


def steps_are_as_expected(told: list[Mapping[str, Any]]) -> None:
    *steps, record = told
    assert [(step["step"], step["outcome"]) for step in steps] == [
        (name, "as_expected")
        for name in (
            *("condition", "raised", "delivered_mqtt", "delivered_influxdb"),
            *("acknowledged", "returned", "ended"),
        )
    ]
    assert "by anna" in steps[4]["seen"]
    assert "over mqtt: a drill" in steps[4]["seen"]
    assert (record["verdict"], record["real_before"]) == ("passed", "normal")
    assert [each["change"] for each in record["real_events"]] == ["raised"]


async def what_was_told_is_flagged(rig: Rig) -> None:
    changes = "raised", "acknowledged", "cleared", "ended"
    await rig.ears.until_changed(SHADOW, *changes)
    heard = rig.ears.events(SHADOW)
    assert all(each["test"] is True and each["rule"] == "test-high" for each in heard)
    topics = {each.topic for each in rig.ears.heard if "/test-high/" in each.topic}
    assert topics == {f"{TOPIC}/test-high/event", f"{TOPIC}/test-high/state"}
    assert [topic for topic in await retained(rig.broker, f"{TOPIC}/#") if "test-" in topic] == []
    seqs = [each["seq"] for each in rig.ears.events()]
    assert seqs == list(range(1, len(seqs) + 1))


async def the_real_one_is_told_as_ever(rig: Rig) -> None:
    real = rig.ears.events(HIGH)[0]
    assert (real["test"], real["annunciated"], real["state"]) == (False, True, "unacknowledged")
    rig.probes["incubator-1"].co2 = 5.0
    await rig.ears.until_changed(HIGH, "raised", "returned")
    found = await rig.daemon.run("excursions", "list", "--json")
    [excursion] = [json.loads(line) for line in found.lines]
    assert (excursion["rule"], excursion["extreme"], excursion["acts"]) == ("high", 7.0, [])
    assert [each["alarm"] for each in excursion["alarms"]] == [HIGH]


def the_page_says_it(page: Path, record: Mapping[str, Any]) -> None:
    text = page.read_text(encoding="utf-8")
    assert "Passed: every step was as expected." in text
    assert record["head"] in text
    assert record["config"] in text
    assert len(re.findall(r'<td class="as_expected">', text)) == 7


async def the_readings_are_flagged(rig: Rig) -> None:
    await rig.daemon.until_delivered()
    with rig.daemon.reader() as reader:
        points = [each for each in reader.readings(0, EVER) if each.origin is Origin.TEST]
    assert {(each.equipment, each.channel) for each in points} == {("incubator-1", "co2")}
    assert {each.value for each in points} == {6.1, 5.8}
    stored = rig.query("SELECT co2, scan FROM incubator WHERE origin = 'test'")
    assert [each["scan"] for each in stored] == [each.scan for each in points]
    told = rig.query("SELECT alarm, change, test FROM alarm_event")
    flags = [(each["alarm"], each["test"]) for each in told]
    assert sorted(flags) == [(HIGH, False)] * 2 + [(SHADOW, True)] * 4


async def who_is_killed_in_the_middle_ends_it(rig: Rig) -> None:
    """At the next start, so that nothing of it stays at the broker."""
    running = asyncio.create_task(rig.daemon.run("alarm-test", HIGH, "--ack-by-hand"))
    before = rig.ears.changes(SHADOW)
    await rig.ears.until(lambda: rig.ears.changes(SHADOW) == [*before, "raised"])
    again = await rig.daemon.run("alarm-test", HIGH)
    assert (again.code, again.out) == (1, ""), again
    assert "being tested already" in again.err
    rig.daemon.kill()
    ran = await running
    assert ran.code == 69, ran
    rig.daemon.start()
    await rig.daemon.ready()
    await rig.ears.until(lambda: rig.ears.changes(SHADOW) == [*before, "raised", "ended"])
    await rig.daemon.until_delivered()
    assert [t for t in await retained(rig.broker, f"{TOPIC}/#") if "test-" in t] == []
    tail = await rig.daemon.run("tail", "-n", "100", "--no-follow")
    assert any("TEST interrupted" in line for line in tail.lines), tail
    assert any(f"TEST {SHADOW}" in line for line in tail.lines), tail

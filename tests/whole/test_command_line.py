"""The command line, command by command, beside a daemon that watches the simulated plant."""

import asyncio
import csv
import io
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers.simulated.plant import SimulatedPlant
from drivers.simulated.scenario import BottleEmpty, Scenario
from monitor.store.reader import Reader
from tests.whole.daemon import GENEROUS, Daemon, Ran

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

SECOND = 10**9
EVER = 2**63 - 1
EMPTY = Scenario(
    happenings=(BottleEmpty(at=0, lasts=3600 * SECOND, incubators=("incubator-02",)),),
    goes_on=False,
)
ALARM = "incubator-02/co2_supply_pressure/low"


@asynccontextmanager
async def watched_plant(folder: Path) -> AsyncIterator[Daemon]:
    """Two incubators, one of them without gas, and a daemon that is yet to be started."""
    # Its gas is gone at once; that it grows cold without it, one day, is not what this is about.
    async with SimulatedPlant(2, 0, scenario=EMPTY, time_factor=0.001) as plant:
        text = plant.config_yaml(folder / "daemon" / "state")
        # Nor is a machine so busy that the probes answer late.
        text = text.replace("on_delay: 5s", "on_delay: 1s").replace(
            "timeout: 500ms", "timeout: 60s"
        )
        yield Daemon(folder / "daemon", text)


def objects(ran: Ran) -> list[dict[str, Any]]:
    """What a command said with --json, after it ended well."""
    assert ran.code == 0, ran
    return [json.loads(line) for line in ran.lines]


async def raised(daemon: Daemon) -> dict[str, Any]:
    """Follow the tail in a pipe until the alarm is told; leave it by closing the pipe."""
    tail = await asyncio.create_subprocess_exec(
        *daemon.command("tail", "--json", "-n", "100"),
        env=daemon.environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    assert tail.stdout
    try:
        async with asyncio.timeout(GENEROUS):
            async for line in tail.stdout:
                told: dict[str, Any] = json.loads(line)
                if told.get("alarm") == ALARM:
                    return told
    finally:
        tail.kill()
        await tail.wait()
        tail._transport.close()  # type: ignore[attr-defined]  # asyncio leaves the pipe half open
    raise AssertionError("the tail ended")


async def test_every_command_beside_a_running_daemon(tmp_path: Path) -> None:
    async with watched_plant(tmp_path) as daemon:
        await a_file_is_checked(daemon)
        assert (await daemon.run("status")).code == 69, "there is no daemon yet"
        with daemon:
            await daemon.ready()
            told = await raised(daemon)
            assert (told["schema"], told["change"]) == ("cytowatch.alarm_event.v1", "raised")
            await what_is_said_now_is_shown(daemon)
            await what_stands_is_shown(daemon, told)
            await an_operator_acts(daemon)
            await the_tail_tells_what_was_done(daemon)
            await many_are_put_out_of_service(daemon)
            await an_equipment_is_used(daemon)
            await the_record_is_exported(daemon)
            await the_store_is_looked_after(daemon)
            assert await daemon.stop() == 0
        gone = await daemon.run("alarms")
        assert (gone.code, gone.out) == (69, "")
        assert "no daemon answers" in gone.err


async def a_file_is_checked(daemon: Daemon) -> None:
    [summary] = objects(await daemon.run("check", str(daemon.file), "--json"))
    assert summary["schema"] == "cytowatch.check.v1"
    assert (summary["equipments"], summary["lines"], summary["sources"]) == (2, 3, 6)
    wrong = daemon.folder / "wrong.yaml"
    text = daemon.file.read_text().replace("kind: incubator", "kind: incubatr", 1)
    wrong.write_text(text)
    for command in (("check", str(wrong)), ("run", "--config", str(wrong))):
        ran = await daemon.run(*command)
        assert ran.code == 78
        line = text[: text.index("incubatr")].count("\n") + 1
        assert re.search(rf"wrong\.yaml:{line}:\d+: equipment.*did you mean", ran.out + ran.err)
    schema = objects_of_one(await daemon.run("schema"))
    assert schema["type"] == "object"


def objects_of_one(ran: Ran) -> dict[str, Any]:
    assert ran.code == 0, ran
    found: dict[str, Any] = json.loads(ran.out)
    return found


async def what_stands_is_shown(daemon: Daemon, told: dict[str, Any]) -> None:
    [status] = objects(await daemon.run("status", "--json"))
    assert (status["equipment"], status["alarms_standing"]) == (2, 1)
    assert {line["state"] for line in status["lines"]} == {"up"}
    [alarm] = objects(await daemon.run("alarms", "--json"))
    assert (alarm["alarm"], alarm["event_id"]) == (ALARM, told["event_id"])
    plain = await daemon.run("alarms", "--check")
    assert plain.code == 1
    assert ALARM in plain.out
    assert "\x1b" not in plain.out, "no colours in a pipe"
    assert (await daemon.run("alarms", "-e", "incubator-01", "--check")).code == 0


async def what_is_said_now_is_shown(daemon: Daemon) -> None:
    channels = Counter(value["equipment"] for value in await once_all_is_read(daemon))
    assert channels.keys() == {"incubator-01", "incubator-02"}
    assert channels["incubator-01"] == channels["incubator-02"] > 4
    [pressure] = objects(await daemon.run("values", ALARM.rpartition("/")[0], "--json"))
    assert pressure["value"] < 0.5
    assert (await daemon.run("values", "incubator-02/pressure")).code == 1


async def once_all_is_read(daemon: Daemon) -> list[dict[str, Any]]:
    """The newest values, as soon as every source has given some."""
    async with asyncio.timeout(GENEROUS):
        while True:
            values = objects(await daemon.run("values", "--json"))
            names = {value["equipment"] for value in values}
            if len(names) > 1 and {value["quality"] for value in values} == {"good"}:
                return values


async def an_operator_acts(daemon: Daemon) -> None:
    why = ("--reason", "bottle ordered", "--as", "Anna B.")
    [done] = objects(await daemon.run("ack", ALARM, *why, "--json"))
    assert (done["result"], done["state"]) == ("done", "acknowledged")
    again = await daemon.run("ack", ALARM, *why)
    assert again.code == 1
    assert "already_done" in again.err
    silent = await daemon.run("ack", ALARM)
    assert (silent.code, "reason_required" in silent.err) == (1, True)
    unknown = await daemon.run("ack", "incubator-02/co2/none", *why)
    assert unknown.code == 1, unknown
    assert "did you mean incubator-02/co2/low" in unknown.err
    [shelved] = objects(await daemon.run("shelve", ALARM, "--for", "30m", *why, "--json"))
    assert shelved["state"] == "shelved"
    assert (await daemon.run("alarms", "--check")).code == 0, "nobody is told of it"
    [hidden] = objects(await daemon.run("alarms", "--suppressed", "--json"))
    assert (hidden["shelving_state"], hidden["annunciated"]) == ("TimedShelved", False)
    [unshelved] = objects(await daemon.run("unshelve", ALARM, *why, "--json"))
    assert unshelved["state"] == "unacknowledged", "told anew, since it still is so"


async def many_are_put_out_of_service(daemon: Daemon) -> None:
    these, why = "incubator-02/co2", ("--reason", "WO-4711")
    would = objects(await daemon.run("out-of-service", these, "--for", "1h", "--dry-run", "--json"))
    assert len(would) > 1
    done = objects(await daemon.run("out-of-service", these, "--for", "1h", *why, "--json"))
    assert [each["alarm"] for each in done] == [each["alarm"] for each in would]
    assert {each["state"] for each in done} == {"out_of_service"}
    plain = await daemon.run("alarms", "--suppressed")
    assert plain.out.count(": WO-4711)") == len(done)
    assert f"{len(done)} out of service" in plain.err
    back = objects(await daemon.run("in-service", these, *why, "--json"))
    assert sorted(each["alarm"] for each in back) == sorted(each["alarm"] for each in done)


async def an_equipment_is_used(daemon: Daemon) -> None:
    ran = await daemon.run("load", "incubator-02", "COI-1", "--position", "shelf 1")
    assert (ran.code, "COI-1" in ran.out) == (0, True), ran
    ran = await daemon.run("set-state", "incubator-02", "idle", "--reason", "released")
    assert ran.code == 0, ran
    [used] = objects(await daemon.run("equipment", "incubator-02", "--json"))
    assert (used["state"], used["reason"]) == ("idle", "released")
    assert [(each["batch"], each["position"]) for each in used["batches"]] == [("COI-1", "shelf 1")]
    assert (await daemon.run("unload", "incubator-02", "COI-1")).code == 0
    assert (await daemon.run("set-state", "incubator-02", "as-told", "-r", "done")).code == 0
    assert (await daemon.run("comment", "incubator-02", "seal replaced")).code == 0
    told = await daemon.run("tail", "--no-follow", "-n", "20")
    assert "comment by" in told.out
    assert "COI-1 loaded at shelf 1" in told.out


async def the_tail_tells_what_was_done(daemon: Daemon) -> None:
    told = objects(await daemon.run("tail", "--no-follow", "--all", "--json", "-n", "1000"))
    alarms = [event for event in told if event.get("alarm") == ALARM and "change" in event]
    assert [event["change"] for event in alarms] == [
        *("raised", "acknowledged", "shelved", "unshelved")
    ]
    assert alarms[1]["claimed"] == "Anna B."
    assert alarms[1]["comment"] == "bottle ordered"
    only = objects(
        await daemon.run("tail", "--no-follow", "--json", "--state", "shelved", "--since", "1h")
    )
    assert [event["event_id"] for event in only] == [alarms[2]["event_id"]]
    none = await daemon.run("tail", "--no-follow", "--json", "--priority", "critical")
    assert objects(none) == []


async def the_record_is_exported(daemon: Daemon) -> None:
    ago = ("export", "--from", "1h", "-e", "incubator-02")
    until = ("--to", "1ms")  # Ago: both exports are to be of one span.
    lines = objects(await daemon.run(*ago, *until, "--format", "jsonl"))
    assert {line["schema"] for line in lines} == {"cytowatch.reading.v1"}
    file = daemon.folder / "readings.csv"
    to = ("--to", lines[-1]["time"])
    assert (await daemon.run(*ago, *to, "-o", str(file))).code == 0
    rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"), newline="")))
    before = [line for line in lines if line["time"] < lines[-1]["time"]]
    assert len(rows) == len(before) > 10
    assert [(row["channel"], row["scan"]) for row in rows] == [
        (line["channel"], str(line["scan"])) for line in before
    ]
    numbers = [(row["value"], line["value"]) for row, line in zip(rows, before, strict=True)]
    assert all(float(a) == b for a, b in numbers if isinstance(b, float))
    with daemon.reader() as reader:
        start, end = 0, EVER
        there = [point.scan for point in reader.readings(start, end, "incubator-02")]
    assert [line["scan"] for line in lines] == there[: len(lines)]
    events = objects(await daemon.run("export", "--from", "1h", "--what", "events", "--json"))
    assert [event["number"] for event in events] == list(range(1, len(events) + 1))
    assert {"start", "config", "alarm", "act", "refusal"} <= {event["kind"] for event in events}


async def the_store_is_looked_after(daemon: Daemon) -> None:
    [status] = objects(await daemon.run("store", "status", "--json"))
    [verdict] = objects(await daemon.run("store", "verify", "--json"))
    assert (verdict["problems"], verdict["store_id"]) == ([], status["store_id"])
    [copy] = objects(await daemon.run("store", "backup", "copy.db", "--json"))
    assert Path(copy["path"]) == daemon.state / "backups" / "copy.db"
    head = ("--head", status["chain_head"])
    whole = await daemon.run("store", "verify", copy["path"], *head)
    assert whole.code == 0, whole
    assert "whole" in whole.out
    assert (await daemon.run("store", "backup", "copy.db")).code == 1, "there is one already"
    from_copy = objects(
        await daemon.run(
            *("export", "--file", copy["path"], "--from", "1h", "--what", "events", "--json")
        )
    )
    assert from_copy[0]["kind"] == "start"


async def test_the_demo_counts_what_it_kept(tmp_path: Path) -> None:
    keep = tmp_path / "kept"
    nowhere = Daemon(tmp_path / "nowhere", "")
    ran = await nowhere.run("demo", "--for", "25s", "--json", "--keep", str(keep))
    [summary] = objects(ran)
    with Reader(keep / "state" / "cytowatch.db") as reader:
        points = list(reader.readings(0, EVER))
        events = list(reader.events(0, EVER))
    changes = Counter(json.loads(e.body)["change"] for e in events if e.kind == "alarm")
    qualities = Counter(point.quality.name.lower() for point in points)
    assert summary["scans"] == len({point.scan for point in points})
    assert summary["readings"] == {"good": 0, "uncertain": 0, "bad": 0} | qualities
    assert summary["readings_stored"] == len(points)
    assert summary["events_published"] == sum(changes.values())
    assert summary["alarms"] == {
        "raised": changes["raised"] + changes["raised_again"],
        "acknowledged": changes["acknowledged"],
        "cleared": changes["returned"] + changes["cleared"],
    }
    assert summary["alarms"]["raised"] > 0
    assert qualities["good"] > 0

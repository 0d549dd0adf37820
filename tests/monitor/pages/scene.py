"""An excursion as it may happen: a door left open, an alarm, somebody who looks after it."""

import math
from collections.abc import Iterator
from dataclasses import replace

from config.plant import Encoding, Plant, Register, Storage, Table
from config.rules import High, Low
from drivers.reading import Scan
from monitor.excursions.case import Setting
from monitor.excursions.record import ExcursionAct, ExcursionAlarm, ExcursionRecord
from monitor.messages import rfc3339
from tests.monitor.alarms.small_plant import SECOND, channel, door, moment, plant, source
from tests.monitor.excursions.stage import Stage, opens, says

NAME = "incubator-7/temperature/high"
BATCH = "<script>alert(1)</script>"
REASON = "Door was ajar & shut <script>alert('2')</script> “quickly”"
LONG = "Plates moved to incubator-8. " * 12
OPENED, SHUT = 600.0, 1020.0
BAD = (1100.0, 1130.0)
END = 3000


def site(storage: Storage | None = None) -> Plant:
    """An incubator with a temperature probe and a door contact."""
    rules = High(limit=37.5, deadband=0.1), Low(limit=35.0)
    probe = replace(
        channel("temperature", *rules),
        unit="Cel",
        address=Register(Table.INPUT, 0, Encoding.FLOAT32),
    )
    small = plant(
        replace(source(0, "incubator-7", "probe", "bus", [probe]), serial="T1234567"),
        source(1, "incubator-7", "contact", "bus", [door()]),
    )
    [equipment] = small.equipment
    return replace(
        small,
        equipment=(replace(equipment, doors=((1, 0),), storage=storage),),
        rejoin=60 * SECOND,
        digest="3f" * 32,
    )


def temperature(at: float) -> float | None:
    """What the probe says: warmer from the opening on, back after the door is shut."""
    if BAD[0] <= at < BAD[1]:
        return None
    rise = min(at, SHUT + 120) - OPENED
    warmer = 1.9 * (1 - math.exp(-rise / 400)) if rise > 0 else 0.0
    cooler = 1 - math.exp(-(at - SHUT - 120) / 300) if at > SHUT + 120 else 0.0
    return round(36.9 + warmer * (1 - cooler) + 0.04 * math.sin(at / 7), 2)


def scans() -> Iterator[Scan]:
    for at in range(END):
        if at % 5 == 0:
            yield opens(at + 0.5, stands=OPENED <= at < SHUT)
        yield says(at, temperature(at))


def recorded(plant: Plant | None = None) -> ExcursionRecord:
    """The record, judged by the ledger itself."""
    stage = Stage(plant or site(), setting=Setting("in_use", "expansion", (BATCH, "B-17"), True))
    for scan in scans():
        stage(scan)
        if scan.at == moment(910).at:
            stage.ledger.sounded(
                ExcursionAlarm(alarm=NAME, occurrence=f"s1/{NAME}/4", raised=at_text(900))
            )
            stage.ledger.acted(
                ExcursionAct(
                    time=at_text(910), subject=NAME, act="acknowledge", user="anna", reason=REASON
                )
            )
    [record] = stage.records
    return record


def at_text(seconds: float) -> str:
    return rfc3339(moment(seconds).at)


def readings() -> Iterator[dict[str, object]]:
    """The same scans, as they are exported."""
    for scan in scans():
        [value] = scan.values
        yield {
            "time": rfc3339(scan.at),
            "channel": "door" if scan.source else "temperature",
            "value": value,
            "quality": "bad" if value is None else "good",
            "origin": "live",
        }


def events() -> list[dict[str, object]]:
    """What happened, as it is exported."""
    high_high = NAME.replace("high", "high-high")
    return [
        _event(900, "alarm", NAME, change="raised", limit=37.5, alarm=NAME, priority="medium"),
        _event(930, "alarm", high_high, change="raised", limit=38.0, alarm=high_high,
               rule="high-high", priority="critical"),
        _event(935, "act", high_high, act="acknowledge", user="anna", claimed="", reason=REASON),
        _event(936, "alarm", high_high, change="acknowledged", actor="anna", alarm=high_high),
        _event(1010, "act", "incubator-7", act="comment", user="kim", claimed="Kim", reason=LONG),
        _event(1010, "act", "incubator-8", act="comment", user="nobody", reason="elsewhere"),
        _event(1480, "clock_step", "", kind="forward"),
        _event(1500, "alarm", NAME, change="cleared", limit=37.5, alarm=NAME, priority="medium"),
    ]  # fmt: skip


def _event(at: float, kind: str, subject: str, /, **body: object) -> dict[str, object]:
    return {"time": at_text(at), "kind": kind, "subject": subject, "body": body}

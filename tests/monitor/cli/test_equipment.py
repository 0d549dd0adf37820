import pytest

from config.rules import EquipmentState
from drivers.reading import Moment
from monitor.alarms.usage import Loaded, Override, ToldBy, Usage
from tests.monitor.cli.conftest import Gateway, lines
from tests.support.desk import NOON, SECOND, START

CLEANING = Usage(
    EquipmentState.CLEANING,
    since=START,
    cause=ToldBy.ACT,
    override=Override(EquipmentState.CLEANING, "kim", "a spill", START, START.boot + 60 * SECOND),
    phase="expansion",
    loaded=(Loaded("COI-1", "shelf 1", NOON), Loaded("COI-2", "", NOON)),
)


def test_how_equipment_is_used_is_shown(gateway: Gateway) -> None:
    gateway.desk.usages = {"incubator-07": CLEANING}
    shown = gateway.ask("equipment").stdout.splitlines()
    assert [line.split()[:2] for line in shown] == [
        ["incubator-07", "cleaning"],
        ["incubator-08", "in_use"],
    ]
    assert "(set by kim until 2026-01-31T12:01:00.000Z: a spill)" in shown[0]
    assert shown[0].endswith("phase expansion  batches COI-1 @ shelf 1, COI-2 @ -")
    [one] = lines(gateway.ask("equipment", "incubator-*7", "--json").stdout)
    assert (one["schema"], one["equipment"]) == ("cytowatch.usage.v1", "incubator-07")
    assert one["since"] == "2026-01-31T12:00:00.000Z"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["set-state", "incubator-07", "idle", "-r", "x", "--role", "lead"],
            {"act": "set_state", "state": "idle", "seen": "cleaning", "duration": None},
        ),
        (
            ["set-state", "incubator-07", "warming-up", "--for", "2h", "-r", "x"],
            {"state": "warming_up", "duration": 7200 * SECOND},
        ),
        (["set-state", "incubator-07", "as-told", "-r", "x"], {"state": None, "seen": "cleaning"}),
        (
            ["load", "incubator-07", "COI-3", "--position", "shelf 3"],
            {"act": "load", "batch": "COI-3", "position": "shelf 3", "reason": "", "seen": None},
        ),
        (["unload", "incubator-07", "COI-1"], {"act": "unload", "batch": "COI-1", "position": ""}),
    ],
)
def test_what_is_said_of_an_equipment(
    gateway: Gateway, arguments: list[str], expected: dict[str, object]
) -> None:
    gateway.desk.usages = {"incubator-07": CLEANING}
    result = gateway.ask(*arguments)
    assert (result.exit_code, result.stdout) == (0, "incubator-07: as you say\n")
    [request] = gateway.desk.used
    assert request.equipment == "incubator-07"
    assert {name: getattr(request, name) for name in expected} == expected


def test_many_are_set_at_once_each_as_it_was_seen(gateway: Gateway) -> None:
    gateway.desk.usages = {"incubator-07": CLEANING}
    dry = gateway.ask("set-state", "incubator-*", "idle", "--dry-run")
    assert dry.stdout.splitlines() == [
        "incubator-07: would set state, now cleaning",
        "incubator-08: would set state, now in_use",
    ]
    assert gateway.desk.used == []
    assert gateway.ask("set-state", "incubator-*", "idle", "-r", "x").exit_code == 0
    seen = [(request.equipment, request.seen) for request in gateway.desk.used]
    assert seen == [("incubator-07", "cleaning"), ("incubator-08", "in_use")]


def test_what_is_refused_says_why_and_is_1(gateway: Gateway) -> None:
    gateway.desk.refusal = ("forbidden", "supervisor may set state here, ada is operator")
    result = gateway.ask("set-state", "incubator-07", "idle", "-r", "x")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "incubator-07: refused (forbidden): supervisor may" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["set-state", "incubator-07", "on-fire"], 2),
        (["load", "incubator-07"], 2),
        (["load", "incubator-7", "COI-1"], 1),
    ],
)
def test_what_cannot_be_is_not_asked(gateway: Gateway, arguments: list[str], code: int) -> None:
    result = gateway.ask(*arguments)
    assert (result.exit_code, gateway.desk.used) == (code, [])


def test_an_end_is_as_the_clock_shows_it_now(gateway: Gateway) -> None:
    gateway.desk.usages = {"incubator-07": CLEANING}
    gateway.desk.time = Moment(START.at + 3600 * SECOND, START.boot + 30 * SECOND)
    [one] = lines(gateway.ask("equipment", "incubator-07", "--json").stdout)
    assert one["until"] == "2026-01-31T13:00:30.000Z"

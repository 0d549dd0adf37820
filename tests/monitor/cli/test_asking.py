"""The commands that ask the daemon, against a real socket with a fake desk behind it."""

import csv
import json
import stat
from pathlib import Path

import pytest

from drivers.reading import Fault, Origin, Quality, Reason, Scan
from monitor.cli import main
from monitor.cli.client import Gone
from monitor.cli.tail import followed
from monitor.operators.protocol import TailRequest
from monitor.store.points import Point
from tests.monitor.cli.conftest import Gateway
from tests.support.desk import NOON, SECOND, alarm_event, noted, recorded, standing

LOW = "incubator-07/co2/low"


def lines(output: str) -> list[dict[str, object]]:
    found = [json.loads(line) for line in output.splitlines()]
    assert all(line["schema"].startswith("cytowatch.") for line in found)
    return found


def test_tail_in_a_pipe_is_plain(gateway: Gateway) -> None:
    gateway.add(recorded(alarm_event(1)), noted(2, "start", "gw-1"))
    result = gateway.ask("tail", "--no-follow")
    assert result.exit_code == 0
    assert result.stdout == (
        "2026-01-31T12:00:01.000Z  H high      RAISED        incubator-07/co2/low"
        "  4.1 % (limit 4.5)  [unacknowledged]  Check the gas supply\n"
        "2026-01-31T12:00:02.000Z  - -         START         gw-1\n"
    )


def test_tail_on_a_terminal_is_coloured_unless_it_is_not_wanted(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.add(recorded(alarm_event(1)))
    assert "\x1b[31m" in gateway.ask("tail", "--no-follow", color=True).stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in gateway.ask("tail", "--no-follow", color=True).stdout


def test_tail_as_json_is_what_goes_out_over_mqtt(gateway: Gateway) -> None:
    event = alarm_event(1)
    gateway.add(recorded(event), noted(2, "start", "gw-1", pid=3))
    alarm, start = lines(gateway.ask("tail", "--no-follow", "--json").stdout)
    assert alarm == json.loads(event.model_dump_json(by_alias=True))
    assert (start["kind"], start["body"]) == ("start", {"pid": 3})


@pytest.mark.parametrize(
    ("options", "seqs"),
    [
        (["-n", "1"], [3]),
        (["-n", "0"], []),
        (["-e", "incubator-08"], [2]),
        (["--priority", "high"], [1, 3]),
        (["--state", "returned"], [3]),
        (["--since", "2026-01-31T12:00:02Z"], [2, 3]),
    ],
)
def test_tail_filters(gateway: Gateway, options: list[str], seqs: list[int]) -> None:
    gateway.add(
        recorded(alarm_event(1)),
        recorded(alarm_event(2, "incubator-08/co2/low", priority="medium")),
        recorded(alarm_event(3, state="returned", after="returned")),
    )
    result = gateway.ask("tail", "--no-follow", "--json", *options)
    assert [line["seq"] for line in lines(result.stdout)] == seqs


def test_tail_goes_on_where_it_was_when_the_daemon_is_back(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def come_back(_: float) -> None:
        gateway.desk.store.add(recorded(alarm_event(2)))
        gateway.start()

    monkeypatch.setattr("monitor.cli.tail.time.sleep", come_back)
    gateway.add(recorded(alarm_event(1)))
    events = followed(gateway.path, TailRequest(last=10), once=False)
    assert next(events).number == 1
    gateway.stop()
    assert next(events).number == 2
    events.close()  # type: ignore[attr-defined]  # a generator
    assert capsys.readouterr().err.splitlines() == [
        "cytowatch: the daemon stops; waiting for it",
        "cytowatch: the daemon is back",
    ]


def test_tail_once_ends_with_the_daemon(gateway: Gateway) -> None:
    gateway.add(recorded(alarm_event(1)))
    events = followed(gateway.path, TailRequest(last=10), once=True)
    assert next(events).number == 1
    gateway.stop()
    with pytest.raises(Gone):
        next(events)


def test_alarms_are_shown_by_urgency(gateway: Gateway) -> None:
    told = [
        alarm_event(1, acked_state=True, state="acknowledged", priority="critical", severity=950),
        alarm_event(2, "incubator-07/co2/high", priority="low", severity=200),
        alarm_event(3, "incubator-08/co2/low"),
        alarm_event(4, "gateway/_/sink-mqtt", annunciated=False, state="shelved"),
    ]
    gateway.desk.alarms = {each.alarm: standing(each) for each in told}
    result = gateway.ask("alarms", "--check")
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["!", "!", "C"]
    assert "1 more are shelved or suppressed" in result.stderr
    assert result.exit_code == 1
    everything = lines(gateway.ask("alarms", "--all", "--json").stdout)
    assert [alarm["alarm"] for alarm in everything] == [
        "gateway/_/sink-mqtt",
        "incubator-08/co2/low",
        "incubator-07/co2/high",
        LOW,
    ]


def test_no_alarm_is_said_beside_the_data(gateway: Gateway) -> None:
    result = gateway.ask("alarms", "--check")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "No alarm stands.\n")


def test_ack_is_bound_to_what_was_seen(gateway: Gateway) -> None:
    gateway.desk.alarms = {LOW: standing(alarm_event(1, version=7))}
    result = gateway.ask("ack", LOW, "--reason", "bottle changed", "--as", "Ada")
    assert (result.exit_code, result.stdout) == (0, f"{LOW}: acknowledge done, now acknowledged\n")
    [request] = gateway.desk.acted
    assert (request.act, request.version) == ("acknowledge", 7)
    assert request.occurrence == f"s1/{LOW}/1"
    assert (request.reason, request.actor.claimed) == ("bottle changed", "Ada")


@pytest.mark.parametrize(
    ("arguments", "act", "duration"),
    [
        (["shelve", LOW, "--for", "30m", "-r", "x"], "shelve", 1800 * SECOND),
        (["unshelve", LOW, "-r", "x"], "unshelve", None),
        (["reset", LOW, "-r", "x"], "reset", None),
    ],
)
def test_other_acts(gateway: Gateway, arguments: list[str], act: str, duration: int | None) -> None:
    [reply] = lines(gateway.ask(*arguments, "--json").stdout)
    assert reply["result"] == "done"
    [request] = gateway.desk.acted
    assert (request.act, request.duration, request.occurrence) == (act, duration, None)


def test_a_refused_act_says_why_and_is_1(gateway: Gateway) -> None:
    gateway.desk.refusal = ("stale", "it was raised again\x1b[2J")
    result = gateway.ask("ack", LOW, "incubator-08/co2/low", "-r", "x")
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{LOW}: refused (stale): it was raised again\\x1b[2J" in result.stderr
    assert len(gateway.desk.acted) == 2


def test_an_unknown_alarm_is_answered_with_near_ones(gateway: Gateway) -> None:
    result = gateway.ask("ack", "incubator-7/co2/low", "-r", "x")
    assert (result.exit_code, gateway.desk.acted) == (1, [])
    assert f"did you mean {LOW}" in result.stderr


def test_status_in_words(gateway: Gateway) -> None:
    result = gateway.ask("status")
    assert result.exit_code == 0
    assert "record   scan 17, seq 3" in result.stdout
    assert "line  suite-b  down  2026-01-31T12:00:00.000Z  refused\\x1b[31m" in result.stdout
    assert "behind by 0 scans, 2 events" in result.stdout


def test_status_as_json(gateway: Gateway) -> None:
    [status] = lines(gateway.ask("status", "--json").stdout)
    assert (status["last_scan"], status["last_seq"]) == (17, 3)


def test_values(gateway: Gateway) -> None:
    fault = {0: Fault(Quality.BAD, Reason.TIMED_OUT)}
    gateway.desk.latest[0] = Scan(0, NOON, 998 * SECOND, (None, True), faults=fault)
    result = gateway.ask("values", "incubator-07")
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["incubator-07/co2", "-", "%", "2.0", "s", "bad", "(timed_out)"],
        ["incubator-07/door", "open", "2.0", "s", "good"],
    ]
    [co2] = lines(gateway.ask("values", "incubator-08/co2", "--json").stdout)
    assert co2["reason"] == "not_read_yet"


def point(scan: int, equipment: str = "incubator-07", value: float = 5.0) -> Point:
    place = ("les-ulis", "suite-a", equipment, "incubator", "probe", "gw-1", "co2")
    good = (value, Quality.GOOD, None, None)
    return Point(NOON + scan * SECOND, *place, *good, scan, Origin.LIVE)


SPAN = ("--from", "2026-01-31T12:00:00Z", "--to", "2026-01-31T12:01:00Z")


def test_readings_are_exported_as_csv(gateway: Gateway) -> None:
    gateway.desk.rows = [point(1, value=0.1), point(2, "incubator-08"), point(61)]
    result = gateway.ask("export", *SPAN)
    first, second = csv.DictReader(result.stdout.splitlines())
    assert (first["time"], first["value"]) == ("2026-01-31T12:00:01.000Z", "0.1")
    assert (first["channel"], first["quality"], first["reason"]) == ("co2", "good", "")
    assert second["equipment"] == "incubator-08"


def test_events_are_exported_as_json_lines(gateway: Gateway) -> None:
    gateway.add(recorded(alarm_event(1)), noted(2, "start", "gw-1"))
    result = gateway.ask("export", *SPAN, "--what", "events", "--json")
    assert [line["kind"] for line in lines(result.stdout)] == ["alarm", "start"]


def test_an_export_gets_its_name_when_it_is_whole(gateway: Gateway, tmp_path: Path) -> None:
    gateway.desk.rows = [point(1)]
    output = tmp_path / "out.csv"
    result = gateway.ask("export", *SPAN, "-o", str(output))
    assert (result.exit_code, result.stdout) == (0, "")
    assert len(output.read_text().splitlines()) == 2
    gateway.stop()
    other = tmp_path / "other.csv"
    assert gateway.ask("export", *SPAN, "-o", str(other)).exit_code == 69
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".csv"]


def test_the_store_is_shown_and_copied(gateway: Gateway, tmp_path: Path) -> None:
    [status] = lines(gateway.ask("store", "status", "--json").stdout)
    assert status["figures"] == {"bytes": 4096}
    assert "chain head" in gateway.ask("store", "status").stdout
    made = gateway.ask("store", "backup", "copy.db")
    assert (made.exit_code, (tmp_path / "copy.db").read_bytes()) == (0, b"copy")
    again = gateway.ask("store", "backup", "copy.db")
    assert (again.exit_code, "there already" in again.stderr) == (1, True)


def test_who_may_not_ask_is_told_so(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As root, every socket opens: so the refusal itself is the kernel's, and is laid out here."""

    def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("socket.socket.connect", forbidden, raising=False)
    assert main(["status", "--socket", str(gateway.path)]) == 77
    assert "you may not ask the daemon" in capsys.readouterr().err
    monkeypatch.undo()


def test_the_environment_says_where(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CYTOWATCH_SOCKET", str(gateway.path))
    assert main(["status", "--json"]) == 0
    assert lines(capsys.readouterr().out)


def test_the_socket_is_not_for_all(gateway: Gateway) -> None:
    assert stat.S_IMODE(gateway.path.stat().st_mode) & 0o007 == 0

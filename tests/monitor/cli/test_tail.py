import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.cli.client import Gone
from monitor.cli.tail import followed
from monitor.operators.protocol import TailRequest
from tests.monitor.cli.conftest import Gateway, lines
from tests.support.desk import alarm_event, noted, recorded


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


def _tail(path: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "monitor.cli", "tail", "--socket", str(path)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )


def test_ctrl_c_ends_with_130(gateway: Gateway) -> None:
    gateway.add(recorded(alarm_event(1)))
    with _tail(gateway.path) as tail:
        assert tail.stdout
        assert "RAISED" in tail.stdout.readline()
        tail.send_signal(signal.SIGINT)
        _, said = tail.communicate(timeout=60)
    assert (tail.returncode, said.strip()) == (130, "")


def test_a_reader_that_leaves_ends_it_quietly(gateway: Gateway) -> None:
    gateway.add(recorded(alarm_event(1)))
    with _tail(gateway.path) as tail:
        assert tail.stdout
        tail.stdout.readline()
        tail.stdout.close()
        gateway.add(recorded(alarm_event(2)))
        assert tail.wait(10) == 141
        assert tail.stderr
        assert tail.stderr.read() == ""

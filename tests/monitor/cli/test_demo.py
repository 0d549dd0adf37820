"""The demo, whole: plant, broker, daemon and store in one process, and what it says of them."""

import json
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from monitor.cli import main
from monitor.cli.demo import Show
from monitor.operators.protocol import EventMessage

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]


@pytest.fixture
def shown(tmp_path: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "monitor.cli", "demo", "--for", "30s", "--json"]
    return subprocess.run(
        [*command, "--keep", str(tmp_path)], capture_output=True, text=True, check=True, timeout=110
    )


def test_a_minute_in_short(
    shown: "subprocess.CompletedProcess[str]", tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [line] = shown.stdout.splitlines()
    summary = json.loads(line)
    assert summary["schema"] == "cytowatch.demo.v1"
    assert summary["equipment"] == {"incubators": 6, "bioreactors": 2}
    assert summary["lines"] == {"Modbus TCP": 7, "OPC UA": 2}
    assert "6 incubators over Modbus TCP and 2 bioreactors over OPC UA" in shown.stderr
    readings = sum(summary["readings"].values())
    assert summary["readings_stored"] == readings > 0
    assert summary["scans"] > 0
    assert summary["alarms"]["raised"] >= 1
    assert summary["alarms"]["acknowledged"] == 1
    assert "by " in shown.stderr
    assert "(as demo operator, operator)" in shown.stderr
    assert shown.stderr.count("loaded at shelf 1") == 5, "but for the one that is cleaned"
    assert not re.search("Traceback|asyncua|WARNING|ERROR", shown.stderr), "it is quiet"
    # What the broker handed out is what the record holds, each once.
    store = str(tmp_path / "state" / "cytowatch.db")
    main(["export", "--file", store, "--from", "1h", "--what", "events", "--json"])
    events = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    kinds = [event["kind"] for event in events]
    nothing_chatters_and_the_cleaned_one_calls_nobody(events)
    assert summary["events_published"] == kinds.count("alarm") > 0
    assert summary["excursions"]["ended"] == kinds.count("excursion")
    assert sum(summary["excursions"].values()) > 0
    assert kinds.count("occupancy") == 5
    assert main(["store", "verify", store]) == 0


def nothing_chatters_and_the_cleaned_one_calls_nobody(events: Sequence[Mapping[str, Any]]) -> None:
    alarms = [event["body"] for event in events if event["kind"] == "alarm"]
    limits = [body for body in alarms if body["limit"] is not None]
    raised = Counter(body["alarm"] for body in limits if body["change"].startswith("raised"))
    assert raised == dict.fromkeys(raised, 1)
    ended = Counter(event["subject"] for event in events if event["kind"] == "excursion")
    assert ended == dict.fromkeys(ended, 1)
    called = {body["equipment"] for body in limits if body["annunciated"]}
    assert called
    assert "incubator-04" not in called


def test_of_the_first_excursion_it_says_how_its_page_is_made(tmp_path: Path) -> None:
    out, show = StringIO(), Show(tmp_path, seconds=None, seed=1, speed=30)
    for name in ("s1/incubator-03/co2/low/x9", "s1/incubator-03/co2/low-low/x9"):
        event = EventMessage(
            store_id="s1",
            number=1,
            seq=None,
            kind="excursion",
            time="2026-11-22T09:00:00.000Z",
            subject="incubator-03/co2/low",
            body={"excursion": name},
        )
        show.keep_excursion(out, event, Path("/run/s"))
    assert out.getvalue().splitlines() == [
        "A page of it, made in another terminal:",
        "  ./cyto excursions page s1/incubator-03/co2/low/x9 -o excursion.html --socket /run/s",
    ]
    assert show.excursions == ["s1/incubator-03/co2/low/x9", "s1/incubator-03/co2/low-low/x9"]


def test_ctrl_c_ends_it_with_the_summary(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "monitor.cli", "demo", "--json", "--keep", str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stderr
        for line in demo.stderr:
            if "START" in line:
                break
            if found := re.search(r"socket +(\S+)", line):
                assert Path(found[1]).is_socket()
        demo.send_signal(signal.SIGINT)
        try:
            out, _ = demo.communicate(timeout=60)
        finally:
            demo.kill()  # Nothing stays behind, were it not to end.
    assert json.loads(out)["schema"] == "cytowatch.demo.v1"
    assert demo.returncode == 0

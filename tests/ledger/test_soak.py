"""A short soak with a few of its troubles: the command itself, as `./cyto soak` runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ledger.chaos import FAULTS, chosen
from tests.ledger.judge import NOT_HEARD
from tests.ledger.soak import main, parse
from tests.whole.daemon import ROOT

TROUBLES = "daemon-kill,database-kill,bus-a-garbage,io-b-cut,opc-c-refused,node-opcua-sessionless"


@pytest.mark.real
@pytest.mark.timeout(600)
def test_a_short_soak_keeps_every_promise(tmp_path: Path) -> None:
    soak = [sys.executable, "-m", "tests.ledger.soak", "--for", "10s", "--seed", "6"]
    done = subprocess.run(
        [*soak, "--faults", TROUBLES, "--folder", str(tmp_path / "soak")],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    verdicts = json.loads((tmp_path / "soak/verdict.json").read_text())
    assert not any(verdict["against"] for verdict in verdicts)
    assert {v["promise"] for v in verdicts if not v["looked_at"]} <= {NOT_HEARD}
    assert (tmp_path / "soak/chaos.jsonl").read_text().count('"mended"') >= 3


def test_faults_are_chosen_by_name_and_by_kind() -> None:
    assert chosen("none") == ()
    assert set(chosen("all")) == set(FAULTS)
    assert set(chosen("kill,bus-a-cut")) == {
        "daemon-kill",
        "broker-kill",
        "database-kill",
        "asyncua-kill",
        "node-opcua-kill",
        "bus-a-cut",
    }


def test_without_node_its_faults_are_left_out() -> None:
    there = chosen("all", ["asyncua"])
    assert {n for n in FAULTS if n.startswith(("node-opcua-", "opc-d-"))} == {*FAULTS} - {*there}
    assert chosen("opc-d-cut,kill", ["asyncua"]) == chosen(
        "daemon-kill,broker-kill,database-kill,asyncua-kill"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--faults", "deluge"], "no fault is called deluge"),
        (["--for", "soon"], "should be 1s to 168h"),
        (["--for", "0s"], "should be 1s to 168h"),
    ],
)
def test_what_cannot_be_soaked_is_told(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_a_duration_is_read_as_people_write_it(tmp_path: Path) -> None:
    options = parse(["--for", "1.5h", "--seed", "7", "--folder", str(tmp_path)])
    assert (options.seconds, options.seed) == (5400.0, 7)

import json
from pathlib import Path

import pytest

from monitor.cli import main

GOOD = Path("config/examples/site.yaml")
BAD = """\
site: les-ulis
gateway: gw-1
lines:
  - {name: bus, modbuss: {host: 10.0.0.1}}
equipment: []
"""


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(BAD)
    return path


def test_every_problem_is_told_at_once(bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(bad)]) == 78
    told = capsys.readouterr()
    assert f"{bad}:4:17: lines.0.modbuss: unknown key 'modbuss'; did you mean 'modbus'?" in told.out
    assert len(told.out.splitlines()) == 3
    assert told.err == f"3 problems in {bad}\n"


def test_problems_as_json(bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", str(bad)]) == 78
    problems = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {problem["schema"] for problem in problems} == {"cytowatch.problem.v1"}
    assert [(problem["line"], problem["column"]) for problem in problems][1] == (4, 17)


def test_run_refuses_a_bad_file(bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--config", str(bad)]) == 78
    assert "did you mean 'modbus'" in capsys.readouterr().err


def test_run_takes_settings_by_name(bad: Path) -> None:
    assert main(["run", "--config", str(bad), "--set", "nothing"]) == 2


def test_a_good_file_is_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", str(GOOD)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["schema"] == "cytowatch.check.v1"
    assert facts["channels"] > facts["equipments"] > 0
    assert facts["rules"] > 0
    assert facts["requests_per_second"] > 0
    # Nine of the nodes are numbers, taken to change with every publishing of 500 ms.
    assert (facts["subscribed_nodes"], facts["changes_per_second_assumed"]) == (14, 18.0)
    # 8 GiB of some thirty readings a second: half a year, and no lifetime.
    assert 100 < facts["days_until_quota_about"] < 3650
    assert main(["check", str(GOOD)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert ["channels", str(facts["channels"])] in [line.split() for line in told]


POLLED = """\
site: lab
gateway: gw-1
lines:
  - {name: old, opcua: {endpoint: "opc.tcp://192.0.2.31", reading: poll}}
  - {name: new, opcua: {endpoint: "opc.tcp://192.0.2.32", publishing: 250ms}}
equipment:
  - name: bioreactor-1
    kind: bioreactor
    area: lab
    sources:
      - {line: old, every: 2s, channels: {ph: {node: "i=1"}, weight: {node: "i=2"}}}
      - {line: new, every: 1s, channels: {volume: {node: "i=1"}, phase: {node: "i=2"}}}
"""


def test_only_what_is_polled_over_opc_ua_costs_requests(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(POLLED)
    assert main(["check", "--json", str(path)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["requests_per_second"] == 0.5
    assert facts["readings_per_second"] == 3.0
    assert facts["subscribed_nodes"] == 2
    assert facts["changes_per_second_assumed"] == 4.0

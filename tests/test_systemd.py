"""The service is one that systemd takes, and that can do little but its job."""

import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from monitor.ending import OS_ERROR
from monitor.threads import MANY
from monitor.watchdog import FEEDINGS, PERIOD, READY_WITHIN
from tests.support.debian import tool

FOLDER = Path(__file__).parents[1] / "systemd"
UNIT = FOLDER / "cytowatch.service"
MOST_EXPOSED = 1.2
"""Of 10, as systemd-analyze counts."""
SECONDS = {"s": 1, "min": 60}


def analyze(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run systemd-analyze, beside the units of its own package: there may be no others here."""
    systemd_analyze = tool("systemd-analyze")
    units = systemd_analyze.path.parents[2] / "lib/systemd/system"
    return subprocess.run(
        [systemd_analyze.path, *arguments],
        env={**systemd_analyze.environment, "SYSTEMD_UNIT_PATH": str(units)},
        check=False,
        capture_output=True,
        text=True,
    )


def settings() -> Mapping[str, Sequence[str]]:
    """What the unit says, by key."""
    said = defaultdict(list)
    for line in UNIT.read_text().splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            said[key].append(value)
    return said


def seconds(key: str) -> float:
    [value] = settings()[key]
    number, unit = re.fullmatch(r"(\d+)(\w+)", value).groups()  # type: ignore[union-attr]
    return int(number) * SECONDS[unit]


@pytest.mark.real
def test_systemd_takes_the_service(tmp_path: Path) -> None:
    here = tmp_path / UNIT.name
    here.write_text(UNIT.read_text().replace("/opt/cytowatch/bin/cytowatch", sys.executable))
    done = analyze("verify", str(here))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.real
def test_the_service_is_exposed_to_little() -> None:
    done = analyze("security", "--offline=true", str(UNIT))
    level = re.search(r"exposure level for \S+ ([\d.]+)", done.stdout)
    assert level
    assert float(level[1]) <= MOST_EXPOSED


@pytest.mark.real
def test_systemd_makes_its_user_and_group(tmp_path: Path) -> None:
    sysusers = tool("systemd-sysusers")
    (tmp_path / "etc").mkdir()
    command = [str(sysusers.path), f"--root={tmp_path}", str(FOLDER / "cytowatch.sysusers")]
    subprocess.run(command, env=sysusers.environment, check=True, capture_output=True)
    users = (tmp_path / "etc/passwd").read_text().splitlines()
    groups = (tmp_path / "etc/group").read_text().splitlines()
    [user] = [line.split(":") for line in users if line.startswith("cytowatch:")]
    assert user[5:] == ["/var/lib/cytowatch", "/usr/sbin/nologin"]
    assert [line for line in groups if line.startswith("cytowatch:")]
    assert settings()["User"] == settings()["Group"] == ["cytowatch"]


def test_a_wrong_file_is_not_tried_again_and_again_and_everything_else_is() -> None:
    said = settings()
    assert said["Restart"] == ["always"]
    assert said["StartLimitIntervalSec"] == ["0"]
    assert said["RestartPreventExitStatus"] == ["78"]
    assert "run --config " in said["ExecStart"][0]


def test_what_is_ended_for_want_of_memory_or_threads_is_started_anew() -> None:
    said = settings()
    assert said["MemoryMax"] == ["1G"]
    assert said["OOMPolicy"] == ["stop"]
    assert int(said["OOMScoreAdjust"][0]) < 0, "others of the machine go first"
    assert int(said["TasksMax"][0]) > 100 * MANY
    assert str(OS_ERROR) not in said["RestartPreventExitStatus"][0].split()


def test_the_daemon_says_itself_when_it_is_ready_and_that_it_gets_on() -> None:
    said = settings()
    assert said["Type"] == ["notify"]
    assert said["NotifyAccess"] == ["main"]
    assert seconds("TimeoutStartSec") > 2 * READY_WITHIN
    assert seconds("WatchdogSec") > FEEDINGS * PERIOD, "a look may come late"


def test_no_secret_stands_in_the_unit_and_none_is_dumped() -> None:
    said = settings()
    assert not said.keys() & {"Environment", "EnvironmentFile", "PassEnvironment", "SetCredential"}
    assert said["LimitCORE"] == ["0"]


def test_a_reload_that_could_not_be_done_is_not_offered() -> None:
    assert "ExecReload" not in settings()

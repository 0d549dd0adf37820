"""The service is one that systemd takes, and that can do little but its job."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.debian import tool

UNIT = Path(__file__).parents[1] / "systemd" / "cytowatch.service"
MOST_EXPOSED = 1.2
"""Of 10, as systemd-analyze counts."""


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


def test_a_wrong_file_is_not_tried_again_and_again() -> None:
    text = UNIT.read_text()
    assert "RestartPreventExitStatus=78" in text
    assert "run --config " in text

"""A third of all packets lost: TCP makes it slow, and nothing else comes of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.debian import tool
from tests.support.kernel import skip_where_forbidden
from tests.whole.daemon import ROOT

APART = ("unshare", "--user", "--map-root-user", "--net")
NOTHING = "add table inet mine"


@pytest.mark.real
@pytest.mark.timeout(400)
def test_lost_packets_cost_time_and_no_reading_and_nobody_else_is_disturbed(
    tmp_path: Path,
) -> None:
    nft = tool("nft")
    environment = nft.environment | {
        "PYTHONPATH": str(ROOT),
        "CYTOWATCH_SOCKET": str(tmp_path / "s"),
    }
    tried = [*APART, str(nft.path), NOTHING]
    skip_where_forbidden("a network of one's own with packets lost", tried, environment)
    ran = subprocess.run(
        [*APART, sys.executable, "-m", "tests.whole.lossy", str(tmp_path), str(nft.path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr

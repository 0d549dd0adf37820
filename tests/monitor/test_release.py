import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from monitor import VERSION
from monitor.release import PACKAGES, code, code_in
from tests.whole.daemon import ROOT


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages, as they would lie in an environment."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package)
    return tmp_path


def test_it_is_the_same_wherever_it_lies_and_whatever_was_compiled(copy: Path) -> None:
    assert code_in(copy) == code() == code_in(ROOT)
    for cache in copy.rglob("__pycache__"):
        shutil.rmtree(cache)
    (copy / "beside.py").write_text("print()")
    assert code_in(copy) == code()


@pytest.mark.parametrize("name", ["monitor/alarms/engine.py", "config/profiles/vaisala-hmp.yaml"])
def test_one_sign_that_was_changed_makes_it_another(copy: Path, name: str) -> None:
    file = copy / name
    file.write_bytes(file.read_bytes() + b"#")
    assert code_in(copy) != code()


def test_a_file_that_was_added_or_moved_or_taken_away_makes_it_another(copy: Path) -> None:
    seen = {code_in(copy)}
    (copy / "monitor/new.py").touch()
    seen.add(code_in(copy))
    (copy / "monitor/new.py").rename(copy / "drivers/new.py")
    seen.add(code_in(copy))
    (copy / "drivers/new.py").unlink()
    (copy / "config/units.py").unlink()
    seen.add(code_in(copy))
    assert len(seen) == 4


def test_it_is_counted_as_sha256sum_does(copy: Path) -> None:
    """So that who does not trust us with it can do it himself."""
    listed = f"find {' '.join(PACKAGES)} -type f -not -path '*/__pycache__/*'"
    command = f"{listed} -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum"
    ran = subprocess.run(
        ["sh", "-c", command], cwd=copy, capture_output=True, text=True, check=True
    )
    assert ran.stdout.split()[0] == code()


def test_the_command_line_says_it() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "monitor.cli", "--version"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.fullmatch(rf"cytowatch {re.escape(VERSION)}\ncode {code()}\n", ran.stdout)

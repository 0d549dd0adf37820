import sys
from pathlib import Path

import pytest

from monitor.cli import main


def test_a_loop_that_is_not_installed_is_said_to_be(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    arguments = ["run", "--config", str(tmp_path / "site.yaml"), "--loop", "uvloop"]
    assert main(arguments) == 69
    told = capsys.readouterr()
    assert (told.out, "cytowatch[fast]" in told.err) == ("", True)


def test_a_loop_that_nobody_knows_is_a_wrong_command_line(tmp_path: Path) -> None:
    assert main(["run", "--config", str(tmp_path / "site.yaml"), "--loop", "trio"]) == 2

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.debian import UnavailableError
from tests.support.node import node, packages

pytestmark = pytest.mark.real


def test_node_finds_its_packages() -> None:
    tool = node()
    done = subprocess.run(
        [tool.path, "-p", "require('node-opcua-server/package.json').version"],
        env=tool.environment,
        cwd="/",
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("2.")


def test_what_is_installed_is_not_installed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    where = packages()
    monkeypatch.setattr("tests.support.node._npm", None)
    assert packages() == where


def test_it_asks_where_this_machine_says_and_tells_in_a_line_that_nobody_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(os.environ):
        if name.lower().startswith("npm_config_"):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    (home / ".npmrc").write_text("registry=http://127.0.0.1:9/\nfetch-retries=0\n")
    monkeypatch.setenv("HOME", str(home))
    with pytest.raises(UnavailableError) as told:
        packages(tmp_path / "packages")
    assert "\n" not in str(told.value)
    assert "127.0.0.1:9" in str(told.value)
    assert "npm config set registry" in str(told.value)
    assert not list((tmp_path / "packages").glob("*/node_modules/node-opcua-server"))

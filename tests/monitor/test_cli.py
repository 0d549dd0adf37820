import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from monitor import VERSION
from monitor.cli import COMMANDS, cli, main

HEAVY = ("pydantic", "aiohttp", "aiomqtt", "asyncio", "sqlite3", "yaml", "amqtt")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    result = CliRunner().invoke(cli, [command, "--help"])
    assert (result.exit_code, "Usage: cli" in result.output) == (0, True)


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(cli, ["--help"])
    assert all(f"  {name} " in result.output for name in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--version"], 0),
        (["no-such-command"], 2),
        (["ack"], 2),
        (["shelve", "a/b/c", "--reason", "x"], 2),
        (["shelve", "a/b/c", "--reason", "x", "--for", "soon"], 2),
        (["tail", "--since", "yesterday"], 2),
        (["store", "backup", "../x", "--socket", "/nowhere"], 2),
        (["status", "--socket", "/nowhere/x.sock"], 69),
        (["tail", "--socket", "/nowhere/x.sock"], 69),
        (["check", "/nowhere/site.yaml"], 78),
        (["run", "--config", "/nowhere/site.yaml"], 78),
        (["store", "verify", "/nowhere/store.db"], 74),
    ],
)
def test_exit_codes(
    arguments: Sequence[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    told = capsys.readouterr()
    if code in {2, 69, 74}:
        assert told.out == ""
        assert told.err


def test_a_full_disk_is_told_and_leaves_no_trace() -> None:
    command = [sys.executable, "-m", "monitor.cli", "schema"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 74
    assert done.stderr == "cytowatch: the disk that this is written to is full\n"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--version"])
    assert VERSION in capsys.readouterr().out


@pytest.mark.parametrize("command", ["tail", "demo", "run"])
def test_help_loads_nothing_heavy(command: str) -> None:
    code = (
        "import sys; from monitor.cli import main\n"
        f"main([{command!r}, '--help'])\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    allowed = {"demo": "['asyncio']"}.get(command, "[]")
    assert done.stdout.splitlines()[-1] == allowed


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "monitor.cli", "--version"], capture_output=True, check=True
    )
    assert VERSION in done.stdout.decode()


def test_the_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["type"] == "object"


def test_completion_is_clicks_own() -> None:
    words = {"COMP_WORDS": "cytowatch st", "COMP_CWORD": "1"}
    environ = os.environ | words | {"_CYTOWATCH_COMPLETE": "bash_complete"}
    done = subprocess.run(
        [sys.executable, "-m", "monitor.cli"],
        capture_output=True,
        text=True,
        env=environ,
        check=False,  # Completion ends with 1.
    )
    assert done.stdout.splitlines() == ["plain,status", "plain,store"]

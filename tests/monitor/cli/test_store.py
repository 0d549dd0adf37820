from pathlib import Path

from click.testing import CliRunner, Result

from monitor.cli import cli
from monitor.store.database import Database
from tests.monitor.cli.conftest import Gateway, lines


def test_the_store_is_shown_and_copied(gateway: Gateway, tmp_path: Path) -> None:
    [status] = lines(gateway.ask("store", "status", "--json").stdout)
    assert status["figures"] == {"bytes": 4096}
    assert "chain head" in gateway.ask("store", "status").stdout
    made = gateway.ask("store", "backup", "copy.db")
    assert (made.exit_code, (tmp_path / "copy.db").read_bytes()) == (0, b"copy")
    again = gateway.ask("store", "backup", "copy.db")
    assert (again.exit_code, "there already" in again.stderr) == (1, True)


def test_a_store_is_rewritten_while_no_daemon_has_it(tmp_path: Path) -> None:
    file = tmp_path / "cytowatch.db"
    Database(file, 2**20).close()
    [told] = lines(compact(file, "--json").stdout)
    assert told["bytes"] == file.stat().st_size
    assert compact(file).stdout.startswith(f"{file}  ")
    file.write_bytes(b"no store at all" * 1000)
    refused = compact(file)
    assert (refused.exit_code, "not compacted" in refused.stderr) == (74, True)


def compact(file: Path, *options: str) -> Result:
    return CliRunner().invoke(cli, ["store", "compact", str(file), *options])

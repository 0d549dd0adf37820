from pathlib import Path

from tests.monitor.cli.conftest import Gateway, lines


def test_the_store_is_shown_and_copied(gateway: Gateway, tmp_path: Path) -> None:
    [status] = lines(gateway.ask("store", "status", "--json").stdout)
    assert status["figures"] == {"bytes": 4096}
    assert "chain head" in gateway.ask("store", "status").stdout
    made = gateway.ask("store", "backup", "copy.db")
    assert (made.exit_code, (tmp_path / "copy.db").read_bytes()) == (0, b"copy")
    again = gateway.ask("store", "backup", "copy.db")
    assert (again.exit_code, "there already" in again.stderr) == (1, True)

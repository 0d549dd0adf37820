import asyncio
from pathlib import Path

from monitor.store import Store
from tests.monitor.cli.conftest import Gateway, lines


def test_the_store_is_shown_and_copied(gateway: Gateway, tmp_path: Path) -> None:
    [status] = lines(gateway.ask("store", "status", "--json").stdout)
    assert status["figures"] == {"bytes": 4096}
    assert "chain head" in gateway.ask("store", "status").stdout
    made = gateway.ask("store", "backup", "copy.db")
    assert (made.exit_code, (tmp_path / "copy.db").read_bytes()) == (0, b"copy")
    again = gateway.ask("store", "backup", "copy.db")
    assert (again.exit_code, "there already" in again.stderr) == (1, True)


async def refusing(path: Path) -> None:
    async with Store.open(path, quota=2**20) as store:
        await store.dead_letter("influxdb", b'incubator co2="\x1b[2J" 7', "field type conflict")


def test_what_a_database_refused_for_good_is_listed(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "cytowatch.db"
    asyncio.run(refusing(file))
    [letter] = lines(gateway.ask("store", "dead-letters", str(file), "--json").stdout)
    assert letter == {
        "schema": "cytowatch.dead_letter.v1",
        "id": 1,
        "sink": "influxdb",
        "line": 'incubator co2="\x1b[2J" 7',
        "words": "field type conflict",
    }
    said = gateway.ask("store", "dead-letters", str(file)).stdout
    assert said.startswith("1 influxdb: field type conflict\n  incubator co2=")
    assert "\x1b" not in said
    none = gateway.ask("store", "dead-letters", str(tmp_path / "no.db"))
    assert (none.exit_code, "cannot be read" in none.stderr) == (74, True)

from tests.monitor.cli.conftest import Gateway, lines


def test_status_in_words(gateway: Gateway) -> None:
    result = gateway.ask("status")
    assert result.exit_code == 0
    assert "record   scan 17, seq 3" in result.stdout
    assert "line  suite-b  down  2026-01-31T12:00:00.000Z  refused\\x1b[31m" in result.stdout
    told = "behind by 0 blobs, 2 events; nothing is retained; scada owes receipts of 2 events since"
    assert f"{told} 2026-01-31T12:00:00.000Z" in result.stdout
    assert "pager" not in result.stdout


def test_status_as_json(gateway: Gateway) -> None:
    [status] = lines(gateway.ask("status", "--json").stdout)
    assert (status["last_scan"], status["last_seq"]) == (17, 3)

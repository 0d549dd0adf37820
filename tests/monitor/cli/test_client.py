import stat

import pytest

from monitor.cli import main
from tests.monitor.cli.conftest import Gateway, lines


def test_who_may_not_ask_is_told_so(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As root, every socket opens: so the refusal itself is the kernel's, and is laid out here."""

    def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("socket.socket.connect", forbidden, raising=False)
    assert main(["status", "--socket", str(gateway.path)]) == 77
    assert "you may not ask the daemon" in capsys.readouterr().err
    monkeypatch.undo()


def test_the_environment_says_where(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CYTOWATCH_SOCKET", str(gateway.path))
    assert main(["status", "--json"]) == 0
    assert lines(capsys.readouterr().out)


def test_the_socket_is_not_for_all(gateway: Gateway) -> None:
    assert stat.S_IMODE(gateway.path.stat().st_mode) & 0o007 == 0

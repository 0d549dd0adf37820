from pathlib import Path

import pytest

from monitor.operators.address import SocketError, to_ask, to_open


def test_a_path_that_is_too_long_is_explained(tmp_path: Path) -> None:
    with pytest.raises(SocketError, match="107"):
        to_open(tmp_path / ("x" * 107), {})


@pytest.mark.parametrize(
    ("environ", "opened", "asked"),
    [
        ({}, "/state/cytowatch.sock", "state/cytowatch.sock"),
        ({"RUNTIME_DIRECTORY": "/run/c:/run/d"}, "/run/c/cytowatch.sock", "/run/c/cytowatch.sock"),
        ({"CYTOWATCH_SOCKET": "/x.sock", "RUNTIME_DIRECTORY": "/r"}, "/x.sock", "/x.sock"),
    ],
)
def test_where_the_socket_is(environ: dict[str, str], opened: str, asked: str) -> None:
    assert to_open(Path("/state"), environ) == Path(opened)
    assert to_ask(environ) == Path(asked)


def test_who_may_not_look_is_sent_to_the_service_and_told_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its folder is closed to all who are not in the service's group."""

    def closed(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", closed)
    assert to_ask({}) == Path("/run/cytowatch/cytowatch.sock")

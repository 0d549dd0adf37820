"""What all tests share: a clean environment, no task left behind, and real servers on demand."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.servers import InfluxDB, Mosquitto, SecureMosquitto, VictoriaMetrics


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine's environment says to cytowatch and to systemd's children is not for tests."""
    ours = ("CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "STATE_DIRECTORY", "RUNTIME_DIRECTORY")
    for name in list(os.environ):
        if name.startswith("CYTOWATCH_") or name in ours:
            monkeypatch.delenv(name)


@pytest_asyncio.fixture(autouse=True)
async def _watch_for_tasks() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    left = [task for task in asyncio.all_tasks() - before if not task.done()]
    assert not left, f"the test left tasks behind: {left}"


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker of this test's own, open to all."""
    with Mosquitto(tmp_path / "mosquitto") as broker:
        yield broker


@pytest.fixture
def secure_mosquitto(tmp_path: Path) -> Iterator[SecureMosquitto]:
    """A broker of this test's own with TLS, passwords and topics by user."""
    with SecureMosquitto(tmp_path / "secure-mosquitto") as broker:
        yield broker


@pytest.fixture(scope="session")
def influxdb16(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxDB]:
    """InfluxDB of this test process: each test creates a database with a name of its own."""
    with InfluxDB(tmp_path_factory.mktemp("influxdb")) as server:
        yield server


@pytest.fixture(scope="session")
def victoria_metrics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VictoriaMetrics]:
    """VictoriaMetrics of this test process: each test writes under a site tag of its own."""
    with VictoriaMetrics(tmp_path_factory.mktemp("victoria-metrics")) as server:
        yield server

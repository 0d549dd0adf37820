"""What all tests share: a clean environment, no task left behind, and real servers on demand."""

import asyncio
import inspect
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import settings

from tests.support.servers import InfluxDB, Mosquitto, SecureMosquitto, VictoriaMetrics

# How long an example takes says something of the machine only.
settings.register_profile("untimed", deadline=None)
# The whole run decides on a change, and not on what another seed may find in what stood before:
# it takes the same examples each time, and whoever runs a part of the tests goes on searching.
settings.register_profile("fixed", deadline=None, derandomize=True)
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the whole test command ask for a second try of real tests."""
    text = "try a test with real servers once more when it fails; what it said is shown"
    parser.addoption("--real-twice", action="store_true", help=text)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test that shares its machine with others may lose a race that says nothing of us.

    So it is tried once more, from its fixtures on; the closing line counts it as rerun and its
    first failure is printed whole. What never talks to a server gets no second try.
    """
    if config.getoption("--real-twice"):
        for item in items:
            if item.get_closest_marker("real"):
                item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says to cytowatch, and systemd to its children, is not for tests."""
    by_systemd = {"CREDENTIALS_DIRECTORY", "STATE_DIRECTORY", "RUNTIME_DIRECTORY"}
    by_systemd |= {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM"}
    for name in list(os.environ):
        if name.startswith("CYTOWATCH_") or name in by_systemd:
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def fail_test_on_unclosed_tasks(request: pytest.FixtureRequest) -> None:
    """A task that is alive when an async test and its other fixtures have ended fails the test."""
    if inspect.iscoroutinefunction(getattr(request.node, "obj", None)):
        request.getfixturevalue("tasks_left")


@pytest_asyncio.fixture
async def tasks_left() -> AsyncIterator[None]:
    """The looking itself; apart, so that tests without a loop are not given one."""
    before = asyncio.all_tasks()
    yield
    await asyncio.sleep(0)  # What was cancelled at the very end may come to its end.
    left = [
        task
        for task in asyncio.all_tasks() - before
        if task is not asyncio.current_task() and not task.done()
    ]
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

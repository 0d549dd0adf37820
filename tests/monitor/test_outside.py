"""What a Prometheus and a monitor see of a whole daemon, over real HTTP."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace

import pytest

from config.site import Http
from monitor import outside
from monitor.app import Daemon, running
from monitor.operators.protocol import HealthMessage
from monitor.progress import Stuck
from monitor.store import Store, StoreError, StoreStatus
from monitor.watchdog import Watchdog
from tests.drivers.modbus.hostile import Hostile
from tests.monitor.exposition_parser import Parsed, parse
from tests.monitor.test_app import on
from tests.support.servers import HOST, free_port
from tests.support.waiting import eventually

BASE_UNITS = re.compile(r".*_(seconds|bytes|total|info)$")
COUNTS = {
    *("info", "equipments", "alarms", "alarms_unacknowledged", "line_up", "sink_up"),
    *("sink_backlog_events", "sink_backlog_batches", "sink_dead_letters", "clock_synchronised"),
}


@pytest.fixture(autouse=True)
def short_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CYTOWATCH_SOCKET", str(tmp_path / "s"))


@asynccontextmanager
async def daemon(folder: Path) -> AsyncIterator[tuple[Daemon, int]]:
    """A daemon with a line that answers and two sinks that do not; and its port."""
    port = free_port()
    async with Hostile() as server:
        plant = on(folder, server.port, influxdb=True, mqtt=True)
        async with running(replace(plant, http=Http(port=port))) as started:
            await eventually(lambda: started.recorder.store.last.scan > 2)
            yield started, port


def ask(port: int, target: str) -> tuple[int, str, str]:
    connection = HTTPConnection(HOST, port, timeout=60)
    connection.request("GET", target)
    answer = connection.getresponse()
    said = answer.status, answer.headers["Content-Type"], answer.read().decode()
    connection.close()
    return said


async def asked_for_health(port: int) -> tuple[int, str, HealthMessage]:
    status, kind, text = await asyncio.to_thread(ask, port, "/health")
    return status, kind, HealthMessage.model_validate_json(text)


async def scraped(port: int) -> Mapping[str, Parsed]:
    status, kind, text = await asyncio.to_thread(ask, port, "/metrics")
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return parse(text)


def one(families: Mapping[str, Parsed], name: str, **labels: str) -> float:
    family = families[name.removesuffix("_sum").removesuffix("_count")]
    return family.samples[name, frozenset(labels.items())]


async def test_the_figures_are_those_of_the_daemon(tmp_path: Path) -> None:
    async with daemon(tmp_path) as (of, port):
        before = of.recorder.scans
        told = await scraped(port)
        after = of.recorder.scans
        store = await of.recorder.store.status()
    assert before <= one(told, "cytowatch_scans_total") <= after
    assert before <= one(told, "cytowatch_readings_total", quality="good") <= after
    assert one(told, "cytowatch_readings_total", quality="bad") == 0
    assert one(told, "cytowatch_line_up", line="bus") == 1
    for sink in ("influxdb", "mqtt"):
        assert one(told, "cytowatch_sink_up", sink=sink) == 0
        assert one(told, "cytowatch_sink_tries_total", sink=sink) >= 1
    assert one(told, "cytowatch_sink_backlog_bytes", sink="influxdb") > 0
    assert one(told, "cytowatch_sink_backlog_age_seconds", sink="influxdb", lane="telemetry") > 0
    assert one(told, "cytowatch_store_quota_bytes") == store.quota
    assert one(told, "cytowatch_store_disk_free_bytes") > 0
    assert one(told, "cytowatch_store_commit_seconds_count") > 0
    assert one(told, "cytowatch_store_commit_seconds_sum") > 0
    assert one(told, "cytowatch_grid_points_total") > 0
    assert one(told, "cytowatch_uptime_seconds") > 0
    assert one(told, "cytowatch_alarms", state="unacknowledged", priority="critical") == 0
    [(_, labels)] = told["cytowatch_info"].samples
    assert dict(labels)["store_id"] == store.store_id
    assert dict(labels)["config"] == of.recorder.plant.digest[:8]


async def test_names_and_labels_are_as_prometheus_wants_them(tmp_path: Path) -> None:
    async with daemon(tmp_path) as (_, port):
        told = await scraped(port)
    for name, family in told.items():
        assert family.help.endswith((".", ")."))
        assert name.endswith("_total") == (family.kind == "counter"), name
        assert BASE_UNITS.match(name) or name.removeprefix("cytowatch_") in COUNTS, name
    kinds = {key for family in told.values() for _, labels in family.samples for key, _ in labels}
    own = {"site", "gateway", "version", "config", "store_id"}
    words = {"quality", "state", "priority", "change", "quantile", "lane"}
    assert kinds <= own | words | {"line", "sink", "certificate"}, "a label that is not bounded"


async def test_the_number_of_series_does_not_grow_with_what_happens(tmp_path: Path) -> None:
    async with daemon(tmp_path) as (of, port):
        before = await scraped(port)
        scans = of.recorder.scans
        await eventually(lambda: of.recorder.scans > scans + 3)
        after = await scraped(port)
    assert {name: set(each.samples) for name, each in before.items()} == {
        name: set(each.samples) for name, each in after.items()
    }


async def test_a_daemon_that_gets_on_is_well_though_its_sinks_are_away(tmp_path: Path) -> None:
    async with daemon(tmp_path) as (_, port), asyncio.timeout(60):
        status, kind, message = await asked_for_health(port)
        while not message.well:
            assert status == 503
            assert "sources have given a scan" in message.reasons[0]
            status, kind, message = await asked_for_health(port)
    assert (status, kind, message.well, message.reasons) == (200, "application/json", True, ())
    assert (message.lines_down, message.sinks_down) == ((), ("influxdb", "mqtt"))


async def test_what_is_stuck_is_named_in_the_words_of_the_watchdog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = Stuck("line bus", "has given no scan", 41.2)
    monkeypatch.setattr(Watchdog, "_marks", lambda _: ())
    monkeypatch.setattr("monitor.watchdog.judge", lambda *_: ({}, [stuck]))
    async with daemon(tmp_path) as (_, port), asyncio.timeout(60):
        status, _, message = await asked_for_health(port)
        while "starting" in message.reasons[0]:
            status, _, message = await asked_for_health(port)
    assert status == 503
    assert message.reasons == ("line bus has given no scan for 41 s",)


async def test_health_answers_when_the_store_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hangs(_: Store) -> StoreStatus:
        await asyncio.Event().wait()
        raise AssertionError

    async def fails(_: Store) -> StoreStatus:
        raise StoreError("disk I/O error")

    monkeypatch.setattr(outside, "PATIENCE", 0.01)
    async with daemon(tmp_path) as (_, port):
        for status, words in ((hangs, "the store has not said how it is"), (fails, "disk I/O")):
            monkeypatch.setattr(Store, "status", status)
            answer = await asyncio.to_thread(ask, port, "/metrics")
            assert (answer[0], answer[2][: len(words)]) == (503, words)
            assert (await asyncio.to_thread(ask, port, "/health"))[0] in {200, 503}
        monkeypatch.undo()


async def test_a_port_that_is_taken_costs_nothing_but_the_pages(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Hostile() as server:
        plant = replace(on(tmp_path, server.port), http=Http(port=server.port))
        async with running(plant) as of:
            await eventually(lambda: "cannot listen at 127.0.0.1" in caplog.text)
            scans = of.recorder.scans
            await eventually(lambda: of.recorder.scans > scans + 2)


def test_a_watchdog_that_does_not_look_any_more_is_a_reason_itself() -> None:
    seen = SimpleNamespace(_looked=100.0, _stuck=(), _ready=True)
    assert Watchdog.reasons(seen, 110.0) == []  # type: ignore[arg-type]
    assert Watchdog.reasons(seen, 141.0) == ["watchdog has not looked for 41 s"]  # type: ignore[arg-type]

import io
import json
from pathlib import Path

import pytest
from asyncua.server.server import Server

from config.load import load
from config.rules import High
from tests.bench.http_sink import Database
from tests.bench.opcua import missing, site_text
from tests.bench.opcua_load import CHANNELS, Channel, Crossing, Load, Untold, node_id
from tests.bench.scene import Size

LINE = b"bioreactor,equipment=reactor-01,source=s ph=7.0,ph_quality=0i,ph_source=%di,scan=1i 5"


def test_a_reading_that_is_sent_again_is_counted_once() -> None:
    database = Database()
    database.take_changes(LINE % 12_345)
    database.take_changes(LINE % 12_345 + b"\n" + LINE % 12_999 + b"\n" + LINE % 13_000)
    other = (LINE % 12_345).replace(b"reactor-01", b"reactor-02")
    database.take_changes(other + b"\n" + other.replace(b"ph_", b"weight_"))
    assert database.changes == {12: 4, 13: 1}


@pytest.mark.parametrize(
    ("arrived", "count"),
    [
        pytest.param({10: 5, 11: 25, 12: 25, 13: 4}, 0, id="whole seconds alone are compared"),
        pytest.param({11: 25, 12: 24}, 1, id="one is lost"),
        pytest.param({11: 25}, 25, id="a second is lost"),
        pytest.param({11: 24, 12: 26}, 2, id="one that never was does not stand for one that was"),
    ],
)
def test_what_was_served_has_arrived(arrived: dict[int, int], count: int) -> None:
    assert missing({10: 25, 11: 25, 12: 25, 13: 25}, arrived, (10.5, 13.5)) == count


def test_its_file_puts_a_rule_on_every_channel(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    size = Size(equipments=3, channels=len(CHANNELS))
    file.write_text(site_text(size, [4841, 4842], tmp_path, 1883, "http://127.0.0.1:8086"))
    plant = load(file)
    assert [s.line for s in plant.sources] == ["controller-1", "controller-2", "controller-1"]
    channels = [channel for source in plant.sources for channel in source.channels]
    assert len(channels) == 3 * len(CHANNELS)
    assert all(any(isinstance(rule, High) for rule in channel.rules) for channel in channels)
    assert plant.sources[1].channels[0].node.identifier == "s=reactor-02.temperature"


def test_a_crossing_is_served_once_and_comes_back_when_its_time_is_over() -> None:
    place = next(place for place, (name, _) in enumerate(CHANNELS) if name == "ph")
    ph = Channel("reactor-01", place, Server(), node_id(2, "s=reactor-01.ph"))
    load_ = Load([ph], io.StringIO(), io.StringIO())
    assert [load_.cross(ph, now) for now in (0.0, 1.0, 5.0)] == [
        Crossing("reactor-01", "ph", beyond=True),
        None,
        Crossing("reactor-01", "ph", beyond=False),
    ]


def test_a_crossing_that_was_sent_is_told_once() -> None:
    record = io.StringIO()
    untold = Untold(record, [Crossing("reactor-01", "ph", beyond=True)])
    untold.tell()
    untold.tell()
    [line] = record.getvalue().splitlines()
    assert json.loads(line) | {"sent_boot_ns": 0} == {
        "equipment": "reactor-01",
        "channel": "ph",
        "to": "beyond",
        "sent_boot_ns": 0,
    }

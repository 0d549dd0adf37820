"""The site files of demo and bench, read by the loader that reads every site's."""

from pathlib import Path

import pytest

from config.lines import OpcUaLine
from config.load import load
from config.plant import Place, Plant
from config.rules import SECOND, Deviation, EquipmentState, Flatline, High, Low, OffNormal
from drivers.simulated import load as load_server
from drivers.simulated.nodes import ANALOGS, NAMESPACE
from drivers.simulated.site import IO_LINE, load_site_file, probes_line, site_file

NAMES = ("incubator-01", "incubator-02")
TANKS = ("bioreactor-01",)


@pytest.fixture
def demo(tmp_path: Path) -> Plant:
    ports = {probes_line(NAMES[0]): 20_001, probes_line(NAMES[1]): 20_002, IO_LINE: 20_003}
    ports[TANKS[0]] = 20_004
    path = tmp_path / "demo.yaml"
    text = site_file((NAMES, TANKS), ports, tmp_path / 'odd "state"', mqtt_port=1884)
    path.write_text(text, "utf-8")
    return load(path, environ={})


def test_an_incubator_draws_its_channels_from_three_units_on_two_lines(demo: Plant) -> None:
    sources = [demo.sources[index] for index in demo.by_name["incubator-02"].sources]
    assert [(s.line, s.unit) for s in sources] == [
        ("incubator-02-probes", 240),
        ("incubator-02-probes", 241),
        ("suite-a-io", 1),
    ]
    assert {channel.name for source in sources for channel in source.channels} == {
        "co2",
        "humidity",
        "temperature",
        "door",
        "alarm_contact",
        "decontamination",
        "mode",
        "co2_supply_pressure",
    }


def test_an_incubator_tells_by_contact_and_mode_when_it_is_cleaned_and_warms_up(
    demo: Plant,
) -> None:
    [contact, mode] = demo.by_name["incubator-01"].state_from
    assert [name_of(demo, each.place) for each in (contact, mode)] == ["decontamination", "mode"]
    assert contact.states == {True: EquipmentState.CLEANING}
    assert mode.states == {
        "culture": EquipmentState.IN_USE,
        "warming-up": EquipmentState.WARMING_UP,
    }


def name_of(plant: Plant, place: Place) -> str:
    source, channel = place
    return plant.sources[source].channels[channel].name


def test_the_demo_shows_doors_set_points_phases_classes_and_roles(demo: Plant) -> None:
    rules = [rule for source in demo.sources for c in source.channels for rule in c.rules]
    assert {type(rule) for rule in rules} >= {High, Low, OffNormal, Deviation, Flatline}
    phases = {phase for r in rules if isinstance(r, Low) for w in r.when for phase in w.phases}
    assert phases == {"inoculation", "harvest"}
    assert {rule.roles for rule in rules if rule.priority == "critical"} == {("supervisor",)}
    assert all(rule.consequence and rule.time_to_respond for rule in rules)
    assert 0 < demo.rejoin <= 10 * SECOND, "an excursion is over while somebody still looks"


def test_a_bioreactor_is_one_source_on_an_opc_ua_line_of_its_own(demo: Plant) -> None:
    [source] = [demo.sources[index] for index in demo.by_name["bioreactor-01"].sources]
    line = demo.lines[source.line]
    assert isinstance(line, OpcUaLine)
    assert line.opcua.endpoint == "opc.tcp://127.0.0.1:20004"
    assert (line.opcua.security, line.opcua.user) == ("None", None)
    channels = {channel.name: channel for channel in source.channels}
    assert set(channels) == {*(each.channel for each in ANALOGS), "phase", "operating_state"}
    for each in ANALOGS:
        node = channels[each.channel].node
        assert (node.namespace, node.identifier) == (NAMESPACE, f"s=bioreactor-01.{each.node}")
        assert node.unit == each.unit
    assert channels["phase"].names == {0: "inoculation", 1: "growth", 2: "harvest"}
    watched = {c.name for c in source.channels if any(isinstance(r, High | Low) for r in c.rules)}
    assert watched == {"temperature", "ph", "dissolved_oxygen", "agitation"}


def test_delays_fit_a_minute_and_priorities_run_from_low_to_critical(demo: Plant) -> None:
    rules = [rule for source in demo.sources for c in source.channels for rule in c.rules]
    silences = [source.silent for source in demo.sources] + list(demo.line_silent.values())
    assert all(rule.on_delay <= 15 * SECOND for rule in [*rules, *silences])
    assert {rule.priority for rule in rules} == {"low", "medium", "high", "critical"}
    assert all(rule.response for rule in rules), "each says what to do"


def test_the_state_directory_may_have_any_name(demo: Plant, tmp_path: Path) -> None:
    assert demo.store.directory == tmp_path / 'odd "state"'
    assert demo.mqtt is not None
    assert demo.mqtt.protocol == "3.1.1"


def test_the_load_has_a_rule_on_every_channel_where_the_server_says_it_is(tmp_path: Path) -> None:
    path = tmp_path / "load.yaml"
    ports = [20_000, 20_001, 20_002]
    text = load_site_file(ports, 25, tmp_path, mqtt_port=1883, influxdb_url="http://127.0.0.1:1")
    path.write_text(text, "utf-8")
    plant = load(path, environ={})
    assert [source.equipment for source in plant.sources] == ["load-001", "load-002", "load-003"]
    for source in plant.sources:
        assert [channel.register.address for channel in source.channels] == list(range(0, 50, 2))
        limits = [rule for c in source.channels for rule in c.rules if isinstance(rule, High)]
        assert [rule.limit for rule in limits] == [load_server.limit(k) for k in range(25)]

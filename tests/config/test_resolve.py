"""From what is written to what runs: defaults filled in, conversions composed, equals shared."""

from pathlib import Path

import pytest

from config import shipped
from config.catalogue import CATALOGUE
from config.channels import faults
from config.plant import Channel, ChannelType, Encoding, Grouping, Plant, Register, Table
from config.rules import High, Low, OffNormal, Priority, Stale, Unreadable
from tests.config.site_text import GOOD, REACTOR, loaded, problems, spoilt

SECOND = 10**9
DOOR = "{discrete: 6, names: {0: closed, 1: open}}"
CO2 = "{input: 4, type: float32, order: CDAB, unit: ppm}"

DESIGN = """\
site: les-ulis
gateway: gw-1
influxdb:
  {url: "http://127.0.0.1:8086", org: cell, bucket: equipment, token: {credential: influx-token}}
mqtt: {host: 127.0.0.1, port: 1883}
limits:
  incubator-37c:
    temperature:
      - {name: high, high: 37.5, deadband: 0.1, on_delay: 2m, priority: medium, response: "Look"}
      - {name: high-high, high: 39.0, deadband: 0.2, on_delay: 30s, latching: true}
    co2:
      - {name: low, low: 4.5, deadband: 0.1, on_delay: 5m, priority: medium}
lines:
  - {name: suite-a-bus, modbus: {host: 10.0.4.20, port: 502, framing: rtu-over-tcp}}
  - {name: suite-a-io, modbus: {host: 10.0.4.21}}
equipment:
  - name: incubator-07
    kind: incubator
    area: suite-a
    limits: incubator-37c
    sources:
      - {line: suite-a-bus, unit: 7, profile: vaisala-gmp251, calibration_due: 2027-03-01}
      - {line: suite-a-bus, unit: 17, profile: vaisala-hmp, every: 1s}
      - line: suite-a-io
        unit: 1
        channels: {door: {discrete: 6, names: {0: closed, 1: open}}}
"""


def channel(plant: Plant, name: str) -> Channel:
    return next(each for source in plant.sources for each in source.channels if each.name == name)


def test_the_design_s_example_is_a_plant(tmp_path: Path) -> None:
    plant = loaded(tmp_path, DESIGN)
    assert [source.key for source in plant.sources] == [
        "incubator-07/vaisala-gmp251-7",
        "incubator-07/vaisala-hmp-17",
        "incubator-07/suite-a-io-1",
    ]
    assert plant.by_name["incubator-07"].sources == (0, 1, 2)
    assert [each.name for each in plant.sources[1].channels] == ["humidity", "temperature"]
    assert [type(rule) for rule in channel(plant, "temperature").rules] == [High, High, Unreadable]
    assert str(plant.sources[0].calibration_due) == "2027-03-01"


REGISTERS = {
    "{holding: 1, type: int16, scale: 0.1}": Register(
        Table.HOLDING, 1, Encoding.INT16, scale=1.0, divisor=10.0
    ),
    "{holding: 1, type: int16, unit: degF}": Register(
        Table.HOLDING, 1, Encoding.INT16, scale=5.0, divisor=9.0, offset=-160 / 9
    ),
    "{input: 1, type: float64, order: BADC, unit: K}": Register(
        Table.INPUT, 1, Encoding.FLOAT64, bytes_swapped=True, length=4, offset=-273.15
    ),
    "{input: 1, type: uint32, order: DCBA, scale: 2.5, offset: -40}": Register(
        Table.INPUT,
        1,
        Encoding.UINT32,
        words_swapped=True,
        bytes_swapped=True,
        length=2,
        scale=5.0,
        divisor=2.0,
        offset=-40.0,
    ),
    "{input: 1, type: int16, order: BA, sentinels: [0x8000, -9999]}": Register(
        Table.INPUT,
        1,
        Encoding.INT16,
        bytes_swapped=True,
        sentinels=frozenset({-32768.0, -9999.0}),
    ),
    "{input: 1, type: int16, unit: degF, scale: 0.1, valid: [32, 212]}": Register(
        Table.INPUT,
        1,
        Encoding.INT16,
        scale=1.0,
        divisor=18.0,
        offset=-160 / 9,
        valid_min=0.0,
        valid_max=100.0,
    ),
}


@pytest.mark.parametrize(("written", "register"), REGISTERS.items())
def test_a_temperature_s_register_has_the_conversion_in_it(
    tmp_path: Path, written: str, register: Register
) -> None:
    text = spoilt(f"door: {DOOR}", f"temperature_setpoint: {written}")
    assert channel(loaded(tmp_path, text), "temperature_setpoint").address == register


def test_ppm_become_per_cent_by_a_division(tmp_path: Path) -> None:
    co2 = channel(loaded(tmp_path, GOOD), "co2")
    assert (co2.unit, co2.address.scale, co2.address.divisor) == ("%", 1.0, 10_000.0)
    assert not co2.single_precision
    assert 46_566 * co2.address.scale / co2.address.divisor == 4.6566


def test_nine_digits_are_enough_for_a_bare_float32_only(tmp_path: Path) -> None:
    for written, single in {
        "type: float32": True,
        "type: float64": False,
        "type: int16": False,
    }.items():
        order = "" if "16" in written else ", order: CDAB"
        text = spoilt(CO2, f'{{input: 4, {written}{order}, unit: "%"}}')
        assert channel(loaded(tmp_path, text), "co2").single_precision is single


def test_a_state_says_true_for_the_same_thing_however_it_is_wired(tmp_path: Path) -> None:
    door = channel(loaded(tmp_path, GOOD), "door")
    assert (door.type, door.names, door.register.inverted) == (
        ChannelType.STATE,
        {0: "closed", 1: "open"},
        False,
    )
    wired_the_other_way = spoilt("{0: closed, 1: open}", "{0: open, 1: closed}")
    door = channel(loaded(tmp_path, wired_the_other_way), "door")
    assert (door.names, door.register.inverted) == ({0: "closed", 1: "open"}, True)
    nameless = spoilt(DOOR, "{holding: 7, bit: 3}")
    door = channel(loaded(tmp_path, nameless), "door")
    assert door.names == {0: "closed", 1: "open"}
    assert (door.register.encoding, door.register.bit) == (Encoding.BIT, 3)


def test_unreadable_is_on_by_default_after_three_periods_but_at_least_a_minute(
    tmp_path: Path,
) -> None:
    for every, seconds in {"1s": 60, "20s": 60, "1m": 180}.items():
        plant = loaded(tmp_path, spoilt("every: 1s", f"every: {every}"))
        assert channel(plant, "co2").rules[-1] == Unreadable(on_delay=seconds * SECOND)
        assert plant.sources[0].silent.on_delay == seconds * SECOND
        assert plant.sources[0].silent.name == "silent-own-1"
        assert plant.line_silent["bus-1"].on_delay == 60 * SECOND


def test_the_site_s_defaults_and_the_place_itself_change_what_is_on_by_default(
    tmp_path: Path,
) -> None:
    text = (
        GOOD
        + "defaults: {unreadable: {on_delay: 2s, priority: low}, silent: {priority: critical}}\n"
    )
    text = text.replace("co2: [{", "co2: [{unreadable: {on_delay: 1s}}, {")
    text = text.replace(
        "    temperature:\n      -", "    temperature:\n      - unreadable: off\n      -"
    )
    text = text.replace("192.0.2.1}", "192.0.2.1}, silent: {on_delay: 5s}")
    plant = loaded(tmp_path, text)
    assert channel(plant, "door").rules == (Unreadable(on_delay=3 * SECOND, priority=Priority.LOW),)
    assert channel(plant, "co2").rules[-1] == Unreadable(on_delay=SECOND, priority=Priority.LOW)
    assert [type(rule) for rule in channel(plant, "temperature").rules] == [High, Low]
    assert plant.sources[0].silent.priority is Priority.CRITICAL
    assert plant.line_silent["bus-1"].on_delay == 5 * SECOND


@pytest.mark.parametrize(
    ("written", "off_normal", "normal"),
    [
        ("off_normal: [open]", (True,), ()),
        ("normal: [closed]", (), (False,)),
        ("off_normal: [closed]", (False,), ()),
    ],
)
@pytest.mark.parametrize("names", ["{0: closed, 1: open}", "{0: open, 1: closed}"])
def test_the_states_of_a_rule_are_true_and_false_whichever_way_the_contact_is_wired(
    tmp_path: Path, written: str, off_normal: tuple[bool, ...], normal: tuple[bool, ...], names: str
) -> None:
    text = spoilt("    co2: [{low", f"    door: [{{name: ajar, {written}}}]\n    co2: [{{low")
    rule, _ = channel(loaded(tmp_path, text.replace("{0: closed, 1: open}", names)), "door").rules
    assert rule == OffNormal(name="ajar", off_normal=off_normal, normal=normal)
    assert type(rule) is OffNormal


def test_a_rule_means_the_states_of_its_own_channel(tmp_path: Path) -> None:
    """One limit set, and two kinds that have a channel of one name."""
    text = spoilt(
        "profiles:", "kinds:\n  other: {door: {type: state, names: {0: open, 1: x}}}\nprofiles:"
    )
    text = text.replace("limits: warm", "limits: doors").replace(
        "limits:\n  warm:", "limits:\n  doors: {door: [{off_normal: [open]}]}\n  warm:"
    )
    text += (
        "  - {name: other-1, kind: other, area: lab, limits: doors, "
        "sources: [{line: bus-1, unit: 9, channels: {door: {coil: 1}}}]}\n"
    )
    doors = [
        each.rules[0]
        for source in loaded(tmp_path, text).sources
        for each in source.channels
        if each.name == "door"
    ]
    assert doors == [OffNormal(off_normal=(True,)), OffNormal(off_normal=(False,))]


def test_the_states_of_a_text_are_its_words(tmp_path: Path) -> None:
    text = spoilt('ph: {node: "s=T.pH", unit: pH}', 'phase: {node: "s=T.P"}', REACTOR)
    text = spoilt("profiles:", "limits: {run: {phase: [{normal: [growth]}]}}\nprofiles:", text)
    text = spoilt("kind: bioreactor", "kind: bioreactor\n    limits: run", text)
    assert channel(loaded(tmp_path, text), "phase").rules[0] == OffNormal(normal=("growth",))


def test_a_gateway_has_only_what_its_lines_reach(tmp_path: Path) -> None:
    text = (
        spoilt(
            "{name: bus-1, modbus: {host: 192.0.2.1}}",
            "{name: bus-1, on: [gw-2], modbus: {host: 192.0.2.1}}\n"
            "  - {name: bus-2, on: [gw-1, gw-2], modbus: {host: 192.0.2.2}}",
        )
        + "  - {name: cold, kind: freezer, area: lab, sources: "
        "[{line: bus-2, unit: 1, profile: comet-tx6xx, channels: {humidity: off}}]}\n"
    )
    plant = loaded(tmp_path, text)
    assert list(plant.lines) == list(plant.line_silent) == ["bus-2"]
    assert [each.name for each in plant.equipment] == ["cold"]
    assert [source.index for source in plant.sources] == [0]
    both = loaded(tmp_path, text.replace("gateway: gw-1", "gateway: gw-2"))
    assert [source.key for source in both.sources][-1] == "cold/comet-tx6xx-1"
    assert [source.index for source in both.sources] == [0, 1, 2]


def test_equal_chambers_share_their_channels(tmp_path: Path) -> None:
    one = "{line: bus-1, unit: 1, profile: own}"
    text = GOOD + "".join(
        f"  - {{name: more-{n}, kind: incubator, area: lab, limits: warm, sources: [{one}]}}\n"
        for n in range(2)
    )
    plant = loaded(tmp_path, text)
    assert plant.sources[2].channels is plant.sources[3].channels
    assert plant.sources[2].channels is plant.sources[0].channels


def test_timeout_and_grouping_come_from_the_nearest(tmp_path: Path) -> None:
    text = (
        GOOD.replace(
            "  own:\n", "  own:\n    grouping: {max_gap: 3, exact: [{input: 4, count: 2}]}\n"
        )
        .replace("unit: 2\n", "unit: 2\n        timeout: 3s\n        grouping: {max_gap: 0}\n")
        .replace("192.0.2.1}", "192.0.2.1, timeout: 2s}")
    )
    own, io = loaded(tmp_path, text).sources
    assert (own.timeout, io.timeout) == (2 * SECOND, 3 * SECOND)
    assert own.grouping == Grouping(max_gap=3, exact=((Table.INPUT, 4, 2),))
    assert io.grouping == Grouping(max_gap=0)


@pytest.mark.parametrize("name", sorted(shipped.names()))
def test_every_shipped_profile_fits_a_kind_of_the_catalogue(name: str) -> None:
    profile = shipped.profile(name)
    assert profile.instrument
    assert profile.facts
    fitting = [
        kind
        for kind, entries in CATALOGUE.items()
        if profile.channels.keys() <= entries.keys()
        and not any([*faults(spec, entries[each])] for each, spec in profile.channels.items())
    ]
    assert fitting


def test_sentinels_of_a_float32_are_as_the_wire_has_them(tmp_path: Path) -> None:
    text = spoilt(CO2, "{input: 4, type: float32, unit: ppm, sentinels: [-9999.9]}")
    sentinels = channel(loaded(tmp_path, text), "co2").address.sentinels
    assert sentinels == {-9999.900390625}


STALE = """\
limits:
  tank:
    weight: [{stale: {on_delay: 1h}}]
    ph: [{high: 7.4}]
equipment:"""


def stale(plant: Plant) -> dict[str, int]:
    """The channels that are watched for a source time that stands still, and how long it may."""
    return {
        each.name: rule.on_delay // SECOND
        for source in plant.sources
        for each in source.channels
        for rule in each.rules
        if isinstance(rule, Stale)
    }


def test_stale_is_on_by_default_only_where_a_living_value_is_never_still(tmp_path: Path) -> None:
    assert stale(loaded(tmp_path, REACTOR)) == {"ph": 600, "dissolved_oxygen": 600}
    slow = spoilt("every: 1s", "every: 5m", REACTOR)
    assert stale(loaded(tmp_path, slow)) == {"ph": 900, "dissolved_oxygen": 900}
    site = REACTOR + "defaults: {stale: {on_delay: 20m}}\n"
    assert stale(loaded(tmp_path, site)) == {"ph": 1200, "dissolved_oxygen": 1200}
    assert stale(loaded(tmp_path, GOOD)) == {}


def test_a_limit_set_turns_stale_on_and_off(tmp_path: Path) -> None:
    asked = spoilt("equipment:", STALE, REACTOR).replace("area: lab", "area: lab\n    limits: tank")
    assert stale(loaded(tmp_path, asked)) == {"ph": 600, "dissolved_oxygen": 600, "weight": 3600}
    off = asked.replace("{high: 7.4}", "{high: 7.4}, {stale: off}")
    assert stale(loaded(tmp_path, off)) == {"dissolved_oxygen": 600, "weight": 3600}


def test_a_site_says_which_of_its_own_channels_are_noisy(tmp_path: Path) -> None:
    text = spoilt("weight: {node", "foam: {node", REACTOR).replace('s=W", unit: g', 's=W"')
    kinds = "kinds: {bioreactor: {foam: {unit: mm, noisy: true}}}\n"
    assert "foam" in stale(loaded(tmp_path, text + kinds))
    assert "foam" not in stale(loaded(tmp_path, text + kinds.replace(", noisy: true", "")))


def test_a_limit_set_for_both_wires_may_ask_for_stale(tmp_path: Path) -> None:
    text = spoilt("equipment:", STALE, REACTOR).replace("area: lab", "area: lab\n    limits: tank")
    text = text.replace('{node: "nsu=urn:vendor:balance;s=W", unit: g}', "{input: 0, type: int16}")
    text = text.replace("line: reactor-1\n", "line: bus-1\n        unit: 9\n")
    assert problems(tmp_path, text) == [
        (
            "18:22: limits.tank.weight.0.stale: "
            "could never be raised: what is read over Modbus has no time of its own"
        )
    ]
    node = '{node: "nsu=urn:vendor:balance;s=W"}'
    both = (
        f"{text}  - {{name: bioreactor-2, kind: bioreactor, area: lab, limits: tank, sources: "
        f"[{{line: reactor-1, profile: tank, channels: {{weight: {node}}}}}]}}\n"
    )
    assert problems(tmp_path, both) == []

import json
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.catalogue import RESERVED_CHANNELS
from config.plant import ChannelType
from config.rules import EquipmentState
from drivers.reading import Fault, Origin, Quality, Reason, Scan, Value
from monitor.alarms.facts import Change, State
from monitor.messages import AlarmEventMessage
from monitor.store import Event, Template, line_protocol
from tests.monitor.store.influx_parser import parse
from tests.monitor.store.support import NOON, channel, plant_of, scan_of

MS = NOON // 10**6
HEAD = (
    "incubator,area=suite-a,equipment=incubator-0,gateway=gw-1,origin=live,site=les-ulis,"
    "source=probe "
)
TAIL = f'config="01234567",state="in_use",scan=7i {MS}'
CO2_AND_DOOR = plant_of(channel("co2", single=True), channel("door", ChannelType.STATE))
ALL_TYPES = plant_of(
    channel("co2", single=True),
    channel("temperature"),
    channel("openings", ChannelType.COUNTER),
    channel("door", ChannelType.STATE),
    channel("mode", ChannelType.TEXT),
)


def encode(scan: Scan) -> str:
    template = Template(CO2_AND_DOOR, CO2_AND_DOOR.sources[0])
    return template.encode(scan, 7, MS).decode()


def test_no_channel_can_have_the_name_of_a_tag_or_field_of_our_own() -> None:
    point = parse(encode(scan_of(5.0, True)._replace(spoke=frozenset({0}), missed=3)).encode())
    for field in ("co2", "co2_quality"):
        del point.fields[field]
    assert {*point.tags, *point.fields} <= RESERVED_CHANNELS


def single(value: float) -> float:
    return float(struct.unpack("f", struct.pack("f", value))[0])


@pytest.mark.parametrize(
    ("scan", "fields"),
    [
        pytest.param(
            scan_of(5.0, True),
            "co2=5,co2_quality=0i,door=true,door_quality=0i,bad=0i,quality=0i,readings=2i,",
            id="good",
        ),
        pytest.param(
            scan_of(None, False)._replace(faults={0: Fault(Quality.BAD, Reason.REFUSED)}),
            'co2_quality=2i,co2_reason="refused",door=false,door_quality=0i,'
            "bad=1i,quality=2i,readings=2i,",
            id="a bad one has no value",
        ),
        pytest.param(
            scan_of(5.5, True)._replace(faults={0: Fault(Quality.UNCERTAIN, Reason.DEVICE_STATUS)}),
            'co2=5.5,co2_quality=1i,co2_reason="device_status",door=true,door_quality=0i,'
            "bad=0i,quality=1i,readings=2i,",
            id="an uncertain one keeps it",
        ),
        pytest.param(
            scan_of(None, None)._replace(
                faults=dict.fromkeys((0, 1), Fault(Quality.BAD, Reason.LINE_DOWN))
            ),
            'co2_quality=2i,co2_reason="line_down",door_quality=2i,door_reason="line_down",'
            "bad=2i,quality=2i,readings=2i,",
            id="a scan without any value is still a line",
        ),
        pytest.param(
            scan_of(5.0, None)._replace(spoke=frozenset({0})),
            "co2=5,co2_quality=0i,bad=0i,quality=0i,readings=1i,",
            id="only the channels that spoke",
        ),
        pytest.param(
            scan_of(5.0, True)._replace(spoke=frozenset()),
            "bad=0i,readings=0i,",
            id="a scan in which none spoke",
        ),
        pytest.param(
            scan_of(5.0, True)._replace(source_times={0: NOON + 1_999_999}),
            f"co2=5,co2_quality=0i,co2_source={MS + 1}i,door=true,door_quality=0i,"
            "bad=0i,quality=0i,readings=2i,",
            id="source time",
        ),
        pytest.param(
            scan_of(5.0, True)._replace(missed=3),
            "co2=5,co2_quality=0i,door=true,door_quality=0i,"
            "bad=0i,quality=0i,readings=2i,missed=3i,",
            id="missed",
        ),
        pytest.param(
            scan_of(math.nan, True),
            'co2_quality=2i,co2_reason="not_a_number",door=true,door_quality=0i,'
            "bad=1i,quality=2i,readings=2i,",
            id="no NaN, whatever a driver says",
        ),
        pytest.param(
            scan_of(-math.inf, True),
            'co2_quality=2i,co2_reason="not_a_number",door=true,door_quality=0i,'
            "bad=1i,quality=2i,readings=2i,",
            id="nor infinity",
        ),
    ],
)
def test_a_scan_is_one_line(scan: Scan, fields: str) -> None:
    assert encode(scan) == HEAD + fields + TAIL


BAD = Fault(Quality.BAD, Reason.REFUSED)


@pytest.mark.parametrize("state", EquipmentState)
@pytest.mark.parametrize(
    "scan",
    [
        pytest.param(scan_of(5.0, True), id="good"),
        pytest.param(scan_of(None, False)._replace(faults={0: BAD}), id="bad"),
        pytest.param(scan_of(math.nan, True), id="not writable"),
    ],
)
def test_the_state_of_the_equipment_is_a_field_of_every_point(
    scan: Scan, state: EquipmentState
) -> None:
    template = Template(CO2_AND_DOOR, CO2_AND_DOOR.sources[0])
    before = template.encode(scan, 7, MS)
    template.be(state)
    line = template.encode(scan, 7, MS)
    assert line == before.replace(b'state="in_use"', f'state="{state.value}"'.encode())
    assert parse(line).fields["state"] == state.value
    assert "state" not in parse(line).tags


@pytest.mark.parametrize("origin", Origin)
def test_the_origin_is_a_tag(origin: Origin) -> None:
    for scan in (scan_of(5.0, True), scan_of(5.0, True)._replace(missed=1)):
        assert f",origin={origin}," in encode(scan._replace(origin=origin))


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1])
def test_a_counter_beyond_64_bits_is_bad(value: int) -> None:
    plant = plant_of(channel("openings", ChannelType.COUNTER))
    line = Template(plant, plant.sources[0]).encode(scan_of(value), 7, MS)
    assert b'openings_quality=2i,openings_reason="out_of_range",' in line
    assert b"openings=" not in line


VALUES: st.SearchStrategy[tuple[Value, ...]] = st.tuples(
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.text(st.characters(exclude_categories=["Cs"])),
)


@given(VALUES, st.booleans())
def test_another_parser_reads_what_was_said(values: tuple[Value, ...], missed: bool) -> None:
    template = Template(ALL_TYPES, ALL_TYPES.sources[0])
    line = template.encode(scan_of(*values)._replace(missed=int(missed)), 7, MS)
    parsed = parse(line)
    assert (parsed.measurement, parsed.time) == ("incubator", MS)
    text = str(values[4]).replace("\n", "\\n").replace("\r", "\\r")
    names = ("co2", "temperature", "openings", "door", "mode")
    told = tuple(parsed.fields[name] for name in names)
    assert told[1:] == (*values[1:4], text)
    assert [type(value) for value in told] == [float, float, int, bool, str]
    assert single(float(told[0])) == values[0]  # Nine digits tell a float32 from all others.


CHANNELS = st.integers(0, 4)
FAULTS = st.sampled_from(
    [Fault(quality, reason) for quality in (Quality.UNCERTAIN, Quality.BAD) for reason in Reason]
)


@given(
    VALUES,
    st.none() | st.frozensets(CHANNELS),
    st.dictionaries(CHANNELS, FAULTS),
    st.dictionaries(CHANNELS, st.integers(0, 2**62)),
    st.integers(0, 3),
)
def test_the_template_and_the_slow_way_write_the_same(
    values: tuple[Value, ...],
    spoke: frozenset[int] | None,
    faults: dict[int, Fault],
    times: dict[int, int],
    missed: int,
) -> None:
    template = Template(ALL_TYPES, ALL_TYPES.sources[0])
    bad = {index for index, fault in faults.items() if fault.quality is Quality.BAD}
    silent = set() if spoke is None else set(range(5)) - spoke
    said = [None if index in bad | silent else value for index, value in enumerate(values)]
    scan = scan_of(*said)._replace(spoke=spoke, faults=faults, source_times=times, missed=missed)
    assert template.encode(scan, 7, MS) == template._slowly(scan, 7, MS)


@given(st.text())
def test_nothing_leaves_a_word_or_a_quoted_text(text: str) -> None:
    word, quoted = line_protocol.word(text), line_protocol.quoted(text)
    parsed = parse(b"%b,%b=%b %b=%b 1" % (word, word, word, word, quoted))
    assert len(parsed.tags) == len(parsed.fields) == 1
    assert b"\n" not in word + quoted
    safe = text.encode("utf-8", "replace").decode()
    if safe and safe.isprintable() and "\\" not in safe:
        assert parsed == (safe, {safe: safe}, {safe: safe}, 1)


def alarm_message(**changes: object) -> str:
    message = AlarmEventMessage(
        site="les-ulis",
        gateway="gw-1",
        area="suite-a",
        equipment="incubator-07",
        kind="incubator",
        channel="temperature",
        rule="high",
        alarm="incubator-07/temperature/high",
        event_id="abcdefgh-12",
        seq=12,
        store_id="abcdefgh",
        version=3,
        occurrence="abcdefgh/incubator-07/temperature/high/1",
        state=State.UNACKNOWLEDGED,
        active_state=True,
        acked_state=False,
        latched_state=False,
        shelving_state="Unshelved",
        suppressed_state=False,
        suppressed_or_shelved=False,
        retain=True,
        annunciated=True,
        suppressed_by="",
        superseded_by="",
        shelved_until=None,
        priority="high",
        severity=800,
        value=37.8,
        unit="Cel",
        limit=37.5,
        peak=37.9,
        peak_time="2026-01-31T12:00:00.000Z",
        condition_start="2026-01-31T11:58:00.000Z",
        alarm_time="2026-01-31T12:00:00.000Z",
        time="2026-01-31T12:00:00.000Z",
        response="Check the door",
        config="01234567",
        change=Change.RAISED,
        before=State.NORMAL,
        after=State.UNACKNOWLEDGED,
        scan=99,
        actor="",
        claimed="",
        via="",
        comment='he said "no, no"\n= x',
    )
    return json.dumps(json.loads(message.model_dump_json(by_alias=True)) | changes)


def alarm(**changes: object) -> Event:
    name = "incubator-07/temperature/high"
    return Event(20, 12, "alarm", NOON, 5, name, alarm_message(**changes), MS + 1)


def test_a_transition_is_a_point() -> None:
    parsed = parse(line_protocol.alarm_event(alarm()))
    assert parsed.measurement == "alarm_event"
    assert parsed.time == MS + 1
    assert parsed.tags == {
        "alarm": "incubator-07/temperature/high",
        "area": "suite-a",
        "equipment": "incubator-07",
        "gateway": "gw-1",
        "site": "les-ulis",
    }
    told = {
        "event_id": "abcdefgh-12",
        "seq": 12,
        "occurrence": "abcdefgh/incubator-07/temperature/high/1",
        "from": "normal",
        "to": "unacknowledged",
        "change": "raised",
        "value": 37.8,
        "limit": 37.5,
        "priority": "high",
        "severity": 800,
        "annunciated": True,
        "comment": 'he said "no, no"\\n= x',
    }
    assert told.items() <= parsed.fields.items()
    assert "shelved_until" not in parsed.fields


def test_how_an_alarm_stands_is_told_by_the_names_of_part_9() -> None:
    said = {
        "confirmed_state": False,
        "out_of_service_state": True,
        "out_of_service_until": "2026-02-01T12:00:00.000Z",
        "shelving_state": "OneShotShelved",
        "suppressed_state": True,
        "re_alarms": 2,
        "escalations": 1,
        "priority": "critical",
        "configured_priority": "medium",
    }
    assert said.items() <= parse(line_protocol.alarm_event(alarm(**said))).fields.items()


def test_a_transition_of_an_older_release_is_a_point_without_what_it_did_not_say() -> None:
    event = alarm()
    body = json.loads(event.body)
    for name in ("confirmed_state", "out_of_service_state", "re_alarms", "escalations", "test"):
        del body[name]
    fields = parse(line_protocol.alarm_event(event._replace(body=json.dumps(body)))).fields
    assert fields["to"] == "unacknowledged"
    assert "confirmed_state" not in fields


def test_batches_and_state_are_fields_of_a_transition_and_never_tags() -> None:
    ids = ['B-1, "x"=y', "B-2"]
    used = {"batches": ids, "equipment_state": "in_use", "phase": "expansion"}
    parsed = parse(line_protocol.alarm_event(alarm(**used)))
    assert json.loads(str(parsed.fields["batches"])) == ids
    assert parsed.fields["equipment_state"] == "in_use"
    assert parsed.fields["phase"] == "expansion"
    assert set(parsed.tags) == {"alarm", "area", "equipment", "gateway", "site"}
    assert "batches" not in parse(line_protocol.alarm_event(alarm())).fields


def test_more_batches_than_fit_are_cut() -> None:
    ids = [f"{number:064}" for number in range(1000)]
    parsed = parse(line_protocol.alarm_event(alarm(batches=ids)))
    assert len(str(parsed.fields["batches"])) == 60_000


@pytest.mark.parametrize(
    ("value", "fields"),
    [
        (37, {"value": 37.0}),
        (True, {"value_text": "True"}),
        ("open", {"value_text": "open"}),
        ("x" * 70_000, {"value_text": "x" * 60_000}),
        (None, {}),
    ],
)
def test_the_value_of_a_transition_is_a_float_or_a_text(
    value: Value | None, fields: dict[str, object]
) -> None:
    parsed = parse(line_protocol.alarm_event(alarm(value=value)))
    told = {name: got for name, got in parsed.fields.items() if name.startswith("value")}
    assert told == fields
    assert not isinstance(told.get("value"), int)


def test_an_alarm_of_the_gateway_itself_has_all_tags_too() -> None:
    parsed = parse(line_protocol.alarm_event(alarm(area="")))
    assert parsed.tags["area"] == "_"


def test_any_other_event_is_a_point_with_its_body() -> None:
    start = Event(3, None, "start", NOON, 5, "gw-1", '{"cause":"a \\"b\\""}', MS)
    parsed = parse(line_protocol.event(start, "les-ulis", "gw-1"))
    assert parsed == (
        "event",
        {"gateway": "gw-1", "kind": "start", "site": "les-ulis"},
        {"number": 3, "subject": "gw-1", "body": '{"cause":"a \\"b\\""}'},
        MS,
    )


def test_a_body_that_is_too_long_for_a_field_says_that_it_was_cut() -> None:
    long = Event(3, None, "config", NOON, 5, "", "é" * 70_000, MS)
    parsed = parse(line_protocol.event(long, "les-ulis", "gw-1"))
    assert parsed.fields["truncated"] is True
    assert parsed.fields["body"] == "é" * 30_000

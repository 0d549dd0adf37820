from hypothesis import given
from hypothesis import strategies as st

from config.plant import ChannelType, Plant
from config.rules import EquipmentState
from drivers.reading import Fault, Origin, Quality, Reason, Scan, Value
from monitor.store import Template
from monitor.store.points import Point, newest_times, read_line
from tests.monitor.store.support import NOON, channel, line_of, plant_of

VALUES: dict[ChannelType, st.SearchStrategy[Value]] = {
    ChannelType.ANALOG: st.floats(allow_nan=False, allow_infinity=False),
    ChannelType.COUNTER: st.integers(-(2**63), 2**63 - 1),
    ChannelType.STATE: st.booleans(),
    ChannelType.TEXT: st.text(st.characters(exclude_categories=["Cs"])),
}
TIMES = st.integers(0, 2**41).map(lambda ms: ms * 10**6)


@st.composite
def scans(draw: st.DrawFn) -> tuple[Plant, Scan]:
    """A scan as drivers make them, of any quality, whole or in part."""
    types = draw(st.lists(st.sampled_from(list(ChannelType)), max_size=6))
    channels = [channel(f"c{index}", type_) for index, type_ in enumerate(types)]
    indexes = range(len(types))
    reasons = st.sampled_from(list(Reason))
    qualities = st.sampled_from([Quality.UNCERTAIN, Quality.BAD])
    some = st.sampled_from(indexes) if types else st.nothing()
    faults = draw(st.dictionaries(some, st.builds(Fault, qualities, reasons)))
    spoke = draw(st.none() | st.frozensets(some))
    values = tuple(
        None
        if (spoke is not None and index not in spoke)
        or (index in faults and faults[index].quality is Quality.BAD)
        else draw(VALUES[type_])
        for index, type_ in enumerate(types)
    )
    scan = Scan(
        source=0,
        at=NOON,
        boot=0,
        values=values,
        faults=faults,
        source_times=draw(st.dictionaries(some, TIMES)),
        missed=draw(st.integers(0, 3)),
        origin=draw(st.sampled_from(list(Origin))),
        spoke=spoke,
    )
    return plant_of(*channels), scan


@given(scans(), st.integers(1, 2**50), TIMES, st.sampled_from(EquipmentState))
def test_what_a_template_writes_is_read_back_exactly(
    made: tuple[Plant, Scan], number: int, at: int, state: EquipmentState
) -> None:
    plant, scan = made
    source = plant.sources[0]
    template = Template(plant, source)
    template.be(state)
    line = template.encode(scan, number, at // 10**6)
    assert list(read_line(line)) == [
        Point(
            at,
            "les-ulis",
            "suite-a",
            "incubator-0",
            "incubator",
            "probe",
            "gw-1",
            source.channels[index].name,
            *reading,
            number,
            scan.origin,
            state.value,
        )
        for index, reading in scan.readings()
    ]


def test_what_an_earlier_release_wrote_has_no_state() -> None:
    plant = plant_of(channel("co2"))
    line = Template(plant, plant.sources[0]).encode(Scan(0, NOON, 0, (5.0,)), 1, NOON // 10**6)
    [point] = read_line(line.replace(b'state="in_use",', b""))
    assert (point.value, point.state) == (5.0, "")


def test_the_newest_time_of_each_equipment() -> None:
    lines = [line_of("a", 1, NOON), line_of("b", 2, NOON - 10**9), line_of("a", 3, NOON - 10**9)]
    assert newest_times(b"\n".join(lines) + b"\n") == {"a": NOON, "b": NOON - 10**9}


def test_a_rehearsal_is_no_sighting() -> None:
    plant = plant_of(channel("co2"))
    template = Template(plant, plant.sources[0])
    live = template.encode(Scan(0, NOON, 0, (5.0,)), 1, NOON // 10**6)
    later = Scan(0, NOON + 10**9, 0, (7.0,), origin=Origin.TEST)
    made_up = template.encode(later, 2, NOON // 10**6 + 1000)
    assert newest_times(b"\n".join([live, made_up]) + b"\n") == {"incubator-0": NOON}


def test_a_text_that_looks_like_a_line_is_no_sighting() -> None:
    plant = plant_of(channel("mode", ChannelType.TEXT))
    scan = Scan(0, NOON, 0, ("x 1\nincubator,equipment=evil,site=s scan=1i 99999",))
    line = Template(plant, plant.sources[0]).encode(scan, 1, NOON // 10**6)
    assert newest_times(line + b"\n") == {"incubator-0": NOON}

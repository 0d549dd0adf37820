"""What is saved of an equipment's use is what is loaded, and after a reboot means the same."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.rules import EquipmentState
from drivers.reading import Moment
from monitor.alarms.snapshot import SnapshotError
from monitor.alarms.usage import UNUSED, Loaded, Override, ToldBy, Usage, Word
from monitor.alarms.usage_snapshot import dump, load
from tests.monitor.alarms.small_plant import SECOND, minute

MOMENTS = st.builds(Moment, st.integers(0, 2**62), st.integers(-(2**62), 2**62))
SAID = st.booleans() | st.text() | st.integers() | st.floats(allow_nan=False)
USAGES = st.builds(
    Usage,
    state=st.sampled_from(EquipmentState),
    since=st.none() | MOMENTS,
    cause=st.sampled_from(ToldBy),
    told=st.text(),
    phase=st.text(),
    override=st.none()
    | st.builds(
        Override,
        st.sampled_from(EquipmentState),
        st.text(),
        st.text(),
        MOMENTS,
        st.none() | st.integers(),
    ),
    exhausted=st.booleans(),
    phase_since=st.none() | MOMENTS,
    phase_exhausted=st.booleans(),
    words=st.lists(
        st.builds(Word, st.text(), st.none() | SAID, st.none() | MOMENTS), max_size=3
    ).map(tuple),
    loaded=st.lists(st.builds(Loaded, st.text(), st.text(), st.integers()), max_size=3).map(tuple),
    bridged=st.booleans(),
)


@given(USAGES)
def test_within_one_boot_what_was_saved_is_what_is_loaded(usage: Usage) -> None:
    loaded = load(dump(usage, "boot-1", minute(0)), "boot-1", minute(99))
    assert loaded == usage
    assert [type(word.said) for word in loaded.words] == [type(word.said) for word in usage.words]


def test_an_unused_equipment_is_nearly_nothing() -> None:
    assert set(json.loads(dump(UNUSED, "boot-1", minute(0)))) == {"v", "boot_id", "saved"}


@given(USAGES, st.integers(0, 10**15), st.integers(0, 10**12))
def test_after_a_reboot_every_duration_has_gone_on_by_the_wall(
    usage: Usage, away: int, up: int
) -> None:
    saved, now = minute(0), Moment(minute(0).at + away, up)
    loaded = load(dump(usage, "boot-1", saved), "boot-2", now)
    for before, after in [
        (usage.since, loaded.since),
        (usage.phase_since, loaded.phase_since),
        *zip(
            (word.lost for word in usage.words), (word.lost for word in loaded.words), strict=True
        ),
    ]:
        if before is None or after is None:
            assert before is after
        else:
            assert after.at == before.at
            assert now.boot - after.boot == saved.boot - before.boot + away
    if usage.override and usage.override.until is not None:
        assert loaded.override is not None
        assert loaded.override.until is not None
        assert loaded.override.until - now.boot == usage.override.until - saved.boot - away
    assert loaded.bridged == (usage.bridged or usage.since is not None)
    assert loaded.loaded == usage.loaded


def test_a_wall_clock_that_went_back_over_the_reboot_takes_nothing_away() -> None:
    usage = Usage(EquipmentState.CLEANING, minute(0))
    earlier = Moment(minute(-60).at, 10 * SECOND)
    loaded = load(dump(usage, "boot-1", minute(5)), "boot-2", earlier)
    assert loaded.since is not None
    assert earlier.boot - loaded.since.boot == 300 * SECOND


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"v":2}', '{"v":1}'),
        '{"v":1,"boot_id":"a","saved":[0,0],"state":"asleep"}',
        '{"v":1,"boot_id":"a","saved":[0,0],"words":[["mode"]]}',
    ],
)
def test_what_cannot_be_read_says_so(text: str) -> None:
    with pytest.raises(SnapshotError):
        load(text, "boot-1", minute(0))

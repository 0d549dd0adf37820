"""Each owner gets its own facts back, whatever equipment is called."""

from pathlib import Path

import pytest

from config.rules import EquipmentState
from monitor import kept
from monitor.alarms.facts import NORMAL, Alarm
from monitor.alarms.usage import UNUSED, Loaded, Usage
from monitor.store import Store, StoreError, Tick
from tests.monitor.alarms.small_plant import moment

NOW = moment(0)
HIGH, LOADED = Alarm(version=3, occurrence=1), Usage(loaded=(Loaded("B-1", "a", 5),))


async def taken_up(folder: Path, facts: dict[str, str]) -> kept.Kept:
    """Commit facts, and load them in another run."""
    async with Store.open(folder / "cytowatch.db", quota=2**30) as store:
        await store.commit(Tick(facts=facts))
    async with Store.open(folder / "cytowatch.db", quota=2**30) as store:
        return kept.load(store, "boot-1", NOW)


@pytest.mark.parametrize("equipment", ["incubator-7", "usage", "excursion"])
async def test_what_is_saved_is_loaded_by_whom_it_belongs_to(
    tmp_path: Path, equipment: str
) -> None:
    alarms, usages = {f"{equipment}/co2/high": HIGH}, {equipment: LOADED}
    facts = kept.save(alarms, usages, {}, "boot-1", NOW)
    assert await taken_up(tmp_path, facts) == (alarms, usages, {})


async def test_what_is_as_it_always_was_is_forgotten(tmp_path: Path) -> None:
    alarms, usages = {"a/b/c": HIGH}, {"a": LOADED}
    await taken_up(tmp_path, kept.save(alarms, usages, {}, "boot-1", NOW))
    facts = kept.save({"a/b/c": NORMAL}, {"a": UNUSED}, {"a/b/c": None}, "boot-1", NOW)
    assert set(facts.values()) == {""}
    assert await taken_up(tmp_path, facts) == ({}, {}, {})


async def test_a_store_without_any_of_it_loads(tmp_path: Path) -> None:
    """As one that was written before there were such facts."""
    assert await taken_up(tmp_path, {}) == ({}, {}, {})


@pytest.mark.parametrize("name", ["a/b/c", "usage/a", "excursion/a/b/c"])
async def test_what_a_later_release_kept_is_not_read_as_if_it_were_known(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(StoreError, match="start the release that wrote it, or move the file away"):
        await taken_up(tmp_path, {name: '{"v": 99, "version": 99}'})


async def test_durations_are_bridged_over_a_reboot(tmp_path: Path) -> None:
    used = {"a": Usage(EquipmentState.CLEANING, since=NOW)}
    facts = kept.save({}, used, {}, "boot-0", NOW)
    loaded = (await taken_up(tmp_path, facts)).usages["a"]
    assert loaded.bridged

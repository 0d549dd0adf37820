import json

import pytest

from drivers.reading import Moment
from monitor.alarms.snapshot import SnapshotError
from monitor.excursions.case import Case, dump, load
from tests.monitor.alarms.small_plant import SECOND, moment
from tests.monitor.excursions.stage import HIGH, Stage, opens, series, site


def case() -> Case:
    stage = Stage(site(rejoin=60))(*series(0, 5.0, 7.0), opens(1.5), *series(2, 7.0, 5.0))
    return stage.ledger.cases[HIGH]


def test_what_is_saved_is_what_is_loaded() -> None:
    saved = dump(case(), "boot-1", moment(4))
    assert load(saved, "boot-1", moment(400)) == case()


def test_over_a_reboot_elapsed_parts_are_kept_and_record_time_bridges_the_rest() -> None:
    saved = dump(case(), "boot-1", moment(4))
    loaded = load(saved, "boot-2", Moment(moment(64).at, 30 * SECOND))
    assert loaded.bridged
    assert loaded.track.first == Moment(moment(1).at, 30 * SECOND - 63 * SECOND)
    assert loaded.track.door_open == case().track.door_open
    assert loaded.track.back is not None
    assert loaded.track.back.end.boot - loaded.track.start.boot == 2 * SECOND


@pytest.mark.parametrize("text", ["", "[]", "{", '["a"]', '[1,"boot-1",[0,0],{}]'])
def test_what_cannot_be_read_is_said(text: str) -> None:
    with pytest.raises(SnapshotError, match="cannot be read"):
        load(text, "boot-1", moment(0))


def test_what_a_later_release_saved_is_said() -> None:
    version, *rest = json.loads(dump(case(), "boot-1", moment(4)))
    assert version == 1
    with pytest.raises(SnapshotError, match="later release"):
        load(json.dumps([2, *rest]), "boot-1", moment(4))

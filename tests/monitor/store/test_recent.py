from pathlib import Path

import pytest

from drivers.reading import Scan
from monitor.store import recent
from monitor.store.reader import Reader
from tests.monitor.alarms.small_plant import BAD, SECOND
from tests.monitor.hand import FILE, HandTime, recording, scan, small_plant


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> HandTime:
    return HandTime(monkeypatch)


async def test_the_newest_scan_of_each_source_is_told(tmp_path: Path, hand: HandTime) -> None:
    async with recording(tmp_path) as recorder:
        recorder.accept(scan(hand.now, 5.0))
        recorder.accept(scan(hand.now, 4.5, of=1))
        hand.pass_(1)
        recorder.accept(Scan(1, *hand.now, (None,), {0: BAD}))
        await recorder.commit()
        hand.pass_(1)
        recorder.accept(scan(hand.now, 5.5))
        await recorder.commit()
    now = hand.now
    with Reader(tmp_path / FILE) as reader:
        found = recent.scans(small_plant(), reader.newest(now.at - 10 * SECOND, now.at + 1), now)
        assert list(reader.newest(now.at - 10 * SECOND, now.at - 3 * SECOND)) == []
    assert found == {
        0: Scan(0, *now, (5.5,)),
        1: Scan(1, now.at - SECOND, now.boot - SECOND, (None,), {0: BAD}),
    }

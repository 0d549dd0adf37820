from typing import NamedTuple

import pytest

from config.site import InfluxDb, Mqtt
from drivers.grid import Grid
from drivers.reading import Moment
from monitor import signs as module
from monitor.certificates import Certificates
from monitor.signs import Growing, signs
from monitor.sinks.base import Gateway
from monitor.sinks.influx import InfluxSink
from monitor.sinks.mqtt import MqttSink
from monitor.store import Event

SECOND = 10**9
URL = "http://127.0.0.1:1"


class Time:
    """A clock of one's own."""

    boot = 0

    def __call__(self) -> Moment:
        return Moment(self.boot, self.boot)


class Record(NamedTuple):
    """No more of the record than a sink looks at before it is held."""

    store: None = None


def test_what_comes_now_and_then_goes_on_and_what_stays_away_a_minute_is_over() -> None:
    clock, seen, held = Time(), [7], []
    growing = Growing(lambda: seen[-1], clock)
    for second in range(200):
        clock.boot = second * SECOND
        if second in {10, 65}:
            seen.append(seen[-1] + 3)
        held.append(growing())
    assert [second for second in range(200) if held[second]] == list(range(10, 65 + 61))


@pytest.mark.parametrize(("said", "holds"), [(True, False), (None, False), (False, True)])
def test_only_a_clock_that_is_known_to_run_by_itself_is_a_trouble(
    monkeypatch: pytest.MonkeyPatch, said: bool | None, holds: bool
) -> None:
    monkeypatch.setattr(module, "synchronised", lambda: said)
    clock = Time()
    told = signs(clock, Grid(clock), [], Certificates([]))
    assert told["clock-unsynchronised"]() is holds
    assert not told["points-skipped"]()


def test_points_for_which_we_come_too_late_are_a_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, skipped = Time(), [3]
    monkeypatch.setattr(Grid, "skipped", property(lambda _: skipped[-1]))
    sign = signs(clock, Grid(clock), [], Certificates([]))["points-skipped"]
    assert not sign(), "what was before is over"
    skipped.append(4)
    assert sign()


def test_what_waits_too_long_for_any_database_is_a_trouble(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Time()
    clock.boot = 7 * SECOND
    asked: list[tuple[str, int]] = []

    def ageing(sink: InfluxSink, now: int) -> bool:
        asked.append((sink.name, now))
        return sink.name == "archive"

    monkeypatch.setattr(InfluxSink, "ageing", ageing)
    near, archive = (
        InfluxSink(InfluxDb(url=URL, name=name), Gateway("les-ulis", "gw-1"), Record())  # type: ignore[arg-type]
        for name in ("near", "archive")
    )
    assert not signs(clock, Grid(clock), [near], Certificates([]))["points-ageing"]()
    assert signs(clock, Grid(clock), [near, archive], Certificates([]))["points-ageing"]()
    assert asked == [("near", clock.boot), ("near", clock.boot), ("archive", clock.boot)]
    assert "points-ageing" not in signs(clock, Grid(clock), [], Certificates([]))


def broker(unheard: bool | None) -> MqttSink:
    sink = MqttSink(Mqtt(host="127.0.0.1"), Gateway("les-ulis", "gw-1"), Record())  # type: ignore[arg-type]
    sink._unheard = Event(1, 1, "alarm", 0, 0, "", "{}") if unheard else None
    sink._asked = unheard is not None
    return sink


def test_that_nobody_hears_the_alarms_is_asked_of_the_broker() -> None:
    clock = Time()
    for unheard in (True, False, None):
        told = signs(clock, Grid(clock), [broker(unheard)], Certificates([]))
        assert told["alarms-unheard"]() is unheard
    assert "alarms-unheard" not in signs(clock, Grid(clock), [], Certificates([]))


def test_whether_requests_reach_us_is_asked_only_where_they_are_wanted_and_may_be_unknown() -> None:
    clock, there = Time(), broker(unheard=False)
    assert "requests-unheard" not in signs(clock, Grid(clock), [there], Certificates([]))
    settings = Mqtt(host="127.0.0.1", commands=True)

    async def on_command(*_: object) -> None:
        """Take no request."""

    wanting = MqttSink(settings, Gateway("les-ulis", "gw-1"), Record(), on_command)  # type: ignore[arg-type]
    sign = signs(clock, Grid(clock), [wanting], Certificates([]))["requests-unheard"]
    assert sign() is None
    wanting.hearing.fail("refused")
    assert sign() is True


def test_what_is_too_large_for_the_broker_is_a_trouble_for_a_minute_after_the_last() -> None:
    clock, there = Time(), broker(unheard=False)
    sign = signs(clock, Grid(clock), [there], Certificates([]))["messages-too-large"]
    assert not sign()
    there.tally.too_large += 1
    assert sign()
    clock.boot += 61 * SECOND
    assert not sign()

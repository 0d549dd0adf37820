"""OPC UA, whole: the daemon's own process between servers of two makes that go wrong in every way.

What each trouble has to do to the record stands in ``Reactor.suffers``: the right readings go bad
within two keep-alives for the right reason, one alarm tells it, nothing else is touched, and values
flow again by themselves when it is over.
"""

import asyncio
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from drivers.reading import Quality, Reason, Value
from tests.support.opcua_servers import MAKES, OTHER, VENDOR, Change, Identity, Manner, identity
from tests.support.servers import InfluxDB, SecureMosquitto
from tests.whole.reactors import PH, TRIES, WEIGHT, Behind, Key, Reactor, Scene, scene
from tests.whole.wire import Way

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]

FROZEN = 30
"""Seconds."""
PASSWORD = "correct-horse"


async def test_nothing_else_suffers_whatever_happens_to_a_server(
    tmp_path: Path, secure_mosquitto: SecureMosquitto, influxdb16: InfluxDB
) -> None:
    behind: dict[str, Behind] = {make: Behind(make, running=False) for make in MAKES}
    async with scene(tmp_path, secure_mosquitto, influxdb16, behind) as all_of_it:
        async with asyncio.TaskGroup() as lives:
            for reactor in all_of_it.reactors.values():
                lives.create_task(one_trouble_after_another(reactor))
        await it_is_all_on_the_record(all_of_it)


async def one_trouble_after_another(reactor: Reactor) -> None:
    await absent_at_the_start(reactor)
    await killed_and_restarted_otherwise(reactor)
    await a_node_goes_and_returns(reactor)
    await a_sensor_is_doubtful_and_then_fails(reactor)
    await subscriptions_are_deleted(reactor)
    await subscriptions_fall_silent(reactor)
    for way in (Way.BOTH, Way.TO_SERVER, Way.TO_CLIENT):
        await a_wire_swallows(reactor, way)
    await the_missing_node_was_told_of(reactor)


async def absent_at_the_start(reactor: Reactor) -> None:
    await reactor.until(lambda: bool(reactor.points()), "scan at all")
    await reactor.until_told([(reactor.line_alarm, "raised")])
    assert {point.reason for point in reactor.points()} == {Reason.LINE_DOWN}
    await asyncio.to_thread(reactor.server.start)
    await reactor.flows()
    await reactor.until_told([(reactor.line_alarm, "raised"), (reactor.line_alarm, "returned")])
    a_session_is_open_and_few_ever_were(reactor)


async def killed_and_restarted_otherwise(reactor: Reactor) -> None:
    def restart() -> None:
        server = reactor.server
        server.manner = replace(server.manner, namespaces=(OTHER, VENDOR))
        server.nodes[PH.id] = replace(server.nodes[PH.id], value=6.5)
        server.start()

    await reactor.suffers(reactor.server.kill, restart)
    a_session_is_open_and_few_ever_were(reactor)


async def a_node_goes_and_returns(reactor: Reactor) -> None:
    def go() -> None:
        reactor.gone.add(WEIGHT)
        reactor.server.remove(WEIGHT.id)

    def come() -> None:
        reactor.server.restore(WEIGHT.id)
        reactor.gone.clear()

    equipment = f"{reactor.name}-feed"
    await reactor.suffers(
        go,
        come,
        victims={(equipment, "weight")},
        reasons={Reason.REFUSED, Reason.NOT_PROVEN},
        alarms=[f"{equipment}/weight/unreadable"],
    )


async def a_sensor_is_doubtful_and_then_fails(reactor: Reactor) -> None:
    key = (f"{reactor.name}-vessel", "ph")
    set_ = reactor.server.set
    set_(Change(PH.id, 6.25, "UncertainSensorNotAccurate"))
    doubtful = (6.25, Quality.UNCERTAIN, Reason.DEVICE_STATUS)
    await reactor.until(lambda: judged(reactor, key) == doubtful, "doubtful reading")
    await reactor.suffers(
        lambda: set_(Change(PH.id, 6.3, "BadSensorFailure")),
        lambda: set_(Change(PH.id, 6.3, "UncertainLastUsableValue")),
        victims={key},
        reasons={Reason.DEVICE_STATUS, Reason.LAST_USABLE},
        alarms=[f"{key[0]}/ph/unreadable"],
    )


def judged(reactor: Reactor, key: Key) -> tuple[Value | None, Quality, Reason | None] | None:
    point = reactor.latest().get(key)
    return None if point is None else (point.value, point.quality, point.reason)


async def subscriptions_are_deleted(reactor: Reactor) -> None:
    await reactor.gets_over(reactor.server.drop_subscriptions)
    few_sessions_are_open(reactor, 1 + 1)


async def subscriptions_fall_silent(reactor: Reactor) -> None:
    """What is read is answered, so only the missing publishing tells."""
    await reactor.gets_over(reactor.server.mute_subscriptions)
    few_sessions_are_open(reactor, 1 + 1)


async def a_wire_swallows(reactor: Reactor, way: Way) -> None:
    await reactor.suffers(partial(reactor.wire.cut, way), reactor.wire.mend)
    # What was cut stays open at the server until it times out.
    few_sessions_are_open(reactor, 1 + TRIES)


def few_sessions_are_open(reactor: Reactor, most: int) -> None:
    """So many, and what was left by each time that the server was too late besides."""
    assert 1 <= reactor.server.counts().sessions <= most + TRIES * len(reactor.slow(0))


def a_session_is_open_and_few_ever_were(reactor: Reactor) -> None:
    few_sessions_are_open(reactor, 1)
    counts = reactor.server.counts()
    assert counts.sessions_ever <= 2 + TRIES * len(reactor.slow(0))
    assert counts.subscriptions >= 1


async def the_missing_node_was_told_of(reactor: Reactor) -> None:
    equipment, channel = reactor.ghost
    refused = (None, Quality.BAD, Reason.REFUSED)
    await reactor.until(lambda: judged(reactor, reactor.ghost) == refused, "refused reading")
    ghosts = [p for p in reactor.points() if (p.equipment, p.channel) == reactor.ghost]
    assert {point.quality for point in ghosts} == {Quality.BAD}
    changes = reactor.scene.ears.changes(f"{equipment}/{channel}/unreadable")
    assert changes[0] == "raised"
    assert "returned" not in changes


async def test_servers_that_freeze_and_servers_that_are_not_the_right_ones(
    tmp_path: Path, secure_mosquitto: SecureMosquitto, influxdb16: InfluxDB
) -> None:
    right, other = identity(tmp_path / "right"), identity(tmp_path / "other")
    password = tmp_path / "server-password"
    password.write_text(PASSWORD)
    password.chmod(0o600)
    secured = (
        ", security: Basic256Sha256/SignAndEncrypt, user: cytowatch,"
        f' password: {{file: {password}}}, server_fingerprint: "{right.fingerprint}"'
    )
    manner = Manner(users={"cytowatch": PASSWORD}, identity=right)
    # Half of what a reactor has, so that the rest is asked for apart.
    few = Manner(items_per_call=3)
    frozen = {f"frozen-{make}": Behind(make, few) for make in MAKES}
    closed = {f"closed-{make}": Behind(make, manner, secured) for make in MAKES}
    behind = frozen | closed
    async with scene(tmp_path, secure_mosquitto, influxdb16, behind) as all_of_it:
        reactors = all_of_it.reactors
        async with asyncio.TaskGroup() as lives:
            for name in frozen:
                lives.create_task(freezes(reactors[name]))
            for name in closed:
                lives.create_task(of_one_that_is_secured(reactors[name], other))
        await it_is_all_on_the_record(all_of_it)
        assert PASSWORD not in all_of_it.daemon.words()


async def of_one_that_is_secured(reactor: Reactor, other: Identity) -> None:
    await is_not_the_right_one(reactor, other)
    await does_not_subscribe(reactor)


async def freezes(reactor: Reactor) -> None:
    await reactor.flows()
    before, began = reactor.wire.made, time.monotonic()
    await reactor.suffers(reactor.server.freeze, reactor.server.thaw, lasting=FROZEN)
    tries, lasted = reactor.wire.made - before, time.monotonic() - began
    # The old session until it times out, and the tries that were answered too late.
    assert reactor.server.counts().sessions_ever <= 1 + TRIES * len(reactor.slow(0))
    assert tries <= max(FROZEN, lasted) / 2, "tries become rarer"


async def is_not_the_right_one(reactor: Reactor, other: Identity) -> None:
    await reactor.flows()
    right = reactor.server.manner
    wrongs = {
        _as_it_is_told(other.fingerprint): replace(right, identity=other),
        "the server refuses the user cytowatch": replace(right, users={"cytowatch": "another"}),
    }
    for words, wrong in wrongs.items():
        come = partial(comes_back, reactor)
        await reactor.suffers(partial(come, wrong), partial(come, right), words=words)


async def does_not_subscribe(reactor: Reactor) -> None:
    """A server that refuses to subscribe is read instead, no more nodes at once than it takes."""
    await asyncio.to_thread(
        comes_back, reactor, replace(reactor.server.manner, subscriptions=False, reads=2)
    )
    await reactor.flows()
    few_sessions_are_open(reactor, 1)
    assert reactor.server.counts().subscriptions == 0


def comes_back(reactor: Reactor, manner: Manner) -> None:
    reactor.server.kill()
    reactor.server.manner = manner
    reactor.server.start()


async def it_is_all_on_the_record(scene: Scene) -> None:
    await scene.the_database_has_it_all()
    stalled = await scene.stalled()
    assert await scene.daemon.stop() == 0
    scene.the_incubator_is_well(stalled)
    for reactor in scene.reactors.values():
        reactor.everything_was_served()
        reactor.the_grid_was_kept(stalled)
    assert "Traceback" not in scene.daemon.words()


def _as_it_is_told(fingerprint: str) -> str:
    """As people compare it: pairs of digits with colons between them."""
    return ":".join(fingerprint[n : n + 2] for n in range(0, len(fingerprint), 2)).upper()

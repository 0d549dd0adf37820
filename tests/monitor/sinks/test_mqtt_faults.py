"""The MQTT sink at brokers that misbehave: what they do not say counts as not delivered."""

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from config.site import Mqtt
from monitor.alarms.facts import State
from monitor.sinks.base import Gateway
from monitor.sinks.mqtt import MqttSink
from tests.monitor.sinks.scene import HIGH, Scene, holding, loss, opened
from tests.monitor.sinks.scripted_broker import ScriptedBroker, Told
from tests.support.waiting import eventually

SITE = "cytowatch/v1/les-ulis"
STATUS = f"{SITE}/gateway/gw-1/status"
DIGEST = f"{SITE}/gateway/gw-1/digest"
EVENT = f"{SITE}/equipment/{HIGH}/event"
STATE = f"{SITE}/equipment/{HIGH}/state"
MS = 10**6
UNHEARD = 16
CLEAN_START = 2


@pytest_asyncio.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with opened(tmp_path) as scene:
        yield scene


def sink_to(port: int, scene: Scene, **settings: object) -> MqttSink:
    made = Mqtt.model_validate({"host": "127.0.0.1", "port": port} | settings)
    return MqttSink(made, Gateway("les-ulis", "gw-1"), scene)


def delivered(scene: Scene) -> bool:
    return scene.store.cursor("mqtt", "events") == scene.store.last.event


def said(broker: ScriptedBroker, topic: str) -> list[Told]:
    return [one for one in broker.told if one.topic == topic]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("dumb", [STATUS, EVENT, STATE])
async def test_what_is_never_acknowledged_is_a_loss_and_moves_no_cursor(
    scene: Scene, protocol: str, dumb: str
) -> None:
    await scene.happen((HIGH, State.UNACKNOWLEDGED))
    async with ScriptedBroker(lambda topic: None if topic == dumb else 0) as broker:
        sink = sink_to(broker.port, scene, protocol=protocol, timeout=200 * MS)
        text = await loss(sink)
        while not said(broker, dumb):  # A machine that is held up does not come that far.
            text = await loss(sink)
    assert "within 0.2 s" in text
    assert "does not accept" in text
    assert scene.store.cursor("mqtt", "events") == 0


@pytest.mark.parametrize(
    ("waits", "session", "delay", "starts_anew"),
    [("30s", b"\x11\0\0\0\x1e", b"\x18\0\0\0\x1e", False), ("0s", b"", b"", True)],
)
async def test_a_session_is_kept_for_as_long_as_the_will_waits_and_else_not(
    scene: Scene, waits: str, session: bytes, delay: bytes, *, starts_anew: bool
) -> None:
    """A broker tells the will when the session ends, however long it was asked to wait."""
    async with ScriptedBroker() as broker:
        async with holding(sink_to(broker.port, scene, will_delay=waits)):
            await eventually(lambda: bool(broker.asked))
        [asked] = broker.asked
    # The name of the protocol, its version, flags and keep-alive; then the properties.
    assert bool(asked[7] & CLEAN_START) is starts_anew
    properties, payload = asked[11 : 11 + asked[10]], asked[11 + asked[10] :]
    length = int.from_bytes(payload[:2], "big")
    will = payload[3 + length : 3 + length + payload[2 + length]]
    assert (session in properties, delay in will) == (True, True)
    assert (b"\x11" in properties, b"\x18" in will) == (not starts_anew, not starts_anew)


async def test_what_was_not_acknowledged_is_told_again_the_same(scene: Scene) -> None:
    (event,) = await scene.happen((HIGH, State.UNACKNOWLEDGED))
    async with ScriptedBroker(lambda topic: None if topic == EVENT else 0) as broker:
        sink = sink_to(broker.port, scene, timeout=200 * MS)
        while not said(broker, EVENT):
            await loss(sink)
        before = broker.connections
        broker.verdict = lambda _: 0
        async with holding(sink_to(broker.port, scene)):
            await eventually(lambda: delivered(scene))
    assert broker.connections == before + 1
    assert {one.payload for one in said(broker, EVENT)} == {event.body.encode()}
    assert len(said(broker, EVENT)) > 1


REFUSALS = {
    128: "Unspecified error",
    131: "Implementation specific error",
    135: "Not authorized",
    144: "Topic name invalid",
    145: "Packet identifier in use",
    151: "Quota exceeded",
    153: "Payload format invalid",
}


@pytest.mark.parametrize(("code", "words"), REFUSALS.items(), ids=REFUSALS.values())
@pytest.mark.parametrize("refused", [EVENT, STATE])
async def test_each_refusal_is_seen_said_and_moves_no_cursor(
    scene: Scene, refused: str, code: int, words: str
) -> None:
    await scene.happen((HIGH, State.UNACKNOWLEDGED))
    async with ScriptedBroker(lambda topic: code if topic == refused else 0) as broker:
        text = await loss(sink_to(broker.port, scene))
    assert f"refuses {refused}: {words}" in text
    assert scene.store.cursor("mqtt", "events") == 0


FAREWELLS = {
    142: "another client has the same name",
    137: "Server busy",
    139: "Server shutting down",
    151: "Quota exceeded",
    156: "Use another server",
}


@pytest.mark.parametrize(("code", "words"), FAREWELLS.items(), ids=FAREWELLS.values())
async def test_a_broker_that_throws_us_out_says_why(scene: Scene, code: int, words: str) -> None:
    await scene.happen((HIGH, State.UNACKNOWLEDGED))
    async with ScriptedBroker(farewell=code) as broker:
        assert words in await loss(sink_to(broker.port, scene))
    assert scene.store.cursor("mqtt", "events") == 0


@pytest.mark.parametrize(("offers", "under_way"), [(b"", 2), (b"\x21\x00\x01", 1)])
async def test_no_more_is_under_way_than_the_broker_bears(
    scene: Scene, offers: bytes, under_way: int
) -> None:
    """Receive Maximum (0x21) is how many may wait for their answer."""
    other = "incubator-1/co2/high"
    await scene.happen((HIGH, State.UNACKNOWLEDGED), (other, State.UNACKNOWLEDGED))
    waiting = {EVENT, EVENT.replace(HIGH, other)}
    async with ScriptedBroker(lambda t: None if t in waiting else 0, offers=offers) as broker:
        sink = sink_to(broker.port, scene, timeout=200 * MS)
        while not said(broker, EVENT):
            await loss(sink)
        assert len({one.topic for one in broker.told} & waiting) == under_way
        broker.verdict = lambda _: 0
        async with holding(sink_to(broker.port, scene)):
            await eventually(lambda: delivered(scene))


async def test_who_asks_and_who_tells_share_what_may_be_under_way(scene: Scene) -> None:
    """The probe waits for the answer to the heartbeat, or this for that to the probe."""
    async with ScriptedBroker(lambda _: None, offers=b"\x21\x00\x01") as broker:
        for connections in range(1, 4):
            await loss(sink_to(broker.port, scene, timeout=100 * MS, receipts={"from": ["scada"]}))
            assert len(broker.told) <= connections
        assert broker.told


@pytest.mark.parametrize("says", ["in its greeting", "by its reason"])
async def test_a_broker_without_qos_1_is_none_and_everything_is_kept(
    scene: Scene, says: str
) -> None:
    await scene.happen((HIGH, State.UNACKNOWLEDGED))
    async with ScriptedBroker(offers=b"\x24\x00") as broker:
        if says == "by its reason":
            broker.offers, broker.admits = b"", lambda flags: 155 if flags & 0x18 else 0
        text = await loss(sink_to(broker.port, scene))
        assert "offers QoS 0 alone, at which a message may be lost" in text
        assert not broker.told
    assert scene.store.cursor("mqtt", "events") == 0


@pytest.mark.parametrize("strict", [True, False])
async def test_where_nothing_is_retained_alarms_are_told_all_the_same(
    scene: Scene, caplog: pytest.LogCaptureFixture, strict: bool
) -> None:
    """A strict broker lets nobody in whose will is to be retained."""
    caplog.set_level(logging.INFO, "monitor.sinks.mqtt")
    await scene.happen((HIGH, State.UNACKNOWLEDGED))
    async with ScriptedBroker(offers=b"\x25\x00") as broker:
        if strict:
            broker.admits = lambda flags: 154 if flags & 0x20 else 0
        sink = sink_to(broker.port, scene)
        async with holding(sink):
            await eventually(lambda: delivered(scene) and said(broker, STATE) != [])
            assert [words for words in sink.warnings if "no retained messages" in words]
        assert not any(one.retain for one in broker.told)
        assert broker.connections == (2 if strict else 1)
        broker.offers, broker.admits = b"", lambda _: 0
        async with holding(sink):
            await eventually(lambda: said(broker, STATE)[-1].retain)
        assert sink.warnings == []
    assert [record.message.partition(": ")[2][:35] for record in caplog.records] == [
        "the broker keeps no retained messag",
        "the broker keeps retained messages ",
    ]


async def test_what_is_too_large_for_the_broker_holds_up_nothing(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    other = "incubator-0/co2/higher"
    (small, _, _) = await scene.happen(*[(name, State.NORMAL) for name in (HIGH, other, HIGH)])
    most = len(small.body) + len(EVENT) + 20
    async with ScriptedBroker(offers=b"\x27" + most.to_bytes(4, "big")) as broker:
        sink = sink_to(broker.port, scene)
        async with holding(sink):
            await eventually(lambda: delivered(scene))
            assert sink.warnings == ["larger than the broker takes, and not told: 1 messages"]
    assert [json.loads(one.payload)["seq"] for one in said(broker, EVENT)] == [1, 3]
    assert said(broker, EVENT.replace(HIGH, other)) == []
    assert (sink.tally.too_large, sink.tally.delivered) == (1, 2)
    (record,) = caplog.records
    assert f"larger than the broker takes, and not told: {SITE}/equipment/{other}/event" in (
        record.message
    )


async def test_who_has_an_alarm_is_the_broker_or_a_consumer_where_receipts_are_asked_for(
    scene: Scene,
) -> None:
    async with ScriptedBroker() as broker:
        plain = sink_to(broker.port, scene)
        asking = sink_to(broker.port, scene, receipts={"from": ["scada", "pager"]})
        (event,) = await scene.happen((HIGH, State.UNACKNOWLEDGED))
        assert not plain.reached(event)
        async with holding(plain):
            await eventually(lambda: plain.reached(event))
        assert not asking.reached(event)
        scene.store.confirm("pager", "receipts", 1)
        assert asking.reached(event), "one of them is enough"


@pytest.mark.parametrize("how", ["nobody listens", "too large"])
async def test_what_the_broker_took_for_nobody_or_not_at_all_has_reached_nobody(
    scene: Scene, how: str
) -> None:
    (event,) = await scene.happen((HIGH, State.UNACKNOWLEDGED))
    async with ScriptedBroker() as broker:
        if how == "too large":
            broker.offers = b"\x27" + (1000).to_bytes(4, "big")
        else:
            broker.verdict = lambda topic: UNHEARD if topic == EVENT else 0
        sink = sink_to(broker.port, scene)
        async with holding(sink):
            await eventually(lambda: delivered(scene))
        assert not sink.reached(event)
        anew, before = sink_to(broker.port, scene), len(said(broker, DIGEST))
        async with holding(anew):
            await eventually(lambda: len(said(broker, DIGEST)) > before)
            assert not anew.reached(event), "nor is that forgotten over a restart"


async def test_the_broker_says_how_often_it_wants_to_hear_of_us(scene: Scene) -> None:
    """Server Keep Alive (0x13) is in seconds; ours is ten."""
    async with (
        ScriptedBroker(offers=b"\x13\x00\x01") as broker,
        holding(sink_to(broker.port, scene)),
    ):
        await eventually(lambda: broker.pings > 0)


async def test_under_311_what_is_granted_but_never_heard_is_not_delivered(scene: Scene) -> None:
    """The broker grants the subscription to our own events, and its rules then swallow them."""
    await scene.happen((HIGH, State.UNACKNOWLEDGED))
    async with ScriptedBroker() as broker:
        sink = sink_to(broker.port, scene, protocol="3.1.1", timeout=200 * MS)
        text = await loss(sink)
        while not said(broker, EVENT):
            text = await loss(sink)
    assert "does not let us hear" in text
    assert scene.store.cursor("mqtt", "events") == 0


async def test_what_nobody_heard_is_told_again_until_somebody_does(scene: Scene) -> None:
    """A consumer that was restarted need not wait for the next alarm to be seen listening."""
    async with ScriptedBroker(lambda topic: UNHEARD if topic == EVENT else 0) as broker:
        sink = sink_to(broker.port, scene, digest=10 * MS)
        async with holding(sink):
            await scene.happen((HIGH, State.UNACKNOWLEDGED), (HIGH, State.ACKNOWLEDGED))
            await eventually(lambda: len(said(broker, EVENT)) > 4)
            assert sink.unheard
            assert delivered(scene), "the broker has it: nothing waits for a listener"
            broker.verdict = lambda _: 0
            await eventually(lambda: not sink.unheard)
            beats, told = len(said(broker, STATUS)), len(said(broker, EVENT))
            await eventually(lambda: len(said(broker, STATUS)) > beats + 3)
    assert len(said(broker, EVENT)) == told, "and then no more"
    seqs = [json.loads(one.payload)["seq"] for one in said(broker, EVENT)]
    assert seqs == [1, *[2] * (told - 1)], "the newest alone"


async def test_that_nobody_hears_is_remembered_over_a_lost_connection(scene: Scene) -> None:
    async with ScriptedBroker(lambda topic: UNHEARD if topic == EVENT else 0) as broker:
        sink = sink_to(broker.port, scene)
        async with holding(sink):
            await scene.happen((HIGH, State.UNACKNOWLEDGED))
            await eventually(lambda: delivered(scene) and sink.unheard is True)
        broker.verdict = lambda _: 0
        async with holding(sink):
            await eventually(lambda: not sink.unheard)


async def test_who_begins_anew_asks_whether_anybody_heard_what_was_told_before(
    scene: Scene,
) -> None:
    """Else a restart makes an alarm that reached nobody one that everybody has."""
    async with ScriptedBroker(lambda topic: UNHEARD if topic == EVENT else 0) as broker:
        async with holding(sink_to(broker.port, scene)):
            event, *_ = await scene.happen((HIGH, State.UNACKNOWLEDGED))
            await eventually(lambda: delivered(scene))
        sink = sink_to(broker.port, scene, digest=10 * MS)
        assert (sink.unheard, sink.reached(event)) == (None, False), "nobody can know it yet"
        async with holding(sink):
            await eventually(lambda: sink.unheard is True)
            assert not sink.reached(event)
            broker.verdict = lambda _: 0
            await eventually(lambda: sink.unheard is False)
            assert sink.reached(event)


async def test_states_and_heartbeats_that_nobody_hears_are_nobodys_alarm(scene: Scene) -> None:
    async with ScriptedBroker(lambda topic: 0 if topic == EVENT else UNHEARD) as broker:
        sink = sink_to(broker.port, scene, digest=10 * MS)
        async with holding(sink):
            await scene.happen((HIGH, State.UNACKNOWLEDGED))
            await eventually(lambda: delivered(scene) and len(said(broker, STATUS)) > 3)
        assert not sink.unheard

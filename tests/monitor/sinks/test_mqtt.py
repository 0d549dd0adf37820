"""The MQTT sink against a real broker: nothing lost, nothing out of order, nothing unsaid."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import aiomqtt
import pytest
import pytest_asyncio

from config.site import Mqtt, Secret, Tls
from monitor.alarms.facts import State
from monitor.messages import OnCommand, Resend
from monitor.sinks.base import Gateway
from monitor.sinks.mqtt import MqttSink
from tests.monitor.sinks.scene import HIGH, Scene, hearing, holding, loss, opened
from tests.support.servers import Mosquitto, MutualMosquitto, SecureMosquitto, free_port
from tests.support.waiting import eventually

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

SITE = "cytowatch/v1/les-ulis"
STATUS = f"{SITE}/gateway/gw-1/status"
DIGEST = f"{SITE}/gateway/gw-1/digest"
HIGH_TOPIC = f"{SITE}/equipment/{HIGH}"
EVENTS = f"{SITE}/equipment/+/+/+/event"
STATES = f"{SITE}/equipment/+/+/+/state"
MS = 10**6


@pytest_asyncio.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with opened(tmp_path) as scene:
        yield scene


def sink_to(port: int, scene: Scene, **settings: object) -> MqttSink:
    made = Mqtt.model_validate({"host": "127.0.0.1", "port": port} | settings)
    return MqttSink(made, Gateway("les-ulis", "gw-1"), scene)


def commanded(port: int, scene: Scene, on_command: OnCommand) -> MqttSink:
    settings = Mqtt(host="127.0.0.1", port=port, commands=True)
    return MqttSink(settings, Gateway("les-ulis", "gw-1"), scene, on_command)


def on(heard: Sequence[aiomqtt.Message], topic: str) -> list[dict[str, object]]:
    """What was said on a topic."""
    return [json.loads(one.payload) for one in heard if str(one.topic) == topic and one.payload]


def ids(heard: Sequence[aiomqtt.Message]) -> list[str]:
    """Event ids as a consumer that drops repeated ones sees them."""
    return list(dict.fromkeys(json.loads(one.payload)["event_id"] for one in heard))


def more(heard: Sequence[aiomqtt.Message], than: int) -> bool:
    return len(heard) > than


def delivered(scene: Scene) -> bool:
    return scene.store.cursor("mqtt", "events") == scene.store.last.event


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_an_event_reaches_a_consumer_and_its_state_is_retained(
    mosquitto: Mosquitto, scene: Scene, protocol: str
) -> None:
    sink = sink_to(mosquitto.port, scene, protocol=protocol)
    async with hearing(mosquitto.port, EVENTS) as heard, holding(sink):
        await scene.note("start")
        (event,) = await scene.happen((HIGH, State.UNACKNOWLEDGED))
        await eventually(lambda: delivered(scene) and bool(heard))
        assert [str(one.topic) for one in heard] == [f"{HIGH_TOPIC}/event"]
        assert heard[0].payload == event.body.encode()
        async with hearing(mosquitto.port, STATES) as late:
            await eventually(lambda: bool(late))
            assert late[0].retain
            state = on(late, f"{HIGH_TOPIC}/state")[0]
    assert (state["state"], state["event_id"]) == (
        "unacknowledged",
        json.loads(event.body)["event_id"],
    )
    assert sink.tally.delivered == 1


async def test_we_are_online_with_a_heartbeat_and_when_gone_the_broker_says_so(
    mosquitto: Mosquitto, scene: Scene
) -> None:
    async with hearing(mosquitto.port, STATUS) as heard:
        async with holding(sink_to(mosquitto.port, scene, digest=10 * MS)):
            await eventually(lambda: len(heard) > 3)
        await eventually(lambda: not on(heard, STATUS)[-1]["online"])
    said = on(heard, STATUS)
    assert [one["sequence"] for one in said] == [*range(1, len(said)), 0]
    async with hearing(mosquitto.port, STATUS) as late:
        await eventually(lambda: bool(late))
    assert (late[0].retain, on(late, STATUS)[0]["online"]) == (True, False)


async def test_a_short_loss_of_the_connection_is_nobodys_news_where_the_will_waits(
    mosquitto: Mosquitto, scene: Scene
) -> None:
    settings = {"digest": 10 * MS, "will_delay": 3600 * 1000 * MS}
    async with hearing(mosquitto.port, STATUS) as heard:
        for _ in range(3):
            before = len(heard)
            async with holding(sink_to(mosquitto.port, scene, **settings)):
                await eventually(partial(more, heard, before + 2))
    assert all(one["online"] for one in on(heard, STATUS))


async def test_who_does_not_come_back_in_time_is_told_of(
    mosquitto: Mosquitto, scene: Scene
) -> None:
    async with hearing(mosquitto.port, STATUS) as heard:
        async with holding(sink_to(mosquitto.port, scene, will_delay=1000 * MS)):
            await eventually(lambda: bool(heard))
        await eventually(lambda: not on(heard, STATUS)[-1]["online"])


async def test_the_digest_tells_what_was_told(mosquitto: Mosquitto, scene: Scene) -> None:
    await scene.happen((HIGH, State.UNACKNOWLEDGED), ("incubator-1/_/silent", State.ACKNOWLEDGED))
    async with (
        hearing(mosquitto.port, DIGEST, EVENTS) as heard,
        holding(sink_to(mosquitto.port, scene)),
    ):
        await eventually(lambda: bool(on(heard, DIGEST)))
    assert len(heard) == 3, "the digest comes after the events that it speaks of"
    digest = on(heard, DIGEST)[0]
    last, store_id = scene.store.last, scene.store.store_id
    assert (digest["last_seq"], digest["last_event"], digest["head"]) == (2, last.event, last.head)
    assert digest["store_id"] == store_id
    assert digest["active"] == [
        [HIGH, "unacknowledged", 1, f"{store_id}-1"],
        ["incubator-1/_/silent", "acknowledged", 2, f"{store_id}-2"],
    ]


async def test_a_broker_killed_midway_costs_no_event_and_no_order(
    mosquitto: Mosquitto, scene: Scene
) -> None:
    states = [State.UNACKNOWLEDGED, State.ACKNOWLEDGED, State.NORMAL]
    names = [f"incubator-{index}/co2/high" for index in range(7)]
    for start in range(0, 500, 50):
        await scene.happen(*((names[n % 7], states[n // 7 % 3]) for n in range(start, start + 50)))
    sink = sink_to(mosquitto.port, scene)
    heard: list[aiomqtt.Message] = []
    for _ in range(4):
        enough = len(heard) + 60
        consumer = hearing(mosquitto.port, EVENTS, before=heard, to_the_end=True)
        async with consumer as heard, holding(sink) as task:
            while len(heard) < enough:  # noqa: ASYNC110 - it is to be killed right then
                await asyncio.sleep(0)
            mosquitto.kill()
            await asyncio.wait({task}, timeout=60)
            assert "broker at 127.0.0.1" in str(task.exception())
        mosquitto.start()
    async with hearing(mosquitto.port, EVENTS, before=heard) as heard, holding(sink):
        await eventually(lambda: delivered(scene) and len(ids(heard)) == 500)
    assert ids(heard) == [f"{scene.store.store_id}-{seq}" for seq in range(1, 501)]
    by_id = {json.loads(one.payload)["event_id"]: one.payload for one in heard}
    assert all(by_id[json.loads(one.payload)["event_id"]] == one.payload for one in heard)


async def test_a_broker_that_lost_its_memory_is_told_again_how_things_stand(
    mosquitto: Mosquitto, scene: Scene
) -> None:
    sink = sink_to(mosquitto.port, scene)
    await scene.happen(
        (HIGH, State.UNACKNOWLEDGED),
        ("incubator-1/co2/high", State.UNACKNOWLEDGED),
        ("incubator-1/co2/high", State.NORMAL),
        ("incubator-2/co2/high", State.UNACKNOWLEDGED),
        ("incubator-2/co2/high", State.ENDED),
    )
    async with holding(sink):
        await eventually(lambda: delivered(scene))
    mosquitto.kill()
    mosquitto.start()
    # An old file of the broker's could still hold these two as active.
    async with aiomqtt.Client("127.0.0.1", mosquitto.port) as stale:
        for gone in ("incubator-1", "incubator-2"):
            topic = f"{SITE}/equipment/{gone}/co2/high/state"
            await stale.publish(topic, b'{"state":"unacknowledged"}', qos=1, retain=True)
    async with hearing(mosquitto.port, DIGEST) as heard, holding(sink):
        await eventually(lambda: bool(heard))
    async with hearing(mosquitto.port, STATES, f"{SITE}/done") as late:
        async with aiomqtt.Client("127.0.0.1", mosquitto.port) as other:
            await other.publish(f"{SITE}/done", b"{}", qos=1)
        await eventually(lambda: bool(on(late, f"{SITE}/done")))
    states = {str(one.topic): json.loads(one.payload).get("state") for one in late}
    assert states == {
        f"{HIGH_TOPIC}/state": "unacknowledged",
        f"{SITE}/equipment/incubator-1/co2/high/state": "normal",
        f"{SITE}/done": None,
    }


def secure(broker: SecureMosquitto, folder: Path, **settings: object) -> dict[str, object]:
    word = folder / "password"
    user = str(settings.get("user", "gateway"))
    word.write_text(broker.passwords[user])
    return {
        "user": user,
        "password": Secret(file=word),
        "tls": Tls(ca_file=broker.ca_file),
        **settings,
    }


async def test_over_tls_with_password_events_arrive(
    secure_mosquitto: SecureMosquitto, scene: Scene, tmp_path: Path
) -> None:
    await scene.happen((HIGH, State.UNACKNOWLEDGED))
    async with holding(sink_to(secure_mosquitto.port, scene, **secure(secure_mosquitto, tmp_path))):
        await eventually(lambda: delivered(scene))


def as_user(broker: MutualMosquitto, user: str) -> Tls:
    own, key = broker.certificate(user)
    return Tls(ca_file=broker.ca_file, cert_file=own, key_file=key)


async def test_who_we_are_can_be_a_certificate_of_the_plants_own_authority(
    scene: Scene, tmp_path: Path
) -> None:
    await scene.happen((HIGH, State.UNACKNOWLEDGED))
    with MutualMosquitto(tmp_path / "mutual") as broker:
        nobody = Tls(ca_file=broker.ca_file)
        for tls, doubt in (
            (nobody, "cert_file is not given?"),
            (as_user(broker, "stranger"), "trust"),
        ):
            assert doubt in await loss(sink_to(broker.port, scene, tls=tls))
        text = await loss(sink_to(broker.port, scene, tls=as_user(broker, "reader")))
        assert "Not authorized" in text, "another one's certificate is another one's right"
        assert scene.store.cursor("mqtt", "events") == 0
        async with holding(sink_to(broker.port, scene, tls=as_user(broker, "gateway"))):
            await eventually(lambda: delivered(scene))


class ForgetfulMosquitto(Mosquitto):
    """A broker as Debian installs it: persistent, but saved only every half an hour."""

    def settings(self) -> str:
        return super().settings() + f"persistence true\npersistence_location {self.folder}/\n"


async def test_what_a_killed_broker_forgot_though_it_had_accepted_it_is_there_again(
    scene: Scene, tmp_path: Path
) -> None:
    """A PUBACK is not durability: retained states are lost by a kill, and asserted anew."""
    with ForgetfulMosquitto(tmp_path / "forgetful") as broker:
        await scene.happen((HIGH, State.UNACKNOWLEDGED))
        async with holding(sink_to(broker.port, scene)):
            await eventually(lambda: delivered(scene))
        broker.kill()
        broker.start()
        async with hearing(broker.port, STATES, f"{SITE}/done") as forgotten:
            async with aiomqtt.Client("127.0.0.1", broker.port) as other:
                await other.publish(f"{SITE}/done", b"{}", qos=1)
            await eventually(lambda: bool(forgotten))
        assert [str(one.topic) for one in forgotten] == [f"{SITE}/done"], (
            "it was accepted, and lost"
        )
        async with hearing(broker.port, STATES) as heard, holding(sink_to(broker.port, scene)):
            await eventually(lambda: bool(on(heard, f"{HIGH_TOPIC}/state")))
        assert on(heard, f"{HIGH_TOPIC}/state")[0]["state"] == "unacknowledged"


async def test_a_refused_publish_is_a_loss_and_moves_no_cursor(
    secure_mosquitto: SecureMosquitto, scene: Scene, tmp_path: Path
) -> None:
    await scene.happen((HIGH, State.UNACKNOWLEDGED))
    as_reader = secure(secure_mosquitto, tmp_path, user="reader")
    text = await loss(sink_to(secure_mosquitto.port, scene, **as_reader))
    assert "refuses" in text
    assert "Not authorized" in text
    assert STATUS in text
    assert scene.store.cursor("mqtt", "events") == 0


async def test_under_311_a_refused_publish_shows_by_its_missing_echo(
    secure_mosquitto: SecureMosquitto, scene: Scene, tmp_path: Path
) -> None:
    await scene.happen((HIGH, State.UNACKNOWLEDGED))
    as_reader = secure(
        secure_mosquitto, tmp_path, user="reader", protocol="3.1.1", timeout=5000 * MS
    )
    text = await loss(sink_to(secure_mosquitto.port, scene, **as_reader))
    assert "does not let us hear" in text
    assert scene.store.cursor("mqtt", "events") == 0


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"password": None}, "Not authorized"),
        ({"tls": None}, "mqtt.tls not given?"),
        ({"tls": Tls()}, "certificate verify failed"),
        ({"tls": Tls(ca_file=Path("/nowhere/ca.pem"))}, "/nowhere/ca.pem"),
        ({"password": Secret(env="NO_SUCH_VARIABLE")}, "NO_SUCH_VARIABLE"),
    ],
)
async def test_what_keeps_us_out_is_said(
    secure_mosquitto: SecureMosquitto,
    scene: Scene,
    tmp_path: Path,
    changed: dict[str, object],
    words: str,
) -> None:
    settings = secure(secure_mosquitto, tmp_path) | changed
    assert words in await loss(sink_to(secure_mosquitto.port, scene, **settings))


async def test_no_secret_is_ever_logged_or_shown(
    secure_mosquitto: SecureMosquitto,
    scene: Scene,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    settings = secure(secure_mosquitto, tmp_path)
    sink = sink_to(secure_mosquitto.port, scene, **settings)
    async with holding(sink):
        await eventually(lambda: sink.tally.requests > 1)
    text = await loss(sink_to(secure_mosquitto.port, scene, **settings | {"user": "nobody"}))
    canary = secure_mosquitto.passwords["gateway"]
    assert canary not in text + caplog.text + repr(sink) + repr(vars(sink))


async def test_no_broker_is_a_loss_at_once(scene: Scene) -> None:
    assert "refused" in (await loss(sink_to(free_port(), scene))).lower()


@asynccontextmanager
async def mute() -> AsyncIterator[int]:
    """The port of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


async def test_a_server_that_says_nothing_is_left_in_time(scene: Scene) -> None:
    async with mute() as port:
        text = await loss(sink_to(port, scene, timeout=100 * MS))
    assert "does not answer" in text


async def test_waiting_for_a_silent_host_can_be_given_up_at_once(scene: Scene) -> None:
    async with mute() as port:
        task = asyncio.create_task(sink_to(port, scene, timeout=60_000 * MS).hold(lambda: None))
        await asyncio.wait({task}, timeout=0.1)
        task.cancel()
        assert await asyncio.wait({task}, timeout=30) == ({task}, set()), "half of its patience"


async def test_that_nobody_listens_is_told_once_and_again_when_somebody_does(
    mosquitto: Mosquitto, scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "monitor.sinks.mqtt")
    sink = sink_to(mosquitto.port, scene)
    async with holding(sink):
        for _ in range(2):
            await scene.happen((HIGH, State.UNACKNOWLEDGED), (HIGH, State.NORMAL))
            await eventually(lambda: delivered(scene))
        unheard_by_all = sink.unheard
        async with hearing(mosquitto.port, EVENTS):
            await scene.happen((HIGH, State.UNACKNOWLEDGED))
            await eventually(lambda: delivered(scene))
    assert (unheard_by_all, sink.unheard) == (True, False)
    assert [record.message.partition(": ")[2] for record in caplog.records] == [
        "nobody listens to the alarms at the broker",
        "somebody listens to the alarms again",
    ]


async def ask(port: int, act: str, payload: bytes, *, retain: bool = False) -> None:
    async with aiomqtt.Client("127.0.0.1", port) as operator:
        await operator.publish(f"{SITE}/cmd/anna/{act}", payload, qos=1, retain=retain)


async def test_a_request_is_handed_on_and_answered_to_who_asked(
    mosquitto: Mosquitto, scene: Scene
) -> None:
    asked: list[tuple[str, str, bytes, bool]] = []

    async def on_command(user: str, act: str, payload: bytes, retained: bool) -> bytes | None:
        asked.append((user, act, payload, retained))
        return b'{"result":"done"}' if act == "acknowledge" else None

    await ask(mosquitto.port, "shelve", b"old", retain=True)
    sink = commanded(mosquitto.port, scene, on_command)
    async with hearing(mosquitto.port, f"{SITE}/reply/+") as heard, holding(sink):
        await eventually(lambda: bool(asked))
        await ask(mosquitto.port, "acknowledge", b"now")
        await eventually(lambda: bool(heard))
    assert asked == [("anna", "shelve", b"old", True), ("anna", "acknowledge", b"now", False)]
    assert on(heard, f"{SITE}/reply/anna") == [{"result": "done"}]
    assert not heard[0].retain


async def test_requests_are_not_heard_unless_enabled(mosquitto: Mosquitto, scene: Scene) -> None:
    asked: list[object] = []

    async def on_command(*request: object) -> None:
        asked.append(request)

    settings = Mqtt(host="127.0.0.1", port=mosquitto.port, commands=False)
    sink = MqttSink(settings, Gateway("les-ulis", "gw-1"), scene, on_command)
    async with hearing(mosquitto.port, DIGEST) as heard, holding(sink):
        await eventually(lambda: bool(heard))
        await ask(mosquitto.port, "acknowledge", b"now")
        await scene.happen((HIGH, State.UNACKNOWLEDGED))
        await eventually(lambda: delivered(scene))
    assert not asked


@pytest.mark.parametrize(
    ("first", "last", "seqs"),
    [(2, 4, [2, 3, 4]), (-5, 2, [1, 2]), (249, 10**12, [249, 250]), (300, 400, []), (4, 2, [])],
)
async def test_a_range_of_events_is_published_again(
    mosquitto: Mosquitto, scene: Scene, first: int, last: int, seqs: list[int]
) -> None:
    async def on_command(*_: object) -> Resend:
        return Resend(first, last, lambda count: b'{"resent":%d}' % count)

    states = [State.UNACKNOWLEDGED, State.NORMAL] * 125
    await scene.happen(*((HIGH, state) for state in states))
    scene.store.confirm("mqtt", "events", 250)
    reply = f"{SITE}/reply/anna"
    async with (
        hearing(mosquitto.port, DIGEST, EVENTS, reply) as heard,
        holding(commanded(mosquitto.port, scene, on_command)),
    ):
        await eventually(lambda: bool(on(heard, DIGEST)))
        await ask(mosquitto.port, "resend", b"{}")
        await eventually(lambda: bool(on(heard, reply)))
    told = [one["seq"] for one in on(heard, f"{HIGH_TOPIC}/event")]
    assert told == [250, *seqs], "the newest, by which it asks who listens, and what was wanted"
    assert on(heard, reply) == [{"resent": len(seqs)}]


class LimitedMosquitto(Mosquitto):
    """A broker that does not take everything."""

    limits = ""

    def settings(self) -> str:
        return super().settings() + self.limits


async def test_a_message_that_the_broker_would_hang_up_for_is_not_sent_and_holds_up_nothing(
    scene: Scene, tmp_path: Path
) -> None:
    await scene.happen((HIGH, State.UNACKNOWLEDGED))
    small = LimitedMosquitto(tmp_path / "small")
    small.limits = "max_packet_size 600\n"
    with small as broker:
        sink = sink_to(broker.port, scene)
        async with hearing(broker.port, f"{SITE}/#") as heard, holding(sink):
            await eventually(lambda: bool(on(heard, DIGEST)))
            assert delivered(scene)
    assert {str(one.topic) for one in heard} == {STATUS, DIGEST}
    assert (sink.tally.too_large, sink.tally.delivered) == (2, 0), "the event, and its state"


async def test_a_broker_that_retains_nothing_is_told_all_the_same(
    scene: Scene, tmp_path: Path
) -> None:
    await scene.happen((HIGH, State.UNACKNOWLEDGED))
    forgetful = LimitedMosquitto(tmp_path / "forgetful")
    forgetful.limits = "retain_available false\n"
    with forgetful as broker:
        sink = sink_to(broker.port, scene)
        async with hearing(broker.port, f"{SITE}/#") as heard:
            async with holding(sink):
                await eventually(lambda: bool(on(heard, DIGEST)))
                assert delivered(scene)
                assert [words for words in sink.warnings if "no retained messages" in words]
            await eventually(lambda: on(heard, STATUS)[-1]["online"] is False)
    assert len(on(heard, f"{HIGH_TOPIC}/state")) == 1
    assert [one["online"] for one in on(heard, STATUS)] == [True, False], "and no loop of losses"


async def test_a_broker_without_qos_1_is_a_loss_that_says_so(scene: Scene, tmp_path: Path) -> None:
    await scene.happen((HIGH, State.UNACKNOWLEDGED))
    careless = LimitedMosquitto(tmp_path / "careless")
    careless.limits = "max_qos 0\n"
    with careless as broker:
        assert "offers QoS 0 alone" in await loss(sink_to(broker.port, scene))
    assert scene.store.cursor("mqtt", "events") == 0


async def test_a_second_client_of_our_name_is_a_loss(mosquitto: Mosquitto, scene: Scene) -> None:
    async with (
        hearing(mosquitto.port, STATUS) as heard,
        holding(sink_to(mosquitto.port, scene)) as first,
    ):
        await eventually(lambda: bool(heard))
        async with holding(sink_to(mosquitto.port, scene)):
            await asyncio.wait({first}, timeout=60)
            assert "the connection is lost" in str(first.exception())

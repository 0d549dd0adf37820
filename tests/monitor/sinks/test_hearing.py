"""The probe that goes round: whether requests and receipts reach us is known, and not supposed."""

import asyncio
import contextlib
import json
import logging
import os
import re
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio

from config.site import Mqtt, Secret, Tls
from monitor.alarms.facts import State
from monitor.sinks.base import Gateway, SinkLost
from monitor.sinks.hearing import Hearing
from monitor.sinks.mqtt import MqttSink
from monitor.sinks.topics import Publication
from tests.monitor.sinks.scene import HIGH, Scene, opened
from tests.monitor.sinks.scripted_broker import ScriptedBroker
from tests.support.servers import HOST, SecureMosquitto
from tests.support.waiting import eventually

SITE = "cytowatch/v1/les-ulis"
DEPLOY = Path(__file__).parents[3] / "docs" / "deploy" / "README.md"
PROBE = f"{SITE}/cmd/gateway/probe"
MS = 10**6

Asked = list[tuple[object, ...]]


@pytest_asyncio.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with opened(tmp_path) as scene:
        yield scene


@pytest.fixture
def asked() -> Asked:
    """The requests that were handed on."""
    return []


@pytest.fixture
def make(scene: Scene, asked: Asked) -> Callable[..., MqttSink]:
    """Makes a sink of the user ``gateway`` that hears requests."""

    async def on_command(*request: object) -> None:
        asked.append(request)

    def make(port: int, **more: object) -> MqttSink:
        usual: dict[str, object] = {"host": HOST, "port": port, "user": "gateway", "commands": True}
        settings = Mqtt.model_validate(usual | more)
        return MqttSink(settings, Gateway("les-ulis", "gw-1"), scene, on_command)

    return make


def delivered(scene: Scene) -> bool:
    return scene.store.cursor("mqtt", "events") == scene.store.last.event


def probes(broker: ScriptedBroker) -> list[bytes]:
    return [one.payload for one in broker.told if one.topic == PROBE]


def known(hearing: Hearing) -> bool | None:
    """What it knows just now."""
    return hearing.unheard


@asynccontextmanager
async def keeping(sink: MqttSink) -> AsyncIterator[None]:
    """Hold it again and again: a machine that is held up is no loss for good."""

    async def keep() -> None:
        while True:
            with contextlib.suppress(SinkLost):
                await sink.hold(lambda: None)

    task = asyncio.create_task(keep())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


QUICK = {"timeout": 200 * MS, "digest": 10 * MS}


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_subscription_that_is_granted_and_hears_nothing_is_found_out(
    scene: Scene,
    make: Callable[..., MqttSink],
    asked: Asked,
    caplog: pytest.LogCaptureFixture,
    protocol: str,
) -> None:
    caplog.set_level(logging.INFO, "monitor.sinks.hearing")
    async with ScriptedBroker(hands_on=protocol == "3.1.1") as broker:
        sink = make(broker.port, protocol=protocol, **QUICK)
        if protocol == "3.1.1":  # There our own events have to come back, and nothing else does.
            broker.verdict = lambda topic: 1 if topic == PROBE else 0
        async with keeping(sink):
            await scene.happen((HIGH, State.UNACKNOWLEDGED))
            await eventually(lambda: known(sink.hearing) is True and delivered(scene))
            assert PROBE in sink.warnings[0]
            broker.hands_on, broker.verdict = True, lambda _: 0
            await eventually(lambda: known(sink.hearing) is False)
            assert sink.warnings == []
        assert known(sink.hearing) is None, "without a connection nobody knows"
    assert asked == [], "a probe is no request"
    said = [record.message for record in caplog.records]
    assert said[0].startswith("no request or receipt reaches us: the broker lets us subscribe")
    assert said[0].endswith("alarms are told all the same")
    assert said[-1] == "requests and receipts reach us again"
    assert all(one != after for one, after in pairwise(said)), "a change is said, and nothing else"


async def test_that_the_probe_is_refused_is_not_that_nothing_comes(
    scene: Scene, make: Callable[..., MqttSink], caplog: pytest.LogCaptureFixture
) -> None:
    refusing = ScriptedBroker(lambda topic: 135 if topic == PROBE else 0, hands_on=True)
    async with refusing as broker:
        sink = make(broker.port, **QUICK)
        async with keeping(sink):
            await scene.happen((HIGH, State.UNACKNOWLEDGED))
            await eventually(lambda: delivered(scene) and len(probes(broker)) > 3)
            assert known(sink.hearing) is None
            assert "cannot tell whether requests reach us: " in sink.warnings[0]
            assert f"refuses {PROBE}: Not authorized" in sink.warnings[0]
    assert len(caplog.records) == 1, "and is said once"


@pytest.mark.parametrize(
    ("grants", "offers", "words"),
    [(135, b"", "refuses to let us hear"), (1, b"\x28\x00", "offers no wildcards")],
)
async def test_a_subscription_that_is_refused_is_said_at_once(
    scene: Scene, make: Callable[..., MqttSink], grants: int, offers: bytes, words: str
) -> None:
    async with ScriptedBroker(grants=grants, offers=offers) as broker:
        sink = make(broker.port)
        async with keeping(sink):
            await scene.happen((HIGH, State.UNACKNOWLEDGED))
            await eventually(lambda: delivered(scene))
            assert known(sink.hearing) is True
            assert words in sink.warnings[0]
        assert not probes(broker)


async def test_who_wants_to_hear_nothing_does_not_probe(make: Callable[..., MqttSink]) -> None:
    async with ScriptedBroker() as broker:
        sink = make(broker.port, commands=False, **QUICK)
        async with keeping(sink):
            await eventually(lambda: len(broker.told) > 9)
        assert not probes(broker)


async def test_receipts_need_no_requests_and_are_probed_too(
    make: Callable[..., MqttSink],
) -> None:
    async with ScriptedBroker() as broker:
        sink = make(broker.port, commands=False, receipts={"from": ["scada"]}, **QUICK)
        async with keeping(sink):
            await eventually(lambda: known(sink.hearing) is True)


@pytest.mark.parametrize(
    ("user", "topic"),
    [
        ("gateway", PROBE),
        ("", f"{SITE}/cmd/gw-1/probe"),
        ("Plant/gateway 1", f"{SITE}/cmd/gw-1/probe"),
    ],
)
def test_the_probe_goes_as_a_request_of_our_own_user_would(user: str, topic: str) -> None:
    assert Hearing(Gateway("les-ulis", "gw-1"), user, 1.0).topic == topic


async def test_a_probe_of_another_gateway_or_an_old_one_is_none_of_ours() -> None:
    hearing = Hearing(Gateway("les-ulis", "gw-1"), "gateway", 0.0)
    sent: list[bytes] = []

    async def publish(probe: Publication) -> None:
        sent.append(probe.payload)

    await hearing.prove(publish)
    await hearing.prove(publish)
    old, new = sent
    for wrong in (b"", b"{}", old, new.replace(b"gw-1", b"gw-2")):
        hearing.came(wrong)
        assert known(hearing) is True
    hearing.came(new)
    assert known(hearing) is False, "though it was late"
    hearing.forget()
    hearing.came(b"")
    assert known(hearing) is None
    assert json.loads(new)["schema"] == "cytowatch.probe.v1"


@pytest.mark.real
@pytest.mark.timeout(240)
async def test_a_broker_whose_rules_swallow_requests_is_found_out_and_mended(
    secure_mosquitto: SecureMosquitto, scene: Scene, make: Callable[..., MqttSink], tmp_path: Path
) -> None:
    """Mosquitto grants every subscription, and then hands on what its access list allows."""
    [whole] = re.findall(r"```\n(# what everybody.*?)```", DEPLOY.read_text("utf-8"), re.DOTALL)
    whole = whole.replace("user cytowatch\n", "user gateway\n")
    hidden = "topic read cytowatch/v1/+/cmd/#\n"
    assert hidden in whole
    password = tmp_path / "password"
    password.write_text(secure_mosquitto.passwords["gateway"])
    sink = make(
        secure_mosquitto.port,
        password=Secret(file=password),
        tls=Tls(ca_file=secure_mosquitto.ca_file),
        timeout=2000 * MS,
        digest=100 * MS,
    )

    def let(text: str) -> None:
        (secure_mosquitto.folder / "acl").write_text(text)
        assert secure_mosquitto.pid is not None
        os.kill(secure_mosquitto.pid, signal.SIGHUP)

    let(whole.replace(hidden, ""))
    async with keeping(sink):
        await scene.happen((HIGH, State.UNACKNOWLEDGED))
        await eventually(lambda: known(sink.hearing) is True and delivered(scene))
        let(whole)
        await eventually(lambda: known(sink.hearing) is False)

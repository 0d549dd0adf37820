"""Operators at a real broker: what its access list lets through, and what we refuse beside.

The desk, its record and the sink run in the test; the broker knows two operators by password.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from config.plant import Operators
from config.site import Mqtt, Secret, Tls
from drivers.grid import Grid
from monitor.desk import Desk
from monitor.recorder import Recorder
from monitor.sinks.base import Gateway
from monitor.sinks.mqtt import MqttSink
from tests.monitor.hand import HIGH, bodies, committing, recording, scan, small_plant
from tests.monitor.sinks.scene import holding
from tests.support.servers import HOST, SecureMosquitto
from tests.support.waiting import eventually
from tests.whole.ears import SITE, Payload, client, envelope, listening, operator

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

EQUIPMENT = "incubator-7"
OPERATORS = Operators(
    roles={
        "operator": frozenset({"acknowledge", "comment", "load", "unload"}),
        "supervisor": frozenset({"confirm", "reset", "shelve", "set_state", "resend"}),
    },
    users={"anna": ("operator",), "ben": ("supervisor",)},
)


@dataclass
class Site:
    """A gateway with one alarm that stands, at a broker with two operators."""

    desk: Desk
    broker: SecureMosquitto
    folder: Path

    def seen(self) -> Payload:
        """The alarm as it stands."""
        alarm = self.desk.standing(HIGH)
        assert alarm is not None
        return json.loads(alarm.model_dump_json(by_alias=True))  # type: ignore[no-any-return]


@asynccontextmanager
async def running(recorder: Recorder, broker: SecureMosquitto, folder: Path) -> AsyncIterator[Site]:
    """Serve the broker's operators inside the block."""
    password = folder / "gateway-password"
    password.write_text(broker.passwords["gateway"])
    settings = Mqtt(
        host=HOST,
        port=broker.port,
        user="gateway",
        password=Secret(file=password),
        tls=Tls(ca_file=broker.ca_file),
        commands=True,
    )
    desk = Desk(recorder, Grid(recorder.clock), (), ())
    sink = MqttSink(settings, Gateway(SITE, "gw-1"), recorder, desk.command)
    digest = f"cytowatch/v1/{SITE}/gateway/gw-1/digest"
    async with committing(recorder), listening(broker, "reader", digest) as ears, holding(sink):
        await eventually(lambda: ears.of("digest") != [])  # By then requests are heard.
        yield Site(desk, broker, folder)


@pytest.fixture
async def site(tmp_path: Path, secure_mosquitto: SecureMosquitto) -> AsyncIterator[Site]:
    plant = replace(small_plant(), operators=OPERATORS)
    async with recording(tmp_path, plant) as recorder:
        recorder.accept(scan(recorder.clock(), 6.5))
        await recorder.commit()
        async with running(recorder, secure_mosquitto, tmp_path) as site:
            yield site


def about_equipment(user: str, **given: object) -> dict[str, object]:
    return envelope({}, user, role="", equipment=EQUIPMENT) | given


async def test_each_does_what_the_roles_allow(site: Site) -> None:
    async with operator(site.broker, "anna") as anna, operator(site.broker, "ben") as ben:
        assert (await anna("ack", envelope(site.seen(), "anna")))["word"] == "done"
        forbidden = await anna("set-state", about_equipment("anna", state="idle", seen="in_use"))
        assert forbidden["word"] == "forbidden"
        claimed = await anna("ack", envelope(site.seen(), "anna", role="supervisor"))
        assert claimed["word"] == "forbidden"
        cleaning = about_equipment("ben", state="cleaning", seen="in_use", duration="2h")
        assert (await ben("set-state", cleaning))["word"] == "done"
        late = await ben("set-state", about_equipment("ben", state="idle", seen="in_use"))
        assert late["word"] == "stale"
        batch = about_equipment("anna", batch="COI-1", position="shelf 1", reason="")
        assert (await anna("load", batch))["word"] == "done"
        assert (await ben("unload", about_equipment("ben", batch="COI-1")))["word"] == "forbidden"
        comment = await anna("comment", about_equipment("anna", reason="door seal replaced"))
        assert comment["word"] == "done"
    done = [(act["user"], act["role"], act["act"]) for act in bodies(site.folder, "act")]
    assert done == [
        ("anna", "operator", "acknowledge"),
        ("ben", "supervisor", "set_state"),
        ("anna", "operator", "load"),
        ("anna", "operator", "comment"),
    ]
    refused = [(each["user"], each["word"]) for each in bodies(site.folder, "refusal")]
    assert refused == [*[("anna", "forbidden")] * 2, ("ben", "stale"), ("ben", "forbidden")]


@pytest.mark.parametrize("act", ["ack", "set-state"])
async def test_a_forgery_passes_neither_the_broker_nor_us(site: Site, act: str) -> None:
    seen = site.seen()
    whole = {
        "ack": envelope(seen, "ben", role=""),
        "set-state": about_equipment("ben", state="cleaning", seen="in_use"),
    }[act]
    async with client(site.broker, "anna") as forger, operator(site.broker, "anna") as anna:
        topic = f"cytowatch/v1/{SITE}/cmd/ben/{act}"
        await forger.publish(topic, json.dumps(whole).encode(), qos=1)
        # Whatever the broker did with that is done when it has brought us the next one.
        under_her_own = await anna(act, whole)
    assert (under_her_own["word"], under_her_own["result"]) == ("forbidden", "refused")
    assert bodies(site.folder, "act") == []
    [refusal] = bodies(site.folder, "refusal")
    assert (refusal["user"], refusal["act"], refusal["word"]) == ("anna", act, "forbidden")


async def test_what_is_retained_is_refused_while_we_listen(site: Site) -> None:
    request = about_equipment("ben", state="cleaning", seen="in_use")
    async with client(site.broker, "ben") as ben:
        topic = f"cytowatch/v1/{SITE}/cmd/ben/set-state"
        await ben.publish(topic, json.dumps(request).encode(), qos=1, retain=True)
        await eventually(lambda: bodies(site.folder, "refusal") != [])
    assert [each["word"] for each in bodies(site.folder, "refusal")] == ["retained"]
    assert bodies(site.folder, "act") == []


async def test_what_was_retained_is_refused_when_we_come(
    tmp_path: Path, secure_mosquitto: SecureMosquitto
) -> None:
    request = about_equipment("ben", state="cleaning", seen="in_use")
    async with client(secure_mosquitto, "ben") as ben:
        topic = f"cytowatch/v1/{SITE}/cmd/ben/set-state"
        await ben.publish(topic, json.dumps(request).encode(), qos=1, retain=True)
    async with (
        recording(tmp_path, replace(small_plant(), operators=OPERATORS)) as recorder,
        running(recorder, secure_mosquitto, tmp_path),
    ):
        await eventually(lambda: bodies(tmp_path, "refusal") != [])
        assert recorder.usage(EQUIPMENT).state == "in_use"
    assert [each["word"] for each in bodies(tmp_path, "refusal")] == ["retained"]
    assert bodies(tmp_path, "act") == []


async def test_a_replay_after_a_restart_does_nothing(
    tmp_path: Path, secure_mosquitto: SecureMosquitto
) -> None:
    plant = replace(small_plant(), operators=OPERATORS)
    load = about_equipment("anna", batch="COI-1")
    async with operator(secure_mosquitto, "anna") as anna:
        async with (
            recording(tmp_path, plant) as recorder,
            running(recorder, secure_mosquitto, tmp_path),
        ):
            assert (await anna("load", load))["word"] == "done"
            unload = about_equipment("anna", batch="COI-1")
            assert (await anna("unload", unload))["word"] == "done"
        async with (
            recording(tmp_path, plant) as recorder,
            running(recorder, secure_mosquitto, tmp_path),
        ):
            assert (await anna("load", load))["word"] == "done", "answered as before"
            renamed = await anna("load", {**load, "request_id": "another"})
            assert renamed["word"] == "replayed"
            assert recorder.usage(EQUIPMENT).batches == ()
    assert [act["act"] for act in bodies(tmp_path, "act")] == ["load", "unload"]

import asyncio
import socket
import ssl

import aiomqtt
import pytest

from tests.support.servers import HOST, InfluxDB, Mosquitto, SecureMosquitto, VictoriaMetrics
from tests.support.waiting import eventually

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

TIME = 1_780_000_000_123_456_789


def client(broker: Mosquitto, name: str | None = None) -> aiomqtt.Client:
    return aiomqtt.Client(HOST, broker.port, identifier=name, protocol=aiomqtt.ProtocolVersion.V5)


def secure_client(
    broker: SecureMosquitto, user: str, password: str | None = None
) -> aiomqtt.Client:
    return aiomqtt.Client(
        HOST,
        broker.port,
        username=user,
        password=password or broker.passwords[user],
        protocol=aiomqtt.ProtocolVersion.V5,
        tls_context=broker.client_context(),
    )


async def first(reader: aiomqtt.Client) -> aiomqtt.Message:
    async with asyncio.timeout(60):
        return await anext(aiter(reader.messages))


async def test_the_plain_broker_hands_messages_on(mosquitto: Mosquitto) -> None:
    async with client(mosquitto) as reader, client(mosquitto) as writer:
        await reader.subscribe("a/b", qos=1)
        await writer.publish("a/b", b"hello", qos=1)
        assert (await first(reader)).payload == b"hello"


async def test_a_broker_comes_back_on_its_port(mosquitto: Mosquitto) -> None:
    mosquitto.kill()
    with pytest.raises(aiomqtt.MqttError):
        async with client(mosquitto):
            pass
    mosquitto.start()
    async with client(mosquitto) as writer:
        await writer.publish("a/b", b"hello", qos=1)


async def test_the_secure_broker_refuses_a_wrong_password(
    secure_mosquitto: SecureMosquitto,
) -> None:
    with pytest.raises(aiomqtt.MqttError, match=r"(?i)not authori[sz]ed"):
        async with secure_client(secure_mosquitto, "gateway", "guessed"):
            pass


def test_a_stranger_does_not_trust_the_secure_broker(secure_mosquitto: SecureMosquitto) -> None:
    stranger = ssl.create_default_context()
    with (
        socket.create_connection((HOST, secure_mosquitto.port)) as connection,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        stranger.wrap_socket(connection, server_hostname=HOST)


async def test_the_secure_broker_hands_on_what_is_allowed_and_nothing_else(
    secure_mosquitto: SecureMosquitto,
) -> None:
    async with (
        secure_client(secure_mosquitto, "gateway") as gateway,
        secure_client(secure_mosquitto, "anna") as anna,
    ):
        await gateway.subscribe("cytowatch/v1/+/cmd/#", qos=1)
        await anna.publish("cytowatch/v1/site/cmd/ben/ack", b"forged", qos=1)
        await anna.publish("cytowatch/v1/site/equipment/e/c/r/state", b"forged", qos=1)
        await anna.publish("cytowatch/v1/site/cmd/anna/ack", b"her own", qos=1)
        message = await first(gateway)
    assert (message.topic.value, message.payload) == ("cytowatch/v1/site/cmd/anna/ack", b"her own")


async def test_the_secure_broker_keeps_a_reply_to_whom_it_is_for(
    secure_mosquitto: SecureMosquitto,
) -> None:
    async with (
        secure_client(secure_mosquitto, "gateway") as gateway,
        secure_client(secure_mosquitto, "anna") as anna,
    ):
        await anna.subscribe("cytowatch/v1/#", qos=1)
        await gateway.publish("cytowatch/v1/site/reply/ben", b"for ben", qos=1)
        await gateway.publish("cytowatch/v1/site/reply/anna", b"for anna", qos=1)
        assert (await first(anna)).payload == b"for anna"


async def test_the_secure_broker_keeps_what_what_is_retained_over_a_kill(
    secure_mosquitto: SecureMosquitto,
) -> None:
    topic = "cytowatch/v1/site/equipment/e/c/r/state"
    async with secure_client(secure_mosquitto, "gateway") as gateway:
        await gateway.publish(topic, b"active", qos=1, retain=True)
    # It acknowledges first and saves a moment later.
    await eventually(lambda: b"active" in secure_mosquitto.saved())
    secure_mosquitto.kill()
    secure_mosquitto.start()
    async with secure_client(secure_mosquitto, "reader") as reader:
        await reader.subscribe(topic, qos=1)
        assert (await first(reader)).payload == b"active"


def test_influxdb_gives_back_what_was_written_to_the_nanosecond(influxdb16: InfluxDB) -> None:
    influxdb16.create("round_trip")
    for _ in range(2):
        influxdb16.write("round_trip", f'incubator,site=s co2=5.1,door=true,state="on" {TIME}')
    assert influxdb16.query("SELECT * FROM incubator GROUP BY site", "round_trip") == [
        {"time": TIME, "site": "s", "co2": 5.1, "door": True, "state": "on"}
    ]


def test_influxdb_says_what_it_refuses(influxdb16: InfluxDB) -> None:
    influxdb16.create("refusals")
    with pytest.raises(RuntimeError, match="database not found"):
        influxdb16.write("nowhere", "m f=1")
    with pytest.raises(RuntimeError, match="unable to parse"):
        influxdb16.write("refusals", "no field")
    with pytest.raises(RuntimeError, match="error parsing query"):
        influxdb16.query("SELEKT")


def test_influxdb_keeps_its_data_over_a_kill(influxdb16: InfluxDB) -> None:
    influxdb16.create("killed")
    influxdb16.write("killed", f"m f=1 {TIME}")
    influxdb16.kill()
    influxdb16.start()
    assert influxdb16.query("SELECT f FROM m", "killed") == [{"time": TIME, "f": 1.0}]


def test_victoria_metrics_gives_back_each_point_once(victoria_metrics: VictoriaMetrics) -> None:
    milliseconds = TIME // 1_000_000
    for _ in range(2):
        victoria_metrics.write(f"incubator,site=fixture co2=5.1 {milliseconds}")
    [(labels, points)] = victoria_metrics.export('incubator_co2{site="fixture"}')
    assert labels["__name__"] == "incubator_co2"
    assert points == [(milliseconds, 5.1)]


def test_a_server_that_does_not_start_shows_its_log(
    mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    mosquitto.stop()
    monkeypatch.setattr(mosquitto, "settings", lambda: "no_such_setting true\n")
    with pytest.raises(RuntimeError, match="Unknown configuration variable"):
        mosquitto.start()

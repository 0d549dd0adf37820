"""What a broker says when it sends us away, in words for people; and that we can always leave."""

import asyncio

import pytest
from aiomqtt import MqttCodeError, MqttError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from config.site import Mqtt
from drivers.resolve import Resolver
from monitor.sinks.broker import Broker, _plain
from monitor.sinks.topics import Publication
from tests.support.servers import HOST


def by_broker(name: str) -> MqttCodeError:
    return MqttCodeError(ReasonCode(PacketTypes.DISCONNECT, name), "Unexpected disconnection")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (by_broker("Quota exceeded"), "Quota exceeded"),
        (by_broker("Not authorized"), "Not authorized: look at mqtt.user and mqtt.password"),
        (by_broker("Session taken over"), "Session taken over: another client has the same name"),
        (MqttError("the connection is lost"), "the connection is lost"),
        (
            ConnectionRefusedError(111, "Connect call failed ('10.0.0.1', 1883)"),
            "Connection refused",
        ),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_what_went_wrong_is_said_plainly(error: Exception, words: str) -> None:
    assert _plain(error).startswith(words)


async def test_an_end_that_comes_with_the_broker_s_answer_is_an_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broker = Broker(Mqtt(host=HOST), Resolver(HOST), "gw-1", Publication("a/b", b""))
    monkeypatch.setattr(broker._client, "subscribe", lambda *_: (0, 7))
    listening = asyncio.create_task(broker.listen(["a/#"]))
    for _ in range(5):
        await asyncio.sleep(0)
    broker._pending_subscribes[7].set_result([ReasonCode(PacketTypes.SUBACK, "Granted QoS 1")])
    # By now the answer is there, and who listens has not yet been woken by it.
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening

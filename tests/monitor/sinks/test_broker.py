"""What a broker says when it sends us away, in words for people."""

import pytest
from aiomqtt import MqttCodeError, MqttError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from monitor.sinks.broker import _plain


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

"""From the reply that carries a crossing of a limit to the alarm event at a subscriber.

The devices write down when they are about to send a reply; a subscriber notes when it hears the
event. Both by CLOCK_BOOTTIME. The broker hands a message on before it acknowledges it, at the same
instant but for some microseconds, so this is the time to the PUBACK, and the subscriber's own on
top.
"""

import json
import math
import socket
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

EVENTS = "cytowatch/v1/+/equipment/+/+/high/event"
MILLISECOND = 10**6


class Crossing(NamedTuple):
    """A limit crossed, or come back from, by one channel."""

    equipment: str
    channel: str
    beyond: bool
    boot: int
    """CLOCK_BOOTTIME (ns) of sending or hearing it."""

    @property
    def key(self) -> tuple[str, str, bool]:
        """What it has in common with the event that tells of it."""
        return self[:3]


class Heard(NamedTuple):
    """A message that came."""

    boot: int
    payload: bytes


class Delays(NamedTuple):
    """How long the events took."""

    ms: Sequence[float]
    """Sorted."""
    unheard: int
    """Crossings of which no event told."""


def boot_ns() -> int:
    """Now."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


@contextmanager
def listening(port: int, topic: str) -> Iterator[Sequence[Heard]]:
    """Gather what is published to ``topic`` inside the block."""
    heard: list[Heard] = []
    client = mqtt.Client(CallbackAPIVersion.VERSION2)

    def hear(_client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        heard.append(Heard(boot_ns(), bytes(message.payload)))
        # Mosquitto holds the next message back until the last one is acknowledged by TCP.
        connection = client.socket()
        if isinstance(connection, socket.socket):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    client.on_message = hear
    client.connect("127.0.0.1", port)
    client.subscribe(topic, qos=0)
    client.loop_start()
    try:
        yield heard
    finally:
        client.disconnect()
        client.loop_stop()


def heard_crossings(messages: Sequence[Heard]) -> list[Crossing]:
    """Read events as crossings."""
    return [_heard(message) for message in list(messages)]


def _heard(message: Heard) -> Crossing:
    said = json.loads(message.payload)
    return Crossing(said["equipment"], said["channel"], said["active_state"], message.boot)


def sent_crossings(file: Path, first: int, last: int) -> list[Crossing]:
    """Read what the devices sent between two times (boot ns)."""
    told = [json.loads(line) for line in file.read_text().splitlines()]
    sent = [
        Crossing(one["equipment"], one["channel"], one["to"] == "beyond", one["sent_boot_ns"])
        for one in told
    ]
    return [crossing for crossing in sent if first <= crossing.boot <= last]


def delays(sent: Sequence[Crossing], heard: Sequence[Crossing]) -> Delays:
    """Match each crossing with the first event after it that tells of it."""
    times = defaultdict(list)
    for crossing in sorted(heard, key=lambda crossing: crossing.boot):
        times[crossing.key].append(crossing.boot)
    taken = []
    for crossing in sent:
        told = times[crossing.key]
        index = bisect_left(told, crossing.boot)
        if index < len(told):
            taken.append((told[index] - crossing.boot) / MILLISECOND)
    return Delays(sorted(taken), len(sent) - len(taken))


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return what this share of the values does not exceed (nearest rank)."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

"""Signs by which the gateway knows its own troubles, each a question asked once a second."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from drivers.base import Clock
from drivers.grid import Grid
from monitor.certificates import Certificates
from monitor.clock import synchronised
from monitor.notify import Notifying
from monitor.sinks.influx import InfluxSink
from monitor.sinks.mqtt import MqttSink
from monitor.skew import LineSkew
from monitor.troubles import (
    ALARMS_UNHEARD,
    CLOCK_UNSYNCHRONISED,
    MESSAGES_TOO_LARGE,
    NOTIFY_FAILED,
    POINTS_AGEING,
    POINTS_SKIPPED,
    REQUESTS_UNHEARD,
    certificate_trouble,
    receipts_trouble,
    skew_trouble,
)

Sign = Callable[[], bool | None]
"""Whether there is that trouble; None: that cannot be known just now, so it is as it was."""
RECENTLY = 60 * 10**9
"""How long (ns) something that comes now and then counts as going on."""


class Growing:
    """Whether a count has grown lately."""

    def __init__(self, count: Callable[[], int], clock: Clock) -> None:
        self._count = count
        self._clock = clock
        self._last = count()
        self._grown: int | None = None

    def __call__(self) -> bool:
        """Look at the count anew."""
        count, now = self._count(), self._clock().boot
        if count != self._last:
            self._last, self._grown = count, now
        return self._grown is not None and now - self._grown <= RECENTLY


def signs(
    clock: Clock,
    grid: Grid,
    sinks: Sequence[InfluxSink | MqttSink],
    certificates: Certificates,
    skews: Sequence[LineSkew] = (),
) -> Mapping[str, Sign]:
    """Return the signs of what can trouble this gateway, by the name of the trouble."""
    brokers = [sink for sink in sinks if isinstance(sink, MqttSink)]
    databases = [sink for sink in sinks if isinstance(sink, InfluxSink)]
    ageing: dict[str, Sign] = {POINTS_AGEING: _ageing(databases, clock)} if databases else {}
    return {
        POINTS_SKIPPED: Growing(lambda: grid.skipped, clock),
        CLOCK_UNSYNCHRONISED: lambda: synchronised() is False,
        **{name: sign for broker in brokers for name, sign in _of_broker(broker, clock).items()},
        **ageing,
        **{
            certificate_trouble(name): _ends_soon(certificates, name, clock)
            for name in certificates.names
        },
        **{skew_trouble(skew.line): skew for skew in skews},
    }


def of_notifying(notifying: Notifying | None) -> Mapping[str, Sign]:
    """Return the sign that the command fails which tells of what reaches nobody."""
    return {} if notifying is None else {NOTIFY_FAILED: lambda: notifying.failed}


def _of_broker(broker: MqttSink, clock: Clock) -> dict[str, Sign]:
    told: dict[str, Sign] = {
        ALARMS_UNHEARD: lambda: broker.unheard,
        MESSAGES_TOO_LARGE: Growing(lambda: broker.tally.too_large, clock),
    }
    for name in broker.receipts.consumers:
        told[receipts_trouble(name)] = partial(broker.receipts.late, name)
    if broker.listens:
        told[REQUESTS_UNHEARD] = lambda: broker.hearing.unheard
    return told


def _ends_soon(certificates: Certificates, name: str, clock: Clock) -> Sign:
    return lambda: certificates.ends_soon(name, clock().at)


def _ageing(databases: Sequence[InfluxSink], clock: Clock) -> Sign:
    """Whether what waits for any of them will soon be too old for it."""
    return lambda: any(database.ageing(clock().at) for database in databases)

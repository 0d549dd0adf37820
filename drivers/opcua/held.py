"""What a line holds of each source: the last word of every channel, and scans made of it. Pure.

A change makes a partial scan of the channels that spoke, at once; a grid point makes a full one of
all that is held. Where a response has several values of one channel, the first ones of all channels
make the first scan, the second ones the second: none is lost, and each channel's keep their order.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from config.plant import Source
from drivers.meaning import bad
from drivers.opcua.decode import CODE, DOUBTFUL, GONE, Decoder, has_dropped, instant
from drivers.points import Points
from drivers.reading import NO_FAULTS, NO_TIMES, Cause, Fault, Moment, Reason, Scan, Value

Said = tuple[object, int, datetime | None]
"""What a server says of a node: its value in Python's own types, StatusCode, source time."""
Change = tuple[int, object, int, datetime | None]
"""The handle of an ``Item``, and what the server says of it."""

_Layer = dict[int, tuple[Value | None, Fault | None, int | None]]
"""One scan in the making: by channel its value, fault and source time (ns)."""


class Held:
    """One source: the last word of each of its channels, and its grid points."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.busy: bool
        """A visit's reading is under way, or waits for its turn."""
        self._count = len(source.channels)
        self._nothing: tuple[None, ...] = (None,) * self._count
        self.points = Points(source.period)
        self.forget()

    @property
    def heard(self) -> bool:
        """Whether anything was said of any channel since ``forget``."""
        return self._heard

    def has_value(self, channel: int) -> bool:
        """Whether what is held of a channel may be used."""
        return self._values[channel] is not None

    def forget(self) -> None:
        """Believe nothing any more: what is held belongs to a subscription that is gone."""
        self._values: list[Value | None] = list(self._nothing)
        self._faults = dict.fromkeys(range(self._count), bad(Reason.NOT_PROVEN))
        self._times: dict[int, int] = {}
        self._heard = False
        self.busy = False

    def take(
        self, channel: int, value: Value | None, fault: Fault | None, time: int | None = None
    ) -> None:
        """Hold what a channel says now; ``time`` is the device's (ns), None where it gives none."""
        self._values[channel] = value
        self._heard = True
        if fault is not None:
            self._faults[channel] = fault
        elif self._faults:
            self._faults.pop(channel, None)
        if time is not None:
            self._times[channel] = time
        elif self._times:
            self._times.pop(channel, None)

    # Grid points

    def full(self, now: Moment) -> Scan:
        """Return the scan of all that is held."""
        faults = dict(self._faults) if self._faults else NO_FAULTS
        times = dict(self._times) if self._times else NO_TIMES
        return self._scan(now, tuple(self._values), faults, times, Cause.NONE)

    def blank(self, now: Moment, reason: Reason, cause: Cause) -> Scan:
        """Return a scan without a value."""
        faults = dict.fromkeys(range(self._count), bad(reason))
        return self._scan(now, self._nothing, faults, NO_TIMES, cause)

    def _scan(
        self,
        now: Moment,
        values: tuple[Value | None, ...],
        faults: Mapping[int, Fault],
        times: Mapping[int, int],
        cause: Cause,
    ) -> Scan:
        missed = self.points.take_missed()
        at, boot = now
        return Scan(self.source.index, at, boot, values, faults, times, cause, missed)

    # Changes

    def partial(self, layer: _Layer, now: Moment) -> Scan:
        """Return the scan of the channels that spoke; one in which all did is a full one."""
        values: list[Value | None] = list(self._nothing)
        faults: dict[int, Fault] = {}
        times: dict[int, int] = {}
        for channel, (value, fault, time) in layer.items():
            values[channel] = value
            if fault is not None:
                faults[channel] = fault
            if time is not None:
                times[channel] = time
        spoke = None if len(layer) == self._count else frozenset(layer)
        at, boot = now
        return Scan(
            self.source.index, at, boot, tuple(values), faults or NO_FAULTS, times or NO_TIMES,
            spoke=spoke,
        )  # fmt: skip


def doubted(scan: Scan) -> Scan:
    """Return the scan with every good reading uncertain: the server doubts itself."""
    good = (i for i, value in enumerate(scan.values) if value is not None and i not in scan.faults)
    return scan._replace(faults={**dict.fromkeys(good, DOUBTFUL), **scan.faults})


class Item:
    """One channel as it is wanted of the server."""

    __slots__ = ("channel", "decoder", "handle", "held", "name", "node", "spoke")

    def __init__(self, handle: int, held: Held, channel: int) -> None:
        self.handle = handle
        """Its index among the line's items: what the server calls it by."""
        self.held = held
        self.channel = channel
        """Its index in the source."""
        self.node = held.source.channels[channel].node
        self.decoder = Decoder(held.source.channels[channel])
        self.name = f"{held.source.equipment}/{held.source.channels[channel].name}"
        self.spoke = False
        """Whether the server said anything of it since somebody last looked."""

    @property
    def has_value(self) -> bool:
        """Whether what is held of it may be used."""
        return self.held.has_value(self.channel)

    def say(self, raw: object, status: int, time: datetime | None) -> None:
        """Hold what the server said when it was asked."""
        self.spoke = True
        value, fault = self.decoder.decode(raw, status)
        self.held.take(self.channel, value, fault, instant(time))


def items_of(helds: Iterable[Held]) -> list[Item]:
    """Return an item for each channel; the handle of each is its index."""
    places = [(held, channel) for held in helds for channel in range(len(held.source.channels))]
    return [Item(handle, held, channel) for handle, (held, channel) in enumerate(places)]


class Taken:
    """What one response brought: scans to hand on, and how much the server had dropped."""

    __slots__ = ("dropped", "gone", "scans")

    def __init__(self) -> None:
        self.scans: list[Scan] = []
        self.dropped = 0
        """Values that say that the server dropped some before them."""
        self.gone: list[Item] = []
        """Items whose node the server no longer has."""


def take(items: Sequence[Item], changes: Iterable[Change], now: Moment) -> Taken:
    """Hold these changes, in their order, and return the partial scans that they make."""
    taken = Taken()
    layers: dict[Held, list[_Layer]] = {}
    depths: dict[int, int] = {}
    for handle, raw, status, time in changes:
        if not 0 <= handle < len(items):
            continue
        item = items[handle]
        item.spoke = True
        held, channel = item.held, item.channel
        value, fault = item.decoder.decode(raw, status)
        moment = instant(time)
        held.take(channel, value, fault, moment)
        depth = depths.get(handle, 0)
        depths[handle] = depth + 1
        own = layers.setdefault(held, [])
        if depth == len(own):
            own.append({})
        own[depth][channel] = (value, fault, moment)
        if status:
            taken.dropped += has_dropped(status)
            if status & CODE in GONE:
                taken.gone.append(item)
    for held, own in layers.items():
        taken.scans += [held.partial(layer, now) for layer in own]
    return taken

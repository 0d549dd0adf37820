"""What each source said last before the start, out of the record, to draw a line from it. Pure.

The record keeps milliseconds, so what is drawn may be off by as much.
"""

from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter

from config.plant import Plant, Source
from drivers.reading import Fault, Moment, Quality, Reason, Scan
from monitor.store.points import Point

_UNREAD = Fault(Quality.BAD, Reason.NOT_PROVEN)
"""Of a channel that the newest scan said nothing of."""


def scans(plant: Plant, points: Iterable[Point], now: Moment) -> dict[int, Scan]:
    """Return the scans that ``points`` are of, one for each source, by its index.

    Only for what was recorded in this boot, with no step of the clock since.
    """
    by_key = {source.key: source for source in plant.sources}
    found = {}
    for (equipment, name), of_source in groupby(points, attrgetter("equipment", "source")):
        source = by_key.get(f"{equipment}/{name}")
        if source is not None:
            found[source.index] = _scan(source, list(of_source), now)
    return found


def _scan(source: Source, points: list[Point], now: Moment) -> Scan:
    said = {point.channel: point for point in points}
    of_channel = [said.get(channel.name) for channel in source.channels]
    faults = {
        index: _fault(point)
        for index, point in enumerate(of_channel)
        if point is None or point.quality is not Quality.GOOD
    }
    values = tuple(None if point is None else point.value for point in of_channel)
    at = points[0].time
    return Scan(source.index, at, now.boot - (now.at - at), values, faults)


def _fault(point: Point | None) -> Fault:
    return _UNREAD if point is None else Fault(point.quality, point.reason or Reason.NOT_PROVEN)

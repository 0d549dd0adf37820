"""What a rule finds in this reading and the ones before it. Pure.

What it has to keep of them is in the alarm's facts, so that a restart goes on where it was.
"""

from collections.abc import Sequence
from itertools import dropwhile, pairwise

from config.rules import Rate, Repeated
from drivers.reading import Moment, Quality
from monitor.alarms.facts import Alarm, Observation, Sample
from monitor.alarms.verdict import past, usable

STEPS = 30
"""In so many steps a window is kept: one reading for each, and the newest."""
MOST = STEPS + 2


def looked_back(
    rule: Rate | Repeated, alarm: Alarm, observation: Observation, now: Moment
) -> tuple[Alarm, Observation]:
    """Return ``alarm`` with what it has to keep of a reading, and the reading with its rate.

    The rate is as doubtful as the most doubtful reading of the window.
    """
    newest = _sample(observation, now)
    if newest is None:
        return alarm, observation
    if isinstance(rule, Repeated):
        return _keeping(alarm, counted(rule, alarm.samples, newest)), observation
    kept = sampled(rule, alarm.samples, newest)
    points = window(rule, kept, newest)
    doubtful = any(point.doubtful for point in points)
    quality = Quality.UNCERTAIN if doubtful else observation.quality
    return _keeping(alarm, kept), observation._replace(rate=slope(points, rule), quality=quality)


def _keeping(alarm: Alarm, samples: tuple[Sample, ...]) -> Alarm:
    return alarm if samples is alarm.samples else alarm._replace(samples=samples)


def counted(rule: Repeated, samples: tuple[Sample, ...], newest: Sample) -> tuple[Sample, ...]:
    """Return the last of the readings, from the first of them that lies past the limit on.

    Those before that one decide nothing, so nothing is kept while all is well. A doubtful one
    that is not past the limit says nothing.
    """
    if not past(rule, newest.value) and (newest.doubtful or not samples):
        return samples
    last = (*samples, newest)[-rule.of :]
    return tuple(dropwhile(lambda one: not past(rule, one.value), last))


def _sample(observation: Observation, now: Moment) -> Sample | None:
    value = observation.value
    if value is None or isinstance(value, str) or not usable(observation):
        return None
    return Sample(now.boot, float(value), observation.quality is Quality.UNCERTAIN)


def sampled(rule: Rate, samples: tuple[Sample, ...], newest: Sample) -> tuple[Sample, ...]:
    """Return what is to be kept once ``newest`` was read: ``samples`` itself until it is time."""
    if samples and 0 <= newest.boot - samples[-1].boot < rule.window // STEPS:
        return samples
    return (*window(rule, samples, newest)[-MOST:-1], newest)


def window(rule: Rate, samples: Sequence[Sample], newest: Sample) -> list[Sample]:
    """Return the samples of the window that ends with ``newest``, itself the last of them."""
    since = newest.boot - rule.window
    return [*(one for one in samples if since <= one.boot < newest.boot), newest]


def slope(points: Sequence[Sample], rule: Rate) -> float | None:
    """Return the slope of the least-squares line, in the value's unit per ``rule.per``.

    None while the points cover less than 80 % of the window, or leave a gap of over a quarter.
    """
    if not _cover(points, rule.window):
        return None
    start = points[0].boot
    times = [(point.boot - start) / rule.per for point in points]
    middle = sum(times) / len(times)
    level = sum(point.value for point in points) / len(points)
    spread = sum((time - middle) ** 2 for time in times)
    return (
        sum((t - middle) * (p.value - level) for t, p in zip(times, points, strict=True)) / spread
    )


def _cover(points: Sequence[Sample], width: int) -> bool:
    covered = points[-1].boot - points[0].boot
    gaps = (later.boot - earlier.boot for earlier, later in pairwise(points))
    return 5 * covered >= 4 * width and all(4 * gap <= width for gap in gaps)

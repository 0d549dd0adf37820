"""Makes the store of an outage: ``python backlog_store.py SITE_FILE SECONDS [--seed N]``.

The product's own recorder judges and records what a plant would have said in that time, one tick
for each second of it, as fast as this machine can: values that drift and have noise, in steps of
an instrument's resolution, now and then one that is no number, and excursions on some channels.
Everything was told to the broker, nothing to the database. The gateway was started anew since.
"""

import argparse
import asyncio
import json
import math
import random
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from config.load import load
from config.plant import Plant
from drivers.reading import NO_FAULTS, Fault, Moment, Quality, Reason, Scan, Value
from drivers.simulated.load import MARGIN, base, limit
from monitor import app
from monitor.clock import ClockStep, RecordClock
from monitor.recorder import Recorder
from monitor.store import Store

SECOND = 10**9
RESOLUTIONS = (0.1, 0.01, 0.001, 0.0)
"""Of the channels in turn; 0: every digit of a float32."""
IMAGES = 3600
"""Scans made beforehand; each source walks through them from a place of its own."""
DRIFT = 1.0
"""How far a value wanders from its base in the hour that they take."""
NOISE = 1.5
"""Standard deviation, in steps of the resolution."""
BAD = 0.001
"""Part of all readings that is no number."""
EVERY_TROUBLED = 10
"""One equipment in so many has excursions."""
PERIOD, LENGTH = 600, 90
"""Seconds from one excursion of such an equipment to its next, and of each."""
START_BOOT = 3600 * SECOND
BEFORE = "00000000-0000-4000-8000-000000000000"
"""The boot that all this happened in."""
_FLOAT = struct.Struct("<f")
_NAN = Fault(Quality.BAD, Reason.NOT_A_NUMBER)


class Image(NamedTuple):
    """What one source says at one time."""

    values: tuple[Value | None, ...]
    faults: Mapping[int, Fault]


@dataclass(frozen=True)
class Made:
    """What is in the store."""

    scans: int
    readings: int
    last_seq: int
    file_bytes: int
    telemetry_bytes: int
    took: float
    """Seconds."""


class Compressed(RecordClock):
    """A clock that is set by hand: the hours of the outage pass as fast as they are made."""

    def __init__(self, start: int) -> None:
        super().__init__()
        self.boot_id = BEFORE
        self._start = start
        self.elapsed = 0
        """Nanoseconds since ``start`` (ns, UTC)."""

    def __call__(self) -> Moment:
        return Moment(self._start + self.elapsed, START_BOOT + self.elapsed)

    def resume(self, last: int, epoch: int, known: Moment | None = None) -> None:
        """It goes on from where it is set."""

    def check(self) -> ClockStep | None:
        """It never steps."""
        return None


def make_images(channels: int, chance: random.Random) -> list[Image]:
    """Return what all sources draw from."""
    columns = [list(column(channel, chance)) for channel in range(channels)]
    return [_image(values) for values in zip(*columns, strict=True)]


def column(channel: int, chance: random.Random) -> Iterator[float | None]:
    """Give the values of one channel in turn; None where it has none."""
    step = RESOLUTIONS[channel % len(RESOLUTIONS)]
    noise, phase = NOISE * (step or RESOLUTIONS[1]), chance.random()
    for number in range(IMAGES):
        drift = DRIFT * math.sin(2 * math.pi * (number / IMAGES + phase))
        value = base(channel) + drift + chance.gauss(0, noise)
        bad = chance.random() < BAD
        yield None if bad else single(round(value / step) * step if step else value)


def single(value: float) -> float:
    """Return what a float32 makes of a value."""
    (said,) = _FLOAT.unpack(_FLOAT.pack(value))
    return float(said)


def _image(values: Sequence[float | None]) -> Image:
    faults = {index: _NAN for index, value in enumerate(values) if value is None}
    return Image(tuple(values), faults or NO_FAULTS)


def beyond(source: int, second: int, channels: int) -> int | None:
    """Return which channel of a source is beyond its limit just then, if one is."""
    place, rest = divmod(source, EVERY_TROUBLED)
    # They follow each other: a plant in which all is well but at one minute in ten is none.
    since = (second + place * (PERIOD // EVERY_TROUBLED)) % PERIOD
    return None if rest or since < PERIOD - LENGTH else place % channels


def excursion(image: Image, channel: int) -> Image:
    """Return an image with one of its channels beyond the limit."""
    values = list(image.values)
    values[channel] = single(limit(channel) + MARGIN)
    faults = {index: fault for index, fault in image.faults.items() if index != channel}
    return Image(tuple(values), faults or NO_FAULTS)


async def make(plant: Plant, seconds: int, seed: int, end: int) -> Made:
    """Make a store of so many seconds up to ``end`` (ns, UTC)."""
    began = time.monotonic()
    chance = random.Random(seed)  # noqa: S311 - noise, no secret
    images = make_images(len(plant.sources[0].channels), chance)
    places = [chance.randrange(IMAGES) for _ in plant.sources]
    clock = Compressed(end - seconds * SECOND)
    path = app.state_directory(plant) / app.FILE
    async with Store.open(path, quota=plant.store.quota, sinks=app.reading_sinks(plant)) as store:
        recorder = await Recorder.start(plant, store, clock)
        committing = asyncio.create_task(recorder.commit())
        for second in range(seconds):
            pass_second(recorder, clock, second, images, places)
            await committing
            committing = asyncio.create_task(recorder.commit())
            await asyncio.sleep(0)  # It has the tick; the next one is made meanwhile.
        await committing
        await recorder.close()
        store.confirm("mqtt", "events", store.last.event)
        status = await store.status()
    channels = len(images[0].values)
    return Made(
        recorder.scans,
        recorder.scans * channels,
        status.last.seq,
        path.stat().st_size,
        status.telemetry_bytes,
        time.monotonic() - began,
    )


def pass_second(
    recorder: Recorder,
    clock: Compressed,
    second: int,
    images: Sequence[Image],
    places: Sequence[int],
) -> None:
    """Let every source say its scan of one second, each at its own point of it."""
    start, step = second * SECOND, SECOND // len(places)
    for source, place in enumerate(places):
        clock.elapsed = start + source * step
        image = images[(place + second) % IMAGES]
        if (channel := beyond(source, second, len(image.values))) is not None:
            image = excursion(image, channel)
        recorder.accept(Scan(source, *clock(), image.values, image.faults))
    recorder.follow_clock()
    recorder.follow_use()


def main() -> None:
    """Make it where the site's file says, and tell what was made as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("seconds", type=int)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    made = asyncio.run(make(load(given.file), given.seconds, given.seed, time.time_ns()))
    print(json.dumps(asdict(made)), flush=True)


if __name__ == "__main__":
    main()

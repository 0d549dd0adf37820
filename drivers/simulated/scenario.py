"""What goes wrong in the simulated plant, and when: a script in plain data, then chance.

A happening stands from ``at`` for ``lasts`` (by the clock on the wall, whatever the time factor),
and what stands now is all that acts on the plant: so everything returns by itself, and two
troubles at once need no bookkeeping.
"""

import random
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError

from config.model import Duration, Id, Model
from drivers.simulated.sensors import IN_BIOREACTOR, IN_INCUBATOR, Failure, Quantity

SECOND = 10**9


class ScenarioError(Exception):
    """The scenario cannot be played; the text says what is wrong with it."""


class _Happening(Model):
    at: Duration
    """Since the plant's start (ns)."""
    lasts: Annotated[Duration, Field(gt=0)]

    def stands(self, now: int) -> bool:
        """Whether it acts on the plant at ``now`` (ns since the start)."""
        return self.at <= now < self.at + self.lasts


class DoorLeftOpen(_Happening):
    """An incubator's door stands open."""

    what: Literal["door-left-open"] = "door-left-open"
    incubator: Id


class BottleEmpty(_Happening):
    """The CO2 bottle that these incubators share is empty, until it is changed."""

    what: Literal["bottle-empty"] = "bottle-empty"
    incubators: Annotated[tuple[Id, ...], Field(min_length=1)]


class DecontaminationRuns(_Happening):
    """An incubator decontaminates itself: it is hot for the first half, and then cools down.

    It lasts for longer where it has not cooled down by then.
    """

    what: Literal["decontamination-runs"] = "decontamination-runs"
    incubator: Id

    def cools(self, now: int) -> bool:
        """Whether it is past its first half at ``now`` (ns since the start)."""
        return now >= self.at + self.lasts // 2


class GasFails(_Happening):
    """No gas reaches a bioreactor's sparger, whatever its controllers want."""

    what: Literal["gas-fails"] = "gas-fails"
    bioreactor: Id


class AgitatorStops(_Happening):
    """The drive of a bioreactor's stirrer has tripped; its controller holds everything."""

    what: Literal["agitator-stops"] = "agitator-stops"
    bioreactor: Id


class SensorFails(_Happening):
    """One sensor of an equipment shows what is not so; its electronics still answer."""

    what: Literal["sensor-fails"] = "sensor-fails"
    equipment: Id
    quantity: Quantity
    failure: Failure


class NetworkPulled(_Happening):
    """A host is off the network: its connections are reset, new ones refused.

    An OPC UA server forgets its sessions meanwhile, as one that is restarted does.
    """

    what: Literal["network-pulled"] = "network-pulled"
    line: Id


class UnitSilent(_Happening):
    """A unit behind a host does not answer, while the others do."""

    what: Literal["unit-silent"] = "unit-silent"
    line: Id
    unit: Annotated[int, Field(ge=1, le=247)]


Happening = Annotated[
    DoorLeftOpen
    | BottleEmpty
    | DecontaminationRuns
    | GasFails
    | AgitatorStops
    | SensorFails
    | NetworkPulled
    | UnitSilent,
    Field(discriminator="what"),
]


class Scenario(Model):
    """A script, and whether small troubles go on at random after it."""

    happenings: tuple[Happening, ...] = ()
    goes_on: bool = True

    @property
    def end(self) -> int:
        """When the last scripted happening is over (ns since the start)."""
        return max((each.at + each.lasts for each in self.happenings), default=0)

    def play(
        self, incubators: Sequence[str], bioreactors: Sequence[str], seed: int
    ) -> Iterator[Happening]:
        """Yield every happening in the order of ``at``; without end when it goes on."""
        yield from sorted(self.happenings, key=lambda each: each.at)
        if self.goes_on and (incubators or bioreactors):
            chance = random.Random(seed)  # noqa: S311 - a game
            yield from _by_chance(incubators, bioreactors, chance, self.end)


CALM = Scenario(goes_on=False)
"""Nothing ever happens."""


def read(text: str) -> Scenario:
    """Return the scenario that ``text`` (YAML) says; raises ``ScenarioError``."""
    try:
        return Scenario.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise ScenarioError(f"the scenario is not YAML: {error}") from error
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}"
            for each in error.errors(include_url=False)
        ]
        raise ScenarioError("the scenario cannot be played: " + "; ".join(problems)) from error


def minute() -> Scenario:
    """Return the built-in scenario of the demo: every trouble comes and goes within 80 s."""
    return read(files("drivers.simulated").joinpath("minute.yaml").read_text("utf-8"))


def _by_chance(
    incubators: Sequence[str], bioreactors: Sequence[str], chance: random.Random, start: int
) -> Iterator[Happening]:
    """Small troubles, one every 15 to 40 seconds, each with some equipment of the plant.

    They leave a quarter of a minute in which what came before is seen to return.
    """
    at = start + 15 * SECOND
    while True:
        at += chance.randint(15, 40) * SECOND
        name = chance.choice([*incubators, *bioreactors])
        yield (
            _in_bioreactor(name, at, chance)
            if name in bioreactors
            else _in_incubator(name, at, chance)
        )


def _in_incubator(name: str, at: int, chance: random.Random) -> Happening:
    """Mostly a door, now and then gas or a probe."""
    match chance.choices(("door", "sensor", "gas"), (6, 2, 1))[0]:
        case "door":
            lasts = chance.randint(1, 12) * SECOND
            return DoorLeftOpen(at=at, lasts=lasts, incubator=name)
        case "sensor":
            failure = chance.choice([each for each in Failure if each is not Failure.UNCERTAIN])
            return _sensor_fails(name, at, chance, chance.choice(IN_INCUBATOR), failure)
        case _:
            lasts = chance.randint(20, 40) * SECOND
            return BottleEmpty(at=at, lasts=lasts, incubators=(name,))


def _in_bioreactor(name: str, at: int, chance: random.Random) -> Happening:
    """Mostly a probe, now and then gas or the stirrer."""
    lasts = chance.randint(4, 12) * SECOND
    match chance.choices(("sensor", "gas", "drive"), (3, 1, 1))[0]:
        case "sensor":
            quantity, failure = chance.choice(IN_BIOREACTOR), chance.choice(list(Failure))
            return _sensor_fails(name, at, chance, quantity, failure)
        case "gas":
            return GasFails(at=at, lasts=lasts, bioreactor=name)
        case _:
            return AgitatorStops(at=at, lasts=lasts, bioreactor=name)


def _sensor_fails(
    name: str, at: int, chance: random.Random, quantity: Quantity, failure: Failure
) -> SensorFails:
    lasts = chance.randint(5, 15) * SECOND
    return SensorFails(at=at, lasts=lasts, equipment=name, quantity=quantity, failure=failure)

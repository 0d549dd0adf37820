"""A ledger on a small plant, driven scan by scan, that can be started anew between them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from config.plant import Plant
from config.rules import High, Low
from drivers.reading import Fault, Moment, Origin, Quality, Reason, Scan, Value
from monitor.alarms.watch import Watched, watch
from monitor.excursions.budget import Spent, spent
from monitor.excursions.case import Setting, dump, load
from monitor.excursions.ledger import Ledger
from monitor.excursions.record import ExcursionRecord
from tests.monitor.alarms.small_plant import SECOND, channel, door, plant, scan, source

HIGH, LOW = "incubator-7/co2/high", "incubator-7/co2/low"
DOUBT = Fault(Quality.UNCERTAIN, Reason.DEVICE_STATUS)
OLD = Fault(Quality.UNCERTAIN, Reason.LAST_USABLE)
MINUTE = 60 * SECOND


def site(*, rejoin: float = 0, limit: float = 6.0) -> Plant:
    """One incubator: a CO2 probe, with a door contact of another source."""
    rules = High(limit=limit, deadband=0.5), Low(limit=4.0)
    small = plant(
        source(0, "incubator-7", "probe", "bus", [channel("co2", *rules)]),
        source(1, "incubator-7", "contact", "bus", [door()]),
    )
    [equipment] = small.equipment
    return replace(
        small,
        equipment=(replace(equipment, doors=((1, 0),)),),
        rejoin=round(rejoin * SECOND),
    )


def says(at: float, value: Value | None, fault: Fault | None = None) -> Scan:
    """What the probe said so many seconds after noon; None is a bad reading."""
    return scan(at, value, faults={0: fault} if fault else None)


def series(start: float, *values: float | None) -> list[Scan]:
    """One reading a second."""
    return [says(start + n, value) for n, value in enumerate(values)]


def opens(at: float, stands: bool = True) -> Scan:
    """What the door contact said."""
    return scan(at, stands, source=1)


SETTING = Setting(state="in_use", synchronised=True)


@dataclass
class Stage:
    """A gateway's ledger and what it has to know."""

    plant: Plant
    setting: Setting = SETTING
    records: list[ExcursionRecord] = field(default_factory=list)
    past: list[Spent] = field(default_factory=list)
    watched: dict[str, Watched] = field(init=False)
    latest: list[Scan | None] = field(init=False)
    ledger: Ledger = field(init=False)
    shift: int = 0
    """Of elapsed time, since a reboot."""
    boot_id: str = "boot-1"
    scans: int = 0

    def __post_init__(self) -> None:
        self.watched = watch(self.plant, {})
        self.latest = [None for _ in self.plant.sources]
        self.ledger = self._new()

    def __call__(self, *scans: Scan) -> "Stage":
        for each in scans:
            moved = each._replace(boot=each.boot + self.shift)
            before = self.latest[each.source]
            self.latest[each.source] = moved
            self.scans += 1
            self.records += self.ledger.observe(moved, self.scans, before, self.latest)
        return self

    def restart(self, plant: Plant | None = None, *, boot_id: str = "", now: Moment) -> None:
        """Take all up from what is saved; another boot began its elapsed time anew."""
        texts = {
            name: dump(case, self.boot_id, now._replace(boot=now.boot + self.shift))
            for name, case in self.ledger.cases.items()
        }
        if boot_id:
            self.shift, self.boot_id = 7 * SECOND - now.boot, boot_id
            self.latest = [
                one and one._replace(boot=now.boot + self.shift - (now.at - one.at))
                for one in self.latest
            ]
        now = now._replace(boot=now.boot + self.shift)
        self.plant = plant or self.plant
        self.watched = watch(self.plant, {})
        self.ledger = self._new()
        cases = {name: load(text, self.boot_id, now) for name, text in texts.items()}
        self.past = [spent(record, 0) for record in self.records]
        self.records += self.ledger.resume(cases, self.past, now)

    def limit(self, name: str, limit: float) -> None:
        """Put another limit into effect, as a state or phase does."""
        one = self.watched[name]
        self.watched[name] = one._replace(rule=one.rule.model_copy(update={"limit": limit}))

    def switch(self, name: str, *, off: bool) -> None:
        self.watched[name] = self.watched[name]._replace(off=off)

    def _new(self) -> Ledger:
        return Ledger(self.plant, self.watched, "s1", lambda _: self.setting)


def tell(plant: Plant, scans: Iterable[Scan]) -> Sequence[ExcursionRecord]:
    """Return the records of what ended."""
    return Stage(plant)(*scans).records


Step = Scan | Callable[[Stage], object]


def play(stage: Stage, steps: Sequence[Step]) -> None:
    for step in steps:
        if isinstance(step, Scan):
            stage(step)
        else:
            step(stage)


def late(one: Scan, origin: Origin = Origin.LATE) -> Scan:
    return one._replace(origin=origin)

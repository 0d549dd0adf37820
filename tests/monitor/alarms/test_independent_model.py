"""The alarm board against a second reading of the documents (``documented.py``).

Whoever wrote the model had not read the engine. Hypothesis drives both with readings, faults,
acts, states, clock steps and restarts; after each step every event and every fact has to agree.
"""

import os
from collections.abc import Mapping
from itertools import chain
from typing import NamedTuple

from hypothesis import Phase, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from config.plant import (
    Channel,
    ChannelType,
    Encoding,
    Equipment,
    Grouping,
    Plant,
    Register,
    Source,
    Table,
)
from config.rules import (
    ChannelRule,
    Deviation,
    Discrepancy,
    EquipmentState,
    Escalation,
    Flatline,
    High,
    Low,
    OffNormal,
    Priority,
    Repeated,
    Rule,
    Silent,
    StatusBits,
    Suppression,
    Unreadable,
    When,
)
from config.site import StoreSettings
from drivers.reading import Cause, Fault, Moment, Origin, Quality, Reason, Scan, Value
from monitor.alarms import snapshot
from monitor.alarms.board import Board
from monitor.alarms.facts import (
    Acknowledge,
    Act,
    Alarm,
    AlarmEvent,
    Circumstances,
    Confirm,
    Refusal,
    RemoveFromService,
    Reset,
    ReturnToService,
    Shelve,
    State,
    Unshelve,
)
from tests.monitor.alarms.documented import SECOND, Documented, DocumentedAlarm, Told

E = "incubator-1"
LONG_AGO = 1_700_000_000 * SECOND
TIMES = int(os.environ.get("MODEL_TIMES", "1"))

seconds = st.sampled_from([0, 2, 5]).map(lambda s: s * SECOND)
flags = st.booleans()
STEPS = (
    Escalation(after=5 * SECOND),
    (),
    (Escalation(after=3 * SECOND), Escalation(after=8 * SECOND, to=Priority.HIGH)),
)


@st.composite
def manners(draw: st.DrawFn) -> dict[str, object]:
    """What a rule may say beside its limit."""
    manner: dict[str, object] = {
        "on_delay": draw(seconds),
        "off_delay": draw(seconds),
        "latching": draw(flags),
        "confirm": draw(flags),
        "re_alarm": draw(st.sampled_from([None, 4 * SECOND])),
        "escalate": draw(st.sampled_from(STEPS)),
        "longest_shelf": draw(st.sampled_from([None, None, 7 * SECOND])),
    }
    return {key: value for key, value in manner.items() if value}


def temperature_rules(m: list[dict[str, object]]) -> tuple[ChannelRule, ...]:
    warm = When(states=(EquipmentState.WARMING_UP,), limit=20.0)
    harvest = When(phases=("harvest",), off=True)
    transduction = When(phases=("transduction",), limit=36.0, deadband=0.5, on_delay=3 * SECOND)
    idle = When(states=(EquipmentState.IDLE,), off=True)
    return (
        High.model_validate({"name": "high-high", "high": 40.0, "deadband": 1.0, **m[0]}),
        High.model_validate(
            {"name": "high", "high": 38.0, "deadband": 1.0, "when": (transduction, idle), **m[1]}
        ),
        Low.model_validate(
            {"name": "low", "low": 30.0, "deadband": 1.0, "when": (warm, harvest), **m[2]}
        ),
        Deviation.model_validate(
            {
                "name": "off-setpoint",
                "setpoint": "temperature_setpoint",
                "above": 0.5,
                "below": 1.0,
                "deadband": 0.25,
                **m[3],
            }
        ),
        Repeated.model_validate({"name": "trend", "x": 2, "of": 3, "high": 37.5, **m[4]}),
        Discrepancy.model_validate(
            {
                "name": "probes-differ",
                "against": "temperature_reference",
                "tolerance": 1.0,
                "deadband": 0.5,
                **m[9],
            }
        ),
        Unreadable.model_validate(m[10]),
    )


def channel(name: str, kind: ChannelType, rules: tuple[ChannelRule, ...]) -> Channel:
    register = Register(Table.HOLDING, 0, Encoding.FLOAT32)
    names = {0: "closed", 1: "open"} if kind is ChannelType.STATE else {}
    return Channel(name, kind, "", register, rules, names)


def source(index: int, name: str, channels: tuple[Channel, ...], silent: Silent) -> Source:
    return Source(
        index=index,
        equipment=E,
        name=name,
        line="bus",
        unit=index + 1,
        period=2 * SECOND,
        timeout=SECOND,
        channels=channels,
        grouping=Grouping(),
        silent=silent,
    )


def plant(m: list[dict[str, object]]) -> Plant:
    door = OffNormal.model_validate({"name": "open", "off_normal": (True,), **m[5]})
    status = StatusBits.model_validate({"name": "probe-fault", "bits": (1, 3), **m[6]})
    main = (
        channel("temperature", ChannelType.ANALOG, temperature_rules(m)),
        channel("door", ChannelType.STATE, (door,)),
        channel("temperature_reference", ChannelType.ANALOG, ()),
    )
    aux = (
        channel("temperature_setpoint", ChannelType.ANALOG, ()),
        channel(
            "ph", ChannelType.ANALOG, (Flatline.model_validate({"flatline": 8 * SECOND, **m[11]}),)
        ),
        channel("device_status", ChannelType.COUNTER, (status,)),
    )
    silent = [Silent.model_validate({"name": f"silent-{n}", **m[7]}) for n in ("main", "aux")]
    return Plant(
        site="site",
        gateway="gw",
        lines={},
        line_silent={"bus": Silent.model_validate({"name": "line-bus", **m[8]})},
        equipment=(Equipment(E, "incubator", "", (0, 1)),),
        sources=(source(0, "main", main, silent[0]), source(1, "aux", aux, silent[1])),
        store=StoreSettings(),
        influxdb=None,
        mqtt=None,
        text="",
        digest="",
        suppression={
            EquipmentState.CLEANING: Suppression(suppress=("temperature",), longest=3600 * SECOND),
            EquipmentState.MAINTENANCE: Suppression(suppress=("*",), longest=3600 * SECOND),
        },
    )


COLD = [19.0, 25.0, 30.0, 30.5, 31.0, 33.0]
WARM = [35.5, 36.0, 36.5, 37.0, 37.25, 37.5, 37.75]
HOT = [38.0, 38.5, 39.0, 39.5, 40.0, 41.0]
temperatures = st.sampled_from([*COLD, *WARM, *HOT])
words: dict[int, tuple[st.SearchStrategy[Value], ...]] = {
    0: (temperatures, flags, st.sampled_from([36.0, 37.0, 38.5])),
    1: (
        st.sampled_from([33.0, 37.0, 38.0]),
        st.sampled_from([7.0, 7.0, 7.0, 7.0, 7.25]),
        st.sampled_from([0, 1, 2, 4, 8, 10]),
    ),
}
faults = st.sampled_from(
    [None] * 6
    + [
        Fault(Quality.BAD, Reason.TIMED_OUT),
        Fault(Quality.UNCERTAIN, Reason.DEVICE_STATUS),
        Fault(Quality.UNCERTAIN, Reason.LAST_USABLE),
    ]
)
causes = st.sampled_from(
    [Cause.NONE] * 9 + [Cause.SOURCE, Cause.SOURCE, Cause.LINE, Cause.LINE, Cause.UNKNOWN]
)
acts = st.one_of(
    st.sampled_from(
        [Acknowledge(), Acknowledge(), Confirm(), Reset(), Unshelve(), ReturnToService()]
    ),
    st.builds(
        Shelve, st.sampled_from([3, 8, 20, 24 * 3600 + 1]).map(lambda s: s * SECOND), one_shot=flags
    ),
    st.sampled_from([3, 8, 30 * 86_400, 30 * 86_400 + 1]).map(
        lambda s: RemoveFromService(s * SECOND)
    ),
)


class Spoken(NamedTuple):
    """One answer of a source, or none, some seconds after what was before it."""

    source: int
    after: int
    values: tuple[Value, ...]
    faults: tuple[Fault | None, ...]
    cause: Cause = Cause.NONE
    origin: Origin = Origin.LIVE

    def scan(self, now: Moment) -> Scan:
        lost = Fault(Quality.BAD, Reason.TIMED_OUT)
        faults = self.faults if self.cause is Cause.NONE else (lost,) * len(self.values)
        wrong = {index: fault for index, fault in enumerate(faults) if fault}
        bad = {index for index, fault in wrong.items() if fault.quality is Quality.BAD}
        values = tuple(None if i in bad else value for i, value in enumerate(self.values))
        return Scan(self.source, *now, values, wrong, cause=self.cause, origin=self.origin)


@st.composite
def answers(draw: st.DrawFn) -> list[Spoken]:
    """The same answer a few times over: what delays and windows are made of."""
    source = draw(st.sampled_from([0, 0, 0, 1]))
    one = Spoken(
        source,
        draw(st.sampled_from([1, 1, 2, 3, 4])),
        tuple(draw(values) for values in words[source]),
        tuple(draw(faults) for _ in words[source]),
        draw(causes),
        draw(st.sampled_from([Origin.LIVE] * 14 + [Origin.LATE])),
    )
    return [one] * draw(st.integers(1, 3))


class Independent(RuleBasedStateMachine):
    """A board and the documents' model of it, through one history."""

    @initialize(m=st.lists(manners(), min_size=12, max_size=12))
    def start(self, m: list[dict[str, object]]) -> None:
        self.plant = plant(m)
        self.model = Documented(self.plant)
        self.elapsed = 100
        self.wall = LONG_AGO
        self.booted = 0
        self.boots = 1
        self.here = Circumstances()
        self.saved: dict[str, str] = {}
        self.last: dict[str, tuple[State, int]] = {}
        self.board = Board(self.plant, {})
        self.agree(list(self.board.reconcile(self.now)))

    @property
    def now(self) -> Moment:
        return Moment(self.wall + self.elapsed * SECOND, (self.elapsed - self.booted) * SECOND)

    @property
    def boot_id(self) -> str:
        return f"boot-{self.boots}"

    def agree(self, events: list[AlarmEvent]) -> None:
        """Hold what the board told against the model, and keep what it would save."""
        told: dict[str, list[Told]] = {}
        for one in events:
            facts = one.alarm
            told.setdefault(one.name, []).append(
                Told(
                    one.change,
                    one.before,
                    one.after,
                    facts.occurrence,
                    facts.version,
                    one.annunciated,
                )
            )
            before, version = self.last.get(one.name, (State.NORMAL, 0))
            assert one.before is before, one
            assert facts.version == version + 1, one
            assert one.after is facts.state, one
            self.last[one.name] = (one.after, facts.version)
            event(f"{one.change}: {one.before} -> {one.after}")
        assert told == self.model.take_told()
        self.save()

    def save(self) -> None:
        for name, alarm in self.board.take_changed().items():
            if alarm.at_rest:
                self.saved.pop(name, None)
            else:
                self.saved[name] = snapshot.dump(alarm, self.boot_id, self.now)

    @rule(heard=st.lists(answers(), min_size=1, max_size=4))
    def hear(self, heard: list[list[Spoken]]) -> None:
        for one in chain.from_iterable(heard):
            self.elapsed += one.after
            scan = one.scan(self.now)
            if scan.origin is Origin.LATE:
                self.agree(list(self.board.observe(scan)))
            else:
                self.tell(scan)
            self.every_fact_agrees()

    def tell(self, scan: Scan) -> None:
        before = {name: self.board.alarm(name) for name in self.model.alarms}
        events = list(self.board.observe(scan))
        self.model.observe(scan, self.elapsed)
        self.bad_says_nothing(scan, before)
        self.agree(events)

    def bad_says_nothing(self, scan: Scan, before: Mapping[str, Alarm]) -> None:
        """Bad data never raises nor clears, whatever else a scan may do."""
        of = self.plant.sources[scan.source]
        for index, one in enumerate(of.channels):
            fault = scan.faults.get(index)
            if fault is not None and (
                fault.quality is Quality.BAD or fault.reason is Reason.LAST_USABLE
            ):
                for its in (rule for rule in one.rules if not isinstance(rule, Unreadable)):
                    name = f"{E}/{one.name}/{its.name}"
                    assert self.board.alarm(name).active == before[name].active

    @rule(
        heard=answers(),
        data=st.data(),
        anywhere=st.sampled_from([False, False, True]),
        act=acts,
        dt=st.integers(0, 2),
        bound=st.sampled_from(["", "", "right", "stale version", "stale occurrence"]),
    )
    def act(
        self,
        heard: list[Spoken],
        data: st.DataObject,
        act: Act,
        dt: int,
        bound: str,
        anywhere: bool,
    ) -> None:
        self.hear([heard])
        self.elapsed += dt
        standing = sorted(name for name, _ in self.board.standing())
        known = sorted(self.model.alarms)
        name = data.draw(st.sampled_from(standing if standing and not anywhere else known))
        self.ask_for(name, act, bound)

    @rule(heard=answers(), act=st.sampled_from([Acknowledge(), Acknowledge(), Confirm(), Reset()]))
    def attend(self, heard: list[Spoken], act: Act) -> None:
        """Somebody goes through everything that stands."""
        self.hear([heard])
        for name, _ in self.board.standing():
            self.ask_for(name, act, "right")

    def ask_for(self, name: str, act: Act, bound: str) -> None:
        alarm = self.board.alarm(name)
        version, occurrence = alarm.version, alarm.occurrence
        if bound == "stale version":
            version -= 1
        if bound == "stale occurrence":
            occurrence += 1
        answer = self.board.act(
            name,
            act,
            self.now,
            expect_occurrence=occurrence if bound else None,
            expect_version=version if bound else None,
        )
        if bound.startswith("stale"):
            assert isinstance(answer, Refusal)
            assert answer.word == "stale"
            done = False
        else:
            done = self.model.act(name, act, self.elapsed)
            assert done != isinstance(answer, Refusal), (name, act, answer)
        self.agree([] if isinstance(answer, Refusal) else list(answer))

    @rule(
        heard=answers(),
        state=st.sampled_from(
            [
                EquipmentState.IN_USE,
                EquipmentState.IN_USE,
                EquipmentState.CLEANING,
                EquipmentState.MAINTENANCE,
                EquipmentState.WARMING_UP,
                EquipmentState.IDLE,
            ]
        ),
        phase=st.sampled_from(["", "", "harvest", "transduction"]),
        suppresses=st.sampled_from([True, True, False]),
    )
    def place(
        self, heard: list[Spoken], state: EquipmentState, phase: str, suppresses: bool
    ) -> None:
        self.hear([heard])
        self.here = Circumstances(state, phase, suppresses)
        events = list(self.board.place(E, self.here, self.now))
        self.model.place(self.here, self.elapsed)
        self.agree(events)

    @rule(heard=answers())
    def missed(self, heard: list[Spoken]) -> None:
        self.hear([heard])
        events = list(self.board.missed(E, self.now))
        self.model.missed(self.elapsed)
        self.agree(events)

    @rule(heard=answers(), by=st.integers(-7200, 7200))
    def clock_step(self, heard: list[Spoken], by: int) -> None:
        self.hear([heard])
        self.wall += by * SECOND
        self.board.retake()
        self.save()

    @rule(heard=answers(), away=st.sampled_from([0, 1, 3, 10]), reboot=flags)
    def restart(self, heard: list[Spoken], away: int, reboot: bool) -> None:
        self.hear([heard])
        self.elapsed += away
        if reboot:
            self.boots += 1
            self.booted = self.elapsed - 1
        facts = {
            name: snapshot.load(text, self.boot_id, self.now) for name, text in self.saved.items()
        }
        self.board = Board(self.plant, facts, {}, {E: self.here})
        self.model.restart()
        self.agree(list(self.board.reconcile(self.now)))

    def since(self, moment: Moment | None) -> int | None:
        return None if moment is None else self.until(moment.boot)

    def until(self, boot: int | None) -> int | None:
        return None if boot is None else boot // SECOND + self.booted

    @invariant()
    def every_fact_agrees(self) -> None:
        for name, documented in self.model.alarms.items():
            facts = self.facts_of(self.board.alarm(name), self.board.watched[name].rule)
            assert facts == expected_of(documented), name

    def facts_of(self, alarm: Alarm, under: Rule) -> dict[str, object]:
        return {
            "state": alarm.state,
            "underneath": alarm.unsuppressed_state,
            "active": alarm.active,
            "acknowledged": alarm.acknowledged,
            "confirmed": alarm.confirmed,
            "latched": alarm.latched and not alarm.active,
            "occurrence": alarm.occurrence,
            "version": alarm.version,
            "re_alarms": alarm.re_alarms,
            "asked_since": self.until(alarm.unacknowledged_since),
            "escalations": alarm.escalations,
            "priority": under.priority_after(alarm.escalations),
            "began": self.since(alarm.condition_start),
            "raised": self.since(alarm.alarm_time),
            "shelf": self.until(alarm.shelved_until),
            "one_shot": alarm.one_shot,
            "removal": self.until(alarm.out_of_service_until),
            **names(alarm, alarm.suppressed_by, alarm.superseded_by, annunciated=alarm.annunciated),
        }


def expected_of(alarm: DocumentedAlarm) -> dict[str, object]:
    annunciated = not alarm.silenced and not alarm.worse
    return {
        "state": alarm.state,
        "underneath": alarm.underneath,
        "active": alarm.active,
        "acknowledged": not alarm.owes_acknowledgement,
        "confirmed": not alarm.owes_confirmation,
        "latched": alarm.owes_reset and not alarm.active,
        "occurrence": alarm.occurrence,
        "version": alarm.version,
        "re_alarms": alarm.re_alarms,
        "asked_since": alarm.asked_since,
        "escalations": alarm.escalations,
        "priority": alarm.priority,
        "began": alarm.began,
        "raised": alarm.raised,
        "shelf": alarm.shelved_until,
        "one_shot": alarm.one_shot,
        "removal": alarm.out_until,
        **names(alarm, alarm.suppressed_by, alarm.worse, annunciated=annunciated),
    }


def names(
    alarm: Alarm | DocumentedAlarm, suppressed_by: str, superseded_by: str, *, annunciated: bool
) -> dict[str, object]:
    """Who speaks for it, which is no fact of a normal one."""
    state = alarm.unsuppressed_state if isinstance(alarm, Alarm) else alarm.underneath
    if state is State.NORMAL:
        return {}
    return {"by": suppressed_by, "over": superseded_by, "annunciated": annunciated}


TestIndependentModel = Independent.TestCase
TestIndependentModel.settings = settings(
    max_examples=60 * TIMES,
    phases=(Phase.generate, Phase.shrink),
    stateful_step_count=25,
    deadline=None,
)

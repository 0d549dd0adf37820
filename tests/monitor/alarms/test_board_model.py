"""The board against a small model written from the documents, and against itself without its bands.

The model is slow and plain: it looks at every alarm at every scan, keeps no bands and no facts,
and knows nothing of restarts: so whatever a restart changes in what is told, it finds.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from config.plant import ChannelType
from config.rules import (
    EquipmentState,
    Escalation,
    High,
    Low,
    OffNormal,
    Rule,
    Silent,
    Stale,
    Suppression,
    Unreadable,
    When,
)
from drivers.reading import Cause, Fault, Moment, Quality, Reason, Scan, Value
from monitor.alarms import bounds, snapshot
from monitor.alarms.bands import Words
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
from tests.monitor.alarms.small_plant import NOON, SECOND, channel, door, plant, source

S = SECOND
CLEANING, WARMING_UP = EquipmentState.CLEANING, EquipmentState.WARMING_UP
MAINTENANCE = EquipmentState.MAINTENANCE
HIGH = High(
    name="high",
    limit=37.5,
    deadband=0.5,
    on_delay=2 * S,
    off_delay=3 * S,
    confirm=True,
    when=(When(phases=("soak",), limit=38.4, on_delay=1 * S),),
)
WORSE = High(
    name="high-high",
    limit=39.0,
    deadband=0.5,
    latching=True,
    re_alarm=4 * S,
    escalate=(Escalation(after=3 * S), Escalation(after=9 * S)),
    when=(When(states=(WARMING_UP,), off=True), When(phases=("rinse",), off=True)),
)
LOW = Low(name="low", limit=36.0, deadband=0.5, on_delay=1 * S, latching=True, confirm=True)
QUICK = High(name="high", limit=37.5)
UNREADABLE = Unreadable(on_delay=2 * S)
OPEN = OffNormal(
    name="open",
    off_normal=(True,),
    latching=True,
    re_alarm=2 * S,
    escalate=Escalation(after=3 * S),
)
AJAR = OffNormal(name="ajar", normal=(False,), on_delay=2 * S)
HELD = OffNormal(name="held", off_normal=("held", "aborted"), off_delay=2 * S)
WRONG = OffNormal(name="wrong", normal=("heat", "idle"), on_delay=1 * S)

SUPPRESSED = {CLEANING: ("temp", "door/ajar"), WARMING_UP: ("*/low",), MAINTENANCE: ("*",)}
SPARED = {"unreadable", "silent-probe"}
"""Not meant by a channel, nor by a side."""
_PLANT = plant(
    source(
        0,
        "inc",
        "probe",
        "bus",
        [
            channel("temp", HIGH, WORSE, LOW, UNREADABLE),
            channel("mode", UNREADABLE, HELD, WRONG, kind=ChannelType.TEXT),
            door(OPEN, AJAR),
        ],
        Silent(name="silent-probe", on_delay=2 * S),
    ),
    source(1, "rea", "probe", "bus", [channel("temp", QUICK, UNREADABLE)]),
    line_silent={
        "bus": Silent(
            name="line-bus",
            on_delay=2 * S,
            latching=True,
            re_alarm=3 * S,
            escalate=Escalation(after=4 * S),
        )
    },
)
PLANT = replace(
    _PLANT,
    suppression={
        state: Suppression(suppress=what, longest=60 * S) for state, what in SUPPRESSED.items()
    },
)
LINE = "gateway/_/line-bus"
SILENT = ("inc/_/silent-probe", "rea/_/silent-probe")
RULES: list[list[list[tuple[str, Rule]]]] = [
    [
        [
            ("inc/temp/high-high", WORSE),
            ("inc/temp/high", HIGH),
            ("inc/temp/low", LOW),
            ("inc/temp/unreadable", UNREADABLE),
        ],
        [("inc/mode/unreadable", UNREADABLE), ("inc/mode/held", HELD), ("inc/mode/wrong", WRONG)],
        [("inc/door/open", OPEN), ("inc/door/ajar", AJAR)],
    ],
    [[("rea/temp/high", QUICK), ("rea/temp/unreadable", UNREADABLE)]],
]
"""By source and channel, in the order in which they are judged."""

Told = tuple[str, str, str]
"""Alarm, change, state after it."""

GOOD, UNSURE, BAD = "good", "unsure", "bad"
Said = tuple[str, float | str]
"""What a channel said: how good, and the value."""


class Being:
    """One alarm of the model."""

    def __init__(self, name: str, rule: Rule) -> None:
        self.name, self.rule = name, rule
        self.active = self.latched = self.owed = self.asked = self.unsure = False
        self.seen: int | None = None
        self.out: int | None = None
        self.once = False
        self.design = self.phase = ""
        self.beyond_since: int | None = None
        self.beyond_sure = False
        self.inside_since: int | None = None
        self.shelf: int | None = None
        self.cause = self.worse = ""
        self.told = self.escalations = 0
        self.heard: int | None = None
        """Since when people are asked without a break."""

    @property
    def normal(self) -> bool:
        return not (self.active or self.latched or self.owed or self.unsure)

    @property
    def silenced(self) -> bool:
        return self.shelf is not None or self.out is not None or self.cause != ""

    def ask(self) -> None:
        self.owed = self.asked = True
        self.unsure, self.seen = self.rule.confirm, None

    @property
    def state(self) -> str:
        if self.out is not None:
            return "out_of_service"
        if self.shelf is not None:
            return "shelved"
        silent = not self.normal and (self.cause or self.worse)
        return "suppressed" if silent else self.underneath

    @property
    def underneath(self) -> str:
        if self.active:
            return "unacknowledged" if self.owed else "acknowledged"
        if self.latched:
            return "latched_unacknowledged" if self.owed else "latched_acknowledged"
        if self.owed:
            return "returned"
        return "unconfirmed" if self.unsure else "normal"

    def tell(self, change: str) -> list[Told]:
        if self.normal:
            self.cause = self.worse = ""
        self.told += 1
        return [(self.name, change, self.state)]

    def gate(self, cause: str, worse: str) -> list[Told]:
        if (cause, worse) == (self.cause, self.worse):
            return []
        silenced = self.silenced
        self.cause, self.worse = cause, worse
        if silenced and not self.silenced and self.active:
            self.ask()
        if self.normal:
            return []
        return self.tell("suppressed" if cause or worse else "unsuppressed")

    def hear(self, word: str, now: int) -> list[Told]:
        if word == "unknown":
            self.inside_since, self.beyond_sure = None, False
        elif word == "beyond":
            self.inside_since, self.beyond_sure = None, True
            if not self.active and self.beyond_since is None:
                self.beyond_since = now
        elif word == "within":
            self.inside_since = self.beyond_since = None
        elif word == "clear":
            self.beyond_since = None
            if self.active and self.inside_since is None:
                self.inside_since = now
        return self.due(now)

    def due(self, now: int) -> list[Told]:
        begun, gone = self.beyond_since, self.inside_since
        if begun is not None and self.beyond_sure and now - begun >= self.held.on_delay // S:
            return self.rise()
        if gone is not None and now - gone >= self.rule.off_delay // S:
            return self.fall(now)
        again = self.rule.re_alarm
        if self.seen is None or again is None or now - self.seen < again // S:
            return self.escalate(now)
        if self.silenced or self.worse:
            return []
        self.owed, self.seen = True, None
        return self.tell("re_alarmed")

    def escalate(self, now: int) -> list[Told]:
        if self.heard is None or not (self.active or self.latched):
            return []
        if not self.owed or self.silenced or self.worse:
            return []
        due = sum(now - self.heard >= step.after // S for step in self.rule.steps)
        if due <= self.escalations:
            return []
        self.escalations = due
        return self.tell("escalated")

    def count(self, now: int) -> None:
        if not self.owed:
            self.escalations = 0
        if not self.owed or self.silenced or self.worse:
            self.heard = None
        elif self.heard is None:
            self.heard = now

    def rise(self) -> list[Told]:
        again = not self.normal
        self.active, self.beyond_since, self.seen = True, None, None
        self.asked = not self.silenced
        if self.asked:
            self.latched = False
            self.ask()
        return self.tell("raised_again" if again else "raised")

    def fall(self, now: int) -> list[Told]:
        self.active, self.inside_since, self.seen = False, None, None
        self.latched = self.latched or (self.rule.latching and self.asked)
        if self.shelf is not None and self.once:
            self.shelf = now
        return self.tell("cleared" if self.normal else "returned")

    def unshelve(self) -> list[Told]:
        self.shelf, self.once = None, False
        if self.active and not self.silenced:
            self.ask()
        return self.tell("unshelved")

    def serve(self) -> list[Told]:
        self.out = None
        if self.active and not self.silenced:
            self.ask()
        return self.tell("returned_to_service")

    @property
    def held(self) -> Rule:
        """The rule with the limit of the phase."""
        if self.phase == "soak" and self.rule == HIGH:
            return self.rule.model_copy(update={"limit": 38.4, "on_delay": S})
        return self.rule

    def visit(self, word: str | None, now: int, cause: str = "", worse: str = "") -> list[Told]:
        told: list[Told] = []
        cause = cause or self.design
        if word is not None:
            told += self.gate(cause or self.cause, worse or self.worse)
            told += self.hear(word, now)
        told += self.gate(cause, worse)
        if word is not None and self.shelf is not None and now >= self.shelf:
            told += self.unshelve()
        if word is not None and self.out is not None and now >= self.out:
            told += self.serve()
        if self.normal:
            self.cause = self.worse = ""
        self.count(now)
        return told


class Model:
    """The gateway of the model: one line, two units."""

    def __init__(self) -> None:
        self.line = Being(LINE, PLANT.line_silent["bus"])
        self.silent = [Being(SILENT[i], PLANT.sources[i].silent) for i in (0, 1)]
        self.beings = [[[Being(*one) for one in c] for c in s] for s in RULES]
        self.gate = ["", ""]
        every = [self.line, *self.silent, *(b for s in self.beings for c in s for b in c)]
        self.by_name = {being.name: being for being in every}

    def scan(self, unit: int, cause: Cause, said: Sequence[Said | None], now: int) -> list[Told]:
        said_of_line = {Cause.LINE: "beyond", Cause.UNKNOWN: "unknown"}.get(cause, "clear")
        told = self.line.visit(said_of_line, now)
        if cause is Cause.NONE:
            self.gate[unit] = ""
        no_answer = cause in {Cause.LINE, Cause.UNKNOWN}
        if no_answer and self.line.active:
            self.gate[unit] = LINE
        word = {Cause.NONE: "clear", Cause.SOURCE: "beyond"}.get(cause, "unknown")
        by_line = no_answer and self.gate[unit] == LINE
        told += self.silent[unit].visit(word, now, LINE if by_line else "")
        if cause is Cause.SOURCE and self.silent[unit].active:
            self.gate[unit] = SILENT[unit]
        for index, heard in enumerate(said):
            told += self.channel(unit, index, cause, heard, now)
        return told

    def channel(
        self, unit: int, index: int, cause: Cause, said: Said | None, now: int
    ) -> list[Told]:
        told: list[Told] = []
        for being in self.beings[unit][index]:
            if cause is not Cause.NONE:
                word = "unknown"
            else:
                word = "time" if said is None else verdict(being.held, said)
            told += being.visit(word, now, self.gate[unit], self.worse(unit, being))
        return told

    def worse(self, unit: int, being: Being) -> str:
        if being.name != "inc/temp/high":
            return ""
        worse = self.beings[unit][0][0]
        aside = worse.shelf is not None or worse.out is not None or worse.design
        return worse.name if worse.active and not aside else ""

    def place(self, state: EquipmentState, phase: str, suppresses: bool, now: int) -> list[Told]:
        """The incubator is in another state or phase."""
        beings = [being for of_channel in self.beings[0] for being in of_channel]
        for being in [self.silent[0], *beings]:
            being.design = by_design(being.name, state if suppresses else None, phase)
            being.phase = phase
        told = self.silent[0].visit(None, now, LINE if self.gate[0] == LINE else "")
        for being in beings:
            told += being.visit(None, now, self.gate[0], self.worse(0, being))
        return told

    def act(self, name: str, act: str, seconds: int, now: int) -> list[Told] | None:
        """What is told; None where the act is refused."""
        being = self.by_name[name]
        match act:
            case "acknowledge" if being.owed:
                being.owed, being.seen = False, now if being.active else None
                told = being.tell("acknowledged")
            case "confirm" if being.unsure and not being.owed:
                being.unsure = False
                told = being.tell("confirmed")
            case "reset" if being.latched and not being.owed and not being.active:
                being.latched = False
                told = being.tell("reset")
            case "shelve" | "shelve once":
                same = (being.shelf, being.once) == (now + seconds, act == "shelve once")
                being.shelf, being.once = now + seconds, act == "shelve once"
                told = [] if same else being.tell("shelved")
            case "unshelve" if being.shelf is not None:
                told = being.unshelve()
            case "remove":
                same = being.out == now + seconds
                being.out = now + seconds
                told = [] if same else being.tell("removed_from_service")
            case "return" if being.out is not None:
                told = being.serve()
            case _:
                return None
        being.count(now)
        return told + self.look(name, now)

    def look(self, name: str, now: int) -> list[Told]:
        told: list[Told] = []
        for unit, channels in enumerate(self.beings):
            for beings in channels:
                if any(being.name == name for being in beings):
                    for being in beings:
                        told += being.visit(None, now, self.gate[unit], self.worse(unit, being))
        return told


def by_design(name: str, state: EquipmentState | None, phase: str) -> str:
    """What suppresses an alarm of the incubator; no state: one that has lasted too long."""
    _, channel, rule_name = name.split("/")
    if rule_name == "high-high" and state is not WARMING_UP and phase == "rinse":
        return "phase:rinse"
    match state:
        case EquipmentState.CLEANING:
            whole = channel == "temp" and rule_name not in SPARED
            meant = whole or (channel, rule_name) == ("door", "ajar")
        case EquipmentState.WARMING_UP:
            meant = rule_name in {"low", "high-high"}
        case _:
            meant = state is MAINTENANCE
    return f"state:{state}" if meant else ""


def verdict(rule: Rule, said: Said) -> str:
    how, value = said
    if isinstance(rule, Unreadable):
        return "beyond" if how == BAD else "clear"
    if isinstance(rule, OffNormal):
        return of_state(rule, how, value)
    assert isinstance(rule, High | Low)
    if how == BAD or isinstance(value, str):
        return "unknown"
    side = 1 if isinstance(rule, High) else -1
    if side * value > side * rule.limit:
        return "beyond"
    if how == UNSURE:
        return "unknown"
    return "clear" if side * value < side * rule.limit - rule.deadband else "within"


def of_state(rule: OffNormal, how: str, value: float | str) -> str:
    if how == BAD:
        return "unknown"
    if value in rule.off_normal or (rule.normal and value not in rule.normal):
        return "beyond"
    return "unknown" if how == UNSURE else "clear"


def told_by(events: Sequence[AlarmEvent]) -> list[Told]:
    return [(event.name, event.change.value, event.after.value) for event in events]


TEMPERATURES = st.sampled_from(
    [35.0, 35.9, 36.0, 36.4, 36.6, 37.0, 37.1, 37.5, 37.6, 38.4, 38.6, 39.5]
)
SAID: st.SearchStrategy[Said] = st.tuples(
    st.sampled_from([GOOD, GOOD, GOOD, UNSURE, BAD]), TEMPERATURES
)
MODES: st.SearchStrategy[Said] = st.tuples(
    st.sampled_from([GOOD, GOOD, UNSURE, BAD]), st.sampled_from(["heat", "idle", "held", "aborted"])
)
DOORS: st.SearchStrategy[Said] = st.tuples(
    st.sampled_from([GOOD, GOOD, UNSURE, BAD]), st.booleans()
)
CAUSES = st.sampled_from([Cause.SOURCE, Cause.LINE, Cause.UNKNOWN])
FAULTS = {
    UNSURE: Fault(Quality.UNCERTAIN, Reason.DEVICE_STATUS),
    BAD: Fault(Quality.BAD, Reason.SENTINEL),
}
NAMES = st.sampled_from([LINE, *SILENT, *(name for s in RULES for c in s for name, _ in c)])
STATES = st.sampled_from([EquipmentState.IN_USE, CLEANING, WARMING_UP, MAINTENANCE])
PHASES = st.sampled_from(["", "soak", "rinse"])
ACTS = [
    "acknowledge",
    "confirm",
    "reset",
    "shelve",
    "shelve once",
    "unshelve",
    "remove",
    "return",
]


def act_of(act: str, seconds: int) -> Act:
    acts: dict[str, Act] = {
        "acknowledge": Acknowledge(),
        "confirm": Confirm(),
        "reset": Reset(),
        "shelve": Shelve(seconds * S),
        "shelve once": Shelve(seconds * S, one_shot=True),
        "unshelve": Unshelve(),
        "remove": RemoveFromService(seconds * S),
        "return": ReturnToService(),
    }
    return acts[act]


def scan_of(unit: int, now: Moment, said: Sequence[Said | None]) -> Scan:
    values: tuple[Value | None, ...] = tuple(
        None if one is None or one[0] == BAD else one[1] for one in said
    )
    faults = {i: FAULTS[one[0]] for i, one in enumerate(said) if one and one[0] in FAULTS}
    silent = [i for i, one in enumerate(said) if one is None]
    spoke = frozenset(range(len(said))) - frozenset(silent) if silent else None
    return Scan(unit, *now, values, faults, spoke=spoke)


def lost_scan(unit: int, now: Moment, cause: Cause, channels: int) -> Scan:
    fault = Fault(Quality.BAD, Reason.TIMED_OUT)
    nothing = (None,) * channels
    return Scan(unit, *now, nothing, dict.fromkeys(range(channels), fault), cause=cause)


class BoardMachine(RuleBasedStateMachine):
    """Any story of scans, outages, acts, restarts and reboots."""

    @initialize()
    def begin(self) -> None:
        self.board, self.model = Board(PLANT, {}), Model()
        self.circumstances = Circumstances()
        self.saved: dict[str, str] = {}
        self.now, self.booted, self.boot_id = 0, -5_000, 1
        self.known = dict.fromkeys(self.model.by_name, State.NORMAL)
        self.versions = dict.fromkeys(self.model.by_name, 0)

    @property
    def moment(self) -> Moment:
        return Moment(NOON + self.now * S, (self.now - self.booted) * S)

    def check(self, events: Sequence[AlarmEvent], expected: list[Told]) -> None:
        assert told_by(events) == expected
        for event in events:
            assert event.before is self.known[event.name]
            self.known[event.name] = event.after
            self.versions[event.name] += 1
            assert event.alarm.version == self.versions[event.name]
            assert event.alarm.state is event.after
        facts = self.board.take_changed()
        self.saved |= {
            n: snapshot.dump(a, str(self.boot_id), self.moment) for n, a in facts.items()
        }

    def observe(self, scan: Scan, said: Sequence[Said | None]) -> None:
        expected = self.model.scan(scan.source, scan.cause, said, self.now)
        self.check(self.board.observe(scan), expected)

    @rule(seconds=st.integers(1, 3), temp=SAID, mode=MODES, door=DOORS)
    def incubator_speaks(self, seconds: int, temp: Said, mode: Said, door: Said) -> None:
        self.now += seconds
        self.observe(scan_of(0, self.moment, [temp, mode, door]), [temp, mode, door])

    @rule(temps=st.lists(TEMPERATURES, min_size=1, max_size=6))
    def incubator_is_well(self, temps: list[float]) -> None:
        for temp in temps:
            self.incubator_speaks(1, (GOOD, temp), (GOOD, "heat"), (GOOD, False))

    @rule(temp=SAID)
    def bioreactor_speaks(self, temp: Said) -> None:
        self.now += 1
        self.observe(scan_of(1, self.moment, [temp]), [temp])

    @rule(temp=SAID, seconds=st.integers(0, 1))
    def temperature_changes(self, temp: Said, seconds: int) -> None:
        self.now += seconds
        self.observe(scan_of(0, self.moment, [temp, None, None]), [temp, None, None])

    @rule(mode=MODES, seconds=st.integers(0, 2))
    def mode_changes(self, mode: Said, seconds: int) -> None:
        self.now += seconds
        self.observe(scan_of(0, self.moment, [None, mode, None]), [None, mode, None])

    @rule(door=DOORS, seconds=st.integers(0, 2))
    def door_moves(self, door: Said, seconds: int) -> None:
        self.now += seconds
        self.observe(scan_of(0, self.moment, [None, None, door]), [None, None, door])

    @rule(unit=st.integers(0, 1), cause=CAUSES, scans=st.integers(1, 4))
    def unit_is_lost(self, unit: int, cause: Cause, scans: int) -> None:
        for _ in range(scans):
            self.now += 1
            channels = len(RULES[unit])
            self.observe(lost_scan(unit, self.moment, cause, channels), [None] * channels)

    @rule(state=STATES, phase=PHASES, suppresses=st.sampled_from([True, True, False]))
    def incubator_is_put_to_use(self, state: EquipmentState, phase: str, suppresses: bool) -> None:
        self.circumstances = Circumstances(state, phase, suppresses)
        events = self.board.place("inc", self.circumstances, self.moment)
        self.check(events, self.model.place(state, phase, suppresses, self.now))

    @rule(name=NAMES, act=st.sampled_from(ACTS), seconds=st.integers(1, 6))
    def someone_acts(self, name: str, act: str, seconds: int) -> None:
        answer = self.board.act(name, act_of(act, seconds), self.moment)
        expected = self.model.act(name, act, seconds, self.now)
        if isinstance(answer, Refusal):
            assert expected is None
        else:
            assert expected is not None
            self.check(answer, expected)

    @rule(acts=st.lists(st.sampled_from(["acknowledge", "confirm", "reset"]), max_size=3))
    def everything_is_seen_to(self, acts: list[str]) -> None:
        for name in [name for name, _ in self.board.standing()]:
            for act in ["acknowledge", *acts]:
                self.someone_acts(name, act, 1)

    @rule(temp=TEMPERATURES, opened=st.booleans(), scans=st.integers(2, 6))
    def things_stay_as_they_are(self, temp: float, opened: bool, scans: int) -> None:
        for _ in range(scans):
            self.incubator_speaks(1, (GOOD, temp), (GOOD, "heat"), (GOOD, opened))

    @rule(
        name=st.sampled_from(["inc/temp/high-high", "inc/temp/high", "inc/door/open"]),
        acts=st.lists(st.sampled_from(["shelve", "shelve once", "remove"]), min_size=1),
        seconds=st.integers(1, 9),
    )
    def one_is_put_aside(self, name: str, acts: list[str], seconds: int) -> None:
        for act in acts:
            self.someone_acts(name, act, seconds)

    def started_with(self, facts: dict[str, Alarm]) -> None:
        self.board = Board(PLANT, facts, circumstances={"inc": self.circumstances})
        assert self.board.reconcile(self.moment) == ()

    @rule()
    def daemon_restarts(self) -> None:
        boot = str(self.boot_id)
        self.started_with({n: snapshot.load(t, boot, self.moment) for n, t in self.saved.items()})

    @rule(away=st.integers(0, 5))
    def machine_reboots(self, away: int) -> None:
        """The machine has been up for a second when the daemon is there again."""
        self.now += away
        self.booted, self.boot_id = self.now - 1, self.boot_id + 1
        boot = str(self.boot_id)
        facts = {n: snapshot.load(t, boot, self.moment) for n, t in self.saved.items()}
        self.saved = {n: snapshot.dump(a, boot, self.moment) for n, a in facts.items()}
        self.started_with(facts)

    @invariant()
    def every_alarm_stands_as_in_the_model(self) -> None:
        for name, being in self.model.by_name.items():
            assert self.board.alarm(name).state.value == being.state, name
            assert self.board.alarm(name).version == being.told
            assert self.board.alarm(name).escalations == being.escalations

    @invariant()
    def only_what_is_normal_is_left_out(self) -> None:
        standing = dict(self.board.standing())
        assert {n for n, b in self.model.by_name.items() if b.state != "normal"} == set(standing)


TestBoardMachine = BoardMachine.TestCase
TestBoardMachine.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)


STALE = Stale(on_delay=2 * S)
_TIMED = plant(
    source(
        0,
        "inc",
        "probe",
        "bus",
        [
            channel("temp", HIGH, WORSE, LOW, UNREADABLE, STALE, timed=True),
            channel("mode", UNREADABLE, STALE, HELD, WRONG, kind=ChannelType.TEXT, timed=True),
            channel("co2", QUICK),
            door(OPEN, AJAR),
        ],
    )
)
TIMED = replace(_TIMED, suppression=PLANT.suppression)
PLACED = st.builds(Circumstances, STATES, PHASES, st.booleans())
DONE = st.tuples(
    st.sampled_from(["inc/temp/high-high", "inc/temp/high", "inc/temp/low", "inc/door/open"]),
    st.sampled_from(["acknowledge", "confirm", "reset", "shelve", "shelve once", "remove"]),
)
BESIDE = st.one_of(st.none(), st.none(), PLACED, DONE)
ROW = st.tuples(SAID, MODES, SAID, DOORS, st.integers(1, 3), st.booleans())
OUTAGE = st.sampled_from(
    [Cause.NONE, Cause.NONE, Cause.NONE, Cause.SOURCE, Cause.LINE, Cause.UNKNOWN]
)
STEADY = ((GOOD, 37.0), (GOOD, "heat"), (GOOD, 37.0), (GOOD, False), 1, False)


def without_bands(board: Board) -> Board:
    """Have every rule of every channel looked at by the next scan."""
    for one in board._sources:
        one.restless |= {*range(len(one.channels)), *bounds.CAUSES}
        one.lowest, one.highest = [inf] * len(one.levels), [-inf] * len(one.levels)
        one.words = dict.fromkeys(one.words, Words(but=False))
    return board


def done(
    board: Board, beside: Circumstances | tuple[str, str] | None, now: Moment
) -> Sequence[AlarmEvent] | Refusal:
    """What is told of an act or of another state of the incubator."""
    if beside is None:
        return ()
    if isinstance(beside, Circumstances):
        return board.place("inc", beside, now)
    name, act = beside
    return board.act(name, act_of(act, 3), now)


@given(st.lists(st.tuples(ROW | st.just(STEADY), OUTAGE, st.integers(1, 2), BESIDE), max_size=60))
def test_the_fast_path_tells_what_looking_at_everything_tells(
    story: list[
        tuple[
            tuple[Said, Said, Said, Said, int, bool],
            Cause,
            int,
            Circumstances | tuple[str, str] | None,
        ]
    ],
) -> None:
    fast, slow, at = Board(TIMED, {}), Board(TIMED, {}), 0
    for (temp, mode, co2, opened, time, partial), cause, seconds, beside in story:
        at += seconds
        now = Moment(NOON + at * S, at * S)
        assert done(fast, beside, now) == done(slow, beside, now)
        scan = scan_of(0, now, [temp, None if partial else mode, co2, opened])
        scan = scan._replace(source_times={0: time} if partial else {0: time, 1: time + 1})
        if cause is not Cause.NONE:
            scan = lost_scan(0, now, cause, 4)
        assert fast.observe(scan) == without_bands(slow).observe(scan)
        assert [fast.alarm(n) for n in fast.watched] == [slow.alarm(n) for n in slow.watched]

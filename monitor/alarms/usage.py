"""How an equipment is used: its state, its phase and the batches in it, and what changes them.

An operator's act that stands decides; else the first channel that tells a state; else it is in use.
What cannot be read keeps its last word for ``GRACE``; then the state is not known, which counts as
in use, and the phase is none. That an earlier channel is not known is not made good by a later one:
it may be the one that would say "in use".
Durations run on ``Moment.boot``; ``Moment.at`` is for the record.
"""

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from itertools import chain
from typing import NamedTuple, assert_never

from config.plant import Channel, Place, Plant
from config.rules import EquipmentState, High, Low, When
from drivers.reading import Moment, Value
from monitor.alarms.facts import Circumstances, Refusal

SECOND = 10**9
GRACE = 60 * SECOND
"""How long the last word of a channel that cannot be read counts."""
LONGEST_OVERRIDE = 366 * 24 * 3600 * SECOND
LONGEST_NAME = 64
"""Characters of a batch's id, and of a position."""
LONGEST_PHASE = 200
"""Characters of a phase: it is told in every alarm."""
MOST_LOADED = 1000
"""Batches and places in one equipment: they are told in every alarm."""


class ToldBy(StrEnum):
    """Who says what state an equipment is in."""

    NOBODY = "default"
    """Nobody says anything else than in use."""
    CHANNEL = "channel"
    ACT = "act"
    UNKNOWN = "unknown"
    """A channel that should say it cannot be read."""


class Word(NamedTuple):
    """What a channel said last."""

    channel: str
    said: Value | None = None
    """Its last good reading; None before the first."""
    lost: Moment | None = None
    """Since when it has no good reading; None while it has."""

    def is_known(self, now: Moment) -> bool:
        """Whether what it said still counts."""
        return self.lost is None or now.boot - self.lost.boot < GRACE


class Override(NamedTuple):
    """An operator's word on the state: it goes before what channels tell."""

    state: EquipmentState
    user: str
    reason: str
    since: Moment
    until: int | None = None
    """Elapsed time at which it ends; None: with the next act."""


class Loaded(NamedTuple):
    """A batch at a place in an equipment."""

    batch: str
    """Opaque: never a part of a topic, a tag or a line of the log."""
    position: str
    since: int
    """Record time (ns, UTC)."""


class Usage(NamedTuple):
    """How one equipment is used."""

    state: EquipmentState = EquipmentState.IN_USE
    since: Moment | None = None
    """When it came to that state; None: it was never in another."""
    cause: ToldBy = ToldBy.NOBODY
    told: str = ""
    """Where a channel tells it: which, and what it says."""
    phase: str = ""
    """Empty where none is known."""
    override: Override | None = None
    exhausted: bool = False
    """The state has suppressed for as long as it may, and suppresses no longer."""
    phase_since: Moment | None = None
    """When it came to that phase; None where none is known."""
    phase_exhausted: bool = False
    """As ``exhausted``, of the phase."""
    words: tuple[Word, ...] = ()
    loaded: tuple[Loaded, ...] = ()
    bridged: bool = False
    """The machine was started anew in this state: the wall clock stood in for elapsed time."""

    @property
    def batches(self) -> tuple[str, ...]:
        """The ids of the batches inside, each once, in the order in which they were loaded."""
        return tuple(dict.fromkeys(one.batch for one in self.loaded))

    @property
    def circumstances(self) -> Circumstances:
        """What its alarms depend on."""
        return Circumstances(
            self.state, self.phase, not self.exhausted, phase_suppresses=not self.phase_exhausted
        )

    def word(self, channel: str) -> Word:
        """Return what ``channel`` said last."""
        return next((word for word in self.words if word.channel == channel), Word(channel))


UNUSED = Usage()
"""Of which nothing has ever been said: nothing of it need be kept."""


class Teller(NamedTuple):
    """A channel that tells the state or the phase of an equipment."""

    place: Place
    channel: str
    names: Mapping[int, str]
    """Of False (0) and True (1), where it has two states."""
    states: Mapping[float | bool | str, EquipmentState]

    def name(self, said: Value) -> str:
        """Return what it says as people are told it."""
        return self.names.get(int(said), str(said)) if isinstance(said, bool) else str(said)


class Manner(NamedTuple):
    """What the file says of an equipment's use."""

    state_from: tuple[Teller, ...] = ()
    phase_from: Teller | None = None
    longest: Mapping[EquipmentState, int] = {}
    """By each state that suppresses anything: for how long at most (ns)."""
    longest_of_phase: Mapping[str, int] = {}
    """By each phase that switches a limit off: likewise."""

    @property
    def tellers(self) -> Iterator[Teller]:
        """Every channel that tells anything; one that tells both comes twice."""
        yield from self.state_from
        if self.phase_from:
            yield self.phase_from

    def ends_suppressing(self, usage: Usage) -> int | None:
        """Return the elapsed time at which the state may suppress no longer; None: it does not."""
        longest = self.longest.get(usage.state)
        if longest is None or usage.since is None or usage.exhausted:
            return None
        return usage.since.boot + longest

    def phase_ends_suppressing(self, usage: Usage) -> int | None:
        """Return the same of the phase."""
        longest = self.longest_of_phase.get(usage.phase)
        if longest is None or usage.phase_since is None or usage.phase_exhausted:
            return None
        return usage.phase_since.boot + longest


class UsageChange(StrEnum):
    """What happened to an equipment's use: the word of an event."""

    STATE = "state"
    """Another state, or the same one on another word: an act, or none that can be known."""
    PHASE = "phase"
    SUPPRESSION_ENDED = "suppression_ended"
    """The state goes on, but it has suppressed for as long as it may."""
    PHASE_SUPPRESSION_ENDED = "phase_suppression_ended"
    """The phase goes on, but what it switches off has been off for as long as it may."""


class UsageEvent(NamedTuple):
    """One change of an equipment's state or phase."""

    equipment: str
    change: UsageChange
    before: Usage
    after: Usage
    now: Moment


class Occupancy(NamedTuple):
    """A batch came into an equipment or left it."""

    equipment: str
    came: bool
    loaded: Loaded
    """``loaded.since`` is when it came, also where it leaves."""
    now: Moment


class SetState(NamedTuple):
    """An operator says what state the equipment is in."""

    state: EquipmentState | None
    """None: what its channels tell."""
    user: str
    reason: str
    duration: int | None = None
    """After this (ns) its channels tell again. None: for as long as the state may suppress; for
    good where it suppresses nothing."""


class Load(NamedTuple):
    """A batch comes into the equipment."""

    batch: str
    position: str = ""


class Unload(NamedTuple):
    """A batch leaves the equipment."""

    batch: str
    position: str = ""
    """Empty: wherever in it the batch is."""


UsageAct = SetState | Load | Unload


def manner(plant: Plant, equipment: str) -> Manner:
    """Return what the file says of the use of ``equipment``."""
    known, off = plant.by_name[equipment], list(_switching_off(plant, equipment))
    off_in = frozenset(chain.from_iterable(when.states for when in off if not when.phases))
    return Manner(
        tuple(_teller(plant, each.place, each.states) for each in known.state_from),
        known.phase_from and _teller(plant, known.phase_from, {}),
        {
            state: each.longest
            for state, each in plant.suppression.items()
            if each.suppress or state in off_in
        },
        _longest_of_phase(off),
    )


def _switching_off(plant: Plant, equipment: str) -> Iterator[When]:
    """Where some limit of the equipment does not hold: that suppresses, too."""
    channels = (c for s in plant.by_name[equipment].sources for c in plant.sources[s].channels)
    rules = (rule for channel in channels for rule in channel.rules)
    whens = (when for rule in rules if isinstance(rule, High | Low) for when in rule.when)
    return (when for when in whens if when.off)


def _longest_of_phase(off: Iterable[When]) -> Mapping[str, int]:
    """By phase: the shortest time that any limit may be off in it."""
    found: dict[str, int] = {}
    for when in off:
        for phase in when.phases:
            found[phase] = min(when.longest, found.get(phase, when.longest))
    return found


def _teller(
    plant: Plant, place: Place, states: Mapping[float | bool | str, EquipmentState]
) -> Teller:
    channel: Channel = plant.sources[place[0]].channels[place[1]]
    return Teller(place, channel.name, channel.names, states)


def begin(usage: Usage, manner: Manner, now: Moment) -> Usage:
    """Return ``usage`` with just those words that today's file asks for; new ones are yet to come.

    A channel that never spoke has ``GRACE`` to do so.
    """
    channels = dict.fromkeys(teller.channel for teller in manner.tellers)
    known = {word.channel: word for word in usage.words}
    words = tuple(known.get(channel) or Word(channel, lost=now) for channel in channels)
    return usage if words == usage.words else usage._replace(words=words)


def hear(usage: Usage, channel: str, said: Value | None, now: Moment) -> Usage:
    """Return ``usage`` after a reading of one of its channels; None is one that cannot be used."""
    before = usage.word(channel)
    if said is None:
        after = before if before.lost else before._replace(lost=now)
    else:
        after = before if said == before.said and not before.lost else Word(channel, said)
    if after is before:
        return usage
    others = (after if word is before else word for word in usage.words)
    return usage._replace(words=tuple(others))


def settle(usage: Usage, manner: Manner, now: Moment) -> Usage:
    """Return ``usage`` as it is at ``now``: all words weighed, and what is due fallen due."""
    override = usage.override
    if override and override.until is not None and now.boot >= override.until:
        override = None
    state, cause, told = _state(usage, override, manner, now)
    phase = _phase(usage, manner, now)
    settled = usage._replace(cause=cause, told=told, phase=phase, override=override)
    if phase != usage.phase or (usage.phase_since is None and phase):
        since = now if phase else None
        settled = settled._replace(phase_since=since, phase_exhausted=False)
    if state is not usage.state:
        settled = settled._replace(state=state, since=now, exhausted=False, bridged=False)
    elif usage.since is None and state in manner.longest:
        settled = settled._replace(since=now)
    return _spent(settled, manner, now)


def _spent(usage: Usage, manner: Manner, now: Moment) -> Usage:
    """End what has suppressed for as long as it may."""
    end, phase_end = manner.ends_suppressing(usage), manner.phase_ends_suppressing(usage)
    if end is not None and now.boot >= end:
        usage = usage._replace(exhausted=True)
    if phase_end is not None and now.boot >= phase_end:
        usage = usage._replace(phase_exhausted=True)
    return usage


def _state(
    usage: Usage, override: Override | None, manner: Manner, now: Moment
) -> tuple[EquipmentState, ToldBy, str]:
    if override:
        return override.state, ToldBy.ACT, ""
    for teller in manner.state_from:
        word = usage.word(teller.channel)
        if not word.is_known(now):
            return EquipmentState.IN_USE, ToldBy.UNKNOWN, teller.channel
        if word.said is None:
            break
        if state := teller.states.get(word.said):
            said = teller.name(word.said)[:LONGEST_PHASE]
            return state, ToldBy.CHANNEL, f"{teller.channel}: {said}"
    return EquipmentState.IN_USE, ToldBy.NOBODY, ""


def _phase(usage: Usage, manner: Manner, now: Moment) -> str:
    teller = manner.phase_from
    if teller is None:
        return ""
    word = usage.word(teller.channel)
    known = word.said is not None and word.is_known(now)
    return teller.name(word.said)[:LONGEST_PHASE] if known and word.said is not None else ""


def due(usage: Usage, manner: Manner, now: Moment) -> int | None:
    """Return the elapsed time at which the passing of time changes something next."""
    lost = (word.lost.boot + GRACE for word in usage.words if word.lost)
    override = usage.override.until if usage.override else None
    ends = manner.ends_suppressing(usage), manner.phase_ends_suppressing(usage)
    times = (*lost, override, *ends)
    return min((time for time in times if time is not None and time > now.boot), default=None)


def differences(equipment: str, before: Usage, after: Usage, now: Moment) -> Iterator[UsageEvent]:
    """Give an event for each thing that people are told of."""
    if _stated(before) != _stated(after):
        yield UsageEvent(equipment, UsageChange.STATE, before, after, now)
    if before.phase != after.phase:
        yield UsageEvent(equipment, UsageChange.PHASE, before, after, now)
    if after.exhausted and not before.exhausted:
        yield UsageEvent(equipment, UsageChange.SUPPRESSION_ENDED, before, after, now)
    if after.phase_exhausted and not before.phase_exhausted:
        yield UsageEvent(equipment, UsageChange.PHASE_SUPPRESSION_ENDED, before, after, now)


def _stated(usage: Usage) -> tuple[object, ...]:
    return usage.state, usage.cause is ToldBy.UNKNOWN, usage.override


def do(usage: Usage, act: UsageAct, manner: Manner, now: Moment) -> Usage | Refusal:
    """Return ``usage`` after an operator's act, not settled yet, or why it is not done."""
    match act:
        case SetState():
            return _set_state(usage, act, manner, now)
        case Load():
            return _load(usage, act, now)
        case Unload():
            return _unload(usage, act)
        case _:
            assert_never(act)


def _set_state(usage: Usage, act: SetState, manner: Manner, now: Moment) -> Usage | Refusal:
    if not act.reason.strip():
        return Refusal("reason_required", "say why")
    if act.state is None:
        if usage.override is None:
            return Refusal("already_done", "no state that was set by hand stands")
        return usage._replace(override=None)
    lasts = manner.longest.get(act.state) if act.duration is None else act.duration
    if lasts is not None and lasts <= 0:
        return Refusal("illegal_transition", "a state lasts for more than nothing")
    if lasts is not None and lasts > LONGEST_OVERRIDE:
        return Refusal("too_long", "a state is set for a year at most")
    until = None if lasts is None else now.boot + lasts
    return usage._replace(override=Override(act.state, act.user, act.reason, now, until))


def _load(usage: Usage, act: Load, now: Moment) -> Usage | Refusal:
    refusal = _unfit("batch", act.batch)
    if refusal is None and act.position:
        refusal = _unfit("position", act.position)
    if refusal:
        return refusal
    if any((one.batch, one.position) == act for one in usage.loaded):
        return Refusal("already_done", "that batch is in that place already")
    if len(usage.loaded) >= MOST_LOADED:
        return Refusal("too_many", f"{MOST_LOADED} batches are in it already")
    return usage._replace(loaded=(*usage.loaded, Loaded(act.batch, act.position, now.at)))


def _unload(usage: Usage, act: Unload) -> Usage | Refusal:
    left = tuple(
        one
        for one in usage.loaded
        if one.batch != act.batch or (act.position and one.position != act.position)
    )
    if len(left) == len(usage.loaded):
        where = "in that place" if act.position else "in it"
        return Refusal("not_there", f"that batch is not {where}")
    return usage._replace(loaded=left)


def _unfit(what: str, text: str) -> Refusal | None:
    """Why ``text`` cannot name a batch or a place: what cannot be seen cannot be told apart."""
    if not text.strip():
        return Refusal("invalid", f"say which {what}")
    if len(text) > LONGEST_NAME:
        return Refusal("invalid", f"a {what} has {LONGEST_NAME} characters at most")
    if not text.isprintable() or text != text.strip():
        return Refusal("invalid", f"a {what} has printable characters only, no spaces at its ends")
    return None


def moves(equipment: str, before: Usage, after: Usage, now: Moment) -> Iterator[Occupancy]:
    """Give an event for each batch that came or left."""
    was, stays = set(before.loaded), set(after.loaded)
    for one in before.loaded:
        if one not in stays:
            yield Occupancy(equipment, came=False, loaded=one, now=now)
    for one in after.loaded:
        if one not in was:
            yield Occupancy(equipment, came=True, loaded=one, now=now)

"""What becomes of an alarm when something is read, time passes or an operator acts. Pure.

``step`` changes facts; ``transition`` reads the event off the difference of two of them, so that
no event is written by hand and none can be forgotten.

How acknowledgement fares:
every raise asks for one; it outlives the return of the condition, and the next occurrence.
Shelf, suppression and removal from service silence an alarm, each by itself. A raise underneath
asks nobody, and leaves nothing to do if it is gone before the last of the three ends; what still is
active then is annunciated anew, whoever acknowledged it before.
Leaving supersession does not: who acknowledged the milder level in this occurrence has seen it,
and one that was raised underneath the worse level never was acknowledged.
The time after which it escalates runs while people are asked without a break, over returns and
raises; what was reached stays until somebody acknowledges it.
"""

from typing import assert_never

from config.model import spell
from config.rules import (
    CalibrationDue,
    Deviation,
    Discrepancy,
    Flatline,
    High,
    Low,
    OffNormal,
    Rate,
    Repeated,
    Rule,
    Silent,
    Stale,
    StatusBits,
    Unreadable,
)
from drivers.reading import Moment, Quality, Value
from monitor.alarms.facts import (
    Acknowledge,
    Act,
    Alarm,
    AlarmEvent,
    Change,
    Condition,
    Confirm,
    Elapsed,
    Observation,
    Pending,
    Refusal,
    RemoveFromService,
    Reset,
    ReturnToService,
    Shelve,
    State,
    Stimulus,
    Unshelve,
)
from monitor.alarms.trend import looked_back
from monitor.alarms.verdict import Measured, Verdict, figure, usable, verdict, worse

LONGEST_REMOVAL = 30 * 86_400 * 10**9
"""Out of service for a month at most (ns of elapsed time): whoever keeps an alarm out for longer
says so again, since a list of what is out is worth something only where it is gone through."""


def step(rule: Rule, alarm: Alarm, stimulus: Stimulus, now: Moment) -> Alarm:
    """Return what ``alarm`` becomes; ``alarm`` itself when nothing changes.

    Delays run on ``now.boot``: the first scan at which one has elapsed decides.
    An act that ``refuse`` speaks against changes nothing.
    """
    match stimulus:
        case Observation() | Condition():
            after = _settle(rule, _observe(rule, alarm, stimulus, now), now)
            if after.active is not alarm.active:
                after = _valued(after, stimulus)
        case Elapsed():
            after = _settle(rule, alarm, now)
        case (
            Acknowledge()
            | Confirm()
            | Reset()
            | Shelve()
            | Unshelve()
            | RemoveFromService()
            | ReturnToService()
        ):
            refused = refuse(rule, alarm, stimulus)
            after = alarm if refused else _acted(rule, alarm, stimulus, now)
        case _:
            assert_never(stimulus)
    return _counted(alarm, after, now)


def lapse(rule: Rule, alarm: Alarm, now: Moment) -> Alarm:
    """End a shelf or a removal from service whose time is over; one of the two, the shelf first."""
    if alarm.shelved_until is not None and now.boot >= alarm.shelved_until:
        return _counted(alarm, _unshelved(rule, alarm), now)
    if alarm.out_of_service_until is not None and now.boot >= alarm.out_of_service_until:
        return _counted(alarm, _in_service(rule, alarm), now)
    return alarm


def gate(rule: Rule, alarm: Alarm, suppressed_by: str, superseded_by: str, now: Moment) -> Alarm:
    """Let a cause and a worse level (by alarm name; empty: none) speak for ``alarm``, or no longer.

    By design, ``state:cleaning`` or ``phase:harvest`` stands in for the name of a cause.
    A normal alarm bears the names without an event, so that a raise underneath is not annunciated;
    ``ungated`` takes them off again.
    """
    if alarm.suppressed_by == suppressed_by and alarm.superseded_by == superseded_by:
        return alarm
    after = alarm._replace(suppressed_by=suppressed_by, superseded_by=superseded_by)
    return _counted(alarm, _heard(rule, alarm, after), now)


def ungated(alarm: Alarm) -> Alarm:
    """Take the names of those who speak for it off an alarm that has nothing to say."""
    if alarm.suppressed_by or alarm.superseded_by:
        return _quiet(alarm)
    return alarm


def transition(name: str, before: Alarm, after: Alarm, now: Moment) -> AlarmEvent | None:
    """Return the event that lies between the two; None when there is nothing to tell."""
    change = None if after.version == before.version else _change(before, after)
    if change is None:
        return None
    return AlarmEvent(name, change, before.state, after.state, now, after)


def refuse(rule: Rule, alarm: Alarm, act: Act) -> Refusal | None:
    """Return why ``act`` may not be done on ``alarm`` as it stands; None when it may."""
    match act:
        case Acknowledge():
            return _refuse_acknowledge(alarm)
        case Confirm():
            return _refuse_confirm(rule, alarm)
        case Reset():
            return _refuse_reset(alarm)
        case Shelve(duration):
            return _refuse_shelf(rule, duration)
        case RemoveFromService(duration):
            return _refuse_removal(duration)
        case Unshelve() | ReturnToService():
            return _refuse_end(alarm, act)
        case _:
            assert_never(act)


def _observe(rule: Rule, alarm: Alarm, stimulus: Observation | Condition, now: Moment) -> Alarm:
    if isinstance(rule, Rate | Repeated) and isinstance(stimulus, Observation):
        alarm, stimulus = looked_back(rule, alarm, stimulus, now)
    said = verdict(rule, alarm, stimulus)
    if alarm.active and isinstance(rule, Flatline):
        after = _observe_flat(rule, alarm, said, stimulus, now)
    elif alarm.active:
        after = _observe_active(alarm, said, now)
    else:
        after = _observe_inactive(alarm, said, _since(rule, stimulus, now))
    if said is Verdict.BEYOND and isinstance(stimulus, Observation):
        after = _marked(rule, after, stimulus, now)
    return after


def _since(rule: Rule, stimulus: Observation | Condition, now: Moment) -> Moment:
    """Return when what holds began to hold: a standstill is believed only after a while."""
    match rule, stimulus:
        case Stale(), Observation(still_since=since) if since:
            return since
        case Flatline(), Observation(unchanged_since=since) if since:
            return since
        case _:
            return now


def _onset(rule: Rule) -> int:
    """Return how long (ns) the condition must hold before the alarm is raised."""
    return rule.on_delay + rule.flatline if isinstance(rule, Flatline) else rule.on_delay


def _observe_active(alarm: Alarm, said: Verdict, now: Moment) -> Alarm:
    match said:
        case Verdict.BEYOND | Verdict.WITHIN:
            if alarm.condition and alarm.inside_since is None:
                return alarm
            return alarm._replace(condition=True, inside_since=None)
        case Verdict.CLEAR:
            since = alarm.inside_since or now
            gone = alarm._replace(condition=False, inside_since=since)
            return gone._replace(source_time=None, standing=None)
        case Verdict.UNKNOWN:
            return alarm._replace(inside_since=None) if alarm.inside_since else alarm
        case _:
            assert_never(said)


def _observe_flat(
    rule: Flatline, alarm: Alarm, said: Verdict, stimulus: Observation | Condition, now: Moment
) -> Alarm:
    """Judge an active flatline: once it has moved, a value that stands anew has to do so for long.

    Meanwhile that waits beside the off-delay, which runs on: the condition is gone.
    """
    if said is Verdict.CLEAR:
        return _observe_active(alarm._replace(pending=None), said, now)
    moved = alarm.standing is None or alarm.pending is not None
    if said is not Verdict.BEYOND or not moved:
        return _observe_active(alarm, said, now)
    pending = alarm.pending or Pending(_since(rule, stimulus, now))
    sure = isinstance(stimulus, Observation) and stimulus.quality is Quality.GOOD
    still_gone = Verdict.CLEAR if sure else Verdict.UNKNOWN
    return _observe_active(alarm._replace(pending=pending), still_gone, now)


def _observe_inactive(alarm: Alarm, said: Verdict, since: Moment) -> Alarm:
    pending = alarm.pending
    match said:
        case Verdict.BEYOND:
            if pending is None:
                return alarm._replace(condition=True, pending=Pending(since), bridged=False)
            return _doubting(alarm, pending, doubtful=False)
        case Verdict.WITHIN | Verdict.CLEAR:
            if pending is None:
                return alarm
            return alarm._replace(condition=False, pending=None, source_time=None, standing=None)
        case Verdict.UNKNOWN:
            return alarm if pending is None else _doubting(alarm, pending, doubtful=True)
        case _:
            assert_never(said)


def _doubting(alarm: Alarm, pending: Pending, *, doubtful: bool) -> Alarm:
    if pending.doubtful is doubtful:
        return alarm
    return alarm._replace(pending=pending._replace(doubtful=doubtful))


def _marked(rule: Rule, alarm: Alarm, observation: Observation, now: Moment) -> Alarm:
    """Keep what a reading beyond leaves: the peak, the state, or what stands still."""
    match rule:
        case High() | Low() | Deviation() | Discrepancy() | Rate() | Repeated():
            after = _peaked(rule, alarm, observation, now)
        case OffNormal() | StatusBits():
            after = _named(alarm, observation.value)
        case Flatline():
            after = _named(alarm, observation.value)
            if after.standing != observation.value:
                after = after._replace(standing=observation.value)
        case Stale():
            after = alarm
            if alarm.source_time != observation.source_time:
                after = alarm._replace(source_time=observation.source_time)
        case Unreadable() | Silent() | CalibrationDue():
            after = alarm
        case _:
            assert_never(rule)
    return after


def _peaked(rule: Measured, alarm: Alarm, observation: Observation, now: Moment) -> Alarm:
    """Keep the worst figure, and where that is not the value itself, what it was found of."""
    peak, at = _worst(rule, alarm, observation, now)
    pending = alarm.pending
    last = alarm.peak if pending is None else pending.peak
    if peak is None or (last is not None and not worse(rule, peak, last)):
        return alarm
    if pending is None:
        return alarm._replace(peak=peak, peak_at=at, other=observation.other)
    state = None if isinstance(rule, High | Low) else observation.value
    pending = pending._replace(peak=peak, peak_at=at, state=state)
    return alarm._replace(pending=pending, other=observation.other)


def _worst(
    rule: Measured, alarm: Alarm, observation: Observation, now: Moment
) -> tuple[float | None, int]:
    """Return the worst figure just now, and its record time: that may be of an earlier reading."""
    if not isinstance(rule, Repeated):
        return figure(rule, observation), now.at
    side = 1 if rule.low is None else -1
    sample = max(alarm.samples, key=lambda one: side * one.value)
    return sample.value, now.at - (now.boot - sample.boot)


def _named(alarm: Alarm, state: Value | None) -> Alarm:
    """Keep the state that waits for an on-delay: another channel's word may let it fall due."""
    pending = alarm.pending
    if pending is None or state is None or pending.state == state:
        return alarm
    return alarm._replace(pending=pending._replace(state=state))


def _settle(rule: Rule, alarm: Alarm, now: Moment) -> Alarm:
    """Let fall due what is due by ``now``."""
    pending = alarm.pending
    if pending is not None and _is_due(rule, pending, now):
        if not alarm.active:
            return _raised(rule, alarm, pending, now)
        alarm = alarm._replace(condition=True, pending=None, inside_since=None)
    inside = alarm.inside_since
    if inside is not None and now.boot - inside.boot >= rule.off_delay:
        return _returned(rule, alarm, now)
    if alarm.acknowledged_at is not None and rule.re_alarm is not None:
        due = alarm.annunciated and now.boot - alarm.acknowledged_at >= rule.re_alarm
        return _asking_again(alarm) if due else alarm
    return _escalated(rule, alarm, now)


def _is_due(rule: Rule, pending: Pending, now: Moment) -> bool:
    return not pending.doubtful and now.boot - pending.since.boot >= _onset(rule)


def _raised(rule: Rule, alarm: Alarm, pending: Pending, now: Moment) -> Alarm:
    """Begin an occurrence; under a silence what was owed before is all that stays owed."""
    silenced = alarm.silenced
    return alarm._replace(
        pending=None,
        condition_start=pending.since,
        active=True,
        alarm_time=now,
        acknowledged=alarm.acknowledged and silenced,
        acknowledged_at=None,
        confirmed=alarm.confirmed if silenced else not rule.confirm,
        latched=alarm.latched and silenced,
        re_alarms=0,
        occurrence=alarm.occurrence + 1,
        peak=pending.peak,
        peak_at=pending.peak_at,
        value=pending.peak if pending.state is None else pending.state,
    )


def _returned(rule: Rule, alarm: Alarm, now: Moment) -> Alarm:
    """End an occurrence; the time of a one-shot shelf is over with it."""
    once = alarm.one_shot and alarm.shelved_until is not None
    return alarm._replace(
        active=False,
        condition=alarm.pending is not None,
        inside_since=None,
        acknowledged_at=None,
        latched=alarm.latched or (rule.latching and not alarm.unheard),
        shelved_until=now.boot if once else alarm.shelved_until,
    )


def _asking_again(alarm: Alarm) -> Alarm:
    return alarm._replace(acknowledged=False, acknowledged_at=None, re_alarms=alarm.re_alarms + 1)


def _escalated(rule: Rule, alarm: Alarm, now: Moment) -> Alarm:
    """Take all steps that are due, as one: after an outage nobody is told of those in between."""
    since = alarm.unacknowledged_since
    if since is None or not (alarm.active or alarm.latched):
        return alarm
    due = sum(now.boot - since >= step.after for step in rule.steps)
    return alarm._replace(escalations=due) if due > alarm.escalations else alarm


def _heard(rule: Rule, before: Alarm, after: Alarm) -> Alarm:
    """Annunciate anew what is active when the last of those that silenced it has gone."""
    if after.active and before.silenced and not after.silenced:
        return after._replace(acknowledged=False, acknowledged_at=None, confirmed=not rule.confirm)
    return after


def _valued(alarm: Alarm, stimulus: Observation | Condition) -> Alarm:
    if isinstance(stimulus, Observation) and usable(stimulus):
        return alarm._replace(value=stimulus.value, other=stimulus.other)
    return alarm


def _acted(rule: Rule, alarm: Alarm, act: Act, now: Moment) -> Alarm:
    match act:
        case Acknowledge():
            at = now.boot if alarm.active else None
            after = alarm._replace(acknowledged=True, acknowledged_at=at)
        case Confirm():
            after = alarm._replace(confirmed=True)
        case Reset():
            after = alarm._replace(latched=False)
        case Shelve(duration, one_shot):
            after = alarm._replace(shelved_until=now.boot + duration, one_shot=one_shot)
        case Unshelve():
            after = _unshelved(rule, alarm)
        case RemoveFromService(duration):
            after = alarm._replace(out_of_service_until=now.boot + duration)
        case ReturnToService():
            after = _in_service(rule, alarm)
        case _:
            assert_never(act)
    return after


def _unshelved(rule: Rule, alarm: Alarm) -> Alarm:
    return _heard(rule, alarm, alarm._replace(shelved_until=None, one_shot=False))


def _in_service(rule: Rule, alarm: Alarm) -> Alarm:
    return _heard(rule, alarm, alarm._replace(out_of_service_until=None))


def _refuse_acknowledge(alarm: Alarm) -> Refusal | None:
    if not alarm.acknowledged:
        return None
    if alarm.unsuppressed_state is State.NORMAL:
        return Refusal("illegal_transition", "the alarm is normal: there is nothing to acknowledge")
    if alarm.unheard:
        return Refusal(
            "illegal_transition",
            "the alarm came while it was silenced and asks for nothing yet: "
            "acknowledge it when it is annunciated",
        )
    return Refusal("already_done", "the alarm is acknowledged already")


def _refuse_end(alarm: Alarm, act: Unshelve | ReturnToService) -> Refusal | None:
    if isinstance(act, Unshelve):
        ends, text = alarm.shelved_until, "the alarm is not shelved"
    else:
        ends, text = alarm.out_of_service_until, "the alarm is in service"
    return Refusal("already_done", text) if ends is None else None


def _refuse_confirm(rule: Rule, alarm: Alarm) -> Refusal | None:
    if alarm.confirmed:
        if alarm.unsuppressed_state is State.NORMAL:
            return Refusal("illegal_transition", "the alarm is normal: there is nothing to confirm")
        if not rule.confirm or alarm.unheard:
            return Refusal("illegal_transition", "the alarm does not ask to be confirmed")
        return Refusal("already_done", "the alarm is confirmed already")
    if not alarm.acknowledged:
        return Refusal("illegal_transition", "acknowledge the alarm before you confirm it")
    return None


def _refuse_reset(alarm: Alarm) -> Refusal | None:
    if alarm.active:
        return Refusal("illegal_transition", "the condition still holds: reset after its return")
    if not alarm.latched:
        return Refusal("illegal_transition", "the alarm is not latched: there is nothing to reset")
    if not alarm.acknowledged:
        return Refusal("illegal_transition", "acknowledge the alarm before its reset")
    return None


def _refuse_shelf(rule: Rule, duration: int) -> Refusal | None:
    if not rule.shelvable:
        return Refusal("not_shelvable", f"an alarm {_of_class(rule)} may not be shelved")
    if duration <= 0:
        return Refusal("illegal_transition", "a shelf lasts longer than no time at all")
    if duration > rule.longest_shelf:
        longest = spell(rule.longest_shelf)
        return Refusal("too_long", f"shelve an alarm {_of_class(rule)} for {longest} at most")
    return None


def _of_class(rule: Rule) -> str:
    return f"of class {rule.alarm_class}" if rule.alarm_class else f"by the rule {rule.name}"


def _refuse_removal(duration: int) -> Refusal | None:
    if duration <= 0:
        return Refusal("illegal_transition", "out of service lasts longer than no time at all")
    if duration > LONGEST_REMOVAL:
        longest = spell(LONGEST_REMOVAL)
        return Refusal("too_long", f"remove an alarm from service for {longest} at most")
    return None


def _counted(before: Alarm, after: Alarm, now: Moment) -> Alarm:
    """Count the event between the two; the names of speakers leave with what they spoke for."""
    if after is before:
        return after
    after = _timed(after, now)
    if _change(before, after) is None:
        return after
    return _quiet(after)._replace(version=before.version + 1)


def _timed(alarm: Alarm, now: Moment) -> Alarm:
    """Keep since when people are asked; who acknowledges takes back what it escalated to."""
    since = alarm.unacknowledged_since
    if alarm.acknowledged and alarm.escalations:
        return alarm._replace(unacknowledged_since=None, escalations=0)
    if alarm.asks is (since is not None):
        return alarm
    return alarm._replace(unacknowledged_since=now.boot if alarm.asks else None)


def _quiet(alarm: Alarm) -> Alarm:
    gated = alarm.suppressed_by or alarm.superseded_by
    if gated and alarm.unsuppressed_state is State.NORMAL:
        return alarm._replace(suppressed_by="", superseded_by="")
    return alarm


def _change(before: Alarm, after: Alarm) -> Change | None:
    """Return the word for the difference; each step makes one."""
    return (
        _course_change(before, after)
        or _debt_change(before, after)
        or _silence_change(before, after)
        or _gate_change(before, after)
    )


def _course_change(before: Alarm, after: Alarm) -> Change | None:
    if after.occurrence != before.occurrence:
        owed = before.unsuppressed_state is not State.NORMAL
        return Change.RAISED_AGAIN if owed else Change.RAISED
    if before.active and not after.active:
        owed = after.unsuppressed_state is not State.NORMAL
        return Change.RETURNED if owed else Change.CLEARED
    if after.re_alarms > before.re_alarms:
        return Change.RE_ALARMED
    return Change.ESCALATED if after.escalations > before.escalations else None


def _debt_change(before: Alarm, after: Alarm) -> Change | None:
    if before.latched and not after.latched:
        return Change.RESET
    if after.confirmed and not before.confirmed:
        return Change.CONFIRMED
    return Change.ACKNOWLEDGED if after.acknowledged and not before.acknowledged else None


def _silence_change(before: Alarm, after: Alarm) -> Change | None:
    if after.out_of_service_until != before.out_of_service_until:
        out = after.out_of_service_until is not None
        return Change.REMOVED_FROM_SERVICE if out else Change.RETURNED_TO_SERVICE
    if (after.shelved_until, after.one_shot) != (before.shelved_until, before.one_shot):
        return Change.UNSHELVED if after.shelved_until is None else Change.SHELVED
    return None


def _gate_change(before: Alarm, after: Alarm) -> Change | None:
    same = (before.suppressed_by, before.superseded_by) == (
        after.suppressed_by,
        after.superseded_by,
    )
    if same or after.unsuppressed_state is State.NORMAL:
        return None
    return Change.SUPPRESSED if after.suppressed_by or after.superseded_by else Change.UNSUPPRESSED

"""What a rule is told beside the reading itself, where it has to look further than one scan.

All of it is in memory only, and only for those channels of which some rule asks for it. A restart
forgets at most ``STILL`` periods of it: what lasts longer is a fact of the alarm that waits for it.
"""

from config.rules import Flatline, Rule
from drivers.reading import Fault, Moment, Quality, Scan, Value
from monitor.alarms.facts import Alarm, Observation
from monitor.alarms.verdict import usable

STILL = 3
"""Periods for which something may stand still before a rule is asked about it."""


class Unchanged:
    """Since when the value of one channel is what it is.

    A reading that cannot be used is no change, and neither is one that is only doubtful.
    """

    __slots__ = ("channel", "patience", "since", "value")

    def __init__(self, channel: int, patience: int) -> None:
        self.channel = channel
        self.patience = patience
        """How long (ns) it may stay so before a rule is asked."""
        self.value: Value | None = None
        self.since = Moment(0, 0)

    def lasting(self, scan: Scan) -> Moment | None:
        """Return since when, if ``scan`` says the same and it has been so for long."""
        value = scan.values[self.channel]
        if value is None or value != self.value:
            return None
        return self.since if scan.boot - self.since.boot >= self.patience else None

    def resume(self, alarm: Alarm) -> None:
        """Go on where a restart left off, if ``alarm`` says at which value the channel stands."""
        since = alarm.pending.since if alarm.pending else alarm.condition_start
        if alarm.standing is not None and since is not None:
            self.value, self.since = alarm.standing, since

    def remember(self, scan: Scan) -> None:
        """Take note of what ``scan`` says, once it was judged."""
        value = scan.values[self.channel]
        if value is None or value == self.value:
            return
        fault = scan.faults.get(self.channel)
        if (fault is None or self.value is None) and usable(_observed(value, fault)):
            self.value, self.since = value, scan.moment


def patience(period: int, rule: Rule) -> int:
    """Return how long (ns) a value of that ``period`` may stay as it is before ``rule`` is asked.

    A rule that is itself less patient is asked as soon as it may raise.
    """
    return min(STILL * period, rule.flatline) if isinstance(rule, Flatline) else STILL * period


def _observed(value: Value, fault: Fault | None) -> Observation:
    return Observation(value, *(fault or (Quality.GOOD, None)))


class Reference:
    """What a channel that others are compared with said last, for as long as that is of now."""

    __slots__ = ("beholders", "boot", "channel", "lasts", "quality", "value")

    def __init__(self, channel: int, period: int) -> None:
        self.beholders: set[tuple[int, int]] = set()
        """The places of the channels that are compared with it."""
        self.channel = channel
        self.lasts = STILL * period
        """For how long (ns) it stands for what the channel would say."""
        self.value: float | None = None
        self.quality = Quality.GOOD
        self.boot = 0

    def hear(self, scan: Scan) -> bool:
        """Take note of what ``scan`` says, before it is judged; return whether it is another value.

        Before, since a reading of the same scan is held against it.
        """
        if scan.spoke is not None and self.channel not in scan.spoke:
            return False
        before = self.value
        value, fault = scan.values[self.channel], scan.faults.get(self.channel)
        if value is None or isinstance(value, str) or not usable(_observed(value, fault)):
            self.value = None
        else:
            self.value, self.boot = float(value), scan.boot
            self.quality = fault.quality if fault else Quality.GOOD
        return self.value != before

    def beside(self, observation: Observation, now: Moment) -> Observation:
        """Return ``observation`` with what it is compared with: no surer than either of the two."""
        if self.value is None or now.boot - self.boot > self.lasts:
            return observation
        quality = max(observation.quality, self.quality)
        return observation._replace(other=self.value, quality=quality)

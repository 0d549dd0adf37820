"""The page of one excursion: HTML that needs nothing else, for the screen and for paper (A4).

``Drawing`` takes the readings and events around it as they are exported, and writes the page.
Whatever a person or a device said is escaped by the template engine; there is no script.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple

from config.units import sign
from monitor import VERSION
from monitor.alarms.performance import nanoseconds
from monitor.alarms.rehearsal import is_shadow
from monitor.excursions.record import ExcursionAlarm, ExcursionRecord
from monitor.pages import chart
from monitor.pages.facts import Section, offset, sections, sentence, utc
from monitor.pages.figures import measure
from monitor.pages.templates import environment

SECOND = 10**9
LEAST_MARGIN = 60 * SECOND
MOST_MARGIN = 6 * 3600 * SECOND
PERIODS = 3
DIFFERENCES = frozenset({"deviation", "discrepancy", "rate"})
"""Kinds of rules with limits that do not lie on the axis of the values."""
LONGEST = 1000
"""Characters that are shown of what somebody said: as many as a request may have."""


class Happening(NamedTuple):
    """One line of the list of what happened, with its mark in the chart."""

    time: int
    what: str
    subject: str
    who: str
    why: str


class Label(NamedTuple):
    """A level with its name."""

    y: float
    text: str


class Drawing:
    """The interval of an excursion with some time before and after it."""

    def __init__(self, record: ExcursionRecord, now: int) -> None:
        """``now`` (ns, UTC) is where the drawing ends at the latest."""
        self.record = record
        start, end = nanoseconds(record.start), nanoseconds(record.end or record.last_beyond)
        margin = min(max((end - start) // 2, LEAST_MARGIN), MOST_MARGIN)
        self.span = (start - margin, max(end, min(end + margin, now)))
        """From and to (ns, UTC): what is to be added."""
        self.channels = (record.channel, *record.doors)
        """Those whose readings are to be added."""
        self._inside = (start, end)
        longest = round(PERIODS * record.period_seconds * SECOND)
        self._line = chart.Line(*self.span, longest)
        self._doors: list[tuple[int, int]] = []
        self._open: dict[str, int] = {}
        self._limits: dict[tuple[str, float], None] = {}
        """Of other alarms, each that was in effect, in the order in which they were told."""
        self._happenings: list[Happening] = []

    def add_reading(self, reading: Mapping[str, object]) -> None:
        """Add a reading (``cytowatch.reading.v1``), in the order of the record."""
        time, value = nanoseconds(str(reading["time"])), reading["value"]
        if reading["origin"] != "live" or not self._shows(time):
            return
        if reading["channel"] == self.record.channel:
            number = isinstance(value, int | float) and reading["quality"] != "bad"
            self._line.add(time, float(str(value)) if number else None)
        else:
            self._add_door(str(reading["channel"]), time, stands=value is True)

    def add_event(self, event: Mapping[str, object]) -> None:
        """Add an event (``cytowatch.event.v1``); what is of something else is left out."""
        time, subject, body = nanoseconds(str(event["time"])), str(event["subject"]), event["body"]
        if not isinstance(body, dict) or not self._shows(time):
            return
        place = f"{self.record.equipment}/{self.record.channel}/"
        match event["kind"]:
            case "alarm" | "act" if is_shadow(subject):
                pass  # A rehearsal is not about this.
            case "alarm" if subject.startswith(place):
                self._alarm(time, subject, body)
            case "act" if subject.startswith(place) or subject == self.record.equipment:
                self._act(time, subject, body)
            case "unmonitored" | "clock_step" if subject in {self.record.equipment, ""}:
                what = "not watched" if event["kind"] == "unmonitored" else "the clock stepped"
                self._happenings.append(Happening(time, what, subject, "", _text(body, "cause")))
            case _:
                pass

    def add_comment(self, event: Mapping[str, object]) -> None:
        """Add what was said of the excursion after the time that is shown."""
        if isinstance(body := event["body"], dict):
            self._act(nanoseconds(str(event["time"])), str(event["subject"]), body)

    def page(self, *, made: datetime, kinetic: float | None, zone: tzinfo | None = None) -> str:
        """Return the page, made at ``made``; local times are those of ``zone`` (None: here)."""
        self._finish()
        template = environment().get_template("excursion.html")
        start = datetime.fromisoformat(self.record.start).astimezone(zone)
        return template.render(
            record=self.record,
            sentence=sentence(self.record),
            columns=_columns(sections(self.record, kinetic, zone)),
            chart=self._chart(),
            happenings=[self._told(each, zone) for each in self._happenings],
            alarms=[_alarm(each) for each in self.record.alarms],
            unit=sign(self.record.unit),
            offset=offset(start),
            made=f"{made.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC",
            version=VERSION,
        )

    def _shows(self, time: int) -> bool:
        return self.span[0] <= time <= self.span[1]

    def _add_door(self, channel: str, time: int, *, stands: bool) -> None:
        since = self._open.get(channel)
        if stands and since is None:
            self._open[channel] = time
        elif not stands and since is not None:
            self._doors.append((self._open.pop(channel), time))

    def _alarm(self, time: int, subject: str, body: Mapping[str, object]) -> None:
        limit, apart = body.get("limit"), body.get("rule_kind") in DIFFERENCES
        if isinstance(limit, int | float) and body.get("alarm") != self._own and not apart:
            self._limits[str(body.get("rule")), float(limit)] = None
        if not body.get("actor"):  # What somebody did stands as an act, with its reason.
            change = _text(body, "change").replace("_", " ")
            what = f"alarm {change} ({_text(body, 'priority')})"
            self._happenings.append(Happening(time, what, subject, "", ""))

    def _act(self, time: int, subject: str, body: Mapping[str, object]) -> None:
        claimed, user = _text(body, "claimed"), _text(body, "user")
        known = ", ".join(filter(None, (claimed and f"as {claimed}", _text(body, "role"))))
        who = f"{user} ({known})" if known else user
        what = _text(body, "act").replace("_", " ")
        self._happenings.append(Happening(time, what, subject, who, _text(body, "reason")))

    @property
    def _own(self) -> str:
        return f"{self.record.equipment}/{self.record.channel}/{self.record.rule}"

    def _finish(self) -> None:
        self._line.finish()
        self._doors += [(since, self.span[1]) for since in self._open.values()]
        self._open.clear()
        self._happenings.sort(key=lambda each: each.time)

    @property
    def _times(self) -> list[int]:
        return [each.time for each in self._happenings]

    def _told(self, each: Happening, zone: tzinfo | None) -> dict[str, str]:
        time = datetime.fromtimestamp(each.time / SECOND, UTC)
        return {
            "utc": f"{time:%Y-%m-%d %H:%M:%S}",
            "local": f"{time.astimezone(zone):%H:%M:%S}",
            "what": each.what,
            "subject": each.subject.removeprefix(f"{self.record.equipment}/"),
            "who": each.who,
            "why": each.why,
        }

    def _chart(self) -> dict[str, object]:
        record, line, span = self.record, self._line, self.span
        values = [record.limit, record.extreme]
        values += [each for each in (line.lowest, line.highest) if each is not None]
        to = chart.scale(values)
        limit, unit = to.y(record.limit), sign(record.unit)
        others = [
            Label(to.y(each), f"{rule} {each:g} {unit}")
            for rule, each in self._limits
            if to.low < each < to.high
        ]
        extreme = chart.Point(
            round(chart.across(nanoseconds(record.extreme_time), *span), 1), to.y(record.extreme)
        )
        return {
            "box": (chart.WIDTH, chart.HEIGHT, chart.LEFT, chart.RIGHT, chart.TOP, chart.BOTTOM),
            "paths": chart.paths(line, to),
            "areas": chart.areas(line, to, record.limit),
            "limit": Label(limit, f"limit {measure(record.limit, record.unit)}"),
            "beyond": (chart.TOP, limit) if record.direction == "high" else (limit, chart.BOTTOM),
            "others": others,
            "gaps": chart.bands(line.gaps, *span),
            "doors": chart.bands(self._doors, *span),
            "inside": chart.bands([self._inside], *span)[0],
            "extreme": extreme,
            "extreme_text": measure(record.extreme, record.unit),
            "extreme_left": extreme.x > (chart.LEFT + chart.RIGHT) * 0.8,
            "times": chart.time_ticks(*span),
            "levels": chart.value_ticks(to),
            "marks": chart.marks([t for t in self._times if self._shows(t)], *span),
        }


def _alarm(alarm: ExcursionAlarm) -> dict[str, str]:
    raised = utc(alarm.raised) if alarm.raised else ""
    told = "yes" if alarm.annunciated else "no: silenced"
    return {"alarm": alarm.alarm, "raised": raised, "told": told, "occurrence": alarm.occurrence}


def _text(body: Mapping[str, object], name: str) -> str:
    text = str(body.get(name) or "")
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _columns(found: list[Section]) -> list[list[Section]]:
    """Two columns of about the same height."""
    total = sum(len(section.facts) + 2 for section in found)
    left: list[Section] = []
    while sum(len(section.facts) + 2 for section in left) < total / 2:
        left.append(found[len(left)])
    return [left, found[len(left) :]]

"""The dashboard "site overview": what a technician on shift must see on one screen. Pure.

Alarms as ISA-18.2 wants them shown: priority by word and colour, grey for what is normal, and what
is not told is not normal. Units, priorities and kinds are those of the models.
"""

from typing import Literal, NamedTuple, assert_never

from config.catalogue import CATALOGUE, RESERVED_CHANNELS, RESERVED_ENDINGS, RESERVED_KINDS
from config.plant import ChannelType
from config.rules import Priority
from drivers.reading import Quality
from monitor.alarms.flood import BEGINS
from monitor.dashboards import grafana, questions
from monitor.dashboards.grafana import (
    BLUE,
    GREY,
    ORANGE,
    RED,
    WIDTH,
    YELLOW,
    Dashboard,
    Field,
    Json,
    Look,
    Panel,
    Place,
    Query,
    Variable,
)

AGE = "dateTimeFromNow"
"""Shows a time as how long ago it was."""
FINEST = "10s"
"""The finest step of a trend; what is polled more seldom is shown as points."""
SELDOM = "2m"
"""The finest step of what is told once a minute."""
TRENDS = {
    "Temperature": ("incubator", "temperature"),
    "CO2": ("incubator", "co2"),
    "pH": ("bioreactor", "ph"),
    "Dissolved oxygen": ("bioreactor", "dissolved_oxygen"),
}
"""What is always shown: a channel, of all kinds that have it in the same unit as this one."""
COLUMNS = {
    "severity": "Priority",
    "acked_state": "Acknowledged",
    "alarm_time": "Since",
    "equipment": "Equipment",
    "channel": "Channel",
    "rule": "Rule",
    "value": "Value",
    "unit": "Unit",
    "limit": "Limit",
    "state": "State",
}
"""Of the table of alarms: fields, and what people call them."""

_OTHERS = "others"
_DRAWN = frozenset({ChannelType.ANALOG, ChannelType.COUNTER})
"""What is a quantity: can be averaged and drawn as a line."""
_TIME = "/^Time$/"
_SILENT = Look(none="no word")
_NOT_YET = Place(0, 0, 0, 0)
_IN_COLOUR: Json = {"custom.cellOptions": {"type": "color-text"}}
_ACKNOWLEDGED = grafana.words([("false", "no", RED), ("true", "yes", GREY)])


def site_overview() -> Dashboard:
    """Return the dashboard."""
    return Dashboard(
        uid="cytowatch-site-overview",
        title="Site overview",
        description="What stands, what is silent and how the plant does. Made by cytowatch.",
        variables=_variables(),
        annotations=[
            grafana.annotation(
                "Alarms raised", questions.alarms_raised(), "alarm", ["priority"], ORANGE
            )
        ],
        panels=[
            *_figures(),
            _alarms_standing(Place(0, 4, 16, 9)),
            _alarms_per_hour(Place(16, 4, 8, 9)),
            _alarm_rates(Place(0, 13, WIDTH, 7)),
            _quality(Place(0, 20, 14, 9)),
            _usable_readings(Place(14, 20, 6, 9)),
            _bad_readings(Place(20, 20, 4, 9)),
            *_trends(29),
        ],
        hours=12,
    )


def color(priority: Priority) -> str:
    """Return the colour that stands beside the word of a priority."""
    match priority:
        case Priority.LOW:
            return BLUE
        case Priority.MEDIUM:
            return YELLOW
        case Priority.HIGH:
            return ORANGE
        case Priority.CRITICAL:
            return RED
        case _:
            assert_never(priority)


def _variables() -> list[Variable]:
    not_ours = f"/^(?!(?:{'|'.join(sorted(RESERVED_KINDS))})$).*/"
    return [
        Variable("site", "Site", questions.sites(), many=False),
        Variable("kind", "Kind", questions.kinds(), regex=not_ours),
        Variable("area", "Area", questions.areas()),
        Variable("equipment", "Equipment", questions.equipment()),
        Variable(
            "channel",
            "Channel",
            questions.fields(),
            regex=_channels(),
            many=False,
            chosen="temperature",
        ),
    ]


def _channels() -> str:
    """Return which fields can be drawn: not ours, and not those that are no quantities."""
    entries = [pair for kind in CATALOGUE.values() for pair in kind.items()]
    others = {name for name, entry in entries if entry.type not in _DRAWN}
    names = "|".join(sorted(RESERVED_CHANNELS | others))
    return f"/^(?!(?:{names})$)(?!.*(?:{'|'.join(RESERVED_ENDINGS)})$).*/"


class _Figure(NamedTuple):
    """A panel of the first row, and what is made of its answer."""

    panel: Panel
    calculation: Literal["lastNotNull", "min", "sum"] = "lastNotNull"
    fields: str = ""


def _figures() -> list[Json]:
    shown = (
        _not_acknowledged(),
        _standing(),
        _lines(),
        _bad_data(),
        _oldest_data(),
        _gateways(),
        _last_word(),
        _waiting(),
    )
    width = WIDTH // len(shown)
    places = [Place(width * number, 0, width, 4) for number in range(len(shown))]
    return [
        grafana.stat(panel._replace(place=place), calculation, fields)
        for (panel, calculation, fields), place in zip(shown, places, strict=True)
    ]


def _not_acknowledged() -> _Figure:
    query = questions.told('sum("n") AS "alarms"', 'last("alarms_unacknowledged") AS "n"')
    text = "Alarms that nobody has acknowledged, by the gateways' own count."
    look = _SILENT._replace(alert={1: RED})
    return _Figure(Panel("Not acknowledged", _NOT_YET, [Query(query)], look, text))


def _standing() -> _Figure:
    query = questions.told('sum("n") AS "alarms"', 'last("alarms_standing") AS "n"')
    text = "Alarms that are not normal, shelved ones too, by the gateways' own count."
    look = _SILENT._replace(alert={1: YELLOW})
    return _Figure(Panel("Alarms", _NOT_YET, [Query(query)], look, text))


def _lines() -> _Figure:
    down = 'sum("lines") - sum("up") AS "down", sum("lines") AS "of"'
    query = questions.told(down, 'last("lines_up") AS "up", "lines"')
    text = "Lines that are not connected, of all that should be."
    return _Figure(Panel("Lines", _NOT_YET, [Query(query)], _SILENT, text, [_red("down")]))


def _bad_data() -> _Figure:
    query = Query(questions.equipment_with_bad_data())
    text = "Equipment with a bad reading in the last two minutes, of all that was read."
    # Each kind is a measurement, and each measurement gives a row of its own.
    return _Figure(Panel("Bad data", _NOT_YET, [query], _SILENT, text, [_red("bad")]), "sum")


def _oldest_data() -> _Figure:
    query = Query(questions.usable_readings())
    text = "How long ago the source that is longest without a usable reading gave one."
    look = Look(unit=AGE, none="none in this time")
    return _Figure(Panel("Oldest data", _NOT_YET, [query], look, text), "min", _TIME)


def _gateways() -> _Figure:
    newest = 'last("last_scan") AS "n"'
    heard = questions.told('count("n") AS "heard"', newest)
    known = questions.told('count("n") AS "of"', newest, questions.SHOWN)
    text = "Gateways heard in the last minute, of those heard in the shown time."
    return _Figure(Panel("Gateways", _NOT_YET, [Query(heard), Query(known)], _SILENT, text))


def _last_word() -> _Figure:
    query = Query(questions.last_words())
    text = "How long ago the gateway that is longest silent said how it is: every 10 s."
    look = Look(unit=AGE, none="none in this time")
    return _Figure(Panel("Last word", _NOT_YET, [query], look, text), "min", _TIME)


def _waiting() -> _Figure:
    bytes_ = 'last("influxdb_telemetry_behind_bytes") AS "bytes"'
    waits = 'sum("bytes") AS "InfluxDB", sum("events") AS "MQTT events"'
    query = questions.told(waits, f'{bytes_}, "mqtt_events_behind" AS "events"')
    text = "What is committed on the gateways and not yet delivered; a little is usual."
    look = _SILENT._replace(unit="decbytes", alert={10**6: YELLOW, 10**8: RED})
    few = {"unit": "short", "thresholds": grafana.thresholds({10: YELLOW})}
    events = Field("byName", "MQTT events", few)
    return _Figure(Panel("To be delivered", _NOT_YET, [Query(query)], look, text, [events]))


def _red(field: str) -> Field:
    """Show a count in red as soon as it is not 0."""
    return Field("byName", field, {"thresholds": grafana.thresholds({1: RED})})


def _alarms_standing(place: Place) -> Json:
    priorities = [(str(each.severity), each.value, color(each)) for each in reversed(Priority)]
    panel = Panel(
        "Alarms standing",
        place,
        [Query(questions.alarms_standing(COLUMNS))],
        Look(none="-"),
        "Every alarm that is not normal, as its newest transition left it.",
        [
            Field("byName", "Priority", {"mappings": [grafana.words(priorities)], **_IN_COLOUR}),
            Field("byName", "Acknowledged", {"mappings": [_ACKNOWLEDGED], **_IN_COLOUR}),
            Field("byName", "Since", {"unit": AGE}),
        ],
    )
    shown = grafana.table(panel, [("Acknowledged", False), ("Priority", True)], ["Time"], COLUMNS)
    return grafana.as_times(shown, ["alarm_time"])


def _alarms_per_hour(place: Place) -> Json:
    raised = [
        Query(questions.raised_per_hour(each), "time_series", each.value) for each in Priority
    ]
    others = Query(questions.others_per_hour(), "time_series", _OTHERS)
    colors = {each.value: color(each) for each in Priority} | {_OTHERS: GREY}
    panel = Panel(
        "Alarm transitions per hour",
        place,
        [*raised, others],
        Look(none="none"),
        "Alarms raised, by priority; grey: all other transitions, such as acknowledgements.",
        [grafana.coloured(name, color) for name, color in colors.items()],
    )
    return grafana.bars(panel)


def _alarm_rates(place: Place) -> Json:
    panel = Panel(
        "Alarm rate",
        place,
        [Query(questions.alarm_rates(), "time_series", "$col $tag_gateway")],
        _SILENT._replace(alert={BEGINS: RED}),
        "Alarms people were told of within ten minutes, and alarms that were kept from them then;"
        " ten in ten minutes are a flood.",
    )
    return grafana.trend(panel, SELDOM)


def _quality(place: Place) -> Json:
    colors = {Quality.GOOD: GREY, Quality.UNCERTAIN: YELLOW, Quality.BAD: RED}
    words = grafana.words((str(int(q)), q.name.lower(), color) for q, color in colors.items())
    panel = Panel(
        "Quality of data",
        place,
        [Query(questions.quality(), "time_series", "$tag_equipment")],
        _SILENT._replace(mappings=[words]),
        "The worst quality of any reading of the equipment; a gap: nothing is known.",
    )
    return grafana.timeline(panel, "1m")


def _usable_readings(place: Place) -> Json:
    panel = Panel(
        "Last usable reading",
        place,
        [Query(questions.usable_readings())],
        Look(none="none in this time"),
        "By source, oldest first; one that gave none in the shown time is not listed.",
        [Field("byName", "Time", {"unit": AGE})],
    )
    return grafana.table(panel, [("Time", False)], ["scan"])


def _bad_readings(place: Place) -> Json:
    share = {"unit": "percentunit", "decimals": 2, **_IN_COLOUR}
    look = grafana.thresholds({0.0001: YELLOW, 0.01: RED})
    panel = Panel(
        "Bad readings",
        place,
        [Query(questions.bad_share())],
        Look(none="no readings"),
        "The share of bad readings in the shown time, by equipment.",
        [Field("byName", "share", {**share, "thresholds": look})],
    )
    return grafana.table(panel, [("share", True)], ["Time"])


def _trends(top: int) -> list[Json]:
    half, high = WIDTH // 2, 8
    shown = [
        _trend(title, Place(half * (number % 2), top + high * (number // 2), half, high))
        for number, title in enumerate(TRENDS)
    ]
    below = top + high * ((len(TRENDS) + 1) // 2)
    return [*shown, _chosen_channel(Place(0, below, WIDTH, high))]


def _trend(title: str, place: Place) -> Json:
    kind, channel = TRENDS[title]
    unit = CATALOGUE[kind][channel].unit
    alike = [
        f'"{name}"'
        for name, known in sorted(CATALOGUE.items())
        if channel in known and known[channel].unit == unit
    ]
    panel = Panel(
        title,
        place,
        [Query(questions.mean(channel, ", ".join(alike)), "time_series", "$tag_equipment")],
        Look(unit=grafana.unit(unit), none="no readings"),
        "The mean of usable readings; a line is broken where there is none.",
    )
    return grafana.trend(panel, FINEST)


def _chosen_channel(place: Place) -> Json:
    mean = questions.mean("${channel:raw}", questions.KINDS)
    panel = Panel(
        "${channel}",
        place,
        [Query(mean, "time_series", "$tag_equipment $m.$col")],
        Look(none="no readings"),
        "The channel that is chosen above, of every kind that has it.",
        _units(),
    )
    return grafana.trend(panel, FINEST)


def _units() -> list[Field]:
    """Give each series that ends in ``kind.channel`` the unit of that channel."""
    by_unit: dict[str, list[str]] = {}
    for kind, known in sorted(CATALOGUE.items()):
        for name, entry in sorted(known.items()):
            if entry.type in _DRAWN and entry.unit:
                by_unit.setdefault(entry.unit, []).append(rf"{kind}\.{name}")
    return [
        Field("byRegexp", f"/ (?:{'|'.join(names)})$/", {"unit": grafana.unit(unit)})
        for unit, names in sorted(by_unit.items())
    ]

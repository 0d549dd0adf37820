"""What the dashboards ask InfluxDB, in that part of InfluxQL which releases 1, 2 and 3 share. Pure.

Grafana fills in ``$timeFilter`` and ``$__interval``, ``${__to}`` (the end of the shown time, in
milliseconds) and the choices made at the top. Everything is as it was at the end of the shown time:
now, or in any night. What stands is asked without a beginning, since an alarm may stand for longer
than is shown.
"""

from collections.abc import Iterable

from config.catalogue import RESERVED_EQUIPMENT
from config.rules import Priority
from drivers.reading import Origin
from monitor.alarms.facts import Change, State

SHOWN = "$timeFilter"
END = "time <= ${__to}ms"
NOW = f"time > ${{__to}}ms - 1m AND {END}"
"""For what is told every ten seconds."""
LATELY = f"time > ${{__to}}ms - 2m AND {END}"
"""For readings, of which some come once a minute."""
KINDS = "/^${kind:regex}$/"
"""The measurements of the chosen kinds."""
SITE = '"site" =~ /^${site:regex}$/'
AREA = '"area" =~ /^${area:regex}$/'
EQUIPMENT = f'{AREA} AND "equipment" =~ /^${{equipment:regex}}$/'
_OWN = " OR ".join(f"\"equipment\" = '{name}'" for name in sorted(RESERVED_EQUIPMENT))
_REAL = r'"alarm" !~ /\/test-[^\/]*$/'
ALARMS = f"{SITE} AND (({EQUIPMENT}) OR {_OWN}) AND {_REAL}"
"""The alarms of the chosen equipment; those of the gateways concern everyone. Tests are none."""
READINGS = f"{SITE} AND {EQUIPMENT} AND \"origin\" <> '{Origin.TEST}'"
RAISED = f"(\"change\" = '{Change.RAISED}' OR \"change\" = '{Change.RAISED_AGAIN}')"
NOT_RAISED = f"\"change\" <> '{Change.RAISED}' AND \"change\" <> '{Change.RAISED_AGAIN}'"
BY_TIME = 'time($__interval), "equipment" fill(null)'
"""Where nothing was said stands nothing: a line is broken there."""
WHOLE = "_"
"""The area that stands for the whole gateway."""
RATES = {
    "told in 10 min": "last_10_min",
    "shelved": "shelved",
    "suppressed by design": "suppressed",
    "out of service": "out_of_service",
}
"""Names for people, and the fields."""
NOT_STANDING = (State.NORMAL, State.ENDED)


def select(what: str, source: str, where: str = "", by: str = "") -> str:
    """Return a query; ``source`` is a measurement, a pattern, or a query in parentheses."""
    parts = [("SELECT", what), ("FROM", source), ("WHERE", where), ("GROUP BY", by)]
    return " ".join(f"{word} {part}" for word, part in parts if part)


def _over(question: str) -> str:
    return f"({question})"


def sites() -> str:
    """Ask which sites there are."""
    return 'SHOW TAG VALUES FROM "gateway" WITH KEY = "site"'


def kinds() -> str:
    """Ask which kinds of equipment there are, and with them our own measurements."""
    return "SHOW MEASUREMENTS"


def areas() -> str:
    """Ask in which areas the chosen kinds stand."""
    return f'SHOW TAG VALUES FROM {KINDS} WITH KEY = "area" WHERE {SITE}'


def equipment() -> str:
    """Ask which equipment of the chosen kinds stands in the chosen areas."""
    return f'SHOW TAG VALUES FROM {KINDS} WITH KEY = "equipment" WHERE {SITE} AND {AREA}'


def fields() -> str:
    """Ask which fields the chosen kinds have."""
    return f"SHOW FIELD KEYS FROM {KINDS}"


def told(figures: str, of_one: str, when: str = NOW) -> str:
    """Ask for figures over all gateways, each by its newest word."""
    each = select(of_one, '"gateway"', f"{when} AND {SITE}", '"gateway"')
    return select(figures, _over(each))


def last_words() -> str:
    """Ask when each gateway last said how it is."""
    return select('last("last_scan") AS "scan"', '"gateway"', f"{SHOWN} AND {SITE}", '"gateway"')


def equipment_with_bad_data() -> str:
    """Ask how many equipment had a bad reading lately, and of how many anything was read, by kind.

    Each counts 0, 0, 1 for good, uncertain, bad: so that no answer is not taken for nothing bad.
    """
    worst = 'max("quality") * (max("quality") - 1) / 2 AS "bad"'
    each = select(worst, KINDS, f"{LATELY} AND {READINGS}", '"equipment"')
    return select('sum("bad") AS "bad", count("bad") AS "of"', _over(each))


def usable_readings() -> str:
    """Ask when each source last gave a usable reading."""
    where = f'{SHOWN} AND {READINGS} AND "bad" < "readings"'
    return select('last("scan") AS "scan"', KINDS, where, '"equipment", "source"')


def quality() -> str:
    """Ask for the worst quality of any reading of each equipment, over time."""
    return select('max("quality") AS "quality"', KINDS, f"{SHOWN} AND {READINGS}", BY_TIME)


def bad_share() -> str:
    """Ask for the share of bad readings of each equipment."""
    share = '1.0 * sum("bad") / sum("readings") AS "share"'
    return select(share, KINDS, f"{SHOWN} AND {READINGS}", '"equipment"')


def mean(channel: str, of_kinds: str) -> str:
    """Ask for the mean of a channel's usable readings over time."""
    value = f'mean("{channel}") AS "{channel}"'
    return select(value, of_kinds, f"{SHOWN} AND {READINGS}", BY_TIME)


def alarms_standing(fields: Iterable[str]) -> str:
    """Ask for these fields of the newest transition of each alarm that is not normal."""
    wanted = [name for name in fields if name not in {"state", "equipment"}]
    newest = ", ".join(['last("to") AS "state"', *(f'"{name}"' for name in wanted)])
    each = select(newest, '"alarm_event"', f"{END} AND {ALARMS}", '"gateway", "alarm", "equipment"')
    standing = " AND ".join(f"\"state\" <> '{state}'" for state in NOT_STANDING)
    return select(", ".join(f'"{name}"' for name in fields), _over(each), standing)


def alarms_raised() -> str:
    """Ask which alarms were raised when."""
    where = f"{SHOWN} AND {ALARMS} AND {RAISED}"
    return select('"alarm", "priority", "value"', '"alarm_event"', where)


def raised_per_hour(priority: Priority) -> str:
    """Ask how many alarms of a priority were raised in each hour."""
    return _per_hour(f"{RAISED} AND \"priority\" = '{priority}'")


def others_per_hour() -> str:
    """Ask how many other transitions there were in each hour."""
    return _per_hour(NOT_RAISED)


def alarm_rates() -> str:
    """Ask how many alarms people were told of within ten minutes, and how many were kept from them.

    Of each gateway as a whole, its own alarms too: it has one operator.
    """
    worst = [f'max("{field}") AS "{name}"' for name, field in RATES.items()]
    where = f"{SHOWN} AND {SITE} AND \"area\" = '{WHOLE}'"
    by = 'time($__interval), "gateway" fill(null)'
    return select(", ".join(worst), '"alarm_performance"', where, by)


def _per_hour(which: str) -> str:
    where = f"{SHOWN} AND {ALARMS} AND {which}"
    return select('count("seq") AS "n"', '"alarm_event"', where, "time(1h) fill(0)")

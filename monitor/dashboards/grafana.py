"""What a dashboard is built of: panels, their looks and their queries, as Grafana's JSON. Pure.

Grafana has its own names for units and colours, and says nothing when it does not know one; so each
key that we use is written in this file alone.
https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

Json = dict[str, object]
SCHEMA_VERSION = 38
"""That of Grafana 10.0; later releases migrate it by themselves."""
DATASOURCE: Json = {"type": "influxdb", "uid": "${datasource}"}
WIDTH = 24
"""Columns of Grafana's grid."""

GREY, BLUE, YELLOW, ORANGE, RED = "#8e8e8e", "blue", "yellow", "orange", "red"
"""Grey is normal: colour is for what is not."""

_UNITS = {
    "": "short",
    "Cel": "celsius",
    "%": "percent",
    "%RH": "humidity",
    "pH": "pH",
    "ppm": "ppm",
    "rpm": "rotrpm",
    "deg": "degree",
    "bar": "pressurebar",
    "mbar": "pressurembar",
    "kg": "masskg",
    "mm": "lengthmm",
    "L": "litre",
    "m/s": "velocityms",
}


def unit(ours: str) -> str:
    """Return Grafana's name for a unit of the catalogue; one that it lacks stands as it is."""
    return _UNITS.get(ours) or f"suffix: {ours}"


class Place(NamedTuple):
    """Where a panel stands on the grid."""

    x: int
    y: int
    w: int
    h: int


class Query(NamedTuple):
    """What a panel asks."""

    text: str
    shape: Literal["table", "time_series"] = "table"
    alias: str = ""
    """How a series is called: ``$tag_x``, ``$m`` (measurement) and ``$col`` stand for its own."""


class Look(NamedTuple):
    """How values are shown."""

    unit: str = "short"
    decimals: int | None = None
    none: str = ""
    """What stands there when there is no answer."""
    alert: Mapping[float, str] = MappingProxyType({})
    """Colours by the value from which on they are shown; below all is grey."""
    mappings: Sequence[Json] = ()
    custom: Mapping[str, object] = MappingProxyType({})
    color: Literal["thresholds", "palette-classic"] = "thresholds"

    def json(self) -> Json:
        """Return it as a field configuration's defaults."""
        shown: Json = {
            "unit": self.unit,
            "color": {"mode": self.color},
            "thresholds": thresholds(self.alert),
            "mappings": list(self.mappings),
            "custom": dict(self.custom),
        }
        if self.decimals is not None:
            shown["decimals"] = self.decimals
        if self.none:
            shown["noValue"] = self.none
        return shown


class Field(NamedTuple):
    """How one field is shown otherwise than the rest."""

    matcher: Literal["byName", "byRegexp"]
    which: str
    properties: Mapping[str, object]

    def json(self) -> Json:
        """Return it as an override."""
        return {
            "matcher": {"id": self.matcher, "options": self.which},
            "properties": [{"id": id_, "value": value} for id_, value in self.properties.items()],
        }


class Variable(NamedTuple):
    """A choice at the top of the dashboard, filled by a query."""

    name: str
    label: str
    query: str
    regex: str = ""
    """Which of the answers are offered, in JavaScript's dialect."""
    many: bool = True
    """Whether several, or all, may be chosen at once."""
    chosen: str = ""
    """What is chosen at first, where it is not the first or all."""

    def json(self) -> Json:
        """Return it as a template variable."""
        all_of_it = {"selected": True, "text": ["All"], "value": ["$__all"]}
        one = {"selected": True, "text": self.chosen, "value": self.chosen} if self.chosen else {}
        return {
            "name": self.name,
            "label": self.label,
            "type": "query",
            "datasource": DATASOURCE,
            "query": {"query": self.query, "refId": f"variable-{self.name}"},
            "regex": self.regex,
            "refresh": 2,  # Whenever the shown time changes.
            "sort": 1,  # By the alphabet.
            "multi": self.many,
            "includeAll": self.many,
            "current": all_of_it if self.many else one,
            "options": [],
            "hide": 0,
            "skipUrlSync": False,
        }


def datasource_variable() -> Json:
    """Return the choice of the database that all panels ask."""
    return {
        "name": "datasource",
        "label": "Database",
        "type": "datasource",
        "query": "influxdb",
        "regex": "",
        "refresh": 1,
        "multi": False,
        "includeAll": False,
        "current": {},
        "options": [],
        "hide": 0,
        "skipUrlSync": False,
    }


def thresholds(alert: Mapping[float, str]) -> Json:
    """Return colours by the value from which on they are shown; below all is grey."""
    lowest: Json = {"color": GREY, "value": None}
    steps = [{"color": color, "value": value} for value, color in sorted(alert.items())]
    return {"mode": "absolute", "steps": [lowest, *steps]}


def words(known: Iterable[tuple[str, str, str]]) -> Json:
    """Return a mapping of values to a text and a colour each."""
    options = {
        value: {"text": text, "color": color, "index": index}
        for index, (value, text, color) in enumerate(known)
    }
    return {"type": "value", "options": options}


class Panel(NamedTuple):
    """What every panel has."""

    title: str
    place: Place
    queries: Sequence[Query]
    look: Look
    description: str
    fields: Sequence[Field] = ()

    def json(self, kind: str, options: Json) -> Json:
        """Return it as a panel of that kind; its id is given by ``dashboard``."""
        return {
            "type": kind,
            "title": self.title,
            "description": self.description,
            "datasource": DATASOURCE,
            "gridPos": self.place._asdict(),
            "targets": [_target(index, query) for index, query in enumerate(self.queries)],
            "fieldConfig": {
                "defaults": self.look.json(),
                "overrides": [field.json() for field in self.fields],
            },
            "options": options,
        }


def stat(panel: Panel, calculation: Literal["lastNotNull", "min", "sum"], fields: str = "") -> Json:
    """Return large figures, made by ``calculation`` from the rows of an answer.

    ``fields`` is a pattern of their names, empty for all that are numbers.
    """
    options: Json = {
        "reduceOptions": {"calcs": [calculation], "fields": fields, "values": False},
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "center",
        "orientation": "vertical",
        "textMode": "auto",
        "wideLayout": True,
    }
    return panel.json("stat", options)


def table(
    panel: Panel,
    order: Sequence[tuple[str, bool]],
    hidden: Sequence[str],
    names: Mapping[str, str] = MappingProxyType({}),
) -> Json:
    """Return a table in the order of some columns, each with whether the largest is first.

    ``names`` says how fields are called, and in which order they stand.
    """
    options: Json = {
        "showHeader": True,
        "cellHeight": "sm",
        "sortBy": [{"displayName": name, "desc": desc} for name, desc in order],
    }
    organize = {
        "excludeByName": dict.fromkeys(hidden, True),
        "indexByName": {name: index for index, name in enumerate(names)},
        "renameByName": dict(names),
    }
    transformations = [{"id": "organize", "options": organize}]
    return {**panel.json("table", options), "transformations": transformations}


def as_times(panel: Json, fields: Sequence[str]) -> Json:
    """Let texts of a table that are times (RFC 3339) be taken for times."""
    conversions = [{"targetField": name, "destinationType": "time"} for name in fields]
    convert = {"id": "convertFieldType", "options": {"conversions": conversions, "fields": {}}}
    before = panel.get("transformations", [])
    return {**panel, "transformations": [convert, *(before if isinstance(before, list) else [])]}


def coloured(field: str, color: str) -> Field:
    """Return the override that gives a series one colour."""
    return Field("byName", field, {"color": {"mode": "fixed", "fixedColor": color}})


def trend(panel: Panel, interval: str) -> Json:
    """Return lines over time, broken where values are missing; ``interval`` is the finest step."""
    custom: Json = {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "fillOpacity": 0,
        "showPoints": "auto",  # Where a value stands alone.
    }
    legend: Json = {"calcs": ["lastNotNull"], "displayMode": "table", "placement": "right"}
    return {**_over_time(panel, custom, legend), "interval": interval}


def bars(panel: Panel) -> Json:
    """Return stacked bars over time."""
    custom: Json = {
        "drawStyle": "bars",
        "lineWidth": 0,
        "fillOpacity": 80,
        "showPoints": "never",
        "stacking": {"group": "A", "mode": "normal"},
    }
    legend: Json = {"calcs": ["sum"], "displayMode": "list", "placement": "bottom"}
    return _over_time(panel, custom, legend)


def timeline(panel: Panel, interval: str) -> Json:
    """Return a row for each series with its state over time; ``interval`` is the finest step."""
    options: Json = {
        "alignValue": "left",
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "mergeValues": True,
        "rowHeight": 0.8,
        "showValue": "never",
        "tooltip": {"mode": "single", "sort": "none"},
    }
    custom = {"fillOpacity": 80, "lineWidth": 0}  # Missing values are not joined by default.
    shown = panel._replace(look=panel.look._replace(custom=custom))
    return {**shown.json("state-timeline", options), "interval": interval}


class Dashboard(NamedTuple):
    """A whole dashboard."""

    uid: str
    title: str
    description: str
    variables: Sequence[Variable]
    annotations: Sequence[Json]
    panels: Sequence[Json]
    hours: int
    """How much of the past it shows at first."""

    def json(self) -> Json:
        """Return it as Grafana reads it; panels are numbered in their order."""
        return {
            "id": None,
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["cytowatch"],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": True,
            "fiscalYearStartMonth": 0,
            "graphTooltip": 1,  # One cursor in all panels.
            "liveNow": False,
            "links": [],
            "refresh": "10s",
            "time": {"from": f"now-{self.hours}h", "to": "now"},
            "timepicker": {},
            "timezone": "browser",
            "weekStart": "",
            "templating": {
                "list": [datasource_variable(), *(each.json() for each in self.variables)]
            },
            "annotations": {"list": list(self.annotations)},
            "panels": [{"id": number, **panel} for number, panel in enumerate(self.panels, 1)],
        }


def annotation(name: str, query: str, text: str, tags: Sequence[str], color: str) -> Json:
    """Return marks in all panels over time, with the columns that say what they are."""
    return {
        "name": name,
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": color,
        "target": {
            "refId": "annotation",
            "fromAnnotations": True,
            "rawQuery": True,
            "textEditor": True,
            "query": query,
            "textColumn": text,
            "tagsColumn": ",".join(tags),
            "timeEndColumn": "",
            "titleColumn": "",
        },
    }


def write(dashboard: Dashboard, folder: Path) -> None:
    """Write a dashboard to ``folder`` as ``{title, in lower case and with hyphens}.json``."""
    text = json.dumps(dashboard.json(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    name = dashboard.title.lower().replace(" ", "-")
    (folder / f"{name}.json").write_text(text, encoding="utf-8")


def _target(index: int, query: Query) -> Json:
    target: Json = {
        "refId": chr(ord("A") + index),
        "datasource": DATASOURCE,
        "query": query.text,
        "rawQuery": True,
        "resultFormat": query.shape,
    }
    return {**target, "alias": query.alias} if query.alias else target


def _over_time(panel: Panel, custom: Json, legend: Json) -> Json:
    options: Json = {
        "legend": {"showLegend": True, **legend},
        "tooltip": {"mode": "multi", "sort": "none"},
    }
    look = panel.look._replace(custom={"spanNulls": False, **custom}, color="palette-classic")
    return panel._replace(look=look).json("timeseries", options)

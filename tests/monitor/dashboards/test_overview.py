"""The committed dashboard is that of the models, and names nothing that is not written."""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.catalogue import CATALOGUE, RESERVED_ENDINGS, RESERVED_KINDS
from config.rules import Priority
from drivers.reading import Fault, Origin, Quality, Reason, Scan
from monitor.alarms.facts import Change, State
from monitor.dashboards import grafana
from monitor.dashboards.overview import color, site_overview
from monitor.store import Template, line_protocol
from tests.monitor.store.influx_parser import parse
from tests.monitor.store.support import NOON, channel, plant_of
from tests.support.grafana import (
    FOLDER,
    Asked,
    of_annotations,
    of_panels,
    of_variables,
    read,
    variables,
)

BOARD = read("site-overview")
QUERIES = [*of_panels(BOARD), *of_variables(BOARD), *of_annotations(BOARD)]
KNOWN_TO_GRAFANA = {"timeFilter", "__interval", "__to"}
WRITTEN_BY_GATEWAYS = Path(__file__).parents[3] / "docs" / "influxdb.md"


def panels(kind: str = "") -> list[Mapping[str, Any]]:
    return [panel for panel in BOARD["panels"] if kind in {"", panel["type"]}]


def test_the_committed_dashboard_is_up_to_date(tmp_path: Path) -> None:
    grafana.write(site_overview(), tmp_path)
    [made] = tmp_path.iterdir()
    committed = FOLDER / made.name
    assert committed.read_text() == made.read_text(), "write it anew: python -m monitor.dashboards"


def test_ids_and_titles_are_unique_and_do_not_change_by_themselves() -> None:
    assert BOARD["uid"] == "cytowatch-site-overview"
    ids = [panel["id"] for panel in panels()]
    assert ids == list(range(1, len(ids) + 1))
    assert len({panel["title"] for panel in panels()}) == len(ids)
    for panel in panels():
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs)


def test_panels_lie_on_the_grid_and_not_on_each_other() -> None:
    taken = {}
    for panel in panels():
        x, y, w, h = (panel["gridPos"][name] for name in "xywh")
        assert 0 <= x < x + w <= grafana.WIDTH
        taken[panel["title"]] = {(a, b) for a in range(x, x + w) for b in range(y, y + h)}
    for one, other in combinations(taken, 2):
        assert not taken[one] & taken[other], (one, other)
    cells = set[tuple[int, int]]().union(*taken.values())
    assert len(cells) == grafana.WIDTH * (1 + max(y for _, y in cells)), "and leave no hole"


def everything(of: object) -> Iterator[object]:
    yield of
    inner = of.values() if isinstance(of, dict) else of if isinstance(of, list) else ()
    for each in inner:
        yield from everything(each)


def test_every_variable_that_is_named_is_declared() -> None:
    declared = {each["name"] for each in BOARD["templating"]["list"]}
    text = json.dumps(BOARD)
    named = set(re.findall(r"\$\{(\w+)(?::\w+)?\}", text)) | {"datasource"}
    assert named - KNOWN_TO_GRAFANA <= declared
    assert declared <= named, "and each that is declared is asked for"


def test_a_variable_names_only_those_that_are_chosen_before_it() -> None:
    before: set[str] = set()
    for variable in variables(BOARD):
        named = set(re.findall(r"\$\{(\w+)", variable["query"]["query"]))
        assert named <= before, variable["name"]
        before.add(variable["name"])


def test_everything_asks_the_chosen_database() -> None:
    sources = [
        each["datasource"]
        for each in everything(BOARD)
        if isinstance(each, dict) and isinstance(each.get("datasource"), dict)
    ]
    assert len(sources) > len(QUERIES)
    assert {json.dumps(each, sort_keys=True) for each in sources} == {
        '{"type": "influxdb", "uid": "${datasource}"}'
    }
    for panel in panels():
        for target in panel["targets"]:
            keys = {"refId", "datasource", "query", "rawQuery", "resultFormat"}
            assert target.keys() - {"alias"} == keys
            assert target["rawQuery"] is True
            assert target["query"]
            assert target["resultFormat"] in {"table", "time_series"}


def test_every_panel_says_its_unit_its_silence_and_what_it_shows() -> None:
    for panel in panels():
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"], panel["title"]
        assert defaults["noValue"], panel["title"]
        assert panel["description"].endswith("."), panel["title"]


def test_missing_values_are_never_joined() -> None:
    drawn = panels("timeseries") + panels("state-timeline")
    assert drawn
    for panel in drawn:
        custom = panel["fieldConfig"]["defaults"]["custom"]
        # A state timeline joins none unless it is told to, and its schema has no word for it.
        assert custom.get("spanNulls") is (False if panel["type"] == "timeseries" else None)
        for target in panel["targets"]:
            assert target["query"].endswith(("fill(null)", "fill(0)"))


@pytest.mark.parametrize("asked", QUERIES, ids=lambda asked: f"{asked.owner} {asked.ref}")
def test_queries_keep_to_what_every_release_of_influxql_has(asked: Asked) -> None:
    assert asked.text.startswith(("SELECT ", "SHOW TAG VALUES ", "SHOW FIELD KEYS ", "SHOW MEAS"))
    assert "|>" not in asked.text
    for word in ("SLIMIT", "SOFFSET", "SHOW SERIES", "CARDINALITY", "INTO", "tz(", "now()"):
        assert word not in asked.text
    assert asked.text.count("(") == asked.text.count(")")


def written() -> set[str]:
    """The names of every measurement, tag and field that the gateway writes."""
    plant = plant_of(channel("co2"), channel("ph"))
    faults = {0: Fault(Quality.BAD, Reason.REFUSED)}
    scan = Scan(0, NOON, 0, (None, 7.0), faults, missed=1)
    point = parse(Template(plant, plant.sources[0]).encode(scan, 1, NOON // 10**6))
    channels = {name for kind in CATALOGUE.values() for name in kind}
    told = set(re.findall(r"`(\w+)`", WRITTEN_BY_GATEWAYS.read_text(encoding="utf-8")))
    told |= {*line_protocol._ALARM_TEXTS.values(), *line_protocol._ALARM_INTEGERS}
    told |= {*line_protocol._ALARM_FLAGS, "value", "limit", "peak"}
    values = {member.value for enum in (Change, State, Priority, Origin) for member in enum}
    told |= {name.replace("influxdb_", "mqtt_") for name in told if name.startswith("influxdb_")}
    return {*point.tags, *point.fields, *channels, *CATALOGUE, *RESERVED_KINDS} | told | values


def test_no_query_names_what_is_not_written() -> None:
    known = written()
    for asked in QUERIES:
        made = set(re.findall(r'AS "([^"]+)"', asked.text))
        named = set(re.findall(r'"([^"]+)"', asked.text)) | set(
            re.findall(r"'([^']+)'", asked.text)
        )
        assert named - made - {"${channel:raw}", "gateway"} <= known, asked.owner


def test_a_priority_is_shown_by_word_and_by_a_colour_of_its_own() -> None:
    assert len({color(each) for each in Priority}) == len(Priority)
    text = json.dumps(BOARD)
    for each in Priority:
        assert f'"{each.severity}": {{"color": "{color(each)}"' in text


def test_what_is_normal_is_grey_and_only_the_rest_has_colour() -> None:
    for each in everything(BOARD):
        if isinstance(each, dict) and "steps" in each:
            assert each["steps"][0] == {"color": grafana.GREY, "value": None}


def test_every_unit_of_the_catalogue_has_one_in_grafana() -> None:
    units = {entry.unit for kind in CATALOGUE.values() for entry in kind.values()}
    for unit in units:
        assert grafana.unit(unit)


@pytest.mark.parametrize(
    ("series", "unit"),
    [
        ("incubator-07 incubator.co2", "percent"),
        ("hall room.co2", "ppm"),
        ("bioreactor-1 bioreactor.ph", "pH"),
        ("bioreactor-1 bioreactor.agitation_setpoint", "rotrpm"),
        ("incubator-07 incubator.reads", None),
    ],
)
def test_the_chosen_channel_has_the_unit_of_its_kind(series: str, unit: str | None) -> None:
    [panel] = [panel for panel in panels() if panel["title"] == "${channel}"]
    found = [
        override["properties"][0]["value"]
        for override in panel["fieldConfig"]["overrides"]
        if re.search(override["matcher"]["options"].strip("/"), series)
    ]
    assert found == ([unit] if unit else [])


def test_only_quantities_are_offered_as_channels() -> None:
    [pattern] = [each["regex"] for each in variables(BOARD) if each["name"] == "channel"]
    wanted = re.compile(pattern.strip("/"))
    fields = {*written(), *(f"co2{ending}" for ending in RESERVED_ENDINGS)}
    offered = {name for name in CATALOGUE["incubator"] if wanted.match(name)}
    assert {"co2", "temperature", "humidity", "device_status"} <= offered
    assert not offered & {"door", "mode", "power"}
    assert not {name for name in fields if wanted.match(name)} & {"scan", "quality", "co2_quality"}


def test_the_types_of_panels_are_those_of_grafana_itself() -> None:
    shipped = {"stat", "table", "timeseries", "state-timeline"}
    assert {panel["type"] for panel in panels()} == shipped
    assert BOARD["id"] is None


def test_the_page_says_what_every_panel_shows() -> None:
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| ")]
    told = {title.strip() for row in rows for title in row.split(",")}
    assert {panel["title"] for panel in panels()} - {"${channel}"} <= told


@pytest.mark.parametrize("release", [1, 2, 3])
def test_a_database_of_each_release_can_be_provisioned(release: int) -> None:
    file = FOLDER / "provisioning" / "datasources" / f"influxdb-{release}.yaml"
    written = yaml.safe_load(file.read_text(encoding="utf-8"))
    [source] = written["datasources"]
    assert (written["apiVersion"], source["type"], source["access"]) == (1, "influxdb", "proxy")
    assert source["jsonData"]["version"] == "InfluxQL"
    assert source["jsonData"]["dbName"]
    secrets = source["secureJsonData"].values()
    assert all(re.search(r"\$INFLUXDB_[A-Z]+$", secret) for secret in secrets), "none in the file"


def test_the_dashboards_are_provisioned_from_a_folder() -> None:
    file = FOLDER / "provisioning" / "dashboards" / "cytowatch.yaml"
    [provider] = yaml.safe_load(file.read_text(encoding="utf-8"))["providers"]
    assert provider["type"] == "file"
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert f"`{provider['options']['path']}/`" in page

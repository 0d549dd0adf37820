"""The file, the environment and the overrides: which wins, and what is said when one is wrong."""

import json
import os
import random
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml as pyyaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config import yaml
from config.load import json_schema, load, read_secret
from config.problems import ConfigError
from config.site import Secret
from tests.config.site_text import GOOD, NO_ENVIRONMENT, loaded

EXAMPLES = Path(__file__).parents[2] / "config" / "examples"


def said(
    folder: Path,
    *,
    text: str = GOOD,
    environ: Mapping[str, str] = NO_ENVIRONMENT,
    overrides: Mapping[str, str] = NO_ENVIRONMENT,
) -> list[str]:
    (folder / "site.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(folder / "site.yaml", environ=environ, overrides=overrides)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def test_overrides_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(GOOD, encoding="utf-8")
    environ = {"CYTOWATCH_MQTT__PORT": "1884", "CYTOWATCH_MQTT__HOST": "b", "CYTOWATCH_SITE": "x"}
    plant = load(path, environ=environ, overrides={"mqtt.host": "c", "mqtt.commands": "true"})
    assert plant.mqtt is not None
    assert (plant.site, plant.mqtt.host, plant.mqtt.port) == ("x", "c", 1884)
    assert plant.mqtt.commands
    assert plant.mqtt.user == "me"


def test_the_processs_own_environment_counts_when_none_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CYTOWATCH_GATEWAY", "gw-9")
    (tmp_path / "site.yaml").write_text(GOOD, encoding="utf-8")
    assert load(tmp_path / "site.yaml").gateway == "gw-9"
    assert load(tmp_path / "site.yaml", environ={}).gateway == "gw-1"


def test_secrets_places_can_come_from_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(GOOD.replace("token: {credential: t}", "org: o"), encoding="utf-8")
    plant = load(path, environ={"CYTOWATCH_INFLUXDB__TOKEN__FILE": "/etc/token"})
    assert plant.influxdb is not None
    assert plant.influxdb.token == Secret(file=Path("/etc/token"))


def test_a_problem_names_the_variable_or_override_it_comes_from(tmp_path: Path) -> None:
    environ = {
        "CYTOWATCH_MQTT__PORT": "x",
        "CYTOWATCH_MQTT__HOTS": "h",
        "CYTOWATCH_MQQT__PORT": "1",
        "CYTOWATCH_SOMEBODY_ELSES": "1",
    }
    assert said(tmp_path, environ=environ, overrides={"store.tick": "5"}) == [
        "CYTOWATCH_MQQT__PORT: sets unknown key 'mqqt'; did you mean 'mqtt'?",
        "CYTOWATCH_MQTT__HOTS: mqtt.hots: unknown key 'hots'; did you mean 'host'?",
        "CYTOWATCH_MQTT__PORT: mqtt.port: should be a whole number (got 'x')",
        "override: store.tick: a duration is a number with a unit: 500ms, 1s, 2m, 8h, 7d",
    ]


def test_what_does_not_fit_below_is_laid_at_the_door_of_what_set_it(tmp_path: Path) -> None:
    assert said(tmp_path, overrides={"lines.0.name": "x"}) == ["override: lines: should be a list"]
    assert said(tmp_path, environ={"CYTOWATCH_MQTT__PORT__X": "1"}) == [
        "CYTOWATCH_MQTT__PORT__X: mqtt.port: should be a whole number"
    ]
    assert said(tmp_path, overrides={"mqtt": "x", "mqtt.port": "1"}) == [
        "override: mqtt: should be keys and values",
        "override: mqtt.port: does not fit the others",
    ]


def test_lists_and_mappings_are_overridden_as_yaml(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(GOOD, encoding="utf-8")
    overrides = {"limits.warm.co2": "[{name: low, low: 4.2}]", "influxdb": "null"}
    plant = load(path, environ={}, overrides=overrides)
    assert plant.influxdb is None
    assert [rule.name for rule in plant.sources[0].channels[1].rules] == ["low", "unreadable"]


def test_a_secret_in_the_environment_is_refused_and_not_shown(tmp_path: Path) -> None:
    for environ in (
        {"CYTOWATCH_MQTT__PASSWORD": "hunter2"},
        {"CYTOWATCH_INFLUXDB": "hunter2"},
        {"CYTOWATCH_LINES": "hunter2"},
    ):
        problems = said(tmp_path, environ=environ)
        assert problems
        assert "hunter2" not in "".join(problems)
        assert all(each.startswith(next(iter(environ))) for each in problems)


def test_a_file_that_cannot_be_read_is_a_problem_like_others(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: no such file or directory"):
        load(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read: is a directory"):
        load(tmp_path)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"site: lab\narea: caf\xe9\n")
    with pytest.raises(ConfigError, match=r"latin\.yaml:2:10: is not UTF-8 here"):
        load(latin)
    assert said(tmp_path, text="") == [
        "site.yaml:1:1: the file is empty; a first site is ten lines"
    ]
    assert said(tmp_path, text="- a") == [
        "site.yaml:1:1: should be keys and values: site, gateway, lines, equipment"
    ]


def test_the_plant_bears_the_text_and_its_hash(tmp_path: Path) -> None:
    plant = loaded(tmp_path, GOOD)
    assert plant.text == GOOD
    assert plant.digest == sha256(GOOD.encode()).hexdigest()


@pytest.mark.parametrize("name", ["site.yaml", "minimal.yaml"])
def test_the_examples_load(name: str) -> None:
    assert load(EXAMPLES / name, environ={}).sources


def test_secrets_are_read_from_the_one_place_they_are_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("s3cret\n", encoding="utf-8")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("TOKEN", "from outside")
    assert read_secret(Secret(credential="token")) == "s3cret"
    assert read_secret(Secret(file=tmp_path / "token")) == "s3cret"
    assert read_secret(Secret(env="TOKEN")) == "from outside"


def test_a_secret_that_is_not_there_says_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(ConfigError, match=r"NONE: the environment variable is not set"):
        read_secret(Secret(env="NONE"))
    with pytest.raises(ConfigError, match=r"CREDENTIALS_DIRECTORY is not set.*LoadCredential=x"):
        read_secret(Secret(credential="x"))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(ConfigError, match=r"/x: cannot be read: no such file.*LoadCredential=x"):
        read_secret(Secret(credential="x"))
    with pytest.raises(ConfigError, match=r"/empty: is empty"):
        read_secret(Secret(file=tmp_path / "empty"))


TOKENS = [
    "{",
    "}",
    "[",
    "]",
    ": ",
    "- ",
    "\n",
    "  ",
    "null",
    "true",
    "-1",
    "1e999",
    "'",
    "&a ",
    "*a",
    "!!set ",
    "9" * 30,
    "é",
    "\t",
]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.randoms(use_true_random=False), st.integers(1, 4))
def test_whatever_is_done_to_a_file_nothing_but_a_config_error_comes_of_it(
    tmp_path: Path, rng: random.Random, cuts: int
) -> None:
    text = (EXAMPLES / "site.yaml").read_text("utf-8")
    for _ in range(cuts):
        at = rng.randrange(len(text))
        end = at + rng.choice([0, 1, 5, 40])
        text = text[:at] + rng.choice(["", *TOKENS]) + text[end:]
    survives(tmp_path, text)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.randoms(use_true_random=False), st.integers(1, 3))
def test_whatever_stands_in_place_of_a_value_nothing_but_a_config_error_comes_of_it(
    tmp_path: Path, rng: random.Random, changes: int
) -> None:
    lines = (EXAMPLES / "site.yaml").read_text("utf-8").splitlines()
    for _ in range(changes):
        at = rng.randrange(len(lines))
        key, colon, _ = lines[at].partition(": ")
        value = rng.choice(
            ["5", "x", "[]", "{}", "[1, {a: b}]", "{a: {b: c}}", "", ".nan", "off", "{1: 2}"]
        )
        lines[at] = f"{key}{colon}{value}" if colon else f"  {lines[at]}"
    survives(tmp_path, "\n".join(lines))


def survives(folder: Path, text: str) -> None:
    path = folder / "mutated.yaml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    try:
        load(path, environ={})
    except ConfigError as error:
        assert error.problems  # noqa: PT017 - that there are some is the whole of it
        assert all(problem.line >= 1 and problem.text for problem in error.problems)  # noqa: PT017


KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def conforms(value: object, schema: Mapping[str, Any], root: Mapping[str, Any]) -> bool:
    """Whether ``value`` fits the part of JSON Schema that our models use."""
    if "$ref" in schema:
        return conforms(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    unions = [schema[key] for key in ("anyOf", "oneOf") if key in schema]
    return (
        all(any(conforms(value, each, root) for each in union) for union in unions)
        and ("type" not in schema or isinstance(value, KINDS[schema["type"]]))
        and value in schema.get("enum", [value])
        and value == schema.get("const", value)
        and (not isinstance(value, list) or _items_conform(value, schema, root))
        and (not isinstance(value, dict) or _conforms_mapping(value, schema, root))
    )


def _items_conform(value: list[Any], schema: Mapping[str, Any], root: Mapping[str, Any]) -> bool:
    return all(conforms(each, schema.get("items", {}), root) for each in value)


def _conforms_mapping(
    value: dict[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any]
) -> bool:
    known = schema.get("properties", {})
    other = schema.get("additionalProperties", True)
    patterns = list(schema.get("patternProperties", {}).values())
    for key, each in value.items():
        if key in known:
            fits = conforms(each, known[key], root)
        elif patterns:
            fits = any(conforms(each, pattern, root) for pattern in patterns)
        else:
            fits = conforms(each, other, root) if isinstance(other, dict) else other
        if not fits:
            return False
    return set(schema.get("required", ())) <= value.keys()


@pytest.mark.parametrize("name", ["site.yaml", "minimal.yaml"])
def test_the_schema_for_editors_takes_the_examples(name: str) -> None:
    schema = json_schema()
    data = yaml.read((EXAMPLES / name).read_text("utf-8")).data
    assert conforms(data, schema, schema)
    assert not conforms({**data, "sites": 1}, schema, schema)
    assert not conforms({**data, "lines": [{"name": 5}]}, schema, schema)


def test_the_first_site_of_the_readme_is_a_good_one(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    parts = [pyyaml.safe_load(part) for part in re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)]
    site, reactor, secured, people, sinks = parts
    for key in ("lines", "equipment"):
        site[key] += reactor[key]
    encrypted = {**site, "lines": [site["lines"][0], *secured["lines"]]}
    assert len(loaded(tmp_path, pyyaml.safe_dump(encrypted)).lines) == len(encrypted["lines"])
    plant = loaded(tmp_path, pyyaml.safe_dump({**site, **people, **sinks}))
    assert plant.operators is not None
    assert "confirm" in plant.operators.roles["engineer"]
    assert {channel.name for source in plant.sources for channel in source.channels} == {
        *("co2", "humidity", "temperature"),
        *("ph", "dissolved_oxygen", "phase"),
    }
    assert plant.influxdb is not None


def test_several_databases_are_a_list_and_one_needs_none(tmp_path: Path) -> None:
    one = loaded(tmp_path, GOOD)
    assert [each.name for each in one.databases] == ["influxdb"]
    written = 'influxdb: {url: "http://127.0.0.1:8086", bucket: b, token: {credential: t}}'
    several = GOOD.replace(
        written,
        "influxdb: [{url: 'http://127.0.0.1:1', bucket: b},"
        " {name: archive, url: 'http://127.0.0.1:2', database: plant, api: v3}]",
    )
    two = loaded(tmp_path, several)
    assert [each.name for each in two.databases] == ["influxdb", "archive"]
    assert (two.influxdb, two.other_databases) == (two.databases[0], two.databases[1:])


TANK = """\
site: lab
gateway: gw-1
lines: [{name: tank, opcua: {endpoint: "opc.tcp://192.0.2.31:4840"}}]
equipment:
  - name: bioreactor-1
    kind: bioreactor
    area: lab
    limits: reactor
    sources:
      - line: tank
        calibration_due: 2027-03-01
        channels:
          temperature: {node: "i=1"}
          temperature_setpoint: {node: "i=2"}
          temperature_reference: {node: "i=3"}
          ph: {node: "i=4"}
          device_status: {node: "i=5"}
          door: {node: "i=6"}
          phase: {node: "i=7", names: {0: activation, 1: transduction}}
"""


def test_what_the_page_on_limits_shows_is_a_good_file(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "limits.md").read_text("utf-8")
    parts = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    plant = loaded(tmp_path, TANK + "".join(parts))
    assert [rule.name for rule in plant.sources[0].channels[0].rules] == [
        *("high", "low", "off-setpoint", "probes-differ", "runaway"),
        *("unreadable", "stale"),
    ]
    assert plant.operators is not None
    assert [rule.name for rule in plant.sources[0].calibration] == [
        "calibration-tank",
        "calibration-expired-tank",
    ]


def test_the_example_shows_all_that_can_be_written() -> None:
    schema = json_schema()
    words = set(re.findall(r"\w+", (EXAMPLES / "site.yaml").read_text("utf-8")))
    models = {"site": schema, **schema["$defs"]}
    unsaid = {
        name: sorted(model.get("properties", {}).keys() - words) for name, model in models.items()
    }
    assert {name: keys for name, keys in unsaid.items() if keys} == {}


def test_the_schema_spells_durations_as_files_do() -> None:
    modbus = json_schema()["$defs"]["Modbus"]["properties"]
    assert modbus["timeout"]["default"] == "1s"
    assert modbus["pause"]["default"] == "0s"
    assert modbus["connect_timeout"]["type"] == "string"


def test_the_schema_bounds_numbers_as_editors_understand() -> None:
    schema = json_schema()
    port = schema["$defs"]["Modbus"]["properties"]["port"]
    assert (port["minimum"], port["maximum"]) == (1, 65535)
    assert not {'"ge"', '"le"', '"gt"', '"lt"'} & set(re.findall(r'"\w+"', json.dumps(schema)))


def test_the_whole_environment_of_a_process_is_borne(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(GOOD, encoding="utf-8")
    assert load(path, environ=os.environ).site == "lab"

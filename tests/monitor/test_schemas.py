"""The published schemas are those of the models, and the models say what the schemas promise."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from monitor.operators.envelopes import ResendCommand, ShelveCommand
from monitor.schemas import schemas, write_schemas

PUBLISHED = Path(__file__).parents[2] / "docs" / "schemas"
ENVELOPE = {
    "request_id": "r-1",
    "user": "anna",
    "role": "operator",
    "reason": "calibration",
    "expiry": "2026-01-31T12:00:00Z",
    "nonce": "0123456789abcdef",
}


def test_the_published_schemas_are_up_to_date(tmp_path: Path) -> None:
    write_schemas(tmp_path)
    made = {file.name: file.read_text() for file in tmp_path.iterdir()}
    published = {file.name: file.read_text() for file in PUBLISHED.iterdir()}
    assert published == made, "write them anew: python -m monitor.schemas"


@pytest.mark.parametrize("name", schemas())
def test_every_schema_names_itself_and_refuses_unknown_keys(name: str) -> None:
    schema = json.loads(json.dumps(schemas()[name]))
    assert schema["properties"]["schema"]["const"] == name
    assert schema["additionalProperties"] is False


def test_editors_find_the_schema_that_the_example_names() -> None:
    example = Path(__file__).parents[2] / "config" / "examples" / "site.yaml"
    named = example.read_text().splitlines()[0].partition("$schema=")[2]
    assert (example.parent / named).resolve() == PUBLISHED / "site.json"


def test_a_duration_is_asked_for_in_words() -> None:
    removal = schemas()["cytowatch.out_of_service_command.v1"]["properties"]
    shelf = schemas()["cytowatch.shelve_command.v1"]["properties"]
    assert isinstance(removal, dict)
    assert isinstance(shelf, dict)
    assert removal["duration"]["type"] == "string"
    assert [each["type"] for each in shelf["duration"]["anyOf"]] == ["string", "null"]


def test_a_request_may_name_its_schema_and_no_other() -> None:
    resend = {**ENVELOPE, "gateway": "gw-1", "first": 1, "last": 2}
    named = ResendCommand.model_validate(resend | {"schema": "cytowatch.resend_command.v1"})
    assert named == ResendCommand.model_validate(resend)
    with pytest.raises(ValidationError):
        ResendCommand.model_validate(resend | {"schema": "cytowatch.alarm_command.v1"})


@pytest.mark.parametrize(("duration", "seconds"), [("30m", 1800), ("8h", 28_800)])
def test_a_shelf_may_name_its_schema(duration: str, seconds: int) -> None:
    bound = {
        "alarm": "incubator-7/co2/high",
        "occurrence": "x/incubator-7/co2/high/1",
        "version": 3,
    }
    said = {**ENVELOPE, **bound, "schema": "cytowatch.shelve_command.v1", "duration": duration}
    assert ShelveCommand.model_validate(said).duration == seconds * 10**9

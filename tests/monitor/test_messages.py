"""The published schemas are those of the models, and the models say what the schemas promise."""

import json
from pathlib import Path

import pytest

from monitor.messages import StatusMessage, rfc3339, schemas, write_schemas

PUBLISHED = Path(__file__).parents[2] / "docs" / "schemas"


def test_the_published_schemas_are_up_to_date(tmp_path: Path) -> None:
    write_schemas(tmp_path)
    made = {file.name: file.read_text() for file in tmp_path.iterdir()}
    published = {file.name: file.read_text() for file in PUBLISHED.iterdir()}
    assert published == made, "write them anew: python -m monitor.messages"


@pytest.mark.parametrize("name", schemas())
def test_every_schema_names_itself_and_refuses_unknown_keys(name: str) -> None:
    schema = json.loads(json.dumps(schemas()[name]))
    assert schema["properties"]["schema"]["const"] == name
    assert schema["additionalProperties"] is False


def test_a_message_bears_its_schema_on_the_wire() -> None:
    message = StatusMessage(
        site="s", gateway="g", online=True, store_id="x", sequence=1, time=rfc3339(0)
    )
    assert json.loads(message.model_dump_json(by_alias=True)) == {
        "schema": "cytowatch.status.v1",
        "site": "s",
        "gateway": "g",
        "owner_epoch": 1,
        "online": True,
        "store_id": "x",
        "sequence": 1,
        "time": "1970-01-01T00:00:00.000Z",
    }


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_769_860_800_123_999_999, "2026-01-31T12:00:00.123Z"),
        (999_999, "1970-01-01T00:00:00.000Z"),
    ],
)
def test_times_are_utc_with_milliseconds(nanoseconds: int, text: str) -> None:
    assert rfc3339(nanoseconds) == text

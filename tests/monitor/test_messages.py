import json

import pytest

from monitor.messages import StatusMessage, rfc3339


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

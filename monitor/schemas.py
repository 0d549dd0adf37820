"""The JSON Schemas of everything that goes out and comes in, published in ``docs/schemas/``.

``python -m monitor.schemas`` writes them anew from the models, and that of a site's file too.
"""

import json
from pathlib import Path

from config.load import json_schema
from monitor.excursions.record import Budget, ExcursionRecord
from monitor.messages import (
    ActReply,
    AlarmEventMessage,
    AlarmMessage,
    DigestMessage,
    Message,
    ReceiptMessage,
    StatusMessage,
)
from monitor.operators import protocol
from monitor.operators.alarm_test import AlarmTestMessage, AlarmTestStep
from monitor.operators.envelopes import (
    AlarmCommand,
    BatchCommand,
    CommentCommand,
    OutOfServiceCommand,
    ResendCommand,
    ShelveCommand,
    StateCommand,
)
from monitor.store.archive import Manifest

TOLD: tuple[type[Message], ...] = (
    AlarmMessage,
    AlarmEventMessage,
    StatusMessage,
    DigestMessage,
    ActReply,
    ExcursionRecord,
    Budget,
    protocol.ValueMessage,
    protocol.EventMessage,
    protocol.ReadingMessage,
    protocol.StatusMessage,
    protocol.HealthMessage,
    protocol.StoreStatusMessage,
    protocol.BackupMessage,
    Manifest,
    protocol.DeadLetterMessage,
    protocol.LetterReply,
    protocol.NameMessage,
    protocol.UsageMessage,
    protocol.AlarmReportMessage,
    protocol.ReplayMessage,
    protocol.ReplayedMessage,
    AlarmTestStep,
    AlarmTestMessage,
)
"""What is published over MQTT, served at ``/health``, or printed by a command with ``--json``."""
ASKED: tuple[type[Message], ...] = (
    AlarmCommand,
    ShelveCommand,
    OutOfServiceCommand,
    CommentCommand,
    StateCommand,
    BatchCommand,
    ResendCommand,
    ReceiptMessage,
)
"""What operators may ask for over MQTT, and what consumers say there."""


def schemas() -> dict[str, dict[str, object]]:
    """Return the JSON Schema of every message, by its name on the wire."""
    return {
        str(model.model_fields["schema_"].default): {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            **model.model_json_schema(
                by_alias=True, mode="serialization" if model in TOLD else "validation"
            ),
        }
        for model in (*TOLD, *ASKED)
    }


def write_schemas(folder: Path) -> None:
    """Write each schema to ``folder`` as ``{name}.json``, and that of a site's file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in {**schemas(), "site": json_schema()}.items():
        text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        (folder / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_schemas(Path("docs/schemas"))

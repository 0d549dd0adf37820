"""What is asked for, and told, of the rehearsal of an alarm; the record of it is its evidence."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from monitor.messages import Actor, Message

Outcome = Literal["as_expected", "not_as_expected", "not_configured", "not_reached"]
StepName = Literal[
    "condition",
    "raised",
    "delivered_mqtt",
    "delivered_influxdb",
    "acknowledged",
    "confirmed",
    "returned",
    "reset",
    "ended",
]
STEPS: Mapping[StepName, str] = {
    "condition": "condition",
    "raised": "raised",
    "delivered_mqtt": "delivered, MQTT",
    "delivered_influxdb": "delivered, InfluxDB",
    "acknowledged": "acknowledged",
    "confirmed": "confirmed",
    "returned": "returned",
    "reset": "reset",
    "ended": "ended",
}
"""What the steps are called to people."""
Verdict = Literal["passed", "failed", "abandoned"]


class AlarmTestRequest(Message):
    """Who wants to rehearse which alarm, and why."""

    alarm: str
    actor: Actor
    reason: str
    by_hand: bool = False
    """Somebody else acknowledges it, as if it were real; else it is done by the test itself."""
    patience: int
    """How long (ns), beside the delays of the rule, it may take until it is over."""


class AlarmTestStep(Message):
    """One step of a rehearsal."""

    schema_: Literal["cytowatch.alarm_test_step.v1"] = Field(
        "cytowatch.alarm_test_step.v1", alias="schema"
    )
    step: StepName
    expected: str
    outcome: Outcome
    seen: str = ""
    time: str | None = None
    """When it was so, by the record."""
    event_id: str = ""
    """Of the transition by which it was seen, where there is one."""


class Meanwhile(Message):
    """A transition of the real alarm while its shadow was rehearsed."""

    time: str
    change: str
    state: str
    event_id: str


class AlarmTestMessage(Message):
    """A rehearsal, whole: who, when, what was expected and what was seen."""

    schema_: Literal["cytowatch.alarm_test.v1"] = Field("cytowatch.alarm_test.v1", alias="schema")
    phase: Literal["end"] = "end"
    """Of the two events that a rehearsal leaves on the record: its end."""
    site: str
    area: str
    gateway: str
    host: str
    """The machine's own name."""
    version: str
    """Of cytowatch."""
    config: str
    """SHA-256 of the site's file."""
    store_id: str
    alarm: str
    """The real one."""
    test_alarm: str
    """Its shadow, under which all was told."""
    equipment: str
    kind: str
    channel: str
    rule: str
    rule_kind: str
    condition: str
    """The limit in words, as it held at the time."""
    unit: str
    limit: float | None
    on_delay: float
    """Seconds; so are all times here."""
    off_delay: float
    latching: bool
    confirm: bool
    priority: str
    severity: int
    alarm_class: str
    response: str
    consequence: str
    time_to_respond: float | None
    delay_justification: str
    equipment_state: str
    """When it began; empty for the gateway itself."""
    user: str
    claimed: str
    role: str
    uid: int | None
    via: str
    reason: str
    by_hand: bool
    started: str
    ended: str
    clock_synchronised: bool | None
    steps: tuple[AlarmTestStep, ...]
    verdict: Verdict
    """``passed``: every step was as expected, or there was nothing configured for it."""
    real_before: str
    """The state of the real alarm when the rehearsal began and when it was over."""
    real_after: str
    real_events: tuple[Meanwhile, ...] = ()
    """What the real alarm told meanwhile."""
    scans: tuple[int, int] = (0, 0)
    """Numbers of the first and last made-up reading (``origin`` test) on the record; 0: none."""
    head: str = ""
    """The head of the record's hash chain once this stands in it; empty in the record itself."""
    event: int = 0
    """The number of this on the record; likewise."""

"""The gateway's own troubles that are alarms, and the rules by which they are: pure data.

Each is ``gateway/_/{name}``. A lost line is one too; its rule stands with the line in the file.
"""

from config.lines import OpcUaLine
from config.plant import Plant
from config.rules import Priority, Rule, Silent
from config.site import consumers
from monitor.certificates import used

MINUTE = 60 * 10**9
ALARMS_UNHEARD = "alarms-unheard"
REQUESTS_UNHEARD = "requests-unheard"
MESSAGES_TOO_LARGE = "messages-too-large"
NOTIFY_FAILED = "notify-failed"
CLOCK_UNSYNCHRONISED = "clock-unsynchronised"
POINTS_SKIPPED = "points-skipped"
DISK_FILLING = "disk-filling"
DISK_FULL = "disk-full"
STORE_DAMAGED = "store-damaged"
STORE_FILLING = "store-filling"
STORE_LOSING = "store-losing"
STORE_SPOILT = "store-spoilt"
POINTS_REFUSED = "points-refused"
POINTS_AGEING = "points-ageing"
VALUES_DROPPED = "values-dropped"


def sink_trouble(sink: str) -> str:
    """Return the name of the trouble that a database or broker is away."""
    return f"sink-{sink}"


def certificate_trouble(name: str) -> str:
    """Return the name of the trouble that a certificate of the gateway's own expires soon."""
    return f"certificate-{name}"


def receipts_trouble(consumer: str) -> str:
    """Return the name of the trouble that a consumer owes receipts for longer than it may."""
    return f"receipts-{consumer}"


def skew_trouble(line: str) -> str:
    """Return the name of the trouble that a clock behind a line is off."""
    return f"skew-{line}"


def gateway_rules(plant: Plant) -> dict[str, Rule]:
    """Return the rules for the gateway's own troubles, by name."""
    rules = [_DISK_FILLING, _DISK_FULL, _DAMAGED, _SPOILT, _DROPPED, _SKIPPED, _UNSYNCHRONISED]
    rules += [_expiring(name) for name in dict.fromkeys(each.name for each in used(plant))]
    rules += [_off(line) for line, each in plant.lines.items() if isinstance(each, OpcUaLine)]
    if plant.databases:
        rules += [_away(settings.name) for settings in plant.databases]
        rules += [_FILLING, _LOSING, _REFUSED, _AGEING]
    if plant.mqtt is not None:
        rules += [_away("mqtt"), _UNHEARD, _TOO_LARGE]
        rules += [_owing(name) for name in consumers(plant.mqtt)]
        rules += [_DEAF] if plant.mqtt.commands or plant.mqtt.receipts else []
    rules += [_NOBODY_NOTIFIED] if plant.notify else []
    return {rule.name: rule for rule in rules}


def _away(sink: str) -> Silent:
    return Silent(
        name=sink_trouble(sink),
        on_delay=MINUTE,
        priority=Priority.HIGH,
        response="Nothing is lost: it waits on the gateway. cytowatch status says what to do",
    )


def _expiring(certificate: str) -> Silent:
    return Silent(
        name=certificate_trouble(certificate),
        priority=Priority.MEDIUM,
        response=_RENEW.get(certificate, _RENEW_TRUST),
    )


def _owing(consumer: str) -> Silent:
    return Silent(
        name=receipts_trouble(consumer),
        priority=Priority.HIGH,
        response=f"{consumer} does not say that it has the alarms: look whether it runs, and "
        "watch cytowatch tail meanwhile",
    )


def _off(line: str) -> Silent:
    return Silent(
        name=skew_trouble(line),
        on_delay=5 * MINUTE,
        off_delay=MINUTE,
        priority=Priority.LOW,
        response="Set the clock of the device that the log names: the times of its values are "
        "wrong, alarms are not. What cannot be set may have a clock_tolerance",
    )


_RENEW = {
    "opcua": "The gateway's own OPC UA certificate ends within 30 days: renew it, and let the "
    "servers trust the new one",
    "mqtt": "The certificate that the gateway shows the broker ends within 30 days: renew it",
    "mqtt-ca": "The certificate by which the broker is trusted ends within 30 days: get the new "
    "one from whoever runs the broker",
}
_RENEW_TRUST = (
    "The certificate by which a database is trusted ends within 30 days: get the new one from "
    "whoever runs it"
)
_SKIPPED = Silent(
    name=POINTS_SKIPPED,
    on_delay=5 * MINUTE,
    priority=Priority.MEDIUM,
    response="The gateway comes too late for its readings: see what else runs on it, or poll less",
)
_UNSYNCHRONISED = Silent(
    name=CLOCK_UNSYNCHRONISED,
    on_delay=15 * MINUTE,
    priority=Priority.MEDIUM,
    response="Nothing sets the gateway's clock: look at timedatectl, or chronyc tracking",
)
_UNHEARD = Silent(
    name=ALARMS_UNHEARD,
    on_delay=2 * MINUTE,
    priority=Priority.HIGH,
    response="Nobody at the broker hears the alarms: watch cytowatch tail, start the alarm server",
)
_DEAF = Silent(
    name=REQUESTS_UNHEARD,
    on_delay=MINUTE,
    priority=Priority.MEDIUM,
    response="Nothing that is sent to the gateway over MQTT arrives: acknowledge at the gateway, "
    "and see cytowatch status for what the broker must let it do",
)
_TOO_LARGE = Silent(
    name=MESSAGES_TOO_LARGE,
    off_delay=MINUTE,
    priority=Priority.HIGH,
    response="The broker takes no message as large as some alarms are, and they are not told: "
    "raise its max_packet_size; watch cytowatch tail meanwhile",
)
_NOBODY_NOTIFIED = Silent(
    name=NOTIFY_FAILED,
    priority=Priority.HIGH,
    response="The command that tells of alarms which reach nobody fails: the log says why",
)
_DAMAGED = Silent(
    name=STORE_DAMAGED,
    priority=Priority.HIGH,
    response="The record was damaged and begins anew; keep the file that cytowatch status names",
)
_DISK_FILLING = Silent(
    name=DISK_FILLING,
    off_delay=MINUTE,
    priority=Priority.MEDIUM,
    response="Make room on the gateway's disk, or lower the quota: it will be full before long",
)
_DISK_FULL = Silent(
    name=DISK_FULL,
    off_delay=MINUTE,
    priority=Priority.HIGH,
    response="Make room on the gateway's disk now: older readings leave, alarms are still kept",
)
_SPOILT = Silent(
    name=STORE_SPOILT,
    off_delay=MINUTE,
    priority=Priority.HIGH,
    response="The disk changes what is written on it: replace it; see cytowatch store verify",
)
_FILLING = Silent(
    name=STORE_FILLING,
    off_delay=MINUTE,
    priority=Priority.MEDIUM,
    response="Bring the database back, or raise the quota, before undelivered readings must leave",
)
_AGEING = Silent(
    name=POINTS_AGEING,
    off_delay=MINUTE,
    priority=Priority.HIGH,
    response="What waits will soon be older than the database keeps, and be refused or hidden: "
    "bring it back, or lengthen its retention",
)
_LOSING = Silent(
    name=STORE_LOSING,
    off_delay=MINUTE,
    priority=Priority.HIGH,
    response="Readings leave the gateway undelivered: bring the database back, or raise the quota",
)
_REFUSED = Silent(
    name=POINTS_REFUSED,
    off_delay=MINUTE,
    priority=Priority.MEDIUM,
    response="The database refuses points for good: see cytowatch store dead-letters list",
)
_DROPPED = Silent(
    name=VALUES_DROPPED,
    off_delay=MINUTE,
    priority=Priority.MEDIUM,
    response="A server changes faster than it may tell: raise queue, or shorten publishing",
)

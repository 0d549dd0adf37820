"""Who put an alarm aside and why: carried from event to event for as long as it lasts.

What an operator silenced must be visible with a name and a reason, also when other things have
happened to the alarm since; its facts know neither.
"""

from collections.abc import Iterable

from monitor.alarms.facts import Change
from monitor.messages import AlarmEventMessage, AlarmMessage


class Asides:
    """What is known of every alarm that is shelved or out of service."""

    def __init__(self, standing: Iterable[AlarmEventMessage] = ()) -> None:
        self._known: dict[str, dict[str, str]] = {}
        for message in standing:
            # An earlier release kept nobody's name, but whoever did it just then is there.
            self._keep(message, _said(message) | _by_this(message))

    def signed(self, message: AlarmEventMessage) -> AlarmEventMessage:
        """Return ``message`` with who put its alarm aside; to be called once for each, in order."""
        known = self._known.get(message.alarm, {}) | _by_this(message)
        kept = self._keep(message, known)
        return message.model_copy(update=kept) if kept else message

    def _keep(self, message: AlarmMessage, known: dict[str, str]) -> dict[str, str]:
        """Keep what still lasts of what is known."""
        kept = {
            name: text
            for name, text in known.items()
            if (
                message.shelved_until
                if name.startswith("shelved")
                else message.out_of_service_until
            )
        }
        if kept:
            self._known[message.alarm] = kept
        else:
            self._known.pop(message.alarm, None)
        return kept


def _by_this(message: AlarmEventMessage) -> dict[str, str]:
    match message.change:
        case Change.SHELVED:
            return {"shelved_by": message.actor, "shelved_reason": message.comment}
        case Change.REMOVED_FROM_SERVICE:
            return {"out_of_service_by": message.actor, "out_of_service_reason": message.comment}
        case _:
            return {}


def _said(message: AlarmMessage) -> dict[str, str]:
    return {
        "shelved_by": message.shelved_by,
        "shelved_reason": message.shelved_reason,
        "out_of_service_by": message.out_of_service_by,
        "out_of_service_reason": message.out_of_service_reason,
    }

"""How an equipment is used, as people are told it. Pure."""

from config.plant import Plant
from drivers.reading import Moment
from monitor.alarms.usage import Usage, manner
from monitor.messages import rfc3339
from monitor.operators.protocol import LoadedMessage, UsageMessage


def usage(plant: Plant, name: str, usage: Usage, now: Moment) -> UsageMessage:
    """Return what is told of the equipment ``name``; ends are as the clock shows ``now``."""
    equipment, override = plant.by_name[name], usage.override
    return UsageMessage(
        equipment=name,
        kind=equipment.kind,
        area=equipment.area,
        state=usage.state,
        since=None if usage.since is None else rfc3339(usage.since.at),
        cause=usage.cause,
        told=usage.told,
        user=override.user if override else "",
        reason=override.reason if override else "",
        until=_at(override.until if override else None, now),
        suppressing_until=_at(manner(plant, name).ends_suppressing(usage), now),
        phase=usage.phase,
        batches=tuple(
            LoadedMessage(batch=one.batch, position=one.position, since=rfc3339(one.since))
            for one in usage.loaded
        ),
    )


def _at(boot: int | None, now: Moment) -> str | None:
    return None if boot is None else rfc3339(now.at + boot - now.boot)

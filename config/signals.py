"""Which channels tell how an equipment is used: its state, its phase, and what stands open."""

from collections.abc import Container, Mapping

from config.catalogue import Entry
from config.plant import Channel, ChannelType, Place, StateFrom
from config.sources import EquipmentSpec, StateSpec

PHASE = "phase"
"""The channel that tells the phase, where the file says nothing else."""
DOORS = ("door", "inner_door", "lid")
"""Channels that tell what stands open, where the file says nothing else."""
WORDED = frozenset({ChannelType.STATE, ChannelType.TEXT})
"""What has words for its values."""


def phase_of(
    equipment: EquipmentSpec, entries: Mapping[str, Entry], given: Container[str]
) -> str | None:
    """The channel that tells the phase of ``equipment``, which has the channels ``given``."""
    if equipment.phase is not None:
        return None if equipment.phase == "off" else equipment.phase
    usual = PHASE in entries and PHASE in given and entries[PHASE].type in WORDED
    return PHASE if usual else None


def doors_of(
    equipment: EquipmentSpec, entries: Mapping[str, Entry], given: Container[str]
) -> tuple[str, ...]:
    """The channels that are true while something of ``equipment`` stands open."""
    if equipment.doors is not None:
        return equipment.doors
    doors = [each for each in DOORS if each in entries and each in given]
    return tuple(each for each in doors if entries[each].type is ChannelType.STATE)


def state_from(spec: StateSpec, channel: Channel, place: Place) -> StateFrom:
    """What ``channel`` tells of the state, in the values that it gives."""
    return StateFrom(place, {_value(channel, word): state for word, state in spec.states.items()})


def _value(channel: Channel, word: str | int) -> float | bool | str:
    match channel.type:
        case ChannelType.STATE:
            return channel.names[1] == word
        case ChannelType.TEXT:
            return str(word)
        case ChannelType.COUNTER | ChannelType.ANALOG:
            return int(word)

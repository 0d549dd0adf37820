"""An incubator that tells its state on two channels and its phase on a third, and one that tells
nothing; what its states suppress; and short ways to write what its channels say.
"""

from dataclasses import replace

from config.plant import Channel, ChannelType, Encoding, Plant, Register, StateFrom, Table
from config.rules import ChannelRule, EquipmentState, Suppression
from drivers.reading import Fault, Quality, Reason, Scan, Value
from tests.monitor.alarms.small_plant import BAD, MINUTE, channel, moment, plant, source

IN_USE, IDLE = EquipmentState.IN_USE, EquipmentState.IDLE
CLEANING, MAINTENANCE = EquipmentState.CLEANING, EquipmentState.MAINTENANCE
USED, SILENT = "incubator-07", "incubator-08"
LONGEST = 120 * MINUTE
"""How long cleaning may suppress."""
BIT = Register(Table.DISCRETE, 0, Encoding.BIT)
LOST = object()
"""A reading that cannot be used."""


def used_plant(*rules: ChannelRule) -> Plant:
    """Source 0 tells states and phase, source 1 is the probe of the same, source 2 of another."""
    decontamination = Channel(
        "decontamination", ChannelType.STATE, "", BIT, (), {0: "off", 1: "running"}
    )
    told = source(
        0,
        USED,
        "panel",
        "bus",
        [
            decontamination,
            channel("mode", kind=ChannelType.TEXT),
            channel("phase", kind=ChannelType.TEXT),
        ],
    )
    probe = source(1, USED, "probe", "bus", [channel("temperature", *rules)])
    other = source(2, SILENT, "probe", "bus", [channel("temperature", *rules)])
    made = plant(told, probe, other)
    first, second = made.equipment
    telling = replace(
        first,
        state_from=(
            StateFrom((0, 0), {True: CLEANING}),
            StateFrom((0, 1), {"culture": IN_USE, "standby": IDLE, "service": MAINTENANCE}),
        ),
        phase_from=(0, 2),
    )
    return replace(
        made,
        equipment=(telling, second),
        suppression={
            CLEANING: Suppression(suppress=("temperature",), longest=LONGEST),
            MAINTENANCE: Suppression(suppress=("*",), longest=LONGEST),
            IDLE: Suppression(longest=LONGEST),
        },
    )


def panel(
    seconds: float, decontamination: object = False, mode: object = "culture", phase: object = ""
) -> Scan:
    """Return what the panel says; ``LOST`` is a channel that cannot be read."""
    said = (decontamination, mode, phase)
    values: tuple[Value | None, ...] = tuple(
        each if isinstance(each, bool | str) else None for each in said
    )
    faults = {index: BAD for index, each in enumerate(said) if each is LOST}
    return Scan(0, *moment(seconds), values, faults)


DOUBTFUL = Fault(Quality.UNCERTAIN, Reason.DEVICE_STATUS)

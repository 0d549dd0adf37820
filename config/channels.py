"""A channel as a site writes it, what can be wrong with it, and what it comes to.

It is a register or a node. A new wire is a new member of ``ChannelSpec``, and the arms that mypy
then asks for.
"""

from collections.abc import Iterator
from typing import assert_never

from config.catalogue import Entry
from config.meaning import linear_of, meaning_faults
from config.nodes import STANDARD, NodeSpec, node_faults, node_of
from config.plant import Address, Channel, ChannelType, Encoding
from config.problems import Finding
from config.registers import RegisterSpec, register_faults, register_of
from config.units import Linear

ChannelSpec = RegisterSpec | NodeSpec


def faults(spec: ChannelSpec, entry: Entry) -> Iterator[Finding]:
    """Everything that is wrong with ``spec`` for a channel that the catalogue calls ``entry``.

    Paths are relative to the channel.
    """
    match spec:
        case RegisterSpec():
            yield from register_faults(spec, entry)
        case NodeSpec():
            yield from node_faults(spec, entry)
        case _:
            assert_never(spec)
    yield from meaning_faults(spec, entry)


def build(name: str, spec: ChannelSpec, entry: Entry, namespace: str = STANDARD) -> Channel:
    """The channel as the daemon runs it, without rules. ``faults`` must have found none.

    ``namespace`` is that of a node that is written without one.
    """
    of_catalogue = entry.type is ChannelType.STATE and entry.names
    return Channel(
        name=name,
        type=entry.type,
        unit=entry.unit,
        address=_address(spec, entry, namespace),
        names=dict(entry.names if of_catalogue else spec.names),
        single_precision=_is_single(spec) and linear_of(spec, entry) == Linear(),
        has_source_time=isinstance(spec, NodeSpec),
    )


def _address(spec: ChannelSpec, entry: Entry, namespace: str) -> Address:
    match spec:
        case RegisterSpec():
            return register_of(spec, entry)
        case NodeSpec():
            return node_of(spec, entry, namespace)
        case _:
            assert_never(spec)


def _is_single(spec: ChannelSpec) -> bool:
    return isinstance(spec, RegisterSpec) and spec.type is Encoding.FLOAT32

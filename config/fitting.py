"""Whether a source fits the wire of its line: registers and a unit on Modbus, nodes on OPC UA."""

from collections.abc import Iterator
from typing import assert_never

from config.channels import ChannelSpec
from config.lines import Line, ModbusLine, OpcUaLine
from config.nodes import STANDARD, NodeSpec
from config.problems import Finding
from config.registers import RegisterSpec
from config.resolve import namespace_of, specs_of
from config.sources import Profile, SourceSpec


def fit_findings(
    source: SourceSpec, profile: Profile | None, line: Line, *, clean: bool
) -> Iterator[Finding]:
    """What of ``source`` cannot be had over ``line``; paths are relative to the source.

    ``clean``: the file says nothing else of the source or its profile that could not be read, so
    that what is not there is missing.
    """
    match line:
        case ModbusLine():
            if source.unit is None and clean:
                text = f"is missing: which Modbus unit behind line {line.name!r}, 0 to 255"
                yield Finding(("unit",), text)
            if source.namespace is not None:
                text = f"is for OPC UA nodes, and line {line.name!r} is Modbus; leave it out"
                yield Finding(("namespace",), text)
        case OpcUaLine():
            yield from _modbus_only(source, line)
            if clean:
                yield from _without_namespace(source, profile)
        case _:
            assert_never(line)
    yield from _foreign(source, profile, line)


def _modbus_only(source: SourceSpec, line: OpcUaLine) -> Iterator[Finding]:
    opc_ua = f"line {line.name!r} is OPC UA"
    if source.unit is not None:
        yield Finding(("unit",), f"is for Modbus, and {opc_ua}; leave it out")
    if source.grouping is not None:
        yield Finding(("grouping",), f"is for Modbus registers, and {opc_ua}; leave it out")
    if source.timeout is not None:
        text = f"is for a Modbus unit, and {opc_ua}; the timeout is in the line's opcua settings"
        yield Finding(("timeout",), text)


def _without_namespace(source: SourceSpec, profile: Profile | None) -> Iterator[Finding]:
    """Nodes of no namespace that are not OPC UA's own, which are all numbers."""
    if namespace_of(source, profile) != STANDARD:
        return
    specs = specs_of(source, profile).items()
    names = [name for name, spec in specs if isinstance(spec, NodeSpec) and _is_nowhere(spec.node)]
    advice = "write nsu=URI; before it, or give the source a namespace"
    for name in names:
        if name in source.channels:
            yield Finding(("channels", name, "node"), f"is in no namespace: {advice}")
    nowhere = ", ".join(name for name in names if name not in source.channels)
    if nowhere:
        text = f"profile {source.profile!r} has nodes of no namespace ({nowhere})"
        yield Finding(("profile",), f"{text}: give the source or the profile a namespace")


def _is_nowhere(node: str) -> bool:
    return not node.startswith(("nsu=", "i="))


def _foreign(source: SourceSpec, profile: Profile | None, line: Line) -> Iterator[Finding]:
    """Channels of another wire: each of the source's own, and those of its profile together."""
    modbus = isinstance(line, ModbusLine)
    wire, wanted = ("Modbus", "an address") if modbus else ("OPC UA", "a node")
    names = [name for name, spec in specs_of(source, profile).items() if _is_foreign(spec, line)]
    for name in names:
        if name in source.channels:
            what = "a node" if modbus else "a register"
            text = f"{what} cannot be read over line {line.name!r}, which is {wire}; give {wanted}"
            yield Finding(("channels", name), text)
    foreign = ", ".join(name for name in names if name not in source.channels)
    if foreign:
        what = "nodes" if modbus else "registers"
        text = f"has {what} ({foreign}), and line {line.name!r} is {wire}"
        yield Finding(("profile",), f"profile {source.profile!r} {text}")


def _is_foreign(spec: ChannelSpec, line: Line) -> bool:
    match spec:
        case RegisterSpec():
            return bool(spec.addresses) and not isinstance(line, ModbusLine)
        case NodeSpec():
            return not isinstance(line, OpcUaLine)
        case _:
            assert_never(spec)

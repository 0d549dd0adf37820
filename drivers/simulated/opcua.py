"""Simulated OPC UA servers by asyncua, the only importer of it in ``drivers.simulated``.

A host serves one bioreactor on one port of the loopback, to anybody (policy None, anonymous); it
can be pulled from the network and put back on the same port, and has forgotten its clients then.
Values are written into it with the time at which the plant sampled them.
"""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC

from asyncua import ua
from asyncua.common.node import Node
from asyncua.server.server import Server
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes

from config.units import UNITS
from drivers.simulated.nodes import (
    ANALOGS,
    NAMESPACE,
    OPERATION,
    PHASE,
    PHASES,
    Analog,
    Shown,
    Status,
)
from drivers.simulated.place import HOST, Place, will_reset

UNECE = "http://www.opcfoundation.org/UA/units/un/cefact"
"""OPC 10000-8: whose identifiers are the UNECE codes."""
OWN_UNITS = "urn:simulated-plant:units"
"""For units that UNECE has no code for; these have no identifier but their name."""
_STATUS = {
    Status.GOOD: ua.StatusCode(ua.UInt32(StatusCodes.Good)),
    Status.UNCERTAIN: ua.StatusCode(ua.UInt32(StatusCodes.UncertainSensorNotAccurate)),
    Status.BAD: ua.StatusCode(ua.UInt32(StatusCodes.BadSensorFailure)),
}

# It would tell of every client that goes, and that nothing is encrypted on the loopback.
logging.getLogger("asyncua.server").setLevel(logging.CRITICAL)


class OpcUaHost:
    """An OPC UA server for the bioreactor ``name``; not on the network before ``plug``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._server = Server()
        self._index = 0
        self._plugged = self._begun = False
        self._place = Place()

    @property
    def port(self) -> int:
        """The TCP port on the loopback, the same for life."""
        return self._place.port

    @property
    def plugged(self) -> bool:
        """Whether it is on the network."""
        return self._plugged

    async def plug(self) -> None:
        """Listen; nothing happens when it does already. Raises ``HostError``."""
        if self._plugged:
            return
        try:
            await (self._listen_again() if self._begun else self._begin())
        except OSError as error:
            raise self._place.taken(error) from error
        self._plugged = self._begun = True

    async def pull(self) -> None:
        """Reset every connection, forget every session, and refuse new ones."""
        if not self._plugged:
            return
        inner = self._server.iserver
        # A session without subscriptions ends with its connection.
        await inner.subscription_service.delete_subscriptions(
            list(inner.subscription_service.subscriptions)
        )
        for transport in list(inner.asyncio_transports):
            will_reset(transport)
            transport.abort()
        await asyncio.sleep(0)  # Their ends are told in the next round, and waited for by stop().
        if self._server.bserver is not None:
            await self._server.bserver.stop()
        self._plugged = False  # Only now is everybody refused.

    async def close(self) -> None:
        """Leave the network for good, and give the port back."""
        await self.pull()
        if self._begun:
            await self._stop_clock()
            await self._server.stop()
        self._place.close()

    async def show(self, sample: Mapping[str, Shown], at: int) -> None:
        """Write what the nodes show, by their names behind the bioreactor's.

        ``at`` is when the plant sampled it, ns since 1970.
        """
        time = ua.DateTime.fromtimestamp(at / 1e9, UTC)
        for node, shown in sample.items():
            value = ua.DataValue(_variant(shown.value), _STATUS[shown.status], time)
            await self._server.write_attribute_value(self._id(node), value)

    async def _begin(self) -> None:
        async with _without_collecting():
            await self._server.init()
        await self._server.set_application_uri(f"urn:simulated-plant:{self.name}")
        self._server.set_server_name(f"Simulated {self.name}")
        self._server.set_endpoint(f"opc.tcp://{HOST}:{self.port}")
        self._server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        self._server.set_identity_tokens([ua.AnonymousIdentityToken])
        self._index = await self._server.register_namespace(NAMESPACE)
        await self._furnish()
        await self._server.start()

    async def _listen_again(self) -> None:
        if self._server.bserver is not None:
            await self._server.bserver.start()

    async def _stop_clock(self) -> None:
        """End the server's clock at once; it would be waited for up to a second."""
        inner = self._server.iserver
        if inner.time_task is not None:
            inner.time_task.cancel()
            await asyncio.gather(inner.time_task, return_exceptions=True)
            inner.time_task = None

    async def _furnish(self) -> None:
        """Make the bioreactor and its nodes, which wait for the first ``show``."""
        objects = self._server.get_objects_node()
        folder = await objects.add_object(self._id(""), self._name(self.name))
        nodes = {"": folder}
        for analog in ANALOGS:
            above, _, last = analog.node.rpartition(".")
            nodes[analog.node] = await self._variable(
                nodes[above], analog.node, last, ObjectIds.AnalogUnitRangeType, 0.0
            )
            await self._describe(nodes[analog.node], analog)
        kind = ObjectIds.MultiStateDiscreteType
        phase = await self._variable(folder, PHASE, PHASE, kind, 0)
        names = [ua.LocalizedText(each.value) for each in PHASES]
        await phase.add_property(self._id(f"{PHASE}.EnumStrings"), _standard("EnumStrings"), names)
        await self._variable(folder, OPERATION, OPERATION, ObjectIds.DataItemType, "")

    async def _variable(
        self, parent: Node, node: str, name: str, kind: int, value: float | str
    ) -> Node:
        """A variable of the type ``kind``, whose values are like ``value``."""
        variant = _variant(value)
        made = await parent.add_variable(self._id(node), self._name(name), variant)
        of_type = _numbered(ObjectIds.HasTypeDefinition)
        plain = _numbered(ObjectIds.BaseDataVariableType)
        await made.delete_reference(plain, of_type, bidirectional=False)
        await made.add_reference(_numbered(kind), of_type, bidirectional=False)
        waiting = ua.DataValue(
            ua.Variant(), ua.StatusCode(ua.UInt32(StatusCodes.BadWaitingForInitialData))
        )
        await self._server.write_attribute_value(made.nodeid, waiting)
        return made

    async def _describe(self, variable: Node, analog: Analog) -> None:
        """Its unit and the range of its values."""
        unit, span = _unit(analog.unit), ua.Range(analog.low, analog.high)
        for name, value in (("EngineeringUnits", unit), ("EURange", span)):
            await variable.add_property(
                self._id(f"{analog.node}.{name}"), _standard(name), ua.Variant(value)
            )

    def _id(self, node: str) -> ua.NodeId:
        text = f"{self.name}.{node}" if node else self.name
        return ua.NodeId(ua.String(text), ua.Int16(self._index))

    def _name(self, name: str) -> ua.QualifiedName:
        return ua.QualifiedName(name, self._index)


def _numbered(number: int) -> ua.NodeId:
    return ua.NodeId(ua.Int32(number))


def _standard(name: str) -> ua.QualifiedName:
    return ua.QualifiedName(name, 0)


def _variant(value: float | str | None) -> ua.Variant:
    """As the nodes have it: doubles, strings, and whole numbers for the phase."""
    match value:
        case None:
            return ua.Variant()
        case int():
            return ua.Variant(value, ua.VariantType.UInt32)
        case float():
            return ua.Variant(value, ua.VariantType.Double)
        case str():
            return ua.Variant(value, ua.VariantType.String)


def _unit(symbol: str) -> ua.EUInformation:
    """OPC 10000-8, 5.6.4.3: the identifier of a unit is the bytes of its UNECE code."""
    code = UNITS[symbol].unece
    name = ua.LocalizedText(symbol)
    if not code:
        return ua.EUInformation(OWN_UNITS, -1, name, name)
    return ua.EUInformation(UNECE, int.from_bytes(code.encode(), "big"), name, name)


@asynccontextmanager
async def _without_collecting() -> AsyncIterator[None]:
    """Making the standard's 6,000 nodes takes a third of the time while nothing is collected."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()

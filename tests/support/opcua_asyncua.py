"""An OPC UA server by asyncua, as a process that ``tests.support.opcua_servers`` tells what to do.

Its argument is the JSON of what it serves, and each line on standard input one order; it answers
every order in one line, and first of all when it is ready.  It ends when its input does, so that
nothing is left behind by a test that was killed.
"""

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from datetime import UTC
from pathlib import Path
from typing import Any

from asyncua import ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession
from asyncua.server.server import Server
from asyncua.server.user_managers import UserManager
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes

Served = Mapping[str, Any]


class Users(UserManager):
    """Lets in whom the test names; anybody, where it names none."""

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self._passwords = passwords

    def get_user(
        self,
        iserver: InternalServer,
        username: str | None = None,
        password: str | None = None,
        certificate: object = None,
    ) -> User | None:
        """See asyncua's ``UserManager``."""
        del iserver, certificate
        if not self._passwords:
            return User(role=UserRole.User)
        known = username is not None and self._passwords.get(username) == password
        return User(role=UserRole.User) if known else None


class Plant:
    """The server and its nodes."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._server = Server(user_manager=Users(served["users"]))
        self._nodes: dict[str, Mapping[str, Any]] = {n["node"]: n for n in served["nodes"]}
        self._sessions = 0

    async def open(self) -> None:
        """Make the nodes, then listen."""
        server, served = self._server, self._served
        await server.init()
        server.disable_clock()
        server.set_endpoint(f"opc.tcp://127.0.0.1:{served['port']}/")
        await self._secure()
        for uri in served["namespaces"]:
            await server.register_namespace(uri)
        for node in [*self._nodes.values()]:
            await self._add(node)
        self._limit()
        await server.start()

    async def close(self) -> None:
        await self._server.stop()

    async def obey(self, order: Mapping[str, Any]) -> object:
        """Do as ``opcua_servers.Order`` says; returns the answer to it."""
        match order["do"]:
            case "set":
                for node, value, status, at in order["changes"]:
                    await self._set(node, value, status, at)
            case "remove":
                await self._remove(order["node"])
            case "restore":
                await self._add(order["node"])
            case "drop_subscriptions":
                service = self._server.iserver.subscription_service
                await service.delete_subscriptions(list(service.subscriptions))
            case "mute_subscriptions":
                self._mute()
            case "clock":
                pass  # Its values bear the source times that they come with; more it cannot do.
            case "state":
                await self._say_state(order["state"])
            case "counts":
                return self._counts()
            case other:
                raise ValueError(f"no such order: {other}")
        return None

    def _mute(self) -> None:
        for one in self._server.iserver.subscription_service.subscriptions.values():
            if one._task is not None:
                one._task.cancel()

    async def _say_state(self, state: int) -> None:
        node = ua.NodeId(ua.Int32(ObjectIds.Server_ServerStatus_State))
        told = ua.DataValue(ua.Variant(state, ua.VariantType.Int32))
        await self._server.write_attribute_value(node, told)

    async def _secure(self) -> None:
        served, server = self._served, self._server
        await server.set_application_uri(served["application"])
        kind = ua.SecurityPolicyType.NoSecurity
        if served["certificate"]:
            kind = ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt
            await server.load_certificate(Path(served["certificate"]))
            await server.load_private_key(Path(served["key"]))
        server.set_security_policy([kind])
        named = bool(served["users"])
        token = ua.UserNameIdentityToken if named else ua.AnonymousIdentityToken
        server.set_identity_tokens([token])

    def _limit(self) -> None:
        inner = self._server.iserver
        if not self._served["subscriptions"]:
            inner.max_subscriptions = 0
        if self._served["keep_alives"]:
            inner.max_keep_alive_count = self._served["keep_alives"]
        register = inner.register_external_session

        def counted(session: InternalSession) -> None:
            self._sessions += 1
            register(session)

        inner.register_external_session = counted  # type: ignore[method-assign]  # to count

    def _id(self, node: str) -> ua.NodeId:
        uri, identifier = node.removeprefix("nsu=").split(";", 1)
        # The first two are the standard's and the server's own.
        index = 2 + self._served["namespaces"].index(uri)
        return ua.NodeId.from_string(f"ns={index};{identifier}")

    async def _add(self, node: Mapping[str, Any]) -> None:
        self._nodes[node["node"]] = node
        id_ = self._id(node["node"])
        kind = ua.VariantType[node["type"]]
        objects = self._server.get_objects_node()
        name = ua.QualifiedName(node["identifier"], id_.NamespaceIndex)
        variable = await objects.add_variable(id_, name, node["value"], varianttype=kind)
        if node["unece"]:
            await variable.add_property(
                self._id(f"{node['node']}.EngineeringUnits"),
                ua.QualifiedName("EngineeringUnits", 0),
                _unit(node["unece"], node["unit"]),
            )
        await self._set(node["node"], node["value"], "Good", node["at"])

    async def _remove(self, node: str) -> None:
        # What asyncua 2.1 tells subscribers of a node that goes is never awaited.
        await self._set(node, None, "BadNodeIdUnknown", time.time_ns() // 10**6)
        await self._server.delete_nodes([self._server.get_node(self._id(node))], recursive=True)

    async def _set(self, node: str, value: object, status: str, at: int) -> None:
        kind = ua.VariantType[self._nodes[node]["type"]]
        if isinstance(value, str) and kind is not ua.VariantType.String:
            value = float(value)  # What is no number comes as text: JSON has no word for it.
        told = ua.DataValue(
            ua.Variant() if value is None else ua.Variant(value, kind),
            ua.StatusCode(getattr(StatusCodes, status)),
            SourceTimestamp=ua.DateTime.fromtimestamp(at / 1000, UTC),
        )
        await self._server.write_attribute_value(self._id(node), told)

    def _counts(self) -> Mapping[str, int]:
        inner = self._server.iserver
        subscriptions = inner.subscription_service.subscriptions
        return {
            "sessions": len(inner._external_sessions),
            "sessions_ever": self._sessions,
            "subscriptions": len(subscriptions),
            "items": sum(
                len(s.monitored_item_srv._monitored_items) for s in subscriptions.values()
            ),
        }


def _unit(unece: str, symbol: str) -> ua.EUInformation:
    """As OPC 10000-8 (5.6.4.3) has it: the code's characters are the bytes of the number."""
    return ua.EUInformation(
        NamespaceUri="http://www.opcfoundation.org/UA/units/un/cefact",
        UnitId=int.from_bytes(unece.encode(), "big"),
        DisplayName=ua.LocalizedText(symbol),
        Description=ua.LocalizedText(symbol),
    )


async def main(served: Served) -> None:
    plant = Plant(served)
    await plant.open()
    try:
        answer(None)
        orders = asyncio.StreamReader(limit=2**24)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
        while line := await orders.readline():
            answer(await plant.obey(json.loads(line)))
    finally:
        await plant.close()


def answer(value: object) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))

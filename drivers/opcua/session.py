"""One session with an OPC UA server. The one file here that imports asyncua.

Of asyncua we use the encoding, the secure channel and the services, one call at a time. What it
would do by itself is ours: no watchdog, no reconnect, no queue between the wire and us, and its
publish loop, which goes on through errors and ends without a word, does not run. A response is
handed on whole as it comes, so that nothing can overflow between it and the scans.
Whatever goes wrong in it leaves here as ``LineLost``.
"""

import asyncio
import logging
import os
from base64 import b64decode
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import NamedTuple, Self, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UASocketProtocol
from asyncua.client.ua_session import UaSession
from asyncua.crypto import security_policies
from asyncua.ua import uaerrors
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.uaerrors import UaStatusCodeError

from config.lines import OpcUa, Security
from config.plant import Node
from drivers.base import LineLost
from drivers.opcua.decode import GONE
from drivers.opcua.held import Change, Said
from drivers.opcua.identity import (
    Identity,
    IdentityError,
    days_left,
    distrust,
    fingerprint,
    leading,
)

# It logs a trace at each failed try, and what is worth telling is told by us, once.
logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)

MILLISECOND = 10**6
SECOND = 10**9
SESSION_TIMEOUT = 60_000
"""Milliseconds after which a server forgets us, should we be gone without a word."""
LIFETIME = 60.0
"""Seconds, at least, for which a server keeps a subscription that nobody asks for news."""
LET_GO = 0.5
"""Seconds that a server has to confirm that the session is closed."""
SLICE = 100
"""Nodes in one request: decoding the answer holds the loop for some 2 ms."""
RESPONSE = 200
"""Changes in one response of a subscription, for the same reason."""
CHANNEL_LIFETIME = 3_600_000
"""Milliseconds after which the keys of the secure channel are too old; servers shorten it."""
RENEWAL = 0.75
"""Of a channel's life, after which it is renewed (OPC 10000-4, 5.5.2.1)."""
PENDING = 0.2
"""Of a channel's life, that a publish request may wait: an answer under keys that were renewed
since is still readable in the last quarter of their life, not later."""
LARGEST_MESSAGE = 16 * 2**20
"""Bytes; a server that sends more is none of ours."""
MOST_NAMESPACES, LONGEST_URI = 100, 200
"""What is looked at of a server's own namespaces to tell of another: they may be of any size."""
CHUNK = 65_535
"""Bytes of a message's parts, as asyncua asks for them."""

NAMESPACE_ZERO = "http://opcfoundation.org/UA/"
UNECE = "http://www.opcfoundation.org/UA/units/un/cefact"
POLICIES = "http://opcfoundation.org/UA/SecurityPolicy#"
READ_LIMIT, MONITOR_LIMIT, TRANSLATE_LIMIT = 11705, 11714, 11712
DOUBTED = {
    1: "failed",
    2: "no configuration",
    3: "suspended",
    4: "shutting down",
    5: "test",
    6: "communication fault",
}
"""ServerStates in which no value is to be relied on (OPC 10000-5, 12.6); neither running nor
unknown."""
_POLICY_CLASSES = {
    "Basic256Sha256": security_policies.SecurityPolicyBasic256Sha256,
    "Aes128_Sha256_RsaOaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256_Sha256_RsaPss": security_policies.SecurityPolicyAes256Sha256RsaPss,
}
_MODES = {
    "None": ua.MessageSecurityMode.None_,
    "Sign": ua.MessageSecurityMode.Sign,
    "SignAndEncrypt": ua.MessageSecurityMode.SignAndEncrypt,
}
_NO_SUBSCRIPTIONS = (
    uaerrors.BadServiceUnsupported,
    uaerrors.BadNotImplemented,
    uaerrors.BadNotSupported,
    uaerrors.BadTooManySubscriptions,
    uaerrors.BadOutOfMemory,
    uaerrors.BadResourceUnavailable,
    uaerrors.BadUserAccessDenied,
)
"""How a server says that it has no subscription for us."""
_NO_MONITORING = (*_NO_SUBSCRIPTIONS, uaerrors.BadTooManyMonitoredItems)
_TOO_MUCH = (
    uaerrors.BadTooManyOperations,
    uaerrors.BadRequestTooLarge,
    uaerrors.BadResponseTooLarge,
    uaerrors.BadEncodingLimitsExceeded,
)
_NOT_LET_IN = (
    uaerrors.BadUserAccessDenied,
    uaerrors.BadIdentityTokenInvalid,
    uaerrors.BadIdentityTokenRejected,
)
_NOT_TRUSTED = (
    uaerrors.BadSecurityChecksFailed,
    uaerrors.BadCertificateUntrusted,
    uaerrors.BadCertificateInvalid,
    uaerrors.BadCertificateUseNotAllowed,
    uaerrors.BadCertificateChainIncomplete,
    uaerrors.BadTcpInternalError,
)
_PLAIN = frozenset({float, int, bool, str, bytes, datetime, type(None)})

Place = ua.NodeId
"""Where a node is in this session: its namespace's index, which the next session may have moved."""
Publish = Callable[[Sequence[Change], int], None]
"""Takes the changes of one response, none where it only says that the subscription lives; and how
many responses before it never came."""

_T = TypeVar("_T")
_R = TypeVar("_R")


class User(NamedTuple):
    """Whom the session is for."""

    name: str
    password: str


class Unit(NamedTuple):
    """The engineering unit that a server gives a node."""

    code: str
    """Of UNECE Recommendation 20; empty where the server has a list of its own."""
    name: str
    """As the server shows it to people."""


class _Session(UaSession):
    """asyncua's session, without its publish loop."""

    def ensure_publish_loop(self) -> None:
        """Publishing is done by ``Session.publish_forever``."""


class _Bounded(asyncio.Protocol):
    """asyncua's protocol, which would wait for a part of any length that a header announces."""

    def __init__(self, protocol: UASocketProtocol) -> None:
        self._protocol = protocol

    def data_received(self, data: bytes) -> None:
        """Pass on what came, unless it cannot become a part any more."""
        self._protocol.data_received(data)
        waiting = self._protocol.receive_buffer
        if waiting and len(waiting) > CHUNK and self._protocol.transport is not None:
            self._protocol.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on that the connection is closed."""
        self._protocol.connection_lost(exc)


class Session:
    """What a line asks of its server; made by ``connect``."""

    def __init__(self, settings: OpcUa, identity: Identity | None, user: User | None) -> None:
        self._settings = settings
        self._identity = identity
        self._user = user
        self._client = self._new_client()
        self._slice = SLICE
        self._namespaces: dict[str, int] = {}
        self._subscription = 0
        self._monitored: dict[int, int] = {}
        """Ids of the server's monitored items, by handle."""
        self._doubt: Callable[[], None] = _nothing
        self.keep_alive = 0.0
        """Seconds after which the server speaks even if nothing changed; 0 without subscription."""
        self.notes: list[str] = []
        """What of the way here somebody should know."""

    @property
    def subscribed(self) -> bool:
        """Whether there is a subscription."""
        return self._subscription != 0

    @property
    def patience(self) -> float:
        """Seconds for which the session may be silent without being forgotten."""
        return self._client.session_timeout / 1000 / 3

    def _new_client(self) -> Client:
        client = Client(self._settings.endpoint, self._settings.timeout / SECOND)
        client.uaclient.session = _Session(client.uaclient)
        client.name = client.description = "cytowatch"
        client.product_uri = "urn:cytowatch"
        client.application_uri = "urn:cytowatch" if self._identity is None else self._identity.uri
        client.session_timeout = SESSION_TIMEOUT
        client.secure_channel_timeout = CHANNEL_LIFETIME
        client.max_messagesize = LARGEST_MESSAGE
        return client

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say in our words what asyncua raises, which on a hostile answer may be anything."""
        try:
            yield
        except (LineLost, MemoryError):
            raise
        except Exception as error:
            raise LineLost(f"{self._settings.endpoint}: {self._words(error)}") from error

    def _words(self, error: Exception) -> str:
        match error:
            case TimeoutError():
                return f"no answer within {self._settings.timeout / SECOND:g} s"
            case UaStatusCodeError():
                return f"{self._meaning(error)} ({_name(error)})"
            case OSError() if error.errno:
                return os.strerror(error.errno)
            case ConnectionError():
                return "the server closed the connection"
            case _:
                return f"{type(error).__name__}: {error}"

    def _meaning(self, error: UaStatusCodeError) -> str:
        if isinstance(error, _NOT_LET_IN):
            return self._not_let_in()
        if isinstance(error, uaerrors.BadCertificateUriInvalid):
            uri = self._client.application_uri
            return f"the server does not accept the URI of our certificate, {uri}"
        if isinstance(error, _NOT_TRUSTED) and self._identity is not None:
            return self._not_trusted()
        return "the server refuses"

    def _not_let_in(self) -> str:
        if self._user is None:
            return "the server lets nobody in without a user: give user and password"
        return (
            f"the server refuses the user {self._user.name} or the password, "
            f"or takes no users over {self._settings.security}"
        )

    def _not_trusted(self) -> str:
        if self._identity is None:
            return "the server does not trust us"
        return (
            f"the server does not trust our certificate: accept {self._identity.path} there, "
            f"whose SHA-256 is {fingerprint(self._identity.certificate)}"
        )

    # The way in

    async def connect(self, addresses: Sequence[str], now: datetime) -> Self:
        """Make the channel and the session. Raises LineLost; then nothing is left open."""
        try:
            with self._told():
                if self._settings.security == "None":
                    await self._open_channel(self._client, addresses)
                    _choose(await self._client.get_endpoints(), self._settings)
                else:
                    await self._secure(addresses, now)
                    await self._open_secured(addresses)
                await self._enter()
        except BaseException:
            await self.close()
            raise
        return self

    async def _open_channel(self, client: Client, addresses: Sequence[str]) -> None:
        port = urlsplit(self._settings.endpoint).port or 4840
        for address in addresses:
            try:
                await client.uaclient.connect_socket(address, port)
                break
            except OSError:
                if address == addresses[-1]:
                    raise
        protocol = client.uaclient.protocol
        if protocol is None or protocol.transport is None:
            raise ConnectionResetError
        protocol.transport.set_protocol(_Bounded(protocol))
        await client.send_hello()
        # asyncua would put together a message of any number of parts.
        protocol._connection._limits.max_chunk_count = LARGEST_MESSAGE // CHUNK  # noqa: SLF001 - see above
        await client.open_secure_channel()

    async def _secure(self, addresses: Sequence[str], now: datetime) -> None:
        """Ask which certificate the server shows, and go on only if somebody vouched for it."""
        asking = self._new_client()
        try:
            await self._open_channel(asking, addresses)
            endpoint = _choose(await asking.get_endpoints(), self._settings)
        finally:
            self._drop(asking)
        if not endpoint.ServerCertificate or self._identity is None:
            raise LineLost(f"{self._settings.endpoint}: the server shows no certificate")
        certificate = leading(endpoint.ServerCertificate)
        self._check(certificate, now)
        policy, _, mode = self._settings.security.partition("/")
        await self._client.set_security(
            _POLICY_CLASSES[policy],  # type: ignore[type-abstract]  # they are not
            self._identity.certificate,
            self._identity.key,
            server_certificate=certificate,
            mode=_MODES[mode],
        )

    def _check(self, certificate: bytes, now: datetime) -> None:
        try:
            why = distrust(certificate, self._settings, now)
        except IdentityError as error:
            raise LineLost(str(error)) from error
        if why:
            raise LineLost(f"{self._settings.endpoint}: the server is not trusted: {why}")
        if (left := days_left(certificate, now)) < 30:  # noqa: PLR2004 - a month, to renew it in
            self.notes.append(f"the server's certificate expires in {left} days")

    async def _open_secured(self, addresses: Sequence[str]) -> None:
        try:
            await self._open_channel(self._client, addresses)
        except (TimeoutError, ConnectionError) as error:
            raise LineLost(
                f"{self._settings.endpoint}: the server did not open the secure channel; "
                f"if it is well otherwise, {self._not_trusted()}"
            ) from error

    async def _enter(self) -> None:
        user = self._user
        await self._client.create_session()
        if user is None:
            await self._client.activate_session()
        else:
            await self._client.activate_session(user.name, user.password)
        await self._read_limits()

    async def _read_limits(self) -> None:
        """Ask how many nodes the server takes in one request; many have no such node."""
        nodes = [ua.NodeId(ua.Int32(i)) for i in (READ_LIMIT, MONITOR_LIMIT, TRANSLATE_LIMIT)]
        for limit, status, _ in await self._values(nodes):
            if status == 0 and isinstance(limit, int) and limit > 0:
                self._slice = min(self._slice, limit)

    # Nodes

    async def look_up_namespaces(self) -> None:
        """Ask which index each namespace has."""
        with self._told():
            uris = (await self._values([ua.NodeId(ua.Int32(ObjectIds.Server_NamespaceArray))]))[0]
            if not isinstance(uris[0], list):
                raise LineLost(f"{self._settings.endpoint}: the server names no namespaces")
            self._namespaces = {str(uri): index for index, uri in enumerate(uris[0])}

    def place(self, node: Node) -> Place | None:
        """Return where the node is; None where the server does not have its namespace."""
        index = (
            0 if node.namespace in {"", NAMESPACE_ZERO} else self._namespaces.get(node.namespace)
        )
        if index is None:
            return None
        kind, _, identifier = node.identifier.partition("=")
        match kind:
            case "i":
                return ua.NodeId(ua.Int32(int(identifier)), ua.Int16(index))
            case "g":
                return ua.NodeId(ua.Guid(identifier), ua.Int16(index))
            case "b":
                return ua.NodeId(ua.ByteString(b64decode(identifier)), ua.Int16(index))
            case _:
                return ua.NodeId(ua.String(identifier), ua.Int16(index))

    def absent(self, node: Node) -> str:
        """Return what to say of a node whose namespace the server does not have."""
        own = [
            uri[:LONGEST_URI]
            for uri in list(self._namespaces)[1:MOST_NAMESPACES]
            if uri.isprintable()  # It may say anything.
        ]
        near = get_close_matches(node.namespace, own, n=3, cutoff=0)
        has = f"the nearest that it has: {', '.join(near)}" if near else "it has none of its own"
        return f"the server has no namespace {node.namespace} ({has})"

    async def read(self, places: Sequence[Place]) -> list[Said]:
        """Return what the server says of these nodes now. Raises LineLost."""
        with self._told():
            return await self._values(places)

    async def probe(self, places: Sequence[Place]) -> tuple[int | None, list[int]]:
        """Return the server's state (None where it does not say), and for each node its StatusCode.

        It asks what class the nodes are of, for which no server has to ask a device.
        """
        with self._told():
            state = ua.NodeId(ua.Int32(ObjectIds.Server_ServerStatus_State))
            (running, *_), *_ = await self._values([state])
            answers = await self._sliced(
                lambda part: self._read(part, AttributeIds.NodeClass), places
            )
            return running if isinstance(running, int) else None, [_status(a) for a in answers]

    async def units(self, places: Sequence[Place]) -> list[Unit | None]:
        """Return the engineering unit that the server gives each node; None where it gives none."""
        with self._told():
            try:
                found = await self._sliced(self._find_units, places)
            except UaStatusCodeError:  # A small server may not know this service.
                return [None] * len(places)
            given = [place for place in found if place is not None]
            answers = await self._sliced(lambda part: self._read(part, AttributeIds.Value), given)
            units = iter(map(_unit, answers))
            return [None if place is None else next(units) for place in found]

    async def _find_units(self, places: Sequence[Place]) -> list[Place | None]:
        results = await self._client.uaclient.session.translate_browsepaths_to_nodeids(
            [_path_to_units(place) for place in places]
        )
        return [
            result.Targets[0].TargetId if result.StatusCode.is_good() and result.Targets else None
            for result in results
        ]

    async def _values(self, places: Sequence[Place]) -> list[Said]:
        answers = await self._sliced(lambda part: self._read(part, AttributeIds.Value), places)
        return [(_raw(answer), _status(answer), answer.SourceTimestamp) for answer in answers]

    async def _read(self, places: Sequence[Place], attribute: AttributeIds) -> list[ua.DataValue]:
        parameters = ua.ReadParameters(
            TimestampsToReturn=ua.TimestampsToReturn.Source,
            NodesToRead=[ua.ReadValueId(NodeId=place, AttributeId=attribute) for place in places],
        )
        return await self._client.uaclient.session.read(parameters)

    async def _sliced(
        self, ask: Callable[[Sequence[_T]], Awaitable[Sequence[_R]]], things: Sequence[_T]
    ) -> list[_R]:
        """Ask for these in as many requests as it takes, smaller ones if the server says so."""
        answers: list[_R] = []
        while len(answers) < len(things):
            part = things[len(answers) : len(answers) + self._slice]
            try:
                answer = await ask(part)
            except _TOO_MUCH:
                if self._slice == 1:
                    raise
                self._slice //= 2
                continue
            if len(answer) != len(part):
                raise LineLost(
                    f"{self._settings.endpoint}: {len(answer)} answers to {len(part)} questions"
                )
            answers += answer
        return answers

    # The subscription

    async def subscribe(self) -> str:
        """Make the subscription; return why the server has none for us, empty when it has.

        What it grants is in ``keep_alive``; it may differ from what was asked. Raises LineLost.
        """
        interval = self._settings.publishing / SECOND
        with self._told():
            longest = self._client.secure_channel_timeout / 1000 * PENDING
            wanted = min(self._settings.keep_alive / SECOND, longest)
            try:
                made = await self._client.uaclient.session.create_subscription(
                    _subscription(interval, wanted), _nothing
                )
            except _NO_SUBSCRIPTIONS as error:
                return _name(error)
            self._subscription = made.SubscriptionId
            interval, count = made.RevisedPublishingInterval / 1000, made.RevisedMaxKeepAliveCount
            if interval * count > wanted * 1.01:
                interval, count = await self._ask_sooner(interval, wanted)
            self.keep_alive = interval * count
        return ""

    async def _ask_sooner(self, interval: float, wanted: float) -> tuple[float, int]:
        """Ask again, counting in the interval that the server has revised."""
        asked = _subscription(interval, wanted)
        parameters = ua.ModifySubscriptionParameters(
            SubscriptionId=self._subscription,
            RequestedPublishingInterval=asked.RequestedPublishingInterval,
            RequestedLifetimeCount=asked.RequestedLifetimeCount,
            RequestedMaxKeepAliveCount=asked.RequestedMaxKeepAliveCount,
            MaxNotificationsPerPublish=asked.MaxNotificationsPerPublish,
        )
        made = await self._client.uaclient.session.update_subscription(parameters)
        return made.RevisedPublishingInterval / 1000, made.RevisedMaxKeepAliveCount

    async def unsubscribe(self) -> None:
        """Give the subscription up: the line is polled. Raises LineLost."""
        with self._told():
            await self._client.uaclient.session.delete_subscriptions([self._subscription])
        self._subscription = 0
        self.keep_alive = 0.0

    async def monitor(self, wanted: Sequence[tuple[int, Place]]) -> list[int]:
        """Have changes of these nodes told, under these handles; return a StatusCode for each.

        What was monitored under one of the handles before no longer is. Raises LineLost.
        """
        with self._told():
            old = [self._monitored.pop(handle) for handle, _ in wanted if handle in self._monitored]
            await self._sliced(self._forget, old)
            return await self._sliced(self._monitor, wanted)

    async def _forget(self, ids: Sequence[int]) -> Sequence[ua.StatusCode]:
        return await self._client.uaclient.session.delete_monitored_items(
            ua.DeleteMonitoredItemsParameters(self._subscription, list(ids))
        )

    async def _monitor(self, wanted: Sequence[tuple[int, Place]]) -> list[int]:
        sampling = self._settings.sampling / MILLISECOND
        parameters = ua.CreateMonitoredItemsParameters(
            SubscriptionId=self._subscription,
            TimestampsToReturn=ua.TimestampsToReturn.Source,
            ItemsToCreate=[
                _request(handle, place, sampling, self._settings.queue) for handle, place in wanted
            ],
        )
        try:
            results = await self._client.uaclient.session.create_monitored_items(parameters)
        except _NO_MONITORING as error:
            return [int(error.code)] * len(wanted)
        for (handle, _), result in zip(wanted, results, strict=False):
            if result.StatusCode.is_good():
                self._monitored[handle] = result.MonitoredItemId
        return [int(result.StatusCode.value) for result in results]

    async def publish_forever(self, publish: Publish, doubt: Callable[[], None]) -> None:
        """Hand on what the subscription brings, response by response. Raises LineLost at its end.

        ``doubt`` is called when the server says of the subscription what it should say of a node.
        """
        self._doubt = doubt
        with self._told():
            expected = 0
            acks: list[ua.SubscriptionAcknowledgement] = []
            while True:
                try:
                    result = await self._next(acks)
                except uaerrors.BadTimeout:  # An intermediary's own: the request is made again.
                    acks = []
                    continue
                message = result.NotificationMessage
                number = int(message.SequenceNumber)
                missing = max(number - expected, 0) if expected else 0
                acks = []
                expected = number
                if message.NotificationData:
                    acks = [ua.SubscriptionAcknowledgement(self._subscription, number)]
                    expected = number % 0xFFFFFFFF + 1
                publish(self._changes(message.NotificationData or ()), missing)

    async def _next(self, acks: list[ua.SubscriptionAcknowledgement]) -> ua.PublishResult:
        response = await self._client.uaclient.session.publish(acks)
        response.ResponseHeader.ServiceResult.check()
        result: ua.PublishResult = response.Parameters
        if result.SubscriptionId != self._subscription:
            raise LineLost(f"{self._settings.endpoint}: the server has lost the subscription")
        return result

    def _changes(self, notifications: Sequence[object]) -> list[Change]:
        changes: list[Change] = []
        for notification in notifications:
            if isinstance(notification, ua.DataChangeNotification):
                for item in notification.MonitoredItems:
                    value = item.Value
                    change = item.ClientHandle, _raw(value), _status(value), value.SourceTimestamp
                    changes.append(change)
            elif isinstance(notification, ua.StatusChangeNotification):
                self._status_changed(notification.Status)
        return changes

    def _status_changed(self, status: ua.StatusCode) -> None:
        if status.value in GONE:
            self._doubt()
        elif not status.is_good() or status.name == "GoodSubscriptionTransferred":
            raise LineLost(
                f"{self._settings.endpoint}: the server ended the subscription ({status.name})"
            )

    async def renew_forever(self) -> None:
        """Renew the secure channel before its keys are too old. Raises LineLost."""
        while True:
            await asyncio.sleep(self._client.secure_channel_timeout / 1000 * RENEWAL)
            with self._told():
                await self._client.open_secure_channel(renew=True)
                self._client.uaclient.revolve_security_token()

    # The way out

    async def close(self) -> None:
        """Close the session, if the server answers soon, and let the connection go."""
        ending = asyncio.create_task(
            self._client.uaclient.session.close_session(delete_subscriptions=True)
        )
        try:
            await asyncio.wait({ending}, timeout=LET_GO)
        finally:
            ending.cancel()
            self._drop(self._client)
            await asyncio.gather(ending, return_exceptions=True)

    @staticmethod
    def _drop(client: Client) -> None:
        """Close the connection; what a dead peer does not take is thrown away."""
        protocol = client.uaclient.protocol
        transport = None if protocol is None else protocol.transport
        client.uaclient.disconnect_socket()
        if transport is not None:
            transport.close()
            if transport.get_write_buffer_size():
                transport.abort()


def _nothing(*_: object) -> None:
    """What is called when there is nothing to tell."""


def _choose(endpoints: Sequence[ua.EndpointDescription], settings: OpcUa) -> ua.EndpointDescription:
    """Return the endpoint with the policy and mode that the file asks for."""
    policy, _, mode = settings.security.partition("/")
    for endpoint in endpoints:
        if (
            endpoint.SecurityPolicyUri == POLICIES + policy
            and endpoint.SecurityMode == _MODES[mode or "None"]
        ):
            return endpoint
    offered = sorted({_offer(endpoint) for endpoint in endpoints})
    raise LineLost(
        f"{settings.endpoint}: the server does not offer {settings.security}; "
        f"it offers {', '.join(offered) or 'nothing'}"
    )


def _offer(endpoint: ua.EndpointDescription) -> str:
    policy = str(endpoint.SecurityPolicyUri).rpartition("#")[2]
    mode = ua.MessageSecurityMode(endpoint.SecurityMode).name.rstrip("_")
    return policy if policy == "None" else f"{policy}/{mode}"


def encrypts(security: Security) -> bool:
    """Return whether nobody on the way can read along."""
    return security.endswith("/SignAndEncrypt")


def _subscription(interval: float, keep_alive: float) -> ua.CreateSubscriptionParameters:
    """Return what to ask for: a sign of life every ``keep_alive``, news every ``interval`` (s)."""
    count = max(int(keep_alive / interval + 1e-6), 1)
    return ua.CreateSubscriptionParameters(
        RequestedPublishingInterval=interval * 1000,
        RequestedLifetimeCount=max(3 * count, int(LIFETIME / interval)),
        RequestedMaxKeepAliveCount=count,
        MaxNotificationsPerPublish=RESPONSE,
        PublishingEnabled=True,
        Priority=0,
    )


def _request(
    handle: int, place: Place, sampling: float, queue: int
) -> ua.MonitoredItemCreateRequest:
    return ua.MonitoredItemCreateRequest(
        ItemToMonitor=ua.ReadValueId(NodeId=place, AttributeId=AttributeIds.Value),
        MonitoringMode=ua.MonitoringMode.Reporting,
        RequestedParameters=ua.MonitoringParameters(
            ClientHandle=handle, SamplingInterval=sampling, QueueSize=queue, DiscardOldest=True
        ),
    )


def _path_to_units(place: Place) -> ua.BrowsePath:
    step = ua.RelativePathElement(
        ReferenceTypeId=ua.NodeId(ua.Int32(ObjectIds.HasProperty)),
        IsInverse=False,  # type: ignore[arg-type]  # its stubs know no bool
        IncludeSubtypes=True,  # type: ignore[arg-type]  # as above
        TargetName=ua.QualifiedName("EngineeringUnits", 0),
    )
    return ua.BrowsePath(StartingNode=place, RelativePath=ua.RelativePath(Elements=[step]))


def _unit(answer: ua.DataValue) -> Unit | None:
    """Return the unit, by the code that its number spells (OPC 10000-8, 5.6.4.3)."""
    given = None if answer.Value is None else answer.Value.Value
    if not isinstance(given, ua.EUInformation):
        return None
    name = str(given.DisplayName.Text or given.Description.Text or given.UnitId)
    if given.NamespaceUri != UNECE or given.UnitId <= 0:
        return Unit("", name)
    code = given.UnitId.to_bytes(4, "big").lstrip(b"\0")
    return Unit(code.decode("ascii", "replace"), name)


def _raw(answer: ua.DataValue) -> object:
    variant = answer.Value
    raw: object = None if variant is None else variant.Value
    if type(raw) in _PLAIN:
        return raw
    match raw:
        case ua.LocalizedText():
            return raw.Text
        case ua.QualifiedName():
            return raw.Name
        case UUID():
            return str(raw)
        case _:
            return raw


def _status(answer: ua.DataValue) -> int:
    status = answer.StatusCode
    return 0 if status is None else status.value


def _name(error: Exception) -> str:
    if isinstance(error, UaStatusCodeError):
        return str(ua.StatusCode(ua.UInt32(error.code)).name)
    return type(error).__name__


def at(ns: int) -> datetime:
    """Return the instant ``ns`` (UTC nanoseconds)."""
    return datetime.fromtimestamp(ns / SECOND, UTC)

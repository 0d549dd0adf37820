"""A connection to an MQTT broker. The one file that imports aiomqtt and paho.

aiomqtt 2.5 leaves three things to us: it takes a refused publish for a good one, lets a publish
wait out its time although the connection is gone, and connects in the shared thread pool, where a
dead host holds up the end of the process. Here a publish is a future that ends with the broker's
own word or with the connection; connecting can be cancelled; and a connection is made once.
It ends without a goodbye: the broker then says our will, which is the truth.
"""

import asyncio
import logging
import math
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import NamedTuple, Self

import aiomqtt
from paho.mqtt.client import (
    MQTT_CLEAN_START_FIRST_ONLY,
    MQTT_ERR_SUCCESS,
    Client,
    ConnectFlags,
    DisconnectFlags,
    MQTTMessage,
)
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from config.load import read_secret
from config.problems import ConfigError
from config.site import Mqtt, Tls
from drivers.base import LineLost
from drivers.resolve import Resolver
from monitor.ending import out_of_memory
from monitor.sinks.base import SinkLost
from monitor.sinks.topics import Publication

NO_SUBSCRIBERS = 16
"""The reason code of a PUBACK that was accepted, but heard by nobody."""
IN_FLIGHT = 20
MOST_WAITING = 1000
"""Requests that may wait to be worked on; more are dropped."""
TOO_LARGE = 149
"""In place of a broker's answer to a message that it would hang up for: that one was not sent."""
_FAILURE = 128
"""Reason codes from here on are failures, in MQTT 5 and (of a SUBACK) in 3.1.1."""
_NOT_LET_IN = (134, 135)
"""Bad user name or password, not authorized; paho says them of MQTT 3.1.1's refusals too."""
_TAKEN_OVER = 142
_NOT_RETAINED = 154
_QOS_REFUSED = 155
_QOS_0 = (
    "offers QoS 0 alone, at which a message may be lost unseen: everything is kept here until it "
    "offers QoS 1"
)
_OVERHEAD = 16
"""Bytes of a PUBLISH beside topic and payload, at most."""
_SECOND = 10**9

Answer = asyncio.Future[int]

_quiet = logging.getLogger(f"{__name__}.paho")
_quiet.setLevel(logging.CRITICAL)  # It logs each loss as an error; ours is told by who supervises.


class Refused(SinkLost):
    """The broker refuses a message; the connection stands."""


class RetainRefused(SinkLost):
    """The broker lets nobody in who wants something retained."""


class Heard(NamedTuple):
    """A message that came in."""

    topic: str
    payload: bytes
    retained: bool


class Allowance(NamedTuple):
    """What the broker said in its greeting that it can bear."""

    in_flight: int = IN_FLIGHT
    bytes: int = 2**28 - 1
    retained: bool = True
    wildcards: bool = True


class Broker(aiomqtt.Client):
    """One connection: ``async with Broker(...)``, and never the same one again.

    Raises SinkLost when made where the password cannot be read.
    """

    def __init__(
        self, settings: Mqtt, resolver: Resolver, identifier: str, will: Publication
    ) -> None:
        self._resolver = resolver
        self._where = f"the broker at {settings.host}:{settings.port}"
        self._tls = settings.tls
        self._socket: socket.socket | None = None
        self._acks: dict[int, tuple[str, Answer]] = {}
        self._echoes: dict[bytes, Answer] | None = None
        self._allowance = Allowance()
        self._sending = asyncio.Lock()
        """Whoever sends has all that may be in flight to himself."""
        self._silent: SinkLost | None = None
        """Something was not accepted in time: it is in flight for good, so nothing may follow."""
        is_5 = settings.protocol == "5"
        # Else what is retained shows as such only to those who come later.
        as_published = SubscribeOptions(qos=1, retainAsPublished=True)
        self._hearing = as_published if is_5 else 1
        """How we hear: QoS 1, with options where there are any."""
        delay = settings.will_delay // _SECOND
        super().__init__(
            settings.host,
            settings.port,
            username=settings.user or None,
            password=self._password(settings),
            identifier=identifier,
            protocol=aiomqtt.ProtocolVersion.V5 if is_5 else aiomqtt.ProtocolVersion.V311,
            clean_session=None if is_5 else True,
            # A will is held back only for as long as a session is kept that we go on with.
            clean_start=not delay if is_5 else MQTT_CLEAN_START_FIRST_ONLY,
            properties=_properties(PacketTypes.CONNECT, SessionExpiryInterval=delay),
            will=aiomqtt.Will(
                will.topic,
                will.payload,
                qos=1,
                retain=will.retain,
                properties=_properties(PacketTypes.WILLMESSAGE, WillDelayInterval=delay),
            ),
            timeout=settings.timeout / _SECOND,
            keepalive=max(1, settings.keepalive // _SECOND),
            max_inflight_messages=IN_FLIGHT,
            max_queued_incoming_messages=MOST_WAITING,
            logger=_quiet,
        )

    @property
    def in_flight(self) -> int:
        """How many messages may be under way before the broker has accepted the first."""
        return self._allowance.in_flight

    @property
    def retains(self) -> bool:
        """Whether it keeps what is retained; else that goes out as everything does."""
        return self._allowance.retained

    async def __aenter__(self) -> Self:
        """Connect; raises SinkLost with the reason when that fails.

        Raises RetainRefused where that is the will's being retained.
        """
        try:
            async with asyncio.timeout(self.timeout):
                await self._connect()
        except TimeoutError as error:
            self._let_go()
            raise self.lost(f"does not answer within {self.timeout:g} s") from error
        except (OSError, ValueError, aiomqtt.MqttError) as error:
            self._let_go()
            if _code(error) == _NOT_RETAINED:
                raise RetainRefused(f"{self._where}: {_plain(error)}") from error
            raise self.lost(_plain(error)) from error
        except BaseException:
            self._let_go()
            raise
        self._disconnected.add_done_callback(self._fail_all)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close at once and without a goodbye."""
        self._let_go()

    async def send(self, publications: Sequence[Publication], *, echoed: bool = False) -> list[int]:
        """Publish with QoS 1; return the broker's reason codes when it has accepted all.

        With ``echoed``, an event counts as accepted when it came back (``expect_echoes``).
        What is larger than the broker takes is left out, and its code is ``TOO_LARGE``.
        Raises Refused when the broker refuses one, SinkLost when the connection is lost meanwhile
        or an answer does not come in time.
        """
        fitting = [each for each in publications if self._fits(each)]
        codes: list[int] = []
        for start in range(0, len(fitting), self.in_flight):
            part = fitting[start : start + self.in_flight]
            async with self._sending:
                codes += await self._send_together(part, self._echoes if echoed else None)
        answered = iter(codes)
        return [next(answered) if self._fits(each) else TOO_LARGE for each in publications]

    async def _send_together(
        self, publications: Sequence[Publication], echoes: dict[bytes, Answer] | None
    ) -> list[int]:
        if self._silent is not None:
            raise self._silent
        answers: list[Answer] = []
        try:
            answers += [self._put(each) for each in publications]
            if echoes is not None:
                answers += [self._echo_of(each, echoes) for each in publications if not each.retain]
            async with asyncio.timeout(self.timeout):
                codes = await asyncio.gather(*answers)
            return codes[: len(publications)]
        except TimeoutError as error:
            words = "" if echoes is None else ", or does not let us hear,"
            self._silent = self.lost(f"does not accept{words} a message within {self.timeout:g} s")
            raise self._silent from error
        finally:
            for answer in answers:
                answer.cancel()

    async def listen(self, filters: Collection[str]) -> None:
        """Subscribe; raises Refused when the broker does not let us."""
        if not self._allowance.wildcards and any("+" in each for each in filters):
            raise Refused(f"{self._where} offers no wildcards, and what we hear needs them")
        try:
            # Its own time-out loses a cancellation that comes with the answer (Python 3.11's
            # asyncio.wait_for does), and the daemon would never end.
            async with asyncio.timeout(self.timeout):
                codes: Sequence[ReasonCode | int] = await self.subscribe(
                    [(each, self._hearing) for each in filters],  # type: ignore[arg-type]  # each is of our protocol's kind
                    timeout=math.inf,
                )
        except TimeoutError as error:
            raise self.lost(f"does not let us hear within {self.timeout:g} s") from error
        except aiomqtt.MqttError as error:
            raise self.lost(_plain(error)) from error
        for each, code in zip(filters, codes, strict=True):
            if _value(code) >= _FAILURE:
                raise Refused(f"{self._where} refuses to let us hear {each}: {code}")

    async def expect_echoes(self, filters: Collection[str]) -> None:
        """Hear our own events from now on: MQTT 3.1.1 has no other way to see one refused."""
        self._echoes = {}
        await self.listen(filters)

    async def heard(self) -> AsyncIterator[Heard]:
        """What comes in, but for echoes; ends with SinkLost when the connection does."""
        try:
            async for message in self.messages:
                yield Heard(str(message.topic), message.payload, message.retain)
        except aiomqtt.MqttError as error:
            raise self.lost(_plain(error.__cause__ or error)) from error

    def lost(self, words: str) -> SinkLost:
        """Return the exception that says so of this broker."""
        return SinkLost(f"{self._where}: {words}")

    async def _connect(self) -> None:
        self._socket = await self._dial()
        # paho would resolve, connect and shake hands in a way that blocks; it gets our socket.
        self._client._create_socket = self._take_socket  # type: ignore[method-assign]  # noqa: SLF001 - it cannot be given one otherwise
        self._client_connect()
        await self._connected

    async def _dial(self) -> socket.socket:
        """Return a connected, non-blocking socket, its TLS handshake done; OSError if none."""
        loop = asyncio.get_running_loop()
        try:
            found = await self._resolver.find(self.timeout / 2)
        except LineLost as error:
            raise OSError(str(error)) from error
        failure: OSError = OSError("its name has no address")
        for address in found:
            dialled = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
            try:
                dialled.setblocking(False)  # noqa: FBT003 - the socket's own signature
                dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await loop.sock_connect(dialled, (address, self._port))
                return await self._secured(dialled)
            except OSError as error:
                dialled.close()
                failure = error
            except BaseException:
                dialled.close()
                raise
        raise failure

    async def _secured(self, plain: socket.socket) -> socket.socket:
        """Return the socket under TLS where that is asked for; the host's name is checked."""
        if self._tls is None:
            return plain
        context = await asyncio.to_thread(_trust, self._tls)
        secured = context.wrap_socket(
            plain, server_hostname=self._hostname, do_handshake_on_connect=False
        )
        try:
            while not await _shook_hands(secured):
                pass
        except BaseException:
            secured.close()
            raise
        return secured

    def _take_socket(self) -> socket.socket:
        if self._socket is None:
            raise OSError("a connection is made once")
        taken, self._socket = self._socket, None
        return taken

    def _let_go(self) -> None:
        """Close the socket and end what aiomqtt has running; nothing is said to the broker."""
        if self._socket is not None:
            self._socket.close()
        self._client._sock_close()  # noqa: SLF001 - paho's disconnect() would say goodbye
        if self._misc_task is not None:
            self._misc_task.cancel()
        for future in (self._connected, self._disconnected):
            if not future.done():
                future.cancel()
            elif not future.cancelled():
                future.exception()  # It is told already, or of no interest any more.

    def _put(self, each: Publication) -> Answer:
        """Hand a message to paho, which sends it at once; return what will be answered."""
        retain = each.retain and self.retains
        info = self._client.publish(each.topic, each.payload, qos=1, retain=retain)
        if info.rc != MQTT_ERR_SUCCESS:
            raise self.lost("the connection is gone")
        answer: Answer = self._loop.create_future()
        self._acks[info.mid] = each.topic, answer
        answer.add_done_callback(lambda _: self._acks.pop(info.mid, None))
        return answer

    def _fits(self, each: Publication) -> bool:
        return len(each.topic) + len(each.payload) + _OVERHEAD <= self._allowance.bytes

    def _echo_of(self, each: Publication, echoes: dict[bytes, Answer]) -> Answer:
        echo: Answer = self._loop.create_future()
        echoes[each.payload] = echo
        echo.add_done_callback(lambda _: echoes.pop(each.payload, None))
        return echo

    def _fail_all(self, disconnected: "asyncio.Future[None]") -> None:
        """Tell everyone who waits for an answer that none will come."""
        if disconnected.cancelled():
            return
        error = disconnected.exception()
        words = _plain(error) if error else "the connection is closed"
        waiting = [answer for _, answer in self._acks.values()] + list(
            (self._echoes or {}).values()
        )
        for answer in waiting:
            if not answer.done():
                answer.set_exception(self.lost(words))

    def _on_socket_open(self, client: Client, userdata: object, sock: socket.socket) -> None:  # noqa: ARG002 - paho's signature
        """Watch the socket: at once, and not soon, when its number may be another one's."""
        self._loop.add_reader(sock.fileno(), self._go_on, self._read)
        self._misc_task = self._loop.create_task(self._misc_loop())

    def _on_socket_register_write(
        self,
        client: Client,
        userdata: object,  # noqa: ARG002 - paho's signature
        sock: socket.socket,
    ) -> None:
        """Watch the socket for room to write in; at once, as above."""
        self._loop.add_writer(sock.fileno(), self._go_on, client.loop_write)

    def _read(self) -> None:
        """Take in what has arrived, and what TLS has decoded beyond it; say at once that we have.

        A broker with Nagle's algorithm on (Mosquitto, as installed) sends its second answer only
        when we have acknowledged the first, for which the kernel would take its 40 ms.
        """
        self._client.loop_read()
        while isinstance(sock := self._client.socket(), ssl.SSLSocket) and sock.pending():
            self._client.loop_read()
        if isinstance(sock, socket.socket):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _go_on(self, step: Callable[[], object]) -> None:
        try:
            step()
        except MemoryError:
            out_of_memory()
        except Exception as error:  # noqa: BLE001 - whatever paho stumbles over ends this connection
            if not self._disconnected.done():
                self._disconnected.set_exception(error)

    def _on_connect(
        self,
        client: Client,
        userdata: object,
        flags: ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        self._allowance = Allowance(
            min(IN_FLIGHT, getattr(properties, "ReceiveMaximum", IN_FLIGHT)),
            getattr(properties, "MaximumPacketSize", Allowance().bytes),
            getattr(properties, "RetainAvailable", 1) == 1,
            getattr(properties, "WildcardSubscriptionAvailable", 1) == 1,
        )
        if getattr(properties, "MaximumQoS", 1) == 0 and not self._connected.done():
            self._connected.set_exception(aiomqtt.MqttError(_QOS_0))
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(
        self,
        client: Client,
        userdata: object,
        flags: DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if not self._connected.done():
            words = f"hung up instead of a greeting ({reason_code}): {self._doubt}"
            self._connected.set_exception(aiomqtt.MqttError(words))
        elif not flags.is_disconnect_packet_from_server and not self._disconnected.done():
            self._disconnected.set_exception(aiomqtt.MqttError("the connection is lost"))
        super()._on_disconnect(client, userdata, flags, reason_code, properties)

    def _on_publish(
        self,
        client: Client,
        userdata: object,
        mid: int,
        reason_code: ReasonCode,
        properties: Properties,
    ) -> None:
        """Take the broker's word for a message: its reason code."""
        super()._on_publish(client, userdata, mid, reason_code, properties)
        topic, answer = self._acks.get(mid, ("", None))
        if answer is None or answer.done():
            return
        if _value(reason_code) >= _FAILURE:
            answer.set_exception(Refused(f"{self._where} refuses {topic}: {reason_code}"))
        else:
            answer.set_result(_value(reason_code))

    def _on_message(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        """Sort out our own echoes; the rest waits in aiomqtt's queue."""
        if self._echoes is None or not message.topic.endswith("/event"):
            super()._on_message(client, userdata, message)
        elif (echo := self._echoes.get(bytes(message.payload))) and not echo.done():
            echo.set_result(0)

    @property
    def _doubt(self) -> str:
        """What may be the matter with a broker that hangs up without a word."""
        if self._tls is None:
            return "is TLS spoken at that port, and mqtt.tls not given?"
        if self._tls.cert_file is None:
            return "does it ask who we are, and mqtt.tls.cert_file is not given?"
        return "does it not trust who issued mqtt.tls.cert_file?"

    def _password(self, settings: Mqtt) -> str | None:
        if settings.password is None:
            return None
        try:
            return read_secret(settings.password)
        except ConfigError as error:
            raise self.lost(str(error)) from error


def _properties(kind: int, **numbers: int) -> Properties | None:
    """Return properties of a packet of MQTT 5; None where all of them are nought, as they are."""
    if not any(numbers.values()):
        return None
    properties = Properties(kind)  # type: ignore[no-untyped-call]
    for name, number in numbers.items():
        setattr(properties, name, number)
    return properties


def _value(code: ReasonCode | int) -> int:
    return code if isinstance(code, int) else code.value


def _code(error: BaseException) -> int | None:
    """Return the broker's reason code, where it gave one."""
    code = getattr(error, "rc", None)
    return code.value if isinstance(code, ReasonCode) else None


def _plain(error: BaseException) -> str:
    """Return what happened in words for people."""
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno)
    code = getattr(error, "rc", None)
    if not isinstance(code, ReasonCode):
        return str(error) or type(error).__name__
    if code.value == _QOS_REFUSED:
        return _QOS_0
    if code.value in _NOT_LET_IN:
        return f"{code}: look at mqtt.user and mqtt.password, and at the broker's own list of users"
    if code.value == _TAKEN_OVER:
        return f"{code}: another client has the same name; is a second gateway called as this one?"
    return str(code)


def _trust(tls: Tls) -> ssl.SSLContext:
    """Return whom to trust and who we are; blocks, since it reads files."""
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        if tls.cert_file is not None:
            context.load_cert_chain(tls.cert_file, tls.key_file)
    except OSError as error:
        named = [str(file) for file in (tls.ca_file, tls.cert_file, tls.key_file) if file]
        raise OSError(f"cannot use {', '.join(named)}: {error}") from error
    return context


async def _shook_hands(secured: ssl.SSLSocket) -> bool:
    """Go on with the handshake as far as it goes now; return whether it is done."""
    loop = asyncio.get_running_loop()
    try:
        secured.do_handshake()
    except ssl.SSLWantReadError:
        watch, unwatch = loop.add_reader, loop.remove_reader
    except ssl.SSLWantWriteError:
        watch, unwatch = loop.add_writer, loop.remove_writer
    else:
        return True
    ready = asyncio.Event()
    watch(secured, ready.set)
    try:
        await ready.wait()
    finally:
        unwatch(secured)
    return False

"""Tells the plant over MQTT: every alarm transition, how each alarm stands, and that we are there.

On each connection, in this order: that we are online; the events that are not delivered yet; the
states that a forgetful broker may not hold (an accepted message is no durable one); then each event
as it is committed, and every ``settings.digest`` a heartbeat and a digest of all that was told.
The newest event goes with each heartbeat until the broker says that somebody listens: what it said
before our start nobody remembers.
The cursor moves when the broker has accepted an event and its state; under MQTT 3.1.1, which has
no reason codes, when the event has come back to us. What consumers owe receipts of is told again
when there is nothing else to tell (``receipts``); a probe tries whether we hear (``hearing``).
"""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable, Sequence

from config.site import Mqtt
from drivers.resolve import Resolver
from monitor.messages import (
    MOST_RESENT,
    AlarmMessage,
    DigestMessage,
    Message,
    OnCommand,
    Resend,
    StatusMessage,
    rfc3339,
)
from monitor.sinks import topics
from monitor.sinks.base import Gateway, Record, Tally, until_one_ends
from monitor.sinks.broker import (
    NO_SUBSCRIBERS,
    TOO_LARGE,
    Broker,
    Heard,
    Refused,
    RetainRefused,
)
from monitor.sinks.hearing import Hearing
from monitor.sinks.receipts import Receipts
from monitor.sinks.topics import Publication, Request
from monitor.store.events import Event

MOST_READ = 100
"""Events taken from the record at once."""
LATELY = 1000
"""Alarm events whose states are told again on a new connection, though nothing stands of them."""
_STEPS = 5
"""Waits for the broker's answer that can follow each other before a message counts as sent."""
_SOUNDINGS = 10
"""Heartbeats between two probes while all is well."""
_UNRETAINED = (
    "the broker keeps no retained messages: who comes later is not told how alarms stand; the "
    "digest alone lists them"
)
_SECOND = 10**9

log = logging.getLogger(__name__)


class MqttSink:
    """Delivers the alarm events to one broker; ``name`` is that of its place in the record.

    Requests are heard when ``settings.commands`` allows it and ``on_command`` takes them.
    """

    def __init__(
        self, settings: Mqtt, gateway: Gateway, record: Record, on_command: OnCommand | None = None
    ) -> None:
        self.name = "mqtt"
        self.tally = Tally()
        self._settings = settings
        self._resolver = Resolver(settings.host)
        self._site, self._gateway = gateway
        self._record = record
        self._outbox = record.store
        self.hearing = Hearing(gateway, settings.user, settings.timeout / _SECOND)
        self._on_command = on_command if settings.commands else None
        self.receipts = Receipts(settings.receipts, gateway.name, record.store)
        self._owed: dict[str, Event | AlarmMessage] = {}
        self._unheard: Event | None = None
        """The newest event, where the broker said that nobody listened to it."""
        self._asked = False
        """Whether the broker has said anything about that since the start."""
        self._left_out: set[str] = set()
        """Alarms of which the newest message was too large for the broker."""
        self._too_large: set[str] = set()
        """Topics of which the log says that a message was too large for the broker."""
        self._unretained = False
        """Whether the broker keeps nothing that is retained."""
        self._sequence = 0
        self._beat_due = 0.0
        self._digest_due = True

    @property
    def unheard(self) -> bool | None:
        """Whether the broker says that nobody listens to the alarms; MQTT 3.1.1 never does.

        None: it was not asked since the start.
        """
        return self._unheard is not None if self._asked else None

    def reached(self, event: Event) -> bool:
        """Whether somebody has an alarm event: a consumer, where receipts are asked for.

        Else the broker, unless it says that nobody listens there, or did not take it. What it
        took in the run before is nobody's until it has said whether anybody listens, and has taken
        the alarm's state.
        """
        if self.receipts.consumers:
            return event.seq is not None and self.receipts.has(event.seq)
        untold = event.subject in self._left_out or event.subject in self._owed
        told = self._cursor >= event.number and not untold
        return told and self.unheard is False

    @property
    def listens(self) -> bool:
        """Whether anything that comes in is for us: requests, or receipts."""
        return self._on_command is not None or bool(self.receipts.consumers)

    @property
    def warnings(self) -> list[str]:
        """What is not as it should be though the broker takes what is delivered."""
        large = f"larger than the broker takes, and not told: {self.tally.too_large} messages"
        words = {
            self.hearing.words: True,
            _UNRETAINED: self._unretained,
            large: self.tally.too_large > 0,
        }
        return [each for each, holds in words.items() if each and holds]

    @property
    def patience(self) -> float:
        """See ``monitor.sinks.base.Delivery``.

        That is to connect, perhaps twice, to be heard, and to tell a window in two.
        """
        return _STEPS * self._settings.timeout / _SECOND

    async def hold(self, held: Callable[[], None]) -> None:
        """Deliver until the connection is lost; calls ``held`` whenever something was accepted.

        Raises SinkLost; never returns otherwise.
        """
        will = self._status(online=False)
        try:
            async with self._to_broker(will) as broker:
                await self._work(broker, held)
        except RetainRefused:
            async with self._to_broker(will._replace(retain=False)) as broker:
                await self._work(broker, held)

    def _to_broker(self, will: Publication) -> Broker:
        return Broker(self._settings, self._resolver, self._identifier, will)

    async def _work(self, broker: Broker, held: Callable[[], None]) -> None:
        """Do all that there is to do on a connection, until it is lost."""
        self._notice_retaining(broker.retains)
        if self._settings.protocol == "3.1.1":
            await broker.expect_echoes(topics.own_events(self._site, self._gateway))
        jobs = [self._deliver(broker, held), self._serve(broker)]
        if self.listens and await self._open_counter(broker):
            jobs.append(self._sound(broker))
        with self.receipts.held():
            try:
                await until_one_ends(*jobs)
            finally:
                self.hearing.forget()

    async def _deliver(self, broker: Broker, held: Callable[[], None]) -> None:
        self._owed = await self._states()
        self._sequence, self._beat_due, self._digest_due = 0, 0.0, True
        while True:
            if asyncio.get_running_loop().time() >= self._beat_due:
                await self._beat(broker)
            if await self._deliver_next(broker):
                held()
            else:
                await self._idle()

    async def _deliver_next(self, broker: Broker) -> bool:
        """Deliver what is most urgent; False when there is nothing to deliver."""
        events = await self._outbox.events(self._cursor, MOST_READ)
        if events:
            await self._tell(broker, topics.window(events, broker.in_flight))
        elif self._owed:
            await self._assert_states(broker)
        elif self._digest_due:
            await self._tell_digest(broker)
        elif window := self.receipts.again():
            await self._tell_again(broker, *window)
        else:
            return False
        return True

    async def _tell(self, broker: Broker, events: Sequence[Event]) -> None:
        """Publish events and the states that they leave, and move the cursor."""
        alarms = [event for event in events if event.kind == "alarm"]
        pairs = [(topics.event(event), topics.state(event)) for event in alarms]
        codes = await self._send(broker, [each for pair in pairs for each in pair], echoed=True)
        if alarms:
            unheard = [e for e, code in zip(alarms, codes[::2], strict=True) if _is_unheard(code)]
            self._notice_silence(unheard[-1] if unheard else None)
        for event, code in zip(alarms, codes[::2], strict=True):
            self._owed.pop(event.subject, None)
            self._notice_left_out(event.subject, code)
        self.tally.delivered += sum(code != TOO_LARGE for code in codes[::2])
        self._outbox.confirm(self.name, "events", events[-1].number)
        if seqs := [event.seq for event in alarms if event.seq is not None]:
            self.receipts.told(seqs[-1])

    async def _assert_states(self, broker: Broker) -> None:
        """Tell some of the owed states; events go between, and are newer than what they replace."""
        names = list(self._owed)[: broker.in_flight]
        codes = await self._send(broker, [topics.state(self._owed[name]) for name in names])
        for name, code in zip(names, codes, strict=True):
            self._owed.pop(name, None)
            self._notice_left_out(name, code)

    async def _beat(self, broker: Broker) -> None:
        self._sequence += 1
        self._beat_due = asyncio.get_running_loop().time() + self._settings.digest / _SECOND
        self._digest_due = True
        await self._send(broker, [self._status(online=True)])
        if doubtful := await self._doubtful():
            await self._ask_who_listens(broker, doubtful)

    async def _doubtful(self) -> Event | None:
        """Return the newest event that was told, where nobody may have heard it."""
        if self._asked:
            return self._unheard
        last = self._outbox.last.seq
        told = [e for e in await self._outbox.events_by_seq(last, last) if e.number <= self._cursor]
        return told[0] if told else None

    async def _ask_who_listens(self, broker: Broker, event: Event) -> None:
        """Tell once more what nobody heard: who has come meanwhile is seen, and has missed less."""
        (code,) = await self._send(broker, [topics.event(event)])
        self._notice_silence(event if _is_unheard(code) else None)

    async def _tell_digest(self, broker: Broker) -> None:
        """Tell the digest, unless something was committed meanwhile that must be told before it."""
        last = self._outbox.last
        if last.event > self._cursor:
            return
        standing = self._record.active()
        digest = DigestMessage(
            site=self._site,
            gateway=self._gateway,
            store_id=self._outbox.store_id,
            sequence=self._sequence,
            time=rfc3339(self._record.clock().at),
            last_seq=last.seq,
            last_event=last.event,
            last_scan=last.scan,
            last_time=rfc3339(last.at) if last.at else None,
            head=last.head,
            active=tuple((one.alarm, one.state, one.version, one.event_id) for one in standing),
        )
        where = topics.digest(self._site, self._gateway)
        await self._send(broker, [Publication(where, _json(digest))])
        self._digest_due = False

    async def _idle(self) -> None:
        """Wait for the next event or receipt, at most until something is due by itself."""
        left = self._beat_due - asyncio.get_running_loop().time()
        self.receipts.news.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(min(left, self.receipts.next_in()), 0.0)):
                await until_one_ends(
                    self._outbox.wait("events", self._cursor), self.receipts.news.wait()
                )

    async def _open_counter(self, broker: Broker) -> bool:
        """Hear requests and receipts; where the broker does not let us, alarms are told anyway."""
        receipts = [topics.receipts(self._site, each) for each in self.receipts.consumers]
        # Whoever hears all requests hears the receipts and the probe among them.
        all_of_them = [topics.commands(self._site)]
        filters = [*receipts, self.hearing.topic] if self._on_command is None else all_of_them
        try:
            await broker.listen(filters)
        except Refused as error:
            self.hearing.fail(str(error))
            return False
        return True

    async def _sound(self, broker: Broker) -> None:
        """Try again and again whether what is published for us reaches us."""

        async def publish(probe: Publication) -> None:
            await self._send(broker, [probe])

        while True:
            await self.hearing.prove(publish)
            rest = self._settings.digest / _SECOND
            await asyncio.sleep(rest if self.hearing.words else _SOUNDINGS * rest)

    async def _serve(self, broker: Broker) -> None:
        """Work on requests one by one, until the connection is lost."""
        async for heard in broker.heard():
            request = topics.request(self._site, heard.topic)
            if request is None:
                continue
            if request.act == topics.PROBE:
                self.hearing.came(heard.payload)
            elif request.act == topics.RECEIPT:
                self.receipts.take(request.user, heard.payload, retained=heard.retained)
            elif self._on_command is not None:
                await self._answer(broker, request, heard, self._on_command)

    async def _answer(
        self, broker: Broker, request: Request, heard: Heard, on_command: OnCommand
    ) -> None:
        answer = await on_command(request.user, request.act, heard.payload, heard.retained)
        if isinstance(answer, Resend):
            answer = answer.reply(await self._resend(broker, answer))
        if answer is None:
            return
        try:
            await self._send(broker, [Publication(topics.reply(self._site, request.user), answer)])
        except Refused as error:
            log.warning("an answer to %s was not taken: %s", request.user, error)

    async def _resend(self, broker: Broker, wanted: Resend) -> int:
        """Publish a range of events once more, at most ``MOST_RESENT``; return how many."""
        first = max(wanted.first, 1)
        last = min(wanted.last, first + MOST_RESENT - 1, self._outbox.last.seq)
        count = 0
        for start in range(first, last + 1, MOST_READ):
            count += await self._tell_again(broker, start, min(start + MOST_READ - 1, last))
        return count

    async def _tell_again(self, broker: Broker, first: int, last: int) -> int:
        """Publish alarm events that were told before, by their ``seq``; return how many."""
        events = await self._outbox.events_by_seq(first, last)
        await self._send(broker, [topics.event(event) for event in events])
        return len(events)

    async def _send(
        self, broker: Broker, publications: Sequence[Publication], *, echoed: bool = False
    ) -> list[int]:
        self.tally.requests += len(publications)
        codes = await broker.send(publications, echoed=echoed)
        for each in itertools.compress(publications, (code == TOO_LARGE for code in codes)):
            self._notice_size(each)
        return codes

    async def _states(self) -> dict[str, Event | AlarmMessage]:
        last = self._outbox.last.seq
        recent = await self._outbox.events_by_seq(max(1, last - LATELY + 1), last)
        return topics.owed(recent, self._record.active())

    def _notice_left_out(self, alarm: str, code: int) -> None:
        (self._left_out.add if code == TOO_LARGE else self._left_out.discard)(alarm)

    def _notice_size(self, each: Publication) -> None:
        """Tell and count what was too large for the broker; what follows it is told."""
        self.tally.too_large += 1
        if each.topic not in self._too_large:
            self._too_large.add(each.topic)
            size = len(each.payload)
            log.error(
                "%s: larger than the broker takes, and not told: %s, %d bytes",
                self.name,
                each.topic,
                size,
            )

    def _notice_retaining(self, retains: bool) -> None:  # noqa: FBT001 - it is one or the other
        """Tell when the broker begins to keep nothing that is retained, and when it does again."""
        if self._unretained and retains:
            log.info("%s: the broker keeps retained messages again", self.name)
        elif not self._unretained and not retains:
            log.warning("%s: %s", self.name, _UNRETAINED)
        self._unretained = not retains

    def _notice_silence(self, unheard: Event | None) -> None:
        """Tell when events begin to be heard by nobody, and when somebody listens again."""
        if unheard is not None and not self.unheard:
            log.warning("%s: nobody listens to the alarms at the broker", self.name)
        if self.unheard and unheard is None:
            log.info("%s: somebody listens to the alarms again", self.name)
        self._unheard, self._asked = unheard, True

    def _status(self, *, online: bool) -> Publication:
        message = StatusMessage(
            site=self._site,
            gateway=self._gateway,
            online=online,
            store_id=self._outbox.store_id,
            sequence=self._sequence if online else 0,
            time=rfc3339(self._record.clock().at) if online else None,
        )
        return Publication(topics.status(self._site, self._gateway), _json(message), retain=True)

    @property
    def _cursor(self) -> int:
        return self._outbox.cursor(self.name, "events")

    @property
    def _identifier(self) -> str:
        return f"cytowatch-{self._site}-{self._gateway}"


def _is_unheard(code: int) -> bool:
    return code == NO_SUBSCRIBERS


def _json(message: Message) -> bytes:
    return message.model_dump_json(by_alias=True).encode()

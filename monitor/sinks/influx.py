"""Delivers readings and events to one InfluxDB. The one file that imports its client.

Readings go out as the record keeps them: gzip members of line protocol, joined and sent unchanged
through the client's own session, since its write path would compress them once more. Events go
first. One request is under way at a time; a batch is sent anew, byte by byte the same, until the
database has said 204, and only then the cursor moves. A line that it refuses for good is found by
halving, kept as a dead letter with the database's words, and holds nothing up.

After an outage the newest alarms go first. What waited longer than one request can carry is a
backlog: it goes in its order, in half of the time, and what is read meanwhile goes before it.
"""

import asyncio
import base64
import logging
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

import aiohttp
import aiohttp.abc
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync

from config.load import read_secret
from config.problems import ConfigError
from config.site import InfluxDb
from drivers.base import LineLost
from drivers.resolve import Resolver
from monitor.sinks import addresses
from monitor.sinks.answers import (
    Flavour,
    Misconfigured,
    PartlyWritten,
    Poison,
    RetryAfter,
    Server,
    TooLarge,
    Unwell,
    Verdict,
    Written,
    identify,
    judge,
    kept,
)
from monitor.sinks.base import Gateway, Outbox, SinkLost, Tally, until_one_ends
from monitor.sinks.batches import (
    Batch,
    Refused,
    compress,
    culprits,
    split,
    summarised,
    summary,
)
from monitor.store import line_protocol
from monitor.store.events import Event
from monitor.store.tick import Blob, Lane

MOST_BYTES = 512 * 2**10
"""Compressed bytes of readings in a request: some 20,000 scans, and no long read in the store."""
MOST_EVENTS = 100
EVER = 2**63 - 1
DRAINING = 0.5
"""The part of the time in which a backlog is sent: the rest is for what happens now."""
GATHER = 0.5
"""Seconds in which what follows a commit may join it: alarms commit at once, a request costs."""
MOST_SOUGHT = 16
"""Dropped points of a batch that are looked for one by one; more have a cause of their own."""
SMALLEST = 4096
"""Bytes of a line that any database takes: for one that does not, no line is to blame."""
SLOWEST = 4096
"""Bytes a second of the slowest link on which a request is still given time to end."""
LONGEST_ANSWER = 65_536
AGEING = 0.75
"""The part of the database's retention that what waits may reach before that is an alarm."""
LONGEST_PING = 5.0
"""Seconds in which the database may say who it is; it is written to without that, too."""
_SECOND = 10**9

log = logging.getLogger(__name__)

Stream = Literal["events", "telemetry", "live"]
"""What is sent for itself; live is what of the telemetry goes before a backlog."""


class Database:
    """One write address of one database, on an open session."""

    def __init__(
        self, session: aiohttp.ClientSession, settings: InfluxDb, server: Server | None
    ) -> None:
        self._session = session
        self.server = server
        """Who answers, as far as it was told; an answer that says another counts."""
        api = addresses.flavour(settings, server.flavour if server else None)
        self._url, self._query = addresses.address(settings, api)
        self._settings = settings
        self._timeout = settings.timeout / _SECOND
        authorization = _authorization(settings, api)
        self._authorized = {"Authorization": authorization} if authorization else {}
        self._headers = {
            "Content-Encoding": "gzip",
            "Content-Type": "text/plain; charset=utf-8",
            **self._authorized,
        }

    async def write(self, body: bytes) -> Verdict:
        """Send a compressed body; raises SinkLost when there is no answer."""
        try:
            async with self._session.post(
                self._url,
                params=self._query,
                data=body,
                headers=self._headers,
                allow_redirects=False,
                timeout=self._time_for(body),
            ) as answer:
                words = await _beginning(answer.content)
                self.server = identify(answer.headers) or self.server
                flavour = self.server.flavour if self.server else None
                return judge(flavour, answer.status, answer.headers, words)
        except TimeoutError as error:
            raise self.lost(f"no answer within {self._timeout:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise self.lost(_plain(error)) from error

    async def keeps(self) -> int | None:
        """Return for how long (ns) it keeps points, 0 for ever; None where it does not say."""
        if self.server is None:
            return None
        url, query = addresses.retention(self._settings, self.server)
        try:
            async with self._session.get(
                url,
                params=query,
                headers=self._authorized,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=min(self._timeout, LONGEST_PING)),
            ) as answer:
                words = await _beginning(answer.content)
        except (TimeoutError, aiohttp.ClientError, OSError):
            return None
        return kept(words, self._settings.retention_policy)

    def lost(self, words: str) -> SinkLost:
        """Return the exception that says so of this database."""
        api, server = self._settings.api, self.server
        if api and server and not _speaks(server.flavour, api):
            words += f"; this is {server}, and the file says api: {api}"
        return SinkLost(f"InfluxDB at {addresses.where(self._settings.url)}: {words}")

    def _time_for(self, body: bytes) -> aiohttp.ClientTimeout:
        """Time for connecting and for each wait for an answer, and for sending by the size."""
        return aiohttp.ClientTimeout(
            total=longest(len(body), self._timeout),
            sock_connect=self._timeout,
            sock_read=self._timeout,
        )


def _speaks(server: Flavour, api: Flavour) -> bool:
    return server == api or (server, api) == ("cloud", "v2")


@dataclass(slots=True)
class Backlog:
    """Readings that wait for more than one request, while newer ones go before them.

    A restart forgets it: what had gone before is sent again in its order, the same to the byte.
    """

    end: int
    """Id of its newest blob."""
    live: int
    """Of the newest blob that went before it; what lies between is delivered."""
    _until: float = 0.0

    def rest(self, seconds: float) -> None:
        """Leave the time that comes to others."""
        self._until = asyncio.get_running_loop().time() + seconds

    def rests(self) -> float:
        """Return for how long (s) others have their turn yet."""
        return max(self._until - asyncio.get_running_loop().time(), 0.0)


class InfluxSink:
    """Delivers both lanes to one database; ``name`` is that of its place in the record."""

    def __init__(self, settings: InfluxDb, gateway: Gateway, outbox: Outbox) -> None:
        self.name = settings.name
        self.tally = Tally()
        self._settings = settings
        self._resolver = Resolver(urlsplit(settings.url).hostname or "")
        self._site, self._gateway = gateway
        self._outbox = outbox
        self._sent: dict[Stream, Batch] = {}
        self._backlog: Backlog | None = None
        self._kept = settings.keeps or 0
        """For how long (ns) the database keeps points; 0: for ever, as far as is known."""
        self._most = MOST_BYTES
        self._grievance = ""
        self._asked_to_wait = 0.0
        self._server: Server | None = None

    @property
    def patience(self) -> float:
        """See ``monitor.sinks.base.Delivery``: the longest request that may be under way."""
        largest = max((len(batch.body) for batch in self._sent.values()), default=0)
        request = longest(largest, self._settings.timeout / _SECOND)
        return 2 * LONGEST_PING + request + self._asked_to_wait

    def ageing(self, now: int) -> bool:
        """Whether what waits will soon be older than the database keeps; ``now`` is ns, UTC.

        How long it keeps it stands in the file, or is known once it was asked; while it is away it
        is what it said last.
        """
        oldest = min((batch.at for batch in self._sent.values()), default=now)
        return self._kept > 0 and now - oldest > AGEING * self._kept

    async def hold(self, held: Callable[[], None]) -> None:
        """Deliver until the database fails; calls ``held`` whenever it has taken something.

        Raises SinkLost; never returns otherwise.
        """
        self._most = MOST_BYTES
        self._asked_to_wait = 0.0
        async with _connected(self._settings, self._resolver) as database:
            self._meet(database.server)
            if self._settings.keeps is None and (said := await database.keeps()) is not None:
                self._kept = said
            await self._tell_newest(database)
            while True:
                await self._deliver(database, *await self._next())
                held()

    async def _next(self) -> tuple[Stream, Batch]:
        """Return what is to be sent: what failed before, or what is new.

        Events go before readings, and of these the new ones before a backlog.
        """
        while True:
            if batch := self._sent.get("events") or await self._pack_events():
                return "events", batch
            if batch := self._sent.get("live") or await self._pack_live():
                return "live", batch
            if batch := self._sent.get("telemetry") or await self._pack_telemetry():
                return "telemetry", batch
            await self._until_news()

    async def _until_news(self) -> None:
        """Return when something happened that may be sent, or the backlog has its turn again."""
        events = self._outbox.wait("events", self._outbox.cursor(self.name, "events"))
        if self._backlog is None:
            readings = self._outbox.wait("telemetry", self._outbox.cursor(self.name, "telemetry"))
            await until_one_ends(events, readings)
            await asyncio.sleep(GATHER)
        else:
            readings = self._outbox.wait("telemetry", self._backlog.live)
            await until_one_ends(events, readings, asyncio.sleep(self._backlog.rests()))

    async def _pack_events(self) -> Batch | None:
        return await self._packed("events", self._outbox.cursor(self.name, "events"), EVER)

    async def _pack_live(self) -> Batch | None:
        if self._backlog is None:
            return None
        return await self._packed("telemetry", self._backlog.live, EVER)

    async def _pack_telemetry(self) -> Batch | None:
        after = self._outbox.cursor(self.name, "telemetry")
        if self._backlog is None:
            newest = self._outbox.lags(self.name)["telemetry"].newest
            batch = await self._packed("telemetry", after, newest)
            if batch is not None and batch.upto < newest:
                self._backlog = Backlog(newest, newest)
            return batch
        if self._backlog.rests():
            return None
        batch = await self._packed("telemetry", after, self._backlog.end)
        if batch is None:  # The rest of it has left for the quota.
            self._caught_up(self._backlog)
        return batch

    def _caught_up(self, backlog: Backlog) -> None:
        self._backlog = None
        self._outbox.confirm(self.name, "telemetry", backlog.live)

    def _of_events(self, events: Sequence[Event]) -> Batch | None:
        if not events:
            return None
        lines = [self._line(event) for event in events]
        first, last = events[0], events[-1]
        return Batch("events", first.number, last.number, len(lines), compress(lines), first.at)

    def _line(self, event: Event) -> bytes:
        if event.kind == "alarm":
            return line_protocol.alarm_event(event)
        return line_protocol.event(event, self._site, self._gateway)

    async def _tell_newest(self, database: Database) -> None:
        """Send the newest alarm transitions, where more wait than one request carries.

        They come again in their order, the same to the byte; what is refused is seen to then.
        """
        if self._outbox.lags(self.name)["events"].behind <= MOST_EVENTS:
            return
        if "events" not in self._sent and (batch := await self._pack_events()):
            self._sent["events"] = batch  # How old they grow is asked even if nothing is taken.
        newest = self._outbox.last.seq
        events = await self._outbox.events_by_seq(newest - MOST_EVENTS + 1, newest)
        if events:
            await self._write(database, compress([self._line(event) for event in events]))

    async def _deliver(self, database: Database, stream: Stream, batch: Batch) -> None:
        """Send a batch, see to what is refused of it, and move the cursor."""
        self._sent[stream] = batch
        began = asyncio.get_running_loop().time()
        # What is spoilt, and in quarantine, has no lines: there is nothing to send.
        answer = await self._write(database, batch.body) if batch.lines else Written()
        if isinstance(answer, Written):
            self._grievance = ""
        else:
            lines = await asyncio.to_thread(split, batch.body)
            await self._settle(database, batch, lines, answer)
        del self._sent[stream]
        self.tally.delivered += batch.lines
        self._move(stream, batch.upto, asyncio.get_running_loop().time() - began)

    def _move(self, stream: Stream, upto: int, took: float) -> None:
        """Take note of what is delivered; ``took`` is how long (s) that was."""
        backlog = self._backlog
        if stream == "events" or backlog is None:
            self._outbox.confirm(self.name, "events" if stream == "events" else "telemetry", upto)
        elif stream == "live":
            backlog.live = upto
        elif upto >= backlog.end:
            self._caught_up(backlog)
        else:
            self._outbox.confirm(self.name, "telemetry", upto)
            backlog.rest(took * (1 - DRAINING) / DRAINING)

    async def _write(self, database: Database, body: bytes) -> Written | Refused:
        """Send until there is an answer about the lines; raises SinkLost when there is none."""
        while True:
            self.tally.requests += 1
            verdict = await database.write(body)
            self._meet(database.server)
            match verdict:
                case RetryAfter(seconds, words):
                    log.warning("%s asks to wait %g s (%s)", self.name, seconds, words)
                    self._asked_to_wait = seconds
                    await _patience(seconds)
                    self._asked_to_wait = 0.0
                case Misconfigured(words) | Unwell(words):
                    raise database.lost(words)
                case _:
                    return verdict

    def _meet(self, server: Server | None) -> None:
        """Tell who answers, when that is news."""
        if server is None or server == self._server:
            return
        before, self._server = self._server, server
        if before is None:
            log.info("%s is %s", self.name, server)
        else:
            log.warning("%s was %s and is %s now", self.name, before, server)

    async def _settle(
        self, database: Database, batch: Batch, lines: Sequence[bytes], refused: Refused
    ) -> None:
        """Write what can be written of refused lines; what cannot becomes dead letters."""
        if isinstance(refused, TooLarge):
            self._most = max(self._most // 2, 1)
            if len(lines) == 1 and len(lines[0]) <= SMALLEST:
                raise database.lost(f"{refused.words}; let it take more than one line at a time")
        if (dead := culprits(lines, refused)) is not None:
            for line in dead:
                await self._bury(line, refused.words)
        elif isinstance(refused, PartlyWritten) and (refused.dropped or 0) > MOST_SOUGHT:
            await self._bury(summary(batch, lines, refused.dropped or 0), refused.words)
        else:
            middle = len(lines) // 2
            for part in (lines[:middle], lines[middle:]):
                answer = await self._write(database, await asyncio.to_thread(compress, part))
                if not isinstance(answer, Written):
                    await self._settle(database, batch, part, answer)

    async def offer(self, line: bytes) -> str:
        """See ``monitor.sinks.base.Redelivery``; delivery goes on beside it."""
        async with _connected(self._settings, self._resolver) as database:
            if (of := summarised(line)) is None:
                return await self._offered(database, compress([line]))
            return await self._offered_again(database, *of)

    async def _offered_again(self, database: Database, lane: Lane, first: int, upto: int) -> str:
        """Offer all that stands on the record from ``first`` to ``upto``."""
        while first <= upto:
            batch = await self._packed(lane, first - 1, upto)
            if batch is None:
                return "these readings are on the record no more"
            if refused := await self._offered(database, batch.body):
                return refused
            first = batch.upto + 1
        return ""

    async def _offered(self, database: Database, body: bytes) -> str:
        match await database.write(body):
            case Written():
                return ""
            case TooLarge(words) | Poison(words) | PartlyWritten(words):
                return words
            case RetryAfter(_, words) | Misconfigured(words) | Unwell(words):
                raise database.lost(words)

    async def _packed(self, lane: Lane, after: int, upto: int) -> Batch | None:
        """Return what follows ``after`` on the record, up to ``upto``; None when there is none."""
        match lane:
            case "events":
                events = await self._outbox.events(after, MOST_EVENTS)
                return self._of_events([each for each in events if each.number <= upto])
            case "telemetry":
                blobs = await self._outbox.telemetry(after, self._most)
                return _of_blobs([blob for blob in blobs if blob.id <= upto])

    async def _bury(self, line: bytes, words: str) -> None:
        self.tally.dead += 1
        await self._outbox.dead_letter(self.name, line, words)
        if words != self._grievance:
            said = _UNSAID if line.startswith(_PRIVATE) else words
            log.error("%s refuses a line for good, it is now a dead letter: %s", self.name, said)
            self._grievance = words


_PRIVATE = (b"event,", b"alarm_event,")
"""What happened, and to which batch: a database may quote it, and no log may."""
_UNSAID = "cytowatch store dead-letters list shows why"


def _of_blobs(blobs: Sequence[Blob]) -> Batch | None:
    if not blobs:
        return None
    body = b"".join(blob.body for blob in blobs)
    lines = sum(blob.lines for blob in blobs)
    return Batch("telemetry", blobs[0].id, blobs[-1].id, lines, body, blobs[0].first_at)


def longest(size: int, timeout: float) -> float:
    """Return the seconds that a request of ``size`` bytes may take."""
    return 2 * timeout + size / SLOWEST


async def _patience(seconds: float) -> None:
    await asyncio.sleep(seconds)


async def _beginning(content: aiohttp.StreamReader) -> bytes:
    """Read an answer, however long it is, no further than is worth it."""
    chunks = bytearray()
    while len(chunks) < LONGEST_ANSWER and (chunk := await content.read(LONGEST_ANSWER)):
        chunks += chunk
    return bytes(chunks)


@asynccontextmanager
async def _connected(settings: InfluxDb, resolver: Resolver) -> AsyncIterator[Database]:
    """Open a session; secrets are read anew each time, so that a renewed token is taken up."""
    context = await asyncio.to_thread(_trust, settings)
    client = InfluxDBClientAsync(
        settings.url,
        ssl_context=context,
        allow_redirects=False,
        client_session_type=_sessions(_Names(resolver, settings.timeout / _SECOND / 2), context),
    )
    async with client:
        session: aiohttp.ClientSession = client.api_client.rest_client.pool_manager
        yield Database(session, settings, await _met(session, settings))


class _Names(aiohttp.abc.AbstractResolver):
    """Looks the database's name up anew for each connection, and holds up nobody else's work."""

    def __init__(self, resolver: Resolver, patience: float) -> None:
        self._resolver = resolver
        self._patience = patience

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002 - each is taken as it is
    ) -> list[aiohttp.abc.ResolveResult]:
        try:
            found = await self._resolver.find(self._patience)
        except LineLost as error:
            raise OSError(str(error)) from error
        return [
            aiohttp.abc.ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in found
        ]

    async def close(self) -> None:
        """There is nothing to close."""


def _sessions(names: _Names, context: ssl.SSLContext) -> Callable[..., aiohttp.ClientSession]:
    """Return what makes a session of one connection at a time, for the client to call."""

    def made(timeout: aiohttp.ClientTimeout, **_: object) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=1, ssl=context, resolver=names, use_dns_cache=False)
        return aiohttp.ClientSession(connector=connector, timeout=timeout)

    return made


async def _met(session: aiohttp.ClientSession, settings: InfluxDb) -> Server | None:
    """Return who answers; None for who does not say, or not in time: a write will tell."""
    authorization = _authorization(settings, settings.api)
    timeout = min(settings.timeout / _SECOND, LONGEST_PING)
    try:
        async with session.get(
            addresses.ping(settings),
            headers={"Authorization": authorization} if authorization else {},
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=timeout),
        ) as answer:
            return identify(answer.headers)
    except (TimeoutError, aiohttp.ClientError, OSError):
        return None


def _plain(error: Exception) -> str:
    """Return what happened in words for people: the libraries say it in objects and numbers."""
    cause = error.__cause__
    match error:
        case aiohttp.ClientConnectorError() if isinstance(cause, OSError):
            if cause.errno and not isinstance(cause, ssl.SSLError | socket.gaierror):
                return f"no connection: {os.strerror(cause.errno)}"
            return f"no connection: {cause.strerror or cause}"
        case aiohttp.ClientConnectorError():
            return str(error)
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError():
            return "the server hung up before it had answered"
        case aiohttp.ClientPayloadError():
            return "the server's answer broke off"
        case _:
            return str(error) or type(error).__name__


def _authorization(settings: InfluxDb, api: Flavour | None) -> str:
    try:
        if settings.token is not None:
            scheme = "Bearer" if api == "v3" else "Token"
            return f"{scheme} {read_secret(settings.token)}"
        if settings.user:
            password = read_secret(settings.password) if settings.password else ""
            return "Basic " + base64.b64encode(f"{settings.user}:{password}".encode()).decode()
    except ConfigError as error:
        where = addresses.where(settings.url)
        raise SinkLost(f"InfluxDB at {where}: {error}") from error
    return ""


def _trust(settings: InfluxDb) -> ssl.SSLContext:
    """Return whom to trust; blocks for some 30 ms where the system's certificates are read."""
    if not settings.url.lower().startswith("https:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # Trusts nobody, and is not needed.
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:
        raise SinkLost(f"InfluxDB's ca_file {settings.ca_file}: {error}") from error

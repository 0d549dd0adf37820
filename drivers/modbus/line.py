"""A Modbus line: one connection and the visits that share it. The one file here that does I/O.

Callbacks only: a visit is a request written, a reply fed to the framer and a scan emitted, with no
task, future or timer of its own. One request is under way at a time, visits wait their turn in the
order in which they came. What has no answer in time is found by one sweeper for all lines.

A silent unit leaves the connection to the others, since transaction ids tell its late replies
apart; under RTU framing, which has none, the line is silent after a time-out until what may still
come has come. The connection is dropped when it carries what is no Modbus, and when nothing has
answered for every unit several times in a row. A connection on which nothing was ever answered
proves nothing: until then, silence is put down to the line.
"""

import asyncio
import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import assert_never

from config.lines import ModbusLine as LineSettings
from config.plant import Source
from drivers.base import Clock, Emit, LineLost
from drivers.modbus.frame import Framer, Malformed, Prepared, Refused, RtuFramer, TcpFramer
from drivers.modbus.poll import SECOND, Part, Poll, Unit
from drivers.reading import Cause, Moment, Reason
from drivers.resolve import Resolver

log = logging.getLogger(__name__)

UNANSWERED = 3
"""Time-outs in a row, over all units, after which a connection counts as dead."""
BUSY_CODES = frozenset({5, 6})
"""Acknowledge and server busy: it will answer another time."""
SILENT_CODES = frozenset({10, 11})
"""A gateway has no path to the unit, or got no answer from it."""
BUFFER = 1024
"""Bytes read at once; the longest frame has 260."""
SETTLE = 0.05
"""Seconds without a byte after which a bus, on which something came late, counts as silent."""
KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_PROBES = 10, 5, 3
"""Seconds, seconds, number: a peer that has vanished is noticed even between rare visits."""
USER_TIMEOUT = 15_000
"""Milliseconds after which bytes that nobody confirms end the connection."""


class Sweeper:
    """Finds requests that have no answer in time, for all lines; idle while none is under way."""

    def __init__(self, precision: float) -> None:
        self._precision = precision
        self._waiting: dict[ModbusLine, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._planned = 0.0
        self._held_off = False

    def watch(self, line: "ModbusLine", deadline: float, loop: asyncio.AbstractEventLoop) -> None:
        """Tell the line when ``deadline`` (seconds, the loop's time) has passed."""
        self._waiting[line] = deadline
        if self._timer is None:
            self._arm(loop)

    def forget(self, line: "ModbusLine") -> None:
        """The line has its answer, or waits for none any more."""
        self._waiting.pop(line, None)

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        self._planned = loop.time() + self._precision
        self._timer = loop.call_at(self._planned, self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        # After a stall of the loop, answers may lie unread: they have until the next sweep.
        self._held_off = now - self._planned > self._precision and not self._held_off
        if not self._held_off:
            for line in [line for line, deadline in self._waiting.items() if deadline <= now]:
                del self._waiting[line]
                line.expire()
        if self._waiting and self._timer is None:
            self._arm(loop)


class ModbusLine(asyncio.BufferedProtocol):
    """One Modbus server and the units behind it (a ``drivers.base.Line``)."""

    def __init__(
        self,
        settings: LineSettings,
        sources: Sequence[Source],
        clock: Clock,
        emit: Emit,
        sweeper: Sweeper,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._emit = emit
        self._sweeper = sweeper
        self._resolver = Resolver(settings.modbus.host)
        self._pause = settings.modbus.pause / SECOND
        self._units = {source.unit: Unit(source.unit) for source in sources}
        self._polls = {s.index: Poll(s, self._units[s.unit]) for s in sources}
        self._probe_timeout = _probe_timeout(sources)
        self._prepared: dict[Part, Prepared] = {}
        self._buffer = bytearray(BUFFER)
        self._queue: deque[Poll] = deque()
        self._current: Poll | None = None
        """Whose request is under way."""
        self._quiet: asyncio.TimerHandle | None = None
        """The silence that the server wants before the next request."""
        self._transport: asyncio.WriteTransport | None = None
        self._framer = _framer(settings)
        self._late = 0
        self._tried = False
        """Whether a first try to connect has ended: before, a start would look like an outage."""
        self._proven = False
        """Whether anything was ever answered on this connection."""
        self._unanswered = 0
        self._unheard: set[int] = set()
        """Units that did not answer since the last answer from anyone."""

    @property
    def name(self) -> str:
        """The line's name in the file."""
        return self._settings.name

    @property
    def dropped(self) -> int:
        """See ``drivers.base.Line``."""
        return 0

    # The connection

    async def hold(self, held: Callable[[], None]) -> None:
        """Connect, and stay until the connection is lost; see ``drivers.base.Line``.

        ``held`` is called with the first answer, not with the first connection: a server that
        takes connections only to close them again is not one to come back to at once.
        """
        self._loop = asyncio.get_running_loop()
        self._lost: asyncio.Future[str] = self._loop.create_future()
        self._held = held
        try:
            self._open(await self._connect())
            raise LineLost(await self._stand())
        finally:
            self._tried = True
            self._let_go("let go", Reason.LINE_DOWN)

    async def _stand(self) -> str:
        """Return why the connection was lost, when it is."""
        await asyncio.wait({self._lost}, timeout=self._settings.modbus.connect_timeout / SECOND)
        if not self._lost.done() and not self._unanswered:
            self._prove_held()
        return await self._lost

    async def _connect(self) -> asyncio.WriteTransport:
        modbus = self._settings.modbus
        seconds = modbus.connect_timeout / SECOND
        why = ""
        try:
            async with asyncio.timeout(seconds):
                for address in await self._resolver.find(seconds / 2):
                    try:
                        return await self._connect_to(address)
                    except OSError as error:
                        why = os.strerror(error.errno) if error.errno else str(error)
        except TimeoutError:
            why = f"no answer within {seconds:g} s"
        raise LineLost(f"no connection to {modbus.host}:{modbus.port}: {why}")

    async def _connect_to(self, address: str) -> asyncio.WriteTransport:
        port = self._settings.modbus.port
        transport, _ = await self._loop.create_connection(lambda: self, address, port)
        return transport

    def _open(self, transport: asyncio.WriteTransport) -> None:
        self._transport = transport
        self._framer = _framer(self._settings)
        self._late = 0
        self._proven = False
        self._unanswered = 0
        self._unheard.clear()
        try:
            _harden(transport.get_extra_info("socket"))
        except OSError as error:  # It was taken and reset before we came to look at it.
            raise LineLost(f"{self._where()}: the server closed the connection") from error

    def _drop(self, why: str, reason: Reason) -> None:
        """Give the connection up; the request under way is bad for this reason."""
        self._let_go(f"{self._where()}: {why}", reason)

    def _let_go(self, why: str, reason: Reason) -> None:
        if not self._lost.done():
            self._lost.set_result(why)
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        if self._quiet is not None:
            self._quiet.cancel()
            self._quiet = None
        self._fail_all(reason)

    def _fail_all(self, reason: Reason) -> None:
        """Give every visit that waits for an answer, or for its turn, its bad scan."""
        self._sweeper.forget(self)
        poll, self._current = self._current, None
        if poll is not None:
            poll.spoil(reason)
            self._emit(poll.scan(Cause.LINE))
        while self._queue:
            poll = self._queue.popleft()
            if poll.started:
                poll.spoil(Reason.LINE_DOWN)
                self._emit(poll.scan(Cause.LINE))
            else:
                self._emit(poll.bad_scan(Reason.LINE_DOWN, Cause.LINE, poll.moment))

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio calls this when the connection is closed, by whomever."""
        why = "the server closed the connection"
        if isinstance(exc, OSError) and exc.errno:
            why = f"connection lost: {os.strerror(exc.errno)}"
        elif exc is not None:
            why = f"connection lost: {exc}"
        self._drop(why, Reason.LINE_DOWN)

    def _where(self) -> str:
        return f"{self._settings.modbus.host}:{self._settings.modbus.port}"

    # Visits

    def visit(self, source: int) -> None:
        """See ``drivers.base.Line``."""
        poll = self._polls[source]
        now = self._clock()
        poll.points.reach(now.boot)
        if poll.busy:
            poll.points.skip()
        elif self._transport is None:
            cause = Cause.LINE if self._tried else Cause.UNKNOWN
            self._emit(poll.bad_scan(Reason.LINE_DOWN, cause, now))
        else:
            poll.await_turn(now)
            self._queue.append(poll)
            if self._current is None:
                self._advance()

    def _advance(self) -> None:
        """Let the next one have the line, if it is free."""
        while self._queue and self._current is None and self._quiet is None:
            poll = self._queue.popleft()
            now = self._loop.time()
            if poll.started:
                self._ask(poll, now)
            elif poll.unit.silent_until > now:
                scan = poll.bad_scan(Reason.BACKING_OFF, self._silence(), poll.moment)
                self._emit(scan)
            else:
                poll.start(now)
                self._ask(poll, now)

    def _ask(self, poll: Poll, now: float) -> None:
        """Send the request for the next part of a visit, or end the visit."""
        part = poll.next_part(now)
        if part is None or self._transport is None:
            self._emit(poll.scan(self._silence()))
            return
        self._current = poll
        self._sweeper.watch(self, now + self._patience(poll), self._loop)
        self._transport.write(self._framer.ask(self._prepare(part)))

    def _patience(self, poll: Poll) -> float:
        """How long to wait for the answer; a probe must not cost the other units a grid point."""
        unit = poll.unit
        if unit.failures and not unit.late and len(self._units) > 1:
            return min(poll.timeout, self._probe_timeout)
        return poll.timeout

    def _prepare(self, part: Part) -> Prepared:
        prepared = self._prepared.get(part)
        if prepared is None:
            prepared = self._prepared[part] = self._framer.prepare(part.request)
        return prepared

    def _silence(self) -> Cause:
        """Whose trouble it is when there is no answer."""
        return Cause.SOURCE if self._proven else Cause.LINE

    # Answers

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - it is always -1
        """Asyncio reads into this: a plain Protocol is given 256 KiB anew for each reply."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Asyncio calls this when so much has arrived."""
        try:
            answer = self._framer.feed(bytes(self._buffer[:nbytes]))
        except Malformed as error:
            self._malformed(str(error))
            return
        poll = self._current
        if answer is None or poll is None:
            self._note_late()
            return
        self._current = None
        self._sweeper.forget(self)
        moment = self._clock()
        if not self._proven or self._unanswered:
            self._prove()
        if isinstance(answer, Refused):
            self._refused(poll, answer.code, moment)
        else:
            self._read(poll, answer, moment)
        self._advance()

    def _read(self, poll: Poll, payload: bytes, moment: Moment) -> None:
        if poll.unit.failures:
            self._speaks(poll.unit)
        decoded = poll.part.decoder.decode(payload)
        if poll.whole:
            self._emit(poll.whole_scan(decoded, moment))
            self._go_on(None)
        else:
            poll.read(decoded, moment)
            self._go_on(poll)

    def _go_on(self, poll: Poll | None) -> None:
        """Ask for the next part of this visit, after the pause that the server wants."""
        if poll is not None:
            self._queue.appendleft(poll)
        if self._pause:
            self._hush(self._pause)

    def _end_quiet(self) -> None:
        self._quiet = None
        self._advance()

    def _refused(self, poll: Poll, code: int, moment: Moment) -> None:
        if code in SILENT_CODES:
            self._give_up(poll, Reason.BUSY, Cause.SOURCE)
            self._go_on(None)
            return
        if poll.unit.failures:
            self._speaks(poll.unit)
        if code in BUSY_CODES:
            poll.put_off(moment)
        else:
            part = poll.refuse(moment, self._loop.time())
            if part is not None and part.block not in poll.refused:
                poll.refused.add(part.block)
                self._tell_refused(part, code)
        self._go_on(poll)

    def _prove(self) -> None:
        self._proven = True
        self._unanswered = 0
        self._unheard.clear()
        self._prove_held()

    def _prove_held(self) -> None:
        self._held()
        self._held = _nothing

    def _note_late(self) -> None:
        """A unit that answers late is there, and may need all of its time."""
        if self._framer.late != self._late:
            self._late = self._framer.late
            if self._quiet is not None and not self._framer.numbered:
                self._hush(SETTLE)
            unit = self._units.get(self._framer.late_unit)
            if unit is not None:
                unit.late = True

    # No answer

    def expire(self) -> None:
        """The request under way has no answer in time; called by the sweeper."""
        poll, self._current = self._current, None
        if poll is None:
            return
        self._framer.give_up()
        self._go_without(poll, Reason.TIMED_OUT)

    def _go_without(self, poll: Poll, reason: Reason) -> None:
        """End a visit that got no answer; go on with the others, if there is hope for them."""
        self._unanswered += 1
        self._unheard.add(poll.unit.number)
        self._give_up(poll, reason, self._silence())
        if self._unanswered >= UNANSWERED and len(self._unheard) == len(self._units):
            self._drop("no answer from any unit", reason)
            return
        if not self._framer.numbered:
            self._hush(poll.timeout)
        self._advance()

    def _malformed(self, why: str) -> None:
        """Where frames are numbered, one that is wrong means that no later one can be trusted."""
        poll, self._current = self._current, None
        self._sweeper.forget(self)
        if poll is not None and not self._framer.numbered:
            self._go_without(poll, Reason.MALFORMED)
            return
        if poll is not None:
            why += f" (request to unit {poll.unit.number})"
            self._give_up(poll, Reason.MALFORMED, Cause.LINE)
        self._drop(why, Reason.MALFORMED)

    def _hush(self, seconds: float) -> None:
        """Keep silent, at least so long from now: what still comes belongs to no one."""
        until = self._loop.time() + seconds
        if self._quiet is not None:
            until = max(until, self._quiet.when())
            self._quiet.cancel()
        self._quiet = self._loop.call_at(until, self._end_quiet)

    def _give_up(self, poll: Poll, reason: Reason, cause: Cause) -> None:
        """End a visit that got no good answer, and let rest who is to blame."""
        failures = poll.unit.failures
        poll.give_up(reason, self._loop.time())
        if poll.unit.failures and not failures:
            log.warning("%s: unit %d does not answer (%s)", self.name, poll.unit.number, reason)
        self._emit(poll.scan(cause))

    def _speaks(self, unit: Unit) -> None:
        log.info("%s: unit %d answers again", self.name, unit.number)
        unit.speak()

    def _tell_refused(self, part: Part, code: int) -> None:
        block = part.block
        last = block.end - 1
        where = f"{block.address}" if block.count == 1 else f"{block.address} to {last}"
        log.warning(
            "%s: unit %d refuses %s %s (exception %d); does the device have it?",
            self.name,
            part.request.unit,
            block.table,
            where,
            code,
        )


def _framer(settings: LineSettings) -> Framer:
    match settings.modbus.framing:
        case "tcp":
            return TcpFramer()
        case "rtu-over-tcp":
            return RtuFramer()
        case framing:
            assert_never(framing)


def precision(sources: Sequence[Source]) -> float:
    """Return how finely (in seconds) the sweeper must look: a tenth of the shortest time-out."""
    shortest = min((source.timeout for source in sources), default=SECOND) / SECOND
    return min(max(shortest / 10, 0.005), 0.1)


def _nothing() -> None:
    """What is called when there is nobody left to tell."""


def _probe_timeout(sources: Sequence[Source]) -> float:
    """Half of the shortest period on the line: a probe that long makes nobody miss a point."""
    return min(source.period for source in sources) / 2 / SECOND


def _harden(connection: socket.socket) -> None:
    """Send at once, and notice a peer that has vanished."""
    for level, option, value in (
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES),
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT),
    ):
        connection.setsockopt(level, option, value)

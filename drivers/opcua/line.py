"""An OPC UA line: one session, and the sources that live on its subscription.

What a subscription holds is good only while it is proven alive: by a publish response, be it an
empty one, within one and a half of the keep-alive that was agreed. After that every reading is bad
and everything is made anew, by the supervisor. A connection that stands proves nothing.

Nodes are reconciled against what is wanted: a node or namespace that is missing makes its own
readings bad and is asked for again and again; each beat, once per keep-alive, looks whether some of
the others have vanished, which not every server tells. What a server will not monitor is polled.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from config.lines import OpcUaLine as LineSettings
from config.load import read_secret
from config.plant import Source
from config.problems import ConfigError, plain
from config.site import Secret
from config.units import UNITS
from drivers.base import Clock, Emit, LineLost
from drivers.opcua.decode import BAD_NODE_ID_UNKNOWN, CODE, GONE, REFUSED
from drivers.opcua.held import Change, Held, Item, Taken, doubted, items_of, take
from drivers.opcua.identity import Identity, IdentityError, own
from drivers.opcua.session import DOUBTED, SLICE, Place, Session, Unit, User, at, encrypts
from drivers.reading import Cause, Moment, Reason, Scan
from drivers.resolve import Resolver

log = logging.getLogger(__name__)

SECOND = 10**9
WINDOW = 1.5
"""Keep-alives without a word after which nothing is proven any more."""
LONGEST_KEEP_ALIVE = 60.0
"""Seconds: a server that grants none shorter (nor as short as was asked) is polled."""
FIRST_REST, LONGEST_REST = 2.0, 30.0
"""Seconds, about, after which a refused node is asked for again: doubling from one to the other."""
STALL = 1.0
"""Seconds that our own loop may be late; after more, what came meanwhile is read first."""
POLLERS = 4
"""Sources that are read at the same time: a slow device behind the server holds up few others."""
NAMED = 5
"""Nodes that one line of the log names."""


class OpcUaLine:
    """One OPC UA server and the nodes behind it (a ``drivers.base.Line``)."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a line is made of
        self,
        settings: LineSettings,
        sources: Sequence[Source],
        clock: Clock,
        emit: Emit,
        gateway: str,
        directory: Path,
    ) -> None:
        self._settings = settings.opcua
        self._name = settings.name
        self._clock = clock
        self._emit = emit
        self._gateway = gateway
        self._directory = directory
        self._resolver = Resolver(urlsplit(settings.opcua.endpoint).hostname or "")
        self._helds = {source.index: Held(source) for source in sources}
        self._items = items_of(self._helds.values())
        self._dropped = 0
        self._session: Session | None = None
        self._places: dict[int, Place] = {}
        """Where the nodes are in this session, by handle."""
        self._unit_known: set[int] = set()
        """Handles whose unit the server was asked for in this session."""
        self._refused: dict[int, str] = {}
        """Why the server has not what is wanted, by handle; it is asked for again."""
        self._polled: dict[Held, list[Item]] = {}
        self._due: asyncio.Queue[Held] = asyncio.Queue()
        """Sources whose grid point has come, and that are read."""
        self._news = asyncio.Event()
        """Set when a node is refused that was not, or when responses were lost."""
        self._lost_some = False
        """Responses never came: what is held may be old, so all is to be told anew."""
        self._doubt = asyncio.Event()
        """Set when the next beat is due at once, and over all nodes."""
        self._window = 0
        """How long (ns) the last word from the subscription proves it."""
        self._proven_until = 0
        """By CLOCK_BOOTTIME (ns)."""
        self._doubted = False
        """Whether the server says that it does not run well."""
        self._flowing = False
        """Whether anything was told in this session."""
        self._tried = False
        """Whether a first try to connect has ended: before, a start would look like an outage."""
        self._held: Callable[[], None] = _nothing
        self._next_beat = 0
        self._told: dict[str, str] = {}
        """What was last told of each matter."""

    @property
    def name(self) -> str:
        """The line's name in the file."""
        return self._name

    @property
    def dropped(self) -> int:
        """See ``drivers.base.Line``."""
        return self._dropped

    # The session

    async def hold(self, held: Callable[[], None]) -> None:
        """See ``drivers.base.Line``; ``held`` is called with the first word that comes."""
        self._held = held
        try:
            session = await self._connect()
            try:
                await self._begin(session)
                await self._stand(session)
            except Exception:
                self._end()
                raise
            finally:
                self._session = None
                await session.close()
        finally:
            self._tried = True

    async def _connect(self) -> Session:
        seconds = self._settings.connect_timeout / SECOND
        user = self._user()
        try:
            async with asyncio.timeout(seconds):
                addresses = await self._resolver.find(seconds / 2)
                identity = await self._identity()
                session = Session(self._settings, identity, user)
                return await session.connect(addresses, at(self._clock().at))
        except TimeoutError as error:
            raise LineLost(f"{self._settings.endpoint}: no session within {seconds:g} s") from error

    async def _identity(self) -> Identity | None:
        if self._settings.security == "None":
            return None
        try:
            found = await asyncio.to_thread(own, self._settings, self._gateway, self._directory)
        except IdentityError as error:
            raise LineLost(str(error)) from error
        if found.made:
            self._say("certificate", f"our certificate is new: servers must accept {found.path}")
        return found

    def _user(self) -> User | None:
        """Return whom to go in as. Raises LineLost before a password is read along by others."""
        user, password = self._settings.user, self._settings.password
        if user is None:
            return None
        if not encrypts(self._settings.security) and not self._settings.password_in_clear:
            raise LineLost(
                f"{self._settings.endpoint}: the password would not be encrypted on the way: "
                "choose a security with SignAndEncrypt, or write password_in_clear: true"
            )
        try:
            if isinstance(user, Secret):
                return User(*read_secret(user).partition(":")[::2])
            return User(user, "" if password is None else read_secret(password))
        except ConfigError as error:
            raise LineLost(f"{self._settings.endpoint}: {error}") from error

    async def _begin(self, session: Session) -> None:
        """Forget the last session, and have told what is wanted."""
        self._places.clear()
        self._unit_known.clear()
        self._refused.clear()
        self._polled.clear()
        self._due = asyncio.Queue()
        self._flowing = self._lost_some = self._doubted = False
        self._next_beat = 0
        for held in self._helds.values():
            held.forget()
        self._session = session
        for note in session.notes:
            self._say("note", note)
        self._say("subscription", await self._subscribe(session))
        await session.look_up_namespaces()
        await self._want(session, self._items)
        self._window = round(session.keep_alive * WINDOW * SECOND)
        self._proven_until = self._clock().boot + self._window

    async def _subscribe(self, session: Session) -> str:
        """Subscribe if possible, and return what is different from what the file wants."""
        if self._settings.reading == "poll":
            return ""
        if why := await session.subscribe():
            return f"the server has no subscription for us ({why}): its nodes are polled"
        asked, granted = self._settings.keep_alive / SECOND, session.keep_alive
        if granted > max(asked, LONGEST_KEEP_ALIVE) * 1.01:
            await session.unsubscribe()
            return f"the server's shortest keep-alive is {granted:g} s: its nodes are polled"
        if abs(granted - asked) > asked / 100:
            return f"the keep-alive is {granted:g} s, where {asked:g} s were asked for"
        return ""

    async def _stand(self, session: Session) -> None:
        """Keep the session, until it is lost.

        No TaskGroup: under Python 3.11 one that fails leaves its task marked as cancelled, and no
        time-out of that task is one any more.
        """
        tasks = [asyncio.create_task(duty) for duty in self._duties(session)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        errors = [error for error in ended if isinstance(error, Exception)]
        raise next((error for error in errors if not isinstance(error, LineLost)), errors[0])

    def _duties(self, session: Session) -> list[Coroutine[None, None, None]]:
        """What is to be done for ever while the session stands."""
        duties = [session.renew_forever(), self._beat(session), self._ask_again(session)]
        duties += [self._poll(session) for _ in range(POLLERS)]
        if session.subscribed:
            duties += [session.publish_forever(self._publish, self._doubt.set), self._watch()]
        return duties

    def _end(self) -> None:
        """What was held is not good any more, from now and not from the next grid points."""
        self._session = None
        now = self._clock()
        for held in self._helds.values():
            if held.heard or held.busy:
                self._emit(held.blank(now, Reason.LINE_DOWN, self._blame()))

    def _blame(self) -> Cause:
        return Cause.LINE if self._tried or self._flowing else Cause.UNKNOWN

    def _flow(self) -> None:
        """Take note that the server has told something."""
        if not self._flowing:
            self._flowing = True
            self._held()
            self._spoil(self._refused)

    # What comes

    def _publish(self, changes: Sequence[Change], missing: int) -> None:
        now = self._clock()
        self._proven_until = now.boot + self._window
        self._flow()
        if missing:
            self._dropped += missing
            self._lost_some = True
            self._news.set()
        if changes:
            self._hand_on(take(self._items, changes, now))

    def _hand_on(self, taken: Taken) -> None:
        self._dropped += taken.dropped
        for scan in taken.scans:
            self._tell(scan)
        if taken.gone:
            self._vanish(taken.gone)

    async def _watch(self) -> None:
        """Raise LineLost when nothing proves the subscription any more."""
        late = False
        while True:
            left = (self._proven_until - self._clock().boot) / SECOND
            if left < -STALL and not late:
                late = True  # It is we who were late: what has come meanwhile is read first.
                await asyncio.sleep(STALL)
            elif left <= 0:
                silence = self._window / SECOND
                raise LineLost(f"{self._settings.endpoint}: nothing published for {silence:g} s")
            else:
                late = False
                await asyncio.sleep(left)

    # Grid points

    def visit(self, source: int) -> None:
        """See ``drivers.base.Line``."""
        held = self._helds[source]
        now = self._clock()
        held.points.reach(now.boot)
        if self._session is None:
            self._emit(held.blank(now, Reason.LINE_DOWN, self._blame()))
        elif held.busy:
            held.points.skip()
        elif held in self._polled:
            held.busy = True
            self._due.put_nowait(held)
        else:
            self._give(held, now)

    def _give(self, held: Held, now: Moment) -> None:
        """Emit what is held, if it may be believed."""
        if not held.heard or not self._flowing:
            cause = Cause.SOURCE if self._flowing else self._blame()
            self._emit(held.blank(now, Reason.NOT_PROVEN, cause))
        elif self._window and now.boot > self._proven_until:
            self._emit(held.blank(now, Reason.NOT_PROVEN, Cause.LINE))
        else:
            self._tell(held.full(now))

    def _tell(self, scan: Scan) -> None:
        self._emit(doubted(scan) if self._doubted else scan)

    async def _poll(self, session: Session) -> None:
        """Read, for ever, the sources whose grid point has come and that are not told of."""
        while True:
            held = await self._due.get()
            items = list(self._polled.get(held, ()))  # More may come while the server answers.
            said = await session.read([self._places[item.handle] for item in items])
            now = self._clock()
            refused = []
            for item, (raw, status, time) in zip(items, said, strict=True):
                item.say(raw, status, time)
                if why := REFUSED.get(status & CODE):
                    refused.append((item, why))
            self._say(f"read {held.source.key}", _reasons(refused))
            held.busy = False
            self._flow()
            self._give(held, now)

    # What is wanted

    async def _want(self, session: Session, items: Iterable[Item]) -> None:
        """Have these told, or polled where the server will not; what it has not is refused."""
        found, absent = [], []
        for item in items:
            place = session.place(item.node)
            if place is None:
                absent.append(item)
            else:
                self._places[item.handle] = place
                found.append(item)
        self._refuse([(item, session.absent(item.node)) for item in absent])
        await self._check_units(session, found)
        if session.subscribed:
            wanted = [(item.handle, self._places[item.handle]) for item in found]
            statuses = await session.monitor(wanted)
            self._sort(list(zip(found, statuses, strict=True)))
        else:
            self._poll_from_now(found)
        self._tell_refused()

    def _sort(self, answers: Sequence[tuple[Item, int]]) -> None:
        """Take what the server says to each: yes, that it has no such thing, or not to us."""
        refused = [(i, REFUSED[s & CODE]) for i, s in answers if s & CODE in REFUSED]
        polled = [item for item, status in answers if status >> 30 and status & CODE not in REFUSED]
        self._refuse(refused)
        self._poll_from_now(polled)
        if polled:
            self._say("polled", f"the server will not monitor {_named(polled)}: polled")
        for item, status in answers:
            if not status >> 30:  # It is bad as it was until its first value comes.
                self._refused.pop(item.handle, None)

    def _poll_from_now(self, items: Iterable[Item]) -> None:
        for item in items:
            self._refused.pop(item.handle, None)
            self._polled.setdefault(item.held, []).append(item)

    def _refuse(self, refused: Sequence[tuple[Item, str]]) -> None:
        """Make these bad, at once where they were not, and have them asked for again."""
        fresh = [i for i, _ in refused if i.handle not in self._refused or i.has_value]
        self._refused.update({item.handle: why for item, why in refused})
        if not fresh:
            return
        self._news.set()
        if self._flowing:
            self._spoil(item.handle for item in fresh)

    def _spoil(self, handles: Iterable[int]) -> None:
        """Say of these, now, that the server has them not."""
        changes = [(handle, None, REFUSED_NODE, None) for handle in handles]
        for scan in take(self._items, changes, self._clock()).scans:
            self._emit(scan)

    def _vanish(self, items: Sequence[Item]) -> None:
        self._refuse([(item, REFUSED[REFUSED_NODE]) for item in items])
        self._tell_refused()

    async def _ask_again(self, session: Session) -> None:
        """Ask again, for ever, for what was refused, or may be old."""
        failures = 0
        while True:
            await self._news_or(_rest(failures))
            if self._news.is_set():
                self._news.clear()
                failures = 0
                continue
            refused = len(self._refused)
            wanted = self._to_ask_again()
            if not wanted:
                await self._news.wait()
                continue
            if any(session.place(item.node) is None for item in wanted):
                await session.look_up_namespaces()
            await self._want(session, wanted)
            failures = 0 if len(self._refused) < refused else failures + 1

    def _to_ask_again(self) -> list[Item]:
        """Return what was refused; after responses were lost, all that is told."""
        if not self._lost_some:
            return [self._items[handle] for handle in self._refused]
        self._lost_some = False
        polled = {item.handle for items in self._polled.values() for item in items}
        return [item for item in self._items if item.handle not in polled]

    async def _news_or(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return

    # Units

    async def _check_units(self, session: Session, items: Iterable[Item]) -> None:
        """Hold the units that the server gives its nodes against those of the file."""
        asked = [i for i in items if i.node.unit and i.handle not in self._unit_known]
        units = await session.units([self._places[item.handle] for item in asked])
        for item, unit in zip(asked, units, strict=True):
            wrong = _contradiction(item, unit)
            item.decoder.mismatch = bool(wrong)
            self._say(f"unit of {item.name}", wrong)
            if unit is not None:
                self._unit_known.add(item.handle)

    # The beat

    async def _beat(self, session: Session) -> None:
        """Look, once per keep-alive, whether the server and its nodes are there."""
        seconds = min(session.keep_alive or self._settings.keep_alive / SECOND, session.patience)
        while True:
            everything = await self._pause(seconds)
            items = [item for item in self._items if item.handle not in self._refused]
            items = items if everything else self._silent(items)
            state, statuses = await session.probe([self._places[i.handle] for i in items])
            why = None if state is None else DOUBTED.get(state)
            self._doubted = why is not None
            said = f"the server's state is {why}: its values are uncertain" if why else ""
            self._say("state", said)
            if not session.subscribed:
                self._flow()
            gone = [i for i, status in zip(items, statuses, strict=True) if status & CODE in GONE]
            subscribed = [i for i in gone if i not in self._polled.get(i.held, ())]
            if subscribed:
                self._vanish(subscribed)

    async def _pause(self, seconds: float) -> bool:
        """Wait for the next beat; return whether there is doubt about all nodes."""
        try:
            async with asyncio.timeout(seconds):
                await self._doubt.wait()
        except TimeoutError:
            return False
        self._doubt.clear()
        return True

    def _silent(self, items: Sequence[Item]) -> list[Item]:
        """Return the next few of these, in turn, that have not spoken since the last beat."""
        silent = [item for item in items if not item.spoke]
        for item in items:
            item.spoke = False
        silent.sort(key=lambda item: item.handle < self._next_beat)
        few = silent[:SLICE]
        self._next_beat = few[-1].handle + 1 if few else 0
        return few

    # Telling

    def _say(self, matter: str, text: str) -> None:
        """Tell what has become of a matter, if that is news; empty when it is well."""
        text = plain(text)
        before = self._told.get(matter, "")
        if text == before:
            return
        self._told[matter] = text
        if text:
            log.warning("%s: %s", self._name, text)
        else:
            log.info("%s: no longer: %s", self._name, before)

    def _tell_refused(self) -> None:
        refused = [(self._items[handle], why) for handle, why in self._refused.items()]
        self._say("refused", _reasons(refused))


REFUSED_NODE = BAD_NODE_ID_UNKNOWN
"""The StatusCode of what is refused before it was ever monitored."""


def _contradiction(item: Item, unit: Unit | None) -> str:
    """Return what is wrong with the unit that the server gives; empty where nothing is."""
    wanted = UNITS[item.node.unit].unece if item.node.unit in UNITS else ""
    if unit is None or not unit.code or not wanted or unit.code == wanted:
        return ""
    return (
        f"{item.name}: the server gives it in {unit.name} ({unit.code}), where {item.node.unit} "
        f"({wanted}) is expected: its values are not used; if the server is right, write its unit"
    )


def _reasons(refused: Sequence[tuple[Item, str]]) -> str:
    """Return why these are refused, each reason once with its nodes; empty where none is."""
    return "; ".join(
        f"{why}: {_named([item for item, of_item in refused if of_item == why])}"
        for why in dict.fromkeys(why for _, why in refused)
    )


def _named(items: Sequence[Item]) -> str:
    names = ", ".join(f"{item.name} ({item.node.identifier})" for item in items[:NAMED])
    more = len(items) - NAMED
    return f"{names} and {more} more" if more > 0 else names


def _rest(failures: int) -> float:
    longest = min(LONGEST_REST, FIRST_REST * 2.0 ** min(failures, 16))
    return random.uniform(longest / 2, longest)  # noqa: S311 - jitter is no secret


def _nothing() -> None:
    """What is called when there is nobody left to tell."""

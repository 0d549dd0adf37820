"""``demo``: everything, on a simulated plant: real protocols and servers on the loopback.

The plant, a broker (amqtt, which speaks MQTT 3.1.1) and the daemon run in this process; the screen
shows what ``tail`` shows, asked for over the local socket as from any other terminal.
"""

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, assert_never

import click

from monitor.cli.exits import UNAVAILABLE, Failure
from monitor.cli.options import SPAN

if TYPE_CHECKING:
    from config.lines import Line
    from config.plant import Plant
    from monitor.app import Daemon
    from monitor.operators.protocol import EventMessage, Request

SECOND = 10**9
CLAIMED = "demo operator"
"""Who the script says that it is."""
OPERATOR_WAITS = 4.0
"""Seconds from the first alarm to its acknowledgement by the scripted operator."""
TRIES = 20
CATCHING_UP = 10.0
"""Seconds in which the last events may still come out of the broker."""


@click.command()
@click.option("--for", "length", type=SPAN, help="How long, such as 60s; until Ctrl-C if not said.")
@click.option("--json", "as_json", is_flag=True, help="End with one summary object on stdout.")
@click.option("--seed", default=1, show_default=True, help="Of noise and chance.")
@click.option(
    "--speed", default=30.0, show_default=True, type=click.FloatRange(min=0.1, max=1000),
    help="How fast the plant's physics run; clocks and delays stay as they are.",
)  # fmt: skip
@click.option(
    "--keep", type=click.Path(path_type=Path, file_okay=False), help="Keep file and store there."
)
def demo(length: int | None, as_json: bool, seed: int, speed: float, keep: Path | None) -> None:
    """Watch a simulated plant: doors left open, gas gone, a cable pulled, an incubator cleaned.

    Nothing leaves this machine, and nothing stays on it unless --keep says where.
    """
    from monitor.systemd import Formatter

    # The places and settings of a real daemon on this machine are not the demo's.
    for name in [name for name in os.environ if name.startswith("CYTOWATCH_")]:
        del os.environ[name]
    os.environ.pop("RUNTIME_DIRECTORY", None)
    handler = logging.StreamHandler()
    handler.setFormatter(Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.ERROR, handlers=[handler])
    logging.getLogger("amqtt").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="cytowatch-demo-") as temporary:
        folder = keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        show = Show(folder, None if length is None else length / SECOND, seed, speed)
        try:
            summary = asyncio.run(show.run(out=sys.stderr if as_json else sys.stdout))
        except ModuleNotFoundError as error:
            raise Failure(
                f"the demo needs {error.name}: install cytowatch[demo], or use ./cyto demo",
                UNAVAILABLE,
            ) from error
    click.echo(json.dumps(summary) if as_json else _in_words(summary))
    if not as_json and keep and show.excursions:
        click.echo(_afterwards(folder, show.excursions[-1]))


@dataclass
class Told:
    """What came out of the broker: the events, each once."""

    ids: set[str] = field(default_factory=set)

    def hear(self, payload: bytes) -> None:
        """Count an event that was published, unless it was heard before."""
        with suppress(ValueError, KeyError):
            self.ids.add(json.loads(payload)["event_id"])


@dataclass
class Show:
    """One run of the demo."""

    folder: Path
    seconds: float | None
    seed: int
    speed: float
    told: Told = field(default_factory=Told)
    excursions: list[str] = field(default_factory=list)
    """The ids of those that were shown."""
    with_cells: Sequence[str] = ()
    """The incubators into which batches are loaded at the start."""

    async def run(self, out: TextIO) -> dict[str, object]:
        """Show it on ``out`` until it is over; return the summary."""
        started = time.monotonic()
        async with AsyncExitStack() as stack:
            plant = await self._plant(stack)
            stop = _stop_signal()
            async with _running(plant) as daemon:
                self._say_where(out, plant, daemon)
                await _load_batches(daemon.socket, self.with_cells)
                await self._watch(out, daemon, stop)
                await self._hear_the_last(daemon)
        return {
            "schema": "cytowatch.demo.v1",
            "seconds": round(time.monotonic() - started, 1),
            "equipment": Counter(f"{each.kind}s" for each in plant.equipment),
            "lines": Counter(_where(line)[0] for line in plant.lines.values()),
            **_counts(daemon),
            "excursions": await asyncio.to_thread(_excursions, daemon),
            "events_published": len(self.told.ids),
            "readings_stored": await asyncio.to_thread(_stored, daemon.recorder.store.path),
        }

    async def _plant(self, stack: AsyncExitStack) -> "Plant":
        """Start plant, broker and listener; return what the daemon is to watch."""
        from config.load import load
        from drivers.simulated.plant import SimulatedPlant

        port = await stack.enter_async_context(_broker())
        await stack.enter_async_context(_listening(port, self.told))
        simulated = SimulatedPlant(seed=self.seed, time_factor=self.speed)
        await stack.enter_async_context(simulated)
        self.with_cells = simulated.with_cells
        file = self.folder / "site.yaml"
        text = simulated.config_yaml(self.folder / "state", mqtt_port=port)
        await asyncio.to_thread(file.write_text, text, encoding="utf-8")
        return await asyncio.to_thread(load, file, environ={})

    def _say_where(self, out: TextIO, plant: "Plant", daemon: "Daemon") -> None:
        broker = f"{plant.mqtt.host}:{plant.mqtt.port}" if plant.mqtt else "none"
        click.echo(
            f"""\
cytowatch demo: {_equipment(plant)}, simulated, on the loopback
  file        {self.folder / "site.yaml"}
{_lines(plant)}
  mqtt        {broker}   topics cytowatch/v1/#
  store       {daemon.recorder.store.path}
  socket      {daemon.socket}
In another terminal:
  ./cyto tail --socket {daemon.socket}
  ./cyto values --follow --socket {daemon.socket}
  ./cyto equipment --socket {daemon.socket}
An operator of the script acknowledges the first alarm; the others are yours:
  ./cyto ack ALARM --reason WHY --socket {daemon.socket}
What happens now{"; Ctrl-C ends it" if self.seconds is None else f", for {self.seconds:g} s"}:""",
            file=out,
        )

    async def _watch(self, out: TextIO, daemon: "Daemon", stop: asyncio.Event) -> None:
        """Show what is told, until the time is over or somebody stops it."""
        tasks = {
            asyncio.create_task(self._show(out, daemon.socket), name="screen"),
            asyncio.create_task(stop.wait(), name="stop"),
        }
        try:
            done, _ = await asyncio.wait(
                tasks, timeout=self.seconds, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _show(self, out: TextIO, path: Path) -> None:
        """Show events as ``tail`` does; let the operator acknowledge the first that wants it."""
        from monitor.cli.words import event_line
        from monitor.operators.protocol import EventMessage, TailRequest

        operator: asyncio.Task[None] | None = None
        try:
            async with aclosing(_ask(path, TailRequest(last=100))) as texts:
                async for text in texts:
                    event = EventMessage.model_validate_json(text)
                    click.echo(event_line(event), file=out)
                    if event.kind == "excursion":
                        self.keep_excursion(out, event, path)
                    if operator is None and _wants_acknowledgement(event):
                        operator = asyncio.create_task(_operate(path, event.subject))
        finally:
            if operator is not None:
                operator.cancel()
                await asyncio.gather(operator, return_exceptions=True)

    def keep_excursion(self, out: TextIO, event: "EventMessage", path: Path) -> None:
        """Remember it; say of the first how its page is made."""
        name = str(event.body["excursion"])
        if not self.excursions:
            click.echo(f"A page of it, made in another terminal:\n  {_page(name, path)}", file=out)
        self.excursions.append(name)

    async def _hear_the_last(self, daemon: "Daemon") -> None:
        """End the watching, and return when every event of it came out of the broker."""
        recorder = daemon.recorder
        recorder.end()
        await recorder.committed()
        with suppress(TimeoutError):
            async with asyncio.timeout(CATCHING_UP):
                while len(self.told.ids) < recorder.changes.total():  # noqa: ASYNC110 - there is no event to wait for
                    await asyncio.sleep(0.05)


def _equipment(plant: "Plant") -> str:
    """How many of each kind, and by which wire they are read."""
    wires = {source.equipment: _where(plant.lines[source.line])[0] for source in plant.sources}
    counts = Counter((each.kind, wires[each.name]) for each in plant.equipment)
    return " and ".join(f"{count} {kind}s over {wire}" for (kind, wire), count in counts.items())


def _lines(plant: "Plant") -> str:
    """The lines and their ports, a wire after the other."""
    ports: dict[str, list[str]] = {}
    for name, line in plant.lines.items():
        wire, port = _where(line)
        ports.setdefault(wire, []).append(f"{name} :{port}")
    return "\n".join(f"  {wire:<12}{', '.join(each)}" for wire, each in ports.items())


def _where(line: "Line") -> tuple[str, int]:
    """A line's wire, and its port on the loopback."""
    from config.lines import ModbusLine, OpcUaLine

    match line:
        case ModbusLine():
            return "Modbus TCP", line.modbus.port
        case OpcUaLine():
            return "OPC UA", int(line.opcua.endpoint.rpartition(":")[2])
        case _:
            assert_never(line)


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


@asynccontextmanager
async def _running(plant: "Plant") -> AsyncIterator["Daemon"]:
    from monitor import app

    async with app.running(plant) as daemon:
        yield daemon


@asynccontextmanager
async def _broker() -> AsyncIterator[int]:
    """Run a broker on a free port of the loopback, which is given."""
    from amqtt.broker import Broker

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    anonymous = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    listener = {"type": "tcp", "bind": f"127.0.0.1:{port}"}
    broker = Broker({"listeners": {"default": listener}, "plugins": anonymous})
    await broker.start()
    try:
        yield port
    finally:
        await broker.shutdown()


@asynccontextmanager
async def _listening(port: int, told: Told) -> AsyncIterator[None]:
    """Hear every event that the broker hands out."""
    from aiomqtt import Client, ProtocolVersion

    async with Client("127.0.0.1", port, protocol=ProtocolVersion.V311) as client:
        await client.subscribe("cytowatch/v1/#", qos=1)

        async def hear() -> None:
            async for message in client.messages:
                if message.topic.value.endswith("/event") and isinstance(message.payload, bytes):
                    told.hear(message.payload)

        task = asyncio.create_task(hear(), name="listener")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _load_batches(path: Path, incubators: Sequence[str]) -> None:
    """Say over the local socket, as an operator does, which batch is in each incubator."""
    from monitor.messages import ActReply
    from monitor.operators.protocol import AskUse

    for number, name in enumerate(incubators, 117):
        load = AskUse(
            act="load",
            equipment=name,
            batch=f"BX-{number:04}",
            position="shelf 1",
            claimed=CLAIMED,
            reason="start of expansion",
            request_id=uuid.uuid4().hex,
        )
        replies = [ActReply.model_validate_json(text) async for text in _ask(path, load)]
        if not all(reply.result == "done" for reply in replies):
            raise Failure(f"{name} takes no batch: {replies[0].text}", UNAVAILABLE)


def _wants_acknowledgement(event: "EventMessage") -> bool:
    raised = event.kind == "alarm" and event.body["change"] == "raised"
    return raised and bool(event.body["annunciated"])


async def _operate(path: Path, name: str) -> None:
    """Be the operator: look at the alarm, and acknowledge it as it was seen."""
    from monitor.messages import ActReply, AlarmMessage
    from monitor.operators.protocol import AlarmsRequest, Ask

    for _ in range(TRIES):
        await asyncio.sleep(OPERATOR_WAITS)
        seen = [text async for text in _ask(path, AlarmsRequest(names=(name,)))]
        if not seen:
            return
        alarm = AlarmMessage.model_validate_json(seen[0])
        act = Ask(
            act="acknowledge",
            alarm=name,
            claimed=CLAIMED,
            reason="seen on the screen of the demo",
            occurrence=alarm.occurrence,
            version=alarm.version,
            request_id=uuid.uuid4().hex,
        )
        replies = [ActReply.model_validate_json(text) async for text in _ask(path, act)]
        # It may have changed while we looked: then we look again.
        if any(reply.result == "done" for reply in replies):
            return


async def _ask(path: Path, request: "Request") -> AsyncGenerator[str, None]:
    """Give the lines of an answer, as ``client.ask`` does, without holding up the loop."""
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(request.model_dump_json().encode() + b"\n")
        async for data in reader:
            text = data.decode()
            if text.startswith('{"schema":"cytowatch.end.'):
                return
            yield text
    finally:
        writer.close()


def _excursions(daemon: "Daemon") -> dict[str, int]:
    """How many are on the record, and how many went on when the watching ended."""
    from monitor.store.reader import Reader

    with Reader(daemon.recorder.store.path) as reader:
        ended = sum(1 for _ in reader.of_kind("excursion", 0))
    return {"ended": ended, "going on": len(daemon.recorder.excursions.cases)}


def _page(excursion: str, path: Path) -> str:
    """The command that makes a page of an excursion."""
    return f"./cyto excursions page {excursion} -o excursion.html --socket {path}"


def _afterwards(folder: Path, excursion: str) -> str:
    """How to look at what was kept."""
    return f"""\
A page of an excursion, out of what was kept:
  ./cyto run --config {folder / "site.yaml"} &
  {_page(excursion, folder / "state" / "cytowatch.sock")}"""


def _counts(daemon: "Daemon") -> dict[str, object]:
    """What the recorder counted."""
    from drivers.reading import Quality

    changes, readings = daemon.recorder.changes, daemon.recorder.readings
    return {
        "scans": daemon.recorder.scans,
        "readings": {quality.name.lower(): readings[quality] for quality in Quality},
        "alarms": {
            "raised": changes["raised"] + changes["raised_again"],
            "acknowledged": changes["acknowledged"],
            # With a debt left, or without: the condition is gone.
            "cleared": changes["returned"] + changes["cleared"],
        },
    }


def _stored(path: Path) -> int:
    """Count the readings in the store, by reading them."""
    from monitor.store.reader import Reader

    with Reader(path) as reader:
        return sum(1 for _ in reader.readings(0, 2**63 - 1))


def _in_words(summary: dict[str, object]) -> str:
    facts = [(key, fact) for key, fact in summary.items() if key != "schema"]
    lines = [f"  {key.replace('_', ' ')}: {_listed(fact)}" for key, fact in facts]
    return "\n".join(["That was:", *lines])


def _listed(fact: object) -> str:
    if isinstance(fact, dict):
        return ", ".join(f"{count} {word}" for word, count in fact.items())
    return str(fact)

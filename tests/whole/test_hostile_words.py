"""Words of servers, devices and people that would be commands to a terminal or lines of a log.

All at once through the whole daemon: a database that refuses in such words, an operator who claims
such a name and comments so, and everybody who is told of it.
"""

import asyncio
import json
import os
import pty
import re
import subprocess
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.drivers.modbus.hostile import Hostile
from tests.monitor.sinks.database import database, saying
from tests.support.manager import manager
from tests.support.servers import HOST, free_port
from tests.support.waiting import eventually
from tests.whole.daemon import GENEROUS, Daemon
from tests.whole.test_service import Service, influxdb, site

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

EVIL = (
    "\x1b[2J\x1b]0;owned\x07\x9b31m\u202edrawkcab\u2066\r\nERROR forged: all is well\u2028\x85\x7f"
)
FORGED = "ERROR forged"
ASKED = (
    ("comment", "incubator-bus/co2/unreadable", f"seen{EVIL}", "--as", f"anna{EVIL}"),
    ("tail", "--no-follow", "--all", "-n", "100"),
    ("tail", "--no-follow", "--all", "-n", "100", "--json"),
    ("status",),
    ("status", "--json"),
    ("values",),
    ("ack", f"nobody{EVIL}"),
    ("check", f"/nowhere/{EVIL}"),
)
STYLES = re.compile(r"\x1b\[[0-9;]*m")


def obeyed(text: str) -> set[str]:
    """What in it a terminal would obey, but for ends of lines and colours."""
    return {sign for sign in STYLES.sub("", text) if not sign.isprintable() and sign != "\n"}


def forged(text: str) -> list[str]:
    """Lines that somebody else has begun."""
    return [line for line in text.split("\n") if line.lstrip("<01234567>").startswith(FORGED)]


def on_a_terminal(daemon: Daemon, *arguments: str) -> str:
    """Run a command on a terminal of its own; return all that this was told."""
    ours, its = pty.openpty()
    environment = daemon.environment | {"TERM": "xterm", "COLUMNS": "200", "LANG": "C.UTF-8"}
    command = daemon.command(*arguments)
    process = subprocess.Popen(command, env=environment, stdin=its, stdout=its, stderr=its)
    os.close(its)
    said = b""
    try:
        while part := os.read(ours, 65_536):
            said += part
    except OSError:  # Nobody has it open any more.
        pass
    finally:
        os.close(ours)
        process.wait(GENEROUS)
    return said.decode().replace("\r\n", "\n")


def told_over_http(port: int, path: str) -> str:
    connection = HTTPConnection(HOST, port, timeout=GENEROUS)
    connection.request("GET", path)
    said = connection.getresponse().read().decode()
    connection.close()
    return said


async def test_whatever_is_said_nobody_who_is_told_of_it_obeys(tmp_path: Path) -> None:
    http = free_port()
    async with Hostile() as bus, Hostile() as io, database() as influx:
        influx.otherwise = saying(401, json.dumps({"message": EVIL}))
        text = site([bus.port, io.port], influxdb(influx.url) + f"http: {{port: {http}}}\n")
        address = f"@cytowatch-{os.getpid()}-{tmp_path.name}"
        with manager(address) as told, Service(tmp_path / "d", text, told) as daemon:
            heard = [*await daemon.hears("READY=1"), *await daemon.hears("influxdb away")]
            await eventually(lambda: "sink influxdb" in daemon.words(), GENEROUS)
            seen = {each: await asyncio.to_thread(on_a_terminal, daemon, *each) for each in ASKED}
            pages = {path: told_over_http(http, path) for path in ("/health", "/metrics")}
            assert await daemon.stop() == 0
    assert "drawkcab" in daemon.words(), "it was said at all"
    assert "drawkcab" in seen["status",]
    assert r"anna\x1b[2J" in seen[ASKED[1]], seen[ASKED[0]]
    assert obeyed(daemon.words()) == set()
    assert {each: obeyed(text) for each, text in seen.items() if obeyed(text)} == {}
    assert {each: forged(text) for each, text in seen.items() if forged(text)} == {}
    assert forged(daemon.words()) == []
    assert {each: obeyed(text) for each, text in pages.items() if obeyed(text)} == {}
    assert {words for words in heard if obeyed(words)} == set()

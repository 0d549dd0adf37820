import asyncio
import fcntl
import logging
import os
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from monitor.cli import log as log_module
from monitor.cli.log import Log
from tests.support.waiting import eventually
from tests.whole.daemon import Daemon
from tests.whole.devices import CHANNELS, Probe, SecondMake

SMALL = 2 * select.PIPE_BUF
"""Bytes that the pipe holds."""


class Pipe:
    """A pipe that nobody reads until somebody does."""

    def __init__(self) -> None:
        self.out, self.into = os.pipe()
        fcntl.fcntl(self.into, fcntl.F_SETPIPE_SZ, SMALL)

    def fill(self) -> None:
        os.set_blocking(self.into, False)
        with suppress(BlockingIOError):
            while os.write(self.into, b"x"):
                pass
        os.set_blocking(self.into, True)

    def read(self) -> bytes:
        """All that it holds; empty when it holds nothing."""
        return os.read(self.out, 2**20) if select.select([self.out], [], [], 0)[0] else b""

    def close(self) -> None:
        os.close(self.out)
        os.close(self.into)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def record(number: int) -> logging.LogRecord:
    return logging.LogRecord("n", logging.INFO, "f", 1, "line %d", (number,), None)


def test_what_is_read_is_there_at_once_and_no_thread_is_needed(pipe: Pipe) -> None:
    log = Log(pipe.into)
    log.handle(record(1))
    log.handle(record(2))
    assert pipe.read() == b"line 1\nline 2\n"
    assert log._writer is None


async def test_who_logs_does_not_wait_and_what_was_dropped_is_counted(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "MOST", 2)
    monkeypatch.setattr(log_module, "PATIENCE", 0.01)
    log = Log(pipe.into)
    logging.getLogger().addHandler(log)
    try:
        pipe.fill()
        log.handle(record(0))
        await eventually(log._waiting.empty)  # The thread has it, and is held up.
        for number in range(1, 6):
            log.handle(record(number))
        log.flush()  # It is given up.
        heard = b""

        def told() -> bool:
            nonlocal heard
            heard += pipe.read()
            return b"were dropped" in heard

        await eventually(told)
        assert heard.lstrip(b"x").splitlines() == [
            b"line 0",
            b"line 1",
            b"line 2",
            b"3 lines of the log were dropped: nobody had read it",
        ]
        monkeypatch.setattr(log_module, "PATIENCE", 60.0)
        log.flush()
    finally:
        logging.getLogger().removeHandler(log)


def test_without_a_thread_lines_wait_for_the_next_one(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    log = Log(pipe.into)
    pipe.fill()
    with monkeypatch.context() as scarce:
        scarce.setattr(threading.Thread, "start", refuse)
        log.handle(record(1))
    pipe.read()
    log.handle(record(2))
    log.flush()
    assert pipe.read() == b"line 1\nline 2\n"


def test_a_line_longer_than_a_pipe_takes_at_once_comes_whole(pipe: Pipe) -> None:
    log = Log(pipe.into)
    long = "x" * (2 * SMALL)
    log.handle(logging.LogRecord("n", logging.INFO, "f", 1, long, (), None))
    heard = b""
    while not heard.endswith(b"\n"):
        heard += os.read(pipe.out, 2**20)
    assert heard.decode() == f"{long}\n"
    log.flush()


def test_that_nobody_is_there_harms_nobody() -> None:
    pipe = Pipe()
    os.close(pipe.out)
    Log(pipe.into).handle(record(1))
    os.close(pipe.into)


SITE = """\
site: les-ulis
gateway: gw-1
kinds:
  incubator: {{reads: {{type: counter}}}}
lines:
  - {{name: bus, modbus: {{host: 127.0.0.1, port: {port}}}}}
equipment:
  - name: incubator-1
    kind: incubator
    area: suite-a
    sources:
      - line: bus
        unit: 1
        every: 200ms
        channels:
{channels}
"""


@pytest.mark.real
async def test_a_daemon_whose_log_nobody_reads_goes_on(tmp_path: Path, pipe: Pipe) -> None:
    pipe.fill()
    with SecondMake(Probe()) as host:
        daemon = Daemon(tmp_path, SITE.format(port=host.port, channels=CHANNELS))
        command = [sys.executable, "-m", "monitor.cli", "run", "--config", str(daemon.file)]
        process = await asyncio.create_subprocess_exec(
            *command, env=daemon.environment, stdin=subprocess.DEVNULL, stderr=pipe.into
        )
        try:
            await eventually(lambda: len(host.probe.served) > 5)
            process.terminate()
            async with asyncio.timeout(60):
                assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert pipe.read().strip(b"x") == b"", "not a line of it was taken"

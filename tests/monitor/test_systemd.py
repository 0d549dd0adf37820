"""What the service manager is told, over a real socket of each kind; and what its journal is."""

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.systemd import (
    LONGEST,
    NOBODY,
    Formatter,
    JournalFormatter,
    Notifier,
    from_environment,
    to_journal,
)
from tests.support.manager import Manager, manager


@pytest.fixture(params=["path", "abstract"])
def told(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    """The service manager, at a path or at a name of its own."""
    address = str(tmp_path / "n") if request.param == "path" else f"@cytowatch-test-{os.getpid()}"
    with manager(address) as listening:
        yield listening


def test_it_is_told_in_its_words(told: Manager) -> None:
    notifier = Notifier(told.address, watchdog=2.0)
    assert notifier.ready()
    notifier.status("watching 400 equipments\n  3 alarms standing")
    notifier.alive()
    notifier.stopping()
    assert told.heard() == [
        "READY=1",
        "STATUS=watching 400 equipments 3 alarms standing",
        "WATCHDOG=1",
        "STOPPING=1\nSTATUS=stopping",
    ]


def test_a_status_is_told_only_when_it_is_news(told: Manager) -> None:
    notifier = Notifier(told.address)
    for text in ("starting", "starting", "watching", "starting"):
        notifier.status(text)
    assert told.heard() == ["STATUS=starting", "STATUS=watching", "STATUS=starting"]


def test_a_long_status_is_cut(told: Manager) -> None:
    Notifier(told.address).status("ä" * 5000)
    assert told.heard() == ["STATUS=" + "ä" * LONGEST]


def test_a_watchdog_that_nobody_waits_for_is_not_fed(told: Manager) -> None:
    Notifier(told.address).alive()
    assert told.heard() == []


def test_nobody_is_told_nothing_and_that_is_no_failure() -> None:
    assert NOBODY.ready()
    NOBODY.status("watching")
    NOBODY.alive()
    NOBODY.stopping()


@pytest.mark.parametrize("there", [False, True])
def test_a_socket_that_is_not_there_is_told_once(
    there: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "n"
    if there:  # A file, or what a manager that is gone has left.
        path.touch()
    notifier = Notifier(str(path), watchdog=1.0)
    for _ in range(3):
        assert not notifier.ready()
        notifier.alive()
        notifier.status("watching")
    [record] = caplog.records
    assert str(path) in record.getMessage()


def test_a_socket_that_comes_back_is_used_again_and_told_anew_what_it_missed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The manager makes its socket anew when it is upgraded in place."""
    notifier = Notifier(str(tmp_path / "n"))
    notifier.status("watching")
    with manager(str(tmp_path / "n")) as listening:
        notifier.status("watching")
        assert listening.heard() == ["STATUS=watching"]
    notifier.status("stuck")
    assert len(caplog.records) == 2


def test_an_address_of_another_kind_is_told_and_harms_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert not Notifier("/" + "n" * 200).ready()
    assert "too long" in caplog.text


def test_a_full_queue_is_no_trouble_of_ours(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with manager(str(tmp_path / "n")) as listening:
        notifier = Notifier(listening.address)
        assert not all(notifier.ready() for _ in range(10_000))
    assert caplog.records == []


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
        ({"WATCHDOG_USEC": "-5"}, 0.0),
        ({"WATCHDOG_USEC": ""}, 0.0),
    ],
)
def test_the_watchdog_is_ours_when_systemd_says_so(
    environment: dict[str, str], seconds: float
) -> None:
    assert from_environment(dict(environment)).watchdog == seconds


def test_children_do_not_inherit_the_socket() -> None:
    environment = {
        "NOTIFY_SOCKET": "/run/n",
        "WATCHDOG_USEC": "1",
        "WATCHDOG_PID": "1",
        "HOME": "/",
    }
    from_environment(environment)
    assert environment == {"HOME": "/"}


def test_only_a_stderr_that_is_the_journal_gets_priorities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "log").open("w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        file = os.fstat(stream.fileno())
        assert to_journal({"JOURNAL_STREAM": f"{file.st_dev}:{file.st_ino}"})
        assert not to_journal({"JOURNAL_STREAM": f"{file.st_dev}:{file.st_ino + 1}"})
        assert not to_journal({})
    assert not to_journal({"JOURNAL_STREAM": "1:2"}), "a stderr that is closed"


TRACE = (ValueError, ValueError("no\x1b[2J\rnumber"), None)


@pytest.mark.parametrize(
    ("level", "priority"),
    [
        (logging.DEBUG, 7),
        (logging.INFO, 6),
        (logging.WARNING, 4),
        (logging.ERROR, 3),
        (logging.CRITICAL, 2),
    ],
)
def test_each_line_for_the_journal_has_its_priority(level: int, priority: int) -> None:
    record = logging.LogRecord("line a", level, "", 0, "%s", ("held\nagain",), TRACE)
    assert JournalFormatter("%(name)s: %(message)s").format(record).split("\n") == [
        f"<{priority}>line a: held\\nagain",
        f"<{priority}>ValueError: no\\x1b[2J\\rnumber",
    ]


@given(st.text(), st.text(), st.booleans())
def test_whatever_is_logged_is_one_line_and_nothing_that_a_terminal_obeys(
    name: str, words: str, journal: bool
) -> None:
    record = logging.LogRecord(name, logging.ERROR, "", 0, "said: %s", (words,), None)
    said = (JournalFormatter if journal else Formatter)("%(name)s: %(message)s").format(record)
    assert said.isprintable()


@given(st.text(min_size=1))
def test_a_status_is_one_line_and_nothing_that_a_terminal_obeys(text: str) -> None:
    with manager("@cytowatch-status-" + uuid4().hex) as told:
        Notifier(told.address).status(text)
        heard = [words.removeprefix("STATUS=") for words in told.heard()]
    assert all(words.isprintable() for words in heard)

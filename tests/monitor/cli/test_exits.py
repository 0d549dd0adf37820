"""A command that is told to end leaves nothing half behind."""

import os
import signal
import threading
from pathlib import Path

import pytest

from monitor.cli.exits import clearing_away


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_was_begun_is_cleared_away_when_the_command_is_told_to_end(
    number: signal.Signals, tmp_path: Path
) -> None:
    assert threading.current_thread() is threading.main_thread(), "else the signal would end us"
    draft = tmp_path / "draft"
    with pytest.raises(SystemExit) as ended:
        write(draft, number)
    assert (ended.value.code, draft.exists()) == (128 + number, False)
    assert signal.getsignal(number) is signal.SIG_DFL


def write(draft: Path, number: signal.Signals) -> None:
    draft.touch()
    try:
        with clearing_away():
            os.kill(os.getpid(), number)
    finally:
        draft.unlink()


def test_whoever_ignores_a_signal_goes_on_doing_so() -> None:
    """As nohup does."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with clearing_away():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)

"""A part of the sweep, another with each run; ``python -m tests.monitor.store.sweep`` is all."""

import os
import random
from pathlib import Path

import pytest

from tests.monitor.store.sweep import calls_of, strike
from tests.monitor.store.writing import PHASES
from tests.support.debian import tool
from tests.support.kernel import skip_where_forbidden

pytestmark = pytest.mark.real

STRIKES = 1
"""Of any call, and as many of one that is rare."""
SEED = int(os.environ.get("KILL_SEED", random.SystemRandom().randrange(10**6)))


@pytest.fixture(autouse=True)
def may_trace(tmp_path: Path) -> None:
    """The calls are counted and failed by ptrace(2)."""
    strace = tool("strace")
    command = [str(strace.path), "-qq", "-o", str(tmp_path / "tried"), "true"]
    environment = {"PATH": os.environ["PATH"], **strace.environment}
    skip_where_forbidden("one process to trace another", command, environment)


@pytest.mark.parametrize("phase", PHASES)
def test_whatever_call_it_is_killed_at_nothing_acknowledged_is_missing(
    tmp_path: Path, phase: str
) -> None:
    print(f"KILL_SEED={SEED}")
    calls = calls_of(phase, tmp_path)
    rare = [call for call in calls if call.name != "pwrite64"]
    chance = random.Random(SEED)  # noqa: S311 - no secret
    struck = {*chance.sample(calls, STRIKES), *chance.sample(rare, STRIKES)}
    assert sum(strike(phase, call, tmp_path) for call in struck)


@pytest.mark.parametrize("fault", ["error=EIO", "error=ENOSPC", "error=EROFS"])
def test_whatever_call_fails_nothing_acknowledged_is_missing(tmp_path: Path, fault: str) -> None:
    print(f"KILL_SEED={SEED}")
    calls = [call for call in calls_of("new", tmp_path) if call.name in {"pwrite64", "fdatasync"}]
    chance = random.Random(SEED)  # noqa: S311 - no secret
    struck = chance.sample(calls, 2 * STRIKES)
    assert sum(strike("new", call, tmp_path, fault) for call in struck)

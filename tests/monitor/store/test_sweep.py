"""A part of the kills and of the losses of power, another with each run.

``python -m tests.monitor.store.sweep`` and ``python -m tests.monitor.store.cuts`` are all of them.
"""

import os
import random
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest

from tests.monitor.store.cuts import Recording, cuts, hold, record, restart, unlike
from tests.monitor.store.disk import Operation, Rename, Sync, SyncFolder, Told, Write
from tests.monitor.store.sweep import strike
from tests.monitor.store.writing import PHASES, RESTARTED
from tests.support.debian import tool
from tests.support.kernel import skip_where_forbidden

pytestmark = pytest.mark.real

STRIKES = 1
"""Of any call, and as many of one that is rare."""
STEPS = 6
"""Moments by chance at which the power is lost."""
SEED = int(os.environ.get("KILL_SEED", random.SystemRandom().randrange(10**6)))


@pytest.fixture(scope="module", autouse=True)
def may_trace(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The calls are counted, kept and failed by ptrace(2)."""
    strace = tool("strace")
    tried = tmp_path_factory.mktemp("tried") / "trace"
    command = [str(strace.path), "-qq", "-o", str(tried), "true"]
    environment = {"PATH": os.environ["PATH"], **strace.environment}
    skip_where_forbidden("one process to trace another", command, environment)


@pytest.fixture(scope="module", params=PHASES)
def recording(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Recording:
    """A phase that was run through."""
    return record(request.param, tmp_path_factory.mktemp(request.param))


def test_whatever_call_it_is_killed_at_nothing_acknowledged_is_missing(
    recording: Recording,
) -> None:
    print(f"KILL_SEED={SEED}")
    calls = recording.calls
    rare = [call for call in calls if call.name != "pwrite64"]
    chance = random.Random(SEED)  # noqa: S311 - no secret
    struck = {*chance.sample(calls, STRIKES), *chance.sample(rare, STRIKES)}
    assert sum(strike(recording.phase, call, recording.folder) for call in struck)


def test_whenever_the_power_is_lost_nothing_acknowledged_is_missing(
    recording: Recording, tmp_path: Path
) -> None:
    print(f"to see it again: python -m tests.monitor.store.cuts {recording.phase} --seed {SEED}")
    steps = range(1, len(recording.operations) + 1)
    chance = random.Random(SEED)  # noqa: S311 - no secret
    lose_power(recording, {*recording.grave, *chance.sample(steps, STEPS)}, tmp_path)


def lose_power(recording: Recording, moments: Collection[int], evidence: Path) -> None:
    for cut in unlike(cuts(recording, SEED, only=moments)):
        hold(cut, recording.check, evidence)


def without(operations: list[Operation], *kinds: type) -> list[Operation]:
    return [each for each in operations if not isinstance(each, kinds)]


def too_early(operations: list[Operation]) -> list[Operation]:
    """What is said is said one sync before."""
    said = list(operations)
    for index, each in enumerate(operations):
        if isinstance(each, Told):
            before = next((i for i in reversed(range(index)) if isinstance(said[i], Sync)), 0)
            said.insert(before, said.pop(index))
    return said


@pytest.mark.parametrize("recording", ["new"], indirect=True)
def test_what_is_not_synced_or_told_too_early_is_seen_to_be_missing(
    recording: Recording, tmp_path: Path
) -> None:
    done = list(recording.operations)
    for worse in (without(done, Sync), without(done, SyncFolder), too_early(done)):
        told = {step for step, each in enumerate(worse, 1) if isinstance(each, Told)}
        with pytest.raises(AssertionError, match="power lost after"):
            lose_power(replace(recording, operations=worse), told, tmp_path)


@pytest.mark.parametrize(
    ("recording", "last"), [(RESTARTED, Write), ("salvaged", Rename)], indirect=["recording"]
)
def test_what_a_killed_daemon_had_not_synced_is_synced_before_it_is_told(
    recording: Recording, last: type[Operation], tmp_path: Path
) -> None:
    done = list(recording.operations)
    told = max(index for index, each in enumerate(done) if isinstance(each, Told))
    killed = max(step for step, each in enumerate(done[:told], 1) if isinstance(each, last))
    again = restart(recording, killed)
    lose_power(again, again.grave, tmp_path)


@pytest.mark.parametrize("recording", ["new"], indirect=True)
@pytest.mark.parametrize("fault", ["error=EIO", "error=ENOSPC", "error=EROFS"])
def test_whatever_call_fails_nothing_acknowledged_is_missing(
    recording: Recording, fault: str
) -> None:
    print(f"KILL_SEED={SEED}")
    calls = [call for call in recording.calls if call.name in {"pwrite64", "fdatasync"}]
    chance = random.Random(SEED)  # noqa: S311 - no secret
    struck = chance.sample(calls, 2 * STRIKES)
    assert sum(strike("new", call, recording.folder, fault) for call in struck)

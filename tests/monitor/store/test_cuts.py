"""A part of the losses of power, another with each run; the command in ``cuts`` is all of them."""

import os
import random
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest

from tests.monitor.store.cuts import Recording, cuts, hold, record, unlike
from tests.monitor.store.disk import Operation, Sync, SyncFolder, Told
from tests.monitor.store.writing import PHASES
from tests.support.debian import tool
from tests.support.kernel import skip_where_forbidden

pytestmark = pytest.mark.real

SOME = 3
"""Phases of a run."""
STEPS = 12
"""Moments in each at which the power is lost."""
SEED = int(os.environ.get("CUT_SEED", random.SystemRandom().randrange(10**6)))


@pytest.fixture(autouse=True)
def may_trace(tmp_path: Path) -> None:
    """The calls are kept by ptrace(2)."""
    strace = tool("strace")
    command = [str(strace.path), "-qq", "-o", str(tmp_path / "tried"), "true"]
    environment = {"PATH": os.environ["PATH"], **strace.environment}
    skip_where_forbidden("one process to trace another", command, environment)


def lose_power(recording: Recording, moments: Collection[int], evidence: Path) -> None:
    for cut in unlike(cuts(recording, SEED, only=moments)):
        hold(cut, PHASES[recording.phase].check, evidence)


def test_whenever_the_power_is_lost_nothing_acknowledged_is_missing(tmp_path: Path) -> None:
    print(f"CUT_SEED={SEED}")
    chance = random.Random(SEED)  # noqa: S311 - no secret
    for phase in chance.sample(list(PHASES), SOME):
        print(f"to see it again: python -m tests.monitor.store.cuts {phase} --seed {SEED}")
        folder = tmp_path / phase
        folder.mkdir()
        recording = record(phase, folder)
        last = len(recording.operations)
        lose_power(recording, {last, *chance.sample(range(1, last), STEPS)}, tmp_path)


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


def test_what_is_not_synced_or_told_too_early_is_seen_to_be_missing(tmp_path: Path) -> None:
    recording = record("new", tmp_path)
    done = list(recording.operations)
    for worse in (without(done, Sync), without(done, SyncFolder), too_early(done)):
        told = {n for n, each in enumerate(worse, 1) if isinstance(each, Told)}
        with pytest.raises(AssertionError, match="power lost after"):
            lose_power(replace(recording, operations=worse), told, tmp_path)

"""Some writes of the whole daemon at which it is killed, others with each run."""

import argparse
import os
import random
from pathlib import Path

import pytest

from tests.ledger.judge import NOT_HEARD
from tests.ledger.kills import Strike, parse, sweep
from tests.support.debian import tool
from tests.support.kernel import skip_where_forbidden

SEED = int(os.environ.get("KILL_SEED", random.SystemRandom().randrange(10**6)))
EARLY = {"fdatasync": 4, "pwrite64": 60, "sendto": 20}
"""So many of each are made in any life, however few ticks it has."""


@pytest.mark.real
@pytest.mark.timeout(600)
async def test_wherever_the_daemon_is_killed_every_promise_is_kept(tmp_path: Path) -> None:
    strace = tool("strace")
    command = [str(strace.path), "-qq", "-o", str(tmp_path / "tried"), "true"]
    environment = {"PATH": os.environ["PATH"], **strace.environment}
    skip_where_forbidden("one process to trace another", command, environment)
    chance = random.Random(SEED)  # noqa: S311 - no secret
    strikes = [f"{call}-{chance.randint(1, most)}" for call, most in EARLY.items()]
    print(f"to see it again: python -m tests.ledger.kills --seed {SEED} --only {' '.join(strikes)}")
    folder = ["--folder", str(tmp_path / "kills")]
    outcome = await sweep(parse([*folder, "--seed", str(SEED), "--only", *strikes]))
    assert outcome.broken == []
    assert {v.promise for v in outcome.verdicts if not v.looked_at} <= {NOT_HEARD}
    assert outcome.struck == len(strikes)


def test_a_strike_is_read_as_it_is_written() -> None:
    assert Strike.read("pwrite64-17") == Strike("pwrite64", 17)
    assert str(Strike("sendto", 3)) == "sendto-3"


@pytest.mark.parametrize("text", ["read-1", "pwrite64", "pwrite64-x"])
def test_what_is_no_strike_is_told(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="should be such as"):
        Strike.read(text)

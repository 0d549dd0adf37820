"""Without memory for an object the process ends at once; so each of these is one of its own."""

import subprocess
import sys

import pytest

from monitor.ending import OS_ERROR
from tests.whole.daemon import ROOT

ENDS = """
import asyncio
from monitor.ending import memory, see_to_memory
from monitor.supervise import Outage, keep_running

def fail():
    raise MemoryError

async def hold(held):
    fail()

async def failing():
    await asyncio.sleep(0)
    fail()

async def in_a_task_of_the_block():
    async with memory(), asyncio.TaskGroup() as group:
        group.create_task(failing())

async def in_what_is_supervised():
    await keep_running(hold, Outage("line", lambda *_: None, lambda: 0), ValueError)

async def in_a_callback():
    see_to_memory(asyncio.get_running_loop())
    asyncio.get_running_loop().call_soon(fail)
    await asyncio.sleep(60)

async def of_another_kind():
    see_to_memory(asyncio.get_running_loop())
    asyncio.get_running_loop().call_soon(lambda: 1 / 0)
    await asyncio.sleep(0.01)

try:
    asyncio.run({case}())
finally:
    print("tidied up")
"""


def ended(case: str) -> tuple[int, str, str]:
    program = ENDS.replace("{case}", case)
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return ran.returncode, ran.stdout, ran.stderr


@pytest.mark.parametrize(
    "case", ["in_a_task_of_the_block", "in_what_is_supervised", "in_a_callback"]
)
def test_it_ends_without_tidying_up_and_says_why(case: str) -> None:
    code, out, said = ended(case)
    assert (code, out) == (OS_ERROR, "")
    assert said.startswith("cytowatch: no memory is left for it, so it ends and is to be started")
    assert said.count("\n") == 1


def test_what_else_fails_in_a_callback_is_told_as_ever() -> None:
    code, out, said = ended("of_another_kind")
    assert (code, out) == (0, "tidied up\n")
    assert "ZeroDivisionError" in said

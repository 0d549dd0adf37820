"""Tests of the tests: ``./cyto mutants`` breaks promises one by one, and looks who notices.

In a copy of the tree, each mutant of ``patches`` is put in, the tests that it names are run, and it
is taken out again.  First all of them run on the copy as it is: a test that fails there proves
nothing.  Exit 0: every mutant was killed; 1: one survived; 2: one does not apply any more, or its
tests do not run.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from tests.mutants.patches import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 300.0
"""Seconds after which the tests of a mutant hang, and so have noticed."""
LEFT_OUT = (".git", ".venv", ".cyto", "*cache*", ".hypothesis", "node_modules")
PASSED, FAILED = 0, 1
Fate = Literal["killed", "survived", "error"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Try them all, or those that are named; returns the exit code."""
    mutants = parse(arguments)
    with tempfile.TemporaryDirectory(prefix="cyto-mutants-") as folder:
        copy = Path(folder) / "tree"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
        for mutant in mutants:
            if words := misfit(copy, mutant):
                return error(words)
        everything = sorted({test for mutant in mutants for test in mutant.tests})
        if run(copy, everything) != PASSED:
            return error("tests fail without any mutant; see above")
        fates = [tried(copy, mutant) for mutant in mutants]
    print(f"{fates.count('killed')} of {len(fates)} mutants killed")
    if "error" in fates:
        return 2
    return 1 if "survived" in fates else 0


def parse(arguments: Sequence[str] | None) -> Sequence[Mutant]:
    """Read the command line; what cannot be is exit 2."""
    parser = argparse.ArgumentParser(prog="cyto mutants", description=__doc__)
    known = {mutant.name: mutant for mutant in MUTANTS}
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}")
    names = parser.parse_args(arguments).names
    for name in names:
        if name not in known:
            parser.error(f"no mutant is called {name}")
    return [known[name] for name in names] or MUTANTS


def misfit(tree: Path, mutant: Mutant) -> str:
    """Why a mutant cannot be put in; empty where it can."""
    file = tree / mutant.file
    count = file.read_text(encoding="utf-8").count(mutant.before) if file.exists() else 0
    return "" if count == 1 else f"{mutant.name}: found {count} times in {mutant.file}, not once"


def tried(tree: Path, mutant: Mutant) -> Fate:
    """Put a mutant in, run its tests, take it out, and say what became of it."""
    file = tree / mutant.file
    whole = file.read_text(encoding="utf-8")
    began = time.monotonic()
    file.write_text(whole.replace(mutant.before, mutant.after), encoding="utf-8")
    try:
        fate = judged(run(tree, mutant.tests, "-x"))
    finally:
        file.write_text(whole, encoding="utf-8")
    took = time.monotonic() - began
    print(f"{fate:8}  {mutant.name:30}  {mutant.promise}  ({took:.0f} s)", flush=True)
    return fate


def judged(code: int | None) -> Fate:
    """What the end of pytest means: it failed or hung, passed, or did not come to try."""
    match code:
        case None | 1:
            return "killed"
        case 0:
            return "survived"
        case _:
            return "error"


def run(tree: Path, tests: Sequence[str], *more: str) -> int | None:
    """Run tests in the copy; returns the exit code of pytest, None where they hang."""
    pytest = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=no"]
    with tempfile.TemporaryFile() as words:
        try:
            done = subprocess.run(
                [*pytest, *more, *tests],
                cwd=tree,
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                timeout=LONGEST,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None
        if done.returncode not in {PASSED, FAILED} or not more:
            words.seek(0)
            sys.stderr.write(words.read().decode(errors="replace")[-2000:])
        return done.returncode


def error(words: str) -> int:
    """Say why nothing can be told; returns the exit code for that."""
    print(f"mutants: {words}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())

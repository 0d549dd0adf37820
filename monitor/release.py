"""Which code runs: a number that is another one as soon as any file of ours is.

An inspector compares the one in the record's ``start`` with that of the release that was validated.
It covers the three packages as they lie on the disk, not the libraries, and neither what Python has
compiled of them.
"""

from functools import cache
from hashlib import sha256
from pathlib import Path

PACKAGES = ("config", "drivers", "monitor")
_COMPILED = "__pycache__"


@cache
def code() -> str:
    """Return the SHA-256 of the code, in hex; reads some hundred files, the first time."""
    return code_in(Path(__file__).parents[1])


def code_in(root: Path) -> str:
    """Return it for the packages that lie in this folder: over each file's path and SHA-256."""
    files = [each for package in PACKAGES for each in (root / package).rglob("*")]
    names = [f"{each.relative_to(root)}" for each in files if each.is_file()]
    whole = sha256()
    for name in sorted(name for name in names if _COMPILED not in name):
        whole.update(f"{sha256((root / name).read_bytes()).hexdigest()}  {name}\n".encode())
    return whole.hexdigest()

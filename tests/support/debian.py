"""Real servers and tools from Debian's packages, with nothing installed or started.

What the machine has on its path is used as it is.  Anything else is downloaded with what it
depends on into `.cyto/debian/PACKAGE/` and unpacked there: through apt with lists and caches of
its own over the machine's own sources, so no root is needed and no package list must be there.

As a script it fetches all that the tests use, or what its arguments name:
`python tests/support/debian.py [TOOL...]`.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / ".cyto" / "debian"

# Each tool that a test may ask for, and the package that has it.
PACKAGES: Mapping[str, str] = {
    "mosquitto": "mosquitto",
    "mosquitto_passwd": "mosquitto",
    "mosquitto_pub": "mosquitto-clients",
    "mosquitto_sub": "mosquitto-clients",
    "influxd": "influxdb",
    "victoria-metrics": "victoria-metrics",
    "systemd-analyze": "systemd",
    "systemd-sysusers": "systemd",
    "strace": "strace",
    "chromium": "chromium",
    "pdftotext": "poppler-utils",
    "chronyd": "chrony",
    "nft": "nftables",
}
USUAL = (
    "mosquitto",
    "mosquitto_passwd",
    "mosquitto_sub",
    "influxd",
    "victoria-metrics",
    "chromium",
    "pdftotext",
    "chronyd",
    "nft",
)


class UnavailableError(RuntimeError):
    """A tool that is neither on this machine nor to be had from its package sources."""


@dataclass(frozen=True)
class Tool:
    """A program and what must be added to the environment for it to start."""

    path: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.variables}


def tool(name: str) -> Tool:
    """The program of this name: the machine's own, else Debian's, fetched when first asked for."""
    sbin_too = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    if installed := shutil.which(name, path=sbin_too):
        return Tool(Path(installed))
    folder = FOLDER / PACKAGES[name]
    with _alone():
        if not folder.is_dir():
            _fetch(PACKAGES[name], folder)
    for path in (folder / "usr/bin" / name, folder / "usr/sbin" / name, folder / "bin" / name):
        if path.exists():
            return Tool(path, {"LD_LIBRARY_PATH": _library_path(folder)})
    raise UnavailableError(f"{name}: Debian's package {PACKAGES[name]} has no such program")


def _library_path(folder: Path) -> str:
    return os.pathsep.join(sorted({str(library.parent) for library in folder.rglob("*.so*")}))


@contextmanager
def _alone() -> Iterator[None]:
    """One process at a time: test workers share the folder."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(package: str, folder: Path) -> None:
    """Unpack a package and its missing dependencies; the folder appears only when whole."""
    new = folder.with_suffix(".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    try:
        _download(package, new)
        for archive in new.glob("*.deb"):
            _run("dpkg", "-x", str(archive), str(new))
            archive.unlink()
    except (OSError, subprocess.CalledProcessError) as error:
        raise UnavailableError(
            f"{package} is not on this machine and could not be fetched: {_reason(error)}; "
            f"give apt its package sources, or install it (apt-get install {package})"
        ) from error
    new.rename(folder)


def _download(package: str, folder: Path) -> None:
    if not (FOLDER / "apt/lists").is_dir():
        _update_lists()
    try:
        _apt_get("download", *_missing(package), cwd=folder)
    except subprocess.CalledProcessError:  # The lists are old: what they name is gone.
        _update_lists()
        _apt_get("download", *_missing(package), cwd=folder)


def _update_lists() -> None:
    for name in ("lists/partial", "cache/archives/partial"):
        (FOLDER / "apt" / name).mkdir(parents=True, exist_ok=True)
    try:
        _apt_get("update")
    except subprocess.CalledProcessError as error:  # One dead source does not spoil the others.
        print(f"debian.py: {_reason(error)}", file=sys.stderr)


def _missing(package: str) -> list[str]:
    """The package and those that it needs and this machine has not installed."""
    plan = _apt_get("--simulate", "--no-install-recommends", "install", package)
    planned = {line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")}
    return sorted(planned | {package})


def _apt_get(*arguments: str, cwd: Path | None = None) -> str:
    own = {
        "Dir::State::lists": FOLDER / "apt/lists",
        "Dir::Cache": FOLDER / "apt/cache",
        "APT::Sandbox::User": "",  # Root's apt would hand the download to a user who may not write.
        "Acquire::Retries": 3,
    }
    options = [f"-o{name}={value}" for name, value in own.items()]
    return _run("apt-get", "-q", *options, *arguments, cwd=cwd)


def _run(*command: str, cwd: Path | None = None) -> str:
    return subprocess.run(
        command,
        cwd=cwd,
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
    ).stdout


def _reason(error: OSError | subprocess.CalledProcessError) -> str:
    if isinstance(error, OSError):
        return str(error)
    said = [line for line in error.stderr.splitlines() if line.startswith("E:")]
    return said[-1] if said else str(error)


if __name__ == "__main__":
    try:
        for wanted in sys.argv[1:] or USUAL:
            tool(wanted)
    except UnavailableError as unavailable:
        sys.exit(f"debian.py: {unavailable}")

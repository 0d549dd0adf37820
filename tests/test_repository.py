import ast
import json
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("config", "drivers", "monitor")

FOLDERS = {".ci", "config", "docs", "drivers", "monitor", "systemd", "tests"}

# Folders of tests that are about no single module.
ACROSS = {"bench", "ledger", "mutants", "support", "whole"}
# Tests of what the modules of a folder do together.
OF_FOLDERS = {
    "monitor/alarms/test_independent_model.py",
    "monitor/store/test_disk.py",
    "monitor/store/test_spoilt.py",
    "monitor/store/test_sweep.py",
    "monitor/store/test_trace.py",
}
# Modules at the root of tests/ that are about files which are no modules.
ABOUT_FILES = {
    "test_conftest.py",
    "test_cyto.py",
    "test_faults.py",
    "test_repository.py",
    "test_systemd.py",
}


def tracked() -> list[Path]:
    """Every file of the repository that is, or is about to be, under version control."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def modules() -> list[Path]:
    return sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))


def named(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("package", [*PACKAGES, "tests"])
def test_nobody_else_owns_our_import_names(package: str) -> None:
    assert set(packages_distributions().get(package, [])) <= {"cytowatch"}


def test_folders_at_the_top_are_the_fixed_ones() -> None:
    found = {file.relative_to(ROOT).parts[0] for file in tracked() if file.parent != ROOT}
    assert found <= FOLDERS


@pytest.mark.parametrize("folder", ["tests", "systemd"])
def test_bare_folders_stay_bare(folder: str) -> None:
    assert list((ROOT / folder).rglob("__init__.py")) == []


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_names_hashes_and_no_address(lock: str) -> None:
    lines = (ROOT / lock).read_text().splitlines()
    pinned = [line for line in lines if not line.startswith(" ")]
    assert pinned
    assert all("==" in pin and pin.endswith("\\") for pin in pinned)
    assert all(line.strip().startswith("--hash=sha256:") for line in lines if line not in pinned)
    assert not [line for line in lines if "://" in line]


def test_the_lock_of_node_names_hashes_and_no_address() -> None:
    packages = json.loads((ROOT / "tests/support/npm/package-lock.json").read_text())["packages"]
    installed = {name: each for name, each in packages.items() if name}
    assert installed
    assert not [name for name, each in installed.items() if "resolved" in each]
    assert all(each["integrity"].startswith("sha512-") for each in installed.values())
    declared = json.loads((ROOT / "tests/support/npm/package.json").read_text())["dependencies"]
    assert packages[""]["dependencies"] == declared
    assert {name: installed[f"node_modules/{name}"]["version"] for name in declared} == declared


def pins(lock: str) -> dict[str, Version]:
    lines = (ROOT / lock).read_text().splitlines()
    pinned = (Requirement(line.rstrip(" \\")) for line in lines if not line.startswith(" "))
    return {canonicalize_name(pin.name): Version(str(pin.specifier)[2:]) for pin in pinned}


def met(need: Requirement, pinned: dict[str, Version]) -> bool:
    pin = pinned.get(canonicalize_name(need.name))
    return pin is not None and pin in need.specifier


def test_what_runs_is_also_what_is_tested() -> None:
    assert pins("requirements.lock").items() <= pins("requirements-dev.lock").items()


def test_the_locks_are_of_this_pyproject() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = declared["project"]["optional-dependencies"]
    runs = declared["project"]["dependencies"] + extras["demo"]
    develops = [*runs, *extras["fast"], *declared["dependency-groups"]["dev"]]
    for lock, wanted in (("requirements.lock", runs), ("requirements-dev.lock", develops)):
        pinned = pins(lock)
        unmet = [line for line in wanted if not met(Requirement(line), pinned)]
        assert unmet == [], f"run ./cyto lock: {lock} does not meet {unmet}"


def test_no_file_names_the_host_of_a_package_registry() -> None:
    hosts = [
        ".".join(parts).encode()
        for parts in (
            ("pypi", "org"),
            ("pythonhosted", "org"),
            ("deb", "debian", "org"),
            ("registry", "npmjs", "org"),
            ("crates", "io"),
        )
    ]
    found = [
        (named(file), host.decode())
        for file in tracked()
        for host in hosts
        if host in file.read_bytes()
    ]
    assert found == []


@pytest.mark.parametrize("module", modules(), ids=named)
def test_each_module_begins_by_saying_what_it_is_for(module: Path) -> None:
    assert ast.get_docstring(ast.parse(module.read_text()))


def test_each_test_file_stands_where_its_module_does() -> None:
    here = ROOT / "tests"
    astray = [
        named(test)
        for test in here.rglob("test_*.py")
        if test.relative_to(here).parts[0] not in ACROSS | ABOUT_FILES
        and str(test.relative_to(here)) not in OF_FOLDERS
        and not mirrored(test.relative_to(here))
    ]
    assert astray == []


def mirrored(test: Path) -> bool:
    """Whether the file or package is there that ``test_<name>[_<what>].py`` tests."""
    folder = ROOT / test.parent
    words = test.stem.removeprefix("test_").split("_")
    names = {"_".join(words[:count]) for count in range(1, len(words) + 1)}
    names |= {"__init__"} if words == ["init"] else set()
    return any(path.stem in names for path in folder.iterdir())


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the packages and their contracts, to be spoilt."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def contracts_hold(folder: Path) -> bool:
    """Whether import-linter finds the contracts kept; raises RuntimeError if it cannot tell."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
    )
    if "Contracts: " not in done.stdout:
        raise RuntimeError(done.stdout + done.stderr)
    return done.returncode == 0


def test_the_import_contracts_hold(copy: Path) -> None:
    assert contracts_hold(copy)


@pytest.mark.parametrize(
    ("package", "line"),
    [
        ("monitor/alarms", "import asyncio"),
        ("monitor/alarms", "import monitor.store"),
        ("monitor/alarms", "import time"),
        ("config", "import drivers.reading"),
        ("config", "import socket"),
        ("drivers", "import monitor"),
        ("drivers/modbus", "import pymodbus"),
        ("drivers/simulated", "import pymodbus"),
        ("monitor", "import config"),  # A module without a floor.
        ("monitor/store", "import monitor.recorder"),
        ("monitor/sinks", "import monitor.desk"),
        ("monitor/sinks", "import monitor.operators.base"),
        ("monitor/sinks", "import aiomqtt"),
        ("monitor/operators", "import aiohttp"),
        ("monitor/operators", "import sqlite3"),
    ],
)
def test_an_import_contract_breaks_when_violated(copy: Path, package: str, line: str) -> None:
    (copy / package / "spoilt.py").write_text(f"{line}\n")
    assert not contracts_hold(copy)

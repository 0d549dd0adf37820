"""The launcher, in a copy of its own with a cytowatch that only tells how it was called."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]

ROOT = Path(__file__).resolve().parents[1]

TELLTALE = '''\
"""Tells how it was called."""
import json, os, sys
def main():
    import pydantic
    print(json.dumps({"pid": os.getpid(), "arguments": sys.argv[1:], "here": __file__}))
    return 7
'''


def lay_out(folder: Path) -> Path:
    (folder / "monitor/cli").mkdir(parents=True)
    (folder / "monitor/__init__.py").touch()
    (folder / "monitor/cli/__init__.py").write_text(TELLTALE)
    for name in ("cyto", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose launcher has run once."""
    folder = lay_out(tmp_path_factory.mktemp("installed"))
    assert run(folder / "cyto").returncode == 7
    return folder


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A folder that nothing has run in, its path with a space."""
    return lay_out(tmp_path / "a site")


def run(
    launcher: Path, *arguments: str, cwd: str | Path = "/", **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [launcher, *arguments],
        cwd=cwd,
        env={**os.environ, **variables},
        check=False,
        capture_output=True,
        text=True,
    )


def test_it_hands_arguments_and_exit_code_through(installed: Path) -> None:
    done = run(installed / "cyto", "tail", "--since", "1 h")
    assert done.returncode == 7
    assert '"arguments": ["tail", "--since", "1 h"]' in done.stdout
    assert f'"here": "{installed}/monitor/cli/__init__.py"' in done.stdout


def test_it_says_nothing_once_it_is_set_up(installed: Path) -> None:
    assert run(installed / "cyto").stderr == ""


def test_a_second_run_asks_neither_pip_nor_the_machine_s_python(installed: Path) -> None:
    assert run(installed / "cyto", CYTO_PYTHON="/bin/false").returncode == 7


def test_it_works_through_a_link_from_a_folder_that_looks_like_ours(
    installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "monitor").mkdir()
    (tmp_path / "monitor/__init__.py").write_text("raise RuntimeError('the wrong one')")
    (tmp_path / "link").symlink_to(installed / "cyto")
    done = run(tmp_path / "link", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 7, done.stderr


def test_signals_reach_python_itself(installed: Path) -> None:
    with subprocess.Popen([installed / "cyto"], stdout=subprocess.PIPE, text=True) as process:
        told, _ = process.communicate()
    assert f'"pid": {process.pid},' in told


def test_a_changed_lock_is_installed_anew(fresh: Path) -> None:
    assert run(fresh / "cyto").returncode == 7
    with (fresh / "requirements.lock").open("a") as lock:
        lock.write("# one more line\n")
    done = run(fresh / "cyto")
    assert done.returncode == 7
    assert "setting up .cyto/venv" in done.stderr


def test_two_at_once_set_up_once(fresh: Path) -> None:
    both = [
        subprocess.Popen([fresh / "cyto"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        for _ in range(2)
    ]
    said = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [7, 7]
    assert b"".join(said).count(b"setting up") == 1


def test_a_set_up_that_was_killed_is_begun_again(fresh: Path) -> None:
    for _ in range(5):  # We may come too late on a busy machine, but not always.
        with subprocess.Popen(
            [fresh / "cyto"], start_new_session=True, stderr=subprocess.DEVNULL
        ) as first:
            while not (fresh / ".cyto/venv/bin/python").exists():
                time.sleep(0.01)
            os.killpg(first.pid, signal.SIGKILL)
        if not (fresh / ".cyto/venv/stamp").exists():
            break
        shutil.rmtree(fresh / ".cyto/venv")
    else:
        raise AssertionError("it was always done before it was killed")
    assert run(fresh / "cyto").returncode == 7


def test_pip_does_it_all_where_uv_cannot(fresh: Path, installed: Path) -> None:
    [uv] = (installed / ".cyto").glob("uv-*")
    broken = fresh / ".cyto" / uv.name / "bin/uv"
    broken.parent.mkdir(parents=True)
    broken.write_text('#!/bin/sh\n[ "$1" = --version ]\n')
    broken.chmod(0o755)
    assert run(fresh / "cyto").returncode == 7


def test_uv_looks_for_packages_where_pip_is_told_to_and_nowhere_else(
    fresh: Path, installed: Path, tmp_path: Path
) -> None:
    [uv] = (installed / ".cyto").glob("uv-*")
    shutil.copytree(uv, fresh / ".cyto" / uv.name)
    settings = tmp_path / "pip.conf"
    settings.write_text("[global]\nindex-url = http://127.0.0.1:9/simple\nretries = 0\n")
    done = run(fresh / "cyto", PIP_CONFIG_FILE=str(settings))
    assert done.returncode == 69
    assert "could not install requirements.lock" in done.stderr
    assert "http://127.0.0.1:9/simple/" in (fresh / ".cyto/uv.log").read_text()


def test_it_says_what_to_install_where_there_is_no_pip(fresh: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    done = run(fresh / "cyto", CYTO_PYTHON=str(tmp_path / "bare/bin/python"))
    assert done.returncode == 69
    assert "has no pip; on Debian: apt-get install python3-pip" in done.stderr


def test_it_says_what_to_install_where_there_is_no_python(fresh: Path) -> None:
    done = run(fresh / "cyto", CYTO_PYTHON="/nowhere/python3")
    assert done.returncode == 69
    assert "apt-get install python3 python3-pip" in done.stderr

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("last_line", "code"),
    [
        pytest.param("await task", 0, id="awaited"),
        pytest.param("task.cancel()", 0, id="cancelled at the very end"),
        pytest.param("pass", 1, id="left"),
    ],
)
def test_a_test_that_leaves_a_task_behind_fails(tmp_path: Path, last_line: str, code: int) -> None:
    (tmp_path / "test_it.py").write_text(f"""\
import asyncio
async def test_it():
    task = asyncio.create_task(asyncio.sleep({0.01 if code == 0 else 10}))
    {last_line}
""")
    assert run_pytest(tmp_path).returncode == code


def test_settings_of_the_machine_do_not_reach_a_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "test_it.py").write_text("""\
import os
def test_it():
    assert not [name for name in os.environ if name.startswith(("CYTOWATCH_", "CREDENTIALS_"))]
""")
    monkeypatch.setenv("CYTOWATCH_SITE", "elsewhere")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials")
    assert run_pytest(tmp_path).returncode == 0


def run_pytest(folder: Path) -> subprocess.CompletedProcess[str]:
    options = ["-q", "-p", "tests.conftest", "-p", "no:cacheprovider", f"--rootdir={folder}"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", f"-c{ROOT}/pyproject.toml", *options, folder],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )

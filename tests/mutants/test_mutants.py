"""The command that tries mutants, on a tree of three lines with a test that sees half of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mutants import __main__ as mutants
from tests.mutants.patches import MUTANTS, Mutant

MODULE = "def double(x):\n    return 2 * x\n\n\ndef half(x):\n    return x / 2\n"
TEST = "from halves import double\n\n\ndef test_it_doubles():\n    assert double(3) == 6\n"
LOOP = "while True: pass"


def mutant(before: str, after: str, test: str = "test_halves.py") -> Mutant:
    return Mutant("m", "what is promised", "halves.py", before, after, (test,))


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "halves.py").write_text(MODULE)
    (tmp_path / "test_halves.py").write_text(TEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    yield tmp_path
    assert (tmp_path / "halves.py").read_text() == MODULE, "it is taken out again"


@pytest.mark.real
@pytest.mark.parametrize(
    ("tried", "fate"),
    [
        (mutant("2 * x", "3 * x"), "killed"),
        (mutant("x / 2", "x / 3"), "survived"),
        (mutant("2 * x", "3 * x", "test_nothing.py"), "error"),
    ],
)
def test_what_becomes_of_a_mutant(
    tree: Path, tried: Mutant, fate: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mutants.tried(tree, tried) == fate
    assert f"{fate:8}  m " in capsys.readouterr().out


@pytest.mark.real
def test_tests_that_hang_have_noticed(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutants, "LONGEST", 3.0)
    assert mutants.tried(tree, mutant("return 2 * x", LOOP)) == "killed"


@pytest.mark.parametrize("before", ["3 * x", "x"])
def test_one_that_does_not_fit_is_told(tree: Path, before: str) -> None:
    assert "in halves.py, not once" in mutants.misfit(tree, mutant(before, "nothing"))


def test_one_in_a_file_that_is_gone_is_told(tree: Path) -> None:
    assert "0 times in gone.py" in mutants.misfit(tree, mutant("x", "y")._replace(file="gone.py"))


def test_each_has_a_name_of_its_own() -> None:
    assert len({each.name for each in MUTANTS}) == len(MUTANTS) >= 15


def test_one_that_is_not_there_cannot_be_tried(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        mutants.main(["nobody"])
    assert "no mutant is called nobody" in capsys.readouterr().err

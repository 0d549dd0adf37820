"""The three layers of a configuration, and which of them a finding comes from.

That is a place in the file, an environment variable, or an override.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from pydantic_settings import SettingsError

from config import yaml
from config.problems import Finding, Path, Problem, did_you_mean, spell_path
from config.written import NESTED, PREFIX, SiteFile

OVERRIDE = "override"


@dataclass(frozen=True, slots=True)
class Layers:
    """What file, environment and overrides say; ``problems``: what could not be read of them."""

    name: str
    """Of the file."""
    document: yaml.Document
    file: dict[str, Any]
    environ: Mapping[Path, str]
    """Names of variables by the path that they set."""
    override_paths: Mapping[Path, str]
    overrides: dict[str, Any]
    problems: tuple[Problem, ...]

    @classmethod
    def make(
        cls,
        name: str,
        document: yaml.Document,
        environ: Mapping[str, str],
        overrides: Mapping[str, str],
    ) -> Self:
        """Read the layers."""
        variables = {_variable_path(each): each for each in environ if _is_ours(each)}
        tree, clashes = _tree(overrides)
        data = document.data
        return cls(
            name=name,
            document=document,
            file=_by_words(data) if isinstance(data, dict) else {},
            environ=variables,
            override_paths={tuple(each.split(".")): each for each in overrides},
            overrides=tree,
            problems=(*_flaws(name, document), *_unknown(variables), *clashes),
        )

    @property
    def readable(self) -> bool:
        """Whether there is a file's worth of data to look at."""
        return isinstance(self.document.data, dict)

    def problem(self, finding: Finding) -> Problem:
        """``finding`` with the place it comes from."""
        path = spell_path(finding.path)
        laid_over = self._laid_over(finding.path)
        if laid_over:
            return Problem(laid_over, 0, 0, path, finding.text)
        place = self.document.place(finding.path, at_key=finding.at_key)
        return Problem(self.name, place.line, place.column, path, finding.text)

    def _laid_over(self, path: Path) -> str | None:
        """The override or variable that said what stands at ``path``; None where the file did."""
        words = tuple(map(str, path))
        for length in range(len(path), 0, -1):
            if words[:length] in self.override_paths:
                return OVERRIDE
            if words[:length] in self.environ:
                return self.environ[words[:length]]
        if isinstance(self.document.value(path), dict):
            return None
        # Something deeper was set where the file has no mapping for it to be set in.
        if any(each[: len(words)] == words for each in self.override_paths):
            return OVERRIDE
        return next((v for each, v in self.environ.items() if each[: len(words)] == words), None)

    def unparsable(self, error: SettingsError) -> Problem:
        """A variable that should hold JSON and does not; its value is not shown."""
        name = re.search(r'field "(\w+)"', str(error))
        variable = f"{PREFIX}{name[1].upper()}" if name else "environment"
        return Problem(variable, 0, 0, "", "is not the JSON that a list or mapping needs here")


def _is_ours(variable: str) -> bool:
    return variable.upper().startswith(PREFIX)


def _variable_path(variable: str) -> Path:
    return tuple(variable[len(PREFIX) :].lower().split(NESTED))


def _flaws(name: str, document: yaml.Document) -> Iterator[Problem]:
    for flaw in document.flaws:
        yield Problem(name, flaw.place.line, flaw.place.column, spell_path(flaw.path), flaw.text)
    if document.data is None and not document.flaws:
        yield Problem(name, 1, 1, "", "the file is empty; a first site is ten lines")
    elif document.data is not None and not isinstance(document.data, dict):
        yield Problem(name, 1, 1, "", "should be keys and values: site, gateway, lines, equipment")
    elif document.data is not None:
        for key in document.data.keys() - _by_words(document.data).keys():
            place = document.place((key,), at_key=True)
            yield Problem(name, place.line, place.column, str(key), f"unknown key {key}")


def _by_words(data: dict[Any, Any]) -> dict[str, Any]:
    """What stands under words; nothing of ours stands under a number."""
    return {key: value for key, value in data.items() if isinstance(key, str)}


def _unknown(variables: Mapping[Path, str]) -> Iterator[Problem]:
    """Nested names that set nothing; a plain name may be a secret's, or another program's."""
    for path, variable in variables.items():
        if len(path) > 1 and path[0] not in SiteFile.model_fields:
            hint = did_you_mean(str(path[0]), SiteFile.model_fields)
            yield Problem(variable, 0, 0, "", f"sets unknown key {path[0]!r}{hint}")


def _tree(overrides: Mapping[str, str]) -> tuple[dict[str, Any], list[Problem]]:
    """Nested mappings out of dotted paths; a list or mapping may be given as YAML."""
    tree: dict[str, Any] = {}
    clashes = []
    for dotted, text in overrides.items():
        *above, last = dotted.split(".")
        here = tree
        for key in above:
            inner = here.setdefault(key, {})
            here = inner if isinstance(inner, dict) else {}
        if not last or here is not _at(tree, above):
            clashes.append(Problem(OVERRIDE, 0, 0, dotted, "does not fit the others"))
        here[last] = _override_value(text)
    return tree, clashes


def _at(tree: dict[str, Any], path: list[str]) -> object:
    here: Any = tree
    for key in path:
        here = here[key] if isinstance(here, dict) else None
    return here


def _override_value(text: str) -> Any:  # noqa: ANN401 - a value of any plain type
    if text == "null" or text.startswith(("[", "{")):
        return yaml.read(text).data
    return text

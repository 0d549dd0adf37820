"""Reading a site's file: the plant that it describes, or everything that is wrong with it."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic_settings import SettingsError

from config import yaml
from config.check import check
from config.model import spell
from config.origin import Layers
from config.plant import Plant
from config.problems import ConfigError, Problem
from config.resolve import resolve
from config.salvage import salvage, whole
from config.shape import findings
from config.site import Secret
from config.written import Malformed, SiteFile

NOTHING: Mapping[str, str] = MappingProxyType({})


def load(
    path: Path, *, overrides: Mapping[str, str] = NOTHING, environ: Mapping[str, str] | None = None
) -> Plant:
    """Return the plant that the file at ``path`` describes, with what is laid over it.

    ``overrides`` are strongest: ``{"mqtt.port": "1884"}``; then ``environ`` (the process's own when
    not given): ``CYTOWATCH_MQTT__PORT``; then the file.
    Raises ``ConfigError`` with every problem, in the order of the lines.
    """
    environ = os.environ if environ is None else environ
    text = _text(path)
    layers = Layers.make(str(path), yaml.read(text), environ, overrides)
    if not layers.readable:
        raise ConfigError(sorted(layers.problems))
    try:
        site, found = _merged(layers, environ)
    except SettingsError as error:
        site, found = None, [layers.unparsable(error)]
    problems = sorted({*layers.problems, *found})
    if problems or site is None:
        raise ConfigError(problems)
    return resolve(site, text)


def _merged(layers: Layers, environ: Mapping[str, str]) -> tuple[SiteFile | None, list[Problem]]:
    """The site, where it has the shape of one, and everything that is wrong with it."""
    try:
        site = SiteFile.merged(layers.file, environ, layers.overrides)
    except Malformed as malformed:
        found = [*findings(SiteFile, malformed.error), *check(salvage(malformed.data))]
        return None, [layers.problem(each) for each in found]
    return site, [layers.problem(each) for each in check(whole(site))]


def _text(path: Path) -> str:
    """The file's text. Raises ``ConfigError``."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        line = before.count(b"\n") + 1
        column = error.start - (before.rfind(b"\n") + 1) + 1
        text = "is not UTF-8 here; save the file as UTF-8"
        raise ConfigError([Problem(str(path), line, column, "", text)]) from error
    except OSError as error:
        raise ConfigError([Problem(str(path), 0, 0, "", _os_words(error))]) from error


def _os_words(error: OSError) -> str:
    return f"cannot be read: {(error.strerror or str(error)).lower()}"


def read_secret(secret: Secret) -> str:
    """Return the secret that ``secret`` points at, without the newline at its end.

    Raises ``ConfigError`` with where it was looked for and what to do; never with the secret.
    """
    if secret.env is not None:
        return _from_environment(secret.env)
    if secret.file is not None:
        return _from_file(secret.file, "write the secret into it, readable by cytowatch alone")
    if secret.credential is not None:
        return _from_credential(secret.credential)
    raise _no_secret("secret", "say one place where the secret is: credential, file or env")


def _from_environment(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise _no_secret(name, "the environment variable is not set or empty")
    return value


def _from_credential(name: str) -> str:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    what = f"give the unit a LoadCredential={name}:PATH, or name a file or env in its place"
    if not folder:
        raise _no_secret(name, f"$CREDENTIALS_DIRECTORY is not set; {what}")
    return _from_file(Path(folder) / name, what)


def _from_file(path: Path, what: str) -> str:
    try:
        value = path.read_text(encoding="utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise _no_secret(str(path), "is not UTF-8") from error
    except OSError as error:
        raise _no_secret(str(path), f"{_os_words(error)}; {what}") from error
    if not value:
        raise _no_secret(str(path), f"is empty; {what}")
    return value


def _no_secret(where: str, text: str) -> ConfigError:
    return ConfigError([Problem(where, 0, 0, "", text)])


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a site's file, for editors."""
    schema = SiteFile.model_json_schema(by_alias=True)
    for part in _parts(schema):
        _spell_duration(part)
        _name_bounds(part)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "cytowatch site",
    }


def _spell_duration(part: dict[str, Any]) -> None:
    """Write a default as a file has it: ``1s`` and not nanoseconds."""
    if part.get("type") == "string" and isinstance(part.get("default"), int):
        part["default"] = spell(part["default"]) if part["default"] else "0s"


def _name_bounds(part: dict[str, Any]) -> None:
    """Name bounds as JSON Schema does: behind a validator of ours pydantic leaves its own words."""
    for word, keyword in _BOUNDS.items():
        if "type" in part and word in part:
            part[keyword] = part.pop(word)


_BOUNDS = {
    "ge": "minimum",
    "le": "maximum",
    "gt": "exclusiveMinimum",
    "lt": "exclusiveMaximum",
}


def _parts(schema: object) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
    inner = schema.values() if isinstance(schema, dict) else schema
    if isinstance(inner, Iterable) and not isinstance(inner, str):
        for each in inner:
            yield from _parts(each)

"""A draft of the site for the checks that look across it; from a broken file, what can be saved.

So a typing error in one place does not hide that a line's name is wrong in another. What cannot be
saved is left out, but its name is kept: nothing that refers to it is called unknown.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from config.catalogue import Entry, Kind
from config.limits import Defaults, LimitSet, RuleEntry
from config.lines import Line, WrittenLine
from config.operators import OperatorSettings
from config.problems import Path
from config.rules import AlarmClass
from config.shape import path_of
from config.site import Databases, InfluxDb, Mqtt
from config.sources import EquipmentSpec, Profile
from config.states import StateSetting
from config.written import SiteFile

T = TypeVar("T")
ROUNDS = 8
"""More than the levels of the file, since each round may take away one."""


@dataclass(frozen=True, slots=True)
class Saved(Generic[T]):
    """A part of the file, and how much of it that is."""

    value: T
    whole: bool = True
    """Whether all was saved but unknown keys."""
    clean: bool = True
    """Whether nothing was wrong with it at all."""


@dataclass(frozen=True, slots=True)
class Draft:
    """The parts of a site, by name or by their index in the file; without those beyond saving."""

    gateway: str | None
    lines: Mapping[int, Saved[Line]]
    equipment: Mapping[int, Saved[EquipmentSpec]]
    limits: Mapping[str, Saved[Mapping[str, tuple[RuleEntry, ...]]]]
    profiles: Mapping[str, Saved[Profile]]
    kinds: Mapping[str, Saved[Mapping[str, Entry]]]
    classes: Mapping[str, Saved[AlarmClass]]
    states: Mapping[str, Saved[StateSetting]]
    defaults: Defaults | None
    operators: OperatorSettings | None
    influxdb: InfluxDb | Databases | None
    mqtt: Mqtt | None
    lost_lines: frozenset[str] = field(default_factory=frozenset)
    """Names of lines that could not be saved."""
    lost: frozenset[tuple[str, str]] = field(default_factory=frozenset)
    """Section and name of limit sets, profiles, kinds and classes that could not be saved."""
    roles: frozenset[str] | None = frozenset()
    """Names of all roles; None where they cannot be told."""
    whole: bool = True
    """Whether this is all of the file."""


def whole(site: SiteFile) -> Draft:
    """The draft of a site that has its shape."""
    return Draft(
        gateway=site.gateway,
        lines={index: Saved(line) for index, line in enumerate(site.lines)},
        equipment={index: Saved(each) for index, each in enumerate(site.equipment)},
        limits={name: Saved(each) for name, each in site.limits.items()},
        profiles={name: Saved(each) for name, each in site.profiles.items()},
        kinds={name: Saved(each) for name, each in site.kinds.items()},
        classes={name: Saved(each) for name, each in site.classes.items()},
        states={name: Saved(each) for name, each in site.states.items()},
        defaults=site.defaults,
        operators=site.operators,
        influxdb=site.influxdb,
        mqtt=site.mqtt,
        roles=frozenset(site.operators.roles if site.operators else ()),
    )


def salvage(data: Mapping[str, Any]) -> Draft:
    """The draft of data that do not have the shape of a site."""
    lines = _each(TypeAdapter[Line](WrittenLine), _listed(data.get("lines")))
    limits = _each(TypeAdapter[LimitSet](LimitSet), _named(data.get("limits")))
    profiles = _each(TypeAdapter(Profile), _named(data.get("profiles")))
    kinds = _each(TypeAdapter[Kind](Kind), _named(data.get("kinds")))
    classes = _each(TypeAdapter(AlarmClass), _named(data.get("classes")))
    sections: dict[str, Mapping[str, object]] = {
        "limits": limits,
        "profiles": profiles,
        "kinds": kinds,
        "classes": classes,
    }
    operators = _one(OperatorSettings, data.get("operators"))
    gateway = data.get("gateway")
    return Draft(
        gateway=gateway if isinstance(gateway, str) else None,
        lines=lines,
        equipment=_each(TypeAdapter(EquipmentSpec), _listed(data.get("equipment"))),
        limits=limits,
        profiles=profiles,
        kinds=kinds,
        classes=classes,
        states=_each(TypeAdapter(StateSetting), _named(data.get("states"))),
        defaults=_one(Defaults, data.get("defaults")),
        operators=operators,
        influxdb=_databases(data.get("influxdb")),
        mqtt=_one(Mqtt, data.get("mqtt")),
        lost_lines=frozenset(_lost_lines(_listed(data.get("lines")), lines)),
        lost=frozenset(
            (section, name)
            for section, saved in sections.items()
            for name in _named(data.get(section)).keys() - saved.keys()
        ),
        roles=_roles(data.get("operators"), operators),
        whole=False,
    )


def _databases(data: object) -> InfluxDb | Databases | None:
    if not isinstance(data, list):
        return _one(InfluxDb, data)
    return tuple(each for one in data if (each := _one(InfluxDb, one)) is not None)


def _roles(data: object, saved: OperatorSettings | None) -> frozenset[str] | None:
    """The names of the roles; None where they are given and could not be saved."""
    if saved is not None or data is None:
        return frozenset(saved.roles if saved else ())
    return None


def _listed(data: object) -> dict[int, Any]:
    return dict(enumerate(data)) if isinstance(data, list) else {}


def _named(data: object) -> dict[str, Any]:
    items = data.items() if isinstance(data, dict) else ()
    return {name: each for name, each in items if isinstance(name, str)}


def _lost_lines(data: Mapping[int, Any], saved: Mapping[int, Saved[Line]]) -> Iterator[str]:
    for index, line in data.items():
        if index not in saved and isinstance(line, dict) and isinstance(line.get("name"), str):
            yield line["name"]


Key = TypeVar("Key", int, str)
AnyModel = TypeVar("AnyModel", bound=BaseModel)


def _each(adapter: TypeAdapter[T], data: Mapping[Key, Any]) -> dict[Key, Saved[T]]:
    saved = {key: _saved(adapter, each) for key, each in data.items()}
    return {key: each for key, each in saved.items() if each is not None}


def _one(model: type[AnyModel], data: object) -> AnyModel | None:
    saved = _saved(TypeAdapter(model), data) if data is not None else None
    return saved.value if saved and saved.whole else None


def _saved(adapter: TypeAdapter[T], data: Any) -> Saved[T] | None:  # noqa: ANN401 - merged data
    """``data`` as the adapter's type, less what is wrong in it; None when that leaves nothing."""
    complete = True
    for attempt in range(ROUNDS):
        try:
            return Saved(adapter.validate_python(data), complete, clean=attempt == 0)
        except ValidationError as error:
            data = deepcopy(data) if attempt == 0 else data
            errors = error.errors(include_url=False, include_context=False)
            complete = complete and all(each["type"] == "extra_forbidden" for each in errors)
            if not _prune(data, {_existing(data, _wrong(each)) for each in errors}):
                return None
    return None


def _wrong(error: ErrorDetails) -> Path:
    """What to take away for ``error``: the key, or the channel, of which half says nothing."""
    path = path_of(error)
    if "channels" in path and error["type"] != "extra_forbidden":
        return path[: path.index("channels") + 2]
    return path


def _prune(data: Any, wrong: set[Path]) -> bool:  # noqa: ANN401 - as above
    """Take the keys at ``wrong`` out of ``data``; False where one cannot be taken."""
    for path in wrong:
        if not path or isinstance(path[-1], int):
            return False  # an item of a list: the others would no longer be at their index
        above = data
        for step in path[:-1]:
            above = above[step] if _has(above, step) else {}
        above.pop(path[-1], None)
    return True


def _existing(data: Any, path: Path) -> Path:  # noqa: ANN401 - as above
    """As much of ``path`` as leads somewhere."""
    for length, step in enumerate(path):
        if not _has(data, step):
            return path[:length]
        data = data[step]
    return path


def _has(data: object, step: str | int) -> bool:
    if isinstance(data, list):
        return isinstance(step, int) and step < len(data)
    return isinstance(data, dict) and step in data

"""What pydantic found, in words for people: where it is in the file, and what was perhaps meant."""

from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from config.limits import RULE_KEYS, RULE_TAGS
from config.lines import WIRES, Modbus, OpcUa
from config.problems import Finding, Path, did_you_mean
from config.registers import RegisterSpec

SECRET_KEYS = frozenset({"token", "password"})
"""What stands under these is never shown."""

_TAGS = frozenset(
    {
        "a setting",
        "the word off",
        "the word all",
        "a list of acts",
        "a step",
        "steps",
        "a database",
        "databases",
        "a register",
        "a node",
        "a Modbus line",
        "an OPC UA line",
    }
    | {"a name", "a secret", *RULE_TAGS}
)
_SHOWN = ("int_", "float_", "finite_", "less_", "greater_", "string_pattern")
"""Errors of numbers and names. A word where a mapping belongs may be a secret."""


def findings(model: type[BaseModel], error: ValidationError) -> Iterator[Finding]:
    """Each error of ``error``, which ``model`` raised, at its path in the data."""
    errors = error.errors(include_url=False)
    paths = {path_of(each) for each in errors}
    for each in errors:
        path = path_of(each)
        if each["type"] == "too_short" and any(
            path == other[: len(path)] for other in paths - {path}
        ):
            continue  # there are items, and what is wrong with them is said
        at_key = each["type"] == "extra_forbidden" or each["loc"][-1:] == ("[key]",)
        yield Finding(path, _words(model, each, path), at_key=at_key)


def path_of(error: ErrorDetails) -> Path:
    """The place of ``error`` by keys and indices, without pydantic's names of union members."""
    return tuple(step for step in error["loc"] if step not in _TAGS and step != "[key]")


def _words(model: type[BaseModel], error: ErrorDetails, path: Path) -> str:  # noqa: PLR0911 - one return for each kind of error
    context = error.get("ctx", {})
    if SECRET_KEYS.intersection(path[:-1]) and error["type"] == "extra_forbidden":
        return _unknown_key(model, path)
    if path and path[-1] in SECRET_KEYS:
        return "a secret is not written here; say where it is: credential, file or env"
    match error["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return _foreign_key(error) or _unknown_key(model, path)
        case "value_error":
            return str(context.get("error", error["msg"]))
        case "string_pattern_mismatch":
            given = _shown(error, path)
            return f"a name is lower case letters, digits, - and _, at most 63{given}"
        case "literal_error" if "the word all" in error["loc"]:
            return "should be the word all, or a list of acts"
        case "literal_error" | "enum":
            expected = str(context["expected"])
            known = expected.replace(" or ", ", ").replace("'", "").split(", ")
            return f"should be {expected}{did_you_mean(str(error['input']), known)}"
        case "union_tag_not_found":
            return _no_member(error["input"], path)
        case _:
            return _plain(error["msg"]) + _shown(error, path)


def _no_member(value: object, path: Path) -> str:
    """What to write where a value is none of the forms that it can have."""
    if not isinstance(value, Mapping):
        return "should be keys and values"
    if path[0] != "lines":
        return f"a rule says one of {', '.join(RULE_KEYS)}"
    both = WIRES.keys() <= value.keys()
    text = "a line is one connection, of one wire" if both else "how the line is reached is missing"
    return f"{text}: {' or '.join(WIRES.values())}"


def _plain(message: str) -> str:
    """Pydantic's words without its own names for types."""
    if "valid dictionary" in message or "valid mapping" in message:
        return "should be keys and values"
    swaps = {
        "Input should": "should",
        "Tuple should": "should",
        "Dictionary should": "should",
        "String should": "should",
        "a valid tuple": "a list",
        "a valid string": "text (in quotes, if it looks like a number)",
        "a valid integer": "a whole number",
        "a valid number": "a number",
        "after validation, not 0": "in it, not none",
    }
    for theirs, ours in swaps.items():
        message = message.replace(theirs, ours)
    message = message.split(", unable to parse")[0].split(", got a number with")[0]
    return message[:1].lower() + message[1:]


def _shown(error: ErrorDetails, path: Path) -> str:
    """The value, where it is short and no secret."""
    value = error["input"]
    scalar = isinstance(value, int | float | str)
    if scalar and error["type"].startswith(_SHOWN) and not SECRET_KEYS.intersection(path):
        shown = repr(value) if isinstance(value, str) else str(value)
        return f" (got {shown})" if len(shown) <= 40 else ""  # noqa: PLR2004 - what fits a line
    return ""


def _foreign_key(error: ErrorDetails) -> str | None:
    """What to say of a key of the other wire."""
    where, key = error["loc"], error["loc"][-1]
    if "a node" in where and key in RegisterSpec.model_fields:
        return f"{key!r} is for registers, and this is a node; leave it out"
    if "an OPC UA line" in where and key in {"host", "port"}:
        return f"{key!r} is said by the endpoint: opc.tcp://host:port"
    if "an OPC UA line" in where and key in Modbus.model_fields:
        return f"{key!r} is for Modbus, and this line is OPC UA; leave it out"
    if "a Modbus line" in where and key in OpcUa.model_fields:
        return f"{key!r} is for OPC UA, and this line is Modbus; leave it out"
    return None


def _unknown_key(model: type[BaseModel], path: Path) -> str:
    key, known = str(path[-1]), keys_at(model, path[:-1])
    if key in known:  # Of another form of the same thing: a rule is high or low, not both.
        return f"{key!r} does not go with the other keys here"
    return f"unknown key {key!r}{did_you_mean(key, known)}"


def keys_at(model: type[BaseModel], path: Sequence[str | int]) -> set[str]:
    """The keys that ``model`` knows in the mapping at ``path``."""
    here: list[Any] = [model]
    for step in path:
        here = [each for kind in here for each in _below(kind, step)]
    return {
        field.alias or name
        for kind in here
        if isinstance(kind, type) and issubclass(kind, BaseModel)
        for name, field in kind.model_fields.items()
    }


def _below(kind: Any, step: str | int) -> Iterator[Any]:  # noqa: ANN401 - a type, of any form
    """The types that can stand under ``step`` of a value of type ``kind``."""
    origin = get_origin(kind)
    if isinstance(kind, type) and origin is None and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            if step in {name, field.alias}:
                yield from _members(field.annotation)
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        yield from _members(get_args(kind)[1])
    elif origin is tuple:
        yield from _members(get_args(kind)[0])


def _members(kind: Any) -> Iterator[Any]:  # noqa: ANN401 - as above
    """The members of a union, through annotations."""
    origin = get_origin(kind)
    if origin is Annotated:
        yield from _members(get_args(kind)[0])
    elif origin in {Union, UnionType}:
        for each in get_args(kind):
            yield from _members(each)
    else:
        yield kind

"""An OPC UA node as a site writes it, and what can be wrong with it.

``{node: "nsu=http://vendor/;s=R3.pH", unit: pH}``: the namespace by its URI, then the identifier,
as OPC 10000-6 (5.3.1.10) writes them. An index (``ns=3``) is refused: it is the namespace's place
in a list that a server may make anew at each start, so that one day the same words are another
node.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterator
from typing import Annotated, NamedTuple
from uuid import UUID

from pydantic import AfterValidator, WithJsonSchema

from config.catalogue import Entry
from config.meaning import MeaningSpec, converted
from config.plant import ChannelType, Node
from config.problems import Finding
from config.units import symbol

STANDARD = "http://opcfoundation.org/UA/"
"""The namespace of OPC UA's own nodes, index 0 on every server."""
LARGEST_NUMBER = 2**32 - 1
LONGEST_TEXT = 4096
"""Characters of a string identifier, and bytes of an opaque one (OPC 10000-3, 8.2)."""

_EXAMPLE = 'write "nsu=http://vendor/;s=R3.pH"'
_PATTERN = r"^(nsu=[^;]+;)?(i=[0-9]+|s=.+|g=[0-9A-Fa-f-]{36}|b=[A-Za-z0-9+/]+=*)$"
_GUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_ESCAPED = re.compile(r"%(3B|25)", re.IGNORECASE)
"""The two characters that a URI has escaped here, since they would end it or begin an escape."""


class NodeId(NamedTuple):
    """A node, by its namespace's URI and its identifier (``s=R3.pH``)."""

    namespace: str
    identifier: str

    def __str__(self) -> str:
        escaped = self.namespace.replace("%", "%25").replace(";", "%3B")
        return f"nsu={escaped};{self.identifier}"


def node_id(text: str, namespace: str = STANDARD) -> NodeId:
    """The node that ``text`` names; ``namespace`` is that of a node written without ``nsu=``.

    Equal nodes come out equal, however they were written. Raises ``ValueError`` for people.
    """
    first, semicolon, rest = text.partition(";")
    if first.startswith("nsu=") and semicolon:
        uri = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), first.removeprefix("nsu="))
        return NodeId(namespace_uri(uri), _identifier(rest))
    if first.startswith("ns="):
        raise ValueError(_no_index(first.removeprefix("ns="), rest))
    if first.startswith("svr="):
        raise ValueError("a node of another server is read over a line to that server")
    return NodeId(namespace, _identifier(text))


def namespace_uri(text: str) -> str:
    """``text``, where it can be a namespace's URI. Raises ``ValueError``."""
    if not text or text != text.strip():
        raise ValueError(f"a namespace is missing behind nsu=: {_EXAMPLE}")
    if text.removeprefix("ns=").isdecimal():
        raise ValueError(f"{text!r} is an index, which a server may change; give the URI")
    return text


def _no_index(index: str, rest: str) -> str:
    if index == "0":
        return f'a node of OPC UA\'s own is written without ns=0: "nsu={STANDARD};{rest}"'
    return (
        f"the index {index} may be another namespace's after the server's next start; "
        f'write the namespace by its URI: "nsu=URI;{rest}"'
    )


def _identifier(text: str) -> str:
    """``text`` in the one form that equal identifiers have. Raises ``ValueError``."""
    kind, value = text[:2], text[2:]
    match kind:
        case "i=":
            return kind + _number(value)
        case "s=":
            return kind + _text(value)
        case "g=":
            return kind + _guid(value)
        case "b=":
            return kind + _opaque(value)
        case _:
            raise ValueError(f"a node is i=, s=, g= or b= behind its namespace: {_EXAMPLE}")


def _number(value: str) -> str:
    if not (value.isascii() and value.isdecimal()) or len(value) > len(str(LARGEST_NUMBER)):
        raise ValueError(f"i= is a whole number from 0 to {LARGEST_NUMBER}")
    if int(value) > LARGEST_NUMBER:
        raise ValueError(f"i= is a whole number from 0 to {LARGEST_NUMBER}")
    return str(int(value))


def _text(value: str) -> str:
    if not 0 < len(value) <= LONGEST_TEXT:
        raise ValueError(f"s= is a text of 1 to {LONGEST_TEXT} characters: {_EXAMPLE}")
    return value


def _guid(value: str) -> str:
    if not _GUID.fullmatch(value):
        raise ValueError("g= is a GUID such as 09087e75-8e5e-499b-954f-f2a9603db28a")
    return str(UUID(value))


def _opaque(value: str) -> str:
    try:
        raw = b64decode(value, validate=True)
    except (NotBase64, ValueError) as error:
        raise ValueError("b= is base64, such as M/RbKBsRVkePCePcx24oRA==") from error
    if not 0 < len(raw) <= LONGEST_TEXT:
        raise ValueError(f"b= is 1 to {LONGEST_TEXT} bytes in base64")
    return b64encode(raw).decode()


def _checked(text: str) -> str:
    node_id(text)
    return text


Namespace = Annotated[
    str, AfterValidator(namespace_uri), WithJsonSchema({"type": "string", "minLength": 1})
]
"""The URI of a namespace."""


class NodeSpec(MeaningSpec):
    """Which node of an OPC UA server one value is, and what it means."""

    node: Annotated[
        str, AfterValidator(_checked), WithJsonSchema({"type": "string", "pattern": _PATTERN})
    ]
    """``nsu=URI;s=ID`` (or ``i=``, ``g=``, ``b=``); without ``nsu=`` in the ``namespace`` of the
    source or its profile, and where that is not given either, in OPC UA's own."""


def node_faults(spec: NodeSpec, entry: Entry) -> Iterator[Finding]:
    """What is wrong with ``spec`` because of what a node can give for ``entry``."""
    words = entry.type is ChannelType.TEXT and not spec.names
    if spec.sentinels and words:
        yield Finding(("sentinels",), "a text has no sentinels")
    for index, sentinel in enumerate(spec.sentinels):
        if entry.type is not ChannelType.ANALOG and not words and not sentinel.is_integer():
            text = f"{sentinel:g} is no whole number, and a {entry.type} is read from one"
            yield Finding(("sentinels", index), text)


def _compares(spec: NodeSpec, entry: Entry) -> bool:
    """Whether the unit that the server says must be that of the file.

    What the site scales itself it has given another unit than the server knows.
    """
    return bool(entry.unit) and (spec.scale, spec.offset) == (1.0, 0.0)


def node_of(spec: NodeSpec, entry: Entry, namespace: str) -> Node:
    """The node that ``spec`` comes to; ``namespace`` where it names none. Nothing must be wrong."""
    found = node_id(spec.node, namespace)
    return Node(
        namespace=found.namespace,
        identifier=found.identifier,
        unit=symbol(spec.unit or entry.unit) if _compares(spec, entry) else "",
        sentinels=frozenset(spec.sentinels),
        **converted(spec, entry),
    )

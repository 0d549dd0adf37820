"""What a terminal is told, without anything in it that would move its cursor or turn its words.

Where standard output or error is a terminal, every command writes through this: whatever a person,
a device or a server has put into a text is shown and not obeyed. What goes into a file or a pipe is
left as it is, since that is data.
"""

import io
import json
import re
import sys

_OBEYED = re.compile(r"[^\n -~]")
"""What may not be printable; the rest is looked at one by one."""
_STYLE = re.compile(r"\x1b\[[0-9;]{0,20}m")
"""Colours and weights, which are our own: what others say is escaped before it is styled."""


def shown(text: str) -> str:
    """Return the text with every sign escaped that is not to be seen, as JSON escapes it."""
    if text.replace("\n", "").isprintable():
        return text
    styles = _STYLE.findall(text)
    parts = [_OBEYED.sub(_escaped, part) for part in _STYLE.split(text)]
    return "".join(part + style for part, style in zip(parts, [*styles, ""], strict=True))


def _escaped(found: re.Match[str]) -> str:
    return found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1]


class Terminal(io.TextIOWrapper):
    """A stream to a terminal."""

    def write(self, text: str, /) -> int:
        """Write what is ``shown`` of the text."""
        super().write(shown(text))
        return len(text)


def guard() -> None:
    """Let standard output and error be such streams where they are terminals."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and stream.isatty():
            stream.flush()
            wrapped = Terminal(
                stream.buffer, stream.encoding, "backslashreplace", line_buffering=True
            )
            setattr(sys, name, wrapped)

"""How figures are said to people, on a page and in a terminal. Pure."""

from config.units import sign

_UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
_MINUTE = 60


def measure(value: float, unit: str) -> str:
    """Return a value with its unit, at most six significant digits."""
    return f"{value:.6g} {sign(unit)}".rstrip()


def area(unit_minutes: float, unit: str) -> str:
    """Return an area beyond a limit."""
    return f"{unit_minutes:.4g} {sign(unit)}·min"


def duration(seconds: float) -> str:
    """Return a time as people say it: ``42.3 s``, ``12 min 5 s``, ``3 h 20 min``, ``2 d 4 h``."""
    if round(seconds, 1) < _MINUTE:
        return f"{round(seconds, 1):g} s"
    left, parts = round(seconds), []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        parts.append((count, unit))
    first = next(place for place, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count)

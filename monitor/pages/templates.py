"""Where the templates of the pages are found, and how they are filled in."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from config.problems import plain


def environment() -> Environment:
    """Return what renders a template of this folder; all that is put into one is escaped.

    So are signs that would not be seen but would turn or hide others (``config.problems.plain``).
    """
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=_seen,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _seen(said: object) -> object:
    return plain(said) if type(said) is str else said  # Markup is what we have made ourselves.

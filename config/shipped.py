"""The profiles that come with cytowatch: a YAML file each in ``profiles/``, read when used."""

from functools import cache
from pathlib import Path

from config import yaml
from config.sources import Profile

FOLDER = Path(__file__).parent / "profiles"


@cache
def names() -> frozenset[str]:
    """The profiles there are."""
    return frozenset(path.stem for path in FOLDER.glob("*.yaml"))


@cache
def profile(name: str) -> Profile:
    """The shipped profile ``name``; it must be one of ``names()``."""
    document = yaml.read((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return Profile.model_validate(document.data)

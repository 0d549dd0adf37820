"""What is kept from run to run beside the record: alarms, the use of equipment, open excursions.

Each is one JSON text among the store's facts, saved with the tick that changed it. An alarm has it
under its own name, ``equipment/channel/rule``; all else has the word of its kind before the name,
and another number of slashes, since that word may be the name of an equipment, too.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

from drivers.reading import Moment
from monitor.alarms import snapshot, usage_snapshot
from monitor.alarms.facts import Alarm
from monitor.alarms.snapshot import SnapshotError
from monitor.alarms.usage import UNUSED, Usage
from monitor.excursions import case as excursion
from monitor.excursions.case import PREFIX as EXCURSION
from monitor.excursions.case import Case
from monitor.store import Store, StoreError

_T = TypeVar("_T")

USAGE = "usage/"
"""Before the name of an equipment."""


class Kept(NamedTuple):
    """All of it, each by the name that it has among its own."""

    alarms: Mapping[str, Alarm]
    usages: Mapping[str, Usage]
    excursions: Mapping[str, Case]


def load(store: Store, boot_id: str, now: Moment) -> Kept:
    """Return what was kept, as it means under ``boot_id`` at ``now``.

    Raises ``StoreError`` when a later release has kept it.
    """

    def each(owner: str, slashes: int, of: Callable[[str, str, Moment], _T]) -> dict[str, _T]:
        texts = _texts(store.facts, owner, slashes)
        return {name: of(text, boot_id, now) for name, text in texts.items()}

    try:
        return Kept(
            each("", 2, snapshot.load),
            each(USAGE, 1, usage_snapshot.load),
            each(EXCURSION, 3, excursion.load),
        )
    except SnapshotError as error:
        raise StoreError(
            f"{store.path}: {error}; start the release that wrote it, or move the file away"
        ) from error


def save(
    alarms: Mapping[str, Alarm],
    usages: Mapping[str, Usage],
    excursions: Mapping[str, Case | None],
    boot_id: str,
    now: Moment,
) -> dict[str, str]:
    """Return the texts of what changed (None: an excursion that is over), by the names of facts.

    An empty text forgets what was kept.
    """
    texts = {name: _alarm(alarm, boot_id, now) for name, alarm in alarms.items()}
    for name, usage in usages.items():
        texts[USAGE + name] = _usage(usage, boot_id, now)
    for name, case in excursions.items():
        texts[EXCURSION + name] = "" if case is None else excursion.dump(case, boot_id, now)
    return texts


def _alarm(alarm: Alarm, boot_id: str, now: Moment) -> str:
    return "" if alarm.at_rest else snapshot.dump(alarm, boot_id, now)


def _usage(usage: Usage, boot_id: str, now: Moment) -> str:
    return "" if usage == UNUSED else usage_snapshot.dump(usage, boot_id, now)


def _texts(facts: Mapping[str, str], owner: str, slashes: int) -> Mapping[str, str]:
    """Return the facts of one owner, by their names without it."""
    return {
        name.removeprefix(owner): text
        for name, text in facts.items()
        if name.startswith(owner) and name.count("/") == slashes
    }

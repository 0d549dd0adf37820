"""Recorded readings run through a site's file once more, by the engine that judges live ones. Pure.

``rows`` reads what an export or a store holds, ``scans`` puts it back into the scans that it was,
``trial`` has them judged and counts what would have been told.
"""

from monitor.replay.rows import Recorded, Row, RowError, recorded, rows_of_csv, rows_of_json
from monitor.replay.scans import Scans, Step
from monitor.replay.trial import Judged, ReplayTold, Tally, Trial

__all__ = [
    "Judged",
    "Recorded",
    "ReplayTold",
    "Row",
    "RowError",
    "Scans",
    "Step",
    "Tally",
    "Trial",
    "recorded",
    "rows_of_csv",
    "rows_of_json",
]

"""The durable record: one SQLite file with everything that was read, judged and done.

A tick is one transaction; what it has acknowledged survives ``kill -9`` and power loss. Sinks read
from here what they deliver, and confirm; nobody else is told anything that is not committed.
"""

from monitor.store.errors import StoreError
from monitor.store.events import Event
from monitor.store.line_protocol import Template
from monitor.store.store import Store
from monitor.store.tick import Blob, Lane, LaneStatus, Last, StoreStatus, Tick

__all__ = [
    "Blob",
    "Event",
    "Lane",
    "LaneStatus",
    "Last",
    "Store",
    "StoreError",
    "StoreStatus",
    "Template",
    "Tick",
]

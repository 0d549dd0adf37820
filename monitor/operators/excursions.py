"""Excursions as they are asked for on the local socket: which of them, out of the record. Pure."""

import json
from collections.abc import Iterator, Mapping

from monitor.alarms.performance import nanoseconds
from monitor.operators.base import History
from monitor.operators.protocol import ExcursionsRequest


def recorded(request: ExcursionsRequest, history: History) -> Iterator[str]:
    """Give the records that are over and asked for, as JSON.

    One is put on the record after its end, so none that is wanted stands there before ``since``.
    """
    for event in history.of_kind("excursion", request.since or 0):
        if request.equipment in {None, event.subject.split("/")[0]} and is_asked_for(
            json.loads(event.body), request
        ):
            yield event.body


def is_asked_for(record: Mapping[str, object], request: ExcursionsRequest) -> bool:
    """Whether a record, as JSON has it or as a model's dump, is one that is asked for."""
    end, wanted = record["end"], request.excursion
    batches = record["batches"]
    return (
        request.equipment in {None, record["equipment"]}
        and (not wanted or f"/{record['excursion']}".endswith(f"/{wanted}"))
        and (not request.batch or (isinstance(batches, list | tuple) and request.batch in batches))
        and (request.until is None or nanoseconds(str(record["start"])) < request.until)
        and (request.since is None or end is None or nanoseconds(str(end)) >= request.since)
    )

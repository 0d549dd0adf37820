"""An archive on its way to whoever asked for it: what is taken out of the record, as messages."""

from base64 import b64encode
from collections.abc import Iterator
from typing import NamedTuple, assert_never

from monitor import VERSION
from monitor.messages import rfc3339
from monitor.operators.base import History
from monitor.operators.protocol import ArchivePieceMessage, ArchivePlanMessage, ArchiveRequest
from monitor.store.archive import Manifest, Piece, Plan, Taken, Wanted


class Maker(NamedTuple):
    """Where, when and by whom an archive is made."""

    made: int
    """UTC (ns)."""
    user: str = ""
    site: str = ""
    """For a record that does not say itself where it is of; so is the gateway."""
    gateway: str = ""


def archived(request: ArchiveRequest, history: History, maker: Maker) -> Iterator[str]:
    """Give the plan, the pieces and the manifest, which has no members yet; a line of JSON each."""
    wanted = Wanted(request.start, request.end, request.first, request.last)
    for told in history.archive(wanted):
        match told:
            case Plan():
                plan = ArchivePlanMessage(store=str(told.store), bytes=told.bytes)
                yield plan.model_dump_json(by_alias=True)
            case Piece():
                data = b64encode(told.data).decode("ascii")
                piece = ArchivePieceMessage(member=told.member, data=data)
                yield piece.model_dump_json(by_alias=True)
            case Taken():
                yield _manifest(request, told, maker).model_dump_json(by_alias=True)
            case _:
                assert_never(told)


def said(request: ArchiveRequest) -> str:
    """Return in words what is asked for."""
    start, end = _bound(request.start, request.first), _bound(request.end, request.last)
    return f"the record from {start or 'its beginning'} to {end or 'now'}"


def _manifest(request: ArchiveRequest, taken: Taken, maker: Maker) -> Manifest:
    site, gateway = taken.place
    return Manifest(
        site=site or maker.site,
        gateway=gateway or maker.gateway,
        store_id=taken.store_id,
        release=VERSION,
        made=rfc3339(maker.made),
        made_by=maker.user,
        asked_from=_bound(request.start, request.first),
        asked_to=_bound(request.end, request.last),
        links=taken.links,
        events=taken.events,
        readings=taken.readings,
        before=taken.before,
        after=taken.after,
        spoilt=taken.spoilt,
    )


def _bound(time: int | None, number: int | None) -> str:
    if time is not None:
        return rfc3339(time)
    return "" if number is None else f"event {number}"

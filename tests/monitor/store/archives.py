"""Archives of small records, and what a tamperer does to one."""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

from monitor.store import Store
from monitor.store.archive import Manifest, Member, Piece, Plan, Range, Taken, Wanted
from monitor.store.packing import pack
from monitor.store.reader import Reader
from tests.monitor.store.support import NOON, QUOTA, SECOND, event, tick_of

CONFIG = ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "")
Members = dict[str, bytes]


async def record(path: Path, ticks: int = 6, *, quota: int = QUOTA) -> list[str]:
    """A closed store; each tick has two blobs, two events and one link. Return all its heads.

    The events of tick N, from 0 on, are of N seconds after noon, its readings of about then.
    """
    heads = []
    async with Store.open(path, quota=quota) as store:
        groups = await store.groups([("incubator-0",), ("incubator-1",)])
        for number in range(ticks):
            at = NOON + number * SECOND
            tick = tick_of(groups, 1 + 4 * number, at=at - 4 * number * SECOND // 10)
            first = 2 * number + 1
            tick.events = [event(first, at=at), event(first + 1, seq=number + 1, at=at)]
            tick.config = CONFIG if number == 0 else None
            await store.commit(tick)
            heads.append(store.last.head)
    return heads


def archived(store: Path, target: Path, wanted: Wanted = Wanted()) -> Manifest:  # noqa: B008 - frozen
    """Make an archive as the command line does."""

    def told(piece: Plan | Piece | Taken) -> Plan | Piece | Manifest:
        return manifest_of(piece) if isinstance(piece, Taken) else piece

    with Reader(store) as reader:
        return pack(target, map(told, reader.archive(wanted)))


def manifest_of(taken: Taken) -> Manifest:
    said = {name: getattr(taken, name) for name in Taken._fields if name != "place"}
    site, gateway = taken.place
    return Manifest(
        **said,
        site=site,
        gateway=gateway,
        release="0.1.0",
        made="",
        made_by="",
        asked_from="",
        asked_to="",
    )


def members(path: Path) -> Members:
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def write(path: Path, files: Mapping[str, bytes], *, honest: bool = False) -> Path:
    """Write an archive of these members; ``honest``: its manifest says of them what is so."""
    told = dict(files)
    if honest:
        manifest = json.loads(told["manifest.json"])
        manifest["members"] = [
            {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in told.items()
            if name != "manifest.json"
        ]
        told["manifest.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(path, "w") as file:
        for name, data in told.items():
            file.writestr(name, data)
    return path


__all__ = ["CONFIG", "Member", "Range", "archived", "manifest_of", "members", "record", "write"]

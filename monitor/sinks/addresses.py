"""Where a database is written to, by flavour. Pure.

v3 is written to by its own address: it says which lines it refused, and the rest is stored
(``accept_partial``); it answers when its log has reached the disk (``no_sync=false``).
"""

from collections.abc import Mapping
from typing import assert_never
from urllib.parse import urlsplit

from config.site import InfluxDb
from monitor.sinks.answers import Flavour, Server


def flavour(settings: InfluxDb, told: Flavour | None) -> Flavour:
    """Return whose address is written to: as the file says, or the server, or the file hints."""
    if settings.api is not None:
        return settings.api
    return told or ("v2" if settings.bucket else "v1")


def address(settings: InfluxDb, api: Flavour) -> tuple[str, Mapping[str, str]]:
    """Return the url to write to, and its query."""
    base = settings.url.rstrip("/")
    bucket, database = settings.bucket or settings.database, settings.database or settings.bucket
    match api:
        case "v1":
            policy = {"rp": settings.retention_policy} if settings.retention_policy else {}
            return f"{base}/write", {"db": database, **policy, "precision": "ms"}
        case "v2" | "cloud":
            query = {"org": settings.org, "bucket": bucket, "precision": "ms"}
            return f"{base}/api/v2/write", query
        case "v3":
            query = {"db": database, "precision": "millisecond", "accept_partial": "true"}
            return f"{base}/api/v3/write_lp", {**query, "no_sync": "false"}
        case _:
            assert_never(api)


def ping(settings: InfluxDb) -> str:
    """Return the url that says who answers."""
    return f"{settings.url.rstrip('/')}/ping"


def retention(settings: InfluxDb, server: Server) -> tuple[str, Mapping[str, str]]:
    """Return the url that says how long points are kept, and its query.

    v3's list of databases has but their names; its InfluxQL tells the period of one.
    """
    base = settings.url.rstrip("/")
    bucket, database = settings.bucket or settings.database, settings.database or settings.bucket
    match server.flavour:
        case "v1":
            return f"{base}/query", {"db": database, "q": _POLICIES}
        case "v2" | "cloud":
            return f"{base}/api/v2/buckets", {"org": settings.org, "name": bucket}
        case "v3":
            query = {"db": database, "q": _POLICIES, "format": "json"}
            return f"{base}/api/v3/query_influxql", query
        case _:
            assert_never(server.flavour)


_POLICIES = "SHOW RETENTION POLICIES"


def where(url: str) -> str:
    """Return the server's part of a url for people, without a password that may stand in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

r"""What a database's answer to a write means. Pure.

The flavours use the same codes for different things: 400 is "nothing written" on v2, and "all but
some written" on v1 and v3; v2 says the latter by 422, by which v3 means a limit of its own. Where
nobody knows who answers, nothing counts as written: identical lines can be sent again.
Only 204 means that everything is written: 200 with a page of HTML is what a captive portal says.
Sources: InfluxDB 1.x ``services/httpd/handler.go`` (serveWriteLineProtocol), the v2 OSS and Cloud
API references for ``/api/v2/write``, the v3 reference for ``/api/v3/write_lp``.
"""

import json
import re
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Literal, NamedTuple

from pydantic import BaseModel, Field, JsonValue, TypeAdapter, ValidationError

from config.problems import plain

Flavour = Literal["v1", "v2", "cloud", "v3"]
"""InfluxDB 1.x, 2.x on a host of one's own, Cloud with the API of 2.x, and 3.x."""
LONGEST_WAIT = 300.0
"""Seconds that a Retry-After can make us wait at most."""
LONGEST_WORDS = 500
"""Characters of the server's words that are kept."""


class Written(NamedTuple):
    """All of it is written."""


class RetryAfter(NamedTuple):
    """The server asks for patience."""

    seconds: float
    words: str


class TooLarge(NamedTuple):
    """Nothing is written; the body must be smaller."""

    words: str


class Poison(NamedTuple):
    """Nothing is written, for the sake of at least one line that never will be."""

    words: str


class PartlyWritten(NamedTuple):
    """All is written but some lines that never will be."""

    words: str
    dropped: int | None
    """How many, where the server says so (0 from v1 when it names them instead)."""
    named: tuple[bytes, ...] = ()
    """Those that the server names."""


class Misconfigured(NamedTuple):
    """Nothing is written until somebody mends the configuration, here or there."""

    words: str


class Unwell(NamedTuple):
    """Nothing is known to be written; the server, or what stands before it, is not well."""

    words: str


Verdict = Written | RetryAfter | TooLarge | Poison | PartlyWritten | Misconfigured | Unwell

_DROPPED = re.compile(r"\bdropped[=: ]+(\d+)")
_NAMED = re.compile(r"^(?:partial write: )?unable to parse '(.*)': ", re.MULTILINE)
_ABOUT_A_LINE = re.compile(
    r"pars|line protocol|line\(s\)|\bpoints?\b|\bfields?\b|\btags?\b|measurement|timestamp|partial"
)
_HINTS = {
    401: "the token, or user and password, are not accepted: put one that is valid where the file"
    " says, it is read anew at each try",
    403: "the token or user may not write there: give it the right to write to this bucket",
    404: "there is no such bucket, database or retention policy, or no such address: make it, or"
    " mend its name",
}


class Server(NamedTuple):
    """Which database it is, by its own word."""

    flavour: Flavour
    version: str

    def __str__(self) -> str:
        return f"InfluxDB {self.version}"


def identify(headers: Mapping[str, str]) -> Server | None:
    """Return who answers, by the headers that all flavours bear; None for who does not say."""
    version = headers.get("X-Influxdb-Version", "").strip()
    build = headers.get("X-Influxdb-Build", "")
    if "cloud" in f"{build} {version}".lower():
        return Server("cloud", f"Cloud {version}".strip())
    found = _FLAVOURS.get(version.lstrip("v").partition(".")[0])
    return Server(found, version[:40]) if found else None


_FLAVOURS: Mapping[str, Flavour] = {"1": "v1", "2": "v2", "3": "v3"}


class _Rule(BaseModel):
    every_seconds: int = Field(0, alias="everySeconds")


class _Bucket(BaseModel):
    rules: list[_Rule] = Field([], alias="retentionRules")


class _Series(BaseModel):
    columns: list[str] = []
    values: list[list[JsonValue]] = []


class _Result(BaseModel):
    series: list[_Series] = []


class _Told(BaseModel):
    buckets: list[_Bucket] = []
    results: list[_Result] = []


class _Policy(BaseModel):
    """A row of v3, which has one for each database: the one that was asked about."""

    duration: str | None


_ANSWER: TypeAdapter[_Told | list[_Policy]] = TypeAdapter(_Told | list[_Policy])


def kept(body: bytes, policy: str) -> int | None:
    """Return for how long (ns) points are kept: by the bucket (v2), policies (v1) or database (v3).

    ``policy`` is the one that is written to on v1; empty for the default one. 0: for ever. None:
    the answer does not say; earlier releases of v3 leave the duration out.
    """
    try:
        told = _ANSWER.validate_json(body)
    except ValidationError:
        return None
    seconds = [each for each in _durations(told, policy) if each is not None]
    return min(filter(None, seconds), default=0) * _SECOND if seconds else None


def _durations(told: _Told | list[_Policy], policy: str) -> Iterator[int | None]:
    """Give each period (s) that points are kept for; 0: for ever; None: it cannot be read."""
    if isinstance(told, list):
        yield from (_seconds(row.duration) for row in told if row.duration)
        return
    for bucket in told.buckets[:1]:
        yield from [rule.every_seconds for rule in bucket.rules] or [0]
    for row in _policies(told):
        if row.get("name") == policy or (not policy and row.get("default") is True):
            yield _seconds(str(row.get("duration", "")))


def _policies(told: _Told) -> Iterator[Mapping[str, JsonValue]]:
    for series in (each for result in told.results for each in result.series):
        for values in series.values:
            yield dict(zip(series.columns, values, strict=False))


def _seconds(duration: str) -> int | None:
    """Return the seconds of a duration as InfluxDB 1.x and 3.x write it: ``168h0m0s``."""
    found = _DURATION.fullmatch(duration)
    if not duration or found is None:
        return None
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return (hours * 60 + minutes) * 60 + seconds


_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_SECOND = 10**9


def judge(flavour: Flavour | None, status: int, headers: Mapping[str, str], body: bytes) -> Verdict:
    """Return what an answer means; ``headers`` are looked up as ``Retry-After``, ``Location``."""
    words = _words(body)
    match status:
        case 204:
            return Written()
        case 400 | 422:
            return _refused(flavour, status, words, body)
        case 401 | 403 | 404:
            return Misconfigured(f"{status}: {_HINTS[status]} ({words})")
        case 413:
            return TooLarge(f"413: {words}")
        case 429 | 503 if (seconds := _patience(headers)) is not None:
            return RetryAfter(min(seconds, LONGEST_WAIT), f"{status}: {words}")
        case _:
            return _no_answer(status, headers, words)


def _no_answer(status: int, headers: Mapping[str, str], words: str) -> Verdict:
    """Judge what no write is answered with, or a failure of the server's own."""
    if 200 <= status < 300:  # noqa: PLR2004 - the success codes of HTTP
        return Unwell(f"answered {status} where a database answers 204; who is that? ({words})")
    if 300 <= status < 400:  # noqa: PLR2004 - the redirections of HTTP
        target = headers.get("Location", "nowhere")
        return Misconfigured(f"{status}: sends us on to {target}; put the right url in the file")
    if "no space left on device" in words:
        # InfluxDB 1.x goes on refusing when there is room again.
        words += "; make room on its disk, and restart it if that does not help"
    return Unwell(f"{status}: {words}")


def _refused(flavour: Flavour | None, status: int, words: str, body: bytes) -> Verdict:
    """Judge a 400 or 422: about the lines, or about the request as a whole."""
    text = f"{status}: {words}"
    if body.lstrip().startswith(b"<"):
        return Misconfigured(f"{text}; a page: something stands before the database")
    if flavour == "v3" and status == 422:  # noqa: PLR2004 - v3's limits on tables and columns
        return Misconfigured(f"{text}; raise the database's limit")
    if status == 422 or "partial write" in words.lower():  # noqa: PLR2004 - v2's partial write
        return PartlyWritten(text, _dropped(words), _named(body))
    if not _ABOUT_A_LINE.search(words.lower()) or "gzip" in words:
        return Misconfigured(text)
    match flavour:
        case "v1":
            return PartlyWritten(text, _dropped(words), _named(body))
        case "v2" | "cloud" | "v3" | None:
            return Poison(text)


def _dropped(words: str) -> int | None:
    found = _DROPPED.search(words)
    return int(found[1]) if found else None


def _named(body: bytes) -> tuple[bytes, ...]:
    """Return the lines that the answer quotes: v3 in ``data``, v1 in its words."""
    answer = _json(body)
    data = answer.get("data")
    entries = data if isinstance(data, list) else [data]
    quoted = [entry.get("original_line") for entry in entries if isinstance(entry, dict)]
    lines = [line for line in quoted if isinstance(line, str)] or _NAMED.findall(_message(answer))
    return tuple(line.encode() for line in lines)


def _patience(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that Retry-After asks for, given as a number or (by RFC 9110) a date.

    A date is compared with the answer's own, so that no clock of ours comes into it.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text[:9])
    try:
        until = parsedate_to_datetime(text)
        return max((until - parsedate_to_datetime(headers.get("Date", ""))).total_seconds(), 0.0)
    except (TypeError, ValueError):
        return None


def _words(body: bytes) -> str:
    """Return what the server says for people: of its JSON the message, else the text, shortened."""
    text = _message(_json(body)) or body.decode(errors="replace")
    return plain(" ".join(text.split())[:LONGEST_WORDS]) or "without a word"


def _message(answer: Mapping[str, object]) -> str:
    """Return the message: ``error`` in v1 and v3, ``message`` in v2."""
    return str(answer.get("message") or answer.get("error") or "")


def _json(body: bytes) -> Mapping[str, object]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}

"""Every answer that a database of any flavour gives to a write, and what it means."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.sinks.answers import (
    LONGEST_WAIT,
    Flavour,
    Misconfigured,
    PartlyWritten,
    Poison,
    RetryAfter,
    TooLarge,
    Unwell,
    Written,
    judge,
)

UNPARSED = "unable to parse 'incubator co2=': missing field value"
CONFLICT = (
    'partial write: field type conflict: input field "co2" on measurement "incubator"'
    " is type string, already exists as type float dropped=1"
)
V3 = {
    "error": "partial write of line protocol occurred",
    "data": [
        {"original_line": "a b=", "line_number": 2, "error_message": "no value"},
        {"original_line": "c d=", "line_number": 7, "error_message": "no value"},
    ],
}


def v1(message: str) -> bytes:
    return json.dumps({"error": message}).encode()


def v2(code: str, message: str) -> bytes:
    return json.dumps({"code": code, "message": message}).encode()


TABLE: list[tuple[Flavour, int, bytes, object]] = [
    ("v1", 204, b"", Written),
    ("v1", 400, v1(f"partial write: {UNPARSED} dropped=0"), PartlyWritten),
    ("v1", 400, v1(UNPARSED), PartlyWritten),
    ("v1", 400, v1(CONFLICT), PartlyWritten),
    ("v1", 400, v1("partial write: points beyond retention policy dropped=7"), PartlyWritten),
    ("v1", 400, v1("database is required"), Misconfigured),
    ("v1", 400, v1("gzip: invalid header"), Misconfigured),
    ("v1", 401, v1("authorization failed"), Misconfigured),
    ("v1", 403, v1("write not authorized"), Misconfigured),
    ("v1", 404, v1('database not found: "plant"'), Misconfigured),
    ("v1", 413, v1("Request Entity Too Large"), TooLarge),
    ("v1", 500, v1("timeout"), Unwell),
    ("v1", 503, v1("overloaded"), Unwell),
    ("v2", 204, b"", Written),
    ("v2", 400, v2("invalid", UNPARSED), Poison),
    ("v2", 400, v2("invalid", 'organization name "x" not found'), Misconfigured),
    ("v2", 400, b"<html>Bad Request</html>", Misconfigured),
    ("v2", 400, v2("invalid", "partial write error (2 accepted): one bad"), PartlyWritten),
    ("v2", 400, json.dumps(V3).encode(), PartlyWritten),
    ("v2", 401, v2("unauthorized", "unauthorized access"), Misconfigured),
    ("v2", 403, v2("forbidden", "insufficient permissions"), Misconfigured),
    ("v2", 404, v2("not found", 'bucket "equipment" not found'), Misconfigured),
    ("v2", 413, b"<html>too large</html>", TooLarge),
    ("v2", 422, v2("unprocessable entity", CONFLICT), PartlyWritten),
    ("v2", 429, v2("too many requests", "limit"), Unwell),
    ("v2", 500, v2("internal error", "unexpected"), Unwell),
    ("v2", 502, b"<html>Bad Gateway</html>", Unwell),
    ("v2", 200, b"<html>Please log in</html>", Unwell),
    ("v2", 201, b"", Unwell),
    ("v2", 302, b"", Misconfigured),
    ("v2", 308, b"", Misconfigured),
    ("v2", 405, b"Method Not Allowed", Unwell),
    ("v2", 0, b"", Unwell),
]


@pytest.mark.parametrize(("flavour", "status", "body", "kind"), TABLE)
def test_each_answer_means_what_its_flavour_means_by_it(
    flavour: Flavour, status: int, body: bytes, kind: type
) -> None:
    assert isinstance(judge(flavour, status, {}, body), kind)


DATE = {"Date": "Sat, 31 Jan 2026 12:00:00 GMT"}


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "2"}, 2.0),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "999999999999999999999999"}, LONGEST_WAIT),
        ({"Retry-After": "Sat, 31 Jan 2026 12:00:30 GMT", **DATE}, 30.0),
        ({"Retry-After": "Sat, 31 Jan 2026 11:00:00 GMT", **DATE}, 0.0),
        ({"Retry-After": "Sat, 31 Jan 2126 12:00:00 GMT", **DATE}, LONGEST_WAIT),
    ],
)
def test_patience_is_taken_as_asked_for_but_has_an_end(
    status: int, headers: dict[str, str], seconds: float
) -> None:
    assert judge("v2", status, headers, b"") == RetryAfter(seconds, f"{status}: without a word")


@pytest.mark.parametrize("text", ["", "soon", "-3", "1.5", "Sat, 31 Jan 2026 12:00:30 GMT"])
def test_patience_that_makes_no_sense_is_left_to_the_backoff(text: str) -> None:
    assert isinstance(judge("v2", 503, {"Retry-After": text}, b""), Unwell)


def test_lines_that_the_server_names_are_read_off_its_words() -> None:
    both = f"partial write: {UNPARSED}\nunable to parse 'x\\ y z': it's bad: 'q' dropped=0"
    verdict = judge("v1", 400, {}, v1(both))
    assert isinstance(verdict, PartlyWritten)
    assert verdict.named == (b"incubator co2=", b"x\\ y z")
    assert verdict.dropped == 0


def test_v3_names_its_lines_in_data() -> None:
    verdict = judge("v2", 400, {}, json.dumps(V3).encode())
    assert isinstance(verdict, PartlyWritten)
    assert (verdict.named, verdict.dropped) == ((b"a b=", b"c d="), None)


def test_what_the_server_said_is_told_in_one_bounded_line() -> None:
    verdict = judge("v2", 500, {}, b"<html>\n\n  went\twrong " + b"x" * 10_000)
    assert isinstance(verdict, Unwell)
    assert verdict.words.startswith("500: <html> went wrong xxx")
    assert len(verdict.words) < 600


@given(
    flavour=st.sampled_from(["v1", "v2"]),
    status=st.integers(100, 599),
    body=st.binary(max_size=200) | st.from_type(dict).map(lambda it: json.dumps(it).encode()),
    retry=st.text(max_size=20),
)
def test_only_204_is_written_and_no_answer_is_too_odd(
    flavour: Flavour, status: int, body: bytes, retry: str
) -> None:
    verdict = judge(flavour, status, {"Retry-After": retry}, body)
    assert isinstance(verdict, Written) == (status == 204)

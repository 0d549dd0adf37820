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
    Server,
    TooLarge,
    Unwell,
    Written,
    identify,
    judge,
    kept,
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


HTML = b"<html><h1>Please log in</h1>fields, points and measurements</html>"
RETENTION = "partial write: points beyond retention policy dropped=7"
CLOUD = v2("invalid", "partial write error (2 accepted): one bad")
REFUSED_WHOLE = json.dumps(
    {"error": "parsing failed for write_lp endpoint", "data": {"original_line": "a b="}}
).encode()
TABLE_LIMIT = v1("Update to schema would exceed number of tables limit of 500 tables")

TABLE: list[tuple[Flavour | None, int, bytes, object]] = [
    # 1.x: what is wrong is dropped, and the rest is written.
    ("v1", 204, b"", Written),
    ("v1", 400, v1(f"partial write: {UNPARSED} dropped=0"), PartlyWritten),
    ("v1", 400, v1(UNPARSED), PartlyWritten),
    ("v1", 400, v1(CONFLICT), PartlyWritten),
    ("v1", 400, v1("field type conflict"), PartlyWritten),
    ("v1", 400, v1(RETENTION), PartlyWritten),
    ("v1", 400, v1("database is required"), Misconfigured),
    ("v1", 400, v1("gzip: invalid header"), Misconfigured),
    ("v1", 401, v1("authorization failed"), Misconfigured),
    ("v1", 403, v1("write not authorized"), Misconfigured),
    ("v1", 404, v1('database not found: "plant"'), Misconfigured),
    ("v1", 413, v1("Request Entity Too Large"), TooLarge),
    ("v1", 500, v1("timeout"), Unwell),
    ("v1", 503, v1("overloaded"), Unwell),
    # 2.x: a malformed line spoils all; what conflicts or is too old is dropped.
    ("v2", 204, b"", Written),
    ("v2", 400, v2("invalid", UNPARSED), Poison),
    ("v2", 400, v2("invalid", 'organization name "x" not found'), Misconfigured),
    ("v2", 401, v2("unauthorized", "unauthorized access"), Misconfigured),
    ("v2", 403, v2("forbidden", "insufficient permissions"), Misconfigured),
    ("v2", 404, v2("not found", 'bucket "equipment" not found'), Misconfigured),
    ("v2", 413, HTML, TooLarge),
    ("v2", 422, v2("unprocessable entity", CONFLICT), PartlyWritten),
    ("v2", 422, v2("unprocessable entity", RETENTION), PartlyWritten),
    ("v2", 429, v2("too many requests", "limit"), Unwell),
    ("v2", 500, v2("internal error", "unexpected"), Unwell),
    ("v2", 503, v2("unavailable", "busy"), Unwell),
    # Cloud: as 2.x, but what is written in part is a 400 there.
    ("cloud", 204, b"", Written),
    ("cloud", 400, CLOUD, PartlyWritten),
    ("cloud", 400, v2("invalid", UNPARSED), Poison),
    ("cloud", 401, v2("unauthorized", "unauthorized access"), Misconfigured),
    ("cloud", 404, v2("not found", "bucket not found"), Misconfigured),
    ("cloud", 413, v2("request too large", "too large"), TooLarge),
    ("cloud", 422, v2("unprocessable entity", CONFLICT), PartlyWritten),
    ("cloud", 429, v2("too many requests", "org exceeded limited_write"), Unwell),
    ("cloud", 503, v2("unavailable", "series cardinality"), Unwell),
    # 3.x: a 400 names what is dropped; 422 is a limit of the whole database.
    ("v3", 204, b"", Written),
    ("v3", 400, json.dumps(V3).encode(), PartlyWritten),
    ("v3", 400, REFUSED_WHOLE, Poison),
    ("v3", 400, v1("db name is not valid: it is empty"), Misconfigured),
    ("v3", 401, b"", Misconfigured),
    ("v3", 403, b"", Misconfigured),
    ("v3", 404, b"", Misconfigured),
    ("v3", 413, v1("request body is too large"), TooLarge),
    ("v3", 422, TABLE_LIMIT, Misconfigured),
    ("v3", 500, v1("internal"), Unwell),
    ("v3", 503, b"", Unwell),
    # Nobody knows who it is: nothing counts as written that is not said to be.
    (None, 204, b"", Written),
    (None, 400, v1(UNPARSED), Poison),
    (None, 400, v1(CONFLICT), PartlyWritten),
    (None, 422, v2("unprocessable entity", CONFLICT), PartlyWritten),
    *(
        (flavour, status, body, kind)
        for flavour in ("v1", "v2", "cloud", "v3", None)
        for status, body, kind in [
            # Who stands before it: portals, proxies, whoever took its address.
            (200, HTML, Unwell),
            (200, b"", Unwell),
            (201, b"", Unwell),
            (301, b"", Misconfigured),
            (302, HTML, Misconfigured),
            (307, b"", Misconfigured),
            (308, b"", Misconfigured),
            (400, HTML, Misconfigured),
            (422, HTML, Misconfigured),
            (403, HTML, Misconfigured),
            (404, HTML, Misconfigured),
            (405, b"Method Not Allowed", Unwell),
            (407, HTML, Unwell),
            (408, HTML, Unwell),
            (502, HTML, Unwell),
            (504, HTML, Unwell),
            (0, b"", Unwell),
        ]
    ),
]


@pytest.mark.parametrize(("flavour", "status", "body", "kind"), TABLE)
def test_each_answer_means_what_its_flavour_means_by_it(
    flavour: Flavour | None, status: int, body: bytes, kind: type
) -> None:
    assert isinstance(judge(flavour, status, {}, body), kind)


@pytest.mark.parametrize(
    ("version", "build", "server"),
    [
        ("1.6.7~rc0", "OSS", Server("v1", "1.6.7~rc0")),
        ("1.11.3-c1.11.3", "ENT", Server("v1", "1.11.3-c1.11.3")),
        ("v2.7.1", "OSS", Server("v2", "v2.7.1")),
        ("2.7.12", "", Server("v2", "2.7.12")),
        ("", "Cloud", Server("cloud", "Cloud")),
        ("Cloud2.9", "", Server("cloud", "Cloud Cloud2.9")),
        ("3.0.1", "Core", Server("v3", "3.0.1")),
        ("3.2.0", "Enterprise", Server("v3", "3.2.0")),
        ("", "", None),
        ("0.13.0", "", None),
        ("33", "", None),
        ("nightly", "OSS", None),
    ],
)
def test_who_answers_is_read_off_its_headers(
    version: str, build: str, server: Server | None
) -> None:
    assert identify({"X-Influxdb-Version": version, "X-Influxdb-Build": build}) == server


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "put one that is valid"), (403, "give it the right"), (404, "make it")],
)
def test_what_somebody_must_mend_says_what_to_do(status: int, words: str) -> None:
    verdict = judge("v2", status, {}, v2("unauthorized", "unauthorized access"))
    assert isinstance(verdict, Misconfigured)
    assert words in verdict.words
    assert "unauthorized access" in verdict.words


HOUR = 3600 * 10**9
POLICIES = json.dumps(
    {
        "results": [
            {
                "series": [
                    {
                        "columns": ["name", "duration", "default"],
                        "values": [["autogen", "0s", False], ["week", "168h0m0s", True]],
                    }
                ]
            }
        ]
    }
).encode()


@pytest.mark.parametrize(
    ("body", "policy", "time"),
    [
        (POLICIES, "", 168 * HOUR),
        (POLICIES, "week", 168 * HOUR),
        (POLICIES, "autogen", 0),
        (POLICIES, "none such", None),
        (b'{"buckets":[{"retentionRules":[{"type":"expire","everySeconds":7200}]}]}', "", 2 * HOUR),
        (b'{"buckets":[{"retentionRules":[{"type":"expire","everySeconds":0}]}]}', "", 0),
        (b'{"buckets":[{"retentionRules":[]}]}', "", 0),
        (b'{"buckets":[]}', "", None),
        (b'[{"iox::database":"plant","name":"autogen","duration":"720h0m0s"}]', "", 720 * HOUR),
        (b'[{"iox::database":"plant","name":"autogen","duration":"30m36s"}]', "year", 1836 * 10**9),
        (b'[{"iox::database":"plant","name":"autogen","duration":"0s"}]', "", 0),
        (b'[{"iox::database":"plant","name":"autogen","duration":null}]', "", None),
        (b'[{"iox::database":"plant","name":"autogen","duration":""}]', "", None),
        (b'[{"iox::database":"plant","name":"autogen","duration":"30 days"}]', "", None),
        (b'{"results":[{"series":[{"columns":["name"],"values":[["week"]]}]}]}', "week", None),
        (b'[{"iox::database":"plant"}]', "", None),
        (b"[]", "", None),
        (b'{"code":"unauthorized"}', "", None),
        (b'{"buckets":7}', "", None),
        (b"<html>", "", None),
        (b"", "", None),
    ],
)
def test_how_long_points_are_kept_is_read_off_what_the_server_says(
    body: bytes, policy: str, time: int | None
) -> None:
    assert kept(body, policy) == time


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
    verdict = judge("v3", 400, {}, json.dumps(V3).encode())
    assert isinstance(verdict, PartlyWritten)
    assert (verdict.named, verdict.dropped) == ((b"a b=", b"c d="), None)


def test_what_the_server_said_is_told_in_one_bounded_line() -> None:
    verdict = judge("v2", 500, {}, b"<html>\n\n  went\twrong " + b"x" * 10_000)
    assert isinstance(verdict, Unwell)
    assert verdict.words.startswith("500: <html> went wrong xxx")
    assert len(verdict.words) < 600


@given(
    flavour=st.sampled_from(["v1", "v2", "cloud", "v3", None]),
    status=st.integers(100, 599),
    body=st.binary(max_size=200) | st.from_type(dict).map(lambda it: json.dumps(it).encode()),
    retry=st.text(max_size=20),
)
def test_only_204_is_written_and_no_answer_is_too_odd(
    flavour: Flavour, status: int, body: bytes, retry: str
) -> None:
    verdict = judge(flavour, status, {"Retry-After": retry}, body)
    assert isinstance(verdict, Written) == (status == 204)


@given(st.sampled_from([None, "v1", "v2", "v3"]), st.sampled_from([400, 401, 500]), st.text())
def test_whatever_a_server_says_is_told_in_signs_that_are_seen(
    flavour: Flavour | None, status: int, said: str
) -> None:
    for body in (v1(said), v2("invalid", said), said.encode(errors="replace")):
        verdict = judge(flavour, status, {}, body)
        assert not isinstance(verdict, Written)
        assert verdict.words.isprintable()

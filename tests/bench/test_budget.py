import pytest

from tests.bench.budget import Row, missed, table


@pytest.mark.parametrize(
    ("value", "at_most", "kept"),
    [(1.0, 2.0, True), (2.0, 2.0, True), (2.1, 2.0, False), (1.0, None, None), (None, 2.0, False)],
)
def test_a_budget_is_kept_up_to_its_figure(
    value: float | None, at_most: float | None, kept: bool | None
) -> None:
    row = Row("k", "what", value, "ms", at_most)
    assert (row.kept, row.as_json()["kept"]) == (kept, kept)
    assert list(missed([row])) == ([row] if kept is False else [])


def test_the_table_says_what_is_missed() -> None:
    rows = [
        Row("a", "start", 3.5, "s", 3.0, "first poll after 1.0 s"),
        Row("b", "commits", 12.0, ""),
        Row("c", "latency", None, "ms"),
    ]
    assert table(rows) == (
        "         measured    at most\n"
        "start        3.50 s        3  MISSED  first poll after 1.0 s\n"
        "commits        12\n"
        "latency         - ms"
    )

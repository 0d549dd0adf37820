import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.exposition import Family, Sample, exposition
from tests.monitor.exposition_parser import parse


def gauge(*samples: Sample, told: str = "How much.") -> Family:
    return Family("cytowatch_level", "gauge", told, samples)


def test_a_family_is_explained_typed_and_told() -> None:
    text = exposition([gauge(Sample(1.5, {"side": "left"}), Sample(2, {"side": "right"}))])
    assert text == (
        "# HELP cytowatch_level How much.\n"
        "# TYPE cytowatch_level gauge\n"
        'cytowatch_level{side="left"} 1.5\n'
        'cytowatch_level{side="right"} 2\n'
    )


def test_what_is_not_known_is_not_said() -> None:
    assert exposition([gauge(), gauge(Sample(True))]).splitlines()[-1] == "cytowatch_level 1"
    assert exposition([gauge()]) == ""


def test_a_summary_has_a_sum_and_a_count() -> None:
    family = Family(
        "x_seconds", "summary", "", (Sample(0.25, suffix="_sum"), Sample(3, suffix="_count"))
    )
    assert exposition([family]).splitlines()[2:] == ["x_seconds_sum 0.25", "x_seconds_count 3"]


@given(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_whatever_stands_in_a_label_or_a_number_is_read_back(
    text: str, told: str, value: float
) -> None:
    parsed = parse(exposition([gauge(Sample(value, {"name": text}), told=told)]))
    [(key, read)] = parsed["cytowatch_level"].samples.items()
    assert key == ("cytowatch_level", frozenset({("name", text)}))
    assert read == pytest.approx(value, abs=0)

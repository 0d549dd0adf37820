import pytest

from monitor.pages.figures import area, duration, measure


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0, "0 s"),
        (0.25, "0.2 s"),
        (42.34, "42.3 s"),
        (59.97, "1 min"),
        (60.0, "1 min"),
        (725.4, "12 min 5 s"),
        (12_000.0, "3 h 20 min"),
        (86_399.9, "1 d"),
        (187_201.0, "2 d 4 h"),
        (3_605.0, "1 h"),
    ],
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_units_are_said_as_people_know_them() -> None:
    assert measure(37.5, "Cel") == "37.5 °C"
    assert measure(5.0, "") == "5"
    assert area(4.1086, "Cel") == "4.109 °C·min"

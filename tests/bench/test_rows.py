import pytest

from tests.bench.rows import Scale, ratio_rows


@pytest.mark.parametrize(
    ("scale", "said"),
    [
        pytest.param(
            Scale(script=20.0, bare=None, yardstick=20.0),
            {"cpu_ratio_asyncio": (0.25, 0.42)},
            id="Modbus",
        ),
        pytest.param(
            Scale(script=20.0, bare=4.0, yardstick=10.0),
            {
                "cpu_ratio_yardstick_asyncio": (0.5, 25 / 12),
                "cpu_ratio_asyncio": (0.25, None),
                "cpu_ratio_bare_asyncio": (1.25, None),
            },
            id="OPC UA",
        ),
    ],
)
def test_the_budget_is_a_ratio_to_what_ran_beside(
    scale: Scale, said: dict[str, tuple[float, float | None]]
) -> None:
    rows = ratio_rows("asyncio", 5.0, scale)
    assert {row.key: (row.value, row.at_most) for row in rows} == said


def test_the_budget_in_microseconds_is_told_for_this_machine() -> None:
    [row, *_] = ratio_rows("asyncio", 5.0, Scale(script=40.0, bare=12.4, yardstick=9.6))
    assert row.note.startswith("20.0 µs here")

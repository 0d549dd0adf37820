from drivers.reading import Fault, Moment, Quality, Reading, Reason, Scan


def test_a_scan_gives_the_row_view() -> None:
    fault = Fault(Quality.BAD, Reason.REFUSED)
    scan = Scan(3, 10, 20, (1.5, None, True), {1: fault}, {2: 7})
    assert scan.moment == Moment(10, 20)
    assert list(scan.readings()) == [
        (0, Reading(1.5, Quality.GOOD, None, None)),
        (1, Reading(None, Quality.BAD, Reason.REFUSED, None)),
        (2, Reading(True, Quality.GOOD, None, 7)),
    ]


def test_only_the_channels_that_spoke_are_told() -> None:
    scan = Scan(0, 1, 1, (None, 2.0, None), spoke=frozenset({1}))
    assert [index for index, _ in scan.readings()] == [1]

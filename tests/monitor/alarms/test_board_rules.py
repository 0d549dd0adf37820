"""Each rule at work on a board, in stories: with the daemon running on, and restarted at each step.

What is told must be the same both ways.
"""

from collections.abc import Sequence

from config.plant import ChannelType, Plant
from config.rules import StatusBits
from drivers.reading import Scan
from monitor.alarms import snapshot
from monitor.alarms.board import NOTHING, Board
from monitor.alarms.facts import AlarmEvent
from tests.monitor.alarms.small_plant import (
    DOUBTFUL,
    SECOND,
    channel,
    plant,
    scan,
    source,
)

Story = Sequence[tuple[Scan, Sequence[str]]]
"""Scans, and what each of them has told: ``rule change -> state``."""


def told(events: Sequence[AlarmEvent]) -> list[str]:
    return [f"{e.name.rpartition('/')[2]} {e.change} -> {e.after}" for e in events]


class Saved:
    """The facts as the record keeps them."""

    def __init__(self, watched: Plant) -> None:
        self.plant = watched
        self.texts: dict[str, str] = {}

    def keep(self, board: Board, now: Scan) -> None:
        for name, alarm in board.take_changed().items():
            self.texts[name] = snapshot.dump(alarm, "boot-1", now.moment)
            if alarm.at_rest:
                del self.texts[name]

    def board(self, now: Scan) -> Board:
        facts = {n: snapshot.load(t, "boot-1", now.moment) for n, t in self.texts.items()}
        board = Board(self.plant, facts)
        assert board.reconcile(now.moment) == ()
        return board


def play(watched: Plant, story: Story) -> Board:
    board = Board(watched, {})
    for step, expected in story:
        assert told(board.observe(step)) == list(expected), step
    return board


def play_restarted(watched: Plant, story: Story) -> None:
    saved = Saved(watched)
    for step, expected in story:
        board = saved.board(step)
        assert told(board.observe(step)) == list(expected), step
        saved.keep(board, step)


# --- status bits


STATUS = plant(
    source(
        0,
        "inc",
        "probe",
        "bus",
        [channel("status", StatusBits(bits=(3, 7), on_delay=SECOND), kind=ChannelType.COUNTER)],
    )
)
STATUS_STORY: Story = [
    (scan(0, 0b0111), []),
    (scan(1, 0b1000), []),
    (scan(2, 0b1001), ["status raised -> unacknowledged"]),
    (scan(3, 0b1000_0000), []),
    (scan(4, None), []),
    (scan(5, 0, faults={0: DOUBTFUL}), []),
    (scan(6, 0b1_0000), ["status returned -> returned"]),
]


def test_a_bit_of_a_status_word() -> None:
    play(STATUS, STATUS_STORY)
    play_restarted(STATUS, STATUS_STORY)


def test_a_status_word_is_told_as_the_number_it_is() -> None:
    board = Board(STATUS, {})
    board.observe(scan(0, 0b1000))
    (raised,) = board.observe(scan(1, None, spoke=frozenset()))
    assert (raised.alarm.value, raised.alarm.peak) == (0b1000, None)


def test_below_the_lowest_bit_nothing_is_looked_at() -> None:
    board = Board(STATUS, {})
    assert board.observe(scan(0, 0b111)) is NOTHING
    assert board.take_changed() == {}

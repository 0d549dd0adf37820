"""The model of a disk that the losses of power are drawn from."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.monitor.store.disk import (
    SECTOR,
    Create,
    Disk,
    File,
    Image,
    Operation,
    Rename,
    Resize,
    Sync,
    SyncFolder,
    Told,
    Unlink,
    Write,
)

OLD, NEW, JUNK = (letter * SECTOR for letter in (b"o", b"n", b"j"))


def disk_of(*operations: Operation) -> Disk:
    disk = Disk({1: File(OLD * 2)}, {"file": 1})
    for operation in operations:
        disk.do(operation)
    return disk


def images(disk: Disk) -> dict[str, Image]:
    return dict([*disk.extremes(), *disk.holes()])


def any_of(disk: Disk) -> list[Image]:
    return [*images(disk).values(), *(disk.by_chance(Random(n)) for n in range(200))]  # noqa: S311 - no secret


def test_what_was_synced_is_there_whatever_else_is_lost() -> None:
    disk = disk_of(Write(1, 0, NEW), Sync(1), Write(1, SECTOR, NEW))
    assert {image["file"] for image in any_of(disk)} == {NEW + OLD, NEW + NEW}


def test_sectors_come_to_the_disk_in_any_order() -> None:
    found = {image["file"] for image in any_of(disk_of(Write(1, 0, NEW * 2)))}
    assert found == {OLD * 2, NEW * 2, OLD + NEW, NEW + OLD}


def test_a_sector_shows_one_of_the_states_that_it_went_through() -> None:
    disk = disk_of(Write(1, 0, b"a" * 10), Write(1, 5, b"b" * 10))
    rest = OLD * 2
    states = {
        rest,
        b"a" * 10 + rest[10:],
        b"a" * 5 + b"b" * 10 + rest[15:],
    }
    assert {image["file"] for image in any_of(disk)} == states


def test_a_file_that_grew_may_have_its_length_without_its_data() -> None:
    found = {image["file"] for image in any_of(disk_of(Write(1, 2 * SECTOR, NEW)))}
    assert {OLD * 2, OLD * 2 + bytes(SECTOR), OLD * 2 + NEW} < found
    others = {each for each in found if each not in {OLD * 2, OLD * 2 + NEW}}
    assert all(each is not None and each[: 2 * SECTOR] == OLD * 2 for each in others)


def test_what_was_cut_off_is_there_or_not_and_never_comes_back() -> None:
    disk = disk_of(Resize(1, 10), Write(1, SECTOR, NEW))
    cut = OLD[:10].ljust(SECTOR, b"\0")
    found = {image["file"] for image in any_of(disk)}
    assert {OLD * 2, OLD[:10], cut + NEW, cut + bytes(SECTOR)} <= found
    assert cut + OLD not in found
    assert OLD + bytes(SECTOR) not in found


def test_names_are_there_when_their_folder_was_synced_and_not_before() -> None:
    made: list[Operation] = [Create("new", 2), Write(2, 0, NEW), Sync(2)]
    assert {image.get("new") for image in any_of(disk_of(*made))} == {None, NEW}
    assert {image.get("new") for image in any_of(disk_of(*made, SyncFolder(".")))} == {NEW}


def test_steps_on_other_names_come_in_any_order() -> None:
    disk = disk_of(Create("a", 2), Create("b", 3))
    left = {frozenset(image) - {"file"} for image in any_of(disk)}
    assert left == {frozenset(), frozenset("a"), frozenset("b"), frozenset("ab")}


def test_steps_on_one_name_keep_their_order_and_a_rename_is_never_half() -> None:
    disk = disk_of(Create("draft", 2), Write(2, 0, NEW), Sync(2), Rename("draft", "file"))
    left = {tuple(image.items()) for image in any_of(disk)}
    assert left == {
        (("file", OLD * 2),),
        (("draft", NEW), ("file", OLD * 2)),
        (("file", NEW),),
    }


def test_what_lies_in_a_folder_goes_with_it() -> None:
    made: list[Operation] = [Create("in", None), Create("in/it", 2), SyncFolder("in")]
    left = {frozenset(image) for image in any_of(disk_of(*made))}
    assert left == {frozenset({"file"}), frozenset({"file", "in", "in/it"})}
    assert {frozenset(image) for image in any_of(disk_of(*made, SyncFolder(".")))} == {
        frozenset({"file", "in", "in/it"})
    }


def test_a_file_that_was_removed_is_still_written_to_and_may_still_be_there() -> None:
    disk = disk_of(Unlink("file"), Write(1, 0, NEW), Sync(1))
    assert {image.get("file") for image in any_of(disk)} == {None, NEW + OLD}


def test_what_was_told_is_kept_in_its_order() -> None:
    assert disk_of(Told(1), Write(1, 0, NEW), Told(2)).told == [1, 2]


CHANGES = st.lists(
    st.one_of(
        st.builds(Write, st.just(1), st.integers(0, 3000), st.binary(max_size=1500)),
        st.builds(Resize, st.just(1), st.integers(0, 3000)),
        st.just(Sync(1)),
    ),
    max_size=8,
)


@given(CHANGES)
def test_what_is_seen_is_what_the_same_changes_make_of_a_file(changes: list[Operation]) -> None:
    content = bytearray(OLD * 2)
    for change in changes:
        match change:
            case Write(_, offset, data) if data:
                content.extend(bytes(max(offset - len(content), 0)))
                content[offset : offset + len(data)] = data
            case Resize(size=size):
                content.extend(bytes(max(size - len(content), 0)))
                del content[size:]
            case _:
                pass
    disk = disk_of(*changes)
    assert disk.seen() == images(disk)["everything is there"] == {"file": bytes(content)}


@given(CHANGES, st.integers())
def test_a_loss_of_power_leaves_nothing_of_what_never_was(
    changes: list[Operation], seed: int
) -> None:
    """Each byte that is left is one that its place had, or is beyond what was synced."""
    states: list[bytes] = []
    for count in range(len(changes) + 1):
        states.append(disk_of(*changes[:count]).seen()["file"] or b"")
        if count and isinstance(changes[count - 1], Sync):
            states = states[-1:]
    left = disk_of(*changes).by_chance(Random(seed))["file"]  # noqa: S311 - no secret
    assert left is not None
    assert len(left) in {len(state) for state in states}
    for place, byte in enumerate(left[: len(states[0])]):
        assert byte in {0, *(state[place] for state in states if place < len(state))}


@pytest.mark.parametrize("shown", [{}, {0: 0}, {2: 0}])
def test_junk_stands_only_where_nothing_ever_came(shown: dict[int, int]) -> None:
    file = File(OLD)
    file.since = [Write(1, 2 * SECTOR, NEW)]
    junk = JUNK if shown == {2: 0} else NEW
    assert file.left(1, shown, JUNK) == OLD + bytes(SECTOR) + junk

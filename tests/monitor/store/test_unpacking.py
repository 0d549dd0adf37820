"""Whatever is done to an archive shows, as far as it can show."""

import asyncio
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.store import StoreError
from monitor.store.archive import Wanted
from monitor.store.unpacking import heads_for, is_archive, seam_problems, verify_archive
from tests.monitor.store.archives import CONFIG, Members, archived, members, record, write

READINGS, INDEX = "telemetry/000001.lp.gz", "telemetry/000001.jsonl"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store, an archive of it, and one of each third; and a second store's archive."""
    folder = tmp_path_factory.mktemp("archives")
    asyncio.run(record(folder / "a.db"))
    asyncio.run(record(folder / "b.db"))
    archived(folder / "a.db", folder / "a.zip")
    archived(folder / "b.db", folder / "b.zip")
    for third in range(3):
        wanted = Wanted(first=4 * third + 1, last=4 * third + 4)
        archived(folder / "a.db", folder / f"a{third}.zip", wanted)
    return folder


@pytest.fixture(scope="module")
def files(folder: Path) -> Members:
    return members(folder / "a.zip")


def changed(name: str, was: bytes, now: bytes) -> Callable[[Members], None]:
    def change(files: Members) -> None:
        assert was in files[name]
        files[name] = files[name].replace(was, now, 1)

    return change


def added(name: str, data: bytes) -> Callable[[Members], None]:
    return lambda files: files.update({name: files.get(name, b"") + data})


def without(name: str) -> Callable[[Members], None]:
    def change(files: Members) -> None:
        del files[name]

    return change


def without_line(name: str, line: int) -> Callable[[Members], None]:
    def change(files: Members) -> None:
        lines = files[name].splitlines(keepends=True)
        files[name] = b"".join(lines[:line] + lines[line + 1 :])

    return change


def with_more_bytes(files: Members) -> None:
    """The last blob is said to be longer than what is there."""
    *before, last = files[INDEX].splitlines(keepends=True)
    told = json.loads(last)
    said = json.dumps({**told, "bytes": told["bytes"] + 1}).encode() + b"\n"
    files[INDEX] = b"".join([*before, said])


def exchanged(one: str, other: str) -> Callable[[Members], None]:
    return lambda files: files.update({one: files[other], other: files[one]})


CASES = [
    (changed("events.jsonl", b'"number\\":5', b'"number\\":6'), "events 5 to 6 (link 3): changed"),
    (changed("events.jsonl", b"12:00:01.000Z", b"12:00:01.001Z"), "events.jsonl: line 3 cannot"),
    (without_line("events.jsonl", 4), "events 5 to 6: some are missing"),
    (added("events.jsonl", b"{}\n"), "events.jsonl: line 13 cannot be read"),
    (changed("links.jsonl", b'"last_event":12', b'"last_event":1%018d' % 0), "some are missing"),
    (with_more_bytes, "blob 12 (scans 21 to 24): the lines were changed"),
    (without_line("links.jsonl", 2), "record: links 3 to 3 are missing"),
    (without_line("links.jsonl", 5), "events from 11: not part of the chain"),
    (changed(READINGS, b"\x1f\x8b\x08\x00\x00", b"\x1f\x8b\x08\x00\x01"), "blob 1 (scans 1 to 4)"),
    (added(READINGS, b"more"), f"{READINGS}: there is more in it"),
    (without_line(INDEX, 3), "readings: blobs 4 to 4 are missing"),
    (changed(INDEX, b'"lines":2', b'"lines":1'), "blob 1 (scans 1 to 4): it, or the one before"),
    (without(READINGS), "telemetry/000001.jsonl: is not of this archive"),
    (without("events.jsonl"), "events.jsonl: cannot be read"),
    (without(f"configurations/{CONFIG[0]}.yaml"), "configuration e3b0c442: its text is missing"),
    (without("spoilt.jsonl"), "spoilt.jsonl: cannot be read"),
    (added("telemetry/000003.lp.gz", b""), "telemetry/000003.lp.gz: is not of this archive"),
    (added("notes.txt", b"trust me"), "notes.txt: is not of this archive"),
    (exchanged("events.jsonl", "links.jsonl"), "events.jsonl: line 1 cannot be read"),
]


@pytest.mark.parametrize(
    ("change", "found"), CASES, ids=lambda each: getattr(each, "__qualname__", each)
)
def test_tampering_shows_where_it_was_done_though_the_manifest_was_mended(
    files: Members, tmp_path: Path, change: Callable[[Members], None], found: str
) -> None:
    told = dict(files)
    change(told)
    mended = verify_archive(write(tmp_path / "a.zip", told, honest=True))[1]
    assert any(found in problem for problem in mended.problems), mended.problems
    plain = verify_archive(write(tmp_path / "a.zip", told))[1]
    words = ("was changed", "is missing", "is not of this archive")
    assert plain.problems[0].endswith(words), plain.problems


@pytest.mark.parametrize(
    ("was", "now", "found"),
    [
        ('"gateway": "gw-1"', '"gateway": "gw-2"', "the readings are of gw-1 at les-ulis, which"),
        ('"site": "les-ulis"', '"site": "elsewhere"', "the readings are of gw-1 at les-ulis"),
        ('"spoilt": 0', '"spoilt": 1', "spoilt.jsonl: these are not the 1 of the manifest"),
    ],
)
def test_what_the_manifest_says_is_held_against_what_is_there(
    files: Members, tmp_path: Path, was: str, now: str, found: str
) -> None:
    """Else the record of one gateway could be handed over as that of another."""
    manifest = files["manifest.json"].decode()
    assert was in manifest
    told = {**files, "manifest.json": manifest.replace(was, now).encode()}
    [problem] = verify_archive(write(tmp_path / "a.zip", told))[1].problems
    assert problem.startswith(found)


def test_an_archive_without_readings_may_be_of_any_place(tmp_path: Path) -> None:
    asyncio.run(record(tmp_path / "a.db", quota=1000))
    manifest = archived(tmp_path / "a.db", tmp_path / "a.zip", Wanted(last=2))
    assert (manifest.readings.count, manifest.site) == (0, "")
    files = members(tmp_path / "a.zip")
    told = files["manifest.json"].replace(b'"site": ""', b'"site": "les-ulis"')
    assert told != files["manifest.json"]
    written = write(tmp_path / "b.zip", {**files, "manifest.json": told})
    assert verify_archive(written)[1].problems == ()


def test_nothing_in_an_archive_is_too_deep_to_be_read(files: Members, tmp_path: Path) -> None:
    told = {**files, "spoilt.jsonl": b"[" * 100_000}
    problems = verify_archive(write(tmp_path / "a.zip", told, honest=True))[1].problems
    assert problems == ("spoilt.jsonl: line 1 cannot be read",)


def test_a_member_that_is_there_twice_is_not_taken_for_the_other(
    files: Members, tmp_path: Path
) -> None:
    from zipfile import ZipFile  # noqa: PLC0415 - beside the warning that it gives

    write(tmp_path / "a.zip", files)
    with ZipFile(tmp_path / "a.zip", "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("events.jsonl", "")
    problems = verify_archive(tmp_path / "a.zip")[1].problems
    assert problems[:2] == ("events.jsonl: is there 2 times", "events.jsonl: was changed")


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_byte_and_no_line_can_be_changed_unseen(files: Members, data: st.DataObject) -> None:
    """By one who mends the manifest too; what says the same as before is no change."""
    name = data.draw(st.sampled_from(["events.jsonl", "links.jsonl", INDEX, READINGS]))
    before = files[name]
    at = data.draw(st.integers(0, len(before) - 1))
    lines = before.splitlines(keepends=True)
    first, second = (data.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    moved = [line for number, line in enumerate(lines) if number != first]
    moved.insert(second, lines[first])
    after = data.draw(
        st.sampled_from(
            [
                before[:at]
                + bytes([before[at] ^ data.draw(st.integers(1, 255))])
                + before[at + 1 :],
                before[:at],
                before[:at] + before[at + 1 :],
                b"".join(moved),
                b"".join([*lines[:first], *lines[first + 1 :]]),
                b"".join([*lines, lines[first]]),
            ]
        )
    )
    with tempfile.TemporaryDirectory() as folder:
        written = write(Path(folder, "a.zip"), {**files, name: after}, honest=True)
        verdict = verify_archive(written)[1]
    assert (after_all(name, after) == after_all(name, before)) == verdict.whole


def after_all(name: str, data: bytes) -> object:
    """What a member says: bytes of readings, or the objects on its lines."""
    try:
        return data if name == READINGS else [json.loads(line) for line in data.splitlines()]
    except ValueError:
        return data


def test_a_cut_off_end_shows_to_who_knows_a_later_head_only(folder: Path) -> None:
    """An archive of less is one, too; so a head that it does not reach is never passed over."""
    whole, part = verify_archive(folder / "a.zip")[1], verify_archive(folder / "a0.zip")[1]
    assert part.whole
    assert verify_archive(folder / "a.zip", part.head)[1].whole
    assert verify_archive(folder / "a0.zip", whole.head)[1].problems == (
        "nothing of that head is in this archive: it has links up to 2 and readings up to 4",
    )
    other = "2." + "0" * 64 + ":4." + "1" * 64
    assert verify_archive(folder / "a0.zip", other)[1].problems == (
        "record: up to link 2 not what was published",
        "readings: up to blob 4 not what was published",
    )
    with pytest.raises(ValueError, match="is no head"):
        verify_archive(folder / "a.zip", "12")


def test_archives_adjoin_or_it_is_said_why_not(folder: Path) -> None:
    thirds = [verify_archive(folder / f"a{third}.zip")[0] for third in range(3)]
    assert not [*seam_problems(thirds[0], thirds[1]), *seam_problems(thirds[1], thirds[2])]
    assert list(seam_problems(thirds[0], thirds[2])) == [
        "record: links 3 to 4 are in neither this archive nor the one before",
        "readings: blobs 5 to 8 are in neither this archive nor the one before",
    ]
    assert list(seam_problems(thirds[1], thirds[0])) == [
        "record: links 1 to 4 are in the archive before, too",
        "readings: blobs 1 to 8 are in the archive before, too",
    ]
    other = verify_archive(folder / "b.zip")[0]
    [problem] = seam_problems(thirds[0], other)
    assert problem.startswith("it is of the store")
    forged = thirds[1].model_copy(update={"before": other.before.replace("0.", "2.", 1)})
    words = "record: links from 3 on do not follow those of the archive before"
    assert next(seam_problems(thirds[0], forged)) == words


def test_a_head_is_held_against_the_archive_that_it_is_of(folder: Path) -> None:
    paths = [folder / f"a{third}.zip" for third in range(3)]
    heads = [verify_archive(path)[1].head for path in paths]
    assert heads_for(paths, heads[1]) == ["", heads[1], ""]
    assert heads_for(paths[:2], heads[2]) == ["", heads[2]]
    assert heads_for(paths, "") == ["", "", ""]
    assert heads_for([folder / "none", *paths], heads[1]) == ["", "", heads[1], ""]


@pytest.mark.parametrize("kept", [0.3, 0.99])
def test_a_file_that_was_cut_off_is_said_to_be_unreadable(
    folder: Path, tmp_path: Path, kept: float
) -> None:
    whole = (folder / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(whole[: int(kept * len(whole))])
    assert is_archive(tmp_path / "a.zip")
    with pytest.raises(StoreError, match=r"a\.zip: cannot be read: it is no whole ZIP file"):
        verify_archive(tmp_path / "a.zip")


def test_what_is_no_archive_is_said_to_be_none(folder: Path, tmp_path: Path) -> None:
    assert not is_archive(folder / "a.db")
    assert not is_archive(tmp_path / "none")
    with pytest.raises(StoreError, match="no manifest in it"):
        verify_archive(write(tmp_path / "a.zip", {"a": b"b"}))
    later = {"manifest.json": b'{"schema": "cytowatch.archive.v2"}'}
    with pytest.raises(StoreError, match="is of another release"):
        verify_archive(write(tmp_path / "b.zip", later))

"""Going on after a crash: what was committed is there, what was not is gone, nobody writes into another's file."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.contract.archive_pages import DONE, NAMES, USER, crawl, finish, open_archive, tweets, write
from twittomatic.errors import LostBytes
from twittomatic.job import TWT, Extent


@pytest.fixture(params=NAMES)
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return open_archive(request.param, tmp_path / "out")


def part(archive: Any, seg: str) -> Path:
    path: Path = archive.part_path(USER, TWT, seg)
    return path


def begun(archive: Any, seg: str, *pages: list[bytes], torn: bytes = b"") -> Extent:
    """A part as a crashed worker leaves it: committed pages and what it wrote after them."""
    draft = write(archive.start(USER, TWT, seg), pages)
    draft.sync()
    draft.close()
    with part(archive, seg).open("ab") as file:
        file.write(torn)
    extent: Extent = draft.extent
    return extent


def test_a_clean_part_is_gone_on_with_in_place(archive: Any) -> None:
    extent = begun(archive, "1-a", tweets(5, 4), torn=b"never committed")
    draft = archive.resume(USER, extent, "2-b", clean=True)
    assert draft.extent == extent
    finish(archive, write(draft, [tweets(3)], first=1), "2-b")
    assert list(archive.lines(USER, TWT)) == tweets(5, 4, 3)
    assert not part(archive, "1-a").exists()


def test_an_unclean_part_is_copied_and_left_alone(archive: Any) -> None:
    extent = begun(archive, "1-a", tweets(5, 4), torn=b"half a member")
    before = part(archive, "1-a").read_bytes()
    draft = archive.resume(USER, extent, "2-b", clean=False)
    assert draft.extent == Extent(TWT, "2-b", extent.length, extent.crc)
    with part(archive, "1-a").open("r+b") as zombie:  # its owner was only frozen
        zombie.seek(extent.length)
        zombie.write(b"x" * 100)
        finish(archive, write(draft, [tweets(3)], first=1), "2-b")
    assert list(archive.lines(USER, TWT)) == tweets(5, 4, 3)
    assert part(archive, "1-a").read_bytes()[: extent.length] == before[: extent.length]


def test_a_copy_of_many_blocks_is_exact(archive: Any) -> None:
    pages = [[os.urandom(1 << 19).hex().encode()] for _ in range(5)]
    extent = begun(archive, "1-a", *pages, torn=b"rest")
    assert extent.length > 2 << 20
    draft = archive.resume(USER, extent, "2-b", clean=False)
    assert list(draft.lines()) == [page[0] for page in pages]
    draft.close()


@pytest.mark.parametrize("clean", [True, False])
def test_a_final_that_begins_with_the_committed_bytes_will_do(archive: Any, clean: bool) -> None:
    draft = write(archive.start(USER, TWT, "1-a"), [tweets(5, 4)])
    committed = draft.extent
    finish(archive, write(draft, [tweets(3)], first=1), "1-a")
    resumed = archive.resume(USER, committed, "2-b", clean=clean)
    assert list(resumed.lines()) == tweets(5, 4)
    assert list(archive.lines(USER, TWT)) == tweets(5, 4, 3)
    resumed.close()


@pytest.mark.parametrize("clean", [True, False])
def test_before_the_first_commit_a_new_part_will_do(archive: Any, clean: bool) -> None:
    draft = archive.resume(USER, Extent(TWT, "1-a", 0, 0), "2-b", clean=clean)
    finish(archive, write(draft, [tweets(1)]), "2-b")
    assert list(archive.lines(USER, TWT)) == tweets(1)


def test_an_empty_part_left_clean_is_used(archive: Any) -> None:
    extent = begun(archive, "1-a", torn=b"not committed")
    draft = archive.resume(USER, extent, "2-b", clean=True)
    assert (draft.extent.seg, draft.extent.length) == ("1-a", 0)
    finish(archive, draft, "2-b")
    assert archive.end_of(USER, TWT) == DONE


def test_an_end_mark_that_was_not_sealed_is_written_again(archive: Any) -> None:
    draft = write(archive.start(USER, TWT, "1-a"), [tweets(5)])
    committed = draft.extent
    draft.end(DONE)
    draft.sync()
    draft.close()
    for token, clean in (("2-b", False), ("3-c", True)):
        again = archive.resume(USER, committed, token, clean=clean)
        again.end(DONE)
        assert again.extent.length == draft.extent.length
        again.close()


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "short":
        path.write_bytes(data[:-1])
    elif how == "flipped":
        data[20] ^= 1
        path.write_bytes(data)
    else:
        path.unlink()


@pytest.mark.parametrize(("how", "clean"), [("short", True), ("short", False), ("flipped", False), ("gone", True)])
def test_lost_bytes_are_said_and_kept_aside(archive: Any, how: str, clean: bool) -> None:
    extent = begun(archive, "1-a", tweets(5, 4))
    path = part(archive, "1-a")
    damage(path, how)
    left = path.read_bytes() if path.exists() else None
    with pytest.raises(LostBytes, match="committed bytes"):
        archive.resume(USER, extent, "2-b", clean=clean)
    kept = path.with_name(f"{path.name}.lost")
    assert not path.exists()
    assert (kept.read_bytes() if kept.exists() else None) == left
    finish(archive, write(archive.start(USER, TWT, "2-b"), [tweets(5, 4)]), "2-b")
    assert list(archive.lines(USER, TWT)) == tweets(5, 4)


def test_what_was_kept_aside_is_never_overwritten(archive: Any) -> None:
    path = part(archive, "1-a")
    for text in (b"first", b"second", b"third"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
        with pytest.raises(LostBytes):
            archive.resume(USER, Extent(TWT, "1-a", 100, 1), "2-b", clean=False)
    names = [path.with_name(f"{path.name}.lost{number}") for number in ("", "-2", "-3")]
    assert [name.read_bytes() for name in names] == [b"first", b"second", b"third"]


def test_a_damaged_final_is_kept_aside_and_stays_for_its_readers(archive: Any) -> None:
    crawl(archive, "1-a", tweets(5, 4), tweets(3))
    final = archive.final_path(USER, TWT)
    data = bytearray(final.read_bytes())
    data[len(data) // 3] ^= 1
    final.write_bytes(data)
    with pytest.raises(LostBytes) as caught:
        archive.resume(USER, Extent(TWT, "2-b", 100, 1), "3-c", clean=False)
    kept = part(archive, "2-b").with_name(f"{final.name}.lost")
    assert str(kept) in str(caught.value)
    assert kept.read_bytes() == final.read_bytes() == bytes(data)


def test_a_sound_final_is_not_called_lost(archive: Any) -> None:
    crawl(archive, "1-a", tweets(5, 4))
    with pytest.raises(LostBytes, match="nothing was there"):
        archive.resume(USER, Extent(TWT, "2-b", 10, 1), "3-c", clean=False)
    assert list(archive.lines(USER, TWT)) == tweets(5, 4)


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """No file of this process may grow beyond ``room`` bytes: a write is cut there and the next one fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 1, 50])
def test_a_full_disk_leaves_the_extent_as_it_was(archive: Any, room: int) -> None:
    draft = write(archive.start(USER, TWT, "1-a"), [tweets(5, 4)])
    before = draft.extent
    page = [os.urandom(200).hex().encode()]
    with full_disk(before.length + room), pytest.raises(OSError, match="large"):
        write(draft, [page], first=1)
    assert draft.extent == before
    draft.sync()
    assert part(archive, "1-a").stat().st_size == before.length
    finish(archive, write(draft, [tweets(3)], first=1), "1-a")
    assert list(archive.lines(USER, TWT)) == tweets(5, 4, 3)


def test_a_full_disk_while_the_final_is_copied(archive: Any) -> None:
    crawl(archive, "1-a", [os.urandom(4000).hex().encode()])
    held = list(archive.lines(USER, TWT))
    draft = write(archive.start(USER, TWT, "2-b"), [tweets(9)])
    before = draft.extent
    with full_disk(1000), pytest.raises(OSError, match="large"):
        draft.copy_final()
    assert draft.extent == before
    assert draft.copy_final() == 1
    finish(archive, draft, "2-b")
    assert list(archive.lines(USER, TWT)) == tweets(9) + held


def test_a_full_disk_while_a_part_is_copied_leaves_no_copy(archive: Any) -> None:
    extent = begun(archive, "1-a", [os.urandom(4000).hex().encode()])
    with full_disk(1000), pytest.raises(OSError, match="large"):
        archive.resume(USER, extent, "2-b", clean=False)
    assert not part(archive, "2-b").exists()
    archive.resume(USER, extent, "2-b", clean=False).close()


@pytest.mark.parametrize("clean", [True, False])
def test_a_tail_torn_at_any_byte_is_cut_off(archive: Any, clean: bool) -> None:
    draft = write(archive.start(USER, TWT, "1-a"), [tweets(5)])
    committed = draft.extent
    write(draft, [tweets(4)], first=1)
    draft.close()
    whole = part(archive, "1-a").read_bytes()
    for size in range(committed.length, len(whole) + 1):
        part(archive, "1-a").write_bytes(whole[:size])
        token = f"2-{size:x}"
        resumed = archive.resume(USER, committed, token, clean=clean)
        write(resumed, [tweets(4)], first=1)
        resumed.sync()
        resumed.close()
        assert part(archive, resumed.extent.seg).read_bytes() == whole


def test_an_fsync_that_failed_is_not_believed_the_second_time(archive: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    extent = begun(archive, "1-a", tweets(5, 4))
    strict = open_archive("gzip", archive.root, fsync=True)
    draft = write(strict.resume(USER, extent, "2-b", clean=True), [tweets(3)], first=1)

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="Input/output"):
            draft.sync()
    with pytest.raises(ValueError, match="closed"):
        draft.sync()
    again = strict.resume(USER, extent, "2-b", clean=True)
    assert list(again.lines()) == tweets(5, 4)
    again.close()

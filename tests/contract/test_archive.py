"""What every archive promises: the life of a file from its first page to its final, and how it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.contract.archive_pages import DONE, NAMES, USER, crawl, open_archive, tweets, write
from twittomatic.archive.base import COMPLETE, DEPTH, GONE, End, Head
from twittomatic.errors import ArchiveError, LostBytes
from twittomatic.job import FWS, TWT, USR, Extent


@pytest.fixture(params=NAMES)
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return open_archive(request.param, tmp_path / "out")


def test_a_final_holds_every_page_in_order(archive: Any) -> None:
    crawl(archive, "1-a", tweets(9, 8), tweets(7), tweets(6, 5, 4))
    assert list(archive.lines(USER, TWT)) == tweets(9, 8, 7, 6, 5, 4)
    assert archive.first_id(USER, TWT) == "9"
    assert archive.end_of(USER, TWT) == DONE
    assert list(archive.users(TWT)) == [USER]
    *pages, end = archive.members(USER, TWT)
    assert [(page.head.seq, page.head.prev, page.head.next, page.head.n) for page in pages] == [
        (0, None, "cursor1", 2),
        (1, "cursor1", "cursor2", 1),
        (2, "cursor2", "cursor3", 3),
    ]
    assert [page.lines for page in pages] == [tweets(9, 8), tweets(7), tweets(6, 5, 4)]
    assert all(page.end is None for page in pages)
    assert end.lines == []
    assert end.end == DONE
    assert end.head == Head(3, "cursor3", None, 0, DONE.at, "x_v2", "main")


def test_without_a_final_there_is_nothing(archive: Any) -> None:
    assert archive.end_of(USER, TWT) is None
    assert archive.first_id(USER, TWT) is None
    assert list(archive.members(USER, TWT)) == []
    assert list(archive.lines(USER, TWT)) == []
    assert list(archive.users(TWT)) == []


def test_a_part_is_not_yet_a_final(archive: Any) -> None:
    draft = write(archive.start(USER, TWT, "1-a"), [tweets(3)])
    draft.sync()
    draft.close()
    assert archive.end_of(USER, TWT) is None
    assert list(archive.users(TWT)) == []


def test_a_draft_reads_back_what_is_written(archive: Any) -> None:
    draft = archive.start(USER, TWT, "1-a")
    assert list(draft.lines()) == []
    write(draft, [tweets(3, 2), tweets(1)])
    assert list(draft.lines()) == tweets(3, 2, 1)
    draft.end(DONE)
    assert list(draft.lines()) == tweets(3, 2, 1)
    draft.close()


@pytest.mark.parametrize(
    "mark",
    [
        End(COMPLETE, at=1),
        End(DEPTH, None, at=2),
        End(GONE, "suspended", at=3),
        End(GONE, 'she said "no" — ñ', (("19", "3"), ("2", "1")), 4),
    ],
)
def test_an_end_mark_alone_is_a_final(archive: Any, mark: End) -> None:
    crawl(archive, "1-a", mark=mark)
    assert archive.end_of(USER, TWT) == mark
    assert archive.first_id(USER, TWT) is None
    assert list(archive.lines(USER, TWT)) == []
    (member,) = archive.members(USER, TWT)
    assert (member.end, member.head.n, member.placed.offset) == (mark, 0, 0)


def test_an_empty_page_is_a_page(archive: Any) -> None:
    crawl(archive, "1-a", [], tweets(5), [])
    assert [member.head.n for member in archive.members(USER, TWT)] == [0, 1, 0, 0]
    assert archive.first_id(USER, TWT) == "5"


@pytest.mark.parametrize("user", ["0", "7", "12", "783214", "1790000000000000001", "9223372036854775807"])
def test_ids_of_every_length(archive: Any, user: str) -> None:
    crawl(archive, "1-a", tweets(2, 1), user=user)
    assert list(archive.lines(user, TWT)) == tweets(2, 1)
    assert list(archive.users(TWT)) == [user]


def test_users_of_one_suffix_come_by_shard(archive: Any) -> None:
    for user in ("7", "71", "712", "0", "22013880", "220", "1790000000000000001"):
        crawl(archive, "1-a", user=user)
    crawl(archive, "2-a", [b"7"], user="5", suffix=FWS)
    assert list(archive.users(TWT)) == ["0", "1790000000000000001", "220", "22013880", "7", "71", "712"]
    assert list(archive.users(FWS)) == ["5"]
    assert list(archive.users(USR)) == []


@pytest.mark.parametrize("skip", range(8))
def test_skipped_lines_are_left_out(archive: Any, skip: int) -> None:
    crawl(archive, "1-a", tweets(6, 5), [], tweets(4, 3, 2), tweets(1))
    members = list(archive.members(USER, TWT, skip_lines=skip))
    assert [line for member in members for line in member.lines] == tweets(6, 5, 4, 3, 2, 1)[skip:]
    assert members[-1].end == DONE
    left = {0: [0, 1, 2, 3], 1: [0, 1, 2, 3], 2: [1, 2, 3], 3: [2, 3], 4: [2, 3], 5: [3]}.get(skip, [])
    assert [member.head.seq for member in members[:-1]] == left


def test_extents_grow_by_what_is_placed(archive: Any) -> None:
    draft = archive.start(USER, TWT, "1-a")
    assert draft.extent == Extent(TWT, "1-a", 0, 0)
    end = 0
    for seq in range(3):
        placed = draft.append(Head(seq, None, None, 1, 0, "x_v2", "main"), tweets(seq))
        assert placed.offset == end
        end += placed.length
        assert draft.extent.length == end
    draft.end(DONE)
    assert draft.extent.length > end
    draft.close()


def test_placed_is_what_a_reader_finds(archive: Any) -> None:
    draft = archive.start(USER, TWT, "1-a")
    written = [draft.append(Head(seq, None, None, 1, 0, "x_v2", "main"), tweets(seq)) for seq in range(3)]
    draft.end(DONE)
    draft.sync()
    draft.close()
    archive.publish(USER, draft.extent)
    assert [member.placed for member in archive.members(USER, TWT)][:-1] == written


def test_nothing_follows_an_end_mark(archive: Any) -> None:
    draft = write(archive.start(USER, TWT, "1-a"), [tweets(2)])
    draft.end(DONE)
    before = draft.extent
    with pytest.raises(ValueError, match="end mark"):
        write(draft, [tweets(1)])
    with pytest.raises(ValueError, match="end mark"):
        draft.end(DONE)
    assert draft.extent == before
    draft.close()


@pytest.mark.parametrize("lines", [tweets(1), tweets(3, 2, 1), [b"{}", b'{"a":\n1}']])
def test_what_is_not_a_page_is_refused(archive: Any, lines: list[bytes]) -> None:
    draft = archive.start(USER, TWT, "1-a")
    with pytest.raises(ValueError, match="page 0"):
        draft.append(Head(0, None, None, 2, 0, "x_v2", "main"), lines)
    assert draft.extent.length == 0
    draft.close()


def test_a_cursor_that_cannot_be_kept_is_an_error_that_says_so(archive: Any) -> None:
    draft = archive.start(USER, TWT, "1-a")
    with pytest.raises(ArchiveError, match="the cursor of x_v2 is too long"):
        draft.append(Head(0, None, "c" * 70_000, 1, 0, "x_v2", "main"), tweets(1))
    draft.append(Head(0, "ü" * 20_000, "c" * 20_000, 1, 0, "x_v2", "main"), tweets(1))
    draft.close()


def test_a_closed_draft_takes_nothing(archive: Any) -> None:
    draft = archive.start(USER, TWT, "1-a")
    draft.close()
    draft.close()
    with pytest.raises(ValueError, match="closed"):
        write(draft, [tweets(1)])


def test_a_part_name_is_used_once(archive: Any) -> None:
    archive.start(USER, TWT, "1-a").close()
    with pytest.raises(FileExistsError):
        archive.start(USER, TWT, "1-a")


@pytest.mark.parametrize("user", ["", "../7", "007", "7/7", "x", "-1", str(2**63), "٣"])
def test_what_is_not_an_id_names_no_file(archive: Any, user: str) -> None:
    with pytest.raises(ValueError, match="not an id"):
        archive.start(user, TWT, "1-a")
    with pytest.raises(ValueError, match="not an id"):
        archive.end_of(user, TWT)


@pytest.mark.parametrize("seg", ["", "..", "1-a/../../x", "1-A", "1-a.lost", "1-a.", "1-a\n"])
def test_what_is_not_a_token_names_no_part(archive: Any, seg: str) -> None:
    with pytest.raises(ValueError, match="not the name of a part"):
        archive.start(USER, TWT, seg)


def test_a_discarded_part_leaves_its_name_free(archive: Any) -> None:
    archive.discard(write(archive.start(USER, TWT, "1-a"), [tweets(1)]))
    crawl(archive, "1-a", tweets(2))
    assert list(archive.lines(USER, TWT)) == tweets(2)


def test_publishing_twice_does_no_harm(archive: Any) -> None:
    extent = crawl(archive, "1-a", tweets(2, 1))
    archive.publish(USER, extent)
    assert list(archive.lines(USER, TWT)) == tweets(2, 1)


def test_a_part_that_was_never_there_cannot_be_published(archive: Any) -> None:
    with pytest.raises(LostBytes):
        archive.publish(USER, Extent(TWT, "1-a", 40, 7))


def test_an_old_seal_does_not_undo_a_newer_final(archive: Any) -> None:
    old = crawl(archive, "1-a", tweets(2, 1))
    crawl(archive, "2-b", tweets(3, 2, 1))
    with pytest.raises(LostBytes):
        archive.publish(USER, old)
    assert list(archive.lines(USER, TWT)) == tweets(3, 2, 1)


def test_a_part_of_another_length_than_sealed_is_not_published(archive: Any) -> None:
    draft = write(archive.start(USER, TWT, "1-a"), [tweets(1)])
    draft.end(DONE)
    draft.close()
    sealed = draft.extent
    for length in (sealed.length - 1, sealed.length + 1):
        with pytest.raises(LostBytes, match="sealed"):
            archive.publish(USER, Extent(TWT, "1-a", length, sealed.crc))
    assert archive.end_of(USER, TWT) is None
    archive.publish(USER, sealed)
    assert archive.end_of(USER, TWT) == DONE


def test_a_reader_keeps_the_file_that_it_opened(archive: Any) -> None:
    crawl(archive, "1-a", tweets(3), tweets(2))
    reader = archive.lines(USER, TWT)
    assert next(reader) == tweets(3)[0]
    crawl(archive, "2-b", tweets(9))
    assert list(reader) == tweets(2)
    assert list(archive.lines(USER, TWT)) == tweets(9, 3, 2)

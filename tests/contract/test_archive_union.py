"""A new final beside an old one: timelines are united, followers and profiles replaced and kept, nothing shrinks."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import pytest

from tests.contract.archive_pages import DONE, NAMES, USER, crawl, finish, open_archive, tweets, update, write
from twittomatic.archive.base import COMPLETE, GONE, End
from twittomatic.errors import CorruptMember, LostBytes, Outgrown
from twittomatic.job import FWS, TWT, USR

DAY = "20260921"
"""The UTC day of DONE."""


@pytest.fixture(params=NAMES)
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return open_archive(request.param, tmp_path / "out")


def parts(archive: Any) -> list[str]:
    return sorted(path.name for path in archive.parts.rglob("*") if path.is_file())


def names(archive: Any) -> list[str]:
    return sorted(path.name for path in archive.final_path(USER, FWS).parent.iterdir())


def heads(archive: Any) -> list[tuple[int, int]]:
    return [(member.head.seq, member.head.n) for member in archive.members(USER, TWT)]


def test_a_second_walk_keeps_what_only_the_first_had(archive: Any) -> None:
    crawl(archive, "1-a", tweets(6, 5), tweets(4, 3), tweets(2, 1))
    old = {member.placed.crc for member in archive.members(USER, TWT)}
    again = End(COMPLETE, "again", at=9)
    extent = crawl(archive, "2-b", tweets(8, 7), tweets(6, 4), mark=again)
    assert extent.seg == "2-b.u"
    assert list(archive.lines(USER, TWT)) == tweets(8, 7, 6, 5, 4, 3, 2, 1)
    assert archive.end_of(USER, TWT) == again
    assert heads(archive) == [(0, 2), (1, 4), (2, 2), (2, 0)]
    whole = [member.placed.crc for member in archive.members(USER, TWT) if member.lines == tweets(2, 1)]
    assert set(whole) <= old, "a member that is needed whole is copied, not written anew"


def test_a_union_goes_newest_first_whoever_is_older(archive: Any) -> None:
    """A walk that died before an update of everything, and was ended after it."""
    crawl(archive, "1-a", tweets(9, 8, 6), tweets(5, 4), tweets(3, 2))
    assert crawl(archive, "2-b", tweets(7, 6), tweets(5, 4), tweets(3, 2), tweets(1)).seg == "2-b.u"
    assert list(archive.lines(USER, TWT)) == tweets(9, 8, 7, 6, 5, 4, 3, 2, 1)
    assert heads(archive) == [(0, 2), (0, 2), (1, 2), (2, 2), (3, 1), (4, 0)]
    assert archive.first_id(USER, TWT) == "9"


def test_what_is_newest_is_found_in_members_out_of_order(archive: Any) -> None:
    crawl(archive, "1-a", tweets(5, 4), tweets(9, 8), tweets(3, 2))
    assert archive.first_id(USER, TWT) == "9"


@pytest.mark.parametrize("held", [[], [tweets(2, 1)]])
def test_a_walk_that_began_twice_is_put_in_order(archive: Any, held: list[list[bytes]]) -> None:
    crawl(archive, "1-a", *held)
    draft = write(archive.start(USER, TWT, "2-b"), [tweets(6, 5), tweets(4), tweets(8, 7), tweets(3)])
    draft.end(DONE)
    united = archive.unite(draft, "2-b", reorder=True)
    united.close()
    archive.publish(USER, united.extent)
    assert list(archive.lines(USER, TWT)) == [*tweets(8, 7, 6, 5, 4, 3), *(line for page in held for line in page)]
    assert archive.end_of(USER, TWT) == DONE


def test_a_walk_that_began_twice_in_order_is_left_as_it_is(archive: Any) -> None:
    draft = write(archive.start(USER, TWT, "1-a"), [tweets(6, 5), tweets(4, 3)])
    draft.end(DONE)
    assert archive.unite(draft, "1-a", reorder=True) is draft
    draft.close()


def test_the_holes_of_both_stay(archive: Any) -> None:
    crawl(archive, "1-a", tweets(9), tweets(2), mark=End(GONE, "suspended", (("9", "5"), ("5", "2")), 5))
    crawl(archive, "2-b", tweets(20), tweets(1), mark=End(COMPLETE, None, (("20", "9"), ("9", "5")), 4))
    assert archive.end_of(USER, TWT) == End(COMPLETE, None, (("20", "9"), ("9", "5"), ("5", "2")), 4)


class TestOutgrown:
    """A part that was sealed, and a final that came to hold more before it was renamed."""

    @pytest.fixture
    def sealed(self, archive: Any) -> Any:
        draft = write(archive.start(USER, TWT, "1-a"), [tweets(4, 3), tweets(1)])
        draft.end(End(COMPLETE, "sealed", (("3", "1"),), at=10))
        draft.close()
        return draft.extent

    @pytest.mark.parametrize("at", [5, 15])
    def test_it_is_not_published_but_united(self, archive: Any, sealed: Any, at: int) -> None:
        crawl(archive, "2-b", tweets(9), tweets(4, 3, 2), mark=End(GONE, "newer", (("9", "4"),), at))
        final = archive.final_path(USER, TWT)
        before, part = final.read_bytes(), archive.part_path(USER, TWT, "1-a").read_bytes()
        with pytest.raises(Outgrown):
            archive.publish(USER, sealed)
        assert final.read_bytes() == before
        extent = archive.reunite(USER, sealed, "3-c")
        assert (extent.seg, archive.part_path(USER, TWT, "1-a").read_bytes()) == ("3-c.u", part)
        for _ in range(2):
            archive.publish(USER, extent)
            assert list(archive.lines(USER, TWT)) == tweets(9, 4, 3, 2, 1)
        end, reason = (COMPLETE, "sealed") if at == 5 else (GONE, "newer")
        assert archive.end_of(USER, TWT) == End(end, reason, (("9", "4"), ("3", "1")), max(at, 10))

    def test_a_final_that_holds_no_more_is_replaced(self, archive: Any, sealed: Any) -> None:
        crawl(archive, "2-b", tweets(3))
        assert archive.reunite(USER, sealed, "3-c") == sealed
        archive.publish(USER, sealed)
        assert list(archive.lines(USER, TWT)) == tweets(4, 3, 1)

    def test_a_union_can_be_outgrown_too(self, archive: Any, sealed: Any) -> None:
        crawl(archive, "2-b", tweets(9))
        united = archive.reunite(USER, sealed, "3-c")
        crawl(archive, "4-d", tweets(10))
        with pytest.raises(Outgrown):
            archive.publish(USER, united)
        again = archive.reunite(USER, united, "3-c")
        assert again.seg == "3-c.v"
        archive.publish(USER, again)
        assert list(archive.lines(USER, TWT)) == tweets(10, 9, 4, 3, 1)

    def test_a_part_that_is_gone_cannot_be_united(self, archive: Any, sealed: Any) -> None:
        archive.part_path(USER, TWT, "1-a").unlink()
        with pytest.raises(LostBytes):
            archive.reunite(USER, sealed, "3-c")

    @pytest.mark.parametrize("suffix", [FWS, USR])
    def test_what_is_replaced_whole_is_not_compared(self, archive: Any, suffix: str) -> None:
        draft = write(archive.start(USER, suffix, "1-a"), [[b'{"id":"1"}']])
        draft.end(DONE)
        draft.close()
        crawl(archive, "2-b", [b'{"id":"2"}'], suffix=suffix)
        assert archive.reunite(USER, draft.extent, "3-c") == draft.extent
        archive.publish(USER, draft.extent)
        assert list(archive.lines(USER, suffix)) == [b'{"id":"1"}']


def test_the_part_that_was_united_stays_until_it_is_swept(archive: Any) -> None:
    crawl(archive, "1-a", tweets(2, 1))
    crawl(archive, "2-b", tweets(3))
    assert parts(archive) == [f"{USER}.twt.2-b"]


def test_a_user_who_is_gone_keeps_the_tweets(archive: Any) -> None:
    crawl(archive, "1-a", tweets(2, 1))
    gone = End(GONE, "suspended", at=5)
    crawl(archive, "2-b", mark=gone)
    assert list(archive.lines(USER, TWT)) == tweets(2, 1)
    assert archive.end_of(USER, TWT) == gone


def test_an_empty_final_is_simply_replaced(archive: Any) -> None:
    crawl(archive, "1-a", mark=End(GONE, "protected", at=5))
    assert crawl(archive, "2-b", tweets(2, 1)).seg == "2-b"
    assert list(archive.lines(USER, TWT)) == tweets(2, 1)


@pytest.mark.parametrize("pages", [[tweets(3, 2, 1)], [tweets(1, 2, 3)], [tweets(5, 4), tweets(3, 2, 1)]])
def test_a_walk_that_brought_everything_again_needs_no_union(archive: Any, pages: list[list[bytes]]) -> None:
    crawl(archive, "1-a", tweets(3, 2), tweets(1))
    assert crawl(archive, "2-b", *pages).seg == "2-b"
    assert list(archive.lines(USER, TWT)) == [line for page in pages for line in page]


def test_a_walk_that_went_on_from_the_final_needs_no_union(archive: Any) -> None:
    draft = write(archive.start(USER, TWT, "1-a"), [tweets(5, 4)])
    committed = draft.extent
    finish(archive, draft, "1-a")
    longer = write(archive.resume(USER, committed, "2-b", clean=False), [tweets(3)], first=1)
    assert finish(archive, longer, "2-b").seg == "2-b"
    assert list(archive.lines(USER, TWT)) == tweets(5, 4, 3)


def test_an_update_needs_no_union(archive: Any) -> None:
    crawl(archive, "1-a", tweets(2, 1))
    held = archive.final_path(USER, TWT).read_bytes()
    assert update(archive, "2-b", tweets(4, 3)).seg == "2-b"
    assert update(archive, "3-c", tweets(5)).seg == "3-c"
    assert list(archive.lines(USER, TWT)) == tweets(5, 4, 3, 2, 1)
    first_page = list(archive.members(USER, TWT))[2]
    at = first_page.placed.offset
    copied = archive.final_path(USER, TWT).read_bytes()[at : at + first_page.placed.length]
    assert copied == held[: first_page.placed.length], "copied, not compressed again"


def test_an_update_whose_final_changed_meanwhile_is_united(archive: Any) -> None:
    crawl(archive, "1-a", tweets(2, 1))
    draft = write(archive.start(USER, TWT, "2-b"), [tweets(3)])
    assert draft.copy_final() == 2
    update(archive, "3-c", tweets(9))
    assert finish(archive, draft, "2-b").seg == "2-b.u"
    assert list(archive.lines(USER, TWT)) == tweets(9, 3, 2, 1)


def test_copying_without_a_final_copies_nothing(archive: Any) -> None:
    draft = archive.start(USER, TWT, "1-a")
    assert draft.copy_final() == 0
    assert draft.extent.length == 0
    draft.close()


ITEMS = {
    "id_str before id": (
        b'{"id":1790000000000000100,"id_str":"1790000000000000123"}',
        b'{"id_str":"1790000000000000123"}',
    ),
    "number or text": (b'{"id":17}', b'{"a":[{"id":3}],"id":"17"}'),
    "lone surrogate": (b'{"id":"17","text":"\\ud83d"}', b'{"id":"17"}'),
    "not UTF-8": (b'{"text":"\xff\xfe","id":"17"}', b'{"id":"17"}'),
    "not JSON for all": (b'{"x":NaN,"id":"17"}', b'{"id":"17"}'),
    "no id": (b'{"errors":[]}', b'{"errors":[]}'),
}


@pytest.mark.parametrize(("old", "new"), ITEMS.values(), ids=ITEMS)
def test_the_same_item_in_other_bytes_is_one_item(archive: Any, old: bytes, new: bytes) -> None:
    crawl(archive, "1-a", [old, b'{"id":"5"}'])
    crawl(archive, "2-b", [new])
    assert list(archive.lines(USER, TWT)) == [new, b'{"id":"5"}']


@pytest.mark.parametrize("line", [b"[1]", b"{", b'{"id":null}', b'{"id":{"a":1}}', b'{"id":true}', b"1"])
def test_a_line_without_an_id_is_not_lost(archive: Any, line: bytes) -> None:
    crawl(archive, "1-a", [line, *tweets(1)])
    crawl(archive, "2-b", tweets(3), [b'{"id":"2"}'])
    assert list(archive.lines(USER, TWT)) == [line, *tweets(3), b'{"id":"2"}', *tweets(1)]
    assert archive.first_id(USER, TWT) == "3"


def test_a_damaged_final_is_not_published_over(archive: Any) -> None:
    crawl(archive, "1-a", tweets(2, 1), tweets(0))
    final = archive.final_path(USER, TWT)
    second = list(archive.members(USER, TWT))[1].placed
    data = bytearray(final.read_bytes())
    data[second.offset + second.length - 6] ^= 1
    final.write_bytes(data)
    draft = write(archive.start(USER, TWT, "2-b"), [tweets(3)])
    draft.end(DONE)
    with pytest.raises(CorruptMember):
        archive.unite(draft, "2-b")
    assert parts(archive) == [f"{USER}.twt.2-b"]
    assert final.read_bytes() == data
    draft.close()


def test_a_union_that_fails_leaves_nothing_and_can_be_tried_again(
    archive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    crawl(archive, "1-a", tweets(2, 1))
    draft = write(archive.start(USER, TWT, "2-b"), [tweets(3)])
    draft.end(DONE)

    def no_space(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", no_space)
        with pytest.raises(OSError, match="No space"):
            archive.unite(draft, "2-b")
    assert parts(archive) == [f"{USER}.twt.2-b"]
    united = archive.unite(draft, "2-b")
    archive.publish(USER, united.extent)
    united.close()
    assert list(archive.lines(USER, TWT)) == tweets(3, 2, 1)


def test_a_draft_without_an_end_mark_is_not_united(archive: Any) -> None:
    draft = write(archive.start(USER, TWT, "1-a"), [tweets(3)])
    with pytest.raises(ValueError, match="no end mark"):
        archive.unite(draft, "1-a")
    draft.close()


def test_items_of_another_program_are_united_and_updated(archive: Any) -> None:
    final = archive.final_path(USER, TWT)
    final.parent.mkdir(parents=True)
    final.write_bytes(gzip.compress(b"\n".join(tweets(3, 2, 1))))
    crawl(archive, "1-a", tweets(4, 3))
    assert list(archive.lines(USER, TWT)) == tweets(4, 3, 2, 1)
    final.write_bytes(gzip.compress(b"\n".join(tweets(3, 2, 1))))
    update(archive, "2-b", tweets(4))
    assert list(archive.lines(USER, TWT)) == tweets(4, 3, 2, 1)
    assert archive.end_of(USER, TWT) == DONE


@pytest.mark.parametrize("suffix", [FWS, USR])
def test_followers_and_profiles_are_replaced_and_the_old_kept_under_its_day(archive: Any, suffix: str) -> None:
    for number, lines in enumerate([[b"3", b"2", b"1"], [b"3", b"2"], [b"4"], [b"5"]], 1):
        assert crawl(archive, f"{number}-a", lines, suffix=suffix).seg == f"{number}-a"
        assert list(archive.lines(USER, suffix)) == lines
    name = f"{USER}.{suffix}"
    assert names(archive) == [name, f"{name}.{DAY}", f"{name}.{DAY}-2", f"{name}.{DAY}-3"]
    kept = [archive.final_path(USER, suffix).with_name(f"{name}.{DAY}{number}") for number in ("", "-2", "-3")]
    assert [gzip.decompress(path.read_bytes()) for path in kept] == [b"3\n2\n1\n", b"3\n2\n", b"4\n"]
    assert list(archive.users(suffix)) == [USER]


def test_a_replaced_file_that_the_new_one_holds_is_not_kept_twice(archive: Any) -> None:
    crawl(archive, "1-a", [b'{"id":"1"}'], suffix=USR)
    draft = archive.start(USER, USR, "2-b")
    assert draft.copy_final() == 1
    finish(archive, write(draft, [[b'{"id":"2"}']]), "2-b")
    assert list(archive.lines(USER, USR)) == [b'{"id":"1"}', b'{"id":"2"}']
    assert names(archive) == [f"{USER}.usr"]


def test_a_file_without_a_moment_is_kept_under_the_day_it_was_written(archive: Any) -> None:
    crawl(archive, "1-a", [b"1"], suffix=FWS, mark=End(COMPLETE))
    os.utime(archive.final_path(USER, FWS), (86_400 * 365, 86_400 * 365))
    crawl(archive, "2-b", [b"2"], suffix=FWS)
    assert names(archive) == [f"{USER}.fws", f"{USER}.fws.19710101"]


def test_a_damaged_file_is_replaced_and_kept_as_it_is(archive: Any) -> None:
    crawl(archive, "1-a", [b"1"], suffix=FWS)
    final = archive.final_path(USER, FWS)
    data = final.read_bytes()[:-5]
    final.write_bytes(data)
    os.utime(final, (0, 0))
    crawl(archive, "2-b", [b"2"], suffix=FWS)
    assert final.with_name(f"{USER}.fws.19700101").read_bytes() == data
    assert list(archive.lines(USER, FWS)) == [b"2"]


def test_a_crash_between_keeping_and_renaming_keeps_one_copy(archive: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    crawl(archive, "1-a", [b"1"], suffix=FWS)
    draft = write(archive.start(USER, FWS, "2-b"), [[b"2"]])
    draft.end(DONE)
    draft.close()

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", crash)
        with pytest.raises(KeyboardInterrupt):
            archive.publish(USER, draft.extent)
    assert list(archive.lines(USER, FWS)) == [b"1"]
    for _ in range(2):
        archive.publish(USER, draft.extent)
        assert list(archive.lines(USER, FWS)) == [b"2"]
        assert names(archive) == [f"{USER}.fws", f"{USER}.fws.{DAY}"]


def test_a_rename_that_another_holder_did_first_is_fine_only_with_our_bytes(
    archive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = write(archive.start(USER, TWT, "1-a"), [tweets(1)])
    draft.end(DONE)
    draft.close()
    rename = os.rename

    def late(source: Path, target: Path) -> None:
        rename(source, target)
        rename(source, target)

    monkeypatch.setattr(os, "rename", late)
    archive.publish(USER, draft.extent)
    assert list(archive.lines(USER, TWT)) == tweets(1)

    other = write(archive.start(USER, TWT, "2-b"), [tweets(2, 1)])
    other.end(DONE)
    other.close()
    monkeypatch.setattr(os, "rename", lambda source, _: (source.unlink(), rename(source, source)))
    with pytest.raises(LostBytes):
        archive.publish(USER, other.extent)
    assert list(archive.lines(USER, TWT)) == tweets(1)

"""Parts that were left behind: seen by a person, deleted only when nothing is lost with them."""

from __future__ import annotations

import os
from collections.abc import Container
from pathlib import Path

import pytest

from tests.contract.archive_pages import USER, crawl, open_archive, tweets, write
from twittomatic.archive.base import Head
from twittomatic.archive.gzip_files import GzipArchive
from twittomatic.archive.leftovers import DAY_SECONDS, kept_aside, parts, sweep
from twittomatic.errors import LostBytes
from twittomatic.job import FWS, INT64, TWT, Extent

NOW = 1_790_000_000.0


@pytest.fixture
def archive(tmp_path: Path) -> GzipArchive:
    archive: GzipArchive = open_archive("gzip", tmp_path / "out")
    return archive


def left(archive: GzipArchive, seg: str, *pages: list[bytes], user: str = USER, days: float = 2) -> Path:
    draft = write(archive.start(user, TWT, seg), pages)
    draft.close()
    os.utime(draft.path, (NOW, NOW - days * DAY_SECONDS))
    return draft.path


def swept(archive: GzipArchive, named: Container[str] = ()) -> list[str]:
    return [part.seg for part in sweep(archive, INT64, named, NOW)]


def test_parts_are_listed_with_what_their_names_tell(archive: GzipArchive) -> None:
    path = left(archive, "2-ab", tweets(1), user="7")
    archive.start(USER, FWS, "10-0f.u").close()
    (archive.parts / "22" / "note.txt").write_bytes(b"")
    found = list(parts(archive, INT64))
    assert [(part.user, part.suffix, part.seg) for part in found] == [(USER, FWS, "10-0f.u"), ("7", TWT, "2-ab")]
    assert found[1].path == path
    assert found[1].size == path.stat().st_size
    assert found[1].changed == NOW - 2 * DAY_SECONDS


def test_without_a_folder_there_are_no_parts(archive: GzipArchive) -> None:
    assert list(parts(archive, INT64)) == []
    assert list(kept_aside(archive)) == []
    assert swept(archive) == []


def test_what_a_final_holds_is_swept_when_it_is_a_day_old(archive: GzipArchive) -> None:
    crawl(archive, "1-a", tweets(3, 2), tweets(1))
    old = left(archive, "2-b", tweets(3, 2))
    left(archive, "3-c", tweets(3, 2), days=0.9)
    left(archive, "4-d", tweets(3, 2))
    assert swept(archive, named={"4-d"}) == ["2-b"]
    assert not old.exists()
    assert [part.seg for part in parts(archive, INT64)] == ["3-c", "4-d"]
    assert list(archive.lines(USER, TWT)) == tweets(3, 2, 1)


def test_the_part_behind_a_union_is_swept(archive: GzipArchive) -> None:
    crawl(archive, "1-a", tweets(2, 1))
    crawl(archive, "2-b", tweets(3))
    (part,) = parts(archive, INT64)
    os.utime(part.path, (0, 0))
    assert swept(archive) == ["2-b"]


def test_what_only_a_part_holds_stays(archive: GzipArchive) -> None:
    left(archive, "1-a", tweets(3, 2))
    assert swept(archive) == [], "no final"
    crawl(archive, "2-b", tweets(3), tweets(1))
    assert swept(archive) == [], "one of its items is nowhere else"
    crawl(archive, "3-c", tweets(3), [b'{"id":"2","text":"other bytes"}'])
    assert "1-a" not in swept(archive), "the same item in other bytes"


def test_a_page_that_a_union_cut_is_held_item_by_item(archive: GzipArchive) -> None:
    left(archive, "1-a", tweets(3, 1))
    crawl(archive, "2-b", tweets(2))
    crawl(archive, "3-c", tweets(3, 1))
    assert list(archive.lines(USER, TWT)) == tweets(3, 2, 1)
    for part in parts(archive, INT64):
        os.utime(part.path, (0, 0))
    assert swept(archive) == ["1-a", "3-c"]


def test_behind_a_damaged_final_everything_stays(archive: GzipArchive) -> None:
    crawl(archive, "1-a", tweets(3, 2), tweets(1))
    left(archive, "2-b", tweets(3, 2))
    path = archive.final_path(USER, TWT)
    path.write_bytes(path.read_bytes()[:-1])
    assert swept(archive) == []


@pytest.mark.parametrize(("held", "gone"), [(True, ["2-b"]), (False, [])])
def test_a_torn_tail_is_no_page_but_the_pages_before_it_are(archive: GzipArchive, held: bool, gone: list[str]) -> None:
    crawl(archive, "1-a", tweets(3, 2) if held else tweets(3), tweets(1))
    path = left(archive, "2-b", tweets(3, 2), tweets(1))
    path.write_bytes(path.read_bytes()[:-1])
    os.utime(path, (0, 0))
    assert swept(archive) == gone


def test_a_page_that_was_fetched_again_is_held_although_its_header_differs(archive: GzipArchive) -> None:
    crawl(archive, "1-a", tweets(3, 2))
    draft = archive.start(USER, TWT, "2-b")
    draft.append(Head(0, None, "x", 2, 99, "other", "other"), tweets(3, 2))
    draft.close()
    assert [part.seg for part in sweep(archive, INT64, (), NOW, least_age_seconds=0)] == []
    os.utime(draft.path, (0, 0))
    assert swept(archive) == ["2-b"]


def test_what_was_kept_aside_is_listed_and_never_swept(archive: GzipArchive) -> None:
    path = left(archive, "1-a", tweets(1))
    for _ in range(2):
        path.touch()
        with pytest.raises(LostBytes):
            archive.resume(USER, Extent(TWT, "1-a", 999, 1), "2-b", clean=False)
    lost = [path.with_name(f"{path.name}.lost"), path.with_name(f"{path.name}.lost-2")]
    assert list(kept_aside(archive)) == lost
    assert list(parts(archive, INT64)) == []
    crawl(archive, "3-c", tweets(1))
    assert swept(archive) == []
    assert all(kept.exists() for kept in lost)

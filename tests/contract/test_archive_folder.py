"""The output folder: owned by one crawl, fit for what a publish needs; and small files that are whole or not there."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from tests.contract.archive_pages import open_archive
from twittomatic.archive.atomic import AtomicGzip, write_atomic
from twittomatic.archive.gzip_files import GzipArchive
from twittomatic.errors import InUse, Unsuitable


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def archive(root: Path) -> GzipArchive:
    archive: GzipArchive = open_archive("gzip", root)
    return archive


def test_a_folder_belongs_to_one_crawl(archive: GzipArchive) -> None:
    archive.claim_folder("tw", "main")
    archive.claim_folder("tw", "main")
    assert json.loads((archive.root / ".crawl").read_bytes()) == {"namespace": "tw", "crawl": "main"}
    with pytest.raises(InUse, match=r"crawl main of namespace tw") as caught:
        archive.claim_folder("tw", "other")
    assert "--adopt" in caught.value.mend
    archive.claim_folder("tw", "other", adopt=True)
    archive.claim_folder("tw", "other")
    with pytest.raises(InUse):
        archive.claim_folder("tw", "main")
    assert [path.name for path in archive.root.iterdir()] == [".crawl"]


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b'{"crawl":"main"}', b"\xff"])
def test_a_folder_of_nobody_known_is_not_taken(archive: GzipArchive, text: bytes) -> None:
    archive.root.mkdir()
    (archive.root / ".crawl").write_bytes(text)
    with pytest.raises(InUse, match="unreadable"):
        archive.claim_folder("tw", "main")
    assert (archive.root / ".crawl").read_bytes() == text
    archive.claim_folder("tw", "main", adopt=True)
    archive.claim_folder("tw", "main")


def test_the_faster_of_two_claims_wins(archive: GzipArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.link

    def beaten(source: str, target: Path) -> None:
        monkeypatch.setattr(os, "link", real)
        open_archive("gzip", archive.root).claim_folder("tw", "faster")
        real(source, target)

    monkeypatch.setattr(os, "link", beaten)
    with pytest.raises(InUse, match="faster"):
        archive.claim_folder("tw", "main")
    assert [path.name for path in archive.root.iterdir()] == [".crawl"]


def test_suitable_folders_are_made_and_left_clean(archive: GzipArchive) -> None:
    archive.check()
    archive.check()
    assert [path.name for path in archive.root.rglob("*")] == [".parts"]


def test_parts_on_another_file_system_are_refused(root: Path, skip_or_fail: Callable[[str], NoReturn]) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == root.parent.stat().st_dev:
        skip_or_fail("no second file system at /dev/shm")
    parts = other / f"twittomatic-test-{os.getpid()}"
    try:
        with pytest.raises(Unsuitable, match="another file system") as caught:
            open_archive("gzip", root, parts=parts).check()
        assert "TEMPORARY_DIRECTORY" in caught.value.mend
    finally:
        parts.rmdir()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unsuitable, match="cannot make"):
        open_archive("gzip", tmp_path / "file" / "out").check()


def test_a_folder_that_cannot_be_written_is_refused(archive: GzipArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(Unsuitable, match="Operation not permitted"):
        archive.check()
    assert [path.name for path in archive.root.rglob("*")] == [".parts"]


def test_a_small_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "names"
    for text in (b"one", b"", b"three"):
        write_atomic(path, text)
        assert path.read_bytes() == text
    assert list(tmp_path.iterdir()) == [path]


def test_a_small_file_that_fails_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "names"
    write_atomic(path, b"old")

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("count", [0, 1, 200_000])
def test_a_gzip_file_appears_when_it_is_whole(tmp_path: Path, count: int) -> None:
    path = tmp_path / "frontier-main-1.gz"
    lines = [b"%d" % number for number in range(count)]
    with AtomicGzip(path) as file:
        for start in range(0, count, 10_000):
            file.lines(lines[start : start + 10_000])
            assert not path.exists()
    assert file.written == count
    assert gzip.decompress(path.read_bytes()).splitlines() == lines
    assert list(tmp_path.iterdir()) == [path]


def test_a_gzip_file_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "frontier-main-1.gz"
    with AtomicGzip(path) as file:
        file.line(b"old")
    with pytest.raises(ValueError, match="newline"), AtomicGzip(path) as file:
        file.line(b"a\nb")
    assert gzip.decompress(path.read_bytes()) == b"old\n"
    assert list(tmp_path.iterdir()) == [path]

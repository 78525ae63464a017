"""The gzip files themselves: where they lie, that every gzip reader takes them, and that no damage goes unseen."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from tests.contract.archive_pages import DONE, USER, crawl, open_archive, tweets, update, write
from twittomatic.archive import deflate
from twittomatic.archive.gzip_files import GzipArchive
from twittomatic.errors import CorruptMember
from twittomatic.job import FWS, INT64, TWT, USR


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def archive(root: Path) -> GzipArchive:
    archive: GzipArchive = open_archive("gzip", root)
    return archive


def put(archive: GzipArchive, data: bytes | bytearray, user: str = USER) -> Path:
    final = archive.final_path(user, TWT)
    final.parent.mkdir(parents=True, exist_ok=True)
    final.write_bytes(data)
    return final


@pytest.mark.parametrize(
    ("user", "place"),
    [("22013880", "22/22013880.twt"), ("7", "7/7.twt"), ("1790000000000000001", "17/1790000000000000001.twt")],
)
def test_files_lie_in_the_shard_of_their_user(tmp_path: Path, user: str, place: str) -> None:
    archive = GzipArchive(tmp_path / "out", parts=tmp_path / "elsewhere" / "parts", id_form=INT64)
    draft = write(archive.start(user, TWT, "12-00ab"), [tweets(1)])
    assert (tmp_path / "elsewhere" / "parts" / f"{place}.12-00ab").is_file()
    draft.end(DONE)
    draft.sync()
    draft.close()
    archive.publish(user, draft.extent)
    assert (tmp_path / "out" / place).is_file()


def test_the_crc_of_an_extent_is_that_of_the_file(archive: GzipArchive) -> None:
    draft = archive.start(USER, TWT, "1-a")
    for seq in range(3):
        write(draft, [tweets(seq)], first=seq)
        assert draft.extent.crc == zlib.crc32(draft.path.read_bytes())
    draft.end(DONE)
    assert draft.extent.crc == zlib.crc32(draft.path.read_bytes())
    draft.close()


def test_a_part_is_fsynced_before_its_folder_and_only_when_it_is_new(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not Path("/proc/self/fd").exists():
        pytest.skip("no /proc to name a descriptor by")
    archive = open_archive("gzip", root, fsync=True)
    archive.check()
    real, synced = os.fsync, []

    def fsync(descriptor: int) -> None:
        real(descriptor)
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))

    monkeypatch.setattr(os, "fsync", fsync)
    draft = write(archive.start(USER, TWT, "1-a"), [tweets(2)])
    draft.sync()
    part, folder = str(draft.path), str(draft.path.parent)
    assert synced == [str(root / ".parts"), part, folder]
    synced.clear()
    write(draft, [tweets(1)], first=1)
    draft.sync()
    draft.sync()
    assert synced == [part], "one page, one fsync"
    draft.end(DONE)
    draft.sync()
    assert archive.unite(draft, "1-a") is draft
    draft.close()
    assert synced == [part] * 2
    synced.clear()
    archive.publish(USER, draft.extent)
    assert synced == [str(root), str(root / "22")]
    synced.clear()
    again = write(archive.start("220", TWT, "1-a"), [tweets(2)])
    again.sync()
    again.close()
    assert len(synced) == 2, "a shard folder is made durable once"


@pytest.fixture
def zcat(skip_or_fail: Callable[[str], NoReturn]) -> Callable[[Path], bytes]:
    if shutil.which("zcat") is None:
        skip_or_fail("no zcat on this machine")
    return lambda path: subprocess.run(["zcat"], input=path.read_bytes(), capture_output=True, check=True).stdout


@pytest.mark.parametrize("level", [1, 2, 3, 6, 9])
def test_every_gzip_reader_takes_every_file(root: Path, level: int, zcat: Callable[[Path], bytes]) -> None:
    archive = open_archive("gzip", root, level=level)
    crawl(archive, "1-a", tweets(3, 2), [], tweets(1))
    update(archive, "2-b", tweets(5, 4))
    crawl(archive, "3-c", tweets(9), tweets(4))
    final = archive.final_path(USER, TWT)
    text = b"".join(line + b"\n" for line in archive.lines(USER, TWT))
    assert text == b"\n".join(tweets(9, 5, 4, 3, 2, 1)) + b"\n"
    assert zcat(final) == gzip.decompress(final.read_bytes()) == text


def test_isal_and_zlib_read_each_other(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if deflate.isal_zlib is None:
        pytest.skip("isal has no wheel here")
    archive = open_archive("gzip", root)
    crawl(archive, "1-a", tweets(3, 2), tweets(1), user="1")
    put(archive, gzip.compress(b"".join(line + b"\n" for line in tweets(3, 2, 1))), user="3")
    with monkeypatch.context() as patch:
        patch.setattr(deflate, "isal_zlib", None)
        crawl(archive, "1-a", tweets(3, 2), tweets(1), user="2")
        for user in "123":
            assert list(archive.lines(user, TWT)) == tweets(3, 2, 1)
    assert list(archive.lines("2", TWT)) == tweets(3, 2, 1)


def test_real_pages_come_back_byte_for_byte(
    archive: GzipArchive, test_data: Path, zcat: Callable[[Path], bytes]
) -> None:
    pages = [path.read_bytes().splitlines() for path in sorted((test_data / "x_v2" / "pages").glob("*.jsonl"))]
    assert pages
    crawl(archive, "1-a", *pages)
    lines = [line for page in pages for line in page]
    assert list(archive.lines(USER, TWT)) == lines
    assert zcat(archive.final_path(USER, TWT)) == b"".join(line + b"\n" for line in lines)


def test_a_tail_torn_at_any_byte_is_seen(archive: GzipArchive) -> None:
    crawl(archive, "1-a", tweets(3, 2), tweets(1))
    offsets = [member.placed.offset for member in archive.members(USER, TWT)]
    data = archive.final_path(USER, TWT).read_bytes()
    for size in range(1, len(data)):
        put(archive, data[:size])
        if size in offsets:
            assert archive.end_of(USER, TWT) is None
            continue
        torn = max(offset for offset in offsets if offset < size)
        for read in (lambda: list(archive.members(USER, TWT)), lambda: archive.end_of(USER, TWT)):
            with pytest.raises(CorruptMember, match="torn") as caught:
                read()
            assert (caught.value.offset, caught.value.path) == (torn, archive.final_path(USER, TWT))


def test_no_flipped_bit_changes_a_line_unseen(archive: GzipArchive) -> None:
    crawl(archive, "1-a", tweets(3, 2), tweets(1))
    lines = tweets(3, 2, 1)
    data = archive.final_path(USER, TWT).read_bytes()
    seen = 0
    for at in range(len(data)):
        for bit in (0, 3, 7):
            flipped = bytearray(data)
            flipped[at] ^= 1 << bit
            put(archive, flipped)
            try:
                assert list(archive.lines(USER, TWT)) == lines
            except CorruptMember:
                seen += 1
    assert seen > len(data) // 2


@pytest.mark.parametrize("junk", [b"\0" * 512, b"plain text", b"\x1f\x8b\x08\x04", b"\x1f\x8b\x08\xff" + b"\xff" * 60])
def test_junk_after_a_final_is_seen(archive: GzipArchive, junk: bytes) -> None:
    crawl(archive, "1-a", tweets(1))
    size = len(archive.final_path(USER, TWT).read_bytes())
    put(archive, archive.final_path(USER, TWT).read_bytes() + junk)
    with pytest.raises(CorruptMember) as caught:
        list(archive.lines(USER, TWT))
    assert caught.value.offset == size
    with pytest.raises(CorruptMember):
        archive.end_of(USER, TWT)


FOREIGN = {
    "one stream": gzip.compress(b"1\n22\n333\n"),
    "no newline at the end": gzip.compress(b"1\n22\n333"),
    "a name in the header": b"\x1f\x8b\x08\x08\0\0\0\0\0\x03name\0" + gzip.compress(b"1\n22\n333\n")[10:],
    "a line across members": gzip.compress(b"1\n2") + gzip.compress(b"2\n33") + gzip.compress(b"3\n"),
    "an empty member": gzip.compress(b"1\n22\n") + gzip.compress(b"") + gzip.compress(b"333\n"),
    "an extra field of another kind": b"\x1f\x8b\x08\x04\0\0\0\0\0\x03\x06\0BC\x02\0\x1b\0"
    + gzip.compress(b"1\n22\n333\n")[10:],
}


@pytest.mark.parametrize("data", FOREIGN.values(), ids=FOREIGN)
def test_files_of_other_programs_are_read_by_line(archive: GzipArchive, data: bytes) -> None:
    put(archive, data)
    assert list(archive.lines(USER, TWT)) == [b"1", b"22", b"333"]
    assert archive.end_of(USER, TWT) is None
    with pytest.raises(CorruptMember, match="another program"):
        list(archive.members(USER, TWT))


def test_a_large_file_of_another_program(archive: GzipArchive) -> None:
    lines = [os.urandom(8).hex().encode() * 8 for _ in range(40_000)]
    put(archive, gzip.compress(b"\n".join(lines) + b"\n", 1))
    assert list(archive.lines(USER, TWT)) == lines
    assert archive.end_of(USER, TWT) is None
    put(archive, archive.final_path(USER, TWT).read_bytes()[:-3])
    with pytest.raises(CorruptMember, match="does not end"):
        list(archive.lines(USER, TWT))


def test_members_of_both_kinds_in_one_file(archive: GzipArchive) -> None:
    crawl(archive, "1-a", tweets(3))
    ours = archive.final_path(USER, TWT).read_bytes()
    put(archive, gzip.compress(b"a\nb\n") + ours + gzip.compress(b"c\n"))
    assert list(archive.lines(USER, TWT)) == [b"a", b"b", *tweets(3), b"c"]
    assert archive.end_of(USER, TWT) is None, "what follows the mark makes it no end"


def test_the_end_is_found_without_reading_the_rest(archive: GzipArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    crawl(archive, "1-a", *(tweets(number) for number in range(300, 0, -1)), [b'{"id":"0"}' + b" " * 9_000_000])
    real, reads = os.pread, []

    def pread(descriptor: int, length: int, offset: int) -> bytes:
        reads.append(length)
        return real(descriptor, length, offset)

    monkeypatch.setattr(os, "pread", pread)
    assert archive.end_of(USER, TWT) == DONE
    assert len(reads) == 2
    reads.clear()
    assert archive.first_id(USER, TWT) == "300"
    assert sum(reads) < 340 * 1024, "of each page no more is read than its first line needs"
    reads.clear()
    assert len(list(archive.members(USER, TWT, skip_lines=299, wanted=lambda head: head.seq != 300))) == 2
    assert sum(reads) < 320 * 1024, "what is hopped over is not read"


def test_an_end_mark_without_its_tail_field_is_found_by_hopping(archive: GzipArchive) -> None:
    crawl(archive, "1-a", tweets(2), tweets(1))
    final = archive.final_path(USER, TWT)
    final.write_bytes(final.read_bytes().replace(b"TZ\x04\0", b"ZZ\x04\0"))
    assert archive.end_of(USER, TWT) == DONE


def test_only_finals_are_listed(archive: GzipArchive) -> None:
    for token in ("1-a", "2-b"):
        crawl(archive, token, [token.encode()], suffix=FWS)
    crawl(archive, "1-a", [b"{}"], suffix=USR, user="7")
    crawl(archive, "1-a", user="90")
    root = archive.root
    shutil.copy(root / "90" / "90.twt", root / "22" / "90.twt")
    for name in ("22/.90.twt.tmp", "22/x.twt", "22/022.twt", "22/22.twt.lost", "22/2213.twt-2", "note.twt"):
        (root / name).write_bytes(b"")
    archive.claim_folder("tw", "main")
    assert {suffix: list(archive.users(suffix)) for suffix in (TWT, FWS, USR)} == {TWT: ["90"], FWS: [USER], USR: ["7"]}


@pytest.mark.parametrize("level", [0, 10, -1])
def test_a_level_that_no_codec_has_is_refused(root: Path, level: int) -> None:
    with pytest.raises(ValueError, match="compression level"):
        open_archive("gzip", root, level=level)

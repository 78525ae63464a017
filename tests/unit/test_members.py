"""The bytes of one member."""

from __future__ import annotations

import gzip
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twittomatic.archive import deflate
from twittomatic.archive.base import DEPTH, End, Head
from twittomatic.archive.ids import id_of
from twittomatic.archive.members import (
    MARK_TAIL_LENGTH,
    Header,
    build,
    build_end,
    header_length,
    lines_of,
    marked_length,
    parse,
)
from twittomatic.errors import ArchiveError
from twittomatic.job import FWS, TWT

HEAD = Head(4, "a", None, 2, 1_790_000_000, "x_v2", "main")
LINES = [b'{"id":"2"}', b'{"id":"1"}']
MARK = End(DEPTH, "the network gives out 3,200", (("19", "3"),), 7)


def parsed(member: bytes) -> Header:
    header = parse(member)
    assert header is not None
    return header


def test_the_bytes_are_those_of_the_format() -> None:
    member = build(HEAD, LINES, 2)
    told = b'{"seq":4,"prev":"a","next":null,"n":2,"at":1790000000,"source":"x_v2","crawl":"main"}'
    assert member[:10] == b"\x1f\x8b\x08\x04\0\0\0\0\0\xff"
    assert member[10:18] == struct.pack("<H2sHH", len(told) + 8, b"TM", len(told) + 4, len(member))[:8]
    assert member[16:20] == struct.pack("<I", len(member))
    assert member[20 : 20 + len(told)] == told
    body = b"".join(line + b"\n" for line in LINES)
    assert member[-8:] == struct.pack("<II", zlib.crc32(body), len(body))
    assert gzip.decompress(member) == body


def test_an_end_mark_is_an_empty_member_that_names_its_length_twice() -> None:
    member = build_end(Head(5, None, None, 0, 7, "x_v2", "main"), MARK)
    assert gzip.decompress(member) == b""
    assert member[-14:] == struct.pack("<I", len(member)) + b"\x03\0" + bytes(8)
    assert marked_length(b"before" + member) == len(member)
    assert parsed(member).end == MARK


def test_the_one_hole_of_an_earlier_version_is_read() -> None:
    told = b'{"seq":5,"prev":null,"next":null,"n":0,"at":7,"source":"","crawl":"","end":"gone","hole":["19","3"]}'
    extra = b"TM" + struct.pack("<HI", len(told) + 4, 12 + 8 + len(told) + 10) + told
    member = b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff" + struct.pack("<H", len(extra)) + extra + b"\x03\0" + bytes(8)
    assert parsed(member).end == End("gone", None, (("19", "3"),), 7)


TEXT = st.text(max_size=40)
LINE = st.binary(max_size=60).map(lambda line: line.replace(b"\n", b" "))


@given(prev=st.none() | TEXT, after=st.none() | TEXT, at=st.integers(0, 2**40), lines=st.lists(LINE, max_size=20))
def test_what_is_built_is_parsed(prev: str | None, after: str | None, at: int, lines: list[bytes]) -> None:
    head = Head(7, prev, after, len(lines), at, "twitter_v1", "crawl ñ")
    member = build(head, lines, 1)
    header = parsed(member)
    assert (header.head, header.end, header.total) == (head, None, len(member))
    assert header.body == header_length(member)
    assert lines_of(member, header) == lines
    assert gzip.decompress(member) == b"".join(line + b"\n" for line in lines)


HOLES = st.lists(st.tuples(TEXT, TEXT), max_size=3)


@given(reason=st.none() | TEXT, holes=HOLES, at=st.integers(0, 2**40))
def test_an_end_mark_is_parsed(reason: str | None, holes: list[tuple[str, str]], at: int) -> None:
    mark = End("capped", reason, tuple(holes), at)
    member = build_end(Head(0, None, None, 0, at, "", ""), mark)
    header = parsed(member)
    assert (header.end, header.head.at, header.total) == (mark, at, len(member))
    assert lines_of(member, header) == []
    assert marked_length(member[-MARK_TAIL_LENGTH:]) == len(member)


def test_a_head_is_parsed_from_its_bytes_alone() -> None:
    member = build(HEAD, LINES, 2)
    assert parse(member[: header_length(member[:12])]) == parse(member)


@pytest.mark.parametrize("size", range(130))
def test_a_header_cut_anywhere_is_torn(size: int) -> None:
    member = build(HEAD, LINES, 2)
    whole = header_length(member)
    if size < whole:
        with pytest.raises(ValueError, match="torn"):
            parse(member[:size])
    else:
        assert parse(member[:size]) is not None


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"PK\x03\x04" + bytes(40), "not a gzip member"),
        (bytes(40), "not a gzip member"),
        (build(HEAD, LINES, 2).replace(b'"seq":4', b'"seq":"'), "bad header"),
        (build(HEAD, LINES, 2).replace(b'"n":2', b'"n":x'), "bad header"),
        (build(HEAD, LINES, 2)[:16] + b"\x05\0\0\0" + build(HEAD, LINES, 2)[20:], "total length 5"),
    ],
)
def test_a_damaged_header_is_said(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse(data)


@pytest.mark.parametrize(
    "data", [gzip.compress(b"x\n", mtime=0), b"\x1f\x8b\x08\x04" + bytes(6) + b"\x04\0TX\0\0" + bytes(20)]
)
def test_members_of_other_programs_have_no_head(data: bytes) -> None:
    assert parse(data) is None


def test_a_later_version_may_say_more() -> None:
    member = build(HEAD, LINES, 2).replace(b'"source":"x_v2"', b'"later":"field"')
    with pytest.raises(ValueError, match="source"):
        parse(member)
    # The escaped quotes of one text become the quotes of two, length by length.
    more = build(Head(4, "a", None, 2, 7, "x_v2", 'main","later":"field'), LINES, 2).replace(rb"\"", b'" ')
    assert parsed(more).head == Head(4, "a", None, 2, 7, "x_v2", "main")
    assert lines_of(more, parsed(more)) == LINES


@pytest.mark.parametrize("at", [-1, -5, -12])
def test_a_damaged_body_is_said(at: int) -> None:
    member = bytearray(build(HEAD, LINES, 2))
    member[at] ^= 0x10
    with pytest.raises(ValueError, match=r"CRC|deflate"):
        lines_of(bytes(member), parsed(bytes(member)))


def test_a_count_that_does_not_fit_is_said() -> None:
    member = build(HEAD, LINES, 2).replace(b'"n":2', b'"n":3')
    with pytest.raises(ValueError, match="3 items, the body has 2 lines"):
        lines_of(member, parsed(member))


def test_what_cannot_be_a_member_is_refused() -> None:
    with pytest.raises(ValueError, match="2 items, there are 1"):
        build(HEAD, LINES[:1], 2)
    with pytest.raises(ValueError, match="newline"):
        build(HEAD, [b"a\nb", b"c"], 2)
    with pytest.raises(ValueError, match="no items"):
        build_end(HEAD, MARK)


def test_a_header_is_filled_to_its_last_byte_and_not_beyond() -> None:
    def member(length: int) -> bytes:
        return build(Head(0, None, "c" * length, 0, 0, "s", "c"), [], 2)

    room = 0xFFFF - (len(member(0)) - 12 - 10)
    assert header_length(member(room)) == 12 + 0xFFFF
    assert len(parsed(member(room)).head.next or "") == room
    with pytest.raises(ArchiveError, match="a gzip header holds 65535"):
        member(room + 1)


@pytest.mark.parametrize("tail", [b"", b"TZ\x04\0", bytes(MARK_TAIL_LENGTH), gzip.compress(b"", mtime=0)])
def test_other_tails_are_no_marks(tail: bytes) -> None:
    assert marked_length(tail) is None


@pytest.mark.parametrize("fast", [True, False], ids=["isal", "zlib"])
@pytest.mark.parametrize("level", [1, 2, 3, 4, 9])
def test_a_stream_is_inflated_to_its_size_or_not_at_all(
    fast: bool, level: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not fast:
        monkeypatch.setattr(deflate, "isal_zlib", None)
    elif deflate.isal_zlib is None:
        pytest.skip("isal has no wheel here")
    for body in (b"", b"x", b"line\n" * 100_000):
        packed = deflate.deflate(body, level)
        assert zlib.decompress(packed, -15) == deflate.inflate(packed, len(body)) == body
        for stream, size in ((packed[:-1], len(body)), (packed + b"\0", len(body)), (packed, len(body) + 1)):
            with pytest.raises(ValueError, match="deflate stream"):
                deflate.inflate(stream, size)
    with pytest.raises(ValueError, match="deflate stream"):
        deflate.inflate(packed, 10)


@pytest.mark.parametrize(
    ("line", "suffix", "id_"),
    [
        (b"12", FWS, "12"),
        (b'{"id":"12","user":{"id":"3"}}', TWT, "12"),
        (b'{"id":1790000000000000100,"id_str":"1790000000000000123"}', TWT, "1790000000000000123"),
        (b'{"user":{"id":"3"}}', TWT, None),
        (b'{"id":12,"text":"\\ud83d"}', TWT, "12"),
        (b'{"id":12.0}', TWT, None),
        (b"", TWT, None),
        (b"", FWS, None),
        (b"[" * 100_000, TWT, None),
    ],
)
def test_the_id_of_a_line(line: bytes, suffix: str, id_: str | None) -> None:
    assert id_of(line, suffix) == id_

"""Reads one archive file: hops from header to header, inflates only what is asked for, trusts nothing unchecked."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from twittomatic.archive.base import End, Head, Member, Placed
from twittomatic.archive.deflate import GzipInflater, crc32
from twittomatic.archive.members import (
    FIXED_LENGTH,
    MARK_TAIL_LENGTH,
    Header,
    header_length,
    lines_of,
    marked_length,
    parse,
)
from twittomatic.errors import CorruptMember

BLOCK = 1 << 20
_HEADER_GUESS = 1024
"""One read of this many bytes holds nearly every header, and the whole of a small file."""
_FIRST_LINE_BLOCK = 16 << 10
_FOREIGN_PAGE = 1000
"""Lines of a foreign member that are handed on together."""


class Span(NamedTuple):
    """Where a member of ours stands."""

    offset: int
    header: Header

    @property
    def next(self) -> int:
        """Offset behind it."""
        return self.offset + self.header.total


class Hop(NamedTuple):
    """Where a member of any writer stands; ``header`` is None where it is not one of ours."""

    offset: int
    stop: int
    items: int
    header: Header | None


class Mark(NamedTuple):
    """An end mark and where it stands."""

    end: End
    offset: int


class Stretch(NamedTuple):
    """Lines that stand together; ``span`` is None where another program wrote them."""

    head: Head
    lines: list[bytes]
    span: Span | None


@contextmanager
def opened(path: Path) -> Iterator[MemberFile]:
    """A file for reading. A rename over it meanwhile changes nothing: the reader keeps the file it opened."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield MemberFile(descriptor, path)
    finally:
        os.close(descriptor)


@contextmanager
def opened_if_there(path: Path) -> Iterator[MemberFile | None]:
    """A file for reading, None where there is none."""
    with ExitStack() as stack:
        file = None
        with suppress(FileNotFoundError):
            file = stack.enter_context(opened(path))
        yield file


class MemberFile:
    """An open file of gzip members, up to ``size`` bytes of it. The descriptor stays its owner's."""

    def __init__(self, descriptor: int, path: Path, size: int | None = None) -> None:
        self.path = path
        self.size = os.fstat(descriptor).st_size if size is None else size
        self._descriptor = descriptor

    def read(self, offset: int, length: int) -> bytes:
        """Bytes at an offset, fewer only at the end of the file."""
        length = min(length, self.size - offset)
        data = os.pread(self._descriptor, max(length, 0), offset)
        while len(data) < length:
            more = os.pread(self._descriptor, length - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data

    def blocks(self, start: int, stop: int, size: int = BLOCK) -> Iterator[bytes]:
        """Bytes [start, stop) a block of ``size`` at a time. CorruptMember when the file ends before."""
        while start < stop:
            block = self.read(start, min(size, stop - start))
            if not block:
                raise self._corrupt(start, f"the file ends here, {stop} bytes were expected")
            yield block
            start += len(block)

    def crc(self, stop: int, start: int = 0) -> int:
        """CRC-32 of bytes [start, stop). CorruptMember when the file ends before."""
        crc = 0
        for block in self.blocks(start, stop):
            crc = crc32(block, crc)
        return crc

    def header(self, offset: int) -> Header | None:
        """The header at an offset; None for a foreign member. CorruptMember for anything else."""
        start = self.read(offset, _HEADER_GUESS)
        try:
            length = header_length(start[:FIXED_LENGTH])
            header = parse(start if length <= len(start) else self.read(offset, length))
        except ValueError as error:
            raise self._corrupt(offset, str(error)) from error
        if header and offset + header.total > self.size:
            raise self._corrupt(offset, f"torn: {self.size - offset} bytes of a member of {header.total}")
        return header

    def hops(self) -> Iterator[Hop]:
        """Every member, foreign ones too; only these are inflated, because nothing else tells their length."""
        offset = 0
        while offset < self.size:
            header = self.header(offset)
            stop, items = (offset + header.total, header.head.n) if header else self._foreign_extent(offset)
            yield Hop(offset, stop, items, header)
            offset = stop

    def spans(self, offset: int = 0) -> Iterator[Span]:
        """Every member from an offset on, none of them inflated. CorruptMember at a foreign one too."""
        while offset < self.size:
            header = self.header(offset)
            if header is None:
                raise self._corrupt(offset, "a gzip member without a TM field: another program wrote it")
            yield Span(offset, header)
            offset += header.total

    def member(self, span: Span) -> Member:
        """A member with its lines. CorruptMember when a checksum or a count does not fit."""
        data = self.read(span.offset, span.header.total)
        try:
            lines = lines_of(data, span.header)
        except ValueError as error:
            raise self._corrupt(span.offset, str(error)) from error
        return Member(span.header.head, span.header.end, Placed(span.offset, len(data), crc32(data)), lines)

    def members(self, skip_lines: int = 0, wanted: Callable[[Head], bool] | None = None) -> Iterator[Member]:
        """Every member in order without the first ``skip_lines`` lines: members wholly within them are hopped over,
        and the first that is not comes with its remaining lines only; so are those whose head is not ``wanted``."""
        for span in self.spans():
            items = span.header.head.n
            if skip_lines and items <= skip_lines and span.header.end is None:
                skip_lines -= items
                continue
            if wanted is None or wanted(span.header.head):
                member = self.member(span)
                yield member._replace(lines=member.lines[skip_lines:]) if skip_lines else member
            skip_lines = max(skip_lines - items, 0)

    def stretches(self, *, brief: bool = False) -> Iterator[Stretch]:
        """Every line, by member; members of other programs in pieces. End marks are left out. brief: of a member of
        ours only the first line, of which no more is inflated and checked than it takes."""
        offset = 0
        while offset < self.size:
            header = self.header(offset)
            if header is None:
                offset = yield from self._foreign(offset)
                continue
            span = Span(offset, header)
            lines = [self._first_line(span)] if brief and header.head.n else self.member(span).lines
            if header.end is None:
                yield Stretch(header.head, lines, span)
            offset = span.next

    def _first_line(self, span: Span) -> bytes:
        inflater, line = GzipInflater(raw=True), b""
        try:
            for block in self.blocks(span.offset + span.header.body, span.next, _FIRST_LINE_BLOCK):
                for piece in inflater.feed(block, _FIRST_LINE_BLOCK):
                    before, newline, _ = piece.partition(b"\n")
                    line += before
                    if newline:
                        return line
        except ValueError as error:
            raise self._corrupt(span.offset, str(error)) from error
        raise self._corrupt(span.offset, "a line that does not end")

    def _foreign(self, offset: int) -> Generator[Stretch, None, int]:
        """Foreign members from an offset on, as one text: gzip lets a line run on from member to member. Returns the
        offset behind them."""
        rest = b""
        while offset < self.size and self.header(offset) is None:
            inflater = GzipInflater()
            for piece in self._inflated(offset, inflater):
                *lines, rest = (rest + piece).split(b"\n")
                for start in range(0, len(lines), _FOREIGN_PAGE):
                    yield _foreign_stretch(lines[start : start + _FOREIGN_PAGE])
            offset += inflater.length
        if rest:
            yield _foreign_stretch([rest])
        return offset

    def _foreign_extent(self, offset: int) -> tuple[int, int]:
        """Offset behind a foreign member, and its lines."""
        inflater = GzipInflater()
        lines, last = 0, b""
        for piece in self._inflated(offset, inflater):
            lines += piece.count(b"\n")
            last = piece[-1:]
        return offset + inflater.length, lines + (last not in (b"", b"\n"))

    def _inflated(self, offset: int, inflater: GzipInflater) -> Iterator[bytes]:
        for block in self.blocks(offset, self.size):
            try:
                yield from inflater.feed(block, BLOCK)
            except ValueError as error:
                raise self._corrupt(offset, str(error)) from error
            if inflater.done:
                return
        raise self._corrupt(offset, "torn: a gzip member that does not end")

    def lines(self) -> Iterator[bytes]:
        """Every line."""
        for stretch in self.stretches():
            yield from stretch.lines

    def is_damaged(self) -> bool:
        """Whether any byte of it fails a check."""
        try:
            for _ in self.lines():
                pass
        except CorruptMember:
            return True
        return False

    def mark(self) -> Mark | None:
        """The end mark that the file ends with. One read; where that tells nothing, the whole file is hopped."""
        mark = self.tail_mark()
        if mark is None:
            for hop in self.hops():
                mark = Mark(hop.header.end, hop.offset) if hop.header and hop.header.end else None
        return mark

    def tail_mark(self) -> Mark | None:
        """The end mark that the last bytes tell of, as every mark of ours does; the rest is not looked at."""
        total = marked_length(self.read(max(self.size - MARK_TAIL_LENGTH, 0), MARK_TAIL_LENGTH))
        if total is None or total > self.size:
            return None
        offset = self.size - total
        try:
            header = self.header(offset)
        except CorruptMember:
            return None
        return Mark(header.end, offset) if header and header.end and header.total == total else None

    def _corrupt(self, offset: int, why: str) -> CorruptMember:
        return CorruptMember(self.path, offset, why)


def _foreign_stretch(lines: list[bytes]) -> Stretch:
    return Stretch(Head(0, None, None, len(lines), 0, "", ""), lines, None)

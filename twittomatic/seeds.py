"""Seeds files: one user a line, read as people write them; every bad line is reported, with its number and reason."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import sys
import zlib
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from twittomatic.errors import SeedsError
from twittomatic.sources.base import Seed

SHOWN_BAD_LINES = 20
KEPT_BAD_LINES = 10_000
"""Bad lines that are kept with their text; all are counted."""

Parser = Callable[[str], Seed]
"""Of the source: the user that a line names, or ValueError with the reason."""


class BadLine(NamedTuple):
    """A line that names nobody."""

    number: int
    text: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.number}: {self.text!r}: {self.reason}"


@dataclass(slots=True)
class Survey:
    """What a first reading of a seeds file found. digest: of the users it names, in order, however they are spelled."""

    path: Path
    good: int = 0
    doubles: int = 0
    bad_count: int = 0
    bad: list[BadLine] = field(default_factory=list)
    digest: str = ""

    def complaint(self) -> str:
        """Every bad line that is kept, up to SHOWN_BAD_LINES, and how many more there are."""
        shown = "\n".join(f"  {bad}" for bad in self.bad[:SHOWN_BAD_LINES])
        more = self.bad_count - min(len(self.bad), SHOWN_BAD_LINES)
        return shown + (f"\n  and {more} more" if more else "")


def survey(path: Path, parse: Parser, *, strict: bool = False) -> Survey:
    """Read a seeds file once and count. SeedsError when nothing in it is a user, or when strict and a line is bad."""
    found = Survey(path)
    digest = hashlib.blake2b(digest_size=16)
    seen = _Distinct()
    for number, text in lines(path):
        try:
            seed = parse(text)
        except ValueError as error:
            found.bad_count += 1
            if len(found.bad) < KEPT_BAD_LINES:
                found.bad.append(BadLine(number, text[:200], str(error)))
            continue
        key = hashlib.blake2b(f"{seed.id}@{seed.name.casefold()}".encode(), digest_size=8).digest()
        digest.update(key)
        seen.add(key)
    found.good = seen.count()
    found.doubles = seen.added - found.good
    found.digest = digest.hexdigest()
    if found.bad and strict:
        raise SeedsError(
            f"{path} has {found.bad_count} lines that name nobody:\n{found.complaint()}",
            "mend these lines, or leave out --strict to run the others",
        )
    if not found.good:
        what = f"every line of it is bad:\n{found.complaint()}" if found.bad else "it has no line with a user"
        raise SeedsError(f"{path} names nobody: {what}", "write one id, @name or profile address a line")
    return found


class _Distinct:
    """Counts distinct keys of 8 bytes in about 8 bytes each: sorted into 256 arrays by their first byte."""

    def __init__(self) -> None:
        self._parts = [array("Q") for _ in range(256)]
        self.added = 0

    def add(self, key: bytes) -> None:
        self._parts[key[0]].append(int.from_bytes(key, "big"))
        self.added += 1

    def count(self) -> int:
        return sum(len(set(part)) for part in self._parts)


def read(path: Path, parse: Parser) -> Iterator[Seed]:
    """The user of every good line."""
    for _, text in lines(path):
        try:
            yield parse(text)
        except ValueError:
            continue  # reported by the survey


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number, text) of every line that is neither blank nor a comment. SeedsError for an unreadable file."""
    try:
        with _opened(path) as stream:
            for number, raw in enumerate(stream, 1):
                text = _text(path, number, raw)
                if text:
                    yield number, text
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise SeedsError(f"{path} cannot be read: {error}", "give a readable text file, plain or .gz") from error


def kept(named: str, folder: Path) -> Path:
    """A seeds file that can be read twice: the one that is named, or a copy of standard input (``-``) or of a pipe."""
    path = Path(named)
    if named == "-":
        if sys.stdin is None or sys.stdin.isatty():
            raise SeedsError("the seeds are to come from standard input, which is a terminal", "pipe a list into it")
        return _copy(sys.stdin.buffer.read(), folder)
    return _copy(path.read_bytes(), folder) if path.is_fifo() else path


def _copy(content: bytes, folder: Path) -> Path:
    """A file with this content, named by it, so that a repeat finds it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"stdin-{hashlib.blake2b(content, digest_size=8).hexdigest()}.txt"
    temporary = path.with_suffix(f".{os.getpid()}")
    with temporary.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
    return path


def _text(path: Path, number: int, raw: bytes) -> str:
    try:
        text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    text = text.strip().strip("\ufeff")
    return "" if text.startswith("#") else text.split("#", 1)[0].strip()


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file, inflated where they are gzip, whatever the file is called."""
    with path.open("rb") as stream:
        head = stream.read(2)
        stream.seek(0)
        if head == b"\x1f\x8b":
            with gzip.open(stream) as inflated:
                yield io.BufferedReader(inflated)
        elif head in {b"\xff\xfe", b"\xfe\xff"}:
            yield io.BytesIO(stream.read().decode("utf-16").encode())
        else:
            yield stream

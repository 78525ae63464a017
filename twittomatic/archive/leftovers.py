"""Parts that no job names any more: listed for a person, deleted only where a final holds every page of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from twittomatic.archive.gzip_files import REPLACED_WHOLE, GzipArchive
from twittomatic.archive.reading import MemberFile, opened_if_there
from twittomatic.errors import CorruptMember
from twittomatic.job import IdForm

DAY_SECONDS = 86_400
TRAILER_LENGTH = 8

_PART = re.compile(r"(?P<stem>.+)\.(?P<suffix>[a-z]+)\.(?P<seg>[0-9a-f-]+(?:\.[a-z])?)", re.ASCII)
_LOST = re.compile(r".+\.lost(?:-[0-9]+)?", re.ASCII)


class Part(NamedTuple):
    """A part on disk. size: bytes; changed: unix seconds of the last write."""

    user: str
    suffix: str
    seg: str
    path: Path
    size: int
    changed: float


def parts(archive: GzipArchive, id_form: IdForm) -> Iterator[Part]:
    """Every part of an archive, those of running jobs too."""
    for path in _files(archive):
        named = _PART.fullmatch(path.name)
        user = id_form.parse_stem(named["stem"]) if named else None
        if named is None or user is None:
            continue
        try:
            stat = path.stat()
        except FileNotFoundError:  # published or discarded since the folder was read
            continue
        yield Part(user, named["suffix"], named["seg"], path, stat.st_size, stat.st_mtime)


def kept_aside(archive: GzipArchive) -> Iterator[Path]:
    """Files that were found damaged and kept as ``.lost``."""
    return (path for path in _files(archive) if _LOST.fullmatch(path.name))


def _files(archive: GzipArchive) -> Iterator[Path]:
    return iter(sorted(archive.parts.glob("*/*")))


def sweep(
    archive: GzipArchive, id_form: IdForm, named: Container[str], now: float, *, least_age_seconds: float = DAY_SECONDS
) -> list[Part]:
    """Delete the parts that are not needed: not ``named`` (segs and tokens of all jobs), old enough, and every page of
    them in the final. Returns those deleted; all others stay. now: unix seconds; least_age_seconds: less than a day
    only where no other worker of this archive can be alive."""
    swept = []
    for part in parts(archive, id_form):
        if part.seg in named or now - part.changed < least_age_seconds or not is_held(archive, part):
            continue
        part.path.unlink(missing_ok=True)
        swept.append(part)
    return swept


def is_held(archive: GzipArchive, part: Part) -> bool:
    """Whether a final holds the lines of every page of a part: as pages of the same lines or, in a timeline, whose
    pages a union may cut, one by one. What a crash left torn at the end of the part is no page: it was never
    committed. No when the final is damaged."""
    with opened_if_there(part.path) as ours, opened_if_there(archive.final_path(part.user, part.suffix)) as final:
        if ours is None or final is None:
            return False
        held: set[Content] = set()
        pages: set[Content] = set()
        try:
            held.update(_pages(final))
            with suppress(CorruptMember):  # the torn tail: all pages before it are in the set
                pages.update(_pages(ours))
            return pages <= held or (part.suffix not in REPLACED_WHOLE and _lines(ours) <= _lines(final, whole=True))
        except CorruptMember:
            return False


def _lines(file: MemberFile, *, whole: bool = False) -> set[bytes]:
    """A digest of every line, up to where the file is torn. CorruptMember when ``whole`` and it is."""
    digests: set[bytes] = set()
    try:
        digests.update(hashlib.blake2b(line, digest_size=16).digest() for line in file.lines())
    except CorruptMember:
        if whole:
            raise
    return digests


Content = tuple[int, bytes]
"""Number of items of a page, and the CRC-32 and length of its lines as its gzip trailer has them."""


def _pages(file: MemberFile) -> Iterator[Content]:
    """The content of every page, end marks left out."""
    for hop in file.hops():
        if not (hop.header and hop.header.end):
            yield hop.items, file.read(hop.stop - TRAILER_LENGTH, TRAILER_LENGTH)

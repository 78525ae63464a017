"""The followers' file in chunks, each with the profiles that the archive has for it; memory stays flat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from twittomatic.archive.base import Head, Member
from twittomatic.archive.ids import id_of
from twittomatic.job import FWS, USR
from twittomatic.kinds.base import Desk

CHUNK_LINES = 1000
LINE = "line:"
"""How a looked-up member's cursors begin: they are line numbers of the followers' file."""


class Chunk(NamedTuple):
    """Some followers in file order. start, stop: line numbers in their file; profiles: those at hand, by id."""

    start: int
    stop: int
    ids: list[str]
    profiles: dict[str, bytes]


def chunks(desk: Desk, start: int) -> Iterator[Chunk]:
    """The followers from a line on, at most CHUNK_LINES at once, with the profiles that the archive has for them."""
    profiles = _Profiles(desk)
    line = start
    for member in desk.archive.members(desk.user, FWS, skip_lines=start):
        ids = [raw.decode() for raw in member.lines]
        for index in range(0, len(ids), CHUNK_LINES):
            part = ids[index : index + CHUNK_LINES]
            yield Chunk(line, line + len(part), part, profiles.of(member.head, line, line + len(part)))
            line += len(part)


class _Profiles:
    """The profiles' file read in step with the followers' file: once, from the front, a few members in memory; what
    lies before the place where we begin is hopped over.

    Members of the follower job have the sequence number and cursors of the ids' member; members of an earlier analyzer
    name the lines of the followers' file that they cover. Both come in the order of the ids.
    """

    def __init__(self, desk: Desk) -> None:
        has_final = desk.archive.end_of(desk.user, USR) is not None
        self._members = desk.archive.members(desk.user, USR, wanted=self._is_ahead) if has_final else iter(())
        self._next: Member | None = None
        self._near: list[tuple[int, int, dict[str, bytes]]] = []
        self._place: tuple[Head, int, int] | None = None

    def of(self, head: Head, start: int, stop: int) -> dict[str, bytes]:
        """Profiles at hand for lines [start, stop) of the followers' file, which stand in its member ``head``."""
        if self._place is None:
            self._place = (head, start, stop)
            self._next = next(self._members, None)
        self._place = (head, start, stop)
        while self._next is not None and (reach := _reach(self._next.head, head, start, stop)) is not None:
            if reach[1] > start:
                self._near.append((*reach, _by_id(self._next.lines)))
            self._next = next(self._members, None)
        self._near = [entry for entry in self._near if entry[1] > start]
        return {id_: line for _, _, profiles in self._near for id_, line in profiles.items()}

    def _is_ahead(self, profiles: Head) -> bool:
        """Whether a member covers the present lines or later ones: the others need not be inflated."""
        assert self._place is not None, "members are asked for with a place"
        reach = _reach(profiles, *self._place)
        return reach is None or reach[1] > self._place[1]


def _reach(profiles: Head, ids: Head, start: int, stop: int) -> tuple[int, int] | None:
    """The lines that a member of profiles covers, None when it lies behind the present ones."""
    if (profiles.prev or "").startswith(LINE):
        first, last = (int((cursor or LINE).removeprefix(LINE) or 0) for cursor in (profiles.prev, profiles.next))
        return (first, last) if first < stop else None
    if profiles.seq > ids.seq:
        return None
    return (start, start + ids.n) if profiles.seq == ids.seq else (0, 0)


def _by_id(lines: Sequence[bytes]) -> dict[str, bytes]:
    return {id_: line for line in lines if (id_ := id_of(line, USR)) is not None}

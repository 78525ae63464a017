"""The contract of an archive: parts that grow a page at a time, finals that end with a mark."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from twittomatic.job import Extent

COMPLETE, DEPTH, CAPPED, GONE = "complete", "depth", "capped", "gone"
"""Why a file ends: the walk is over; the network's depth; a cap of ours; the user cannot be read."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a member says of itself in its gzip header.

    seq: number of the page in its walk; prev, next: the cursor it was asked with and the one it returned; n: items;
    at: unix seconds of the answer.
    """

    seq: int
    prev: str | None
    next: str | None
    n: int
    at: int
    source: str
    crawl: str


@dataclass(frozen=True, slots=True)
class End:
    """The end mark of a final. ``holes``: (from id, to id) of each stretch that is known to be missing, newer first."""

    end: str
    reason: str | None = None
    holes: tuple[tuple[str, str], ...] = ()
    at: int = 0


class Placed(NamedTuple):
    """Where a member stands in its file, and the CRC-32 of its compressed bytes."""

    offset: int
    length: int
    crc: int


class Member(NamedTuple):
    """A member as read: ``end`` is set on the end mark, whose ``lines`` are empty."""

    head: Head
    end: End | None
    placed: Placed
    lines: list[bytes]


class Draft(Protocol):
    """A part that one job writes. Not shared between threads."""

    user: str
    suffix: str

    @property
    def extent(self) -> Extent:
        """What is written so far (not what is committed)."""

    def lines(self) -> Iterator[bytes]:
        """Every line written so far, read back from the part."""

    def append(self, head: Head, lines: Sequence[bytes]) -> Placed:
        """Write one member at the end; durable only after ``sync``."""

    def copy_final(self) -> int:
        """Append all members of the user's present final but its end mark, bytes as they are; items copied."""

    def end(self, mark: End) -> None:
        """Write the end mark. Nothing can be appended after it."""

    def sync(self) -> None:
        """fsync."""

    def close(self) -> None:
        """Close the file; the part stays."""


class Archive(Protocol):
    """Finals and parts of one output folder."""

    def start(self, user: str, suffix: str, seg: str) -> Draft:
        """A new, empty part."""

    def resume(self, user: str, extent: Extent, token: str, *, clean: bool) -> Draft:
        """Go on after a committed extent: in place when clean, else in a copy named by ``token``. LostBytes when
        neither the part nor the final holds it (what there was is kept aside)."""

    def unite(self, draft: Draft, token: str, *, reorder: bool = False) -> Draft:
        """Where a timeline's final has items that the finished draft has not: a new part ``<token>.u`` with the union
        by id, newest first, under the draft's end mark with the holes of both. The draft itself where there is nothing
        to unite. reorder: the draft's walk began more than once, so that its own items may be out of order. The result
        is synced and ends with an end mark."""

    def reunite(self, user: str, extent: Extent, token: str) -> Extent:
        """The same for a sealed part, left as it is: what has to be sealed before it can be published, under the later
        of the two end marks. The extent itself where there is nothing to unite."""

    def publish(self, user: str, extent: Extent) -> None:
        """Rename the sealed part to the final, fsync the folder. Twice does no harm. LostBytes when the part is gone
        and the final has another length or CRC-32; Outgrown when the final of a timeline has items that the part has
        not: reunite first."""

    def discard(self, draft: Draft) -> None:
        """Forget a part that holds nothing that was committed."""

    def end_of(self, user: str, suffix: str) -> End | None:
        """The end mark of the final; None without a final (or one without a mark)."""

    def first_id(self, user: str, suffix: str) -> str | None:
        """The newest of the ids that a member of the final begins with: of a timeline, the newest that is held."""

    def members(
        self, user: str, suffix: str, *, skip_lines: int = 0, wanted: Callable[[Head], bool] | None = None
    ) -> Iterator[Member]:
        """The members of a final in order, without its first ``skip_lines`` lines: members wholly within them are
        hopped over, and the first member that is not comes with its remaining lines only. Members whose head is not
        ``wanted`` are hopped over too; it is asked when their turn comes."""

    def lines(self, user: str, suffix: str) -> Iterator[bytes]:
        """Every line of a final."""

    def users(self, suffix: str) -> Iterator[str]:
        """Ids that have a final of that suffix."""

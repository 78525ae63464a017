"""A walk whose cursor the network no longer takes: it begins again, and brings only what its part does not hold yet."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence

from twittomatic import logs
from twittomatic.archive.ids import id_of
from twittomatic.errors import BadCursor
from twittomatic.kinds.base import Desk, Walk
from twittomatic.sources.base import Item

log = logs.get(__name__)

RESTARTS = 3
"""Times that a network may forget our cursor before the job is given up for now."""
_BINS = 2039
"""A prime, so that ids that end alike are spread too."""


class NumberSet:
    """Numbers below 2**64, exactly, in about 9 bytes each: sorted arrays, one for each remainder."""

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self._bins = [array("Q") for _ in range(_BINS)]
        for number in numbers:
            self._bins[number % _BINS].append(number)
        for index, bin_ in enumerate(self._bins):
            self._bins[index] = array("Q", sorted(set(bin_)))

    def __len__(self) -> int:
        return sum(map(len, self._bins))

    def add(self, number: int) -> bool:
        """True when it was not in the set."""
        bin_ = self._bins[number % _BINS]
        at = bisect_left(bin_, number)
        if at < len(bin_) and bin_[at] == number:
            return False
        bin_.insert(at, number)
        return True


class Restarts:
    """The beginnings of one walk. suffix: the file of the job that has the walk's items."""

    def __init__(self, desk: Desk, suffix: str, at: Walk) -> None:
        self._desk = desk
        self._suffix = suffix
        self._at = at
        self._held: NumberSet | None = None
        if not at.over and not at.cursor and desk.drafts[suffix].extent.length:
            at.restarts = max(at.restarts, 1)  # the cursor was taken away, by a person who tries the job again
        if at.restarts and not at.over:
            self._read()
            at.items = len(self._known)

    def begin_again(self, error: BadCursor) -> None:
        """Put the walk back to its start. The error itself where it is there already, or too often."""
        at = self._at
        if at.cursor is None or at.restarts >= RESTARTS:
            raise error
        log.warning("the network forgot the cursor: the walk starts again", user=self._desk.user, cursor=at.cursor)
        at.cursor, at.restarts = None, at.restarts + 1
        self._read()

    def fresh(self, items: Sequence[Item]) -> Sequence[Item]:
        """Those that no earlier beginning has brought."""
        if self._held is None:
            return items
        number = self._desk.source.id_form.number
        return [item for item in items if self._known.add(number(item.id))]

    @property
    def reason(self) -> str | None:
        """What the end mark says of it."""
        times = self._at.restarts
        return f"started again {times} time{'s' if times > 1 else ''}" if times else None

    @property
    def _known(self) -> NumberSet:
        assert self._held is not None
        return self._held

    def _read(self) -> None:
        number, suffix = self._desk.source.id_form.number, self._suffix
        ids = (id_of(line, suffix) for line in self._desk.drafts[suffix].lines())
        self._held = NumberSet(number(id_) for id_ in ids if id_)

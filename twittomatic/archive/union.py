"""Brings a finished timeline together with the final that it replaces, so that no item of either is lost."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import groupby, pairwise
from typing import NamedTuple

from twittomatic.archive.base import End, Head
from twittomatic.archive.drafts import GzipDraft
from twittomatic.archive.ids import id_of
from twittomatic.archive.members import build_end
from twittomatic.archive.reading import Mark, MemberFile, Span

Order = tuple[int, str]
OrderOf = Callable[[str], Order]
"""IdForm.order: older ids are smaller."""

_NEWEST: Order = (sys.maxsize, "")
_CUT_LINES = 200
"""Lines of members that were cut that go into one new member, more or less."""
_NOBODY = Head(0, None, None, 0, 0, "", "")


class Piece(NamedTuple):
    """The lines of one member, or of a part of a foreign one, that nobody before it has. rows: their numbers in the
    member; orders: where each belongs; lines: kept only where there is no ``span`` to read them from again."""

    file: MemberFile
    head: Head
    span: Span | None
    lines: Sequence[bytes]
    rows: list[int]
    orders: list[Order]

    @property
    def is_whole(self) -> bool:
        """Whether it is all of a member, which can be copied as it is."""
        return self.span is not None and len(self.rows) == self.head.n


Run = list[Piece]
"""Pieces of one file, each of them not newer than the one before."""


def contains(ours: MemberFile, theirs: MemberFile) -> bool:
    """Whether our bytes begin with theirs (we went on from it) or end with them (an update of it), end marks aside."""
    stop, length = _unmarked(ours), _unmarked(theirs)
    return length <= stop and (_same(ours, 0, theirs, length) or _same(ours, stop - length, theirs, length))


def _unmarked(file: MemberFile) -> int:
    mark = file.mark()
    return mark.offset if mark else file.size


def _same(ours: MemberFile, start: int, theirs: MemberFile, length: int) -> bool:
    pairs = zip(ours.blocks(start, start + length), theirs.blocks(0, length), strict=True)
    return all(mine == other for mine, other in pairs)


def has_more(theirs: MemberFile, ours: MemberFile, suffix: str, order: OrderOf) -> bool:
    """Whether they hold an item that we have not."""
    if contains(ours, theirs):
        return False
    seen: set[str | bytes] = set()
    for _ in _pieces(ours, suffix, order, seen):
        pass
    return next(_pieces(theirs, suffix, order, seen), None) is not None


def unite(
    mine: MemberFile,
    final: MemberFile | None,
    suffix: str,
    order: OrderOf,
    new: Callable[[], GzipDraft],
    choose: Callable[[End, End | None], End],
    *,
    reorder: bool = False,
) -> GzipDraft | None:
    """A new draft, synced, with the items of both files newest first, and the end mark that is chosen from theirs; None
    where the final holds nothing more (and, to ``reorder``, ours are in order). Members needed whole are copied."""
    if not reorder and (final is None or contains(mine, final)):
        return None
    seen: set[str | bytes] = set()
    runs = list(_runs(list(_pieces(mine, suffix, order, seen))))
    more = list(_pieces(final, suffix, order, seen)) if final else []
    if not more and (not reorder or len(runs) <= 1):
        return None
    mark, held = mine.tail_mark(), final.mark() if final else None
    assert mark is not None, "a finished draft"
    united = new()
    try:
        _write(united, _merged([*runs, *_runs(more)]))
        united.finish([_end_mark(mine, mark, choose(mark.end, held.end if held else None))])
        united.sync()
    except BaseException:
        united.close()
        united.path.unlink()  # nobody knows of it yet, and the same name is needed for another try
        raise
    return united


def _end_mark(mine: MemberFile, mark: Mark, end: End) -> bytes:
    header = mine.header(mark.offset)
    assert header is not None, "a mark of ours"
    return build_end(header.head, end)


def _pieces(file: MemberFile, suffix: str, order: OrderOf, seen: set[str | bytes]) -> Iterator[Piece]:
    """What a file has that is not ``seen`` yet; it is then. A line without an id is its own key, so that it is not
    lost, and belongs behind the line before it, or to the front."""
    last = _NEWEST
    for stretch in file.stretches():
        rows, orders = [], []
        for row, line in enumerate(stretch.lines):
            id_ = id_of(line, suffix)
            last = order(id_) if id_ else last
            if (id_ or line) not in seen:
                seen.add(id_ or line)
                rows.append(row)
                orders.append(last)
        if rows:
            yield Piece(file, stretch.head, stretch.span, () if stretch.span else stretch.lines, rows, orders)


def _runs(pieces: Sequence[Piece]) -> Iterator[Run]:
    """The pieces of a file, cut where a newer item follows an older one."""
    run: Run = list(pieces[:1])
    for before, piece in pairwise(pieces):
        if piece.orders[0] > before.orders[-1]:
            yield run
            run = []
        run.append(piece)
    if run:
        yield run


def _merged(runs: Sequence[Run]) -> Iterator[tuple[Piece, int, int]]:
    """Stretches [first, stop) of pieces, newest first; of items of the same order those of an earlier run first."""
    for _, group in groupby(_picked(runs), key=lambda place: id(place[0])):
        places = list(group)
        yield places[0][0], places[0][1], places[-1][1] + 1


def _picked(runs: Sequence[Run]) -> Iterator[tuple[Piece, int]]:
    """Every line as its piece and its place in it."""
    streams = [((piece, place) for piece in run for place in range(len(piece.rows))) for run in runs]
    heads = [next(stream) for stream in streams]
    while heads:
        newest = max(range(len(heads)), key=lambda number: heads[number][0].orders[heads[number][1]])
        yield heads[newest]
        following = next(streams[newest], None)
        if following is None:
            del heads[newest], streams[newest]
        else:
            heads[newest] = following


def _write(united: GzipDraft, places: Iterable[tuple[Piece, int, int]]) -> None:
    """Members needed whole as they are; what is left of those that are cut, together, in new ones."""

    @lru_cache(maxsize=8)
    def lines_at(file: MemberFile, span: Span) -> list[bytes]:
        return file.member(span).lines

    head, cut = _NOBODY, list[bytes]()
    for piece, first, stop in places:
        whole = piece.span if piece.is_whole and stop - first == len(piece.rows) else None
        if cut and (whole or len(cut) >= _CUT_LINES):
            united.append(replace(head, n=len(cut)), cut)
            cut = []
        if whole:
            united.put(piece.file.blocks(whole.offset, whole.next))
            continue
        head = head if cut else piece.head
        lines = lines_at(piece.file, piece.span) if piece.span else piece.lines
        cut += (lines[row] for row in piece.rows[first:stop])
    if cut:
        united.append(replace(head, n=len(cut)), cut)

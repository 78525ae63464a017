"""Brings a finished timeline together with the final that it replaces, so that no item of either is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from twittomatic.archive.drafts import GzipDraft
from twittomatic.archive.ids import id_of
from twittomatic.archive.reading import Mark, MemberFile, Stretch


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


def unite(draft: GzipDraft, mark: Mark, final: MemberFile, new: Callable[[], GzipDraft]) -> GzipDraft:
    """A new draft with the draft's members, then the items that only the final holds, then the draft's end mark; the
    draft itself where the final holds nothing more."""
    mine = draft.file()
    only = _only_in(final, {_key(line, draft.suffix) for got in mine.stretches() for line in got.lines}, draft.suffix)
    first = next(only, None)
    if first is None:
        return draft
    united = new()
    try:
        united.put(mine.blocks(0, mark.offset))
        _add(united, final, first)
        for stretch in only:
            _add(united, final, stretch)
        united.finish(mine.blocks(mark.offset, mine.size))
        united.sync()
    except BaseException:
        united.close()
        united.path.unlink()  # nobody knows of it yet, and the same name is needed for another try
        raise
    return united


def _only_in(final: MemberFile, seen: set[str | bytes], suffix: str) -> Iterator[Stretch]:
    for stretch in final.stretches():
        fresh = []
        for line in stretch.lines:
            key = _key(line, suffix)
            if key not in seen:
                seen.add(key)
                fresh.append(line)
        if len(fresh) == len(stretch.lines) and fresh:
            yield stretch
        elif fresh:
            yield Stretch(replace(stretch.head, n=len(fresh)), fresh, None)


def _key(line: bytes, suffix: str) -> str | bytes:
    """What tells items apart; a line without an id is its own key, so that it is not lost."""
    return id_of(line, suffix) or line


def _add(united: GzipDraft, final: MemberFile, stretch: Stretch) -> None:
    if stretch.span:
        united.put(final.blocks(stretch.span.offset, stretch.span.next))
    else:
        united.append(stretch.head, stretch.lines)

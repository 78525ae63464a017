"""Timelines: the whole of a user's items, newest to oldest; and updates: only what is newer than what is held."""

from __future__ import annotations

from dataclasses import replace

from twittomatic.archive.base import COMPLETE, DEPTH, GONE, End
from twittomatic.errors import BadCursor, Gone
from twittomatic.job import TIMELINE, TWT, UPDATE
from twittomatic.kinds.base import Desk, Result, Walk
from twittomatic.kinds.restarts import Restarts
from twittomatic.sources.base import TIMELINE_CALL

GRANT_CALLS = 16


class Timeline:
    """Newest to oldest until the end or the network's depth."""

    name = TIMELINE
    endpoint: str | None = TIMELINE_CALL
    calls = GRANT_CALLS

    def run(self, desk: Desk) -> Result:
        held = desk.archive.end_of(desk.user, TWT)
        if held is not None and desk.job.cursor is None and not desk.job.extents:
            return settled(held)
        desk.open([TWT])
        at, mark = walk(desk, self.name)
        desk.publish(mark, reorder=at.restarts > 0)
        return Result("gone" if mark.end == GONE else "done", mark.reason or mark.end)


class Update:
    """Only what is newer than the newest item held, put in front of it; all of it where nothing is held."""

    name = UPDATE
    endpoint: str | None = TIMELINE_CALL
    calls = GRANT_CALLS

    def run(self, desk: Desk) -> Result:
        desk.open([TWT])
        if desk.job.cursor is None:
            desk.job.cursor = Walk(since=_newest(desk)).encode()
        at, mark = walk(desk, self.name)
        held = desk.archive.end_of(desk.user, TWT)
        if held is not None and at.since is not None:
            mark = _joined(held, mark)
        draft = desk.drafts[TWT]
        if held is not None and not draft.extent.length and replace(mark, at=held.at) == held:
            desk.archive.discard(draft)
            desk.close()
            if held.end == GONE:
                return Result("gone", held.reason or GONE)
            return Result("done", "nothing newer")
        # Only an update of what the final holds now, from one walk, can stand before it as it is.
        if at.since is not None and not at.restarts and at.since == _newest(desk):
            draft.copy_final()
        desk.publish(mark, reorder=at.restarts > 0)
        return Result("gone" if mark.end == GONE else "done", mark.reason or mark.end)


def _newest(desk: Desk) -> str | None:
    """The newest item that a final with an end mark holds."""
    if desk.archive.end_of(desk.user, TWT) is None:
        return None
    return desk.archive.first_id(desk.user, TWT)


def settled(held: End) -> Result:
    """The result of a job whose final is there already."""
    if held.end == GONE:
        return Result("gone", held.reason or GONE, already=True)
    return Result("done", held.reason or held.end, already=True)


def walk(desk: Desk, kind: str) -> tuple[Walk, End]:
    """Fetch and commit pages from where the job stands to the end of the timeline; how it went, and the end mark that
    it deserves."""
    at = Walk.decode(desk.job.cursor)
    restarts = Restarts(desk, TWT, at)
    while not at.over:
        asked = at.cursor
        try:
            page = desk.ask(
                TIMELINE_CALL,
                GRANT_CALLS,
                lambda credential: desk.source.timeline(desk.user, at.cursor, credential=credential, since=at.since),
            )
        except Gone as error:
            return at, End(GONE, error.reason, _holes(at), at=int(desk.services.clock.now()))
        except BadCursor as error:
            restarts.begin_again(error)
            continue
        lines = [item.line for item in restarts.fresh(page.items)]
        at.items += len(lines)
        at.last = page.items[-1].id if page.items else at.last
        at.cursor, at.over = page.next, page.next is None
        if lines or not at.over:
            counts = {f"{kind}.pages": int(bool(page.items)), f"{kind}.items": len(lines), f"{kind}.bytes": page.size}
            desk.commit(at.encode(), (asked, at.cursor), {TWT: lines}, counts)
    now = int(desk.services.clock.now())
    if desk.source.depth is not None and at.items >= desk.source.depth:
        return at, End(DEPTH, restarts.reason, _holes(at), at=now)
    return at, End(COMPLETE, restarts.reason, at=now)


def _holes(at: Walk) -> tuple[tuple[str, str], ...]:
    """What a walk that ended early leaves open: from its last item down to what was held before."""
    return ((at.last, at.since),) if at.last is not None and at.since is not None else ()


def _joined(held: End, mark: End) -> End:
    """The end mark of new items put before a final: the older part ends as it did, unless the user is gone now."""
    holes = (*mark.holes, *(hole for hole in held.holes if hole not in mark.holes))
    if mark.end == GONE:
        return replace(mark, holes=holes)
    end, reason = held.end, held.reason
    if held.end == GONE:
        end, reason = COMPLETE, f"back after {held.reason or GONE}"
    if mark.reason and mark.reason not in (reason or ""):
        reason = f"{reason}; {mark.reason}" if reason else mark.reason
    return End(end, reason, holes, mark.at)

"""Timelines: the whole of a user's items, newest to oldest; and updates: only what is newer than what is held."""

from __future__ import annotations

from twittomatic.archive.base import COMPLETE, DEPTH, GONE, End
from twittomatic.errors import Gone
from twittomatic.job import TIMELINE, TWT, UPDATE
from twittomatic.kinds.base import Desk, Result, Walk
from twittomatic.sources.base import TIMELINE_CALL

GRANT_CALLS = 16


class Timeline:
    """Newest to oldest until the end or the network's depth."""

    name = TIMELINE
    endpoint: str | None = TIMELINE_CALL
    calls = GRANT_CALLS

    def run(self, desk: Desk) -> Result:
        held = desk.archive.end_of(desk.user, TWT)
        if held is not None and desk.job.cursor is None:
            return settled(held)
        desk.open([TWT])
        mark = walk(desk, self.name)
        desk.publish(mark)
        return Result("gone" if mark.end == GONE else "done", mark.reason or mark.end)


class Update:
    """Only what is newer than the newest item held, put in front of it; all of it where nothing is held."""

    name = UPDATE
    endpoint: str | None = TIMELINE_CALL
    calls = GRANT_CALLS

    def run(self, desk: Desk) -> Result:
        held = desk.archive.end_of(desk.user, TWT)
        desk.open([TWT])
        if desk.job.cursor is None:
            since = desk.archive.first_id(desk.user, TWT) if held is not None else None
            desk.job.cursor = Walk(since=since).encode()
        mark = walk(desk, self.name)
        news = Walk.decode(desk.job.cursor).items
        if held is not None and news == 0 and mark.end == held.end and mark.reason == held.reason:
            for draft in desk.drafts.values():
                desk.archive.discard(draft)
            desk.close()
            return Result("gone" if held.end == GONE else "done", mark.reason or "nothing newer")
        if held is not None:
            desk.drafts[TWT].copy_final()
            mark = _joined(held, mark)
        desk.publish(mark)
        return Result("gone" if mark.end == GONE else "done", mark.reason or mark.end)


def settled(held: End) -> Result:
    """The result of a job whose final is there already."""
    if held.end == GONE:
        return Result("gone", held.reason or GONE, already=True)
    return Result("done", held.reason or held.end, already=True)


def walk(desk: Desk, kind: str) -> End:
    """Fetch and commit pages from where the job stands to the end of the timeline; the end mark it deserves."""
    at = Walk.decode(desk.job.cursor)
    while not at.over:
        asked = at.cursor
        try:
            page = desk.ask(
                TIMELINE_CALL,
                GRANT_CALLS,
                lambda credential: desk.source.timeline(desk.user, at.cursor, credential=credential, since=at.since),
            )
        except Gone as error:
            return End(GONE, error.reason, _hole(at), at=int(desk.services.clock.now()))
        lines = [item.line for item in page.items]
        at.items += len(lines)
        at.last = page.items[-1].id if page.items else at.last
        at.cursor, at.over = page.next, page.next is None
        if lines or not at.over:
            counts = {f"{kind}.pages": int(bool(lines)), f"{kind}.items": len(lines), f"{kind}.bytes": page.size}
            desk.commit(at.encode(), (asked, at.cursor), {TWT: lines}, counts)
    now = int(desk.services.clock.now())
    if desk.source.depth is not None and at.items >= desk.source.depth:
        return End(DEPTH, None, _hole(at), at=now)
    return End(COMPLETE, None, None, at=now)


def _hole(at: Walk) -> tuple[str, str] | None:
    """What a walk that ended early leaves open: from its last item down to what was held before."""
    return (at.last, at.since) if at.last is not None and at.since is not None else None


def _joined(held: End, mark: End) -> End:
    """The end mark of new items put before a final: the older part ends as it did, unless the user is gone now."""
    end, reason = (mark.end, mark.reason) if mark.end == GONE else (held.end, held.reason)
    if held.end == GONE and mark.end != GONE:
        end, reason = COMPLETE, f"back after {held.reason or GONE}"
    return End(end, reason, mark.hole or held.hole, mark.at)

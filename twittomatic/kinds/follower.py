"""Followers: their ids page by page, and their profiles where the network's pages carry them; memory stays flat."""

from __future__ import annotations

from collections.abc import Sequence

from twittomatic import logs
from twittomatic.archive.base import COMPLETE, GONE, End
from twittomatic.errors import BadCursor, Gone
from twittomatic.job import FOLLOWER, FWS, USR
from twittomatic.kinds.base import Desk, Result, Walk
from twittomatic.kinds.timeline import settled
from twittomatic.sources.base import FOLLOWERS_CALL, Page

log = logs.get(__name__)

RESTARTS = 3
"""Times that a network may forget our cursor before the job is given up for now."""


class Follower:
    """From the cursor to the end of the list."""

    name = FOLLOWER
    endpoint: str | None = FOLLOWERS_CALL
    calls = 1

    def run(self, desk: Desk) -> Result:
        held = desk.archive.end_of(desk.user, FWS)
        if held is not None and desk.job.cursor is None:
            return settled(held)
        desk.open([FWS, USR] if desk.source.carries_profiles else [FWS])
        mark = _walk(desk)
        desk.publish(mark)
        return Result("gone" if mark.end == GONE else "done", mark.reason or mark.end)


def _walk(desk: Desk) -> End:
    at = Walk.decode(desk.job.cursor)
    known: _Held | None = _Held(desk) if at.restarts else None
    while not at.over:
        asked = at.cursor
        try:
            page = desk.ask(
                FOLLOWERS_CALL,
                1,
                lambda credential: desk.source.followers(desk.user, at.cursor, credential=credential),
            )
        except Gone as error:
            return End(GONE, error.reason, at=int(desk.services.clock.now()))
        except BadCursor:
            if at.cursor is None or at.restarts >= RESTARTS:
                raise
            log.warning("the network forgot the cursor: the walk starts again", user=desk.user, cursor=at.cursor)
            at.cursor, at.restarts = None, at.restarts + 1
            known = _Held(desk)
            continue
        ids, profiles = _lines(page, known)
        at.items += len(ids)
        at.cursor, at.over = page.next, page.next is None
        pages = {FWS: ids, USR: profiles} if USR in desk.drafts else {FWS: ids}
        if ids or not at.over:
            counts = {
                "follower.pages": int(bool(page.items)),
                "follower.items": len(ids),
                "follower.profiles": len(profiles),
                "follower.bytes": page.size,
            }
            desk.commit(at.encode(), (asked, at.cursor), pages, counts)
    reason = f"started again {at.restarts} times" if at.restarts else None
    return End(COMPLETE, reason, at=int(desk.services.clock.now()))


def _lines(page: Page, known: _Held | None) -> tuple[Sequence[bytes], Sequence[bytes]]:
    """The lines of a page by file, without those that an earlier walk of the same job has brought."""
    if known is None:
        return [item.line for item in page.items], [item.line for item in page.profiles]
    new = {item.id for item in page.items if known.add(item.id)}
    return (
        [item.line for item in page.items if item.id in new],
        [item.line for item in page.profiles if item.id in new],
    )


class _Held:
    """Ids that the job's own part holds already: kept only for a walk that had to start again."""

    def __init__(self, desk: Desk) -> None:
        self._ids = {line.decode() for line in desk.drafts[FWS].lines()}

    def add(self, id_: str) -> bool:
        """True when the id was not held."""
        before = len(self._ids)
        self._ids.add(id_)
        return len(self._ids) > before

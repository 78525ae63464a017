"""Followers: their ids page by page, and their profiles where the network's pages carry them; memory stays flat."""

from __future__ import annotations

from twittomatic.archive.base import COMPLETE, GONE, End
from twittomatic.errors import BadCursor, Gone
from twittomatic.job import FOLLOWER, FWS, USR
from twittomatic.kinds.base import Desk, Result, Walk
from twittomatic.kinds.restarts import Restarts
from twittomatic.kinds.timeline import settled
from twittomatic.sources.base import FOLLOWERS_CALL


class Follower:
    """From the cursor to the end of the list."""

    name = FOLLOWER
    endpoint: str | None = FOLLOWERS_CALL
    calls = 1

    def run(self, desk: Desk) -> Result:
        held = desk.archive.end_of(desk.user, FWS)
        if held is not None and desk.job.cursor is None and not desk.job.extents:
            return settled(held)
        desk.open([FWS, USR] if desk.source.carries_profiles else [FWS])
        mark = _walk(desk)
        desk.publish(mark)
        return Result("gone" if mark.end == GONE else "done", mark.reason or mark.end)


def _walk(desk: Desk) -> End:
    at = Walk.decode(desk.job.cursor)
    restarts = Restarts(desk, FWS, at)
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
        except BadCursor as error:
            restarts.begin_again(error)
            continue
        items = restarts.fresh(page.items)
        profiles = page.profiles
        if len(items) < len(page.items):
            new = {item.id for item in items}
            profiles = [item for item in profiles if item.id in new]
        at.items += len(items)
        at.cursor, at.over = page.next, page.next is None
        pages = {FWS: [item.line for item in items]}
        if USR in desk.drafts:
            pages[USR] = [item.line for item in profiles]
        if items or not at.over:
            counts = {
                "follower.pages": int(bool(page.items)),
                "follower.items": len(items),
                "follower.profiles": len(profiles),
                "follower.bytes": page.size,
            }
            desk.commit(at.encode(), (asked, at.cursor), pages, counts)
    return End(COMPLETE, restarts.reason, at=int(desk.services.clock.now()))

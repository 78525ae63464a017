"""The catalogue of events: one frozen class per event, with the channel that carries it.

A page event is a hint that can be checked: it points at one member of one file in the archive (``protocol`` in the
README tells how a reader checks it). The journal entry and the published message are the same JSON document; the
journal's position is added by Redis as ``pos``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import ujson


@dataclass(frozen=True, slots=True)
class Event:
    """What every event tells. at: unix seconds; pos: position in the journal, empty before it is written."""

    channel: ClassVar[str] = ""
    crawl: str
    at: float

    def encode(self) -> str:
        """The JSON document that is journaled and published."""
        return ujson.dumps({"event": self.channel, **asdict(self)}, escape_forward_slashes=False)


@dataclass(frozen=True, slots=True)
class PageEvent(Event):
    """A page was committed: ``items`` lines in the member at ``offset`` of the part ``seg`` (later of the final)."""

    kind: str
    user: str
    suffix: str
    seg: str
    seq: int
    offset: int
    length: int
    crc: int
    items: int
    worker: str


@dataclass(frozen=True, slots=True)
class TimelinePage(PageEvent):
    """Tweets of a user."""

    channel: ClassVar[str] = "events.timeline.page"


@dataclass(frozen=True, slots=True)
class FollowerPage(PageEvent):
    """Follower ids of a user."""

    channel: ClassVar[str] = "events.follower.page"


@dataclass(frozen=True, slots=True)
class ProfilePage(PageEvent):
    """Profiles that were seen while a user was crawled."""

    channel: ClassVar[str] = "events.profile.page"


@dataclass(frozen=True, slots=True)
class UserSettled(Event):
    """A user reached a named end state: done, gone or dead, with the reason and the kind that ended it."""

    channel: ClassVar[str] = "events.user.settled"
    kind: str
    user: str
    state: str
    reason: str
    worker: str


EVENTS: tuple[type[Event], ...] = (TimelinePage, FollowerPage, ProfilePage, UserSettled)
PAGE_EVENTS: dict[str, type[PageEvent]] = {"twt": TimelinePage, "fws": FollowerPage, "usr": ProfilePage}
"""Page event of each file suffix."""

_BY_CHANNEL = {event.channel: event for event in EVENTS}


def decode(document: str | bytes) -> tuple[Event, str]:
    """The event of a JSON document and its position in the journal. ValueError for an event that is not in EVENTS."""
    fields: dict[str, Any] = ujson.loads(document)
    pos = str(fields.pop("pos", ""))
    name = fields.pop("event", "")
    if name not in _BY_CHANNEL:
        raise ValueError(f"unknown event {name!r}: known are {', '.join(sorted(_BY_CHANNEL))}")
    return _BY_CHANNEL[name](**fields), pos

"""A crawl's settings and flags, as every process that takes part in it reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from twittomatic.job import CLAIM_ORDER
from twittomatic.state.engine import Caller, Engine
from twittomatic.state.keys import Keys

CURSOR_REFUSED = "cursor refused"
"""The reason of a dead job whose cursor the network does not take any more: tried again it begins its walk anew."""
TRAVERSALS = ("default", "bfs", "dfs", "priority")


class Crawl:
    """What one crawl is: kinds wanted, traversal, lease, iteration, state (running, drained, done)."""

    def __init__(self, engine: Engine, keys: Keys, caller: Caller | None = None) -> None:
        self._engine = engine
        self._keys = keys
        self._caller = caller

    def configure(
        self,
        *,
        kinds: Sequence[str],
        start: str,
        traversal: str = "default",
        buckets: int = 1024,
        lease_seconds: float = 60,
        max_users: int = 0,
        max_attempts: int = 5,
        id_form: str = "int64",
        more: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        """Create the crawl or change it; what it is now. ``start``: the kind that new users begin with; ``buckets``
        and ``id_form`` hold for the crawl's life, later values are ignored; max_users 0: no limit; more: other
        settings that processes of this crawl share."""
        if traversal not in TRAVERSALS:
            raise ValueError(f"unknown traversal {traversal!r}: known are {', '.join(TRAVERSALS)}")
        if not kinds or start not in kinds:
            raise ValueError(f"a crawl begins with one of its kinds: {start!r} is not in {list(kinds)}")
        if buckets < 1 or lease_seconds <= 0 or max_attempts < 1 or max_users < 0:
            raise ValueError("buckets, lease_seconds and max_attempts are positive, max_users is not negative")
        fields = {
            **(more or {}),
            "crawl": self._keys.crawl,
            "kinds": ",".join(kinds),
            "start": start,
            "traversal": traversal,
            "lease_seconds": f"{lease_seconds:g}",
            "max_users": str(max_users),
            "max_attempts": str(max_attempts),
        }
        keep = {"buckets": str(buckets), "id_form": id_form}
        reply = self._engine.call("configure", self._keys, {"keep": keep, "set": fields}, caller=self._caller)
        return dict(zip(reply[1::2], reply[2::2], strict=True))

    def set(self, **fields: str) -> None:
        """Change single settings that processes of this crawl share, whatever the crawl is otherwise."""
        self._engine.call("configure", self._keys, {"keep": {}, "set": fields}, caller=self._caller)

    def settings(self) -> dict[str, str]:
        """All settings; empty when the crawl does not exist yet."""
        return text_map(self._engine.read(lambda client: client.hgetall(self._keys.settings)))

    def pause(self) -> None:
        """Hand out nothing until ``resume``; what runs goes on."""
        self._engine.call("pause", self._keys, {"flag": "paused"}, caller=self._caller)

    def drain(self) -> None:
        """Begin nothing new: what was begun is brought to its end, then the crawl's state is ``drained``."""
        self._engine.call("pause", self._keys, {"flag": "drain"}, caller=self._caller)

    def resume(self) -> None:
        """Undo pause and drain."""
        self._engine.call("resume", self._keys, {"kinds": list(CLAIM_ORDER)}, caller=self._caller)

    def retry(self, kind: str | None = None, reason: str | None = None, limit: int | None = None) -> int:
        """Put dead jobs (of one kind, of one reason) back in line with a clean slate; how many. One whose cursor was
        refused has no cursor then, and still the extents of what it committed."""
        moved, skip = 0, 0
        while skip >= 0 and (limit is None or moved < limit):
            left = 2**31 if limit is None else limit - moved
            args: dict[str, Any] = {"skip": skip, "limit": left, "cursor_refused": CURSOR_REFUSED}
            args |= {name: value for name, value in (("kind", kind), ("reason", reason)) if value is not None}
            reply = self._engine.call("retry", self._keys, args, caller=self._caller)
            moved, skip = moved + int(reply[1]), int(reply[2])
        return moved

    def reasons(self, most: int = 100) -> list[str]:
        """The last users that ended badly, newest first: ``kind id state reason``."""
        found = self._engine.read(lambda client: client.lrange(self._keys.reasons, 0, most - 1))
        return [text(line) for line in found]


def text(value: Any) -> str:
    """Text of a reply, whether the client decodes or not."""
    return value.decode() if isinstance(value, bytes) else str(value)


def text_map(fields: Mapping[Any, Any]) -> dict[str, str]:
    """A hash of a reply as text."""
    return {text(name): text(value) for name, value in fields.items()}

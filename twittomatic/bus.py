"""What carries events: Redis pub/sub. It forgets whoever is away; the journal and the archive do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import redis

from twittomatic import events


class Bus:
    """The channels of one deployment. Channel names on the wire are the catalogue's behind the deployment's prefix,
    so that two deployments on one server never hear each other."""

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    def publish(self, event: events.Event) -> int:
        """Send an event that no commit carries; the number of listeners that got it."""
        return int(self._client.publish(self._prefix + event.channel, event.encode()))

    def listen(
        self, kinds: Sequence[type[events.Event]] = events.EVENTS, *, poll_seconds: float = 1.0
    ) -> Iterator[tuple[events.Event, str] | None]:
        """(event, journal position) as they come; None each ``poll_seconds`` without one, so that the caller can stop.

        The first None says that the subscription stands: nothing published after it is missed while connected.
        """
        subscription = self._client.pubsub(ignore_subscribe_messages=False)  # type: ignore[no-untyped-call]
        try:
            subscription.subscribe(*(self._prefix + kind.channel for kind in kinds))
            confirmed = 0
            while confirmed < len(kinds):
                message = subscription.get_message(timeout=poll_seconds)
                confirmed += message is not None and message["type"] == "subscribe"
            yield None
            while True:
                message = subscription.get_message(ignore_subscribe_messages=True, timeout=poll_seconds)
                yield None if message is None else _decoded(message)
        finally:
            subscription.close()


def _decoded(message: dict[str, Any]) -> tuple[events.Event, str]:
    return events.decode(message["data"])

"""Leadership: one master leads a crawl, others stand by; its rounds bring back what waits and what was lost."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import ujson

from twittomatic.state.engine import Caller, Engine
from twittomatic.state.keys import Keys

RENEW_SECONDS = 3.0
"""How often a leader calls ``lead`` again."""
LEAD_SECONDS = 10.0
"""How long a leadership lasts that is not renewed."""


@dataclass(frozen=True, slots=True)
class Lease:
    """We lead. ``epoch``: what master-only functions must be given; it changes with every change of the leader."""

    epoch: str


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody else leads. info: as that master announced itself; until: unix seconds, when not renewed."""

    master: str
    info: Mapping[str, Any]
    until: float


class Ticked(NamedTuple):
    """What a round did: jobs taken back from lost workers, delayed jobs that came due, jobs given up as poison; full:
    it did all that one call may, so there may be more."""

    reaped: int
    due: int
    poisoned: int
    full: bool = False


class Leader:
    """The leadership of one crawl."""

    def __init__(self, engine: Engine, keys: Keys, caller: Caller) -> None:
        self._engine = engine
        self._keys = keys
        self._caller = caller

    def lead(self, master: str, info: Mapping[str, Any], *, replaces: str | None = None) -> Lease | Held:
        """Take or renew the leadership. ``master``: unique to this process; replaces: a master that the caller knows
        to be dead."""
        args: dict[str, Any] = {
            "master": master,
            "info": ujson.dumps(dict(info)),
            "random": secrets.token_hex(8),
        }
        if replaces is not None:
            args["replaces"] = replaces
        reply = self._engine.call("lead", self._keys, args, caller=self._caller)
        if reply[0] == "held":
            return Held(reply[1], ujson.loads(reply[2]), int(reply[3]) / 1000)
        return Lease(reply[1])

    def tick(self, epoch: str) -> Ticked:
        """One round, bounded to 500 of each; call it again at once while it comes back ``full``. Deposed."""
        reply = self._engine.call("tick", self._keys, {"epoch": epoch}, caller=self._caller)
        reaped, due, poisoned, full = map(int, reply[1:])
        return Ticked(reaped, due, poisoned, bool(full))

    def resign(self, epoch: str) -> None:
        """Leave, so that a standby takes over at once."""
        self._engine.call("resign", self._keys, {"epoch": epoch}, caller=self._caller)

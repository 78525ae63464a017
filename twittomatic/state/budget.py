"""Budgets: which credential may make how many calls now; every answer corrects the books."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

from twittomatic.job import Grant, Window
from twittomatic.state.engine import Caller, Engine
from twittomatic.state.keys import Keys

FOREVER_MS = 9_000_000_000_000_000
EVERYWHERE = "*"


class Wait(NamedTuple):
    """No credential may call this endpoint now. ``until``: unix seconds of the earliest change, None when nobody
    knows (stopped, no credential); reason: limited, probing, or why it was stopped."""

    endpoint: str
    until: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Books:
    """What is known of one credential on one endpoint. ``blocked_until``: unix seconds, None with a reason: until a
    person lifts it; windows: as the network told them, less what is out on grant; out: calls granted, unanswered."""

    endpoint: str
    credential: str
    windows: Sequence[Window]
    out: int
    blocked: bool
    blocked_until: float | None
    reason: str
    probing: bool


class Budget:
    """Calls of all credentials of a deployment, for one thread."""

    def __init__(self, engine: Engine, keys: Keys, caller: Caller) -> None:
        self._engine = engine
        self._keys = keys
        self._caller = caller

    def take(self, endpoint: str, calls: int, credentials: Sequence[str]) -> Grant | Wait:
        """Up to ``calls`` calls with the credential whose window resets first."""
        args = {"endpoint": endpoint, "calls": calls, "credentials": list(credentials)}
        reply = self._engine.call("take", self._keys, args, caller=self._caller)
        if reply[0] == "grant":
            return Grant(endpoint, reply[1], int(reply[2]))
        return Wait(endpoint, moment(reply[1]), reply[2])

    def settle(
        self,
        endpoint: str,
        credential: str,
        windows: Sequence[Window] = (),
        *,
        kind: str,
        charge: Mapping[str, int] | None = None,
        prices_micro: Mapping[str, int] | None = None,
        requests: int = 1,
        exhausted_until: float | None = None,
        answered: bool = True,
    ) -> None:
        """Book calls that were answered. ``windows``: from the headers; charge: resource to number; prices_micro:
        micro-dollars a resource; exhausted_until: unix seconds, after a refusal for the limit; answered: False for a
        failure, whose missing headers say nothing (else none means: no limit)."""
        charged = {name: number for name, number in (charge or {}).items() if number}
        cost = sum(number * (prices_micro or {}).get(name, 0) for name, number in charged.items())
        args: dict[str, Any] = {
            "endpoint": endpoint,
            "credential": credential,
            "kind": kind,
            "requests": requests,
            "windows": [[name, limit, left, round(reset * 1000)] for name, limit, left, reset in windows],
            "answered": answered and exhausted_until is None,
            "row": "|".join(quote(part, safe=" @.:-_") for part in (self._keys.crawl, kind, endpoint, credential)),
            "book": {**charged, "requests": requests, "cost_micro": cost},
        }
        if exhausted_until is not None:
            args["exhausted_until"] = round(exhausted_until * 1000)
        self._engine.call("settle", self._keys, args, caller=self._caller)

    def give(self, grant: Grant) -> None:
        """Give back calls that were not made."""
        if grant.calls > 0:
            args = {"endpoint": grant.endpoint, "credential": grant.credential, "calls": grant.calls}
            self._engine.call("give", self._keys, args, caller=self._caller)

    def stop(self, endpoint: str | None, credential: str, reason: str, until: float | None = None) -> None:
        """Take a credential out of one endpoint (None: of all), until a moment or until ``lift``."""
        args: dict[str, Any] = {
            "endpoint": endpoint or EVERYWHERE,
            "credential": credential,
            "reason": sanitized(reason)[:500],
        }
        if until is not None:
            args["till"] = round(until * 1000)
        self._engine.call("stop", self._keys, args, caller=self._caller)

    def lift(self, endpoint: str | None, credential: str) -> None:
        """Undo ``stop``."""
        args = {"endpoint": endpoint or EVERYWHERE, "credential": credential}
        self._engine.call("lift", self._keys, args, caller=self._caller)

    def windows(self) -> list[Books]:
        """The books of every credential on every endpoint that was used or stopped."""
        return books(self._engine.call("windows", self._keys, {})[1:])


def books(rows: Sequence[Sequence[Any]]) -> list[Books]:
    """Rows of the function ``windows``."""
    found = []
    for endpoint, credential, windows, until, reason, probing in rows:
        told = [Window(kind, int(limit), int(left), int(reset) / 1000) for kind, limit, left, reset, _ in windows or ()]
        out = max((int(window[4]) for window in windows or ()), default=0)
        blocked_until = moment(until) if until else None
        found.append(Books(endpoint, credential, told, out, bool(until), blocked_until, reason, probing == "1"))
    return sorted(found, key=lambda row: (row.endpoint, row.credential))


def moment(milliseconds: str | int) -> float | None:
    """Unix seconds; None for the end of time."""
    return None if int(milliseconds) >= FOREVER_MS else int(milliseconds) / 1000


def sanitized(text: str) -> str:
    """Text without lone surrogates, which no JSON decoder of the server takes."""
    return text.encode("utf-8", "replace").decode()

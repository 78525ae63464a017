"""Windows per credential and endpoint, and the headers that tell of them."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from twittomatic.errors import SettingsError

APP, USER = "app", "user"
REAL: Mapping[str, tuple[int, int]] = {
    "users/:id/tweets": (10_000, 900),
    "users/:id/followers": (300, 300),
    "users/:id/following": (300, 300),
    "users": (300, 900),
    "users/by": (300, 900),
    "users/:id": (300, 900),
    "users/by/username/:username": (300, 900),
    "tweets": (3500, 5000),
    "usage/tweets": (50, 50),
    "statuses/user_timeline": (1500, 900),
    "followers/ids": (15, 15),
    "friends/ids": (15, 15),
    "followers/list": (15, 15),
    "users/lookup": (300, 900),
    "users/show": (900, 900),
    "application/rate_limit_status": (180, 180),
}
"""Calls per window of 15 minutes for an app's bearer token and for a user's token, by endpoint."""
WINDOW_SECONDS = 900
_DAILY = {"statuses/user_timeline": 100_000}


class Rule(NamedTuple):
    """Calls that a window of so many seconds allows."""

    limit: int
    seconds: int


@dataclass(slots=True)
class _Window:
    used: int
    reset: int


class Standing(NamedTuple):
    """What a call met: whether a window is used up, and the headers to send."""

    allowed: bool
    headers: tuple[tuple[str, str], ...]


class Limits:
    """Fixed windows that begin with the first call. A rule of None: no limit and no headers."""

    def __init__(self, rules: Mapping[str, Rule] | None = None, *, default: Rule | None = None) -> None:
        self._rules, self._default = rules, default
        self._windows: dict[tuple[str, str, str], _Window] = {}

    def rule(self, endpoint: str, kind: str) -> Rule | None:
        """The rule of an endpoint for an app's or a user's token."""
        if self._rules is None:
            if self._default is not None or endpoint not in REAL:
                return self._default
            return Rule(REAL[endpoint][kind == USER], WINDOW_SECONDS)
        return self._rules.get(endpoint, self._default)

    def take(self, credential: str, kind: str, endpoint: str, now: float) -> Standing:
        """Count one call at this moment (unix seconds)."""
        rule = self.rule(endpoint, kind)
        if rule is None:
            return Standing(True, ())
        allowed, remaining, reset = self._count(credential, endpoint, "window", rule, now)
        headers = [
            ("x-rate-limit-limit", str(rule.limit)),
            ("x-rate-limit-remaining", str(remaining)),
            ("x-rate-limit-reset", str(reset)),
        ]
        if self._rules is None and endpoint in _DAILY:
            daily = Rule(_DAILY[endpoint], 86400)
            in_day, left, end = self._count(credential, endpoint, "day", daily, now)
            allowed = allowed and in_day
            headers += [
                ("x-app-rate-limit-limit", str(daily.limit)),
                ("x-app-rate-limit-remaining", str(left)),
                ("x-app-rate-limit-reset", str(end)),
            ]
        return Standing(allowed, tuple(headers))

    def _count(self, credential: str, endpoint: str, name: str, rule: Rule, now: float) -> tuple[bool, int, int]:
        window = self._windows.get((credential, endpoint, name))
        if window is None or now >= window.reset:
            window = _Window(0, math.ceil(now + rule.seconds))
            self._windows[credential, endpoint, name] = window
        window.used += 1
        return window.used <= rule.limit, max(0, rule.limit - window.used), window.reset

    def status(self, credential: str, kind: str, endpoint: str, now: float) -> tuple[int, int, int]:
        """Limit, remaining and reset without counting a call; generous numbers where there is no limit."""
        rule = self.rule(endpoint, kind) or Rule(100_000, WINDOW_SECONDS)
        window = self._windows.get((credential, endpoint, "window"))
        if window is None or now >= window.reset:
            return rule.limit, rule.limit, math.ceil(now + rule.seconds)
        return rule.limit, max(0, rule.limit - window.used), window.reset


def load_limits(choice: str | Path) -> Limits:
    """``real``: the public table; ``none``: no limits and no headers; else a TOML file with a table
    ``[windows."ENDPOINT"]`` of ``limit`` and ``window_seconds`` per endpoint, ``default`` for the others.
    """
    if choice == "real":
        return Limits()
    if choice == "none":
        return Limits({})
    path = Path(choice)
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("windows", {})
        rules = {name: Rule(int(table["limit"]), int(table["window_seconds"])) for name, table in tables.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        mend = 'Give real, none, or a TOML file with [windows."users/:id/tweets"], limit and window_seconds'
        raise SettingsError(f"cannot read limits from {path}: {error!r}", mend) from error
    unknown = [name for name in rules if name not in REAL and name != "default"]
    if unknown or any(rule.limit < 0 or rule.seconds < 1 for rule in rules.values()):
        raise SettingsError(f"{path}: unknown or impossible window {unknown or ''}", f"Endpoints: {', '.join(REAL)}")
    default = rules.pop("default", None)
    return Limits(rules, default=default)

"""What response headers say of limits: windows, the moment to come back, the pause a server asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from twittomatic.job import Window

APP, DAY, USER = "app", "day", "user"
PREFIXES: tuple[tuple[str, str], ...] = (
    ("x-rate-limit-", USER),
    ("x-ratelimit-", USER),
    ("ratelimit-", USER),
    ("x-app-rate-limit-", DAY),
    ("x-app-limit-24hour-", DAY),
    ("x-user-limit-24hour-", DAY),
)
"""Header prefixes with the window they tell of. A bearer token's own window is the app's: kind ``app``."""

SLACK_SECONDS = 1.0
UNKNOWN_WAIT_SECONDS = 60.0
LONGEST_WAIT_SECONDS = 86_400.0 + 60.0
_SKEW_IGNORED_SECONDS = 5.0


def windows_of(headers: Mapping[str, str], *, bearer: bool, now: float) -> tuple[Window, ...]:
    """The windows of an answer, one per kind: of two that share a kind the one with less left.

    headers: names in lower case; now: our unix seconds, for a server whose clock (header Date) is off.
    """
    found: dict[str, Window] = {}
    skew = clock_skew(headers, now)
    for prefix, kind in PREFIXES:
        limit, remaining = _count(headers.get(f"{prefix}limit")), _count(headers.get(f"{prefix}remaining"))
        reset = moment(headers.get(f"{prefix}reset", ""))
        if limit is None or remaining is None or reset is None:
            continue
        name = APP if kind == USER and bearer else kind
        if name not in found or remaining < found[name].remaining:
            found[name] = Window(name, limit, remaining, reset + skew)
    return tuple(found.values())


def clock_skew(headers: Mapping[str, str], now: float) -> float:
    """Seconds that our clock is ahead of the server's; 0 where they agree to a few seconds or no Date was sent."""
    server = moment(headers.get("date", ""))
    skew = 0.0 if server is None else now - server
    return round(skew) if abs(skew) > _SKEW_IGNORED_SECONDS else 0.0


def limited_until(windows: Sequence[Window], retry_after: float, now: float) -> float:
    """When to come back after a refusal for rate: unix seconds with slack, within sane bounds.

    The used-up window that opens last decides; when none admits to be used up, the shortest one does.
    """
    used_up = [window.reset for window in windows if window.remaining <= 0]
    if used_up:
        until = max(used_up) + SLACK_SECONDS
    elif windows:
        until = min(window.reset for window in windows) + SLACK_SECONDS
    else:
        until = now + (0.0 if retry_after else UNKNOWN_WAIT_SECONDS)
    until = max(until, now + retry_after, now + SLACK_SECONDS)
    return min(until, now + LONGEST_WAIT_SECONDS)


def retry_after_of(headers: Mapping[str, str], now: float) -> float:
    """Seconds that the server asks us to wait (Retry-After as seconds or as a date), 0 when it does not."""
    text = headers.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        at = moment(text)
        seconds = 0.0 if at is None else at + clock_skew(headers, now) - now
    return min(max(seconds, 0.0), LONGEST_WAIT_SECONDS) if seconds == seconds else 0.0


def moment(text: str) -> float | None:
    """Unix seconds of a header value: a number, an ISO 8601 time, an HTTP date. None for anything else."""
    text = text.strip()
    try:
        seconds = float(text)
    except ValueError:
        pass
    else:
        return seconds if 0 <= seconds < 1e11 else None
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            at = parse(text)
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError, IndexError):
            continue
    return None


def _count(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.strip().isdigit() and len(text) < 19 else None

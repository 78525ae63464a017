"""What a person may write to name a user of X: an id, an @name or a profile address."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

from twittomatic.job import INT64
from twittomatic.sources.base import Seed

_NAME = re.compile(r"[A-Za-z0-9_]{1,15}", re.ASCII)
_HOSTS = {"x.com", "twitter.com"}
_NOT_NAMES = {
    "compose", "explore", "hashtag", "home", "i", "intent", "jobs", "login", "messages", "notifications", "privacy",
    "search", "settings", "share", "signup", "tos",
}  # fmt: skip
"""First path segments of the site that are no user."""


def parse_seed(text: str) -> Seed:
    """The user that a line names. ValueError, with the reason as its text, for a line that names nobody."""
    if text.startswith("@"):
        return Seed(name=_name(text[1:]))
    if "/" in text or "." in text:
        return _from_address(text)
    if text.isascii() and text.isdigit():
        if not INT64.accepts(text):
            raise ValueError("an id has 1 to 19 digits, no leading zero, and is below 2^63")
        return Seed(id=text)
    if _NAME.fullmatch(text):
        raise ValueError(f"a name is written with an @: @{text}")
    raise ValueError("neither an id, an @name nor a profile address")


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("a name has 1 to 15 letters, digits or underscores")
    return text


def _from_address(text: str) -> Seed:
    parts = urlsplit(text if "://" in text else f"https://{text}")
    host = (parts.hostname or "").removeprefix("www.").removeprefix("mobile.").removeprefix("m.")
    if parts.scheme not in {"http", "https"} or host not in _HOSTS:
        raise ValueError("not an address of a profile on x.com or twitter.com")
    path = [segment for segment in parts.path.split("/") if segment]
    query = parse_qs(parts.query)
    if path[:2] == ["i", "user"] and len(path) > 2:
        return _by_id(path[2])
    if path[:1] == ["intent"]:
        if "user_id" in query:
            return _by_id(query["user_id"][0])
        if "screen_name" in query:
            return Seed(name=_name(query["screen_name"][0].removeprefix("@")))
    if not path or path[0].lower() in _NOT_NAMES:
        raise ValueError("the address names no user")
    return Seed(name=_name(path[0].removeprefix("@")))


def _by_id(text: str) -> Seed:
    if not INT64.accepts(text):
        raise ValueError("the address holds no valid id")
    return Seed(id=text)

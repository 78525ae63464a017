"""What a user's profile says: a small pool of personas, filled in with each user's own numbers."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from twittomatic.emulator.chance import draw, mix, share
from twittomatic.emulator.phrases import DESCRIPTIONS, LOCATIONS, NAMES
from twittomatic.emulator.templates import Template, dump, raw_slot, slot
from twittomatic.emulator.world import PROTECTED, Person, World

PERSONAS = 64
_KEPT = 20_000
_NUMBERS = ("followers", "following", "tweets", "listed", "likes", "media")
SLOTS = ("id", "username", "created", "legacy_created", "protected", "recent", *_NUMBERS)
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_DAYS = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]


def personas(seed: int) -> list[dict[str, Any]]:
    """Profiles in the shape of v2, all fields, the tweet dialect, with slots."""
    return [_persona(seed, number) for number in range(PERSONAS)]


def _persona(seed: int, number: int) -> dict[str, Any]:
    bits = draw(seed, 21, number)
    document: dict[str, Any] = {
        "id": slot("id"),
        "name": NAMES[bits % len(NAMES)],
        "username": slot("username"),
        "created_at": slot("created"),
        "description": DESCRIPTIONS[(bits >> 8) % len(DESCRIPTIONS)],
        "profile_image_url": f"https://pbs.twimg.com/profile_images/{10**18 + (bits >> 5) % 10**17}/avatar_normal.jpg",
        "protected": raw_slot("protected"),
        "public_metrics": {
            "followers_count": raw_slot("followers"),
            "following_count": raw_slot("following"),
            "tweet_count": raw_slot("tweets"),
            "listed_count": raw_slot("listed"),
            "like_count": raw_slot("likes"),
            "media_count": raw_slot("media"),
        },
        "verified": number % 16 == 0,
        "verified_type": "blue" if number % 16 == 0 else "none",
    }
    location = LOCATIONS[(bits >> 16) % len(LOCATIONS)]
    if location:
        document["location"] = location
    if number % 3 == 0:
        url = f"https://t.co/{bits >> 30:010x}"[:23]
        document["url"] = url
        document["entities"] = {"url": {"urls": [_url(0, len(url), url, "https://example.org/about")]}}
    elif number % 3 == 1:
        document["url"] = ""
    if number % 5 == 0:
        document["profile_banner_url"] = f"https://pbs.twimg.com/profile_banners/{bits % 10**9}/1600000000"
    if number % 32 == 9:
        document["withheld"] = {"country_codes": ["DE", "FR"]}
    return document


def _url(start: int, end: int, url: str, expanded: str) -> dict[str, Any]:
    display = expanded.removeprefix("https://")
    return {"start": start, "end": end, "url": url, "expanded_url": expanded, "display_url": display}


class Filler:
    """Fills the personas' templates, compiled for one request shape, with a user's values."""

    def __init__(self, world: World, templates: list[Template]) -> None:
        self._world, self._templates = world, templates
        self._made: dict[int, bytes] = {}

    def body(self, person: Person) -> bytes:
        """One user object; a bounded number of them is kept until the world changes."""
        made = self._made.get(person.index)
        if made is None:
            if len(self._made) >= _KEPT:
                self._made.clear()
            made = self._templates[persona_of(person)].fill(profile_values(self._world, person))
            self._made[person.index] = made
        return made

    def forget(self) -> None:
        """The world has changed: numbers of followers and posts may differ."""
        self._made.clear()


def compile_profiles(documents: list[dict[str, Any]], *, escape: bool = False) -> list[Template]:
    """Templates for user bodies, one a persona."""
    return [Template(dump(document, escape=escape), SLOTS) for document in documents]


def persona_of(person: Person) -> int:
    """Which persona a user is."""
    return person.key % PERSONAS


def profile_values(world: World, person: Person) -> tuple[bytes, ...]:
    """The values of SLOTS for one user."""
    bits = mix(person.key + 5)
    followers, tweets = world.graph.followers_count(person.index), world.tweet_count(person)
    protected = world.state(person.index) == PROTECTED
    numbers = (
        followers,
        world.graph.following_count(person.index),
        tweets,
        int(followers * share(bits) / 50),
        (bits >> 40) % 30_000,
        tweets // 7,
    )
    return (
        b"%d" % person.id,
        person.username.encode(),
        iso_time(person.created),
        legacy_time(person.created),
        b"true" if protected else b"false",
        b"%d" % (world.tweet_id(person, tweets - 1) if tweets else 0),
        *(b"%d" % number for number in numbers),
    )


_MINUTES = [f"T{minute // 60:02}:{minute % 60:02}:".encode() for minute in range(1440)]
_SECONDS = [f"{second:02}.000Z".encode() for second in range(60)]


def iso_time(unix: int) -> bytes:
    """2026-01-01T00:00:00.000Z: whole seconds, as the network gives them."""
    day, second = divmod(unix, 86400)
    return _date(day) + _MINUTES[second // 60] + _SECONDS[second % 60]


def iso_times(unix: int) -> tuple[bytes, bytes]:
    """A moment and the one an hour later."""
    day, second = divmod(unix, 86400)
    date, minute, end = _date(day), second // 60, _SECONDS[second % 60]
    if minute < 1380:
        return date + _MINUTES[minute] + end, date + _MINUTES[minute + 60] + end
    return date + _MINUTES[minute] + end, _date(day + 1) + _MINUTES[minute - 1380] + end


@lru_cache(maxsize=20_000)
def _civil(day: int) -> tuple[int, int, int]:
    """Year, month, day of a day since 1970."""
    shifted = day + 719468
    era, doe = divmod(shifted, 146097)
    yoe = (doe - doe // 1460 + doe // 36524 - doe // 146096) // 365
    doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
    month = (5 * doy + 2) // 153
    return yoe + era * 400 + (month >= 10), month + 3 if month < 10 else month - 9, doy - (153 * month + 2) // 5 + 1


@lru_cache(maxsize=20_000)
def _date(day: int) -> bytes:
    year, month, date = _civil(day)
    return f"{year:04}-{month:02}-{date:02}".encode()


def legacy_time(unix: int) -> bytes:
    """Thu Jan 01 00:00:00 +0000 2026, as v1.1 gives it."""
    day, second = divmod(unix, 86400)
    year, month, date = _civil(day)
    clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    return f"{_DAYS[day % 7]} {_MONTHS[month - 1]} {date:02} {clock} +0000 {year}".encode()

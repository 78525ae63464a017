"""What a request asks to see: dialect, fields and expansions, compiled once into templates and reused."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from twittomatic.emulator.profiles import Filler, compile_profiles, iso_times, personas
from twittomatic.emulator.templates import Template, dump
from twittomatic.emulator.tweets import SLOTS, Piece, Pool, Prepared
from twittomatic.emulator.world import Person, World

TWEET, POST = DIALECTS = ("tweet", "post")
TO_POST = {
    "referenced_tweets": "referenced_posts",
    "note_tweet": "note_post",
    "edit_history_tweet_ids": "edit_history_post_ids",
    "pinned_tweet_id": "pinned_post_id",
    "most_recent_tweet_id": "most_recent_post_id",
    "retweet_count": "repost_count",
    "tweet_count": "post_count",
    "tweets": "posts",
}
"""Names of the tweet dialect and what the post dialect calls the same."""
DEFAULTS: Mapping[str, frozenset[str]] = {
    "tweets": frozenset({"id", "text", "edit_history_tweet_ids"}),
    "users": frozenset({"id", "name", "username"}),
    "media": frozenset({"media_key", "type"}),
    "polls": frozenset({"id", "options"}),
    "places": frozenset({"id", "full_name"}),
}
_IMPLIED = {
    "author_id": "author_id",
    "in_reply_to_user_id": "in_reply_to_user_id",
    "referenced_tweets.id": "referenced_tweets",
    "referenced_tweets.id.author_id": "referenced_tweets",
    "attachments.media_keys": "attachments",
    "attachments.poll_ids": "attachments",
    "geo.place_id": "geo",
    "entities.mentions.username": "entities",
    "pinned_tweet_id": "pinned_tweet_id",
    "most_recent_tweet_id": "most_recent_tweet_id",
}
"""An expansion shows the field that it expands."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Dialect, fields by section of the tweet dialect (DEFAULTS already in), and expansions, in tweet-dialect names."""

    dialect: str = TWEET
    tweets: frozenset[str] = DEFAULTS["tweets"]
    users: frozenset[str] = DEFAULTS["users"]
    media: frozenset[str] = DEFAULTS["media"]
    polls: frozenset[str] = DEFAULTS["polls"]
    places: frozenset[str] = DEFAULTS["places"]
    expansions: frozenset[str] = frozenset()

    def fields(self, section: str) -> frozenset[str]:
        """Fields of a section, those that an expansion shows included."""
        own: frozenset[str] = getattr(self, section)
        if section in ("tweets", "users"):
            return own | {_IMPLIED[name] for name in self.expansions if name in _IMPLIED}
        return own


class Shape:
    """Templates of every form of post and every persona, projected on one Ask."""

    def __init__(self, world: World, pool: Pool, ask: Ask) -> None:
        self._world, self._pool, self.ask = world, pool, ask
        self._base = "https://api.x.com" if ask.dialect == POST else "https://api.twitter.com"
        documents = [_project(document, ask.fields("users")) for document in personas(world.seed)]
        self.users = Filler(world, compile_profiles([self._rename(document) for document in documents]))
        self._tweets = [Template(self._text(form), SLOTS) for form in pool.forms]
        self._additions = [self._expand(form) for form in pool.forms]
        self.problems = [self._meet(form) for form in pool.forms]

    def section(self, name: str) -> bytes:
        """The name of a part of includes in this dialect."""
        return (TO_POST.get(name, name) if self.ask.dialect == POST else name).encode()

    def tweets(self, person: Person, numbers: Iterable[int]) -> list[tuple[bytes, int]]:
        """Posts of one user, each with the place of its form in the pool."""
        author, pick, templates, made = b"%d" % person.id, self._pool.pick, self._tweets, []
        for tweet_id, bits, created in self._world.tweets(person, numbers):
            form = pick(bits)
            values = (b"%d" % tweet_id, author, *iso_times(created), b"", b"")
            made.append((templates[form].fill(values), form))
        return made

    def tweet(self, person: Person, number: int) -> tuple[bytes, int]:
        """One post, and the place of its form in the pool."""
        return self.tweets(person, (number,))[0]

    def includes(self, forms: Iterable[int], authors: Iterable[Person]) -> list[bytes]:
        """Sections of includes for posts of these forms and authors, as members of a JSON object."""
        sections: dict[str, dict[str, bytes]] = {}
        if "author_id" in self.ask.expansions:
            sections["users"] = {str(author.id): self.users.body(author) for author in authors}
        for form in forms:
            for section, pieces in self._additions[form]:
                if section in sections:
                    sections[section].update(pieces)
                else:
                    sections[section] = dict(pieces)
        return [b'"%b":[%b]' % (self.section(name), b",".join(kept.values())) for name, kept in sections.items()]

    def problem(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """A partial error with this dialect's address of problem types and names of parameters."""
        found = dict(entry, type=f"{self._base}/2/problems/{entry['type']}")
        if self.ask.dialect == POST:
            for key in ("parameter", "detail"):
                found[key] = found[key].replace("referenced_tweets.id", "referenced_posts")
        return found

    def _text(self, form: Prepared) -> str:
        document = _project(form.document, self.ask.fields("tweets"))
        if form.raw is not None and self.ask.dialect == TWEET and len(document) == len(form.document):
            return form.raw
        return dump(self._rename(document))

    def _rename(self, document: Any) -> Any:
        return _renamed(document) if self.ask.dialect == POST else document

    def _expand(self, form: Prepared) -> list[tuple[str, dict[str, bytes]]]:
        """What a form adds to includes: bodies by key, by section."""
        found: dict[str, dict[str, bytes]] = {}
        for name, pieces in form.expansions.items():
            if name in self.ask.expansions:
                for piece in pieces:
                    found.setdefault(piece.kind, {}).setdefault(piece.key, self._piece(piece))
        return list(found.items())

    def _piece(self, piece: Piece) -> bytes:
        if piece.person is not None:
            if piece.kind == "users":
                return self.users.body(piece.person)
            return self.tweet(piece.person, piece.number)[0]
        whole = piece.document if piece.document is not None else json.loads(piece.raw or "{}")
        document = _project(whole, self.ask.fields(piece.kind))
        if piece.raw is not None and self.ask.dialect == TWEET and len(document) == len(whole):
            return piece.raw.encode("utf-8", "surrogatepass")
        return dump(self._rename(document)).encode("utf-8", "surrogatepass")

    def _meet(self, form: Prepared) -> list[tuple[str, bytes]]:
        return [
            (entry["resource_id"], dump(self.problem(entry)).encode())
            for name, entries in form.problems.items()
            if name in self.ask.expansions
            for entry in entries
        ]


class Shapes:
    """The shapes in use; the oldest are dropped beyond ``most``."""

    def __init__(self, world: World, pool: Pool, most: int = 64) -> None:
        self._world, self._pool, self._most = world, pool, most
        self._made: dict[Ask, Shape] = {}

    def forget(self) -> None:
        """The world has changed: what was compiled may hold its old numbers."""
        self._made.clear()

    def shape(self, ask: Ask) -> Shape:
        """The shape of an Ask, compiled at its first use."""
        found = self._made.get(ask)
        if found is None:
            if len(self._made) >= self._most:
                self._made.pop(next(iter(self._made)))
            found = self._made[ask] = Shape(self._world, self._pool, ask)
        return found


def _project(document: Mapping[str, Any], fields: frozenset[str]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key in fields}


def _renamed(value: Any) -> Any:
    """The same document in the names of the post dialect."""
    if isinstance(value, dict):
        return {TO_POST.get(key, key): _renamed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(inner) for inner in value]
    return value

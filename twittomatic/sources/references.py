"""What a v2 object refers to, by the members that name others: posts and users, in both dialects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from twittomatic.sources import exact
from twittomatic.sources.exact import Malformed

USERS, POSTS, MEDIA, POLLS, PLACES = "users", "posts", "media", "polls", "places"

Key = tuple[str, str]
"""A group and an id in it; a user is also known as ``@name`` in lower case, as old bodies mention people by name."""


class _Mention(msgspec.Struct, gc=False):
    id: str | None = None
    username: str | None = None


class _Entities(msgspec.Struct, gc=False):
    mentions: list[_Mention] | None = None


class _Note(msgspec.Struct, gc=False):
    entities: _Entities | None = None


class _Reference(msgspec.Struct, gc=False):
    id: str | None = None


class _Attachments(msgspec.Struct, gc=False):
    media_keys: list[str] | None = None
    poll_ids: list[str] | None = None
    media_source_tweet_id: list[str] | None = None
    media_source_post_id: list[str] | None = None


class _Geo(msgspec.Struct, gc=False):
    place_id: str | None = None


class _Article(msgspec.Struct, gc=False):
    cover_media: str | None = None
    media_entities: list[str] | None = None


class Thing(msgspec.Struct, gc=False):
    """An item or an included object, as far as it names itself or others: posts and users of both dialects."""

    id: str | None = None
    media_key: str | None = None
    username: str | None = None
    author_id: str | None = None
    in_reply_to_user_id: str | None = None
    pinned_tweet_id: str | None = None
    pinned_post_id: str | None = None
    most_recent_tweet_id: str | None = None
    most_recent_post_id: str | None = None
    edit_history_tweet_ids: list[str] | None = None
    edit_history_post_ids: list[str] | None = None
    referenced_tweets: list[_Reference] | None = None
    referenced_posts: list[_Reference] | None = None
    entities: _Entities | None = None
    note_tweet: _Note | None = None
    note_post: _Note | None = None
    attachments: _Attachments | None = None
    article: _Article | None = None
    geo: _Geo | None = None


_THING = msgspec.json.Decoder(Thing)
_THINGS = msgspec.json.Decoder(list[Thing])
_FORMS: Mapping[str, type[msgspec.Struct]] = {
    "entities": _Entities, "note_tweet": _Note, "note_post": _Note, "attachments": _Attachments, "article": _Article,
    "geo": _Geo,
}  # fmt: skip


def things(array: bytes, pieces: Sequence[bytes]) -> list[Thing]:
    """What each element of a JSON array refers to. ``pieces``: the same elements as slices."""
    try:
        return _THINGS.decode(array)
    except (ValueError, RecursionError):
        return [thing(piece) for piece in pieces]


def thing(piece: bytes) -> Thing:
    """What one object refers to; a member of a form that we do not know refers to nothing. Malformed for no object."""
    try:
        return _THING.decode(piece)
    except (ValueError, RecursionError):
        document = exact.load(piece)
    if not isinstance(document, dict):
        raise Malformed(f"an item is no object but {type(document).__name__}")
    known = {name: _member(name, document[name]) for name in Thing.__struct_fields__ if name in document}
    return Thing(**known)


def _member(name: str, value: Any) -> Any:
    if name in ("referenced_tweets", "referenced_posts"):
        return [_Reference(as_id(each.get("id"))) for each in _list(value) if isinstance(each, dict)]
    if name.startswith("edit_history"):
        return _texts(value)
    if name in _FORMS:
        return _form(_FORMS[name], value)
    return as_id(value)


def _form(form: type[msgspec.Struct], value: Any) -> Any:
    if not isinstance(value, dict):
        return None
    if form is _Entities:
        found = [each for each in _list(value.get("mentions")) if isinstance(each, dict)]
        return _Entities([_Mention(as_id(each.get("id")), as_id(each.get("username"))) for each in found])
    if form is _Note:
        return _Note(_form(_Entities, value.get("entities")))
    single = {"place_id", "cover_media"}
    return form(**{
        name: as_id(value[name]) if name in single else _texts(value[name])
        for name in form.__struct_fields__
        if name in value
    })  # fmt: skip


def as_id(value: Any) -> str | None:
    """An id that came as a number is still that id; anything else is none."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


def _texts(value: Any) -> list[str]:
    return [text for text in map(as_id, _list(value)) if text is not None]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def references(item: Thing, *, by_name: bool = False) -> list[Key]:
    """What an object refers to. A mentioned user is named by id; by ``@name`` where there is no id, or ``by_name``."""
    keys = [(USERS, user) for user in (item.author_id, item.in_reply_to_user_id) if user]
    if item.entities:
        _add_mentioned(keys, item.entities, by_name)
    for note in (item.note_tweet, item.note_post):
        if note and note.entities:
            _add_mentioned(keys, note.entities, by_name)
    for named in (item.referenced_tweets, item.referenced_posts):
        if named:
            keys += [(POSTS, reference.id) for reference in named if reference.id]
    for post in (item.pinned_tweet_id, item.pinned_post_id, item.most_recent_tweet_id, item.most_recent_post_id):
        if post:
            keys.append((POSTS, post))
    for versions in (item.edit_history_tweet_ids, item.edit_history_post_ids):
        if versions:
            keys += [(POSTS, version) for version in versions if version != item.id]
    if item.attachments:
        _add_attached(keys, item.attachments)
    if item.article:
        keys += [(MEDIA, key) for key in (item.article.cover_media, *(item.article.media_entities or ())) if key]
    if item.geo and item.geo.place_id:
        keys.append((PLACES, item.geo.place_id))
    return keys


def _add_mentioned(keys: list[Key], entities: _Entities, by_name: bool) -> None:
    for mention in entities.mentions or ():
        if mention.id:
            keys.append((USERS, mention.id))
        if mention.username and (by_name or not mention.id):
            keys.append((USERS, f"@{mention.username.lower()}"))


def _add_attached(keys: list[Key], attached: _Attachments) -> None:
    keys += [(MEDIA, key) for key in attached.media_keys or ()]
    keys += [(POLLS, key) for key in attached.poll_ids or ()]
    keys += [(POSTS, key) for key in attached.media_source_tweet_id or ()]
    keys += [(POSTS, key) for key in attached.media_source_post_id or ()]

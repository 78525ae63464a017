"""What a v2 item refers to, spliced raw behind it: users, posts, media, polls, places and errors of this item only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from twittomatic.sources import exact
from twittomatic.sources.envelope import Envelope, Listed
from twittomatic.sources.references import MEDIA, PLACES, POLLS, POSTS, USERS, Key, Thing, as_id, references

GROUPS: Mapping[str, str] = {
    "users": USERS,
    "tweets": POSTS,
    "posts": POSTS,
    "media": MEDIA,
    "polls": POLLS,
    "places": PLACES,
}
"""The network's names of what a page includes, in both dialects, with ours."""
_ERROR_GROUPS: Mapping[str, str] = {
    "user": USERS,
    "tweet": POSTS,
    "post": POSTS,
    "media": MEDIA,
    "poll": POLLS,
    "place": PLACES,
}


class Included:
    """What one page includes beside its items, indexed once; ``splice`` then costs a few look-ups an item."""

    def __init__(self, envelope: Envelope) -> None:
        self._pieces: list[bytes] = []
        self._names: list[str] = []
        # By group, then by id: a text keeps its hash, a pair of texts would be hashed at every look-up.
        self._where: dict[str, dict[str, int]] = {group: {} for group in GROUPS.values()}
        self._posts: dict[str, Thing] = {}
        self._strangers: list[tuple[bytes, int]] = []
        self._errors = envelope.errors
        self._about: dict[Key, list[int]] = {}
        for name, listed in envelope.includes.items():
            self._index(name, listed)
        for number, piece in enumerate(envelope.errors):
            self._index_error(number, piece)

    def _index(self, name: str, listed: Listed) -> None:
        group = GROUPS.get(name)
        start = len(self._pieces)
        self._pieces += listed.pieces
        self._names += [name] * len(listed.pieces)
        for number, each in enumerate(listed.things, start):
            id_ = (each.media_key if group == MEDIA else None) or each.id
            if id_ is None:
                continue
            if group is None:  # a kind of thing that we do not know belongs to the items that hold its id
                self._strangers.append((b'"' + id_.encode("utf-8", "replace") + b'"', number))
                continue
            self._where[group].setdefault(id_, number)  # the first one where the network sends it twice
            if group == USERS and each.username:
                self._where[USERS].setdefault(f"@{each.username.lower()}", number)
            elif group == POSTS:
                self._posts.setdefault(id_, each)

    def _index_error(self, number: int, piece: bytes) -> None:
        document = exact.load(piece)
        if not isinstance(document, dict):
            return
        group = _ERROR_GROUPS.get(str(document.get("resource_type", "")).lower())
        for subject in {as_id(document.get("resource_id")), as_id(document.get("value"))} - {None, ""}:
            for each in [group] if group else set(_ERROR_GROUPS.values()):
                keys = [subject, f"@{subject}".lower()] if each == USERS else [subject]
                for key in keys:
                    self._about.setdefault((each, str(key)), []).append(number)

    def splice(self, item: bytes, thing: Thing) -> bytes:
        """The item's bytes with what it refers to, directly or through a post that it refers to, under one added last
        key ``includes``, and with the page's errors about those under ``errors``. No other byte changes."""
        if not (self._pieces or self._errors):
            return item
        by_name = bool(self._about)
        keys = references(thing, by_name=by_name)
        for group, id_ in tuple(keys):
            if group is POSTS and (post := self._posts.get(id_)) is not None:
                keys += references(post, by_name=by_name)
        added = []
        where = self._where
        numbers = {number for group, id_ in keys if (number := where[group].get(id_)) is not None}
        numbers.update(number for quoted, number in self._strangers if quoted in item)
        if numbers:
            added.append(self._includes(sorted(numbers)))
        if self._about and (about := self._errors_about([*keys, (POSTS, thing.id or ""), (USERS, thing.id or "")])):
            added.append(b'"errors":[' + b",".join(about) + b"]")
        return append_members(item, added) if added else item

    def _includes(self, numbers: Sequence[int]) -> bytes:
        lists = [
            b'"%b":[%b]' % (name.encode(), b",".join([self._pieces[number] for number in group]))
            for name, group in groupby(numbers, self._names.__getitem__)
        ]
        return b'"includes":{' + b",".join(lists) + b"}"

    def _errors_about(self, keys: Sequence[Key]) -> list[bytes]:
        numbers = {number for key in keys for number in self._about.get(key, ())}
        return [self._errors[number] for number in sorted(numbers)]


def append_members(item: bytes, members: Sequence[bytes]) -> bytes:
    """A JSON object's bytes with members added behind its own."""
    body = item[:-1]
    comma = b"" if body.strip() == b"{" else b","
    return body + comma + b",".join(members) + b"}"

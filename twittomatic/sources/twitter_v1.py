"""Twitter API v1.1: the dialect of mirrors, of the emulator and of older archives."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from twittomatic.errors import Gone, UnknownBody
from twittomatic.job import INT64, IdForm, Profile
from twittomatic.sources import exact
from twittomatic.sources.base import FOLLOWERS_CALL, NAMES_CALL, PROFILES_CALL, TIMELINE_CALL, Item, Missing, Page
from twittomatic.sources.exact import Malformed
from twittomatic.sources.refusals import NOT_FOUND, refusal, unreadable
from twittomatic.sources.transport import Answer, Transport

FIRST_CURSOR, LAST_CURSOR = "-1", "0"

_NAME = re.compile(r"[A-Za-z0-9_]{1,20}", re.ASCII)
_CREATED = "%a %b %d %H:%M:%S %z %Y"


class _Named(msgspec.Struct, gc=False):
    """The ids of an object: ``id_str`` counts, as ``id`` may have gone through a float on its way."""

    id_str: str | None = None
    id: int | None = None


_NAMED = msgspec.json.Decoder(list[_Named])


class TwitterV1:
    """Twitter API v1.1. All of it is free of charge."""

    name = "twitter_v1"
    api_url = "https://api.twitter.com"
    settings: frozenset[str] = frozenset()
    id_form: IdForm = INT64
    carries_profiles = False
    profile_lacks: frozenset[str] = frozenset()
    depth: int | None = 3200
    page_limits: Mapping[str, int] = {TIMELINE_CALL: 200, FOLLOWERS_CALL: 5000, PROFILES_CALL: 100, NAMES_CALL: 100}

    def __init__(self, session: Transport) -> None:
        self._session = session

    def timeline(
        self, user: str, cursor: str | None, *, credential: str, since: str | None = None, limit: int | None = None
    ) -> Page:
        """Tweets newest to oldest. The cursor is an id, older ones come next; with ``?`` an empty page was seen there.

        There are no tokens, and pages are short for reasons of their own, so only two empty answers end a walk.
        """
        until, again = (cursor or "").removesuffix("?"), (cursor or "").endswith("?")
        most = self.page_limits[TIMELINE_CALL]
        asked = {
            "user_id": user,
            "count": str(max(1, min(limit or most, most))),
            "tweet_mode": "extended",
            "include_rts": "true",
            "exclude_replies": "false",
        }
        if until:
            asked["max_id"] = self.id_form.before(until)  # inclusive here
        if since:
            asked["since_id"] = since
        answer = self._session.get("/1.1/statuses/user_timeline.json", asked, credential=credential)
        items = self._items(answer, cursor="max_id" if until else "")
        if items:
            following: str | None = min((item.id for item in items), key=self.id_form.order)
        else:
            following = None if again else f"{until}?"
        return Page(items, following, answer.windows, size=len(answer.body))

    def followers(self, user: str, cursor: str | None, *, credential: str, limit: int | None = None) -> Page:
        """Ids only. The cursor is the network's, with ``?`` when an empty page is asked for once more."""
        place, again = (cursor or FIRST_CURSOR).removesuffix("?"), (cursor or "").endswith("?")
        most = self.page_limits[FOLLOWERS_CALL]
        asked = {
            "user_id": user,
            "count": str(max(1, min(limit or most, most))),
            "cursor": place,
            "stringify_ids": "true",
        }
        answer = self._session.get("/1.1/followers/ids.json", asked, credential=credential)
        ids, following = self._ids(answer, cursor="cursor" if cursor else "")
        if not ids and not again:
            following = f"{place}?"
        elif following == place:
            following = None
        return Page([Item(each, each.encode()) for each in ids], following, answer.windows, size=len(answer.body))

    def profiles(self, ids: Sequence[str], *, credential: str) -> Page:
        """Profiles by id."""
        return self._lookup("user_id", ids, credential)

    def names(self, names: Sequence[str], *, credential: str) -> Page:
        """Profiles by name. Names that no user can have are missing without being asked for."""
        possible = [name for name in names if _NAME.fullmatch(name)]
        impossible = [Missing(name, NOT_FOUND) for name in names if not _NAME.fullmatch(name)]
        if not possible:
            return Page([], None, missing=impossible)
        page = self._lookup("screen_name", possible, credential)
        return Page(page.items, None, page.windows, missing=[*impossible, *page.missing], size=page.size)

    def profile(self, line: bytes) -> Profile:
        """The profile of a user's bytes."""
        try:
            user = exact.load(line)
            id_ = _id_of(user)
        except Malformed as fault:
            raise UnknownBody(f"a profile that cannot be read: {fault}", body=line) from None
        return Profile(
            id=id_,
            name=user.get("screen_name") or "",
            description=user.get("description") or "",
            language=user.get("lang"),
            followers=user.get("followers_count"),
            following=user.get("friends_count"),
            statuses=user.get("statuses_count"),
            verified=user.get("verified"),
            protected=user.get("protected"),
            created=_unix(user.get("created_at")),
        )

    def author_profiles(self, line: bytes) -> Sequence[Item]:
        """The user object of a tweet, unless it is trimmed to its id."""
        piece = exact.fields(line).get("user")
        if piece is None or b'"screen_name"' not in piece:
            return ()
        return (Item(_id_of(exact.load(piece)), piece),)

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def _lookup(self, parameter: str, asked: Sequence[str], credential: str) -> Page:
        """Users that came back; the others are silently left out by the network, whatever became of them."""
        form = {parameter: ",".join(asked), "include_entities": "true", "tweet_mode": "extended"}
        answer = self._session.post("/1.1/users/lookup.json", form, credential=credential)
        try:
            items = self._items(answer)
        except Gone as error:
            if answer.status != 404 and len(asked) > 1:
                raise answer.unknown(f"a refusal for all of {len(asked)} users: {error.detail}") from None
            return Page([], None, answer.windows, missing=[Missing(each, error.reason) for each in asked])
        by_name = parameter == "screen_name"
        back = {(self.profile(item.line).name if by_name else item.id).lower() for item in items}
        missing = [Missing(each, NOT_FOUND) for each in asked if each.lower() not in back]
        return Page(items, None, answer.windows, missing=missing, size=len(answer.body))

    def _items(self, answer: Answer, *, cursor: str = "") -> list[Item]:
        """The objects of a list with their exact bytes."""
        body = answer.body
        if answer.status != 200 or not body.lstrip().startswith(b"["):
            raise refusal(answer, cursor=cursor)
        try:
            exact.check(body)
            pieces = exact.elements(body)
            return [Item(id_, piece) for id_, piece in zip(self._ids_of(body, pieces), pieces, strict=True)]
        except Malformed as fault:
            raise unreadable(answer, fault) from None

    def _ids_of(self, body: bytes, pieces: Sequence[bytes]) -> list[str]:
        try:
            ids = [each.id_str or str(each.id) for each in _NAMED.decode(body)]
        except (ValueError, RecursionError):
            ids = [_id_of(exact.load(piece)) for piece in pieces]
        for id_ in ids:
            if not self.id_form.accepts(id_):
                raise Malformed(f"an item with the id {id_!r}")
        return ids

    def _ids(self, answer: Answer, *, cursor: str) -> tuple[list[str], str | None]:
        """Follower ids, as texts or as numbers, and the next cursor, None after the last page."""
        try:
            if answer.status != 200 or answer.is_html:
                raise refusal(answer, cursor=cursor)
            exact.check(answer.body)
            document = exact.load(answer.body)
            if not isinstance(document, dict) or not isinstance(document.get("ids"), list):
                raise refusal(answer, cursor=cursor)
            ids = [str(each) for each in document["ids"]]
        except Malformed as fault:
            raise unreadable(answer, fault) from None
        following = str(document.get("next_cursor_str") or document.get("next_cursor") or LAST_CURSOR)
        for id_ in ids:
            if not self.id_form.accepts(id_):
                raise answer.unknown(f"a follower with the id {id_!r}")
        return ids, None if following == LAST_CURSOR else following


def _id_of(document: Any) -> str:
    """The id of a parsed object. Malformed without one."""
    if not isinstance(document, dict):
        raise Malformed(f"an item is no object but {type(document).__name__}")
    id_ = document.get("id_str") or document.get("id")
    if not isinstance(id_, str | int):
        raise Malformed("an item without an id")
    return str(id_)


def _unix(created: object) -> float | None:
    """Unix seconds of ``Sat Jul 30 03:20:23 +0000 2016``."""
    try:
        return datetime.strptime(str(created), _CREATED).timestamp()
    except ValueError:
        return None

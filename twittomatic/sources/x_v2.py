"""X API v2, in both of its dialects: ``tweet`` names and ``post`` names are asked for by a setting, read always."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from twittomatic.errors import Gone, UnknownBody
from twittomatic.job import INT64, IdForm, Profile
from twittomatic.sources import exact, x_v2_fields
from twittomatic.sources.base import (
    FOLLOWERS_CALL,
    NAMES_CALL,
    PROFILES_CALL,
    TIMELINE_CALL,
    UNAVAILABLE,
    Item,
    Missing,
    Page,
)
from twittomatic.sources.envelope import take_apart
from twittomatic.sources.exact import Malformed
from twittomatic.sources.references import things
from twittomatic.sources.refusals import NOT_FOUND, Problem, gone_reason, problems_in, refusal, unreadable
from twittomatic.sources.splice import Included
from twittomatic.sources.transport import Answer, Transport
from twittomatic.sources.windows import moment

SMALLEST_TIMELINE_PAGE = 5
POST, USER, FOLLOWER = "post", "user", "follower"
"""Resources that are charged."""

_NAME = re.compile(r"[A-Za-z0-9_]{1,15}", re.ASCII)
_SUBJECTS = frozenset({"id", "ids", "user_id"})


class TimelineCursor(NamedTuple):
    """Where a walk of a timeline stands: by id, because tokens expire.

    until: items older than this id come next, empty at the start; again: an empty page, or one without a token, was
    seen here: one more empty answer completes the walk; token: only where empty pages that carry tokens lie in between.
    """

    until: str = ""
    again: bool = False
    token: str = ""

    def encode(self) -> str:
        return self.until + ("?" if self.again else "") + (f"~{self.token}" if self.token else "")

    @classmethod
    def decode(cls, text: str | None) -> TimelineCursor:
        place, _, token = (text or "").partition("~")
        return cls(place.removesuffix("?"), place.endswith("?"), token)

    def after_empty(self, token: str) -> str | None:
        """An empty page may be spurious: ask once more; a token on the second one leads on, else the walk is over."""
        if not self.again:
            return self._replace(again=True).encode()
        if token and token != self.token:
            return TimelineCursor(self.until, False, token).encode()
        return None


class XV2:
    """X API v2.

    dialect: ``tweet`` or ``post``, the names that requests use; fields: lists by parameter name (``user.fields``,
    ``expansions``, ...) instead of all.
    """

    name = "x_v2"
    api_url = "https://api.x.com"
    settings = frozenset({"dialect", "fields"})
    id_form: IdForm = INT64
    carries_profiles = True
    profile_lacks = frozenset({"language"})
    depth: int | None = 3200
    page_limits: Mapping[str, int] = {TIMELINE_CALL: 100, FOLLOWERS_CALL: 1000, PROFILES_CALL: 100, NAMES_CALL: 100}

    def __init__(
        self, session: Transport, *, dialect: str = "tweet", fields: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        self._session = session
        asked = x_v2_fields.parameters(dialect, fields or {})
        users = ("user.fields",)
        self._post_fields = asked
        self._user_fields = {name: value for name, value in asked.items() if name in users}

    def timeline(
        self, user: str, cursor: str | None, *, credential: str, since: str | None = None, limit: int | None = None
    ) -> Page:
        """Posts newest to oldest. A page holds at least 5, whatever the limit: the network gives no less."""
        at = TimelineCursor.decode(cursor)
        most = self.page_limits[TIMELINE_CALL]
        asked = {"max_results": str(max(SMALLEST_TIMELINE_PAGE, min(limit or most, most))), **self._post_fields}
        for name, value in (("since_id", since), ("until_id", at.until), ("pagination_token", at.token)):
            if value:
                asked[name] = value
        answer = self._session.get(f"/2/users/{user}/tweets", asked, credential=credential)
        body = self._page(answer, user, cursor="pagination_token" if at.token else "until_id" if at.until else "")
        token = body.token
        if body.items:
            oldest = min((item.id for item in body.items), key=self.id_form.order)
            following: str | None = TimelineCursor(oldest, again=not token).encode()
        else:
            following = at.after_empty(token)
        return Page(body.items, following, answer.windows, {POST: len(body.items)}, size=len(answer.body))

    def followers(self, user: str, cursor: str | None, *, credential: str, limit: int | None = None) -> Page:
        """Ids with profiles. The cursor is the network's token behind ``=``, or ``?`` when an empty page is asked for
        once more."""
        again, token = (cursor or "").startswith("?"), (cursor or "")[1:]
        most = self.page_limits[FOLLOWERS_CALL]
        asked = {"max_results": str(max(1, min(limit or most, most))), **self._user_fields}
        if token:
            asked["pagination_token"] = token
        answer = self._session.get(f"/2/users/{user}/followers", asked, credential=credential)
        body = self._page(answer, user, cursor="pagination_token" if token else "")
        following: str | None = f"={body.token}" if body.token and body.token != token else None
        if not body.items and not again:
            following = f"?{token}"
        ids = [Item(item.id, item.id.encode()) for item in body.items]
        charge = {FOLLOWER: len(ids)}
        return Page(ids, following, answer.windows, charge, profiles=body.items, size=len(answer.body))

    def profiles(self, ids: Sequence[str], *, credential: str) -> Page:
        """Profiles by id."""
        asked = {"ids": ",".join(ids), **self._user_fields}
        return self._lookup(self._session.get("/2/users", asked, credential=credential), ids)

    def names(self, names: Sequence[str], *, credential: str) -> Page:
        """Profiles by name. A name that no user can have is missing unasked: it would spoil the call."""
        possible = [name for name in names if _NAME.fullmatch(name)]
        impossible = [Missing(name, NOT_FOUND) for name in names if not _NAME.fullmatch(name)]
        if not possible:
            return Page([], None, missing=impossible)
        asked = {"usernames": ",".join(possible), **self._user_fields}
        page = self._lookup(self._session.get("/2/users/by", asked, credential=credential), possible, by_name=True)
        return Page(page.items, None, page.windows, page.charge, missing=[*impossible, *page.missing], size=page.size)

    def profile(self, line: bytes) -> Profile:
        """The profile of a user's bytes, in either dialect."""
        user = exact.load(line)
        if not isinstance(user, dict) or "id" not in user:
            raise UnknownBody("a profile without an id", body=line)
        metrics = user.get("public_metrics")
        metrics = metrics if isinstance(metrics, dict) else {}
        created = user.get("created_at")
        return Profile(
            id=str(user["id"]),
            name=_text(user.get("username")),
            description=_text(user.get("description")),
            followers=_number(metrics.get("followers_count")),
            following=_number(metrics.get("following_count")),
            statuses=_number(metrics.get("tweet_count", metrics.get("post_count"))),
            verified=_flag(user.get("verified")),
            protected=_flag(user.get("protected")),
            created=moment(created) if isinstance(created, str) else None,
        )

    def author_profiles(self, line: bytes) -> Sequence[Item]:
        """The author among what was spliced behind an item."""
        item = exact.fields(line)
        author, includes = item.get("author_id"), item.get("includes")
        if not author or not includes or not (users := exact.fields(includes).get("users")):
            return ()
        wanted = exact.load(author)
        pieces = exact.elements(users)
        for each, piece in zip(things(users, pieces), pieces, strict=True):
            if each.id and each.id == wanted:
                return (Item(each.id, piece),)
        return ()

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def _lookup(self, answer: Answer, asked: Sequence[str], *, by_name: bool = False) -> Page:
        """Users that came back, and the reason for each that did not."""
        try:
            body = _read(answer, self.id_form)
        except Gone as error:
            if answer.status != 404 and len(asked) > 1:
                raise answer.unknown(f"a refusal for all of {len(asked)} users: {error.detail}") from None
            return Page([], None, answer.windows, {}, missing=[Missing(each, error.reason) for each in asked])
        reasons = {problem.subject.lower(): problem for problem in body.problems if problem.subject}
        if body.is_bare and not any(each.lower() in reasons for each in asked):
            raise refusal(answer)
        back = {(self.profile(item.line).name if by_name else item.id).lower() for item in body.items}
        missing = [
            Missing(each, _missing_reason(reasons.get(each.lower()))) for each in asked if each.lower() not in back
        ]
        return Page(body.items, None, answer.windows, {USER: len(body.items)}, missing=missing, size=len(answer.body))

    def _page(self, answer: Answer, user: str, *, cursor: str) -> _Body:
        """The page of a walk. An answer that has only errors is about the user, unless they are about others."""
        body = _read(answer, self.id_form, cursor=cursor)
        if body.items:
            return body
        concerning = [each for each in body.problems if each.subject in ("", user) or each.parameter in _SUBJECTS]
        for problem in concerning:
            if reason := gone_reason(problem):
                raise Gone(reason, f"{answer.endpoint}: {problem.detail}", status=200, windows=answer.windows)
        if concerning or (body.is_bare and body.meta is None):
            raise refusal(answer, cursor=cursor)
        return body


class _Body(NamedTuple):
    """A page as read. is_bare: it carries no ``data`` at all."""

    items: list[Item]
    problems: list[Problem]
    meta: dict[str, Any] | None
    is_bare: bool

    @property
    def token(self) -> str:
        return _text((self.meta or {}).get("next_token"))


def _read(answer: Answer, id_form: IdForm, *, cursor: str = "") -> _Body:
    """A v2 document: items with what they refer to spliced in. Errors: what a refusal means, Transient, UnknownBody."""
    if answer.status != 200 or answer.is_html:
        raise refusal(answer, cursor=cursor)
    try:
        return _parse(answer, id_form, cursor)
    except Malformed as fault:
        raise unreadable(answer, fault) from None


def _parse(answer: Answer, id_form: IdForm, cursor: str) -> _Body:
    exact.check(answer.body)
    envelope = take_apart(answer.body)
    problems = [problem for piece in envelope.errors for problem in problems_in(b'{"errors":[' + piece + b"]}")]
    meta = exact.load(envelope.meta)
    meta = meta if isinstance(meta, dict) else None
    if envelope.data is None:
        if meta is None and not problems:
            raise refusal(answer, cursor=cursor)
        return _Body([], problems, meta, True)
    included = Included(envelope)
    items = []
    for piece, thing in zip(*envelope.data, strict=True):
        if thing.id is None or not id_form.accepts(thing.id):
            raise Malformed(f"an item with the id {thing.id!r}")
        items.append(Item(thing.id, included.splice(piece, thing)))
    return _Body(items, problems, meta, False)


def _missing_reason(problem: Problem | None) -> str:
    """A network that says nothing of an id does not have it; one that names an unknown trouble just does not tell."""
    return NOT_FOUND if problem is None else gone_reason(problem) or UNAVAILABLE


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None

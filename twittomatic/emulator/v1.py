"""The v1.1 endpoints that a crawler reads: timelines, follower ids, lookups."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from twittomatic.emulator.answers import Answer, Call, Refusal, encode, legacy_error, legacy_not_authorized
from twittomatic.emulator.chance import draw, share
from twittomatic.emulator.legacy import legacy_profile, legacy_status
from twittomatic.emulator.profiles import Filler, compile_profiles, legacy_time, personas
from twittomatic.emulator.templates import Template, dump, raw_slot, slot
from twittomatic.emulator.tweets import QUOTE, REPLY, RETWEET, SLOTS, Pool, Prepared
from twittomatic.emulator.world import DELETED, PROTECTED, PUBLIC, SUSPENDED, Person, World

DEPTH = 3200
_POSITION = 1 << 36


@dataclass(frozen=True, slots=True)
class _Form:
    """How statuses are to look."""

    extended: bool = False
    trim_user: bool = False


class TwitterV1:
    """Answers to v1.1 requests; nothing here is charged for."""

    def __init__(self, world: World, pool: Pool, *, short_pages: float = 0.03) -> None:
        self.world, self.pool, self.short_pages = world, pool, short_pages
        self._users = Filler(
            world, compile_profiles([legacy_profile(one) for one in personas(world.seed)], escape=True)
        )
        self._statuses: dict[_Form, list[Template]] = {}

    def forget(self) -> None:
        """The world has changed: what was compiled may hold its old numbers."""
        self._statuses.clear()
        self._users.forget()

    # --- whom a request means

    def _person(self, call: Call) -> Person | None:
        if "user_id" in call.params:
            return self.world.by_id(call.params["user_id"])
        return self.world.by_username(call.params.get("screen_name", ""))

    def _subject(self, call: Call) -> Person:
        """The user whose list is read: 404 with code 34 when there is none, 401 when it may not be read."""
        person = self._person(call)
        state = self.world.state(person.index) if person else DELETED
        if person is None or state == DELETED:
            raise Refusal(legacy_error(404, 34, "Sorry, that page does not exist."))
        if state in (PROTECTED, SUSPENDED):
            raise Refusal(legacy_not_authorized(call.path))
        return person

    # --- statuses

    def user_timeline(self, call: Call) -> Answer:
        """GET statuses/user_timeline: max_id inclusive, since_id exclusive, filters after the count."""
        person = self._subject(call)
        world, total = self.world, self.world.tweet_count(person)
        low, high = max(0, total - DEPTH), total
        if "since_id" in call.params:
            low = max(low, world.first_after(person, _number(call, "since_id", 0)))
        if "max_id" in call.params:
            high = min(high, world.first_after(person, _number(call, "max_id", 0)))
        count = max(1, min(200, _number(call, "count", 20)))
        bits = draw(world.seed, 46, person.index, high)
        if count > 1 and (call.short or share(bits) < self.short_pages):
            count = 1 + (bits >> 20) % (count - 1)
        form = _Form(call.params.get("tweet_mode") == "extended", _flag(call, "trim_user", False))
        wanted = self._filter(call)
        stop = high if call.empty else max(low, high - count)
        numbers = [number for number in range(high - 1, stop - 1, -1) if wanted(person, number)]
        bodies = self._render(person, numbers, form)
        return Answer(200, b"[" + b",".join(bodies) + b"]", items=len(bodies))

    def _filter(self, call: Call) -> Callable[[Person, int], bool]:
        hidden = set()
        if _flag(call, "exclude_replies", False):
            hidden.add(REPLY)
        if not _flag(call, "include_rts", True):
            hidden.add(RETWEET)
        if not hidden:
            return lambda person, number: True
        forms, world, pool = self.pool.forms, self.world, self.pool
        return lambda person, number: forms[pool.pick(world.tweet_bits(person, number))].kind not in hidden

    def _render(self, person: Person, numbers: Sequence[int], form: _Form) -> list[bytes]:
        templates = self._statuses.get(form)
        if templates is None:
            templates = self._statuses[form] = self._compile(form)
        user = b"" if form.trim_user else self._users.body(person)
        author, bodies = b"%d" % person.id, []
        for tweet, bits, created in self.world.tweets(person, numbers):
            values = (b"%d" % tweet, author, b"", b"", legacy_time(created), user)
            bodies.append(templates[self.pool.pick(bits)].fill(values))
        return bodies

    def _compile(self, form: _Form) -> list[Template]:
        """Templates of all forms of post; a retweeted or quoted status of the world stands inside."""
        plain = [Template(self._text(one, form, None), SLOTS) for one in self.pool.forms]
        self._statuses[form] = plain
        made = []
        for one, template in zip(self.pool.forms, plain, strict=True):
            if one.reference and one.kind in (RETWEET, QUOTE):
                inner = json.loads(self._render(one.reference[0], [one.reference[1]], form)[0])
                made.append(Template(self._text(one, form, inner), SLOTS))
            else:
                made.append(template)
        return made

    def _text(self, one: Prepared, form: _Form, inner: dict[str, Any] | None) -> str:
        if one.legacy_raw is not None and not form.trim_user and not form.extended:
            return one.legacy_raw
        if one.legacy is not None:
            status = dict(one.legacy)
            if form.trim_user:
                status["user"] = {"id": raw_slot("author"), "id_str": slot("author")}
            if form.extended and "text" in status:
                status["full_text"] = status.pop("text")
            return dump(status, escape=True)
        status = legacy_status(one, extended=form.extended, trim_user=form.trim_user)
        if inner is not None:
            status["retweeted_status" if one.kind == RETWEET else "quoted_status"] = inner
        return dump(status, escape=True)

    # --- followers and friends

    def follower_ids(self, call: Call) -> Answer:
        """GET followers/ids"""
        return self._ids(call, friends=False)

    def friend_ids(self, call: Call) -> Answer:
        """GET friends/ids"""
        return self._ids(call, friends=True)

    def _ids(self, call: Call, *, friends: bool) -> Answer:
        person = self._subject(call)
        people, cursors = self._walk(call, person, max(1, min(5000, _number(call, "count", 5000))), friends=friends)
        ids = [self.world.graph.id_of(one) for one in people]
        text = _flag(call, "stringify_ids", False)
        body = encode({"ids": [str(one) for one in ids] if text else ids, **cursors, "total_count": None})
        return Answer(200, body, items=len(ids))

    def follower_list(self, call: Call) -> Answer:
        """GET followers/list"""
        person = self._subject(call)
        people, cursors = self._walk(call, person, max(1, min(200, _number(call, "count", 20))), friends=False)
        users = b",".join(self._users.body(self.world.person(one)) for one in people)
        return Answer(200, b'{"users":[' + users + b"]," + encode(cursors)[1:], items=len(people))

    def _walk(self, call: Call, person: Person, size: int, *, friends: bool) -> tuple[list[int], dict[str, Any]]:
        """One page of users from the cursor on: -1 begins, 0 ends; a cursor holds the position and a check."""
        graph, index, world = self.world.graph, person.index, self.world
        everybody = graph.following(index) if friends else None
        total = graph.followers_count(index) if everybody is None else len(everybody)
        start = self._position(_number(call, "cursor", -1), index, friends)
        bits = draw(world.seed, 47, index, start, friends)
        if size > 1 and (call.short or share(bits) < self.short_pages):
            size = 1 + (bits >> 20) % (size - 1)
        stop = start if call.empty else min(total, start + size)
        part = graph.followers(index, start, stop) if everybody is None else everybody[start:stop]
        following = self._cursor(index, stop, friends) if stop < total else 0
        previous = -self._cursor(index, start, friends) if start else 0
        return [one for one in part if world.is_listed(one)], {
            "next_cursor": following,
            "next_cursor_str": str(following),
            "previous_cursor": previous,
            "previous_cursor_str": str(previous),
        }

    def _cursor(self, index: int, position: int, friends: bool) -> int:
        return (draw(self.world.seed, 48, index, position, friends) >> 38 | 1) << 36 | position

    def _position(self, cursor: int, index: int, friends: bool) -> int:
        if cursor == -1:
            return 0
        position = cursor % _POSITION
        if cursor <= 0 or self._cursor(index, position, friends) != cursor:
            raise Refusal(legacy_error(400, 44, "cursor parameter is invalid."))
        return position

    # --- users

    def lookup(self, call: Call) -> Answer:
        """GET or POST users/lookup: unknown and suspended users are silently left out."""
        names = [one for one in call.params.get("screen_name", "").split(",") if one]
        ids = [one for one in call.params.get("user_id", "").split(",") if one]
        if not 1 <= len(names) + len(ids) <= 100:
            raise Refusal(legacy_error(403, 18, "Too many terms specified in query."))
        people = [self.world.by_id(one) for one in ids] + [self.world.by_username(one) for one in names]
        found = {one.index: one for one in people if one is not None and not self.world.is_gone(one.index)}
        if not found:
            raise Refusal(legacy_error(404, 17, "No user matches for specified terms."))
        order = sorted(found, key=lambda index: draw(self.world.seed, 49, index))
        bodies = b",".join(self._users.body(found[index]) for index in order)
        return Answer(200, b"[" + bodies + b"]", items=len(found))

    def show(self, call: Call) -> Answer:
        """GET users/show"""
        person = self._person(call)
        state = self.world.state(person.index) if person else DELETED
        if person is None or state == DELETED:
            raise Refusal(legacy_error(404, 50, "User not found."))
        if state == SUSPENDED:
            raise Refusal(legacy_error(403, 63, "User has been suspended."))
        body = self._users.body(person)
        total = self.world.tweet_count(person)
        if state == PUBLIC and total:
            form = _Form(trim_user=True)
            body = body[:-1] + b',"status":' + self._render(person, [total - 1], form)[0] + b"}"
        return Answer(200, body, items=1)


def _number(call: Call, name: str, default: int) -> int:
    text = call.params.get(name)
    if text is None:
        return default
    try:
        return int(text)
    except ValueError:
        raise Refusal(legacy_error(400, 44, f"{name} parameter is invalid.")) from None


def _flag(call: Call, name: str, default: bool) -> bool:
    text = call.params.get(name)
    return default if text is None else text.lower() in ("true", "t", "1")

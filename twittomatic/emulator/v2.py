"""X API v2: the endpoints that a crawler reads, in both dialects."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from twittomatic.emulator import cursors
from twittomatic.emulator.answers import Answer, Call, Charge, encode, invalid
from twittomatic.emulator.asks import read_ask
from twittomatic.emulator.chance import draw, share
from twittomatic.emulator.cursors import Cursors
from twittomatic.emulator.shapes import POST, Shape, Shapes
from twittomatic.emulator.tweets import REPLY, RETWEET, Pool, problem
from twittomatic.emulator.world import DELETED, PROTECTED, PUBLIC, SUSPENDED, Person, World, id_at

DEPTH, DEPTH_WITHOUT_REPLIES = 3200, 800
_ID = re.compile(r"[0-9]{1,19}", re.ASCII)
_USERNAME = re.compile(r"[A-Za-z0-9_]{1,15}", re.ASCII)
_PAGING = ("max_results", "pagination_token")
_TIMELINE = (*_PAGING, "since_id", "until_id", "start_time", "end_time", "exclude")
_MISSING = {DELETED: "not_found", SUSPENDED: "suspended", PROTECTED: "protected"}


class XV2:
    """Answers to v2 requests. short_pages: share of pages that hold less than asked, with a token all the same.

    single_missing: HTTP status of a single lookup that finds nobody: 200 as recorded, or 404 as documented.
    """

    def __init__(
        self, world: World, pool: Pool, *, dialect: str, short_pages: float = 0.03, single_missing: int = 200
    ) -> None:
        self.world, self.pool, self.dialect = world, pool, dialect
        self.short_pages, self.single_missing = short_pages, single_missing
        self.shapes = Shapes(world, pool)
        self.cursors = Cursors(world.seed)

    def _shape(self, call: Call, own: Sequence[str], *, users: bool) -> Shape:
        default = POST if call.post_dialect else self.dialect
        return self.shapes.shape(read_ask(call, own, default=default, users=users))

    # --- users

    def users_by_id(self, call: Call) -> Answer:
        """GET /2/users?ids="""
        shape = self._shape(call, ("ids",), users=True)
        ids = _list(call, "ids", _ID)
        return self._users(shape, "ids", ids, (self.world.by_id(one) for one in ids), batch=True)

    def users_by_name(self, call: Call) -> Answer:
        """GET /2/users/by?usernames="""
        shape = self._shape(call, ("usernames",), users=True)
        names = _list(call, "usernames", _USERNAME)
        return self._users(shape, "usernames", names, (self.world.by_username(one) for one in names), batch=True)

    def user_by_id(self, call: Call) -> Answer:
        """GET /2/users/:id"""
        shape = self._shape(call, (), users=True)
        _check(call.target, "id", _ID)
        return self._users(shape, "id", [call.target], [self.world.by_id(call.target)], batch=False)

    def user_by_name(self, call: Call) -> Answer:
        """GET /2/users/by/username/:username"""
        shape = self._shape(call, (), users=True)
        _check(call.target, "username", _USERNAME)
        return self._users(shape, "username", [call.target], [self.world.by_username(call.target)], batch=False)

    def _users(
        self, shape: Shape, parameter: str, asked: Sequence[str], people: Iterable[Person | None], *, batch: bool
    ) -> Answer:
        found: dict[int, Person] = {}
        errors = []
        for value, person in zip(asked, people, strict=True):
            if person is None or self.world.is_gone(person.index):
                what = _MISSING[self.world.state(person.index)] if person else "not_found"
                errors.append(encode(shape.problem(problem(what, "user", parameter, value))))
            else:
                found[person.index] = person
        parts = []
        if found:
            bodies = b",".join(map(shape.users.body, found.values()))
            parts.append(b'"data":' + (b"[%b]" % bodies if batch else bodies))
            parts += self._pinned(shape, found.values())
        if errors:
            parts.append(b'"errors":[' + b",".join(errors) + b"]")
        status = 200 if found or batch else self.single_missing
        return Answer(status, b"{" + b",".join(parts) + b"}", Charge("user", tuple(found)), len(found))

    def _pinned(self, shape: Shape, people: Iterable[Person]) -> list[bytes]:
        if "most_recent_tweet_id" not in shape.ask.expansions:
            return []
        counts = [(person, self.world.tweet_count(person)) for person in people]
        tweets = [shape.tweet(person, count - 1)[0] for person, count in counts if count]
        return [b'"includes":{"' + shape.section("tweets") + b'":[' + b",".join(tweets) + b"]}"] if tweets else []

    def _subject(self, call: Call, shape: Shape) -> Person | Answer:
        """The user whose list is read, or the answer that says why it cannot be: 200 with errors and no data."""
        _check(call.target, "id", _ID)
        person = self.world.by_id(call.target)
        state = self.world.state(person.index) if person else DELETED
        if person is not None and state == PUBLIC:
            return person
        entry = shape.problem(problem(_MISSING[state], "user", "id", call.target, section="data"))
        return Answer(200, encode({"errors": [entry]}))

    # --- followers and following

    def followers(self, call: Call) -> Answer:
        """GET /2/users/:id/followers"""
        shape = self._shape(call, _PAGING, users=True)
        size = _bounded(call, "max_results", 1, 1000, 100)
        subject = self._subject(call, shape)
        if isinstance(subject, Answer):
            return subject
        graph, index = self.world.graph, subject.index
        total = graph.followers_count(index)
        return self._follows(
            call, shape, subject, cursors.FOLLOWERS, size, total, lambda a, b: graph.followers(index, a, b)
        )

    def following(self, call: Call) -> Answer:
        """GET /2/users/:id/following"""
        shape = self._shape(call, _PAGING, users=True)
        size = _bounded(call, "max_results", 1, 1000, 100)
        subject = self._subject(call, shape)
        if isinstance(subject, Answer):
            return subject
        everybody = self.world.graph.following(subject.index)
        return self._follows(call, shape, subject, cursors.FOLLOWING, size, len(everybody), lambda a, b: everybody[a:b])

    def _follows(
        self, call: Call, shape: Shape, subject: Person, walk: int, size: int, total: int,
        between: Callable[[int, int], Sequence[int]],
    ) -> Answer:  # fmt: skip
        start = self._start(call, walk, subject)
        stop = start + self._size(call, walk, subject, start, size)
        world = self.world
        people = [] if call.empty else [world.person(one) for one in between(start, stop) if world.is_listed(one)]
        if call.empty:
            stop = start
        meta: dict[str, object] = {"result_count": len(people)}
        if stop < total:
            meta["next_token"] = self.cursors.token(walk, subject.index, stop)
        if start:
            meta["previous_token"] = self.cursors.token(walk, subject.index, max(0, start - size))
        parts = [b'"meta":' + encode(meta)]
        if people:
            parts.insert(0, b'"data":[' + b",".join(map(shape.users.body, people)) + b"]")
        charge = Charge("follower", tuple(person.index for person in people))
        return Answer(200, b"{" + b",".join(parts) + b"}", charge, len(people))

    def _start(self, call: Call, walk: int, subject: Person, default: int = 0) -> int:
        token = call.params.get("pagination_token")
        if token is None:
            return default
        position = self.cursors.position(walk, subject.index, token)
        if position is None:
            message = f"The `pagination_token` query parameter value [{token}] is not valid"
            raise invalid("pagination_token", token, message)
        return position

    def _size(self, call: Call, walk: int, subject: Person, position: int, size: int) -> int:
        """How many a page really holds: a short page is not the last one."""
        bits = draw(self.world.seed, 45, walk, subject.index, position)
        if size > 1 and (call.short or share(bits) < self.short_pages):
            return 1 + (bits >> 20) % (size - 1)
        return size

    # --- posts

    def timeline(self, call: Call) -> Answer:
        """GET /2/users/:id/tweets: newest first, at most the newest 3,200."""
        shape = self._shape(call, _TIMELINE, users=False)
        size = _bounded(call, "max_results", 5, 100, 10)
        exclude = _excluded(call)
        subject = self._subject(call, shape)
        if isinstance(subject, Answer):
            return subject
        low, high = self._range(call, subject, DEPTH_WITHOUT_REPLIES if REPLY in exclude else DEPTH)
        high = min(high, max(low, self._start(call, cursors.TIMELINE, subject, high)))
        stop = max(low, high - self._size(call, cursors.TIMELINE, subject, high, size))
        if call.empty:
            return self._empty_page(subject, high, low)
        numbers: Sequence[int] = range(high - 1, stop - 1, -1)
        if exclude:
            numbers = [number for number in numbers if self._kind(subject, number) not in exclude]
        made = shape.tweets(subject, numbers)
        meta: dict[str, object] = {"result_count": len(made)}
        if made:
            meta["newest_id"] = str(self.world.tweet_id(subject, numbers[0]))
            meta["oldest_id"] = str(self.world.tweet_id(subject, numbers[-1]))
        if stop > low:
            meta["next_token"] = self.cursors.token(cursors.TIMELINE, subject.index, stop)
        if "pagination_token" in call.params:
            meta["previous_token"] = self.cursors.token(cursors.TIMELINE, subject.index, high + size)
        mask = sum(1 << number for number in numbers) if exclude else (1 << high) - (1 << stop)
        body = self._page(shape, made, [subject], meta)
        return Answer(200, body, Charge("post", posts=((subject.index, mask),)), len(made))

    def _empty_page(self, subject: Person, high: int, low: int) -> Answer:
        """A page without data where there are data; its token leads to the same place."""
        meta: dict[str, object] = {"result_count": 0}
        if high > low and subject.key & 1:
            meta["next_token"] = self.cursors.token(cursors.TIMELINE, subject.index, high)
        return Answer(200, encode({"meta": meta}))

    def _kind(self, person: Person, number: int) -> str:
        return self.pool.forms[self.pool.pick(self.world.tweet_bits(person, number))].kind

    def _range(self, call: Call, person: Person, depth: int) -> tuple[int, int]:
        """Numbers of the posts that a request may see: those newer than since_id, older than until_id, in depth."""
        world, total = self.world, self.world.tweet_count(person)
        low, high = max(0, total - depth), total
        if "since_id" in call.params:
            low = max(low, world.first_after(person, _number(call, "since_id")))
        elif "start_time" in call.params:
            low = max(low, world.first_at_or_after(person, id_at(_moment(call, "start_time"))))
        if "until_id" in call.params:
            high = min(high, world.first_at_or_after(person, _number(call, "until_id")))
        elif "end_time" in call.params:
            high = min(high, world.first_at_or_after(person, id_at(_moment(call, "end_time"))))
        return low, max(low, high)

    def tweets_by_id(self, call: Call) -> Answer:
        """GET /2/tweets?ids="""
        shape = self._shape(call, ("ids",), users=False)
        made, authors, errors, paid = [], [], [], []
        for one in _list(call, "ids", _ID):
            found = self.world.find_tweet(one)
            state = self.world.state(found[0].index) if found else DELETED
            if found is None or state == DELETED:
                errors.append(shape.problem(problem("not_found", "tweet", "ids", one)))
            elif state != PUBLIC:
                errors.append(shape.problem(problem("protected", "tweet", "ids", one, section="data")))
            else:
                made.append(shape.tweet(*found))
                authors.append(found[0])
                paid.append((found[0].index, 1 << found[1]))
        body = self._page(shape, made, authors, None, [encode(entry) for entry in errors])
        return Answer(200, body, Charge("post", posts=tuple(paid)), len(made))

    def _page(
        self, shape: Shape, made: Sequence[tuple[bytes, int]], authors: Sequence[Person],
        meta: dict[str, object] | None, errors: Sequence[bytes] = (),
    ) -> bytes:  # fmt: skip
        """Data, includes of all the forms used, partial errors, meta."""
        parts = []
        forms = sorted({form for _, form in made})
        if made and (included := shape.includes(forms, authors)):
            parts.append(b'"includes":{' + b",".join(included) + b"}")
        problems = [*errors, *dict(pair for form in forms for pair in shape.problems[form]).values()]
        if problems:
            parts.append(b'"errors":[' + b",".join(problems) + b"]")
        if meta is not None:
            parts.append(b'"meta":' + encode(meta))
        rest = b",".join(parts) + b"}"
        if not made:
            return b"{" + rest
        bodies = [body for body, _ in made]
        bodies[0] = b'{"data":[' + bodies[0]
        bodies[-1] += b"]," + rest if parts else b"]}"
        return b",".join(bodies)  # the page is copied once


def _check(value: str, parameter: str, form: re.Pattern[str]) -> None:
    if not form.fullmatch(value):
        raise invalid(
            parameter, value, f"The `{parameter}` query parameter value [{value}] does not match ^{form.pattern}$"
        )


def _list(call: Call, parameter: str, form: re.Pattern[str]) -> list[str]:
    """One to a hundred values of a comma list."""
    text = call.params.get(parameter, "")
    values = list(dict.fromkeys(text.split(","))) if text else []
    if not 1 <= len(values) <= 100:
        message = f"The `{parameter}` query parameter can not be empty" if not values else (
            f"The number of values in the `{parameter}` query parameter list [{len(values)}] is not between 1 and 100"
        )  # fmt: skip
        raise invalid(parameter, text, message)
    for value in values:
        _check(value, parameter, form)
    return values


def _bounded(call: Call, parameter: str, low: int, high: int, default: int) -> int:
    text = call.params.get(parameter)
    if text is None:
        return default
    if not text.isdecimal() or not low <= int(text) <= high:
        message = f"The `{parameter}` query parameter value [{text}] is not between {low} and {high}"
        raise invalid(parameter, text, message)
    return int(text)


def _number(call: Call, parameter: str) -> int:
    _check(call.params[parameter], parameter, _ID)
    return int(call.params[parameter])


def _moment(call: Call, parameter: str) -> int:
    """Unix milliseconds of an RFC 3339 parameter."""
    text = call.params[parameter]
    try:
        moment = datetime.strptime(text.replace(".000Z", "Z"), "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        message = f"The `{parameter}` query parameter value [{text}] is not a valid time"
        raise invalid(parameter, text, message) from None
    return int(moment.replace(tzinfo=UTC).timestamp() * 1000)


def _excluded(call: Call) -> frozenset[str]:
    """Kinds of post that ``exclude`` leaves out."""
    names = {"retweets": RETWEET, "replies": REPLY}
    asked = call.params["exclude"].split(",") if "exclude" in call.params else []
    for one in asked:
        if one not in names:
            message = f"The `exclude` query parameter value [{one}] is not one of [retweets,replies]"
            raise invalid("exclude", one, message)
    return frozenset(names[one] for one in asked)

"""The world: what each user is and has posted, computed from the seed when asked; only what a test changed is kept."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from twittomatic.emulator.chance import draw, mix, share
from twittomatic.emulator.graph import Graph

PUBLIC, PROTECTED, SUSPENDED, DELETED = "public", "protected", "suspended", "deleted"
STATES = (PUBLIC, PROTECTED, SUSPENDED, DELETED)
EPOCH_MS = 1288834974657
"""Unix milliseconds at which the ids of this network begin to count."""
_INDEX_BITS = 26
_FIRST_TICK = (1527811200000 - EPOCH_MS) // 16  # 2018-06-01: ids have 19 digits from here on
_NOW_TICK = (1767225600000 - EPOCH_MS) // 16  # 2026-01-01, the moment at which every world stands still
_NEWS_GAP = 3750  # ticks of 16 ms: a minute between posts added later
_MOST_TWEETS = 30_000
_PREFIXES = (
    "alba",
    "bruno",
    "clio",
    "dora",
    "elio",
    "fleur",
    "gitte",
    "hugo",
    "ines",
    "joris",
    "kenji",
    "luca",
    "maya",
    "nadia",
    "oskar",
    "pia",
    "quinn",
    "rosa",
    "sami",
    "tilda",
    "umar",
    "vera",
    "wim",
    "xenia",
    "yara",
    "zoe",
    "Nova",
    "Rio",
    "Data",
    "Pixel",
)
_STEP, _GOLDEN, _MASK = 0x2545F4914F6CDD1D, 0x9E3779B97F4A7C15, (1 << 64) - 1
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(slots=True)
class Person:
    """One user. created: unix seconds; base: posts before any were added; start, gap: ticks (16 ms) of the timeline."""

    index: int
    id: int
    key: int
    username: str
    created: int
    base: int
    start: int
    gap: int


class World:
    """Users by index over a graph. ``hidden`` is the share of users who are protected, suspended or deleted.

    tweets_scale: half of the users who post at all have posted less than about this; the tail is a power law.
    """

    def __init__(self, graph: Graph, seed: int, *, hidden: float = 0.06, tweets_scale: int = 30) -> None:
        self.graph, self.seed, self.hidden, self.tweets_scale = graph, seed, hidden, tweets_scale
        self.count = graph.count
        self._people: dict[int, Person] = {}
        self._changed: dict[int, str] = {}
        self._added: dict[int, int] = {}
        self._rounds: list[tuple[float, int]] = []

    def person(self, index: int) -> Person:
        """The user at an index; a bounded number of them is kept."""
        found = self._people.get(index)
        if found is None:
            if len(self._people) >= 100_000:
                self._people.clear()
            found = self._people[index] = self._make(index)
        return found

    def _make(self, index: int) -> Person:
        key = draw(self.seed, 11, index)
        id_ = self.graph.id_of(index)
        tick = id_ >> _INDEX_BITS if id_ >= 10**18 else 0
        if not _FIRST_TICK // 2 < tick < _NOW_TICK:
            tick = int((1167609600000 - EPOCH_MS) // 16 + share(mix(key + 1)) * 1.75e10)  # 2007 to 2015
        luck = share(mix(key + 2))
        base = 0 if luck < 0.05 else min(_MOST_TWEETS, int(self.tweets_scale * (1 / (1.0000001 - luck) - 1)) + 1)
        start = max(_FIRST_TICK, tick) + mix(key + 3) % 1_000_000
        gap = max(1, (_NOW_TICK - start) // base) if base else 1
        created = (tick * 16 + EPOCH_MS) // 1000
        return Person(index, id_, key, self._username(index), created, base, start, gap)

    def _username(self, index: int) -> str:
        digits, rest = "", index
        while rest or not digits:
            rest, digit = divmod(rest, 36)
            digits = _DIGITS[digit] + digits
        return f"{_PREFIXES[draw(self.seed, 12, index) % len(_PREFIXES)]}_{digits}"

    def by_id(self, id_: str) -> Person | None:
        """The user with this id, whatever its state."""
        if not (id_.isascii() and id_.isdecimal()) or len(id_) > 19 or (len(id_) > 1 and id_[0] == "0"):
            return None
        index = self.graph.index_of(int(id_))
        return None if index is None else self.person(index)

    def by_username(self, username: str) -> Person | None:
        """The user of this name in any case of letters."""
        _, _, digits = username.lower().rpartition("_")
        if not digits or not (digits.isascii() and digits.isalnum()) or len(digits) > 6:
            return None
        index = int(digits, 36)
        if index >= self.count:
            return None
        person = self.person(index)
        return person if person.username.lower() == username.lower() else None

    def state(self, index: int) -> str:
        """One of STATES."""
        if self._changed and index in self._changed:
            return self._changed[index]
        luck = share(draw(self.seed, 13, index))
        if luck >= self.hidden:
            return PUBLIC
        part = luck / self.hidden
        return PROTECTED if part < 0.5 else SUSPENDED if part < 0.8 else DELETED

    def is_gone(self, index: int) -> bool:
        """Suspended or deleted."""
        return self.state(index) in (SUSPENDED, DELETED)

    def is_listed(self, index: int) -> bool:
        """Followers pages leave out the gone, but for one in four who went a moment ago and is still listed."""
        return not self.is_gone(index) or (index not in self._changed and draw(self.seed, 14, index) % 4 == 0)

    def change_state(self, index: int, state: str) -> None:
        """From now on the user is in this state."""
        self._changed[index] = state

    def followers(self, index: int) -> list[int]:
        """Everybody who is listed as a follower, the newest first."""
        return [one for one in self.graph.followers(index, 0, self.graph.count) if self.is_listed(one)]

    def following(self, index: int) -> Sequence[int]:
        """Everybody this user follows who is listed."""
        return [one for one in self.graph.following(index) if self.is_listed(one)]

    # --- posts: number 0 is the oldest; the id is (tick << 26) | index, so that it leads back to user and number

    def advance(self, number: int, *, index: int | None = None, portion: float = 1.0) -> None:
        """Add newer posts: to one user, or to a hashed portion of all users."""
        if index is None:
            self._rounds.append((portion, number))
        else:
            self._added[index] = self._added.get(index, 0) + number

    def tweet_count(self, person: Person) -> int:
        """Posts of a user, those added later included."""
        added = self._added.get(person.index, 0)
        for turn, (portion, number) in enumerate(self._rounds):
            if portion >= 1 or share(mix(person.key + 100 + turn)) < portion:
                added += number
        return person.base + added

    def tweet_bits(self, person: Person, number: int) -> int:
        """64 bits of one post: what it looks like depends on them."""
        return mix(person.key + (number + 1) * _STEP)

    def tweet_id(self, person: Person, number: int) -> int:
        bits = self.tweet_bits(person, number)
        if number < person.base:
            tick = person.start + number * person.gap + bits % person.gap
        else:
            tick = _NOW_TICK + (number - person.base) * _NEWS_GAP + bits % _NEWS_GAP
        return tick << _INDEX_BITS | person.index

    def tweets(self, person: Person, numbers: Iterable[int]) -> list[tuple[int, int, int]]:
        """Id, bits and unix seconds of many posts: tweet_id and tweet_bits in one loop, for the speed of pages."""
        found = []
        key, base, start, gap, index = person.key, person.base, person.start, person.gap, person.index
        for number in numbers:
            bits = (key + (number + 1) * _STEP + _GOLDEN) & _MASK
            bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
            bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _MASK
            bits ^= bits >> 31
            if number < base:
                tick = start + number * gap + bits % gap
            else:
                tick = _NOW_TICK + (number - base) * _NEWS_GAP + bits % _NEWS_GAP
            found.append((tick << _INDEX_BITS | index, bits, (tick * 16 + EPOCH_MS) // 1000))
        return found

    def find_tweet(self, id_: str) -> tuple[Person, int] | None:
        """Author and number of a post, None where there is no such post."""
        if not (id_.isascii() and id_.isdecimal()) or len(id_) > 19:
            return None
        tick, index = divmod(int(id_), 1 << _INDEX_BITS)
        if index >= self.count:
            return None
        person = self.person(index)
        if tick < _NOW_TICK:
            number = (tick - person.start) // person.gap
        else:
            number = person.base + (tick - _NOW_TICK) // _NEWS_GAP
        if 0 <= number < self.tweet_count(person) and self.tweet_id(person, number) == int(id_):
            return person, number
        return None

    def first_after(self, person: Person, id_: int) -> int:
        """The number of the oldest post with an id greater than this one."""
        return bisect_left(range(self.tweet_count(person)), id_ + 1, key=lambda number: self.tweet_id(person, number))

    def first_at_or_after(self, person: Person, id_: int) -> int:
        """The number of the oldest post whose id is not smaller."""
        return self.first_after(person, id_ - 1)


def id_at(unix_ms: int) -> int:
    """The smallest post id of a moment."""
    return max(0, unix_ms - EPOCH_MS) << 22


def unix_seconds(tweet_id: int) -> int:
    """When a post was made."""
    return ((tweet_id >> 22) + EPOCH_MS) // 1000

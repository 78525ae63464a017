"""``/_world``: what is true of any user, what was asked, what it cost; and the changes that a test makes."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Mapping
from math import gcd
from typing import Any

from twittomatic.emulator import v2
from twittomatic.emulator.answers import Answer, encode
from twittomatic.emulator.chance import draw
from twittomatic.emulator.graph import EdgeListGraph
from twittomatic.emulator.ledger import Ledger
from twittomatic.emulator.shapes import DEFAULTS, Ask
from twittomatic.emulator.tweets import Pool
from twittomatic.emulator.world import STATES, Person, World

_USERS_COUNTED = 200_000
_PROFILE = DEFAULTS["users"] | {
    "created_at",
    "description",
    "entities",
    "location",
    "profile_banner_url",
    "profile_image_url",
    "protected",
    "public_metrics",
    "url",
    "verified",
    "verified_type",
    "withheld",
}


class Requests:
    """Counts of what was asked, by endpoint, status and user; the last thousand requests."""

    def __init__(self) -> None:
        self.total = 0
        self.by_endpoint: Counter[str] = Counter()
        self.by_status: Counter[str] = Counter()
        self.by_user: dict[str, Counter[str]] = {}
        self.faults: Counter[str] = Counter()
        self.recent: deque[tuple[float, str, str, int, int, str | None]] = deque(maxlen=1000)

    def note(self, now: float, endpoint: str, target: str, status: int, items: int, fault: str | None) -> None:
        """Count one request. status 0: no answer was given."""
        self.total += 1
        self.by_endpoint[endpoint] += 1
        self.by_status[f"{endpoint} {status}"] += 1
        if fault:
            self.faults[fault] += 1
        if target:
            counter = self.by_user.get(target)
            if counter is None and len(self.by_user) < _USERS_COUNTED:
                counter = self.by_user[target] = Counter()
            if counter is not None:
                counter[endpoint] += 1
        self.recent.append((now, endpoint, target, status, items, fault))

    def report(self, user: str | None) -> dict[str, Any]:
        """Counts; with a user, only that user's."""
        if user is not None:
            return {"user": user, "endpoints": self.by_user.get(user, Counter())}
        names = ("time", "endpoint", "target", "status", "items", "fault")
        return {
            "total": self.total,
            "endpoints": self.by_endpoint,
            "statuses": self.by_status,
            "faults": self.faults,
            "users": len(self.by_user),
            "recent": [dict(zip(names, row, strict=True)) for row in self.recent],
        }


class Truth:
    """Answers under ``/_world``; no credential is needed and nothing is counted or charged."""

    def __init__(self, world: World, pool: Pool, api: v2.XV2, ledger: Ledger, requests: Requests) -> None:
        self.world, self.pool, self.api = world, pool, api
        self.changed = False
        self._reports: dict[str, Callable[[Mapping[str, str]], dict[str, Any]]] = {
            "health": self.health,
            "seeds": self.seeds,
            "ledger": lambda params: ledger.report(),
            "requests": lambda params: requests.report(params.get("user")),
        }

    def answer(self, method: str, path: str, params: Mapping[str, str]) -> Answer:
        """path: what stands after ``/_world/``."""
        name, _, rest = path.partition("/")
        try:
            if method == "POST" and name in ("advance", "state"):
                return self._answer(self._advance(params) if name == "advance" else self._change(params))
            if method == "GET" and name == "user":
                person = self._find(rest)
                if person is None:
                    return Answer(404, encode({"error": f"no user {rest}"}))
                return self._user(person, params)
            if method == "GET" and name in self._reports:
                return self._answer(self._reports[name](params))
        except (ValueError, KeyError) as error:
            return Answer(400, encode({"error": f"{type(error).__name__}: {error}"}))
        return Answer(404, encode({"error": f"no {method} /_world/{path}"}))

    def _answer(self, document: object) -> Answer:
        return Answer(200, encode(document))

    def _find(self, text: str) -> Person | None:
        return self.world.by_username(text[1:]) if text.startswith("@") else self.world.by_id(text)

    def health(self, params: Mapping[str, str]) -> dict[str, Any]:
        """Alive, and what kind of world this is."""
        graph = self.world.graph
        known = {"kind": "generated"}
        if isinstance(graph, EdgeListGraph):
            known = {"kind": "edges", "edges": str(graph.edges), "mapped": str(graph.map_ids).lower()}
        recorded = any(form.raw or form.legacy_raw for form in self.pool.forms)
        forms = {"forms": len(self.pool.forms), "recorded": recorded}
        return {"status": "ok", "users": self.world.count, "seed": self.world.seed, **known, **forms}

    def seeds(self, params: Mapping[str, str]) -> dict[str, Any]:
        """``n`` users at hashed places: ids, and names; ``state`` narrows them."""
        wanted, state = min(int(params.get("n", "20")), self.world.count, 100_000), params.get("state")
        people: dict[int, Person] = {}
        count, step = self.world.count, 1_640_531_527
        while gcd(step, count) != 1:
            step += 2
        for turn in range(min(count, 200 * wanted + 20_000)):
            index = (draw(self.world.seed, 51) + turn * step) % count
            if state in (None, self.world.state(index)):
                people[index] = self.world.person(index)
            if len(people) == wanted:
                break
        found = list(people.values())
        return {"ids": [str(one.id) for one in found], "names": [one.username for one in found]}

    def _user(self, person: Person, params: Mapping[str, str]) -> Answer:
        """State, posts visible within the depth and listed followers, both the newest first, and the profile."""
        world, total = self.world, self.world.tweet_count(person)
        numbers = range(total - 1, max(-1, total - 1 - v2.DEPTH), -1)
        shape = self.api.shapes.shape(Ask(users=_PROFILE))
        document: dict[str, Any] = {
            "id": str(person.id),
            "username": person.username,
            "state": world.state(person.index),
            "listed": world.is_listed(person.index),
            "tweets_total": total,
            "tweets": [str(world.tweet_id(person, number)) for number in numbers],
            "forms": [self.pool.pick(world.tweet_bits(person, number)) for number in numbers],
            "followers": [str(world.graph.id_of(one)) for one in world.followers(person.index)],
            "profile": json.loads(shape.users.body(person)),
        }
        if "following" in params:
            document["following"] = [str(world.graph.id_of(one)) for one in world.following(person.index)]
        if isinstance(world.graph, EdgeListGraph):
            document["original"] = str(world.graph.original(person.index))
        return self._answer(document)

    def _advance(self, params: Mapping[str, str]) -> dict[str, Any]:
        """``n`` newer posts for ``user``, or for the hashed ``share`` of all users."""
        number, portion = int(params.get("n", "1")), float(params.get("share", "1"))
        if not 0 <= number <= 10_000:
            raise ValueError("n is a number from 0 to 10000")
        person = None
        if "user" in params:
            person = self._find(params["user"])
            if person is None:
                raise KeyError(params["user"])
        self.world.advance(number, index=None if person is None else person.index, portion=portion)
        self.changed = True
        return {"added": number, "user": params.get("user"), "share": portion if person is None else None}

    def _change(self, params: Mapping[str, str]) -> dict[str, Any]:
        """``user`` is in ``state`` from now on."""
        person = self._find(params["user"])
        if person is None:
            raise KeyError(params["user"])
        if params["state"] not in STATES:
            raise ValueError(f"state is one of {', '.join(STATES)}")
        self.world.change_state(person.index, params["state"])
        self.changed = True
        return {"user": str(person.id), "state": params["state"]}

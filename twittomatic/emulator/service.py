"""Everything an authenticated request goes through before it has an answer: routes, credentials, windows, prices."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from twittomatic.emulator import answers, faults
from twittomatic.emulator.answers import V1, V2, Answer, Call, Refusal, encode
from twittomatic.emulator.asks import dialect_of
from twittomatic.emulator.faults import Faults
from twittomatic.emulator.ledger import Ledger
from twittomatic.emulator.limits import APP, REAL, USER, Limits
from twittomatic.emulator.shapes import POST
from twittomatic.emulator.truth import Requests, Truth
from twittomatic.emulator.usage import usage
from twittomatic.emulator.v1 import TwitterV1
from twittomatic.emulator.v2 import XV2

Handler = Callable[[Call], Answer]


class Route(NamedTuple):
    """One endpoint. paged: it gives pages of a walk; methods: the HTTP methods it takes."""

    name: str
    family: str
    handler: Handler
    paged: bool = False
    methods: tuple[str, ...] = ("GET",)


@dataclass(frozen=True, slots=True)
class Credential:
    """Who asks: the bearer token, or the token of a user."""

    token: str
    kind: str


class Verdict(NamedTuple):
    """An answer, the fault to commit on the way out, and a number in [0, 1) to measure it by."""

    answer: Answer
    fault: str | None = None
    measure: float = 0.0


_PATH = re.compile(r"/2/(?:users/(?P<id>[^/]+)(?:/(?P<list>tweets|posts|followers|following))?)", re.ASCII)
_OAUTH_TOKEN = re.compile(r'oauth_token="([^"]+)"')
_PLACES = ("pagination_token", "until_id", "since_id", "max_id", "cursor", "ids", "usernames", "user_id", "screen_name")
_OLD_PROBLEMS, _NEW_PROBLEMS = b"https://api.twitter.com/2/problems/", b"https://api.x.com/2/problems/"
_LISTS = {"tweets": "users/:id/tweets", "posts": "users/:id/tweets"}


def credential_of(authorization: str | None) -> Credential | None:
    """The credential that a request shows; any token is one."""
    if not authorization:
        return None
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer" and rest.strip():
        return Credential(rest.strip(), APP)
    found = _OAUTH_TOKEN.search(rest) if scheme.lower() == "oauth" else None
    return Credential(found[1], USER) if found else None


class Service:
    """The network without its sockets. ``clock`` gives unix seconds."""

    def __init__(
        self, api: XV2, legacy: TwitterV1, limits: Limits, plan: Faults, ledger: Ledger, requests: Requests,
        truth: Truth, *, clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self.limits, self.faults, self.ledger, self.requests, self.truth = limits, plan, ledger, requests, truth
        self._api, self._legacy, self._clock = api, legacy, clock
        self._calls: dict[str, int] = {}
        self._named = {
            "users/:id/tweets": Route("users/:id/tweets", V2, api.timeline, True),
            "users/:id/followers": Route("users/:id/followers", V2, api.followers, True),
            "users/:id/following": Route("users/:id/following", V2, api.following, True),
            "users/:id": Route("users/:id", V2, api.user_by_id),
            "users/by/username/:username": Route("users/by/username/:username", V2, api.user_by_name),
        }
        self._exact = {
            "/2/users": Route("users", V2, api.users_by_id),
            "/2/users/by": Route("users/by", V2, api.users_by_name),
            "/2/tweets": Route("tweets", V2, api.tweets_by_id),
            "/2/posts": Route("tweets", V2, api.tweets_by_id),
            "/2/usage/tweets": Route("usage/tweets", V2, self._usage),
            "/2/usage/posts": Route("usage/tweets", V2, self._usage),
            "/1.1/statuses/user_timeline.json": Route("statuses/user_timeline", V1, legacy.user_timeline, True),
            "/1.1/followers/ids.json": Route("followers/ids", V1, legacy.follower_ids, True),
            "/1.1/friends/ids.json": Route("friends/ids", V1, legacy.friend_ids, True),
            "/1.1/followers/list.json": Route("followers/list", V1, legacy.follower_list, True),
            "/1.1/users/lookup.json": Route("users/lookup", V1, legacy.lookup, methods=("GET", "POST")),
            "/1.1/users/show.json": Route("users/show", V1, legacy.show),
            "/1.1/application/rate_limit_status.json": Route("application/rate_limit_status", V1, self._status),
        }

    def route(self, path: str) -> tuple[Route, str] | None:
        """The endpoint of a path, and the user that the path names."""
        found = self._exact.get(path)
        if found is not None:
            return found, ""
        if path.startswith("/2/users/by/username/"):
            return self._named["users/by/username/:username"], path[21:]
        match = _PATH.fullmatch(path)
        if match is None:
            return None
        name = "users/:id" + (f"/{match['list']}" if match["list"] else "")
        return self._named[_LISTS.get(match["list"] or "", name)], match["id"]

    def answer(self, method: str, path: str, params: Mapping[str, str], authorization: str | None) -> Verdict:
        """Everything about one request but the bytes on the wire."""
        if path.startswith("/_world/"):
            verdict = Verdict(self.truth.answer(method, path[8:], params))
            if self.truth.changed:
                self._api.shapes.forget()
                self._legacy.forget()
                self.truth.changed = False
            return verdict
        family = V1 if path.startswith("/1.1/") else V2
        credential = credential_of(authorization)
        if credential is None:
            return Verdict(answers.unauthenticated(family))
        found = self.route(path)
        if found is None or method not in found[0].methods:
            return Verdict(answers.not_found(family) if found is None else answers.generic(405))
        route, target = found
        now = self._clock()
        call = Call(credential.token, params, target, path, post_dialect="/posts" in path)
        verdict = self._guarded(route, call, credential, now)
        subject = target or params.get("user_id", "") or params.get("screen_name", "")
        self.requests.note(
            now, route.name, subject if "," not in subject else "", verdict.answer.status, verdict.answer.items,
            verdict.fault,
        )  # fmt: skip
        return verdict

    def _guarded(self, route: Route, call: Call, credential: Credential, now: float) -> Verdict:
        """The windows come first, then what the plan has for the credential, then the fault, then the answer."""
        standing = self.limits.take(credential.token, credential.kind, route.name, now)
        if not standing.allowed:
            verdict = Verdict(answers.limited(route.family))
        else:
            refused = self._refused(route.family, credential)
            verdict = Verdict(refused) if refused else self._faulty(route, call, now)
        verdict.answer.headers.update(standing.headers)
        if verdict.answer.content_type == answers.PROBLEM and self._speaks_post(call):
            verdict.answer.body = verdict.answer.body.replace(_OLD_PROBLEMS, _NEW_PROBLEMS)
        return verdict

    def _speaks_post(self, call: Call) -> bool:
        return call.post_dialect or dialect_of(call.params, self._api.dialect) == POST

    def _refused(self, family: str, credential: Credential) -> Answer | None:
        plan = self.faults.credential(credential.token)
        if plan is None:
            return None
        calls = self._calls[credential.token] = self._calls.get(credential.token, 0) + 1
        if plan.revoked_after is not None and calls > plan.revoked_after:
            return answers.revoked(family)
        if plan.forbidden is not None:
            if family == V1:
                return answers.legacy_error(403, 453, "You currently have access to a subset of X API V2 endpoints")
            return answers.forbidden(plan.forbidden)
        if plan.capped_after is not None and calls > plan.capped_after:
            return answers.capped()
        if plan.credits is not None and self.ledger.spent(credential.token) >= plan.credits:
            return answers.out_of_credits(newer=calls % 2 == 0)
        return None

    def _faulty(self, route: Route, call: Call, now: float) -> Verdict:
        plan, fault, measure = self.faults.plan, None, 0.0
        if plan.rate:
            fault, measure = self.faults.decide(
                route.name, _fingerprint(call), paged=route.paged, partial=route.family == V2
            )
        if fault in faults.STATUS:
            return Verdict(_down(route.family, faults.STATUS[fault]), fault)
        if fault == faults.LIMITED:
            return Verdict(answers.limited(route.family), fault)
        if fault == faults.CONNECTIONS:
            return Verdict(answers.too_many_connections(), fault)
        if fault in (faults.EMPTY, faults.SHORT):
            call = replace(call, empty=fault == faults.EMPTY, short=fault == faults.SHORT)
        try:
            answer = route.handler(call)
        except Refusal as refusal:
            return Verdict(refusal.answer, fault, measure)
        if fault == faults.PARTIAL and answer.status == 200:
            answer.body = _with_partial_error(answer.body, _NEW_PROBLEMS if self._speaks_post(call) else _OLD_PROBLEMS)
        if answer.charge is not None and answer.status == 200:
            self.ledger.charge(call.credential, route.name, answer.charge, now)
        return Verdict(answer, fault, measure)

    def _usage(self, call: Call) -> Answer:
        """GET /2/usage/tweets"""
        return usage(call, self.ledger, self._clock(), newer=self._api.dialect == POST or call.post_dialect)

    def _status(self, call: Call) -> Answer:
        """GET application/rate_limit_status"""
        wanted = [one for one in call.params.get("resources", "").split(",") if one]
        resources: dict[str, dict[str, Any]] = {}
        for name in REAL:
            family = name.partition("/")[0]
            if (f"/1.1/{name}.json" in self._exact) and (not wanted or family in wanted):
                limit, remaining, reset = self.limits.status(call.credential, USER, name, self._clock())
                entry = {"limit": limit, "remaining": remaining, "reset": reset}
                resources.setdefault(family, {})[f"/{name}"] = entry
        return Answer(200, encode({"rate_limit_context": {"access_token": call.credential}, "resources": resources}))


def _fingerprint(call: Call) -> str:
    """What makes two requests the same one: whose page, and where it begins."""
    return " ".join([call.path, *(f"{name}={call.params[name]}" for name in _PLACES if name in call.params)])


def _down(family: str, status: int) -> Answer:
    if family == V2:
        return answers.generic(status)
    return answers.legacy_error(status, *((131, "Internal error") if status == 500 else (130, "Over capacity")))


def _with_partial_error(body: bytes, problems: bytes) -> bytes:
    """The same page with one more partial error beside the data, where it has none yet."""
    if b'"errors":[' in body or not body.endswith(b"}"):
        return body
    entry = {
        "value": "1373671343410012164", "detail": "Could not find tweet with pinned_tweet_id: [1373671343410012164].",
        "title": "Not Found Error", "resource_type": "tweet", "parameter": "pinned_tweet_id",
        "resource_id": "1373671343410012164", "type": f"{problems.decode()}resource-not-found",
    }  # fmt: skip
    return body[:-1] + b',"errors":[' + encode(entry) + b"]}"

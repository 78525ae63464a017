"""Requests as the endpoints see them, answers as they give them, and the bodies of refusals."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

V2, V1 = "2", "1.1"
PROBLEM = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Charge:
    """What an answer costs. ids: numbers of the resources; for posts those of one author may come as a bit mask.

    resource: post, user or follower; author and mask: index of a user, and the numbers of its posts as bits.
    """

    resource: str
    ids: tuple[int, ...] = ()
    posts: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True)
class Answer:
    """Status, body and what it costs. ``items``: how many objects it gives, for the counts of requests."""

    status: int
    body: bytes
    charge: Charge | None = None
    items: int = 0
    content_type: str = "application/json; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request. target: the user or the like named in the path; params: decoded, the last one wins.

    empty, short: the fault plan wants this page spuriously empty, or shorter than asked.
    """

    credential: str
    params: Mapping[str, str]
    target: str = ""
    path: str = ""
    post_dialect: bool = False
    empty: bool = False
    short: bool = False


class Refusal(Exception):
    """An endpoint refuses; carries the answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def encode(document: object) -> bytes:
    """Compact JSON."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def problem(status: int, document: Mapping[str, Any]) -> Answer:
    """A refusal of v2."""
    return Answer(status, encode(document), content_type=PROBLEM)


_TITLES = {
    401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 429: "Too Many Requests", 500: "Internal Server Error",
    502: "Bad Gateway", 503: "Service Unavailable", 405: "Method Not Allowed",
}  # fmt: skip


def generic(status: int) -> Answer:
    """The form of v2 for 401, 404, 429, 503: about:blank."""
    title = _TITLES[status]
    return problem(status, {"title": title, "detail": title, "type": "about:blank", "status": status})


def invalid(parameter: str, value: str, message: str) -> Refusal:
    """The form of v2 for 400."""
    return Refusal(
        problem(
            400,
            {
                "errors": [{"parameters": {parameter: [value]}, "message": message}],
                "title": "Invalid Request",
                "detail": "One or more parameters to your request was invalid.",
                "type": "https://api.twitter.com/2/problems/invalid-request",
            },
        )
    )


def legacy_error(status: int, code: int, message: str) -> Answer:
    """The form of v1.1."""
    return Answer(status, encode({"errors": [{"code": code, "message": message}]}))


def legacy_not_authorized(path: str) -> Answer:
    """What v1.1 says about the timeline of a protected or suspended user; it is not about the credential."""
    return Answer(401, encode({"request": path, "error": "Not authorized."}))


def unauthenticated(family: str) -> Answer:
    """Nobody has said who asks."""
    return generic(401) if family == V2 else legacy_error(400, 215, "Bad Authentication data.")


def revoked(family: str) -> Answer:
    """The credential is no longer accepted."""
    return generic(401) if family == V2 else legacy_error(401, 89, "Invalid or expired token.")


def limited(family: str) -> Answer:
    """The window is used up."""
    return generic(429) if family == V2 else legacy_error(429, 88, "Rate limit exceeded")


def not_found(family: str) -> Answer:
    """There is no such endpoint."""
    return generic(404) if family == V2 else legacy_error(404, 34, "Sorry, that page does not exist.")


def capped(period: str = "Monthly") -> Answer:
    """The plan's usage cap: a 429 although calls remain."""
    return problem(
        429,
        {
            "account_id": 1234567890123456789,
            "product_name": "standard-basic",
            "title": "UsageCapExceeded",
            "period": period,
            "scope": "Product",
            "detail": f"Usage cap exceeded: {period} product cap",
            "type": "https://api.twitter.com/2/problems/usage-capped",
        },
    )


def out_of_credits(newer: bool = False) -> Answer:
    """No credits left: both forms that were seen."""
    if newer:
        kind = "https://api.x.com/2/problems/credits-depleted"
        return problem(402, {"detail": "credits depleted", "status": 402, "title": "Payment Required", "type": kind})
    detail = "Your enrolled account [1234567890123456789] does not have any credits to fulfill this request."
    kind = "https://api.twitter.com/2/problems/credits"
    return problem(402, {"account_id": 1234567890123456789, "title": "CreditsDepleted", "detail": detail, "type": kind})


def too_many_connections() -> Answer:
    """A 429 that is about connections, not about a window."""
    return problem(
        429,
        {
            "title": "ConnectionException",
            "detail": "This stream is currently at the maximum allowed connection limit.",
            "connection_issue": "TooManyConnections",
            "type": "https://api.twitter.com/2/problems/streaming-connection",
        },
    )


def forbidden(reason: str) -> Answer:
    """403: ``client-not-enrolled``, ``official-client-forbidden`` or ``unsupported-authentication``."""
    if reason == "unsupported-authentication":
        return problem(
            403,
            {
                "title": "Unsupported Authentication",
                "detail": "Authenticating with OAuth 2.0 Application-Only is forbidden for this endpoint.  "
                "Supported authentication types are [OAuth 1.0a User Context, OAuth 2.0 User Context].",
                "type": "https://api.twitter.com/2/problems/unsupported-authentication",
                "status": 403,
            },
        )
    return problem(
        403,
        {
            "client_id": "101010101",
            "detail": "When authenticating requests to the Twitter API v2 endpoints, you must use keys and tokens from "
            "a Twitter developer App that is attached to a Project.",
            "registration_url": "https://developer.twitter.com/en/docs/projects/overview",
            "title": "Client Forbidden",
            "required_enrollment": "Appropriate Level of API Access",
            "reason": reason,
            "type": "https://api.twitter.com/2/problems/client-forbidden",
        },
    )

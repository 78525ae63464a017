"""Every known form of a refusal, in both dialects, becomes the error that carries the right decision."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.scripted_network import answer_of
from twittomatic.errors import (
    BadCursor,
    Capped,
    CredentialRefused,
    Gone,
    Limited,
    OutOfCredits,
    SourceError,
    Transient,
    UnknownBody,
)
from twittomatic.sources.refusals import gone_reason, problems_in, refusal

NOW = 1_800_000_000.0
X, TWITTER = "https://api.x.com/2/problems/", "https://api.twitter.com/2/problems/"


def generic(status: int, title: str) -> dict[str, Any]:
    return {"title": title, "detail": title, "type": "about:blank", "status": status}


def code(number: int, message: str = "") -> dict[str, Any]:
    return {"errors": [{"code": number, "message": message}]}


def partial(title: str, detail: str, kind: str, **more: str) -> dict[str, Any]:
    return {"errors": [{"title": title, "detail": detail, "type": TWITTER + kind, **more}]}


CAP = {"account_id": 1, "product_name": "standard-basic", "title": "UsageCapExceeded", "period": "Monthly",
       "scope": "Product", "detail": "Usage cap exceeded: Monthly product cap"}  # fmt: skip
STREAM_LIMIT = {"title": "ConnectionException", "connection_issue": "TooManyConnections",
                "detail": "This stream is currently at the maximum allowed connection limit.",
                "type": TWITTER + "streaming-connection"}  # fmt: skip
NOT_ENROLLED = {"client_id": "1", "detail": "When authenticating requests to the API v2 endpoints, you must use keys",
                "registration_url": "https://developer", "reason": "client-not-enrolled", "title": "Client Forbidden",
                "type": X + "client-forbidden"}  # fmt: skip
MISSING = partial("Not Found Error", "Could not find user with id: [12].", "resource-not-found", resource_id="12")
SUSPENDED = partial("Forbidden", "User has been suspended: [12].", "resource-not-found", resource_id="12")
PROTECTED = partial("Authorization Error", "Sorry, you are not authorized to see the user with id: [12].",
                    "not-authorized-for-resource", resource_id="12")  # fmt: skip

CASES: list[tuple[str, int, Any, type[SourceError]]] = [
    # rate, caps, money
    ("v2 rate limit", 429, generic(429, "Too Many Requests"), Limited),
    ("v1.1 rate limit", 429, code(88, "Rate limit exceeded"), Limited),
    ("rate limit by code alone", 403, code(88, "Rate limit exceeded"), Limited),
    ("rate limit without a body", 429, b"", Limited),
    ("rate limit as HTML", 429, b"<html>slow down</html>", Limited),
    ("enhance your calm", 420, b"Exceeded connection limit", Limited),
    ("another network's words", 429, {"error": "rate limit reached"}, Limited),
    ("monthly cap by title", 429, CAP, Capped),
    ("monthly cap by type", 429, {"title": "Cap", "type": X + "usage-capped"}, Capped),
    ("monthly cap in a list", 429, {"errors": [{**CAP, "type": TWITTER + "usage-capped"}]}, Capped),
    ("credits, first form", 402, {"title": "CreditsDepleted", "detail": "Your enrolled account [1] does not have any "
                                  "credits", "type": X + "credits"}, OutOfCredits),
    ("credits, second form", 402, {"detail": "credits depleted", "status": 402, "title": "Payment Required",
                                   "type": X + "credits-depleted"}, OutOfCredits),
    ("credits without a body", 402, b"", OutOfCredits),
    ("credits under another status", 403, {"title": "CreditsDepleted", "type": X + "credits"}, OutOfCredits),
    ("stream limit", 429, STREAM_LIMIT, Transient),
    # the credential
    ("v2 unauthorized", 401, generic(401, "Unauthorized"), CredentialRefused),
    *((f"v1.1 code {number}", status, code(number, "no"), CredentialRefused)
      for number, status in ((32, 401), (89, 401), (135, 401), (215, 400), (99, 403), (326, 403), (453, 403))),
    ("own account suspended", 403, code(64, "Your account is suspended"), CredentialRefused),
    ("own account locked, in v2", 403, {"title": "Forbidden", "detail": "Your account is temporarily locked.",
                                        "type": "about:blank", "status": 403}, CredentialRefused),
    ("app in no project", 403, NOT_ENROLLED, CredentialRefused),
    ("wrong kind of credential", 403, {"title": "Unsupported Authentication", "detail": "Authenticating with OAuth 2.0 "
                                       "Application-Only is forbidden for this endpoint.",
                                       "type": X + "unsupported-authentication"}, CredentialRefused),
    # the user
    ("not found, v2", 200, MISSING, Gone),
    ("not found, v2 by status", 404, MISSING, Gone),
    ("suspended, v2", 200, SUSPENDED, Gone),
    ("protected, v2", 200, PROTECTED, Gone),
    ("protected, v1.1", 401, {"error": "Not authorized.", "request": "/1.1/statuses/user_timeline.json"}, Gone),
    ("suspended, v1.1", 403, code(63, "User has been suspended."), Gone),
    ("suspended, v1.1 lookup", 404, code(63), Gone),
    ("page does not exist", 404, code(34, "Sorry, that page does not exist."), Gone),
    ("no user", 404, code(50, "User not found."), Gone),
    ("no user matches", 404, code(17, "No user matches for specified terms."), Gone),
    ("not authorised status", 403, code(179, "Sorry, you are not authorized to see this status."), Gone),
    ("blocked", 403, code(136, "You have been blocked from the author of this."), Gone),
    # the network's own trouble
    ("over capacity", 503, code(130, "Over capacity"), Transient),
    ("internal error", 500, code(131, "Internal error"), Transient),
    ("over capacity with 200", 200, code(130, "Over capacity"), Transient),
    ("v2 503", 503, generic(503, "Service Unavailable"), Transient),
    ("v2 internal problem with 200", 200, {"errors": [{"type": X + "internal-error", "title": "Internal"}]}, Transient),
    ("bad gateway as HTML", 502, b"<html><body>Bad Gateway</body></html>", Transient),
    ("gateway without a body", 504, b"", Transient),
    ("HTML with 200", 200, b"\n<!DOCTYPE html><title>Sign in</title>", Transient),
    ("nothing with 200", 200, b"", Transient),
    ("redirect for now", 302, b"", Transient),
    # nobody knows
    ("redirect for good", 301, b"", UnknownBody),
    ("HTML with 404", 404, b"<html>no</html>", UnknownBody),
    ("HTML with 403", 403, b"<html>blocked</html>", UnknownBody),
    ("an address that the API does not have", 404, generic(404, "Not Found"), UnknownBody),
    ("401 of an unknown form", 401, {"message": "hm"}, UnknownBody),
    ("403 that says nothing", 403, generic(403, "Forbidden"), UnknownBody),
    ("errors as a plain text", 400, {"errors": "something is wrong"}, UnknownBody),
    ("errors in no form at all", 400, {"errors": {"a": 1}, "error": None}, UnknownBody),
    ("a list", 400, [1, 2], UnknownBody),
    ("bad parameter", 400, {"errors": [{"parameters": {"ids": ["x"]}, "message": "bad"}], "title": "Invalid Request",
                            "detail": "One or more parameters to your request was invalid.",
                            "type": TWITTER + "invalid-request"}, UnknownBody),
    ("an unknown problem", 200, {"errors": [{"title": "New", "type": X + "never-seen-before"}]}, UnknownBody),
    ("no JSON", 400, b"{'a': 1}", UnknownBody),
    ("a teapot", 418, {"error": "User agent missing"}, UnknownBody),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "kind"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_every_refusal_becomes_its_error(status: int, body: Any, kind: type[SourceError]) -> None:
    headers = {"x-rate-limit-limit": "900", "x-rate-limit-remaining": "899", "x-rate-limit-reset": str(int(NOW) + 300)}
    error = refusal(answer_of(status, body, headers, now=NOW))
    assert type(error) is kind
    assert error.status == status
    assert [(window.limit, window.remaining) for window in error.windows] == [(900, 899)]
    assert f"HTTP {status}" in error.detail or isinstance(error, UnknownBody)


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (200, MISSING, "not_found"),
        (200, SUSPENDED, "suspended"),
        (200, PROTECTED, "protected"),
        (401, {"error": "Not authorized."}, "protected"),
        (403, code(63), "suspended"),
        (403, {"errors": [{"message": "User has been suspended."}]}, "suspended"),
        (404, code(34), "not_found"),
        (410, {"error": "The account was deactivated"}, "deleted"),
    ],
)
def test_a_gone_user_is_gone_for_a_named_reason(status: int, body: Any, reason: str) -> None:
    error = refusal(answer_of(status, body))
    assert isinstance(error, Gone)
    assert error.reason == reason


@pytest.mark.parametrize(
    "body",
    [
        {"errors": [{"parameters": {"pagination_token": ["abc"]}, "message": "bad"}], "title": "Invalid Request"},
        {"errors": [{"message": "The `pagination_token` query parameter value [abc] is not valid"}]},
    ],
)
def test_a_cursor_that_is_refused_is_a_bad_cursor_only_when_one_was_sent(body: Any) -> None:
    assert isinstance(refusal(answer_of(400, body), cursor="pagination_token"), BadCursor)
    assert isinstance(refusal(answer_of(400, body)), UnknownBody)
    assert isinstance(refusal(answer_of(400, body), cursor="until_id"), UnknownBody)


def until(status: int = 429, body: Any = b"", **headers: str) -> float:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    error = refusal(answer_of(status, body, named, now=NOW))
    assert isinstance(error, Limited)
    return error.until - NOW


def window(prefix: str, remaining: int, reset: str) -> dict[str, str]:
    return {f"{prefix}_limit": "15", f"{prefix}_remaining": str(remaining), f"{prefix}_reset": reset}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 60),
        (window("x_rate_limit", 0, str(int(NOW) + 300)), 301),
        (window("x_rate_limit", 7, str(int(NOW) + 300)), 301),
        (window("x_rate_limit", 0, "2027-01-15T08:05:00Z"), 301),
        (window("x_rate_limit", 0, "2027-01-15T08:05:00.000+00:00"), 301),
        (window("x_rate_limit", 0, str(int(NOW) - 50)), 1),
        (window("x_rate_limit", 0, "99999999999"), 86460),
        (window("x_rate_limit", 0, "soon"), 60),
        ({"retry_after": "17"}, 17),
        ({"retry_after": "Fri, 15 Jan 2027 08:02:00 GMT"}, 120),
        ({"retry_after": "-5"}, 60),
        ({"retry_after": "nan"}, 60),
        ({"retry_after": "500", **window("x_rate_limit", 0, str(int(NOW) + 300))}, 500),
        (
            {**window("x_rate_limit", 5, str(int(NOW) + 30)), **window("x_app_rate_limit", 0, str(int(NOW) + 4000))},
            4001,
        ),
        # their clock is 100 s behind ours
        ({"date": "Fri, 15 Jan 2027 07:58:20 GMT", **window("x_rate_limit", 0, str(int(NOW) + 200))}, 301),
    ],
)
def test_the_moment_to_come_back(headers: dict[str, str], seconds: float) -> None:
    assert until(**headers) == pytest.approx(seconds)


def test_a_pause_that_a_failing_server_asks_for_is_kept() -> None:
    error = refusal(answer_of(503, b"", {"Retry-After": "7"}))
    assert isinstance(error, Transient)
    assert error.retry_after == 7


def test_a_body_that_echoes_the_secret_is_kept_without_it() -> None:
    error = refusal(answer_of(400, b'{"title": "you sent a-token-of-the-test", "detail": "a-token-of-the-test"}'))
    assert isinstance(error, UnknownBody)
    assert b"you sent [a]" in error.body
    assert "a-token-of-the-test" not in f"{error} {error.detail} {error!r}" + error.body.decode()


def test_every_recorded_kind_of_partial_error_has_a_reason(test_data: Any) -> None:
    lines = (test_data / "x_v2" / "partial_errors.jsonl").read_bytes().splitlines()
    found = [gone_reason(problem) for line in lines for problem in problems_in(b'{"errors":[' + line + b"]}")]
    assert found == ["suspended", "not_found", "protected", "suspended", "not_found", "protected", "not_found"]

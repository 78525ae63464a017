"""What an answer that is no page means: one classifier for the bodies of both dialects, which turn up in each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from twittomatic.errors import (
    BadCursor,
    Capped,
    CredentialRefused,
    Gone,
    Limited,
    OutOfCredits,
    SourceError,
    Transient,
)
from twittomatic.sources import exact
from twittomatic.sources.transport import Answer
from twittomatic.sources.windows import limited_until, retry_after_of

PROTECTED, SUSPENDED, NOT_FOUND, DELETED = "protected", "suspended", "not_found", "deleted"

CREDENTIAL_CODES = frozenset({32, 64, 87, 89, 93, 99, 135, 215, 220, 326, 453})
GONE_CODES = {
    17: NOT_FOUND, 34: NOT_FOUND, 50: NOT_FOUND, 108: NOT_FOUND, 63: SUSPENDED, 136: PROTECTED, 179: PROTECTED,
}  # fmt: skip
LIMITED_CODES = frozenset({88})
TRANSIENT_CODES = frozenset({130, 131})

CREDENTIAL_KINDS = frozenset({"client-forbidden", "unsupported-authentication", "oauth1-permissions"})
CREDIT_KINDS = frozenset({"credits", "credits-depleted"})
CAP_KINDS = frozenset({"usage-capped"})
CONNECTION_KINDS = frozenset({"streaming-connection", "operational-disconnect", "client-disconnected"})
TRANSIENT_KINDS = frozenset({"internal-error", "field-hydration-failure"}) | CONNECTION_KINDS

_SERVER_FAULTS = frozenset({408, 425, 502, 503, 504})
_TEMPORARY_REDIRECTS = frozenset({302, 303, 307})


@dataclass(frozen=True, slots=True)
class Problem:
    """One error of a body. kind: last path segment of its type; subject: what it is about (resource_id or value)."""

    code: int = 0
    kind: str = ""
    title: str = ""
    detail: str = ""
    subject: str = ""
    parameter: str = ""
    parameters: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What it says, in lower case."""
        return f"{self.title} {self.detail}".strip().lower()


def problems_in(body: bytes) -> list[Problem]:
    """The errors of a body in any known shape, the outer one first; empty when it has none or is no JSON object."""
    try:
        document = exact.load(body)
    except exact.Malformed:
        return []
    return list(_problems(document)) if isinstance(document, dict) else []


def _problems(document: dict[str, Any]) -> Iterator[Problem]:
    if any(isinstance(document.get(key), str) for key in ("title", "detail", "type")):
        yield _problem(document)
    for key in ("errors", "error"):
        found = document.get(key)
        for each in found if isinstance(found, list) else [found]:
            if isinstance(each, dict):
                yield _problem(each)
            elif isinstance(each, str):
                yield Problem(detail=each)


def _problem(document: dict[str, Any]) -> Problem:
    def text(*keys: str) -> str:
        return next((str(document[key]) for key in keys if isinstance(document.get(key), str | int)), "")

    code = document.get("code")
    parameters = document.get("parameters")
    return Problem(
        code=code if isinstance(code, int) else int(code) if isinstance(code, str) and code.isdecimal() else 0,
        kind=text("type").rstrip("/").rpartition("/")[2].lower(),
        title=text("title", "connection_issue"),
        detail=text("detail", "message"),
        subject=text("resource_id", "value"),
        parameter=text("parameter"),
        parameters=tuple(parameters) if isinstance(parameters, dict) else (),
    )


def gone_reason(problem: Problem) -> str | None:
    """Why a user cannot be read, None when the problem is of another kind. The text decides before the type: a
    suspended user comes under the type of a missing one."""
    text = problem.text
    if problem.code in GONE_CODES:
        return GONE_CODES[problem.code]
    if "suspended" in text:
        return SUSPENDED
    if "deactivated" in text or "been deleted" in text:
        return DELETED
    if problem.kind == "not-authorized-for-resource" or "not authorized" in text or "protected" in text:
        return PROTECTED
    is_missing = ("not found", "could not find", "cannot find", "no user matches", "does not exist")
    if problem.kind == "resource-not-found" or any(words in text for words in is_missing):
        return NOT_FOUND
    return None


def refusal(answer: Answer, *, cursor: str = "") -> SourceError:
    """The error that an answer without a page stands for. ``cursor``: name of the parameter that carried the cursor,
    empty when none was sent."""
    found = problems_in(answer.body)
    what = _detail(answer, found)
    known: dict[str, Any] = {"status": answer.status, "windows": answer.windows}
    retry_after = retry_after_of(answer.headers, answer.now)
    kinds = {problem.kind for problem in found}
    codes = {problem.code for problem in found}
    titles = {problem.title for problem in found}
    if answer.status == 402 or kinds & CREDIT_KINDS or "CreditsDepleted" in titles:
        return OutOfCredits(what, **known)
    if kinds & CAP_KINDS or "UsageCapExceeded" in titles:
        return Capped(what, **known)
    if kinds & CONNECTION_KINDS or "ConnectionException" in titles:
        return Transient(what, retry_after=retry_after, **known)
    if answer.status in (420, 429) or codes & LIMITED_CODES:
        return Limited(what, until=limited_until(answer.windows, retry_after, answer.now), **known)
    if _is_transient(answer, kinds, codes, bool(found)):
        return Transient(what, retry_after=retry_after, **known)
    if _refuses_credential(answer.status, found):
        return CredentialRefused(what, **known)
    if answer.status == 400 and cursor and any(_is_about(cursor, problem) for problem in found):
        return BadCursor(what, **known)
    if answer.status in (200, 401, 403, 404, 410):
        for problem in found:
            reason = gone_reason(problem)
            if reason and not _has_no_such_address(answer, problem):
                return Gone(reason, what, **known)
    return _unread(answer, what)


def unreadable(answer: Answer, fault: exact.Malformed) -> SourceError:
    """The error for a body that is not the JSON it should be: worth a repeat when it was cut."""
    if answer.is_html or not answer.body.strip():
        return refusal(answer)
    if fault.cut:
        return Transient(
            f"{answer.endpoint}: the body ends early: {fault}", status=answer.status, windows=answer.windows
        )
    return answer.unknown(str(fault))


def _unread(answer: Answer, what: str) -> SourceError:
    if answer.status == 200:
        try:
            exact.load(answer.body)
        except exact.Malformed as fault:
            return unreadable(answer, fault)
    return answer.unknown(what.removeprefix(f"{answer.endpoint}: "))


def _is_transient(answer: Answer, kinds: set[str], codes: set[int], has_problems: bool) -> bool:
    if answer.status >= 500 or answer.status in _SERVER_FAULTS or answer.status in _TEMPORARY_REDIRECTS:
        return True
    if kinds & TRANSIENT_KINDS or codes & TRANSIENT_CODES:
        return True
    return answer.status == 200 and not has_problems and (answer.is_html or not answer.body.strip())


def _refuses_credential(status: int, found: Sequence[Problem]) -> bool:
    for problem in found:
        if problem.code in CREDENTIAL_CODES or problem.kind in CREDENTIAL_KINDS:
            return True
        if status == 401 and problem.title.lower() == "unauthorized":
            return True
        if status in (401, 403) and problem.text.removeprefix("forbidden ").startswith("your account"):
            return True
    return False


def _is_about(parameter: str, problem: Problem) -> bool:
    return parameter in problem.parameters or parameter == problem.parameter or parameter in problem.text


def _has_no_such_address(answer: Answer, problem: Problem) -> bool:
    """The 404 of a path that the API does not have: a wrong API_URL must not end every user as not found."""
    return answer.status == 404 and problem.kind == "about:blank"


def _detail(answer: Answer, found: Sequence[Problem]) -> str:
    place = f"{answer.endpoint}: HTTP {answer.status}"
    if 300 <= answer.status < 400:
        return f"{place}: a redirect, which is not followed with a credential"
    if answer.is_html:
        return f"{place}: HTML instead of JSON"
    said = [f"{problem.title or problem.code or problem.kind}: {problem.detail}".strip(": ") for problem in found[:3]]
    text = " | ".join(said)[:500] or ("an empty body" if not answer.body.strip() else "a body of no known form")
    return f"{place}: {answer.credential.redact(text.encode('utf-8', 'replace')).decode('utf-8', 'replace')}"

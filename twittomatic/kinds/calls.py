"""One paid call: grant, request, settle; and what each kind of failure means for whoever asked."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from twittomatic import logs
from twittomatic.clock import Clock
from twittomatic.errors import (
    Capped,
    CredentialRefused,
    Gone,
    Limited,
    OutOfCredits,
    SourceError,
    Transient,
    TwittomaticError,
)
from twittomatic.job import Grant, Window
from twittomatic.sources.base import Page
from twittomatic.state.budget import Budget, Wait

log = logs.get(__name__)

TRIES_IN_PLACE = 4
"""Requests for one page before the job is delayed."""
FIRST_PAUSE_SECONDS = 0.2
USERS_OF_A_REFUSAL = 2
REFUSALS_OF_A_USER = 3
"""Refusals in a row that take a credential out: for two users, or for one user three times."""
USERS_OF_AN_OUTAGE = 3
"""Users whose calls failed, with none that worked in between, after which the network counts as down."""
DAY_SECONDS = 86_400.0
CREDITS_SECONDS = 900.0
"""How long an account without credits is left alone; a usage cap is tried again on the next UTC day."""
LIMITS_IN_A_ROW = 8
"""Limited answers with fresh grants before the caller waits: a server that lies about its windows is not hammered."""


class Waiting(TwittomaticError):
    """No credential may call this endpoint now. ``until``: unix seconds, None when nobody knows."""

    def __init__(self, endpoint: str, until: float | None, reason: str) -> None:
        super().__init__(f"{endpoint}: {reason}")
        self.endpoint = endpoint
        self.until = until
        self.reason = reason


class Stopped(TwittomaticError):
    """We are asked to stop; nothing was lost."""


class Failing(TwittomaticError):
    """The call failed as often as it may in one go. ``error``: the last answer."""

    def __init__(self, error: SourceError) -> None:
        super().__init__(error.detail)
        self.error = error


class Health:
    """What the threads of one process know together: refused credentials, and whether the network answers at all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._refusals: dict[str, list[str]] = {}
        self._failing: set[str] = set()
        self._endured: Counter[str] = Counter()

    def is_refused(self, credential: str, who: str) -> bool:
        """Note a refusal; whether the credential is to blame: two users in a row, or one three times."""
        with self._lock:
            users = self._refusals.setdefault(credential, [])
            users.append(who)
            return len(set(users)) >= USERS_OF_A_REFUSAL or len(users) >= REFUSALS_OF_A_USER

    def worked(self, credential: str) -> None:
        """The network answered with this credential."""
        with self._lock:
            self._refusals.pop(credential, None)
            self._failing.clear()
            self._endured.clear()

    def failed(self, who: str) -> None:
        """A call for this user failed as often as it may."""
        with self._lock:
            self._failing.add(who)

    def endure(self, who: str) -> int:
        """Delays of this user since the outage began, this one included."""
        with self._lock:
            self._endured[who] += 1
            return self._endured[who]

    @property
    def is_outage(self) -> bool:
        """Calls failed for several users and worked for nobody in between: the network is to blame, not they."""
        return len(self._failing) >= USERS_OF_AN_OUTAGE


class Calls:
    """Makes calls for one thread, one request per granted call, every answer settled before its bytes go anywhere."""

    def __init__(
        self,
        budget: Budget,
        credentials: Sequence[str],
        prices_micro: Mapping[str, int],
        clock: Clock,
        stop: threading.Event,
        health: Health,
    ) -> None:
        self._budget = budget
        self._credentials = credentials
        self._prices = prices_micro
        self._clock = clock
        self._stop = stop
        self._health = health
        self._chance = random.Random()

    def ask(
        self, grant: Grant | None, endpoint: str, wanted: int, kind: str, who: str, request: Callable[[str], Page]
    ) -> tuple[Page, Grant]:
        """One page, and what is left of the grant (a new one is taken when it is used up).

        ``wanted``: calls to take at once; ``who``: the user it is for. Errors: Waiting, Stopped, Failing (transient to
        the end), and the SourceErrors that are an answer: Gone, BadCursor, UnknownBody.
        """
        tries = limits = 0
        while True:
            if self._stop.is_set():
                self.give(grant)
                raise Stopped("asked to stop")
            if grant is None or grant.calls < 1 or grant.endpoint != endpoint:
                self.give(grant)
                grant = self._take(endpoint, wanted)
            try:
                page = request(grant.credential)
            except SourceError as error:
                grant = self._settle_error(grant, kind, who, error)
                if isinstance(error, Limited) and limits < LIMITS_IN_A_ROW:
                    limits += 1
                elif isinstance(error, Capped | OutOfCredits):
                    continue
                elif isinstance(error, CredentialRefused) and grant is None:
                    continue  # it is taken out: another one may do
                elif isinstance(error, Transient) and tries + 1 < TRIES_IN_PLACE:
                    self._pause(tries, error)
                    tries += 1
                else:
                    self.give(grant)
                    if isinstance(error, Limited):
                        raise Waiting(endpoint, error.until, "limited") from error
                    if isinstance(error, Transient | CredentialRefused):
                        self._health.failed(who)
                        raise Failing(error) from error
                    raise
            else:
                self._health.worked(grant.credential)
                self._settle(grant, kind, page.windows, charge=page.charge)
                return page, _one_less(grant)

    def _take(self, endpoint: str, wanted: int) -> Grant:
        taken = self._budget.take(endpoint, wanted, self._credentials)
        if isinstance(taken, Wait):
            raise Waiting(endpoint, taken.until, taken.reason or "limited")
        return taken

    def give(self, grant: Grant | None) -> None:
        """Give back what is left of a grant."""
        if grant is not None and grant.calls > 0:
            self._budget.give(grant)

    def _settle(
        self,
        grant: Grant,
        kind: str,
        windows: Sequence[Window],
        *,
        charge: Mapping[str, int] | None = None,
        exhausted_until: float | None = None,
        answered: bool = True,
    ) -> None:
        self._budget.settle(
            grant.endpoint,
            grant.credential,
            windows,
            kind=kind,
            charge=charge or {},
            prices_micro=self._prices,
            exhausted_until=exhausted_until,
            answered=answered,
        )

    def _settle_error(self, grant: Grant, kind: str, who: str, error: SourceError) -> Grant | None:
        """Book a call that brought no page; what is left of the grant, None when its credential may not go on."""
        until = error.until if isinstance(error, Limited) else None
        self._settle(grant, kind, error.windows, exhausted_until=until, answered=isinstance(error, Gone))
        left = _one_less(grant)
        if isinstance(error, Gone):
            self._health.worked(grant.credential)
        if isinstance(error, Capped | OutOfCredits):
            capped = isinstance(error, Capped)
            again = _next_utc_day(self._clock.now()) if capped else self._clock.now() + CREDITS_SECONDS
            reason = "usage cap reached" if capped else "out of credits"
            self._budget.stop(grant.endpoint, grant.credential, reason, again)
            log.warning("endpoint stopped", endpoint=grant.endpoint, credential=grant.credential, reason=error.detail)
        elif isinstance(error, CredentialRefused):
            if not self._health.is_refused(grant.credential, who):
                return left
            self._budget.stop(None, grant.credential, f"refused: {error.detail}")
            log.error("credential taken out", credential=grant.credential, reason=error.detail)
        elif not isinstance(error, Limited):
            return left
        self.give(left)
        return None

    def _pause(self, tries: int, error: Transient) -> None:
        seconds = FIRST_PAUSE_SECONDS * 2**tries * (0.5 + self._chance.random())
        self._clock.wait(self._stop, min(max(seconds, error.retry_after), 30.0))


def _next_utc_day(now: float) -> float:
    return (now // DAY_SECONDS + 1) * DAY_SECONDS


def _one_less(grant: Grant) -> Grant:
    return Grant(grant.endpoint, grant.credential, grant.calls - 1)

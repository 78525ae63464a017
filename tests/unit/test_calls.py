"""One paid call: what is taken, settled and given back, and what each kind of failure means for whoever asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest

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
from twittomatic.job import Grant, Window
from twittomatic.kinds import calls as module
from twittomatic.kinds.calls import Calls, Failing, Health, Stopped, Waiting
from twittomatic.sources.base import Page
from twittomatic.state.budget import Wait

NOW = 1_800_000_000.0
WINDOW = Window("app", 15, 14, NOW + 900)
PAGE = Page([], None, [WINDOW], {"post": 3})


class StillClock:
    """A clock that stands, and notes what it was asked to wait."""

    def __init__(self) -> None:
        self.waited: list[float] = []

    def now(self) -> float:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.waited.append(seconds)
        return event.is_set()


class Settled(NamedTuple):
    """One settled call."""

    credential: str
    windows: Sequence[Window]
    charge: dict[str, int]
    exhausted_until: float | None
    answered: bool


class Books:
    """A budget that hands out what a test put there, and remembers everything."""

    def __init__(self, *grants: Grant | Wait) -> None:
        self.grants = list(grants)
        self.taken: list[tuple[str, int]] = []
        self.given: list[Grant] = []
        self.settled: list[Settled] = []
        self.stopped: list[tuple[str | None, str, str]] = []
        self.stopped_until: list[float | None] = []

    def take(self, endpoint: str, calls: int, credentials: Sequence[str]) -> Grant | Wait:
        self.taken.append((endpoint, calls))
        return self.grants.pop(0) if len(self.grants) > 1 else self.grants[0]

    def give(self, grant: Grant) -> None:
        self.given.append(grant)

    def settle(self, endpoint: str, credential: str, windows: Sequence[Window], **more: Any) -> None:
        self.settled.append(
            Settled(credential, windows, dict(more["charge"]), more["exhausted_until"], more["answered"])
        )

    def stop(self, endpoint: str | None, credential: str, reason: str, until: float | None = None) -> None:
        self.stopped.append((endpoint, credential, reason))
        self.stopped_until.append(until)


def grant(calls: int = 4, credential: str = "a", endpoint: str = "timeline") -> Grant:
    return Grant(endpoint, credential, calls)


class Desk:
    """Calls over such a budget, and a network that answers with pages or errors in turn."""

    def __init__(self, *grants: Grant | Wait) -> None:
        self.books = Books(*grants)
        self.clock = StillClock()
        self.stop = threading.Event()
        self.health = Health()
        self.used: list[str] = []
        self.calls = Calls(self.books, ["a", "b"], {"post": 5000}, self.clock, self.stop, self.health)  # type: ignore[arg-type]

    def ask(
        self, *answers: Page | SourceError, held: Grant | None = None, who: str = "12", endpoint: str = "timeline"
    ) -> tuple[Page, Grant]:
        left = list(answers)

        def request(credential: str) -> Page:
            self.used.append(credential)
            answer = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(answer, SourceError):
                raise answer
            return answer

        return self.calls.ask(held, endpoint, 4, "timeline", who, request)


def test_a_page_is_settled_and_the_rest_of_the_grant_comes_back() -> None:
    desk = Desk(grant(4))
    page, left = desk.ask(PAGE)
    assert page is PAGE
    assert left == grant(3)
    assert desk.books.taken == [("timeline", 4)]
    assert desk.books.settled == [Settled("a", [WINDOW], {"post": 3}, None, True)]
    assert desk.books.given == []


def test_a_grant_in_hand_is_used_first() -> None:
    desk = Desk(grant(4))
    _, left = desk.ask(PAGE, held=grant(2, "b"))
    assert (left, desk.books.taken, desk.used) == (grant(1, "b"), [], ["b"])
    _, left = desk.ask(PAGE, held=grant(0, "b"))
    assert desk.books.taken == [("timeline", 4)]


def test_a_grant_for_another_endpoint_is_given_back() -> None:
    desk = Desk(grant(4, endpoint="profiles"))
    desk.ask(PAGE, held=grant(2), endpoint="profiles")
    assert desk.books.given == [grant(2)]


def test_without_a_grant_the_caller_waits() -> None:
    desk = Desk(Wait("timeline", NOW + 60, "limited"))
    with pytest.raises(Waiting) as caught:
        desk.ask(PAGE)
    assert (caught.value.endpoint, caught.value.until, caught.value.reason) == ("timeline", NOW + 60, "limited")
    assert desk.used == []


def test_a_stop_is_heard_before_every_request() -> None:
    desk = Desk(grant())
    desk.stop.set()
    with pytest.raises(Stopped):
        desk.ask(PAGE, held=grant(3))
    assert desk.used == []
    assert desk.books.given == [grant(3)]


def test_a_stop_is_heard_between_two_tries() -> None:
    desk = Desk(grant(4))

    def late(event: threading.Event, seconds: float) -> bool:
        desk.stop.set()
        return True

    desk.clock.wait = late  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        desk.ask(Transient("late"))
    assert desk.used == ["a"]
    assert desk.books.given == [grant(3)]


def test_a_passing_fault_is_tried_again_in_place_after_growing_pauses() -> None:
    desk = Desk(grant(4))
    _, left = desk.ask(Transient("late"), Transient("cut"), PAGE)
    assert left == grant(1)
    assert len(desk.clock.waited) == 2
    assert 0 < desk.clock.waited[0] < desk.clock.waited[1] <= 30
    assert [settled.answered for settled in desk.books.settled] == [False, False, True]


def test_the_server_says_how_long_to_pause() -> None:
    desk = Desk(grant(4))
    desk.ask(Transient("busy", status=503, retry_after=7.0), Transient("busy", retry_after=700.0), PAGE)
    assert desk.clock.waited == [7.0, 30.0]


def test_a_lasting_fault_fails_and_counts_towards_an_outage() -> None:
    desk = Desk(grant(16))
    for number in range(module.USERS_OF_AN_OUTAGE):
        assert not desk.health.is_outage
        with pytest.raises(Failing) as caught:
            desk.ask(Transient("down"), who=str(number))
        assert caught.value.error.detail == "down"
    assert desk.health.is_outage
    assert len(desk.used) == module.USERS_OF_AN_OUTAGE * module.TRIES_IN_PLACE
    assert desk.books.given == [grant(16 - module.TRIES_IN_PLACE)] * module.USERS_OF_AN_OUTAGE
    desk.ask(PAGE)
    assert not desk.health.is_outage


def test_one_user_who_always_fails_is_no_outage() -> None:
    desk = Desk(grant(64))
    for _ in range(3 * module.USERS_OF_AN_OUTAGE):
        with pytest.raises(Failing):
            desk.ask(Transient("down"), who="12")
    assert not desk.health.is_outage


def test_a_limited_credential_is_exhausted_and_another_goes_on() -> None:
    desk = Desk(grant(4, "a"), grant(4, "b"))
    limited = Limited("too many", until=NOW + 300, windows=[Window("app", 15, 0, NOW + 299)])
    _, left = desk.ask(limited, PAGE)
    assert left == grant(3, "b")
    assert desk.books.settled[0].exhausted_until == NOW + 300
    assert desk.books.given == [grant(3, "a")], "the rest of a grant that may not be used is given back"


def test_a_server_that_lies_about_its_windows_is_not_hammered() -> None:
    desk = Desk(grant(4))
    with pytest.raises(Waiting) as caught:
        desk.ask(Limited("too many", until=NOW + 5))
    assert caught.value.until == NOW + 5
    assert len(desk.used) == module.LIMITS_IN_A_ROW + 1


@pytest.mark.parametrize(
    ("error", "reason"), [(Capped("cap"), "usage cap reached"), (OutOfCredits("402"), "out of credits")]
)
def test_a_cap_stops_the_credential_there_and_another_goes_on(error: SourceError, reason: str) -> None:
    desk = Desk(grant(4, "a"), grant(4, "b"))
    _, left = desk.ask(error, PAGE)
    assert left == grant(3, "b")
    assert desk.books.stopped == [("timeline", "a", reason)]
    assert NOW < (desk.books.stopped_until[0] or 0) <= NOW + module.DAY_SECONDS
    assert not desk.health.is_outage


def test_one_refusal_may_be_the_users_own_state() -> None:
    desk = Desk(grant(16))
    with pytest.raises(Failing):
        desk.ask(CredentialRefused("401", status=401), who="12")
    assert desk.books.stopped == []
    assert len(desk.used) == 1, "it is not asked again at once"


def test_one_user_refused_three_times_takes_the_credential_out() -> None:
    desk = Desk(grant(16), grant(16), grant(16), Wait("timeline", None, "refused"))
    for _ in range(module.REFUSALS_OF_A_USER - 1):
        with pytest.raises(Failing):
            desk.ask(CredentialRefused("401"), who="12")
        assert desk.books.stopped == []
    with pytest.raises(Waiting):
        desk.ask(CredentialRefused("401"), who="12")
    assert desk.books.stopped == [(None, "a", "refused: 401")]


def test_refusals_of_two_users_take_the_credential_out() -> None:
    desk = Desk(grant(8, "a"), grant(4, "b"))
    with pytest.raises(Failing):
        desk.ask(CredentialRefused("401"), who="12")
    desk.books.grants = [grant(8, "a"), grant(4, "b")]
    _, left = desk.ask(CredentialRefused("401"), PAGE, who="13")
    assert desk.books.stopped == [(None, "a", "refused: 401")]
    assert left.credential == "b"


def test_an_answer_in_between_clears_the_refusals() -> None:
    desk = Desk(grant(8))
    for who in ("12", "13", "14"):
        with pytest.raises(Failing):
            desk.ask(CredentialRefused("401"), who=who)
        desk.ask(PAGE)
        assert desk.books.stopped == []


@pytest.mark.parametrize(
    "make",
    [lambda: Gone("suspended", "gone"), lambda: BadCursor("old"), lambda: UnknownBody("what")],
    ids=["gone", "cursor", "unknown"],
)
def test_an_answer_about_the_user_is_handed_on(make: Callable[[], SourceError]) -> None:
    desk = Desk(grant(4))
    error = make()
    with pytest.raises(type(error)) as caught:
        desk.ask(error)
    assert caught.value is error
    assert desk.used == ["a"]
    assert desk.books.given == [grant(3)]
    assert desk.books.settled[0].answered == isinstance(error, Gone)
    assert not desk.health.is_outage

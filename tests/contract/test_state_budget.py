"""Budgets, grants and the ledger in Redis, on every server."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.contract.state_world import World
from twittomatic.job import FOLLOWER, TIMELINE, Grant, Window
from twittomatic.state.budget import Wait
from twittomatic.state.queue import Idle, Want

CALLS = Want(TIMELINE, "timeline", 16)


def told(world: World, left: int, *, limit: int = 900, seconds: float = 900, kind: str = "user") -> Window:
    return Window(kind, limit, left, world.now + seconds)


def know(world: World, credential: str, left: int, seconds: float = 900, endpoint: str = "timeline") -> None:
    """A credential's limits are told by an answer."""
    world.budget.settle(endpoint, credential, [told(world, left, seconds=seconds)], kind=TIMELINE)


def take(world: World, *credentials: str, calls: int = 16) -> Grant | Wait:
    return world.budget.take("timeline", calls, credentials)


def test_an_unknown_window_grants_one_probing_call(world: World) -> None:
    assert take(world, "a") == Grant("timeline", "a", 1)
    assert take(world, "a") == Wait("timeline", world.now + 60, "probing")
    know(world, "a", 899)
    assert take(world, "a") == Grant("timeline", "a", 16)


def test_a_probe_of_a_dead_worker_blocks_for_a_minute_only(world: World) -> None:
    take(world, "a")
    world.advance(61)
    assert take(world, "a") == Grant("timeline", "a", 1)


def test_an_expired_window_is_probed(world: World) -> None:
    know(world, "a", 899)
    world.advance(901)
    assert take(world, "a") == Grant("timeline", "a", 1)
    assert isinstance(take(world, "a"), Wait)
    know(world, "a", 899)
    assert take(world, "a") == Grant("timeline", "a", 16)


def test_the_window_that_resets_first_is_used_first(world: World) -> None:
    know(world, "late", 100, seconds=900)
    know(world, "soon", 100, seconds=300)
    know(world, "strange", 100, seconds=10)
    grant = take(world, "late", "soon")
    assert isinstance(grant, Grant)
    assert grant.credential == "soon"


def test_grants_shrink_with_the_window(world: World) -> None:
    know(world, "a", 20)
    granted = []
    while isinstance(grant := take(world, "a"), Grant):
        granted.append(grant.calls)
    assert granted[:3] == [3, 3, 2]
    assert sum(granted) == 20
    assert grant == Wait("timeline", world.now + 900, "limited")


def test_unused_calls_come_back(world: World) -> None:
    know(world, "a", 10)
    grant = take(world, "a")
    assert grant == Grant("timeline", "a", 2)
    world.budget.give(grant)
    [books] = world.budget.windows()
    assert (books.windows[0].remaining, books.out) == (10, 0)


def test_a_finished_job_gives_its_grant_back(world: World) -> None:
    know(world, "a", 100)
    world.seeds("1", "2", "3", "4", "5")
    ends = [
        lambda job: world.queue.done(job, None),
        lambda job: world.queue.gone(job, "protected"),
        lambda job: world.queue.dead(job, "bug"),
        lambda job: world.queue.delay(job, 9, reason="slow"),
        lambda job: world.queue.park(job),
    ]
    for end in ends:
        job = world.claim(CALLS)
        assert job.grant == Grant("timeline", "a", 13)
        end(job)
        [books] = world.budget.windows()
        assert (books.windows[0].remaining, books.out) == (100, 0)


def test_of_the_same_window_the_smaller_number_counts(world: World) -> None:
    know(world, "a", 100)
    take(world, "a", calls=10)
    know(world, "a", 95)
    [books] = world.budget.windows()
    assert (books.windows[0].remaining, books.out) == (90, 9)
    know(world, "a", 40)
    [books] = world.budget.windows()
    assert (books.windows[0].remaining, books.out) == (40, 8)


def test_of_a_new_window_theirs_counts_less_what_is_out(world: World) -> None:
    know(world, "a", 100)
    held = take(world, "a", calls=10)
    assert isinstance(held, Grant)
    world.advance(901)
    assert take(world, "a") == Grant("timeline", "a", 1)
    know(world, "a", 899)
    [books] = world.budget.windows()
    assert books.windows[0].remaining == 889
    world.budget.give(held)
    [books] = world.budget.windows()
    assert books.windows[0].remaining == 899


def test_what_a_dead_worker_had_is_forgotten_a_window_later(world: World) -> None:
    know(world, "a", 100)
    take(world, "a", calls=10)
    for left in (889, 899):
        world.advance(901)
        assert take(world, "a") == Grant("timeline", "a", 1)
        know(world, "a", 899)
        [books] = world.budget.windows()
        assert books.windows[0].remaining == left


def test_an_answer_from_an_older_window_says_nothing(world: World) -> None:
    know(world, "a", 800)
    world.budget.settle("timeline", "a", [Window("user", 900, 3, world.now - 5)], kind=TIMELINE)
    [books] = world.budget.windows()
    assert books.windows[0].remaining == 800


def test_the_tightest_of_several_windows_rules(world: World) -> None:
    windows = [told(world, 800), told(world, 8, kind="day", limit=1000, seconds=86_400)]
    world.budget.settle("timeline", "a", windows, kind=TIMELINE)
    assert take(world, "a") == Grant("timeline", "a", 1)
    world.budget.settle("timeline", "a", [told(world, 0, kind="day", limit=1000, seconds=86_400)], kind=TIMELINE)
    assert take(world, "a") == Wait("timeline", world.now + 86_400, "limited")
    world.advance(1000)
    assert take(world, "a") == Wait("timeline", world.now + 85_400, "limited")


def test_a_refusal_for_the_limit_counts_whatever_remains(world: World) -> None:
    know(world, "a", 500)
    world.budget.settle("timeline", "a", [told(world, 499)], kind=TIMELINE, exhausted_until=world.now + 100)
    assert take(world, "a") == Wait("timeline", world.now + 100, "limited")
    assert take(world, "a", "b") == Grant("timeline", "b", 1)
    world.advance(101)
    assert take(world, "a") == Grant("timeline", "a", 16)


def test_a_refusal_that_is_over_already_still_waits_a_second(world: World) -> None:
    world.budget.settle("timeline", "a", kind=TIMELINE, exhausted_until=world.now - 100)
    assert take(world, "a") == Wait("timeline", world.now + 1, "limited")


def test_no_limit_told_means_no_limit_until_one_is(world: World) -> None:
    world.budget.settle("timeline", "a", kind=TIMELINE, answered=False)
    assert take(world, "a") == Grant("timeline", "a", 1)
    world.budget.settle("timeline", "a", kind=TIMELINE)
    assert [take(world, "a") for _ in range(3)] == [Grant("timeline", "a", 16)] * 3
    world.budget.settle("timeline", "a", kind=TIMELINE, exhausted_until=world.now + 5)
    world.advance(6)
    assert take(world, "a") == Grant("timeline", "a", 1)


def test_a_failed_probe_lets_the_next_one_try(world: World) -> None:
    take(world, "a")
    world.budget.settle("timeline", "a", kind=TIMELINE, answered=False)
    assert take(world, "a") == Grant("timeline", "a", 1)


def test_the_answer_to_a_probe_wakes_those_who_wait(world: World) -> None:
    world.seeds("1", "2")
    world.claim(CALLS)
    world.client.delete(world.keys.wake(TIMELINE))
    idle = world.queue.claim([CALLS], ["a"])
    assert idle == Idle(world.now + 60, {TIMELINE: Wait("timeline", world.now + 60, "probing")})
    know(world, "a", 100)
    assert world.queue.wait([TIMELINE], 0.01)


def test_without_budget_the_next_kind_is_served_and_nothing_is_taken(world: World) -> None:
    world.seeds("1")
    world.seeds("9", kind=FOLLOWER)
    world.budget.settle("followers", "a", [told(world, 0)], kind=FOLLOWER)
    know(world, "a", 100)
    job = world.claim(Want(FOLLOWER, "followers", 1), CALLS)
    assert (job.kind, job.grant) == (TIMELINE, Grant("timeline", "a", 13))
    idle = world.queue.claim([Want(FOLLOWER, "followers", 1), CALLS], ["a"])
    assert idle == Idle(world.now + 900, {FOLLOWER: Wait("followers", world.now + 900, "limited")})
    assert world.list("q:follower") == ["9"]
    [books] = [row for row in world.budget.windows() if row.endpoint == "timeline"]
    assert books.out == 13


def test_a_dropped_entry_costs_no_grant(world: World) -> None:
    know(world, "a", 100)
    world.seeds("1")
    world.claim()
    world.seeds("1")
    assert world.queue.claim([CALLS], ["a"]) == Idle()
    [books] = world.budget.windows()
    assert books.out == 0


def test_a_stopped_credential_is_out_until_it_is_lifted(world: World) -> None:
    know(world, "a", 100)
    world.budget.stop("timeline", "a", "usage cap reached", until=world.now + 3600)
    assert take(world, "a") == Wait("timeline", world.now + 3600, "usage cap reached")
    assert world.budget.take("followers", 1, ["a"]) == Grant("followers", "a", 1)
    world.budget.stop(None, "a", "refused: \ud83d")
    assert world.budget.take("followers", 1, ["a"]) == Wait("followers", None, "refused: ?")
    world.budget.lift(None, "a")
    assert isinstance(take(world, "a"), Wait)
    world.advance(3601)
    know(world, "a", 100)
    world.budget.stop("timeline", "a", "out of credits")
    assert take(world, "a") == Wait("timeline", None, "out of credits")
    world.budget.lift("timeline", "a")
    assert isinstance(take(world, "a"), Grant)


def test_a_credential_stopped_everywhere_is_stopped_on_endpoints_it_never_saw(world: World) -> None:
    world.budget.stop(None, "a", "refused")
    assert take(world, "a") == Wait("timeline", None, "refused")
    assert take(world) == Wait("timeline", None, "no credential")
    world.budget.lift(None, "a")
    assert take(world, "a") == Grant("timeline", "a", 1)


def test_waits_are_shown_when_every_credential_is_out(world: World) -> None:
    know(world, "a", 0, seconds=900)
    know(world, "b", 0, seconds=600)
    assert world.snapshot().waits == {"timeline": Wait("timeline", world.now + 600, "limited")}
    know(world, "c", 5)
    assert world.snapshot().waits == {}


def test_the_ledger_books_what_was_read_and_paid(world: World) -> None:
    prices = {"post": 5_000, "user": 10_000}
    for number in (100, 60):
        world.budget.settle("timeline", "k|1", kind=TIMELINE, charge={"post": number}, prices_micro=prices)
    world.budget.settle("profiles", "a", kind="analyzer", charge={"user": 3, "list": 1}, prices_micro=prices)
    world.budget.settle("profiles", "a", kind="analyzer", answered=False)
    today = datetime.fromtimestamp(world.now, UTC).date()
    rows = {(row.kind, row.endpoint, row.credential): row for row in world.ledger.day(today)}
    posts = rows[TIMELINE, "timeline", "k|1"]
    assert (posts.crawl, posts.requests, posts.cost_micro, posts.resources) == ("c", 2, 800_000, {"post": 160})
    users = rows["analyzer", "profiles", "a"]
    assert (users.requests, users.cost_micro, users.resources) == (2, 30_000, {"user": 3, "list": 1})
    total = world.ledger.total()
    assert (total.requests, total.cost_micro) == (4, 830_000)
    assert total.resources == {"post": 160, "user": 3, "list": 1}
    assert (world.snapshot().requests, world.snapshot().cost_micro) == (4, 830_000)


@pytest.mark.parametrize("day", ["2024-02-29", "2023-12-31", "2000-01-01", "2100-03-01", "2026-11-21"])
def test_a_day_of_the_ledger_is_a_utc_day(world: World, day: str) -> None:
    midnight = datetime.fromisoformat(f"{day}T00:00:00+00:00")
    for second in (0, 86_399):
        world.at(midnight.timestamp() + second)
        world.budget.settle("timeline", "a", kind=TIMELINE)
    [row] = world.ledger.day(midnight.date())
    assert row.requests == 2

"""Which job is handed out next, with which grant, and which one waits, on every server."""

from __future__ import annotations

import pytest

from tests.contract.state_world import FREE, World
from twittomatic.job import ANALYZER, FOLLOWER, TIMELINE, UPDATE, Extent, Grant, Job, Window
from twittomatic.state.budget import Wait
from twittomatic.state.queue import Idle, Want

FOLLOWERS = Want(FOLLOWER, None, 0)
UPDATES = Want(UPDATE, None, 0)


def test_a_claim_leases_the_oldest_entry_once(world: World) -> None:
    world.seeds("12", "13")
    first, second = world.claim(), world.claim(queue=world.worker("w2"))
    assert (first.user, second.user) == ("12", "13")
    assert (first.kind, first.cursor, first.seq, first.clean, first.sealed) == (TIMELINE, None, 0, True, False)
    assert first.token != second.token
    assert world.queue.claim([FREE], ["a"]) == Idle()
    assert world.snapshot().kinds[TIMELINE].running == 2


def test_ids_of_every_size_stay_text(world: World) -> None:
    ids = ["7", "12", "9007199254740993", "9223372036854775807"]
    world.seeds(*ids)
    assert [world.claim().user for _ in ids] == ids


def test_wants_are_served_in_their_order_and_resumed_jobs_first(world: World) -> None:
    world.seeds("1", "2", "3")
    world.seeds("9", kind=FOLLOWER)
    job = world.claim()
    world.queue.park(job)
    assert world.claim(FOLLOWERS, FREE).user == "9"
    assert world.claim(FOLLOWERS, FREE).user == "1"
    assert world.claim(FOLLOWERS, FREE).user == "2"


def test_an_entry_that_is_claimed_parked_delayed_or_dead_already_is_dropped(world: World) -> None:
    world.seeds("1", "2", "3", "4")
    jobs = [world.claim() for _ in range(4)]
    world.queue.delay(jobs[1], 30, reason="slow")
    world.queue.dead(jobs[2], "bug", "body")
    world.queue.seal(jobs[3], {})
    world.seeds("1", "2", "3", "4", "5")
    assert world.claim().user == "5"
    assert world.queue.claim([FREE], []) == Idle()
    world.queue.park(jobs[0])
    world.seeds("1")
    assert world.claim().user == "1"
    assert world.queue.claim([FREE], []) == Idle()
    assert world.list("q:timeline") == []


def test_timeline_and_update_of_one_user_never_run_together(world: World) -> None:
    world.configure(kinds=[TIMELINE, UPDATE])
    world.seeds("1", "2")
    timeline = world.claim()
    world.seeds("1", "3", kind=UPDATE)
    assert world.claim(UPDATES).user == "3"
    assert isinstance(world.queue.claim([UPDATES], []), Idle)
    assert world.list("q:update") == ["1"]
    world.queue.park(timeline)
    assert isinstance(world.queue.claim([UPDATES], []), Idle)
    world.queue.done(world.claim(), None)
    update = world.claim(UPDATES)
    assert update.user == "1"
    world.seeds("1")
    assert world.claim().user == "2"
    assert isinstance(world.queue.claim([FREE], []), Idle)
    world.queue.dead(update, "bug")
    assert world.claim().user == "1", "a dead update does not hold its user's timeline for ever"


@pytest.mark.parametrize("sealed", [None, TIMELINE, UPDATE])
def test_of_timeline_and_update_that_both_wait_exactly_one_goes_on(world: World, sealed: str | None) -> None:
    world.configure(kinds=[TIMELINE, UPDATE])
    world.seeds("1")
    timeline = world.claim()
    if sealed == TIMELINE:
        world.queue.seal(timeline, {})
    world.queue.dead(timeline, "bug")
    world.seeds("1", kind=UPDATE)
    update = world.claim(UPDATES)
    if sealed == UPDATE:
        world.queue.seal(update, {})
    world.queue.park(update)
    assert world.crawl.retry() == 1
    first = world.claim(UPDATES, FREE)
    assert first.kind == (sealed or TIMELINE), "a sealed job is renamed before the other publishes"
    assert isinstance(world.queue.claim([UPDATES, FREE], []), Idle)
    world.queue.done(first, None)
    second = world.claim(UPDATES, FREE)
    assert second.kind != first.kind
    world.queue.done(second, None)
    assert world.frontier.finished(world.lead())


def test_a_timeline_that_is_not_wanted_any_more_holds_no_update(world: World) -> None:
    world.seeds("1")
    job = world.claim()
    world.queue.park(job)
    world.configure(kinds=[UPDATE], start=UPDATE)
    world.seeds("1", kind=UPDATE)
    update = world.claim(UPDATES)
    world.configure(kinds=[TIMELINE])
    assert isinstance(world.queue.claim([FREE], []), Idle), "it is held while it runs"
    world.configure(kinds=[UPDATE], start=UPDATE)
    world.queue.done(update, None)
    assert world.frontier.finished(world.lead())


def test_a_kind_that_is_not_wanted_is_not_handed_out_and_not_lost(world: World) -> None:
    world.seeds("1", "2", kind=FOLLOWER)
    world.queue.park(world.claim(FOLLOWERS))
    world.configure(kinds=[TIMELINE])
    assert world.queue.claim([FOLLOWERS, FREE], ["a"]) == Idle()
    world.configure()
    assert [world.claim(FOLLOWERS, FREE).user for _ in range(2)] == ["1", "2"]


def test_a_sealed_job_needs_no_budget_to_be_renamed(world: World) -> None:
    world.seeds("12")
    calls = Want(TIMELINE, "timeline", 16)
    job = world.claim(calls)
    world.page(job)
    world.queue.seal(job, {"twt": Extent("twt", job.token, 120, 9)})
    world.budget.settle("timeline", "a", kind=TIMELINE, exhausted_until=world.now + 500)
    job.grant = None
    world.queue.park(job)
    again = world.claim(calls)
    assert again.sealed
    assert again.grant is None
    assert again.extents["twt"].length == 120


def analyzers(world: World, users: int) -> Want:
    """Analyzers in line, as workers want them, and the endpoint that they come to need used up."""
    world.configure(kinds=[ANALYZER], start=ANALYZER)
    world.seeds(*(str(number) for number in range(users)), kind=ANALYZER)
    world.budget.settle("profiles", "a", [Window("user", 16, 0, world.now + 90)], kind=ANALYZER)
    return Want(ANALYZER, None, 4)


def test_jobs_that_wait_for_calls_stay_where_they_are(world: World) -> None:
    want = analyzers(world, 1000)
    first, second = world.claim(want), world.claim(want)
    assert (first.grant, second.grant) == (None, None), "nobody is known to wait, so both begin"
    for job in (second, first):
        world.page(job)
        world.queue.park(job, needs="profiles")
    before = world.client.get(world.keys.prefix + "fence")
    for _ in range(3):
        idle = world.queue.claim([want], ["a"])
        assert idle == Idle(world.now + 90, {ANALYZER: Wait("profiles", world.now + 90, "limited")})
    assert world.client.get(world.keys.prefix + "fence") == before
    assert world.list("r:analyzer") == [first.user, second.user]
    assert world.client.llen(world.keys.queue(ANALYZER)) == 998
    assert not world.frontier.finished(world.lead())
    world.advance(91)
    again = world.claim(want)
    assert (again.user, again.seq, again.grant) == (first.user, 1, Grant("profiles", "a", 1)), "with a grant, at once"
    assert isinstance(world.queue.claim([want], ["a"]), Idle), "the next waits for what the first call tells"
    world.budget.settle("profiles", "a", [Window("user", 16, 15, world.now + 90)], kind=ANALYZER)
    again.grant = None
    world.queue.done(again, None)
    assert world.claim(want).grant == Grant("profiles", "a", 2)
    third = world.claim(want)
    assert (third.user, third.grant) == ("2", None)


def test_a_job_that_waits_for_calls_holds_none_up_that_needs_none(world: World) -> None:
    want = analyzers(world, 4)
    jobs = [world.claim(want) for _ in range(3)]
    world.queue.seal(jobs[1], {})
    world.queue.park(jobs[1], needs="profiles")
    world.queue.park(jobs[0])
    world.queue.park(jobs[2], needs="profiles")
    assert world.list("r:analyzer") == ["2", "0", "1"]
    assert {world.claim(want).user, world.claim(want).user} == {"0", "1"}
    assert isinstance(world.queue.claim([want], ["a"]), Idle)
    assert isinstance(world.queue.claim([want], []), Idle), "nobody has a credential"
    assert world.list("r:analyzer") == ["2"]


def test_a_grant_for_which_a_job_was_parked_goes_back_with_it(world: World) -> None:
    want = analyzers(world, 1)
    world.queue.park(world.claim(want), needs="profiles")
    world.advance(91)
    job = world.claim(want)
    world.queue.park(job)
    again = world.claim(want)
    assert (again.user, again.grant) == ("0", None), "it was parked for something else now"
    assert world.budget.take("profiles", 4, ["a"]) == Grant("profiles", "a", 1)


def test_paused_and_draining(world: World) -> None:
    world.seeds("1", "2")
    begun = world.claim()
    world.queue.park(begun)
    world.crawl.pause()
    assert world.queue.claim([FREE], []) == Idle(paused=True)
    world.crawl.resume()
    world.crawl.drain()
    again = world.claim()
    assert again.user == "1"
    assert world.queue.claim([FREE], []) == Idle(draining=True)
    epoch = world.lead()
    world.leader.tick(epoch)
    assert world.snapshot().state == "running"
    world.queue.done(again, None)
    world.leader.tick(epoch)
    assert world.snapshot().state == "drained"
    world.crawl.resume()
    assert world.snapshot().state == "running"
    assert world.claim().user == "2"


@pytest.mark.parametrize("kind", [TIMELINE, FOLLOWER])
def test_a_claim_reads_one_kind_only(world: World, kind: str) -> None:
    world.seeds("1", kind=kind)
    job = world.queue.claim([Want(TIMELINE, None, 0)], [])
    assert isinstance(job, Job) == (kind == TIMELINE)

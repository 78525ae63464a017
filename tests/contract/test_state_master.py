"""Masters, workers, lost leases, dead jobs and the picture of a crawl in Redis, on every server."""

from __future__ import annotations

import re

import pytest

from tests.contract.state_world import FREE, LEASE, START, World
from twittomatic.errors import Deposed, Fenced, InUse
from twittomatic.events import UserSettled, decode
from twittomatic.job import FOLLOWER, TIMELINE, Grant
from twittomatic.state.crawl import CURSOR_REFUSED
from twittomatic.state.leader import Held, Ticked
from twittomatic.state.queue import Idle, Want
from twittomatic.state.snapshot import KindSnapshot

FOLLOWERS = Want(FOLLOWER, None, 0)


def test_one_master_leads_and_keeps_its_epoch(world: World) -> None:
    epoch = world.lead("m1")
    assert re.fullmatch(r"1-[0-9a-f]{16}", epoch)
    assert world.leader.lead("m2", {"pid": 2}) == Held("m1", {"pid": 1}, START + 10)
    world.advance(9)
    assert world.lead("m1") == epoch
    world.advance(9)
    assert isinstance(world.leader.lead("m2", {}), Held)
    assert world.snapshot().leader == Held("m1", {"pid": 1}, START + 19)


def test_a_silent_master_is_deposed(world: World) -> None:
    old = world.lead("m1")
    world.advance(10)
    with pytest.raises(Deposed):
        world.leader.tick(old)
    new = world.lead("m2")
    assert new.startswith("2-")
    for act in (world.leader.tick, world.frontier.finished, world.frontier.iterate, world.frontier.begin):
        with pytest.raises(Deposed):
            act(old)
    with pytest.raises(Deposed):
        world.frontier.admit(["1"], TIMELINE, "1", epoch=old)
    assert world.frontier.load_position() is None
    world.leader.resign(old)
    assert world.leader.tick(new) == Ticked(0, 0, 0)


def test_a_dead_or_resigned_master_is_replaced_at_once(world: World) -> None:
    first = world.lead("m1")
    second = world.lead("m2", replaces="m1")
    assert isinstance(world.leader.lead("m3", {}, replaces="m1"), Held)
    world.leader.resign(second)
    third = world.lead("m3")
    assert len({first, second, third}) == 3


def test_a_lost_lease_goes_back_and_five_crashes_are_poison(world: World) -> None:
    world.calm()
    world.seeds("666", "1")
    for attempt in range(5):
        job = world.claim()
        assert (job.user, job.attempts, job.clean) == ("666", attempt, attempt == 0)
        world.keep_ticking(LEASE)
    world.queue.done(world.claim(), None)
    assert world.queue.claim([FREE], []) == Idle()
    assert world.snapshot().reasons == {"poison": 1}
    event, pos = decode(world.client.xrange(world.keys.journal)[-1][1][b"event"])
    assert isinstance(event, UserSettled)
    assert (event.crawl, event.user, event.state, event.reason, event.worker) == ("c", "666", "dead", "poison", "w1")
    assert pos == ""
    assert world.frontier.finished(world.lead())


def test_a_commit_between_crashes_makes_it_no_poison(world: World) -> None:
    world.calm()
    world.seeds("1")
    for _ in range(7):
        job = world.claim()
        world.page(job)
        world.keep_ticking(LEASE)
    assert world.claim().attempts == 1


def test_leases_that_ran_out_while_nobody_ticked_are_nobodys_crash(world: World) -> None:
    world.calm()
    world.seeds("1", "2")
    alive, lost = world.claim(), world.claim(queue=world.worker("w2"))
    world.advance(10 * LEASE)
    epoch = world.lead()
    assert world.leader.tick(epoch) == Ticked(0, 0, 0)
    assert world.queue.beat([(TIMELINE, "1", alive.token)]) == set()
    world.page(lost)
    for _ in range(2):
        world.advance(LEASE / 3)
        world.leader.tick(world.lead())
        assert world.queue.beat([(TIMELINE, "1", alive.token)]) == set()
    world.advance(LEASE / 3)
    assert world.leader.tick(world.lead()) == Ticked(1, 0, 0)
    with pytest.raises(Fenced):
        world.page(lost)
    again = world.claim()
    assert (again.user, again.attempts) == ("2", 0)
    world.page(alive)


def test_a_tick_is_bounded(world: World) -> None:
    for n in range(520):
        world.client.hset(world.keys.job(TIMELINE, str(n)), "state", "delayed")
        world.client.zadd(world.keys.delayed, {f"timeline:{n}": round(world.now * 1000)})
    world.client.hset(world.keys.held, "delay:timeline", 520)
    epoch = world.lead()
    ticks = [world.leader.tick(epoch) for _ in range(3)]
    assert [(ticked.due, ticked.full) for ticked in ticks] == [(500, True), (20, False), (0, False)]
    assert world.snapshot().kinds[TIMELINE] == KindSnapshot(resuming=520)


def test_a_tick_full_of_leases_says_so(world: World) -> None:
    world.calm()
    epoch = world.keep_ticking(LEASE)
    for n in range(501):
        world.client.hset(world.keys.job(TIMELINE, str(n)), mapping={"state": "running", "worker": "w9"})
        world.client.zadd(world.keys.leases, {f"timeline:{n}": round(world.now * 1000)})
    world.client.hset(world.keys.held, "lease:timeline", 501)
    assert [world.leader.tick(epoch) for _ in range(2)] == [Ticked(500, 0, 0, full=True), Ticked(1, 0, 0)]
    assert world.snapshot().kinds[TIMELINE] == KindSnapshot(resuming=501)


def test_dead_jobs_are_retried_by_kind_and_reason(world: World) -> None:
    world.seeds("1", "2", "3")
    world.seeds("4", kind=FOLLOWER)
    for reason in ("bug", "bug", "html"):
        job = world.claim()
        world.page(job)
        world.queue.dead(job, reason, "sample")
    world.queue.dead(world.claim(FOLLOWERS), "bug")
    assert world.crawl.retry(FOLLOWER, "html") == 0
    assert world.crawl.retry(TIMELINE, "bug", limit=1) == 1
    again = world.claim()
    assert (again.user, again.seq, again.attempts, again.errors, again.clean) == ("1", 1, 0, 0, True)
    assert world.crawl.retry() == 3
    snapshot = world.snapshot()
    assert (snapshot.dead, snapshot.counters["users.dead"], snapshot.reasons["bug"]) == (0, 0, 0)
    assert snapshot.kinds[TIMELINE].resuming == 2
    assert snapshot.kinds[FOLLOWER].resuming == 1


def test_a_walk_whose_cursor_was_refused_begins_again_when_it_is_retried(world: World) -> None:
    world.seeds("1", "2")
    for reason in (CURSOR_REFUSED, "bug"):
        job = world.claim()
        world.page(job)
        world.queue.dead(job, reason)
    assert world.crawl.retry() == 2
    refused, other = world.claim(), world.claim()
    assert (refused.user, refused.cursor, refused.seq, sorted(refused.extents)) == ("1", None, 1, ["twt"])
    assert (other.user, other.cursor, other.seq) == ("2", "after 0", 1)


def test_configuring_again_keeps_what_must_stay(world: World) -> None:
    settings = world.configure(buckets=9999, id_form="text", lease_seconds=2.5, more={"seeds_digest": "ab"})
    assert (settings["buckets"], settings["id_form"], settings["lease_seconds"]) == ("64", "int64", "2.5")
    assert settings["seeds_digest"] == "ab"
    assert world.crawl.settings() == settings
    for bad in ({"traversal": "random"}, {"start": "update"}, {"buckets": 0}):
        with pytest.raises(ValueError, match=r"."):
            world.configure(**bad)


def test_a_name_belongs_to_one_live_worker(world: World) -> None:
    first = world.registry.register("w1", {"pid": 7, "host": "h"})
    with pytest.raises(InUse, match="pid 7 on h"):
        world.registry.register("w1", {"pid": 8, "host": "h"})
    held = world.registry.holder("w1")
    assert held is not None
    assert (held.instance, held.info["pid"], held.jobs) == (first, 7, 0)
    assert world.registry.holder("w2") is None
    world.registry.leave("w1", "somebody else")
    assert world.registry.holder("w1") is not None
    world.registry.leave("w1", first)
    assert world.registry.workers() == []
    world.registry.register("w1", {"pid": 8})


def test_a_dead_workers_jobs_go_back_at_once(world: World) -> None:
    first = world.registry.register("w1", {"pid": 7})
    world.seeds("1", "2", "3")
    lost, other = world.claim(), world.claim(queue=world.worker("w2"))
    world.registry.register("w1", {"pid": 8}, replaces=first)
    again = world.claim()
    assert (again.user, again.attempts, again.clean) == ("1", 1, False)
    assert world.queue.beat([(TIMELINE, "1", lost.token), (TIMELINE, "2", other.token)]) == {lost.token}


def test_a_silent_workers_name_is_free_again(world: World) -> None:
    first = world.registry.register("w1", {"pid": 7})
    queue = world.worker("w1", first)
    world.advance(LEASE - 1)
    queue.beat([])
    world.advance(LEASE - 1)
    with pytest.raises(InUse):
        world.registry.register("w1", {"pid": 8})
    world.advance(2)
    assert [worker.name for worker in world.snapshot().lost_workers] == ["w1"]
    second = world.registry.register("w1", {"pid": 8})
    world.advance(LEASE - 1)
    queue.beat([])
    world.advance(1)
    assert world.registry.workers()[0].silent_seconds == LEASE, "an old instance does not speak for the new one"
    world.worker("w1", second).beat([])
    assert [worker.silent_seconds for worker in world.snapshot().workers] == [0]


def test_workers_are_forgotten_after_a_day(world: World) -> None:
    world.registry.register("w1", {"pid": 7})
    world.advance(86_400)
    world.leader.tick(world.lead())
    assert world.registry.workers() == []
    assert not world.client.exists(world.keys.deployment + "w:w1")


def test_a_snapshot_tells_everything_in_one_picture(world: World) -> None:
    world.registry.register("w1", {"pid": 7})
    world.seeds("1", "2", "3", "4")
    world.page(world.claim(), counts={"timeline.pages": 1, "timeline.items": 7})
    world.queue.delay(world.claim(), 5, reason="slow")
    world.queue.done(world.claim(), FOLLOWER)
    world.frontier.admit([], TIMELINE, "77")
    snapshot = world.snapshot()
    assert snapshot.kinds[TIMELINE] == KindSnapshot(queued=1, running=1, delayed=1, done=1, pages=1, items=7)
    assert snapshot.kinds[TIMELINE].waiting == 2
    assert snapshot.kinds[FOLLOWER] == KindSnapshot(queued=1)
    assert (snapshot.state, snapshot.iteration, snapshot.loading, snapshot.seen) == ("running", 1, "77", 4)
    assert [worker.name for worker in snapshot.workers] == ["w1"]
    assert snapshot.leader is None


ALLOWED = re.compile(
    r"tw:\{t:0\}:(clock|rle|rlz:.*|rlx:.*|rl:.*:.*|led:\d{4}-\d\d-\d\d|n:.*:.*|wk|w:w1|"
    r"c:c:(cfg|epoch|lead|fence|now|cnt|ev|s:\d+|wake:.*))"
)


def test_a_finished_crawl_leaves_the_documented_keys_only(world: World) -> None:
    instance = world.registry.register("w1", {"pid": 7})
    epoch = world.lead()
    world.frontier.admit(["1", "2"], TIMELINE, None, epoch=epoch)
    while isinstance(job := world.queue.claim([FOLLOWERS, Want(TIMELINE, "timeline", 2)], ["a"]), Idle) is False:
        assert not isinstance(job, Idle)
        if job.grant is not None:
            world.budget.settle("timeline", "a", kind=TIMELINE, charge={"post": 1})
            job.grant = Grant("timeline", "a", job.grant.calls - 1)
        world.page(job, events=[("events.timeline.page", '{"event":"events.timeline.page"}')])
        world.queue.seal(job, {})
        world.queue.done(job, FOLLOWER if job.kind == TIMELINE else None)
    assert world.frontier.iterate(epoch) == 2
    world.registry.leave("w1", instance)
    left = sorted(key.decode() for key in world.client.keys("*"))
    assert [key for key in left if not ALLOWED.fullmatch(key)] == []
    assert {key for key in left if world.client.pttl(key) > 0} >= {
        key for key in left if ":n:" in key or ":wake:" in key or key.endswith(":lead")
    }
    assert world.counter("users.done") == 2

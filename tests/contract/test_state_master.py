"""Masters, workers, seeds, iterations and the frontier in Redis, on every server."""

from __future__ import annotations

import re

import pytest

from tests.contract.state_world import FREE, LEASE, START, World
from twittomatic.errors import Deposed, Fenced, InUse
from twittomatic.events import UserSettled, decode
from twittomatic.job import FOLLOWER, TIMELINE, Grant
from twittomatic.state.frontier import Admitted
from twittomatic.state.leader import Held, Ticked
from twittomatic.state.queue import Found, Idle, Want
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


def test_seeds_are_queued_in_any_case_and_the_load_goes_on_where_it_stood(world: World) -> None:
    epoch = world.lead()
    assert world.frontier.admit(["1", "2"], TIMELINE, "2", epoch=epoch) == Admitted(2, 0)
    assert world.frontier.load_position() == "2"
    assert not world.frontier.finished(epoch)
    assert world.frontier.admit(["2", "3"], TIMELINE, None, epoch=epoch) == Admitted(1, 1)
    assert world.frontier.load_position() is None
    assert world.list("q:timeline") == ["1", "2", "2", "3"]
    assert world.frontier.admit([], TIMELINE, "0") == Admitted(0, 0)
    assert world.frontier.load_position() == "0"
    with pytest.raises(ValueError, match="at most"):
        world.frontier.admit(["1"] * 10_001, TIMELINE, None)


def test_the_seen_set_stays_compact(world: World) -> None:
    world.seeds(*(str(10**18 + 7919 * n) for n in range(2_000)))
    kinds = {world.client.object("encoding", key) for key in _seen_keys(world)} if _has_object(world) else {b"intset"}
    assert kinds == {b"intset"}
    assert world.frontier.unseen(["5", str(10**18), "5", "6"]) == ["5", "6"]
    assert world.frontier.unseen([]) == []


def _seen_keys(world: World) -> list[bytes]:
    return list(world.client.keys(world.keys.prefix + "s:*"))


def _has_object(world: World) -> bool:
    return "Fake" not in type(world.client).__name__


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
    epoch = world.lead()
    assert [world.leader.tick(epoch).due for _ in range(3)] == [500, 20, 0]
    assert world.snapshot().kinds[TIMELINE].resuming == 520


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


@pytest.mark.parametrize(
    ("traversal", "order"),
    [
        ("bfs", ["2", "11", "12", "13", "14"]),
        ("dfs", ["11", "12", "13", "14", "2"]),
        ("priority", ["2", "13", "12", "14", "11"]),
    ],
)
def test_traversals_order_what_is_found(world: World, traversal: str, order: list[str]) -> None:
    world.configure(traversal=traversal)
    world.seeds("1", "2")
    job = world.claim()
    found = [Found("11", 0), Found("12", 7), Found("13", 99), Found("14", 7), Found("2", 15)]
    assert world.page(job, found=found) == 4
    epoch = world.lead()
    assert [world.claim().user for _ in order] == order
    assert not world.frontier.finished(epoch)


def test_bands_are_not_forgotten_when_the_traversal_changes(world: World) -> None:
    world.configure(traversal="priority")
    world.seeds("1")
    job = world.claim()
    world.page(job, found=[Found("11", 3)])
    world.queue.done(job, None)
    world.configure(traversal="bfs")
    assert not world.frontier.finished(world.lead())
    assert world.snapshot().kinds[TIMELINE].queued == 1
    assert world.claim().user == "11"


def test_an_iteration_ends_with_its_frontier(world: World) -> None:
    world.configure(traversal="default")
    world.seeds("1")
    epoch = world.lead()
    assert world.frontier.begin(epoch) == 1
    job = world.claim()
    world.page(job, found=[Found("11"), Found("12"), Found("13")])
    assert world.frontier.iterate(epoch) is None
    world.queue.done(job, None)
    assert world.frontier.finished(epoch)
    assert world.frontier.front_len() == 3
    assert list(world.frontier.front_blocks(2)) == [["11", "12"], ["13"]]
    assert world.frontier.iterate(epoch) == 2
    assert list(world.frontier.front_blocks()) == []
    assert world.snapshot().state == "done"
    assert world.snapshot().counters["discovered"] == 3
    assert world.frontier.iterate(epoch) == 2
    assert world.frontier.begin(epoch) == 2
    assert (world.snapshot().state, world.snapshot().iteration) == ("running", 2)
    assert world.snapshot().counters == {}
    assert world.frontier.begin(epoch) == 2
    assert world.frontier.unseen(["11", "14"]) == ["14"]


def test_what_exceeds_max_users_waits_in_the_frontier(world: World) -> None:
    world.configure(max_users=4)
    world.seeds("1", "2")
    job = world.claim()
    assert world.page(job, found=[Found(str(n)) for n in range(11, 16)]) == 5
    assert world.list("q:timeline") == ["2", "11", "12"]
    assert world.list("front") == ["13", "14", "15"]
    assert world.counter("admitted") == 4


def test_work_of_a_kind_that_is_not_wanted_does_not_hold_the_end_up(world: World) -> None:
    world.seeds("1", kind=FOLLOWER)
    world.configure(kinds=[TIMELINE])
    assert world.frontier.finished(world.lead())
    world.configure()
    assert not world.frontier.finished(world.lead())


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
    r"c:c:(cfg|epoch|lead|fence|cnt|ev|s:\d+|wake:.*))"
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

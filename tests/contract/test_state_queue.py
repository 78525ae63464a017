"""Jobs in Redis: commit, seal, finish, delay, beat, on every server."""

from __future__ import annotations

import threading

import pytest
import ujson

from tests.contract.state_world import FREE, LEASE, World
from twittomatic.errors import Fenced, StateError
from twittomatic.job import ANALYZER, FOLLOWER, TIMELINE, UPDATE, Extent
from twittomatic.state.engine import Caller
from twittomatic.state.queue import Found, Idle, Refused, Want

FOLLOWERS = Want(FOLLOWER, None, 0)
UPDATES = Want(UPDATE, None, 0)


def test_a_commit_is_all_that_a_page_changed(world: World) -> None:
    world.seeds("12")
    job = world.claim()
    heard = world.client.pubsub(ignore_subscribe_messages=True)
    heard.subscribe(world.keys.deployment + "events.timeline.page")
    document = ujson.dumps({"event": "events.timeline.page", "user": "12"})
    new = world.page(
        job,
        events=[("events.timeline.page", document)],
        counts={"timeline.pages": 1, "timeline.items": 100},
        found=[Found("14"), Found("12"), Found("15"), Found("14")],
        discarded=["99"],
    )
    assert new == 2
    assert world.list("q:timeline") == ["14", "15"]
    assert world.frontier.unseen(["12", "14", "15", "98", "99"]) == ["98"]
    counters = world.snapshot().counters
    assert (counters["timeline.pages"], counters["timeline.items"], counters["discovered"]) == (1, 100, 2)
    assert world.snapshot().seen == 4
    [(pos, entry)] = world.client.xrange(world.keys.journal)
    assert entry == {b"event": document.encode()}
    message = None
    for _ in range(20):
        message = message or heard.get_message(timeout=0.5)
    heard.close()
    assert message is not None
    assert ujson.loads(message["data"]) == {"pos": pos.decode(), "event": "events.timeline.page", "user": "12"}


def test_a_refusal_is_counted_by_who_discards_first(world: World) -> None:
    world.seeds("1", "2")
    for job in (world.claim(), world.claim()):
        world.page(job, discarded=[Refused("60", "protected"), Refused("61", "exclude"), "62"])
    counters = world.snapshot().counters
    assert (counters["refused.protected"], counters["refused.exclude"]) == (1, 1)
    assert world.snapshot().seen == 5


def test_a_parked_job_comes_back_where_it_stood(world: World) -> None:
    world.seeds("12")
    job = world.claim()
    world.page(job)
    world.page(job, cursor='{"é": "\\u0000"}')
    world.queue.park(job, reason="stopping")
    again = world.claim(queue=world.worker("w2"))
    assert (again.cursor, again.seq, again.clean, again.note) == ('{"é": "\\u0000"}', 2, True, "stopping")
    assert again.extents == {"twt": Extent("twt", job.token, 200, 7)}
    assert again.token != job.token
    world.page(again, cursor=None)
    world.queue.park(again)
    assert world.claim().cursor is None


def test_who_lost_a_job_changes_nothing(world: World) -> None:
    world.seeds("12")
    lost = world.claim()
    world.queue.park(lost)
    held = world.claim(queue=world.worker("w2"))
    before = world.client.hgetall(world.keys.job(TIMELINE, "12"))
    refused = [
        lambda: world.page(lost, found=[Found("77")], counts={"timeline.pages": 1}),
        lambda: world.queue.seal(lost, {}),
        lambda: world.queue.done(lost, FOLLOWER),
        lambda: world.queue.gone(lost, "protected"),
        lambda: world.queue.dead(lost, "bug"),
        lambda: world.queue.park(lost),
        lambda: world.queue.delay(lost, 5, reason="slow"),
    ]
    for act in refused:
        with pytest.raises(Fenced):
            act()
    assert world.client.hgetall(world.keys.job(TIMELINE, "12")) == before
    assert world.frontier.unseen(["77"]) == ["77"]
    assert world.counter("timeline.pages") == 0
    assert world.queue.beat([(TIMELINE, "12", lost.token), (TIMELINE, "12", held.token)]) == {lost.token}


def test_done_names_the_next_kind_or_ends_the_user(world: World) -> None:
    world.seeds("12")
    world.queue.done(world.claim(), FOLLOWER, {"timeline.already": 1})
    assert world.counter("users.done") == 0
    world.queue.done(world.claim(FOLLOWERS), None)
    counters = world.snapshot().counters
    assert (counters["timeline.done"], counters["follower.done"], counters["users.done"]) == (1, 1, 1)
    assert counters["timeline.already"] == 1
    assert world.client.keys(world.keys.prefix + "j:*") == []
    assert not world.client.exists(world.keys.leases)


def test_a_user_of_whom_nothing_was_left_to_do_is_not_done_again(world: World) -> None:
    world.seeds("1", "2", "1", "3")
    had = {"timeline.already": 1}
    for counts in ({}, had, had, had):
        world.queue.done(world.claim(), FOLLOWER, counts)
    assert world.list("q:follower") == ["1", "2 =", "1 =", "3 ="]
    outcomes = {"follower.already": 1}, {}, {"follower.already": 1}, {"follower.already": 1}
    for user, counts in zip(("1", "2", "1", "3"), outcomes, strict=True):
        job = world.claim(FOLLOWERS)
        assert job.user == user
        world.queue.park(job)
        world.queue.done(world.claim(FOLLOWERS), None, counts)
    counters = world.snapshot().counters
    assert (counters["users.done"], counters["users.already"]) == (2, 2)
    assert (counters["timeline.done"], counters["follower.done"]) == (4, 4)


def test_a_doubled_seed_of_one_kind_is_counted_once(world: World) -> None:
    world.configure(kinds=[TIMELINE])
    world.seeds("1", "1")
    world.queue.done(world.claim(), None)
    world.queue.done(world.claim(), None, {"timeline.already": 1})
    counters = world.snapshot().counters
    assert (counters["users.done"], counters["users.already"]) == (1, 1)


def test_done_leaves_a_next_job_alone_that_exists(world: World) -> None:
    world.seeds("12")
    world.seeds("12", kind=FOLLOWER)
    timeline, follower = world.claim(), world.claim(FOLLOWERS)
    world.queue.park(follower)
    world.queue.done(timeline, FOLLOWER)
    assert world.list("q:follower") == []
    assert world.list("r:follower") == ["12"]


def test_every_bad_end_has_a_reason(world: World) -> None:
    world.seeds("1", "2")
    world.queue.gone(world.claim(), "protected")
    world.queue.dead(world.claim(), "UnknownBody", "<html>\ud83d</html>")
    snapshot = world.snapshot()
    assert snapshot.reasons == {"protected": 1, "UnknownBody": 1}
    assert (snapshot.counters["users.gone"], snapshot.counters["users.dead"], snapshot.dead) == (1, 1, 1)
    assert world.crawl.reasons() == ["timeline 2 dead UnknownBody", "timeline 1 gone protected"]
    assert world.queue.sample(TIMELINE, "2") == "<html>?</html>"


def test_a_delayed_job_comes_back_when_it_is_due(world: World) -> None:
    epoch = world.calm()
    world.seeds("1", "2", "3")
    slow, broken, waiting = world.claim(), world.claim(), world.claim()
    world.page(slow)
    world.queue.delay(slow, 30, reason="timeout")
    world.queue.delay(broken, 30, reason="500", counts={"timeline.delays": 1})
    world.queue.park(waiting, until=world.now + 10, reason="no budget")
    assert isinstance(world.queue.claim([FREE], []), Idle)
    assert world.snapshot().kinds[TIMELINE].delayed == 3
    world.advance(10)
    epoch = world.lead()
    assert world.leader.tick(epoch).due == 1
    again = world.claim()
    assert (again.user, again.errors, again.clean, again.note) == ("3", 0, True, "no budget")
    world.advance(20)
    assert world.leader.tick(world.lead()).due == 2
    assert [(job.user, job.errors, job.seq) for job in (world.claim(), world.claim())] == [("1", 1, 1), ("2", 1, 0)]


def test_a_commit_forgives_errors(world: World) -> None:
    epoch = world.calm()
    world.seeds("1")
    world.queue.delay(world.claim(), 0, reason="500")
    world.leader.tick(epoch)
    job = world.claim()
    assert job.errors == 1
    world.page(job)
    world.queue.delay(job, 0, reason="500")
    world.leader.tick(epoch)
    assert world.claim().errors == 1


def test_beat_keeps_a_lease(world: World) -> None:
    world.calm()
    world.seeds("12")
    job = world.claim()
    for _ in range(4):
        world.keep_ticking(LEASE / 2)
        assert world.queue.beat([(TIMELINE, "12", job.token)]) == set()
    world.keep_ticking(LEASE)
    assert world.queue.beat([(TIMELINE, "12", job.token)]) == {job.token}
    again = world.claim()
    assert (again.user, again.attempts, again.clean) == ("12", 1, False)


def test_idle_workers_are_woken(world: World) -> None:
    assert not world.queue.wait([TIMELINE], 0.01)
    woken = threading.Event()

    def sleeper() -> None:
        if world.queue.wait([ANALYZER, TIMELINE], 5):
            woken.set()

    thread = threading.Thread(target=sleeper)
    thread.start()
    world.seeds("12")
    thread.join(10)
    assert woken.is_set()
    world.seeds(*map(str, range(1000, 1200)))
    assert 0 < world.client.llen(world.keys.wake(TIMELINE)) <= 64


def test_a_late_duplicate_of_an_old_call_does_nothing(world: World) -> None:
    world.seeds("1", "2")
    caller = Caller("w9", "0")
    args = {"wants": [{"kind": TIMELINE}], "credentials": [], "random": "00"}
    old = world.engine.command("claim", world.keys, args, caller)
    world.engine.call("claim", world.keys, args, caller=caller)
    with pytest.raises(StateError):
        world.engine.checked("claim", world.client.execute_command(*old))
    assert world.list("q:timeline") == ["2"]


def test_one_commit_is_bounded(world: World) -> None:
    world.seeds("12")
    job = world.claim()
    with pytest.raises(ValueError, match="at most"):
        world.page(job, discarded=[str(n) for n in range(10_001)])
    assert world.page(job, found=[Found(str(n)) for n in range(100, 9_000)]) == 8_900
    assert world.client.llen(world.keys.queue(TIMELINE)) == 8_900

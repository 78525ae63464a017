"""Seeds, traversals, limits of users, iterations and the frontier in Redis, on every server."""

from __future__ import annotations

import pytest

from tests.contract.state_world import World
from twittomatic.errors import Deposed
from twittomatic.job import FOLLOWER, TIMELINE
from twittomatic.state.frontier import Admitted
from twittomatic.state.queue import Found, Want


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


def test_the_end_of_a_load_and_the_settings_that_tell_it_are_one_act(world: World) -> None:
    epoch = world.lead()
    world.frontier.admit(["1"], TIMELINE, "1", epoch=epoch)
    with pytest.raises(ValueError, match="not done"):
        world.frontier.admit(["2"], TIMELINE, "2", epoch=epoch, done={"loaded_digest": "ab"})
    with pytest.raises(Deposed):
        world.frontier.admit([], TIMELINE, None, epoch="0-0", done={"loaded_digest": "ab"})
    assert "loaded_digest" not in world.crawl.settings()
    assert world.frontier.load_position() == "1"
    world.frontier.admit([], TIMELINE, None, epoch=epoch, done={"loaded_digest": "ab"})
    assert world.crawl.settings()["loaded_digest"] == "ab"
    assert world.frontier.load_position() is None


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


def test_max_users_bounds_seeds_too(world: World) -> None:
    world.configure(max_users=3)
    epoch = world.lead()
    ids = [str(number) for number in range(1, 7)]
    assert world.frontier.admit(ids[:2], TIMELINE, "2", epoch=epoch) == Admitted(2, 0, 0)
    assert world.frontier.admit(ids[2:], TIMELINE, None, epoch=epoch) == Admitted(1, 0, 3)
    assert world.list("q:timeline") == ["1", "2", "3"]
    assert world.list("front") == ["4", "5", "6"]
    assert world.frontier.unseen([*ids, "7"]) == ["7"]
    assert (world.counter("admitted"), world.counter("left_out")) == (3, 3)
    assert world.frontier.admit(ids[:3], TIMELINE, None, epoch=epoch) == Admitted(0, 3, 0), "let in already"
    job = world.claim()
    assert world.page(job, found=[Found("8"), Found("4")]) == 1
    assert world.list("front") == ["4", "5", "6", "8"]
    world.configure(max_users=4)
    assert world.page(job, found=[Found("9")]) == 1
    assert world.frontier.admit(["9", "5"], TIMELINE, None, epoch=epoch) == Admitted(0, 1, 1), "found and let in"


def test_max_users_bounds_each_iteration_to_the_same_users(world: World) -> None:
    world.configure(max_users=2)
    epoch = world.lead()
    for kind in (TIMELINE, FOLLOWER):
        assert world.frontier.begin(epoch) == (1 if kind == TIMELINE else 2)
        assert sum(world.frontier.admit(["1", "2", "3", "4"], kind, None, epoch=epoch)[:2]) == 2
        for user in ("1", "2"):
            job = world.claim(Want(kind, None, 0))
            assert job.user == user
            world.queue.done(job, None)
        assert list(world.frontier.front_blocks()) == [["3", "4"]]
        assert world.frontier.iterate(epoch) is not None
    assert world.client.keys(world.keys.prefix + "let:1:*") == [], "nobody asks for an older iteration"
    assert world.frontier.begin(epoch) == 3
    assert world.frontier.admit(["3", "4"], TIMELINE, None, epoch=epoch) == Admitted(0, 2, 0)


def test_work_of_a_kind_that_is_not_wanted_does_not_hold_the_end_up(world: World) -> None:
    world.seeds("1", kind=FOLLOWER)
    world.configure(kinds=[TIMELINE])
    assert world.frontier.finished(world.lead())
    world.configure()
    assert not world.frontier.finished(world.lead())

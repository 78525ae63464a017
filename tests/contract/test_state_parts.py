"""Jobs that begin anew, and which parts of the archive belong to a job."""

from __future__ import annotations

from tests.contract.state_world import World
from twittomatic.job import Extent
from twittomatic.state.parts import named_segs


def test_a_job_whose_bytes_are_lost_begins_at_the_beginning(world: World) -> None:
    world.seeds("12")
    job = world.claim()
    world.page(job)
    world.queue.seal(job, {"twt": Extent("twt", job.token, 100, 7)})
    world.queue.park(job, reason="committed bytes were lost", anew=True)
    again = world.claim()
    assert again.user == "12"
    assert (again.cursor, again.seq, again.extents, again.sealed, again.clean) == (None, 0, {}, False, True)
    assert again.note == "committed bytes were lost"
    world.queue.park(again)
    assert world.claim().seq == 0


def test_a_parked_job_keeps_its_place(world: World) -> None:
    world.seeds("12")
    job = world.claim()
    world.page(job)
    world.queue.park(job)
    again = world.claim()
    assert (again.cursor, again.seq, set(again.extents)) == ("after 0", 1, {"twt"})


def test_the_segs_of_every_job_are_named(world: World) -> None:
    world.seeds("1", "2", "3", "4")
    running, delayed, dead, parked = (world.claim() for _ in range(4))
    for job in (running, delayed, dead, parked):
        world.page(job)
    world.queue.delay(delayed, 30, reason="slow")
    world.queue.dead(dead, "bug")
    world.queue.park(parked)
    tokens = {job.token for job in (running, delayed, dead, parked)}
    assert tokens <= named_segs(world.engine, world.keys)
    world.queue.done(running, None)
    assert running.token not in named_segs(world.engine, world.keys)


def test_settings_that_processes_share_are_changed_alone(world: World) -> None:
    before = world.crawl.settings()
    world.crawl.set(note="names", loaded_digest="ab")
    assert world.crawl.settings() == {**before, "note": "names", "loaded_digest": "ab"}

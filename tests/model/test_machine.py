"""Random histories of a crawl against the model: whatever happens, Redis holds what plain Python says it must."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import fakeredis
import pytest
import redis
import ujson
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.contract.state_world import LEASE, World, client_of, dump
from tests.model.crawl_model import CrawlModel
from twittomatic.errors import Fenced
from twittomatic.job import FOLLOWER, TIMELINE, UPDATE, Extent, Grant, Job
from twittomatic.state.crawl import CURSOR_REFUSED, text_map
from twittomatic.state.engine import FUNCTIONS, Caller, Engine
from twittomatic.state.keys import Keys
from twittomatic.state.queue import Found, Want

KINDS = (FOLLOWER, UPDATE, TIMELINE)
WISHES = (KINDS, (TIMELINE,), (UPDATE, FOLLOWER))
"""Kinds that the crawl may want, by turns; with the timeline users begin with that."""
NEEDED = "profiles"
"""The endpoint for which jobs are parked."""
IDS = st.sampled_from(["7", "9007199254740993", "9223372036854775807"])
MAX_ATTEMPTS = 3
HISTORIES = settings(
    max_examples=15,
    stateful_step_count=60,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # shrinking a history on a server takes longer than a test may
    suppress_health_check=list(HealthCheck),
)


class Pick(NamedTuple):
    """What one step is done with."""

    number: int
    ids: list[str]
    kinds: list[str]
    worker: str


PICKS = st.builds(
    Pick,
    number=st.integers(0, 999),
    ids=st.lists(IDS, min_size=1, max_size=3),
    kinds=st.permutations(KINDS),
    worker=st.sampled_from(["w1", "w2"]),
)


class Echo(Engine):
    """Sends a call twice when told to, and remembers the last call of every thread."""

    twice = False
    sent: dict[str, list[Any]]

    def call(self, function: str, keys: Keys, args: Mapping[str, Any], *, caller: Caller | None = None) -> list[Any]:
        command = self.command(function, keys, args, caller)
        reply = self.read(lambda client: client.execute_command(*command))
        if not FUNCTIONS[function].repeatable:
            fields = ujson.loads(command[-1])
            self.sent[f"{fields['worker']} {fields['slot']}"] = command
        if self.twice:
            assert FUNCTIONS[function].reads or reply == self.read(lambda client: client.execute_command(*command))
        return self.checked(function, reply)


class CrawlMachine(RuleBasedStateMachine):
    """Two workers and a master; every job that was ever claimed may be acted on, owned or not."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__()
        client.flushall()
        self.engine = Echo(client, flavor="test")
        self.engine.sent = {}
        self.world = World(client, self.engine)
        self.world.configure(kinds=list(KINDS), max_attempts=MAX_ATTEMPTS)
        self.queues = {name: self.world.worker(name) for name in ("w1", "w2")}
        self.instances = {name: self.world.registry.register(name, {"pid": 1}) for name in self.queues}
        self.epoch = self.world.calm()
        self.world.budget.settle(NEEDED, "a", kind=TIMELINE)
        self.model = CrawlModel(LEASE, MAX_ATTEMPTS, self.world.now, KINDS, ticked=self.world.now)
        self.model.excused_until = self.world.now
        self.held: list[Job] = []

    @rule(name=st.sampled_from(["admit", "claim", "act", "act", "move"]), pick=PICKS, twice=st.booleans())
    def step(self, name: str, pick: Pick, twice: bool) -> None:
        """One rule, so that every history mixes everything."""
        self.engine.twice = twice
        getattr(self, name)(pick)
        self.engine.twice = False

    def admit(self, pick: Pick) -> None:
        self.world.seeds(*pick.ids, kind=pick.kinds[0])
        self.model.admit(pick.ids, pick.kinds[0])

    def claim(self, pick: Pick) -> None:
        job = self.queues[pick.worker].claim([Want(kind, None, 0) for kind in pick.kinds], ["a"])
        expected = self.model.claim(pick.kinds, pick.worker)
        assert ((job.kind, job.user) if isinstance(job, Job) else None) == expected
        if isinstance(job, Job):
            known = self.model.jobs[job.kind, job.user]
            assert job.token not in {held.token for held in self.held}
            assert (job.cursor, job.seq, job.clean, job.sealed) == (known.cursor, known.seq, known.clean, known.sealed)
            assert (job.attempts, job.errors) == (known.attempts, known.errors)
            assert job.grant == (Grant(NEEDED, "a", 1) if known.needs and self.model.is_open else None)
            known.token, known.clean, known.needs = job.token, False, False
            self.held.append(job)

    def act(self, pick: Pick) -> None:
        """Do something with a job that is owned, now and then with any that ever was, which must be fenced."""
        owned = [job for job in self.held if self.owns(job)]
        candidates = owned if owned and pick.number % 5 else self.held
        if not candidates:
            return
        job = candidates[pick.number % len(candidates)]
        acts = (self.commit, self.commit, self.seal, self.park, self.delay, self.done, self.gone, self.dead)
        call, expect = acts[pick.number // 5 % len(acts)](job, pick)
        if self.owns(job):
            assert call() == expect()
        else:
            with pytest.raises(Fenced):
                call()

    def owns(self, job: Job) -> bool:
        return self.model.owns(job.kind, job.user, job.token)

    def commit(self, job: Job, pick: Pick) -> tuple[Callable[[], Any], Callable[[], Any]]:
        cursor = None if pick.number % 2 else f"after {job.seq}"
        extents = {"twt": Extent("twt", job.token, job.seq + 1, 1)}

        def call() -> int:
            new = self.world.queue.commit(job, cursor=cursor, extents=extents, found=[Found(id_) for id_ in pick.ids])
            job.seq += 1
            return new

        return call, lambda: self.model.commit(job.kind, job.user, cursor, job.seq, pick.ids)

    def seal(self, job: Job, pick: Pick) -> tuple[Callable[[], Any], Callable[[], Any]]:
        def expect() -> None:
            self.model.jobs[job.kind, job.user].sealed = True

        return lambda: self.world.queue.seal(job, {}), expect

    def park(self, job: Job, pick: Pick) -> tuple[Callable[[], Any], Callable[[], Any]]:
        needs = pick.number % 3 == 0
        return (
            lambda: self.world.queue.park(job, needs=NEEDED if needs else None),
            lambda: self.model.park(job.kind, job.user, needs=needs),
        )

    def delay(self, job: Job, pick: Pick) -> tuple[Callable[[], Any], Callable[[], Any]]:
        seconds = (0.0, 5.0, 90.0)[pick.number % 3]
        return (
            lambda: self.world.queue.delay(job, seconds, reason="slow"),
            lambda: self.model.delay(job.kind, job.user, seconds),
        )

    def done(self, job: Job, pick: Pick) -> tuple[Callable[[], Any], Callable[[], Any]]:
        later = (None, FOLLOWER)[pick.number % 2]
        already = pick.number % 3 == 0
        return (
            lambda: self.world.queue.done(job, later, {f"{job.kind}.already": 1} if already else {}),
            lambda: self.model.end(job.kind, job.user, "done", later, already=already),
        )

    def gone(self, job: Job, pick: Pick) -> tuple[Callable[[], Any], Callable[[], Any]]:
        return (
            lambda: self.world.queue.gone(job, "protected"),
            lambda: self.model.end(job.kind, job.user, "gone"),
        )

    def dead(self, job: Job, pick: Pick) -> tuple[Callable[[], Any], Callable[[], Any]]:
        is_refused = pick.number % 2 == 0
        return (
            lambda: self.world.queue.dead(job, CURSOR_REFUSED if is_refused else "bug"),
            lambda: self.model.bury(job.kind, job.user, is_refused=is_refused),
        )

    def move(self, pick: Pick) -> None:
        """Something that no job does."""
        moves = (
            self.time_passes, self.time_passes, self.beat, self.outage, self.kill_worker, self.retry, self.resend,
            self.wish, self.exhaust_or_open,
        )  # fmt: skip
        moves[pick.number % len(moves)](pick)

    def wish(self, pick: Pick) -> None:
        """Somebody starts the crawl again for other kinds."""
        kinds = WISHES[pick.number // 9 % len(WISHES)]
        start = TIMELINE if TIMELINE in kinds else UPDATE
        self.world.configure(kinds=list(kinds), start=start, max_attempts=MAX_ATTEMPTS)
        self.model.kinds, self.model.start = kinds, start

    def exhaust_or_open(self, pick: Pick) -> None:
        """What parked jobs need is used up, or is there again."""
        self.model.is_open = not self.model.is_open
        if self.model.is_open:
            self.world.budget.lift(NEEDED, "a")
        else:
            self.world.budget.stop(NEEDED, "a", "used up")

    def time_passes(self, pick: Pick) -> None:
        """Leases that nobody renews run out under a master that ticks."""
        for _ in range(1 + pick.number % 4):
            self.pass_and_tick(LEASE / 3)

    def outage(self, pick: Pick) -> None:
        """The server, or every master, is away for long."""
        self.pass_and_tick(10 * LEASE)

    def pass_and_tick(self, seconds: float) -> None:
        self.world.advance(seconds)
        self.model.now = self.world.now
        self.epoch = self.world.lead()
        self.world.leader.tick(self.epoch)
        self.model.tick()

    def beat(self, pick: Pick) -> None:
        """Every job ever claimed asks for its lease; only owners get it."""
        lost = self.world.queue.beat([(job.kind, job.user, job.token) for job in self.held])
        owned = [job for job in self.held if self.owns(job)]
        assert lost == {job.token for job in self.held} - {job.token for job in owned}
        for job in owned:
            self.model.leases[job.kind, job.user] = self.world.now + LEASE

    def kill_worker(self, pick: Pick) -> None:
        """Somebody saw the process dead and starts it again under its name."""
        instance = self.instances[pick.worker]
        self.instances[pick.worker] = self.world.registry.register(pick.worker, {"pid": 2}, replaces=instance)
        self.model.kill(pick.worker)

    def retry(self, pick: Pick) -> None:
        members = [member.decode() for member in self.world.client.zrange(self.world.keys.dead, 0, -1)]
        order = [(kind, user) for kind, _, user in (member.partition(":") for member in members)]
        assert set(order) == self.model.dead
        assert self.world.crawl.retry() == self.model.retry(order)

    def resend(self, pick: Pick) -> None:
        """The last call of every thread is delivered once more."""
        before = dump(self.world.client)
        for command in self.engine.sent.values():
            self.world.client.execute_command(*command)
        assert dump(self.world.client) == before

    def teardown(self) -> None:
        """Whatever has happened, workers that go on bring every wanted kind to its end."""
        self.world.budget.lift(NEEDED, "a")
        for name, instance in self.instances.items():
            self.world.registry.register(name, {"pid": 3}, replaces=instance)
        for _ in range(4):
            self.world.advance(LEASE / 2)
            self.world.leader.tick(self.world.lead())
            while isinstance(job := self.queues["w1"].claim([Want(kind, None, 0) for kind in KINDS], ["a"]), Job):
                self.world.queue.done(job, None)
        assert self.world.frontier.finished(self.world.lead())

    @invariant()
    def redis_holds_what_the_model_says(self) -> None:
        client, keys, model = self.world.client, self.world.keys, self.model
        held = {key.removeprefix(keys.prefix): value for key, value in dump(client).items()}
        for kind in KINDS:
            assert [item.decode() for item in held.get(f"q:{kind}", [])] == model.queued.get(kind, [])
            assert [item.decode() for item in held.get(f"r:{kind}", [])] == model.resuming.get(kind, [])
        for zset, scores in (("lease", model.leases), ("delay", model.delayed)):
            members = {tuple(member.decode().split(":")): at / 1000 for member, at in held.get(zset, [])}
            assert members == scores
            for kind in KINDS:
                told = int(text_map(held.get("now", {})).get(f"{zset}:{kind}", 0))
                assert told == sum(place[0] == kind for place in scores)
        jobs = {tuple(name.split(":")[1:]): text_map(job) for name, job in held.items() if name.startswith("j:")}
        assert jobs.keys() == model.jobs.keys()
        for place, job in model.jobs.items():
            assert (jobs[place]["state"], jobs[place]["token"]) == (job.state, job.token)
            assert int(jobs[place].get("attempts", 0)) == job.attempts
            assert ("needs" in jobs[place], "worked" in jobs[place]) == (job.needs, job.worked)
        seen = {member.decode() for name, ids in held.items() if name.startswith("s:") for member in ids}
        assert seen == model.seen
        totals = text_map(held.get("cnt", {}))
        assert {name: int(totals.get(f"1|{name}", 0)) for name in model.totals} == model.totals
        assert self.world.frontier.finished(self.world.lead()) == model.is_finished()


def test_on_the_server_in_memory() -> None:
    client = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    run_state_machine_as_test(lambda: CrawlMachine(client), settings=HISTORIES)


def test_on_a_real_server(real_redis: redis.Redis, redis_server: int) -> None:
    client = client_of(redis_server)
    run_state_machine_as_test(lambda: CrawlMachine(client), settings=settings(HISTORIES, max_examples=40))
    client.close()

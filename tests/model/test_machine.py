"""Random histories of a crawl against the model: whatever happens, Redis holds what plain Python says it must."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import fakeredis
import pytest
import redis
import ujson
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.contract.state_world import LEASE, START, World, client_of, dump
from tests.model.crawl_model import CrawlModel
from twittomatic.errors import Fenced
from twittomatic.job import FOLLOWER, TIMELINE, UPDATE, Extent, Job
from twittomatic.state.engine import FUNCTIONS, Caller, Engine
from twittomatic.state.keys import Keys
from twittomatic.state.queue import Found, Want

KINDS = (FOLLOWER, UPDATE, TIMELINE)
IDS = st.sampled_from(["7", "9007199254740993", "9223372036854775807"])
WORKERS = st.sampled_from(["w1", "w2"])
MAX_ATTEMPTS = 3
FAST = settings(
    max_examples=30,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # shrinking a history on a server takes longer than a test may
    suppress_health_check=list(HealthCheck),
)


class Echo(Engine):
    """Sends a call twice when told to, and remembers the last call of every thread."""

    twice = False
    sent: dict[str, list[Any]]

    def call(
        self, function: str, keys: Keys, args: Mapping[str, Any], *, caller: Caller | None = None
    ) -> list[Any]:
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
        self.model = CrawlModel(LEASE, MAX_ATTEMPTS, self.world.now, ticked=self.world.now)
        self.model.excused_until = self.world.now
        self.held: list[Job] = []

    @rule(ids=st.lists(IDS, max_size=3), kind=st.sampled_from(KINDS), twice=st.booleans())
    def admit(self, ids: list[str], kind: str, twice: bool) -> None:
        self.engine.twice = twice
        self.world.seeds(*ids, kind=kind)
        self.model.admit(ids, kind)

    @rule(worker=WORKERS, kinds=st.permutations(KINDS), twice=st.booleans())
    def claim_again(self, worker: str, kinds: list[str], twice: bool) -> None:
        self.claim(worker, kinds, twice)

    @rule(worker=WORKERS, kinds=st.permutations(KINDS), twice=st.booleans())
    def claim(self, worker: str, kinds: list[str], twice: bool) -> None:
        self.engine.twice = twice
        job = self.queues[worker].claim([Want(kind, None, 0) for kind in kinds], [])
        expected = self.model.claim(kinds, worker)
        assert ((job.kind, job.user) if isinstance(job, Job) else None) == expected
        if isinstance(job, Job):
            known = self.model.jobs[job.kind, job.user]
            assert job.token not in {held.token for held in self.held}
            assert (job.cursor, job.seq, job.clean, job.sealed) == (known.cursor, known.seq, known.clean, known.sealed)
            assert (job.attempts, job.errors) == (known.attempts, known.errors)
            known.token, known.clean = job.token, False
            self.held.append(job)

    def act(self, chosen: int, twice: bool, call: Callable[[Job], Any], expect: Callable[[Job], Any]) -> None:
        """Do it with a job that is owned, now and then with any that ever was, which must be fenced."""
        self.engine.twice = twice
        owned = [job for job in self.held if self.model.owns(job.kind, job.user, job.token)]
        candidates = owned if owned and chosen % 4 else self.held
        job = candidates[chosen % len(candidates)]
        if self.model.owns(job.kind, job.user, job.token):
            assert call(job) == expect(job)
        else:
            with pytest.raises(Fenced):
                call(job)

    @precondition(lambda self: self.held)
    @rule(chosen=st.integers(0, 99), found=st.lists(IDS, max_size=4), over=st.booleans(), twice=st.booleans())
    def commit(self, chosen: int, found: list[str], over: bool, twice: bool) -> None:
        def call(job: Job) -> int:
            cursor = None if over else f"after {job.seq}"
            extents = {"twt": Extent("twt", job.token, job.seq + 1, 1)}
            ids = [Found(id_) for id_ in found]
            new = self.world.queue.commit(job, cursor=cursor, extents=extents, found=ids)
            job.cursor, job.seq = cursor, job.seq + 1
            return new

        self.act(chosen, twice, call, lambda job: self.model.commit(job.kind, job.user, job.cursor, job.seq, found))

    @precondition(lambda self: self.held)
    @rule(chosen=st.integers(0, 99), twice=st.booleans())
    def seal(self, chosen: int, twice: bool) -> None:
        def expect(job: Job) -> None:
            self.model.jobs[job.kind, job.user].sealed = True

        self.act(chosen, twice, lambda job: self.world.queue.seal(job, {}), expect)

    @precondition(lambda self: self.held)
    @rule(chosen=st.integers(0, 99), twice=st.booleans())
    def park(self, chosen: int, twice: bool) -> None:
        self.act(chosen, twice, self.world.queue.park, lambda job: self.model.park(job.kind, job.user))

    @precondition(lambda self: self.held)
    @rule(chosen=st.integers(0, 99), seconds=st.sampled_from([0.0, 5.0, 90.0]), twice=st.booleans())
    def delay(self, chosen: int, seconds: float, twice: bool) -> None:
        self.act(
            chosen,
            twice,
            lambda job: self.world.queue.delay(job, seconds, reason="slow"),
            lambda job: self.model.delay(job.kind, job.user, seconds),
        )

    @precondition(lambda self: self.held)
    @rule(chosen=st.integers(0, 99), next_kind=st.sampled_from([None, FOLLOWER]), twice=st.booleans())
    def done(self, chosen: int, next_kind: str | None, twice: bool) -> None:
        self.act(
            chosen,
            twice,
            lambda job: self.world.queue.done(job, next_kind),
            lambda job: self.model.end(job.kind, job.user, "done", next_kind),
        )

    @precondition(lambda self: self.held)
    @rule(chosen=st.integers(0, 99), dies=st.booleans(), twice=st.booleans())
    def end_badly(self, chosen: int, dies: bool, twice: bool) -> None:
        if dies:
            self.act(
                chosen, twice, lambda job: self.world.queue.dead(job, "bug"),
                lambda job: self.model.bury(job.kind, job.user),
            )  # fmt: skip
        else:
            self.act(
                chosen, twice, lambda job: self.world.queue.gone(job, "protected"),
                lambda job: self.model.end(job.kind, job.user, "gone"),
            )  # fmt: skip

    @rule()
    def beat(self) -> None:
        """Every job ever claimed asks for its lease; only owners get it."""
        lost = self.world.queue.beat([(job.kind, job.user, job.token) for job in self.held])
        owned = [job for job in self.held if self.model.owns(job.kind, job.user, job.token)]
        assert lost == {job.token for job in self.held} - {job.token for job in owned}
        for job in owned:
            self.model.leases[job.kind, job.user] = self.world.now + LEASE

    @rule(thirds=st.integers(1, 4), twice=st.booleans())
    def time_passes(self, thirds: int, twice: bool) -> None:
        """Leases that nobody renews run out under a master that ticks."""
        self.engine.twice = twice
        for _ in range(thirds):
            self.pass_and_tick(LEASE / 3)

    @rule()
    def outage(self) -> None:
        """The server, or every master, is away for long."""
        self.pass_and_tick(10 * LEASE)

    def pass_and_tick(self, seconds: float) -> None:
        self.world.advance(seconds)
        self.model.now = self.world.now
        self.epoch = self.world.lead()
        self.world.leader.tick(self.epoch)
        self.model.tick()

    @rule(worker=WORKERS, twice=st.booleans())
    def kill_worker(self, worker: str, twice: bool) -> None:
        """Somebody saw the process dead and starts it again under its name."""
        self.engine.twice = twice
        instance = self.instances[worker]
        self.instances[worker] = self.world.registry.register(worker, {"pid": 2}, replaces=instance)
        self.model.kill(worker)

    @rule()
    def retry_the_dead(self) -> None:
        dead = self.model.dead
        order = [member.decode() for member in self.world.client.zrange(self.world.keys.dead, 0, -1)]
        assert {tuple(member.split(":")) for member in order} == dead
        assert self.world.crawl.retry() == self.model.retry()
        for kind in KINDS:  # they died in another order than the model keeps
            moved = [member.partition(":")[2] for member in order if member.startswith(f"{kind}:")]
            line = self.model.resuming.setdefault(kind, [])
            line[len(line) - len(moved) :] = moved

    @rule()
    def late_duplicates(self) -> None:
        """The last call of every thread is delivered once more."""
        before = dump(self.world.client)
        for command in self.engine.sent.values():
            self.world.client.execute_command(*command)
        assert dump(self.world.client) == before

    @invariant()
    def redis_holds_what_the_model_says(self) -> None:
        client, keys, model = self.world.client, self.world.keys, self.model
        for kind in KINDS:
            assert self.world.list(f"q:{kind}") == model.queued.get(kind, [])
            assert self.world.list(f"r:{kind}") == model.resuming.get(kind, [])
        for zset, scores in ((keys.leases, model.leases), (keys.delayed, model.delayed)):
            members = client.zrange(zset, 0, -1, withscores=True)
            assert {tuple(member.decode().split(":")): at / 1000 for member, at in members} == scores
        assert {key.decode().split("j:")[1] for key in client.keys(keys.job("*", "*"))} == {
            f"{kind}:{user}" for kind, user in model.jobs
        }
        for (kind, user), job in model.jobs.items():
            fields = client.hgetall(keys.job(kind, user))
            assert (fields[b"state"].decode(), fields[b"token"].decode()) == (job.state, job.token)
            assert int(fields.get(b"attempts", 0)) == job.attempts
        seen = {member.decode() for key in client.keys(keys.prefix + "s:*") for member in client.smembers(key)}
        assert seen == model.seen
        snapshot = self.world.snapshot()
        assert {name: snapshot.counters.get(name, 0) for name in model.totals} == model.totals
        assert self.world.frontier.finished(self.world.lead()) == model.is_finished(KINDS)


def machine_on(client: redis.Redis) -> Callable[[], CrawlMachine]:
    return lambda: CrawlMachine(client)


def test_on_the_server_in_memory() -> None:
    run_state_machine_as_test(machine_on(fakeredis.FakeRedis(server=fakeredis.FakeServer())), settings=FAST)


def test_on_a_real_server(real_redis: redis.Redis, redis_server: int) -> None:
    client = client_of(redis_server)
    run_state_machine_as_test(machine_on(client), settings=settings(FAST, max_examples=50))
    client.close()


assert START % LEASE == 0, "times in the model are whole, so that they compare equal to Redis's milliseconds"

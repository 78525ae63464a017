"""A crawl on a server of the tests' own, with a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import redis

from twittomatic.job import FOLLOWER, TIMELINE, Extent, Job
from twittomatic.state.budget import Budget
from twittomatic.state.crawl import Crawl
from twittomatic.state.engine import CLIENT_OPTIONS, FUNCTIONS, Caller, Engine
from twittomatic.state.frontier import Frontier
from twittomatic.state.keys import Keys
from twittomatic.state.leader import Leader, Lease
from twittomatic.state.ledger import Ledger
from twittomatic.state.queue import Queue, Want
from twittomatic.state.registry import Registry
from twittomatic.state.snapshot import Snapshot, snapshot

START = 1_800_000_000.0
BUCKETS = 64
LEASE = 60.0
FREE = Want(TIMELINE, None, 0)
"""A timeline that needs no grant."""


_READERS: dict[bytes, Callable[[Any, bytes], Any]] = {
    b"string": lambda reader, key: reader.get(key),
    b"list": lambda reader, key: reader.lrange(key, 0, -1),
    b"hash": lambda reader, key: reader.hgetall(key),
    b"set": lambda reader, key: reader.smembers(key),
    b"zset": lambda reader, key: reader.zrange(key, 0, -1, withscores=True),
    b"stream": lambda reader, key: reader.xrange(key),
}


def dump(client: Any) -> dict[str, Any]:
    """Everything that the server holds."""
    keys = client.keys("*")
    types, values = client.pipeline(transaction=False), client.pipeline(transaction=False)
    for key in keys:
        types.type(key)
    for key, kind in zip(keys, types.execute(), strict=True):
        _READERS[kind](values, key)
    return dict(zip([key.decode() for key in keys], values.execute(), strict=True))


class Stutter(Engine):
    """Sends every call twice, as a client does that missed the reply, and looks whether the second did anything."""

    def call(self, function: str, keys: Keys, args: Mapping[str, Any], *, caller: Caller | None = None) -> list[Any]:
        command = self.command(function, keys, args, caller)
        first = self.read(lambda client: client.execute_command(*command))
        after_first = dump(self.client)
        second = self.read(lambda client: client.execute_command(*command))
        assert dump(self.client) == after_first, f"{function} had an effect when it came twice"
        if not FUNCTIONS[function].reads:
            assert first == second
        return self.checked(function, second)


@dataclass
class World:
    """One crawl named ``c`` in the namespace ``t``, with everything that a test calls."""

    client: redis.Redis
    engine: Engine
    keys: Keys = field(default_factory=lambda: Keys("t", "c"))
    now: float = START

    def __post_init__(self) -> None:
        self.engine.prepare()
        self.at(START)
        self.crawl = Crawl(self.engine, self.keys)
        self.leader = Leader(self.engine, self.keys, Caller("master", "0"))
        self.registry = Registry(self.engine, self.keys)
        self.ledger = Ledger(self.engine, self.keys)
        self.queue = self.worker("w1")
        self.frontier = self.frontier_of(Caller("master", "1"))
        self.budget = Budget(self.engine, self.keys, Caller("w1", "b"))
        self.configure()

    def at(self, now: float) -> None:
        """Set the server's clock, unix seconds."""
        self.now = now
        self.client.set(self.keys.clock, round(now * 1000))

    def advance(self, seconds: float) -> None:
        self.at(self.now + seconds)

    def configure(self, **changes: Any) -> dict[str, str]:
        settings: dict[str, Any] = {
            "kinds": [TIMELINE, FOLLOWER],
            "start": TIMELINE,
            "traversal": "bfs",
            "buckets": BUCKETS,
            "lease_seconds": LEASE,
        }
        return self.crawl.configure(**(settings | changes))

    def worker(self, name: str, instance: str = "") -> Queue:
        return Queue(self.engine, self.keys, Caller(name, "0", instance), buckets=BUCKETS)

    def frontier_of(self, caller: Caller) -> Frontier:
        return Frontier(self.engine, self.keys, caller, buckets=BUCKETS)

    def seeds(self, *ids: str, kind: str = TIMELINE) -> None:
        self.frontier.admit(ids, kind, None)

    def claim(self, *wants: Want, queue: Queue | None = None, credentials: tuple[str, ...] = ("a",)) -> Job:
        """The next job, which there must be."""
        job = (queue or self.queue).claim(wants or (FREE,), credentials)
        assert isinstance(job, Job), job
        return job

    def page(self, job: Job, **more: Any) -> int:
        """Commit one page of nothing in particular."""
        extents = {"twt": Extent("twt", job.token, 100 * (job.seq + 1), 7)}
        new = self.queue.commit(job, **{"cursor": f"after {job.seq}", "extents": extents, **more})
        job.seq += 1
        return new

    def lead(self, master: str = "m1", **more: Any) -> str:
        lease = self.leader.lead(master, {"pid": 1}, **more)
        assert isinstance(lease, Lease), lease
        return lease.epoch

    def calm(self) -> str:
        """Lead, past the time in which lost leases are excused; the epoch."""
        self.leader.tick(self.lead())
        self.advance(LEASE)
        return self.keep_ticking(0)

    def keep_ticking(self, seconds: float) -> str:
        """Let time pass under a master that ticks; the epoch."""
        end = self.now + seconds
        while True:
            epoch = self.lead()
            self.leader.tick(epoch)
            if self.now >= end:
                return epoch
            self.advance(min(LEASE / 3, end - self.now))

    def snapshot(self) -> Snapshot:
        return snapshot(self.engine, self.keys)

    def counter(self, name: str) -> int:
        return self.snapshot().counters.get(name, 0)

    def list(self, name: str) -> list[str]:
        """A list of the crawl, by the end of its name."""
        return [item.decode() for item in self.client.lrange(self.keys.prefix + name, 0, -1)]


def client_of(port: int) -> redis.Redis:
    """A client as the project makes them."""
    return redis.Redis(host="127.0.0.1", port=port, **CLIENT_OPTIONS)

"""A crawl inside one process: a real server, a real twin, a real archive; with hooks where things go wrong."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from tests.conftest import wait_until
from tests.contract.state_world import client_of
from twittomatic.archive.base import End
from twittomatic.archive.gzip_files import GzipArchive
from twittomatic.clock import SystemClock
from twittomatic.emulator.faults import FaultPlan
from twittomatic.emulator.server import Emulator, EmulatorOptions
from twittomatic.job import CLAIM_ORDER, INT64, TIMELINE, Job
from twittomatic.kinds import KINDS
from twittomatic.kinds.base import Desk, Result, Services
from twittomatic.kinds.calls import Calls, Health
from twittomatic.kinds.plan import first_kind
from twittomatic.policy import Policy
from twittomatic.sources import make_source
from twittomatic.sources.base import Page
from twittomatic.sources.credentials import BEARER, Credential
from twittomatic.state.budget import Budget
from twittomatic.state.crawl import Crawl
from twittomatic.state.engine import Caller, Engine
from twittomatic.state.frontier import Frontier
from twittomatic.state.keys import Keys
from twittomatic.state.leader import Leader, Lease
from twittomatic.state.queue import Queue, Want
from twittomatic.state.registry import Registry
from twittomatic.state.snapshot import Snapshot, snapshot
from twittomatic.worker import Worker

BUCKETS = 8
Hook = Callable[[str, str, int], None]
"""Called before each request with the endpoint, whom it is for, and its number, from 1."""


class Hooked:
    """A source with something happening before its requests, and pages as short as a test likes them."""

    def __init__(self, inner: Any, stage: Stage) -> None:
        self._inner = inner
        self._stage = stage

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def _note(self, endpoint: str, who: str) -> None:
        self._stage.asked.append((endpoint, who))
        self._stage.before_request(endpoint, who, len(self._stage.asked))

    def timeline(self, user: str, cursor: str | None, **more: Any) -> Page:
        self._note("timeline", user)
        found: Page = self._inner.timeline(user, cursor, **{"limit": self._stage.page} | more)
        return found

    def followers(self, user: str, cursor: str | None, **more: Any) -> Page:
        self._note("followers", user)
        found: Page = self._inner.followers(user, cursor, **{"limit": self._stage.page} | more)
        return found

    def profiles(self, ids: Sequence[str], **more: Any) -> Page:
        self._note("profiles", ",".join(ids))
        found: Page = self._inner.profiles(ids, **more)
        return found

    def names(self, names: Sequence[str], **more: Any) -> Page:
        self._note("names", ",".join(names))
        found: Page = self._inner.names(names, **more)
        return found


@dataclass
class Stage:
    """One crawl. page: items that are asked for at once; asked: endpoint and user of every request that was made."""

    client: redis.Redis
    twin: Emulator
    root: Path
    source_name: str = "x_v2"
    kinds: Sequence[str] = (TIMELINE,)
    traversal: str = "default"
    lease_seconds: float = 60.0
    credentials: Sequence[str] = ("app",)
    rules: dict[str, Any] = field(default_factory=lambda: {"protected": False})
    page: int | None = None
    before_request: Hook = lambda endpoint, who, number: None
    asked: list[tuple[str, str]] = field(default_factory=list)
    archive: Any = None

    def __post_init__(self) -> None:
        self.engine = Engine(self.client, patience_seconds=5)
        self.engine.prepare()
        self.keys = Keys("t", "c")
        self.clock = SystemClock()
        self.stop = threading.Event()
        self.health = Health()
        self.archive = self.archive or GzipArchive(self.root, id_form=INT64, fsync=False)
        self.crawl = Crawl(self.engine, self.keys)
        self.frontier = Frontier(self.engine, self.keys, Caller("master", "main"), buckets=BUCKETS)
        self.leader = Leader(self.engine, self.keys, Caller("master", "rounds"))
        self.registry = Registry(self.engine, self.keys)
        self.want(*self.kinds)
        lease = self.leader.lead("m1", {"pid": 1})
        assert isinstance(lease, Lease)
        self.epoch = lease.epoch
        self.frontier.begin(self.epoch)

    def want(self, *kinds: str) -> None:
        """What the crawl is to do with each user."""
        self.crawl.configure(
            kinds=list(kinds), start=first_kind(kinds), traversal=self.traversal, buckets=BUCKETS,
            lease_seconds=self.lease_seconds,
        )  # fmt: skip

    def services(self, slot: str = "0", worker: str = "w1", instance: str = "") -> Services:
        """What a thread of a worker has."""
        caller = Caller(worker, slot, instance)
        held = {label: Credential(label, BEARER, [f"token-of-{label}"]) for label in self.credentials}
        source = make_source(
            self.source_name, credentials=held, api_url=self.twin.url, contact="", timeout=(2.0, 5.0), clock=self.clock,
            dialect="tweet", fields={},
        )  # fmt: skip
        prices = {"post": 5000, "user": 10_000, "follower": 10_000}
        budget = Budget(self.engine, self.keys, caller)
        return Services(
            source=Hooked(source, self),
            archive=self.archive,
            queue=Queue(self.engine, self.keys, caller, buckets=BUCKETS),
            frontier=Frontier(self.engine, self.keys, caller, buckets=BUCKETS),
            calls=Calls(budget, list(held), prices, self.clock, self.stop, self.health),
            policy=Policy(self.rules),
            clock=self.clock,
            crawl="c",
            worker=worker,
            lease_seconds=self.lease_seconds,
            stop=self.stop,
        )

    def admit(self, *users: str, kind: str | None = None) -> None:
        self.frontier.admit(users, kind or first_kind(self.kinds), None)

    def claim(self, services: Services) -> Job:
        """The next job, which there must be."""
        wants = [Want(kind, KINDS[kind].endpoint, KINDS[kind].calls) for kind in CLAIM_ORDER]
        job = services.queue.claim(wants, self.credentials)
        assert isinstance(job, Job), job
        return job

    def run(self, user: str, kind: str) -> Result:
        """Run one job to its end in this thread, as a worker does, and finish it."""
        wanted = self.crawl.settings()["kinds"].split(",")
        if kind not in wanted:
            self.want(*wanted, kind)
        self.admit(user, kind=kind)
        services = self.services()
        job = self.claim(services)
        assert (job.user, job.kind) == (user, kind)
        desk = Desk(job, services, lambda: None)
        result = KINDS[kind].run(desk)
        if result.state == "gone":
            services.queue.gone(job, result.reason)
        else:
            services.queue.done(job, None)
        services.source.close()
        return result

    def worker(self, name: str = "w1", threads: int = 1) -> Worker:
        instance = self.registry.register(name, {"pid": 1})
        return Worker(
            name=name,
            beats=Queue(self.engine, self.keys, Caller(name, "beat", instance), buckets=BUCKETS),
            services=lambda slot: self.services(slot, name, instance),
            credentials=list(self.credentials),
            wanted=lambda: self.crawl.settings()["kinds"].split(","),
            kinds=list(CLAIM_ORDER),
            threads=threads,
            lease_seconds=self.lease_seconds,
            clock=self.clock,
            health=self.health,
            stop=self.stop,
            leave=lambda: self.registry.leave(name, instance),
        )

    @contextmanager
    def working(self, name: str = "w1", threads: int = 1) -> Iterator[Worker]:
        """A worker at work, and a master's rounds, until the block ends."""
        self.stop.clear()
        worker = self.worker(name, threads)
        thread = threading.Thread(target=worker.run)
        thread.start()
        try:
            yield worker
        finally:
            self.stop.set()
            thread.join(20)
            assert not thread.is_alive()

    def work(self, until: Callable[[], object] | None = None, *, threads: int = 1, seconds: float = 30.0) -> None:
        """Let a worker work until a condition holds, or until nothing is left to do."""
        condition = until or self.is_finished

        def so() -> object:
            self.leader.tick(self.epoch)
            return self.stop.is_set() or condition()

        with self.working(threads=threads):
            wait_until(so, seconds, "the end of the work")

    def is_finished(self) -> bool:
        return self.frontier.finished(self.epoch)

    def reap(self, worker: str) -> str:
        """A worker is known to be dead: what it held goes back in line at once."""
        holder = self.registry.holder(worker)
        assert holder is not None
        return self.registry.register(worker, {"pid": 2}, replaces=holder.instance)

    def snapshot(self) -> Snapshot:
        return snapshot(self.engine, self.keys)

    def counter(self, name: str) -> int:
        return self.snapshot().counters.get(name, 0)

    def job(self, kind: str, user: str) -> dict[str, str]:
        """The job's hash, empty when there is none."""
        return {name.decode(): value.decode() for name, value in self.client.hgetall(self.keys.job(kind, user)).items()}

    def path(self, user: str, suffix: str) -> Path:
        return GzipArchive(self.root, id_form=INT64).final_path(user, suffix)

    def lines(self, user: str, suffix: str) -> list[bytes]:
        """Lines of a final as zcat reads them."""
        return gzip.decompress(self.path(user, suffix).read_bytes()).split(b"\n")[:-1]

    def end(self, user: str, suffix: str) -> End:
        found = GzipArchive(self.root, id_form=INT64).end_of(user, suffix)
        assert found is not None, f"{user} has no .{suffix}"
        return found

    def parts(self) -> list[str]:
        return sorted(path.name for path in (self.root / ".parts").glob("*/*"))

    def asked_of(self, endpoint: str, user: str | None = None) -> int:
        return sum(name == endpoint and user in (None, who) for name, who in self.asked)


class Stages:
    """Makes stages over twins of a test's own, and closes them."""

    def __init__(self, redis_port: int, root: Path, edges: Path, talk: Path) -> None:
        self._port, self._root, self._edges, self._talk = redis_port, root, edges, talk
        self._twins: list[Emulator] = []
        self._clients: list[redis.Redis] = []

    def __call__(self, *, faults: FaultPlan | None = None, **more: Any) -> Stage:
        twin = Emulator(
            EmulatorOptions(graph=self._edges, tweets=self._talk, faults=faults, short_pages=0.0, hidden=0.0)
        )
        twin.start()
        self._twins.append(twin)
        client = client_of(self._port)
        self._clients.append(client)
        return Stage(client, twin, self._root, **more)

    def close(self) -> None:
        for twin in self._twins:
            twin.stop()
        for client in self._clients:
            client.close()

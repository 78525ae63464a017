"""The only module that builds objects from settings, and the only one that creates a Redis client."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import redis
from redis.sentinel import Sentinel

from twittomatic import __version__, logs, seeds
from twittomatic.archive.gzip_files import GzipArchive
from twittomatic.bus import Bus
from twittomatic.clock import SystemClock
from twittomatic.config import DEFAULT, Settings, default_of
from twittomatic.embedded import running_url
from twittomatic.errors import (
    CredentialsError,
    InUse,
    SeedsError,
    SettingsError,
    StateError,
    StateUnavailable,
    Unsuitable,
)
from twittomatic.job import TWT, UPDATE, IdForm
from twittomatic.kinds import KINDS
from twittomatic.kinds.base import Services
from twittomatic.kinds.calls import Calls, Health
from twittomatic.lifecycle import is_alive, machine, process_started
from twittomatic.loading import HELD_DIGEST, FileSeeds, HeldSeeds, Loader, SeedList
from twittomatic.master import Master, Wish
from twittomatic.names import Names
from twittomatic.policy import Policy
from twittomatic.sources import SEED_FORMS, SOURCES, make_source
from twittomatic.sources.base import Source
from twittomatic.sources.credentials import Credential, load_credentials
from twittomatic.state.budget import Budget
from twittomatic.state.crawl import Crawl
from twittomatic.state.engine import CLIENT_OPTIONS, Caller, Engine
from twittomatic.state.frontier import Frontier
from twittomatic.state.keys import Keys
from twittomatic.state.leader import Leader
from twittomatic.state.parts import named_segs
from twittomatic.state.persistence import WARNING, WRONG, keeping
from twittomatic.state.queue import Queue
from twittomatic.state.registry import Registry
from twittomatic.state.snapshot import Snapshot, snapshot
from twittomatic.worker import Worker

log = logs.get(__name__)

IDS_PER_BUCKET = 350
"""Ids that a bucket of the seen set should hold; from 512 on a server with the usual settings changes its form."""
CRAWL_LOOK_SECONDS = 0.2
FIRST_CONTACT_SECONDS = 5.0
"""How long a start waits for the Redis server; later it is waited for ten times as long."""


class Wiring:
    """Objects of one process, built when they are first asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = SystemClock()
        for secret in settings.secrets():
            logs.hide(secret)

    def client(self) -> redis.Redis:
        """A client without retries of its own. SettingsError without any server."""
        options: dict[str, Any] = dict(CLIENT_OPTIONS)
        if self.settings.REDIS_PASSWORD:
            options["password"] = self.settings.REDIS_PASSWORD
        if self.settings.SENTINELS:
            pairs = [entry.rpartition(":") for entry in self.settings.SENTINELS]
            try:
                addresses = [(host, int(port)) for host, _, port in pairs]
            except ValueError:
                raise SettingsError(f"SENTINELS is {self.settings.SENTINELS!r}", "it takes host:port each") from None
            sentinel: Any = Sentinel(addresses, sentinel_kwargs={"socket_timeout": 2}, **options)  # type: ignore[no-untyped-call]
            client: redis.Redis = sentinel.master_for(self.settings.SENTINEL_SERVICE)
            return client
        url = self.settings.REDIS_URL or running_url(self.settings.OUTPUT_DIRECTORY / ".redis")
        if not url:
            raise SettingsError(
                "no Redis is configured, and no crawl of this folder has one running",
                "set REDIS_URL (or --redis); `twittomatic crawl` starts a private server by itself",
            )
        try:
            return redis.Redis.from_url(url, **options)
        except ValueError as error:
            raise SettingsError(f"REDIS_URL cannot be used: {error}", "write redis://host:6379/0") from error

    @cached_property
    def _engine(self) -> Engine:
        return Engine(self.client())

    def engine(self) -> Engine:
        """The functions of the crawl state."""
        return self._engine

    @cached_property
    def keys(self) -> Keys:
        """Key names of this crawl."""
        return Keys(self.settings.NAMESPACE, self.settings.CRAWL)

    def bus(self) -> Bus:
        """What carries the events of this deployment."""
        return Bus(self.client(), self.keys.deployment)

    def id_form(self) -> IdForm:
        """How the source's network spells ids."""
        return SOURCES[self._source_name()].id_form

    def _source_name(self) -> str:
        if self.settings.SOURCE not in SOURCES:
            raise SettingsError(f"SOURCE is {self.settings.SOURCE!r}", f"known are {', '.join(SOURCES)}")
        return self.settings.SOURCE

    def seed_form(self) -> seeds.Parser:
        """How a line of a seeds file names a user of the source's network."""
        return SEED_FORMS[self._source_name()]

    def archive(self) -> GzipArchive:
        """The archive of the output folder."""
        return GzipArchive(
            self.settings.OUTPUT_DIRECTORY,
            parts=self.settings.TEMPORARY_DIRECTORY,
            id_form=self.id_form(),
            level=self.settings.COMPRESSION,
        )

    def credentials(self) -> Mapping[str, Credential]:
        """Every credential by label, its secrets hidden from the logs."""
        file = self.settings.CREDENTIALS_FILE
        if self.settings.origin("CREDENTIALS_FILE") != DEFAULT and not file.exists():
            raise CredentialsError(f"{file}, named by CREDENTIALS_FILE, is not there", "write it (mode 600)")
        found = load_credentials(file, os.environ)
        for credential in found.values():
            for secret in credential.reveal():
                logs.hide(secret)
        return found

    def needed_credentials(self) -> Mapping[str, Credential]:
        """The same. CredentialsError when there is none."""
        found = self.credentials()
        if not found:
            raise CredentialsError(
                "no credentials are configured",
                f"write {self.settings.CREDENTIALS_FILE} (mode 600) or set TWITTOMATIC_BEARER",
            )
        return found

    def source(self, credentials: Mapping[str, Credential]) -> Source:
        """A source with its own connections, for one thread."""
        return make_source(
            self._source_name(),
            credentials=credentials,
            api_url=self.settings.API_URL,
            contact=self.settings.CONTACT,
            timeout=(5.0, self.settings.REQUEST_SECONDS),
            clock=self.clock,
            dialect=self.settings.DIALECT,
            fields=self.settings.FIELDS,
        )

    def policy(self) -> Policy:
        """The rules of FOLLOW. SettingsError for a wrong one."""
        return Policy(self.settings.FOLLOW, SOURCES[self._source_name()].profile_lacks)

    def prices_micro(self) -> dict[str, int]:
        """Micro-dollars by resource."""
        prices = {**default_of("PRICES"), **self.settings.PRICES}
        return {resource: round(price * 1_000_000) for resource, price in prices.items()}

    def check_server(self) -> list[str]:
        """Load the functions; warnings about a server that may lose the crawl's state. Unsuitable for one that is too
        old or throws keys away, StateUnavailable (soon) for one that is not there."""
        try:
            Engine(self.client(), patience_seconds=FIRST_CONTACT_SECONDS).prepare()
            found = keeping(self._engine.client)
        except (StateUnavailable, StateError) as error:
            raise StateUnavailable(
                f"{self.settings.shown('REDIS_URL') or 'the Redis server'} cannot be used: {error};"
                " start it, or correct REDIS_URL (`twittomatic doctor` looks)"
            ) from error
        for each in found:
            if each.state == WRONG:
                raise Unsuitable(f"Redis: {each.found}", each.mend)
        return [f"Redis: {each.found} ({each.mend})" for each in found if each.state == WARNING]

    def snapshot(self) -> Snapshot:
        """The crawl now."""
        return snapshot(self._engine, self.keys)

    def settled_crawl(self, stop: threading.Event) -> dict[str, str] | None:
        """The crawl's shared settings as soon as a master has written them; None when asked to stop before."""
        crawl = Crawl(self._engine, self.keys)
        told = False
        while not stop.is_set():
            shared = crawl.settings()
            if shared.get("buckets"):
                return shared
            if not told:
                log.info("waiting for a master to begin the crawl", crawl=self.settings.CRAWL)
                told = True
            self.clock.wait(stop, CRAWL_LOOK_SECONDS)
        return None

    def calls(self, caller: Caller, credentials: Collection[str], stop: threading.Event, health: Health) -> Calls:
        """Paid calls for one thread."""
        budget = Budget(self._engine, self.keys, caller)
        return Calls(budget, list(credentials), self.prices_micro(), self.clock, stop, health)

    def worker(self, name: str, kinds: Collection[str], stop: threading.Event, shared: Mapping[str, str]) -> Worker:
        """A worker with its name taken. InUse when another process lives under it."""
        credentials = self.needed_credentials()
        instance = self._register(name)
        buckets, lease_seconds = int(shared["buckets"]), float(shared["lease_seconds"])
        health, policy, crawl = Health(), self.policy(), Crawl(self._engine, self.keys)

        def services(slot: str) -> Services:
            caller = Caller(name, slot, instance)
            return Services(
                source=self.source(credentials),
                archive=self.archive(),
                queue=Queue(self._engine, self.keys, caller, buckets=buckets),
                frontier=Frontier(self._engine, self.keys, caller, buckets=buckets),
                calls=self.calls(caller, credentials, stop, health),
                policy=policy,
                clock=self.clock,
                stop=stop,
                crawl=self.settings.CRAWL,
                worker=name,
                lease_seconds=lease_seconds,
            )

        return Worker(
            name=name,
            beats=Queue(self._engine, self.keys, Caller(name, "beat", instance), buckets=buckets),
            services=services,
            credentials=list(credentials),
            wanted=lambda: crawl.settings().get("kinds", "").split(","),
            kinds=[kind for kind in KINDS if kind in kinds],
            threads=self.settings.THREADS,
            lease_seconds=lease_seconds,
            clock=self.clock,
            health=health,
            stop=stop,
            leave=lambda: self.registry().leave(name, instance),
        )

    def named_segs(self) -> set[str]:
        """The segs of all parts that belong to a job."""
        return named_segs(self._engine, self.keys)

    def registry(self) -> Registry:
        """The workers of this deployment."""
        return Registry(self._engine, self.keys)

    def release_dead_workers(self) -> int:
        """Put back in line what dead workers of this machine held, without waiting for their leases; how many."""
        registry = self.registry()
        dead = [worker for worker in registry.workers() if died_here(worker.info)]
        for worker in dead:
            try:
                registry.leave(worker.name, registry.register(worker.name, worker.info, replaces=worker.instance))
            except InUse:
                continue  # somebody took the name meanwhile
        return len(dead)

    def _register(self, name: str) -> str:
        """Take a worker's name; from a process of this machine that is provably dead at once."""
        registry = self.registry()
        info = {**self.identity(), "slots": self.settings.THREADS}
        try:
            return registry.register(name, info)
        except InUse:
            holder = registry.holder(name)
            if holder is None or not died_here(holder.info):
                raise
            return registry.register(name, info, replaces=holder.instance)

    def identity(self) -> dict[str, str | int | float]:
        """What this process tells of itself."""
        return {
            "host": socket.gethostname(),
            "machine": machine(),
            "pid": os.getpid(),
            "started": process_started(os.getpid()) or time.time(),
            "version": __version__,
        }

    def master(self, stop: threading.Event, *, standby: bool) -> Master:
        """A master that does not lead yet."""
        settings = self.settings
        credentials = self.needed_credentials()
        name = f"master-{socket.gethostname()}-{os.getpid()}"
        had = Crawl(self._engine, self.keys).settings()
        buckets = int(had.get("buckets", settings.BUCKETS or max(1, -(-settings.EXPECT // IDS_PER_BUCKET))))
        main = Caller(name, "main")
        frontier = Frontier(self._engine, self.keys, main, buckets=buckets)
        return Master(
            name=settings.CRAWL,
            identity=f"{name}-{main.start}",
            info=self.identity(),
            crawl=Crawl(self._engine, self.keys, main),
            frontier=frontier,
            leader=Leader(self._engine, self.keys, Caller(name, "rounds")),
            archive=self.archive(),
            loader=Loader(
                crawl=Crawl(self._engine, self.keys, main),
                frontier=frontier,
                source=self.source(credentials),
                calls=self.calls(main, credentials, stop, Health()),
                names=lambda: Names(settings.OUTPUT_DIRECTORY),
                clock=self.clock,
                stop=stop,
            ),
            folder=settings.OUTPUT_DIRECTORY,
            frontier_name=settings.FRONTIER_NAME,
            clock=self.clock,
            stop=stop,
            verified_dead=lambda held: died_here(held.info),
            stored=self.stored_wish,
            shape={
                "buckets": buckets,
                "lease_seconds": settings.LEASE_SECONDS,
                "max_attempts": settings.MAX_ATTEMPTS,
                "id_form": self.id_form().name,
            },
            standby=standby,
        )

    def stored_wish(self, shared: Mapping[str, str]) -> Wish:
        """What a crawl's settings tell of its last call; without seeds where their file is gone or another one."""
        path, digest = shared.get("seeds_path", ""), shared.get("seeds_digest", "")
        chosen: SeedList | None = None
        if digest == HELD_DIGEST:
            chosen = HeldSeeds(self.archive())
        elif path and Path(path).exists() and seeds.survey(Path(path), self.seed_form()).digest == digest:
            chosen = FileSeeds(Path(path), digest, self.seed_form())
        kinds = [kind for kind in shared.get("kinds", "").split(",") if kind]
        return Wish(
            kinds,
            shared.get("traversal", ""),
            int(shared.get("max_users", "0")),
            chosen,
            path,
            run=shared.get("run", ""),
        )

    def lift_stops(self) -> int:
        """Try every credential again that was taken out until somebody acts; how many."""
        budget = Budget(self._engine, self.keys, Caller("lift", "0"))
        stopped = [row for row in budget.windows() if row.blocked and row.blocked_until is None]
        for row in stopped:
            budget.lift(row.endpoint, row.credential)
            budget.lift(None, row.credential)
        return len(stopped)

    def wish(self, seeds_path: Path | None, *, strict: bool = False, retry: bool = False, run: str = "") -> Wish:
        """What the settings and a seeds file ask of the crawl; without a file the last one, or for updates everybody
        who is held. SeedsError."""
        settings = self.settings
        path = seeds_path
        if path is None:
            kept = Crawl(self._engine, self.keys).settings().get("seeds_path", "")
            path = Path(kept) if kept and UPDATE not in settings.KINDS else None
        chosen: SeedList | None = None
        if path is not None:
            survey = seeds.survey(path, self.seed_form(), strict=strict)
            chosen = FileSeeds(path, survey.digest, self.seed_form())
        elif UPDATE in settings.KINDS:
            if next(self.archive().users(TWT), None) is None:
                raise SeedsError(f"{settings.OUTPUT_DIRECTORY} holds no timeline to update", "name a seeds file")
            chosen = HeldSeeds(self.archive())
        kept_path = str(path.absolute()) if path else ""
        return Wish(settings.KINDS, settings.TRAVERSING, settings.MAX_USERS, chosen, kept_path, retry, run)


def died_here(info: Mapping[str, Any]) -> bool:
    """Whether a process that told this of itself ran on this machine and is gone, for certain."""
    try:
        return info["machine"] == machine() and not is_alive(int(info["pid"]), float(info["started"]))
    except (KeyError, TypeError, ValueError):
        return False

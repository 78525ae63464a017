"""The only package that builds objects from settings, and the only one that creates a Redis client."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Collection, Mapping
from pathlib import Path

from twittomatic import logs, seeds
from twittomatic.archive.gzip_files import GzipArchive
from twittomatic.bus import Bus
from twittomatic.clock import SystemClock
from twittomatic.config import DEFAULT, Settings, default_of
from twittomatic.errors import (
    CredentialsError,
    SeedsError,
    SettingsError,
)
from twittomatic.job import TWT, UPDATE, IdForm
from twittomatic.kinds import KINDS
from twittomatic.kinds.base import Services
from twittomatic.kinds.calls import Calls, Health
from twittomatic.loading import HELD_DIGEST, FileSeeds, HeldSeeds, Loader, SeedList
from twittomatic.master import Master, Wish
from twittomatic.names import Names
from twittomatic.policy import Policy
from twittomatic.sources import SEED_FORMS, SOURCES, make_source
from twittomatic.sources.base import Source
from twittomatic.sources.credentials import Credential, load_credentials
from twittomatic.state.budget import Budget
from twittomatic.state.crawl import Crawl
from twittomatic.state.engine import Caller
from twittomatic.state.frontier import Frontier
from twittomatic.state.leader import Leader
from twittomatic.state.queue import Queue
from twittomatic.state.snapshot import Snapshot, snapshot
from twittomatic.wiring.server import Server, died_here
from twittomatic.worker import Worker

log = logs.get(__name__)

IDS_PER_BUCKET = 350
"""Ids that a bucket of the seen set should hold; from 512 on a server with the usual settings changes its form."""
CRAWL_LOOK_SECONDS = 0.2


class Wiring(Server):
    """Objects of one process, built when they are first asked for."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.clock = SystemClock()

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

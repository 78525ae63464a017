"""The master: loads seeds, ticks, notices the end of the crawl and writes the frontier. Workers need no master while
queues hold work; a master that died is replaced by one that simply goes on ticking."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from twittomatic import logs
from twittomatic.archive.atomic import AtomicGzip
from twittomatic.archive.base import Archive
from twittomatic.clock import Clock
from twittomatic.errors import Deposed, InUse, SeedsError, StateUnavailable
from twittomatic.job import FOLLOWER, FWS, TWT, UPDATE
from twittomatic.kinds.calls import Stopped
from twittomatic.kinds.plan import first_kind
from twittomatic.loading import HeldSeeds, Loader, SeedList
from twittomatic.state.crawl import Crawl
from twittomatic.state.frontier import Frontier
from twittomatic.state.leader import RENEW_SECONDS, Held, Leader

log = logs.get(__name__)

TICK_SECONDS = 1.0
END_LOOK_SECONDS = 0.25
STANDBY_SECONDS = 1.0


class Wish(NamedTuple):
    """What this call asks of the crawl. seeds: None goes on with what there is; retry: dead jobs are tried again; run:
    tells one call of a person from another, whatever processes it starts."""

    kinds: Collection[str]
    traversal: str
    max_users: int
    seeds: SeedList | None
    seeds_path: str = ""
    retry: bool = False
    run: str = ""


@dataclass(slots=True)
class Master:
    """One master process. ``run`` returns how it ended: done, nothing (to do), or stopped.

    crawl and frontier belong to the main thread, leader to the thread of the rounds; stored: the wish that a crawl's
    settings tell; shape: what the crawl is built with for its life (buckets, lease_seconds, max_attempts, id_form).
    """

    name: str
    identity: str
    info: Mapping[str, str | int | float]
    crawl: Crawl
    frontier: Frontier
    leader: Leader
    archive: Archive
    loader: Loader
    folder: Path
    frontier_name: str
    clock: Clock
    stop: threading.Event
    verified_dead: Callable[[Held], bool]
    stored: Callable[[Mapping[str, str]], Wish]
    shape: Mapping[str, Any]
    standby: bool = False
    epoch: str = ""
    _deposed: threading.Event = field(default_factory=threading.Event)
    _rounds_end: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.loader.check = self._check

    def run(self, wish: Wish) -> str:
        """Lead until the crawl is done, this process is asked to stop, or another master leads (then stand by)."""
        while not self.stop.is_set():
            waited = self._take_the_lead()
            if waited is None:
                return "done" if not self.stop.is_set() else "stopped"
            rounds = threading.Thread(target=self._rounds, name="rounds", daemon=True)
            rounds.start()
            try:
                return self._lead(self.stored(self.crawl.settings()) if waited else wish)
            except Stopped:
                return "stopped"
            except Deposed:
                log.warning("another master leads now")
                if not self.standby:
                    raise
            finally:
                self._rounds_end.set()
                rounds.join()
                self._rounds_end.clear()
                self._deposed.clear()
                self._resign()
        return "stopped"

    def _take_the_lead(self) -> bool | None:
        """When this process leads: whether it had stood by, so that it goes on with what the other one began. None when
        standing by ended with the crawl or with a stop."""
        told = False
        while not self.stop.is_set():
            if told and self._is_done():
                return None
            answer = self.leader.lead(self.identity, self.info)
            if isinstance(answer, Held) and self.verified_dead(answer):
                answer = self.leader.lead(self.identity, self.info, replaces=answer.master)
            if not isinstance(answer, Held):
                self.epoch = answer.epoch
                if told and self._is_done():
                    self._resign()
                    return None
                log.info("leading", crawl=self.name, epoch=self.epoch)
                return told
            if not self.standby:
                raise InUse(
                    f"another master leads this crawl: pid {answer.info.get('pid')} on {answer.info.get('host')}",
                    "let it work, stop it, or wait behind it with --standby",
                )
            if not told:
                log.info("standing by: another master leads", host=answer.info.get("host"), pid=answer.info.get("pid"))
                told = True
            self.clock.wait(self.stop, STANDBY_SECONDS)
        return None

    def _is_done(self) -> bool:
        return self.crawl.settings().get("state") == "done"

    def _lead(self, wish: Wish) -> str:
        """Load what is wished for, then watch until nothing is left."""
        self._finish_other_load(wish)
        if not self._prepare(wish):
            return "nothing"
        if wish.seeds is not None:
            self._load(wish.seeds, first_kind(wish.kinds))
        while not self.stop.is_set():
            self._check()
            if self.frontier.finished(self.epoch):
                self._write_frontier()
                if self.frontier.iterate(self.epoch) is not None:
                    return "done"
            self.clock.wait(self.stop, END_LOOK_SECONDS)
        return "stopped"

    def _finish_other_load(self, wish: Wish) -> None:
        """Other seeds that an interrupted call did not load to their end come first: nobody is forgotten."""
        had = self.crawl.settings()
        digest = had.get("seeds_digest", "")
        if not digest or digest == had.get("loaded_digest") or wish.seeds is None or wish.seeds.digest == digest:
            return
        other = self.stored(had).seeds
        if other is None:
            raise SeedsError(
                f"the seeds of {had.get('seeds_path') or 'an earlier call'} are not loaded to their end,"
                " and the file is gone or another one now",
                "put it back and start again with it",
            )
        self._load(other, had["start"])

    def _prepare(self, wish: Wish) -> bool:
        """Write down what the crawl is; False when all that is wished for is done already."""
        had = self.crawl.settings()
        same_run = bool(wish.run) and had.get("run") == wish.run
        kinds = ",".join(sorted(wish.kinds))
        digest = wish.seeds.digest if wish.seeds is not None else had.get("seeds_digest", "")
        same = (kinds, wish.traversal, str(wish.max_users), digest, digest) == tuple(
            had.get(name, "") for name in ("kinds", "traversal", "max_users", "seeds_digest", "loaded_digest")
        )
        retried = self.crawl.retry() if wish.retry and not same_run else 0
        if retried:
            log.info("dead jobs are tried again", jobs=retried)
        elif had.get("state") == "done" and same and (same_run or UPDATE not in wish.kinds):
            return False
        if not digest:
            raise SeedsError("there is nothing to crawl: no seeds were given and none are loaded", "name a seeds file")
        changed = (digest, kinds) != (had.get("seeds_digest"), had.get("kinds"))
        again = changed or (had.get("state") == "done" and not retried)
        if again:  # other kinds too: who is done with the old ones has the new ones before him
            self.crawl.set(
                frontier_path="", frontier_count="0", seeds_unknown="0", loaded_digest="", loading_digest="",
                extended=_extended(had, wish, digest),
            )  # fmt: skip
        self.crawl.configure(
            kinds=sorted(wish.kinds),
            start=first_kind(wish.kinds),
            traversal=wish.traversal,
            max_users=wish.max_users,
            more={
                "seeds_digest": digest,
                "seeds_path": wish.seeds_path if wish.seeds is not None else had.get("seeds_path", ""),
                "run": wish.run,
                "note": "",
            },
            **self.shape,
        )
        self.frontier.begin(self.epoch)
        return True

    def _load(self, wanted: SeedList, kind: str) -> None:
        """Load the seeds, unless they are loaded; and whoever was found before, when kinds were added to the crawl."""
        settings = self.crawl.settings()
        if settings.get("loaded_digest") == wanted.digest:
            return
        suffix = settings.get("extended")
        also = HeldSeeds(self.archive, suffix) if suffix else None
        self.loader.load(wanted, also, kind, self.epoch)

    def _rounds(self) -> None:
        """Renew the lead and tick, until told to end; another master's lead ends it too."""
        led = self.clock.monotonic()
        tick_seconds = min(TICK_SECONDS, float(self.shape["lease_seconds"]) / 4)
        while not self.clock.wait(self._rounds_end, tick_seconds):
            try:
                if self.clock.monotonic() - led >= RENEW_SECONDS:
                    if isinstance(self.leader.lead(self.identity, self.info), Held):
                        raise Deposed("another master leads")
                    led = self.clock.monotonic()
                full = True
                while full and not self._rounds_end.is_set():
                    ticked = self.leader.tick(self.epoch)
                    full = ticked.full
                    if ticked.reaped or ticked.poisoned:
                        log.warning("leases ran out", reaped=ticked.reaped, poisoned=ticked.poisoned)
            except Deposed:
                self._deposed.set()
                return
            except StateUnavailable as error:
                log.warning("Redis is away", why=str(error))

    def _check(self) -> None:
        if self._deposed.is_set():
            raise Deposed("another master leads")

    def _resign(self) -> None:
        try:
            self.leader.resign(self.epoch)
        except StateUnavailable as error:
            log.warning("the lead runs out by itself", why=str(error))

    def _write_frontier(self) -> None:
        """What was found and not crawled, as a seeds file of a fixed name; nothing found writes nothing."""
        if self.frontier.front_len() == 0:
            return
        iteration = self.crawl.settings()["iteration"]
        path = self.folder / f"{self.frontier_name}-{self.name}-{iteration}.gz"
        count = 0
        with AtomicGzip(path) as out:
            out.line(f"# users found by crawl {self.name} in iteration {iteration}, not crawled yet".encode())
            for block in self.frontier.front_blocks():
                out.lines(id_.encode() for id_ in block)
                count += len(block)
        self.crawl.set(frontier_path=str(path), frontier_count=str(count))
        log.info("frontier written", path=str(path), users=count)


def _extended(had: Mapping[str, str], wish: Wish, digest: str) -> str:
    """Whose files tell who was crawled before, when the same seeds are crawled again for more kinds by a traversal
    that had followed what it found; empty: the seeds are everybody."""
    before = set(had.get("kinds", "").split(",")) - {""}
    gained = set(wish.kinds) - before - {UPDATE}
    if not before or not gained or had.get("traversal") == "default" or digest != had.get("seeds_digest"):
        return ""
    return FWS if FOLLOWER in before else TWT

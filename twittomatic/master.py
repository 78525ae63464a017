"""The master: loads seeds, ticks, notices the end of the crawl and writes the frontier. Workers need no master while
queues hold work; a master that died is replaced by one that simply goes on ticking."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from twittomatic import logs, seeds
from twittomatic.archive.atomic import AtomicGzip
from twittomatic.archive.base import Archive
from twittomatic.clock import Clock
from twittomatic.errors import Deposed, InUse, SeedsError, SourceError, StateUnavailable
from twittomatic.job import TWT, UPDATE, Grant
from twittomatic.kinds.calls import Calls, Failing, Stopped, Waiting
from twittomatic.kinds.plan import first_kind
from twittomatic.names import Names
from twittomatic.sources.base import NAMES_CALL, Seed, Source
from twittomatic.state.crawl import Crawl
from twittomatic.state.frontier import Frontier
from twittomatic.state.leader import Held, Leader

log = logs.get(__name__)

LEAD_SECONDS = 3.0
TICK_SECONDS = 1.0
END_LOOK_SECONDS = 0.25
STANDBY_SECONDS = 1.0
LOAD_LINES = 1000
NAMES_KIND = "names"
"""Under what the ledger books the lookup of seed names."""


class SeedList(Protocol):
    """Users to begin with."""

    @property
    def digest(self) -> str:
        """Tells one list from another."""

    def after(self, position: int) -> Iterator[tuple[int, Seed]]:
        """(position, user) of every user behind a position, 0 being the start."""


@dataclass(frozen=True, slots=True)
class FileSeeds:
    """The users of a seeds file; a position is a line number."""

    path: Path
    digest: str
    parse: seeds.Parser

    def after(self, position: int) -> Iterator[tuple[int, Seed]]:
        return seeds.read(self.path, self.parse, start=position)


@dataclass(frozen=True, slots=True)
class HeldSeeds:
    """Everybody of whom the archive holds a timeline; a position is a count."""

    archive: Archive
    digest: str = "held"

    def after(self, position: int) -> Iterator[tuple[int, Seed]]:
        for number, user in enumerate(self.archive.users(TWT), 1):
            if number > position:
                yield number, Seed(id=user)


class Wish(NamedTuple):
    """What this call asks of the crawl. seeds: None goes on with what there is; retry: dead jobs are tried again."""

    kinds: Collection[str]
    traversal: str
    max_users: int
    seeds: SeedList | None
    seeds_path: str = ""
    retry: bool = False


@dataclass(slots=True)
class Master:
    """One master process. ``run`` returns how it ended: done, nothing (to do), or stopped.

    crawl and frontier belong to the main thread, leader to the thread of the rounds; shape: what the crawl is built
    with for its life (buckets, lease_seconds, max_attempts, id_form).
    """

    name: str
    identity: str
    info: Mapping[str, str | int | float]
    crawl: Crawl
    frontier: Frontier
    leader: Leader
    source: Source
    calls: Calls
    names: Callable[[], Names]
    folder: Path
    frontier_name: str
    clock: Clock
    stop: threading.Event
    verified_dead: Callable[[Held], bool]
    shape: Mapping[str, Any]
    standby: bool = False
    epoch: str = ""
    _deposed: threading.Event = field(default_factory=threading.Event)
    _rounds_end: threading.Event = field(default_factory=threading.Event)

    def run(self, wish: Wish) -> str:
        """Lead until the crawl is done, this process is asked to stop, or another master leads (then stand by)."""
        while not self.stop.is_set():
            if not self._take_the_lead():
                return "done" if not self.stop.is_set() else "stopped"
            rounds = threading.Thread(target=self._rounds, name="rounds", daemon=True)
            rounds.start()
            try:
                return self._lead(wish)
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

    def _take_the_lead(self) -> bool:
        """True when this process leads; False when standing by ended with the crawl or with a stop."""
        told = False
        while not self.stop.is_set():
            answer = self.leader.lead(self.identity, self.info)
            if isinstance(answer, Held) and self.verified_dead(answer):
                answer = self.leader.lead(self.identity, self.info, replaces=answer.master)
            if not isinstance(answer, Held):
                self.epoch = answer.epoch
                log.info("leading", crawl=self.name, epoch=self.epoch)
                return True
            if not self.standby:
                raise InUse(f"another master leads this crawl: {answer}", "stop it, or let it work")
            if not told:
                log.info("standing by: another master leads", leader=str(answer))
                told = True
            if self.crawl.settings().get("state") == "done":
                return False
            self.clock.wait(self.stop, STANDBY_SECONDS)
        return False

    def _lead(self, wish: Wish) -> str:
        """Load what is wished for, then watch until nothing is left."""
        if not self._prepare(wish):
            return "nothing"
        if wish.seeds is not None and self._must_load(wish.seeds):
            self._load(wish.seeds, first_kind(wish.kinds))
        while not self.stop.is_set():
            self._check()
            if self.frontier.finished(self.epoch):
                self._write_frontier()
                if self.frontier.iterate(self.epoch) is not None:
                    return "done"
            self.clock.wait(self.stop, END_LOOK_SECONDS)
        return "stopped"

    def _prepare(self, wish: Wish) -> bool:
        """Write down what the crawl is; False when all that is wished for is done already."""
        had = self.crawl.settings()
        kinds = ",".join(sorted(wish.kinds))
        digest = wish.seeds.digest if wish.seeds is not None else had.get("seeds_digest", "")
        same = (kinds, wish.traversal, str(wish.max_users), digest, digest) == tuple(
            had.get(name, "") for name in ("kinds", "traversal", "max_users", "seeds_digest", "loaded_digest")
        )
        retried = self.crawl.retry() if wish.retry else 0
        if retried:
            log.info("dead jobs are tried again", jobs=retried)
        elif had.get("state") == "done" and same and UPDATE not in wish.kinds:
            return False
        if not digest:
            raise SeedsError("there is nothing to crawl: no seeds were given and none are loaded", "name a seeds file")
        again = (had.get("state") == "done" and not retried) or (digest, kinds) != (
            had.get("seeds_digest"),
            had.get("kinds"),
        )
        if again:  # other kinds too: who is done with the old ones has the new ones before him
            self.crawl.set(
                frontier_path="", frontier_count="0", seeds_unknown="0", loaded_digest="", loading_digest=""
            )
        self.crawl.configure(
            kinds=sorted(wish.kinds),
            start=first_kind(wish.kinds),
            traversal=wish.traversal,
            max_users=wish.max_users,
            more={"seeds_digest": digest, "seeds_path": wish.seeds_path or had.get("seeds_path", "")},
            **self.shape,
        )
        self.frontier.begin(self.epoch)
        return True

    def _must_load(self, wanted: SeedList) -> bool:
        return self.crawl.settings().get("loaded_digest") != wanted.digest

    def _load(self, wanted: SeedList, kind: str) -> None:
        """Admit the seeds from where an earlier load stood; names are looked up first, by the hundred."""
        if self.crawl.settings().get("loading_digest") != wanted.digest:
            self.frontier.admit([], kind, "0", epoch=self.epoch)  # a place in another list says nothing of this one
            self.crawl.set(loading_digest=wanted.digest)
        position = int(self.frontier.load_position() or 0)
        log.info("loading seeds", position=position)
        names = self.names()
        try:
            block: list[Seed] = []
            for place, seed in wanted.after(position):
                position = place
                block.append(seed)
                if len(block) >= LOAD_LINES:
                    self._admit(block, kind, str(place), names)
                    block = []
            self._admit(block, kind, None, names)
        finally:
            names.close()
        self.crawl.set(loaded_digest=wanted.digest)
        log.info("seeds loaded", lines=position)

    def _admit(self, block: list[Seed], kind: str, position: str | None, names: Names) -> None:
        if self.stop.is_set():
            raise Stopped("asked to stop while loading seeds")
        self._check()
        self._look_up(names, [seed.name for seed in block if seed.name])
        known = [seed.id or names.id_of(seed.name) for seed in block]
        ids = list(dict.fromkeys(id_ for id_ in known if id_ is not None))
        unknown = sum(id_ is None for id_ in known)
        if unknown:
            before = int(self.crawl.settings().get("seeds_unknown", "0"))
            self.crawl.set(seeds_unknown=str(before + unknown))
        self.frontier.admit(ids, kind, position, epoch=self.epoch)

    def _look_up(self, names: Names, wanted: list[str]) -> None:
        """Ask for the names that nobody asked for yet; each answer is on disk before the next question."""
        unknown = names.unknown(wanted)
        size = self.source.page_limits[NAMES_CALL]
        grant: Grant | None = None
        for start in range(0, len(unknown), size):
            asked = unknown[start : start + size]
            while True:
                self._check()
                try:
                    page, grant = self.calls.ask(
                        grant, NAMES_CALL, 1, NAMES_KIND, asked[0],
                        lambda credential, asked=asked: self.source.names(asked, credential=credential),  # type: ignore[misc]
                    )  # fmt: skip
                    break
                except Waiting as error:
                    self._wait_for_names(error.until, error.reason)
                except Failing as error:
                    log.warning("names not looked up, trying again", why=str(error))
                    self._wait_for_names(self.clock.now() + LEAD_SECONDS, str(error))
                except SourceError as error:
                    raise SeedsError(f"the names of the seeds cannot be looked up: {error.detail}") from error
                grant = None
            names_of = {item.id: self.source.profile(item.line).name.casefold() for item in page.items}
            names.keep(asked, page, names_of, int(self.clock.now()))
        if unknown:
            self.crawl.set(note="", note_until="0")

    def _wait_for_names(self, until: float | None, reason: str) -> None:
        """Wait until a moment (a second where nobody knows), and let everybody see what for."""
        now = self.clock.now()
        self.crawl.set(note=f"names of seeds: {reason}", note_until=f"{until or 0.0:.3f}")
        if self.clock.wait(self.stop, min(max((until or now + 1.0) - now, 0.05), LEAD_SECONDS)):
            raise Stopped("asked to stop while loading seeds")

    def _rounds(self) -> None:
        """Renew the lead and tick, until told to end; another master's lead ends it too."""
        led = self.clock.monotonic()
        tick_seconds = min(TICK_SECONDS, float(self.shape["lease_seconds"]) / 4)
        while not self.clock.wait(self._rounds_end, tick_seconds):
            try:
                if self.clock.monotonic() - led >= LEAD_SECONDS:
                    if isinstance(self.leader.lead(self.identity, self.info), Held):
                        raise Deposed("another master leads")
                    led = self.clock.monotonic()
                ticked = self.leader.tick(self.epoch)
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

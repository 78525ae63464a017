"""The contract of a kind, and the desk: what a kind is given to work with for one job."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import ujson

from twittomatic import events, logs
from twittomatic.archive.base import Archive, Draft, End, Head
from twittomatic.clock import Clock
from twittomatic.errors import Outgrown
from twittomatic.job import Extent, Job
from twittomatic.kinds.calls import Calls
from twittomatic.policy import Policy
from twittomatic.sources.base import Page, Source
from twittomatic.state.frontier import Frontier
from twittomatic.state.queue import Found, Queue, Refused

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Result:
    """How a job ended for its user: state ``done`` or ``gone``, with the reason; already: nothing had to be done."""

    state: str = "done"
    reason: str = "complete"
    already: bool = False


class Kind(Protocol):
    """One thing that a worker can do. endpoint: what a grant is taken for together with the job, None when the job
    can begin without calls; calls: how many to take at once."""

    name: str
    endpoint: str | None
    calls: int

    def run(self, desk: Desk) -> Result:
        """Do the job to its end. Errors: those of ``Calls.ask``, Fenced, StateUnavailable, LostBytes, OSError."""


@dataclass(slots=True)
class Walk:
    """Where a walk stands, as it is kept in the job's cursor.

    cursor: the source's, None at the start; items: fetched so far; since: the newest item held before (update); last:
    the last item fetched; restarts: how often the network made us begin again; over: every page is committed; untold:
    ids (at most a hundred) that a lookup told nothing of, to be asked for once more (analyzer).
    """

    cursor: str | None = None
    items: int = 0
    since: str | None = None
    last: str | None = None
    restarts: int = 0
    over: bool = False
    untold: list[str] = field(default_factory=list)

    def encode(self) -> str:
        return ujson.dumps([self.cursor, self.items, self.since, self.last, self.restarts, self.over, self.untold])

    @classmethod
    def decode(cls, text: str | None) -> Walk:
        return cls(*ujson.loads(text)) if text else cls()


@dataclass(slots=True)
class Services:
    """What the jobs of one thread share. stop: set when the worker is to park what it has in hand."""

    source: Source
    archive: Archive
    queue: Queue
    frontier: Frontier
    calls: Calls
    policy: Policy
    clock: Clock
    crawl: str
    worker: str
    lease_seconds: float
    stop: threading.Event


@dataclass(slots=True)
class Desk:
    """One job on the table of one thread: calls, files, commits, in the order that the protocol asks for.

    guard: called before each commit and rename; it makes sure that the lease was renewed lately, or raises Fenced.
    """

    job: Job
    services: Services
    guard: Callable[[], None]
    drafts: dict[str, Draft] = field(default_factory=dict)

    @property
    def user(self) -> str:
        return self.job.user

    @property
    def source(self) -> Source:
        return self.services.source

    @property
    def archive(self) -> Archive:
        return self.services.archive

    def ask(self, endpoint: str, wanted: int, request: Callable[[str], Page]) -> Page:
        """One settled page (errors: see Calls.ask). What is left of the grant stays with the job."""
        grant, self.job.grant = self.job.grant, None
        page, left = self.services.calls.ask(grant, endpoint, wanted, self.job.kind, self.user, request)
        self.job.grant = left if left.calls else None
        return page

    def open(self, suffixes: Sequence[str]) -> None:
        """Parts for these files: new ones, or what was committed. LostBytes when that is nowhere."""
        for suffix in suffixes:
            extent = self.job.extents.get(suffix)
            self.drafts[suffix] = (
                self.archive.start(self.user, suffix, self.job.token)
                if extent is None
                else self.archive.resume(self.user, extent, self.job.token, clean=self.job.clean)
            )

    def commit(
        self,
        walk: str,
        span: tuple[str | None, str | None],
        pages: Mapping[str, Sequence[bytes]],
        counts: Mapping[str, int],
        *,
        found: Sequence[Found] = (),
        discarded: Sequence[Refused] = (),
    ) -> int:
        """Make one page durable and known: members, fsync, commit with its journal entries.

        walk: the job's next cursor; span: cursors before and after, for the members' headers; pages: lines by suffix
        (an empty list writes no member). Returns how many of ``found`` were new.
        """
        at = int(self.services.clock.now())
        documents: list[tuple[str, str]] = []
        for suffix, lines in pages.items():
            if not lines:
                continue
            head = Head(self.job.seq, *span, len(lines), at, self.source.name, self.services.crawl)
            draft = self.drafts[suffix]
            placed = draft.append(head, lines)
            event = events.PAGE_EVENTS[suffix](
                self.services.crawl, at, self.job.kind, self.user, suffix, draft.extent.seg, self.job.seq,
                placed.offset, placed.length, placed.crc, len(lines), self.services.worker,
            )  # fmt: skip
            documents.append((event.channel, event.encode()))
        for draft in self.drafts.values():
            draft.sync()
        extents = {suffix: draft.extent for suffix, draft in self.drafts.items()}
        self.guard()
        new = self.services.queue.commit(
            self.job, cursor=walk, extents=extents, events=documents, counts=counts, found=found, discarded=discarded
        )
        self.job.cursor, self.job.extents, self.job.seq = walk, extents, self.job.seq + 1
        return new

    def publish(self, mark: End, *, reorder: bool = False) -> None:
        """End marks, fsync, seal, rename: the files of the job become finals. reorder: the walk began more than once,
        so that its items may be out of order."""
        for suffix, draft in self.drafts.items():
            draft.end(mark)
            draft.sync()
            self.drafts[suffix] = self.archive.unite(draft, self.job.token, reorder=reorder)
        extents = {suffix: draft.extent for suffix, draft in self.drafts.items()}
        self.close()
        self.seal_and_rename(extents)

    def seal_and_rename(self, extents: Mapping[str, Extent]) -> None:
        """Steps 7 and 8 of the protocol; also the whole of a job that was sealed when its worker died. A final that
        came to hold more than the sealed part meanwhile is united with it, and that is sealed before it is renamed."""
        sealed = self._seal(extents)
        for suffix in sorted(extents):
            if time.monotonic() - sealed > self.services.lease_seconds / 3:
                sealed = self._seal(extents)
            self.guard()
            try:
                self.archive.publish(self.user, extents[suffix])
            except Outgrown as error:
                log.warning("a final grew behind a sealed part: they are united", user=self.user, why=str(error))
                extents = {**extents, suffix: self.archive.reunite(self.user, extents[suffix], self.job.token)}
                sealed = self._seal(extents)
                self.guard()
                self.archive.publish(self.user, extents[suffix])

    def _seal(self, extents: Mapping[str, Extent]) -> float:
        """When it was done, by the monotonic clock."""
        self.guard()
        self.services.queue.seal(self.job, extents)
        return time.monotonic()

    def close(self) -> None:
        """Close the parts; what is written stays in them, those without a byte are forgotten."""
        for suffix, draft in self.drafts.items():
            if draft.extent.length or suffix in self.job.extents:
                draft.close()
            else:
                self.archive.discard(draft)
        self.drafts.clear()

"""A worker: claim a job, run it, finish it, repeat; any number of threads, one lease beat for all of them."""

from __future__ import annotations

import errno
import threading
import traceback
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from twittomatic import events, logs
from twittomatic.archive.base import GONE
from twittomatic.clock import Clock
from twittomatic.errors import BadCursor, CorruptMember, Fenced, LostBytes, StateUnavailable, UnknownBody
from twittomatic.job import ANALYZER, Job
from twittomatic.kinds import KINDS
from twittomatic.kinds.base import Desk, Result, Services
from twittomatic.kinds.calls import Failing, Health, Stopped, Waiting
from twittomatic.kinds.plan import next_kind
from twittomatic.state.crawl import CURSOR_REFUSED
from twittomatic.state.queue import Idle, Queue, Want

log = logs.get(__name__)

IDLE_SECONDS = 1.0
"""How long an idle thread waits for a wake token before it looks itself."""
DELAY_SECONDS = 30.0
MOST_DELAY_SECONDS = 3600.0
DELAYS_BEFORE_DEATH = 6
DELAYS_OF_AN_OUTAGE = 24
"""Delays of one job before it is dead: about half an hour, and about 18 hours while nothing works for anybody."""
DISK_DELAY_SECONDS = 30.0
OUTAGE_PAUSE_SECONDS = 5.0
REDIS_PAUSE_SECONDS = 1.0
DISK_ERRORS = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.EACCES, errno.EPERM, errno.EMFILE,
    errno.ENFILE,
}  # fmt: skip
"""What is wrong with the machine and not with the job."""


class Leases:
    """The leases of one process: renewed together, four times per lease; a job that was lost meanwhile is fenced."""

    def __init__(self, queue: Queue, lease_seconds: float, clock: Clock) -> None:
        self._queue = queue
        self._clock = clock
        self.seconds = lease_seconds
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._lost: set[str] = set()
        self._good = clock.monotonic()

    def hold(self, job: Job) -> None:
        """A job was claimed just now."""
        with self._lock:
            self._jobs[job.token] = job

    def drop(self, job: Job) -> None:
        """A job is finished, parked or given up."""
        with self._lock:
            self._jobs.pop(job.token, None)
            self._lost.discard(job.token)

    @property
    def held(self) -> int:
        """Jobs in hand."""
        return len(self._jobs)

    def beat(self) -> None:
        """Renew all leases. StateUnavailable when that could not be done."""
        with self._lock:
            jobs = [(job.kind, job.user, job.token) for job in self._jobs.values()]
        sent = self._clock.monotonic()
        lost = self._queue.beat(jobs)
        with self._lock:
            self._lost |= {token for token in lost if token in self._jobs}
            self._good = sent

    def guard(self, job: Job) -> None:
        """Nothing is committed or renamed after three quarters of a lease without a good beat. Fenced when lost."""
        if self._clock.monotonic() - self._good > 0.75 * self.seconds:
            self.beat()
        if job.token in self._lost:
            raise Fenced(f"the lease of {job.kind} {job.user} was lost")

    def run(self, stop: threading.Event) -> None:
        """Beat until the event is set."""
        while not self._clock.wait(stop, self.seconds / 4):
            try:
                self.beat()
            except StateUnavailable as error:
                log.warning("leases not renewed", why=str(error))


class ServicesFactory(Protocol):
    """Makes what one thread needs; called in that thread."""

    def __call__(self, slot: str) -> Services: ...


@dataclass(slots=True)
class Worker:
    """One worker process.

    wanted: kinds that the crawl asks for (a user's next job is planned by it); kinds: those that this worker claims.
    """

    name: str
    beats: Queue
    services: ServicesFactory
    credentials: Sequence[str]
    wanted: Callable[[], Collection[str]]
    kinds: Collection[str]
    threads: int
    lease_seconds: float
    clock: Clock
    health: Health
    stop: threading.Event
    leave: Callable[[], None]
    leases: Leases = field(init=False)

    def __post_init__(self) -> None:
        self.leases = Leases(self.beats, self.lease_seconds, self.clock)

    def run(self) -> None:
        """Work until the stop event is set; then the pages in hand are finished and the jobs parked."""
        beats_end = threading.Event()
        beats = threading.Thread(target=self.leases.run, args=(beats_end,), name="beat", daemon=True)
        beats.start()
        slots = [
            threading.Thread(target=self._slot, args=(str(number),), name=f"slot-{number}")
            for number in range(self.threads)
        ]
        for slot in slots:
            slot.start()
        for slot in slots:
            slot.join()
        beats_end.set()
        beats.join()
        try:
            self.leave()
        except StateUnavailable as error:
            log.warning("the name is given back when its time is over", why=str(error))

    def _slot(self, slot: str) -> None:
        """One thread: its own connections, one job after the other."""
        services = self.services(slot)
        wants = [Want(kind, KINDS[kind].endpoint, KINDS[kind].calls) for kind in KINDS if kind in self.kinds]
        try:
            while not self.stop.is_set():
                try:
                    self._once(services, wants)
                except StateUnavailable as error:
                    log.warning("Redis is away", why=str(error))
                    self.clock.wait(self.stop, REDIS_PAUSE_SECONDS)
                except Exception:
                    log.exception("a worker thread failed outside of a job")
                    self.clock.wait(self.stop, REDIS_PAUSE_SECONDS)
        finally:
            services.source.close()

    def _once(self, services: Services, wants: Sequence[Want]) -> None:
        """Claim and run one job, or wait for one."""
        if self.health.is_outage and self.clock.wait(self.stop, OUTAGE_PAUSE_SECONDS):
            return
        job = services.queue.claim(wants, self.credentials)
        if isinstance(job, Idle):
            services.queue.wait([want.kind for want in wants], IDLE_SECONDS)
            return
        self.leases.hold(job)
        try:
            self._run(services, job)
        finally:
            self.leases.drop(job)

    def _run(self, services: Services, job: Job) -> None:
        """Run a claimed job; one that is no longer ours is left alone."""
        desk = Desk(job, services, lambda: self.leases.guard(job))
        try:
            self._attempt(desk)
        except Fenced as error:
            log.warning("job lost to another worker", kind=job.kind, user=job.user, why=str(error))
            services.calls.give(job.grant)
        finally:
            desk.close()

    def _attempt(self, desk: Desk) -> None:
        """Run a job and tell Redis how it ended. Fenced, StateUnavailable."""
        job, queue = desk.job, desk.services.queue
        try:
            result = _redo(desk) if job.sealed else KINDS[job.kind].run(desk)
            self._settle(desk.services, job, result)
        except (Fenced, StateUnavailable):
            raise
        except Stopped:
            desk.close()
            queue.park(job)
        except Waiting as error:
            desk.close()
            log.info("parked", kind=job.kind, user=job.user, endpoint=error.endpoint, until=error.until)
            queue.park(job, reason=error.reason, needs=error.endpoint if job.kind == ANALYZER else None)
        except Failing as error:
            desk.close()
            self._delay(desk, error)
        except CorruptMember as error:
            log.error("a file of the archive is damaged", kind=job.kind, user=job.user, why=str(error))
            self._bury(desk, "damaged file", str(error))
        except LostBytes as error:
            desk.close()
            log.error("committed bytes are lost, the job starts anew", kind=job.kind, user=job.user, why=str(error))
            queue.park(job, reason="committed bytes were lost", anew=True)
        except UnknownBody as error:
            log.error("unknown body", kind=job.kind, user=job.user, why=error.detail)
            self._bury(desk, "unknown body", f"{error.detail}\n{error.body.decode('utf-8', 'replace')}")
        except BadCursor as error:
            self._bury(desk, CURSOR_REFUSED, error.detail)
        except OSError as error:
            desk.close()
            log.error("the archive cannot be written", kind=job.kind, user=job.user, why=str(error))
            is_disk = error.errno in DISK_ERRORS
            if not is_disk and job.errors >= DELAYS_BEFORE_DEATH:
                self._bury(desk, "file error", str(error))
            else:
                reason = f"archive: {error.strerror}"
                queue.delay(job, DISK_DELAY_SECONDS, reason=reason, counted=not is_disk, counts={f"delays.{reason}": 1})
        except Exception as error:
            log.exception("a bug ended a job", kind=job.kind, user=job.user)
            self._bury(desk, f"bug: {type(error).__name__}", traceback.format_exc()[-8000:])

    def _delay(self, desk: Desk, failing: Failing) -> None:
        """Try the job again later, ever later; give it up when it keeps failing, much later when nothing works."""
        job, error = desk.job, failing.error
        outage = self.health.is_outage
        endured = self.health.endure(job.user) if outage else 0
        if endured >= DELAYS_OF_AN_OUTAGE or (not outage and job.errors >= DELAYS_BEFORE_DEATH):
            self._bury(desk, "keeps failing", error.detail)
            return
        seconds = min(DELAY_SECONDS * 2 ** max(job.errors, endured - 1), MOST_DELAY_SECONDS)
        log.info("delayed", kind=job.kind, user=job.user, seconds=seconds, why=error.detail)
        what = f"HTTP {error.status}" if error.status else "no whole answer"
        desk.services.queue.delay(job, seconds, reason=error.detail, counted=not outage, counts={f"delays.{what}": 1})

    def _bury(self, desk: Desk, reason: str, sample: str) -> None:
        """The job cannot go on without a person."""
        desk.close()
        settled = [self._settled(desk.services, desk.job, "dead", reason)]
        desk.services.queue.dead(desk.job, reason, sample, events=settled)

    def _settled(self, services: Services, job: Job, state: str, reason: str) -> tuple[str, str]:
        event = events.UserSettled(services.crawl, services.clock.now(), job.kind, job.user, state, reason, self.name)
        return event.channel, event.encode()

    def _settle(self, services: Services, job: Job, result: Result) -> None:
        """Finish a job whose files are in place, with the user's next job or its end state."""
        following = None if result.state == "gone" else next_kind(self.wanted(), job.kind)
        settled = [self._settled(services, job, result.state, result.reason)] if following is None else []
        counts = {f"{job.kind}.already": 1} if result.already else {}
        if result.state == "gone":
            services.queue.gone(job, result.reason, counts, settled)
        else:
            services.queue.done(job, following, counts, settled)


def _redo(desk: Desk) -> Result:
    """The rest of a job that was sealed when its worker died: an own seal, the renames."""
    desk.seal_and_rename(desk.job.extents)
    for suffix in sorted(desk.job.extents):
        mark = desk.archive.end_of(desk.user, suffix)
        if mark is not None:
            return Result("gone" if mark.end == GONE else "done", mark.reason or mark.end)
    return Result()

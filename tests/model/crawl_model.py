"""A crawl's state in plain Python: what the functions must do, written a second time, without Redis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

TWIN = {"timeline": "update", "update": "timeline"}


@dataclass
class ModelJob:
    """A job that has been claimed at least once."""

    state: str = "running"
    token: str = ""
    worker: str = ""
    seq: int = 0
    cursor: str | None = None
    clean: bool = True
    sealed: bool = False
    attempts: int = 0
    errors: int = 0
    needs: bool = False
    worked: bool = False
    is_refused: bool = False


@dataclass
class CrawlModel:
    """Queues, jobs, leases, the seen set and the totals of a breadth-first crawl. kinds: those it wants; start: the one
    that a user begins with; is_open: what parked jobs need is to be had. ``<id> =`` waits in ``queued`` where no job of
    that user had anything to do so far."""

    lease_seconds: float
    max_attempts: int
    now: float
    kinds: Sequence[str]
    start: str = "timeline"
    is_open: bool = True
    queued: dict[str, list[str]] = field(default_factory=dict)
    resuming: dict[str, list[str]] = field(default_factory=dict)
    jobs: dict[tuple[str, str], ModelJob] = field(default_factory=dict)
    leases: dict[tuple[str, str], float] = field(default_factory=dict)
    delayed: dict[tuple[str, str], float] = field(default_factory=dict)
    dead: set[tuple[str, str]] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    totals: dict[str, int] = field(default_factory=dict)
    ticked: float = 0
    excused_until: float = 0

    def count(self, name: str) -> None:
        self.totals[name] = self.totals.get(name, 0) + 1

    def admit(self, ids: Sequence[str], kind: str) -> None:
        self.seen.update(ids)
        self.queued.setdefault(kind, []).extend(ids)

    def claim(self, kinds: Sequence[str], worker: str) -> tuple[str, str] | None:
        for kind in kinds:
            entry = self._next(kind) if kind in self.kinds else None
            if entry is not None:
                user = entry.removesuffix(" =")
                fresh = ModelJob(worked=kind != self.start and entry == user)
                job = self.jobs.setdefault((kind, user), fresh)
                job.state, job.worker = "running", worker
                self.leases[kind, user] = self.now + self.lease_seconds
                return kind, user
        return None

    def _next(self, kind: str) -> str | None:
        resuming, queued = self.resuming.setdefault(kind, []), self.queued.setdefault(kind, [])
        if not self.is_open and resuming and self.jobs[kind, resuming[0]].needs:
            for user in resuming:
                job = self.jobs[kind, user]
                if (job.sealed or not job.needs) and not self._waits_for_twin(kind, user):
                    resuming.remove(user)
                    return user
            return None
        found = self._pop(kind, resuming, resumed=True)
        return self._pop(kind, queued, resumed=False) if found is None else found

    def _pop(self, kind: str, line: list[str], *, resumed: bool) -> str | None:
        for _ in range(len(line)):
            entry = line.pop(0)
            user = entry.removesuffix(" =")
            job = self.jobs.get((kind, user))
            if (job is None) == resumed or (job is not None and job.state != "parked"):
                continue
            if self._waits_for_twin(kind, user):
                line.append(entry)
                continue
            return entry
        return None

    def _waits_for_twin(self, kind: str, user: str) -> bool:
        """Timeline and update of a user: never both, and never neither where both could go on."""
        twin = self.jobs.get((TWIN.get(kind, ""), user))
        if twin is None or twin.state == "dead":
            return False
        if twin.state == "running" or TWIN[kind] not in self.kinds:
            return twin.state == "running"
        job = self.jobs.get((kind, user))
        mine_first = (job is not None and job.sealed, kind == "timeline")
        return (twin.sealed, TWIN[kind] == "timeline") > mine_first

    def owns(self, kind: str, user: str, token: str) -> bool:
        job = self.jobs.get((kind, user))
        return job is not None and job.state == "running" and job.token == token

    def commit(self, kind: str, user: str, cursor: str | None, seq: int, found: Sequence[str]) -> int:
        job = self.jobs[kind, user]
        job.cursor, job.seq, job.attempts, job.errors = cursor, seq, 0, 0
        new = [id_ for id_ in dict.fromkeys(found) if id_ not in self.seen]
        self.seen.update(new)
        self.queued.setdefault(self.start, []).extend(new)
        return len(new)

    def park(self, kind: str, user: str, *, needs: bool) -> None:
        self._leave(kind, user, "parked").needs = needs
        self.resuming.setdefault(kind, []).insert(0, user)

    def delay(self, kind: str, user: str, seconds: float) -> None:
        self._leave(kind, user, "delayed").errors += 1
        self.delayed[kind, user] = self.now + seconds

    def bury(self, kind: str, user: str, *, is_refused: bool) -> None:
        self._leave(kind, user, "dead").is_refused = is_refused
        self._died(kind, user)

    def end(self, kind: str, user: str, outcome: str, next_kind: str | None = None, *, already: bool = False) -> None:
        is_idle = already and not self.jobs[kind, user].worked
        del self.leases[kind, user], self.jobs[kind, user]
        self.count(f"{kind}.{outcome}")
        if next_kind is None:
            self.count("users.already" if is_idle else f"users.{outcome}")
        elif (next_kind, user) not in self.jobs:
            self.queued.setdefault(next_kind, []).append(f"{user} =" if is_idle else user)

    def retry(self, order: Sequence[tuple[str, str]]) -> int:
        """``order``: in which they died."""
        for kind, user in order:
            job = self.jobs[kind, user]
            job.state, job.attempts, job.errors = "parked", 0, 0
            job.cursor = None if job.is_refused else job.cursor
            job.is_refused = False
            self.resuming.setdefault(kind, []).append(user)
            for name in (f"{kind}.dead", "users.dead"):
                self.totals[name] -= 1
        self.dead.clear()
        return len(order)

    def tick(self) -> None:
        if self.now - self.ticked > self.lease_seconds / 2:
            self.excused_until = self.now + self.lease_seconds
        self.ticked = self.now
        for kind, user in _in_order(self.delayed, lambda due: due <= self.now):
            del self.delayed[kind, user]
            self.jobs[kind, user].state = "parked"
            self.resuming.setdefault(kind, []).append(user)
        if self.now >= self.excused_until:
            for kind, user in _in_order(self.leases, lambda end: end <= self.now):
                self.reap(kind, user, is_counted=self.leases[kind, user] >= self.excused_until)

    def kill(self, worker: str) -> None:
        for kind, user in _in_order(self.leases, lambda _: True):
            if self.jobs[kind, user].worker == worker:
                self.reap(kind, user, is_counted=True)

    def reap(self, kind: str, user: str, *, is_counted: bool) -> None:
        del self.leases[kind, user]
        job = self.jobs[kind, user]
        job.clean = False
        job.attempts += is_counted
        if is_counted and job.attempts >= self.max_attempts:
            job.state = "dead"
            self._died(kind, user)
        else:
            job.state = "parked"
            self.resuming.setdefault(kind, []).append(user)

    def is_finished(self) -> bool:
        waits = any(self.queued.get(kind) or self.resuming.get(kind) for kind in self.kinds)
        return not (waits or self.leases or self.delayed)

    def _leave(self, kind: str, user: str, state: str) -> ModelJob:
        del self.leases[kind, user]
        job = self.jobs[kind, user]
        job.state, job.clean = state, True
        return job

    def _died(self, kind: str, user: str) -> None:
        self.dead.add((kind, user))
        self.count(f"{kind}.dead")
        self.count("users.dead")


def _in_order(scores: dict[tuple[str, str], float], keep: Callable[[float], bool]) -> list[tuple[str, str]]:
    """As a sorted set returns them: by score, then by the bytes of the member."""
    kept = [(score, f"{kind}:{user}", (kind, user)) for (kind, user), score in scores.items() if keep(score)]
    return [place for _, _, place in sorted(kept)]

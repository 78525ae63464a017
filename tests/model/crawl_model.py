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


@dataclass
class CrawlModel:
    """Queues, jobs, leases, the seen set and the totals of a breadth-first crawl."""

    lease_seconds: float
    max_attempts: int
    now: float
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
            for lists, resumed in ((self.resuming, True), (self.queued, False)):
                user = self._pop(kind, lists.setdefault(kind, []), resumed)
                if user is not None:
                    job = self.jobs.setdefault((kind, user), ModelJob())
                    job.state, job.worker = "running", worker
                    self.leases[kind, user] = self.now + self.lease_seconds
                    return kind, user
        return None

    def _pop(self, kind: str, line: list[str], resumed: bool) -> str | None:
        for _ in range(len(line)):
            user = line.pop(0)
            job = self.jobs.get((kind, user))
            if (job is None) == resumed or (job is not None and job.state != "parked"):
                continue
            twin = self.jobs.get((TWIN.get(kind, ""), user))
            if twin is not None and twin.state != "dead":
                line.append(user)
                continue
            return user
        return None

    def owns(self, kind: str, user: str, token: str) -> bool:
        job = self.jobs.get((kind, user))
        return job is not None and job.state == "running" and job.token == token

    def commit(self, kind: str, user: str, cursor: str | None, seq: int, found: Sequence[str]) -> int:
        job = self.jobs[kind, user]
        job.cursor, job.seq, job.attempts, job.errors = cursor, seq, 0, 0
        new = [id_ for id_ in dict.fromkeys(found) if id_ not in self.seen]
        self.seen.update(new)
        self.queued.setdefault("timeline", []).extend(new)
        return len(new)

    def park(self, kind: str, user: str) -> None:
        self._leave(kind, user, "parked")
        self.resuming.setdefault(kind, []).insert(0, user)

    def delay(self, kind: str, user: str, seconds: float) -> None:
        self._leave(kind, user, "delayed").errors += 1
        self.delayed[kind, user] = self.now + seconds

    def bury(self, kind: str, user: str) -> None:
        self._leave(kind, user, "dead")
        self._died(kind, user)

    def end(self, kind: str, user: str, outcome: str, next_kind: str | None = None) -> None:
        del self.leases[kind, user], self.jobs[kind, user]
        self.count(f"{kind}.{outcome}")
        if next_kind is None:
            self.count(f"users.{outcome}")
        elif (next_kind, user) not in self.jobs:
            self.queued.setdefault(next_kind, []).append(user)

    def retry(self, order: Sequence[tuple[str, str]]) -> int:
        """``order``: in which they died."""
        for kind, user in order:
            job = self.jobs[kind, user]
            job.state, job.attempts, job.errors = "parked", 0, 0
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

    def is_finished(self, kinds: Sequence[str]) -> bool:
        waits = any(self.queued.get(kind) or self.resuming.get(kind) for kind in kinds)
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

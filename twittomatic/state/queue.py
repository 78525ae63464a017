"""Jobs: claim, commit, seal, finish, beat."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import redis.exceptions

from twittomatic.errors import StateError
from twittomatic.job import Extent, Grant, Job, bucket_of
from twittomatic.state.budget import Wait, moment, sanitized
from twittomatic.state.crawl import text
from twittomatic.state.engine import Caller, Engine
from twittomatic.state.keys import BANDS, Keys
from twittomatic.state.server import is_passing

MOST_IDS = 10_000
"""Ids that one commit may carry: a function bounds its work."""
MOST_SAMPLE = 16_384
"""Characters of the raw answer that a dead job keeps in Redis."""
MOST_REASON = 200
"""Characters of a reason."""
MOST_WAIT_SECONDS = 5.0
"""No blocking call takes longer."""


class Want(NamedTuple):
    """Work that a worker can do: endpoint None when it needs no call to begin; calls: how many to take at once, also
    for a job that was parked until there are calls of the endpoint that it needs."""

    kind: str
    endpoint: str | None
    calls: int


class Found(NamedTuple):
    """An id that the policy chose. ``band``: 0 to 15, 15 is crawled first by the priority traversal."""

    id: str
    band: int = 0


class Refused(NamedTuple):
    """An id that the policy did not choose, by the name of the rule. Whoever discards it first counts it, as
    ``refused.<rule>``: two jobs may judge one id at the same moment."""

    id: str
    rule: str


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing to do now. ``until``: the first moment (unix seconds) when a budget opens, None when none is known;
    ``waits``: kinds that have work but no budget; of a kind that begins without calls, while the next to resume was
    parked for some."""

    until: float | None = None
    waits: Mapping[str, Wait] = field(default_factory=dict)
    paused: bool = False
    draining: bool = False


class Queue:
    """The jobs of one crawl, as one thread of one worker sees them."""

    def __init__(self, engine: Engine, keys: Keys, caller: Caller, *, buckets: int) -> None:
        """``buckets``: as the crawl's settings say."""
        self._engine = engine
        self._keys = keys
        self._caller = caller
        self._buckets = buckets

    def claim(self, wants: Sequence[Want], credentials: Sequence[str]) -> Job | Idle:
        """The next job under a lease, of the first kind in ``wants`` with work and budget, with its grant."""
        args = {
            "wants": [_want(want) for want in wants],
            "credentials": list(credentials),
            "random": secrets.token_hex(8),
        }
        reply = self._engine.call("claim", self._keys, args, caller=self._caller)
        return _job(reply[1]) if reply[0] == "job" else _idle(reply)

    def wait(self, kinds: Iterable[str], seconds: float = MOST_WAIT_SECONDS) -> bool:
        """Sleep until work of these kinds is queued, at most 5 seconds; whether something was."""
        lists = [self._keys.wake(kind) for kind in kinds]
        patience = min(max(seconds, 0.01), MOST_WAIT_SECONDS)
        try:
            return self._engine.client.blpop(lists, timeout=patience) is not None
        except redis.exceptions.RedisError as error:
            if not is_passing(error):
                raise StateError(f"Redis refused to wait: {error}") from error
            return False  # the next claim is what waits for a server that is away

    def commit(
        self,
        job: Job,
        *,
        cursor: str | None,
        extents: Mapping[str, Extent],
        events: Sequence[tuple[str, str]] = (),
        counts: Mapping[str, int] | None = None,
        found: Sequence[Found] = (),
        discarded: Sequence[str | Refused] = (),
    ) -> int:
        """Make a page known that is durable in the archive: progress, totals, found and discarded ids, and its events
        as (channel, JSON document), all or nothing. Returns how many of ``found`` were new. Fenced."""
        if len(found) + len(discarded) > MOST_IDS:
            raise ValueError(f"{len(found) + len(discarded)} ids in one commit: at most {MOST_IDS}")
        args: dict[str, Any] = {
            **_named(job),
            "seq": job.seq + 1,
            "extents": _extents(extents),
            "events": [[channel, document] for channel, document in events],
            "counts": dict(counts or {}),
            "found": [[id_, self._bucket(id_), min(max(band, 0), BANDS - 1)] for id_, band in found],
            "discarded": [self._discarded(entry) for entry in discarded],
        }
        if cursor is not None:
            args["cursor"] = cursor
        return int(self._engine.call("commit", self._keys, args, caller=self._caller)[1])

    def seal(self, job: Job, extents: Mapping[str, Extent]) -> None:
        """Record that the files are whole and how far they go, and wait until that is durable. Fenced."""
        self._engine.call_durably("seal", self._keys, {**_named(job), "extents": _extents(extents)})

    def done(
        self,
        job: Job,
        next_kind: str | None,
        counts: Mapping[str, int] | None = None,
        events: Sequence[tuple[str, str]] = (),
    ) -> None:
        """The job is over and its user goes on with ``next_kind``, or is done. Fenced."""
        self._finish("done", job, counts, events, next=next_kind)

    def gone(
        self,
        job: Job,
        reason: str,
        counts: Mapping[str, int] | None = None,
        events: Sequence[tuple[str, str]] = (),
    ) -> None:
        """The user cannot be read; what there was is published. Fenced."""
        self._finish("gone", job, counts, events, reason=_reason(reason))

    def dead(
        self,
        job: Job,
        reason: str,
        sample: str = "",
        counts: Mapping[str, int] | None = None,
        events: Sequence[tuple[str, str]] = (),
    ) -> None:
        """The job cannot go on without a person: it keeps its hash, its part and ``sample``. Fenced."""
        kept = sanitized(sample[:MOST_SAMPLE])
        self._finish("dead", job, counts, events, reason=_reason(reason), sample=kept)

    def park(
        self,
        job: Job,
        until: float | None = None,
        reason: str = "",
        *,
        needs: str | None = None,
        anew: bool = False,
    ) -> None:
        """Leave the job in good order, to be resumed first, or not before ``until`` (unix seconds). Not an error.
        ``needs``: an endpoint without which a job of a kind that begins without calls cannot go on; it is handed out
        with a grant of it, not before, and nothing new of its kind meanwhile; ``anew``: it begins at the beginning,
        because what was committed is lost. Fenced."""
        more: dict[str, Any] = {"anew": True} if anew else {}
        if until is None:
            self._finish("park", job, reason=_reason(reason), needs=needs, **more)
        else:
            self.delay(job, until=until, reason=reason, counted=False)

    def delay(
        self,
        job: Job,
        seconds: float = 0.0,
        *,
        until: float | None = None,
        reason: str,
        counted: bool = True,
        counts: Mapping[str, int] | None = None,
    ) -> None:
        """Leave the job until a moment (or for some seconds); ``counted``: it is one of its errors. Fenced."""
        due = ("due", until) if until is not None else ("after", seconds)
        more = {"reason": _reason(reason), "counted": counted, due[0]: round(due[1] * 1000)}
        self._finish("delay", job, counts, (), **more)

    def beat(self, jobs: Sequence[tuple[str, str, str]]) -> set[str]:
        """Renew the leases of (kind, user, token) and show that the worker lives; the tokens that are lost."""
        args = {
            "worker": self._caller.worker,
            "instance": self._caller.instance,
            "jobs": [list(held) for held in jobs],
        }
        return set(self._engine.call("beat", self._keys, args)[1:])

    def sample(self, kind: str, user: str) -> str:
        """The raw answer that a dead job keeps."""
        found = self._engine.read(lambda client: client.hget(self._keys.job(kind, user), "sample"))
        return text(found) if found is not None else ""

    def _finish(
        self,
        outcome: str,
        job: Job,
        counts: Mapping[str, int] | None = None,
        events: Sequence[tuple[str, str]] = (),
        **more: Any,
    ) -> None:
        args: dict[str, Any] = {
            **_named(job),
            **{name: value for name, value in more.items() if value is not None},
            "outcome": outcome,
            "counts": dict(counts or {}),
            "events": [[channel, document] for channel, document in events],
        }
        if job.grant is not None and job.grant.calls > 0:
            args["grant"] = [job.grant.endpoint, job.grant.credential, job.grant.calls]
        self._engine.call("finish", self._keys, args, caller=self._caller)

    def _discarded(self, entry: str | Refused) -> list[str | int]:
        id_, *rule = entry if isinstance(entry, Refused) else (entry,)
        return [id_, self._bucket(id_), *rule]

    def _bucket(self, id_: str) -> int:
        return bucket_of(id_, self._buckets)


def _want(want: Want) -> dict[str, Any]:
    return {"kind": want.kind, "calls": want.calls} | ({"endpoint": want.endpoint} if want.endpoint else {})


def _reason(text: str) -> str:
    """A reason is counted by its text: short, and one line."""
    return " ".join(sanitized(text).split())[:MOST_REASON]


def _named(job: Job) -> dict[str, str]:
    return {"kind": job.kind, "user": job.user, "token": job.token}


def _extents(extents: Mapping[str, Extent]) -> dict[str, str]:
    return {suffix: f"{extent.seg} {extent.length} {extent.crc}" for suffix, extent in extents.items()}


def _extent(suffix: str, packed: str) -> Extent:
    seg, length, crc = packed.split(" ")
    return Extent(suffix, seg, int(length), int(crc))


def _job(fields: Mapping[str, Any]) -> Job:
    extents = {name[2:]: _extent(name[2:], value) for name, value in fields.items() if name.startswith("x:")}
    grant = fields.get("grant")
    return Job(
        fields["kind"],
        fields["user"],
        fields["token"],
        cursor=fields.get("cursor"),
        seq=int(fields["seq"]),
        extents=extents,
        clean=fields["clean"] == "1",
        sealed=fields["sealed"] == "1",
        attempts=int(fields["attempts"]),
        errors=int(fields["errors"]),
        grant=Grant(grant[0], grant[1], int(grant[2])) if grant else None,
        note=fields["note"],
    )


def _idle(reply: Sequence[Any]) -> Idle:
    waits = {kind: Wait(endpoint, moment(until), reason) for kind, endpoint, until, reason in reply[3:]}
    known = [wait.until for wait in waits.values() if wait.until is not None]
    return Idle(min(known, default=None), waits, paused=reply[1] == 1, draining=reply[2] == 1)

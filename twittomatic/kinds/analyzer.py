"""Analyzers: whose followers are worth crawling. New ids are judged by the policy, admitted or discarded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import ujson

from twittomatic.archive.base import COMPLETE, End
from twittomatic.errors import Transient
from twittomatic.job import ANALYZER, FWS, USR
from twittomatic.kinds.base import Desk, Result, Walk
from twittomatic.kinds.calls import Failing, Stopped
from twittomatic.kinds.chunks import LINE, Chunk, chunks
from twittomatic.sources.base import PROFILES_CALL, UNAVAILABLE
from twittomatic.state.queue import Found, Refused

LOOKUP_CALLS = 4
COMMIT_IDS = 5000
"""Ids judged in one commit at most."""
QUIET_LINES = 10_000
"""Lines without anybody new after which the place is kept nonetheless."""
UNTOLD_IDS = 100
"""Ids kept for one more lookup at the end of the job."""

NOT_FOUND = "not_found"


class Analyzer:
    """Streams the followers' file; takes the profiles that are there; looks up the rest by the hundred."""

    name = ANALYZER
    endpoint: str | None = None
    calls = LOOKUP_CALLS

    def run(self, desk: Desk) -> Result:
        if desk.archive.end_of(desk.user, FWS) is None:
            return Result("done", "no followers held")
        if desk.job.extents:
            desk.open([USR])
        judging = _Judging(desk)
        for chunk in chunks(desk, judging.at.items):
            if desk.services.stop.is_set():
                raise Stopped("asked to stop")
            judging.take(chunk)
        judging.finish()
        if desk.drafts:
            desk.publish(End(COMPLETE, at=int(desk.services.clock.now())))
        return Result("done", COMPLETE, already=desk.job.seq == 0)


class _Judging:
    """New followers on their way to a commit: as many as it takes to fill a lookup, across chunks.

    at: where the job stands (items: lines committed); batch: profiles by id, None for those that have to be looked up;
    lookups: these; line: lines read.
    """

    def __init__(self, desk: Desk) -> None:
        self.at = Walk.decode(desk.job.cursor)
        self._desk = desk
        self._size = desk.source.page_limits[PROFILES_CALL]
        self._batch: dict[str, bytes | None] = {}
        self._lookups: list[str] = []
        self._line = self.at.items

    def take(self, chunk: Chunk) -> None:
        """Add the new ones of a chunk, and commit as often as a lookup is full."""
        unseen = set(self._desk.services.frontier.unseen(chunk.ids)) - self._batch.keys()
        for self._line, id_ in enumerate(chunk.ids, chunk.start + 1):
            if id_ not in unseen:
                continue
            unseen.discard(id_)
            self._add(id_, chunk.profiles.get(id_))
            if self._is_full:
                self._drop_seen()
            if self._is_full:
                self._commit()
        if not self._batch and self._line - self.at.items >= QUIET_LINES:
            self._commit()

    def finish(self) -> None:
        """Commit the rest, and ask once more for those that the network told nothing of."""
        self._drop_seen()
        if self._batch:
            self._commit()
        waiting = self._desk.services.frontier.unseen(self.at.untold)
        while waiting:
            asked, waiting = waiting[: self._size], waiting[self._size :]
            for id_ in asked:
                self._add(id_, None)
            self.at.untold = waiting
            self._commit(is_last_try=True)

    def _add(self, id_: str, profile: bytes | None) -> None:
        self._batch[id_] = profile
        if profile is None:
            self._lookups.append(id_)

    @property
    def _is_full(self) -> bool:
        return len(self._lookups) >= self._size or len(self._batch) >= COMMIT_IDS

    def _drop_seen(self) -> None:
        """Leave out those whom another job has judged since: nobody is paid for twice."""
        still = self._desk.services.frontier.unseen(self._lookups)
        for id_ in set(self._lookups).difference(still):
            del self._batch[id_]
        self._lookups = still

    def _commit(self, *, is_last_try: bool = False) -> None:
        """Look up those that have to be, judge all, make it known with the line up to which the file is through."""
        desk, batch = self._desk, dict(self._batch)
        counts: Counter[str] = Counter()
        lines: list[bytes] = []
        if self._lookups:
            told, untold, counts = self._look_up(is_last_try=is_last_try)
            batch = {id_: line for id_, line in (batch | told).items() if id_ not in untold}
            lines = list(told.values())
            if lines and not desk.drafts:
                self._open()
        found, discarded = _verdicts(desk, batch)
        counts["analyzer.items"] = len(batch)
        span = (f"{LINE}{self.at.items}", f"{LINE}{self._line}")
        self.at.items = self._line
        desk.commit(self.at.encode(), span, {USR: lines}, counts, found=found, discarded=discarded)
        self._batch, self._lookups = {}, []

    def _look_up(self, *, is_last_try: bool) -> tuple[dict[str, bytes], set[str], Counter[str]]:
        """Lines for those looked up, those of whom nothing was told, and counts of it. Failing when that is all."""
        wanted = self._lookups
        page = self._desk.ask(
            PROFILES_CALL, LOOKUP_CALLS, lambda credential: self._desk.source.profiles(wanted, credential=credential)
        )
        gone = {missing.id: missing.reason for missing in page.missing}
        untold = {id_ for id_ in wanted if gone.get(id_) == UNAVAILABLE}
        if len(untold) == len(wanted) and not is_last_try:
            raise Failing(Transient(f"a lookup of {len(wanted)} profiles told nothing of any"))
        counts = Counter({"analyzer.pages": 1, "analyzer.profiles": len(page.items), "analyzer.bytes": page.size})
        if untold and not is_last_try:
            counts["analyzer.untold"] = len(untold)
            self.at.untold = [*self.at.untold, *(id_ for id_ in wanted if id_ in untold)][:UNTOLD_IDS]
        came = {item.id: item.line for item in page.items}
        told = {id_: came.get(id_) or _gone_line(id_, gone.get(id_, NOT_FOUND)) for id_ in wanted if id_ not in untold}
        return told, untold, counts

    def _open(self) -> None:
        """A part for looked-up profiles, behind those that the final holds already."""
        held = self._desk.archive.end_of(self._desk.user, USR)
        self._desk.open([USR])
        if held is not None:
            self._desk.drafts[USR].copy_final()


def _verdicts(desk: Desk, batch: Mapping[str, bytes | None]) -> tuple[list[Found], list[Refused]]:
    """Who is admitted and who is only marked as seen; whoever marks a user first counts the refusal."""
    found: list[Found] = []
    discarded: list[Refused] = []
    policy, now = desk.services.policy, desk.services.clock.now()
    for id_, line in batch.items():
        assert line is not None, "looked up"
        if is_gone_line(line):
            discarded.append(Refused(id_, str(ujson.loads(line)["gone"])))
            continue
        profile = desk.source.profile(line)
        verdict = policy.judge(profile, now)
        if verdict.chosen:
            found.append(Found(id_, policy.band(profile)))
        else:
            discarded.append(Refused(id_, verdict.rule))
    return found, discarded


def _gone_line(id_: str, reason: str) -> bytes:
    """What stands in the profiles' file for an id that a lookup did not return, so that it is not paid for again."""
    return ujson.dumps({"id": id_, "gone": reason}).encode()


def is_gone_line(line: bytes) -> bool:
    """Whether a line of a profiles' file stands for a user that cannot be read."""
    return len(line) < 200 and set(ujson.loads(line)) == {"id", "gone"}

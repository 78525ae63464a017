"""Analyzers: whose followers are worth crawling. New ids are judged by the policy, admitted or discarded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import ujson

from twittomatic.archive.base import COMPLETE, End, Head, Member
from twittomatic.archive.ids import id_of
from twittomatic.job import ANALYZER, FWS, USR
from twittomatic.kinds.base import Desk, Result, Walk
from twittomatic.sources.base import PROFILES_CALL, UNAVAILABLE
from twittomatic.state.queue import Found, Refused

LOOKUP_CALLS = 4
CHUNK_LINES = 1000
"""Followers judged in one commit at most."""

NOT_FOUND = "not_found"
LINE = "line:"
"""How a looked-up member's cursors begin: they are line numbers of the followers' file."""


class Chunk(NamedTuple):
    """Some followers in file order. start, stop: line numbers in their file; profiles: those at hand, by id."""

    start: int
    stop: int
    ids: list[str]
    profiles: dict[str, bytes]


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
        at = Walk.decode(desk.job.cursor)
        judged = at.items
        for chunk in _chunks(desk, judged):
            self._judge(desk, at, chunk)
        if desk.drafts:
            desk.publish(End(COMPLETE, at=int(desk.services.clock.now())))
        return Result("done", COMPLETE)

    def _judge(self, desk: Desk, at: Walk, chunk: Chunk) -> None:
        """Judge a chunk in as many commits as it takes lookups; each commit knows up to which line it is through."""
        unseen = set(desk.services.frontier.unseen(chunk.ids))
        batch: list[str] = []
        lookups: list[str] = []
        size = desk.source.page_limits[PROFILES_CALL]
        for line, id_ in enumerate(chunk.ids, chunk.start):
            if id_ in unseen:
                unseen.discard(id_)
                batch.append(id_)
                if id_ not in chunk.profiles:
                    lookups.append(id_)
            if len(lookups) == size or line == chunk.stop - 1:
                self._settle(desk, at, batch, lookups, chunk.profiles, line + 1)
                batch, lookups = [], []

    def _settle(
        self, desk: Desk, at: Walk, batch: list[str], lookups: list[str], profiles: dict[str, bytes], upto: int
    ) -> None:
        counts = Counter({"analyzer.items": len(batch)})
        lines: list[bytes] = []
        reasons: dict[str, str] = {}
        if lookups:
            page = desk.ask(
                PROFILES_CALL, LOOKUP_CALLS, lambda credential: desk.source.profiles(lookups, credential=credential)
            )
            if not desk.drafts:
                self._open_lookups(desk)
            profiles = profiles | {item.id: item.line for item in page.items}
            gone = {missing.id: missing.reason for missing in page.missing}
            untold = {id_ for id_, reason in gone.items() if reason == UNAVAILABLE}
            batch = [id_ for id_ in batch if id_ not in untold]
            lines = [
                profiles.get(id_) or _gone_line(id_, gone.get(id_, NOT_FOUND)) for id_ in lookups if id_ not in untold
            ]
            counts.update({"analyzer.pages": 1, "analyzer.profiles": len(page.items), "analyzer.bytes": page.size})
            reasons = {id_: reason for id_, reason in gone.items() if id_ not in untold}
        found, discarded = self._verdicts(desk, batch, profiles, reasons)
        before, at.items = at.items, upto
        if batch or upto - before >= CHUNK_LINES:
            span = (f"{LINE}{before}", f"{LINE}{upto}")
            desk.commit(at.encode(), span, {USR: lines}, counts, found=found, discarded=discarded)

    def _open_lookups(self, desk: Desk) -> None:
        """A part for looked-up profiles, behind those that the final holds already."""
        held = desk.archive.end_of(desk.user, USR)
        desk.open([USR])
        if held is not None:
            desk.drafts[USR].copy_final()

    def _verdicts(
        self, desk: Desk, batch: Sequence[str], profiles: dict[str, bytes], gone: dict[str, str]
    ) -> tuple[list[Found], list[Refused]]:
        """Who is admitted and who is only marked as seen; whoever marks a user first counts the refusal."""
        found: list[Found] = []
        discarded: list[Refused] = []
        policy, now = desk.services.policy, desk.services.clock.now()
        for id_ in batch:
            line = profiles.get(id_)
            if line is None or is_gone_line(line):
                reason = gone.get(id_, NOT_FOUND) if line is None else str(ujson.loads(line)["gone"])
                discarded.append(Refused(id_, reason))
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


def _by_id(lines: Sequence[bytes]) -> dict[str, bytes]:
    return {id_: line for line in lines if (id_ := id_of(line, USR)) is not None}


def _chunks(desk: Desk, start: int) -> Iterator[Chunk]:
    """The followers from a line on, at most CHUNK_LINES at once, with the profiles that the archive has for them."""
    profiles = _Profiles(desk)
    line = start
    for member in desk.archive.members(desk.user, FWS, skip_lines=start):
        ids = [raw.decode() for raw in member.lines]
        for index in range(0, len(ids), CHUNK_LINES):
            part = ids[index : index + CHUNK_LINES]
            yield Chunk(line, line + len(part), part, profiles.of(member.head, line, line + len(part)))
            line += len(part)


class _Profiles:
    """The profiles' file read in step with the followers' file: once, from the front, a few members in memory.

    Members of the follower job have the sequence number and cursors of the ids' member; members of an earlier analyzer
    name the lines of the followers' file that they cover. Both come in the order of the ids.
    """

    def __init__(self, desk: Desk) -> None:
        has_final = desk.archive.end_of(desk.user, USR) is not None
        self._members = desk.archive.members(desk.user, USR) if has_final else iter(())
        self._next: Member | None = next(self._members, None)
        self._near: list[tuple[int, int, dict[str, bytes]]] = []

    def of(self, head: Head, start: int, stop: int) -> dict[str, bytes]:
        """Profiles at hand for lines [start, stop) of the followers' file, which stand in its member ``head``."""
        while self._next is not None and (reach := self._reach(self._next.head, head, start, stop)) is not None:
            if reach[1] > start:
                self._near.append((*reach, _by_id(self._next.lines)))
            self._next = next(self._members, None)
        self._near = [entry for entry in self._near if entry[1] > start]
        return {id_: line for _, _, profiles in self._near for id_, line in profiles.items()}

    @staticmethod
    def _reach(profiles: Head, ids: Head, start: int, stop: int) -> tuple[int, int] | None:
        """The lines that a member of profiles covers, None when it lies behind the present ones."""
        if (profiles.prev or "").startswith(LINE):
            first, last = (int((cursor or LINE).removeprefix(LINE) or 0) for cursor in (profiles.prev, profiles.next))
            return (first, last) if first < stop else None
        if profiles.seq > ids.seq:
            return None
        return (start, start + ids.n) if profiles.seq == ids.seq else (0, 0)

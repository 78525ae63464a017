"""The seen set and the frontier: who was ever admitted, who waits for the next iteration, when an iteration is over."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from twittomatic.job import bucket_of
from twittomatic.state.crawl import text
from twittomatic.state.engine import Caller, Engine
from twittomatic.state.keys import Keys

BLOCK = 10_000
"""Ids in one call: a function bounds its work."""


class Admitted(NamedTuple):
    """What an admission met: ids that are new to the seen set, ids that were in it already (queued as well), and ids
    that exceed the crawl's ``max_users``: not queued, but in the frontier."""

    new: int
    already: int
    left_out: int = 0


class Frontier:
    """Who is known and who comes next, in one crawl."""

    def __init__(self, engine: Engine, keys: Keys, caller: Caller, *, buckets: int) -> None:
        """``buckets``: as the crawl's settings say."""
        self._engine = engine
        self._keys = keys
        self._caller = caller
        self._buckets = buckets

    def admit(
        self,
        ids: Sequence[str],
        kind: str,
        position: str | None,
        *,
        epoch: str | None = None,
        done: Mapping[str, str] | None = None,
    ) -> Admitted:
        """Queue seeds, seen or not, and store how far the load is in the same act; position None: it is complete, and
        ``done`` are settings of the crawl that say so. At most 10,000 ids. Deposed when ``epoch`` is given and no
        longer leads."""
        if len(ids) > BLOCK:
            raise ValueError(f"{len(ids)} seeds in one call: at most {BLOCK}")
        if done and position is not None:
            raise ValueError("a load that goes on is not done")
        args: dict[str, Any] = {"ids": [[id_, self._bucket(id_)] for id_ in ids], "kind": kind}
        if position is not None:
            args["position"] = position
        if epoch is not None:
            args["epoch"] = epoch
        if done:
            args["done"] = dict(done)
        reply = self._engine.call("admit", self._keys, args, caller=self._caller)
        return Admitted(*map(int, reply[1:]))

    def load_position(self) -> str | None:
        """Where a load of seeds stands, None when none is under way."""
        found = self._engine.read(lambda client: client.get(self._keys.load))
        return None if found is None else text(found)

    def unseen(self, ids: Sequence[str]) -> list[str]:
        """Those that were never admitted nor discarded, in their order."""
        by_bucket: dict[int, list[str]] = defaultdict(list)
        for id_ in dict.fromkeys(ids):
            by_bucket[self._bucket(id_)].append(id_)

        def ask(client: Any) -> list[list[int]]:
            pipeline = client.pipeline(transaction=False)
            for bucket, members in by_bucket.items():
                pipeline.smismember(self._keys.seen(bucket), members)
            answers: list[list[int]] = pipeline.execute()
            return answers

        if not by_bucket:
            return []
        seen = {
            member
            for members, flags in zip(by_bucket.values(), self._engine.read(ask), strict=True)
            for member, flag in zip(members, flags, strict=True)
            if flag
        }
        return [id_ for id_ in dict.fromkeys(ids) if id_ not in seen]

    def finished(self, epoch: str) -> bool:
        """Whether nothing is queued, held, delayed or being loaded. Deposed."""
        return bool(self._engine.call("finished", self._keys, {"epoch": epoch})[1] == "1")

    def front_len(self) -> int:
        """How many were found for the next iteration."""
        return int(self._engine.read(lambda client: client.llen(self._keys.frontier)))

    def front_blocks(self, block: int = BLOCK) -> Iterator[list[str]]:
        """The frontier in the order it was found, in blocks. Read it while the crawl is finished."""
        first = 0
        while True:
            ids = self._engine.read(partial(_range, name=self._keys.frontier, first=first, last=first + block - 1))
            if ids:
                yield [text(id_) for id_ in ids]
            if len(ids) < block:
                return
            first += block

    def iterate(self, epoch: str) -> int | None:
        """Close the iteration once its frontier is on disk: the list is dropped, the crawl's state is ``done``.
        The number of the next iteration; None when work came in meanwhile. Deposed."""
        reply = self._engine.call("iterate", self._keys, {"epoch": epoch}, caller=self._caller)
        return None if reply[0] == "busy" else int(reply[1])

    def begin(self, epoch: str) -> int:
        """Open the next iteration of a crawl that is done; one under way goes on. Its number. Deposed."""
        return int(self._engine.call("begin", self._keys, {"epoch": epoch}, caller=self._caller)[1])

    def _bucket(self, id_: str) -> int:
        return bucket_of(id_, self._buckets)


def _range(client: Any, name: str, first: int, last: int) -> list[Any]:
    ids: list[Any] = client.lrange(name, first, last)
    return ids

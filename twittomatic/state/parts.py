"""Which parts of the archive belong to a job: what no job names was left behind by a crash."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twittomatic.job import CLAIM_ORDER
from twittomatic.state.crawl import text, text_map
from twittomatic.state.engine import Engine
from twittomatic.state.keys import Keys

BLOCK = 1000


def named_segs(engine: Engine, keys: Keys) -> set[str]:
    """The segs of every job that is claimed, parked, delayed or dead, and the token under which it may write now."""
    segs: set[str] = set()
    for block in _jobs(engine, keys):
        names = [keys.job(kind, user) for kind, user in block]
        for fields in map(text_map, engine.read(lambda client, names=names: _hashes(client, names))):  # type: ignore[misc]
            segs.update(value.split(" ")[0] for name, value in fields.items() if name.startswith("x:"))
            segs.update({fields["token"], f"{fields['token']}.u"} if "token" in fields else ())
    return segs


def _hashes(client: Any, names: list[str]) -> list[Any]:
    pipeline = client.pipeline(transaction=False)
    for name in names:
        pipeline.hgetall(name)
    found: list[Any] = pipeline.execute()
    return found


def _jobs(engine: Engine, keys: Keys) -> Iterator[list[tuple[str, str]]]:
    """(kind, user) of every job that has a hash, in blocks."""
    for zset in (keys.leases, keys.delayed, keys.dead):
        first = 0
        while members := engine.read(lambda client, at=first, key=zset: client.zrange(key, at, at + BLOCK - 1)):  # type: ignore[misc]
            named = (text(member).partition(":") for member in members)
            yield [(kind, user) for kind, _, user in named]
            first += BLOCK
    for kind in CLAIM_ORDER:
        first = 0
        while users := engine.read(
            lambda client, at=first, of=kind: client.lrange(keys.resume(of), at, at + BLOCK - 1)  # type: ignore[misc]
        ):
            yield [(kind, text(user)) for user in users]
            first += BLOCK

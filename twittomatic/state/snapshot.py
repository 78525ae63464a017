"""One picture of a crawl, taken at once: what every display shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ujson

from twittomatic.job import CLAIM_ORDER
from twittomatic.state.budget import Books, Wait, books
from twittomatic.state.crawl import text, text_map
from twittomatic.state.engine import Engine
from twittomatic.state.keys import BANDS, Keys
from twittomatic.state.leader import Held
from twittomatic.state.registry import Worker, workers


@dataclass(frozen=True, slots=True)
class KindSnapshot:
    """Users of one kind by where they are; dead and what follows are totals of this iteration."""

    queued: int = 0
    resuming: int = 0
    running: int = 0
    delayed: int = 0
    dead: int = 0
    done: int = 0
    gone: int = 0
    already: int = 0
    pages: int = 0
    items: int = 0

    @property
    def waiting(self) -> int:
        """Users that have this work before them."""
        return self.queued + self.resuming + self.delayed


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A crawl at one moment. at: unix seconds by the server; state: running, drained, done, or empty when there is no
    such crawl; counters: all totals of this iteration by name; waits: endpoints that no credential may call, by when
    one may; dead: of all iterations; lost_workers have been silent for a lease; cost_micro: micro-dollars."""

    at: float
    crawl: str
    state: str
    iteration: int
    paused: bool
    draining: bool
    loading: str | None
    settings: Mapping[str, str]
    kinds: Mapping[str, KindSnapshot]
    counters: Mapping[str, int]
    workers: Sequence[Worker]
    lost_workers: Sequence[Worker]
    leader: Held | None
    waits: Mapping[str, Wait]
    windows: Sequence[Books]
    seen: int
    frontier: int
    dead: int
    requests: int
    cost_micro: int
    reasons: Mapping[str, int]


def snapshot(engine: Engine, keys: Keys) -> Snapshot:
    """The crawl now, in one round trip."""
    return _assembled(keys, engine.read(lambda client: _ask(client, engine, keys)))


def _ask(client: Any, engine: Engine, keys: Keys) -> dict[str, Any]:
    pipeline = client.pipeline(transaction=False)
    names: list[str] = []

    def add(name: str, command: str, *words: Any) -> None:
        names.append(name)
        getattr(pipeline, command)(*words)

    add("time", "time")
    add("cfg", "hgetall", keys.settings)
    add("cnt", "hgetall", keys.counters)
    add("lead", "hgetall", keys.leader)
    add("paused", "exists", keys.paused)
    add("drain", "exists", keys.draining)
    add("load", "get", keys.load)
    add("front", "llen", keys.frontier)
    add("dead", "zcard", keys.dead)
    add("now", "hgetall", keys.held)
    for kind in CLAIM_ORDER:
        add(f"r:{kind}", "llen", keys.resume(kind))
        for band in (None, *range(BANDS)):
            add(f"q:{kind}:{band}", "llen", keys.queue(kind, band))
    for function in ("windows", "workers"):
        add(function, "execute_command", *engine.command(function, keys, {}, None))
    return dict(zip(names, pipeline.execute(), strict=True))


def _assembled(keys: Keys, raw: Mapping[str, Any]) -> Snapshot:
    settings = text_map(raw["cfg"])
    all_counters = text_map(raw["cnt"])
    iteration = settings.get("iteration", "0")
    counters = {
        name.removeprefix(f"{iteration}|"): int(number)
        for name, number in all_counters.items()
        if name.startswith(f"{iteration}|")
    }
    at = int(raw["time"][0]) + int(raw["time"][1]) / 1e6
    windows = books(ujson.loads(raw["windows"])[1:])
    everybody = workers(ujson.loads(raw["workers"])[1:])
    lease_seconds = float(settings.get("lease_seconds", "60"))
    return Snapshot(
        at=at,
        crawl=keys.crawl,
        state=settings.get("state", ""),
        iteration=int(iteration),
        paused=bool(raw["paused"]),
        draining=bool(raw["drain"]),
        loading=None if raw["load"] is None else text(raw["load"]),
        settings=settings,
        kinds=_kinds(raw, counters),
        counters=counters,
        workers=[worker for worker in everybody if worker.silent_seconds < lease_seconds],
        lost_workers=[worker for worker in everybody if worker.silent_seconds >= lease_seconds],
        leader=_leader(text_map(raw["lead"])),
        waits=_waits(windows),
        windows=windows,
        seen=int(all_counters.get("seen", 0)),
        frontier=int(raw["front"]),
        dead=int(raw["dead"]),
        requests=counters.get("requests", 0),
        cost_micro=counters.get("cost_micro", 0),
        reasons={
            name.removeprefix("reason."): number for name, number in counters.items() if name.startswith("reason.")
        },
    )


def _kinds(raw: Mapping[str, Any], counters: Mapping[str, int]) -> dict[str, KindSnapshot]:
    held = text_map(raw["now"])
    return {
        kind: KindSnapshot(
            queued=sum(int(raw[f"q:{kind}:{band}"]) for band in (None, *range(BANDS))),
            resuming=int(raw[f"r:{kind}"]),
            running=int(held.get(f"lease:{kind}", 0)),
            delayed=int(held.get(f"delay:{kind}", 0)),
            dead=counters.get(f"{kind}.dead", 0),
            done=counters.get(f"{kind}.done", 0),
            gone=counters.get(f"{kind}.gone", 0),
            already=counters.get(f"{kind}.already", 0),
            pages=counters.get(f"{kind}.pages", 0),
            items=counters.get(f"{kind}.items", 0),
        )
        for kind in CLAIM_ORDER
    }


def _leader(fields: Mapping[str, str]) -> Held | None:
    if not fields:
        return None
    return Held(fields["master"], ujson.loads(fields["info"]), int(fields["until"]) / 1000)


def _waits(windows: Sequence[Books]) -> dict[str, Wait]:
    """Endpoints where every credential is blocked, with the first moment that this changes."""
    by_endpoint: dict[str, list[Books]] = {}
    for row in windows:
        by_endpoint.setdefault(row.endpoint, []).append(row)
    waits = {}
    for endpoint, rows in by_endpoint.items():
        if all(row.blocked for row in rows):
            known = [row.blocked_until for row in rows if row.blocked_until is not None]
            first = min(rows, key=lambda row: row.blocked_until or float("inf"))
            waits[endpoint] = Wait(endpoint, min(known, default=None), first.reason)
    return waits

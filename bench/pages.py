"""Timeline pages, from the twin to fsynced, committed members of the archive, beside a loop without any state."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.crawling import MASTER, REDIS, WORKERS, Crawled, crawl
from bench.programs import told_by
from bench.result import Claim, Result, Say, Series
from bench.world import running_twin


@dataclass(frozen=True)
class Size:
    """rounds: each measures both sides; users: of each 32 pages are kept; threads: jobs in hand, of either side."""

    rounds: int
    users: int
    workers: int = 1
    threads: int = 8


FULL = Size(rounds=5, users=32)
SMALL = Size(rounds=1, users=4)


def measure(size: Size, say: Say) -> Result:
    """Pages a second and processor time a page, of a crawl and of the floor."""
    crawls: list[Crawled] = []
    floors: list[dict[str, float]] = []
    with running_twin() as twin, tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        users = twin.users(size.users)
        paths = folder / "paths.txt"
        paths.write_text("\n".join(twin.paths(users)))
        for turn in range(size.rounds):
            kept = folder / f"floor-{turn}"
            kept.mkdir()
            floors.append(told_by("floor", twin.port, paths, kept, size.threads))
            crawls.append(crawl(twin, users, folder / f"crawl-{turn}", workers=size.workers, threads=size.threads))
            say(
                f"pages, round {turn + 1} of {size.rounds}: {crawls[-1].pages_per_second:.0f} pages/s, "
                f"{crawls[-1].cpu_ms_per_page(WORKERS):.2f} ms of a worker a page; "
                f"floor {1000 * floors[-1]['cpu_seconds'] / floors[-1]['pages']:.2f} ms"
            )
    return _result(size, crawls, floors)


def _result(size: Size, crawls: list[Crawled], floors: list[dict[str, float]]) -> Result:
    floor_ms = [1000 * floor["cpu_seconds"] / floor["pages"] for floor in floors]
    series = {
        "pages": Series("crawl", "pages/s", [one.pages_per_second for one in crawls]),
        "floor": Series("floor", "pages/s", [floor["pages"] / floor["seconds"] for floor in floors]),
        "floor_ms": Series("floor", "ms a page", floor_ms),
        "all_ms": Series(
            "workers, master and Redis", "ms a page",
            [one.cpu_ms_per_page(WORKERS, MASTER, REDIS) for one in crawls],
        ),
    }  # fmt: skip
    for role in (WORKERS, MASTER, REDIS):
        values = [one.cpu_ms_per_page(role) for one in crawls]
        series[f"{role}_ms"] = Series(role, "ms a page", values)
    return Result(
        name="pages",
        title="X v2 timeline pages of 100 posts, all fields, from the twin (gzip) to fsynced, committed "
        "members of the archive, each post with what it refers to; beside a plain loop without state that receives the "
        "same pages, slices, compresses (isal, level 2) and fsyncs them as they came",
        series=series,
        claims=[
            Claim("processor time of the workers", "workers_ms", "floor_ms", most=2),
            Claim("processor time of workers, master and Redis", "all_ms", "floor_ms"),
            Claim("processor time of Redis", "redis_ms"),
            Claim("processor time of the master", "master_ms"),
            Claim("pages of one crawl with one worker process", "pages", "floor"),
        ],
        size=asdict(size),
        counts=[
            {
                **{f"floor_{key}": value for key, value in floor.items()},
                **{f"crawl_{key}": float(getattr(one, key)) for key in ("pages", "posts", "seconds", "stored")},
                **{f"crawl_cpu_{role}": seconds for role, seconds in one.cpu.items()},
            }
            for one, floor in zip(crawls, floors, strict=True)
        ],
    )

"""The twin is never the bottleneck: what it serves a second, beside what one worker process takes of it."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.crawling import crawl
from bench.programs import told_by
from bench.result import Claim, Result, Say, Series
from bench.world import running_twin

CONNECTIONS = 4


@dataclass(frozen=True)
class Size:
    """rounds: each measures both sides; users: 32 pages of each are served; crawled: so many of them are crawled."""

    rounds: int
    users: int
    crawled: int
    threads: int = 8


FULL = Size(rounds=5, users=100, crawled=20)
SMALL = Size(rounds=1, users=6, crawled=4)


def measure(size: Size, say: Say) -> Result:
    """Pages a second: served to a client that only receives; taken by one worker."""
    counts: list[dict[str, float]] = []
    served: list[float] = []
    taken: list[float] = []
    cost: list[float] = []
    with running_twin() as twin, tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        users = twin.users(size.users)
        paths = folder / "paths.txt"
        paths.write_text("\n".join(twin.paths(users)))
        told_by("client", twin.port, paths, CONNECTIONS)  # warm
        for turn in range(size.rounds):
            before = twin.cpu_seconds()
            got = told_by("client", twin.port, paths, CONNECTIONS)
            got["twin_cpu_seconds"] = twin.cpu_seconds() - before
            one = crawl(twin, users[: size.crawled], folder / str(turn), workers=1, threads=size.threads)
            served.append(got["pages"] / got["seconds"])
            taken.append(one.pages_per_second)
            cost.append(1000 * got["twin_cpu_seconds"] / got["pages"])
            crawled = {"crawl_pages": one.pages, "crawl_posts": one.posts, "crawl_seconds": one.seconds}
            counts.append({**{f"client_{key}": value for key, value in got.items()}, **crawled})
            say(f"twin, round {turn + 1} of {size.rounds}: {served[-1]:.0f} served, {taken[-1]:.0f} taken a second")
    return Result(
        name="twin",
        title="uncompressed X v2 timeline pages of 100 posts, all fields, from one `twittomatic emulator` process to a "
        "client that only receives; beside what one worker process takes of it (gzip, archived)",
        series={
            "served": Series("served by the twin", "pages/s", served),
            "taken": Series("one worker process", "pages/s", taken),
            "cost": Series("the twin", "ms a page", cost),
        },
        claims=[
            Claim("pages that the twin serves", "served", least=1000),
            Claim("what the twin serves beside what a worker takes", "served", "taken", least=5),
            Claim("processor time of the twin", "cost"),
        ],
        size={**asdict(size), "connections": CONNECTIONS},
        counts=counts,
        any_claim=True,
    )

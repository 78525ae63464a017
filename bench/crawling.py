"""One crawl of the twin's timelines as a person starts it, watched from outside: committed pages, processor time."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import psutil
import redis

from bench.world import TOKEN, Twin
from twittomatic import embedded
from twittomatic.children import Child
from twittomatic.job import TIMELINE
from twittomatic.state.keys import Keys

LOOK_SECONDS = 0.1
COUNTERS = Keys("main", "main").counters
PAGES, POSTS = f"1|{TIMELINE}.pages", f"1|{TIMELINE}.items"
"""Fields of the counters: totals of the first iteration."""
MOST_SECONDS = 60.0
WORKERS, MASTER, REDIS, REST = "workers", "master", "redis", "crawl"


@dataclass(frozen=True)
class Look:
    """One moment: committed pages and posts; processor seconds so far by role."""

    at: float
    pages: int
    posts: int
    cpu: dict[str, float]


@dataclass
class Crawled:
    """A crawl between its first and its last commit: what starting and ending cost is left out.

    cpu: processor seconds by role; stored: bytes of the finals.
    """

    pages: int
    posts: int
    seconds: float
    stored: int
    cpu: dict[str, float] = field(default_factory=dict)

    @property
    def pages_per_second(self) -> float:
        return self.pages / self.seconds

    def cpu_ms_per_page(self, *roles: str) -> float:
        """Processor milliseconds a page that these roles used together."""
        return 1000 * sum(self.cpu[role] for role in roles) / self.pages


def crawl(twin: Twin, users: Sequence[str], folder: Path, *, workers: int, threads: int) -> Crawled:
    """Crawl the timelines of these users into a new folder. RuntimeError when that does not end as it should."""
    folder.mkdir()
    seeds = folder / "seeds.txt"
    seeds.write_text("\n".join(users) + "\n")
    output = folder / "archive"
    command = ["crawl", str(seeds), "-T", "--workers", str(workers), "--threads", str(threads),
               "--api-url", twin.url, "--output", str(output), "--json"]  # fmt: skip
    child = Child(command, "crawl", environment={"TWITTOMATIC_BEARER": TOKEN}, read_stdout=True).start()
    try:
        looks = _watch(child, output)
        told = json.loads(child.read_line(1.0) or b"{}")
        if child.wait(5.0) != 0 or told.get("state") != "done" or told["users"]["done"] != len(users):
            raise RuntimeError(f"the crawl did not end well: {child.report()}\n{told}")
    finally:
        child.stop()
    stored = sum(path.stat().st_size for path in output.glob("*/*.twt"))
    return _between(looks, stored)


def _watch(child: Child, output: Path) -> list[Look]:
    """Look at it until it ends."""
    looks: list[Look] = []
    deadline = time.monotonic() + MOST_SECONDS
    server: redis.Redis | None = None
    while child.running:
        if time.monotonic() > deadline:
            raise RuntimeError(f"the crawl takes longer than {MOST_SECONDS:g} s: {child.errors()}")
        url = None if server else embedded.running_url(output / ".redis")
        if url is not None:
            server = redis.Redis.from_url(url, socket_timeout=1.0, retry=None)
        if server is not None and (look := _look(child.pid, server)) is not None:
            looks.append(look)
        time.sleep(LOOK_SECONDS)
    if server is not None:
        server.close()
    return looks


def _look(pid: int, server: redis.Redis) -> Look | None:
    """The crawl now; None while it is not yet, or no longer, all there."""
    try:
        cpu = _cpu(pid)
        pages, posts = cast(list[bytes | None], server.hmget(COUNTERS, PAGES, POSTS))
    except (redis.RedisError, psutil.NoSuchProcess):
        return None
    return Look(time.monotonic(), int(pages or 0), int(posts or 0), cpu)


def _cpu(pid: int) -> dict[str, float]:
    """Processor seconds of each role, read from the processes themselves."""
    root = psutil.Process(pid)
    used = dict.fromkeys((WORKERS, MASTER, REDIS, REST), 0.0)
    for process in (root, *root.children(recursive=True)):
        with process.oneshot():
            times = process.cpu_times()
            used[_role(process, root)] += times.user + times.system
    return used


def _role(process: psutil.Process, root: psutil.Process) -> str:
    if process == root:
        return REST
    words = process.cmdline() or [""]  # empty: it has just ended
    if words[-1].endswith("redis.conf") or words[0].startswith(("valkey", "redis")):
        return REDIS
    return WORKERS if "worker" in words else MASTER if "master" in words else REST


def _between(looks: Sequence[Look], stored: int) -> Crawled:
    """From the first look with pages to the first one with all of them."""
    begun = next((look for look in looks if look.pages), None)
    if begun is None:
        raise RuntimeError("the crawl ended before it was looked at")
    ended = next(look for look in looks if look.pages == looks[-1].pages)
    pages = ended.pages - begun.pages
    if pages < 10:
        raise RuntimeError(f"only {pages} pages between two looks: give it more users")
    cpu = {role: ended.cpu[role] - begun.cpu[role] for role in ended.cpu}
    return Crawled(pages, ended.posts - begun.posts, ended.at - begun.at, stored, cpu)

"""The twin as a process, and what it is asked for: users with long timelines, pages of 100 posts of real size."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import psutil

from twittomatic.children import Child
from twittomatic.sources import x_v2_fields

TOKEN = "bench"
SEED = 11
PAGE_POSTS = 100
DEPTH = 3200
START_SECONDS = 30.0


@dataclass(frozen=True)
class Twin:
    """A running twin. ``advance`` and ``users`` go to its ``/_world``."""

    url: str
    pid: int

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def cpu_seconds(self) -> float:
        """Processor seconds that the twin has used."""
        times = psutil.Process(self.pid).cpu_times()
        return times.user + times.system

    def ask(self, path: str, *, post: bool = False, **params: object) -> dict[str, object]:
        """One document of ``/_world``."""
        wanted = Request(f"{self.url}/_world/{path}?{urlencode(params)}", method="POST" if post else "GET")
        with urlopen(wanted, timeout=START_SECONDS) as answer:
            found: dict[str, object] = json.load(answer)
        return found

    def users(self, count: int) -> list[str]:
        """Ids of public users, each of whom has now more posts than the API gives."""
        self.ask("advance", post=True, n=DEPTH)
        found = self.ask("seeds", n=count, state="public")["ids"]
        assert isinstance(found, list)
        return [str(one) for one in found]

    def paths(self, users: list[str]) -> Iterator[str]:
        """Requests for all full pages of these users' timelines, as a crawl asks for them."""
        fields = x_v2_fields.parameters(x_v2_fields.TWEET, {})
        for user in users:
            posts = self.ask(f"user/{user}")["tweets"]
            assert isinstance(posts, list)
            for start in range(0, len(posts) - PAGE_POSTS + 1, PAGE_POSTS):
                place = {"until_id": posts[start - 1]} if start else {}
                asked = {"max_results": str(PAGE_POSTS), **fields, **place}
                yield f"/2/users/{user}/tweets?{urlencode(asked)}"


@contextmanager
def running_twin(users: int = 10_000) -> Iterator[Twin]:
    """A twin without limits on a free port; it ends with the block, or with this process."""
    command = ["emulator", "--json", "--limits", "none", "--users", str(users), "--seed", str(SEED)]
    child = Child(command, "API twin", read_stdout=True).start()
    try:
        line = child.read_line(START_SECONDS)
        if not line:
            raise RuntimeError(f"the twin did not start: {child.report()}")
        yield Twin(str(json.loads(line)["url"]), child.pid)
    finally:
        child.stop(2.0)


def clean_environment() -> None:
    """No setting or credential of the person who measures reaches what is measured."""
    for name in list(os.environ):
        if name.startswith("TWITTOMATIC_") and name != "TWITTOMATIC_REDIS_SERVER":
            del os.environ[name]
    os.environ["TWITTOMATIC_SETTINGS"] = os.devnull

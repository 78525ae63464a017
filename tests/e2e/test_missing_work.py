"""More kinds, more users, newer posts over the same folder: each call does just the work that is missing."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.checker import FOLLOWER, TIMELINE, check
from tests.e2e.conftest import SEEDS
from tests.e2e.programs import Machine, Twin, contents

TWEETS, FOLLOWERS = "users/:id/tweets", "users/:id/followers"


@pytest.fixture
def twin(keyed: Machine, ring: Path, talk: Path) -> Twin:
    keyed.variables["TWITTOMATIC_WORKERS"] = "1"
    return keyed.twin("--graph", ring, "--tweets", talk)


def identities(machine: Machine) -> dict[str, tuple[int, int]]:
    """Inode and time of change of every final: a file that was not touched keeps both."""
    stats = {path.name: path.stat() for path in machine.output.glob("[0-9]*/*")}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}


class Asked:
    """What was asked of the twin since the last look."""

    def __init__(self, twin: Twin) -> None:
        self.twin = twin
        self.before: dict[str, int] = {}

    def now(self) -> dict[str, int]:
        total = self.twin.endpoints
        new = {name: number - self.before.get(name, 0) for name, number in total.items()}
        self.before = total
        return {name: number for name, number in new.items() if number}


def test_each_call_does_what_is_missing(keyed: Machine, twin: Twin, seeds: Path, ring: Path) -> None:
    asked = Asked(twin)
    first = keyed.run(*keyed.crawl(twin, seeds, "-T")).document
    assert first["users"]["done"] == 5
    assert set(asked.now()) == {TWEETS}
    assert first["frontier"]["path"] is None
    timelines = {path: path.stat().st_ino for path in keyed.output.glob("[0-9]*/*.twt")}
    assert len(timelines) == 5

    second = keyed.run(*keyed.crawl(twin, seeds, "-T", "-F")).document
    assert second["users"]["done"] == 5
    assert second["jobs"]["timeline"]["already"] == 5
    assert set(asked.now()) == {FOLLOWERS}

    third = keyed.run(*keyed.crawl(twin, seeds, "-T", "-F", "-A")).document
    assert asked.now() == {}
    assert third["discovered"] > 0
    frontier = Path(third["frontier"]["path"])
    found = [line for line in gzip.decompress(frontier.read_bytes()).decode().splitlines() if line[0] != "#"]
    assert len(found) == len(set(found)) == third["frontier"]["users"] == third["discovered"]
    assert not set(found) & set(SEEDS.split())

    fourth = keyed.run(*keyed.crawl(twin, frontier, "-T", "-F")).document
    assert fourth["users"]["done"] == len(found)
    news = asked.now()
    assert len(found) <= news[FOLLOWERS]
    assert twin.ask("requests", user="0")["endpoints"][FOLLOWERS] <= 2
    assert {path: path.stat().st_ino for path in timelines} == timelines
    everybody = [*SEEDS.split(), *found]
    kinds = (TIMELINE, FOLLOWER)
    report = check(
        keyed.output, seeds=everybody, edges=ring, twin_url=twin.url, kinds=kinds, traversal="default", sample=0
    )
    assert report.good, report

    again = keyed.run(*keyed.crawl(twin, frontier, "-T", "-F")).document
    assert asked.now() == {}
    assert again["users"] == fourth["users"]


def test_an_update_fetches_what_is_newer(keyed: Machine, twin: Twin, seeds: Path, ring: Path) -> None:
    asked = Asked(twin)
    keyed.run(*keyed.crawl(twin, seeds, "-T", "-F")).document  # noqa: B018 - a status other than 0 fails
    asked.now()
    before = identities(keyed)
    held = contents(keyed.output, "twt")
    twin.advance(3, user="0")
    twin.advance(150, user="1")

    told = keyed.run(*keyed.crawl(twin, "-U")).document
    assert told["users"]["done"] == 5
    assert told["items"]["update"] == 153
    assert set(news := asked.now()) == {TWEETS}
    assert news[TWEETS] <= 2 * 5 + 2, "an empty page is asked for twice, a full one leads on"
    after = identities(keyed)
    touched = {name for name, identity in before.items() if after[name] != identity}
    assert touched == {"0.twt", "1.twt"}
    now = contents(keyed.output, "twt")
    assert now["0.twt"][3:] == held["0.twt"]
    assert now["1.twt"][150:] == held["1.twt"]
    newest = [json.loads(line)["id"] for line in now["1.twt"][:150]]
    known = twin.user("1")
    assert known is not None
    assert newest == known["tweets"][:150]
    report = check(
        keyed.output, seeds=SEEDS.split(), edges=ring, twin_url=twin.url, kinds=(TIMELINE, FOLLOWER),
        traversal="default",
    )  # fmt: skip
    assert report.good, report
    assert report.leftovers == []

    twin.advance(1, user="2")
    assert keyed.run(*keyed.crawl(twin, "-U")).document["items"]["update"] == 1
    assert keyed.run(*keyed.crawl(twin, "-U")).document["items"]["update"] == 0


def test_an_update_of_seeds_of_whom_nothing_is_held_fetches_all(keyed: Machine, twin: Twin, seeds: Path) -> None:
    told = keyed.run(*keyed.crawl(twin, seeds, "-U")).document
    assert told["users"]["done"] == 5
    report = check(keyed.output, seeds=SEEDS.split(), twin_url=twin.url, kinds=(TIMELINE,), traversal="default")
    assert report.good, report


def test_somebody_who_went_away_keeps_what_was_fetched(keyed: Machine, twin: Twin, seeds: Path) -> None:
    twin.change("3", "suspended")
    told = keyed.run(*keyed.crawl(twin, seeds, "-T", "-F")).document
    assert told["users"] == {"done": 4, "gone": 1, "dead": 0}
    assert told["reasons"] == {"suspended": 1}
    twin.change("2", "protected")
    held = contents(keyed.output, "twt")["2.twt"]
    updated = keyed.run(*keyed.crawl(twin, seeds, "-U")).document
    assert updated["users"] == {"done": 3, "gone": 2, "dead": 0}
    assert updated["reasons"] == {"suspended": 1, "protected": 1}
    assert contents(keyed.output, "twt")["2.twt"] == held
    shown = keyed.run("archive", "cat", keyed.output, "2", "--json").document
    assert (shown["end"]["end"], shown["end"]["reason"]) == ("gone", "protected")
    assert len(shown["lines"]) == len(held)

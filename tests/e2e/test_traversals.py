"""The ways through a graph, the network's other dialect, and the policy on the way."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.checker import check
from tests.e2e.conftest import SEEDS, Calm
from tests.e2e.programs import Machine, contents


@pytest.mark.parametrize("traversal", ["dfs", "priority"])
def test_every_traversal_reaches_everybody(
    keyed: Machine, ring: Path, talk: Path, seeds: Path, calm: Calm, traversal: str
) -> None:
    twin = keyed.twin("--graph", ring, "--tweets", talk)
    told = keyed.run(*keyed.crawl(twin, seeds, "-T", "-F", "-A", "--traversal", traversal)).document
    assert told["users"] == {"done": 120, "gone": 0, "dead": 0}
    assert twin.total == calm.requests
    report = check(keyed.output, seeds=SEEDS.split(), edges=ring, twin_url=twin.url, traversal=traversal)
    assert report.good, report
    assert contents(keyed.output) == calm.finals


def test_a_crawl_of_so_many_users_leaves_the_others_in_the_frontier(
    keyed: Machine, ring: Path, talk: Path, seeds: Path
) -> None:
    twin = keyed.twin("--graph", ring, "--tweets", talk)
    words = ("-T", "-F", "-A", "--traversal", "bfs", "--max-users", "20")
    told = keyed.run(*keyed.crawl(twin, seeds, *words)).document
    assert told["users"] == {"done": 20, "gone": 0, "dead": 0}
    crawled = {path.stem for path in keyed.output.glob("[0-9]*/*.twt")}
    assert len(crawled) == 20
    frontier = gzip.decompress(Path(told["frontier"]["path"]).read_bytes()).decode().split("\n")
    waiting = {line for line in frontier if line and not line.startswith("#")}
    assert len(waiting) == told["frontier"]["users"] > 0
    assert not waiting & crawled
    report = check(keyed.output, seeds=sorted(crawled), edges=ring, twin_url=twin.url, traversal="default")
    assert report.good, report


def test_the_older_dialect_and_profiles_by_lookup(keyed: Machine, ring: Path, talk: Path, seeds: Path) -> None:
    twin = keyed.twin("--graph", ring, "--tweets", talk)
    words = ("-T", "-F", "-A", "--traversal", "bfs", "--source", "twitter_v1")
    told = keyed.run(*keyed.crawl(twin, seeds, *words)).document
    assert told["users"] == {"done": 120, "gone": 0, "dead": 0}
    assert told["cost"] == 0
    report = check(keyed.output, seeds=SEEDS.split(), edges=ring, twin_url=twin.url, carries_profiles=False)
    assert report.good, report
    assert report.leftovers == []
    assert told["profiles"] >= len(report.profiles) == 115
    lookups = twin.endpoints["users/lookup"]
    assert lookups == told["pages"]["analyzer"] <= 120
    asked = twin.total
    assert keyed.run(*keyed.crawl(twin, seeds, *words)).document["users"]["done"] == 120
    assert twin.total == asked


def test_the_policy_decides_who_is_crawled(keyed: Machine, ring: Path, talk: Path, seeds: Path) -> None:
    twin = keyed.twin("--graph", ring, "--tweets", talk)
    twin.change("60", "protected")
    names = {number: twin.user(str(number)) for number in (70, 71)}
    excluded = [str(known["username"]) for known in names.values() if known]
    rules = json.dumps({"protected": False, "exclude": excluded})
    words = keyed.crawl(twin, seeds, "-T", "-F", "-A", "--traversal", "bfs")
    told = keyed.run(*words, FOLLOW=rules).document
    crawled = {path.stem for path in keyed.output.glob("[0-9]*/*.twt")}
    assert not crawled & {"60", "70", "71"}
    assert told["refused"] == {"protected": 1, "exclude": 2}
    assert told["users"]["done"] == len(crawled)
    refused = keyed.run(*words, FOLLOW='{"protectd": false}')
    assert refused.status == 2
    assert "did you mean 'protected'" in refused.err

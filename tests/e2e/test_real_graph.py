"""Real follow graphs, crawled from 20 seeds by 4 worker processes, and judged by a checker that stands alone."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.checker import Report, check
from tests.e2e.programs import TOKEN, Machine, Twin, contents

SEEDS = [str(number) for number in range(20)]
GROUP = pytest.mark.xdist_group("real-graph")
"""One process runs these, one after the other: they share the undisturbed crawl."""


@dataclass(frozen=True)
class Crawled:
    """A checked archive. lines: a digest of each timeline and follower list; items: the same without what was spliced
    behind an item, which may depend on the page that it came with."""

    report: Report
    lines: dict[str, str]
    items: dict[str, str]


def digests(held: dict[str, list[bytes]]) -> dict[str, str]:
    return {name: hashlib.sha256(b"\n".join(lines)).hexdigest() for name, lines in held.items()}


def crawl(machine: Machine, twin: Twin, edges: Path) -> Crawled:
    """Crawl to the end and check."""
    seeds = machine.home / "seeds.txt"
    seeds.write_text("\n".join(SEEDS) + "\n")
    words = machine.crawl(twin, seeds, "-T", "-F", "-A", "--traversal", "bfs", "--workers", "4", "--threads", "4")
    told = machine.run(*words, seconds=600, BEARER=TOKEN).document
    report = check(machine.output, seeds=SEEDS, edges=edges, twin_url=twin.url)
    assert report.good, report
    assert report.leftovers == []
    assert told["users"] == {"done": report.users, "gone": 0, "dead": 0}
    assert told["items"]["timeline"] == report.tweets
    assert told["items"]["follower"] == report.followers
    assert not machine.survivors()
    held = contents(machine.output)
    bare = {name: [line.partition(b',"includes":{')[0] for line in lines] for name, lines in held.items()}
    return Crawled(report, digests(held), digests(bare))


def fresh(folder: Path) -> Machine:
    folder.mkdir(parents=True)
    return Machine(folder)


@pytest.fixture(scope="session")
def small_graph(test_data: Path) -> Path:
    return test_data / "graph" / "follows_3726_users.tsv"


@pytest.fixture(scope="session")
def posts(test_data: Path) -> Path:
    return test_data / "x_v2" / "pages"


@pytest.fixture(scope="session")
def undisturbed(small_graph: Path, posts: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crawled]:
    """The small graph crawled without any trouble; its files stay for gzip to test."""
    machine = fresh(tmp_path_factory.mktemp("undisturbed") / "home")
    try:
        twin = machine.twin("--graph", small_graph, "--tweets", posts)
        found = crawl(machine, twin, small_graph)
        if zcat := shutil.which("zcat"):
            finals = [str(path) for path in machine.output.glob("[0-9]*/*")]
            for first in range(0, len(finals), 1000):
                read = subprocess.run(
                    [zcat, "--", *finals[first : first + 1000]], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
                )
                assert (read.returncode, read.stderr[:1000]) == (0, b"")
        yield found
    finally:
        assert not machine.close()
        shutil.rmtree(machine.home)


@GROUP
@pytest.mark.timeout(400)
def test_every_reachable_user_is_there_exactly_once(undisturbed: Crawled) -> None:
    assert undisturbed.report.users == 1843
    assert len(undisturbed.lines) == 2 * 1843


@GROUP
@pytest.mark.timeout(400)
def test_bad_answers_change_nothing(
    machine: Machine, small_graph: Path, posts: Path, checkout: Path, undisturbed: Crawled
) -> None:
    faults = checkout / "tests" / "data" / "faults_tenth.toml"
    twin = machine.twin("--graph", small_graph, "--tweets", posts, "--faults", faults)
    found = crawl(machine, twin, small_graph)
    assert sum(twin.ask("requests")["faults"].values()) > 300
    assert found.items == undisturbed.items
    assert found.report.profiles == undisturbed.report.profiles


@GROUP
@pytest.mark.timeout(400)
def test_narrow_windows_change_nothing(
    machine: Machine, small_graph: Path, posts: Path, checkout: Path, undisturbed: Crawled
) -> None:
    limits = checkout / "tests" / "data" / "windows_of_2_seconds.toml"
    twin = machine.twin("--graph", small_graph, "--tweets", posts, "--limits", limits)
    found = crawl(machine, twin, small_graph)
    assert found.lines == undisturbed.lines
    assert found.report.profiles == undisturbed.report.profiles
    statuses = twin.ask("requests")["statuses"]
    limited = sum(number for name, number in statuses.items() if name.endswith(" 429"))
    assert limited <= 0.02 * sum(statuses.values()), "the books of the windows are kept before the network refuses"


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("trouble", ["none", "faults", "windows"])
def test_the_large_graph(machine: Machine, test_data: Path, checkout: Path, trouble: str) -> None:
    edges = test_data / "graph" / "follows_9226_users.tsv"
    words = {
        "none": [],
        "faults": ["--faults", checkout / "tests" / "data" / "faults_tenth.toml"],
        "windows": ["--limits", checkout / "tests" / "data" / "windows_of_2_seconds.toml"],
    }
    twin = machine.twin("--graph", edges, "--tweets", test_data / "x_v2" / "pages", *words[trouble])
    assert crawl(machine, twin, edges).report.users == 4868

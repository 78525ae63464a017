"""Commands as processes on a machine of the test's own, and the worlds that they crawl."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.checker import check
from tests.e2e.programs import TOKEN, Machine, contents, small_talk, small_world

SEEDS = "0\n1\n2\n3\n4\n"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """An empty home. At the end no process may be left that the test did not start itself."""
    home = tmp_path / "home"
    home.mkdir()
    machine = Machine(home)
    yield machine
    left = machine.close()
    shutil.rmtree(tmp_path, ignore_errors=True)
    assert not left, f"processes outlived the commands that started them: {left}"


@pytest.fixture
def keyed(machine: Machine) -> Machine:
    """The same with a credential in its environment."""
    machine.variables["TWITTOMATIC_BEARER"] = TOKEN
    return machine


@pytest.fixture(scope="session")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An edge list of 120 users, all of whom are reached from user 0."""
    return small_world(tmp_path_factory.mktemp("ring") / "edges.tsv")


@pytest.fixture(scope="session")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few posts."""
    return small_talk(tmp_path_factory.mktemp("talk") / "posts.jsonl")


@pytest.fixture
def seeds(machine: Machine) -> Path:
    """A seeds file with the users 0 to 4."""
    path = machine.home / "seeds.txt"
    path.write_text(SEEDS)
    return path


@pytest.fixture(scope="session")
def hesitant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan that makes every answer late, so that a crawl of a small world lasts long enough to be disturbed."""
    path = tmp_path_factory.mktemp("plan") / "late.toml"
    path.write_text("rate = 1.0\nlatency_ms = [25.0, 50.0]\n[mix]\nlatency = 1\n")
    return path


@dataclass(frozen=True)
class Calm:
    """What an undisturbed crawl of the ring comes to. requests: as the twin counted them; finals: lines by name."""

    requests: int
    finals: dict[str, list[bytes]]
    profiles: frozenset[str]


@pytest.fixture(scope="session")
def calm(ring: Path, talk: Path, tmp_path_factory: pytest.TempPathFactory) -> Calm:
    home = tmp_path_factory.mktemp("calm")
    machine = Machine(home)
    (home / "seeds.txt").write_text(SEEDS)
    try:
        twin = machine.twin("--graph", ring, "--tweets", talk)
        words = machine.crawl(twin, home / "seeds.txt", "-T", "-F", "-A", "--traversal", "bfs", "--workers", "2")
        told = machine.run(*words).document
        asked = twin.total
        assert told["requests"] == asked
        report = check(machine.output, seeds=SEEDS.split(), edges=ring, twin_url=twin.url)
        assert report.good, report
        return Calm(asked, contents(machine.output), report.profiles)
    finally:
        assert not machine.close()
        shutil.rmtree(home)

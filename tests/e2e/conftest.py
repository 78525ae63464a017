"""Commands as processes on a machine of the test's own, and the worlds that they crawl."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.programs import TOKEN, Machine, small_talk, small_world


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
    path.write_text("".join(f"{number}\n" for number in range(5)))
    return path

"""A crawl in one process, over a real server, a real twin of the network and a real archive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.e2e.programs import small_talk, small_world
from tests.integration.stage import Stages


@pytest.fixture(scope="session")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An edge list of 120 users, all of whom are reached from user 0."""
    return small_world(tmp_path_factory.mktemp("ring") / "edges.tsv")


@pytest.fixture(scope="session")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few posts."""
    return small_talk(tmp_path_factory.mktemp("talk") / "posts.jsonl")


@pytest.fixture
def stages(real_redis: redis.Redis, redis_server: int, tmp_path: Path, ring: Path, talk: Path) -> Iterator[Stages]:
    made = Stages(redis_server, tmp_path / "data", ring, talk)
    yield made
    made.close()

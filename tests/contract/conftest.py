"""Every implementation of a registry, real servers included."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import fakeredis
import pytest
import redis

from tests.contract.state_world import Stutter, World, client_of
from twittomatic import embedded
from twittomatic.state.engine import Engine

STATE_SERVERS = ("fakeredis", "real", "stuttering", "oldest")
"""In memory; a real server; a real server to which every call is sent twice; the oldest kind that we promise."""
OLDEST = (7, 0)


@pytest.fixture(params=STATE_SERVERS)
def state_client(request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    if request.param == "fakeredis":
        client = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    elif request.param == "oldest":
        client = client_of(request.getfixturevalue("oldest_server"))
        client.flushall()
        client.function_flush()
    else:
        request.getfixturevalue("real_redis")
        client = client_of(request.getfixturevalue("redis_server"))
    yield client
    client.close()


@pytest.fixture(scope="session")
def oldest_server(tmp_path_factory: pytest.TempPathFactory, skip_or_fail: Callable[[str], NoReturn]) -> Iterator[int]:
    """Port of a Redis 7.0, as Debian 12 has it (bin/test installs it where it may)."""
    found = shutil.which("redis-server")
    words = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout if found else ""
    version = re.search(r"Redis server v=(\d+)\.(\d+)", words)
    if found is None or version is None or (int(version[1]), int(version[2])) != OLDEST:
        if Path("/etc/debian_version").exists() and Path("/etc/debian_version").read_text().startswith("12"):
            skip_or_fail("redis-server 7.0 of Debian is not installed")
        pytest.skip("this system packages no Redis 7.0")
    server = embedded.RedisProcess(Path(found), tmp_path_factory.mktemp("oldest"), {"appendonly": "no", "save": '""'})
    server.start()
    yield server.port
    server.stop()


@pytest.fixture
def world(request: pytest.FixtureRequest, state_client: redis.Redis) -> World:
    """A crawl of its own, on each of the servers."""
    is_stuttering = request.node.callspec.params["state_client"] == "stuttering"
    return World(state_client, (Stutter if is_stuttering else Engine)(state_client, flavor="test", patience_seconds=5))

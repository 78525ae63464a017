"""Every implementation of a registry, real servers included."""

from __future__ import annotations

from collections.abc import Iterator

import fakeredis
import pytest
import redis

from tests.contract.state_world import Stutter, World, client_of
from twittomatic.state.engine import Engine

STATE_SERVERS = ("fakeredis", "real", "stuttering")
"""In memory; a real server; a real server to which every call is sent twice."""


@pytest.fixture(params=STATE_SERVERS)
def state_client(request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    if request.param == "fakeredis":
        client = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    else:
        request.getfixturevalue("real_redis")
        client = client_of(request.getfixturevalue("redis_server"))
    yield client
    client.close()


@pytest.fixture
def world(request: pytest.FixtureRequest, state_client: redis.Redis) -> World:
    """A crawl of its own, on each of the servers."""
    is_stuttering = request.node.callspec.params["state_client"] == "stuttering"
    return World(state_client, (Stutter if is_stuttering else Engine)(state_client, flavor="test", patience_seconds=5))

"""The engine on real servers: repeats, refusals, durability, versions."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fakeredis
import pytest
import redis

from tests.contract.state_world import World, client_of
from twittomatic import embedded
from twittomatic.errors import StateError, StateUnavailable, Unsuitable
from twittomatic.job import TIMELINE
from twittomatic.state.engine import Caller, Engine, library
from twittomatic.state.keys import Keys
from twittomatic.state.server import check_version

KEYS = Keys("t", "c")


@pytest.fixture
def server(tmp_path: Path, skip_or_fail: Any) -> Iterator[Any]:
    """A function that starts a real server of this test alone, with settings."""
    started: list[embedded.RedisProcess] = []

    def start(**settings: str) -> int:
        try:
            binary = embedded.find_server()
        except Unsuitable as error:
            skip_or_fail(str(error))
        folder = tmp_path / str(len(started))
        folder.mkdir()
        process = embedded.RedisProcess(binary, folder, {"save": '""'} | settings)
        process.start()
        started.append(process)
        return process.port

    yield start
    for process in started:
        process.stop()


class Lossy:
    """A client that loses the replies of the first ``losses`` calls after the server did them."""

    def __init__(self, client: redis.Redis, losses: int, error: Exception) -> None:
        self._client = client
        self._losses = losses
        self._error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def execute_command(self, *words: Any) -> Any:
        reply = self._client.execute_command(*words)
        if self._losses > 0:
            self._losses -= 1
            raise self._error
        return reply


@pytest.mark.parametrize(
    "error",
    [
        redis.exceptions.TimeoutError("Timeout reading from socket"),
        redis.exceptions.ConnectionError("Connection closed by server."),
        redis.exceptions.ReadOnlyError("You can't write against a read only replica."),
        redis.exceptions.BusyLoadingError("loading"),
        redis.exceptions.ResponseError("NOREPLICAS Not enough good replicas to write."),
        redis.exceptions.ResponseError("MISCONF Errors writing to the AOF file: No space left on device"),
        redis.exceptions.ResponseError("CLUSTERDOWN The cluster is down"),
    ],
)
def test_a_lost_reply_is_asked_for_again_and_nothing_happens_twice(state_client: redis.Redis, error: Exception) -> None:
    world = World(state_client, Engine(state_client, flavor="test"))
    world.seeds("1", "2", "3")
    world.engine.client = Lossy(state_client, 3, error)
    assert world.claim().user == "1"
    world.engine.client = state_client
    assert world.list("q:timeline") == ["2", "3"]
    assert world.client.get(world.keys.prefix + "fence") == b"1"


def test_patience_ends(state_client: redis.Redis) -> None:
    engine = Engine(state_client, flavor="test", patience_seconds=0.1)
    engine.prepare()
    engine.client = Lossy(state_client, 10_000, redis.exceptions.ConnectionError("gone"))
    with pytest.raises(StateUnavailable, match="gone"):
        engine.call("pause", KEYS, {"flag": "paused"})
    assert engine.silent_seconds() > 0
    with pytest.raises(ValueError, match="patience"):
        Engine(state_client, patience_seconds=120)


def test_a_server_that_is_not_there_is_said_to_be_away() -> None:
    engine = Engine(client_of(1), patience_seconds=0)
    with pytest.raises(StateUnavailable):
        engine.prepare()


def test_what_no_repeat_can_cure_is_said_at_once(state_client: redis.Redis) -> None:
    engine = Engine(state_client, flavor="test")
    state_client.set(KEYS.settings, "no hash")
    with pytest.raises(StateError, match="WRONGTYPE"):
        engine.call("configure", KEYS, {"keep": {}, "set": {"a": "b"}})


def test_a_lost_library_is_loaded_again(world: World) -> None:
    world.seeds("12")
    world.client.function_flush()
    assert world.claim().user == "12"
    world.client.function_flush()
    assert world.snapshot().kinds[TIMELINE].running == 1


def test_two_flavors_live_on_one_server_and_only_one_has_a_clock(state_client: redis.Redis) -> None:
    test, production = Engine(state_client, flavor="test"), Engine(state_client)
    for engine in (test, production, production):
        engine.prepare()
    names = {_text(found[b"library_name"]) for found in _libraries(state_client)}
    assert names == {library("test")[0], library("production")[0]}
    state_client.set(KEYS.clock, "1000")
    test.call("pause", KEYS, {"flag": "paused"})
    assert state_client.get(KEYS.paused) == b"1000"
    production.call("pause", KEYS, {"flag": "paused"})
    assert int(state_client.get(KEYS.paused)) > 1_700_000_000_000


def _libraries(client: redis.Redis) -> list[dict[bytes, Any]]:
    return [
        found if isinstance(found, dict) else dict(zip(found[::2], found[1::2], strict=True))
        for found in client.function_list()
    ]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def test_a_client_that_decodes_serves_as_well(redis_server: int, real_redis: redis.Redis) -> None:
    client = redis.Redis(host="127.0.0.1", port=redis_server, decode_responses=True, protocol=3)
    world = World(client, Engine(client, flavor="test"))
    world.seeds("12")
    assert world.crawl.settings()["crawl"] == "c"
    assert world.claim().user == "12"
    assert world.snapshot().seen == 1
    assert list(world.frontier.front_blocks()) == []
    assert world.queue.wait([TIMELINE], 0.01) in (True, False)
    client.close()


@pytest.mark.parametrize(
    ("info", "is_good"),
    [
        ({"redis_version": "6.2.14"}, False),
        ({"redis_version": "7.0.15"}, True),
        ({"redis_version": "8.2.3"}, True),
        ({"redis_version": "7.2.4", "valkey_version": "7.2.5"}, True),
        ({"redis_version": "7.2.4", "valkey_version": "7.0.0"}, False),
        ({"redis_version": "255.255.255"}, True),
        ({}, False),
    ],
)
def test_old_servers_are_refused(info: dict[str, str], is_good: bool) -> None:
    if is_good:
        check_version(info)
        return
    with pytest.raises(Unsuitable, match=r"7\.0 or newer"):
        check_version(info)


def test_a_server_without_functions_is_refused() -> None:
    client = fakeredis.FakeRedis(server=fakeredis.FakeServer(version=(6,)))
    with pytest.raises(Unsuitable, match=r"7\.0 or newer"):
        Engine(client).prepare()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"appendonly": "no"}, "none"),
        ({"appendonly": "yes", "appendfsync": "always"}, "always"),
        ({"appendonly": "yes", "appendfsync": "everysec"}, "waitaof"),
    ],
)
def test_a_seal_is_made_durable_by_what_the_server_has(server: Any, settings: dict[str, str], expected: str) -> None:
    client = client_of(server(**settings))
    world = World(client, Engine(client, flavor="test"))
    assert world.engine.durability() == expected
    world.seeds("12")
    job = world.claim()
    world.queue.seal(job, {})
    assert world.client.hget(world.keys.job(TIMELINE, "12"), "sealed") == b"1"
    client.close()


def test_with_a_replica_a_seal_waits_for_it(server: Any, wait_until: Any) -> None:
    master = server(**{"repl-diskless-sync-delay": "0"})
    replica = client_of(server(replicaof=f"127.0.0.1 {master}"))
    client = client_of(master)
    wait_until(lambda: client.info("replication").get("slave0", {}).get("state") == "online", 20, "the replica")
    world = World(client, Engine(client, flavor="test", patience_seconds=30))
    assert world.engine.durability() == "wait"
    world.seeds("12")
    job = world.claim()
    world.queue.seal(job, {})
    assert replica.hget(world.keys.job(TIMELINE, "12"), "sealed") == b"1"
    replica.close()
    client.close()


def test_a_seal_without_acknowledgment_is_sealed_again(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_of(server(appendonly="yes"))
    world = World(client, Engine(client, flavor="test", patience_seconds=1))
    world.seeds("12")
    job = world.claim()
    sent: list[int] = []

    def unheard() -> tuple[str | int, ...]:
        sent.append(1)
        return ("WAIT", 1, 1) if len(sent) < 3 else ()

    monkeypatch.setattr(world.engine, "_durable_step", unheard)
    world.queue.seal(job, {})
    assert len(sent) == 3
    monkeypatch.undo()
    client.config_set("appendonly", "no")
    world.queue.seal(job, {})
    assert world.engine.durability() == "none", "a server that changed is asked again"
    monkeypatch.setattr(world.engine, "_durable_step", lambda: ("WAIT", 1, 200))
    with pytest.raises(StateUnavailable, match="durable"):
        world.queue.seal(job, {})
    client.close()


def test_a_full_server_lets_work_end_but_not_begin(server: Any) -> None:
    client = client_of(server(maxmemory="64mb", **{"maxmemory-policy": "noeviction"}))
    world = World(client, Engine(client, flavor="test", patience_seconds=0.2))
    world.seeds("1", "2")
    job = world.claim()
    client.config_set("maxmemory", "1mb")
    with pytest.raises(StateUnavailable):
        world.claim()
    world.queue.seal(job, {})
    world.queue.done(job, None)
    client.config_set("maxmemory", "64mb")
    assert world.claim().user == "2"
    client.close()


def test_threads_share_an_engine(state_client: redis.Redis) -> None:
    world = World(state_client, Engine(state_client, flavor="test"))
    ids = [str(n) for n in range(200)]
    world.seeds(*ids)
    taken: list[str] = []

    def work(name: str) -> None:
        queue = world.worker(name)
        for _ in range(50):
            job = world.claim(queue=queue)
            queue.done(job, None)
            taken.append(job.user)

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(taken) == sorted(ids)
    assert world.counter("users.done") == 200


def test_nonces_of_two_lives_of_a_name_differ(world: World) -> None:
    world.seeds("1", "2")
    args = {"wants": [{"kind": TIMELINE}], "credentials": [], "random": "00"}
    users = [world.engine.call("claim", world.keys, args, caller=Caller("w1", "0"))[1]["user"] for _ in range(2)]
    assert users == ["1", "2"]

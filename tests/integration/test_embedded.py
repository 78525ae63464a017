"""The private server: what it keeps, who may have it, and that nothing of it is left over."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from twittomatic import embedded
from twittomatic.embedded import EmbeddedRedis, end_leftover, find_server, running_url
from twittomatic.errors import InUse, Unsuitable
from twittomatic.lifecycle import process_started

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def server_program(redis_server: int) -> Path:
    """There is a server program here (the fixture skips where there is none)."""
    return find_server()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / 'a folder "of" ä' / ".redis"


def client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, decode_responses=True)


def set_in(url: str, **values: str) -> None:
    with client(url) as connection:
        connection.mset(values)


def get_from(url: str, *names: str) -> list[str | None]:
    with client(url) as connection:
        return connection.mget(names)


def test_what_it_holds_is_there_at_the_next_start(folder: Path) -> None:
    with EmbeddedRedis(folder) as server:
        first = server.url
        set_in(first, a="1")
        with client(first) as connection:
            connection.function_load("#!lua name=l\nredis.register_function('f', function() return 7 end)")
    with EmbeddedRedis(folder) as server:
        assert server.url == first, "the address stays, so that workers find it again"
        assert get_from(server.url, "a") == ["1"]
        with client(server.url) as connection:
            assert connection.fcall("f", 0) == 7


def test_it_promises_what_the_protocol_needs(folder: Path) -> None:
    with EmbeddedRedis(folder) as server, client(server.url) as connection:
        found = connection.config_get("append*", "maxmemory-policy", "save", "aof-load-truncated", "bind")
        assert found["appendonly"] == "yes"
        assert found["appendfsync"] == "always"
        assert found["maxmemory-policy"] == "noeviction"
        assert found["save"] == ""
        assert found["bind"] == "127.0.0.1"


def test_nobody_else_gets_in(folder: Path) -> None:
    with EmbeddedRedis(folder) as server:
        password = server.server.password
        with (
            redis.Redis(port=server.server.port, retry=Retry(NoBackoff(), 0)) as stranger,
            pytest.raises(redis.AuthenticationError),
        ):
            stranger.ping()
        assert password not in " ".join(psutil.Process(server.server.pid).cmdline())
        for name in ("redis.conf", "server.json"):
            assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_second_one_is_refused_and_told_who_has_it(folder: Path) -> None:
    with EmbeddedRedis(folder) as server:
        with pytest.raises(InUse, match=f"held by pid {os.getpid()}"):
            EmbeddedRedis(folder).start()
        assert running_url(folder) == server.url
    assert running_url(folder) is None


def test_a_killed_server_goes_on_with_all_that_it_acknowledged(folder: Path) -> None:
    with EmbeddedRedis(folder) as server:
        for number in range(50):
            set_in(server.url, **{f"k{number}": "v"})
        os.kill(server.server.pid, signal.SIGKILL)
        server.server._child.wait(10)
        assert not server.running
        assert "was ended by SIGKILL" in server.report()
    with EmbeddedRedis(folder) as server:
        assert get_from(server.url, *(f"k{number}" for number in range(50))) == ["v"] * 50


def test_it_is_ready_only_when_all_is_loaded(folder: Path) -> None:
    with EmbeddedRedis(folder) as server, client(server.url) as connection:
        connection.eval("for i = 1, 200000 do redis.call('SET', 'k' .. i, i) end", 0)
    with EmbeddedRedis(folder) as server:
        assert get_from(server.url, "k200000") == ["200000"]


def test_a_torn_last_write_is_dropped_and_the_rest_loads(folder: Path) -> None:
    with EmbeddedRedis(folder) as server:
        set_in(server.url, a="1")
        set_in(server.url, b="2")
    (log,) = (folder / "appendonlydir").glob("*.incr.aof")
    log.write_bytes(log.read_bytes()[:-3])
    with EmbeddedRedis(folder) as server:
        assert get_from(server.url, "a", "b") == ["1", None]


def test_a_log_that_is_not_one_is_refused_with_the_reason_and_kept(folder: Path) -> None:
    with EmbeddedRedis(folder) as server:
        set_in(server.url, a="1")
    (log,) = (folder / "appendonlydir").glob("*.incr.aof")
    log.write_bytes(b"*1\r\n$3\r\nxyz garbage" + log.read_bytes())
    broken = log.read_bytes()
    with pytest.raises(Unsuitable, match="did not start") as caught:
        EmbeddedRedis(folder).start()
    assert "append only file" in str(caught.value)
    assert str(folder / "redis.log") in str(caught.value)
    assert log.read_bytes() == broken
    with pytest.raises(Unsuitable):  # and the folder is free again
        EmbeddedRedis(folder).start()


def test_a_port_that_somebody_took_meanwhile_is_given_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with EmbeddedRedis(folder) as server:
        set_in(server.url, a="1")
        first = server.server.port
    with embedded.socket.create_server(("127.0.0.1", first)), EmbeddedRedis(folder) as server:
        assert server.server.port != first
        assert get_from(server.url, "a") == ["1"]


def test_a_stranger_that_answers_on_the_port_is_not_taken_for_it(
    folder: Path, redis_server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = iter([redis_server])
    real = embedded.free_port
    monkeypatch.setattr(embedded, "free_port", lambda preferred=0: next(ports, None) or real())
    server = embedded.RedisProcess(find_server(), folder, embedded.DURABLE)
    server.start()
    try:
        assert server.port != redis_server
        with client(server.url) as connection:
            assert connection.info("server")["process_id"] == server.pid
    finally:
        server.stop()


HOLDER = """
    import sys, threading
    from pathlib import Path
    from twittomatic.embedded import EmbeddedRedis
    server = EmbeddedRedis(Path(sys.argv[1]))
    server.start()
    print(server.server.pid, server.url, flush=True)
    threading.Event().wait()
"""


def test_it_ends_with_a_parent_that_is_killed(folder: Path, wait_until) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLDER), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )
    assert parent.stdout is not None
    pid, url = parent.stdout.readline().split()
    set_in(url, a="1")
    parent.kill()
    parent.wait()
    parent.stdout.close()
    with EmbeddedRedis(folder) as server:  # at once: the old one may still be closing its files
        assert get_from(server.url, "a") == ["1"]
        wait_until(lambda: process_started(int(pid)) is None, 10, "the old server is gone")


def test_a_server_that_was_left_over_is_ended_first(folder: Path, server_program: Path, wait_until) -> None:
    with EmbeddedRedis(folder) as server:
        set_in(server.url, a="1")
    left = subprocess.Popen([server_program, folder / "redis.conf"], start_new_session=True)
    try:
        wait_until(lambda: (running := embedded.process_started(left.pid)) and running, 10, "the leftover runs")
        with EmbeddedRedis(folder) as server:
            assert left.wait(10) is not None
            assert get_from(server.url, "a") == ["1"]
    finally:
        left.kill()
        left.wait()


def test_only_what_is_provably_ours_is_ended(tmp_path: Path) -> None:
    config = tmp_path / "redis.conf"
    config.write_text("")
    bystander = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()", str(config)])
    try:
        end_leftover(tmp_path)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_the_server_program_is_found_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own-server"
    own.write_text("#!/bin/sh\n")
    monkeypatch.setenv("TWITTOMATIC_REDIS_SERVER", str(own))
    with pytest.raises(Unsuitable, match="not a program that can be run"):
        find_server()
    own.chmod(0o755)
    assert find_server() == own
    monkeypatch.delenv("TWITTOMATIC_REDIS_SERVER")

    monkeypatch.setattr(embedded.importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unsuitable, match="no Redis server on this machine\n  install valkey-server"):
        find_server()
    for name, version in (("valkey-server", "6.2.14"), ("redis-server", "7.0.15")):
        (tmp_path / name).write_text(f"#!/bin/sh\necho Redis server v={version} sha=0:0\n")
        (tmp_path / name).chmod(0o755)
    assert find_server() == tmp_path / "redis-server"
    (tmp_path / "redis-server").unlink()
    with pytest.raises(Unsuitable, match=r"valkey-server is version 6\.2"):
        find_server()

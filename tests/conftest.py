"""What tests of every level share: real data, a real server of their own, and waiting for a condition."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import redis

from twittomatic import embedded
from twittomatic.errors import Unsuitable

CHECKOUT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="also the tests that take minutes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without --full the long ones are left out; the serial ones share one process of a parallel run."""
    if not config.getoption("--full"):
        long = [item for item in items if item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
    for item in items:
        if item.get_closest_marker("serial"):
            item.add_marker(pytest.mark.xdist_group("serial"))


def skip_or_fail(reason: str) -> NoReturn:
    """Skip the test for a thing that this machine lacks; where ``CI`` is set, lacking it is a failure."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def wait_until(condition: Callable[[], object], seconds: float = 10.0, what: str = "the condition") -> None:
    """Return as soon as the condition is true; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    pause = 0.002
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not so after {seconds:g} s", pytrace=True)
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting or credential of the person who runs the tests reaches them."""
    for name in list(os.environ):
        if name.startswith("TWITTOMATIC_") and name not in ("TWITTOMATIC_TEST_DATA", "TWITTOMATIC_REDIS_SERVER"):
            monkeypatch.delenv(name)


@pytest.fixture(name="skip_or_fail", scope="session")
def _skip_or_fail() -> Callable[[str], NoReturn]:
    return skip_or_fail


@pytest.fixture(name="wait_until", scope="session")
def _wait_until() -> Callable[..., None]:
    return wait_until


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The folder of the checkout."""
    return CHECKOUT


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of recorded real data, which is not part of the project."""
    folder = Path(os.environ.get("TWITTOMATIC_TEST_DATA") or CHECKOUT.parent / "shared" / "data")
    if not folder.is_dir():
        skip_or_fail(f"no recorded data in {folder}: name its folder in TWITTOMATIC_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Port of a real server of this test process alone, on the loopback, without a password; nothing is kept."""
    try:
        binary = embedded.find_server()
    except Unsuitable as error:
        skip_or_fail(str(error))
    folder = tmp_path_factory.mktemp("redis")
    server = embedded.RedisProcess(binary, folder, {"appendonly": "no", "save": '""'})
    server.start()
    yield server.port
    server.stop()


@pytest.fixture(scope="session")
def redis_port(redis_server: int) -> int:
    """The same port under the name of what it is."""
    return redis_server


@pytest.fixture
def real_redis(redis_server: int) -> Iterator[redis.Redis]:
    """A client of the tests' own server, which is emptied (functions too) before each test. Replies are bytes."""
    client = redis.Redis(host="127.0.0.1", port=redis_server)
    client.flushall()
    client.function_flush()
    yield client
    client.close()

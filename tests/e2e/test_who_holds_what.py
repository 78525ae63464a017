"""Two of something: crawls on one folder, workers of one name, masters of one crawl; and processes on several hosts."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import redis

from tests.checker import check
from tests.conftest import wait_until
from tests.e2e.conftest import SEEDS, Calm
from tests.e2e.programs import Machine, Program, Twin, contents, wait_for

KINDS = ("-T", "-F", "-A", "--traversal", "bfs")


@pytest.fixture
def twin(keyed: Machine, ring: Path, talk: Path, hesitant: Path) -> Twin:
    return keyed.twin("--graph", ring, "--tweets", talk, "--faults", hesitant)


@pytest.fixture
def url(real_redis: redis.Redis, redis_server: int) -> str:
    """A server that several processes share."""
    return f"redis://127.0.0.1:{redis_server}/0"


def judge(machine: Machine, twin: Twin, ring: Path, calm: Calm) -> None:
    assert twin.total == calm.requests
    report = check(machine.output, seeds=SEEDS.split(), edges=ring, twin_url=twin.url)
    assert report.good, report
    assert contents(machine.output) == calm.finals


def test_a_second_crawl_on_a_folder_says_who_holds_it(keyed: Machine, twin: Twin, seeds: Path) -> None:
    first = keyed.start(*keyed.crawl(twin, seeds, *KINDS))
    wait_for(lambda: twin.total, first, "the first request")
    second = keyed.run(*keyed.crawl(twin, seeds, *KINDS))
    assert second.status == 2
    assert second.out == ""
    assert f"pid {first.pid}" in second.err
    assert "is in use" in second.err
    assert "Traceback" not in second.err
    assert first.wait().document["users"]["done"] == 120


def test_a_folder_belongs_to_one_crawl_until_another_adopts_it(keyed: Machine, twin: Twin, seeds: Path) -> None:
    keyed.run(*keyed.crawl(twin, seeds, "-T")).document  # noqa: B018 - a status other than 0 fails
    asked = twin.total
    other = keyed.crawl(twin, seeds, "-T", "--crawl", "other")
    refused = keyed.run(*other)
    assert refused.status == 2
    assert "belongs to crawl main" in " ".join(refused.err.split())
    assert "--adopt" in refused.err
    told = keyed.run(*other, "--adopt").document
    assert told["crawl"] == "other"
    assert told["users"]["done"] == told["jobs"]["timeline"]["already"] == 5
    assert twin.total == asked
    assert keyed.run(*keyed.crawl(twin, seeds, "-T")).status == 2


def start_worker(machine: Machine, twin: Twin, url: str, *name: str) -> Program:
    return machine.start(
        "worker", *name, "--redis", url, "--api-url", twin.url, "--output", machine.output, "--threads", 3
    )


def start_master(machine: Machine, twin: Twin, url: str, *words: object) -> Program:
    return machine.start("master", *words, "--redis", url, "--api-url", twin.url, "--output", machine.output)


def workers_of(client: redis.Redis) -> set[str]:
    return {name.decode() for key in client.keys("*:wk") for name in client.zrange(key, 0, -1)}


def test_a_master_and_workers_as_processes_of_their_own(
    keyed: Machine, twin: Twin, url: str, real_redis: redis.Redis, seeds: Path, ring: Path, calm: Calm
) -> None:
    workers = [start_worker(keyed, twin, url, name) for name in ("north", "south")]
    master = start_master(keyed, twin, url, seeds, *KINDS)
    wait_for(lambda: workers_of(real_redis) == {"north", "south"}, master, "both workers")
    refused = start_worker(keyed, twin, url, "north").wait()
    assert refused.status == 2
    assert "north" in refused.err
    assert "Traceback" not in refused.err
    ended = master.wait()
    assert ended.status == 0
    assert "done" in ended.err
    for worker in workers:
        worker.signal(signal.SIGTERM)
    assert {worker.wait(20).status for worker in workers} <= {0, 128 + signal.SIGTERM}
    assert workers_of(real_redis) == set()
    judge(keyed, twin, ring, calm)
    logs = {path.name for path in (keyed.output / ".logs").iterdir()}
    assert {"worker-north.log", "worker-south.log"} <= logs


def test_a_crawl_joins_where_another_master_leads(
    keyed: Machine, twin: Twin, url: str, seeds: Path, ring: Path, calm: Calm
) -> None:
    master = start_master(keyed, twin, url, seeds, *KINDS)
    wait_for(lambda: "seeds loaded" in master.err, master, "the seeds")
    joined = keyed.run(*keyed.crawl(twin, seeds, *KINDS, "--redis", url))
    assert joined.document["users"] == {"done": 120, "gone": 0, "dead": 0}
    assert master.wait().status == 0
    judge(keyed, twin, ring, calm)


def test_a_second_master_is_refused_unless_it_stands_by(
    keyed: Machine, twin: Twin, url: str, seeds: Path, ring: Path, calm: Calm
) -> None:
    leader = start_master(keyed, twin, url, seeds, *KINDS)
    wait_for(lambda: "seeds loaded" in leader.err, leader, "the seeds")
    refused = start_master(keyed, twin, url, seeds, *KINDS).wait()
    assert refused.status == 2
    assert "another master leads" in refused.err
    standby = start_master(keyed, twin, url, seeds, *KINDS, "--standby")
    wait_for(lambda: "standing by" in standby.err, standby, "the standby")
    worker = start_worker(keyed, twin, url, "only")
    wait_for(lambda: twin.total > 50, worker, "some work")
    leader.signal(signal.SIGKILL)
    leader.wait()
    wait_until(lambda: "leading" in standby.err or not standby.running, 20, "the standby's lead")
    assert standby.wait().status == 0
    worker.signal(signal.SIGTERM)
    worker.wait(20)
    judge(keyed, twin, ring, calm)

"""Processes that die in mid-crawl, by kill -9 and by a polite signal: nothing is lost, little is asked twice."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.checker import check
from tests.conftest import wait_until
from tests.e2e.conftest import SEEDS, Calm
from tests.e2e.programs import Machine, Program, Twin, contents, wait_for

WORKERS, THREADS = 2, 3
RUNNING = WORKERS * THREADS
"""Jobs that can be in hand at once: each may fetch one page again after a crash."""


@pytest.fixture
def twin(keyed: Machine, ring: Path, talk: Path, hesitant: Path) -> Twin:
    return keyed.twin("--graph", ring, "--tweets", talk, "--faults", hesitant)


@pytest.fixture
def words(keyed: Machine, twin: Twin, seeds: Path) -> list[object]:
    """The command that is disturbed and typed again."""
    kinds = ("-T", "-F", "-A", "--traversal", "bfs")
    return keyed.crawl(twin, seeds, *kinds, "--workers", WORKERS, "--threads", THREADS)


def midway(program: Program, twin: Twin, calm: Calm, part: float = 0.4) -> None:
    """Wait until a part of all requests was made."""
    wait_for(lambda: twin.total >= part * calm.requests, program, "the middle of the crawl")


def judge(machine: Machine, twin: Twin, ring: Path, calm: Calm, *, again: int) -> None:
    """The archive is that of an undisturbed crawl, and at most so many requests were made again."""
    asked = twin.total
    assert calm.requests <= asked <= calm.requests + again
    report = check(machine.output, seeds=SEEDS.split(), edges=ring, twin_url=twin.url)
    assert report.good, report
    assert report.leftovers == []
    assert report.profiles == calm.profiles
    assert contents(machine.output) == calm.finals


def nobody_is_left(machine: Machine, seconds: float = 10.0) -> None:
    wait_until(lambda: not machine.survivors(), seconds, "the end of all children")


def test_kill_9_of_the_command_ends_its_children_and_the_same_command_goes_on(
    keyed: Machine, twin: Twin, words: list[object], ring: Path, calm: Calm
) -> None:
    program = keyed.start(*words)
    midway(program, twin, calm)
    children = program.children()
    assert len(children) >= WORKERS + 2, "a Redis server, a master and the workers"
    program.signal(signal.SIGKILL)
    program.wait()
    nobody_is_left(keyed)
    assert not [process for process in children if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    before = twin.total
    assert keyed.run(*words).document["users"] == {"done": 120, "gone": 0, "dead": 0}
    assert twin.total > before
    judge(keyed, twin, ring, calm, again=RUNNING)


def test_the_command_is_killed_again_and_again(
    keyed: Machine, twin: Twin, words: list[object], ring: Path, calm: Calm
) -> None:
    for part in (0.0, 0.25, 0.6, 0.9):
        program = keyed.start(*words)
        if part:
            midway(program, twin, calm, part)
        else:
            wait_for(lambda program=program: program.children(), program, "a first child")
        program.signal(signal.SIGKILL)
        program.wait()
    told = keyed.run(*words).document
    assert told["users"] == {"done": 120, "gone": 0, "dead": 0}
    judge(keyed, twin, ring, calm, again=3 * RUNNING)


@pytest.mark.parametrize("role", ["worker", "master"])
def test_a_killed_child_is_started_again(
    keyed: Machine, twin: Twin, words: list[object], ring: Path, calm: Calm, role: str
) -> None:
    program = keyed.start(*words)
    midway(program, twin, calm)
    victim = program.child(role)
    victim.kill()
    wait_for(lambda: "starting it again" in program.err, program, "word of the restart")
    ended = program.wait()
    assert ended.document["users"] == {"done": 120, "gone": 0, "dead": 0}
    assert "SIGKILL" in ended.err
    judge(keyed, twin, ring, calm, again=THREADS if role == "worker" else 0)


def test_every_worker_is_killed_at_once(
    keyed: Machine, twin: Twin, words: list[object], ring: Path, calm: Calm
) -> None:
    program = keyed.start(*words)
    midway(program, twin, calm)
    for process in program.children():
        if "worker" in process.cmdline():
            process.kill()
    assert program.wait().document["users"]["done"] == 120
    judge(keyed, twin, ring, calm, again=RUNNING)


def test_a_killed_private_server_is_started_again_with_all_that_it_held(
    keyed: Machine, twin: Twin, words: list[object], ring: Path, calm: Calm
) -> None:
    program = keyed.start(*words)
    for part in (0.3, 0.6):
        midway(program, twin, calm, part)
        program.child(str(keyed.output / ".redis" / "redis.conf")).kill()
    ended = program.wait()
    assert ended.document["users"] == {"done": 120, "gone": 0, "dead": 0}
    assert ended.err.count("redis server") >= 2
    assert "Traceback" not in ended.err
    judge(keyed, twin, ring, calm, again=2 * RUNNING)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_polite_signal_parks_the_work(
    keyed: Machine, twin: Twin, words: list[object], ring: Path, calm: Calm, number: signal.Signals
) -> None:
    program = keyed.start(*words)
    midway(program, twin, calm)
    asked = time.monotonic()
    program.signal(number)
    ended = program.wait(20)
    assert time.monotonic() - asked < 10
    assert ended.status == 128 + number
    assert "Traceback" not in ended.err
    nobody_is_left(keyed, 2)
    assert keyed.run(*words).document["users"] == {"done": 120, "gone": 0, "dead": 0}
    judge(keyed, twin, ring, calm, again=RUNNING)


def test_a_second_signal_does_not_wait(keyed: Machine, twin: Twin, words: list[object], ring: Path, calm: Calm) -> None:
    program = keyed.start(*words)
    midway(program, twin, calm)
    program.signal(signal.SIGINT)
    program.signal(signal.SIGTERM)
    assert program.wait(10).status in (128 + signal.SIGTERM, 128 + signal.SIGINT)
    nobody_is_left(keyed)
    assert keyed.run(*words).document["users"]["done"] == 120
    judge(keyed, twin, ring, calm, again=RUNNING)

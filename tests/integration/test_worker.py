"""A worker when things go wrong: each failure ends the job in its own named way, and loses nothing."""

from __future__ import annotations

import errno
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.integration.stage import Stage, Stages
from twittomatic.archive.base import COMPLETE
from twittomatic.archive.gzip_files import GzipArchive
from twittomatic.emulator.faults import CredentialPlan, FaultPlan
from twittomatic.errors import Fenced, Limited, Transient, UnknownBody
from twittomatic.job import ANALYZER, FOLLOWER, FWS, INT64, TIMELINE, TWT, USR, Window
from twittomatic.kinds import KINDS
from twittomatic.kinds.base import Desk


def truth(stage: Stage, user: str) -> list[str]:
    found: list[str] = requests.get(f"{stage.twin.url}/_world/user/{user}", timeout=10).json()["tweets"]
    return found


def advance(stage: Stage, user: str, n: int) -> None:
    requests.post(f"{stage.twin.url}/_world/advance", params={"user": user, "n": n}, timeout=10).raise_for_status()


def held(stage: Stage, user: str) -> list[str]:
    return [json.loads(line)["id"] for line in stage.lines(user, TWT)]


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Delays that are meant for a network are as short as a test wants them."""
    monkeypatch.setattr("twittomatic.worker.DELAY_SECONDS", 0.01)
    monkeypatch.setattr("twittomatic.worker.MOST_DELAY_SECONDS", 0.02)
    monkeypatch.setattr("twittomatic.worker.DISK_DELAY_SECONDS", 0.01)
    monkeypatch.setattr("twittomatic.worker.OUTAGE_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("twittomatic.worker.IDLE_SECONDS", 0.05)
    monkeypatch.setattr("twittomatic.kinds.calls.FIRST_PAUSE_SECONDS", 0.001)


@pytest.fixture
def stage(stages: Stages) -> Stage:
    return stages()


def test_a_crowd_is_worked_through_by_several_threads(stages: Stages) -> None:
    stage = stages(kinds=(TIMELINE, FOLLOWER))
    users = [str(number) for number in range(30)]
    stage.admit(*users)
    stage.work(threads=4)
    told = stage.snapshot()
    assert told.counters["users.done"] == 30
    assert (told.kinds[TIMELINE].done, told.kinds[FOLLOWER].done) == (30, 30)
    assert all(held(stage, user) == truth(stage, user) for user in users)
    assert not told.workers
    assert all(books.out == 0 for books in told.windows)


def test_a_stop_parks_after_the_page_in_hand(stage: Stage) -> None:
    advance(stage, "0", 350)
    stage.before_request = lambda endpoint, who, number: stage.stop.set() if number == 2 else None
    stage.admit("0")
    stage.work(lambda: False)
    job = stage.job(TIMELINE, "0")
    assert (job["state"], job["clean"], job.get("attempts", "0")) == ("parked", "1", "0")
    assert len(stage.asked) == 2
    assert stage.counter("timeline.pages") == 2
    stage.work()
    assert held(stage, "0") == truth(stage, "0")
    pages = -(-len(truth(stage, "0")) // 100)
    assert stage.counter("timeline.pages") == pages
    assert stage.asked_of("timeline") <= pages + 2, "no page was asked for twice, but for the empty one at the end"


def test_lost_bytes_start_the_job_anew(stage: Stage) -> None:
    advance(stage, "0", 250)
    stage.before_request = lambda endpoint, who, number: stage.stop.set() if number == 2 else None
    stage.admit("0")
    stage.work(lambda: False)
    (part,) = (stage.root / ".parts").glob("*/*")
    part.unlink()
    stage.work()
    assert held(stage, "0") == truth(stage, "0")
    assert stage.end("0", TWT).end == COMPLETE
    assert stage.snapshot().counters["users.done"] == 1


def test_damaged_bytes_are_kept_aside_and_the_job_starts_anew(stage: Stage) -> None:
    advance(stage, "0", 250)
    stage.before_request = lambda endpoint, who, number: stage.stop.set() if number == 2 else None
    stage.admit("0")
    stage.work(lambda: False)
    (part,) = (stage.root / ".parts").glob("*/*")
    part.write_bytes(part.read_bytes()[:-7])
    stage.work()
    assert held(stage, "0") == truth(stage, "0")
    assert [name for name in stage.parts() if name.endswith(".lost")] == [f"{part.name}.lost"]


class Crash(BaseException):
    """The end of a process, as far as the code in it can tell."""


class Shaken:
    """An archive that something befalls."""

    def __init__(self, root: Path, befall: Callable[[str, str], None]) -> None:
        self._inner = GzipArchive(root, id_form=INT64, fsync=False)
        self._befall = befall

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def start(self, *words: Any) -> Any:
        self._befall("start", "")
        return self._inner.start(*words)

    def publish(self, user: str, extent: Any) -> None:
        self._befall("before publish", extent.suffix)
        self._inner.publish(user, extent)
        self._befall("after publish", extent.suffix)


@pytest.mark.parametrize("point", [("before publish", "fws"), ("after publish", "fws"), ("after publish", "usr")])
def test_a_sealed_job_is_only_renamed_by_the_next_worker(
    stages: Stages, tmp_path: Path, point: tuple[str, str]
) -> None:
    crashed: list[str] = []

    def befall(where: str, suffix: str) -> None:
        if (where, suffix) == point and not crashed:
            crashed.append(where)
            raise Crash

    stage = stages(kinds=(FOLLOWER,), archive=Shaken(tmp_path / "data", befall))
    stage.page = 20
    stage.admit("0")
    instance = stage.registry.register("w1", {"pid": 1})
    services = stage.services(instance=instance)
    job = stage.claim(services)
    with pytest.raises(Crash):
        KINDS[FOLLOWER].run(Desk(job, services, lambda: None))
    assert stage.job(FOLLOWER, "0")["sealed"] == "1"
    asked = len(stage.asked)
    stage.registry.leave("w1", stage.reap("w1"))
    stage.work()
    assert len(stage.asked) == asked
    assert len(stage.lines("0", FWS)) == len(stage.lines("0", USR)) > 20
    assert stage.snapshot().counters["users.done"] == 1
    assert stage.parts() == []
    services.source.close()


def test_who_lost_the_job_stops_and_harms_nothing(stage: Stage) -> None:
    advance(stage, "0", 350)
    stage.admit("0")
    instance = stage.registry.register("old", {"pid": 1})
    services = stage.services(worker="old", instance=instance)
    job = stage.claim(services)

    def overtake(endpoint: str, who: str, number: int) -> None:
        if number == 3:
            stage.before_request = lambda endpoint, who, number: None
            stage.reap("old")
            stage.work()

    stage.before_request = overtake
    with pytest.raises(Fenced):
        KINDS[TIMELINE].run(Desk(job, services, lambda: None))
    assert held(stage, "0") == truth(stage, "0")
    assert stage.snapshot().counters["users.done"] == 1
    with pytest.raises(Fenced):
        services.queue.done(job, None)
    assert len(stage.parts()) == 1, "the part of who was overtaken stays until it is swept"
    services.source.close()


def test_a_lost_lease_is_seen_before_anything_is_committed(stages: Stages) -> None:
    stage = stages(lease_seconds=2.0)
    stage.admit("0")
    taken = threading.Event()

    def lose(endpoint: str, who: str, number: int) -> None:
        if number == 1:
            stage.client.zrem(stage.keys.leases, f"{TIMELINE}:0")
            stage.client.hset(stage.keys.job(TIMELINE, "0"), "state", "parked")
            taken.set()

    stage.before_request = lose
    stage.work(taken.is_set)
    assert stage.counter("timeline.pages") == 0
    assert not stage.path("0", TWT).exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_a_full_disk_delays_without_blame(stages: Stages, tmp_path: Path, number: int) -> None:
    full = threading.Event()
    full.set()
    met: list[str] = []

    def befall(where: str, suffix: str) -> None:
        if where == "start" and full.is_set():
            met.append(where)
            if len(met) == 12:
                full.clear()
            raise OSError(number, "the disk says no")

    stage = stages(archive=Shaken(tmp_path / "data", befall))
    stage.admit("0")
    stage.work()
    assert len(met) == 12
    assert held(stage, "0") == truth(stage, "0")
    assert stage.snapshot().counters["users.done"] == 1


def test_a_failed_write_in_mid_page_loses_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    from twittomatic.archive import drafts

    advance(stage, "0", 250)
    whole = drafts._write
    writes: list[int] = []

    def torn(descriptor: int, block: bytes, at: int) -> None:
        writes.append(at)
        if len(writes) in (2, 4):
            whole(descriptor, block[: len(block) // 2], at)
            raise OSError(errno.ENOSPC, "No space left on device")
        whole(descriptor, block, at)

    monkeypatch.setattr(drafts, "_write", torn)
    stage.admit("0")
    stage.work()
    assert held(stage, "0") == truth(stage, "0")


def test_a_refused_credential_is_taken_out_and_said(stages: Stages) -> None:
    plan = FaultPlan(credentials={"token-of-old": CredentialPlan(revoked_after=3)})
    stage = stages(faults=plan, credentials=("old",))
    users = [str(number) for number in range(10)]
    stage.admit(*users)

    def is_stopped() -> bool:
        return any(books.reason.startswith("refused") for books in stage.snapshot().windows)

    stage.work(is_stopped)
    told = stage.snapshot()
    wait = told.waits["timeline"]
    assert wait.until is None
    assert wait.reason.startswith("refused")
    assert told.kinds[TIMELINE].dead == 0
    assert told.kinds[TIMELINE].waiting == 10 - told.kinds[TIMELINE].done > 0

    stage.credentials = ("old", "new")
    stage.work()
    assert stage.snapshot().counters["users.done"] == 10
    assert all(held(stage, user) == truth(stage, user) for user in users)


@pytest.mark.parametrize(
    ("plan", "reason"),
    [(CredentialPlan(capped_after=3), "usage cap reached"), (CredentialPlan(credits=0.2), "out of credits")],
)
def test_a_cap_stops_the_endpoint_and_nobody_is_blamed(stages: Stages, plan: CredentialPlan, reason: str) -> None:
    stage = stages(faults=FaultPlan(credentials={"token-of-poor": plan}), credentials=("poor",))
    stage.admit(*(str(number) for number in range(10)))
    stage.work(lambda: "timeline" in stage.snapshot().waits and not stage.snapshot().kinds[TIMELINE].running)
    told = stage.snapshot()
    assert told.waits["timeline"].reason == reason
    assert (told.waits["timeline"].until or 0) > told.at
    assert told.kinds[TIMELINE].dead == told.kinds[TIMELINE].gone == 0
    assert told.kinds[TIMELINE].waiting == 10 - told.kinds[TIMELINE].done > 0
    asked = len(stage.asked)
    stage.credentials = ("poor", "rich")
    stage.work()
    assert stage.snapshot().counters["users.done"] == 10
    assert len(stage.asked) > asked


def test_an_outage_is_not_the_fault_of_any_user(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twittomatic.worker.DELAYS_OF_AN_OUTAGE", 1000)
    failures: list[str] = []
    answered: list[str] = []
    late: list[str] = []
    back = threading.Event()

    def down(endpoint: str, who: str, number: int) -> None:
        if not back.is_set() or (who == "0" and not answered):
            failures.append(who)
            raise Transient("no connection")
        if who == "0" and len(late) < 4:
            late.append(who)
            raise Transient("the first failure of this user alone")
        answered.append(who)

    stage.before_request = down
    users = [str(number) for number in range(4)]
    stage.admit(*users)

    def long_enough() -> bool:
        return all(failures.count(user) > 4 * 12 for user in users)

    def then_back() -> bool:
        if long_enough():
            back.set()
        return stage.is_finished()

    stage.work(then_back, seconds=60)
    told = stage.snapshot()
    assert len(late) == 4
    assert told.counters["users.done"] == 4
    assert told.counters.get("users.dead", 0) == 0


def test_one_user_that_keeps_failing_is_given_up_while_others_go_on(stage: Stage) -> None:
    def broken(endpoint: str, who: str, number: int) -> None:
        if who == "3":
            raise Transient("internal error", status=500)

    stage.before_request = broken
    users = [str(number) for number in range(60)]
    stage.admit(*users[:10])
    pending = users[10:]

    def feed() -> bool:
        if pending and stage.snapshot().kinds[TIMELINE].queued < 3:
            stage.admit(pending.pop())
        return not pending and stage.is_finished()

    stage.work(feed, seconds=60)
    told = stage.snapshot()
    assert told.counters["users.done"] == 59
    assert told.counters["users.dead"] == 1
    assert told.reasons == {"keeps failing": 1}
    assert stage.job(TIMELINE, "3")["state"] == "dead"


def test_an_unknown_body_is_kept_for_a_person(stage: Stage) -> None:
    def strange(endpoint: str, who: str, number: int) -> None:
        if who == "1":
            raise UnknownBody("an answer of no known form", status=200, body=b'{"hello":"world\xff"}')

    stage.before_request = strange
    stage.admit("0", "1", "2")
    stage.work()
    told = stage.snapshot()
    assert (told.counters["users.done"], told.counters["users.dead"]) == (2, 1)
    assert told.reasons == {"unknown body": 1}
    assert '{"hello":"world' in stage.services().queue.sample(TIMELINE, "1")
    assert stage.crawl.reasons()[0].startswith("timeline 1 dead unknown body")
    stage.before_request = lambda endpoint, who, number: None
    assert stage.crawl.retry() == 1
    stage.work()
    assert held(stage, "1") == truth(stage, "1")


def test_a_bug_ends_one_job_and_not_the_worker(stage: Stage) -> None:
    def bug(endpoint: str, who: str, number: int) -> None:
        if who == "1":
            raise ZeroDivisionError("a bug of ours")

    stage.before_request = bug
    stage.admit("0", "1", "2")
    stage.work()
    assert stage.snapshot().reasons == {"bug: ZeroDivisionError": 1}
    assert stage.snapshot().counters["users.done"] == 2
    assert "a bug of ours" in stage.services().queue.sample(TIMELINE, "1")


def test_a_limited_answer_parks_until_the_window_opens(stage: Stage) -> None:
    until: list[float] = []

    def limit(endpoint: str, who: str, number: int) -> None:
        if not until:
            until.append(stage.clock.now() + 0.5)
            window = Window("app", 5, 0, until[0])
            raise Limited("too many requests", until=until[0], windows=[window])
        assert stage.clock.now() >= until[0] - 0.05, "a request before the window opened"

    stage.before_request = limit
    stage.admit("0", "1")
    stage.work()
    told = stage.snapshot()
    assert told.counters["users.done"] == 2
    assert "users.dead" not in told.counters


def test_a_damaged_final_is_not_overwritten(stage: Stage) -> None:
    stage.admit("0")
    stage.work()
    path = stage.path("0", TWT)
    damaged = path.read_bytes()[:-30]
    path.write_bytes(damaged)
    stage.want("update")
    advance(stage, "0", 2)
    stage.admit("0", kind="update")
    stage.work()
    assert path.read_bytes() == damaged
    assert stage.snapshot().counters["users.dead"] == 1


def test_a_job_that_met_no_page_leaves_no_part(stage: Stage) -> None:
    failures: list[str] = []

    def down(endpoint: str, who: str, number: int) -> None:
        if len(failures) < 40:
            failures.append(who)
            raise Transient("no connection")

    stage.before_request = down
    stage.admit("0", "1")
    stage.work()
    assert stage.snapshot().counters["users.done"] == 2
    assert stage.parts() == []


def test_an_analyzer_that_met_no_answer_leaves_no_part(stages: Stages) -> None:
    stage = stages(source_name="twitter_v1", kinds=(FOLLOWER, ANALYZER))
    failures: list[str] = []

    def down(endpoint: str, who: str, number: int) -> None:
        if endpoint == "profiles" and len(failures) < 20:
            failures.append(who)
            raise Transient("no connection")

    stage.before_request = down
    stage.admit("0")
    stage.work()
    assert len(failures) == 20
    assert len(stage.lines("0", USR)) == len(stage.lines("0", FWS))
    assert stage.parts() == []


def test_a_worker_that_lost_its_job_while_it_parks_goes_on(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong: list[str] = []
    monkeypatch.setattr("twittomatic.worker.log.exception", lambda event, **more: wrong.append(event))

    def lose(endpoint: str, who: str, number: int) -> None:
        if number == 1:
            stage.client.zrem(stage.keys.leases, f"{TIMELINE}:0")
            stage.client.hset(stage.keys.job(TIMELINE, "0"), "state", "parked")
            raise Limited("too many", until=stage.clock.now() + 0.2)

    stage.before_request = lose
    stage.admit("0")
    stage.admit("1")
    stage.work(lambda: stage.path("1", TWT).exists())
    assert wrong == []


def test_users_who_always_fail_are_given_up_at_last_when_nobody_else_is_left(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three of them look like an outage, which nothing that works ever ends: the crawl must end all the same."""
    monkeypatch.setattr("twittomatic.worker.DELAYS_OF_AN_OUTAGE", 8)

    def down(endpoint: str, who: str, number: int) -> None:
        raise Transient("no connection")

    stage.before_request = down
    stage.admit("1", "2", "3", "4")
    stage.work(seconds=60)
    assert stage.snapshot().counters["users.dead"] == 4
    assert stage.snapshot().reasons == {"keeps failing": 4}

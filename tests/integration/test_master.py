"""The master: loading seeds, noticing the end, the frontier file, and who leads."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import wait_until
from tests.integration.stage import BUCKETS, Stage, Stages
from twittomatic import master as module
from twittomatic import seeds
from twittomatic.errors import Deposed, InUse, Limited, SeedsError, Transient, UnknownBody
from twittomatic.job import ANALYZER, FOLLOWER, TIMELINE
from twittomatic.loading import FileSeeds, HeldSeeds, Loader
from twittomatic.master import Master, Wish
from twittomatic.names import Names
from twittomatic.sources.x_seeds import parse_seed
from twittomatic.state.crawl import Crawl
from twittomatic.state.engine import Caller
from twittomatic.state.frontier import Frontier
from twittomatic.state.leader import Held, Leader


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "END_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(module, "STANDBY_SECONDS", 0.02)
    monkeypatch.setattr(module, "TICK_SECONDS", 0.05)
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.2)
    monkeypatch.setattr("twittomatic.loading.LOOK_SECONDS", 0.2)
    monkeypatch.setattr("twittomatic.worker.IDLE_SECONDS", 0.05)
    monkeypatch.setattr("twittomatic.kinds.calls.FIRST_PAUSE_SECONDS", 0.001)


@pytest.fixture
def stage(stages: Stages) -> Stage:
    """A crawl that nobody leads yet."""
    stage = stages()
    stage.leader.resign(stage.epoch)
    stage.client.delete(stage.keys.settings)
    return stage


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., FileSeeds]:
    def write(*lines: str, name: str = "seeds.txt") -> FileSeeds:
        path = tmp_path / name
        path.write_text("".join(f"{line}\n" for line in lines))
        return FileSeeds(path, seeds.survey(path, parse_seed).digest, parse_seed)

    return write


def make(stage: Stage, name: str = "m", **more: Any) -> Master:
    services = stage.services("main", name)
    main = Caller(name, "main")
    usual: dict[str, Any] = {
        "verified_dead": lambda held: False,
        "stop": stage.stop,
        "stored": lambda shared: Wish(shared.get("kinds", "").split(","), shared.get("traversal", ""), 0, None),
        "shape": {"buckets": BUCKETS, "lease_seconds": 60, "max_attempts": 5, "id_form": "int64"},
    }
    crawl = Crawl(stage.engine, stage.keys, main)
    frontier = Frontier(stage.engine, stage.keys, main, buckets=BUCKETS)
    return Master(
        name="c",
        identity=f"{name}-1",
        info={"pid": 1, "host": name},
        crawl=crawl,
        frontier=frontier,
        leader=Leader(stage.engine, stage.keys, Caller(name, "rounds")),
        archive=services.archive,
        loader=Loader(
            crawl=crawl,
            frontier=frontier,
            source=services.source,
            calls=services.calls,
            names=lambda: Names(stage.root),
            clock=stage.clock,
            stop=stage.stop,
        ),
        folder=stage.root,
        frontier_name="frontier",
        clock=stage.clock,
        **(usual | more),
    )


def lead(stage: Stage, wish: Wish, **more: Any) -> str:
    """Run a master beside a worker, until it ends."""
    ended: list[str] = []
    with stage.working():
        ended.append(make(stage, stop=threading.Event(), **more).run(wish))
    return ended[0]


def queued(stage: Stage) -> list[str]:
    return [id_.decode() for id_ in stage.client.lrange(stage.keys.queue(TIMELINE), 0, -1)]


def test_a_crawl_is_led_to_its_end_and_then_there_is_nothing_to_do(
    stage: Stage, write: Callable[..., FileSeeds]
) -> None:
    wish = Wish([TIMELINE, FOLLOWER, ANALYZER], "default", 0, write("0", "1", "0"))
    assert lead(stage, wish) == "done"
    told = stage.snapshot()
    assert told.state == "done"
    assert told.counters["users.done"] == 2
    assert told.leader is None
    path = Path(told.settings["frontier_path"])
    assert path == stage.root / "frontier-c-1.gz"
    found = gzip.decompress(path.read_bytes()).decode().splitlines()
    assert found[0].startswith("#")
    assert len(set(found[1:])) == len(found) - 1 == int(told.settings["frontier_count"])
    survey = seeds.survey(path, parse_seed, strict=True)
    assert survey.good == len(found) - 1
    assert stage.client.llen(stage.keys.frontier) == 0

    asked = len(stage.asked)
    assert lead(stage, wish) == "nothing"
    assert len(stage.asked) == asked

    following = Wish([TIMELINE], "default", 0, FileSeeds(path, survey.digest, parse_seed))
    assert lead(stage, following) == "done"
    told = stage.snapshot()
    assert told.iteration == 2
    assert told.counters["users.done"] == survey.good
    assert told.settings["frontier_path"] == ""


def test_an_interrupted_load_goes_on_where_it_stood(
    stage: Stage, write: Callable[..., FileSeeds], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twittomatic.loading.LOAD_LINES", 3)
    wanted = write(*(str(number) for number in range(11)), "# end", "5")
    wish = Wish([TIMELINE], "default", 0, wanted)
    master = make(stage)
    admit = master.frontier.admit
    blocks: list[list[str]] = []

    def counted(ids: list[str], *words: Any, **more: Any) -> Any:
        if ids:
            blocks.append(list(ids))
        if len(blocks) == 2:
            stage.stop.set()
        return admit(ids, *words, **more)

    monkeypatch.setattr(master.frontier, "admit", counted)
    assert master.run(wish) == "stopped"
    assert queued(stage) == [str(number) for number in range(6)]
    assert stage.snapshot().loading == "6"
    stage.stop.clear()
    assert lead(stage, wish) == "done"
    counters = stage.snapshot().counters
    assert (counters["users.done"], counters["users.already"]) == (11, 1), "the double line finishes without a call"
    assert stage.snapshot().kinds[TIMELINE].already == 1
    assert stage.snapshot().loading is None
    assert blocks == [["0", "1", "2"], ["3", "4", "5"]]


def test_other_seeds_come_behind_those_that_are_not_loaded_to_their_end(
    stage: Stage, write: Callable[..., FileSeeds], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody of the first file is forgotten, and its place says nothing about where to begin in the other one."""
    monkeypatch.setattr("twittomatic.loading.LOAD_LINES", 3)
    master = make(stage)
    admit = master.frontier.admit

    def once(ids: list[str], *words: Any, **more: Any) -> Any:
        if ids:
            stage.stop.set()
        return admit(ids, *words, **more)

    monkeypatch.setattr(master.frontier, "admit", once)
    first = Wish([TIMELINE], "default", 0, write(*map(str, range(9))))
    assert master.run(first) == "stopped"
    assert stage.snapshot().loading == "3"
    stage.stop.clear()
    other = write("20", "21", "22", "23", name="other.txt")
    with pytest.raises(SeedsError, match="not loaded to their end"):
        lead(stage, Wish([TIMELINE], "default", 0, other))
    assert lead(stage, Wish([TIMELINE], "default", 0, other), stored=lambda _: first) == "done"
    crawled = {path.stem for path in stage.root.glob("[0-9]*/*.twt")}
    assert crawled == {*map(str, range(9)), "20", "21", "22", "23"}


def test_without_seeds_there_is_an_error(stage: Stage) -> None:
    with pytest.raises(SeedsError, match="nothing to crawl"):
        make(stage).run(Wish([TIMELINE], "default", 0, None))
    assert stage.snapshot().leader is None


def test_everybody_who_is_held_is_updated(stage: Stage, write: Callable[..., FileSeeds]) -> None:
    lead(stage, Wish([TIMELINE], "default", 0, write("0", "1", "2")))
    asked = len(stage.asked)
    for _ in range(2):
        assert lead(stage, Wish(["update"], "default", 0, HeldSeeds(stage.archive))) == "done"
        told = stage.snapshot()
        assert told.counters["users.done"] == 3
        assert {who for _, who in stage.asked[asked:]} == {"0", "1", "2"}


class TestNames:
    def test_a_window_is_waited_for_and_said(self, stage: Stage, write: Callable[..., FileSeeds]) -> None:
        notes: list[str] = []

        def limit(endpoint: str, who: str, number: int) -> None:
            if endpoint != "names":
                return
            notes.append(stage.crawl.settings().get("note", ""))
            if len(notes) <= 2:
                raise Limited("too many", until=stage.clock.now() + 0.1)

        stage.before_request = limit
        assert lead(stage, Wish([TIMELINE], "default", 0, write("@maya_0", "@nobody_x"))) == "done"
        assert any("names of seeds" in note for note in notes)
        told = stage.snapshot()
        assert told.settings["note"] == ""
        assert told.settings["seeds_unknown"] == "1"
        assert told.counters["users.done"] == 1

    def test_a_network_that_fails_is_asked_again(self, stage: Stage, write: Callable[..., FileSeeds]) -> None:
        failures: list[str] = []

        def fail(endpoint: str, who: str, number: int) -> None:
            if endpoint == "names" and len(failures) < 6:
                failures.append(who)
                raise Transient("no connection")

        stage.before_request = fail
        assert lead(stage, Wish([TIMELINE], "default", 0, write("@maya_0"))) == "done"
        assert len(failures) == 6

    def test_an_answer_that_nobody_understands_ends_the_load(
        self, stage: Stage, write: Callable[..., FileSeeds]
    ) -> None:
        def strange(endpoint: str, who: str, number: int) -> None:
            raise UnknownBody("an answer of no known form")

        stage.before_request = strange
        with pytest.raises(SeedsError, match="cannot be looked up"):
            make(stage).run(Wish([TIMELINE], "default", 0, write("@maya_0")))
        assert stage.snapshot().leader is None

    def test_a_stop_is_heard_while_waiting(self, stage: Stage, write: Callable[..., FileSeeds]) -> None:
        def limit(endpoint: str, who: str, number: int) -> None:
            stage.stop.set()
            raise Limited("too many", until=stage.clock.now() + 60)

        stage.before_request = limit
        assert make(stage).run(Wish([TIMELINE], "default", 0, write("@maya_0"))) == "stopped"
        assert stage.snapshot().leader is None

    def test_an_unknown_name_is_counted_once_however_often_the_seeds_are_loaded(
        self, stage: Stage, write: Callable[..., FileSeeds]
    ) -> None:
        wanted = write("@maya_0", "@nobody_x", "@nobody_y")
        lead(stage, Wish([TIMELINE], "default", 0, wanted))
        lead(stage, Wish([TIMELINE, FOLLOWER], "default", 0, wanted))
        assert stage.snapshot().settings["seeds_unknown"] == "2"
        assert stage.asked_of("names") == 1


class TestLead:
    def test_a_second_master_is_refused(self, stage: Stage, write: Callable[..., FileSeeds]) -> None:
        stage.leader.lead("first", {"pid": 7, "host": "h"})
        with pytest.raises(InUse, match="another master leads"):
            make(stage).run(Wish([TIMELINE], "default", 0, write("0")))

    def test_a_standby_ends_with_the_crawl(self, stage: Stage, write: Callable[..., FileSeeds]) -> None:
        stage.leader.lead("first", {"pid": 7})
        stage.crawl.set(state="done")
        assert make(stage, standby=True).run(Wish([TIMELINE], "default", 0, write("0"))) == "done"

    def test_a_standby_replaces_a_leader_that_is_known_to_be_dead(
        self, stage: Stage, write: Callable[..., FileSeeds]
    ) -> None:
        stage.leader.lead("first", {"pid": 7, "host": "h"})
        met: list[Held] = []

        def is_dead(held: Held) -> bool:
            met.append(held)
            return held.master == "first"

        assert lead(stage, Wish([TIMELINE], "default", 0, write("0")), standby=True, verified_dead=is_dead) == "done"
        assert met[0].info["pid"] == 7

    def test_a_deposed_master_stops(self, stage: Stage, write: Callable[..., FileSeeds]) -> None:
        ended: list[object] = []

        def run() -> None:
            try:
                ended.append(make(stage).run(Wish([TIMELINE], "default", 0, write("0"))))
            except Deposed as error:
                ended.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        wait_until(lambda: queued(stage) == ["0"], 10, "the seeds")
        assert not isinstance(stage.leader.lead("usurper", {"pid": 8}, replaces="m-1"), Held)
        thread.join(10)
        assert isinstance(ended[0], Deposed)
        leader = stage.snapshot().leader
        assert leader is not None
        assert leader.master == "usurper"


@pytest.mark.parametrize("loaded", [True, False], ids=["while crawling", "while loading"])
def test_a_kind_that_is_added_to_an_interrupted_crawl_reaches_those_who_were_done(
    stage: Stage, write: Callable[..., FileSeeds], monkeypatch: pytest.MonkeyPatch, loaded: bool
) -> None:
    monkeypatch.setattr("twittomatic.loading.LOAD_LINES", 3)
    wanted = write(*(str(number) for number in range(7)))
    stop = threading.Event()

    def halt(endpoint: str, who: str, number: int) -> None:
        if len(list(stage.root.glob("[0-9]*/*.twt"))) >= 2:
            stop.set()
            stage.stop.set()

    if not loaded:
        monkeypatch.setattr("twittomatic.loading.LOAD_LINES", 2)
    stage.before_request = halt
    with stage.working():
        assert make(stage, stop=stop).run(Wish([TIMELINE], "default", 0, wanted)) == "stopped"
    assert 2 <= len(list(stage.root.glob("[0-9]*/*.twt"))) < 7
    stage.before_request = lambda endpoint, who, number: None
    assert lead(stage, Wish([TIMELINE, FOLLOWER], "default", 0, wanted)) == "done"
    for suffix in ("twt", "fws"):
        assert {path.stem for path in stage.root.glob(f"[0-9]*/*.{suffix}")} == {str(number) for number in range(7)}

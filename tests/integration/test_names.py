"""Names of seeds, looked up on the network: each answer is on disk before anything is made of it."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.integration.stage import Stage, Stages
from tests.integration.test_master import make
from twittomatic import seeds
from twittomatic.job import TIMELINE
from twittomatic.loading import FileSeeds
from twittomatic.master import Wish
from twittomatic.names import FILE_NAME
from twittomatic.sources.x_seeds import parse_seed


@pytest.fixture(params=["x_v2", "twitter_v1"])
def stage(stages: Stages, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr("twittomatic.master.END_LOOK_SECONDS", 0.01)
    monkeypatch.setattr("twittomatic.worker.IDLE_SECONDS", 0.05)
    stage = stages(source_name=request.param)
    stage.leader.resign(stage.epoch)
    stage.client.delete(stage.keys.settings)
    return stage


def names_of(stage: Stage, count: int) -> list[str]:
    def name(user: int) -> str:
        return str(requests.get(f"{stage.twin.url}/_world/user/{user}", timeout=10).json()["username"])

    return [name(user) for user in range(count)]


def wish(folder: Path, names: list[str]) -> Wish:
    path = folder / "seeds.txt"
    path.write_text("".join(f"@{name}\n" for name in names))
    return Wish([TIMELINE], "default", 0, FileSeeds(path, seeds.survey(path, parse_seed).digest, parse_seed))


def kept(stage: Stage) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (stage.root / FILE_NAME).read_bytes().split(b"\n")[:-1]]


def lead(stage: Stage, wanted: Wish) -> None:
    with stage.working():
        assert make(stage, stop=threading.Event()).run(wanted) == "done"


class Crash(BaseException):
    """The end of a process, as far as the code in it can tell."""


def test_a_crash_before_the_admission_costs_no_second_lookup(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = names_of(stage, 110)
    wanted = wish(tmp_path, names)
    master = make(stage)

    def crash(ids: list[str], *words: Any, **more: Any) -> None:
        if ids:
            raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(master.frontier, "admit", crash)
        with pytest.raises(Crash):
            master.run(wanted)
    assert [answer["id"] for answer in kept(stage)] == [str(number) for number in range(110)]
    assert stage.asked_of("names") == 2
    lead(stage, wanted)
    assert stage.asked_of("names") == 2
    assert stage.snapshot().counters["users.done"] == 110


def test_a_crash_between_two_lookups_keeps_the_first(stage: Stage, tmp_path: Path) -> None:
    wanted = wish(tmp_path, names_of(stage, 110))

    def crash(endpoint: str, who: str, number: int) -> None:
        if endpoint == "names" and stage.asked_of("names") == 2:
            raise Crash

    stage.before_request = crash
    with pytest.raises(Crash):
        make(stage).run(wanted)
    assert len(kept(stage)) == 100
    stage.before_request = lambda endpoint, who, number: None
    lead(stage, wanted)
    assert len(kept(stage)) == 110
    assert [len(who.split(",")) for endpoint, who in stage.asked if endpoint == "names"] == [100, 10, 10]


def test_lookups_are_paid_for_and_booked(stage: Stage, tmp_path: Path) -> None:
    wanted = wish(tmp_path, [*names_of(stage, 5), "nobody_1"])
    lead(stage, wanted)
    told = stage.snapshot()
    assert told.settings["seeds_unknown"] == "1"
    assert told.requests >= 1 + 5
    gone = [answer for answer in kept(stage) if "gone" in answer]
    assert [(answer["name"], answer["gone"]) for answer in gone] == [("nobody_1", "not_found")]
    profile = kept(stage)[0]["profile"]
    assert str(profile.get("id_str") or profile["id"]) == kept(stage)[0]["id"]


def test_names_of_nobody_at_all(stage: Stage, tmp_path: Path) -> None:
    lead(stage, wish(tmp_path, ["nobody_1", "nobody_2"]))
    assert stage.snapshot().settings["seeds_unknown"] == "2"
    assert stage.snapshot().state == "done"
    assert [answer["gone"] for answer in kept(stage)] == ["not_found", "not_found"]

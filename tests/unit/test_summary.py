"""What is left to be read at the end of a crawl."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import ujson

from tests.unit.pictures import picture
from twittomatic.cli.summary import document, words
from twittomatic.job import CLAIM_ORDER, FOLLOWER, TIMELINE
from twittomatic.seeds import BadLine, Survey
from twittomatic.state.snapshot import KindSnapshot, Snapshot

COUNTERS = {
    "users.done": 1198, "users.already": 2, "left_out": 6, "users.gone": 3, "users.dead": 1,
    "timeline.done": 1203, "timeline.gone": 3,
    "timeline.already": 5, "follower.profiles": 40, "analyzer.profiles": 2, "discovered": 17, "refused.protected": 4,
    "refused.languages": 2,
}  # fmt: skip


@pytest.fixture
def finished() -> Snapshot:
    return picture(
        {TIMELINE: KindSnapshot(pages=90, items=8000), FOLLOWER: KindSnapshot(pages=4, items=40)},
        COUNTERS,
        {"frontier_path": "/d/frontier-main-1.gz", "frontier_count": "17", "seeds_unknown": "2"},
        state="done",
        requests=99,
        cost_micro=12_345_678,
        reasons={"protected": 2, "suspended": 1, "poison": 1},
    )


@pytest.fixture
def survey() -> Survey:
    return Survey(Path("s"), good=10, doubles=1, bad_count=1, bad=[BadLine(3, "x y", "nobody")])


def test_the_document_has_everything(finished: Snapshot, survey: Survey) -> None:
    told = document(finished, Path("/d"), 12.3456, survey, is_free=False)
    assert told["crawl"] == "main"
    assert told["users"] == {"done": 1200, "gone": 3, "dead": 1}
    assert (told["already"], told["left_out"]) == (2, 6)
    assert told["reasons"] == {"protected": 2, "suspended": 1, "poison": 1}
    assert set(told["pages"]) == set(told["items"]) == set(told["jobs"]) == set(CLAIM_ORDER)
    assert (told["pages"][TIMELINE], told["items"][TIMELINE]) == (90, 8000)
    assert told["jobs"][TIMELINE] == {"done": 1203, "gone": 3, "dead": 0, "already": 5}
    assert told["profiles"] == 42
    assert told["refused"] == {"protected": 4, "languages": 2}
    assert (told["requests"], told["cost"], told["cost_is_real"]) == (99, 12.345678, True)
    assert told["frontier"] == {"path": "/d/frontier-main-1.gz", "users": 17}
    assert told["seeds"] == {"good": 10, "bad": 1, "doubles": 1, "unknown_names": 2}
    assert (told["left"], told["output"], told["seconds"]) == (0, "/d", 12.346)
    assert json.loads(ujson.dumps(told)) == told


def test_nothing_known_is_zero_and_nothing_given_is_null() -> None:
    told = document(picture(state=""), Path("/d"), 0.0, None, is_free=True)
    assert told["users"] == {"done": 0, "gone": 0, "dead": 0}
    assert told["seeds"] == {"good": None, "bad": None, "doubles": None, "unknown_names": 0}
    assert told["frontier"] == {"path": None, "users": 0}


def test_a_person_reads_it(finished: Snapshot, survey: Survey) -> None:
    text = words(document(finished, Path("/d"), 3700, survey, is_free=False))
    for line in (
        "Crawl main is done after 1 h 01 min.",
        "1,200 done, 3 gone, 1 dead (1 poison, 2 protected, 1 suspended)",
        "8,000 on 90 pages",
        "40 on 4 pages; 42 profiles",
        "17 new users; refused: 2 languages, 4 protected",
        "99; cost $12.35 at the prices in the settings",
        "17 users in /d/frontier-main-1.gz",
        "2 of them were done already",
        "6 users beyond --max-users: they are in the frontier file",
        "10 good, 1 doubles, 1 bad lines, 2 names that nobody has",
    ):
        assert line in text


def test_what_a_twin_would_have_cost(finished: Snapshot) -> None:
    text = words(document(finished, Path("/d"), 1, None, is_free=True))
    assert "on the real API this would have cost $12.35" in text


def test_a_crawl_that_was_stopped_says_what_is_kept() -> None:
    shown = picture({TIMELINE: KindSnapshot(queued=4, running=1, delayed=2)}, {"users.done": 1})
    told = document(shown, Path("/d"), 5, None, is_free=False)
    assert told["left"] == 7
    assert "Crawl main is not finished after 5 s; what was fetched is kept." in words(told)

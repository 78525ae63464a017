"""Crashes at every step and in any order, against what the archive must then hold."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contract.archive_pages import DONE, NAMES, USER, crawl, finish, open_archive, tweets, write
from twittomatic.job import TWT, Extent

Opener = Callable[[Path], Any]


@pytest.fixture(params=NAMES)
def opener(request: pytest.FixtureRequest) -> Opener:
    return lambda root: open_archive(request.param, root)


@dataclass
class Crash:
    """The folder after one step of a job, and what Redis would know of it then."""

    folder: Path
    committed: Extent
    sealed: bool
    done: int


def steps_of_a_job(archive: Any, root: Path, copies: Path, pages: list[list[bytes]]) -> list[Crash]:
    crashes: list[Crash] = []
    committed, done, sealed = Extent(TWT, "1-a", 0, 0), 0, False

    def crash() -> None:
        folder = copies / str(len(crashes))
        shutil.copytree(root, folder)
        crashes.append(Crash(folder, committed, sealed, done))

    draft = archive.start(USER, TWT, "1-a")
    crash()
    for seq, page in enumerate(pages):
        write(draft, [page], first=seq)
        crash()
        draft.sync()
        crash()
        committed, done = draft.extent, seq + 1
        crash()
    draft.end(DONE)
    crash()
    draft.sync()
    draft = archive.unite(draft, "1-a")
    crash()
    committed, sealed = draft.extent, True
    draft.close()
    crash()
    archive.publish(USER, committed)
    crash()
    return crashes


@pytest.mark.parametrize("held", [[], [tweets(2, 1)]], ids=["first", "again"])
def test_a_crash_after_any_step_costs_nothing(opener: Opener, tmp_path: Path, held: list[list[bytes]]) -> None:
    pages = [tweets(9, 8), tweets(7), tweets(6, 5)]
    archive = opener(tmp_path / "out")
    if held:
        crawl(archive, "0-f", *held)
    crashes = steps_of_a_job(archive, tmp_path / "out", tmp_path / "copies", pages)
    assert len(crashes) == 14
    for crash in crashes:
        again = opener(crash.folder)
        if not crash.sealed:
            draft = again.resume(USER, crash.committed, "2-b", clean=False)
            finish(again, write(draft, pages[crash.done :], first=crash.done), "2-b")
        else:
            again.publish(USER, crash.committed)
        assert list(again.lines(USER, TWT)) == tweets(9, 8, 7, 6, 5) + [line for page in held for line in page]
        assert again.end_of(USER, TWT) == DONE


PAGES = st.lists(st.sets(st.integers(1, 40), max_size=4), max_size=4)
JOBS = st.lists(st.tuples(PAGES, st.sampled_from(["whole", "update"]), st.lists(st.booleans(), max_size=5)), max_size=4)


def newest_first(pages: list[set[int]], above: int) -> list[list[bytes]]:
    """Pages of these sizes as a network gives them, of items newer than ``above``."""
    items = iter(sorted(set().union(*pages), reverse=True))
    walk = [[above + item for item in islice(items, len(page))] for page in pages]
    return [tweets(*page) for page in walk]


@given(jobs=JOBS)
@settings(max_examples=60, deadline=None)
def test_any_mix_of_jobs_and_crashes_loses_and_doubles_nothing(
    tmp_path_factory: pytest.TempPathFactory, jobs: list[tuple[list[set[int]], str, list[bool]]]
) -> None:
    """Oracle: every item that was ever brought, once, newest first."""
    for name in NAMES:
        archive = open_archive(name, tmp_path_factory.mktemp("out"))
        model: list[bytes] = []
        counter = 0
        for pages, kind, crashes in jobs:
            above = max((int(json.loads(line)["id"]) for line in model), default=0) if kind == "update" else 0
            walk = newest_first(pages, above)
            counter += 1
            draft = archive.start(USER, TWT, f"{counter}-a")
            for seq, page in enumerate(walk):
                committed = draft.extent
                write(draft, [page], first=seq)
                if seq < len(crashes):
                    draft.close()
                    counter += 1
                    draft = archive.resume(USER, committed, f"{counter}-a", clean=crashes[seq])
                    write(draft, [page], first=seq)
            fresh = [line for page in walk for line in page]
            if kind == "update":
                assert draft.copy_final() == len(model)
            finish(archive, draft, f"{counter}-a")
            model = sorted({*model, *fresh}, key=lambda line: int(json.loads(line)["id"]), reverse=True)
            assert list(archive.lines(USER, TWT)) == model

"""The live display: rates, times to the end, and what is waited for until when."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from tests.unit.pictures import AT, picture
from twittomatic.cli import progress
from twittomatic.cli.progress import Progress, Rates, clock, duration, headline, table, waits
from twittomatic.job import ANALYZER, FOLLOWER, TIMELINE, UPDATE
from twittomatic.state.budget import Wait
from twittomatic.state.snapshot import KindSnapshot

BUSY = {
    TIMELINE: KindSnapshot(queued=31, resuming=5, running=4, done=1200, gone=7, items=250_000),
    FOLLOWER: KindSnapshot(queued=2, done=10),
}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3599, "59 min 59 s"),
        (3661, "1 h 01 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_durations_are_read_by_people(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_moment_of_another_day_has_its_date() -> None:
    assert len(clock(time.time())) == len("23:59:59")
    assert len(clock(time.time() - 3 * 86_400)) == len("2026-11-21 23:59")


def rates_after(*totals: tuple[float, int]) -> Rates:
    rates = Rates()
    for at, done in totals:
        rates.add(picture({TIMELINE: KindSnapshot(done=done)}, at=AT + at))
    return rates


def test_a_rate_is_that_of_the_last_seconds() -> None:
    assert rates_after((0, 0)).rate(TIMELINE) is None
    assert rates_after((0, 0), (0.5, 100)).rate(TIMELINE) is None, "too early to tell"
    assert rates_after((0, 0), (10, 50)).rate(TIMELINE) == 5
    assert rates_after((0, 0), (10, 1000), (20, 1000), (35, 1000)).rate(TIMELINE) == 0


def test_gone_and_dead_users_are_finished_jobs() -> None:
    rates = Rates()
    rates.add(picture({TIMELINE: KindSnapshot()}))
    rates.add(picture({TIMELINE: KindSnapshot(done=1, gone=2, dead=3)}, at=AT + 2))
    assert rates.rate(TIMELINE) == 3


def test_the_time_to_the_end() -> None:
    rates = rates_after((0, 0), (10, 50))
    assert rates.eta(TIMELINE, KindSnapshot()) == "-"
    assert rates.eta(TIMELINE, KindSnapshot(queued=90, running=10)) == "20 s"
    assert Rates().eta(TIMELINE, KindSnapshot(queued=1)) == "not yet known"
    assert rates_after((0, 5), (10, 5)).eta(TIMELINE, KindSnapshot(queued=1)) == "not yet known"


def test_what_is_waited_for_and_until_when() -> None:
    shown = picture(BUSY, waits={"timeline": Wait("timeline", AT + 90, "limited")})
    (line,) = waits(shown)
    assert line.startswith("timeline")
    assert "limited until" in line
    assert line.endswith("(1 min 30 s)")


def test_what_only_a_person_can_lift_says_so() -> None:
    (line,) = waits(picture(BUSY, waits={"followers": Wait("followers", None, "usage cap reached")}))
    assert line == "follower wait: followers is usage cap reached until somebody acts"


def test_a_wait_that_holds_nobody_up_is_not_shown() -> None:
    idle = {FOLLOWER: KindSnapshot(done=10)}
    assert list(waits(picture(idle, waits={"followers": Wait("followers", AT + 9, "limited")}))) == []
    assert list(waits(picture(BUSY, waits={"timeline": Wait("timeline", AT + 1, "probing")}))) == []


def test_an_analyzer_waits_for_lookups() -> None:
    busy = {ANALYZER: KindSnapshot(queued=1)}
    (line,) = waits(picture(busy, waits={"profiles": Wait("profiles", None, "out of credits")}))
    assert line.startswith("analyzer wait")


def test_the_masters_note_and_a_pause_are_shown() -> None:
    note = {"note": "names of seeds: limited", "note_until": f"{AT + 60}"}
    lines = list(waits(picture(settings=note, paused=True)))
    assert lines[0].startswith("waiting: names of seeds: limited until ")
    assert lines[1].startswith("paused")
    assert list(waits(picture(settings={"note": "", "note_until": "0"}))) == []


def test_the_table_has_a_row_for_each_kind_that_is_wanted() -> None:
    console = Console(file=io.StringIO(), width=140)
    console.print(table(picture(BUSY), rates_after((0, 0), (10, 1207))))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    rows = {line.split()[0]: line.split() for line in text.splitlines()[1:]}
    assert set(rows) == {TIMELINE, FOLLOWER}
    assert rows[TIMELINE][1:7] == ["1,200", "7", "0", "4", "36", "250,000"]
    console.print(table(picture(BUSY | {UPDATE: KindSnapshot(done=1)}), Rates()))
    assert UPDATE in console.file.getvalue()  # type: ignore[attr-defined]


def test_the_headline_says_how_the_crawl_is() -> None:
    shown = picture(requests=1234, cost_micro=5_670_000, frontier=8, loading="2000")
    line = headline(shown, time.monotonic())
    for words in ("crawl main", "running", "1,234 requests", "$5.67", "8 in the frontier", "loading seeds, line 2000"):
        assert words in line


def test_without_a_terminal_there_is_a_line_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    out = io.StringIO()
    with Progress(Console(file=out, width=60)) as shown:
        for _ in range(11):
            shown.show(picture(BUSY, waits={"timeline": Wait("timeline", None, "out of credits")}))
            now[0] += 1.0
        shown.say("a line that stays")
    lines = out.getvalue().splitlines()
    assert len(lines) == 4
    assert "timeline 1,200 done, 7 gone, 40 left" in lines[0]
    assert "out of credits" in lines[0]
    assert lines[-1] == "a line that stays"


def test_a_path_is_not_broken_where_a_console_is_narrow() -> None:
    out = io.StringIO()
    path = "/a/folder/with/a/name/of/some/length/credentials.toml"
    Progress(Console(file=out, width=20)).say(f"Redis: private server in {path}")
    assert path in out.getvalue()


def test_on_a_terminal_it_is_live() -> None:
    out = io.StringIO()
    with Progress(Console(file=out, width=140, force_terminal=True)) as shown:
        shown.show(picture(BUSY, waits={"timeline": Wait("timeline", None, "out of credits")}))
        shown.say("a line that stays")
    assert "1,200" in out.getvalue()
    assert "until somebody acts" in out.getvalue()
    assert "a line that stays" in out.getvalue()


def test_delays_are_shown_with_what_they_were_for() -> None:
    shown = picture(
        {TIMELINE: KindSnapshot(queued=3, delayed=2)},
        {"delays.HTTP 503": 5, "delays.archive: No space left on device": 1, "timeline.done": 4},
    )
    assert list(waits(shown)) == [
        "timeline: 2 users are tried again later (delays so far: 5 x HTTP 503, 1 x archive: No space left on device)"
    ]

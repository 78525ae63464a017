"""What a worker can do, page by page, over a real server, twin and archive."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import requests

from tests.integration.stage import Hooked, Stage, Stages
from twittomatic.archive import gzip_files
from twittomatic.archive.base import COMPLETE, DEPTH, GONE, End, Head
from twittomatic.errors import BadCursor, UnknownBody
from twittomatic.job import ANALYZER, FOLLOWER, FWS, TIMELINE, TWT, UPDATE, USR, Extent
from twittomatic.kinds import KINDS
from twittomatic.kinds.base import Desk, Walk
from twittomatic.kinds.calls import Failing, Stopped
from twittomatic.kinds.restarts import NumberSet
from twittomatic.sources.base import UNAVAILABLE, Missing, Page


def truth(stage: Stage, user: str) -> dict[str, Any]:
    found: dict[str, Any] = requests.get(f"{stage.twin.url}/_world/user/{user}", timeout=10).json()
    return found


def advance(stage: Stage, user: str, n: int) -> None:
    requests.post(f"{stage.twin.url}/_world/advance", params={"user": user, "n": n}, timeout=10).raise_for_status()


def change(stage: Stage, user: str, state: str) -> None:
    params = {"user": user, "state": state}
    requests.post(f"{stage.twin.url}/_world/state", params=params, timeout=10).raise_for_status()


def ids(lines: list[bytes]) -> list[str]:
    return [json.loads(line)["id"] for line in lines]


@pytest.fixture
def stage(stages: Stages) -> Stage:
    return stages()


def test_a_timeline_is_fetched_to_its_end_and_only_once(stage: Stage) -> None:
    advance(stage, "0", 230)
    result = stage.run("0", TIMELINE)
    assert (result.state, result.reason, result.already) == ("done", COMPLETE, False)
    assert ids(stage.lines("0", TWT)) == truth(stage, "0")["tweets"]
    assert stage.counter("timeline.pages") == 3
    assert stage.counter("timeline.items") == len(stage.lines("0", TWT))
    asked = len(stage.asked)
    again = stage.run("0", TIMELINE)
    assert (again.state, again.already) == ("done", True)
    assert len(stage.asked) == asked
    assert stage.parts() == []


def test_a_timeline_deeper_than_the_network_ends_there(stage: Stage) -> None:
    advance(stage, "0", 3300)
    assert stage.run("0", TIMELINE).reason == DEPTH
    assert stage.end("0", TWT).end == DEPTH
    assert ids(stage.lines("0", TWT)) == truth(stage, "0")["tweets"]
    assert len(stage.lines("0", TWT)) == 3200


def gone_after(stage: Stage, user: str, requests_made: int, state: str) -> None:
    """The user goes away when so many requests were answered."""
    already = len(stage.asked)

    def hook(endpoint: str, who: str, number: int) -> None:
        if number == already + requests_made + 1:
            change(stage, user, state)

    stage.before_request = hook


@pytest.mark.parametrize("state", ["suspended", "protected", "deleted"])
def test_somebody_who_goes_in_mid_timeline_keeps_what_was_committed(stage: Stage, state: str) -> None:
    advance(stage, "0", 230)
    known = truth(stage, "0")["tweets"]
    gone_after(stage, "0", 2, state)
    result = stage.run("0", TIMELINE)
    mark = stage.end("0", TWT)
    assert result.state == mark.end == GONE
    assert result.reason == mark.reason == ("not_found" if state == "deleted" else state)
    assert mark.holes == ()
    assert ids(stage.lines("0", TWT)) == known[:200]
    assert stage.snapshot().counters["users.gone"] == 1


def test_nobody_is_a_final_of_one_mark(stage: Stage) -> None:
    result = stage.run("9999", TIMELINE)
    assert (result.state, result.reason) == ("gone", "not_found")
    assert stage.lines("9999", TWT) == []
    assert stage.end("9999", TWT).end == GONE


def dies_at(stage: Stage, user: str, kind: str, number: int, error: Exception | None = None) -> None:
    """A job of this kind that is dead after ``number`` - 1 answers."""
    already = len(stage.asked)

    def strange(endpoint: str, who: str, asked: int) -> None:
        if asked >= already + number:
            raise error or UnknownBody("strange", body=b"x")

    stage.before_request = strange
    stage.want(kind)
    stage.admit(user, kind=kind)
    stage.work()
    stage.stop.clear()
    stage.before_request = lambda endpoint, who, number: None
    assert stage.job(kind, user)["state"] == "dead"


def retried(stage: Stage, kind: str) -> None:
    stage.want(kind)
    assert stage.crawl.retry() == 1
    stage.work()
    stage.stop.clear()


class TestTwoJobsOfOneFile:
    """A dead job that is tried again when another has written the final meanwhile: every item once, newest first."""

    @pytest.fixture(autouse=True)
    def short_pages(self, stage: Stage) -> None:
        stage.page = 50
        advance(stage, "0", 230)

    def test_an_update_of_everything_behind_a_timeline(self, stage: Stage) -> None:
        dies_at(stage, "0", UPDATE, 3)
        stage.run("0", TIMELINE)
        retried(stage, UPDATE)
        assert ids(stage.lines("0", TWT)) == truth(stage, "0")["tweets"]
        assert stage.end("0", TWT).end == COMPLETE

    def test_a_timeline_behind_an_update_of_everything(self, stage: Stage) -> None:
        dies_at(stage, "0", TIMELINE, 3)
        advance(stage, "0", 10)
        stage.run("0", UPDATE)
        retried(stage, TIMELINE)
        assert ids(stage.lines("0", TWT)) == truth(stage, "0")["tweets"]
        advance(stage, "0", 1)
        before = stage.counter("update.items")
        stage.run("0", UPDATE)
        assert ids(stage.lines("0", TWT)) == truth(stage, "0")["tweets"]
        assert stage.counter("update.items") == before + 1

    def test_an_update_whose_final_was_written_anew(self, stage: Stage) -> None:
        stage.run("0", TIMELINE)
        advance(stage, "0", 130)
        dies_at(stage, "0", UPDATE, 2)
        final = stage.path("0", TWT)
        final.rename(final.with_name("aside"))
        advance(stage, "0", 5)
        stage.run("0", TIMELINE)
        retried(stage, UPDATE)
        assert ids(stage.lines("0", TWT)) == truth(stage, "0")["tweets"]

    def test_a_sealed_part_is_not_renamed_over_a_final_that_grew(self, stage: Stage) -> None:
        services = stage.services()
        stage.admit("0", kind=TIMELINE)
        job = stage.claim(services)
        desk = Desk(job, services, lambda: None)
        publish = services.archive.publish

        def crash(*_: object) -> None:
            raise KeyboardInterrupt

        services.archive.publish = crash
        with pytest.raises(KeyboardInterrupt):
            KINDS[TIMELINE].run(desk)
        services.archive.publish = publish
        advance(stage, "0", 10)
        newer = [b'{"id":"%s"}' % id_.encode() for id_ in truth(stage, "0")["tweets"][:10]]
        draft = services.archive.start("0", TWT, "f-f")
        draft.append(Head(0, None, None, 10, 1, "x_v2", "c"), newer)
        draft.end(End(GONE, "suspended", (("9", "8"),), at=1))
        draft.close()
        publish("0", draft.extent)
        redone = Desk(job, services, lambda: None)
        redone.seal_and_rename({TWT: services.archive.resume("0", sealed_extent(stage, "0"), "e-e", clean=True).extent})
        assert ids(stage.lines("0", TWT)) == truth(stage, "0")["tweets"]
        mark = stage.end("0", TWT)
        assert (mark.end, mark.holes) == (COMPLETE, (("9", "8"),))
        assert sealed_extent(stage, "0").seg.endswith(".u"), "what is renamed was sealed"
        services.source.close()


def sealed_extent(stage: Stage, user: str) -> Extent:
    seg, length, crc = stage.job(TIMELINE, user)[f"x:{TWT}"].split()
    return Extent(TWT, seg, int(length), int(crc))


class TestForgottenCursor:
    """The network takes the cursor of a timeline no longer: the walk starts again, and says so."""

    @pytest.fixture(autouse=True)
    def short_pages(self, stage: Stage) -> None:
        stage.page = 50
        advance(stage, "0", 230)

    def forget(self, stage: Stage, numbers: set[int], news: int = 0) -> None:
        already = len(stage.asked)

        def hook(endpoint: str, who: str, number: int) -> None:
            if number - already in numbers:
                advance(stage, who, news)
                raise BadCursor("the token is not valid", status=400)

        stage.before_request = hook

    def test_a_timeline(self, stage: Stage) -> None:
        self.forget(stage, {3, 6}, news=3)
        assert stage.run("0", TIMELINE).reason == "started again 2 times"
        known = truth(stage, "0")["tweets"]
        assert ids(stage.lines("0", TWT)) == known
        assert stage.counter("timeline.items") == len(known)
        assert stage.end("0", TWT) == replace(stage.end("0", TWT), end=COMPLETE, reason="started again 2 times")

    def test_an_update(self, stage: Stage) -> None:
        stage.run("0", TIMELINE)
        advance(stage, "0", 120)
        self.forget(stage, {3}, news=4)
        assert stage.run("0", UPDATE).reason == "started again 1 time"
        assert ids(stage.lines("0", TWT)) == truth(stage, "0")["tweets"]
        assert stage.counter("update.items") == 124

    def test_again_and_again(self, stage: Stage) -> None:
        self.forget(stage, {2, 4, 6, 8})
        with pytest.raises(BadCursor):
            stage.run("0", TIMELINE)

    @pytest.mark.parametrize("kind", [TIMELINE, UPDATE, FOLLOWER])
    def test_a_job_that_lost_its_cursor_goes_on_from_the_start_with_what_it_has(self, stage: Stage, kind: str) -> None:
        stage.page = 10
        dies_at(stage, "0", kind, 3)
        name = stage.keys.job(kind, "0")
        stage.client.hdel(name, "cursor")
        advance(stage, "0", 3)
        retried(stage, kind)
        if kind == FOLLOWER:
            assert sorted(line.decode() for line in stage.lines("0", FWS)) == sorted(truth(stage, "0")["followers"])
            assert len(stage.lines("0", USR)) == len(stage.lines("0", FWS))
        else:
            assert ids(stage.lines("0", TWT)) == truth(stage, "0")["tweets"]
        assert stage.end("0", FWS if kind == FOLLOWER else TWT).reason == "started again 1 time"

    def test_a_job_without_a_cursor_keeps_its_pages_though_a_final_is_there(self, stage: Stage) -> None:
        dies_at(stage, "0", TIMELINE, 3)
        part = stage.archive.resume("0", sealed_extent(stage, "0"), "e-e", clean=False)
        held = list(part.lines())
        part.close()
        stage.client.hdel(stage.keys.job(TIMELINE, "0"), "cursor")
        draft = stage.archive.start("0", TWT, "f-f")
        draft.end(End(GONE, "protected", at=1))
        draft.close()
        stage.archive.publish("0", draft.extent)
        retried(stage, TIMELINE)
        assert len(held) == 100
        assert ids(stage.lines("0", TWT)) == truth(stage, "0")["tweets"]


def test_numbers_are_kept_exactly_and_once() -> None:
    numbers = [2**64 - 1, 0, 7, 2039, 4078, 7]
    held = NumberSet(numbers)
    assert len(held) == 5
    assert [held.add(number) for number in [7, 4078, 0, 2**64 - 1, 2**64 - 2, 1, 1, 6117]] == [
        False, False, False, False, True, True, False, True,
    ]  # fmt: skip
    assert len(held) == 8


class TestUpdate:
    @pytest.fixture
    def held(self, stage: Stage) -> list[bytes]:
        """The timeline as it was before anything happens."""
        stage.run("0", TIMELINE)
        return stage.lines("0", TWT)

    def test_nothing_newer_touches_nothing(self, stage: Stage, held: list[bytes]) -> None:
        before = stage.path("0", TWT).stat()
        result = stage.run("0", UPDATE)
        assert (result.state, result.reason) == ("done", "nothing newer")
        after = stage.path("0", TWT).stat()
        assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
        assert stage.parts() == []
        assert stage.counter("update.items") == 0

    def test_what_is_newer_is_put_in_front(self, stage: Stage, held: list[bytes]) -> None:
        advance(stage, "0", 150)
        assert stage.run("0", UPDATE).state == "done"
        assert stage.lines("0", TWT)[150:] == held
        assert ids(stage.lines("0", TWT)) == truth(stage, "0")["tweets"]
        assert stage.counter("update.items") == 150
        assert stage.end("0", TWT).holes == ()
        assert stage.end("0", TWT).end == COMPLETE

    def test_an_update_after_an_update_goes_on_from_the_newest(self, stage: Stage, held: list[bytes]) -> None:
        for number in (3, 2, 4):
            advance(stage, "0", number)
            stage.run("0", UPDATE)
        assert ids(stage.lines("0", TWT)) == truth(stage, "0")["tweets"]
        assert stage.counter("update.items") == 9

    def test_a_half_fetched_update_is_published_with_its_hole(self, stage: Stage, held: list[bytes]) -> None:
        advance(stage, "0", 250)
        known = truth(stage, "0")["tweets"]
        gone_after(stage, "0", 1, "suspended")
        result = stage.run("0", UPDATE)
        assert (result.state, result.reason) == ("gone", "suspended")
        lines = stage.lines("0", TWT)
        assert ids(lines) == known[:100] + ids(held)
        assert lines[100:] == held
        mark = stage.end("0", TWT)
        assert (mark.end, mark.reason, mark.holes) == (GONE, "suspended", ((known[99], ids(held)[0]),))

    def test_a_second_hole_does_not_hide_the_first(self, stage: Stage, held: list[bytes]) -> None:
        holes: list[tuple[str, str]] = []
        for _ in range(2):
            newest = ids(stage.lines("0", TWT))[0]
            advance(stage, "0", 250)
            gone_after(stage, "0", 1, "suspended")
            stage.run("0", UPDATE)
            stage.before_request = lambda endpoint, who, number: None
            change(stage, "0", "public")
            holes.insert(0, (truth(stage, "0")["tweets"][99], newest))
        assert stage.end("0", TWT).holes == tuple(holes)
        advance(stage, "0", 2)
        stage.run("0", UPDATE)
        mark = stage.end("0", TWT)
        assert (mark.reason, mark.holes) == ("back after suspended", tuple(holes))
        inode = stage.path("0", TWT).stat().st_ino
        assert stage.run("0", UPDATE).reason == "nothing newer"
        assert stage.path("0", TWT).stat().st_ino == inode

    def test_nothing_newer_than_the_depth_touches_nothing(self, stage: Stage) -> None:
        advance(stage, "1", 3300)
        assert stage.run("1", TIMELINE).reason == DEPTH
        inode = stage.path("1", TWT).stat().st_ino
        assert stage.run("1", UPDATE).reason == "nothing newer"
        assert stage.path("1", TWT).stat().st_ino == inode

    def test_more_news_than_the_network_keeps_leave_a_hole(self, stage: Stage, held: list[bytes]) -> None:
        advance(stage, "0", 3300)
        stage.run("0", UPDATE)
        known = truth(stage, "0")["tweets"]
        assert ids(stage.lines("0", TWT)) == known + ids(held)
        assert stage.end("0", TWT).holes == ((known[-1], ids(held)[0]),)

    def test_somebody_who_went_away_before_any_news(self, stage: Stage, held: list[bytes]) -> None:
        change(stage, "0", "protected")
        result = stage.run("0", UPDATE)
        assert (result.state, result.reason) == ("gone", "protected")
        assert stage.lines("0", TWT) == held
        assert stage.end("0", TWT).reason == "protected"
        inode = stage.path("0", TWT).stat().st_ino
        assert stage.run("0", UPDATE).state == "gone"
        assert stage.path("0", TWT).stat().st_ino == inode

    def test_somebody_who_came_back(self, stage: Stage, held: list[bytes]) -> None:
        change(stage, "0", "suspended")
        stage.run("0", UPDATE)
        change(stage, "0", "public")
        advance(stage, "0", 2)
        assert stage.run("0", UPDATE).state == "done"
        assert ids(stage.lines("0", TWT)) == truth(stage, "0")["tweets"]
        mark = stage.end("0", TWT)
        assert (mark.end, mark.reason) == (COMPLETE, "back after suspended")

    def test_of_whom_nothing_is_held_all_is_fetched(self, stage: Stage) -> None:
        advance(stage, "1", 120)
        assert stage.run("1", UPDATE).state == "done"
        assert ids(stage.lines("1", TWT)) == truth(stage, "1")["tweets"]


class TestFollower:
    def test_ids_and_profiles_come_together(self, stage: Stage) -> None:
        stage.page = 10
        assert stage.run("0", FOLLOWER).reason == COMPLETE
        known = truth(stage, "0")["followers"]
        assert [line.decode() for line in stage.lines("0", FWS)] == known == ids(stage.lines("0", USR))
        assert stage.counter("follower.pages") == -(-len(known) // 10)
        assert stage.counter("follower.profiles") == len(known)
        assert stage.run("0", FOLLOWER).already

    def test_a_forgotten_cursor_starts_the_walk_again(self, stage: Stage) -> None:
        stage.page = 10

        def forget(endpoint: str, who: str, number: int) -> None:
            if number in (3, 6):
                raise BadCursor("the token is not valid", status=400)

        stage.before_request = forget
        result = stage.run("0", FOLLOWER)
        known = truth(stage, "0")["followers"]
        assert sorted(line.decode() for line in stage.lines("0", FWS)) == sorted(known)
        assert sorted(ids(stage.lines("0", USR))) == sorted(known)
        assert result.reason == "started again 2 times"
        assert stage.counter("follower.items") == len(known)

    def test_a_cursor_that_is_always_forgotten_is_given_up(self, stage: Stage) -> None:
        stage.page = 10

        def forget(endpoint: str, who: str, number: int) -> None:
            if number % 2 == 0:
                raise BadCursor("the token is not valid", status=400)

        stage.before_request = forget
        with pytest.raises(BadCursor):
            stage.run("0", FOLLOWER)

    def test_nobody_follows(self, stage: Stage) -> None:
        change(stage, "0", "suspended")
        assert stage.run("0", FOLLOWER).state == "gone"
        assert stage.lines("0", FWS) == stage.lines("0", USR) == []


class TestAnalyzer:
    @pytest.fixture
    def older(self, stages: Stages) -> Stage:
        """A network whose follower pages carry no profiles."""
        return stages(source_name="twitter_v1", kinds=(FOLLOWER, ANALYZER))

    def front(self, stage: Stage) -> set[str]:
        return {id_ for block in stage.frontier.front_blocks() for id_ in block}

    def test_profiles_that_came_with_the_followers_cost_nothing(self, stage: Stage) -> None:
        stage.page = 7
        stage.run("0", FOLLOWER)
        asked = len(stage.asked)
        stage.run("0", ANALYZER)
        assert len(stage.asked) == asked
        followers = set(truth(stage, "0")["followers"])
        assert self.front(stage) == followers
        assert stage.counter("discovered") == len(followers)

    def test_only_new_ids_are_judged(self, stage: Stage) -> None:
        followers = truth(stage, "0")["followers"]
        stage.admit(*followers[:3], kind=TIMELINE)
        for _ in followers[:3]:
            services = stage.services()
            services.queue.done(stage.claim(services), None)
            services.source.close()
        stage.run("0", FOLLOWER)
        stage.run("0", ANALYZER)
        assert self.front(stage) == set(followers[3:]) - {"0"}
        stage.run("0", ANALYZER)
        assert stage.counter("analyzer.items") == len(set(followers[3:]) - {"0"})

    def test_refusals_are_counted_by_rule_and_seen(self, stages: Stages) -> None:
        stage = stages(rules={"protected": False, "exclude": [], "minimum_followers": 4})
        followers = truth(stage, "0")["followers"]
        change(stage, followers[0], "protected")
        small = [
            user for user in followers[1:] if truth(stage, user)["profile"]["public_metrics"]["followers_count"] < 4
        ]
        assert 0 < len(small) < len(followers) - 1
        stage.run("0", FOLLOWER)
        stage.run("0", ANALYZER)
        assert stage.counter("refused.protected") == 1
        assert stage.counter("refused.minimum_followers") == len(small)
        assert self.front(stage) == set(followers) - {followers[0], *small}
        assert stage.frontier.unseen(followers) == []

    def test_profiles_are_looked_up_by_the_hundred(self, older: Stage) -> None:
        known = truth(older, "0")["followers"]
        change(older, known[1], "suspended")
        older.run("0", FOLLOWER)
        listed = [line.decode() for line in older.lines("0", FWS)]
        older.run("0", ANALYZER)
        assert older.asked_of("profiles") == -(-len(listed) // 100)
        profiles = [json.loads(line) for line in older.lines("0", USR)]
        assert [profile.get("id_str") or profile["id"] for profile in profiles] == listed
        assert self.front(older) == set(listed) - {profile["id"] for profile in profiles if "gone" in profile}
        asked = len(older.asked)
        older.run("0", ANALYZER)
        assert len(older.asked) == asked

    def test_an_id_that_a_lookup_does_not_return_is_written_and_counted(self, older: Stage) -> None:
        older.run("0", FOLLOWER)
        lost = older.lines("0", FWS)[0].decode()
        change(older, lost, "deleted")
        older.run("0", ANALYZER)
        assert json.loads(older.lines("0", USR)[0]) == {"id": lost, "gone": "not_found"}
        assert older.counter("refused.not_found") == 1
        assert older.frontier.unseen([lost]) == []

    def test_a_parked_analyzer_goes_on_where_it_stood(self, older: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("twittomatic.sources.twitter_v1.TwitterV1.page_limits", {
            "timeline": 200, "followers": 5000, "profiles": 10, "names": 100,
        })  # fmt: skip
        older.run("0", FOLLOWER)
        listed = [line.decode() for line in older.lines("0", FWS)]
        assert len(listed) > 30
        lookups: list[str] = []

        def halt(endpoint: str, who: str, number: int) -> None:
            lookups.extend(who.split(","))
            if older.asked_of("profiles") == 2:
                older.stop.set()

        older.before_request = halt
        older.want(ANALYZER)
        older.admit("0", kind=ANALYZER)
        older.work(lambda: False)
        assert older.job(ANALYZER, "0")["state"] == "parked"
        assert not older.path("0", USR).exists()
        older.work()
        assert lookups == listed
        assert [json.loads(line)["id_str"] for line in older.lines("0", USR)] == listed
        assert self.front(older) == set(listed)
        assert older.parts() == []
        heads = [member.head for member in older.archive.members("0", USR) if member.end is None]
        places = [0, *range(10, len(listed), 10), len(listed)]
        assert [(head.prev, head.next) for head in heads] == [
            (f"line:{start}", f"line:{stop}") for start, stop in pairwise(places)
        ]

    def test_an_id_that_the_network_could_not_tell_is_asked_for_again(
        self, older: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        older.run("0", FOLLOWER)
        listed = [line.decode() for line in older.lines("0", FWS)]
        untold = listed[3]
        looked_up = Hooked.profiles

        def silent(source: Hooked, ids: Sequence[str], **more: Any) -> Page:
            page = looked_up(source, ids, **more)
            kept = [item for item in page.items if item.id != untold]
            return replace(page, items=kept, missing=[Missing(untold, UNAVAILABLE)])

        with monkeypatch.context() as patch:
            patch.setattr(Hooked, "profiles", silent)
            older.run("0", ANALYZER)
        assert older.frontier.unseen(listed) == [untold]
        first = older.lines("0", USR)
        assert len(first) == len(listed) - 1
        older.run("0", ANALYZER)
        assert older.asked[-1] == ("profiles", untold)
        assert older.lines("0", USR)[:-1] == first
        assert json.loads(older.lines("0", USR)[-1])["id_str"] == untold
        assert older.frontier.unseen(listed) == []

    def test_an_id_that_was_told_of_at_the_second_asking(self, older: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        older.run("0", FOLLOWER)
        listed = [line.decode() for line in older.lines("0", FWS)]
        looked_up = Hooked.profiles

        def hesitant(source: Hooked, ids: Sequence[str], **more: Any) -> Page:
            page = looked_up(source, ids, **more)
            if len(ids) <= 2:
                return page
            kept = [item for item in page.items if item.id not in listed[:2]]
            return replace(page, items=kept, missing=[Missing(id_, UNAVAILABLE) for id_ in listed[:2]])

        monkeypatch.setattr(Hooked, "profiles", hesitant)
        older.run("0", ANALYZER)
        assert older.asked[-1] == ("profiles", ",".join(listed[:2]))
        assert older.frontier.unseen(listed) == []
        assert [json.loads(line)["id_str"] for line in older.lines("0", USR)] == [*listed[2:], *listed[:2]]
        assert (older.counter("analyzer.pages"), older.counter("analyzer.untold")) == (2, 2)
        assert older.counter("analyzer.items") == len(listed)

    def test_a_lookup_that_tells_nothing_of_anybody_is_tried_again_later(
        self, older: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        older.run("0", FOLLOWER)
        listed = [line.decode() for line in older.lines("0", FWS)]
        with monkeypatch.context() as patch:
            patch.setattr(
                Hooked,
                "profiles",
                lambda self, ids, **more: Page([], None, missing=[Missing(i, UNAVAILABLE) for i in ids]),
            )
            services = older.services()
            older.admit("0", kind=ANALYZER)
            job = older.claim(services)
            with pytest.raises(Failing):
                KINDS[ANALYZER].run(Desk(job, services, lambda: None))
            services.queue.delay(job, 0.0, reason="told nothing")
        assert older.frontier.unseen(listed) == listed
        older.work()
        assert older.frontier.unseen(listed) == []
        assert len(older.lines("0", USR)) == len(listed)

    def test_who_was_not_told_of_is_kept_while_the_job_is_parked(
        self, older: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        limits = {"timeline": 200, "followers": 5000, "profiles": 10, "names": 100}
        monkeypatch.setattr("twittomatic.sources.twitter_v1.TwitterV1.page_limits", limits)
        older.run("0", FOLLOWER)
        listed = [line.decode() for line in older.lines("0", FWS)]
        looked_up = Hooked.profiles

        def silent(source: Hooked, ids: Sequence[str], **more: Any) -> Page:
            page = looked_up(source, ids, **more)
            older.stop.set()
            kept = [item for item in page.items if item.id != listed[0]]
            return replace(page, items=kept, missing=[Missing(listed[0], UNAVAILABLE)])

        older.want(ANALYZER)
        older.admit("0", kind=ANALYZER)
        with monkeypatch.context() as patch:
            patch.setattr(Hooked, "profiles", silent)
            older.work(lambda: False)
        assert Walk.decode(older.job(ANALYZER, "0")["cursor"]).untold == [listed[0]]
        older.work()
        assert older.asked[-1] == ("profiles", listed[0])
        assert older.frontier.unseen(listed) == []

    def test_a_stop_is_heard_though_nothing_is_asked(self, stage: Stage) -> None:
        stage.run("0", FOLLOWER)
        services = stage.services()
        stage.want(ANALYZER)
        stage.admit("0", kind=ANALYZER)
        job = stage.claim(services)
        stage.stop.set()
        with pytest.raises(Stopped):
            KINDS[ANALYZER].run(Desk(job, services, lambda: None))
        stage.stop.clear()
        services.source.close()

    def test_lookups_are_filled_across_chunks(self, older: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("twittomatic.kinds.chunks.CHUNK_LINES", 7)
        older.run("0", FOLLOWER)
        older.run("0", ANALYZER)
        assert older.asked_of("profiles") == -(-len(older.lines("0", FWS)) // 100)

    def test_a_commit_holds_no_more_ids_than_it_may(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("twittomatic.kinds.analyzer.COMMIT_IDS", 4)
        stage.run("0", FOLLOWER)
        listed = [line.decode() for line in stage.lines("0", FWS)]
        services = stage.services()
        commit, sizes = services.queue.commit, []

        def counted(*words: Any, **more: Any) -> int:
            sizes.append(len(more["found"]))
            return commit(*words, **more)

        services.queue.commit = counted  # type: ignore[method-assign]
        stage.want(ANALYZER)
        stage.admit("0", kind=ANALYZER)
        KINDS[ANALYZER].run(Desk(stage.claim(services), services, lambda: None))
        assert sizes == [4] * (len(listed) // 4) + [len(listed) % 4] * bool(len(listed) % 4)
        assert stage.frontier.unseen(listed) == []
        services.source.close()

    def test_two_analyzers_do_not_pay_for_the_same_ids(self, stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
        stage = stages(source_name="twitter_v1", kinds=(FOLLOWER, ANALYZER), credentials=("app", "other"))
        limits = {"timeline": 200, "followers": 5000, "profiles": 10, "names": 100}
        monkeypatch.setattr("twittomatic.sources.twitter_v1.TwitterV1.page_limits", limits)
        for user in ("0", "1"):
            stage.run(user, FOLLOWER)
        common = set(stage.lines("0", FWS)) & set(stage.lines("1", FWS))
        assert len(common) > 10
        first, second = stage.services("0"), stage.services("1")
        stage.admit("0", "1", kind=ANALYZER)
        one, two = stage.claim(first), stage.claim(second)
        looked_up: list[str] = []

        def meanwhile(endpoint: str, who: str, number: int) -> None:
            looked_up.extend(who.split(","))
            if len(looked_up) == 10:
                KINDS[ANALYZER].run(Desk(two, second, lambda: None))

        stage.before_request = meanwhile
        KINDS[ANALYZER].run(Desk(one, first, lambda: None))
        assert set(looked_up) >= {id_.decode() for id_ in common}
        after_the_first = looked_up[10:]
        assert len(after_the_first) == len(set(after_the_first)), "only what is in the air is asked for twice"
        first.source.close()
        second.source.close()

    def test_a_resumed_analyzer_inflates_only_what_lies_ahead(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stage.page = 5
        stage.run("0", FOLLOWER)
        lines = len(stage.lines("0", FWS))
        assert lines > 30
        services = stage.services()
        stage.want(ANALYZER)
        stage.admit("0", kind=ANALYZER)
        job = stage.claim(services)
        job.cursor = Walk(items=lines - 7).encode()
        inflated: list[str] = []
        member = gzip_files.MemberFile.member

        def noted(file: Any, span: Any) -> Any:
            inflated.append(file.path.suffix)
            return member(file, span)

        monkeypatch.setattr(gzip_files.MemberFile, "member", noted)
        KINDS[ANALYZER].run(Desk(job, services, lambda: None))
        assert inflated.count(".usr") == inflated.count(".fws") <= 4, "two or three pages and the end mark"
        assert len(stage.asked) == len([entry for entry in stage.asked if entry[0] == "followers"])
        assert stage.counter("discovered") == 7
        services.source.close()

    def test_without_followers_there_is_nothing_to_judge(self, stage: Stage) -> None:
        assert stage.run("0", ANALYZER).reason == "no followers held"

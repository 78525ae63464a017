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
from twittomatic.archive.base import COMPLETE, DEPTH, GONE
from twittomatic.errors import BadCursor
from twittomatic.job import ANALYZER, FOLLOWER, FWS, TIMELINE, TWT, UPDATE, USR
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
    assert mark.hole is None
    assert ids(stage.lines("0", TWT)) == known[:200]
    assert stage.snapshot().counters["users.gone"] == 1


def test_nobody_is_a_final_of_one_mark(stage: Stage) -> None:
    result = stage.run("9999", TIMELINE)
    assert (result.state, result.reason) == ("gone", "not_found")
    assert stage.lines("9999", TWT) == []
    assert stage.end("9999", TWT).end == GONE


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
        assert stage.end("0", TWT).hole is None
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
        assert (mark.end, mark.reason, mark.hole) == (GONE, "suspended", (known[99], ids(held)[0]))

    def test_more_news_than_the_network_keeps_leave_a_hole(self, stage: Stage, held: list[bytes]) -> None:
        advance(stage, "0", 3300)
        stage.run("0", UPDATE)
        known = truth(stage, "0")["tweets"]
        assert ids(stage.lines("0", TWT)) == known + ids(held)
        assert stage.end("0", TWT).hole == (known[-1], ids(held)[0])

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

    def test_without_followers_there_is_nothing_to_judge(self, stage: Stage) -> None:
        assert stage.run("0", ANALYZER).reason == "no followers held"

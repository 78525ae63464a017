"""Twitter API v1.1: inclusive cursors made exclusive, ids that survive rounding, users that are silently left out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.scripted_network import Reply, ScriptedNetwork
from twittomatic.errors import BadCursor, CredentialRefused, Gone, Transient, UnknownBody
from twittomatic.job import Profile
from twittomatic.sources import make_source
from twittomatic.sources.base import Missing
from twittomatic.sources.credentials import Credential
from twittomatic.sources.twitter_v1 import TwitterV1

CREDENTIALS = {"a": Credential("a", "oauth1", ["ck", "cs", "token-of-the-test", "ts"])}


@pytest.fixture
def network() -> Iterator[ScriptedNetwork]:
    with ScriptedNetwork(Reply([])) as server:
        yield server


@pytest.fixture
def source(network: ScriptedNetwork) -> Iterator[TwitterV1]:
    made = make_source("twitter_v1", credentials=CREDENTIALS, api_url=network.url, dialect="post", fields={})
    assert isinstance(made, TwitterV1)
    yield made
    made.close()


def tweets(*ids: str) -> Reply:
    return Reply([{"id_str": id_, "id": int(float(id_)), "full_text": "x", "user": {"id_str": "12"}} for id_ in ids])


def asked(network: ScriptedNetwork, *names: str) -> list[tuple[str, ...]]:
    return [tuple(each.parameters.get(name, "") for name in names) for each in network.asked]


def test_a_timeline_goes_on_below_the_oldest_id_until_two_empty_answers(
    source: TwitterV1, network: ScriptedNetwork
) -> None:
    newest = "1577000000000000003"
    network.replies = [tweets(newest, "1000"), tweets(), tweets("999", "20"), tweets(), tweets()]
    found, cursor = [], None
    while True:
        page = source.timeline("12", cursor, credential="a", since="19", limit=500)
        found += [item.id for item in page.items]
        assert page.charge == {}
        cursor = page.next
        if cursor is None:
            break
    assert found == [newest, "1000", "999", "20"]
    assert asked(network, "max_id", "since_id", "count") == [
        ("", "19", "200"), ("999", "19", "200"), ("999", "19", "200"), ("19", "19", "200"), ("19", "19", "200"),
    ]  # fmt: skip
    assert network.asked[0].parameters["tweet_mode"] == "extended"


def test_items_are_the_bytes_that_came(source: TwitterV1, network: ScriptedNetwork) -> None:
    first = rb'{"id":1577000000000000000,"id_str":"1577000000000000003","t":"\ud83d\/","n":1.10,"n":2}'
    second = b'{\r\n "id": 20,\r\n "text": "no id_str" }'
    network.replies = [Reply(b"[\n" + first + b" ,\n" + second + b"\n]\n")]
    page = source.timeline("12", None, credential="a")
    assert [tuple(item) for item in page.items] == [
        ("1577000000000000003", first), ("20", second.replace(b"\r\n", b"  ")),
    ]  # fmt: skip


def test_followers_walk_by_the_networks_cursor(source: TwitterV1, network: ScriptedNetwork) -> None:
    network.replies = [
        Reply({"ids": ["20", "1577000000000000003"], "next_cursor": 1482201362283529500,
               "next_cursor_str": "1482201362283529597"}),
        Reply({"ids": [], "next_cursor": 5, "next_cursor_str": "5"}),
        Reply({"ids": [3], "next_cursor": 0, "next_cursor_str": "0"}),
    ]  # fmt: skip
    found, cursor = [], None
    while True:
        page = source.followers("12", cursor, credential="a")
        found += [item.line for item in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert found == [b"20", b"1577000000000000003", b"3"]
    first, second = "-1", "1482201362283529597"
    assert asked(network, "cursor", "stringify_ids", "count") == [
        (first, "true", "5000"), (second, "true", "5000"), (second, "true", "5000"),
    ]  # fmt: skip


def test_nobody_follows(source: TwitterV1, network: ScriptedNetwork) -> None:
    network.replies = [Reply({"ids": [], "next_cursor_str": "0"})]
    page = source.followers("12", None, credential="a")
    assert page.next == "-1?"
    assert source.followers("12", page.next, credential="a").next is None


def user(id_: str, **more: Any) -> dict[str, Any]:
    return {"id": int(id_), "id_str": id_, "screen_name": f"User{id_}", **more}


def test_a_lookup_names_those_that_the_network_left_out(source: TwitterV1, network: ScriptedNetwork) -> None:
    network.replies = [Reply([user("14"), user("12")])]
    page = source.profiles(["12", "13", "14"], credential="a")
    assert [item.id for item in page.items] == ["14", "12"]
    assert page.missing == [Missing("13", "not_found")]
    names = source.names(["USER12", "user13", "no,name"], credential="a")
    assert names.missing == [Missing("no,name", "not_found"), Missing("user13", "not_found")]
    assert [each.method for each in network.asked] == ["POST", "POST"]
    assert asked(network, "user_id", "screen_name") == [("12,13,14", ""), ("", "USER12,user13")]


def test_a_lookup_that_finds_nobody_is_an_answer(source: TwitterV1, network: ScriptedNetwork) -> None:
    body = {"errors": [{"code": 17, "message": "No user matches for specified terms."}]}
    network.replies = [Reply(body, status=404)]
    page = source.profiles(["12", "13"], credential="a")
    assert page.missing == [Missing("12", "not_found"), Missing("13", "not_found")]


def test_not_authorized_is_the_users_state_and_not_the_credentials(source: TwitterV1, network: ScriptedNetwork) -> None:
    network.replies = [Reply({"request": "/1.1/x.json", "error": "Not authorized."}, status=401)]
    for call in (source.timeline, source.followers):
        with pytest.raises(Gone) as caught:
            call("12", None, credential="a")
        assert caught.value.reason == "protected"
    with pytest.raises(UnknownBody):
        source.profiles(["12", "13"], credential="a")
    network.replies = [Reply({"errors": [{"code": 89, "message": "Invalid or expired token."}]}, status=401)]
    with pytest.raises(CredentialRefused):
        source.timeline("12", None, credential="a")


def test_a_refused_cursor(source: TwitterV1, network: ScriptedNetwork) -> None:
    network.replies = [Reply({"errors": [{"code": 44, "message": "cursor parameter is invalid."}]}, status=400)]
    with pytest.raises(BadCursor):
        source.followers("12", "777", credential="a")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", Transient), (b"<html>", Transient), (b'[{"id_str":"12"', Transient), (b'{"ids": ["1", "2"', Transient),
        (b"{}", UnknownBody), (b'[{"text":"no id"}]', UnknownBody), (b"[1]", UnknownBody), (b"[NaN]", UnknownBody),
        (b'{"ids": 12}', UnknownBody), (b'{"ids": ["x"]}', UnknownBody), (b'{"ids": [1.5]}', UnknownBody),
        (b'[{"id_str":"12","t":"\xff"}]', UnknownBody), (b"null", UnknownBody),
        (b'{"ids":["12"],"t":"\xff"}', UnknownBody),
    ],
)  # fmt: skip
def test_bodies_that_are_no_page(source: TwitterV1, network: ScriptedNetwork, body: bytes, kind: type) -> None:
    network.replies = [Reply(body)]
    with pytest.raises(kind):
        source.timeline("12", None, credential="a")
    with pytest.raises(kind):
        source.followers("12", None, credential="a")


def test_a_profile_and_the_author_of_a_tweet(source: TwitterV1) -> None:
    author = json.dumps(user(
        "12", description="d", lang="de", followers_count=3, friends_count=4, statuses_count=5, verified=True,
        protected=False, created_at="Sat Jul 30 03:20:23 +0000 2016",
    )).encode()  # fmt: skip
    (item,) = source.author_profiles(b'{"id_str":"1","user":' + author + b',"retweeted_status":{"user":{"id":1}}}')
    assert (item.id, item.line) == ("12", author)
    assert source.profile(item.line) == Profile(
        id="12", name="User12", description="d", language="de", followers=3, following=4, statuses=5, verified=True,
        protected=False, created=1469848823.0,
    )  # fmt: skip
    assert source.profile(b'{"id":12,"lang":null}') == Profile(id="12")
    assert source.author_profiles(b'{"id_str":"1","user":{"id":12,"id_str":"12"}}') == ()
    for broken in (b"{}", b"[]", b"{"):
        with pytest.raises(UnknownBody):
            source.profile(broken)

"""X API v2: cursors that resume by id, lookups with what is missing, and items whose bytes are kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.scripted_network import Reply, ScriptedNetwork
from twittomatic.errors import BadCursor, Gone, SettingsError, Transient, UnknownBody
from twittomatic.job import Profile
from twittomatic.sources import SOURCES, make_source
from twittomatic.sources.base import Missing, Page
from twittomatic.sources.credentials import Credential
from twittomatic.sources.x_v2 import XV2, TimelineCursor

CREDENTIALS = {"a": Credential("a", "bearer", ["a-token-of-the-test"])}
ODD_PAGE = Path(__file__).parents[1] / "data" / "x_v2_odd_page.json"
ERROR = "https://api.twitter.com/2/problems/"


@pytest.fixture
def network() -> Iterator[ScriptedNetwork]:
    with ScriptedNetwork(Reply({})) as server:
        yield server


@pytest.fixture
def source(network: ScriptedNetwork) -> Iterator[XV2]:
    made = make_source("x_v2", credentials=CREDENTIALS, api_url=network.url)
    assert isinstance(made, XV2)
    yield made
    made.close()


def posts(*ids: str, token: str = "") -> Reply:
    meta = {"result_count": len(ids), **({"next_token": token} if token else {})}
    data = {"data": [{"id": id_, "text": "x", "author_id": "12"} for id_ in ids]} if ids else {}
    return Reply({**data, "meta": meta})


def walk(source: XV2, network: ScriptedNetwork, replies: list[Reply], *, since: str | None = None) -> list[str]:
    """Ids of a whole timeline; the network must have been asked exactly as often as it has replies."""
    network.replies = [*replies, Reply(status=599)]
    found: list[str] = []
    cursor: str | None = None
    for _ in range(len(replies)):
        page = source.timeline("12", cursor, credential="a", since=since)
        found += [item.id for item in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert cursor is None
    assert len(network.replies) == 1
    return found


def asked(network: ScriptedNetwork, *names: str) -> list[tuple[str, ...]]:
    return [tuple(each.parameters.get(name, "") for name in names) for each in network.asked]


def test_a_walk_resumes_by_id_and_an_empty_page_ends_it(source: XV2, network: ScriptedNetwork) -> None:
    found = walk(source, network, [posts("1000", "999", token="t1"), posts("98", "20"), posts()], since="19")
    assert found == ["1000", "999", "98", "20"]
    assert asked(network, "until_id", "pagination_token", "since_id") == [
        ("", "", "19"), ("999", "", "19"), ("20", "", "19"),
    ]  # fmt: skip


def test_the_oldest_id_is_found_by_number_not_by_text_or_place(source: XV2, network: ScriptedNetwork) -> None:
    network.replies = [posts("1000", "99", "1001", token="t")]
    assert source.timeline("12", None, credential="a").next == "99"


@pytest.mark.parametrize("confirmed", [posts("7", "6"), posts("7", "6", token="t2")])
def test_a_spurious_empty_page_loses_nothing(source: XV2, network: ScriptedNetwork, confirmed: Reply) -> None:
    tail = [posts(), posts()] if confirmed.body["meta"].get("next_token") else [posts()]
    assert walk(source, network, [posts("9", token="t1"), posts(), confirmed, *tail]) == ["9", "7", "6"]


def test_empty_pages_with_tokens_are_repeated_then_followed(source: XV2, network: ScriptedNetwork) -> None:
    replies = [posts("9", token="t1"), posts(token="t2"), posts(token="t2"), posts(token="t3"), posts(token="t3"),
               posts("5", token="t4"), posts(), posts()]  # fmt: skip
    assert walk(source, network, replies) == ["9", "5"]
    assert asked(network, "until_id", "pagination_token") == [
        ("", ""), ("9", ""), ("9", ""), ("9", "t2"), ("9", "t2"), ("9", "t3"), ("5", ""), ("5", ""),
    ]  # fmt: skip


def test_a_token_that_leads_to_itself_ends_the_walk(source: XV2, network: ScriptedNetwork) -> None:
    assert walk(source, network, [posts(token="t"), posts(token="t"), posts(token="t"), posts(token="t")]) == []


def test_an_empty_timeline_is_asked_for_twice(source: XV2, network: ScriptedNetwork) -> None:
    assert walk(source, network, [posts(), posts()]) == []


@given(st.integers(0, 10**19 - 1).map(str) | st.just(""), st.booleans(), st.text("abcXYZ019~?=", max_size=6))
def test_timeline_cursors_are_read_as_they_were_written(until: str, again: bool, token: str) -> None:
    cursor = TimelineCursor(until, again, token)
    assert TimelineCursor.decode(cursor.encode()) == cursor


@pytest.mark.parametrize(("limit", "size"), [(None, "100"), (1000, "100"), (42, "42"), (5, "5"), (4, "5"), (1, "5")])
def test_the_page_size_keeps_the_networks_bounds(
    source: XV2, network: ScriptedNetwork, limit: int | None, size: str
) -> None:
    network.replies = [posts("9")]
    page = source.timeline("12", None, credential="a", limit=limit)
    assert asked(network, "max_results") == [(size,)]
    assert page.charge == {"post": 1}
    assert page.size == len(posts("9").encoded())


@pytest.mark.parametrize("dialect", ["tweet", "post"])
def test_each_dialect_asks_with_its_own_names(network: ScriptedNetwork, dialect: str) -> None:
    other = {"tweet": "post", "post": "tweet"}[dialect]
    source = make_source("x_v2", credentials=CREDENTIALS, api_url=network.url, dialect=dialect)
    network.replies = [posts("9")]
    source.timeline("12", None, credential="a")
    source.followers("12", None, credential="a")
    source.close()
    first = network.asked[0].parameters
    assert f"{dialect}.fields" in first
    assert f"note_{dialect}" in first[f"{dialect}.fields"]
    assert f"{other}.fields" not in first
    assert f"referenced_{other}" not in first["expansions"]
    assert "username" in network.asked[1].parameters["user.fields"]
    assert "expansions" not in network.asked[1].parameters


def test_chosen_fields_replace_all_and_unknown_ones_are_refused(network: ScriptedNetwork) -> None:
    fields = {"tweet.fields": ["id", "author_id"], "expansions": []}
    source = make_source("x_v2", credentials=CREDENTIALS, api_url=network.url, fields=fields)
    network.replies = [posts("9")]
    source.timeline("12", None, credential="a")
    source.close()
    assert network.asked[0].parameters["tweet.fields"] == "id,author_id"
    assert "expansions" not in network.asked[0].parameters
    with pytest.raises(SettingsError, match=r"post\.fields"):
        make_source("x_v2", credentials=CREDENTIALS, fields={"post.fields": ["id"]})
    with pytest.raises(SettingsError, match="DIALECT"):
        make_source("x_v2", credentials=CREDENTIALS, dialect="toot")


def test_an_unknown_source_is_refused_with_the_nearest_name() -> None:
    assert list(SOURCES) == ["x_v2", "twitter_v1"]
    with pytest.raises(SettingsError, match="did you mean x_v2"):
        make_source("x-v2", credentials=CREDENTIALS)


def users(*ids: str, token: str = "") -> Reply:
    data = {"data": [{"id": id_, "name": "N", "username": f"User{id_}"} for id_ in ids]} if ids else {}
    return Reply({**data, "meta": {"result_count": len(ids), **({"next_token": token} if token else {})}})


def test_followers_come_as_ids_with_profiles(source: XV2, network: ScriptedNetwork) -> None:
    network.replies = [users("20", "3", token="5CS0O0C6II61EZZZ"), users("4")]
    first = source.followers("12", None, credential="a", limit=2000)
    last = source.followers("12", first.next, credential="a", limit=1)
    assert [tuple(item) for item in first.items] == [("20", b"20"), ("3", b"3")]
    assert [json.loads(profile.line)["username"] for profile in first.profiles] == ["User20", "User3"]
    assert first.charge == {"follower": 2}
    assert last.next is None
    assert asked(network, "pagination_token", "max_results") == [("", "1000"), ("5CS0O0C6II61EZZZ", "1")]


def test_an_empty_follower_page_is_asked_for_once_more(source: XV2, network: ScriptedNetwork) -> None:
    network.replies = [users("20", token="t1"), users(), users("3", token="t2"), users(token="t3"), users(token="t3"),
                       users("4"), Reply(status=599)]  # fmt: skip
    found, cursor = [], None
    while True:
        page: Page = source.followers("12", cursor, credential="a")
        found += [item.id for item in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert found == ["20", "3", "4"]
    assert asked(network, "pagination_token") == [("",), ("t1",), ("t1",), ("t2",), ("t2",), ("t3",)]


def test_nobody_follows(source: XV2, network: ScriptedNetwork) -> None:
    network.replies = [users()]
    first = source.followers("12", None, credential="a")
    assert first.next is not None
    assert source.followers("12", first.next, credential="a").next is None


def test_a_refused_token_is_a_bad_cursor(source: XV2, network: ScriptedNetwork) -> None:
    body = {"errors": [{"parameters": {"pagination_token": ["t1"]}, "message": "Invalid 'pagination_token'"}],
            "title": "Invalid Request", "type": ERROR + "invalid-request"}  # fmt: skip
    network.replies = [Reply(body, status=400)]
    with pytest.raises(BadCursor):
        source.followers("12", "=t1", credential="a")
    with pytest.raises(UnknownBody):
        source.followers("12", None, credential="a")


def problem(subject: str, detail: str, title: str = "Not Found Error", kind: str = "resource-not-found") -> Any:
    return {"value": subject, "resource_id": subject, "detail": detail, "title": title, "parameter": "ids",
            "resource_type": "user", "type": ERROR + kind}  # fmt: skip


def test_a_lookup_says_why_each_missing_user_is_missing(source: XV2, network: ScriptedNetwork) -> None:
    body = users("12").body
    body["errors"] = [
        problem("13", "User has been suspended: [13].", "Forbidden"),
        problem("14", "Could not find user with ids: [14]."),
        problem("15", "Sorry, you are not authorized to see it", "Authorization Error", "not-authorized-for-resource"),
        problem("16", "The server fell over", "Internal", "internal-error"),
    ]
    network.replies = [Reply(body)]
    page = source.profiles(["12", "13", "14", "15", "16", "17"], credential="a")
    assert [item.id for item in page.items] == ["12"]
    assert page.missing == [
        Missing("13", "suspended"), Missing("14", "not_found"), Missing("15", "protected"),
        Missing("16", "unavailable"), Missing("17", "not_found"),
    ]  # fmt: skip
    assert page.charge == {"user": 1}
    assert asked(network, "ids") == [("12,13,14,15,16,17",)]


@pytest.mark.parametrize("status", [200, 404])
def test_a_lookup_of_nobody_that_is_there(source: XV2, network: ScriptedNetwork, status: int) -> None:
    network.replies = [Reply({"errors": [problem("14", "Could not find user with ids: [14].")]}, status=status)]
    page = source.profiles(["14"], credential="a")
    assert (page.items, page.missing) == ([], [Missing("14", "not_found")])


def test_an_error_that_is_about_nobody_asked_for_is_an_error(source: XV2, network: ScriptedNetwork) -> None:
    network.replies = [Reply({"errors": [{"type": ERROR + "internal-error", "title": "Internal"}]})]
    with pytest.raises(Transient):
        source.profiles(["14"], credential="a")


def test_names_are_compared_without_case_and_impossible_ones_are_not_sent(
    source: XV2, network: ScriptedNetwork
) -> None:
    body = users("12").body
    body["errors"] = [problem("Nobody", "Could not find user with usernames: [Nobody].")]
    network.replies = [Reply(body)]
    page = source.names(["uSER12", "nobody", "a,b", "x" * 16], credential="a")
    assert asked(network, "usernames") == [("uSER12,nobody",)]
    assert page.missing == [Missing("a,b", "not_found"), Missing("x" * 16, "not_found"), Missing("nobody", "not_found")]
    assert [item.id for item in page.items] == ["12"]
    assert source.names(["!"], credential="a").missing == [Missing("!", "not_found")]
    assert len(network.asked) == 1


@pytest.mark.parametrize(
    ("detail", "kind", "reason"),
    [
        ("User has been suspended: [12].", "resource-not-found", "suspended"),
        ("Could not find user with id: [12].", "resource-not-found", "not_found"),
        ("Sorry, you are not authorized to see the user with id: [12].", "not-authorized-for-resource", "protected"),
    ],
)
def test_a_gone_user_is_gone_with_status_200(
    source: XV2, network: ScriptedNetwork, detail: str, kind: str, reason: str
) -> None:
    error = {**problem("12", detail, "t", kind), "parameter": "id"}
    for body in (
        {"errors": [error]},
        {"errors": [error], "meta": {"result_count": 0}},
        {"data": [], "errors": [error]},
    ):
        network.replies = [Reply(body)]
        for call in (source.timeline, source.followers):
            with pytest.raises(Gone) as caught:
                call("12", None, credential="a")
            assert caught.value.reason == reason


def test_errors_about_others_do_not_fail_a_page_and_do_not_end_a_user(source: XV2, network: ScriptedNetwork) -> None:
    other = {**problem("77", "User has been suspended: [77].", "Forbidden"), "parameter": "in_reply_to_user_id"}
    body = posts("9").body
    network.replies = [Reply({**body, "errors": [other]}), Reply({"meta": {"result_count": 0}, "errors": [other]})]
    page = source.timeline("12", None, credential="a")
    assert page.items[0].line == json.dumps(body["data"][0]).encode()
    assert source.timeline("12", page.next, credential="a").next is None


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b'{"data": {"id": "1"}}', b'{"data": [1]}', b'{"data": [{"text": "no id"}]}',
             b'{"data": [{"id": "007"}]}', b'{"data": [{"id": "x"}]}', b'{"data": [NaN], "meta": {}}',
             b'{"data": [{"id": "12", "text": "\xff"}]}', b'{"hello": "world"}'],
)  # fmt: skip
def test_a_body_of_no_known_form_is_kept(source: XV2, network: ScriptedNetwork, body: bytes) -> None:
    network.replies = [Reply(body)]
    with pytest.raises(UnknownBody) as caught:
        source.timeline("12", None, credential="a")
    assert caught.value.body == body


@pytest.mark.parametrize("cut", [1, 9, 30, 60])
def test_a_body_that_ends_early_although_its_length_is_right_is_transient(
    source: XV2, network: ScriptedNetwork, cut: int
) -> None:
    network.replies = [Reply(posts("9", "8").encoded()[:-cut])]
    with pytest.raises(Transient):
        source.timeline("12", None, credential="a")


@pytest.mark.parametrize("id_", ["0", "12", "20", "1234567890123456789", "9223372036854775807"])
def test_ids_of_every_length_are_kept_as_text(source: XV2, network: ScriptedNetwork, id_: str) -> None:
    network.replies = [posts(id_, token="t")]
    page = source.timeline("12", None, credential="a")
    assert (page.items[0].id, page.next) == (id_, id_)


def test_an_odd_page_keeps_every_byte(source: XV2, network: ScriptedNetwork) -> None:
    body = ODD_PAGE.read_bytes()
    network.replies = [Reply(body)]
    page = source.timeline("12", None, credential="a")
    assert [item.id for item in page.items] == ["1577000000000000003", "1577000000000000002", "20"]
    flat = body.replace(b"\n", b" ")
    for item in page.items:
        own = item.line.partition(b',"includes":')[0].partition(b',"errors":')[0].removesuffix(b"}")
        assert own in flat
        assert b"\n" not in item.line
    first, second, last = (json.loads(item.line.decode("utf-8", "surrogatepass")) for item in page.items)
    assert {name: len(listed) for name, listed in first["includes"].items()} == {
        "users": 3, "tweets": 1, "media": 1, "polls": 1, "places": 1,
    }  # fmt: skip
    assert [error["resource_id"] for error in first["errors"]] == ["gatewaypundit"]
    assert rb"\ud83d" in page.items[0].line
    assert second["includes"] == {"users": [{"id": "12", "username": "author", "name": "The Author"}]}
    assert "errors" not in second
    assert b'"id": "1577000000000000002", "n": 1.10, "n": 1e400' in page.items[1].line
    assert [error["resource_id"] for error in last["errors"]] == ["19"]
    assert (
        source.author_profiles(page.items[0].line)[0].line
        == b'{"id": "12", "username": "author", "name": "The Author"}'
    )


def profile_line(metrics: str) -> bytes:
    return json.dumps({
        "id": "12", "username": "Ann", "name": "A", "description": "d", "verified": False, "protected": True,
        "created_at": "2010-03-03T12:49:24.000Z",
        "public_metrics": {"followers_count": 3, "following_count": 4, metrics: 5},
    }).encode()  # fmt: skip


@pytest.mark.parametrize("metrics", ["tweet_count", "post_count"])
def test_a_profile_is_read_in_both_dialects(source: XV2, metrics: str) -> None:
    assert source.profile(profile_line(metrics)) == Profile(
        id="12", name="Ann", description="d", followers=3, following=4, statuses=5, verified=False, protected=True,
        created=1267620564.0,
    )  # fmt: skip


def test_a_profile_says_nothing_of_what_the_network_did_not_say(source: XV2) -> None:
    line = rb'{"id":"12","description":"\ud83d!","public_metrics":null,"verified":"yes"}'
    assert source.profile(line) == Profile(id="12", description="\ufffd!")
    with pytest.raises(UnknownBody):
        source.profile(b'{"name": "nobody"}')


def test_an_author_that_is_not_there_is_no_profile(source: XV2) -> None:
    assert source.author_profiles(b'{"id":"1","author_id":"2"}') == ()
    assert source.author_profiles(b'{"id":"1","author_id":"2","includes":{"users":[{"id":"3"}]}}') == ()

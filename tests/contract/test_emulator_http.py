"""The twin over HTTP: every endpoint, every shape of refusal, and walks to the end that equal the truth."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import requests

from twittomatic.emulator import Emulator, EmulatorOptions

Answer = tuple[int, Any]


class Client:
    """A session of one bearer token. ``get`` gives status and document."""

    def __init__(self, url: str, token: str = "secret-token") -> None:
        self.url, self.session = url, requests.Session()
        self.session.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, **params: object) -> Answer:
        answer = self.session.get(self.url + path, params=params, timeout=30)
        return answer.status_code, answer.json()

    def ok(self, path: str, **params: object) -> Any:
        status, document = self.get(path, **params)
        assert status == 200, document
        return document

    def truth(self, user: str) -> Any:
        return self.ok(f"/_world/user/{user}", following="1")

    def walk(self, path: str, **params: object) -> list[dict[str, Any]]:
        pages = [self.ok(path, **params)]
        while token := pages[-1]["meta"].get("next_token"):
            pages.append(self.ok(path, pagination_token=token, **params))
        return pages


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Emulator(EmulatorOptions(users=3000, seed=5, short_pages=0.1)) as address:
        yield address


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    made = Client(url)
    yield made
    made.session.close()


def of_state(client: Client, state: str, number: int = 1) -> list[str]:
    found: list[str] = client.ok("/_world/seeds", n=number, state=state)["ids"]
    return found


def one_with(client: Client, least: int, most: int) -> dict[str, Any]:
    """The truth of a public user with this many posts."""
    for user in of_state(client, "public", 500):
        found = client.ok(f"/_world/user/{user}")
        if least <= found["tweets_total"] <= most:
            return dict(found)
    raise AssertionError("no such user in the sample")


def items(pages: list[dict[str, Any]]) -> list[str]:
    return [item["id"] for page in pages for item in page.get("data", [])]


def test_health_tells_what_world_it_is(client: Client) -> None:
    health = client.ok("/_world/health")
    assert (health["status"], health["users"], health["kind"]) == ("ok", 3000, "generated")


def test_a_timeline_walks_to_its_end(client: Client) -> None:
    user = one_with(client, 150, 600)
    pages = client.walk(f"/2/users/{user['id']}/tweets", max_results=100)
    assert items(pages) == user["tweets"]
    assert all(page["meta"]["result_count"] == len(page["data"]) for page in pages)
    assert all(page["meta"]["newest_id"] == page["data"][0]["id"] for page in pages)
    assert all(page["meta"]["oldest_id"] == page["data"][-1]["id"] for page in pages)
    assert "previous_token" not in pages[0]["meta"]
    assert all("previous_token" in page["meta"] for page in pages[1:])
    back = client.ok(
        f"/2/users/{user['id']}/tweets", pagination_token=pages[1]["meta"]["previous_token"], max_results=100
    )
    assert back["data"][0]["id"] == user["tweets"][0]


def test_short_pages_come_with_a_token(client: Client) -> None:
    user = one_with(client, 800, 4000)
    pages = client.walk(f"/2/users/{user['id']}/tweets", max_results=10)
    short = [page for page in pages[:-1] if len(page["data"]) < 10]
    assert short
    assert items(pages) == user["tweets"]


def test_a_timeline_ends_at_the_depth_of_the_network(client: Client) -> None:
    user = one_with(client, 3500, 30_000)
    assert len(user["tweets"]) == 3200
    pages = client.walk(f"/2/users/{user['id']}/tweets", max_results=100)
    assert items(pages) == user["tweets"]
    beyond = client.ok(f"/2/users/{user['id']}/tweets", until_id=user["tweets"][-1])
    assert beyond == {"meta": {"result_count": 0}}
    without_replies = client.walk(f"/2/users/{user['id']}/tweets", max_results=100, exclude="replies")
    assert set(items(without_replies)) < set(user["tweets"][:800])


def test_since_and_until_are_exclusive_in_v2(client: Client) -> None:
    user = one_with(client, 50, 600)
    tweets = user["tweets"]
    newer = client.walk(f"/2/users/{user['id']}/tweets", since_id=tweets[9], max_results=100)
    older = client.walk(f"/2/users/{user['id']}/tweets", until_id=tweets[9], max_results=100)
    assert items(newer) == tweets[:9]
    assert items(older) == tweets[10:]
    times = {tweet["id"]: tweet["created_at"] for tweet in client.walk(
        f"/2/users/{user['id']}/tweets", max_results=100, **{"tweet.fields": "created_at"})[0]["data"]}  # fmt: skip
    since = client.walk(f"/2/users/{user['id']}/tweets", start_time=times[tweets[5]], max_results=100)
    assert items(since) == tweets[:6]


def test_excluding_leaves_out_after_the_count(client: Client) -> None:
    user = one_with(client, 150, 600)
    fields = {"tweet.fields": "referenced_tweets"}
    everything = [
        tweet
        for page in client.walk(f"/2/users/{user['id']}/tweets", max_results=100, **fields)
        for tweet in page["data"]
    ]
    pages = client.walk(f"/2/users/{user['id']}/tweets", max_results=50, exclude="retweets,replies")
    kept = [
        tweet["id"] for tweet in everything
        if tweet.get("referenced_tweets", [{"type": ""}])[0]["type"] not in ("retweeted", "replied_to")
    ]  # fmt: skip
    assert items(pages) == kept
    assert 0 < len(kept) < len(everything)


def test_fields_and_expansions_are_given_as_asked(client: Client) -> None:
    user = one_with(client, 150, 600)
    bare = client.ok(f"/2/users/{user['id']}/tweets")
    assert set(bare["data"][0]) == {"id", "text", "edit_history_tweet_ids"}
    assert "includes" not in bare
    path, size = f"/2/users/{user['id']}/tweets", 100
    full = client.ok(path, max_results=size, **{
        "tweet.fields": "author_id,created_at,entities,referenced_tweets,public_metrics,in_reply_to_user_id",
        "expansions": "author_id,referenced_tweets.id,referenced_tweets.id.author_id,in_reply_to_user_id",
        "user.fields": "created_at", "media.fields": "url",
    })  # fmt: skip
    assert {tweet["author_id"] for tweet in full["data"]} == {user["id"]}
    users = {one["id"]: one for one in full["includes"]["users"]}
    assert set(users[user["id"]]) == {"id", "name", "username", "created_at"}
    included = {one["id"]: one for one in full["includes"]["tweets"]}
    missing = {error["resource_id"] for error in full["errors"]}
    referenced = {one["id"] for tweet in full["data"] for one in tweet.get("referenced_tweets", [])}
    assert referenced == set(included) | (missing & referenced)
    assert {one["author_id"] for one in included.values()} <= set(users)
    assert client.ok("/2/tweets", ids=",".join(included))["data"]


def test_the_post_dialect_calls_things_by_their_new_names(client: Client) -> None:
    user = one_with(client, 150, 600)
    page = client.ok(f"/2/users/{user['id']}/posts", max_results=100, **{
        "post.fields": "public_metrics,note_post", "expansions": "referenced_posts,author_id",
        "user.fields": "public_metrics",
    })  # fmt: skip
    assert "edit_history_post_ids" in page["data"][0]
    assert "repost_count" in page["data"][0]["public_metrics"]
    assert any("referenced_posts" in post for post in page["data"])
    assert "post_count" in page["includes"]["users"][0]["public_metrics"]
    assert page["includes"]["posts"]
    assert all(error["type"].startswith("https://api.x.com/2/problems/") for error in page["errors"])


def test_followers_and_following_walk_to_their_ends(client: Client) -> None:
    users = [client.truth(one) for one in of_state(client, "public", 60)]
    user = max(users, key=lambda one: len(one["followers"]))
    assert len(user["followers"]) > 20
    pages = client.walk(f"/2/users/{user['id']}/followers", max_results=7, **{"user.fields": "public_metrics"})
    assert items(pages) == user["followers"]
    assert any(page["meta"]["result_count"] < 7 for page in pages[:-1])
    assert items(client.walk(f"/2/users/{user['id']}/following", max_results=5)) == user["following"]
    one = user["following"][0]
    assert user["id"] in client.truth(one)["followers"]


def test_v1_timelines_take_max_id_inclusive_and_since_id_exclusive(client: Client) -> None:
    user = one_with(client, 150, 600)
    tweets, got = user["tweets"], []
    params: dict[str, object] = {"user_id": user["id"], "count": 200}
    while page := client.ok("/1.1/statuses/user_timeline.json", **params):
        got += [tweet["id_str"] for tweet in page]
        assert all(str(tweet["id"]) == tweet["id_str"] and tweet["user"]["id_str"] == user["id"] for tweet in page)
        params["max_id"] = page[-1]["id"] - 1
    assert got == tweets
    page = client.ok(
        "/1.1/statuses/user_timeline.json", user_id=user["id"], max_id=tweets[3], since_id=tweets[6], count=9
    )
    assert [tweet["id_str"] for tweet in page] == tweets[3:6]
    extended = client.ok(
        "/1.1/statuses/user_timeline.json", user_id=user["id"], tweet_mode="extended", trim_user="true", count=200
    )
    assert {"full_text", "display_text_range"} <= set(extended[0])
    assert set(extended[0]["user"]) == {"id", "id_str"}
    assert any("retweeted_status" in tweet for tweet in extended)
    no_retweets = client.ok(
        "/1.1/statuses/user_timeline.json",
        screen_name=user["username"],
        include_rts="false",
        exclude_replies="true",
        count=200,
    )
    assert 0 < len(no_retweets) < len(extended)
    assert not any("retweeted_status" in tweet or tweet["in_reply_to_status_id"] for tweet in no_retweets)


def test_v1_cursors_lead_to_the_end(client: Client) -> None:
    user = max((client.truth(one) for one in of_state(client, "public", 60)), key=lambda one: len(one["followers"]))
    for path, key in (("followers", "followers"), ("friends", "following")):
        got, cursor, previous = [], "-1", []
        while cursor != "0":
            page = client.ok(f"/1.1/{path}/ids.json", user_id=user["id"], cursor=cursor, count=6, stringify_ids="true")
            got += page["ids"]
            cursor = page["next_cursor_str"]
            previous.append(page["previous_cursor"])
            assert page["total_count"] is None
        assert got == user[key]
        assert previous[0] == 0
        assert all(one < 0 for one in previous[1:])
    listed = client.ok("/1.1/followers/list.json", user_id=user["id"], count=200)
    assert [one["id_str"] for one in listed["users"]] == user["followers"][: len(listed["users"])]
    assert isinstance(client.ok("/1.1/followers/ids.json", user_id=user["id"])["ids"][0], int)


def test_lookups_by_id_and_by_name(client: Client) -> None:
    people = [client.ok(f"/_world/user/{one}") for one in of_state(client, "public", 20)]
    ids, names = [one["id"] for one in people], [one["username"] for one in people]
    full = {"user.fields": ",".join(sorted(set(people[0]["profile"]) - {"name"}))}
    assert [one["id"] for one in client.ok("/2/users", ids=",".join(ids))["data"]] == ids
    assert [one["id"] for one in client.ok("/2/users/by", usernames=",".join(names).upper())["data"]] == ids
    assert client.ok(f"/2/users/{ids[0]}", **full)["data"] == people[0]["profile"]
    assert client.ok(f"/2/users/by/username/{names[0]}")["data"]["id"] == ids[0]
    by_get = client.ok("/1.1/users/lookup.json", user_id=",".join(ids))
    by_post = client.session.post(
        client.url + "/1.1/users/lookup.json", data={"screen_name": ",".join(names)}, timeout=30
    )
    assert by_post.json() == by_get
    assert {one["id_str"] for one in by_get} == set(ids)
    assert [one["id_str"] for one in by_get] != ids
    shown = client.ok("/1.1/users/show.json", screen_name=names[0])
    assert (shown["id_str"], shown["followers_count"]) == (
        ids[0],
        people[0]["profile"]["public_metrics"]["followers_count"],
    )


def test_most_recent_posts_are_expanded(client: Client) -> None:
    user = one_with(client, 1, 600)
    page = client.ok(f"/2/users/{user['id']}", expansions="most_recent_tweet_id", **{"tweet.fields": "author_id"})
    assert page["includes"]["tweets"][0]["id"] == user["tweets"][0]
    assert page["includes"]["tweets"][0]["author_id"] == user["id"]


@pytest.mark.parametrize(
    ("state", "title", "text", "kind"),
    [
        ("deleted", "Not Found Error", "Could not find user with id: [{}].", "resource-not-found"),
        ("suspended", "Forbidden", "User has been suspended: [{}].", "resource-not-found"),
        (
            "protected",
            "Authorization Error",
            "Sorry, you are not authorized to see the user with id: [{}].",
            "not-authorized-for-resource",
        ),
    ],
)
def test_users_who_cannot_be_read_are_told_in_v2(client: Client, state: str, title: str, text: str, kind: str) -> None:
    user = of_state(client, state)[0]
    for path in ("tweets", "followers", "following"):
        page = client.ok(f"/2/users/{user}/{path}")
        assert set(page) == {"errors"}
        error = page["errors"][0]
        assert (error["title"], error["detail"], error["resource_id"]) == (title, text.format(user), user)
        assert error["type"] == f"https://api.twitter.com/2/problems/{kind}"
    single = client.ok(f"/2/users/{user}", **{"user.fields": "protected"})
    batch = client.ok("/2/users", ids=user)
    if state == "protected":
        assert single["data"]["protected"] is True
        assert batch["data"][0]["id"] == user
    else:
        assert set(single) == set(batch) == {"errors"}
        assert batch["errors"][0]["parameter"] == "ids"


def test_a_batch_gives_what_there_is_and_names_the_rest(client: Client) -> None:
    there, gone, away = of_state(client, "public")[0], of_state(client, "suspended")[0], of_state(client, "deleted")[0]
    page = client.ok("/2/users", ids=f"{there},{gone},{away},1")
    assert [one["id"] for one in page["data"]] == [there]
    assert [error["value"] for error in page["errors"]] == [gone, away, "1"]
    tweets = client.truth(there)["tweets"][:2]
    page = client.ok("/2/tweets", ids=",".join(["1", *tweets]), expansions="author_id")
    assert [one["id"] for one in page.get("data", [])] == tweets
    assert page["errors"][0]["resource_type"] == "tweet"


@pytest.mark.parametrize(
    ("state", "timeline", "show"),
    [("deleted", (404, 34), (404, 50)), ("suspended", (401, None), (403, 63)), ("protected", (401, None), (200, None))],
)
def test_users_who_cannot_be_read_are_told_in_v1(
    client: Client, state: str, timeline: tuple[int, int | None], show: tuple[int, int | None]
) -> None:
    user = of_state(client, state)[0]
    for path in ("/1.1/statuses/user_timeline.json", "/1.1/followers/ids.json", "/1.1/friends/ids.json"):
        status, document = client.get(path, user_id=user)
        assert status == timeline[0]
        if timeline[1] is None:
            assert document == {"request": path, "error": "Not authorized."}
        else:
            assert document["errors"][0]["code"] == timeline[1]
    status, document = client.get("/1.1/users/show.json", user_id=user)
    assert status == show[0]
    assert show[1] is None or document["errors"][0]["code"] == show[1]
    status, document = client.get("/1.1/users/lookup.json", user_id=user)
    assert (status, state) == (200, "protected") or document["errors"][0]["code"] == 17


@pytest.mark.parametrize(
    ("path", "params", "parameter"),
    [
        ("/2/users/{}/tweets", {"max_results": 4}, "max_results"),
        ("/2/users/{}/tweets", {"max_results": 101}, "max_results"),
        ("/2/users/{}/tweets", {"max_results": "many"}, "max_results"),
        ("/2/users/{}/tweets", {"pagination_token": "7140dibdnow9c7btw4232"}, "pagination_token"),
        ("/2/users/{}/tweets", {"since_id": "abc"}, "since_id"),
        ("/2/users/{}/tweets", {"start_time": "yesterday"}, "start_time"),
        ("/2/users/{}/tweets", {"exclude": "quotes"}, "exclude"),
        ("/2/users/{}/tweets", {"count": 5}, "count"),
        ("/2/users/{}/tweets", {"tweet.fields": "id,colour"}, "tweet.fields"),
        ("/2/users/{}/tweets", {"expansions": "pinned_tweet_id"}, "expansions"),
        ("/2/users/{}/followers", {"max_results": 1001}, "max_results"),
        ("/2/users/{}/followers", {"max_results": 0}, "max_results"),
        ("/2/users/{}/followers", {"pagination_token": "5CS0O0C6II61EZZZ"}, "pagination_token"),
        ("/2/users/{}/followers", {"since_id": "5"}, "since_id"),
        ("/2/users", {}, "ids"),
        ("/2/users", {"ids": "1,x"}, "ids"),
        ("/2/users", {"ids": ",".join(map(str, range(101)))}, "ids"),
        ("/2/users/by", {"usernames": "much_too_long_a_name"}, "usernames"),
        ("/2/tweets", {"ids": "99999999999999999999"}, "ids"),
        ("/2/users/not-a-number", {}, "id"),
        ("/2/usage/tweets", {"days": 91}, "days"),
    ],
)
def test_bad_parameters_are_refused_in_the_shape_of_the_network(
    client: Client, path: str, params: dict[str, object], parameter: str
) -> None:
    status, document = client.get(path.format(of_state(client, "public")[0]), **params)
    assert status == 400
    assert document["title"] == "Invalid Request"
    assert document["type"].endswith("/invalid-request")
    assert list(document["errors"][0]["parameters"]) == [parameter]
    assert parameter in document["errors"][0]["message"]


def test_v1_refuses_cursors_and_numbers_that_are_none(client: Client) -> None:
    user = of_state(client, "public")[0]
    for params in ({"cursor": "12345"}, {"cursor": "x"}, {"cursor": "0"}):
        status, document = client.get("/1.1/followers/ids.json", user_id=user, **params)
        assert (status, document["errors"][0]["code"]) == (400, 44)
    status, document = client.get("/1.1/users/lookup.json")
    assert (status, document["errors"][0]["code"]) == (403, 18)


def test_who_shows_no_credential_is_refused(url: str) -> None:
    answer = requests.get(url + "/2/users?ids=1", timeout=30)
    assert answer.status_code == 401
    assert answer.json() == {"title": "Unauthorized", "detail": "Unauthorized", "type": "about:blank", "status": 401}
    answer = requests.get(url + "/1.1/users/show.json?user_id=1", headers={"Authorization": "Basic abc"}, timeout=30)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 215)


def test_what_does_not_exist_is_told_in_the_shape_of_its_family(client: Client) -> None:
    assert client.get("/2/nowhere") == (
        404,
        {"title": "Not Found", "detail": "Not Found", "type": "about:blank", "status": 404},
    )
    status, document = client.get("/1.1/nowhere.json")
    assert (status, document["errors"][0]["code"]) == (404, 34)
    assert client.session.post(client.url + "/2/users?ids=1", timeout=30).status_code == 405


def test_an_oauth1_header_names_a_credential(url: str) -> None:
    header = 'OAuth oauth_consumer_key="ck", oauth_nonce="n", oauth_token="42-abc", oauth_signature="s%3D"'
    answer = requests.get(url + "/2/usage/tweets", headers={"Authorization": header}, timeout=30)
    assert answer.status_code == 200
    book = requests.get(
        url + "/1.1/application/rate_limit_status.json", headers={"Authorization": header}, timeout=30
    ).json()
    assert book["rate_limit_context"]["access_token"] == "42-abc"
    assert "/statuses/user_timeline" in book["resources"]["statuses"]


def test_gzip_is_given_to_those_who_accept_it(client: Client) -> None:
    user = one_with(client, 150, 600)
    path = f"{client.url}/2/users/{user['id']}/tweets?max_results=100"
    packed = client.session.get(path, headers={"Accept-Encoding": "gzip"}, timeout=30)
    plain = client.session.get(path, headers={"Accept-Encoding": "identity"}, timeout=30)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.content == plain.content
    assert int(packed.headers["Content-Length"]) < len(packed.content) / 2


def test_posts_have_a_realistic_size_and_many_languages(client: Client) -> None:
    user = one_with(client, 300, 3000)
    everything = (
        "attachments,author_id,context_annotations,conversation_id,created_at,edit_controls,entities,geo,id,lang,"
    )
    everything += (
        "in_reply_to_user_id,note_tweet,possibly_sensitive,public_metrics,referenced_tweets,reply_settings,source,text"
    )
    pages = client.walk(f"/2/users/{user['id']}/tweets", max_results=100, **{
        "tweet.fields": everything,
        "expansions": "author_id,referenced_tweets.id,referenced_tweets.id.author_id,attachments.media_keys,"
        "attachments.poll_ids,geo.place_id,entities.mentions.username,in_reply_to_user_id",
    })  # fmt: skip
    tweets = [tweet for page in pages for tweet in page["data"]]
    size = sum(len(str(page)) for page in pages) / len(tweets)
    assert 2000 < size < 5000
    assert len({tweet["lang"] for tweet in tweets}) >= 6
    assert {"users", "tweets", "media", "polls", "places"} <= {name for page in pages for name in page["includes"]}
    assert any("note_tweet" in tweet for tweet in tweets)
    assert all(len(tweet["text"]) <= 281 for tweet in tweets)
    for newer, older in pairwise(tweets):
        assert newer["created_at"] >= older["created_at"]
    for tweet in tweets:
        for mention in tweet["entities"].get("mentions", []):
            assert tweet["text"][mention["start"] : mention["end"]] in (f"@{mention['username']}", "")


def test_the_ledger_and_the_counts_tell_what_was_asked(url: str) -> None:
    client = Client(url, "token-of-the-ledger-test")
    user = one_with(client, 20, 90)
    before = client.ok("/_world/requests", user=user["id"])["endpoints"]
    for _ in range(2):
        got = len(items(client.walk(f"/2/users/{user['id']}/tweets", max_results=100)))
    client.ok("/2/users", ids=user["id"])
    client.get("/2/users", ids="1")
    (day,) = client.ok("/_world/ledger")["days"].values()
    rows = {(row["endpoint"], row["resource"]): row for row in day["token-of-the-ledger-test"]}
    timeline = rows["users/:id/tweets", "post"]
    assert (timeline["read"], timeline["charged"]) == (2 * got, got)
    assert timeline["money"] == pytest.approx(got * 0.005)
    assert rows["users", "user"]["money"] == pytest.approx(0.010)
    after = client.ok("/_world/requests", user=user["id"])["endpoints"]
    assert after["users/:id/tweets"] - before.get("users/:id/tweets", 0) >= 2
    recent = client.ok("/_world/requests")["recent"][-1]
    assert (recent["endpoint"], recent["status"], recent["items"]) == ("users", 200, 0)
    usage = client.ok("/2/usage/tweets", days=1, **{"usage.fields": "project_usage,daily_project_usage"})["data"]
    assert usage["project_usage"] == got
    assert usage["daily_project_usage"]["usage"][0]["usage"] == got
    client.session.close()


def test_the_world_can_be_changed_under_a_test() -> None:
    with Emulator(EmulatorOptions(users=300, seed=2)) as url:
        client = Client(url)
        user = one_with(client, 20, 90)
        path = f"/2/users/{user['id']}/tweets"
        client.ok(f"/2/users/{user['id']}", **{"user.fields": "public_metrics"})
        assert (
            client.session.post(f"{url}/_world/advance", params={"user": user["id"], "n": 7}, timeout=30).status_code
            == 200
        )
        newer = client.walk(path, since_id=user["tweets"][0], max_results=100)
        assert len(items(newer)) == 7
        assert client.truth(user["id"])["tweets"] == items(newer) + user["tweets"]
        profile = client.ok(f"/2/users/{user['id']}", **{"user.fields": "public_metrics"})["data"]
        assert profile["public_metrics"]["tweet_count"] == user["tweets_total"] + 7
        assert client.session.post(
            f"{url}/_world/state", params={"user": user["id"], "state": "suspended"}, timeout=30
        ).ok
        assert "suspended" in client.ok(path)["errors"][0]["detail"]
        for wrong in (
            "advance?user=1&n=1",
            "advance?n=many",
            "state?user=1&state=public",
            f"state?user={user['id']}&state=asleep",
        ):
            assert client.session.post(f"{url}/_world/{wrong}", timeout=30).status_code == 400
        assert client.get("/_world/user/1")[0] == 404
        assert client.get("/_world/nothing")[0] == 404
        client.session.close()

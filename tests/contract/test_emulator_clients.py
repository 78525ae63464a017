"""Client libraries that others wrote walk the twin to the end, as they would walk the network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import tweepy
import xdk
from requests.adapters import HTTPAdapter

from twittomatic.emulator import Emulator, EmulatorOptions


class Redirect(HTTPAdapter):
    """Sends every request to the twin, whatever host it was meant for."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self.hosts: set[str] = set()

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        assert request.url is not None
        scheme, _, rest = request.url.partition("://")
        host, _, path = rest.partition("/")
        self.hosts.add(f"{scheme}://{host}")
        request.url = f"{self._url}/{path}"
        return super().send(request, *args, **kwargs)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Emulator(EmulatorOptions(users=2000, seed=4)) as address:
        yield address


@pytest.fixture(scope="module")
def newer_url() -> Iterator[str]:
    """The same world, where a request that shows no dialect is answered in the newer one."""
    with Emulator(EmulatorOptions(users=2000, seed=4, dialect="post")) as address:
        yield address


@pytest.fixture(scope="module")
def subject(url: str) -> dict[str, Any]:
    """A user with several pages of posts and of followers."""
    people = requests.get(f"{url}/_world/seeds?n=300&state=public", timeout=30).json()["ids"]
    truths = (requests.get(f"{url}/_world/user/{one}?following=1", timeout=30).json() for one in people)
    return dict(next(one for one in truths if 210 < one["tweets_total"] < 900 and len(one["followers"]) > 8))


def redirected(session: requests.Session, url: str) -> Redirect:
    adapter = Redirect(url)
    session.mount("https://", adapter)
    return adapter


@pytest.fixture
def modern(url: str) -> Iterator[Any]:
    client = tweepy.Client(bearer_token="bearer")
    adapter = redirected(client.session, url)
    yield client
    client.session.close()
    assert adapter.hosts == {"https://api.twitter.com"} or adapter.hosts == {"https://api.x.com"}


@pytest.fixture
def legacy(url: str) -> Iterator[Any]:
    api = tweepy.API(tweepy.OAuth1UserHandler("ck", "cs", "42-token", "ts"))
    redirected(api.session, url)
    yield api
    api.session.close()


@pytest.fixture
def official(newer_url: str) -> Iterator[Any]:
    client = xdk.Client(bearer_token="bearer")
    adapter = redirected(client.session, newer_url)
    yield client
    client.session.close()
    assert adapter.hosts == {"https://api.x.com"}


def test_tweepy_walks_v2(modern: Any, subject: dict[str, Any]) -> None:
    fields = {"tweet_fields": ["created_at", "entities"], "expansions": ["author_id", "referenced_tweets.id"]}
    pages = list(tweepy.Paginator(modern.get_users_tweets, subject["id"], max_results=100, **fields))
    assert [str(tweet.id) for page in pages for tweet in page.data] == subject["tweets"]
    assert all(str(tweet.author_id) == subject["id"] for page in pages for tweet in page.data)
    assert pages[0].includes["users"][0].username == subject["username"]
    followers = tweepy.Paginator(modern.get_users_followers, subject["id"], max_results=5).flatten()
    assert [str(user.id) for user in followers] == subject["followers"]
    following = tweepy.Paginator(modern.get_users_following, subject["id"], max_results=5).flatten()
    assert [str(user.id) for user in following] == subject["following"]


def test_tweepy_looks_users_and_posts_up(modern: Any, subject: dict[str, Any]) -> None:
    answer = modern.get_users(ids=[subject["id"], "1"], user_fields=["public_metrics", "created_at"])
    assert [str(user.id) for user in answer.data] == [subject["id"]]
    assert answer.data[0].public_metrics["tweet_count"] == subject["tweets_total"]
    assert answer.errors[0]["resource_id"] == "1"
    assert str(modern.get_user(username=subject["username"]).data.id) == subject["id"]
    found = modern.get_tweets(subject["tweets"][:100]).data
    assert [str(tweet.id) for tweet in found] == subject["tweets"][:100]
    with pytest.raises(tweepy.BadRequest):
        modern.get_users_tweets(subject["id"], max_results=1000)


def test_tweepy_walks_v1(legacy: Any, subject: dict[str, Any]) -> None:
    tweets = list(tweepy.Cursor(legacy.user_timeline, user_id=subject["id"], count=200).items())
    assert [tweet.id_str for tweet in tweets] == subject["tweets"]
    assert tweets[0].user.id_str == subject["id"]
    followers = list(tweepy.Cursor(legacy.get_follower_ids, user_id=subject["id"], count=4).items())
    assert [str(one) for one in followers] == subject["followers"]
    friends = list(tweepy.Cursor(legacy.get_friend_ids, user_id=subject["id"]).items())
    assert [str(one) for one in friends] == subject["following"]
    listed = list(tweepy.Cursor(legacy.get_followers, user_id=subject["id"], count=3).items())
    assert [one.id_str for one in listed] == subject["followers"]
    assert {one.id_str for one in legacy.lookup_users(user_id=subject["followers"][:50])} <= set(subject["followers"])
    assert legacy.get_user(screen_name=subject["username"]).id_str == subject["id"]
    assert legacy.rate_limit_status()["resources"]["followers"]["/followers/ids"]["limit"] > 0
    with pytest.raises(tweepy.NotFound):
        legacy.get_user(user_id=1)


def test_the_official_library_walks_v2(official: Any, subject: dict[str, Any]) -> None:
    pages = list(
        official.users.get_posts(
            subject["id"], max_results=100, post_fields=["created_at", "public_metrics"], expansions=["author_id"]
        )
    )
    assert [post["id"] for page in pages for post in page.model_dump()["data"]] == subject["tweets"]
    followers = official.users.get_followers(subject["id"], max_results=5, user_fields=["public_metrics"])
    assert [one["id"] for page in followers for one in page.model_dump()["data"]] == subject["followers"]
    following = official.users.get_following(subject["id"], max_results=5)
    assert [one["id"] for page in following for one in page.model_dump()["data"]] == subject["following"]


def test_the_official_library_looks_users_up(official: Any, subject: dict[str, Any]) -> None:
    found = official.users.get_by_ids(ids=[subject["id"], "1"]).model_dump()
    assert [one["id"] for one in found["data"]] == [subject["id"]]
    assert found["errors"][0]["resource_id"] == "1"
    named = official.users.get_by_usernames(usernames=[subject["username"]], user_fields=["created_at"]).model_dump()
    assert named["data"][0]["id"] == subject["id"]
    single = official.users.get_by_id(subject["id"]).model_dump()
    assert single["data"]["username"] == subject["username"]
    assert official.usage.get().model_dump()["data"]["project_id"]

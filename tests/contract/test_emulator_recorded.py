"""Worlds of recorded edges and recorded posts: bytes are served as they were recorded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from twittomatic.emulator import Emulator, EmulatorOptions
from twittomatic.emulator.asks import (
    MEDIA_FIELDS,
    PLACE_FIELDS,
    POLL_FIELDS,
    TWEET_EXPANSIONS,
    TWEET_FIELDS,
    USER_FIELDS,
)
from twittomatic.emulator.recorded import recorded_pool
from twittomatic.errors import UserError

EVERYTHING = {
    "tweet.fields": ",".join(sorted(TWEET_FIELDS)),
    "user.fields": ",".join(sorted(USER_FIELDS)),
    "media.fields": ",".join(sorted(MEDIA_FIELDS)),
    "poll.fields": ",".join(sorted(POLL_FIELDS)),
    "place.fields": ",".join(sorted(PLACE_FIELDS)),
    "expansions": ",".join(sorted(TWEET_EXPANSIONS)),
    "max_results": "100",
}


class Recorded:
    def __init__(self, url: str) -> None:
        self.url, self.session = url, requests.Session()
        self.session.headers["Authorization"] = "Bearer recorded"

    def text(self, path: str, **params: str) -> str:
        answer = self.session.get(self.url + path, params=params, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.content.decode("utf-8", "surrogatepass")

    def get(self, path: str, **params: str) -> Any:
        return json.loads(self.text(path, **params))


def twin_of(test_data: Path, tweets: str, **options: Any) -> Emulator:
    graph = test_data / "graph" / "follows_3726_users.tsv"
    return Emulator(EmulatorOptions(graph=graph, tweets=test_data / tweets, short_pages=0.0, **options))


@pytest.fixture(scope="module")
def modern(test_data: Path) -> Iterator[Recorded]:
    with twin_of(test_data, "x_v2/pages", tweets_scale=40) as url:
        made = Recorded(url)
        yield made
        made.session.close()


@pytest.fixture(scope="module")
def legacy(test_data: Path) -> Iterator[Recorded]:
    with twin_of(test_data, "twitter_v1/streaming_lines.json", map_ids=True) as url:
        made = Recorded(url)
        yield made
        made.session.close()


def skeleton(text: str, own: str, author: str) -> str:
    """A recorded v2 post without what the twin puts in: identity, author, time."""
    text = text.replace(f'"{own}"', '"ID"')
    text = re.sub(r'("author_id":\s*)"[0-9]+"', r'\1"AUTHOR"', text)
    return re.sub(r'("created_at":\s*)"[^"]+"', r'\1"TIME"', text)


def posts_of(text: str) -> Iterator[str]:
    """The exact text of each element of ``data`` of a page."""
    decoder, position = json.JSONDecoder(), text.index("[", text.index('"data"')) + 1
    while text[position] != "]":
        position += len(text[position:]) - len(text[position:].lstrip(" ,\n"))
        _, end = decoder.raw_decode(text, position)
        yield text[position:end]
        position = end


def test_the_graph_is_the_edge_list(modern: Recorded, legacy: Recorded, test_data: Path) -> None:
    rows = [line.split("\t") for line in (test_data / "graph" / "follows_3726_users.tsv").read_text().splitlines()[1:]]
    user = rows[0][1]
    expected = list(dict.fromkeys(source for source, target in reversed(rows) if target == user))
    followers = modern.get(f"/2/users/{user}/followers", max_results="1000")["data"]
    assert [one["id"] for one in followers] == expected
    assert modern.get(f"/_world/user/{user}")["original"] == user
    names = legacy.get("/_world/seeds", n="3726")["ids"]
    assert {len(one) for one in names} == {19}
    truth = next(one for one in (legacy.get(f"/_world/user/{id_}") for id_ in names) if one["original"] == user)
    assert len(truth["followers"]) == len(expected)


def test_v2_posts_are_served_byte_for_byte(modern: Recorded, test_data: Path) -> None:
    recorded = {}
    for path in sorted((test_data / "x_v2" / "pages").glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if '"data": [' in line:
                for text in posts_of(line):
                    post = json.loads(text)
                    if "text" in post:
                        recorded.setdefault(skeleton(text, post["id"], post["author_id"]), post["id"])
    assert len(recorded) > 90
    served, compared = set(), 0
    for user in modern.get("/_world/seeds", n="80")["ids"]:
        page = modern.text(f"/2/users/{user}/tweets", **EVERYTHING)
        for text in posts_of(page) if '"data"' in page else ():
            post = json.loads(text)
            assert post["author_id"] == user
            form = skeleton(text, post["id"], user)
            compared += 1
            served.add(form)
    exact = served & set(recorded)
    assert compared > 1000
    assert len(exact) > 0.9 * min(len(recorded), len(served))


def test_what_a_recorded_post_refers_to_comes_with_it(modern: Recorded) -> None:
    for user in modern.get("/_world/seeds", n="20")["ids"]:
        page = modern.get(f"/2/users/{user}/tweets", **EVERYTHING)
        included = {one["id"] for one in page.get("includes", {}).get("tweets", [])}
        referenced = {one["id"] for post in page.get("data", []) for one in post.get("referenced_tweets", [])}
        assert included <= referenced
        keys = {key for post in page.get("data", []) for key in post.get("attachments", {}).get("media_keys", [])}
        assert {one["media_key"] for one in page.get("includes", {}).get("media", [])} <= keys
    assert any("includes" in modern.get(f"/2/users/{user}/tweets", **EVERYTHING) for user in ("9", "12", "260"))


def test_every_post_is_in_the_truth(modern: Recorded, legacy: Recorded) -> None:
    for twin in (modern, legacy):
        for user in twin.get("/_world/seeds", n="30")["ids"]:
            truth = twin.get(f"/_world/user/{user}")["tweets"][:100]
            page = twin.get(f"/2/users/{user}/tweets", max_results="100")
            assert [one["id"] for one in page.get("data", [])] == truth
            statuses = twin.get("/1.1/statuses/user_timeline.json", user_id=user, count="200")
            assert [one["id_str"] for one in statuses][:100] == truth


def test_v1_posts_keep_all_that_was_recorded(legacy: Recorded, test_data: Path) -> None:
    text = (test_data / "twitter_v1" / "streaming_lines.json").read_text(encoding="utf-8")
    own = ("id", "id_str", "created_at", "user")
    recorded = set()
    for line in text.splitlines():
        if line.startswith("{"):
            tweet = json.loads(line)
            recorded.add(json.dumps({k: v for k, v in tweet.items() if k not in own}, sort_keys=True))
    assert len(recorded) > 50
    served = set()
    for user in legacy.get("/_world/seeds", n="60")["ids"]:
        for tweet in legacy.get("/1.1/statuses/user_timeline.json", user_id=user, count="200"):
            assert tweet["user"]["id_str"] == user
            served.add(json.dumps({k: v for k, v in tweet.items() if k not in own}, sort_keys=True))
    assert served <= recorded
    assert len(served) > 0.8 * len(recorded)


@pytest.mark.parametrize("name", ["get_user_timeline_count.json", "streaming_lines.json"])
def test_v1_posts_are_translated_for_v2(test_data: Path, name: str) -> None:
    forms = recorded_pool(test_data / "twitter_v1" / name).forms
    assert len(forms) > 60
    for form in forms:
        assert form.legacy is not None
        assert form.document["text"]
        assert form.document["public_metrics"]["retweet_count"] == form.legacy.get("retweet_count", 0)
        if "retweeted_status" in form.legacy:
            reference = {"type": "retweeted", "id": form.legacy["retweeted_status"]["id_str"]}
            assert reference in form.document["referenced_tweets"]


def test_an_array_of_posts_and_a_cut_last_line_are_read(tmp_path: Path) -> None:
    one = '{"id": 5, "id_str": "5", "text": "a", "created_at": "x", "user": {"id": 1}}'
    path = tmp_path / "tweets.json"
    path.write_text(f"[{one},\n {one.replace('5', '6')}]")
    assert len(recorded_pool(path).forms) == 2
    path.write_text(f'{one}\n{{"data": {{"id": "7", "text": "b", "author_id": "1"}}}}\n{{"data": [{{"id": "8", "te')
    assert len(recorded_pool(path).forms) == 2
    path.write_text('{"data": []}\n{"meta": {"result_count": 0}}\n')
    with pytest.raises(UserError, match="holds no tweets"):
        recorded_pool(path)
    with pytest.raises(UserError, match="cannot read recorded tweets"):
        recorded_pool(tmp_path / "missing.jsonl")

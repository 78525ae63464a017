"""Every recorded body of the real networks goes through the sources, and each item's bytes are found in what came."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.scripted_network import Reply, ScriptedNetwork
from twittomatic.job import INT64
from twittomatic.sources import exact, make_source
from twittomatic.sources.base import Item, Source
from twittomatic.sources.credentials import Credential
from twittomatic.sources.envelope import Envelope, Listed
from twittomatic.sources.exact import Malformed
from twittomatic.sources.references import thing
from twittomatic.sources.splice import Included

CREDENTIALS = {"a": Credential("a", "bearer", ["a-token-of-the-test"])}
PAGES = ["brexit", "edited", "edited_after", "edited_before", "geo_tweets", "media_tweet", "mentions_tweet",
         "quoted_edit", "two_tweets"]  # fmt: skip


@pytest.fixture
def network() -> Iterator[ScriptedNetwork]:
    with ScriptedNetwork(Reply({})) as server:
        yield server


@pytest.fixture
def sources(network: ScriptedNetwork) -> Iterator[dict[str, Source]]:
    made = {name: make_source(name, credentials=CREDENTIALS, api_url=network.url) for name in ("x_v2", "twitter_v1")}
    yield made
    for source in made.values():
        source.close()


def lines_of(path: Path) -> list[bytes]:
    return [line for line in path.read_bytes().splitlines() if line.strip()]


def as_posts(body: bytes) -> bytes:
    """The same body under the names of the other dialect."""
    for old, new in ((b'"tweets": [', b'"posts": ['), (b'"referenced_tweets"', b'"referenced_posts"'),
                     (b'"edit_history_tweet_ids"', b'"edit_history_post_ids"'), (b'"tweet_count"', b'"post_count"'),
                     (b"problems on api.twitter.com", b"problems on api.x.com")):  # fmt: skip
        body = body.replace(old, new)
    return body


def assert_exact(item: Item, original: dict[str, Any], body: bytes) -> dict[str, Any]:
    """What was spliced behind an item whose own bytes stand in the body as they are; that is all that was added."""
    line = json.loads(item.line)
    added = {key: line.pop(key) for key in ("includes", "errors") if key in line and key not in original}
    assert line == original
    mark = b',"includes":{' if "includes" in added else b',"errors":[' if "errors" in added else b"}"
    own = item.line[: item.line.rindex(mark)] + b"}"
    assert own in body
    assert b"\n" not in item.line
    return added


@pytest.mark.parametrize("dialect", ["tweet", "post"])
@pytest.mark.parametrize("name", PAGES)
def test_v2_pages(
    name: str, dialect: str, test_data: Path, network: ScriptedNetwork, sources: dict[str, Source]
) -> None:
    for recorded in lines_of(test_data / "x_v2" / "pages" / f"{name}.jsonl"):
        body = as_posts(recorded) if dialect == "post" else recorded
        document = json.loads(body)
        network.replies = [Reply(body, gzip=True)]
        page = sources["x_v2"].timeline("12", None, credential="a")
        assert [item.id for item in page.items] == [each["id"] for each in document["data"]]
        assert page.charge == {"post": len(document["data"])}
        posts = {"tweet": "tweets", "post": "posts"}[dialect]
        for item, original in zip(page.items, document["data"], strict=True):
            includes = assert_exact(item, original, body).get("includes", {})
            everything = document.get("includes", {})
            for kind, listed in includes.items():
                assert all(each in everything[kind] for each in listed)
            authors = {each["id"] for each in includes.get("users", ())}
            known = {each["id"] for each in everything.get("users", ())}
            assert {original["author_id"]} & known <= authors
            referenced = {each["id"] for each in original.get(f"referenced_{posts}", ())}
            there = {each["id"] for each in everything.get(posts, ())}
            assert referenced & there <= {each["id"] for each in includes.get(posts, ())}
            keys = set(original.get("attachments", {}).get("media_keys", ()))
            media = {each["media_key"] for each in everything.get("media", ())}
            assert keys & media <= {each["media_key"] for each in includes.get("media", ())}
            assert [each["id"] for each in includes.get("places", ())] == (
                [original["geo"]["place_id"]] if "places" in includes else []
            )
            for author in sources["x_v2"].author_profiles(item.line):
                assert author.id == original["author_id"]
                assert author.line in body


def test_v2_page_with_half_a_surrogate_pair_is_spliced_alike(
    test_data: Path, network: ScriptedNetwork, sources: dict[str, Source]
) -> None:
    body = (test_data / "x_v2" / "pages" / "brexit.jsonl").read_bytes()
    network.replies = [Reply(body), Reply(body.replace(b'"meta": {', rb'"meta": {"odd": "\ud83d", ', 1))]
    fast = sources["x_v2"].timeline("12", None, credential="a")
    slow = sources["x_v2"].timeline("12", None, credential="a")
    assert slow.items == fast.items
    assert len(fast.items) == 100


@pytest.mark.parametrize("dialect", ["tweet", "post"])
def test_v2_users(dialect: str, test_data: Path, network: ScriptedNetwork, sources: dict[str, Source]) -> None:
    source = sources["x_v2"]
    (recorded,) = lines_of(test_data / "x_v2" / "pages" / "users.jsonl")
    body = as_posts(recorded) if dialect == "post" else recorded
    document = json.loads(body)
    network.replies = [Reply(body)]
    page = source.followers("12", None, credential="a")
    assert [item.id for item in page.items] == [each["id"] for each in document["data"]]
    for profile, original in zip(page.profiles, document["data"], strict=True):
        assert_exact(profile, original, body)
        read = source.profile(profile.line)
        metrics = original["public_metrics"]
        assert (read.id, read.name) == (original["id"], original["username"])
        assert (read.followers, read.following) == (metrics["followers_count"], metrics["following_count"])
        assert read.statuses == metrics["tweet_count" if dialect == "tweet" else "post_count"]
        assert read.created is not None
        assert 1.14e9 < read.created < 1.8e9
    asked_for = [each["id"] for each in document["data"]]
    looked_up = source.profiles(asked_for, credential="a")
    assert (looked_up.missing, looked_up.charge) == ([], {"user": len(asked_for)})


def test_a_v2_stream_whose_last_line_is_cut(test_data: Path) -> None:
    *lines, last = lines_of(test_data / "x_v2" / "pages" / "streaming_output_with_error.jsonl")
    with pytest.raises(Malformed) as caught:
        exact.fields(last)
    assert caught.value.cut
    whole = [exact.fields(line) for line in lines]
    assert all("data" in parts or "errors" in parts for parts in whole)
    for line, parts in zip(lines, whole, strict=True):
        if "data" not in parts:
            continue
        item = thing(parts["data"])
        included = {
            name: Listed(pieces := exact.elements(array), [thing(piece) for piece in pieces])
            for name, array in exact.fields(parts["includes"]).items()
        }
        spliced = Included(Envelope(None, included, [], b"null")).splice(parts["data"], item)
        assert item.author_id in {each["id"] for each in json.loads(spliced)["includes"]["users"]}
        assert parts["data"] in line


def test_v2_compliance_rows(test_data: Path) -> None:
    for name in ("tweets_compliance", "users_compliance"):
        rows = [exact.load(line) for line in lines_of(test_data / "x_v2" / "pages" / f"{name}.jsonl")]
        assert rows
        assert all(INT64.accepts(row["id"]) and row["action"] == "delete" for row in rows)


def test_a_v1_timeline(test_data: Path, network: ScriptedNetwork, sources: dict[str, Source]) -> None:
    source = sources["twitter_v1"]
    body = (test_data / "twitter_v1" / "get_user_timeline_count.json").read_bytes()
    document = json.loads(body)
    network.replies = [Reply(body, gzip=True)]
    page = source.timeline("12", None, credential="a")
    assert [item.id for item in page.items] == [each["id_str"] for each in document]
    assert b",".join(item.line for item in page.items) == body.strip()[1:-1]
    assert page.next == min(page.items, key=lambda item: int(item.id)).id
    for item, original in zip(page.items, document, strict=True):
        for author in source.author_profiles(item.line):
            read = source.profile(author.line)
            assert (author.id, read.name) == (original["user"]["id_str"], original["user"]["screen_name"])
            assert read.statuses == original["user"]["statuses_count"]
            assert read.created is not None


def test_v1_stream_lines(test_data: Path, sources: dict[str, Source]) -> None:
    source = sources["twitter_v1"]
    lines = lines_of(test_data / "twitter_v1" / "streaming_lines.json")
    assert len(lines) == 72
    for line in lines:
        assert exact.elements(b"[" + line + b"]") == [line.strip()]
        (author,) = source.author_profiles(line)
        assert author.line in line
        assert source.profile(author.line).followers == json.loads(line)["user"]["followers_count"]


def test_a_v1_follower_walk_of_two_pages(test_data: Path, network: ScriptedNetwork, sources: dict[str, Source]) -> None:
    folder = test_data / "twitter_v1"
    bodies = [(folder / f"get_follower_ids_{number}.json").read_bytes() for number in (0, 1)]
    network.replies = [Reply(body) for body in bodies]
    first = sources["twitter_v1"].followers("12", None, credential="a")
    last = sources["twitter_v1"].followers("12", first.next, credential="a")
    assert network.asked[1].parameters["cursor"] == json.loads(bodies[0])["next_cursor_str"]
    assert (len(first.items), len(last.items), last.next) == (5000, 2885, None)
    expected = [str(each) for body in bodies for each in json.loads(body)["ids"]]
    assert [item.line.decode() for item in (*first.items, *last.items)] == expected


def test_v1_follower_ids_as_texts(test_data: Path, network: ScriptedNetwork, sources: dict[str, Source]) -> None:
    body = (test_data / "twitter_v1" / "get_follower_ids_stringify.json").read_bytes()
    network.replies = [Reply(body)]
    page = sources["twitter_v1"].followers("12", None, credential="a")
    assert [item.id for item in page.items] == json.loads(body)["ids"]
    assert page.next == json.loads(body)["next_cursor_str"]


def test_no_recorded_body_is_left_out(test_data: Path) -> None:
    known = {*PAGES, "users", "streaming_output_with_error", "tweets_compliance", "users_compliance"}
    assert {path.stem for path in (test_data / "x_v2" / "pages").iterdir()} == known
    assert sorted(path.name for path in (test_data / "twitter_v1").iterdir()) == [
        "get_follower_ids_0.json", "get_follower_ids_1.json", "get_follower_ids_stringify.json",
        "get_user_timeline_count.json", "streaming_lines.json",
    ]  # fmt: skip

"""Recorded posts as forms of the pool: their bytes are served as they are, but for identity, author and time.

A file of v2 answers (one a line) or a v1.1 array, or a folder of such files. In every post served, the own id (also as
conversation and edit history), the author and the time of creation are those of the user it is given to; all other
bytes are the recorded ones when the request leaves no field out. What a v2 post refers to comes from its own answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from twittomatic.emulator.legacy import modern_status
from twittomatic.emulator.templates import raw_slot, slot
from twittomatic.emulator.tweets import Piece, Pool, Prepared
from twittomatic.errors import UserError

_KEYS = {"users": "id", "tweets": "id", "polls": "id", "places": "id", "media": "media_key"}
_OF_POST = {"referenced_posts": "referenced_tweets", "edit_history_post_ids": "edit_history_tweet_ids"}


def recorded_pool(path: Path) -> Pool:
    """A pool of every post in a file or a folder, each once (the first of those with one id)."""
    forms: dict[str, Prepared] = {}
    files = sorted(one for one in path.rglob("*.json*") if one.is_file()) if path.is_dir() else [path]
    for one in files:
        try:
            text = one.read_text(encoding="utf-8", errors="surrogatepass")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"cannot read recorded tweets from {one}: {error}", "Give .jsonl or .json") from error
        for id_, form in _forms(text):
            forms.setdefault(id_, form)
    if not forms:
        raise UserError(f"{path} holds no tweets", "Give v2 answers, one a line, or an array of v1.1 tweets")
    return Pool(list(forms.values()))


def _forms(text: str) -> Iterator[tuple[str, Prepared]]:
    """Posts of one file; a line that is cut is passed over."""
    for start, end in _documents(text):
        for a, b in _elements(text, start) if text[start] == "[" else [(start, end)]:
            document = json.loads(text[a:b])
            if not isinstance(document, dict):
                continue
            if "data" in document:
                yield from _modern(text[a:b], document)
            elif "text" in document or "full_text" in document:
                yield _legacy(text[a:b], document)


def _documents(text: str) -> Iterator[tuple[int, int]]:
    decoder, position = json.JSONDecoder(), 0
    while (position := _skip(text, position)) < len(text):
        try:
            _, end = decoder.raw_decode(text, position)
        except ValueError:
            end = text.find("\n", position)
            if end < 0:
                return
        else:
            yield position, end
        position = end


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n,\ufeff":
        position += 1
    return position


def _elements(text: str, start: int) -> Iterator[tuple[int, int]]:
    """Where the elements of an array stand."""
    decoder, position = json.JSONDecoder(), _skip(text, start + 1)
    while text[position] != "]":
        _, end = decoder.raw_decode(text, position)
        yield position, end
        position = _skip(text, end)


def _members(text: str, start: int = 0) -> Iterator[tuple[str, int, int]]:
    """Keys of an object and where their values stand."""
    decoder, position = json.JSONDecoder(), _skip(text, start + 1)
    while text[position] != "}":
        key, colon = decoder.raw_decode(text, position)
        begin = _skip(text, text.index(":", colon) + 1)
        _, end = decoder.raw_decode(text, begin)
        yield key, begin, end
        position = _skip(text, end)


def _modern(text: str, document: Mapping[str, Any]) -> Iterator[tuple[str, Prepared]]:
    """Posts of one v2 answer with what they refer to."""
    spans = {key: (begin, end) for key, begin, end in _members(text)}
    begin, end = spans["data"]
    rows = [(begin, end)] if text[begin] == "{" else list(_elements(text, begin))
    included: dict[str, dict[str, str]] = {}
    if "includes" in spans:
        for section, a, _ in _members(text, spans["includes"][0]):
            name = {"posts": "tweets"}.get(section, section)
            pieces = [text[x:y] for x, y in _elements(text, a)]
            included[name] = {json.loads(piece)[_KEYS[name]]: piece for piece in pieces if name in _KEYS}
    problems = [one for one in document.get("errors", []) if "resource_id" in one]
    for a, b in rows:
        post = json.loads(text[a:b])
        if "text" in post:
            yield post["id"], _form(text[a:b], post, included, problems)


def _form(
    text: str, post: dict[str, Any], included: Mapping[str, Mapping[str, str]], problems: list[dict[str, Any]]
) -> Prepared:
    own = post["id"]
    splices = {"id": (own, "id"), "author_id": (post.get("author_id", ""), "author"), "created_at": ("", "created")}
    raw, position = [], 0
    for key, begin, end in _members(text):
        value = text[begin:end]
        if key in splices:
            value = f'"{slot(splices[key][1])}"'
        elif key in ("conversation_id", "edit_history_tweet_ids", "edit_history_post_ids"):
            value = value.replace(f'"{own}"', f'"{slot("id")}"')
        raw += [text[position:begin], value]
        position = end
    spliced = "".join([*raw, text[position:]])
    document = {_OF_POST.get(key, key): value for key, value in json.loads(spliced).items()}
    kinds = [one["type"] for one in document.get("referenced_tweets", [])]
    form = Prepared(kinds[0] if kinds else "original", document, raw=spliced)
    _attach(form, document, included, problems)
    return form


def _attach(
    form: Prepared, document: Mapping[str, Any], included: Mapping[str, Mapping[str, str]],
    problems: list[dict[str, Any]],
) -> None:  # fmt: skip
    """What this post refers to, out of the includes and errors of its answer."""

    def add(expansion: str, section: str, key: str) -> str | None:
        raw = included.get(section, {}).get(key)
        if raw is not None:
            form.expand(expansion, Piece(section, key, raw=raw))
        for one in problems:
            if one["resource_id"] == key:
                kept = {**one, "type": str(one["type"]).rpartition("/")[2]}
                form.problems.setdefault(expansion, []).append(kept)
        return raw

    if "in_reply_to_user_id" in document:
        add("in_reply_to_user_id", "users", document["in_reply_to_user_id"])
    for one in document.get("entities", {}).get("mentions", []):
        add("entities.mentions.username", "users", one.get("id", ""))
    for one in document.get("referenced_tweets", []):
        raw = add("referenced_tweets.id", "tweets", one["id"])
        if raw is not None:
            add("referenced_tweets.id.author_id", "users", json.loads(raw).get("author_id", ""))
    attachments = document.get("attachments", {})
    for key in attachments.get("media_keys", []):
        add("attachments.media_keys", "media", key)
    for key in attachments.get("poll_ids", []):
        add("attachments.poll_ids", "polls", key)
    if "place_id" in document.get("geo", {}):
        add("geo.place_id", "places", document["geo"]["place_id"])


def _legacy(text: str, status: Mapping[str, Any]) -> tuple[str, Prepared]:
    """A v1.1 post: its own bytes for v1.1, a translation for v2."""
    splices = {
        "id": f'"{raw_slot("id")}"',
        "id_str": f'"{slot("id")}"',
        "created_at": f'"{slot("legacy_created")}"',
        "user": f'"{raw_slot("user")}"',
    }
    raw, position = [], 0
    for key, begin, end in _members(text):
        raw += [text[position:begin], splices.get(key, text[begin:end])]
        position = end
    spliced = "".join([*raw, text[position:]])
    form = modern_status(status)
    form.legacy_raw, form.legacy = spliced, json.loads(spliced)
    return str(status.get("id_str", status.get("id", ""))), form

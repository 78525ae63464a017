"""Prepared posts: a pool of documents in the shape of v2 with slots for what differs between two posts of one form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from twittomatic.emulator.chance import draw, mix
from twittomatic.emulator.phrases import (
    HASHTAGS,
    LABELS,
    LINKS,
    PLACES,
    REPLY_SETTINGS,
    SENTENCES,
    SOURCES,
    TOPICS,
)
from twittomatic.emulator.templates import slot
from twittomatic.emulator.world import PUBLIC, Person, World

ORIGINAL, RETWEET, REPLY, QUOTE = "original", "retweeted", "replied_to", "quoted"
_KINDS = (ORIGINAL, RETWEET, ORIGINAL, REPLY, ORIGINAL, QUOTE, ORIGINAL, RETWEET, REPLY, ORIGINAL)
POOL = 90
SLOTS = ("id", "author", "created", "editable", "legacy_created", "user")


@dataclass(frozen=True, slots=True)
class Piece:
    """Something that stands under ``includes``: a user or a post of the world, or a document of its own.

    kind: users, tweets, media, polls, places; raw: recorded bytes that are served as they are.
    """

    kind: str
    key: str
    person: Person | None = None
    number: int = 0
    document: dict[str, Any] | None = None
    raw: str | None = None


@dataclass(slots=True)
class Prepared:
    """One form of post. expansions: what each expansion adds; problems: partial errors by the expansion they meet.

    raw, legacy_raw: recorded bytes with slots, of v2 and v1.1; reference: the post of the world that it refers to.
    """

    kind: str
    document: dict[str, Any]
    expansions: dict[str, list[Piece]] = field(default_factory=dict)
    problems: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    reference: tuple[Person, int] | None = None
    raw: str | None = None
    legacy: dict[str, Any] | None = None
    legacy_raw: str | None = None

    def expand(self, name: str, piece: Piece) -> None:
        """Let an expansion add a piece."""
        self.expansions.setdefault(name, []).append(piece)


class Pool:
    """The forms of post of one world. ``pick`` says which of them a post has."""

    def __init__(self, forms: Sequence[Prepared]) -> None:
        self.forms = forms

    def pick(self, bits: int) -> int:
        """The place of the form, from the bits of a post (World.tweet_bits)."""
        return (bits >> 40) % len(self.forms)


def generated_pool(world: World) -> Pool:
    """Posts of 2 to 5 KB with what they include; half are retweets, replies and quotes of posts of this world."""
    forms = [_Writer(world.seed, number).original() for number in range(POOL)]
    kinds = [_KINDS[number % len(_KINDS)] for number in range(POOL)]
    cast = _cast(world, kinds)
    for number, kind in enumerate(kinds):
        if kind != ORIGINAL and cast:
            person, which = cast[number % len(cast)]
            original = forms[(world.tweet_bits(person, which) >> 40) % POOL]
            forms[number] = _Writer(world.seed, number).referring(kind, world, person, which, original)
        if cast and number % 4 == 0:
            _mention(forms[number], cast[(number + 1) % len(cast)][0])
        if number % 9 == 5:
            _meet_a_problem(forms[number], draw(world.seed, 35, number), number)
        _fit(forms[number])
    return Pool(forms)


def _fit(form: Prepared) -> None:
    """Beyond 280 characters the whole text stands in note_tweet, and the text shows its beginning."""
    document, text = form.document, form.document["text"]
    if len(text) <= 280:
        return
    entities = document.get("entities", {})
    note = {name: rows for name, rows in entities.items() if name != "annotations"}
    document["note_tweet"] = {"text": text, **({"entities": note} if note else {})}
    document["text"] = text[:279] + "…"
    kept = {name: [row for row in rows if row["end"] <= 279] for name, rows in entities.items()}
    document["entities"] = {name: rows for name, rows in kept.items() if rows}


def _cast(world: World, kinds: Sequence[str]) -> list[tuple[Person, int]]:
    """Up to two dozen public users, each with a post that refers to nothing: those whom others mention and repeat."""
    found: list[tuple[Person, int]] = []
    for turn in range(min(world.count * 2, 400)):
        person = world.person(draw(world.seed, 31, turn) % world.count)
        if world.state(person.index) != PUBLIC or any(person is other for other, _ in found):
            continue
        for number in range(person.base - 1, max(-1, person.base - 40), -1):
            if kinds[(world.tweet_bits(person, number) >> 40) % POOL] == ORIGINAL:
                found.append((person, number))
                break
        if len(found) == 24:
            break
    return found


def _mention(form: Prepared, person: Person) -> None:
    """Add a mention of a user at the end of the text."""
    text, handle = form.document["text"], f"@{person.username}"
    start = len(text) + 1
    form.document["text"] = f"{text} {handle}"
    entry = {"start": start, "end": start + len(handle), "username": person.username, "id": str(person.id)}
    form.document.setdefault("entities", {}).setdefault("mentions", []).append(entry)
    form.expand("entities.mentions.username", Piece("users", str(person.id), person=person))


def _meet_a_problem(form: Prepared, bits: int, number: int) -> None:
    """Refer to something that is no longer there: a partial error beside the data."""
    missing = str(9 * 10**17 + bits % 10**16)
    if number % 2 and form.kind == ORIGINAL:
        form.document["in_reply_to_user_id"] = missing
        form.problems["in_reply_to_user_id"] = [problem("suspended", "user", "in_reply_to_user_id", missing)]
        return
    what = "protected" if number % 4 else "not_found"
    form.document.setdefault("referenced_tweets", []).append({"type": QUOTE, "id": missing})
    form.problems["referenced_tweets.id"] = [problem(what, "tweet", "referenced_tweets.id", missing)]


def problem(what: str, resource: str, parameter: str, value: str, section: str = "includes") -> dict[str, Any]:
    """A partial error as the network words it; its type by the last segment. what: not_found, suspended, protected."""
    noun = "Tweet" if resource == "tweet" else resource
    base = {"value": value, "resource_type": resource, "parameter": parameter, "resource_id": value}
    if what == "protected":
        detail = f"Sorry, you are not authorized to see the {noun} with {parameter}: [{value}]."
        return {
            **base, "section": section, "title": "Authorization Error", "detail": detail,
            "type": "not-authorized-for-resource",
        }  # fmt: skip
    if what == "suspended":
        detail = f"User has been suspended: [{value}]."
        return {**base, "title": "Forbidden", "detail": detail, "type": "resource-not-found"}
    detail = f"Could not find {resource} with {parameter}: [{value}]."
    return {**base, "title": "Not Found Error", "detail": detail, "type": "resource-not-found"}


class _Writer:
    """Writes the document of one form out of the hash of its number."""

    def __init__(self, seed: int, number: int) -> None:
        self._bits = draw(seed, 32, number)
        self.number = number

    def _next(self, limit: int) -> int:
        self._bits = mix(self._bits)
        return self._bits % limit

    def original(self) -> Prepared:
        languages = list(SENTENCES)
        lang = languages[self.number // 3 % len(languages)] if self.number % 3 == 0 else "en"
        form = Prepared(ORIGINAL, {})
        sentences = SENTENCES[lang]
        text = sentences[self._next(len(sentences))]
        if self.number % 3 == 1:
            text += " " + sentences[self._next(len(sentences))]
        form.document = self._frame(text, lang)
        self._tag(form)
        if self.number % 4 != 3:
            self._link(form)
        if self.number % 5 == 1:
            self._media(form)
        if self.number % 30 == 4:
            self._poll(form)
        if self.number % 15 == 7:
            self._place(form)
        if self.number % 20 == 8:
            self._note(form)
        return form

    def _frame(self, text: str, lang: str) -> dict[str, Any]:
        return {
            "id": slot("id"),
            "text": text,
            "author_id": slot("author"),
            "created_at": slot("created"),
            "conversation_id": slot("id"),
            "edit_history_tweet_ids": [slot("id")],
            "edit_controls": {
                "edits_remaining": 5, "is_edit_eligible": self.number % 2 == 0, "editable_until": slot("editable"),
            },
            "lang": lang,
            "possibly_sensitive": self.number % 25 == 0,
            "reply_settings": REPLY_SETTINGS[self._next(len(REPLY_SETTINGS))],
            "source": SOURCES[self._next(len(SOURCES))],
            "public_metrics": {
                "retweet_count": self._next(400), "reply_count": self._next(60), "like_count": self._next(5000),
                "quote_count": self._next(30), "bookmark_count": self._next(90), "impression_count": self._next(10**6),
            },
            "entities": {"annotations": [{
                "start": 0, "end": min(8, len(text) - 1), "probability": 0.7421, "type": "Other",
                "normalized_text": text[:9],
            }]},
            "context_annotations": [self._topic() for _ in range(2 + self._next(5))],
        }  # fmt: skip

    def _topic(self) -> dict[str, Any]:
        domain, name, description, entity, label = TOPICS[self._next(len(TOPICS))]
        return {
            "domain": {"id": domain, "name": name, "description": description},
            "entity": {"id": entity, "name": label, "description": f"This entity includes conversation about {label}."},
        }

    def _append(self, form: Prepared, word: str) -> tuple[int, int]:
        text = form.document["text"]
        form.document["text"] = f"{text} {word}"
        return len(text) + 1, len(text) + 1 + len(word)

    def _tag(self, form: Prepared) -> None:
        tags = []
        for _ in range(self._next(4)):
            tag = HASHTAGS[self._next(len(HASHTAGS))]
            start, end = self._append(form, f"#{tag}")
            tags.append({"start": start, "end": end, "tag": tag})
        if tags:
            form.document["entities"]["hashtags"] = tags

    def _link(self, form: Prepared) -> None:
        expanded, title, description = LINKS[self._next(len(LINKS))]
        start, end = self._append(form, url := f"https://t.co/{self._next(16**10):010x}")
        images = [
            {"url": f"https://pbs.twimg.com/news_img/{17 * 10**17 + self._next(10**16)}/card?name={name}", "width": w,
             "height": h} for name, w, h in (("orig", 1200, 630), ("150x150", 150, 150))
        ]  # fmt: skip
        form.document["entities"]["urls"] = [{
            "start": start, "end": end, "url": url, "expanded_url": expanded,
            "display_url": expanded.removeprefix("https://")[:26] + "…", "images": images, "status": 200,
            "title": title, "description": description, "unwound_url": expanded,
        }]  # fmt: skip

    def _media(self, form: Prepared) -> None:
        kind, prefix = (("photo", 3), ("video", 13), ("animated_gif", 16))[self._next(3)]
        key = f"{prefix}_{16 * 10**17 + self._next(10**17)}"
        start, end = self._append(form, url := f"https://t.co/{self._next(16**10):010x}")
        form.document["entities"].setdefault("urls", []).append({
            "start": start, "end": end, "url": url, "expanded_url": f"https://x.com/i/status/{key[3:]}/{kind}/1",
            "display_url": f"pic.x.com/{url[-10:]}", "media_key": key,
        })  # fmt: skip
        document: dict[str, Any] = {"media_key": key, "type": kind, "height": 675, "width": 1200}
        if kind == "photo":
            document |= {"url": f"https://pbs.twimg.com/media/{key}.jpg", "alt_text": "A river, seen from the train"}
        else:
            document["preview_image_url"] = f"https://pbs.twimg.com/ext_tw_video_thumb/{key}/pu/img/p.jpg"
            document["variants"] = [
                {"content_type": "video/mp4", "bit_rate": rate, "url": f"https://video.twimg.com/{key}/{rate}.mp4"}
                for rate in (832000, 2176000)
            ]
        if kind == "video":
            document |= {"duration_ms": 30033, "public_metrics": {"view_count": self._next(10**6)}}
        form.document["attachments"] = {"media_keys": [key]}
        form.expand("attachments.media_keys", Piece("media", key, document=document))

    def _poll(self, form: Prepared) -> None:
        poll = str(17 * 10**17 + self._next(10**17))
        labels = LABELS[self._next(len(LABELS))]
        options = [{"position": i, "label": label, "votes": self._next(900)} for i, label in enumerate(labels, 1)]
        document = {
            "id": poll, "options": options, "duration_minutes": 1440, "end_datetime": "2025-11-02T10:00:00.000Z",
            "voting_status": "closed",
        }  # fmt: skip
        form.document.setdefault("attachments", {})["poll_ids"] = [poll]
        form.expand("attachments.poll_ids", Piece("polls", poll, document=document))

    def _place(self, form: Prepared) -> None:
        place, full, name, country, code, box = PLACES[self._next(len(PLACES))]
        document = {
            "id": place, "full_name": full, "name": name, "country": country, "country_code": code,
            "place_type": "city", "geo": {"type": "Feature", "bbox": list(box), "properties": {}},
        }  # fmt: skip
        form.document["geo"] = {"place_id": place}
        if self._next(2):
            form.document["geo"]["coordinates"] = {"type": "Point", "coordinates": [box[0], box[1]]}
        form.expand("geo.place_id", Piece("places", place, document=document))

    def _note(self, form: Prepared) -> None:
        form.document["text"] += "\n\n" + "\n".join(" ".join(SENTENCES[lang]) for lang in ("en", "es", "de"))

    def referring(self, kind: str, world: World, person: Person, which: int, original: Prepared) -> Prepared:
        """A retweet, reply or quote of a post of the world; a retweet's text is cut at 140 characters."""
        form = self.original() if kind != RETWEET else Prepared(RETWEET, {})
        form.kind, form.reference = kind, (person, which)
        tweet, author = str(world.tweet_id(person, which)), str(person.id)
        if kind == RETWEET:
            head, text = f"RT @{person.username}: ", str(original.document["text"])
            text = head + text
            form.document = self._frame(text if len(text) <= 140 else text[:139] + "…", original.document["lang"])
            mention = {"start": 3, "end": len(head) - 2, "username": person.username, "id": author}
            form.document["entities"] = {"mentions": [mention]}
            form.document["context_annotations"] = original.document["context_annotations"]
            form.expand("entities.mentions.username", Piece("users", author, person=person))
        elif kind == REPLY:
            form.document |= {"in_reply_to_user_id": author, "conversation_id": tweet}
            form.expand("in_reply_to_user_id", Piece("users", author, person=person))
        form.document["referenced_tweets"] = [{"type": kind, "id": tweet}]
        form.expand("referenced_tweets.id", Piece("tweets", tweet, person=person, number=which))
        form.expand("referenced_tweets.id.author_id", Piece("users", author, person=person))
        for piece in original.expansions.get("attachments.media_keys", []):
            form.expand("referenced_tweets.id.attachments.media_keys", piece)
        return form

"""The same posts and profiles as v1.1 words them, and recorded v1.1 posts as v2 words them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twittomatic.emulator.templates import raw_slot, slot
from twittomatic.emulator.tweets import QUOTE, REPLY, RETWEET, Prepared

_PROFILE_TAIL: Mapping[str, Any] = {
    "utc_offset": None, "time_zone": None, "geo_enabled": True, "lang": None, "contributors_enabled": False,
    "is_translator": False, "is_translation_enabled": False, "profile_background_color": "F5F8FA",
    "profile_background_image_url": None, "profile_background_image_url_https": None,
    "profile_background_tile": False, "profile_link_color": "1DA1F2", "profile_sidebar_border_color": "C0DEED",
    "profile_sidebar_fill_color": "DDEEF6", "profile_text_color": "333333", "profile_use_background_image": True,
    "has_extended_profile": False, "default_profile": True, "default_profile_image": False, "following": None,
    "follow_request_sent": None, "notifications": None, "translator_type": "none",
}  # fmt: skip


def legacy_profile(document: Mapping[str, Any]) -> dict[str, Any]:
    """A persona of v2 as a v1.1 user object."""
    metrics, image = document["public_metrics"], document["profile_image_url"]
    entities = document.get("entities", {})
    return {
        "id": raw_slot("id"),
        "id_str": slot("id"),
        "name": document["name"],
        "screen_name": document["username"],
        "location": document.get("location", ""),
        "description": document["description"],
        "url": document.get("url") or None,
        "entities": {
            **{key: {"urls": [_url(one) for one in value["urls"]]} for key, value in entities.items()},
            "description": {"urls": []},
        },
        "protected": document["protected"],
        "followers_count": metrics["followers_count"],
        "friends_count": metrics["following_count"],
        "listed_count": metrics["listed_count"],
        "created_at": slot("legacy_created"),
        "favourites_count": metrics["like_count"],
        "verified": document["verified"],
        "statuses_count": metrics["tweet_count"],
        "profile_image_url": image.replace("https:", "http:"),
        "profile_image_url_https": image,
        **_PROFILE_TAIL,
    }


def _url(entity: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "url": entity["url"],
        "expanded_url": entity.get("expanded_url"),
        "display_url": entity.get("display_url"),
        "indices": [entity["start"], entity["end"]],
    }


def legacy_status(form: Prepared, *, extended: bool, trim_user: bool) -> dict[str, Any]:
    """A prepared post as a v1.1 status; what it refers to is put in by the caller."""
    document = form.document
    metrics = document.get("public_metrics", {})
    full = document.get("note_tweet", {}).get("text") or document["text"]
    cut = not extended and len(full) > 140
    status: dict[str, Any] = {
        "created_at": slot("legacy_created"),
        "id": raw_slot("id"),
        "id_str": slot("id"),
        **({"full_text": full} if extended else {"text": full[:139] + "…" if cut else full}),
        "truncated": cut,
        **({"display_text_range": [0, len(full)]} if extended else {}),
        "entities": _entities(document.get("entities", {})),
        "source": f'<a href="http://twitter.com" rel="nofollow">{document.get("source", "web")}</a>',
        "in_reply_to_status_id": None,
        "in_reply_to_status_id_str": None,
        "in_reply_to_user_id": None,
        "in_reply_to_user_id_str": None,
        "in_reply_to_screen_name": None,
        "user": {"id": raw_slot("author"), "id_str": slot("author")} if trim_user else raw_slot("user"),
        "geo": None,
        "coordinates": None,
        "place": None,
        "contributors": None,
        "is_quote_status": form.kind == QUOTE,
        "retweet_count": metrics.get("retweet_count", 0),
        "favorite_count": metrics.get("like_count", 0),
        "favorited": False,
        "retweeted": False,
        "lang": document.get("lang", "und"),
    }
    if "urls" in document.get("entities", {}):
        status["possibly_sensitive"] = document.get("possibly_sensitive", False)
    _locate(form, status)
    _refer(form, status)
    return status


def _entities(entities: Mapping[str, Any]) -> dict[str, Any]:
    tags = entities.get("hashtags", [])
    hashtags = [{"text": one["tag"], "indices": [one["start"], one["end"]]} for one in tags]
    mentions = [
        {"screen_name": one["username"], "name": one["username"], "id": int(one["id"]), "id_str": one["id"],
         "indices": [one["start"], one["end"]]} for one in entities.get("mentions", []) if "id" in one
    ]  # fmt: skip
    return {
        "hashtags": hashtags,
        "symbols": [],
        "user_mentions": mentions,
        "urls": [_url(one) for one in entities.get("urls", [])],
    }


def _locate(form: Prepared, status: dict[str, Any]) -> None:
    """geo is latitude first, coordinates are longitude first; the ring of a place has four points and is not closed."""
    point = form.document.get("geo", {}).get("coordinates")
    if point and "coordinates" in point:
        longitude, latitude = point["coordinates"]
        status["geo"] = {"type": "Point", "coordinates": [latitude, longitude]}
        status["coordinates"] = {"type": "Point", "coordinates": [longitude, latitude]}
    for piece in form.expansions.get("geo.place_id", []):
        place = piece.document
        if place and "geo" in place:
            west, south, east, north = place["geo"]["bbox"]
            ring = [[west, south], [east, south], [east, north], [west, north]]
            status["place"] = {
                "id": place["id"], "url": f"https://api.twitter.com/1.1/geo/id/{place['id']}.json",
                "place_type": place.get("place_type"), "name": place.get("name"), "full_name": place.get("full_name"),
                "country_code": place.get("country_code"), "country": place.get("country"), "contained_within": [],
                "bounding_box": {"type": "Polygon", "coordinates": [ring]}, "attributes": {},
            }  # fmt: skip


def _refer(form: Prepared, status: dict[str, Any]) -> None:
    document = form.document
    for reference in document.get("referenced_tweets", []):
        if reference["type"] == QUOTE:
            status |= {"quoted_status_id": int(reference["id"]), "quoted_status_id_str": reference["id"]}
        elif reference["type"] == REPLY:
            status |= {"in_reply_to_status_id": int(reference["id"]), "in_reply_to_status_id_str": reference["id"]}
    if "in_reply_to_user_id" in document:
        user = document["in_reply_to_user_id"]
        status |= {"in_reply_to_user_id": int(user), "in_reply_to_user_id_str": user}
        if form.reference and form.kind == REPLY:
            status["in_reply_to_screen_name"] = form.reference[0].username


def modern_status(status: Mapping[str, Any]) -> Prepared:
    """A recorded v1.1 status as a v2 document with slots: text, language, metrics, entities, references."""
    full = status.get("extended_tweet", {})
    entities = full.get("entities") or status.get("entities") or {}
    document: dict[str, Any] = {
        "id": slot("id"),
        "text": full.get("full_text") or status.get("full_text") or status.get("text", ""),
        "author_id": slot("author"),
        "created_at": slot("created"),
        "conversation_id": slot("id"),
        "edit_history_tweet_ids": [slot("id")],
        "lang": status.get("lang", "und"),
        "possibly_sensitive": bool(status.get("possibly_sensitive")),
        "public_metrics": {
            "retweet_count": status.get("retweet_count", 0),
            "reply_count": status.get("reply_count", 0),
            "like_count": status.get("favorite_count", 0),
            "quote_count": status.get("quote_count", 0),
            "bookmark_count": 0,
            "impression_count": 0,
        },
    }
    if found := _modern_entities(entities):
        document["entities"] = found
    form = Prepared("original", document)
    for key, kind in (("retweeted_status", RETWEET), ("quoted_status_id_str", QUOTE)):
        value = status.get(key)
        if value:
            target = value["id_str"] if isinstance(value, Mapping) else value
            document.setdefault("referenced_tweets", []).append({"type": kind, "id": target})
            form.kind = kind if form.kind == "original" else form.kind
    if status.get("in_reply_to_status_id_str"):
        reference = {"type": REPLY, "id": status["in_reply_to_status_id_str"]}
        document.setdefault("referenced_tweets", []).append(reference)
        form.kind = REPLY
    if status.get("in_reply_to_user_id_str"):
        document["in_reply_to_user_id"] = status["in_reply_to_user_id_str"]
    return form


def _modern_entities(entities: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for old, new, names in (
        ("hashtags", "hashtags", {"text": "tag"}),
        ("urls", "urls", {"url": "url", "expanded_url": "expanded_url", "display_url": "display_url"}),
        ("user_mentions", "mentions", {"screen_name": "username", "id_str": "id"}),
    ):
        rows = [
            {"start": one["indices"][0], "end": one["indices"][1]}
            | {to: one[of] for of, to in names.items() if of in one}
            for one in entities.get(old) or []
        ]
        if rows:
            found[new] = rows
    return found

"""Reads fields and expansions of a v2 request in either dialect, and refuses what v2 does not know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from twittomatic.emulator.answers import Call, invalid
from twittomatic.emulator.shapes import DEFAULTS, POST, TO_POST, TWEET, Ask


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


TWEET_FIELDS = _names(
    "article attachments author_id card_uri community_id context_annotations conversation_id created_at "
    "display_text_range edit_controls edit_history_tweet_ids entities geo id in_reply_to_user_id lang media_metadata "
    "non_public_metrics note_tweet organic_metrics possibly_sensitive promoted_metrics public_metrics "
    "referenced_tweets reply_settings scopes source suggested_source_links suggested_source_links_with_counts text "
    "withheld article_title matched_media_notes note_request_suggestions paid_partnership"
)
USER_FIELDS = _names(
    "affiliation confirmed_email connection_status created_at description entities id is_identity_verified location "
    "most_recent_tweet_id name parody pinned_tweet_id profile_banner_url profile_image_url protected public_metrics "
    "receives_your_dm subscribes_to_you subscription subscription_type url username verified verified_followers_count "
    "verified_type withheld"
)
MEDIA_FIELDS = _names(
    "alt_text duration_ms height media_key non_public_metrics organic_metrics preview_image_url promoted_metrics "
    "public_metrics type url variants width"
)
POLL_FIELDS = _names("duration_minutes end_datetime id options voting_status")
PLACE_FIELDS = _names("contained_within country country_code full_name geo id name place_type")
TWEET_EXPANSIONS = _names(
    "article.cover_media article.media_entities attachments.media_keys attachments.media_source_tweet "
    "attachments.poll_ids author_id edit_history_tweet_ids entities.mentions.username geo.place_id "
    "in_reply_to_user_id entities.note.mentions.username referenced_tweets.id "
    "referenced_tweets.id.attachments.media_keys referenced_tweets.id.author_id username"
)
USER_EXPANSIONS = _names("affiliation.user_id affiliation most_recent_tweet_id pinned_tweet_id")
_FROM_POST = {new: old for old, new in TO_POST.items()}
_EXPANSIONS_FROM_POST = {
    "referenced_posts": "referenced_tweets.id",
    "referenced_posts.id": "referenced_tweets.id",
    "referenced_posts.id.author_id": "referenced_tweets.id.author_id",
    "referenced_posts.id.attachments.media_keys": "referenced_tweets.id.attachments.media_keys",
    "edit_history_post_ids": "edit_history_tweet_ids",
    "most_recent_post_id": "most_recent_tweet_id",
    "pinned_post_id": "pinned_tweet_id",
}
_COMMON = ("user.fields", "expansions")
_WITH_TWEETS = ("media.fields", "poll.fields", "place.fields")
_SECTIONS = (
    ("tweets", "tweet.fields", TWEET_FIELDS),
    ("tweets", "post.fields", TWEET_FIELDS),
    ("users", "user.fields", USER_FIELDS),
    ("media", "media.fields", MEDIA_FIELDS),
    ("polls", "poll.fields", POLL_FIELDS),
    ("places", "place.fields", PLACE_FIELDS),
)


def dialect_of(params: Mapping[str, str], default: str) -> str:
    """The dialect that a request speaks: by its field parameter, else by its expansions, else the server's."""
    if "post.fields" in params:
        return POST
    if "tweet.fields" in params:
        return TWEET
    expansions = params.get("expansions", "")
    return POST if "_post" in expansions else TWEET if "_tweet" in expansions else default


def read_ask(call: Call, own: Sequence[str], *, default: str, users: bool) -> Ask:
    """What a request wants to see. ``own``: the endpoint's other parameters; ``users``: it lists users, not posts."""
    params = dict(call.params)
    dialect = dialect_of(params, default)
    fields = "post.fields" if dialect == POST else "tweet.fields"
    known = {*own, *_COMMON, fields, *(() if users else _WITH_TWEETS)}
    for name in params:
        if name not in known:
            raise invalid(name, params[name], f"The query parameter [{name}] is not one of [{','.join(sorted(known))}]")
    asked = {}
    for section, name, allowed in _SECTIONS:
        if name in params:
            asked[section] = _fields(name, params[name], allowed) | DEFAULTS[section]
    return Ask(dialect, expansions=_expansions(params, USER_EXPANSIONS if users else TWEET_EXPANSIONS), **asked)


@lru_cache(maxsize=256)
def _fields(name: str, text: str, allowed: frozenset[str]) -> frozenset[str]:
    found = set()
    for field in text.split(","):
        old = _FROM_POST.get(field, field)
        if old not in allowed:
            raise invalid(name, field, f"The `{name}` query parameter value [{field}] is not one of the known fields")
        found.add(old)
    return frozenset(found)


def _expansions(params: dict[str, str], allowed: frozenset[str]) -> frozenset[str]:
    found = set()
    for name in params.get("expansions", "").split(","):
        old = _EXPANSIONS_FROM_POST.get(name, name)
        if name and old not in allowed:
            raise invalid("expansions", name, f"The `expansions` query parameter value [{name}] is not known")
        if name:
            found.add(old)
    return frozenset(found)

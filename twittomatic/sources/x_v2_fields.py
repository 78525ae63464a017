"""What is asked of X API v2: every field and expansion that any credential may read, under the names of a dialect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twittomatic.errors import SettingsError

TWEET, POST = "tweet", "post"
DIALECTS = (TWEET, POST)

_MEDIA = ("alt_text", "duration_ms", "height", "media_key", "preview_image_url", "public_metrics", "type", "url",
          "variants", "width")  # fmt: skip
_POLL = ("duration_minutes", "end_datetime", "id", "options", "voting_status")
_PLACE = ("contained_within", "country", "country_code", "full_name", "geo", "id", "name", "place_type")
_USER = ("created_at", "description", "entities", "id", "location", "name", "profile_banner_url", "profile_image_url",
         "protected", "public_metrics", "url", "username", "verified", "verified_type", "withheld")  # fmt: skip
_ITEM = ("article", "attachments", "card_uri", "community_id", "context_annotations", "conversation_id", "created_at",
         "display_text_range", "edit_controls", "entities", "geo", "id", "lang", "media_metadata", "possibly_sensitive",
         "public_metrics", "reply_settings", "source", "text", "withheld")  # fmt: skip
_EXPANSIONS = ("attachments.media_keys", "attachments.media_source_tweet", "attachments.poll_ids", "author_id",
               "entities.mentions.username", "geo.place_id", "in_reply_to_user_id")  # fmt: skip

# Left out: what only the author or a caller logged in as a user may read (private metrics, e-mail, connection status);
# one such field is refused for the whole request, or answered with an error an item.
FIELDS: Mapping[str, Mapping[str, Sequence[str]]] = {
    TWEET: {
        "tweet.fields": (*_ITEM, "author_id", "edit_history_tweet_ids", "in_reply_to_user_id", "note_tweet",
                         "referenced_tweets"),
        "expansions": (*_EXPANSIONS, "edit_history_tweet_ids", "entities.note.mentions.username",
                       "referenced_tweets.id", "referenced_tweets.id.attachments.media_keys",
                       "referenced_tweets.id.author_id"),
        "user.fields": (*_USER, "affiliation", "most_recent_tweet_id", "pinned_tweet_id"),
        "media.fields": _MEDIA,
        "poll.fields": _POLL,
        "place.fields": _PLACE,
    },
    POST: {
        # The ids of authors and of referenced posts come with their expansions here.
        "post.fields": (*_ITEM, "article_title", "note_post", "paid_partnership"),
        "expansions": (*_EXPANSIONS, "edit_history_post_ids", "referenced_posts"),
        "user.fields": _USER,
        "media.fields": _MEDIA,
        "poll.fields": _POLL,
        "place.fields": _PLACE,
    },
}  # fmt: skip


def parameters(dialect: str, chosen: Mapping[str, str | Sequence[str]]) -> dict[str, str]:
    """Query parameters of a dialect; ``chosen`` replaces the list of the parameters that it names (an empty list
    leaves the parameter away). SettingsError for an unknown dialect or parameter."""
    if dialect not in FIELDS:
        raise SettingsError(f"DIALECT {dialect!r} is unknown", "known are " + ", ".join(DIALECTS))
    for name in chosen:
        if name not in FIELDS[dialect]:
            known = ", ".join(FIELDS[dialect])
            raise SettingsError(f"FIELDS names {name!r}, no parameter of the dialect {dialect}", f"known are {known}")
    asked: dict[str, str | Sequence[str]] = {**FIELDS[dialect], **chosen}
    joined = {name: value if isinstance(value, str) else ",".join(value) for name, value in asked.items()}
    return {name: value for name, value in joined.items() if value}

"""The contract of a source: what a network must answer so that the crawler can walk it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from twittomatic.job import IdForm, Profile, Window

TIMELINE_CALL, FOLLOWERS_CALL, PROFILES_CALL, NAMES_CALL = "timeline", "followers", "profiles", "names"
"""Names of the endpoints: budgets and the ledger are kept by them."""


UNAVAILABLE = "unavailable"
"""Why something did not come back when the network's trouble is its own."""


class Item(NamedTuple):
    """One thing that a network returned. ``line``: its exact bytes, one JSON object (or one id) without a newline."""

    id: str
    line: bytes


class Missing(NamedTuple):
    """Something asked for by id or name that did not come back. ``reason``: as in errors.Gone, or UNAVAILABLE, which
    says nothing about the user: ask again another time."""

    id: str
    reason: str


class Seed(NamedTuple):
    """A user as a person wrote it: by id, or by name without the @ (the other one is empty)."""

    id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """One answer.

    items: in the order of the network (timelines: newest first; followers: ids as lines); next: opaque cursor, None
    when the walk is complete (the source confirms an empty page itself, through a cursor that says so); windows: from
    the headers; charge: resource name (post, user, follower) to number; profiles: those carried by a follower page;
    missing: of a profiles or names call; size: bytes of the body as inflated.
    """

    items: Sequence[Item]
    next: str | None
    windows: Sequence[Window] = ()
    charge: Mapping[str, int] = field(default_factory=dict)
    profiles: Sequence[Item] = ()
    missing: Sequence[Missing] = ()
    size: int = 0


class Source(Protocol):
    """A network in one dialect. Every call makes exactly one request with the named credential.

    Errors: the SourceError tree. An instance belongs to one thread (it owns one pooled session).
    """

    name: str
    id_form: IdForm
    carries_profiles: bool
    """Follower pages hold whole profiles, so that the follower job writes them and the analyzer pays for nothing."""
    depth: int | None
    """How many of the newest items of a timeline the network gives out at most."""
    profile_lacks: frozenset[str]
    """Fields of job.Profile that this network's profiles never tell: a policy cannot ask for them."""
    page_limits: Mapping[str, int]
    """The largest page of each endpoint, in items."""

    def timeline(
        self, user: str, cursor: str | None, *, credential: str, since: str | None = None, limit: int | None = None
    ) -> Page:
        """Items of a user newest to oldest from the cursor on, only those newer than ``since`` (exclusive)."""

    def followers(self, user: str, cursor: str | None, *, credential: str, limit: int | None = None) -> Page:
        """Ids of followers from the cursor on, with profiles where the network carries them."""

    def profiles(self, ids: Sequence[str], *, credential: str) -> Page:
        """Profiles of up to page_limits["profiles"] ids; those that did not come back are in ``missing``."""

    def names(self, names: Sequence[str], *, credential: str) -> Page:
        """Profiles of up to page_limits["names"] names (without @); unknown names are in ``missing``."""

    def profile(self, line: bytes) -> Profile:
        """What the policy may ask, read from a profile's exact bytes as this source returned them."""

    def author_profiles(self, line: bytes) -> Sequence[Item]:
        """Profiles that a timeline item carries of its own author, if any (free of charge)."""

    def close(self) -> None:
        """Give the connections back."""

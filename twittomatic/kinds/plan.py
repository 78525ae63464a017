"""What comes next for a user: timeline (or update), then follower, then analyzer, as far as the crawl wants them."""

from __future__ import annotations

from collections.abc import Collection

from twittomatic.job import ANALYZER, FOLLOWER, TIMELINE, UPDATE

LETTERS = {"T": TIMELINE, "F": FOLLOWER, "A": ANALYZER, "U": UPDATE}
"""Command-line letters of the kinds."""

_STAGES = ((UPDATE, TIMELINE), (FOLLOWER,), (ANALYZER,))
"""Each stage runs one kind. An update fetches the whole timeline of a user of whom nothing is held, so it stands for
the timeline wherever both are wanted."""


def first_kind(wanted: Collection[str]) -> str:
    """The kind that a user begins with. ValueError when no kind is wanted."""
    for stage in _STAGES:
        for kind in stage:
            if kind in wanted:
                return kind
    raise ValueError("a crawl wants at least one of -T -F -A -U")


def next_kind(wanted: Collection[str], kind: str) -> str | None:
    """The kind after ``kind`` for the same user, None at the end of the chain."""
    done = next(index for index, stage in enumerate(_STAGES) if kind in stage)
    for stage in _STAGES[done + 1 :]:
        for later in stage:
            if later in wanted:
                return later
    return None

"""Snapshots of crawls that never were, for tests of what is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twittomatic.job import CLAIM_ORDER
from twittomatic.state.budget import Wait
from twittomatic.state.snapshot import KindSnapshot, Snapshot

AT = 1_800_000_000.0


def picture(
    kinds: Mapping[str, KindSnapshot] | None = None,
    counters: Mapping[str, int] | None = None,
    settings: Mapping[str, str] | None = None,
    waits: Mapping[str, Wait] | None = None,
    **more: Any,
) -> Snapshot:
    """A snapshot in which nothing happens but what is given."""
    usual: dict[str, Any] = {
        "at": AT, "crawl": "main", "state": "running", "iteration": 1, "paused": False, "draining": False,
        "loading": None, "workers": [], "lost_workers": [], "leader": None, "windows": [], "seen": 0, "frontier": 0,
        "dead": 0, "requests": 0, "cost_micro": 0, "reasons": {},
    }  # fmt: skip
    return Snapshot(
        settings={"kinds": "timeline,follower"} | dict(settings or {}),
        kinds={kind: KindSnapshot() for kind in CLAIM_ORDER} | dict(kinds or {}),
        counters=dict(counters or {}),
        waits=dict(waits or {}),
        **(usual | more),
    )

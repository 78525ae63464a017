"""The project's own sources walk the twin under faults, and what they collect equals the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from twittomatic.emulator import Emulator, EmulatorOptions
from twittomatic.errors import Gone, Transient
from twittomatic.sources import make_source
from twittomatic.sources.base import Page
from twittomatic.sources.credentials import Credential

FAULTS = Path(__file__).resolve().parent.parent / "data" / "faults_tenth.toml"
SOURCES = [("x_v2", "tweet"), ("x_v2", "post"), ("twitter_v1", "tweet")]
REASONS = {"suspended": {"suspended", "protected"}, "protected": {"protected"}, "deleted": {"not_found"}}
"""What a source may say of a state: v1.1 does not tell a suspended timeline from a protected one."""


@pytest.fixture(scope="module", params=[True, False], ids=["faults", "calm"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    faults = FAULTS if request.param else None
    with Emulator(EmulatorOptions(users=2000, seed=3, faults=faults, hidden=0.1)) as address:
        yield address


def walked(call: Callable[..., Page], user: str, **options: Any) -> list[str]:
    """Ids of all items; every fault is answered by asking again."""
    found: list[str] = []
    cursor, faults = None, 0
    while True:
        try:
            page = call(user, cursor, credential="a", **options)
        except Transient:
            faults += 1
            assert faults < 100
            continue
        found += [item.id for item in page.items]
        cursor = page.next
        if cursor is None:
            return found


@pytest.mark.parametrize(("name", "dialect"), SOURCES)
def test_a_source_collects_the_truth(url: str, name: str, dialect: str) -> None:
    credential = Credential("a", "bearer", ("token",))
    source = make_source(name, credentials={"a": credential}, api_url=url, contact="a@example.org", dialect=dialect)
    try:
        users = requests.get(f"{url}/_world/seeds?n=60", timeout=30).json()["ids"]
        states = set()
        for user in users:
            truth = requests.get(f"{url}/_world/user/{user}", timeout=30).json()
            states.add(truth["state"])
            for call, expected in ((source.timeline, truth["tweets"]), (source.followers, truth["followers"])):
                if truth["state"] == "public":
                    assert walked(call, user) == expected
                else:
                    with pytest.raises(Gone) as gone:
                        walked(call, user)
                    assert gone.value.reason in REASONS[truth["state"]]
            if truth["state"] == "public" and len(truth["tweets"]) > 5:
                assert walked(source.timeline, user, since=truth["tweets"][4]) == truth["tweets"][:4]
        assert len(states) > 1
    finally:
        source.close()

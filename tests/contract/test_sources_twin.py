"""The contract of a source, by walks over the API twin: every item once, in order, however badly it is answered."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from twittomatic.emulator.faults import KINDS, CredentialPlan, FaultPlan
from twittomatic.emulator.server import Emulator, EmulatorOptions
from twittomatic.errors import Capped, CredentialRefused, Gone, Limited, OutOfCredits, SourceError, Transient
from twittomatic.sources import make_source
from twittomatic.sources.base import Page, Source
from twittomatic.sources.credentials import Credential

CREDENTIALS = {
    "a": Credential("a", "bearer", ["token-of-the-test"]),
    "u": Credential("u", "oauth1", ["key", "secret", "user-token", "user-secret"]),
    "revoked": Credential("revoked", "bearer", ["revoked-token"]),
    "poor": Credential("poor", "bearer", ["poor-token"]),
    "capped": Credential("capped", "bearer", ["capped-token"]),
    "foreign": Credential("foreign", "bearer", ["foreign-token"]),
}
SOURCES = [("x_v2", "tweet"), ("x_v2", "post"), ("twitter_v1", "tweet")]
FAULTS = {
    "well": FaultPlan(),
    "badly": FaultPlan(seed=7, rate=0.4, mix=dict.fromkeys(KINDS, 1.0), latency_ms=(1.0, 2.0), slow_seconds=0.02),
}
FEW = 25


@pytest.fixture(scope="module", params=FAULTS)
def twin(request: pytest.FixtureRequest) -> Iterator[str]:
    with Emulator(EmulatorOptions(users=3000, seed=5, faults=FAULTS[request.param], tweets_scale=60)) as url:
        yield url
        assert bool(truth(url, "requests")["faults"]) == (request.param == "badly")


@pytest.fixture(params=SOURCES, ids="-".join)
def source(request: pytest.FixtureRequest, twin: str) -> Iterator[Source]:
    name, dialect = request.param
    made = make_source(name, credentials=CREDENTIALS, api_url=twin, dialect=dialect)
    yield made
    made.close()


def truth(twin: str, path: str) -> Any:
    with urllib.request.urlopen(f"{twin}/_world/{path}") as answer:
        return json.load(answer)


def ask(call: Callable[..., Page], *args: Any, credential: str = "a", **options: Any) -> Page:
    """One page, asked for as often as a transient fault comes in between."""
    faults: list[Exception] = []
    while len(faults) < 12:
        try:
            return call(*args, credential=credential, **options)
        except (Transient, Limited) as fault:
            faults.append(fault)
    raise AssertionError(f"no page after {faults}")


def walk(call: Callable[..., Page], user: str, **options: Any) -> list[Page]:
    pages = [ask(call, user, None, **options)]
    while (cursor := pages[-1].next) is not None:
        pages.append(ask(call, user, cursor, **options))
        assert len(pages) < 300
    return pages


def ids_of(pages: list[Page]) -> list[str]:
    return [item.id for page in pages for item in page.items]


def public(twin: str) -> list[Mapping[str, Any]]:
    people = [truth(twin, f"user/{id_}") for id_ in truth(twin, f"seeds?n={FEW * 2}")["ids"]]
    return [person for person in people if person["state"] == "public"][:FEW]


def test_timelines_are_whole_and_in_order(twin: str, source: Source) -> None:
    for person in public(twin):
        pages = walk(source.timeline, person["id"])
        assert ids_of(pages) == person["tweets"]
        assert not pages[-1].items
        for item in pages[0].items[:5]:
            assert json.loads(item.line)["id"] in (item.id, int(item.id))
            assert [author.id for author in source.author_profiles(item.line)] == [person["id"]]


def test_an_update_brings_only_what_is_newer(twin: str, source: Source) -> None:
    person = max(public(twin), key=lambda person: len(person["tweets"]))
    tweets = person["tweets"]
    assert len(tweets) > 10
    assert ids_of(walk(source.timeline, person["id"], since=tweets[7])) == tweets[:7]
    assert ids_of(walk(source.timeline, person["id"], since=tweets[0])) == []


def test_followers_are_whole_and_carry_profiles_where_they_say_so(twin: str, source: Source) -> None:
    for person in public(twin):
        pages = walk(source.followers, person["id"])
        assert ids_of(pages) == person["followers"]
        profiles = [profile.id for page in pages for profile in page.profiles]
        assert profiles == (person["followers"] if source.carries_profiles else [])


def test_lookups_account_for_everybody_asked_for(twin: str, source: Source) -> None:
    asked = [*truth(twin, "seeds?n=99")["ids"], "999999999999999999"]
    page = ask(source.profiles, asked, credential="u")
    assert sorted([item.id for item in page.items] + [each.id for each in page.missing]) == sorted(asked)
    missing = {each.id: each.reason for each in page.missing}
    assert missing["999999999999999999"] == "not_found"
    for id_, reason in missing.items():
        if id_ != "999999999999999999" and source.carries_profiles:
            assert reason == {"deleted": "not_found"}.get(state := truth(twin, f"user/{id_}")["state"], state)
    profiles = [source.profile(item.line) for item in page.items[:10]]
    assert [profile.id for profile in profiles] == [item.id for item in page.items[:10]]
    names = ask(source.names, [*(profile.name.upper() for profile in profiles), "no_such_user_1"])
    assert sorted(item.id for item in names.items) == sorted(profile.id for profile in profiles)
    assert [each.id for each in names.missing] == ["no_such_user_1"]


def test_hidden_users_are_gone_for_a_reason(twin: str, source: Source) -> None:
    people = [truth(twin, f"user/{id_}") for id_ in truth(twin, "seeds?n=120")["ids"]]
    hidden = [person for person in people if person["state"] != "public"]
    # v1.1 answers for a suspended user as for a protected one
    expected = {"deleted": {"not_found"}, "suspended": {"suspended", "protected"}, "protected": {"protected"}}
    assert {person["state"] for person in hidden} == set(expected)
    for person in hidden:
        with pytest.raises(Gone) as caught:
            ask(source.timeline, person["id"], None)
        assert caught.value.reason in expected[person["state"]]
        assert caught.value.reason == person["state"] or person["state"] == "deleted" or source.name == "twitter_v1"


REFUSALS: dict[str, tuple[CredentialPlan, type[SourceError]]] = {
    "revoked": (CredentialPlan(revoked_after=0), CredentialRefused),
    "poor": (CredentialPlan(credits=0.0), OutOfCredits),
    "capped": (CredentialPlan(capped_after=0), Capped),
    "foreign": (CredentialPlan(forbidden="client-not-enrolled"), CredentialRefused),
}


@pytest.fixture(scope="module")
def strict_twin() -> Iterator[str]:
    plans = {CREDENTIALS[label].reveal()[0]: plan for label, (plan, _) in REFUSALS.items()}
    options = EmulatorOptions(users=300, seed=5, limits="real", faults=FaultPlan(credentials=plans), hidden=0.0)
    with Emulator(options) as url:
        yield url


@pytest.mark.parametrize("label", REFUSALS)
def test_a_refused_credential_is_not_taken_for_the_users_state(label: str, strict_twin: str) -> None:
    source = make_source("x_v2", credentials=CREDENTIALS, api_url=strict_twin)
    (user,) = truth(strict_twin, "seeds?n=1")["ids"]
    with pytest.raises(REFUSALS[label][1]) as caught:
        source.timeline(user, None, credential=label)
    assert "token" not in caught.value.detail.replace("tokens", "")
    assert source.timeline(user, None, credential="a").items is not None
    source.close()


def test_a_window_is_read_from_the_headers_until_it_is_used_up(strict_twin: str) -> None:
    source = make_source("twitter_v1", credentials=CREDENTIALS, api_url=strict_twin)
    (user,) = truth(strict_twin, "seeds?n=1")["ids"]
    first = source.followers(user, None, credential="u")
    (window,) = (window for window in first.windows if window.kind == "user")
    assert (window.limit, window.remaining) == (15, 14)
    for _ in range(window.remaining):
        source.followers(user, None, credential="u")
    with pytest.raises(Limited) as caught:
        source.followers(user, None, credential="u")
    assert window.reset < caught.value.until <= window.reset + 2
    assert [each.remaining for each in caught.value.windows if each.kind == "user"] == [0]
    source.close()

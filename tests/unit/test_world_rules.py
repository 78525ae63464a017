"""Windows, faults, prices and tokens of the twin, without a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from twittomatic.emulator.answers import Charge
from twittomatic.emulator.cursors import FOLLOWERS, FOLLOWING, TIMELINE, Cursors
from twittomatic.emulator.faults import EMPTY, KINDS, PARTIAL, SHORT, CredentialPlan, FaultPlan, Faults, load_faults
from twittomatic.emulator.ledger import Ledger
from twittomatic.emulator.limits import APP, USER, Limits, Rule, load_limits
from twittomatic.emulator.templates import Template, dump, raw_slot, slot
from twittomatic.errors import SettingsError

DATA = Path(__file__).resolve().parent.parent / "data"
TIMELINES = "users/:id/tweets"


def headers(standing: object) -> dict[str, str]:
    return dict(standing.headers)  # type: ignore[attr-defined]


def test_a_window_begins_with_the_first_call_and_ends_at_its_reset() -> None:
    limits = Limits({TIMELINES: Rule(2, 10)})
    first = limits.take("a", APP, TIMELINES, 100.5)
    assert first.allowed
    assert headers(first) == {"x-rate-limit-limit": "2", "x-rate-limit-remaining": "1", "x-rate-limit-reset": "111"}
    assert limits.take("a", APP, TIMELINES, 101).allowed
    used_up = limits.take("a", APP, TIMELINES, 110.9)
    assert not used_up.allowed
    assert headers(used_up)["x-rate-limit-remaining"] == "0"
    assert limits.take("b", APP, TIMELINES, 102).allowed
    assert limits.take("a", APP, "users", 102).headers == ()
    again = limits.take("a", APP, TIMELINES, 111)
    assert again.allowed
    assert headers(again)["x-rate-limit-reset"] == "121"
    assert limits.status("a", APP, TIMELINES, 112) == (2, 1, 121)
    assert limits.status("a", APP, TIMELINES, 122) == (2, 2, 132)


def test_real_limits_differ_by_the_kind_of_credential() -> None:
    limits = load_limits("real")
    assert limits.rule(TIMELINES, APP) == (10_000, 900)
    assert limits.rule(TIMELINES, USER) == (900, 900)
    assert limits.rule("followers/ids", USER) == (15, 900)
    daily = headers(limits.take("a", USER, "statuses/user_timeline", 0.0))
    assert (daily["x-app-rate-limit-limit"], daily["x-app-rate-limit-remaining"]) == ("100000", "99999")


def test_no_limits_send_no_headers() -> None:
    limits = load_limits("none")
    assert all(limits.take("a", APP, TIMELINES, 0.0).headers == () for _ in range(5))


def test_limits_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "limits.toml"
    own = '[windows."users/:id/tweets"]\nlimit = 3\nwindow_seconds = 2\n'
    path.write_text(own + "[windows.default]\nlimit = 9\nwindow_seconds = 4\n")
    limits = load_limits(path)
    assert limits.rule(TIMELINES, USER) == (3, 2)
    assert limits.rule("users", USER) == (9, 4)


@pytest.mark.parametrize(
    "text", ["nonsense", '[windows."nowhere"]\nlimit = 1\nwindow_seconds = 1', "[windows.users]\nlimit = 1"]
)
def test_wrong_limits_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "limits.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"limits\.toml"):
        load_limits(path)
    with pytest.raises(SettingsError, match="cannot read limits"):
        load_limits(tmp_path / "missing.toml")


def test_the_fault_plan_of_the_tests_is_read() -> None:
    plan = load_faults(DATA / "faults_tenth.toml")
    assert plan.rate == 0.1
    assert set(plan.mix) <= set(KINDS)
    everything = load_faults(DATA / "faults_credentials.toml")
    assert everything.credentials["revoked"] == CredentialPlan(revoked_after=2)
    assert everything.single_missing == 404


@pytest.mark.parametrize(
    "text",
    [
        "rate = 2",
        "rate = 0.1\nspeed = 1",
        "[mix]\nearthquake = 1",
        "[credentials.a]\nkind = 1",
        "repeats = 0",
        "=",
        "latency_ms = 1",
    ],
)
def test_wrong_plans_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"plan\.toml"):
        load_faults(path)


def test_faults_depend_on_the_request_only_and_their_repeats_succeed() -> None:
    plan = FaultPlan(seed=3, rate=0.2, repeats=2)
    requests = [f"user {number}" for number in range(2000)]
    one, two = Faults(plan), Faults(plan)
    first = {r: one.decide(TIMELINES, r, paged=True, partial=True)[0] for r in requests}
    second = {r: two.decide(TIMELINES, r, paged=True, partial=True)[0] for r in reversed(requests)}
    assert first == second
    bad = [r for r, kind in first.items() if kind]
    assert 300 < len(bad) < 500
    assert {first[r] for r in bad} == set(plan.mix)
    assert all(one.decide(TIMELINES, r, paged=True, partial=True)[0] for r in bad)
    assert not any(one.decide(TIMELINES, r, paged=True, partial=True)[0] for r in requests)


def test_faults_without_sense_for_an_endpoint_become_a_503() -> None:
    faults = Faults(FaultPlan(rate=1.0, mix={EMPTY: 1, SHORT: 1, PARTIAL: 1}))
    kinds = {faults.decide("users", str(n), paged=False, partial=False)[0] for n in range(50)}
    assert kinds == {"status_503"}


def test_faults_can_be_kept_to_some_endpoints() -> None:
    faults = Faults(FaultPlan(rate=1.0, endpoints=frozenset({"users"})))
    assert faults.decide("users", "a", paged=False, partial=False)[0]
    assert faults.decide(TIMELINES, "b", paged=True, partial=True)[0] is None


def test_a_resource_is_charged_once_a_day_and_credential() -> None:
    ledger, noon = Ledger(), 1_700_000_000.0
    assert ledger.charge("a", TIMELINES, Charge("post", posts=((7, 0b1111),)), noon) == 4
    assert ledger.charge("a", TIMELINES, Charge("post", posts=((7, 0b111100),)), noon) == 2
    assert ledger.charge("b", TIMELINES, Charge("post", posts=((7, 0b1111),)), noon) == 4
    assert ledger.charge("a", "users", Charge("user", (1, 2, 70_000)), noon) == 3
    assert ledger.charge("a", "users", Charge("user", (2, 70_001)), noon) == 1
    assert ledger.charge("a", "users/:id/followers", Charge("follower", (1, 2)), noon) == 2
    assert ledger.charge("a", TIMELINES, Charge("post", posts=((7, 0b1),)), noon + 86_400) == 1
    assert ledger.spent("a") == pytest.approx(7 * 0.005 + 4 * 0.010 + 2 * 0.010)
    report = ledger.report()
    assert report["totals"]["read"] == {"post": 4 + 4 + 4 + 1, "user": 5, "follower": 2}
    assert report["totals"]["charged"] == {"post": 11, "user": 4, "follower": 2}
    assert report["totals"]["money"] == pytest.approx(11 * 0.005 + 0.06)
    assert sum(ledger.posts_read("a").values()) == 7


@pytest.mark.parametrize("walk", [TIMELINE, FOLLOWERS, FOLLOWING])
def test_tokens_lead_back_and_foreign_ones_do_not(walk: int) -> None:
    cursors, others = Cursors(1), Cursors(2)
    tokens = [cursors.token(walk, index, position) for index in (0, 9, 10**7) for position in (0, 1, 3200, 10**8)]
    assert len(set(tokens)) == len(tokens)
    assert {len(token) for token in tokens} == {45 if walk == TIMELINE else 16}
    assert cursors.position(walk, 9, cursors.token(walk, 9, 77)) == 77
    assert cursors.position(walk, 8, cursors.token(walk, 9, 77)) is None
    assert others.position(walk, 9, cursors.token(walk, 9, 77)) is None
    for wrong in (
        "",
        "x",
        "Z" * 16,
        tokens[0][:-1],
        tokens[0] + "0",
        tokens[0].swapcase() if walk == TIMELINE else "é" * 16,
    ):
        assert cursors.position(walk, 0, wrong) is None


def test_a_template_fills_slots_in_texts_and_numbers() -> None:
    document = {"a": slot("x"), "b": raw_slot("n"), "c": f"100% of {slot('x')} \ud83d", "d": [slot("x")]}
    template = Template(dump(document, escape=True), ("n", "x"))
    assert template.fill((b"12", b"id")) == b'{"a":"id","b":12,"c":"100% of id \\ud83d","d":["id"]}'
    assert Template('{"a":"50%"}', ("n",)).fill((b"1",)) == b'{"a":"50%"}'
    assert Template(dump({"a": raw_slot("n")}), ("n",)).fill((b"1",)) == b'{"a":1}'

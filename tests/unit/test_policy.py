"""The policy: each rule alone, their order, and refusals of rules that nobody knows."""

from __future__ import annotations

from typing import Any

import pytest

from twittomatic.errors import SettingsError
from twittomatic.job import Profile
from twittomatic.policy import RULES, Policy

DAY = 86_400.0
NOW = 1_800_000_000.0
WHOLE = Profile(
    id="12", name="Jack", description="Bread and circuits", language="en", followers=500, following=3, statuses=40,
    verified=True, protected=False, created=NOW - 100 * DAY,
)  # fmt: skip
SILENT = Profile(id="13")


@pytest.mark.parametrize(
    ("rules", "passes"),
    [
        ({}, True),
        ({"protected": False}, True),
        ({"protected": True}, False),
        ({"verified": True}, True),
        ({"verified": False}, False),
        ({"languages": ["de", "EN"]}, True),
        ({"languages": ["de"]}, False),
        ({"minimum_statuses": 40}, True),
        ({"minimum_statuses": 41}, False),
        ({"maximum_statuses": 40}, True),
        ({"maximum_statuses": 39}, False),
        ({"minimum_followers": 500}, True),
        ({"minimum_followers": 501}, False),
        ({"maximum_followers": 500}, True),
        ({"maximum_followers": 499}, False),
        ({"minimum_age_days": 100}, True),
        ({"minimum_age_days": 101}, False),
        ({"maximum_age_days": 100}, True),
        ({"maximum_age_days": 99}, False),
        ({"exclude": ["@jack"]}, False),
        ({"exclude": ["12"]}, False),
        ({"exclude": ["jacks"]}, True),
        ({"description": "circu"}, True),
        ({"description": "^circu"}, False),
    ],
)
def test_each_rule_at_its_border(rules: dict[str, Any], passes: bool) -> None:
    verdict = Policy(rules).judge(WHOLE, NOW)
    assert verdict.chosen is passes
    assert verdict.rule == ("" if passes else next(iter(rules)))


@pytest.mark.parametrize("name", sorted(set(RULES) - {"languages", "description", "exclude"}))
def test_what_the_network_did_not_say_refuses_nobody(name: str) -> None:
    value = True if name in {"protected", "verified"} else 10
    assert Policy({name: value}).judge(SILENT, NOW).chosen


def test_who_asks_for_a_language_wants_it_known() -> None:
    assert Policy({"languages": ["en"]}).judge(SILENT, NOW).rule == "languages"


def test_include_overrides_every_refusal_and_the_first_refusing_rule_is_named() -> None:
    rules = {"minimum_statuses": 1000, "minimum_followers": 1000, "verified": False}
    assert Policy(rules).judge(WHOLE, NOW).rule == "verified"
    assert Policy({**rules, "include": ["@JACK"]}).judge(WHOLE, NOW).chosen
    assert Policy({**rules, "include": ["12"]}).judge(WHOLE, NOW).chosen


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"min_statuses": 3}, "did you mean 'minimum_statuses'"),
        ({"languages": "en"}, "a list of texts"),
        ({"minimum_followers": "many"}, "a number"),
        ({"verified": 1}, "true or false"),
        ({"description": "("}, "regular expression"),
        ({"include": "jack"}, "a list of texts"),
    ],
)
def test_a_wrong_rule_is_refused_with_the_mend(rules: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words.replace("(", r"\(")):
        Policy(rules)


def test_a_rule_about_what_the_network_never_tells_is_refused() -> None:
    with pytest.raises(SettingsError, match="do not tell the language"):
        Policy({"languages": ["en"]}, {"language"})
    assert Policy({"verified": True}, {"language"}).judge(WHOLE, NOW).chosen


def test_bands_grow_with_followers_and_stay_within_sixteen() -> None:
    bands = [Policy({}).band(Profile(id="1", followers=count)) for count in (0, 1, 3, 1000, 32_767, 10**9)]
    assert bands == [0, 1, 2, 9, 15, 15]
    assert Policy({}).band(SILENT) == 0

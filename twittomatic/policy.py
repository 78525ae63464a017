"""Which users are worth crawling: declarative rules over a profile, tested without a network.

The setting FOLLOW is a mapping of rule names to values; the first rule that refuses a user names the refusal, and each
refusal is counted under that name. What the network did not say refuses nobody, except under ``languages``: who asks
for a language wants it known.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from math import log2
from typing import Any

from twittomatic.errors import SettingsError
from twittomatic.job import Profile

BANDS = 16
"""Bands of the priority traversal: 15 is served first."""

_DAY_SECONDS = 86_400.0

Rule = Callable[[Profile, float], bool]
"""True when the profile passes; the float is the present time in unix seconds."""


def _text_set(value: Any) -> frozenset[str]:
    if not isinstance(value, list | tuple | set | frozenset):
        raise TypeError("a list of texts")
    return frozenset(str(entry).lstrip("@").casefold() for entry in value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("a number")
    return float(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("true or false")
    return value


def _pattern(value: Any) -> re.Pattern[str]:
    if not isinstance(value, str):
        raise TypeError("a regular expression as text")
    try:
        return re.compile(value, re.IGNORECASE)
    except re.error as error:
        raise TypeError(f"a regular expression ({error})") from error


def _languages(value: Any) -> Rule:
    wanted = _text_set(value)
    return lambda profile, _: profile.language is not None and profile.language.casefold() in wanted


def _at_least(field: str) -> Callable[[Any], Rule]:
    def build(value: Any) -> Rule:
        low = _number(value)
        return lambda profile, _: (held := getattr(profile, field)) is None or held >= low

    return build


def _at_most(field: str) -> Callable[[Any], Rule]:
    def build(value: Any) -> Rule:
        high = _number(value)
        return lambda profile, _: (held := getattr(profile, field)) is None or held <= high

    return build


def _is(field: str) -> Callable[[Any], Rule]:
    def build(value: Any) -> Rule:
        wanted = _flag(value)
        return lambda profile, _: (held := getattr(profile, field)) is None or held is wanted

    return build


def _oldest(value: Any) -> Rule:
    days = _number(value)
    return lambda profile, now: profile.created is None or now - profile.created >= days * _DAY_SECONDS


def _youngest(value: Any) -> Rule:
    days = _number(value)
    return lambda profile, now: profile.created is None or now - profile.created <= days * _DAY_SECONDS


def _exclude(value: Any) -> Rule:
    refused = _text_set(value)
    return lambda profile, _: profile.id not in refused and profile.name.casefold() not in refused


def _description(value: Any) -> Rule:
    pattern = _pattern(value)
    return lambda profile, _: pattern.search(profile.description) is not None


RULES: dict[str, Callable[[Any], Rule]] = {
    "exclude": _exclude,
    "protected": _is("protected"),
    "verified": _is("verified"),
    "languages": _languages,
    "minimum_statuses": _at_least("statuses"),
    "maximum_statuses": _at_most("statuses"),
    "minimum_followers": _at_least("followers"),
    "maximum_followers": _at_most("followers"),
    "minimum_age_days": _oldest,
    "maximum_age_days": _youngest,
    "description": _description,
}
"""Every rule by its name in FOLLOW, in the order in which they are asked. ``include`` overrides them all."""

NEEDS: dict[str, str] = {
    "verified": "verified",
    "languages": "language",
    "minimum_statuses": "statuses",
    "maximum_statuses": "statuses",
    "minimum_followers": "followers",
    "maximum_followers": "followers",
    "minimum_age_days": "created",
    "maximum_age_days": "created",
    "description": "description",
}
"""The field of a profile without which a rule would refuse everybody or nobody."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """chosen: crawl this user; rule: the name of the rule that refused, empty when chosen."""

    chosen: bool
    rule: str = ""


class Policy:
    """Judges profiles by the rules of FOLLOW. SettingsError for an unknown rule, a value of the wrong type, or a rule
    about what the network's profiles never tell (``lacks``: fields of a profile)."""

    def __init__(self, rules: Mapping[str, Any], lacks: Collection[str] = ()) -> None:
        self._include = frozenset[str]()
        self._rules: list[tuple[str, Rule]] = []
        for name in rules:
            if name not in RULES and name != "include":
                near = difflib.get_close_matches(name, [*RULES, "include"], 1)
                hint = f"did you mean {near[0]!r}?" if near else f"the rules are {', '.join(['include', *RULES])}"
                raise SettingsError(f"FOLLOW has no rule {name!r}", hint)
            if NEEDS.get(name) in lacks:
                raise SettingsError(
                    f"FOLLOW has the rule {name!r}, but this network's profiles do not tell the {NEEDS[name]}",
                    "leave the rule out",
                )
        try:
            if "include" in rules:
                name = "include"
                self._include = _text_set(rules["include"])
            for name, build in RULES.items():
                if name in rules:
                    self._rules.append((name, build(rules[name])))
        except TypeError as error:
            raise SettingsError(f"FOLLOW[{name!r}] is {rules[name]!r}", f"it takes {error}") from error

    def judge(self, profile: Profile, now: float) -> Verdict:
        """The verdict on one profile at a moment (unix seconds)."""
        if profile.id in self._include or (profile.name and profile.name.casefold() in self._include):
            return Verdict(True)
        for name, passes in self._rules:
            if not passes(profile, now):
                return Verdict(False, name)
        return Verdict(True)

    def band(self, profile: Profile) -> int:
        """Band of the priority traversal, 0 to 15: a step per doubling of the followers, 15 from 32,768 on."""
        return min(BANDS - 1, int(log2((profile.followers or 0) + 1)))

"""A seeded plan of bad answers: which request is answered badly, how, and that its repeat succeeds."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twittomatic.emulator.chance import draw_text, mix, share
from twittomatic.errors import SettingsError

LATENCY, SLOW, RESET, CUT, CUT_GZIP, HTML = "latency", "slow", "reset", "cut", "cut_gzip", "html"
STATUS = {"status_500": 500, "status_502": 502, "status_503": 503}
EMPTY, SHORT, PARTIAL, LIMITED, CONNECTIONS = "empty", "short", "partial", "limited", "connections"
KINDS = (LATENCY, SLOW, RESET, CUT, CUT_GZIP, HTML, *STATUS, EMPTY, SHORT, PARTIAL, LIMITED, CONNECTIONS)
_MIX = dict.fromkeys((k for k in KINDS if k not in (LIMITED, CONNECTIONS)), 1.0)
_PAGES = frozenset({EMPTY, SHORT})
_REMEMBERED = 1_000_000


@dataclass(frozen=True, slots=True)
class CredentialPlan:
    """What befalls one credential. Calls are counted from 1; credits are dollars; None: never.

    forbidden: client-not-enrolled, official-client-forbidden or unsupported-authentication.
    """

    revoked_after: int | None = None
    capped_after: int | None = None
    credits: float | None = None
    forbidden: str | None = None


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """rate: share of the different requests that are answered badly, each ``repeats`` times, then well.

    mix: weights by kind; endpoints: only these (empty: all); latency_ms: from, to; slow_seconds: for a whole body;
    credentials: by token, ``*`` for all others; short_pages: share of pages shorter than asked (None: as the world has
    it); single_missing: status of a single lookup that finds nobody.
    """

    seed: int = 0
    rate: float = 0.0
    repeats: int = 1
    mix: Mapping[str, float] = field(default_factory=lambda: dict(_MIX))
    endpoints: frozenset[str] = frozenset()
    latency_ms: tuple[float, float] = (20.0, 80.0)
    slow_seconds: float = 0.3
    credentials: Mapping[str, CredentialPlan] = field(default_factory=dict)
    short_pages: float | None = None
    single_missing: int = 200


class Faults:
    """Applies a plan. The same plan and the same requests in any order give the same faults."""

    def __init__(self, plan: FaultPlan) -> None:
        self.plan = plan
        self._met: dict[str, int] = {}
        weights = [(kind, plan.mix.get(kind, 0.0)) for kind in KINDS]
        self._kinds = [(kind, weight) for kind, weight in weights if weight > 0]
        self._total = sum(weight for _, weight in self._kinds)

    def decide(self, endpoint: str, request: str, *, paged: bool, partial: bool) -> tuple[str | None, float]:
        """The kind of fault for a request, None for none; and a number in [0, 1) to measure it by.

        request: what tells it from others: target and paging parameters; paged: an empty or a short page makes sense
        here; partial: a partial error does.
        """
        plan = self.plan
        if plan.rate <= 0 or not self._kinds or (plan.endpoints and endpoint not in plan.endpoints):
            return None, 0.0
        bits = draw_text(plan.seed, f"{endpoint} {request}")
        if share(bits) >= plan.rate:
            return None, 0.0
        met = self._met.get(request, 0)
        if met >= plan.repeats:
            return None, 0.0
        if len(self._met) >= _REMEMBERED:
            self._met.pop(next(iter(self._met)))
        self._met[request] = met + 1
        return self._choose(mix(bits + met), paged, partial), share(mix(bits + 7))

    def _choose(self, bits: int, paged: bool, partial: bool) -> str:
        point = share(bits) * self._total
        for kind, weight in self._kinds:
            point -= weight
            if point < 0:
                misplaced = (kind in _PAGES and not paged) or (kind == PARTIAL and not partial)
                return "status_503" if misplaced else kind
        return self._kinds[-1][0]

    def credential(self, token: str) -> CredentialPlan | None:
        """What befalls this credential."""
        return self.plan.credentials.get(token, self.plan.credentials.get("*"))


def load_faults(path: Path | None) -> FaultPlan:
    """The plan of a TOML file: keys as in FaultPlan, tables ``[mix]`` and ``[credentials.TOKEN]``."""
    if path is None:
        return FaultPlan()
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"cannot read the fault plan {path}: {error}", "Give a TOML file") from error
    try:
        return _plan(document)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{path}: {error}", f"Kinds: {', '.join(KINDS)}") from error


def _plan(document: dict[str, Any]) -> FaultPlan:
    known = set(FaultPlan.__dataclass_fields__)
    if unknown := set(document) - known:
        raise ValueError(f"unknown {', '.join(sorted(unknown))}; known are {', '.join(sorted(known))}")
    if unknown := set(document.get("mix", {})) - set(KINDS):
        raise ValueError(f"unknown faults {', '.join(sorted(unknown))}")
    values = dict(document)
    if "endpoints" in values:
        values["endpoints"] = frozenset(values["endpoints"])
    if "latency_ms" in values:
        low, high = values["latency_ms"]
        values["latency_ms"] = (float(low), float(high))
    values["credentials"] = {name: CredentialPlan(**table) for name, table in values.get("credentials", {}).items()}
    plan = FaultPlan(**values)
    if not 0 <= plan.rate <= 1 or plan.repeats < 1:
        raise ValueError("rate is a share from 0 to 1, repeats at least 1")
    return plan

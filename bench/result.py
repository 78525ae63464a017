"""What a measurement leaves: raw values by series, what is claimed of them, and where and when they were taken."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

Say = Callable[[str], None]
"""Tells the person who waits one line."""


@dataclass(frozen=True)
class Series:
    """One thing that was measured in each round. what: for people; unit: of each value."""

    what: str
    unit: str
    values: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def shown(self) -> str:
        """Median, unit, extremes and number of the values."""
        low, high = number(min(self.values)), number(max(self.values))
        return f"{number(self.median)} {self.unit} ({low} to {high}, n {len(self.values)})"


@dataclass(frozen=True)
class Claim:
    """What is said of a series: alone, or as a ratio to another that was measured in the same rounds.

    least, most: what the ratio (without ``against`` the median) has to reach; without both it is only told.
    """

    what: str
    of: str
    against: str | None = None
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True)
class Result:
    """One measurement. name: its module; series: by key; size: what the rounds were made of; counts: raw counts of
    every round; any_claim: one claim that holds is enough; taken: where and when (``machine.taken``)."""

    name: str
    title: str
    series: Mapping[str, Series]
    claims: Sequence[Claim]
    size: Mapping[str, int | float | str]
    counts: Sequence[Mapping[str, float]] = ()
    any_claim: bool = False
    taken: Mapping[str, Any] = field(default_factory=dict)

    def value(self, claim: Claim) -> float:
        """Median over the rounds of the ratio; of the series itself where the claim stands alone."""
        own = self.series[claim.of]
        if claim.against is None:
            return own.median
        other = self.series[claim.against]
        return statistics.median(mine / its for mine, its in zip(own.values, other.values, strict=True))

    def holds(self, claim: Claim) -> bool:
        """Whether the claim's bounds are kept."""
        value = self.value(claim)
        return (claim.least is None or value >= claim.least) and (claim.most is None or value <= claim.most)

    @property
    def good(self) -> bool:
        """Whether what was to be reached is reached."""
        bound = [self.holds(claim) for claim in self.claims if claim.least is not None or claim.most is not None]
        return any(bound) if self.any_claim and bound else all(bound)

    def document(self) -> dict[str, Any]:
        """The result as JSON. Medians and ratios are told for readers; ``read`` takes the raw values alone."""
        told = asdict(self)
        told["medians"] = {key: series.median for key, series in self.series.items()}
        told["ratios"] = [self.value(claim) if claim.against else None for claim in self.claims]
        told["good"] = self.good
        return told

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """The result of a document."""
        return cls(
            name=document["name"],
            title=document["title"],
            series={key: Series(**series) for key, series in document["series"].items()},
            claims=[Claim(**claim) for claim in document["claims"]],
            size=document["size"],
            counts=document["counts"],
            any_claim=document["any_claim"],
            taken=document["taken"],
        )

    def words(self) -> str:
        """What was run and what came out, for a terminal."""
        lines = [f"{self.name}: {self.title}"]
        lines.append("  run    " + ", ".join(f"{key} {value}" for key, value in self.size.items()))
        width = max(len(series.what) for series in self.series.values())
        lines += [f"  {series.what:<{width}}  {series.shown()}" for series in self.series.values()]
        for claim in self.claims:
            lines.append(f"  {claim.what}: {self.shown(claim)}; wanted: {wanted(claim)}")
        lines.append(f"  {'reached' if self.good else 'NOT REACHED'}")
        return "\n".join(lines)

    def shown(self, claim: Claim) -> str:
        """The value of a claim with its unit: times, where it is a ratio."""
        value = number(self.value(claim))
        return f"{value} times" if claim.against else f"{value} {self.series[claim.of].unit}"


def wanted(claim: Claim) -> str:
    """The bounds of a claim in words."""
    bounds = [("at least", claim.least), ("at most", claim.most)]
    return " and ".join(f"{words} {number(bound)}" for words, bound in bounds if bound is not None) or "only told"


def number(value: float) -> str:
    """Three digits that count, without exponents."""
    if abs(value) >= 99.95:
        return f"{value:,.0f}"
    for digits, below in ((3, 0.9995), (2, 9.995), (1, 1e9)):
        if abs(value) < below:
            return f"{value:.{digits}f}"
    return f"{value:.1f}"

"""The README's tables of measurements, made from the committed result files and from nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench import BENCHES
from bench.machine import CHECKOUT, described
from bench.result import Result, number, wanted

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
RESULTS = CHECKOUT / "bench" / "results"
README = CHECKOUT / "README.md"
_HEADINGS = ("what", "median (lowest to highest)", "beside it", "ratio", "wanted")


def kept(folder: Path = RESULTS) -> list[Result]:
    """The results in a folder, in the order of BENCHES."""
    paths = [folder / f"{name}.json" for name in BENCHES]
    return [Result.read(json.loads(path.read_text(encoding="utf-8"))) for path in paths if path.exists()]


def updated(text: str, results: Sequence[Result]) -> str:
    """A README with what the results say between the markers. ValueError when it has not one pair of them."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"the README needs one {BEGIN} and, behind it, one {END}")
    before, after = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
    return f"{before}\n{tables(results)}\n{after}"


def tables(results: Sequence[Result]) -> str:
    """One table of all claims; below it where, when and of what they were measured."""
    rows = [_HEADINGS, ("---",) * len(_HEADINGS), *(row for result in results for row in _rows(result))]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines, "", *_notes(results)])


def _rows(result: Result) -> Iterable[tuple[str, ...]]:
    for claim in result.claims:
        other = result.series[claim.against] if claim.against else None
        beside = f"{other.what}: {other.shown()}" if other else ""
        ratio = number(result.value(claim)) if other else ""
        bound = claim.least is not None or claim.most is not None
        reached = result.good if result.any_claim else result.holds(claim)
        aim = wanted(claim) if bound else ""
        aim += " or the other" if bound and result.any_claim else "" if reached else ": not reached"
        yield f"`{result.name}`: {claim.what}", result.series[claim.of].shown(), beside, ratio, aim


def _notes(results: Sequence[Result]) -> Iterable[str]:
    places: dict[str, list[str]] = {}
    for result in results:
        taken = result.taken
        size = ", ".join(f"{key} {value}" for key, value in result.size.items())
        changed = " with changes" if taken["changed"] else ""
        yield (
            f"- `{result.name}`: {result.title}. Run: {size}, seed {taken['seed']}; {taken['date']} UTC, "
            f"commit {taken['commit']}{changed}, load {taken['machine']['load']} a core."
        )
        versions = ", ".join(f"{name} {version}" for name, version in taken["versions"].items())
        places.setdefault(f"{described(taken['machine'])}; {versions}", []).append(f"`{result.name}`")
    for place, names in places.items():
        yield f"- {', '.join(names)} on {place}."

"""What a crawl leaves to be read at its end, as a document and as words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twittomatic.cli.progress import duration
from twittomatic.kinds import KINDS
from twittomatic.seeds import Survey
from twittomatic.state.snapshot import Snapshot

Document = dict[str, Any]


def document(snapshot: Snapshot, output: Path, seconds: float, survey: Survey | None, *, is_free: bool) -> Document:
    """The summary as one JSON document. pages and items by kind; cost in dollars at the prices of the settings."""
    counters = snapshot.counters
    frontier = snapshot.settings.get("frontier_path") or None
    return {
        "crawl": snapshot.crawl,
        "state": snapshot.state,
        "iteration": snapshot.iteration,
        "users": {
            "done": counters.get("users.done", 0) + counters.get("users.already", 0),
            "gone": counters.get("users.gone", 0),
            "dead": counters.get("users.dead", 0),
        },
        "already": counters.get("users.already", 0),
        "left_out": counters.get("left_out", 0),
        "reasons": dict(snapshot.reasons),
        "jobs": {
            kind: {state: counters.get(f"{kind}.{state}", 0) for state in ("done", "gone", "dead", "already")}
            for kind in KINDS
        },
        "pages": {kind: snapshot.kinds[kind].pages for kind in KINDS},
        "items": {kind: snapshot.kinds[kind].items for kind in KINDS},
        "profiles": counters.get("follower.profiles", 0) + counters.get("analyzer.profiles", 0),
        "discovered": counters.get("discovered", 0),
        "refused": {
            name.removeprefix("refused."): number for name, number in counters.items() if name.startswith("refused.")
        },
        "requests": snapshot.requests,
        "cost": round(snapshot.cost_micro / 1e6, 6),
        "cost_is_real": not is_free,
        "frontier": {"path": frontier, "users": int(snapshot.settings.get("frontier_count") or 0)},
        "seeds": {
            "good": survey.good if survey else None,
            "bad": survey.bad_count if survey else None,
            "doubles": survey.doubles if survey else None,
            "unknown_names": int(snapshot.settings.get("seeds_unknown") or 0),
        },
        "left": sum(held.waiting + held.running for held in snapshot.kinds.values()),
        "output": str(output),
        "seconds": round(seconds, 3),
    }


def words(summary: Document) -> str:
    """The summary for a person."""
    users, items = summary["users"], summary["items"]
    finished = summary["state"] == "done"
    lines = [
        f"Crawl {summary['crawl']} {'is done' if finished else 'is not finished'}"
        f" after {duration(summary['seconds'])}{'' if finished else '; what was fetched is kept'}.",
        f"  users      {users['done']:,} done, {users['gone']:,} gone, {users['dead']:,} dead" + _reasons(summary),
        f"  tweets     {items['timeline'] + items['update']:,} on"
        f" {summary['pages']['timeline'] + summary['pages']['update']:,} pages",
        f"  followers  {items['follower']:,} on {summary['pages']['follower']:,} pages;"
        f" {summary['profiles']:,} profiles",
        f"  found      {summary['discovered']:,} new users" + _refused(summary),
        f"  requests   {summary['requests']:,}; {_cost(summary)}",
        f"  files      {summary['output']}",
    ]
    if summary["already"]:
        lines.insert(2, f"  at hand    {summary['already']:,} of them were done already")
    if summary["left_out"]:
        lines.append(f"  left out   {summary['left_out']:,} users beyond --max-users: they are in the frontier file")
    seeds = summary["seeds"]
    if seeds["bad"] or seeds["doubles"] or seeds["unknown_names"]:
        lines.append(
            f"  seeds      {seeds['good'] or 0:,} good, {seeds['doubles'] or 0:,} doubles,"
            f" {seeds['bad'] or 0:,} bad lines, {seeds['unknown_names']:,} names that nobody has"
        )
    if summary["frontier"]["path"]:
        lines.append(f"  frontier   {summary['frontier']['users']:,} users in {summary['frontier']['path']}")
    return "\n".join(lines)


def _reasons(summary: Document) -> str:
    reasons = [f"{number:,} {reason}" for reason, number in sorted(summary["reasons"].items())]
    return f" ({', '.join(reasons)})" if reasons else ""


def _refused(summary: Document) -> str:
    refused = [f"{number:,} {rule}" for rule, number in sorted(summary["refused"].items())]
    return f"; refused: {', '.join(refused)}" if refused else ""


def _cost(summary: Document) -> str:
    if summary["cost_is_real"]:
        return f"cost ${summary['cost']:,.2f} at the prices in the settings"
    return f"on the real API this would have cost ${summary['cost']:,.2f}"

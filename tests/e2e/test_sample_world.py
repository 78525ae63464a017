"""The first of the two commands on a machine where nothing is configured."""

from __future__ import annotations

import re
from pathlib import Path

from tests.checker import check
from tests.e2e.programs import Machine
from twittomatic.job import CLAIM_ORDER

FIELDS = {"crawl", "users", "reasons", "pages", "items", "requests", "cost", "frontier", "output", "seconds"}
SAMPLE = ["emulator", "--json", "--users", "2000", "--seed", "7"]


def seeds_of(machine: Machine) -> list[str]:
    lines = (machine.output / ".seeds" / "sample.txt").read_text().splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_an_empty_machine_crawls_the_sample_world_and_the_second_run_asks_nothing(machine: Machine) -> None:
    first = machine.run("crawl", "--output", "data", "--json")
    told = first.document
    assert set(told) >= FIELDS
    assert set(told["users"]) == {"done", "gone", "dead"}
    assert set(told["items"]) == set(told["pages"]) == set(CLAIM_ORDER)
    assert told["state"] == "done"
    assert told["left"] == 0
    assert told["users"]["done"] + told["users"]["gone"] == len(seeds_of(machine)) == 20
    assert told["users"]["gone"] == sum(told["reasons"].values())
    assert told["items"]["timeline"] > 0 < told["items"]["follower"]
    assert told["requests"] > 20
    assert told["cost"] > 0
    assert told["cost_is_real"] is False
    frontier = Path(told["frontier"]["path"])
    assert frontier.is_file()
    assert told["frontier"]["users"] > 0
    assert "No credentials are configured" in first.err
    assert "private server" in first.err

    finals = {path: path.stat().st_mtime_ns for path in machine.output.glob("[0-9]*/*")}
    second = machine.run("crawl", "--output", "data", "--json").document
    assert second["users"] == told["users"]
    assert second["requests"] == told["requests"]
    assert second["frontier"] == told["frontier"]
    assert {path: path.stat().st_mtime_ns for path in machine.output.glob("[0-9]*/*")} == finals

    report = check(machine.output, seeds=seeds_of(machine), twin_url=machine.twin(*SAMPLE[2:]).url, traversal="default")
    assert report.good, report
    assert report.leftovers == []
    assert report.tweets == told["items"]["timeline"]
    assert report.followers == told["items"]["follower"]


def test_a_person_reads_what_was_crawled_and_what_to_type_next(machine: Machine) -> None:
    ended = machine.run("crawl", "-T", "--output", "data")
    assert ended.status == 0, ended.err
    assert "Crawl main is done" in ended.out
    assert re.search(r"users +\d+ done, \d+ gone, 0 dead", ended.out)
    assert "would have cost $" in ended.out
    assert re.search(r"^Next: twittomatic crawl -U --output \S*data ", ended.out, re.MULTILINE)
    logs = {path.name for path in (machine.output / ".logs").iterdir()}
    assert any(name.startswith("master-") for name in logs)
    assert sum(name.startswith("worker-") for name in logs) == 2
    assert "crawl-main.log" in logs

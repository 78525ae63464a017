"""The measurements: what is made of raw values, and that the README tells what the kept results say."""

from __future__ import annotations

import gzip
import importlib
import json
import re
import socket
from pathlib import Path

import pytest

from bench import BENCHES, readme
from bench.client import parse_head
from bench.crawling import Look, _between
from bench.machine import CHECKOUT, machine, taken
from bench.readme import BEGIN, END
from bench.result import Claim, Result, Series, number
from bench.start import has_tweet

RESULTS = sorted(readme.RESULTS.glob("*.json"))


def result(**changes: object) -> Result:
    """Three rounds of two things; the median of the ratios is not the ratio of the medians."""
    fields: dict[str, object] = {
        "name": "twin",
        "title": "a title",
        "series": {
            "ours": Series("ours", "pages/s", [100.0, 400.0, 90.0]),
            "theirs": Series("theirs", "pages/s", [10.0, 100.0, 30.0]),
        },
        "claims": [Claim("ours beside theirs", "ours", "theirs", least=5), Claim("ours", "ours", most=120)],
        "size": {"rounds": 3},
        "counts": [{"pages": 7}],
        "taken": taken(5),
    }
    return Result(**{**fields, **changes})  # type: ignore[arg-type]


def test_the_readme_shows_what_the_kept_results_say() -> None:
    text = readme.README.read_text(encoding="utf-8")
    assert readme.updated(text, readme.kept()) == text, "run bin/bench --readme"


@pytest.mark.parametrize("name", BENCHES)
def test_every_measurement_is_kept_has_two_sizes_and_is_in_the_readme(name: str) -> None:
    module = importlib.import_module(f"bench.{name}")
    assert module.FULL != module.SMALL
    assert callable(module.measure)
    assert f"`{name}`" in readme.tables(readme.kept())


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_a_kept_result_is_of_a_measurement_and_can_be_judged(path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    assert path.stem == document["name"]
    assert document["name"] in BENCHES
    assert set(document["taken"]) == {"seed", "commit", "changed", "date", "machine", "versions"}
    assert re.fullmatch(r"[0-9a-f]{12}", document["taken"]["commit"])
    assert all(len(series["values"]) >= 5 for series in document["series"].values())
    read = Result.read(document)
    assert read.document() == document
    assert all(read.series[key].median == median for key, median in document["medians"].items())


@pytest.mark.parametrize("text", [*(path.read_text() for path in RESULTS), json.dumps(machine())])
def test_nothing_names_a_machine_or_its_folders(text: str) -> None:
    assert not re.search(rf"\b{re.escape(socket.gethostname())}\b", text)
    assert str(CHECKOUT) not in text
    assert not re.search(r"[\"\s](/[\w.-]+){2,}", text)


def test_a_ratio_is_the_median_of_the_rounds_and_survives_being_kept() -> None:
    found = result()
    assert found.value(found.claims[0]) == 4.0  # of 10, 4 and 3
    assert found.value(found.claims[1]) == 100.0
    again = Result.read(json.loads(json.dumps(found.document())))
    assert again.words() == found.words()
    assert found.document()["ratios"] == [4.0, None]


@pytest.mark.parametrize(("any_claim", "good"), [(False, False), (True, True)])
def test_all_claims_have_to_hold_unless_one_is_enough(any_claim: bool, good: bool) -> None:
    found = result(any_claim=any_claim)
    assert [found.holds(claim) for claim in found.claims] == [False, True]
    assert found.good is good
    assert ("NOT REACHED" in found.words()) is not good
    assert readme.tables([found]).count(": not reached") == int(not good)


def test_a_claim_without_bounds_is_only_told() -> None:
    found = result(claims=[Claim("ours", "ours")])
    assert found.good
    assert "only told" in found.words()


def test_sides_of_different_rounds_have_no_ratio() -> None:
    uneven = {"ours": Series("ours", "s", [1.0, 2.0]), "theirs": Series("theirs", "s", [1.0])}
    found = result(series=uneven)
    with pytest.raises(ValueError, match="zip"):
        found.value(found.claims[0])


def test_only_what_is_between_the_markers_is_replaced() -> None:
    before, after = f"# A\n\n{BEGIN}\nold\n", f"{END}\n\nrest\n"
    once = readme.updated(before + after, [result()])
    assert once.startswith(f"# A\n\n{BEGIN}\n| what |")
    assert once.endswith(after)
    assert "old" not in once
    assert readme.updated(once, [result()]) == once


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_a_readme_without_one_pair_of_markers_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="bench:begin"):
        readme.updated(text, [])


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0.000"), (0.1624, "0.162"), (0.9996, "1.00"), (1.236, "1.24"), (9.996, "10.0"), (99.94, "99.9"),
     (99.96, "100"), (1234.5, "1,234")],
)  # fmt: skip
def test_numbers_have_three_digits_that_count(value: float, shown: str) -> None:
    assert number(value) == shown


def test_a_head_is_read_when_it_is_complete() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n"
    assert parse_head(head + b"{}") == (len(head), 12)
    assert parse_head(head[:-1]) is None


@pytest.mark.parametrize("head", [b"HTTP/1.1 429 No\r\nContent-Length: 1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_what_is_no_page_ends_a_measurement(head: bytes) -> None:
    with pytest.raises(ValueError, match="not a page"):
        parse_head(head)


def test_a_crawl_is_measured_between_its_first_and_its_last_page() -> None:
    looks = [
        Look(1.0, 0, 0, {"workers": 0.5}),
        Look(2.0, 10, 1000, {"workers": 0.6}),
        Look(4.0, 110, 11_000, {"workers": 1.1}),
        Look(9.0, 110, 11_000, {"workers": 1.2}),
    ]
    found = _between(looks, stored=5)
    assert (found.pages, found.posts, found.seconds) == (100, 10_000, 2.0)
    assert found.pages_per_second == 50.0
    assert found.cpu_ms_per_page("workers") == pytest.approx(5.0)


@pytest.mark.parametrize(("pages", "why"), [([], "ended before"), ([0, 0], "ended before"), ([3, 9], "only 6 pages")])
def test_a_crawl_that_was_hardly_seen_is_no_measurement(pages: list[int], why: str) -> None:
    looks = [Look(float(at), count, count, {}) for at, count in enumerate(pages)]
    with pytest.raises(RuntimeError, match=why):
        _between(looks, stored=0)


@pytest.mark.parametrize("place", ["12/12.twt", ".parts/12/12.twt.1"])
def test_a_tweet_is_there_when_a_file_gives_a_line(tmp_path: Path, place: str) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    assert not has_tweet(tmp_path)
    whole = gzip.compress(b'{"id":"1"}\n' * 1000)
    path.write_bytes(whole[:12])
    assert not has_tweet(tmp_path)
    path.write_bytes(gzip.compress(b""))
    assert not has_tweet(tmp_path)
    path.write_bytes(whole)
    assert has_tweet(tmp_path)

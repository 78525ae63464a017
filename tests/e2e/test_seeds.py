"""Every way in which a person may name the users to begin with, and what is said about those that name nobody."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.checker import TIMELINE, check
from tests.e2e.programs import Machine, Twin

BY_NAME = "users/by"


@pytest.fixture
def twin(keyed: Machine, ring: Path, talk: Path) -> Twin:
    keyed.variables["TWITTOMATIC_WORKERS"] = "1"
    return keyed.twin("--graph", ring, "--tweets", talk)


def name_of(twin: Twin, id_: int) -> str:
    known = twin.user(str(id_))
    assert known is not None
    return str(known["username"])


def names_kept(machine: Machine) -> list[dict[str, object]]:
    return [json.loads(line) for line in (machine.output / ".names.jsonl").read_text().splitlines()]


def test_every_form_of_a_line_is_read(keyed: Machine, twin: Twin) -> None:
    lines = [
        "\ufeff7",
        f"@{name_of(twin, 8)}  # a friend",
        f"https://x.com/{name_of(twin, 9)}",
        f"twitter.com/{name_of(twin, 10).upper()}/status/1",
        "https://x.com/i/user/11",
        "",
        "   ",
        "# nobody",
        "7",
        f"@{name_of(twin, 8).upper()}",
    ]
    seeds = keyed.home / "seeds.txt"
    seeds.write_bytes("\r\n".join(lines).encode())
    told = keyed.run(*keyed.crawl(twin, seeds, "-T", "--strict")).document
    assert told["seeds"] == {"good": 5, "bad": 0, "doubles": 2, "unknown_names": 0}
    assert told["users"] == {"done": 5, "gone": 0, "dead": 0}
    assert twin.endpoints[BY_NAME] == 1
    report = check(
        keyed.output, seeds=["7", "8", "9", "10", "11"], twin_url=twin.url, kinds=(TIMELINE,), traversal="default"
    )
    assert report.good, report


def test_names_are_asked_for_by_the_hundred_and_only_once(keyed: Machine, twin: Twin) -> None:
    names = [name_of(twin, number) for number in range(120)]
    unknown = ["nobody_1", "nobody_2"]
    seeds = keyed.home / "names.gz"
    seeds.write_bytes(gzip.compress("".join(f"@{name}\n" for name in [*names, *unknown]).encode()))
    first = keyed.run(*keyed.crawl(twin, seeds, "-T")).document
    assert first["users"]["done"] == 120
    assert first["seeds"]["unknown_names"] == 2
    assert twin.endpoints[BY_NAME] == 2
    kept = names_kept(keyed)
    assert {answer["name"]: answer.get("id") for answer in kept if "id" in answer} == {
        name: str(number) for number, name in enumerate(names)
    }
    assert {answer["name"]: answer["gone"] for answer in kept if "gone" in answer} == dict.fromkeys(
        unknown, "not_found"
    )

    seeds.write_text("".join(f"@{name.swapcase()}\n" for name in [*reversed(names), *unknown]))
    asked = twin.total
    second = keyed.run(*keyed.crawl(twin, seeds, "-T")).document
    assert second["users"]["done"] == 120
    assert second["seeds"]["unknown_names"] == 2
    assert twin.total == asked
    assert names_kept(keyed) == kept


def test_a_cut_line_of_kept_names_is_asked_for_again(keyed: Machine, twin: Twin) -> None:
    seeds = keyed.home / "seeds.txt"
    seeds.write_text("".join(f"@{name_of(twin, number)}\n" for number in range(3)))
    keyed.run(*keyed.crawl(twin, seeds, "-T")).document  # noqa: B018 - a status other than 0 fails
    kept = keyed.output / ".names.jsonl"
    kept.write_bytes(kept.read_bytes()[:-20])
    seeds.write_text(seeds.read_text() + "4\n")
    assert keyed.run(*keyed.crawl(twin, seeds, "-T")).document["users"]["done"] == 4
    assert len(names_kept(keyed)) == 3
    assert twin.endpoints[BY_NAME] == 2


def test_standard_input_is_read(keyed: Machine, twin: Twin) -> None:
    told = keyed.run(*keyed.crawl(twin, "-", "-T"), stdin=b"3\n4\n").document
    assert told["users"]["done"] == 2
    asked = twin.total
    assert keyed.run(*keyed.crawl(twin, "-", "-T"), stdin=b"3\n4\n").document["users"]["done"] == 2
    assert keyed.run(*keyed.crawl(twin, "-T")).document["users"]["done"] == 2
    assert twin.total == asked


BAD = "7\nsome body\n@much_too_long_for_a_name\n007\nhttps://example.org/x\n8\n"


def test_bad_lines_are_reported_all_at_once_and_the_good_ones_run(keyed: Machine, twin: Twin) -> None:
    ended = keyed.run(*keyed.crawl(twin, "-", "-T"), stdin=BAD.encode())
    assert ended.document["seeds"] == {"good": 2, "bad": 4, "doubles": 0, "unknown_names": 0}
    assert ended.document["users"]["done"] == 2
    for number, text in ((2, "some body"), (3, "@much_too_long_for_a_name"), (4, "007"), (5, "https://example.org/x")):
        assert f"line {number}: '{text}': " in " ".join(ended.err.split())


def test_strict_refuses_to_start(keyed: Machine, twin: Twin) -> None:
    ended = keyed.run(*keyed.crawl(twin, "-", "-T", "--strict"), stdin=BAD.encode())
    assert ended.status == 2
    assert ended.out == ""
    assert "line 2" in ended.err
    assert "line 5" in ended.err
    assert twin.total == 0
    assert not list(keyed.output.glob("[0-9]*"))


@pytest.mark.parametrize("content", [b"", b"# nobody\n\n", b"some body\n"])
def test_a_file_without_users_is_an_error(keyed: Machine, twin: Twin, content: bytes) -> None:
    seeds = keyed.home / "seeds.txt"
    seeds.write_bytes(content)
    ended = keyed.run(*keyed.crawl(twin, seeds, "-T"))
    assert ended.status == 2
    assert "names nobody" in ended.err
    assert "Traceback" not in ended.err


def test_a_missing_file_is_an_error(keyed: Machine, twin: Twin) -> None:
    ended = keyed.run(*keyed.crawl(twin, "nowhere.txt", "-T"))
    assert ended.status == 2
    assert "nowhere.txt cannot be read" in ended.err


def test_without_seeds_there_is_nothing_to_crawl(keyed: Machine, twin: Twin) -> None:
    ended = keyed.run(*keyed.crawl(twin, "-T"))
    assert ended.status == 2
    assert "no seeds" in ended.err
    assert "Traceback" not in ended.err

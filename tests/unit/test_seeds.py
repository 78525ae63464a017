"""Seeds files as people write them."""

from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path

import pytest

from twittomatic import seeds
from twittomatic.errors import SeedsError
from twittomatic.sources.base import Seed
from twittomatic.sources.x_seeds import parse_seed


def write(folder: Path, content: bytes, name: str = "seeds.txt") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("text", "seed"),
    [
        ("12", Seed(id="12")),
        ("0", Seed(id="0")),
        ("1234567890123456789", Seed(id="1234567890123456789")),
        ("@jack", Seed(name="jack")),
        ("@12", Seed(name="12")),
        ("https://x.com/jack", Seed(name="jack")),
        ("http://www.twitter.com/Jack/status/20?s=20", Seed(name="Jack")),
        ("mobile.twitter.com/jack", Seed(name="jack")),
        ("https://x.com/i/user/12", Seed(id="12")),
        ("https://twitter.com/intent/user?user_id=12", Seed(id="12")),
        ("https://twitter.com/intent/user?screen_name=jack", Seed(name="jack")),
        ("https://x.com/@jack", Seed(name="jack")),
    ],
)
def test_every_form_of_a_user(text: str, seed: Seed) -> None:
    assert parse_seed(text) == seed


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("jack", "written with an @: @jack"),
        ("012", "no leading zero"),
        ("9999999999999999999", "below 2"),
        ("12345678901234567890", "1 to 19 digits"),
        ("-5", "neither an id"),
        ("1e5x!", "neither"),
        ("@", "1 to 15"),
        ("@name-with-dash", "1 to 15"),
        ("@sixteencharacters", "1 to 15"),
        ("https://example.com/jack", "not an address"),
        ("ftp://x.com/jack", "not an address"),
        ("https://x.com/", "names no user"),
        ("https://x.com/search?q=a", "names no user"),
        ("https://x.com/i/user/abc", "no valid id"),
        ("3.14", "not an address"),
        ("١٢", "neither"),
    ],
)
def test_a_line_that_names_nobody_says_why(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_seed(text)


def test_comments_blank_lines_crlf_bom_and_doubles(tmp_path: Path) -> None:
    path = write(tmp_path, b"\xef\xbb\xbf12\r\n\r\n# nobody\r\n  @jack  # him\r\n12\r\n@JACK\r\n13")
    found = seeds.survey(path, parse_seed)
    assert (found.good, found.doubles, found.bad_count) == (3, 2, 0)
    assert list(seeds.read(path, parse_seed)) == [
        Seed(id="12"), Seed(name="jack"), Seed(id="12"), Seed(name="JACK"), Seed(id="13"),
    ]  # fmt: skip


def test_bad_lines_are_reported_all_in_one_go(tmp_path: Path) -> None:
    path = write(tmp_path, b"12\njack\n\xff\xfe\n@ok\n007\n")
    found = seeds.survey(path, parse_seed)
    assert (found.good, found.bad_count) == (2, 3)
    assert [bad.number for bad in found.bad] == [2, 3, 5]
    with pytest.raises(SeedsError, match=r"(?s)3 lines.*line 2: 'jack'.*line 5: '007'.*--strict"):
        seeds.survey(path, parse_seed, strict=True)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"# only words\n", b"jack\n"])
def test_a_file_without_a_user_is_an_error(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(SeedsError, match="names nobody"):
        seeds.survey(write(tmp_path, content), parse_seed)


def test_gzip_is_read_whatever_the_name_and_several_members_are_one_file(tmp_path: Path) -> None:
    path = write(tmp_path, gzip.compress(b"# frontier\n1\n2\n") + gzip.compress(b"3\n"), "frontier.gz")
    assert [seed.id for seed in seeds.read(path, parse_seed)] == ["1", "2", "3"]


def test_utf16_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, "12\r\n@jack\r\n".encode("utf-16"))
    assert list(seeds.read(path, parse_seed)) == [Seed(id="12"), Seed(name="jack")]


@pytest.mark.parametrize("damage", ["missing", "cut", "folder"])
def test_an_unreadable_file_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "seeds.gz"
    if damage == "cut":
        path.write_bytes(gzip.compress(b"1\n" * 10_000)[:-9])
    elif damage == "folder":
        path.mkdir()
    with pytest.raises(SeedsError, match=r"seeds\.gz cannot be read"):
        seeds.survey(path, parse_seed)


def test_the_digest_is_of_the_users_not_of_their_spelling(tmp_path: Path) -> None:
    one = seeds.survey(write(tmp_path, b"12\n@jack\n", "one"), parse_seed).digest
    same = seeds.survey(write(tmp_path, b"# him\r\n12\r\nhttps://x.com/Jack\r\n", "same"), parse_seed).digest
    other = seeds.survey(write(tmp_path, b"@jack\n12\n13\n", "other"), parse_seed).digest
    assert one == same != other


def test_standard_input_is_kept_so_that_a_repeat_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = []
    for _ in range(2):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"12\n")))
        paths.append(seeds.kept("-", tmp_path / "kept"))
    assert paths[0] == paths[1]
    assert [path.read_bytes() for path in (tmp_path / "kept").iterdir()] == [b"12\n"]

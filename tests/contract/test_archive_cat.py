"""Printing a file of the archive: exact lines, chosen members."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.contract.archive_pages import NAMES, USER, crawl, open_archive
from twittomatic.archive.cat import cat
from twittomatic.errors import ArchiveError
from twittomatic.job import FWS, TWT

LINES = [
    b'{"id":"3","text":"two\\nlines","user":{"name":"\\u00d1u"},"n":1.50,"tags":[{"t":"a"},{"t":"b"}]}',
    b'{"id":"2","text":"\\ud83d","big":123456789012345678901234567890}',
    b"[1]",
]


@pytest.fixture(params=NAMES)
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    archive = open_archive(request.param, tmp_path / "out")
    crawl(archive, "1-a", LINES[:2], LINES[2:])
    crawl(archive, "1-a", [b"12", b"1790000000000000001"], suffix=FWS)
    return archive


@pytest.mark.parametrize("select", [None, []])
def test_lines_are_exact(archive: Any, select: list[str] | None) -> None:
    assert list(cat(archive, USER, TWT, select)) == LINES


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("id", [b"3", b"2", b"null"]),
        ("text", [b"two\\nlines", b"\\ud83d", b"null"]),
        ("user.name", ["Ñu".encode(), b"null", b"null"]),
        ("user", ['{"name":"Ñu"}'.encode(), b"null", b"null"]),
        ("user.name.first", [b"null"] * 3),
        ("big", [b"null", b"123456789012345678901234567890", b"null"]),
        ("tags.1.t", [b"b", b"null", b"null"]),
        ("tags.9.t", [b"null"] * 3),
        ("0", [b"null", b"null", b"1"]),
    ],
)
def test_one_path_gives_bare_values(archive: Any, path: str, values: list[bytes]) -> None:
    assert list(cat(archive, USER, TWT, [path])) == values


def test_one_path_gives_json_where_it_goes_into_a_document(archive: Any) -> None:
    printed = list(cat(archive, USER, TWT, ["text"], bare=False))
    assert printed == [b'"two\\nlines"', b'"\\ud83d"', b"null"]
    assert json.loads(b"[%s]" % b",".join(printed)) == ["two\nlines", "\ud83d", None]


def test_several_paths_give_objects(archive: Any) -> None:
    printed = list(cat(archive, USER, TWT, ["id", "user.name", "text"]))
    assert [json.loads(line) for line in printed] == [
        {"id": "3", "user.name": "Ñu", "text": "two\nlines"},
        {"id": "2", "user.name": None, "text": "\ud83d"},
        {"id": None, "user.name": None, "text": None},
    ]
    assert printed[0] == '{"id":"3","user.name":"Ñu","text":"two\\nlines"}'.encode()


def test_followers_are_ids(archive: Any) -> None:
    assert list(cat(archive, USER, FWS)) == [b"12", b"1790000000000000001"]
    assert list(cat(archive, USER, FWS, ["id"])) == [b"12", b"1790000000000000001"]
    assert list(cat(archive, USER, FWS, ["id", "name"])) == [
        b'{"id":"12","name":null}',
        b'{"id":"1790000000000000001","name":null}',
    ]


def test_a_line_that_is_not_json_is_named(archive: Any) -> None:
    crawl(archive, "1-a", [b'{"id":"\xff"}', b"{oops"], user="9")
    printed = cat(archive, "9", TWT, ["id"])
    assert next(printed) == "\N{REPLACEMENT CHARACTER}".encode()
    with pytest.raises(ArchiveError, match=r"line 2 of 9.twt is not JSON"):
        next(printed)


def test_without_a_file_nothing_is_printed(archive: Any) -> None:
    assert list(cat(archive, "5", TWT, ["id"])) == []

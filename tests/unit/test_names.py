"""Names that were looked up once are kept, and never paid for again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from twittomatic.names import FILE_NAME, Names
from twittomatic.sources.base import UNAVAILABLE, Item, Missing, Page


@pytest.fixture
def names(tmp_path: Path) -> Iterator[Names]:
    found = Names(tmp_path)
    yield found
    found.close()


def answer(**ids: str) -> tuple[Page, dict[str, str]]:
    items = [
        Item(id_, json.dumps({"id": id_, "username": name, "x": "é \u2028"}).encode()) for name, id_ in ids.items()
    ]
    return Page(items, None), {id_: name.casefold() for name, id_ in ids.items()}


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / FILE_NAME).read_bytes().split(b"\n")[:-1]]


def test_what_is_kept_is_known_in_any_case_of_letters(names: Names, tmp_path: Path) -> None:
    page, names_of = answer(Ada="12", bob="13")
    names.keep(["ADA", "bob", "carl"], page, names_of, 77)
    assert names.id_of("ada") == names.id_of("ADA") == "12"
    assert names.id_of("carl") is None
    assert names.reason_of("carl") == "not_found"
    assert names.reason_of("ada") is None
    first = lines(tmp_path)[0]
    assert (first["name"], first["id"], first["at"]) == ("ADA", "12", 77)
    assert first["profile"] == json.loads(page.items[0].line)
    assert page.items[0].line in (tmp_path / FILE_NAME).read_bytes(), "the bytes as they came"


def test_the_reason_of_the_network_is_kept(names: Names) -> None:
    names.keep(["Dora"], Page([], None, missing=[Missing("dora", "suspended")]), {}, 1)
    assert names.reason_of("dora") == "suspended"


def test_only_new_names_are_asked_for_once_each_and_in_order(names: Names) -> None:
    page, names_of = answer(ada="12")
    names.keep(["ada", "nobody"], page, names_of, 1)
    assert names.unknown(["zoe", "ADA", "Bob", "nobody", "ZOE", "bob"]) == ["zoe", "Bob"]


def test_a_next_process_reads_them(tmp_path: Path) -> None:
    page, names_of = answer(ada="12")
    first = Names(tmp_path)
    first.keep(["ada", "nobody"], page, names_of, 1)
    first.close()
    second = Names(tmp_path)
    assert second.id_of("Ada") == "12"
    assert second.reason_of("nobody") == "not_found"
    second.close()


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_line_cut_by_a_crash_spoils_no_other(tmp_path: Path, cut: int) -> None:
    first = Names(tmp_path)
    for name, id_ in (("ada", "12"), ("bob", "13")):
        first.keep([name], *answer(**{name: id_}), 1)
    first.close()
    path = tmp_path / FILE_NAME
    path.write_bytes(path.read_bytes()[:-cut])
    second = Names(tmp_path)
    assert second.id_of("ada") == "12"
    assert second.unknown(["ada", "bob"]) == ["bob"]
    second.keep(["eve"], *answer(eve="14"), 2)
    second.close()
    third = Names(tmp_path)
    assert (third.id_of("ada"), third.id_of("eve")) == ("12", "14")
    assert third.id_of("bob") is None
    third.close()


def test_a_broken_line_spoils_no_other(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b'{}\n\0\n{"name":"ada","id":"12"}\n[1]\n')
    found = Names(tmp_path)
    assert found.id_of("ada") == "12"
    found.close()


def test_two_masters_do_not_damage_each_others_lines(tmp_path: Path) -> None:
    late, now = Names(tmp_path), Names(tmp_path)
    now.keep(["ada"], *answer(ada="12"), 1)
    late.keep(["bob"], *answer(bob="13"), 1)
    now.keep(["eve"], *answer(eve="14"), 1)
    assert [line["name"] for line in lines(tmp_path)] == ["ada", "bob", "eve"]
    late.close()
    now.close()


def test_what_was_unavailable_is_asked_for_again(names: Names) -> None:
    names.keep(["ada", "bob"], Page([], None, missing=[Missing("Ada", UNAVAILABLE)]), {}, 1)
    assert names.unknown(["ada", "bob"]) == ["ada"]


def test_a_name_that_somebody_has_by_now_replaces_the_reason(names: Names) -> None:
    names.keep(["ada"], Page([], None), {}, 1)
    names.keep(["ada"], *answer(ada="12"), 2)
    assert names.id_of("ada") == "12"
    assert names.reason_of("ada") is None


def test_it_is_on_disk_before_it_is_known(names: Names, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []

    def fsync(descriptor: int) -> None:
        assert names.id_of("ada") is None
        synced.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(os, "fsync", fsync)
    names.keep(["ada"], *answer(ada="12"), 1)
    assert synced == [(tmp_path / FILE_NAME).stat().st_size]
    assert names.id_of("ada") == "12"

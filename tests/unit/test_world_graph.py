"""Edge lists as worlds."""

from __future__ import annotations

from pathlib import Path

import pytest

from twittomatic.emulator.graph import EdgeListGraph, mapped, unmapped
from twittomatic.errors import UserError


def graph(tmp_path: Path, text: str, *, map_ids: bool = False) -> EdgeListGraph:
    path = tmp_path / "edges.tsv"
    path.write_text(text, encoding="utf-8")
    return EdgeListGraph(path, map_ids=map_ids)


def ids(loaded: EdgeListGraph, indexes: object) -> list[int]:
    return [loaded.id_of(index) for index in indexes]  # type: ignore[attr-defined]


@pytest.mark.parametrize("header", ["", "src\ttrg\n", "# follows\n\n", "\ufeffsrc,trg\r\n"])
def test_a_row_says_who_follows_whom_and_later_rows_are_newer(tmp_path: Path, header: str) -> None:
    loaded = graph(tmp_path, header + "0\t7\n5\t7\n12 7\n7,0\n")
    seven, zero = loaded.index_of(7), loaded.index_of(0)
    assert loaded.count == 4
    assert seven is not None
    assert zero is not None
    assert ids(loaded, loaded.followers(seven, 0, 10)) == [12, 5, 0]
    assert ids(loaded, loaded.followers(seven, 1, 2)) == [5]
    assert ids(loaded, loaded.following(zero)) == [7]
    assert (loaded.followers_count(seven), loaded.following_count(seven)) == (3, 1)
    assert loaded.index_of(99) is None


def test_a_repeated_edge_counts_once_at_its_last_place(tmp_path: Path) -> None:
    loaded = graph(tmp_path, "1 9\n2 9\n1 9\n")
    nine = loaded.index_of(9)
    assert nine is not None
    assert ids(loaded, loaded.followers(nine, 0, 9)) == [1, 2]


def test_mapped_ids_have_19_digits_and_lead_back(tmp_path: Path) -> None:
    assert len({mapped(one) for one in range(20_000)}) == 20_000
    assert all(len(str(mapped(one))) == 19 and unmapped(mapped(one)) == one for one in (0, 1, 9225, 2**58))
    loaded = graph(tmp_path, "0 7\n", map_ids=True)
    index = loaded.index_of(mapped(7))
    assert index is not None
    assert loaded.original(index) == 7
    assert ids(loaded, loaded.followers(index, 0, 9)) == [mapped(0)]
    assert loaded.index_of(7) is None


@pytest.mark.parametrize(("number", "map_ids"), [(2**63, False), (2**59, True)])
def test_an_id_that_no_network_could_have_is_refused(tmp_path: Path, number: int, map_ids: bool) -> None:
    assert graph(tmp_path, f"1 {number - 1}\n", map_ids=map_ids).count == 2
    with pytest.raises(UserError, match="too large"):
        graph(tmp_path, f"1 {number}\n", map_ids=map_ids)


@pytest.mark.parametrize("text", ["", "src trg\n", "1 2\nthree four\n", "1 2\n3\n", "1 2\n-1 2\n"])
def test_what_is_no_edge_list_is_refused_with_the_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"edges\.tsv"):
        graph(tmp_path, text)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read the edge list"):
        EdgeListGraph(tmp_path / "nothing.tsv")


def test_the_recorded_graph_is_read_whole(test_data: Path) -> None:
    path = test_data / "graph" / "follows_3726_users.tsv"
    rows = [tuple(map(int, line.split("\t"))) for line in path.read_text().splitlines()[1:]]
    loaded = EdgeListGraph(path)
    assert (loaded.count, loaded.edges) == (3726, len(set(rows)))
    for target in {target for _, target in rows[:50]}:
        index = loaded.index_of(target)
        assert index is not None
        expected = [source for source, other in reversed(rows) if other == target]
        assert ids(loaded, loaded.followers(index, 0, 10_000)) == list(dict.fromkeys(expected))

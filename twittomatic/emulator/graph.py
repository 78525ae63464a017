"""Who there is and who follows whom, loaded from an edge list; and the contract of every graph."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from twittomatic.errors import UserError

_MAP_BASE, _MAP_BITS, _MAP_FACTOR = 10**18, 59, 0x9E3779B97F4A7C15


class Graph(Protocol):
    """Users by index in [0, count); their ids; their followers by position, the newest first."""

    count: int

    def id_of(self, index: int) -> int: ...

    def index_of(self, id_: int) -> int | None: ...

    def followers_count(self, index: int) -> int: ...

    def following_count(self, index: int) -> int: ...

    def followers(self, index: int, start: int, stop: int) -> Sequence[int]:
        """Indexes of the followers at positions [start, stop); shorter at the end."""

    def following(self, index: int) -> Sequence[int]:
        """Indexes of everybody this user follows."""


def mapped(original: int) -> int:
    """The 19-digit id that ``--map-ids`` gives to an id below 2**59: 10**18 + (id * factor mod 2**59), injective."""
    return _MAP_BASE + (original * _MAP_FACTOR) % (1 << _MAP_BITS)


def unmapped(id_: int) -> int:
    """The inverse of ``mapped``."""
    return (id_ - _MAP_BASE) * pow(_MAP_FACTOR, -1, 1 << _MAP_BITS) % (1 << _MAP_BITS)


class EdgeListGraph:
    """A graph read from a file with a row ``src trg`` an edge: src follows trg, later rows are newer.

    A header line is skipped, blank lines and ``#`` comments too; a repeated edge counts once, at its last place.
    """

    def __init__(self, path: Path, *, map_ids: bool = False) -> None:
        self.map_ids = map_ids
        edges = dict.fromkeys(reversed(_read(path)))
        originals = sorted({end for edge in edges for end in edge})
        if originals[-1] >= 1 << (_MAP_BITS if map_ids else 63):
            raise UserError(f"{path}: {originals[-1]} is too large for an id", "Ids have at most 19 digits")
        self._ids = array("q", (mapped(one) if map_ids else one for one in originals))
        self._index = {id_: index for index, id_ in enumerate(self._ids)}
        place = {one: index for index, one in enumerate(originals)}
        self.count = len(originals)
        self._in: list[array[int]] = [array("l") for _ in originals]
        self._out: list[array[int]] = [array("l") for _ in originals]
        for source, target in edges:
            self._in[place[target]].append(place[source])
            self._out[place[source]].append(place[target])
        self.edges = len(edges)

    def id_of(self, index: int) -> int:
        return self._ids[index]

    def index_of(self, id_: int) -> int | None:
        return self._index.get(id_)

    def original(self, index: int) -> int:
        """The id of a user in the edge list."""
        return unmapped(self._ids[index]) if self.map_ids else self._ids[index]

    def followers_count(self, index: int) -> int:
        return len(self._in[index])

    def following_count(self, index: int) -> int:
        return len(self._out[index])

    def followers(self, index: int, start: int, stop: int) -> Sequence[int]:
        return self._in[index][start:stop]

    def following(self, index: int) -> Sequence[int]:
        return self._out[index]


def _read(path: Path) -> list[tuple[int, int]]:
    """Edges in the order of the file."""
    edges: list[tuple[int, int]] = []
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                fields = line.replace(",", " ").split()
                if not fields or fields[0].startswith("#"):
                    continue
                if len(fields) < 2 or not (fields[0].isdecimal() and fields[1].isdecimal()):
                    if number == 1:
                        continue
                    raise UserError(f"{path}, line {number}: {line.strip()[:80]!r} is no edge", "A row is: src trg")
                edges.append((int(fields[0]), int(fields[1])))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the edge list {path}: {error}", "Give a file of rows: src trg") from error
    if not edges:
        raise UserError(f"{path} holds no edges", "A row is: src trg")
    return edges

"""A graph of any size that is never stored: ids, followers and following are arithmetic on the seed.

Ids: of every 16 users nine have 19 digits, three 10, two 9, one 8 and one between 2 and 7; each class grows with the
index by a stride with hashed jitter, so that an id leads back to its index.

Edges: users are laid out by rank in blocks of similar popularity. A block has a ring of possible followers (everybody,
the active fifth, or the very active fiftieth), and its members' followers are arcs of that ring, spread evenly. So the
follower at a position is one multiplication away, and the arcs that cover one user (whom the user follows) are a run
of neighbors in each block. Popularity doubles from block to block while blocks shrink by 0.55: a power law of
in-degree; the three rings make out-degrees uneven.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

from twittomatic.emulator.chance import draw
from twittomatic.errors import UserError

LARGEST = 50_000_000
_CLASSES = (19, 10, 19, 9, 19, 8, 19, 10, 19, 9, 19, 0, 19, 10, 19, 19)
"""Digits of the id of user i, by i modulo 16; 0 stands for 2 to 7."""
_RANGES = {19: (10**18, 17 * 10**17), 10: (10**9, 42 * 10**8), 9: (10**8, 10**9), 8: (10**7, 10**8)}
_SLOTS = {digits: [i for i, d in enumerate(_CLASSES) if d == digits] for digits in (19, 10, 9, 8, 0)}
_LONELY, _DECAY = 0.08, 0.55
_RINGS = ((1.0, 0.7), (0.2, 0.2), (0.02, 0.1))
"""Share of the users in the ring, share of a block that has this ring."""


class _Scramble:
    """A permutation of [0, size): x -> (x * factor + shift) mod size."""

    __slots__ = ("back", "factor", "shift", "size")

    def __init__(self, size: int, bits: int) -> None:
        factor = (bits % size) | 1
        while gcd(factor, size) != 1:
            factor += 2
        self.size, self.factor, self.shift = size, factor, (bits >> 20) % size
        self.back = pow(factor, -1, size) if size > 1 else 0

    def to(self, x: int) -> int:
        return (x * self.factor + self.shift) % self.size

    def fro(self, y: int) -> int:
        return (y - self.shift) * self.back % self.size


@dataclass(frozen=True, slots=True)
class _Block:
    """Ranks [first, first + members): each has between least and 2 * least - 1 followers out of the ring."""

    number: int
    first: int
    members: int
    least: int
    ring: _Scramble


class GeneratedGraph:
    """``count`` users of one seed; nothing is kept per user."""

    def __init__(self, count: int, seed: int) -> None:
        if not 1 <= count <= LARGEST:
            raise UserError(f"a generated world cannot have {count} users", f"Give a number from 1 to {LARGEST:,}")
        self.count, self._seed = count, seed
        self._rank = _Scramble(count, draw(seed, 1))
        self._active = _Scramble(count, draw(seed, 2))
        self._blocks = self._lay_out()
        self._firsts = [block.first for block in self._blocks]
        self._ring_sizes = sorted({block.ring.size for block in self._blocks})
        self._expected = [self._expect(activity) for activity in (0, *self._ring_sizes)]

    def _lay_out(self) -> list[_Block]:
        blocks: list[_Block] = []
        first, level = int(self.count * _LONELY), 0
        room = self.count - first
        while first < self.count:
            least = 1 << level
            last_level = least * 4 - 1 > self.count // 4
            for portion, part in _RINGS:
                size = int(self.count * portion)
                if size < 4 * least:
                    size = self.count
                left = self.count - first
                final = last_level and portion == _RINGS[-1][0]
                members = left if final else min(left, int(room * (1 - _DECAY) * _DECAY**level * part))
                if members and size:
                    ring = _Scramble(size, draw(self._seed, 3, len(blocks)))
                    blocks.append(_Block(len(blocks), first, members, min(least, max(1, size // 2)), ring))
                    first += members
            level += 1
        return blocks

    def id_of(self, index: int) -> int:
        turn, slot = divmod(index, 16)
        digits = _CLASSES[slot]
        if not digits:
            return 10 + turn * 2 + (draw(self._seed, 5, turn) & 1)
        slots = _SLOTS[digits]
        number = turn * len(slots) + slots.index(slot)
        low, stride = self._stride(digits)
        return low + number * stride + draw(self._seed, digits, number) % stride

    def _stride(self, digits: int) -> tuple[int, int]:
        low, high = _RANGES[digits]
        return low, (high - low) // ((self.count // 16 + 1) * len(_SLOTS[digits]))

    def index_of(self, id_: int) -> int | None:
        digits = len(str(id_))
        if digits in _RANGES:
            low, stride = self._stride(digits)
            turn, place = divmod((id_ - low) // stride, len(_SLOTS[digits]))
            index = turn * 16 + _SLOTS[digits][place]
            if id_ >= low and index < self.count and self.id_of(index) == id_:
                return index
        if 10 <= id_ < 10 + self.count // 8 + 2:
            index = (id_ - 10) // 2 * 16 + _SLOTS[0][0]
            if index < self.count and self.id_of(index) == id_:
                return index
        return None

    def _arc(self, index: int) -> tuple[_Block, int, int] | None:
        """The block of a user, where the arc of followers begins on the ring, and how long it is."""
        rank = self._rank.to(index)
        number = bisect_right(self._firsts, rank) - 1
        if number < 0:
            return None
        block = self._blocks[number]
        place = rank - block.first
        return block, place * block.ring.size // block.members, self._length(block, place)

    def _length(self, block: _Block, place: int) -> int:
        return block.least + draw(self._seed, 4, block.number, place) % block.least

    def _own_position(self, index: int, block: _Block, start: int) -> int:
        """The position at which a user would follow itself; not below the length of the arc: nowhere."""
        activity = self._active.fro(index)
        return (block.ring.fro(activity) - start) % block.ring.size if activity < block.ring.size else block.ring.size

    def followers_count(self, index: int) -> int:
        arc = self._arc(index)
        if arc is None:
            return 0
        block, start, length = arc
        return length - (self._own_position(index, block, start) < length)

    def followers(self, index: int, start: int, stop: int) -> Sequence[int]:
        arc = self._arc(index)
        if arc is None:
            return []
        block, begin, length = arc
        own = self._own_position(index, block, begin)
        if own < length:
            length -= 1
            positions = (p + (p >= own) for p in range(start, min(stop, length)))
        else:
            positions = (p for p in range(start, min(stop, length)))
        ring, active = block.ring, self._active
        size, factor, shift = ring.size, ring.factor, ring.shift
        count, factor2, shift2 = active.size, active.factor, active.shift
        return [(((begin + p) % size * factor + shift) % size * factor2 + shift2) % count for p in positions]

    def following(self, index: int) -> Sequence[int]:
        activity = self._active.fro(index)
        found: list[int] = []
        for block in self._blocks:
            if activity < block.ring.size:
                found += self._arcs_over(block, block.ring.fro(activity))
        return [user for user in found if user != index]

    def _arcs_over(self, block: _Block, spot: int) -> list[int]:
        """Members of a block whose arcs cover a spot of its ring."""
        size, members, longest = block.ring.size, block.members, 2 * block.least - 1
        newest = ((spot + 1) * members - 1) // size
        found = []
        for number in range(newest, newest - members, -1):
            turn, place = divmod(number, members)
            start = place * size // members + turn * size
            if spot - start >= longest:
                break
            if spot - start < self._length(block, place):
                found.append(self._rank.fro(block.first + place))
        return found

    def following_count(self, index: int) -> int:
        """What is expected of a user this active; ``following`` gives the exact list."""
        return self._expected[bisect_right(self._ring_sizes, self._active.fro(index))]

    def _expect(self, activity: int) -> int:
        arcs = (b.members * (3 * b.least - 1) / 2 / b.ring.size for b in self._blocks if activity < b.ring.size)
        return round(sum(arcs))

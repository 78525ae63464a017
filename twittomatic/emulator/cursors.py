"""Pagination tokens: opaque, different alphabets per family, and refused when they are not ours."""

from __future__ import annotations

from twittomatic.emulator.chance import draw

_UPPER = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
_LOWER = "0123456789abcdefghijklmnopqrstuvwxyz"
_FACTOR = 0xD1342543DE82EF95
_BACK = pow(_FACTOR, -1, 1 << 64)
_MASK = (1 << 64) - 1
_POSITION = 1 << 36
TIMELINE, FOLLOWERS, FOLLOWING = 1, 2, 3


class Cursors:
    """Tokens of one world: a position of one walk, with a check on walk and seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def _check(self, walk: int, index: int, position: int) -> int:
        return draw(self._seed, 41, walk, index, position) >> 36

    def token(self, walk: int, index: int, position: int) -> str:
        """16 characters of base 32 for followers, 45 of base 36 for timelines."""
        number = ((self._check(walk, index, position) << 36 | position) * _FACTOR) & _MASK
        if walk != TIMELINE:
            return _spell(number, _UPPER, 13) + "ZZZ"
        tail = draw(self._seed, 42, number) << 64 | draw(self._seed, 43, number)
        return "7140" + _spell(number, _LOWER, 13) + _spell(tail, _LOWER, 28)[-28:]

    def position(self, walk: int, index: int, token: str) -> int | None:
        """The position that a token of this walk stands for, None when it is none of ours."""
        alphabet, start = (_LOWER, 4) if walk == TIMELINE else (_UPPER, 0)
        number = 0
        for letter in token[start : start + 13]:
            digit = alphabet.find(letter)
            if digit < 0:
                return None
            number = number * len(alphabet) + digit
        position = (number * _BACK & _MASK) % _POSITION
        return position if self.token(walk, index, position) == token else None


def _spell(number: int, alphabet: str, width: int) -> str:
    digits = ""
    for _ in range(width):
        number, digit = divmod(number, len(alphabet))
        digits = alphabet[digit] + digits
    return digits

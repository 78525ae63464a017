"""Deterministic chance: every unknown of the generated world is a hash of the seed and a few numbers."""

from __future__ import annotations

import hashlib

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def mix(number: int) -> int:
    """64 well-mixed bits of an integer (the finisher of splitmix64)."""
    number = (number + _GOLDEN) & _MASK
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return number ^ (number >> 31)


def draw(seed: int, *parts: int) -> int:
    """64 bits that depend on the seed and on every part, in order."""
    state = mix(seed)
    for part in parts:
        state = mix(state ^ (part * _GOLDEN & _MASK))
    return state


def draw_text(seed: int, text: str) -> int:
    """64 bits that depend on the seed and a text."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=seed.to_bytes(8, "big"))
    return int.from_bytes(digest.digest(), "big")


def share(bits: int) -> float:
    """64 bits as a number in [0, 1)."""
    return (bits >> 11) / 9007199254740992.0

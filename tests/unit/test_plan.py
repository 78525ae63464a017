"""What comes next for a user, for every choice of kinds."""

from __future__ import annotations

import pytest

from twittomatic.kinds.plan import LETTERS, first_kind, next_kind


@pytest.mark.parametrize(
    ("letters", "chain"),
    [
        ("T", "T"), ("F", "F"), ("A", "A"), ("U", "U"), ("TF", "TF"), ("TA", "TA"), ("FA", "FA"), ("TFA", "TFA"),
        ("UF", "UF"), ("TU", "U"), ("TFAU", "UFA"),
    ],
)  # fmt: skip
def test_chain(letters: str, chain: str) -> None:
    wanted = {LETTERS[letter] for letter in letters}
    kind: str | None = first_kind(wanted)
    walked = []
    while kind is not None:
        walked.append(kind)
        kind = next_kind(wanted, kind)
    assert walked == [LETTERS[letter] for letter in chain]


def test_a_crawl_wants_a_kind() -> None:
    with pytest.raises(ValueError, match="-T -F -A -U"):
        first_kind(())

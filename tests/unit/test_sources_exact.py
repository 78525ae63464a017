"""Byte-exact slicing: both slicers agree, and what is not JSON is told apart from what was cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twittomatic.sources import exact
from twittomatic.sources.exact import Malformed

SPACES = st.text(alphabet=" \t\n\r", max_size=3)
TEXTS = st.text(alphabet='ab"\\/\n\0\x7f\u00e9\u2028\ud83d\udc0d\N{GRINNING FACE}]}', max_size=6)
SCALARS = st.none() | st.booleans() | st.integers(-(10**25), 10**25) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    SCALARS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def documents(draw: Any, opening: str) -> bytes:
    """JSON arrays or objects as no printer would print them: odd spaces, escaped or not."""
    pieces = []
    for number in range(draw(st.integers(0, 4))):
        printed = json.dumps(draw(VALUES), ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1])))
        key = f'{draw(SPACES)}"{number}\\u00e9"{draw(SPACES)}:' if opening == "{" else ""
        pieces.append(f"{key}{draw(SPACES)}{printed}{draw(SPACES)}")
    closing = "}" if opening == "{" else "]"
    text = f"{draw(SPACES)}{opening}{draw(SPACES)}{','.join(pieces)}{closing}{draw(SPACES)}"
    return text.encode("utf-8", "surrogatepass")


@given(documents("["))
def test_both_slicers_cut_the_same_elements(document: bytes) -> None:
    fast, slow = exact.elements(document), exact._slow(document, "[", exact._values)
    assert fast == slow
    assert [json.loads(piece) for piece in fast] == json.loads(document)
    assert not any(b"\n" in piece or b"\r" in piece for piece in fast)


@given(documents("{"))
def test_both_slicers_cut_the_same_fields(document: bytes) -> None:
    fast, slow = exact.fields(document), exact._slow(document, "{", exact._pairs)
    assert fast == slow
    assert {key: json.loads(piece) for key, piece in fast.items()} == json.loads(document)


@given(documents("["), st.integers(0, 200))
def test_a_cut_document_is_called_cut_and_nothing_else_is_raised(document: bytes, at: int) -> None:
    piece = document[: at % max(len(document.rstrip()), 1)]
    with pytest.raises(Malformed) as caught:
        exact.elements(piece)
    assert caught.value.cut


SCRAPS = st.sampled_from([
    b"{", b"}", b"[", b"]", b",", b":", b'"a"', b'"\xff"', b'"\\ud83d"', b"1", b"1.", b"NaN", b"\n", b"\xed\xa0\xbd",
    b'"', b"\\", b"null", b"\0", b'"\xc3\xa9"',
])  # fmt: skip


@given(st.binary(max_size=20) | st.lists(SCRAPS, max_size=12).map(b"".join))
def test_any_bytes_are_sliced_or_malformed(document: bytes) -> None:
    for slicer in (exact.elements, exact.fields, exact.load, exact.check):
        try:
            slicer(document)
        except Malformed:
            continue


def test_numbers_escapes_and_doubled_keys_stay_as_they_are() -> None:
    item = rb'{"id":"1","n":1.10,"e":1e400,"big":123456789012345678901234567890,"u":"\/\u00e9\u0000","id":"2"}'
    assert exact.elements(b"[" + item + b"]") == [item]
    assert exact.fields(b'{"data":1,"data":[2]}') == {"data": b"[2]"}


def test_half_a_surrogate_pair_changes_no_byte_of_the_page() -> None:
    odd = rb'{"text":"\ud83d"}'
    whole = '{"text":"\N{GRINNING FACE} \\ud83d\\ude00"}'.encode()
    document = b'{"data":[' + odd + b" , " + whole + b'],"meta":{}}'
    assert exact.elements(exact.fields(document)["data"]) == [odd, whole]
    assert exact.load(odd) == {"text": "\ufffd"}


def test_surrogates_that_came_as_bytes_are_kept() -> None:
    odd = b'{"text":"\xed\xa0\xbd","bad":"\\ud83d"}'
    exact.check(odd)
    assert exact.elements(b"[" + odd + b"]") == [odd]


def test_an_integer_of_thousands_of_digits_is_no_trouble() -> None:
    odd = b'{"n":' + b"9" * 6000 + b',"s":"\\ud83d"}'
    assert exact.elements(b"[" + odd + b"]") == [odd]


@pytest.mark.parametrize(
    "document",
    [b"[NaN, 1]", b"[01, 1]", b'["a\x01b", 1]', b"[1] x", b"[1,]", b'{"a":1}', b"[Infinity, 1]", b'["\\x", 1]'],
)
def test_what_is_no_json_is_malformed_and_not_cut(document: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        exact.elements(document)
    assert not caught.value.cut


def test_bytes_that_are_no_text_are_noticed() -> None:
    with pytest.raises(Malformed, match="byte 9") as caught:
        exact.check(b'{"text":"\xff"}')
    assert not caught.value.cut
    with pytest.raises(Malformed) as caught:
        exact.check(b'{"text":"\xf0\x9f')
    assert caught.value.cut


@pytest.mark.parametrize("tail", [b"", b'"\\ud83d"'])
def test_deep_nesting_ends_in_an_error_of_ours(tail: bytes) -> None:
    deep = b"[" * 100_000 + tail + b"]" * 100_000
    for slicer in (exact.elements, exact.load):
        with pytest.raises(Malformed, match="deep"):
            slicer(deep)


def test_a_slice_does_not_keep_the_page_alive() -> None:
    pieces = exact.elements(b"[" + b",".join([b'{"id":"1"}'] * 1000) + b"]")
    assert all(type(piece) is bytes and len(piece) == 10 for piece in pieces)

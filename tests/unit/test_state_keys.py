"""Names of keys: one slot, one table that tells them all."""

from __future__ import annotations

import re
from importlib import resources

import pytest
from redis.crc import key_slot

from twittomatic.errors import SettingsError
from twittomatic.state.engine import FUNCTIONS, SHARED, Caller, library
from twittomatic.state.keys import BANDS, Keys

KEYS = Keys("lab", "first")


def every_key() -> list[str]:
    plain = [getattr(KEYS, name) for name in dir(Keys) if isinstance(getattr(Keys, name), property)]
    return [
        *plain,
        KEYS.queue("timeline"),
        *(KEYS.queue("timeline", band) for band in range(BANDS)),
        KEYS.resume("timeline"),
        KEYS.job("timeline", "22013880"),
        KEYS.seen(17),
        KEYS.wake("timeline"),
        KEYS.ledger("2026-11-21"),
    ]


def test_names_are_as_the_protocol_says() -> None:
    assert KEYS.deployment == "tw:{lab:0}:"
    assert KEYS.prefix == "tw:{lab:0}:c:first:"
    assert KEYS.job("timeline", "22013880") == "tw:{lab:0}:c:first:j:timeline:22013880"
    assert KEYS.queue("timeline", 15) == "tw:{lab:0}:c:first:q:timeline:15"


def test_every_key_is_in_one_slot_and_differs_from_the_others() -> None:
    names = every_key()
    assert len({key_slot(name.encode()) for name in names}) == 1
    assert len(set(names)) == len(names)
    assert not set(names) & set(every_key_of(Keys("lab", "second"))) - {
        KEYS.deployment,
        KEYS.clock,
        KEYS.ledger("2026-11-21"),
    }


def every_key_of(keys: Keys) -> list[str]:
    return [name.replace(KEYS.prefix, keys.prefix) for name in every_key()]


@pytest.mark.parametrize("name", ["", "a b", "a:b", "{a}", "-a", "a" * 65, "ä", "a\n", "a|b"])
def test_a_name_that_would_break_the_keys_is_refused(name: str) -> None:
    with pytest.raises(SettingsError):
        Keys("lab", name)
    with pytest.raises(SettingsError):
        Keys(name, "first")


def test_the_table_tells_every_key_that_the_functions_write() -> None:
    folder = resources.files("twittomatic.state") / "functions"
    table = re.sub(r"<[^>]*>", "", Keys.__doc__ or "")
    for name in (*SHARED, *FUNCTIONS):
        text = (folder / f"{name}.lua").read_text()
        for prefix, key in re.findall(r"\b([dc]) \.\. '([a-z]+:?)'", text):
            assert f"``{key}" in table, f"{name}.lua writes {prefix} .. {key}"


def test_every_file_is_a_function_and_is_loaded() -> None:
    folder = resources.files("twittomatic.state") / "functions"
    files = {file.name.removesuffix(".lua") for file in folder.iterdir() if file.name.endswith(".lua")}
    assert files == {*SHARED, *FUNCTIONS}
    for name in FUNCTIONS:
        assert f"function ops.{name}(" in (folder / f"{name}.lua").read_text()


def test_production_has_no_clock_of_ours() -> None:
    (test, test_suffix, test_text), (production, suffix, text) = library("test"), library("production")
    assert test != production
    assert test_suffix != suffix
    assert "local TEST = false" in text
    assert "local TEST = true" in test_text
    assert text.count(f"_{suffix}'") == len(FUNCTIONS)


def test_no_nonce_comes_twice() -> None:
    callers = [Caller("w1", "0"), Caller("w1", "0")]
    nonces = [tuple(caller.nonce().values()) for caller in callers for _ in range(3)]
    assert len(set(nonces)) == 6
    assert [nonce[3] for nonce in nonces] == [1, 2, 3, 1, 2, 3]

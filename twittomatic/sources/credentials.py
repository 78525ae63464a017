"""Credentials: what proves to a network who asks. Only labels and last four characters are ever shown."""

from __future__ import annotations

import difflib
import os
import re
import stat
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from twittomatic.errors import CredentialsError

BEARER, OAUTH1 = "bearer", "oauth1"
BEARER_VARIABLE, OAUTH1_VARIABLE = "TWITTOMATIC_BEARER", "TWITTOMATIC_OAUTH1"
OAUTH1_KEYS: Final = ("consumer_key", "consumer_secret", "token", "token_secret")

_LABEL = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_SECRET = re.compile(r"[!-~]+", re.ASCII)
_SHOWN_FROM = 12
"""A secret shorter than this shows none of itself: four characters would be too much of it."""
_KEYS: Final = (BEARER, *OAUTH1_KEYS, "owner")
_FORM = 'write a table per credential: [label], then bearer = "..." or ' + ", ".join(OAUTH1_KEYS)


class Credential:
    """One bearer token, or one set of OAuth 1.0a user tokens, under a label. Its secrets are in no text form of it.

    kind: ``bearer`` or ``oauth1``; secrets: the token, or consumer key and secret, token and token secret.
    """

    __slots__ = ("_secrets", "kind", "label", "owner")

    def __init__(self, label: str, kind: str, secrets: Sequence[str], owner: str = "") -> None:
        if not _LABEL.fullmatch(label):
            raise CredentialsError(f"the label {label!r} has a wrong form", "use letters, digits, . _ -")
        if len(secrets) != (1 if kind == BEARER else len(OAUTH1_KEYS)):
            raise CredentialsError(f"[{label}]: {len(secrets)} tokens do not make a credential of kind {kind}", _FORM)
        for name, secret in zip((BEARER,) if kind == BEARER else OAUTH1_KEYS, secrets, strict=True):
            if not _SECRET.fullmatch(secret):
                raise CredentialsError(
                    f"[{label}]: {name} is empty or holds a character that no token has (a space, a line end)",
                    f"copy the {name} again, without quotes or the word Bearer",
                )
        self.label = label
        self.kind = kind
        self.owner = owner
        self._secrets = tuple(secrets)

    @property
    def last4(self) -> str:
        """The end of the token, for a person to tell it from another; empty when the token is short."""
        token = self._secrets[0 if self.kind == BEARER else 2]
        return token[-4:] if len(token) >= _SHOWN_FROM else ""

    def reveal(self) -> tuple[str, ...]:
        """The secrets, for signing a request and for keeping them out of logs."""
        return self._secrets

    def redact(self, text: bytes) -> bytes:
        """The text with every secret of ours replaced: servers have been seen to echo a request."""
        for secret in self._secrets:
            text = text.replace(secret.encode(), b"[" + self.label.encode() + b"]")
        return text

    def __repr__(self) -> str:
        return f"Credential({self.label!r}, {self.kind!r}, last4={self.last4!r})"

    def __reduce__(self) -> Any:
        raise TypeError("a credential is not written anywhere")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Credential) and (self.label, self.kind, self._secrets) == (
            other.label,
            other.kind,
            other._secrets,
        )

    def __hash__(self) -> int:
        return hash((self.label, self.kind))


def load_credentials(path: Path | None, environ: Mapping[str, str]) -> dict[str, Credential]:
    """All credentials by label: those of the file (if it exists), then those of the environment, which win."""
    found = read_credentials(path) if path is not None and path.exists() else {}
    return {**found, **environment_credentials(environ)}


def read_credentials(path: Path) -> dict[str, Credential]:
    """The credentials of a TOML file that only its owner may read. CredentialsError names the place and the mend."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_IMODE(status.st_mode) & 0o077:
                mode = f"{stat.S_IMODE(status.st_mode):o}"
                raise CredentialsError(f"{path} can be read by others (mode {mode})", f"chmod 600 {path}")
            document = tomllib.loads(file.read().decode("utf-8-sig"))
    except OSError as error:
        raise CredentialsError(f"{path}: {error.strerror}", "name a file that you may read") from None
    except UnicodeDecodeError as error:
        raise CredentialsError(f"{path}: not UTF-8 text (byte {error.start})", _FORM) from None
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"\(at .*\)", str(error))
        raise CredentialsError(f"{path}: not TOML {where[0] if where else ''}".rstrip(), _FORM) from None
    return {label: _from_table(path, label, table) for label, table in document.items()}


def _from_table(path: Path, label: str, table: object) -> Credential:
    """One table of the file. No value is ever put into a message: it may be a secret in the wrong place."""
    if not isinstance(table, dict):
        raise CredentialsError(f"{path}: {label!r} stands outside of a table", _FORM)
    for key, value in table.items():
        if key not in _KEYS:
            close = difflib.get_close_matches(key, _KEYS, n=1)
            mend = f"did you mean {close[0]}?" if close else "known are " + ", ".join(_KEYS)
            raise CredentialsError(f"{path}: [{label}] has an unknown key {key!r}", mend)
        if not isinstance(value, str):
            raise CredentialsError(f"{path}: [{label}] {key} is not a text", f'write {key} = "..."')
    given = [key for key in OAUTH1_KEYS if key in table]
    if BEARER in table and given:
        raise CredentialsError(f"{path}: [{label}] is both bearer and OAuth 1.0a", "give each its own label")
    if BEARER not in table and len(given) < len(OAUTH1_KEYS):
        lacking = ", ".join(key for key in OAUTH1_KEYS if key not in table)
        raise CredentialsError(f"{path}: [{label}] lacks {lacking if given else 'its tokens'}", _FORM)
    kind, keys = (OAUTH1, OAUTH1_KEYS) if given else (BEARER, (BEARER,))
    try:
        return Credential(label, kind, [table[key] for key in keys], table.get("owner", ""))
    except CredentialsError as error:
        raise CredentialsError(f"{path}: {error.message}", error.mend) from None


def environment_credentials(environ: Mapping[str, str]) -> dict[str, Credential]:
    """Credentials of TWITTOMATIC_BEARER[_LABEL] (a token) and TWITTOMATIC_OAUTH1[_LABEL] (four tokens with colons)."""
    found: dict[str, Credential] = {}
    for name in sorted(environ):
        for variable, kind in ((BEARER_VARIABLE, BEARER), (OAUTH1_VARIABLE, OAUTH1)):
            if name != variable and not name.startswith(f"{variable}_"):
                continue
            if not environ[name]:
                continue  # set to nothing: how a shell takes a variable back
            label = name[len(variable) + 1 :].lower() or kind
            if label in found:
                raise CredentialsError(f"{name}: the label {label!r} is given twice", "rename one of the variables")
            found[label] = _from_variable(name, label, kind, environ[name])
    return found


def _from_variable(name: str, label: str, kind: str, value: str) -> Credential:
    secrets = [value] if kind == BEARER else value.split(":")
    if kind == OAUTH1 and len(secrets) != len(OAUTH1_KEYS):
        raise CredentialsError(f"{name}: {len(secrets)} parts instead of 4", f"{name}=" + ":".join(OAUTH1_KEYS))
    try:
        return Credential(label, kind, secrets)
    except CredentialsError as error:
        raise CredentialsError(f"{name}: {error.message}", error.mend) from None

"""What is handed out: jobs, grants, extents; and the only place that knows what an id looks like."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import NamedTuple

TIMELINE, FOLLOWER, ANALYZER, UPDATE = "timeline", "follower", "analyzer", "update"
CLAIM_ORDER = (ANALYZER, FOLLOWER, UPDATE, TIMELINE)
"""Drain downstream first: what is nearly done is finished before something new begins."""

TWT, FWS, USR = "twt", "fws", "usr"
"""File suffixes: tweets, follower ids, profiles."""


class IdForm:
    """How one network spells its ids. Ids are text everywhere else, compared and ordered only through this."""

    name = "int64"
    _form = re.compile(r"[0-9]{1,19}", re.ASCII)

    def accepts(self, text: str) -> bool:
        """A decimal number below 2**63 without leading zeros."""
        return bool(self._form.fullmatch(text)) and (text == "0" or text[0] != "0") and int(text) < 2**63

    def shard(self, id_: str) -> str:
        """Folder name of an id: its first two characters."""
        return id_[:2]

    def stem(self, id_: str) -> str:
        """File name of an id without its suffix."""
        return id_

    def parse_stem(self, stem: str) -> str | None:
        """The id that a file name stands for, None where the name is not one of ours."""
        return stem if self.accepts(stem) else None

    def order(self, id_: str) -> tuple[int, str]:
        """Sort key: older ids are smaller."""
        return (len(id_), id_)

    def number(self, id_: str) -> int:
        """An exact key of an id, below 2**64."""
        return int(id_)

    def before(self, id_: str) -> str:
        """The greatest id that is older than this one."""
        return str(max(int(id_) - 1, 0))


INT64 = IdForm()


def bucket_of(id_: str, buckets: int) -> int:
    """Bucket of the seen set: the first 8 bytes of blake2b(id) modulo the number of buckets."""
    return int.from_bytes(hashlib.blake2b(id_.encode(), digest_size=8).digest(), "big") % buckets


class Window(NamedTuple):
    """One limit window as a response header tells it. ``reset``: unix seconds."""

    kind: str  # user, app, day, month
    limit: int
    remaining: int
    reset: float


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a file of a job is committed: bytes [0, length) of the part ``seg`` with that running CRC-32."""

    suffix: str
    seg: str
    length: int
    crc: int


@dataclass(frozen=True, slots=True)
class Grant:
    """Calls that may be made with one credential on one endpoint."""

    endpoint: str
    credential: str
    calls: int


@dataclass(slots=True)
class Job:
    """One user's work of one kind, as a worker holds it under a lease.

    token: ``<counter>-<16 hex>``, compared for equality only; cursor: opaque, None at the start; extents: what is
    committed, by suffix; clean: the last owner closed its files in good order; sealed: only the renames are missing;
    attempts: crashes since the last commit; errors: failures (delays) since the last commit.
    """

    kind: str
    user: str
    token: str
    cursor: str | None = None
    seq: int = 0
    extents: dict[str, Extent] = field(default_factory=dict)
    clean: bool = True
    sealed: bool = False
    attempts: int = 0
    errors: int = 0
    grant: Grant | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """What the policy may ask about a user, read from the network's own bytes; None: the network did not say.

    created: unix seconds.
    """

    id: str
    name: str = ""
    description: str = ""
    language: str | None = None
    followers: int | None = None
    following: int | None = None
    statuses: int | None = None
    verified: bool | None = None
    protected: bool | None = None
    created: float | None = None

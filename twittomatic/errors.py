"""Every error of the project, in one tree. An error carries the decision as fields; it never hides it in its text.

TwittomaticError
├── UserError                 what a person gave us is wrong; the text names the place, the value and the mend
│   ├── SettingsError
│   ├── CredentialsError
│   ├── SeedsError
│   ├── InUse                 a folder, a name or a leadership that somebody alive holds
│   └── Unsuitable            a server or a machine that cannot hold what we promise
├── SourceError               what a network answered
│   ├── Limited               wait until a moment
│   ├── Capped                a usage cap: this endpoint is over until a person acts or the period ends
│   ├── OutOfCredits
│   ├── Gone                  the user is deleted, suspended, protected or not found
│   ├── CredentialRefused
│   ├── BadCursor             the network no longer takes the cursor: start the walk again
│   ├── Transient             try again: the answer was late, cut, or the server's fault
│   └── UnknownBody           an answer that we do not understand; kept for a person to read
├── StateError                what Redis answered
│   ├── Fenced                the job belongs to somebody else now: close the files, stop
│   ├── Deposed               another master leads
│   └── StateUnavailable      Redis is away
└── ArchiveError
    ├── LostBytes             neither the part nor the final holds what was committed
    ├── Outgrown              the final has items that the sealed part has not: unite them first
    └── CorruptMember         bytes that are not a whole member of ours
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twittomatic.job import Window


class TwittomaticError(Exception):
    """An error of the project."""

    exit_status = 1


class UserError(TwittomaticError):
    """What a person gave is wrong. ``mend`` says what to do about it."""

    exit_status = 2

    def __init__(self, message: str, mend: str = "") -> None:
        super().__init__(f"{message}\n  {mend}" if mend else message)
        self.message = message
        self.mend = mend


class SettingsError(UserError):
    """A setting is unknown, of the wrong type, or impossible."""


class CredentialsError(UserError):
    """A credentials file is unreadable, readable by others, or malformed."""


class SeedsError(UserError):
    """A seeds file has lines that name nobody."""


class InUse(UserError):
    """Somebody alive holds it."""


class Unsuitable(UserError):
    """A server or a folder that cannot keep what the protocol promises."""


class SourceError(TwittomaticError):
    """What a network answered. ``windows``: limits read from its headers; ``status``: HTTP status, 0 without one."""

    def __init__(self, detail: str, *, status: int = 0, windows: Sequence[Window] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.windows = tuple(windows)


class Limited(SourceError):
    """The window is used up. ``until``: unix seconds, already with slack."""

    def __init__(self, detail: str, *, until: float, status: int = 429, windows: Sequence[Window] = ()) -> None:
        super().__init__(detail, status=status, windows=windows)
        self.until = until


class Capped(SourceError):
    """A usage cap of the plan (day, month): no waiting for a window helps."""


class OutOfCredits(SourceError):
    """The account has no credits left (402)."""


class Gone(SourceError):
    """The user cannot be read. ``reason``: deleted, suspended, protected or not_found."""

    def __init__(self, reason: str, detail: str, *, status: int = 0, windows: Sequence[Window] = ()) -> None:
        super().__init__(detail, status=status, windows=windows)
        self.reason = reason


class CredentialRefused(SourceError):
    """The network does not accept this credential (an authentication body, or a plan without this endpoint)."""


class BadCursor(SourceError):
    """The network no longer takes this cursor."""


class Transient(SourceError):
    """A fault that a repeat may cure. ``retry_after``: seconds the server asked for, 0 when it did not."""

    def __init__(
        self, detail: str, *, status: int = 0, windows: Sequence[Window] = (), retry_after: float = 0.0
    ) -> None:
        super().__init__(detail, status=status, windows=windows)
        self.retry_after = retry_after


class UnknownBody(SourceError):
    """An answer of no known form. ``body``: its first bytes, for a person to read."""

    def __init__(self, detail: str, *, status: int = 0, windows: Sequence[Window] = (), body: bytes = b"") -> None:
        super().__init__(detail, status=status, windows=windows)
        self.body = body[:65536]


class StateError(TwittomaticError):
    """What Redis answered."""


class Fenced(StateError):
    """The token is no longer the job's: another worker owns it."""


class Deposed(StateError):
    """Another master leads this crawl."""


class StateUnavailable(StateError):
    """Redis did not answer in time, or cannot write."""

    exit_status = 3


class ArchiveError(TwittomaticError):
    """What the archive's disk answered."""


class LostBytes(ArchiveError):
    """Neither the part nor the final holds the committed bytes; what there was has been kept aside as .lost."""


class Outgrown(ArchiveError):
    """The final of a timeline holds items that the sealed part does not: publishing it would lose them."""


class CorruptMember(ArchiveError):
    """Bytes at an offset are not a whole member. ``path`` and ``offset`` name the place."""

    def __init__(self, path: object, offset: int, why: str) -> None:
        super().__init__(f"{path} at byte {offset}: {why}")
        self.path = path
        self.offset = offset

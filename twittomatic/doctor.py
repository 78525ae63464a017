"""What would lose data or stop a crawl: each check with what was found and the exact mend."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import redis.exceptions
import requests

from twittomatic.archive import leftovers
from twittomatic.errors import StateUnavailable, TwittomaticError, UserError
from twittomatic.lifecycle import FolderLock, described
from twittomatic.state.persistence import OK, WARNING, WRONG, keeping
from twittomatic.state.server import check_version
from twittomatic.wiring import Wiring

LOW_DISK_BYTES = 2 * 1024**3
CLOCK_SECONDS = 5.0
CLOCK_TIMEOUT_SECONDS = 5.0
SHOWN_PARTS = 5


class Check(NamedTuple):
    """One check. state: ok, warning or wrong; mend: what to do, empty when all is well."""

    name: str
    state: str
    found: str
    mend: str = ""


class Doctor:
    """The checks of one deployment as this machine sees it. Nothing is changed and nothing is paid for."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._settings = wiring.settings

    def examine(self) -> list[Check]:
        """Every check; one that cannot be made says why."""
        checks: list[Check] = []
        for look in (self._redis, self._folders, self._parts, self._credentials, self._policy, self._clock):
            checks += _made(look)
        return checks

    def _redis(self) -> Iterator[Check]:
        lock = FolderLock(self._settings.OUTPUT_DIRECTORY)
        try:
            client: Any = self._wiring.client()
        except UserError:
            yield Check("Redis", OK, "none is configured: `twittomatic crawl` starts a private server")
            return
        if lock.path.exists() and (holder := lock.holder()):
            yield Check("crawl", OK, described(holder))
        try:
            info = client.info()
        except redis.exceptions.AuthenticationError as error:
            yield Check("Redis", WRONG, f"refuses the password ({error})", "set REDIS_PASSWORD or the one in REDIS_URL")
            return
        except redis.exceptions.RedisError as error:
            yield Check("Redis", WRONG, f"cannot be reached: {error}", "start it, or correct REDIS_URL")
            return
        check_version(info)
        version = info.get("valkey_version") or info.get("redis_version")
        yield Check("Redis", OK, f"{'Valkey' if info.get('valkey_version') else 'Redis'} {version}")
        yield from (Check(*each) for each in keeping(client))
        yield _compared("clock", time.time() - client.time()[0], "the Redis server")

    def _folders(self) -> Iterator[Check]:
        settings = self._settings
        output = settings.OUTPUT_DIRECTORY
        if not output.exists():
            yield Check("archive", OK, f"{output} does not exist yet")
            return
        self._wiring.archive().check()
        yield Check("archive", OK, f"{output} and {settings.TEMPORARY_DIRECTORY} are on one file system, writable")
        free = shutil.disk_usage(output).free
        state = OK if free > LOW_DISK_BYTES else WARNING
        yield Check(
            "disk", state, f"{free / 1024**3:,.1f} GiB free", "" if state == OK else "make room before it is full"
        )

    def _parts(self) -> Iterator[Check]:
        """Parts that no job names: left by crashes, kept until a final holds every page of them."""
        files, form = self._wiring.archive(), self._wiring.id_form()
        found = list(leftovers.parts(files, form))
        lost = list(leftovers.kept_aside(files))
        if lost:
            yield Check(
                "lost parts", WARNING, f"{len(lost)}: {_some(lost)}", "look into them: what they hold was redone"
            )
        try:
            named = self._wiring.named_segs()
        except (UserError, StateUnavailable):
            yield Check("parts", OK, f"{len(found)} parts; without Redis nobody knows whose")
            return
        unnamed = [part.path for part in found if part.seg not in named]
        yield Check(
            "parts", OK, f"{len(found)} parts, {len(unnamed)} left by crashes{': ' if unnamed else ''}{_some(unnamed)}"
        )

    def _credentials(self) -> Iterator[Check]:
        credentials = self._wiring.credentials()
        if not credentials:
            mend = f"write {self._settings.CREDENTIALS_FILE} (mode 600) or set TWITTOMATIC_BEARER"
            yield Check("credentials", WARNING, "none: only the API twin can be crawled", mend)
        for label, credential in credentials.items():
            end = f", ends in {credential.last4}" if credential.last4 else ""
            yield Check("credential", OK, f"{label} ({credential.kind}{end})")

    def _policy(self) -> Iterator[Check]:
        self._wiring.policy()
        yield Check("policy", OK, ", ".join(self._settings.FOLLOW) or "everybody is followed")

    def _clock(self) -> Iterator[Check]:
        """This machine's clock against the API's, by the Date header of an answer that costs nothing."""
        url = self._settings.API_URL
        if not url:
            return
        try:
            before = time.time()
            answer = requests.head(url, timeout=CLOCK_TIMEOUT_SECONDS)
            told = _http_date(answer.headers.get("Date", ""))
        except requests.RequestException as error:
            yield Check(
                "API", WRONG, f"{urlsplit(url).netloc} does not answer: {type(error).__name__}", "correct API_URL"
            )
            return
        if told is None:
            return
        yield _compared("clock", before - told, "the API")


def _made(look: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    name = look.__name__.strip("_")
    try:
        yield from look()
    except UserError as error:
        yield Check(name, WRONG, error.message, error.mend)
    except TwittomaticError as error:
        yield Check(name, WRONG, str(error))
    except OSError as error:
        yield Check(name, WRONG, str(error), "look at that path, or name another one in the settings")


def _compared(name: str, off: float, whose: str) -> Check:
    state = OK if abs(off) < CLOCK_SECONDS else WARNING
    return Check(name, state, f"{off:+.0f} s against {whose}", "" if state == OK else "set the clock (NTP)")


def _http_date(text: str) -> float | None:
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None


def _some(paths: list[Path]) -> str:
    shown = ", ".join(os.fspath(path.name) for path in sorted(paths)[:SHOWN_PARTS])
    return shown + (", ..." if len(paths) > SHOWN_PARTS else "")

"""Seeds into the queue: from a file or from the archive, names looked up first, from where an earlier load stood."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from twittomatic import logs, seeds
from twittomatic.archive.base import Archive
from twittomatic.clock import Clock
from twittomatic.errors import SeedsError, SourceError
from twittomatic.job import TWT, Grant
from twittomatic.kinds.calls import Calls, Failing, Stopped, Waiting
from twittomatic.names import Names
from twittomatic.sources.base import NAMES_CALL, Seed, Source
from twittomatic.state.crawl import Crawl
from twittomatic.state.frontier import Frontier

log = logs.get(__name__)

LOAD_LINES = 1000
NAMES_KIND = "names"
"""Under what the ledger books the lookup of seed names."""
LOOK_SECONDS = 3.0
HELD_DIGEST = "held"
HELD = "held:"
"""How the position of a load begins that is past its file, among the users of the archive."""


class SeedList(Protocol):
    """Users to begin with."""

    @property
    def digest(self) -> str:
        """Tells one list from another."""

    def after(self, position: int) -> Iterator[tuple[int, Seed]]:
        """(position, user) of every user behind a position, 0 being the start."""


@dataclass(frozen=True, slots=True)
class FileSeeds:
    """The users of a seeds file; a position is a count of good lines, so that bad ones may be mended meanwhile."""

    path: Path
    digest: str
    parse: seeds.Parser

    def after(self, position: int) -> Iterator[tuple[int, Seed]]:
        for number, seed in enumerate(seeds.read(self.path, self.parse), 1):
            if number > position:
                yield number, seed


@dataclass(frozen=True, slots=True)
class HeldSeeds:
    """Everybody of whom the archive holds a file of this kind; a position is a count."""

    archive: Archive
    suffix: str = TWT
    digest: str = HELD_DIGEST

    def after(self, position: int) -> Iterator[tuple[int, Seed]]:
        for number, user in enumerate(self.archive.users(self.suffix), 1):
            if number > position:
                yield number, Seed(id=user)


def _nothing() -> None:
    """No master to ask."""


@dataclass(slots=True)
class Loader:
    """Loads seeds for a master. ``check``: raises when that master does not lead any more.

    Waiting for a limit is told in the crawl's settings ``note`` and ``note_until``.
    """

    crawl: Crawl
    frontier: Frontier
    source: Source
    calls: Calls
    names: Callable[[], Names]
    clock: Clock
    stop: threading.Event
    check: Callable[[], None] = _nothing

    def load(self, wanted: SeedList, also: SeedList | None, kind: str, epoch: str) -> None:
        """Admit ``wanted``, then who is in ``also`` and not in it, from where an earlier load of the same list stood.
        Stopped, Deposed, SeedsError when names cannot be looked up at all."""
        if self.crawl.settings().get("loading_digest") != wanted.digest:
            self.frontier.admit([], kind, "0", epoch=epoch)  # a place in another list says nothing of this one
            self.crawl.set(loading_digest=wanted.digest)
        position = self.frontier.load_position() or "0"
        log.info("loading seeds", position=position)
        names = self.names()
        try:
            if not position.startswith(HELD):
                self._admit_all(wanted.after(int(position)), kind, "", names, epoch)
                position = f"{HELD}0"
            if also is not None:
                known = {seed.id or names.id_of(seed.name) for _, seed in wanted.after(0)}
                rest = also.after(int(position.removeprefix(HELD)))
                others = ((place, seed) for place, seed in rest if seed.id not in known)
                self._admit_all(others, kind, HELD, names, epoch)
        finally:
            names.close()
        self.frontier.admit([], kind, None, epoch=epoch, done={"loaded_digest": wanted.digest})
        log.info("seeds loaded")

    def _admit_all(
        self, users: Iterator[tuple[int, Seed]], kind: str, place_prefix: str, names: Names, epoch: str
    ) -> None:
        block: list[Seed] = []
        place = 0
        for place, seed in users:
            block.append(seed)
            if len(block) >= LOAD_LINES:
                self._admit(block, kind, f"{place_prefix}{place}", names, epoch)
                block = []
        if block:
            self._admit(block, kind, f"{place_prefix}{place}", names, epoch)

    def _admit(self, block: list[Seed], kind: str, position: str, names: Names, epoch: str) -> None:
        if self.stop.is_set():
            raise Stopped("asked to stop while loading seeds")
        self.check()
        self._look_up(names, [seed.name for seed in block if seed.name])
        known = [seed.id or names.id_of(seed.name) for seed in block]
        ids = list(dict.fromkeys(id_ for id_ in known if id_ is not None))
        unknown = sum(id_ is None for id_ in known)
        if unknown:
            before = int(self.crawl.settings().get("seeds_unknown", "0"))
            self.crawl.set(seeds_unknown=str(before + unknown))
        self.frontier.admit(ids, kind, position, epoch=epoch)

    def _look_up(self, names: Names, wanted: list[str]) -> None:
        """Ask for the names that nobody asked for yet; each answer is on disk before the next question."""
        unknown = names.unknown(wanted)
        size = self.source.page_limits[NAMES_CALL]
        grant: Grant | None = None
        for start in range(0, len(unknown), size):
            grant = self._ask(names, unknown[start : start + size], grant)
        if unknown:
            self.crawl.set(note="", note_until="0")

    def _ask(self, names: Names, asked: list[str], grant: Grant | None) -> Grant:
        """Ask for some names until they are answered; what is left of the grant."""
        while True:
            self.check()
            try:
                page, left = self.calls.ask(
                    grant, NAMES_CALL, 1, NAMES_KIND, asked[0],
                    lambda credential: self.source.names(asked, credential=credential),
                )  # fmt: skip
            except Waiting as error:
                if error.until is None:
                    raise SeedsError(
                        f"the names of the seeds cannot be looked up: {error.reason}",
                        "mend the credentials, start again",
                    ) from error
                self._wait(error.until, error.reason)
            except Failing as error:
                log.warning("names not looked up, trying again", why=str(error))
                self._wait(self.clock.now() + LOOK_SECONDS, str(error))
            except SourceError as error:
                raise SeedsError(f"the names of the seeds cannot be looked up: {error.detail}") from error
            else:
                names_of = {item.id: self.source.profile(item.line).name.casefold() for item in page.items}
                names.keep(asked, page, names_of, int(self.clock.now()))
                return left
            grant = None

    def _wait(self, until: float | None, reason: str) -> None:
        """Wait until a moment (a second where nobody knows), and let everybody see what for."""
        now = self.clock.now()
        self.crawl.set(note=f"names of seeds: {reason}", note_until=f"{until or 0.0:.3f}")
        if self.clock.wait(self.stop, min(max((until or now + 1.0) - now, 0.05), LOOK_SECONDS)):
            raise Stopped("asked to stop while loading seeds")

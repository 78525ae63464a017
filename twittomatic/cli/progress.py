"""What a running crawl shows on stderr: one table, redrawn on a terminal, one line now and then elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from twittomatic.job import TIMELINE
from twittomatic.kinds import KINDS
from twittomatic.sources.base import PROFILES_CALL
from twittomatic.state.snapshot import KindSnapshot, Snapshot

RATE_SECONDS = 20.0
PLAIN_SECONDS = 5.0
ORDER = tuple(reversed(KINDS))
"""The order in which a user passes through the kinds."""


class Rates:
    """Finished jobs of each kind over the last seconds."""

    def __init__(self) -> None:
        self._past: deque[tuple[float, dict[str, int]]] = deque()

    def add(self, snapshot: Snapshot) -> None:
        """Note a snapshot."""
        ended = {kind: held.done + held.gone + held.dead for kind, held in snapshot.kinds.items()}
        self._past.append((snapshot.at, ended))
        while len(self._past) > 2 and snapshot.at - self._past[0][0] > RATE_SECONDS:
            self._past.popleft()

    def rate(self, kind: str) -> float | None:
        """Jobs per second, None while nothing is known."""
        if len(self._past) < 2 or self._past[-1][0] - self._past[0][0] < 1.0:
            return None
        (began, first), (now, last) = self._past[0], self._past[-1]
        return (last[kind] - first[kind]) / (now - began)

    def eta(self, kind: str, held: KindSnapshot) -> str:
        """When this kind has nothing left, at this rate and if nothing new is found."""
        left = held.waiting + held.running
        rate = self.rate(kind)
        if not left:
            return "-"
        return duration(left / rate) if rate else "not yet known"


def duration(seconds: float) -> str:
    """Seconds as a person reads them."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def clock(at: float) -> str:
    """A moment of today as local time, of another day with its date."""
    moment = time.localtime(at)
    today = time.strftime("%Y-%m-%d", moment) == time.strftime("%Y-%m-%d")
    return time.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M", moment)


def waits(snapshot: Snapshot) -> Iterable[str]:
    """What is waited for and until when, a line each."""
    for endpoint, wait in snapshot.waits.items():
        kinds = [kind for kind in ORDER if (KINDS[kind].endpoint or PROFILES_CALL) == endpoint]
        if not any(snapshot.kinds[kind].waiting or snapshot.kinds[kind].running for kind in kinds):
            continue
        if wait.reason == "probing":
            continue
        until = "until somebody acts" if wait.until is None else f"until {clock(wait.until)}"
        left = "" if wait.until is None else f" ({duration(max(wait.until - snapshot.at, 0))})"
        yield f"{' and '.join(kinds)} wait: {endpoint} is {wait.reason} {until}{left}"
    for kind in ORDER:
        if snapshot.kinds[kind].delayed:
            yield f"{kind}: {snapshot.kinds[kind].delayed:,} users are tried again later{_delays(snapshot)}"
    note = snapshot.settings.get("note")
    if note:
        until_note = float(snapshot.settings.get("note_until", "0") or 0)
        yield f"waiting: {note}" + (f" until {clock(until_note)}" if until_note > snapshot.at else "")
    if snapshot.paused:
        yield "paused: nothing is handed out"


def _delays(snapshot: Snapshot) -> str:
    """What jobs were delayed for in this iteration, the commonest first."""
    found = {
        name.removeprefix("delays."): number
        for name, number in snapshot.counters.items()
        if name.startswith("delays.") and number
    }
    told = [f"{number:,} x {what}" for what, number in sorted(found.items(), key=lambda entry: -entry[1])]
    return f" (delays so far: {', '.join(told[:3])})" if told else ""


def table(snapshot: Snapshot, rates: Rates) -> Table:
    """One row a kind."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    shown.add_column("")
    for heading in ("done", "gone", "dead", "running", "waiting", "items", "jobs/s", "ends in"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for kind in ORDER:
        held = snapshot.kinds[kind]
        if kind not in snapshot.settings.get("kinds", "") and not held.done:
            continue
        rate = rates.rate(kind)
        numbers = (held.done, held.gone, held.dead, held.running, held.waiting, held.items)
        cells = [f"{number:,}" for number in numbers]
        shown.add_row(kind, *cells, "-" if rate is None else f"{rate:,.1f}", rates.eta(kind, held))
    return shown


def headline(snapshot: Snapshot, began: float) -> str:
    """The crawl in one line."""
    parts = [
        f"crawl {snapshot.crawl}",
        snapshot.state or "starting",
        f"{snapshot.requests:,} requests",
        f"${snapshot.cost_micro / 1e6:,.2f}",
        f"{snapshot.frontier:,} in the frontier",
        f"{len(snapshot.workers)} workers",
        duration(time.monotonic() - began),
    ]
    if snapshot.loading is not None:
        parts.insert(2, f"loading seeds, line {snapshot.loading}")
    return " · ".join(parts)


class Progress:
    """Shows snapshots while it is entered."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rates = Rates()
        self._began = time.monotonic()
        self._printed = 0.0
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None

    def __enter__(self) -> Progress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            with suppress(OSError):
                self._live.stop()

    def say(self, text: str) -> None:
        """One line that stays."""
        with suppress(OSError):  # a terminal that was closed: the signal that says so ends the crawl in good order
            self._console.print(Text(text), soft_wrap=True)

    def show(self, snapshot: Snapshot) -> None:
        """The crawl now."""
        with suppress(OSError):
            self._show(snapshot)

    def _show(self, snapshot: Snapshot) -> None:
        self._rates.add(snapshot)
        if self._live is not None:
            lines = [Text(line, style="yellow") for line in waits(snapshot)]
            self._live.update(
                Group(Text(headline(snapshot, self._began), style="bold"), table(snapshot, self._rates), *lines)
            )
        elif snapshot.state == "running" and time.monotonic() - self._printed >= PLAIN_SECONDS:
            self._printed = time.monotonic()
            self._console.print(Text(self._plain(snapshot)), soft_wrap=True)

    def _plain(self, snapshot: Snapshot) -> str:
        kinds = [
            f"{kind} {held.done:,} done, {held.gone:,} gone, {held.waiting + held.running:,} left,"
            f" ends in {self._rates.eta(kind, held)}"
            for kind in ORDER
            if kind in snapshot.settings.get("kinds", TIMELINE) and (held := snapshot.kinds[kind])
        ]
        return " | ".join([headline(snapshot, self._began), *kinds, *waits(snapshot)])

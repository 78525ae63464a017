"""The ledger: what was requested, read and paid, by day, crawl, kind, endpoint and credential."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from urllib.parse import unquote

from twittomatic.state.crawl import text_map
from twittomatic.state.engine import Engine
from twittomatic.state.keys import Keys

REQUESTS, COST = "requests", "cost_micro"


@dataclass(slots=True)
class LedgerRow:
    """One line of a day. ``resources``: name to number; ``cost_micro``: micro-dollars."""

    crawl: str
    kind: str
    endpoint: str
    credential: str
    requests: int = 0
    cost_micro: int = 0
    resources: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Total:
    """What a crawl asked for so far, over all its iterations; cost_micro: micro-dollars."""

    requests: int
    cost_micro: int
    resources: Mapping[str, int]


class Ledger:
    """The ledger of one deployment."""

    def __init__(self, engine: Engine, keys: Keys) -> None:
        self._engine = engine
        self._keys = keys

    def day(self, day: date) -> list[LedgerRow]:
        """The lines of one UTC day, of all crawls."""
        name = self._keys.ledger(day.isoformat())
        fields = text_map(self._engine.read(lambda client: client.hgetall(name)))
        rows: dict[tuple[str, ...], LedgerRow] = {}
        for packed, number in sorted(fields.items()):
            crawl, kind, endpoint, credential, what = (unquote(part) for part in packed.split("|"))
            place = (crawl, kind, endpoint, credential)
            row = rows.setdefault(place, LedgerRow(*place))
            if what == REQUESTS:
                row.requests = int(number)
            elif what == COST:
                row.cost_micro = int(number)
            else:
                row.resources[what] = int(number)
        return list(rows.values())

    def total(self) -> Total:
        """All iterations of this crawl, from its counters."""
        fields = text_map(self._engine.read(lambda client: client.hgetall(self._keys.counters)))
        sums: dict[str, int] = {}
        for packed, number in fields.items():
            name = packed.partition("|")[2]
            sums[name] = sums.get(name, 0) + int(number)
        prefix = "resource."
        resources = {name.removeprefix(prefix): n for name, n in sums.items() if name.startswith(prefix)}
        return Total(sums.get(REQUESTS, 0), sums.get(COST, 0), resources)

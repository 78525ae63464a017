"""The network's own book: what was read, what is charged for it, each resource once a UTC day and credential."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from twittomatic.emulator.answers import Charge

PRICES: Mapping[str, float] = {"post": 0.005, "user": 0.010, "follower": 0.010}
"""Dollars for the first read of a resource in a UTC day."""
_CHUNK = 15
_DAYS_KEPT = 3


class _Account:
    """One credential in one UTC day. Users are marked in sparse bit sets, posts in one bit mask an author."""

    def __init__(self) -> None:
        self.posts: dict[int, int] = {}
        self.users: dict[tuple[str, int], bytearray] = {}
        self.read: Counter[tuple[str, str]] = Counter()
        self.charged: Counter[tuple[str, str]] = Counter()

    def add(self, charge: Charge) -> tuple[int, int]:
        """Resources read, and those read for the first time."""
        read = fresh = 0
        for author, mask in charge.posts:
            known = self.posts.get(author, 0)
            read += mask.bit_count()
            fresh += (mask & ~known).bit_count()
            self.posts[author] = known | mask
        for one in charge.ids:
            chunk = self.users.get((charge.resource, one >> _CHUNK))
            if chunk is None:
                chunk = self.users[charge.resource, one >> _CHUNK] = bytearray(1 << (_CHUNK - 3))
            place, bit = (one >> 3) & ((1 << (_CHUNK - 3)) - 1), 1 << (one & 7)
            read += 1
            if not chunk[place] & bit:
                chunk[place] |= bit
                fresh += 1
        return read, fresh


class Ledger:
    """Accounts by UTC day and credential. Money is in dollars; totals of all days stay, marks of the last three."""

    def __init__(self, prices: Mapping[str, float] = PRICES) -> None:
        self.prices = dict(prices)
        self._days: dict[str, dict[str, _Account]] = {}
        self._micros: Counter[str] = Counter()  # millionths of a dollar by credential, exact

    def charge(self, credential: str, endpoint: str, charge: Charge, now: float) -> int:
        """Book an answer; the number of resources that cost something."""
        day = datetime.fromtimestamp(now, UTC).date().isoformat()
        accounts = self._days.setdefault(day, {})
        for old in list(self._days)[:-_DAYS_KEPT]:
            for account in self._days[old].values():
                account.posts.clear()
                account.users.clear()
        account = accounts.setdefault(credential, _Account())
        read, fresh = account.add(charge)
        account.read[endpoint, charge.resource] += read
        account.charged[endpoint, charge.resource] += fresh
        self._micros[credential] += round(fresh * self.prices.get(charge.resource, 0.0) * 1_000_000)
        return fresh

    def spent(self, credential: str) -> float:
        """Dollars that a credential has cost since the start."""
        return self._micros[credential] / 1_000_000

    def posts_read(self, credential: str, day: str | None = None) -> dict[str, int]:
        """Posts charged by day."""
        return {
            date: sum(n for (_, resource), n in accounts[credential].charged.items() if resource == "post")
            for date, accounts in self._days.items()
            if credential in accounts and day in (None, date)
        }

    def report(self) -> dict[str, Any]:
        """Everything, by day, credential, endpoint and resource."""
        days = {
            day: {
                credential: [
                    {
                        "endpoint": endpoint,
                        "resource": resource,
                        "read": read,
                        "charged": account.charged[endpoint, resource],
                        "money": round(account.charged[endpoint, resource] * self.prices.get(resource, 0.0), 6),
                    }
                    for (endpoint, resource), read in sorted(account.read.items())
                ]
                for credential, account in accounts.items()
            }
            for day, accounts in self._days.items()
        }
        rows = [row for accounts in days.values() for entries in accounts.values() for row in entries]
        totals: dict[str, Any] = {"read": Counter(), "charged": Counter(), "money": 0.0}
        for row in rows:
            totals["read"][row["resource"]] += row["read"]
            totals["charged"][row["resource"]] += row["charged"]
            totals["money"] = round(totals["money"] + row["money"], 6)
        return {"prices": self.prices, "days": days, "totals": totals}

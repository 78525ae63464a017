"""The Redis side of a process: its client, its functions, and who else is registered there."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import redis
from redis.sentinel import Sentinel

from twittomatic import __version__, logs
from twittomatic.config import Settings
from twittomatic.embedded import running_url
from twittomatic.errors import InUse, SettingsError, StateError, StateUnavailable, Unsuitable
from twittomatic.lifecycle import is_alive, machine, process_started
from twittomatic.state.budget import Budget
from twittomatic.state.engine import CLIENT_OPTIONS, Caller, Engine
from twittomatic.state.keys import Keys
from twittomatic.state.parts import named_segs
from twittomatic.state.persistence import WARNING, WRONG, keeping
from twittomatic.state.registry import Registry

FIRST_CONTACT_SECONDS = 5.0
"""How long a start waits for the Redis server; later it is waited for ten times as long."""


class Server:
    """One process and the Redis server of its deployment."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        for secret in settings.secrets():
            logs.hide(secret)

    def client(self) -> redis.Redis:
        """A client without retries of its own. SettingsError without any server."""
        options: dict[str, Any] = dict(CLIENT_OPTIONS)
        if self.settings.REDIS_PASSWORD:
            options["password"] = self.settings.REDIS_PASSWORD
        if self.settings.SENTINELS:
            pairs = [entry.rpartition(":") for entry in self.settings.SENTINELS]
            try:
                addresses = [(host, int(port)) for host, _, port in pairs]
            except ValueError:
                raise SettingsError(f"SENTINELS is {self.settings.SENTINELS!r}", "it takes host:port each") from None
            sentinel: Any = Sentinel(addresses, sentinel_kwargs={"socket_timeout": 2}, **options)  # type: ignore[no-untyped-call]
            client: redis.Redis = sentinel.master_for(self.settings.SENTINEL_SERVICE)
            return client
        url = self.settings.REDIS_URL or running_url(self.settings.OUTPUT_DIRECTORY / ".redis")
        if not url:
            raise SettingsError(
                "no Redis is configured, and no crawl of this folder has one running",
                "set REDIS_URL (or --redis); `twittomatic crawl` starts a private server by itself",
            )
        try:
            return redis.Redis.from_url(url, **options)
        except ValueError as error:
            raise SettingsError(f"REDIS_URL cannot be used: {error}", "write redis://host:6379/0") from error

    @cached_property
    def _engine(self) -> Engine:
        return Engine(self.client())

    def engine(self) -> Engine:
        """The functions of the crawl state."""
        return self._engine

    @cached_property
    def keys(self) -> Keys:
        """Key names of this crawl."""
        return Keys(self.settings.NAMESPACE, self.settings.CRAWL)

    def check_server(self) -> list[str]:
        """Load the functions; warnings about a server that may lose the crawl's state. Unsuitable for one that is too
        old or throws keys away, StateUnavailable (soon) for one that is not there."""
        try:
            Engine(self.client(), patience_seconds=FIRST_CONTACT_SECONDS).prepare()
            found = keeping(self._engine.client)
        except (StateUnavailable, StateError) as error:
            raise StateUnavailable(
                f"{self.settings.shown('REDIS_URL') or 'the Redis server'} cannot be used: {error};"
                " start it, or correct REDIS_URL (`twittomatic doctor` looks)"
            ) from error
        for each in found:
            if each.state == WRONG:
                raise Unsuitable(f"Redis: {each.found}", each.mend)
        return [f"Redis: {each.found} ({each.mend})" for each in found if each.state == WARNING]

    def named_segs(self) -> set[str]:
        """The segs of all parts that belong to a job."""
        return named_segs(self._engine, self.keys)

    def registry(self) -> Registry:
        """The workers of this deployment."""
        return Registry(self._engine, self.keys)

    def release_dead_workers(self) -> int:
        """Put back in line what dead workers of this machine held, without waiting for their leases; how many."""
        registry = self.registry()
        dead = [worker for worker in registry.workers() if died_here(worker.info)]
        for worker in dead:
            try:
                registry.leave(worker.name, registry.register(worker.name, worker.info, replaces=worker.instance))
            except InUse:
                continue  # somebody took the name meanwhile
        return len(dead)

    def lift_stops(self) -> int:
        """Try every credential again that was taken out until somebody acts; how many."""
        budget = Budget(self._engine, self.keys, Caller("lift", "0"))
        stopped = [row for row in budget.windows() if row.blocked and row.blocked_until is None]
        for row in stopped:
            budget.lift(row.endpoint, row.credential)
            budget.lift(None, row.credential)
        return len(stopped)

    def _register(self, name: str) -> str:
        """Take a worker's name; from a process of this machine that is provably dead at once."""
        registry = self.registry()
        info = {**self.identity(), "slots": self.settings.THREADS}
        try:
            return registry.register(name, info)
        except InUse:
            holder = registry.holder(name)
            if holder is None or not died_here(holder.info):
                raise
            return registry.register(name, info, replaces=holder.instance)

    def identity(self) -> dict[str, str | int | float]:
        """What this process tells of itself."""
        return {
            "host": socket.gethostname(),
            "machine": machine(),
            "pid": os.getpid(),
            "started": process_started(os.getpid()) or time.time(),
            "version": __version__,
        }


def died_here(info: Mapping[str, Any]) -> bool:
    """Whether a process that told this of itself ran on this machine and is gone, for certain."""
    try:
        return info["machine"] == machine() and not is_alive(int(info["pid"]), float(info["started"]))
    except (KeyError, TypeError, ValueError):
        return False

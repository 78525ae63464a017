"""The registry: which workers live, and that two of them never share a name."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ujson

from twittomatic.errors import InUse
from twittomatic.state.engine import Caller, Engine
from twittomatic.state.keys import Keys


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker as it announced itself. ``silent_seconds``: since its last sign of life; jobs: held then; info: host,
    pid, started, version, slots."""

    name: str
    instance: str
    info: Mapping[str, Any]
    jobs: int
    silent_seconds: float


class Registry:
    """Names of workers in one deployment."""

    def __init__(self, engine: Engine, keys: Keys) -> None:
        self._engine = engine
        self._keys = keys

    def register(self, worker: str, info: Mapping[str, Any], *, replaces: str | None = None) -> str:
        """Take the name; the instance id for this process's callers. ``replaces``: an instance that the caller knows
        to be dead: what it held goes back in line at once. InUse when the name's holder lives; the holder (a Worker)
        is found by ``holder``."""
        instance = secrets.token_hex(8)
        args: dict[str, Any] = {"worker": worker, "instance": instance, "info": ujson.dumps(dict(info))}
        if replaces is not None:
            args["replaces"] = replaces
        reply = self._engine.call("register", self._keys, args, caller=Caller(worker, "register"))
        if reply[0] == "held":
            held = ujson.loads(reply[1])
            raise InUse(
                f"a worker named {worker!r} is alive: pid {held.get('pid', '?')} on {held.get('host', '?')}",
                "give this one another name, or stop that one",
            )
        return instance

    def holder(self, worker: str) -> Worker | None:
        """Who holds this name now, alive or not."""
        return next((held for held in self.workers() if held.name == worker), None)

    def workers(self) -> list[Worker]:
        """Everybody who took a name and did not give it back, for a day."""
        return workers(self._engine.call("workers", self._keys, {})[1:])

    def leave(self, worker: str, instance: str) -> None:
        """Give the name back."""
        args = {"worker": worker, "instance": instance}
        self._engine.call("leave", self._keys, args, caller=Caller(worker, "register"))


def workers(rows: Sequence[Sequence[Any]]) -> list[Worker]:
    """Rows of the function ``workers``."""
    found = [
        Worker(name, instance, ujson.loads(info), int(jobs), int(silent) / 1000)
        for name, instance, info, jobs, silent in rows
    ]
    return sorted(found, key=lambda worker: worker.name)

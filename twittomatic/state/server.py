"""The server: whether it can hold a crawl, how it makes a write durable, which of its refusals pass."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import redis.exceptions

from twittomatic.errors import Unsuitable

Durability = Literal["wait", "waitaof", "always", "none"]

MEND = "use Redis 7.0 or newer, or Valkey 7.2 or newer, or none at all: a private server is started then"
_PASSING = re.compile(
    r"\b(MISCONF|NOREPLICAS|LOADING|READONLY|CLUSTERDOWN|TRYAGAIN|MASTERDOWN|BUSY|OOM)\b"
    r"|misconfigured|enough good replicas|out of memory|command not allowed when used memory"
)


def is_passing(error: redis.exceptions.RedisError) -> bool:
    """Whether a repeat may cure it: the server is away, loading, read-only, full or cannot write."""
    if isinstance(error, redis.exceptions.AuthenticationError | redis.exceptions.AuthorizationError):
        return False
    if isinstance(
        error,
        redis.exceptions.ConnectionError  # BusyLoadingError is one
        | redis.exceptions.TimeoutError
        | redis.exceptions.ReadOnlyError
        | redis.exceptions.OutOfMemoryError
        | redis.exceptions.ClusterDownError
        | redis.exceptions.TryAgainError
        | redis.exceptions.MasterDownError,
    ):
        return True
    said = str(error).rpartition("caused error: ")[2]  # a pipeline puts the command before it
    return _PASSING.search(said) is not None


def lacks_library(error: redis.exceptions.RedisError) -> bool:
    """Whether our functions are not loaded (yet, or after a flush)."""
    return isinstance(error, redis.exceptions.ResponseError) and "function not found" in str(error).lower()


def server_info(client: Any) -> Mapping[str, Any] | None:
    """INFO server; None where the server has no such command (an in-memory twin)."""
    try:
        info: Mapping[str, Any] = client.info("server")
    except redis.exceptions.ResponseError as error:
        if "unknown command" in str(error).lower():
            return None
        raise
    return info


def check_version(info: Mapping[str, Any]) -> None:
    """Unsuitable unless INFO names Redis >= 7.0 or Valkey >= 7.2."""
    valkey = info.get("valkey_version")
    name, version, floor = ("Valkey", valkey, (7, 2)) if valkey else ("Redis", info.get("redis_version", "0"), (7, 0))
    numbers = tuple(int(part) if part.isdigit() else 0 for part in str(version).split(".")[:2])
    if numbers < floor:
        raise Unsuitable(f"the server is {name} {version}, which cannot hold a crawl", MEND)


def choose_durability(client: Any) -> Durability:
    """``wait`` (a replica has it), ``always`` (each write is synced before its reply), ``waitaof`` (synced on request),
    ``none`` (the server promises nothing)."""
    try:
        if int(client.info("replication").get("connected_slaves", 0)) > 0:
            return "wait"
        config = client.config_get("append*")
    except redis.exceptions.ResponseError as error:
        if "unknown command" in str(error).lower() and "config" not in str(error).lower():
            return "none"
        config = {}
    config = {_text(name): _text(value) for name, value in config.items()}
    if config.get("appendonly") == "no":
        return "none"
    if config.get("appendonly") == "yes" and config.get("appendfsync") == "always":
        return "always"
    try:
        client.execute_command("WAITAOF", 1, 0, 1)
    except redis.exceptions.ResponseError:
        return "none"
    return "waitaof"


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)

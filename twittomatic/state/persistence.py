"""Whether a server keeps what it acknowledged."""

from __future__ import annotations

from typing import Any, NamedTuple

import redis.exceptions

OK, WARNING, WRONG = "ok", "warning", "wrong"


class Keeping(NamedTuple):
    """One thing about a server. state: ok, warning or wrong; mend: what to do, empty when all is well."""

    name: str
    state: str
    found: str
    mend: str = ""


def keeping(client: Any) -> list[Keeping]:
    """Eviction and persistence of the server, as it is configured now; nothing where it does not tell (fakeredis)."""
    try:
        info = client.info()
    except redis.exceptions.ResponseError:
        return []
    return [_eviction(info), _persistence(info, _synced(client))]


def _synced(client: Any) -> str:
    try:
        config = client.config_get("appendfsync")
    except redis.exceptions.ResponseError:
        return ""
    found = config.get("appendfsync", config.get(b"appendfsync", ""))
    return found.decode() if isinstance(found, bytes) else str(found)


def _eviction(info: dict[str, Any]) -> Keeping:
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy == "noeviction":
        return Keeping("eviction", OK, "noeviction")
    return Keeping(
        "eviction",
        WRONG,
        f"maxmemory-policy is {policy}: keys that hold work would be thrown away",
        "redis-cli CONFIG SET maxmemory-policy noeviction",
    )


def _persistence(info: dict[str, Any], sync: str) -> Keeping:
    if not int(info.get("aof_enabled", 0)):
        return Keeping(
            "persistence",
            WARNING,
            "no append-only file: a crash of the server loses the crawl's state",
            "redis-cli CONFIG SET appendonly yes",
        )
    if sync == "always":
        return Keeping("persistence", OK, "append-only file, synced always")
    return Keeping("persistence", OK, f"append-only file, synced {sync or 'by the system'}; each seal waits for it")

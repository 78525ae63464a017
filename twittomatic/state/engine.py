"""The engine: the library of Redis Functions, and calls that are repeated until they are answered, never done twice."""

from __future__ import annotations

import functools
import hashlib
import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Literal, NamedTuple, TypeVar

import redis
import redis.exceptions
import ujson
from redis.backoff import NoBackoff
from redis.retry import Retry

from twittomatic.errors import Deposed, Fenced, StateError, StateUnavailable, Unsuitable
from twittomatic.state.keys import Keys
from twittomatic.state.server import (
    MEND,
    Durability,
    check_version,
    choose_durability,
    is_passing,
    lacks_library,
    server_info,
)

PROTOCOL = 1
"""Version of the keys and functions; it is part of the library's name, beside a digest of its text."""

REPLY_SECONDS = 120
"""How long Redis keeps the last reply of a thread: no call is repeated for longer."""

CLIENT_OPTIONS: dict[str, Any] = {
    "retry": Retry(NoBackoff(), 0),
    "retry_on_error": [],
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "health_check_interval": 30,
}
"""What redis.Redis must be given: its own retries would send a slow call again without our nonce."""

DURABLE_WAIT_MS = 2000
"""How long a seal waits for its acknowledgment before it is repeated; below the socket timeout."""

T = TypeVar("T")


class Function(NamedTuple):
    """How a function is registered. ``repeatable``: no nonce; ``reads``: changes nothing; ``when_full``: runs on a
    server that is out of memory, because it frees some or keeps promises."""

    repeatable: bool = False
    reads: bool = False
    when_full: bool = False


FUNCTIONS: dict[str, Function] = {
    "configure": Function(),
    "pause": Function(when_full=True),
    "resume": Function(),
    "admit": Function(),
    "claim": Function(),
    "commit": Function(),
    "seal": Function(repeatable=True, when_full=True),
    "finish": Function(when_full=True),
    "beat": Function(repeatable=True, when_full=True),
    "take": Function(when_full=True),
    "give": Function(when_full=True),
    "settle": Function(when_full=True),
    "stop": Function(when_full=True),
    "lift": Function(when_full=True),
    "windows": Function(repeatable=True, reads=True),
    "register": Function(when_full=True),
    "leave": Function(when_full=True),
    "workers": Function(repeatable=True, reads=True),
    "lead": Function(when_full=True),
    "resign": Function(when_full=True),
    "tick": Function(when_full=True),
    "finished": Function(repeatable=True, reads=True),
    "iterate": Function(when_full=True),
    "begin": Function(when_full=True),
    "retry": Function(),
}
SHARED = ("_prelude", "_jobs", "_budget")
"""Files that only hold what the others use, in this order."""


@dataclass(slots=True)
class Caller:
    """Who calls: one thread of one process. Its nonces begin at a random number, so that a process of the same name
    that starts again never repeats one."""

    worker: str
    slot: str
    instance: str = ""
    start: str = field(default_factory=lambda: secrets.token_hex(8))
    count: int = 0

    def nonce(self) -> dict[str, str | int]:
        """The arguments that make one call unique."""
        self.count += 1
        return {"worker": self.worker, "slot": self.slot, "start": self.start, "nonce": self.count}


@functools.cache
def library(flavor: Literal["production", "test"]) -> tuple[str, str, str]:
    """Name of the library, suffix of its functions' names, its text. Two versions, and the test flavor, coexist."""
    folder = resources.files("twittomatic.state") / "functions"
    parts = [f"local TEST = {'true' if flavor == 'test' else 'false'}"]
    parts += [(folder / f"{name}.lua").read_text("utf-8") for name in SHARED]
    parts += [f"do\n{(folder / f'{name}.lua').read_text('utf-8')}\nend" for name in FUNCTIONS]
    body = "\n".join(parts)
    suffix = f"{'test_' if flavor == 'test' else ''}{PROTOCOL}_{hashlib.sha256(body.encode()).hexdigest()[:10]}"
    registered = [_registration(name, function, suffix) for name, function in FUNCTIONS.items()]
    name = f"twittomatic_{suffix}"
    return name, suffix, "\n".join([f"#!lua name={name}", body, *registered, ""])


def _registration(name: str, function: Function, suffix: str) -> str:
    flags = [flag for flag, on in (("no-writes", function.reads), ("allow-oom", function.when_full)) if on]
    runner = "plain" if function.repeatable else "once"
    return (
        f"redis.register_function{{function_name='tw_{name}_{suffix}',"
        f" callback=function(keys, args) return {runner}(ops.{name}, keys, args) end,"
        f" flags={{{', '.join(repr(flag) for flag in flags)}}}}}"
    )


class Engine:
    """Functions on one Redis (or Valkey) server, for any number of threads.

    ``patience_seconds``: how long a call is repeated while the server is away or cannot write, then StateUnavailable;
    the ``test`` flavor reads the time from a key and must never meet a real crawl.
    """

    def __init__(
        self,
        client: redis.Redis,
        *,
        flavor: Literal["production", "test"] = "production",
        patience_seconds: float = 60,
    ) -> None:
        if not 0 <= patience_seconds < REPLY_SECONDS - 10:
            raise ValueError(f"patience_seconds {patience_seconds}: a repeat must end before its reply is forgotten")
        self.client: Any = client
        self._patience = patience_seconds
        self._library, self._suffix, self._text = library(flavor)
        self._durability: Durability | None = None
        self._last_answer = time.monotonic()

    def prepare(self) -> None:
        """Check the server and load the library. Unsuitable when the server is too old."""
        info = self.read(server_info)
        if info is not None:
            check_version(info)
        self.read(self._load)

    def silent_seconds(self) -> float:
        """Seconds since the server last answered anything."""
        return time.monotonic() - self._last_answer

    def call(self, function: str, keys: Keys, args: Mapping[str, Any], *, caller: Caller | None = None) -> list[Any]:
        """The function's reply without its status. ``caller``: needed for repeats of a change to have no effect;
        without one the call gets a name of its own. Fenced, Deposed, StateUnavailable."""
        command = self.command(function, keys, args, caller)
        return self.checked(function, self.read(lambda client: client.execute_command(*command)))

    def call_durably(self, function: str, keys: Keys, args: Mapping[str, Any]) -> list[Any]:
        """Call and wait, on the same connection, until the effect survives a crash of the server; what is not
        acknowledged is called again. StateUnavailable when that does not come about in time."""
        command = self.command(function, keys, args, None)
        deadline = time.monotonic() + self._patience
        while True:
            step = self._durable_step()
            reply, acknowledged = self.read(functools.partial(_in_one_connection, command=command, step=step))
            answer = self.checked(function, reply)
            if acknowledged:
                return answer
            self._durability = None
            if time.monotonic() > deadline:
                raise StateUnavailable(f"{function} was not acknowledged as durable ({' '.join(map(str, step))})")

    def command(self, function: str, keys: Keys, args: Mapping[str, Any], caller: Caller | None) -> list[Any]:
        """The words of one call, for a pipeline of reads."""
        spec = FUNCTIONS[function]
        payload = dict(args)
        if not spec.repeatable:
            payload |= (caller or Caller(f"~{secrets.token_hex(8)}", "0")).nonce()
        verb = "FCALL_RO" if spec.reads else "FCALL"
        document = ujson.dumps(payload, escape_forward_slashes=False)
        return [verb, f"tw_{function}_{self._suffix}", 2, keys.deployment, keys.prefix, document]

    def checked(self, function: str, reply: Any) -> list[Any]:
        """The reply of a call; its status as an error where it is one."""
        answer: list[Any] = ujson.loads(reply)
        status = answer[0]
        if status == "fenced":
            raise Fenced(f"{function}: the job belongs to somebody else now")
        if status == "deposed":
            raise Deposed(f"{function}: another master leads")
        if status == "late":
            raise StateError(f"{function}: a later call of the same thread was answered before")
        return answer

    def read(self, ask: Callable[[Any], T]) -> T:
        """The answer to ``ask(client)``, repeated with a growing pause while the server is away, loading, read-only or
        unable to write; the library is loaded where it is missing. StateUnavailable when patience ends."""
        deadline = time.monotonic() + self._patience
        pause = 0.02
        loads = 0
        while True:
            try:
                answer = ask(self.client)
                self._last_answer = time.monotonic()
                return answer
            except redis.exceptions.RedisError as error:
                if lacks_library(error) and loads < 3:
                    loads += 1
                    self._load(self.client)
                    continue
                if not is_passing(error):
                    raise StateError(f"Redis refused a call: {error}") from error
                if time.monotonic() + pause > deadline:
                    raise StateUnavailable(f"Redis did not answer for {self._patience:g} s: {error}") from error
            time.sleep(pause * (0.5 + random.random()))
            pause = min(pause * 2, 2.0)

    def durability(self) -> Durability:
        """How a seal is made durable; chosen once, and again after a seal that was not acknowledged."""
        if self._durability is None:
            chosen = self.read(choose_durability)
            self._durability = chosen
            return chosen
        return self._durability

    def _durable_step(self) -> tuple[str | int, ...]:
        steps: dict[Durability, tuple[str | int, ...]] = {
            "wait": ("WAIT", 1, DURABLE_WAIT_MS),
            "waitaof": ("WAITAOF", 1, 0, DURABLE_WAIT_MS),
        }
        return steps.get(self.durability(), ())

    def _load(self, client: Any) -> None:
        try:
            client.function_load(self._text)
        except redis.exceptions.ResponseError as error:
            if "already exists" in str(error):
                return
            if "unknown command" in str(error).lower():
                raise Unsuitable("the server knows no Redis Functions", MEND) from error
            raise


def _in_one_connection(client: Any, command: Sequence[Any], step: Sequence[Any]) -> tuple[Any, int]:
    """The reply of a call, and how many acknowledged the step that follows it; 0 when the server refuses the step."""
    pipeline = client.pipeline(transaction=False)
    pipeline.execute_command(*command)
    pipeline.execute_command(*(step or ("PING",)))
    reply, told = pipeline.execute(raise_on_error=False)
    if isinstance(reply, Exception):
        raise reply
    if isinstance(told, redis.exceptions.ResponseError):
        return reply, 0
    return reply, int(told[0] if isinstance(told, list) else told) if step else 1

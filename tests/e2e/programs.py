"""Whole commands as processes of their own, as a person starts them; every one of them is ended by its pid."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import psutil

from tests.conftest import CHECKOUT, wait_until

MARK = "E2E_MARK"
"""Variable that every process of one test inherits, so that those which outlive it are found."""
TOKEN = "e2e-0123456789-secret"
PATIENCE_SECONDS = 90.0


@dataclass(frozen=True)
class Ended:
    """How a command ended, with all that it said."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """Its one JSON document; anything else on stdout is a failure."""
        assert self.status == 0, self.err
        found: dict[str, Any] = json.loads(self.out)
        return found


class Program:
    """A running command of ours. What it says goes to files: a full pipe would hold it up."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], cwd: Path, stdin: bytes = b"") -> None:
        self._out: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it is reaped
        self._err: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        with tempfile.TemporaryFile() as given:
            given.write(stdin)
            given.seek(0)
            self.process = subprocess.Popen(
                [sys.executable, "-m", "twittomatic", *arguments],
                env=dict(environment), cwd=cwd, stdin=given, stdout=self._out, stderr=self._err,
            )  # fmt: skip

    @property
    def out(self) -> str:
        return _text(self._out)

    @property
    def err(self) -> str:
        return _text(self._err)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.pid).children(recursive=True)

    def child(self, *words: str) -> psutil.Process:
        """The first of its children whose command line has these words."""
        for process in self.children():
            if set(words) <= set(process.cmdline()):
                return process
        raise AssertionError(f"no child with {words}: {[process.cmdline() for process in self.children()]}")

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = PATIENCE_SECONDS) -> Ended:
        """How it ended; a failure when it still runs after so long."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"still running after {seconds} s; it said:\n{self.out}\n{self.err}") from None
        ended = Ended(status, self.out, self.err)
        self.close()
        return ended

    def close(self) -> None:
        if self.running:
            self.process.kill()
        self.process.wait()
        for file in (self._out, self._err):
            if not file.closed:
                file.close()


class Twin:
    """A twin of the network as a process, and what it tells about itself."""

    def __init__(self, program: Program) -> None:
        self.program = program
        wait_until(lambda: "\n" in program.out or not program.running, 30, "the twin's address")
        assert program.running, program.err
        self.url: str = json.loads(program.out.splitlines()[0])["url"]

    def ask(self, path: str, *, post: bool = False, **params: object) -> dict[str, Any]:
        request = Request(f"{self.url}/_world/{path}?{urlencode(params)}", method="POST" if post else "GET")
        with urlopen(request, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def user(self, id_: str) -> dict[str, Any] | None:
        """The truth about a user, None when there is none."""
        try:
            return self.ask(f"user/{id_}")
        except HTTPError:
            return None

    @property
    def total(self) -> int:
        """Requests so far."""
        return int(self.ask("requests")["total"])

    @property
    def endpoints(self) -> dict[str, int]:
        """Requests so far by endpoint."""
        return dict(self.ask("requests")["endpoints"])

    def advance(self, n: int, **params: object) -> None:
        """Newer posts for a user, or a share of all."""
        self.ask("advance", post=True, n=n, **params)

    def change(self, user: str, state: str) -> None:
        """A user is in another state from now on."""
        self.ask("state", post=True, user=user, state=state)


@dataclass
class Machine:
    """An empty home on this machine, with all that a test starts in it."""

    home: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    variables: dict[str, str] = field(default_factory=dict)
    _programs: list[Program] = field(default_factory=list)

    @property
    def output(self) -> Path:
        return self.home / "data"

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TWITTOMATIC_", "COV"))}
        if server := os.environ.get("TWITTOMATIC_REDIS_SERVER"):
            kept["TWITTOMATIC_REDIS_SERVER"] = server
        own = {"HOME": str(self.home), "PYTHONPATH": str(CHECKOUT), "TWITTOMATIC_SETTINGS": os.devnull, MARK: self.mark}
        return {**kept, **own, **self.variables}

    def start(self, *arguments: object, stdin: bytes = b"", **variables: str) -> Program:
        """Start a command. variables: settings without their prefix."""
        given = {f"TWITTOMATIC_{name}": value for name, value in variables.items()}
        program = Program([str(word) for word in arguments], {**self.environment(), **given}, self.home, stdin)
        self._programs.append(program)
        return program

    def run(self, *arguments: object, stdin: bytes = b"", seconds: float = PATIENCE_SECONDS, **variables: str) -> Ended:
        """Run a command to its end."""
        return self.start(*arguments, stdin=stdin, **variables).wait(seconds)

    def twin(self, *arguments: object) -> Twin:
        """A twin on a port of its own."""
        return Twin(self.start("emulator", "--json", *arguments))

    def crawl(self, twin: Twin, *arguments: object, output: Path | None = None) -> list[object]:
        """The words of a crawl of this twin."""
        return ["crawl", *arguments, "--api-url", twin.url, "--output", output or self.output, "--json"]

    def survivors(self) -> list[psutil.Process]:
        """Processes of this machine that none of the started programs is."""
        own = {program.pid for program in self._programs if program.running}
        found = []
        for process in psutil.process_iter():
            try:
                mark = process.environ().get(MARK)
                if mark == self.mark and process.pid not in own and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def close(self) -> list[str]:
        """End everything; the command lines of what had outlived its parent."""
        for program in self._programs:
            program.close()
        deadline = time.monotonic() + 20
        while (left := self.survivors()) and time.monotonic() < deadline:
            time.sleep(0.05)
        lines = [" ".join(process.cmdline()) for process in left if process.is_running()]
        for process in left:
            process.kill()
        return lines


def wait_for(condition: Callable[[], object], program: Program, what: str, seconds: float = 60.0) -> None:
    """Wait for a condition while a program runs; a failure when the program ends before."""
    wait_until(lambda: condition() or not program.running, seconds, what)
    assert program.running, f"ended before {what}: {program.out}\n{program.err}"


def small_world(path: Path, users: int = 120, edges: int = 700, seed: int = 5) -> Path:
    """An edge list: a ring, so that everybody is reached from anybody, and chords that favor the first users."""
    chance = random.Random(seed)
    rows = {(number, (number + 1) % users) for number in range(users)}
    while len(rows) < edges:
        source, target = chance.randrange(users), int(users * chance.random() ** 3)
        if source != target:
            rows.add((source, target))
    lines = [f"{source}\t{target}" for source, target in sorted(rows)]
    chance.shuffle(lines)
    path.write_text("src\ttrg\n" + "\n".join(lines) + "\n")
    return path


def small_talk(path: Path, forms: int = 12) -> Path:
    """Posts of an answer of API v2: with them a world has only a few per user."""
    author = {"id": "77001", "name": "Ada", "username": "ada_l", "verified": False}
    media = {"media_key": "3_900", "type": "photo", "url": "https://pbs.example.org/900.jpg", "width": 640}
    posts = [
        {
            "id": str(1500000000000000000 + number),
            "text": f"post {number}: naïve 🚌 \u2028 & <tags>",
            "author_id": "77001",
            "created_at": "2022-03-05T10:00:00.000Z",
            "conversation_id": str(1500000000000000000 + number),
            "edit_history_tweet_ids": [str(1500000000000000000 + number)],
            "lang": "en",
            **({"attachments": {"media_keys": ["3_900"]}} if number % 3 == 0 else {}),
        }
        for number in range(forms)
    ]
    answer = {"data": posts, "includes": {"users": [author], "media": [media]}, "meta": {"result_count": forms}}
    path.write_text(json.dumps(answer, ensure_ascii=False) + "\n")
    return path


def contents(archive: Path, *suffixes: str) -> dict[str, list[bytes]]:
    """Lines of every final, by name; gzip read by the standard library."""
    import gzip

    found = {}
    for path in sorted(archive.glob("[0-9]*/*")):
        if path.suffix.removeprefix(".") in (suffixes or ("twt", "fws")):
            found[path.name] = gzip.decompress(path.read_bytes()).splitlines()
    return found


def _text(file: IO[bytes]) -> str:
    if file.closed:
        return ""
    size = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), size, 0).decode("utf-8", "replace")

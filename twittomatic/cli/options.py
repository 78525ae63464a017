"""Options that several commands share, and what turns them into settings and a console."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import rich_click as click

from twittomatic import logs
from twittomatic.cli import load_settings
from twittomatic.config import Settings
from twittomatic.errors import Unsuitable
from twittomatic.kinds.plan import LETTERS

ORPHAN_SECONDS = 5.0
"""Time to park after a parent's death; the private server has died with it, so there may be nobody to tell."""

_KIND_WORDS = {
    "T": "Timelines: the whole of each user's.",
    "F": "Followers: ids, and profiles where the network gives them.",
    "A": "Analyze followers: find new users, judged by the policy.",
    "U": "Update timelines: only what is newer than what is held.",
}

REDIS_URL = ("--redis", "REDIS_URL", str, "URL", "Redis or Valkey server; without one a private server is started.")
OUTPUT = ("--output", "OUTPUT_DIRECTORY", Path, "DIR", "Folder of the archive.")
CRAWL = ("--crawl", "CRAWL", str, "NAME", "Name of the crawl.")
SOURCE = ("--source", "SOURCE", str, "NAME", "Network and dialect: x_v2 or twitter_v1.")
API_URL = ("--api-url", "API_URL", str, "URL", "Address of the API, of a mirror or of the emulator.")
TRAVERSAL = ("--traversal", "TRAVERSING", str, "default|bfs|dfs|priority", "What becomes of the users that are found.")
MAX_USERS = ("--max-users", "MAX_USERS", int, "N", "Users that are admitted at most.")
EXPECT = ("--expect", "EXPECT", int, "N", "Ids that the seen set is laid out for.")
THREADS = ("--threads", "THREADS", int, "N", "Jobs that one worker has in hand at once.")
WORKERS = ("--workers", "WORKERS", int, "N", "Worker processes.")

KIND_FLAGS = "-T -F -A -U"
CALLED_VARIABLE = "TWITTOMATIC_CALLED_AS"
"""How a person called the command, as bin/twittomatic tells it."""

Row = tuple[str, str, type, str, str]


def setting_options(*rows: Row) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Options that override a setting each."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for flag, name, kind, metavar, words in reversed(rows):
            value_type = click.Path(path_type=Path) if kind is Path else kind
            command = click.option(flag, name.lower(), type=value_type, metavar=metavar, help=words)(command)
        return command

    return add


def kind_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """-T -F -A -U."""
    for letter, words in reversed(_KIND_WORDS.items()):
        command = click.option(f"-{letter}", f"kind_{letter.lower()}", is_flag=True, help=words)(command)
    return command


def begin_log(role: str, name: str, settings: Settings, *, console: bool = True) -> None:
    """Write ``<LOG_DIRECTORY>/<role>-<name>.log`` from now on, and lines for people on stderr where wanted."""
    try:
        logs.configure(
            role,
            name,
            settings.LOG_DIRECTORY,
            level=settings.LOG_LEVEL,
            console=console,
            file_bytes=settings.LOG_FILE_BYTES,
            files=settings.LOG_FILES,
        )
    except OSError as error:
        raise Unsuitable(
            f"{settings.LOG_DIRECTORY} cannot be written: {error.strerror}", "name a writable folder with --output"
        ) from error


def command_line(
    command: str, settings: Settings, *rows: Row, seeds: str | None, kinds: Collection[str] = (), more: str = ""
) -> str:
    """A command with the options of this call, as it is typed (but those that hold a password). kinds: other ones than
    those of this call; more: further flags."""
    wanted = kinds or (settings.KINDS if settings.origin("KINDS") == KIND_FLAGS else ())
    letters = [f"-{letter}" for letter, kind in LETTERS.items() if kind in wanted]
    options = [
        word
        for flag, name, _, _, _ in rows
        if settings.origin(name) == flag and settings.shown(name) == getattr(settings, name)
        for word in (flag, str(settings.shown(name)))
    ]
    called = os.environ.get(CALLED_VARIABLE, "twittomatic")
    return shlex.join([called, command, *letters, *options, *more.split(), *_argument(seeds)])


def _argument(path: str | None) -> list[str]:
    if path is None:
        return []
    return ["--", path] if path.startswith("-") and path != "-" else [path]


def settings_of(values: Mapping[str, Any], *rows: Row) -> Settings:
    """The settings of this call; the kinds' letters and the options of ``rows`` taken from a command's parameters."""
    options: dict[str, tuple[str, object]] = {name: (flag, values.get(name.lower())) for flag, name, _, _, _ in rows}
    kinds = [kind for letter, kind in LETTERS.items() if values.get(f"kind_{letter.lower()}")]
    if kinds:
        options["KINDS"] = (KIND_FLAGS, tuple(kinds))
    return load_settings(options)

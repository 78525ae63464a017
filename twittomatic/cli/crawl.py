"""``twittomatic crawl``: everything on one machine."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import rich_click as click
import ujson
from rich.console import Console

from twittomatic.cli import summary
from twittomatic.cli.options import (
    API_URL,
    CRAWL,
    EXPECT,
    MAX_USERS,
    OUTPUT,
    REDIS_URL,
    SOURCE,
    THREADS,
    TRAVERSAL,
    WORKERS,
    begin_log,
    command_line,
    kind_options,
    setting_options,
    settings_of,
)
from twittomatic.cli.progress import Progress
from twittomatic.config import Settings
from twittomatic.errors import UserError
from twittomatic.job import UPDATE
from twittomatic.lifecycle import Stopper
from twittomatic.local import Local, Plan

ROWS = (WORKERS, THREADS, OUTPUT, CRAWL, TRAVERSAL, MAX_USERS, SOURCE, API_URL, REDIS_URL, EXPECT)


@click.command()
@click.argument("seeds_file", metavar="[SEEDS]", required=False)
@kind_options
@setting_options(*ROWS)
@click.option("--strict", is_flag=True, help="Refuse to start when a line of SEEDS is bad.")
@click.option("--adopt", is_flag=True, help="Take over an output folder that belongs to another crawl.")
@click.option("--retry", is_flag=True, help="Try the jobs again that were given up.")
@click.option("--json", "as_json", is_flag=True, help="The summary as one JSON document on stdout.")
def crawl(seeds_file: str | None, strict: bool, adopt: bool, retry: bool, as_json: bool, **values: Any) -> None:
    """Crawl on this machine: a master and workers, with live progress, to the end and a summary.

    SEEDS is a file (or - for standard input) with an id, an @name or a profile address a line; a frontier file of an
    earlier crawl will do. Without Redis a private server is started; without credentials the API twin and its sample
    world. Ctrl-C parks the work; the same command goes on with it.
    """
    settings = settings_of(values, *ROWS)
    begin_log("crawl", settings.CRAWL, settings, console=False)
    console = Console(stderr=True)
    began = time.monotonic()
    with Stopper() as stopper, Progress(console) as progress:
        local = Local(settings, Plan(seeds_file, strict=strict, adopt=adopt, retry=retry), stopper, progress.say)
        last = local.run(progress.show)
    document = summary.document(
        last, settings.OUTPUT_DIRECTORY, time.monotonic() - began, local.survey, is_free=local.is_free
    )
    document["stopped_because"] = local.stuck or None
    with suppress(OSError):  # the terminal may be closed by now; how it ended is in the exit status
        if as_json:
            click.echo(ujson.dumps(document, escape_forward_slashes=False))
        else:
            kept = str(local.survey.path) if local.survey and seeds_file else None
            click.echo(f"{summary.words(document)}\nNext: {_next(document, settings, kept)}")
    if local.stuck:
        raise UserError(f"nothing can go on: {local.stuck}", "mend the credentials (`twittomatic doctor`), start again")
    raise SystemExit(stopper.exit_status)


def _next(document: summary.Document, settings: Settings, seeds_file: str | None) -> str:
    """The next command to type, and what it does."""
    if document["state"] != "done":
        return f"{command_line('crawl', settings, *ROWS, seeds=seeds_file)}   (goes on where this stopped)"
    if document["users"]["dead"]:
        again = command_line("crawl", settings, *ROWS, seeds=seeds_file, more="--retry")
        return f"{again}   (tries again what was given up)"
    found = document["frontier"]["path"]
    if found:
        return f"{command_line('crawl', settings, *ROWS, seeds=found)}   (crawls the users that were found)"
    return f"{command_line('crawl', settings, *ROWS, seeds=None, kinds=[UPDATE])}   (fetches what is new since)"

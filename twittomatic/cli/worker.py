"""``twittomatic worker``: take jobs and download them."""

from __future__ import annotations

import socket
from typing import Any

import rich_click as click

from twittomatic.cli.options import (
    API_URL,
    CRAWL,
    ORPHAN_SECONDS,
    OUTPUT,
    REDIS_URL,
    SOURCE,
    THREADS,
    begin_log,
    setting_options,
    settings_of,
)
from twittomatic.kinds import KINDS
from twittomatic.lifecycle import Stopper, end_with_parent, has_parent
from twittomatic.wiring import Wiring

ROWS = (REDIS_URL, OUTPUT, CRAWL, SOURCE, API_URL, THREADS)


@click.command()
@click.argument("name", required=False)
@click.option("--kinds", metavar="KIND,KIND", help=f"Only jobs of these kinds: {', '.join(KINDS)}.")
@setting_options(*ROWS)
def worker(name: str | None, kinds: str | None, **values: Any) -> None:
    """Take jobs of a crawl and download them, until asked to stop.

    NAME is this worker's own, by default the host's; a second live worker of a name is refused. Ctrl-C finishes the
    pages in hand and parks the jobs.
    """
    chosen = [kind.strip() for kind in kinds.split(",")] if kinds else list(KINDS)
    for kind in chosen:
        if kind not in KINDS:
            raise click.BadParameter(f"{kind!r} is not one of {', '.join(KINDS)}", param_hint="--kinds")
    settings = settings_of(values, *ROWS)
    name = name or socket.gethostname()
    begin_log("worker", name, settings)
    wiring = Wiring(settings)
    with Stopper() as stopper:
        if has_parent():
            end_with_parent(stopper, ORPHAN_SECONDS)
        for warning in wiring.check_server():
            click.echo(warning, err=True)
        shared = wiring.settled_crawl(stopper.event)
        if shared is not None:
            wiring.worker(name, chosen, stopper.event, shared).run()

"""``twittomatic master``: load seeds, tick, notice the end of a crawl."""

from __future__ import annotations

import socket
from typing import Any

import rich_click as click

from twittomatic import seeds
from twittomatic.cli.options import (
    API_URL,
    CRAWL,
    EXPECT,
    MAX_USERS,
    ORPHAN_SECONDS,
    OUTPUT,
    REDIS_URL,
    SOURCE,
    TRAVERSAL,
    begin_log,
    kind_options,
    setting_options,
    settings_of,
)
from twittomatic.lifecycle import Stopper, end_with_parent, has_parent
from twittomatic.wiring import Wiring

ROWS = (REDIS_URL, OUTPUT, CRAWL, SOURCE, API_URL, TRAVERSAL, MAX_USERS, EXPECT)


@click.command()
@click.argument("seeds_file", metavar="[SEEDS]", required=False)
@kind_options
@setting_options(*ROWS)
@click.option("--strict", is_flag=True, help="Refuse to start when a line of SEEDS is bad.")
@click.option("--adopt", is_flag=True, help="Take over an output folder that belongs to another crawl.")
@click.option("--retry", is_flag=True, help="Try the jobs again that were given up.")
@click.option("--run", default="", hidden=True, help="The call that this process belongs to.")
@click.option("--standby", is_flag=True, help="Wait while another master leads, and take over when it is gone.")
def master(
    seeds_file: str | None, strict: bool, adopt: bool, retry: bool, run: str, standby: bool, **values: Any
) -> None:
    """Load SEEDS, keep the crawl going, and write the frontier when nothing is left.

    SEEDS is a file (or - for standard input) with an id, an @name or a profile address a line. Without it the crawl
    goes on with what it has.
    """
    settings = settings_of(values, *ROWS)
    begin_log("master", socket.gethostname(), settings)
    wiring = Wiring(settings)
    path = seeds.kept(seeds_file, settings.OUTPUT_DIRECTORY / ".seeds") if seeds_file else None
    if path is not None:
        survey = seeds.survey(path, wiring.seed_form(), strict=strict)
        if survey.bad_count and not has_parent():
            click.echo(f"{path}: {survey.bad_count} bad lines are left out:\n{survey.complaint()}", err=True)
    with Stopper() as stopper:
        if has_parent():
            end_with_parent(stopper, ORPHAN_SECONDS)
        wiring.policy()
        for warning in wiring.check_server():
            click.echo(warning, err=True)
        if not has_parent() and wiring.lift_stops():
            click.echo("Credentials that had been taken out are tried again.", err=True)
        files = wiring.archive()
        files.check()
        files.claim_folder(settings.NAMESPACE, settings.CRAWL, adopt=adopt)
        ended = wiring.master(stopper.event, standby=standby).run(
            wiring.wish(path, strict=strict, retry=retry, run=run)
        )
        if not has_parent():
            click.echo(f"master: {ended}", err=True)

"""``twittomatic archive``: read what was collected."""

from __future__ import annotations

import sys
from pathlib import Path

import rich_click as click
import ujson

from twittomatic.archive.cat import cat as lines_of
from twittomatic.cli import load_settings
from twittomatic.errors import UserError
from twittomatic.job import FWS, TWT, USR
from twittomatic.wiring import Wiring

SUFFIXES = {"timeline": TWT, "follower": FWS, "profile": USR}


@click.group()
def archive() -> None:
    """Read what was collected."""


@archive.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR")
@click.argument("user")
@click.option("--kind", type=click.Choice(list(SUFFIXES)), default="timeline", help="Which file of the user.")
@click.option("--select", metavar="A.B,C", help="Only these fields, by their path.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document: the end mark and all lines.")
def cat(directory: Path, user: str, kind: str, select: str | None, as_json: bool) -> None:
    """Print a user's lines, byte for byte; or chosen fields of them."""
    settings = load_settings({"OUTPUT_DIRECTORY": ("DIR", directory)})
    wiring = Wiring(settings)
    files = wiring.archive()
    suffix = SUFFIXES[kind]
    if not wiring.id_form().accepts(user):
        raise UserError(f"{user!r} is not an id", "give the user's id; `.names.jsonl` has the ids of names")
    mark = files.end_of(user, suffix)
    if mark is None and not files.final_path(user, suffix).exists():
        raise UserError(f"{directory} holds no {kind} of {user}", "a file appears when its last page is in")
    out = sys.stdout.buffer
    fields = [field.strip() for field in select.split(",")] if select else None
    lines = lines_of(files, user, suffix, fields, bare=not as_json)
    if not as_json:
        for line in lines:
            out.write(line + b"\n")
        return
    end = {"end": mark.end, "reason": mark.reason, "holes": mark.holes, "at": mark.at} if mark else None
    head = ujson.dumps({"user": user, "kind": kind, "end": end}, escape_forward_slashes=False).encode()
    separator = b""
    out.write(head[:-1] + b',"lines":[')
    for line in lines:
        out.write(separator + line)
        separator = b","
    out.write(b"]}\n")

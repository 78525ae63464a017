"""``twittomatic settings``: every setting, its value and where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import rich_click as click
import ujson
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from twittomatic import config
from twittomatic.cli import load_settings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def settings(as_json: bool) -> None:
    """Show every setting, its value and where it came from.

    The last of these that names a setting decides: the default, the settings file, TWITTOMATIC_<NAME> in the
    environment, the option of a command.
    """
    values = load_settings()
    if as_json:
        document = {
            row.name: {
                "value": _plain(values.shown(row.name)),
                "origin": values.origin(row.name),
                "default": _plain(row.default),
                "expected": config.expected(row),
                "doc": row.doc,
            }
            for row in config.rows()
        }
        click.echo(ujson.dumps(document, indent=2, escape_forward_slashes=False))
        return
    table = Table("setting", "value", "from", "what it is", box=None, header_style="bold", pad_edge=False)
    for row in config.rows():
        origin = values.origin(row.name)
        cells = (row.name, _text(values.shown(row.name)), origin, row.doc)
        table.add_row(*map(escape, cells), style="" if origin == config.DEFAULT else "bold cyan")
    console = Console()
    if console.is_terminal:
        console.print(table)
    else:
        click.echo(_lines(values))


def _lines(values: config.Settings) -> str:
    """One line a setting, tabs between, for other programs."""
    shown = ((row.name, _text(values.shown(row.name)), values.origin(row.name)) for row in config.rows())
    return "\n".join("\t".join(line) for line in shown)


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    return dict(value) if isinstance(value, Mapping) else value


def _text(value: object) -> str:
    plain = _plain(value)
    return plain if isinstance(plain, str) else ujson.dumps(plain, escape_forward_slashes=False)

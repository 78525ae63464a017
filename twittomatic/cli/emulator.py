"""``twittomatic emulator``: a twin of the remote API on this machine."""

from __future__ import annotations

from pathlib import Path

import rich_click as click
import ujson

from twittomatic.errors import UserError
from twittomatic.lifecycle import Stopper, end_with_parent, has_parent

_PATH = click.Path(exists=True, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port; 0: a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--graph", type=_FILE, help="Edge list; a row `src trg` means: src follows trg.")
@click.option("--map-ids", is_flag=True, help="Make the graph's ids 19 digits long.")
@click.option("--tweets", type=_PATH, help="Recorded tweets (a file of JSON lines, or a folder) for the users.")
@click.option("--users", type=click.IntRange(1), default=None, help="Size of the generated world.")
@click.option("--seed", type=int, default=None, help="Number that the generated world grows from.")
@click.option("--limits", default=None, metavar="real|none|FILE", help="Windows per credential and endpoint.")
@click.option("--faults", type=_FILE, help="Plan of bad answers.")
@click.option("--json", "as_json", is_flag=True, help="Tell the address as one JSON line on stdout.")
@click.option("--end-with-parent", "bound", is_flag=True, hidden=True)
def emulator(
    port: int,
    host: str,
    graph: Path | None,
    map_ids: bool,
    tweets: Path | None,
    users: int | None,
    seed: int | None,
    limits: str | None,
    faults: Path | None,
    as_json: bool,
    bound: bool,
) -> None:
    """Serve a twin of the remote API until Ctrl-C."""
    from twittomatic.emulator.server import Emulator, EmulatorOptions, keep_memory

    if map_ids and graph is None:
        raise UserError("--map-ids without --graph: a generated world has ids of its own", "add --graph EDGES.tsv")
    usual = EmulatorOptions()
    options = EmulatorOptions(
        port=port,
        host=host,
        graph=graph,
        map_ids=map_ids,
        tweets=tweets,
        users=usual.users if users is None else users,
        seed=usual.seed if seed is None else seed,
        limits=usual.limits if limits is None else _limits(limits),
        faults=faults,
    )
    with Stopper() as stopper:
        if bound or has_parent():
            end_with_parent(stopper, grace_seconds=2.0)
        keep_memory()
        server = Emulator(options)
        url = server.start()
        try:
            if as_json:
                click.echo(ujson.dumps({"url": url}, escape_forward_slashes=False))
            click.echo(f"The twin of the API answers at {url} (Ctrl-C ends it).", err=True)
            while not stopper.wait(60.0):
                pass
        finally:
            server.stop()


def _limits(text: str) -> str | Path:
    if text in ("real", "none"):
        return text
    path = Path(text)
    if not path.is_file():
        raise UserError(f"--limits {text}: there is no such file", "give real, none or a file of windows")
    return path

"""The command ``twittomatic``: a list of its commands, each loaded only when it is called."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import rich_click as click

from twittomatic import __version__, config
from twittomatic.errors import TwittomaticError, UserError


class Entry(NamedTuple):
    """Where a command is (``module:attribute``) and what it does, in the few words of the list."""

    place: str
    summary: str


COMMANDS: Mapping[str, Entry] = {
    "crawl": Entry("twittomatic.cli.crawl:crawl", "Crawl on this machine: a master and workers, with live progress."),
    "master": Entry("twittomatic.cli.master:master", "Load seeds, hand out policy, notice the end of a crawl."),
    "worker": Entry("twittomatic.cli.worker:worker", "Take jobs and download them."),
    "archive": Entry("twittomatic.cli.archive:archive", "Read what was collected."),
    "emulator": Entry(
        "twittomatic.cli.emulator:emulator", "Serve a twin of the remote API, to try things without keys."
    ),
    "doctor": Entry("twittomatic.cli.doctor:doctor", "Look for what would lose data or stop a crawl."),
    "settings": Entry("twittomatic.cli.settings:settings", "Show every setting, its value and where it came from."),
}


class LazyGroup(click.RichGroup):
    """A group that lists its commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A stand-in with the summary, enough for the list and for completion."""
        entry = COMMANDS.get(cmd_name)
        return click.RichCommand(name=cmd_name, help=entry.summary) if entry else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command itself, imported now."""
        name, rest = args[0], args[1:]
        if name in COMMANDS:
            return name, load_command(name), rest
        if not ctx.resilient_parsing:
            close = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
            mend = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(COMMANDS)}."
            ctx.fail(f"There is no command {name}. {mend}")
        return None, None, rest

    def invoke(self, ctx: click.Context) -> Any:
        """An error of ours is a message and an exit status, not a traceback."""
        try:
            return super().invoke(ctx)
        except TwittomaticError as error:
            show_error(error)
            ctx.exit(error.exit_status)


def load_command(name: str) -> click.Command:
    """The command of that name."""
    module, _, attribute = COMMANDS[name].place.partition(":")
    command: click.Command = getattr(import_module(module), attribute)
    return command


def show_error(error: TwittomaticError) -> None:
    """What went wrong in red, then what to do about it."""
    message, mend = (error.message, error.mend) if isinstance(error, UserError) else (str(error), "")
    click.echo(click.style("Error: ", fg="red", bold=True) + click.style(message, fg="red"), err=True)
    if mend:
        click.echo(f"  {mend}", err=True)


def load_settings(options: Mapping[str, tuple[str, object]] | None = None) -> config.Settings:
    """The settings of this call: the group's ``--settings`` file, and a command's own options as ``config.load`` takes
    them: setting to (option as typed, value or None)."""
    context = click.get_current_context(silent=True)
    file = context.find_root().params.get("settings_file") if context else None
    return config.load(file, options)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", package_name="twittomatic", prog_name="twittomatic")
@click.option(
    "--settings",
    "settings_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Settings file, instead of settings.py.",
)
def main(settings_file: Path | None) -> None:
    """Crawl a social graph, track what is said, trust what was collected.

    `twittomatic crawl` is where to start: without a server and without keys it shows itself on a sample world.
    """

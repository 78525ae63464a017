"""``twittomatic doctor``: look for what would lose data or stop a crawl."""

from __future__ import annotations

import rich_click as click
import ujson

from twittomatic.cli import load_settings
from twittomatic.doctor import Check, Doctor
from twittomatic.wiring import Wiring

MARKS = {"ok": ("ok  ", "green"), "warning": ("warn", "yellow"), "wrong": ("FAIL", "red")}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def doctor(as_json: bool) -> None:
    """Check Redis, folders, credentials and the clock; say what is wrong and how to mend it.

    The exit status is 0 when all is well, 1 with warnings, 2 when something is wrong.
    """
    checks = Doctor(Wiring(load_settings())).examine()
    if as_json:
        click.echo(ujson.dumps({"checks": [check._asdict() for check in checks]}, escape_forward_slashes=False))
    else:
        for check in checks:
            _show(check)
    states = {check.state for check in checks}
    raise SystemExit(2 if "wrong" in states else 1 if "warning" in states else 0)


def _show(check: Check) -> None:
    mark, color = MARKS[check.state]
    click.echo(f"{click.style(mark, fg=color)}  {check.name}: {check.found}")
    if check.mend:
        click.echo(f"      {check.mend}")

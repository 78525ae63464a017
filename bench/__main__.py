"""``python -m bench [NAME...] [--small] [--json] [--readme]``: run measurements, keep what they found."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import click

from bench import BENCHES, readme
from bench.machine import taken
from bench.result import Result
from bench.world import SEED, clean_environment


def run(name: str, *, small: bool) -> Result:
    """Measure one claim; a full measurement is kept under ``bench/results``."""
    module = importlib.import_module(f"bench.{name}")
    begun = taken(SEED)
    result: Result = module.measure(module.SMALL if small else module.FULL, lambda line: click.echo(line, err=True))
    result = Result(**{**vars(result), "taken": begun})
    if not small:
        readme.RESULTS.mkdir(exist_ok=True)
        text = json.dumps(result.document(), indent=1, ensure_ascii=False) + "\n"
        (readme.RESULTS / f"{name}.json").write_text(text, encoding="utf-8")
    return result


def write_readme(path: Path) -> None:
    """Put the tables of the kept results into a README."""
    path.write_text(readme.updated(path.read_text(encoding="utf-8"), readme.kept()), encoding="utf-8")


@click.command(epilog=f"Names: {', '.join(BENCHES)}.")
@click.argument("names", metavar="[NAME...]", nargs=-1, type=click.Choice(BENCHES))
@click.option("--small", is_flag=True, help="Only see that it runs: little work, one round, nothing is kept.")
@click.option("--json", "as_json", is_flag=True, help="The results as one JSON document on stdout.")
@click.option("--readme", "only_readme", is_flag=True, help="Only write the README's tables from the kept results.")
def main(names: tuple[str, ...], small: bool, as_json: bool, only_readme: bool) -> None:
    """Measure claims of speed, each beside a peer or a floor. Exit status 1 when one is not reached."""
    if only_readme:
        write_readme(readme.README)
        return
    clean_environment()
    results = []
    for name in names or BENCHES:
        results.append(run(name, small=small))
        if not as_json:
            click.echo(results[-1].words())
    if as_json:
        click.echo(json.dumps({"results": [result.document() for result in results]}))
    sys.exit(0 if small or all(result.good for result in results) else 1)


if __name__ == "__main__":
    main()

"""Small programs of this folder as processes of their own, so that their work is not ours."""

from __future__ import annotations

import json
import sys

from bench.machine import CHECKOUT
from twittomatic.children import Child

MOST_SECONDS = 60.0


def told_by(module: str, *words: object) -> dict[str, float]:
    """Run ``python -m bench.<module> WORDS`` to its end: the JSON document that it prints."""
    command = [sys.executable, "-m", f"bench.{module}", *map(str, words)]
    environment = {"PYTHONPATH": str(CHECKOUT)}
    child = Child(command, f"bench.{module}", environment=environment, program=True, read_stdout=True).start()
    try:
        line = child.read_line(MOST_SECONDS)
        if child.wait(5.0) != 0 or not line:
            raise RuntimeError(f"it did not end well: {child.report()}")
    finally:
        child.stop(1.0)
    found: dict[str, float] = json.loads(line)
    return found

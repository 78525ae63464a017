"""How long a person waits: for ``--help``, and from ``crawl`` on a machine where nothing is configured to a tweet."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.machine import CHECKOUT
from bench.result import Claim, Result, Say, Series
from twittomatic.children import Child

MOST_SECONDS = 30.0
LOOK_SECONDS = 0.01
PROGRAM = [sys.executable, "-P", "-m", "twittomatic"]
BARE = [sys.executable, "-P", "-c", "pass"]


@dataclass(frozen=True)
class Size:
    """helps: rounds of ``--help``; crawls: crawls that are started."""

    helps: int
    crawls: int


FULL = Size(helps=10, crawls=5)
SMALL = Size(helps=1, crawls=1)


def measure(size: Size, say: Say) -> Result:
    """Wall and processor seconds of ``--help`` beside a Python that does nothing; seconds to the first tweet."""
    helps, bare = [], []
    timed([*PROGRAM, "--help"])  # warm
    for _ in range(size.helps):
        helps.append(timed([*PROGRAM, "--help"]))
        bare.append(timed(BARE))
    say(f"start: {size.helps} times --help")
    tweets = []
    for turn in range(size.crawls):
        tweets.append(first_tweet())
        say(f"start, crawl {turn + 1} of {size.crawls}: a tweet after {tweets[-1]:.2f} s")
    return Result(
        name="start",
        title="`twittomatic --help` on a warm machine, beside a Python that does nothing; `twittomatic crawl` in an "
        "empty folder (with its private server and the twin) until a tweet can be read from a file",
        series={
            "help": Series("--help", "s", [wall for wall, _ in helps]),
            "bare": Series("bare Python", "s", [wall for wall, _ in bare]),
            "help_cpu": Series("--help", "s of processor", [cpu for _, cpu in helps]),
            "bare_cpu": Series("bare Python", "s of processor", [cpu for _, cpu in bare]),
            "tweet": Series("first tweet", "s", tweets),
        },
        claims=[
            Claim("time of --help", "help", most=0.3),
            Claim("time of --help beside a Python that does nothing", "help", "bare"),
            Claim("processor time of --help", "help_cpu", "bare_cpu"),
            Claim("time from `crawl` to the first archived tweet", "tweet", most=3),
        ],
        size=asdict(size),
    )


def timed(command: Sequence[str]) -> tuple[float, float]:
    """Wall and processor seconds of a program that says something and ends."""
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{command[-1]} ended with status {process.returncode}")
    return wall, used.ru_utime + used.ru_stime


def first_tweet() -> float:
    """Seconds from the start of a crawl in an empty folder to the first line that a file of the archive gives."""
    with tempfile.TemporaryDirectory() as temporary:
        output = Path(temporary) / "data"
        nobody = Path(temporary) / "none.toml"
        nobody.touch(mode=0o600)
        environment = {"TWITTOMATIC_CREDENTIALS_FILE": str(nobody)}
        began = time.perf_counter()
        child = Child(["crawl", "-T", "--output", str(output)], "crawl", environment=environment, read_stdout=True)
        child.start()
        try:
            while not has_tweet(output):
                if not child.running or time.perf_counter() - began > MOST_SECONDS:
                    raise RuntimeError(f"no tweet after {time.perf_counter() - began:.1f} s: {child.report()}")
                time.sleep(LOOK_SECONDS)
            return time.perf_counter() - began
        finally:
            child.stop(MOST_SECONDS)


def has_tweet(output: Path) -> bool:
    """Whether some file in work or final begins with a gzip member that holds a line."""
    for pattern in ("[0-9]*/*.twt", ".parts/**/*"):
        for path in output.glob(pattern):
            try:
                if b"\n" in zlib.decompressobj(31).decompress(path.read_bytes()):
                    return True
            except (OSError, zlib.error):  # a folder, or a member that is being written
                continue
    return False

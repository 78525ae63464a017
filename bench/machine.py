"""Where and when a measurement was taken: what a reader needs to judge it, nothing that names the machine."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import tempfile
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from twittomatic import embedded

CHECKOUT = Path(__file__).resolve().parent.parent
_PACKAGES = ("aiohttp", "hiredis", "isal", "msgspec", "redis", "requests")


def taken(seed: int) -> dict[str, Any]:
    """Seed, commit, date, machine and versions. ``changed``: the checkout held what the commit does not; load: of the
    last minute, per core."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    return {
        "seed": seed,
        "commit": commit or "unknown",
        "changed": bool(_git("status", "--porcelain", "--", "twittomatic", "bench", ":!bench/results")),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        "machine": machine(),
        "versions": versions(),
    }


def machine() -> dict[str, Any]:
    """Processor, cores, memory, system, file system of the temporary folder, load."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "processor": _processor(),
        "cores": cores,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {'.'.join(re.findall(r'[0-9]+', platform.release())[:2])}",
        "file_system": _file_system(Path(tempfile.gettempdir())),
        "load": round(os.getloadavg()[0] / cores, 2),
    }


def versions() -> dict[str, str]:
    """Python, the server, and the packages that the figures depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "none"
    server = subprocess.run([embedded.find_server(), "--version"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"(\w+) server v=([\d.]+)", server)
    return found | ({match[1].lower(): match[2]} if match else {})


def described(document: dict[str, Any]) -> str:
    """A machine in one line."""
    return (
        f"{document['cores']} cores of {document['processor']}, {document['memory_gib']} GiB, {document['system']}, "
        f"{document['file_system']}"
    )


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    name = found[1] if found else platform.processor() or platform.machine()
    return re.sub(r"\((R|TM)\)| CPU|\s+@.*| +Processor", "", name).strip()


def _file_system(folder: Path) -> str:
    """Kind of the file system that holds a folder: what an fsync costs depends on it."""
    inside = [part for part in psutil.disk_partitions(all=True) if folder.resolve().is_relative_to(part.mountpoint)]
    return max(inside, key=lambda part: len(part.mountpoint)).fstype if inside else "unknown file system"


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", CHECKOUT, *words], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()

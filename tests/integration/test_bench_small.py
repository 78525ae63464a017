"""Every measurement runs to its end and prints what it found, at its small size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from bench import BENCHES


@pytest.mark.serial
@pytest.mark.parametrize("name", BENCHES)
def test_a_measurement_runs_and_prints_and_leaves_nothing(checkout: Path, tmp_path: Path, name: str) -> None:
    kept = {path: path.read_bytes() for path in (checkout / "bench" / "results").glob("*")}
    done = subprocess.run(
        [sys.executable, "-m", "bench", name, "--small", "--json"],
        cwd=checkout, env={**os.environ, "TMPDIR": str(tmp_path)}, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["results"]
    assert found["name"] == name
    assert all(value >= 0 for series in found["series"].values() for value in series["values"])
    assert any(ratio is not None and ratio > 0 for ratio in found["ratios"])
    assert f"{name}, " in done.stderr or f"{name}: " in done.stderr
    assert list(tmp_path.iterdir()) == []
    assert {path: path.read_bytes() for path in (checkout / "bench" / "results").glob("*")} == kept
    assert not survivors(str(tmp_path))


def survivors(folder: str) -> list[psutil.Process]:
    """Processes that inherited this temporary folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TMPDIR") == folder:
                found.append(process)
        except psutil.Error:  # it has ended meanwhile, or is of another user
            continue
    return found

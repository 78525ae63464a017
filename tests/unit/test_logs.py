"""Logs: one line for people, one JSON document a line in the file, and no secret in either."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from twittomatic import logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """The loggers of the test run are given back."""
    root = logging.getLogger()
    handlers, level, secrets = root.handlers[:], root.level, logs._secrets
    yield
    for handler in [handler for handler in root.handlers if handler not in handlers]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    logs._secrets = secrets
    logging.captureWarnings(False)
    structlog.reset_defaults()


def documents(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_line_in_the_file_is_a_document(tmp_path: Path) -> None:
    path = logs.configure("worker", "w1", tmp_path / "logs", "info", console=False)
    assert path == tmp_path / "logs" / "worker-w1.log"
    logs.get("twittomatic.worker").info("page committed", user="12", items=3, text='ä"\n')
    logs.get("twittomatic.worker").debug("not this one")
    (line,) = documents(path)
    assert line.pop("at").endswith("Z")
    assert line == {
        "role": "worker",
        "name": "w1",
        "event": "page committed",
        "level": "info",
        "logger": "twittomatic.worker",
        "user": "12",
        "items": 3,
        "text": 'ä"\n',
    }


def test_a_name_stays_inside_the_folder(tmp_path: Path) -> None:
    path = logs.configure("worker", "../../a b", tmp_path / "logs", console=False)
    assert path == tmp_path / "logs" / "worker-.._.._a_b.log"


def test_console_is_plain_where_nobody_watches(tmp_path: Path) -> None:
    stream = io.StringIO()
    logs.configure("master", directory=tmp_path, stream=stream)
    logs.get("twittomatic.master").warning("takes over", epoch=4)
    assert stream.getvalue().endswith("[warning] takes over [twittomatic.master] epoch=4\n")
    assert "\x1b" not in stream.getvalue()
    assert (tmp_path / "master.log").exists()


def test_console_has_colors_on_a_terminal() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    logs.configure("master", stream=stream)
    logs.get("x").info("hello")
    assert "\x1b[" in stream.getvalue()


def test_secrets_are_masked_wherever_they_stand(tmp_path: Path) -> None:
    stream = io.StringIO()
    path = logs.configure("worker", "w", tmp_path, stream=stream)
    logs.hide("AAAtoken")
    logs.hide("ab")
    log = logs.get("x")
    log.info("with AAAtoken", header={"Authorization": ["Bearer AAAtoken", ("AAAtoken",)]}, raw=b"AAAtoken")
    log.info("object", error=ValueError("AAAtoken"), path=Path("/AAAtoken"))
    logging.getLogger("library").warning("GET %s", "/?key=AAAtoken")
    try:
        raise RuntimeError("AAAtoken")
    except RuntimeError:
        log.exception("failed")
    written = path.read_text() + stream.getvalue()
    assert "AAAtoken" not in written
    assert written.count("Bearer ********") == 2
    assert "RuntimeError: ********" in written
    assert len(documents(path)) == 4
    assert "object" in written, "a secret of two characters masks nothing"


def test_libraries_and_warnings_come_in_the_same_form(tmp_path: Path) -> None:
    path = logs.configure("worker", "w", tmp_path, console=False)
    logging.getLogger("urllib3.connectionpool").info("too much detail")
    logging.getLogger("urllib3.connectionpool").warning("retrying")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old name", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(False)
    first, second = documents(path)
    assert (first["event"], first["logger"]) == ("retrying", "urllib3.connectionpool")
    assert "DeprecationWarning: old name" in second["event"]


def test_files_are_rotated_by_size(tmp_path: Path) -> None:
    path = logs.configure("worker", "w", tmp_path, console=False, file_bytes=10_000, files=2)
    for number in range(400):
        logs.get("x").info("a line that fills the file", number=number)
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ["worker-w.log", "worker-w.log.1", "worker-w.log.2"]
    assert all(file.stat().st_size <= 10_000 for file in tmp_path.iterdir())
    assert documents(path)[-1]["number"] == 399


def test_configuring_again_replaces_the_handlers(tmp_path: Path) -> None:
    first, second = io.StringIO(), io.StringIO()
    before = len(logging.getLogger().handlers)
    logs.configure("a", stream=first)
    logs.configure("b", stream=second)
    logs.get("x").info("once")
    assert len(logging.getLogger().handlers) == before + 1
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1

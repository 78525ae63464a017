"""What processes say: lines for people on stderr, JSON lines in a file, and no secret in either."""

from __future__ import annotations

import logging
import logging.handlers
import re
import sys
import threading
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, TextIO

import structlog

MASK = "********"
_secrets: frozenset[str] = frozenset()
_secrets_lock = threading.Lock()

_FILE_NAME = re.compile(r"[^\w.@-]", re.ASCII)

NOISY = ("urllib3", "requests_oauthlib", "oauthlib", "asyncio", "aiohttp.access")
"""Loggers of libraries that are heard from warnings on only."""


def hide(secret: str) -> None:
    """Never write this text again. Secrets of fewer than four characters are passed over: they would mask words."""
    global _secrets
    if len(secret) >= 4:
        with _secrets_lock:
            _secrets = _secrets | {secret}


def masked(value: Any) -> Any:
    """The same text, or the same lists and tables of texts, with every hidden secret replaced."""
    if isinstance(value, str):
        for secret in _secrets:
            if secret in value:
                value = value.replace(secret, MASK)
        return value
    if isinstance(value, bytes):
        return masked(value.decode("utf-8", "replace"))
    if isinstance(value, Mapping):
        return {masked(key): masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [masked(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return masked(repr(value) if not isinstance(value, Exception) else f"{type(value).__name__}: {value}")


def _mask(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    internal = ("_record", "_from_structlog", "exc_info", "stack_info")
    return {key: value if key in internal else masked(value) for key, value in event.items()}


def _with_traceback(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Tracebacks become text before the mask, so that a secret inside one is masked too."""
    return structlog.processors.format_exc_info(_logger, _method, event)


_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.StackInfoRenderer(),
]


def configure(
    role: str,
    name: str = "",
    directory: Path | None = None,
    level: str = "info",
    console: bool = True,
    *,
    stream: TextIO | None = None,
    file_bytes: int = 10_000_000,
    files: int = 5,
) -> Path | None:
    """Route every logger of this process; a second call replaces the first.

    role, name: of the process, in every line; directory: where ``<role>-<name>.log`` is written as JSON lines, rotated
    at ``file_bytes``, ``files`` old ones kept; console: lines for people on ``stream`` (stderr). Returns the log file.
    """
    handlers: list[logging.Handler] = []
    path = None
    if console:
        handlers.append(_console(stream or sys.stderr))
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{_FILE_NAME.sub('_', f'{role}-{name}' if name else role)}.log"
        handlers.append(_file(path, role, name, file_bytes, files))
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(getattr(old, "formatter", None), structlog.stdlib.ProcessorFormatter):
            root.removeHandler(old)
            old.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level.upper())
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    return path


def get(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module: ``log = logs.get(__name__)``, then ``log.info("page committed", user=user)``."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def _console(stream: TextIO) -> logging.Handler:
    handler = logging.StreamHandler(stream)
    colors = bool(getattr(stream, "isatty", lambda: False)())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
                _with_traceback,
                _mask,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=0, pad_level=False),
            ],
        )
    )
    return handler


def _file(path: Path, role: str, name: str, file_bytes: int, files: int) -> logging.Handler:
    def identify(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {"role": role, "name": name, **event}

    handler = logging.handlers.RotatingFileHandler(path, maxBytes=file_bytes, backupCount=files, encoding="utf-8")
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
                identify,
                _with_traceback,
                _mask,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    return handler

"""Small files that are there whole or not at all: written beside their place, fsynced, renamed, folder fsynced."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from twittomatic.archive.deflate import GzipDeflater, check_level

BLOCK = 1 << 20


def sync_folder(folder: Path) -> None:
    """fsync a folder, so that the names in it outlive a crash."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def temporary(path: Path) -> Iterator[IO[bytes]]:
    """A new file beside ``path`` under a hidden name that nobody else has; removed at the end unless renamed."""
    name = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    with open(name, "xb") as file:
        try:
            yield file
        finally:
            name.unlink(missing_ok=True)


def write_atomic(path: Path, data: bytes) -> None:
    """Put a file in place whole; an older one stays until the new one is on disk."""
    with temporary(path) as file:
        file.write(data)
        settle(file, path)


def settle(file: IO[bytes], path: Path) -> None:
    """Make a temporary file durable and give it its name."""
    file.flush()
    os.fsync(file.fileno())
    os.replace(file.name, path)
    sync_folder(path.parent)


class AtomicGzip:
    """A gzip file that appears under its name when the ``with`` block ends well, and leaves nothing when it does not.

    written: lines so far.
    """

    def __init__(self, path: Path, *, level: int = 2) -> None:
        self.path = path
        self.written = 0
        self._deflater = GzipDeflater(check_level(level))
        self._held: list[bytes] = []
        self._size = 0

    def __enter__(self) -> Self:
        self._cleanup = ExitStack()
        self._file = self._cleanup.enter_context(temporary(self.path))
        return self

    def line(self, line: bytes) -> None:
        """Add a line; it must not hold a newline."""
        if b"\n" in line:
            raise ValueError(f"a line for {self.path.name} holds a newline")
        self._held.append(line + b"\n")
        self._size += len(line) + 1
        self.written += 1
        if self._size >= BLOCK:
            self._flush()

    def lines(self, lines: Iterable[bytes]) -> None:
        """Add lines."""
        for line in lines:
            self.line(line)

    def _flush(self) -> None:
        self._file.write(self._deflater.feed(b"".join(self._held)))
        self._held.clear()
        self._size = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._cleanup:
            if kind is None:
                self._flush()
                self._file.write(self._deflater.finish())
                settle(self._file, self.path)

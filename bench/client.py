"""A client that only receives: raw sockets kept alive, nothing is decoded.

``python -m bench.client PORT PATHS CONNECTIONS``: PATHS is a file with one request path a line. Every path is asked
once; one JSON line on stdout tells how long that took.
"""

from __future__ import annotations

import json
import re
import resource
import selectors
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.world import TOKEN

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_COUNT = re.compile(rb'"result_count":(\d+)')
_ROOM = 4 * 1024 * 1024
_TAIL = 600
"""Last bytes of a page, where its meta stands."""


def request(path: str, accept: str) -> bytes:
    """The bytes of one GET."""
    lines = (f"GET {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {TOKEN}", f"Accept-Encoding: {accept}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def parse_head(start: bytes) -> tuple[int, int] | None:
    """Where the body begins and how long it is; None while the head is incomplete. ValueError for all but 200."""
    end = start.find(b"\r\n\r\n")
    if end < 0:
        return None
    length = _LENGTH.search(start, 0, end + 2)
    if not start.startswith(b"HTTP/1.1 200 ") or length is None:
        raise ValueError(f"not a page: {start[:200]!r}")
    return end + 4, int(length[1])


@dataclass(slots=True)
class Tally:
    """What came in."""

    pages: int = 0
    posts: int = 0
    bytes: int = 0


class Connection:
    """One socket with one request in the air. ``buffer`` is shared by all: a page is counted as it ends."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(_ROOM)
        self._view = memoryview(self._buffer)
        self._filled = 0
        self._whole = 0

    def ask(self, path: str) -> None:
        self._filled = self._whole = 0
        self.socket.sendall(request(path, "identity"))

    def receive(self, tally: Tally) -> bool:
        """Take what is there; true when the page is whole."""
        got = self.socket.recv_into(self._view[self._filled :])
        if not got:
            raise ConnectionError("the server closed the connection")
        self._filled += got
        if not self._whole:
            head = parse_head(bytes(self._view[: min(self._filled, 4096)]))
            if head is None:
                return False
            self._whole = sum(head)
            if self._whole > _ROOM:
                raise ValueError(f"a page of {self._whole} bytes")
        if self._filled < self._whole:
            return False
        counts = _COUNT.findall(bytes(self._view[max(0, self._whole - _TAIL) : self._whole]))
        tally.pages += 1
        tally.posts += int(counts[-1]) if counts else 0
        tally.bytes += self._whole
        return True


def receive_all(port: int, paths: Iterator[str], connections: int) -> Tally:
    """Ask every path once, over this many connections."""
    tally = Tally()
    with selectors.DefaultSelector() as selector:
        for _, path in zip(range(connections), paths, strict=False):
            connection = Connection(port)
            connection.ask(path)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        while selector.get_map():
            for key, _ in selector.select():
                if key.data.receive(tally):
                    following = next(paths, None)
                    if following is not None:
                        key.data.ask(following)
                        continue
                    selector.unregister(key.fileobj)
                    key.data.socket.close()
    return tally


def main() -> None:
    port, paths, connections = int(sys.argv[1]), Path(sys.argv[2]).read_text().split(), int(sys.argv[3])
    began = time.perf_counter()
    tally = receive_all(port, iter(paths), connections)
    seconds = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    told = {"pages": tally.pages, "posts": tally.posts, "bytes": tally.bytes, "seconds": seconds}
    print(json.dumps({**told, "cpu_seconds": used.ru_utime + used.ru_stime}), flush=True)


if __name__ == "__main__":
    main()
